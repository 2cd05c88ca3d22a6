// What a receiver gets of what a publisher sends.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Sender, opusParameters, receivedId, receiverCapabilities } from './lib/media.mjs';
import { sequenceDistance } from './lib/rtp.mjs';
import { Session } from './lib/session.mjs';
import { sleep } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

/** Holds received packets to the sent ones: everything that must change has changed, everything else has not. */
function assertForwarded(received, sent, { consumer }) {
	assert.equal(received.length, sent.length);
	const { codecs, encodings, mid } = consumer.rtpParameters;
	received.forEach((packet, index) => {
		const original = sent[index];
		assert.equal(packet.ssrc, encodings[0].ssrc);
		assert.equal(packet.payloadType, codecs[0].payloadType);
		assert.equal(packet.marker, original.marker, `marker of packet ${index}`);
		assert.deepEqual(packet.payload, original.payload, `payload of packet ${index}`);
		assert.equal(
			sequenceDistance(received[0].sequenceNumber, packet.sequenceNumber),
			sequenceDistance(sent[0].sequenceNumber, original.sequenceNumber),
			`sequence number of packet ${index}`
		);
		assert.equal(
			(packet.timestamp - received[0].timestamp) >>> 0,
			(original.timestamp - sent[0].timestamp) >>> 0,
			`timestamp of packet ${index}`
		);
		assert.equal(packet.extensions.get(receivedId(consumer, 'mid'))?.toString(), mid, `MID of packet ${index}`);
	});
}

test('Opus reaches every receiver under its own parameters', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher();
	const receivers = [];
	for (let count = 0; count < 3; ++count) {
		receivers.push(await session.receiver(producer));
	}
	for (let count = 0; count < 50; ++count) {
		peer.send(sender.nextOpus({ audioLevel: count }).bytes);
	}
	for (const receiver of receivers) {
		const received = await receiver.peer.receive(receiver.ssrc, 50);
		assertForwarded(received, sender.sent, receiver);
		const levelId = receivedId(receiver.consumer, 'audioLevel');
		received.forEach((packet, index) => {
			assert.deepEqual(packet.extensions.get(levelId), Buffer.from([0x80 | index]));
		});
	}
	const ssrcs = new Set(receivers.map(({ ssrc }) => ssrc));
	assert.equal(ssrcs.size, 3);
});

test('H264 reaches a receiver from the first key frame on', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher();
	const receiver = await session.receiver(producer);
	for (const { bytes } of [...sender.nextDeltaFrame(), ...sender.nextDeltaFrame()]) {
		peer.send(bytes);
	}
	sender.sent.length = 0;
	const frames = [sender.nextKeyFrame()];
	for (let count = 0; count < 20; ++count) {
		frames.push(sender.nextDeltaFrame());
	}
	for (const { bytes } of frames.flat()) {
		peer.send(bytes);
	}
	const received = await receiver.peer.receive(receiver.ssrc, sender.sent.length);
	assertForwarded(received, sender.sent, receiver);
});

test('sequence numbers and timestamps wrap', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher({
		stream: { sequenceNumber: 65_500, timestamp: 0xffff_ff00 },
	});
	const receiver = await session.receiver(producer);
	for (let count = 0; count < 100; ++count) {
		peer.send(sender.nextOpus().bytes);
	}
	assertForwarded(await receiver.peer.receive(receiver.ssrc, 100), sender.sent, receiver);
});

test('loss and reordering stay visible, duplicates do not', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher();
	const receiver = await session.receiver(producer);
	const packets = Array.from({ length: 12 }, () => sender.nextOpus());
	// 3 and 4 are lost, 7 overtakes 6, 9 comes twice.
	const order = [0, 1, 2, 5, 7, 6, 8, 9, 9, 10, 11];
	for (const index of order) {
		peer.send(packets[index].bytes);
	}
	const expected = [0, 1, 2, 5, 7, 6, 8, 9, 10, 11].map(index => packets[index]);
	assertForwarded(await receiver.peer.receive(receiver.ssrc, expected.length), expected, receiver);
	await sleep(50);
	assert.equal(receiver.peer.stream(receiver.ssrc).length, expected.length);
});

