// What a receiver gets of a publisher's media is what the library told the application: payload types, SSRCs, extension
// ids, repairs and reports are the consumer's `rtpParameters`, whatever the library's version.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';

import { MEDIA_CODECS, SENT_IDS, Sender, TRANSPORT_WIDE, h264Parameters, opusParameters } from '../interop/lib/media.mjs';
import { Peer } from '../interop/lib/peer.mjs';
import { buildNack, buildPli } from '../interop/lib/rtcp.mjs';
import { until } from '../interop/lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

const IP = '127.0.0.1';
const AUDIO_SSRC = 11_111_111;
const VIDEO_SSRC = 22_222_222;
const RTX_SSRC = 22_222_223;

const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const ORIENTATION = 'urn:3gpp:video-orientation';
const TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';
const TIME_SENT_ID = 12;
const PACKETS = 50;
/** Opus 20 ms, as many as fill a second, so that nothing overflows a socket. */
const BURST = 10;

const home = process.env.MEDIASOUP_HOME;
const mediasoup = createRequire(join(home, 'package.json'))('mediasoup');
const version = mediasoup.version.split('.').map(Number);
const before = minor => version[1] < minor;

/** Before 3.13 there are addresses to listen on, and nothing else to say of them. */
const LISTEN = before(13) ? { listenIp: { ip: IP } } : { listenInfo: { protocol: 'udp', ip: IP } };

class Stage {
	static async create(t) {
		const worker = await mediasoup.createWorker({ logLevel: 'warn', logTags: ['rtp', 'rtcp'] });
		const stage = new Stage(await worker.createRouter({ mediaCodecs: MEDIA_CODECS }));
		t.after(() => {
			stage.peers.forEach(peer => peer.close());
			worker.close();
		});
		return stage;
	}

	constructor(router) {
		this.router = router;
		this.peers = [];
	}

	/** A peer and the plain transport it is connected to. */
	async connected() {
		const peer = await Peer.create();
		this.peers.push(peer);
		const transport = await this.router.createPlainTransport({ ...LISTEN, rtcpMux: true });
		await transport.connect({ ip: IP, port: peer.port });
		peer.talkTo(transport.tuple);
		return { peer, transport };
	}

	async publish(kind, rtpParameters) {
		const { peer, transport } = await this.connected();
		const producer = await transport.produce({ kind, rtpParameters });
		return { peer, producer, sender: new Sender(rtpParameters) };
	}

	/** With everything that the router can, but for some feedback. */
	async receive(producer, without = []) {
		const { peer, transport } = await this.connected();
		const rtpCapabilities = structuredClone(this.router.rtpCapabilities);
		for (const codec of rtpCapabilities.codecs) {
			codec.rtcpFeedback = codec.rtcpFeedback.filter(({ type }) => !without.includes(type));
		}
		const consumer = await transport.consume({ producerId: producer.id, rtpCapabilities });
		return new Receiver(peer, consumer);
	}
}

class Receiver {
	constructor(peer, consumer) {
		this.peer = peer;
		this.consumer = consumer;
		const { codecs, encodings, headerExtensions } = consumer.rtpParameters;
		[this.codec] = codecs;
		this.rtxCodec = codecs.find(({ mimeType }) => mimeType.endsWith('/rtx'));
		[this.encoding] = encodings;
		this.ids = new Map(headerExtensions.map(({ uri, id }) => [uri, id]));
	}

	/** What a packet has under the id that the library told. */
	value(packet, uri) {
		return packet.extensions.get(this.ids.get(uri));
	}

	/** Waits for all that was sent and looks at what every packet must have. */
	async all(sent) {
		const received = await this.peer.receive(this.encoding.ssrc, sent.length);
		assert.equal(received.length, sent.length);
		const told = new Set(this.ids.values());
		received.forEach((packet, index) => {
			assert.equal(packet.payloadType, this.codec.payloadType);
			assert.deepEqual(packet.payload, sent[index].payload);
			assert.equal(packet.marker, sent[index].marker);
			assert.equal(packet.sequenceNumber, (received[0].sequenceNumber + index) & 0xffff);
			assert.equal(packet.timestamp - received[0].timestamp, sent[index].timestamp - sent[0].timestamp);
			assert.equal(this.value(packet, MID)?.toString(), this.consumer.rtpParameters.mid);
			[...packet.extensions.keys()].forEach(id => assert.ok(told.has(id), `extension ${id} was not told`));
		});
		return received;
	}

	/** The sender report of the stream, with the name that the library told. */
	async report() {
		const report = await this.peer.receiveRtcp('sr', ({ ssrc }) => ssrc === this.encoding.ssrc);
		const { cname } = this.consumer.rtpParameters.rtcp;
		await this.peer.receiveRtcp('sdes', sdes => sdes.ssrc === this.encoding.ssrc && sdes.cname === cname);
		return report;
	}
}

function audio() {
	const parameters = opusParameters({ ssrc: AUDIO_SSRC });
	parameters.headerExtensions.push({ uri: TIME, id: TIME_SENT_ID });
	return parameters;
}

function video() {
	const parameters = h264Parameters({ ssrc: VIDEO_SSRC, rtxSsrc: RTX_SSRC });
	parameters.headerExtensions.push({ uri: TIME, id: TIME_SENT_ID }, TRANSPORT_WIDE);
	parameters.codecs[0].rtcpFeedback.push({ type: 'goog-remb' }, { type: 'transport-cc' });
	return parameters;
}

