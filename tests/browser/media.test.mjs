// What browsers see and hear of each other through the worker.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { BOUNDED, figures, isFluent, moves } from './lib/check.mjs';
import { Session } from './lib/session.mjs';

let browser;
before(async () => {
	browser = await Browser.launch();
});
after(() => browser?.close());

for (const codec of ['video/VP8', 'video/H264']) {
	test(`${codec} and Opus, both ways`, BOUNDED, async t => {
		const session = await Session.create(t, browser);
		const router = await session.router();
		const [alice, bob] = [await session.participant(router), await session.participant(router)];
		const ways = [
			{ from: alice, to: bob, hertz: 440 },
			{ from: bob, to: alice, hertz: 1_000 },
		];
		for (const way of ways) {
			way.audio = await way.to.consume(await way.from.publishTone(way.hertz), { hertz: way.hertz });
			way.video = await way.to.consume(await way.from.publishVideo(codec));
			assert.equal(way.video.rtpParameters.codecs[0].mimeType, codec);
		}
		for (const { to, audio, video } of ways) {
			const heard = await to.hears(audio, 40);
			const seen = await to.shows(video, 45);
			moves(seen);
			isFluent(seen);
			assert.ok(heard.totalAudioEnergy > 0);
			figures(t, seen);
		}
	});
}
