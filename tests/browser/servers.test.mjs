// A port that the transports of all a worker's routers share, on whatever shard they are.

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

for (const protocol of ['udp', 'tcp']) {
	test(`calls on two shards share a ${protocol.toUpperCase()} port`, BOUNDED, async t => {
		const session = await Session.create(t, browser, { shards: 2 });
		const webRtcServer = await session.worker.createWebRtcServer({ listenInfos: [{ protocol, ip: '127.0.0.1' }] });
		const pairs = [];
		for (let count = 0; count < 2; ++count) {
			const router = await session.router();
			pairs.push([await session.participant(router, { webRtcServer }), await session.participant(router, { webRtcServer })]);
		}
		assert.equal(shardCount(session.worker.pid), 2);
		await Promise.all(pairs.map(([alice, bob]) => call(t, alice, bob)));
		const paths = await Promise.all(pairs.flatMap(([alice, bob]) => [alice.path('send'), bob.path('recv')]));
		assert.ok(paths.every(path => path.protocol === protocol && path.state === 'connected'));
		assert.equal(new Set(paths.map(({ port }) => port)).size, 1, 'one port for all');
	});
}
