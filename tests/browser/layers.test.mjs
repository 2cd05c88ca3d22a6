// Simulcast: a browser sends its picture in two sizes, and each viewer gets the one it prefers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { BOUNDED, figures, moves } from './lib/check.mjs';
import { Session } from './lib/session.mjs';

/** Chromium makes three layers of wider pictures only, and those are too much for a machine that decodes them too. */
const WIDTH = 640;
const LAYERS = [
	{ scaleResolutionDownBy: 2, maxBitrate: 200_000 },
	{ scaleResolutionDownBy: 1, maxBitrate: 600_000 },
];

let browser;
before(async () => {
	browser = await Browser.launch();
});
after(() => browser?.close());

test('a viewer of a simulcast gets the layer it prefers, up and down', BOUNDED, async t => {
	const session = await Session.create(t, browser);
	const router = await session.router();
	const [alice, bob] = [await session.participant(router), await session.participant(router)];
	const producer = await alice.publish({ kind: 'video', codec: 'video/VP8', width: WIDTH, encodings: LAYERS });
	assert.equal(producer.type, 'simulcast');
	const consumer = await bob.consume(producer);
	for (const spatialLayer of [1, 0, 1]) {
		await consumer.setPreferredLayers({ spatialLayer });
		const width = WIDTH / LAYERS[spatialLayer].scaleResolutionDownBy;
		const before = await bob.expects(consumer, `pictures ${width} wide`, ({ frameWidth }) => frameWidth === width);
		const seen = await bob.shows(consumer, 20, before);
		moves(seen);
		assert.equal(seen.frameWidth, width);
		assert.equal(consumer.currentLayers.spatialLayer, spatialLayer);
		figures(t, seen, `layer ${spatialLayer}, ${width} wide: `);
	}
});
