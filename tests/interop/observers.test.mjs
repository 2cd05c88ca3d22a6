// Observers of both kinds, driven by the audio levels that packets carry.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Session } from './lib/session.mjs';
import { nextEvent, sleep, until } from './lib/wait.mjs';

const BOUNDED = { timeout: 30_000 };
/** Levels below 0 dBov, as packets carry them. */
const [LOUD, QUIET] = [20, 100];
const PACKET_MS = 20;

/** People who speak all the time, each at a level that can be changed. */
async function meeting(t, names) {
	const session = await Session.create(t);
	const people = {};
	for (const [index, name] of names.entries()) {
		people[name] = { ...(await session.opusPublisher({ ssrc: 1_000 + index })), level: QUIET };
	}
	const timer = setInterval(() => {
		for (const { peer, sender, level } of Object.values(people)) {
			if (level !== undefined) {
				peer.send(sender.nextOpus({ audioLevel: level }).bytes);
			}
		}
	}, PACKET_MS);
	t.after(() => clearInterval(timer));
	return { session, people, names: new Map(names.map(name => [people[name].producer.id, name])) };
}

test('volumes tell who is loud and how loud, the loudest first', BOUNDED, async t => {
	const { session, people, names } = await meeting(t, ['ann', 'ben', 'cleo']);
	const observer = await session.router.createAudioLevelObserver({ maxEntries: 2, threshold: -60, interval: 500 });
	for (const { producer } of Object.values(people)) {
		await observer.addProducer({ producerId: producer.id });
	}
	Object.assign(people.ann, { level: 40 });
	Object.assign(people.ben, { level: 30 });
	Object.assign(people.cleo, { level: 50 });
	// The first interval may have begun before the levels changed.
	await nextEvent(observer, 'volumes');
	const [volumes] = await nextEvent(observer, 'volumes');
	assert.deepEqual(
		volumes.map(({ producer, volume }) => [names.get(producer.id), volume]),
		[
			['ben', -30],
			['ann', -40],
		]
	);
	let told = 0;
	observer.on('silence', () => ++told);
	for (const person of Object.values(people)) {
		person.level = QUIET;
	}
	await until('silence', () => told === 1);
	await sleep(1_200);
	assert.equal(told, 1);
});

test('a paused or removed producer is not heard', BOUNDED, async t => {
	const { session, people, names } = await meeting(t, ['ann', 'ben']);
	const observer = await session.router.createAudioLevelObserver({ maxEntries: 8, threshold: -60, interval: 250 });
	for (const person of Object.values(people)) {
		person.level = LOUD;
		await observer.addProducer({ producerId: person.producer.id });
	}
	const loud = async () => {
		// What is summed up next may still have been said before.
		await nextEvent(observer, 'volumes');
		const [volumes] = await nextEvent(observer, 'volumes');
		return volumes.map(({ producer }) => names.get(producer.id)).sort();
	};
	assert.deepEqual(await loud(), ['ann', 'ben']);
	await people.ann.producer.pause();
	assert.deepEqual(await loud(), ['ben']);
	await people.ann.producer.resume();
	assert.deepEqual(await loud(), ['ann', 'ben']);
	await observer.removeProducer({ producerId: people.ben.producer.id });
	assert.deepEqual(await loud(), ['ann']);
	people.ann.producer.close();
	await nextEvent(observer, 'silence');
});

test('a paused observer says that it is silent, and nothing more', BOUNDED, async t => {
	const { session, people } = await meeting(t, ['ann']);
	const observer = await session.router.createAudioLevelObserver({ maxEntries: 1, threshold: -60, interval: 250 });
	people.ann.level = LOUD;
	await observer.addProducer({ producerId: people.ann.producer.id });
	await nextEvent(observer, 'volumes');
	const events = [];
	observer.on('silence', () => events.push('silence'));
	await observer.pause();
	// The library hands out notifications a turn after replies.
	await until('silence', () => events.length === 1);
	observer.on('volumes', () => events.push('volumes'));
	await sleep(600);
	assert.deepEqual(events, ['silence']);
	await observer.resume();
	await until('volumes', () => events.includes('volumes'));
});

test('the dominant speaker follows who speaks', BOUNDED, async t => {
	const { session, people, names } = await meeting(t, ['ann', 'ben', 'cleo']);
	const observer = await session.router.createActiveSpeakerObserver({ interval: 100 });
	const told = [];
	observer.on('dominantspeaker', ({ producer }) => told.push(names.get(producer.id)));
	for (const { producer } of Object.values(people)) {
		await observer.addProducer({ producerId: producer.id });
	}
	await until('somebody', () => told.length === 1);
	assert.deepEqual(told, ['ann']);
	for (const name of ['ben', 'cleo', 'ann']) {
		people[name].level = LOUD;
		await until(`${name} to dominate`, () => told.at(-1) === name);
		people[name].level = QUIET;
		// A second of quiet, after which nobody's speech is in sight of the observer.
		await sleep(1_200);
	}
	assert.deepEqual(told, ['ann', 'ben', 'cleo', 'ann']);
	people.ann.producer.close();
	await until('a successor', () => told.length === 5);
	const router = await session.router.dump();
	assert.deepEqual(router.rtpObserverIds, [observer.id]);
	const observed = router.mapProducerIdObserverIds.map(({ key, values }) => [names.get(key), values]);
	assert.deepEqual(observed.sort(), [
		['ben', [observer.id]],
		['cleo', [observer.id]],
	]);
});

test('refusals come with the classes of the original', BOUNDED, async t => {
	const { session, people } = await meeting(t, ['ann']);
	const video = await session.h264Publisher();
	const speaker = await session.router.createActiveSpeakerObserver();
	const levels = await session.router.createAudioLevelObserver();
	await assert.rejects(levels.addProducer({ producerId: video.producer.id }), TypeError);
	await assert.rejects(speaker.addProducer({ producerId: video.producer.id }), TypeError);
	await speaker.addProducer({ producerId: people.ann.producer.id });
	await assert.rejects(speaker.addProducer({ producerId: people.ann.producer.id }), /already in map/);
	await levels.addProducer({ producerId: people.ann.producer.id });
	await levels.addProducer({ producerId: people.ann.producer.id });
	await assert.rejects(session.router.createAudioLevelObserver({ threshold: 1 }), TypeError);
	speaker.close();
	await assert.rejects(speaker.pause(), { name: 'NotFoundError' });
});
