// SRTP on plain transports, all four suites.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import { Sender, h264Parameters, opusParameters, receiverCapabilities } from './lib/media.mjs';
import { buildNack, buildReceiverReport } from './lib/rtcp.mjs';
import { Session } from './lib/session.mjs';
import { SUITE_NAMES, SrtpContext, keyAndSaltLength } from './lib/srtp.mjs';
import { sleep } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

/** A peer on an SRTP transport that is connected with a suite. */
async function srtpPeer(session, cryptoSuite, { created = cryptoSuite, ...options } = {}) {
	const { peer, transport } = await session.connectedPeer({
		enableSrtp: true,
		srtpCryptoSuite: created,
		...options,
	});
	const sending = { cryptoSuite, keyBase64: randomBytes(keyAndSaltLength(cryptoSuite)).toString('base64') };
	await transport.connect({
		...(!options.comedia && { ip: peer.ip, port: peer.port, rtcpPort: peer.rtcpPort }),
		srtpParameters: sending,
	});
	assert.equal(transport.srtpParameters.cryptoSuite, cryptoSuite);
	peer.useSrtp({ sending, receiving: transport.srtpParameters });
	return { peer, transport };
}

for (const suite of SUITE_NAMES) {
	describe(suite, () => {
		test('media and RTCP cross the worker both ways', BOUNDED, async t => {
			const session = await Session.create(t);
			const publisher = await srtpPeer(session, suite);
			const rtpParameters = h264Parameters({ ssrc: 5, rtxSsrc: 6 });
			const producer = await publisher.transport.produce({ kind: 'video', rtpParameters });
			const receiver = await srtpPeer(session, suite);
			const consumer = await receiver.transport.consume({
				producerId: producer.id,
				rtpCapabilities: receiverCapabilities(session.router),
			});
			const { ssrc, rtx } = consumer.rtpParameters.encodings[0];
			const sender = new Sender(rtpParameters, { sequenceNumber: 65_530 });
			for (const { bytes } of sender.nextDeltaFrame()) {
				publisher.peer.send(bytes);
			}
			await publisher.peer.receiveRtcp('pli', pli => pli.mediaSsrc === 5);
			sender.sent.length = 0;
			for (const { bytes } of sender.nextKeyFrame()) {
				publisher.peer.send(bytes);
			}
			for (let count = 0; count < 10; ++count) {
				for (const { bytes } of sender.nextDeltaFrame()) {
					publisher.peer.send(bytes);
				}
			}
			const received = await receiver.peer.receive(ssrc, sender.sent.length);
			assert.deepEqual(
				received.map(packet => packet.payload),
				sender.sent.map(packet => packet.payload)
			);
			await receiver.peer.receiveRtcp('sr', sr => sr.ssrc === ssrc);

			// A NACK of the receiver must be authentic to be answered.
			const wanted = received[3];
			receiver.peer.send(
				Buffer.concat([
					buildReceiverReport({ senderSsrc: 1, ssrc, highestSequence: wanted.sequenceNumber }),
					buildNack({ senderSsrc: 1, ssrc, sequenceNumbers: [wanted.sequenceNumber] }),
				])
			);
			const [repair] = await receiver.peer.receive(rtx.ssrc, 1);
			assert.equal(repair.payload.readUInt16BE(0), wanted.sequenceNumber);
			assert.deepEqual(repair.payload.subarray(2), wanted.payload);
			assert.deepEqual(receiver.peer.srtpErrors, []);
			assert.deepEqual(publisher.peer.srtpErrors, []);
		});

		test('forged and replayed packets go nowhere', BOUNDED, async t => {
			const session = await Session.create(t);
			const publisher = await srtpPeer(session, suite);
			const rtpParameters = opusParameters({ ssrc: 5 });
			const producer = await publisher.transport.produce({ kind: 'audio', rtpParameters });
			const receiver = await session.receiver(producer);
			const sender = new Sender(rtpParameters);
			const sealer = new SrtpContext(suite, randomBytes(keyAndSaltLength(suite)).toString('base64'));

			const first = publisher.peer.sendingSrtp.protect(sender.nextOpus().bytes);
			publisher.peer.sendRaw(first);
			await receiver.peer.receive(receiver.ssrc, 1);
			const flipped = publisher.peer.sendingSrtp.protect(sender.nextOpus().bytes);
			flipped[flipped.length - 1] ^= 1;
			const wrongKey = sealer.protect(sender.nextOpus().bytes);
			const plain = sender.nextOpus().bytes;
			for (const bytes of [first, flipped, wrongKey, plain, first.subarray(0, 13), first]) {
				publisher.peer.sendRaw(bytes);
			}
			publisher.peer.send(sender.nextOpus().bytes);
			const received = await receiver.peer.receive(receiver.ssrc, 2);
			await sleep(50);
			assert.equal(receiver.peer.rtp.length, 2);
			assert.deepEqual(received[1].payload, sender.sent.at(-1).payload);
		});
	});
}

