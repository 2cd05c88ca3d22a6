// Browsers on routers that are piped to each other.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { call } from './lib/call.mjs';
import { BOUNDED } from './lib/check.mjs';
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
