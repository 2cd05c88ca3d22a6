// Listens to a track for a tone.

/** Samples of one look at the frequency. */
const BLOCK = 2_400;
/** The tone's share of a block's energy that makes it heard; noise has about 0.001. */
const SHARE_MIN = 0.8;

export class SoundWatch {
	#hertz;
	#block = [];
	#heard = 0;
	#blocks = 0;

	constructor(track, hertz) {
		this.#hertz = hertz;
		// Nothing is decoded of a track that nothing plays.
		this.player = new Audio();
		this.player.srcObject = new MediaStream([track]);
		void this.player.play();
		void this.#watch(new MediaStreamTrackProcessor({ track }).readable.getReader());
	}

	async #watch(reader) {
		for (;;) {
			const { done, value: sound } = await reader.read();
			if (done) {
				return;
			}
			const samples = new Float32Array(sound.numberOfFrames);
			sound.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
			this.#block.push(...samples);
			if (this.#block.length >= BLOCK) {
				this.#listen(this.#block.splice(0, BLOCK), sound.sampleRate);
			}
			sound.close();
		}
	}

	#listen(samples, rate) {
		const energy = samples.reduce((sum, value) => sum + value * value, 0);
		this.#blocks += 1;
		if (energy > 0 && (2 * power(samples, this.#hertz / rate)) / (samples.length * energy) >= SHARE_MIN) {
			this.#heard += 1;
		}
	}

	/** Blocks of 50 ms, and in how many the tone was heard. */
	report() {
		return { blocks: this.#blocks, heard: this.#heard };
	}
}

/** |X(f)|² by Goertzel, the frequency being in cycles per sample. */
function power(samples, frequency) {
	const coefficient = 2 * Math.cos(2 * Math.PI * frequency);
	let [before, last] = [0, 0];
	for (const sample of samples) {
		[before, last] = [last, sample + coefficient * last - before];
	}
	return last * last + before * before - coefficient * last * before;
}
