// Streams in layers: how they are published, and that a viewer sees those it prefers and nothing else.

import assert from 'node:assert/strict';

import { losesLittle, moves } from './check.mjs';

/** Chromium makes three spatial layers of no smaller picture, and each layer's height tells it. */
const SIZE = { width: 960, height: 576 };
const SPATIAL_LAYERS = 3;

/** Of all layers together, in bits per second: enough for Chromium to make them all. */
export const BITRATE = 1_750_000;

/** From setPreferredLayers() to the first picture of the new layer. */
const SWITCH_MS_MAX = 2_000;

/** Without a picture, while layers change: of the lowest temporal layer one comes every 267 ms, and a busy machine stops for a second or two. */
export const FREEZE_MS_MAX = 2_500;

/**
 * A layer that its sender leaves out is missed when nothing of it has come for 2.5 s, at the next look, which is every 1.5 s, and
 * another one begins with a key frame.
 */
const ABSENCE_MS_MAX = 6_000;

/** After three seconds without a picture Chromium asks for a key frame by itself. */
const ASKED_MAX = 2;

/** Chromium makes no key frame within 300 ms of another, and is asked again a second later: changes begin when so many pictures have come. */
const SETTLED = 10;

/** Which share of the pictures there are in a temporal layer and those below: a quarter, a half, all, as counted in a window. */
const SHARES = [
	{ min: 0.12, max: 0.4 },
	{ min: 0.36, max: 0.7 },
	{ min: 0.75, max: 1.25 },
];

/** Pictures of the sender for which a viewer's are counted. */
const WINDOW = 24;
/** That a layer stays is seen in fewer. */
const SHORT_WINDOW = 10;

export const SIMULCAST = {
	...SIZE,
	encodings: [
		{ scaleResolutionDownBy: 4, maxBitrate: 150_000 },
		{ scaleResolutionDownBy: 2, maxBitrate: 400_000 },
		{ scaleResolutionDownBy: 1, maxBitrate: 1_200_000 },
	],
	codecOptions: { videoGoogleStartBitrate: BITRATE / 1_000 },
};

export function svc(scalabilityMode) {
	return { ...SIMULCAST, encodings: [{ scalabilityMode, maxBitrate: BITRATE }] };
}

/** Whether a page's browser makes such a stream. */
export function encodes(participant, codec, scalabilityMode) {
	return participant.encodes(codec, scalabilityMode, SIZE, BITRATE);
}

/** The height of a spatial layer's pictures. */
export function heightOf(spatialLayer) {
	return SIZE.height >> (SPATIAL_LAYERS - 1 - spatialLayer);
}

/** A viewer of a producer's pictures. */
export class View {
	/** Key frames that the receiver asked for, as it may have. */
	#asked = 0;

	constructor(t, { publisher, producer, viewer, consumer, what }) {
		Object.assign(this, { t, publisher, producer, viewer, consumer, what });
	}

	/** Resolves when pictures of this height come, and returns what was seen since the stage began. */
	reaches(height) {
		const isReached = ({ stage }) => stage.runs.at(-1)?.height === height;
		return this.viewer.expects(this.consumer, `pictures ${height} high`, isReached);
	}

	/** Resolves when some pictures of this height have come. */
	async settles(height) {
		await this.reaches(height);
		await this.viewer.shows(this.consumer, SETTLED, await this.viewer.report(this.consumer));
	}

	/**
	 * Prefers layers: the picture changes to the height of the spatial one in time, without a freeze, and stays so; what comes is of
	 * the temporal one, and all of it is decoded.
	 */
	async prefers(spatialLayer, temporalLayer, height = heightOf(spatialLayer)) {
		await this.viewer.begin(this.consumer);
		await this.consumer.setPreferredLayers({ spatialLayer, temporalLayer });
		await this.reaches(height);
		const layers = await this.#window(WINDOW);
		const { stage } = layers.report;
		const figures =
			`${height} high after ${Math.round(stage.runs.at(-1).afterMs)} ms, longest gap ${Math.round(stage.longestGapMs)} ms, ` +
			`${layers.decoded} of ${layers.encoded} pictures decoded`;
		this.t.diagnostic(`${this.what}: to ${spatialLayer}.${temporalLayer}: ${figures}`);
		this.#hasSwitched(stage, height, SWITCH_MS_MAX, FREEZE_MS_MAX);
		const share = layers.received / layers.encoded;
		const { min, max } = SHARES[temporalLayer];
		assert.ok(share >= min && share <= max, `temporal layer ${temporalLayer}: ${figures}`);
		assert.ok(layers.decoded >= layers.received - 3, `${layers.decoded} of ${layers.received} received pictures decoded`);
		const { currentLayers } = this.consumer;
		assert.deepEqual([currentLayers.spatialLayer, currentLayers.temporalLayer], [spatialLayer, temporalLayer]);
		this.isClean(layers.report);
	}

	/** What the sender does has the viewer see another layer, which may take a while to notice. */
	async sees(height, what, change) {
		await this.viewer.begin(this.consumer);
		await change();
		await this.reaches(height);
		const { report } = await this.#window(SHORT_WINDOW);
		const { stage } = report;
		const [{ afterMs }, gap] = [stage.runs.at(-1), Math.round(stage.longestGapMs)];
		this.t.diagnostic(`${this.what}: ${what}: ${height} high after ${Math.round(afterMs)} ms, longest gap ${gap} ms`);
		this.#hasSwitched(stage, height, ABSENCE_MS_MAX, ABSENCE_MS_MAX);
		assert.ok(report.pliCount <= this.#asked + ASKED_MAX, `${report.pliCount} key frames that the receiver asked for`);
		this.#asked = report.pliCount;
		this.isClean(report);
	}

	#hasSwitched({ runs, longestGapMs }, height, switchMs, freezeMs) {
		const heights = runs.map(run => run.height);
		assert.ok(heights.length <= 2 && heights.at(-1) === height, `heights ${heights}, wanted ${height}`);
		assert.ok(runs.at(-1).afterMs <= switchMs, `${height} high after ${runs.at(-1).afterMs} ms`);
		assert.ok(longestGapMs <= freezeMs, `no picture for ${longestGapMs} ms`);
	}

	/** Nothing was lost for good, and the receiver never had to ask for a key frame because it could not decode. */
	isClean(report) {
		moves(report);
		losesLittle(report);
		assert.equal(report.pliCount, this.#asked, 'key frames that the receiver asked for');
	}

	/** Counts a viewer's pictures while the sender makes so many. */
	async #window(pictures) {
		const [before, encodedBefore] = await this.#counts();
		const until = async () => (await this.#encoded()) >= encodedBefore + pictures;
		await this.viewer.expects(this.consumer, `${pictures} more pictures of the sender`, until);
		const [report, encoded] = await this.#counts();
		return {
			report,
			encoded: encoded - encodedBefore,
			received: report.framesReceived - before.framesReceived,
			decoded: report.framesDecoded - before.framesDecoded,
		};
	}

	#counts() {
		return Promise.all([this.viewer.report(this.consumer), this.#encoded()]);
	}

	async #encoded() {
		return picturesOf(await this.publisher.sent(this.producer));
	}
}

/** Pictures that a sender has made; of an SVC stream the browser counts each as often as it has spatial layers. */
export function picturesOf(streams) {
	const spatialLayers = ({ scalabilityMode = 'L1' }) => Number(scalabilityMode[1]);
	return Math.max(...streams.map(stream => Math.floor(stream.framesEncoded / spatialLayers(stream))));
}
