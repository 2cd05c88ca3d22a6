// Key frames: who asks for them, who waits for them. Pausing and resuming.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { buildFir, buildPli } from './lib/rtcp.mjs';
import { sequenceDistance } from './lib/rtp.mjs';
import { Session } from './lib/session.mjs';
import { nextEvent, sleep, until } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

function send(peer, packets) {
	for (const { bytes } of packets) {
		peer.send(bytes);
	}
}

/** A publisher that has sent a key frame to one receiver, requests answered. */
async function flowing(t, options = {}) {
	const session = await Session.create(t);
	const publisher = await session.h264Publisher(options);
	const receiver = await session.receiver(publisher.producer);
	send(publisher.peer, publisher.sender.nextKeyFrame());
	await receiver.peer.receive(receiver.ssrc, publisher.sender.sent.length);
	publisher.peer.rtcp.length = 0;
	return { session, publisher, receiver };
}

test('a new receiver of a running stream makes the publisher send a key frame', BOUNDED, async t => {
	const { session, publisher } = await flowing(t);
	const late = await session.receiver(publisher.producer);
	await publisher.peer.receiveRtcp('pli', pli => pli.mediaSsrc === publisher.sender.ssrc);
	send(publisher.peer, publisher.sender.nextDeltaFrame());
	await sleep(50);
	assert.equal(late.peer.rtp.length, 0, 'nothing can be decoded before a key frame');
	const keyFrame = publisher.sender.nextKeyFrame();
	send(publisher.peer, keyFrame);
	const received = await late.peer.receive(late.ssrc, keyFrame.length);
	assert.deepEqual(
		received.map(packet => packet.payload),
		keyFrame.map(packet => packet.payload)
	);
});

for (const [name, build] of [
	['PLI', buildPli],
	['FIR', ({ senderSsrc, ssrc }) => buildFir({ senderSsrc, ssrc, sequence: 3 })],
]) {
	test(`a receiver's ${name} reaches the publisher as a PLI for its own SSRC`, BOUNDED, async t => {
		const { publisher, receiver } = await flowing(t);
		// The answer to an earlier request must not count as this one's.
		await sleep(100);
		publisher.peer.rtcp.length = 0;
		receiver.peer.send(build({ senderSsrc: 1, ssrc: receiver.ssrc }));
		await publisher.peer.receiveRtcp('pli', pli => pli.mediaSsrc === publisher.sender.ssrc);
		const stats = await receiver.consumer.getStats();
		const outbound = stats.find(({ type }) => type === 'outbound-rtp');
		assert.equal(name === 'PLI' ? outbound.pliCount : outbound.firCount, 1);
		const [inbound] = await publisher.producer.getStats();
		assert.ok(inbound.pliCount >= 1);
	});
}

test('a storm of PLIs reaches the publisher as few', BOUNDED, async t => {
	const { publisher, receiver } = await flowing(t, { keyFrameRequestDelay: 1_000 });
	for (let count = 0; count < 200; ++count) {
		receiver.peer.send(buildPli({ senderSsrc: 1, ssrc: receiver.ssrc }));
	}
	await publisher.peer.receiveRtcp('pli');
	await sleep(300);
	assert.ok(publisher.peer.countRtcp('pli') <= 2, `${publisher.peer.countRtcp('pli')} PLIs in 300 ms`);
});

test('an unanswered request is repeated', BOUNDED, async t => {
	const { publisher, receiver } = await flowing(t);
	receiver.peer.send(buildPli({ senderSsrc: 1, ssrc: receiver.ssrc }));
	await until('the second PLI', () => publisher.peer.countRtcp('pli') >= 2);
});

test('consumer.requestKeyFrame() asks the publisher', BOUNDED, async t => {
	const { publisher, receiver } = await flowing(t);
	await receiver.consumer.requestKeyFrame();
	await publisher.peer.receiveRtcp('pli', pli => pli.mediaSsrc === publisher.sender.ssrc);
});

test('a paused consumer gets nothing; resumed, it starts with a key frame and no gap', BOUNDED, async t => {
	const { publisher, receiver } = await flowing(t);
	const { sender, peer } = publisher;
	await receiver.consumer.pause();
	assert.equal(receiver.consumer.paused, true);
	const before = receiver.peer.rtp.length;
	const last = receiver.peer.rtp.at(-1);
	for (let count = 0; count < 5; ++count) {
		send(peer, sender.nextDeltaFrame());
	}
	await sleep(50);
	assert.equal(receiver.peer.rtp.length, before);
	await receiver.consumer.resume();
	await peer.receiveRtcp('pli');
	send(peer, sender.nextDeltaFrame());
	const keyFrame = sender.nextKeyFrame();
	send(peer, keyFrame);
	const received = (await receiver.peer.receive(receiver.ssrc, before + keyFrame.length)).slice(before);
	assert.deepEqual(received[0].payload, keyFrame[0].payload);
	assert.equal(sequenceDistance(last.sequenceNumber, received[0].sequenceNumber), 1);
	const ahead = (received[0].timestamp - last.timestamp) >>> 0;
	assert.ok(ahead > 0 && ahead < 90_000 * 10, `timestamp moved by ${ahead}`);
});

test('a consumer may be created paused', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher();
	const receiver = await session.receiver(producer, { paused: true });
	send(peer, sender.nextKeyFrame());
	await sleep(100);
	assert.equal(receiver.peer.rtp.length, 0);
	assert.equal(peer.countRtcp('pli'), 0, 'nobody needs a key frame');
	await receiver.consumer.resume();
	await peer.receiveRtcp('pli');
	const keyFrame = sender.nextKeyFrame();
	send(peer, keyFrame);
	await receiver.peer.receive(receiver.ssrc, keyFrame.length);
});

test('a paused producer feeds nobody; resumed, it is asked for a key frame', BOUNDED, async t => {
	const { publisher, receiver } = await flowing(t);
	const { producer, sender, peer } = publisher;
	const paused = nextEvent(receiver.consumer, 'producerpause');
	await producer.pause();
	await paused;
	assert.equal(receiver.consumer.producerPaused, true);
	const before = receiver.peer.rtp.length;
	send(peer, sender.nextKeyFrame());
	await sleep(50);
	assert.equal(receiver.peer.rtp.length, before);
	const resumed = nextEvent(receiver.consumer, 'producerresume');
	await producer.resume();
	await resumed;
	await peer.receiveRtcp('pli');
	const keyFrame = sender.nextKeyFrame();
	send(peer, keyFrame);
	await receiver.peer.receive(receiver.ssrc, before + keyFrame.length);
});

test('audio flows on at once after a pause, without a gap', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher();
	const receiver = await session.receiver(producer);
	peer.send(sender.nextOpus().bytes);
	await receiver.peer.receive(receiver.ssrc, 1);
	await receiver.consumer.pause();
	for (let count = 0; count < 20; ++count) {
		peer.send(sender.nextOpus().bytes);
	}
	await sleep(50);
	await receiver.consumer.resume();
	peer.send(sender.nextOpus().bytes);
	const [first, second] = await receiver.peer.receive(receiver.ssrc, 2);
	assert.equal(sequenceDistance(first.sequenceNumber, second.sequenceNumber), 1);
	assert.deepEqual(second.payload, sender.sent.at(-1).payload);
});
