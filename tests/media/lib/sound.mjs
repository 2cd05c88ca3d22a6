// Decoded sound: how much of it is the tone that was sent.

export const RATE = 48_000;

export class Sound {
	/** `stream` brings 16-bit little-endian mono samples at RATE. */
	constructor(stream) {
		this.chunks = [];
		this.bytes = 0;
		stream.on('data', chunk => {
			this.chunks.push(chunk);
			this.bytes += chunk.length;
		});
	}

	get seconds() {
		return this.bytes / 2 / RATE;
	}

	/** The last part of it. */
	#samples(seconds) {
		const all = Buffer.concat(this.chunks);
		const count = Math.min(Math.floor(all.length / 2), seconds * RATE);
		const start = Math.floor(all.length / 2) - count;
		return Float64Array.from({ length: count }, (_, index) => all.readInt16LE(2 * (start + index)));
	}

	/** The share of the energy that is at a frequency (Goertzel), block by block, the median of all; and the loudness. */
	tone(hertz, seconds) {
		const samples = this.#samples(seconds);
		const block = RATE / 20;
		const shares = [];
		let energy = 0;
		for (let at = 0; at + block <= samples.length; at += block) {
			const part = samples.subarray(at, at + block);
			const whole = part.reduce((sum, value) => sum + value * value, 0);
			energy += whole;
			shares.push(whole === 0 ? 0 : (2 * power(part, hertz)) / (block * whole));
		}
		shares.sort((a, b) => a - b);
		return { share: shares[Math.floor(shares.length / 2)], rms: Math.sqrt(energy / samples.length) };
	}
}

/** |X(f)|² of the block's Fourier transform at one frequency. */
function power(samples, hertz) {
	const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / RATE);
	let [before, last] = [0, 0];
	for (const sample of samples) {
		[before, last] = [last, sample + coefficient * last - before];
	}
	return last * last + before * before - coefficient * last * before;
}