/** The packets of a video: a sequence parameter set, with which key frames begin, then slices. */
function nextVideo(sender, count) {
	const payload = Buffer.alloc(900, count);
	payload[0] = count === 0 ? 0x67 : 0x41;
	const extensions = [
		[SENT_IDS.orientation, Buffer.from([0b1001])],
		[TIME_SENT_ID, Buffer.from([1, 2, count])],
		[TRANSPORT_WIDE.id, Buffer.from([0, count])],
	];
	return sender.next(payload, { timestampStep: 3_000, marker: true, extensions });
}

/** Sends in bursts, each when the one before has come everywhere. */
async function send(publisher, receivers, next) {
	for (let count = 0; count < PACKETS; ++count) {
		publisher.peer.send(next(publisher.sender, count).bytes);
		if ((count + 1) % BURST === 0) {
			await Promise.all(receivers.map(({ peer, encoding }) => peer.receive(encoding.ssrc, count + 1)));
		}
	}
	return publisher.sender.sent;
}

test(`${mediasoup.version}: Opus comes as the library told`, BOUNDED, async t => {
	const stage = await Stage.create(t);
	const publisher = await stage.publish('audio', audio());
	const receiver = await stage.receive(publisher.producer);
	const sent = await send(publisher, [receiver], (sender, count) => sender.nextOpus({ audioLevel: count }));
	for (const [index, packet] of (await receiver.all(sent)).entries()) {
		assert.deepEqual(receiver.value(packet, AUDIO_LEVEL), Buffer.from([0x80 | index]));
	}
	const report = await receiver.report();
	assert.ok(report.packetCount > 0 && report.packetCount <= PACKETS);
	const [stats] = await publisher.producer.getStats();
	assert.equal(stats.packetCount, PACKETS);
	assert.equal(stats.ssrc, AUDIO_SSRC);
});

test(`${mediasoup.version}: H264 comes as the library told, by either way of estimation`, BOUNDED, async t => {
	const stage = await Stage.create(t);
	const publisher = await stage.publish('video', video());
	const numbered = await stage.receive(publisher.producer);
	const timed = await stage.receive(publisher.producer, ['transport-cc']);
	const sent = await send(publisher, [numbered, timed], nextVideo);
	for (const receiver of [numbered, timed]) {
		for (const packet of await receiver.all(sent)) {
			assert.deepEqual(receiver.value(packet, ORIENTATION), Buffer.from([0b1001]));
		}
		const report = await receiver.report();
		assert.ok(report.packetCount > 0 && report.packetCount <= PACKETS);
	}
	const numbers = numbered.peer.stream(numbered.encoding.ssrc).map(packet => numbered.value(packet, TRANSPORT_WIDE.uri));
	assert.deepEqual(numbers.map(number => number.readUInt16BE()), sent.map((_, index) => index + 1));
	const times = timed.peer.stream(timed.encoding.ssrc).map(packet => timed.value(packet, TIME).readUIntBE(0, 3));
	// 24 bits of seconds in 1/2^18: the worker's own clock, not what the publisher said.
	times.forEach(time => assert.ok(((time - times[0]) & 0xffffff) < 8 << 18));
	assert.notEqual(times[0], 0x010200);
});

test(`${mediasoup.version}: a NACK is answered by RTX`, BOUNDED, async t => {
	const stage = await Stage.create(t);
	const publisher = await stage.publish('video', video());
	const receiver = await stage.receive(publisher.producer);
	const sent = await send(publisher, [receiver], nextVideo);
	const received = await receiver.all(sent);
	const missed = [received[3], received[20]];
	const { ssrc, rtx } = receiver.encoding;
	const sequenceNumbers = missed.map(({ sequenceNumber }) => sequenceNumber);
	receiver.peer.send(buildNack({ senderSsrc: 1, ssrc, sequenceNumbers }));
	const again = await receiver.peer.receive(rtx.ssrc, missed.length);
	again.forEach((packet, index) => {
		assert.equal(packet.payloadType, receiver.rtxCodec.payloadType);
		assert.equal(packet.payload.readUInt16BE(), missed[index].sequenceNumber);
		assert.deepEqual(packet.payload.subarray(2), missed[index].payload);
		assert.equal(receiver.value(packet, MID).toString(), receiver.consumer.rtpParameters.mid);
		assert.deepEqual(receiver.value(packet, ORIENTATION), Buffer.from([0b1001]));
	});
	const [stats] = await receiver.consumer.getStats();
	assert.equal(stats.nackCount, 1);
	assert.equal(stats.packetsRetransmitted, missed.length);
});

test(`${mediasoup.version}: requests for key frames reach the publisher`, BOUNDED, async t => {
	const stage = await Stage.create(t);
	const publisher = await stage.publish('video', video());
	const receiver = await stage.receive(publisher.producer);
	await send(publisher, [receiver], nextVideo);
	const requested = () => publisher.peer.rtcp.filter(({ type, mediaSsrc }) => type === 'pli' && mediaSsrc === VIDEO_SSRC);
	const asks = async ask => {
		const count = requested().length;
		// Asked again soon it waits for the key frame that was asked for: one comes.
		publisher.peer.send(nextVideo(publisher.sender, 0).bytes);
		await receiver.peer.receive(receiver.encoding.ssrc, publisher.sender.sent.length);
		await ask();
		await until('a request for a key frame', () => requested().length > count);
	};
	await asks(() => receiver.peer.send(buildPli({ senderSsrc: 1, ssrc: receiver.encoding.ssrc })));
	await asks(() => receiver.consumer.requestKeyFrame());
	const [stats] = await publisher.producer.getStats();
	assert.ok(stats.pliCount >= 2, `${stats.pliCount} requests`);
});
