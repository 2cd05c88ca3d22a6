// What goes with what: closing one thing closes what hangs on it, tells whom it concerns and frees what it held.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Session } from './lib/session.mjs';
import { nextEvent, sleep } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

async function flowing(t) {
	const session = await Session.create(t);
	const publisher = await session.opusPublisher();
	const receiver = await session.receiver(publisher.producer);
	publisher.peer.send(publisher.sender.nextOpus().bytes);
	await receiver.peer.receive(receiver.ssrc, 1);
	return { session, publisher, receiver };
}

async function nothingMoreArrives({ publisher, receiver }) {
	const before = receiver.peer.rtp.length;
	for (let count = 0; count < 10; ++count) {
		publisher.peer.send(publisher.sender.nextOpus().bytes);
	}
	await sleep(50);
	assert.equal(receiver.peer.rtp.length, before);
}

test('a closed producer takes its consumers along', BOUNDED, async t => {
	const scene = await flowing(t);
	const told = nextEvent(scene.receiver.consumer, 'producerclose');
	scene.publisher.producer.close();
	await told;
	assert.equal(scene.receiver.consumer.closed, true);
	await nothingMoreArrives(scene);
	const dump = await scene.session.router.dump();
	assert.deepEqual([dump.mapProducerIdConsumerIds, dump.mapConsumerIdProducerId], [[], []]);
	assert.deepEqual((await scene.receiver.transport.dump()).consumerIds, []);
	assert.deepEqual((await scene.publisher.transport.dump()).rtpListener.ssrcTable, []);
});

test('a closed consumer leaves its producer alone', BOUNDED, async t => {
	const scene = await flowing(t);
	const other = await scene.session.receiver(scene.publisher.producer);
	scene.receiver.consumer.close();
	// close() does not wait; the transport's answer comes after it.
	await scene.receiver.transport.dump();
	await nothingMoreArrives(scene);
	await other.peer.receive(other.ssrc, 10);
	assert.equal(scene.publisher.producer.closed, false);
});

test("a closed publisher's transport closes consumers elsewhere", BOUNDED, async t => {
	const scene = await flowing(t);
	const told = nextEvent(scene.receiver.consumer, 'producerclose');
	scene.publisher.transport.close();
	await told;
	assert.equal(scene.publisher.producer.closed, true);
	await nothingMoreArrives(scene);
});

test("a closed receiver's transport frees its port", BOUNDED, async t => {
	const scene = await flowing(t);
	const { localPort } = scene.receiver.transport.tuple;
	scene.receiver.transport.close();
	// close() does not wait; the router's answer comes after it.
	await scene.session.router.dump();
	await nothingMoreArrives(scene);
	const again = await scene.session.router.createPlainTransport({
		listenInfo: { protocol: 'udp', ip: '127.0.0.1', port: localPort },
	});
	assert.equal(again.tuple.localPort, localPort);
});

test('a closed router takes everything along', BOUNDED, async t => {
	const scene = await flowing(t);
	const other = await scene.session.worker.createRouter();
	scene.session.router.close();
	const dump = await scene.session.worker.dump();
	assert.deepEqual(dump.routerIds, [other.id]);
	assert.deepEqual(dump.channelMessageHandlers.channelRequestHandlers, [other.id]);
	await nothingMoreArrives(scene);
	assert.equal(scene.receiver.consumer.closed, true);
});

test('ids can be used again', BOUNDED, async t => {
	const { session, publisher } = await flowing(t);
	const { transport, producer } = publisher;
	const { rtpParameters } = producer;
	producer.close();
	const again = await transport.produce({ id: producer.id, kind: 'audio', rtpParameters });
	assert.equal(again.id, producer.id);
	const receiver = await session.receiver(again);
	publisher.peer.send(publisher.sender.nextOpus().bytes);
	await receiver.peer.receive(receiver.ssrc, 1);
});

test('a hundred rounds of opening and closing leave nothing', BOUNDED, async t => {
	const session = await Session.create(t);
	for (let round = 0; round < 100; ++round) {
		const publisher = await session.opusPublisher();
		const receiver = await session.receiver(publisher.producer);
		publisher.peer.send(publisher.sender.nextOpus().bytes);
		if (round % 2 === 0) {
			receiver.transport.close();
			publisher.transport.close();
		} else {
			publisher.transport.close();
			receiver.transport.close();
		}
	}
	const dump = await session.worker.dump();
	assert.deepEqual(dump.channelMessageHandlers, {
		channelRequestHandlers: [session.router.id],
		channelNotificationHandlers: [],
	});
});