test('SRTP on one side and none on the other', BOUNDED, async t => {
	const session = await Session.create(t);
	const plain = await session.opusPublisher();
	const receiver = await srtpPeer(session, 'AEAD_AES_256_GCM');
	const consumer = await receiver.transport.consume({
		producerId: plain.producer.id,
		rtpCapabilities: receiverCapabilities(session.router),
	});
	for (let count = 0; count < 10; ++count) {
		plain.peer.send(plain.sender.nextOpus().bytes);
	}
	await receiver.peer.receive(consumer.rtpParameters.encodings[0].ssrc, 10);
	assert.deepEqual(receiver.peer.srtpErrors, []);
});

test('receivers with different suites share a producer', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher();
	const receivers = [];
	for (const suite of SUITE_NAMES) {
		const receiver = await srtpPeer(session, suite);
		const consumer = await receiver.transport.consume({
			producerId: producer.id,
			rtpCapabilities: receiverCapabilities(session.router),
		});
		receivers.push({ ...receiver, ssrc: consumer.rtpParameters.encodings[0].ssrc });
	}
	for (let count = 0; count < 30; ++count) {
		peer.send(sender.nextOpus().bytes);
	}
	for (const receiver of receivers) {
		const received = await receiver.peer.receive(receiver.ssrc, 30);
		assert.deepEqual(
			received.map(packet => packet.payload),
			sender.sent.map(packet => packet.payload)
		);
		assert.deepEqual(receiver.peer.srtpErrors, []);
	}
});

test('the peer may choose another suite than the transport was created with', BOUNDED, async t => {
	const session = await Session.create(t);
	const publisher = await srtpPeer(session, 'AEAD_AES_128_GCM', { created: 'AES_CM_128_HMAC_SHA1_80' });
	const rtpParameters = opusParameters({ ssrc: 5 });
	const producer = await publisher.transport.produce({ kind: 'audio', rtpParameters });
	const receiver = await session.receiver(producer);
	const sender = new Sender(rtpParameters);
	for (let count = 0; count < 5; ++count) {
		publisher.peer.send(sender.nextOpus().bytes);
	}
	await receiver.peer.receive(receiver.ssrc, 5);
});

test('comedia and separate RTCP with SRTP', BOUNDED, async t => {
	const session = await Session.create(t);
	const publisher = await srtpPeer(session, 'AES_CM_128_HMAC_SHA1_32', { comedia: true, rtcpMux: false });
	const rtpParameters = opusParameters({ ssrc: 5 });
	const producer = await publisher.transport.produce({ kind: 'audio', rtpParameters });
	const receiver = await session.receiver(producer);
	const sender = new Sender(rtpParameters);
	publisher.peer.send(buildReceiverReport({ senderSsrc: 1, ssrc: 5, highestSequence: 1 }));
	for (let count = 0; count < 5; ++count) {
		publisher.peer.send(sender.nextOpus().bytes);
	}
	await receiver.peer.receive(receiver.ssrc, 5);
	await publisher.peer.receiveRtcp('rr', rr => rr.reports.some(report => report.ssrc === 5));
	assert.deepEqual(publisher.peer.srtpErrors, []);
});

test('keys of the wrong length are refused', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, transport } = await session.connectedPeer({
		enableSrtp: true,
		srtpCryptoSuite: 'AEAD_AES_256_GCM',
	});
	const connect = (cryptoSuite, length) =>
		transport.connect({
			ip: peer.ip,
			port: peer.port,
			srtpParameters: { cryptoSuite, keyBase64: randomBytes(length).toString('base64') },
		});
	await assert.rejects(connect('AEAD_AES_256_GCM', 43), TypeError);
	await assert.rejects(connect('AES_CM_128_HMAC_SHA1_80', 44), TypeError);
	await connect('AEAD_AES_256_GCM', 44);
});
