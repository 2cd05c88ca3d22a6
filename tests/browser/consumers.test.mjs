// What a viewer sees when it comes late, pauses, or is one of many.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { BOUNDED, figures, isFluent, moves } from './lib/check.mjs';
import { Session } from './lib/session.mjs';

const MANY = 10;

let browser;
before(async () => {
	browser = await Browser.launch();
});
after(() => browser?.close());

/** A router with a participant who publishes moving pictures, and another who may watch. */
async function stage(t, codec) {
	const session = await Session.create(t, browser);
	const router = await session.router();
	const [alice, bob] = [await session.participant(router), await session.participant(router)];
	return { session, router, alice, bob, producer: await alice.publishVideo(codec) };
}

test('who comes late gets a picture, because the worker asks for a key frame', BOUNDED, async t => {
	const { session, router, alice, bob, producer } = await stage(t);
	const early = await bob.consume(producer);
	// Chromium sends no key frame by itself for minutes.
	await bob.shows(early, 45);
	const [before] = await alice.sent(producer);
	const carol = await session.participant(router);
	const late = await carol.consume(producer);
	const seen = await carol.shows(late, 30);
	moves(seen);
	const [now] = await alice.sent(producer);
	assert.ok(now.keyFramesEncoded > before.keyFramesEncoded, 'the sender made a key frame');
	figures(t, seen);
});

test('a consumer that is paused gets nothing, and a picture again when it is resumed', BOUNDED, async t => {
	const { bob, producer } = await stage(t);
	const consumer = await bob.consume(producer);
	await bob.shows(consumer, 15);
	await consumer.pause();
	const paused = await bob.stands(consumer);
	await consumer.resume();
	const seen = await bob.shows(consumer, 30, paused);
	assert.ok(seen.keyFramesDecoded > paused.keyFramesDecoded, 'it begins with a key frame');
	moves(seen);
	figures(t, seen);
});

test('a producer that is paused sends nobody anything, and all of them again when it is resumed', BOUNDED, async t => {
	const { alice, bob, producer } = await stage(t);
	const consumers = [await bob.consume(producer), await bob.consume(producer)];
	for (const consumer of consumers) {
		await bob.shows(consumer, 15);
	}
	await alice.pause(producer);
	const paused = [];
	for (const consumer of consumers) {
		paused.push(await bob.stands(consumer));
		assert.equal(consumer.producerPaused, true);
	}
	await alice.resume(producer);
	for (const [index, consumer] of consumers.entries()) {
		moves(await bob.shows(consumer, 30, paused[index]));
	}
});

test(`${MANY} consumers of one producer, in two pages`, BOUNDED, async t => {
	const { session, router, bob, producer } = await stage(t);
	const carol = await session.participant(router);
	const watching = [];
	for (let count = 0; count < MANY; ++count) {
		const viewer = count % 2 === 0 ? bob : carol;
		watching.push({ viewer, consumer: await viewer.consume(producer) });
	}
	for (const { viewer, consumer } of watching) {
		const seen = await viewer.shows(consumer, 30);
		moves(seen);
		isFluent(seen);
		figures(t, seen);
	}
});
