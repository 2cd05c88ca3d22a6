// Pictures in layers: a browser sends several sizes and rates at once, and each viewer gets those it prefers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { BOUNDED, figures } from './lib/check.mjs';
import { BITRATE, encodes, FREEZE_MS_MAX, heightOf, SIMULCAST, svc, View } from './lib/layers.mjs';
import { Session } from './lib/session.mjs';

/** Too little for Chromium to make the highest of an SVC stream's layers, in bits per second. */
const LITTLE = 250_000;

const TOP = heightOf(2);

let browser;
before(async () => {
	browser = await Browser.launch();
});
after(() => browser?.close());

/** Somebody who publishes such pictures, and somebody who sees the highest layers; nothing where the browser makes none. */
async function stage(t, { codec, layers, descriptors }) {
	const session = await Session.create(t, browser);
	const router = await session.router();
	const publisher = await session.participant(router);
	const { scalabilityMode = 'L1T3' } = layers.encodings[0];
	if (!(await encodes(publisher, codec, scalabilityMode))) {
		t.skip(`this Chromium makes no ${codec} ${scalabilityMode}`);
		return undefined;
	}
	const producer = await publisher.publish({ kind: 'video', codec, ...layers });
	/** A viewer who comes now. */
	const watch = async what => {
		const viewer = await session.participant(router);
		const consumer = await viewer.consume(producer, { descriptors });
		return new View(t, { publisher, producer, viewer, consumer, what });
	};
	return { publisher, producer, watch };
}

/** Who comes late sees the highest layers, and who has been there sees nothing of that. */
async function someoneComesLate(t, view, { watch }) {
	await view.viewer.begin(view.consumer);
	const late = await watch('who comes late');
	await late.reaches(TOP);
	const seen = await late.viewer.shows(late.consumer, 20);
	figures(t, seen, 'who comes late: ');
	late.isClean(seen);
	const other = await view.viewer.report(view.consumer);
	assert.deepEqual(other.stage.runs.map(({ height }) => height), [TOP]);
	assert.ok(other.stage.longestGapMs <= FREEZE_MS_MAX);
	view.isClean(other);
}

/** The sender of a simulcast pauses its highest stream for a while. */
async function theTopLayerIsPaused(t, view, { publisher, producer }) {
	await view.sees(heightOf(1), 'the sender pauses the top layer', () => publisher.sendUpTo(producer, 1));
	await view.sees(TOP, 'the sender sends it again', () => publisher.sendUpTo(producer, 2));
}

/** The sender of a stream in layers has too little for the highest one for a while. */
async function theTopLayerIsNotMade(t, view, { publisher, producer }) {
	const to = maxBitrate => () => publisher.changeEncoding(producer, { maxBitrate });
	await view.sees(heightOf(1), 'the sender leaves the top layer out', to(LITTLE));
	await view.sees(TOP, 'the sender sends it again', to(BITRATE));
}

/** Somebody watches, prefers one pair of layers after another, and then something more happens. */
function layersTest(what, published, type, steps, ...more) {
	test(what, BOUNDED, async t => {
		const there = await stage(t, published);
		if (!there) {
			return;
		}
		assert.equal(there.producer.type, type);
		const view = await there.watch(what);
		await view.settles(TOP);
		for (const [spatialLayer, temporalLayer] of steps) {
			await view.prefers(spatialLayer, temporalLayer);
		}
		for (const then of more) {
			await then(t, view, there);
		}
	});
}

const ROUND = [[0, 2], [2, 0], [1, 1], [2, 2]];
const SHORT = ROUND.slice(0, 3);

const simulcast = codec => ({ codec, layers: SIMULCAST });
const inLayers = (codec, scalabilityMode) => ({ codec, layers: svc(scalabilityMode), descriptors: codec === 'video/AV1' });

layersTest('VP8 simulcast', simulcast('video/VP8'), 'simulcast', ROUND, someoneComesLate, theTopLayerIsPaused);
layersTest('H264 simulcast', simulcast('video/H264'), 'simulcast', SHORT);
layersTest('VP9 L3T3', inLayers('video/VP9', 'L3T3'), 'svc', ROUND, theTopLayerIsNotMade);
layersTest('VP9 L3T3_KEY', inLayers('video/VP9', 'L3T3_KEY'), 'svc', ROUND, someoneComesLate);
layersTest('AV1 L3T3', inLayers('video/AV1', 'L3T3'), 'svc', ROUND, someoneComesLate);
layersTest('AV1 L3T3_KEY', inLayers('video/AV1', 'L3T3_KEY'), 'svc', ROUND, theTopLayerIsNotMade);

test('AV1 L1T3, whose receivers get no dependency descriptors', BOUNDED, async t => {
	const there = await stage(t, { codec: 'video/AV1', layers: svc('L1T3') });
	if (!there) {
		return;
	}
	const view = await there.watch('AV1 L1T3');
	await view.settles(TOP);
	for (const temporalLayer of [0, 2, 1]) {
		await view.prefers(0, temporalLayer, TOP);
	}
});
