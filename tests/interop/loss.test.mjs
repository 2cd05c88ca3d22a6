// Loss on both sides of the worker: what it asks for and what it gives again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { buildNack } from './lib/rtcp.mjs';
import { buildRtp } from './lib/rtp.mjs';
import { Session } from './lib/session.mjs';
import { sleep, until } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

function send(peer, packets) {
	for (const { bytes } of packets) {
		peer.send(bytes);
	}
}

/** The packet as its sender retransmits it (RFC 4588 §4). */
function asRtx(packet, { ssrc, payloadType, sequenceNumber }) {
	const original = Buffer.alloc(2);
	original.writeUInt16BE(packet.sequenceNumber);
	return buildRtp({ ...packet, ssrc, payloadType, sequenceNumber, payload: Buffer.concat([original, packet.payload]) });
}

for (const rtx of [true, false]) {
	const way = rtx ? 'over RTX' : 'on the same SSRC';

	test(`a receiver's NACK is answered ${way}`, BOUNDED, async t => {
		const session = await Session.create(t);
		const { peer, producer, sender } = await session.h264Publisher({ rtxSsrc: 22_222_223 });
		const receiver = await session.receiver(producer, { rtx, enableRtx: true });
		const encoding = receiver.consumer.rtpParameters.encodings[0];
		assert.equal(encoding.rtx !== undefined, rtx);
		send(peer, sender.nextKeyFrame());
		for (let count = 0; count < 10; ++count) {
			send(peer, sender.nextDeltaFrame());
		}
		const received = [...(await receiver.peer.receive(receiver.ssrc, sender.sent.length))];
		const wanted = [received[2], received[7], received[8]];
		receiver.peer.send(
			buildNack({
				senderSsrc: 1,
				ssrc: receiver.ssrc,
				sequenceNumbers: wanted.map(packet => packet.sequenceNumber),
			})
		);
		if (rtx) {
			const repairs = await receiver.peer.receive(encoding.rtx.ssrc, wanted.length);
			const rtxCodec = receiver.consumer.rtpParameters.codecs.find(codec => codec.mimeType === 'video/rtx');
			repairs.forEach((repair, index) => {
				assert.equal(repair.payloadType, rtxCodec.payloadType);
				assert.equal(repair.payload.readUInt16BE(0), wanted[index].sequenceNumber);
				assert.deepEqual(repair.payload.subarray(2), wanted[index].payload);
				assert.equal(repair.timestamp, wanted[index].timestamp);
				assert.equal(repair.marker, wanted[index].marker);
				assert.equal((repair.sequenceNumber - repairs[0].sequenceNumber) & 0xffff, index);
			});
		} else {
			const all = await receiver.peer.receive(receiver.ssrc, received.length + wanted.length);
			all.slice(received.length).forEach((repair, index) => {
				assert.equal(repair.sequenceNumber, wanted[index].sequenceNumber);
				assert.deepEqual(repair.payload, wanted[index].payload);
				assert.equal(repair.timestamp, wanted[index].timestamp);
				assert.equal(repair.payloadType, wanted[index].payloadType);
			});
		}
		const stats = await receiver.consumer.getStats();
		const outbound = stats.find(({ type }) => type === 'outbound-rtp');
		assert.equal(outbound.nackCount, 1);
		assert.equal(outbound.nackPacketCount, wanted.length);
		assert.equal(outbound.packetsRetransmitted, wanted.length);
	});

	test(`a publisher is asked for what it lost, and its answer ${way} is forwarded`, BOUNDED, async t => {
		const session = await Session.create(t);
		const rtxSsrc = rtx ? 22_222_223 : undefined;
		const { peer, producer, sender } = await session.h264Publisher({ rtxSsrc });
		const receiver = await session.receiver(producer);
		send(peer, sender.nextKeyFrame());
		await receiver.peer.receive(receiver.ssrc, sender.sent.length);
		const [lost, ...rest] = [...sender.nextDeltaFrame(), ...sender.nextDeltaFrame()];
		send(peer, rest);
		const nack = await peer.receiveRtcp('nack', packet => packet.mediaSsrc === sender.ssrc);
		assert.deepEqual(nack.sequenceNumbers, [lost.sequenceNumber]);
		peer.send(
			rtx
				? asRtx(lost, { ssrc: rtxSsrc, payloadType: sender.payloadType + 1, sequenceNumber: 7 })
				: lost.bytes
		);
		const received = await receiver.peer.receive(receiver.ssrc, sender.sent.length);
		const repaired = received.at(-1);
		assert.deepEqual(repaired.payload, lost.payload);
		assert.equal(repaired.timestamp, received.at(-2).timestamp - 3_000);
		const sequenceNumbers = received.map(packet => packet.sequenceNumber).sort((a, b) => a - b);
		sequenceNumbers.forEach((number, index) => assert.equal(number, sequenceNumbers[0] + index));
		const [stats] = await producer.getStats();
		assert.equal(stats.packetsRepaired, 1);
		assert.ok(stats.nackCount >= 1);
		assert.ok(stats.nackPacketCount >= 1);
	});
}

