// Routers piped to each other: within a worker, on one shard and on two, and between workers. Whatever is in between,
// the application sees the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { buildPli } from './lib/rtcp.mjs';
import { MEDIA_CODECS, Sender, h264Parameters } from './lib/media.mjs';
import { Session } from './lib/session.mjs';
import { nextEvent, sleep, until } from './lib/wait.mjs';

const BOUNDED = { timeout: 30_000 };
/** Bytes that AES-GCM adds to each packet. */
const SRTP_TAG_BYTES = 16;

const PLACES = [
	{ name: 'two shards of a worker', shards: '2', workers: 1 },
	{ name: 'one shard of a worker', shards: '1', workers: 1 },
	{ name: 'two workers', shards: '1', workers: 2 },
];

const OPTIONS = [
	{ name: 'as it is', options: {} },
	{ name: 'with RTX', options: { enableRtx: true } },
	{ name: 'with SRTP', options: { enableSrtp: true } },
	{ name: 'with SRTP and RTX', options: { enableSrtp: true, enableRtx: true } },
	{ name: 'over IPv6', options: { listenInfo: { protocol: 'udp', ip: '::1' } } },
	{ name: 'over a named address', options: { listenIp: { ip: '0.0.0.0', announcedIp: '127.0.0.1' } } },
];

function send(peer, packets) {
	for (const { bytes } of packets) {
		peer.send(bytes);
	}
}

/** Two routers, each in a session of its own. */
async function routers(t, { shards, workers }) {
	process.env.RINGSOUP_SHARDS = shards;
	const near = await Session.create(t);
	if (workers === 2) {
		return { near, far: await Session.create(t), keepId: true };
	}
	const far = new Session(near.worker, await near.worker.createRouter({ mediaCodecs: MEDIA_CODECS }));
	t.after(() => far.peers.forEach(peer => peer.close()));
	// Names are a worker's, so that within one the piped producer has another.
	return { near, far, keepId: false };
}

/** The two ends the library has made for a pair of routers. */
async function ends({ near, far }, create) {
	const found = {};
	for (const [side, session] of [['near', near], ['far', far]]) {
		session.router.observer.on('newtransport', transport => {
			if (transport.type === 'pipe') {
				found[side] = transport;
			}
		});
	}
	return { piped: await create(), ...found };
}

/** A publisher on the near router whose stream is received on the far one. */
async function piped(t, place, options = {}) {
	const both = await routers(t, place);
	const publisher = await both.near.h264Publisher({ rtxSsrc: 22_222_223 });
	const pipe = await ends(both, () =>
		both.near.router.pipeToRouter({
			producerId: publisher.producer.id,
			router: both.far.router,
			keepId: both.keepId,
			...options,
		})
	);
	const receiver = await both.far.receiver(pipe.piped.pipeProducer);
	return { ...both, ...pipe.piped, nearPipe: pipe.near, farPipe: pipe.far, publisher, receiver };
}

function assertPayloads(received, sent) {
	assert.deepEqual(
		received.map(packet => packet.payload),
		sent.map(packet => packet.payload)
	);
}

