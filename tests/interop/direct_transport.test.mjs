// Direct transports: the application is the peer, packets travel over the channel.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Sender, h264Parameters, opusParameters, receiverCapabilities } from './lib/media.mjs';
import { buildNack, buildPli, parseRtcp } from './lib/rtcp.mjs';
import { parseRtp } from './lib/rtp.mjs';
import { Session } from './lib/session.mjs';
import { sleep, until } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

async function directConsumer(session, producer, options = {}) {
	const transport = await session.router.createDirectTransport();
	const rtcp = [];
	transport.on('rtcp', compound => rtcp.push(...parseRtcp(compound)));
	const consumer = await transport.consume({
		producerId: producer.id,
		rtpCapabilities: receiverCapabilities(session.router),
		...options,
	});
	const rtp = [];
	consumer.on('rtp', packet => rtp.push(parseRtp(packet)));
	return { transport, consumer, rtp, rtcp, ssrc: consumer.rtpParameters.encodings[0].ssrc };
}

async function directProducer(session, rtpParameters, kind) {
	const transport = await session.router.createDirectTransport();
	const rtcp = [];
	transport.on('rtcp', compound => rtcp.push(...parseRtcp(compound)));
	const producer = await transport.produce({ kind, rtpParameters });
	return { transport, producer, rtcp, sender: new Sender(rtpParameters) };
}

test('producer.send() reaches a receiver on the network', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer, sender } = await directProducer(session, opusParameters({ ssrc: 5 }), 'audio');
	const receiver = await session.receiver(producer);
	for (let count = 0; count < 20; ++count) {
		producer.send(sender.nextOpus().bytes);
	}
	const received = await receiver.peer.receive(receiver.ssrc, 20);
	assert.deepEqual(
		received.map(packet => packet.payload),
		sender.sent.map(packet => packet.payload)
	);
	const [stats] = await producer.getStats();
	assert.equal(stats.packetCount, 20);
});

test('consumer.on("rtp") gets what a publisher on the network sends', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher();
	const receiver = await directConsumer(session, producer);
	for (let count = 0; count < 20; ++count) {
		peer.send(sender.nextOpus().bytes);
	}
	await until('20 packets', () => receiver.rtp.length === 20);
	receiver.rtp.forEach((packet, index) => {
		assert.equal(packet.ssrc, receiver.ssrc);
		assert.equal(packet.payloadType, receiver.consumer.rtpParameters.codecs[0].payloadType);
		assert.deepEqual(packet.payload, sender.sent[index].payload);
	});
	const [stats] = await receiver.transport.getStats();
	assert.equal(stats.type, 'direct-transport');
	assert.ok(stats.rtpBytesSent > 0);
});

test('direct to direct, both kinds', BOUNDED, async t => {
	const session = await Session.create(t);
	const audio = await directProducer(session, opusParameters({ ssrc: 5 }), 'audio');
	const video = await directProducer(session, h264Parameters({ ssrc: 6 }), 'video');
	const hearing = await directConsumer(session, audio.producer);
	const seeing = await directConsumer(session, video.producer);
	for (let count = 0; count < 10; ++count) {
		audio.producer.send(audio.sender.nextOpus().bytes);
	}
	for (const { bytes } of [...video.sender.nextKeyFrame(), ...video.sender.nextDeltaFrame()]) {
		video.producer.send(bytes);
	}
	await until('the audio', () => hearing.rtp.length === 10);
	await until('the video', () => seeing.rtp.length === video.sender.sent.length);
});

test('a key frame is asked for with an RTCP event', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer, rtcp, sender } = await directProducer(session, h264Parameters({ ssrc: 6 }), 'video');
	const receiver = await session.receiver(producer);
	for (const { bytes } of sender.nextDeltaFrame()) {
		producer.send(bytes);
	}
	await until('a PLI', () => rtcp.some(packet => packet.type === 'pli' && packet.mediaSsrc === 6));
	for (const { bytes } of sender.nextKeyFrame()) {
		producer.send(bytes);
	}
	await receiver.peer.receive(receiver.ssrc, 6);
});

test('sendRtcp() speaks for a direct consumer', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher();
	const receiver = await directConsumer(session, producer);
	for (const { bytes } of [...sender.nextKeyFrame(), ...sender.nextDeltaFrame()]) {
		peer.send(bytes);
	}
	await until('the packets', () => receiver.rtp.length === sender.sent.length);
	await sleep(50);
	peer.rtcp.length = 0;
	receiver.transport.sendRtcp(buildPli({ senderSsrc: 1, ssrc: receiver.ssrc }));
	await peer.receiveRtcp('pli', pli => pli.mediaSsrc === sender.ssrc);
});

test('a NACK of a direct consumer is answered', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher();
	const receiver = await directConsumer(session, producer, {
		rtpCapabilities: receiverCapabilities(session.router, { rtx: false }),
		enableRtx: true,
	});
	for (const { bytes } of sender.nextKeyFrame()) {
		peer.send(bytes);
	}
	await until('the packets', () => receiver.rtp.length === sender.sent.length);
	const wanted = receiver.rtp[2];
	receiver.transport.sendRtcp(
		buildNack({ senderSsrc: 1, ssrc: receiver.ssrc, sequenceNumbers: [wanted.sequenceNumber] })
	);
	await until('the packet again', () => receiver.rtp.length === sender.sent.length + 1);
	assert.equal(receiver.rtp.at(-1).sequenceNumber, wanted.sequenceNumber);
	assert.deepEqual(receiver.rtp.at(-1).payload, wanted.payload);
});

test('rubbish sent by the application goes nowhere', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer, transport, sender } = await directProducer(session, opusParameters({ ssrc: 5 }), 'audio');
	const receiver = await session.receiver(producer);
	for (const bytes of [Buffer.alloc(0), Buffer.alloc(5), Buffer.alloc(3_000, 0xff), Buffer.alloc(70_000, 0x80)]) {
		producer.send(bytes);
		transport.sendRtcp(bytes);
	}
	producer.send(sender.nextOpus().bytes);
	await receiver.peer.receive(receiver.ssrc, 1);
	assert.equal(receiver.peer.rtp.length, 1);
});
