// RTCP reports, statistics, scores, traces and dumps of media that flows.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SENT_IDS } from './lib/media.mjs';
import { buildPli, buildReceiverReport, buildSenderReport } from './lib/rtcp.mjs';
import { Session } from './lib/session.mjs';
import { nextEvent, sleep, until } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };
/** Seconds between the epochs of NTP and of Unix. */
const NTP_OFFSET = 2_208_988_800;

function send(peer, packets) {
	for (const { bytes } of packets) {
		peer.send(bytes);
	}
}

/** What the sender says of itself now; the time is a whole second and a quarter. */
function senderReport(sender) {
	return buildSenderReport({
		ssrc: sender.ssrc,
		ntpSeconds: Math.floor(Date.now() / 1000) + NTP_OFFSET,
		ntpFraction: 0x4000_0000,
		rtpTimestamp: sender.timestamp,
		packetCount: sender.sent.length,
		octetCount: sender.sent.reduce((sum, packet) => sum + packet.payload.length, 0),
	});
}

async function flowing(t) {
	const session = await Session.create(t);
	const publisher = await session.opusPublisher();
	const receiver = await session.receiver(publisher.producer);
	for (let count = 0; count < 20; ++count) {
		publisher.peer.send(publisher.sender.nextOpus().bytes);
	}
	await receiver.peer.receive(receiver.ssrc, 20);
	return { session, publisher, receiver };
}

test('a receiver gets sender reports that fit the stream', BOUNDED, async t => {
	const { publisher, receiver } = await flowing(t);
	const sr = await receiver.peer.receiveRtcp('sr', packet => packet.ssrc === receiver.ssrc);
	assert.ok(sr.packetCount > 0 && sr.packetCount <= 20, `${sr.packetCount} packets`);
	assert.ok(Math.abs(sr.ntpSeconds - NTP_OFFSET - Date.now() / 1000) < 60, 'NTP is the wall clock');
	const last = receiver.peer.stream(receiver.ssrc).at(-1);
	const ahead = (sr.rtpTimestamp - last.timestamp) | 0;
	assert.ok(Math.abs(ahead) < 48_000 * 10, `the RTP timestamp is ${ahead} ticks off`);
	const sdes = await receiver.peer.receiveRtcp('sdes', packet => packet.ssrc === receiver.ssrc);
	assert.equal(sdes.cname, receiver.consumer.rtpParameters.rtcp.cname);
	assert.ok(publisher.producer.rtpParameters.rtcp.cname.length > 0);
});

test('a publisher gets receiver reports of its loss, with the time since its sender report', BOUNDED, async t => {
	const { publisher } = await flowing(t);
	const { peer, sender } = publisher;
	peer.send(senderReport(sender));
	sender.nextOpus();
	sender.nextOpus();
	peer.send(sender.nextOpus().bytes);
	const report = await until('a report after the loss', () =>
		peer.rtcp
			.filter(packet => packet.type === 'rr')
			.flatMap(packet => packet.reports)
			.find(candidate => candidate.ssrc === sender.ssrc && candidate.lost === 2 && candidate.lastSr !== 0)
	);
	assert.equal(report.highestSequence & 0xffff, sender.sent.at(-1).sequenceNumber);
	assert.equal(report.lastSr & 0xffff, 0x4000);
	assert.ok(report.delay > 0 && report.delay < 65_536 * 10);
});

test('statistics count what happened', BOUNDED, async t => {
	const { publisher, receiver } = await flowing(t);
	const bytes = publisher.sender.sent.reduce((sum, packet) => sum + packet.bytes.length, 0);

	const [inbound] = await publisher.producer.getStats();
	assert.equal(inbound.type, 'inbound-rtp');
	assert.equal(inbound.ssrc, publisher.sender.ssrc);
	assert.equal(inbound.kind, 'audio');
	assert.equal(inbound.mimeType, 'audio/opus');
	assert.equal(inbound.packetCount, 20);
	assert.equal(inbound.byteCount, bytes);
	assert.equal(inbound.packetsLost, 0);
	assert.ok(inbound.bitrate > 0);

	const stats = await receiver.consumer.getStats();
	assert.deepEqual(stats.map(({ type }) => type), ['outbound-rtp', 'inbound-rtp']);
	const outbound = stats[0];
	assert.equal(outbound.ssrc, receiver.ssrc);
	assert.equal(outbound.packetCount, 20);
	assert.ok(outbound.byteCount > 20 * 80);
	assert.ok(outbound.bitrate > 0);

	const [sending] = await publisher.transport.getStats();
	assert.equal(sending.type, 'plain-rtp-transport');
	assert.equal(sending.transportId, publisher.transport.id);
	assert.equal(sending.rtpBytesReceived, bytes);
	assert.ok(sending.bytesReceived >= bytes);
	assert.equal(sending.tuple.remotePort, publisher.peer.port);
	const [receiving] = await receiver.transport.getStats();
	assert.equal(receiving.rtpBytesReceived, 0);
	assert.ok(receiving.rtpBytesSent > 20 * 80);
	assert.ok(receiving.bytesSent >= receiving.rtpBytesSent);
});