for (const place of PLACES) {
	for (const { name, options } of OPTIONS) {
		test(`media passes between ${place.name}, ${name}`, BOUNDED, async t => {
			const { publisher, receiver, pipeProducer, nearPipe, farPipe, keepId } = await piped(t, place, options);
			assert.equal(pipeProducer.id === publisher.producer.id, keepId);
			send(publisher.peer, publisher.sender.nextKeyFrame());
			for (let frame = 0; frame < 20; ++frame) {
				send(publisher.peer, publisher.sender.nextDeltaFrame());
				await sleep(2);
			}
			const { sent } = publisher.sender;
			assertPayloads(await receiver.peer.receive(receiver.ssrc, sent.length), sent);
			assert.equal(nearPipe.tuple.localPort, farPipe.tuple.remotePort);
			assert.equal(farPipe.tuple.localPort, nearPipe.tuple.remotePort);
			const [nearStats] = await nearPipe.getStats();
			const [farStats] = await farPipe.getStats();
			assert.equal(nearStats.type, 'pipe-transport');
			assert.ok(nearStats.rtpBytesSent > 0);
			assert.equal(nearStats.rtpBytesSent, farStats.rtpBytesReceived);
			const overhead = nearStats.bytesSent - nearStats.rtpBytesSent;
			if (options.enableSrtp) {
				// Nothing is encrypted that never leaves the process.
				const isEncrypted = overhead >= SRTP_TAG_BYTES * sent.length;
				assert.equal(isEncrypted, place.workers === 2, `${overhead} bytes beside the media`);
			}
			const dump = await nearPipe.dump();
			assert.equal(dump.rtx, Boolean(options.enableRtx));
			assert.equal(Boolean(nearPipe.srtpParameters), Boolean(options.enableSrtp));
		});
	}

	test(`a key-frame request crosses between ${place.name}`, BOUNDED, async t => {
		const { publisher, receiver, pipeConsumer } = await piped(t, place);
		send(publisher.peer, publisher.sender.nextKeyFrame());
		await receiver.peer.receive(receiver.ssrc, publisher.sender.sent.length);
		await sleep(100);
		publisher.peer.rtcp.length = 0;
		receiver.peer.send(buildPli({ senderSsrc: 1, ssrc: receiver.ssrc }));
		await publisher.peer.receiveRtcp('pli', pli => pli.mediaSsrc === publisher.sender.ssrc);
		const [outbound] = await pipeConsumer.getStats();
		assert.ok(outbound.pliCount >= 1);
	});

	test(`pausing and resuming cross between ${place.name}`, BOUNDED, async t => {
		const { publisher, receiver, pipeConsumer, pipeProducer } = await piped(t, place);
		send(publisher.peer, publisher.sender.nextKeyFrame());
		const before = publisher.sender.sent.length;
		await receiver.peer.receive(receiver.ssrc, before);
		const paused = nextEvent(receiver.consumer, 'producerpause');
		await publisher.producer.pause();
		await paused;
		assert.ok(pipeConsumer.producerPaused && pipeProducer.paused);
		send(publisher.peer, publisher.sender.nextDeltaFrame());
		await sleep(100);
		assert.equal(receiver.peer.stream(receiver.ssrc).length, before);
		const resumed = nextEvent(receiver.consumer, 'producerresume');
		publisher.peer.rtcp.length = 0;
		await publisher.producer.resume();
		await resumed;
		await publisher.peer.receiveRtcp('pli');
		const keyFrame = publisher.sender.nextKeyFrame();
		send(publisher.peer, keyFrame);
		const received = await receiver.peer.receive(receiver.ssrc, before + keyFrame.length);
		assertPayloads(received.slice(before), keyFrame);
	});

	test(`closing crosses between ${place.name}`, BOUNDED, async t => {
		const { publisher, receiver, pipeConsumer, pipeProducer, nearPipe, farPipe, near, far } = await piped(t, place);
		const closed = nextEvent(receiver.consumer, 'producerclose');
		publisher.producer.close();
		await closed;
		assert.ok(pipeConsumer.closed && pipeProducer.closed);
		assert.ok(!nearPipe.closed && !farPipe.closed, 'the pipe is there for others');
		const again = await near.h264Publisher({ ssrc: 33_333_333 });
		const second = await near.router.pipeToRouter({
			producerId: again.producer.id,
			router: far.router,
			keepId: place.workers === 2,
		});
		const late = await far.receiver(second.pipeProducer);
		send(again.peer, again.sender.nextKeyFrame());
		await late.peer.receive(late.ssrc, again.sender.sent.length);
		nearPipe.close();
		assert.ok(farPipe.closed);
		// One after the other on each worker, so that both ends have closed by the answer.
		assert.equal((await near.router.dump()).transportIds.includes(nearPipe.id), false);
		assert.equal((await far.router.dump()).transportIds.includes(farPipe.id), false);
	});

	test(`reports cross between ${place.name}`, BOUNDED, async t => {
		const { publisher, receiver, pipeConsumer, pipeProducer } = await piped(t, place);
		send(publisher.peer, publisher.sender.nextKeyFrame());
		await receiver.peer.receive(receiver.ssrc, publisher.sender.sent.length);
		const timer = setInterval(() => send(publisher.peer, publisher.sender.nextDeltaFrame()), 20);
		t.after(() => clearInterval(timer));
		await until('a round trip on the pipe', async () => {
			const [outbound] = await pipeConsumer.getStats();
			return outbound.roundTripTime > 0 && outbound.score === 10;
		});
		const [inbound] = await pipeProducer.getStats();
		assert.equal(inbound.packetsLost, 0);
	});
}

