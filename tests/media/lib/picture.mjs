// Decoded pictures: small and gray, so that a test can look at every one of them.

export const WIDTH = 64;
export const HEIGHT = 48;
const BYTES = WIDTH * HEIGHT;

export class Pictures {
	/** `stream` brings 8-bit luma, one picture after another. */
	constructor(stream) {
		this.all = [];
		let rest = Buffer.alloc(0);
		stream.on('data', bytes => {
			rest = Buffer.concat([rest, bytes]);
			for (; rest.length >= BYTES; rest = rest.subarray(BYTES)) {
				this.all.push(Buffer.from(rest.subarray(0, BYTES)));
			}
		});
	}

	get count() {
		return this.all.length;
	}

	/** How many differ from the one before: a frozen picture does not. */
	get changes() {
		return this.all.filter((picture, index) => index > 0 && !picture.equals(this.all[index - 1])).length;
	}

	/** How many are like a picture by at least so much: 1 is the same up to contrast, 0 has nothing to do with it. */
	countLike(picture, likenessMin) {
		return this.all.filter(each => likeness(each, picture) >= likenessMin).length;
	}
}

/** Pearson's correlation of the upper halves, where nothing moves in the test pictures. */
function likeness(one, other) {
	const half = BYTES / 2;
	const mean = picture => picture.subarray(0, half).reduce((sum, value) => sum + value, 0) / half;
	const [meanOne, meanOther] = [mean(one), mean(other)];
	let [both, squareOne, squareOther] = [0, 0, 0];
	for (let at = 0; at < half; ++at) {
		const [a, b] = [one[at] - meanOne, other[at] - meanOther];
		both += a * b;
		squareOne += a * a;
		squareOther += b * b;
	}
	// A flat picture is like nothing.
	return squareOne * squareOther === 0 ? 0 : both / Math.sqrt(squareOne * squareOther);
}
