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
	#lastAt;
	#stage;

	constructor(track, startedAt) {
		this.#startedAt = startedAt;
		this.begin();
		void this.#watch(new MediaStreamTrackProcessor({ track }).readable.getReader());
	}

	async #watch(reader) {
		for (;;) {
			const { done, value: picture } = await reader.read();
			if (done) {
				return;
			}
			const now = performance.now();
			this.#firstPictureMs ??= now - this.#startedAt;
			this.#note(now, picture.visibleRect.height);
			await this.#look(picture);
			picture.close();
		}
	}

	/** Begins a stage: what comes from now on is told apart. */
	begin() {
		this.#stage = { at: performance.now(), pictures: 0, longestGapMs: 0, runs: [] };
	}

	#note(now, height) {
		const stage = this.#stage;
		stage.pictures += 1;
		stage.longestGapMs = Math.max(stage.longestGapMs, this.#gap(now));
		this.#lastAt = now;
		if (stage.runs.at(-1)?.height !== height) {
			stage.runs.push({ height, pictures: 0, afterMs: now - stage.at });
		}
		stage.runs.at(-1).pictures += 1;
	}

	/** How long the picture has stood still. */
	#gap(now) {
		return this.#lastAt === undefined ? 0 : now - this.#lastAt;
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

	/**
	 * Pictures, how many differ from the one before, the flattest one's spread of luma, and when the first one came. Of the stage
	 * its pictures in runs of one height, each with its first one's time since the stage began, and the longest time without one.
	 */
	report() {
		const { pictures, longestGapMs, runs } = this.#stage;
		return {
			stage: { pictures, longestGapMs: Math.max(longestGapMs, this.#gap(performance.now())), runs },
			pictures: this.#pictures,
			changes: this.#changes,
			leastSpread: this.#leastSpread,
			firstPictureMs: this.#firstPictureMs,
		};
	}
}