test('all encodings pass, and the far producer is simulcast too', BOUNDED, async t => {
	const { near, far } = await routers(t, PLACES[0]);
	const { peer, transport } = await near.connectedPeer();
	const rtpParameters = h264Parameters({ ssrc: 1_000 });
	rtpParameters.encodings = [{ ssrc: 1_000 }, { ssrc: 1_001 }];
	const producer = await transport.produce({ kind: 'video', rtpParameters });
	const { pipeConsumer, pipeProducer } = await near.router.pipeToRouter({
		producerId: producer.id,
		router: far.router,
		keepId: false,
	});
	assert.deepEqual([pipeConsumer.type, pipeProducer.type], ['pipe', 'simulcast']);
	const senders = rtpParameters.encodings.map(({ ssrc }) => new Sender({ ...rtpParameters, encodings: [{ ssrc }] }));
	senders.forEach(sender => send(peer, sender.nextKeyFrame()));
	await until('both streams', async () => {
		const stats = await pipeProducer.getStats();
		return stats.length === 2 && stats.every(({ packetCount }) => packetCount === senders[0].sent.length);
	});
	assert.equal((await pipeConsumer.getStats()).filter(({ type }) => type === 'outbound-rtp').length, 2);
});

test('a pipe to nobody of ours stays on its socket', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer: publisher, producer, sender } = await session.h264Publisher();
	const peer = await session.peer();
	const pipe = await session.router.createPipeTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' } });
	await pipe.connect({ ip: '127.0.0.1', port: peer.port });
	const consumer = await pipe.consume({ producerId: producer.id });
	send(publisher, sender.nextKeyFrame());
	const received = await peer.receive(consumer.rtpParameters.encodings[0].ssrc, sender.sent.length);
	assertPayloads(received, sender.sent);
	peer.talkTo(pipe.tuple);
	peer.send(buildPli({ senderSsrc: 1, ssrc: consumer.rtpParameters.encodings[0].ssrc }));
	await publisher.receiveRtcp('pli');
});

for (const place of PLACES.filter(({ workers }) => workers === 1)) {
	test(`data messages pass ${place.name === 'one shard of a worker' ? 'within one shard' : `between ${place.name}`}`, BOUNDED, async t => {
		const { near, far } = await routers(t, place);
		const source = await near.router.createDirectTransport();
		const dataProducer = await source.produceData({ label: 'chat', protocol: 'text' });
		const { pipeDataConsumer, pipeDataProducer } = await near.router.pipeToRouter({
			dataProducerId: dataProducer.id,
			router: far.router,
			keepId: false,
		});
		assert.equal(pipeDataProducer.label, 'chat');
		const sink = await far.router.createDirectTransport();
		const received = { all: [], one: [] };
		const subscribe = async (name, subchannels) => {
			const dataConsumer = await sink.consumeData({ dataProducerId: pipeDataProducer.id, subchannels });
			dataConsumer.on('message', (message, ppid) => received[name].push([message.toString(), ppid]));
			return dataConsumer;
		};
		await subscribe('all', [1, 2]);
		const one = await subscribe('one', [1]);
		const long = 'x'.repeat(200_000);
		dataProducer.send('everybody');
		dataProducer.send(long);
		dataProducer.send(Buffer.from('bytes'), undefined, [2]);
		dataProducer.send('required', undefined, [], 1);
		dataProducer.send('ignored', undefined, [], undefined, 2);
		dataProducer.send('bye');
		const ended = name => received[name].at(-1)?.[0] === 'bye';
		await until('the last message', () => ended('all') && ended('one'));
		assert.deepEqual(received.all, [
			['everybody', 51],
			[long, 51],
			['bytes', 53],
			['required', 51],
			['bye', 51],
		]);
		assert.deepEqual(received.one, [
			['everybody', 51],
			[long, 51],
			['required', 51],
			['ignored', 51],
			['bye', 51],
		]);
		const [sent] = await pipeDataConsumer.getStats();
		const [arrived] = await pipeDataProducer.getStats();
		assert.deepEqual([sent.messagesSent, sent.bufferedAmount, arrived.messagesReceived], [6, 0, 6]);
		const closed = nextEvent(one, 'dataproducerclose');
		dataProducer.close();
		await closed;
		assert.ok(pipeDataConsumer.closed && pipeDataProducer.closed);
	});
}

test('a burst of messages passes whole and in order', BOUNDED, async t => {
	const { near, far } = await routers(t, PLACES[0]);
	const source = await near.router.createDirectTransport();
	const dataProducer = await source.produceData({});
	const { pipeDataProducer } = await near.router.pipeToRouter({
		dataProducerId: dataProducer.id,
		router: far.router,
		keepId: false,
	});
	const sink = await far.router.createDirectTransport();
	const dataConsumer = await sink.consumeData({ dataProducerId: pipeDataProducer.id });
	const received = [];
	dataConsumer.on('message', message => received.push(message.toString()));
	const sent = Array.from({ length: 5_000 }, (_, number) => `message ${number}`);
	sent.forEach(message => dataProducer.send(message));
	await until('all of them', () => received.length >= sent.length);
	assert.deepEqual(received, sent);
});