test("a receiver's reports end in its statistics", BOUNDED, async t => {
	const { receiver } = await flowing(t);
	const sr = await receiver.peer.receiveRtcp('sr', packet => packet.ssrc === receiver.ssrc);
	receiver.peer.send(
		buildReceiverReport({
			senderSsrc: 1,
			ssrc: receiver.ssrc,
			fractionLost: 64,
			lost: 5,
			highestSequence: receiver.peer.rtp.at(-1).sequenceNumber,
			lastSr: ((sr.ntpSeconds & 0xffff) << 16) | (sr.ntpFraction >>> 16),
			// 1/65536 s: a receiver that says zero does not measure it.
			delay: 1,
		})
	);
	const outbound = await until('the report in the statistics', async () => {
		const [stats] = await receiver.consumer.getStats();
		return stats.packetsLost === 5 && stats;
	});
	assert.equal(outbound.fractionLost, 64);
	assert.ok(outbound.roundTripTime > 0 && outbound.roundTripTime < 10_000, `${outbound.roundTripTime} ms`);
});

test('scores are told when a stream starts and when it worsens', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.opusPublisher();
	const receiver = await session.receiver(producer);
	const told = [nextEvent(producer, 'score'), nextEvent(receiver.consumer, 'score')];
	peer.send(sender.nextOpus().bytes);
	const [[producerScore], [consumerScore]] = await Promise.all(told);
	assert.deepEqual(producerScore, [{ ssrc: sender.ssrc, rid: undefined, score: 10, encodingIdx: 0 }]);
	assert.equal(consumerScore.producerScore, 10);
	assert.deepEqual(consumerScore.producerScores, [10]);

	// Every other packet is lost, over several intervals; the sender's reports end them.
	let worse;
	producer.on('score', ([score]) => {
		worse = score.score < 10 ? score : worse;
	});
	await until('a lower score', async () => {
		for (let count = 0; count < 10; ++count) {
			sender.nextOpus();
			peer.send(sender.nextOpus().bytes);
		}
		peer.send(senderReport(sender));
		await sleep(20);
		return worse;
	});
});

test('dumps show the streams', BOUNDED, async t => {
	const { session, publisher, receiver } = await flowing(t);
	const producerDump = await publisher.producer.dump();
	assert.equal(producerDump.rtpStreams.length, 1);
	assert.equal(producerDump.rtpStreams[0].params.ssrc, publisher.sender.ssrc);
	assert.equal(producerDump.type, 'simple');
	const consumerDump = await receiver.consumer.dump();
	assert.equal(consumerDump.rtpStream.params.ssrc, receiver.ssrc);
	assert.equal(consumerDump.producerId, publisher.producer.id);
	const routerDump = await session.router.dump();
	assert.deepEqual(routerDump.mapProducerIdConsumerIds, [
		{ key: publisher.producer.id, values: [receiver.consumer.id] },
	]);
	assert.deepEqual(routerDump.mapConsumerIdProducerId, [
		{ key: receiver.consumer.id, value: publisher.producer.id },
	]);
	const transportDump = await publisher.transport.dump();
	assert.deepEqual(transportDump.producerIds, [publisher.producer.id]);
	assert.deepEqual(transportDump.rtpListener.ssrcTable, [
		{ key: publisher.sender.ssrc, value: publisher.producer.id },
	]);
	const receivingDump = await receiver.transport.dump();
	assert.deepEqual(receivingDump.mapSsrcConsumerId, [{ key: receiver.ssrc, value: receiver.consumer.id }]);
	const { channelMessageHandlers } = await session.worker.dump();
	assert.equal(channelMessageHandlers.channelRequestHandlers.length, 5);
});

test('traces tell of packets and of feedback', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher();
	const receiver = await session.receiver(producer);
	const seen = { producer: [], consumer: [] };
	producer.on('trace', trace => seen.producer.push(trace));
	receiver.consumer.on('trace', trace => seen.consumer.push(trace));
	await producer.enableTraceEvent(['rtp', 'keyframe', 'pli']);
	await receiver.consumer.enableTraceEvent(['rtp', 'keyframe', 'pli']);
	send(peer, sender.nextKeyFrame());
	send(peer, sender.nextDeltaFrame());
	await receiver.peer.receive(receiver.ssrc, sender.sent.length);
	receiver.peer.send(buildPli({ senderSsrc: 1, ssrc: receiver.ssrc }));
	for (const [who, pliDirection] of [
		['producer', 'out'],
		['consumer', 'in'],
	]) {
		const has = type => seen[who].some(trace => trace.type === type);
		await until(`traces of the ${who}`, () => has('rtp') && has('keyframe') && has('pli'));
		const pli = seen[who].find(trace => trace.type === 'pli');
		assert.equal(pli.direction, pliDirection, `${who}: ${JSON.stringify(pli)}`);
		assert.ok(Math.abs(pli.timestamp) > 0);
	}
	const ssrcOf = (traces, type) => traces.find(trace => trace.type === type).info.rtpPacket.ssrc;
	assert.equal(ssrcOf(seen.producer, 'rtp'), sender.ssrc);
	assert.equal(ssrcOf(seen.consumer, 'rtp'), receiver.ssrc);
	assert.equal(ssrcOf(seen.consumer, 'keyframe'), receiver.ssrc);
	await producer.enableTraceEvent([]);
	await sleep(50);
	const before = seen.producer.length;
	send(peer, sender.nextDeltaFrame());
	await sleep(50);
	assert.equal(seen.producer.length, before);
});

test('a video orientation is told when it changes', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, producer, sender } = await session.h264Publisher();
	const told = nextEvent(producer, 'videoorientationchange');
	const idr = Buffer.concat([Buffer.from([0x65]), Buffer.alloc(100, 1)]);
	// Rotated by 90 degrees, front camera.
	peer.send(sender.next(idr, { extensions: [[SENT_IDS.orientation, Buffer.from([0x01])]] }).bytes);
	const [orientation] = await told;
	assert.deepEqual({ ...orientation }, { camera: false, flip: false, rotation: 90 });
});
