// What a receiver's packets say beside their media, and what the worker makes of its answer.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SENT_IDS, Sender, h264Parameters } from './lib/media.mjs';
import { buildNack, buildTransportCc } from './lib/rtcp.mjs';
import { Session } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

const TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';
const NUMBER = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
const ORIENTATION = 'urn:3gpp:video-orientation';
const PACKET_ID = 'urn:mediasoup:params:rtp-hdrext:packet-id';

/** A receiver that can do whatever the router can. */
async function capable(session, producer, options) {
	const receiver = await session.receiver(producer, { rtpCapabilities: session.router.rtpCapabilities, ...options });
	const idOf = uri => receiver.consumer.rtpParameters.headerExtensions.find(extension => extension.uri === uri)?.id;
	return { ...receiver, value: (packet, uri) => packet.extensions.get(idOf(uri)) };
}

function publish({ peer, sender }, frames) {
	const packets = [sender.nextKeyFrame()];
	for (let count = 1; count < frames; ++count) {
		packets.push(sender.nextDeltaFrame());
	}
	packets.flat().forEach(({ bytes }) => peer.send(bytes));
}

test('packets of video are numbered by transport and timed, and repaired packets too', BOUNDED, async t => {
	const session = await Session.create(t);
	const publisher = await session.h264Publisher({ rtxSsrc: 22_222_223 });
	const receiver = await capable(session, publisher.producer);
	publish(publisher, 10);
	const received = await receiver.peer.receive(receiver.ssrc, publisher.sender.sent.length);
	received.forEach((packet, index) => {
		assert.equal(receiver.value(packet, NUMBER).readUInt16BE(), index + 1);
		assert.equal(receiver.value(packet, TIME).length, 3);
	});
	const times = received.map(packet => receiver.value(packet, TIME).readUIntBE(0, 3));
	const spread = (times.at(-1) - times[0]) & 0xffffff;
	assert.ok(spread < 8 << 18, `sent within eight seconds: ${spread / (1 << 18)} s`);
	const { ssrc: rtxSsrc } = receiver.consumer.rtpParameters.encodings[0].rtx;
	const [, second] = received;
	receiver.peer.send(
		buildNack({ senderSsrc: 1, ssrc: receiver.ssrc, sequenceNumbers: [second.sequenceNumber] })
	);
	const [again] = await receiver.peer.receive(rtxSsrc, 1);
	assert.equal(again.payload.readUInt16BE(), second.sequenceNumber);
	assert.equal(receiver.value(again, NUMBER).readUInt16BE(), received.length + 1);
});

test('what the receiver says it missed is told as loss', BOUNDED, async t => {
	const session = await Session.create(t);
	const publisher = await session.h264Publisher();
	const receiver = await capable(session, publisher.producer);
	publish(publisher, 10);
	await receiver.peer.receive(receiver.ssrc, publisher.sender.sent.length);
	const loss = async () => (await receiver.transport.getStats())[0].rtpPacketLossSent;
	assert.equal(await loss(), 0);
	receiver.peer.send(
		buildTransportCc({ senderSsrc: 1, ssrc: receiver.ssrc, base: 1, came: [true, false, true, true] })
	);
	await until('the loss', async () => (await loss()) === 0.25);
	// Of packets that were never sent nothing is believed.
	receiver.peer.send(
		buildTransportCc({ senderSsrc: 1, ssrc: receiver.ssrc, base: 30_000, came: Array(14).fill(false) })
	);
	receiver.peer.send(buildNack({ senderSsrc: 1, ssrc: receiver.ssrc, sequenceNumbers: [0] }));
	await until('the NACK behind it', async () => (await receiver.consumer.getStats())[0].nackCount > 0);
	assert.equal(await loss(), 0.25);
});

test('what belongs to the media comes under the id the receiver knows', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, transport } = await session.connectedPeer();
	const rtpParameters = h264Parameters({ ssrc: 22_222_222 });
	const producer = await transport.produce({
		kind: 'video',
		rtpParameters,
		enableMediasoupPacketIdHeaderExtension: true,
	});
	const receiver = await capable(session, producer);
	const sender = new Sender(rtpParameters);
	const turned = new Promise(resolve => producer.once('videoorientationchange', resolve));
	const sps = Buffer.from([0x67, 0x42, 0xe0, 0x1f]);
	for (let count = 0; count < 3; ++count) {
		const extensions = [[SENT_IDS.orientation, Buffer.from([0b1011])]];
		peer.send(sender.next(sps, { timestampStep: 3_000, extensions }).bytes);
	}
	const received = await receiver.peer.receive(receiver.ssrc, 3);
	const first = receiver.value(received[0], PACKET_ID).readUInt32BE();
	received.forEach((packet, index) => {
		assert.deepEqual(receiver.value(packet, ORIENTATION), Buffer.from([0b1011]));
		assert.equal(receiver.value(packet, PACKET_ID).readUInt32BE(), (first + index) >>> 0);
	});
	assert.deepEqual({ ...(await turned) }, { camera: true, flip: false, rotation: 270 });
});

test('a receiver without a means of estimation is not numbered', BOUNDED, async t => {
	const session = await Session.create(t);
	const publisher = await session.h264Publisher();
	const rtpCapabilities = structuredClone(session.router.rtpCapabilities);
	for (const codec of rtpCapabilities.codecs) {
		codec.rtcpFeedback = codec.rtcpFeedback.filter(({ type }) => type !== 'transport-cc');
	}
	const receiver = await capable(session, publisher.producer, { rtpCapabilities });
	publish(publisher, 3);
	const received = await receiver.peer.receive(receiver.ssrc, publisher.sender.sent.length);
	for (const packet of received) {
		assert.equal(receiver.value(packet, NUMBER), undefined);
	}
});