test('what belongs to no producer goes nowhere', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, transport, producer, sender } = await session.opusPublisher();
	const receiver = await session.receiver(producer);
	const good = sender.nextOpus();
	const otherSsrc = Buffer.from(good.bytes);
	otherSsrc.writeUInt32BE(99, 8);
	// No MID either: that would make it a new stream of the producer.
	otherSsrc[0] &= ~0x10;
	const otherPayloadType = Buffer.from(sender.nextOpus().bytes);
	otherPayloadType[1] = 35;
	for (const bytes of [
		otherSsrc,
		otherPayloadType,
		Buffer.from([0x80, 111, 0, 1]),
		Buffer.from('GET / HTTP/1.1\r\n\r\n'),
		Buffer.alloc(0),
		Buffer.alloc(1),
		Buffer.alloc(1400, 0xff),
	]) {
		peer.sendRaw(bytes);
	}
	sender.sent.length = 0;
	for (let count = 0; count < 5; ++count) {
		peer.send(sender.nextOpus().bytes);
	}
	const received = await receiver.peer.receive(receiver.ssrc, 5);
	assertForwarded(received, sender.sent, receiver);
	assert.equal(receiver.peer.rtp.length, 5);
	const [stats] = await transport.getStats();
	assert.ok(stats.bytesReceived > 0);
});

test('a stream whose SSRC was not announced is found by its MID', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, transport } = await session.connectedPeer();
	const rtpParameters = opusParameters({ ssrc: 1 });
	delete rtpParameters.encodings[0].ssrc;
	const producer = await transport.produce({ kind: 'audio', rtpParameters });
	const receiver = await session.receiver(producer);
	const sender = new Sender({ ...rtpParameters, encodings: [{ ssrc: 77_777 }] });
	for (let count = 0; count < 10; ++count) {
		peer.send(sender.nextOpus().bytes);
	}
	assertForwarded(await receiver.peer.receive(receiver.ssrc, 10), sender.sent, receiver);
});

test('several producers and consumers share transports', BOUNDED, async t => {
	const session = await Session.create(t);
	const audio = await session.opusPublisher();
	const video = await session.h264Publisher();
	const first = await session.receiver(audio.producer);
	const second = await first.transport.consume({
		producerId: video.producer.id,
		rtpCapabilities: receiverCapabilities(session.router),
	});
	for (const { bytes } of video.sender.nextKeyFrame()) {
		video.peer.send(bytes);
	}
	for (let count = 0; count < 10; ++count) {
		audio.peer.send(audio.sender.nextOpus().bytes);
		for (const { bytes } of video.sender.nextDeltaFrame()) {
			video.peer.send(bytes);
		}
	}
	const secondSsrc = second.rtpParameters.encodings[0].ssrc;
	assertForwarded(await first.peer.receive(first.ssrc, 10), audio.sender.sent, first);
	assertForwarded(await first.peer.receive(secondSsrc, video.sender.sent.length), video.sender.sent, {
		consumer: second,
	});
	assert.notEqual(first.consumer.rtpParameters.mid, second.rtpParameters.mid);
});

test('a router with many receivers loses nothing', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher();
	const receivers = [];
	for (let count = 0; count < 40; ++count) {
		receivers.push(await session.receiver(producer));
	}
	for (let count = 0; count < 50; ++count) {
		peer.send(sender.nextOpus().bytes);
		await sleep(2);
	}
	for (const receiver of receivers) {
		assertForwarded(await receiver.peer.receive(receiver.ssrc, 50), sender.sent, receiver);
	}
});

test('ignoreDtx leaves silence out and closes the gap', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher({ dtx: true });
	const all = await session.receiver(producer);
	const speech = await session.receiver(producer, { ignoreDtx: true });
	// A TOC byte and no frame (RFC 6716 §3.2.1).
	const silence = Buffer.from([0xf8]);
	for (let count = 0; count < 30; ++count) {
		const dtx = count % 3 === 1;
		peer.send((dtx ? sender.next(silence, { timestampStep: 960 }) : sender.nextOpus()).bytes);
	}
	assertForwarded(await all.peer.receive(all.ssrc, 30), sender.sent, all);
	const received = await speech.peer.receive(speech.ssrc, 20);
	await sleep(50);
	assert.equal(speech.peer.stream(speech.ssrc).length, 20);
	received.forEach((packet, index) => {
		assert.equal(sequenceDistance(received[0].sequenceNumber, packet.sequenceNumber), index);
		assert.ok(packet.payload.length > 1);
	});
});