test('a publisher that does not answer is asked again, but not for ever', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher();
	await session.receiver(producer);
	send(peer, sender.nextKeyFrame());
	const [lost, ...rest] = sender.nextDeltaFrame();
	send(peer, rest);
	const asked = () =>
		peer.rtcp.filter(packet => packet.type === 'nack' && packet.sequenceNumbers.includes(lost.sequenceNumber)).length;
	await until('the second NACK', () => asked() >= 2);
	await until('the last NACK', async () => {
		const before = asked();
		await sleep(600);
		return asked() === before;
	});
	assert.ok(asked() <= 10, `asked ${asked()} times`);
});

test('nothing is given again that was never sent', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher({ rtxSsrc: 22_222_223 });
	const receiver = await session.receiver(producer);
	send(peer, sender.nextKeyFrame());
	const received = await receiver.peer.receive(receiver.ssrc, sender.sent.length);
	const before = receiver.peer.rtp.length;
	const beyond = received.at(-1).sequenceNumber + 100;
	receiver.peer.send(buildNack({ senderSsrc: 1, ssrc: receiver.ssrc, sequenceNumbers: [beyond, beyond + 1] }));
	receiver.peer.send(buildNack({ senderSsrc: 1, ssrc: 12_345, sequenceNumbers: [received[0].sequenceNumber] }));
	await sleep(150);
	assert.equal(receiver.peer.rtp.length, before);
});

test('a flood of NACKs is not answered packet for packet', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher({ rtxSsrc: 22_222_223 });
	const receiver = await session.receiver(producer);
	const rtxSsrc = receiver.consumer.rtpParameters.encodings[0].rtx.ssrc;
	send(peer, sender.nextKeyFrame());
	const received = await receiver.peer.receive(receiver.ssrc, sender.sent.length);
	const nack = buildNack({
		senderSsrc: 1,
		ssrc: receiver.ssrc,
		sequenceNumbers: received.map(packet => packet.sequenceNumber),
	});
	for (let count = 0; count < 100; ++count) {
		receiver.peer.send(nack);
	}
	await receiver.peer.receive(rtxSsrc, received.length);
	await sleep(50);
	// Not again within one round-trip time, 100 ms until it is known; the burst takes less than five of them.
	assert.ok(receiver.peer.stream(rtxSsrc).length <= 5 * received.length);
});

test('audio is repaired when its receiver wants that', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher();
	const receiver = await session.receiver(producer, { enableRtx: true });
	assert.deepEqual(receiver.consumer.rtpParameters.codecs[0].rtcpFeedback.map(({ type }) => type), ['nack']);
	for (let count = 0; count < 10; ++count) {
		peer.send(sender.nextOpus().bytes);
	}
	const received = [...(await receiver.peer.receive(receiver.ssrc, 10))];
	receiver.peer.send(
		buildNack({ senderSsrc: 1, ssrc: receiver.ssrc, sequenceNumbers: [received[4].sequenceNumber] })
	);
	const all = await receiver.peer.receive(receiver.ssrc, 11);
	assert.equal(all[10].sequenceNumber, received[4].sequenceNumber);
	assert.deepEqual(all[10].payload, received[4].payload);
});
