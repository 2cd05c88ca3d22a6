// Browsers on routers that are piped to each other.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { call } from './lib/call.mjs';
import { BOUNDED } from './lib/check.mjs';
import { heightOf, SIMULCAST, svc, View } from './lib/layers.mjs';
import { Session } from './lib/session.mjs';
import { shardCount } from './lib/shards.mjs';

let browser;
before(async () => {
	browser = await Browser.launch();
});
after(() => browser?.close());

for (const place of [{ name: 'two shards of a worker', shards: 2 }, { name: 'two workers' }]) {
	test(`routers of ${place.name}`, BOUNDED, async t => {
		const here = await Session.create(t, browser, place);
		const there = place.shards ? here : await Session.create(t, browser);
		const [near, far] = [await here.router(), await there.router()];
		if (place.shards) {
			assert.equal(shardCount(here.worker.pid), place.shards);
		}
		const [alice, bob] = [await here.participant(near), await there.participant(far)];
		// Within a worker a producer's id is taken.
		const piped = async ({ id: producerId }) => {
			const { pipeProducer } = await near.pipeToRouter({ producerId, router: far, keepId: here !== there });
			return pipeProducer;
		};
		await call(t, alice, bob, { piped });
	});
}

for (const { what, codec, layers } of [
	{ what: 'VP8 simulcast', codec: 'video/VP8', layers: SIMULCAST },
	{ what: 'VP9 L3T3', codec: 'video/VP9', layers: svc('L3T3') },
]) {
	test(`layers are chosen on the shard at the far end: ${what}`, BOUNDED, async t => {
		const session = await Session.create(t, browser, { shards: 2 });
		const [near, far] = [await session.router(), await session.router()];
		assert.equal(shardCount(session.worker.pid), 2);
		const [publisher, viewer] = [await session.participant(near), await session.participant(far)];
		const producer = await publisher.publish({ kind: 'video', codec, ...layers });
		const { pipeProducer } = await near.pipeToRouter({ producerId: producer.id, router: far, keepId: false });
		assert.equal(pipeProducer.type, producer.type);
		const view = new View(t, { publisher, producer, viewer, consumer: await viewer.consume(pipeProducer), what });
		await view.settles(heightOf(2));
		for (const [spatialLayer, temporalLayer] of [[0, 2], [2, 0], [1, 1]]) {
			await view.prefers(spatialLayer, temporalLayer);
		}
	});
}
