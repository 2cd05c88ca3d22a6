// Looks at every picture that a track shows.

/** Luma values looked at, evenly over the picture. */
const SAMPLES = 997;

export class PictureWatch {
	#startedAt;
	#last;
	#pictures = 0;
	#changes = 0;
	#firstPictureMs;
	#leastSpread = Infinity;

	constructor(track, startedAt) {
		this.#startedAt = startedAt;
		void this.#watch(new MediaStreamTrackProcessor({ track }).readable.getReader());
	}

	async #watch(reader) {
		for (;;) {
			const { done, value: picture } = await reader.read();
			if (done) {
				return;
			}
			this.#firstPictureMs ??= performance.now() - this.#startedAt;
			await this.#look(picture);
			picture.close();
		}
	}

	async #look(picture) {
		const bytes = new Uint8Array(picture.allocationSize());
		await picture.copyTo(bytes);
		// The first plane is the luma, whether I420 or NV12.
		const { width, height } = picture.visibleRect;
		const luma = Array.from({ length: SAMPLES }, (_, index) => bytes[Math.floor((index * width * height) / SAMPLES)]);
		const mean = luma.reduce((sum, value) => sum + value, 0) / SAMPLES;
		const spread = Math.sqrt(luma.reduce((sum, value) => sum + (value - mean) ** 2, 0) / SAMPLES);
		this.#pictures += 1;
		this.#leastSpread = Math.min(this.#leastSpread, spread);
		if (this.#last && luma.some((value, index) => value !== this.#last[index])) {
			this.#changes += 1;
		}
		this.#last = luma;
	}

	/** Pictures, how many differ from the one before, the flattest one's spread of luma, and when the first one came. */
	report() {
		return {
			pictures: this.#pictures,
			changes: this.#changes,
			leastSpread: this.#leastSpread,
			firstPictureMs: this.#firstPictureMs,
		};
	}
}
