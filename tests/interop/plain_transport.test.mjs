// How a plain transport meets its peer.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Sender, opusParameters } from './lib/media.mjs';
import { buildReceiverReport } from './lib/rtcp.mjs';
import { Session } from './lib/session.mjs';
import { nextEvent, sleep } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

test('comedia learns the peer from its first packet', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, transport } = await session.connectedPeer({ comedia: true });
	assert.equal(transport.tuple.remoteIp, undefined);
	const rtpParameters = opusParameters({ ssrc: 5 });
	const producer = await transport.produce({ kind: 'audio', rtpParameters });
	const receiver = await session.receiver(producer);
	const sender = new Sender(rtpParameters);
	const told = nextEvent(transport, 'tuple');
	peer.send(sender.nextOpus().bytes);
	const [tuple] = await told;
	assert.equal(tuple.remotePort, peer.port);
	assert.equal(tuple.remoteIp, '127.0.0.1');
	assert.equal(transport.tuple.remotePort, peer.port);
	await receiver.peer.receive(receiver.ssrc, 1);
	const dump = await transport.dump();
	assert.equal(dump.tuple.remotePort, peer.port);
	assert.equal(dump.comedia, true);
});

test('comedia without rtcpMux learns both ports', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, transport } = await session.connectedPeer({ comedia: true, rtcpMux: false });
	assert.notEqual(transport.tuple.localPort, transport.rtcpTuple.localPort);
	const sender = new Sender(opusParameters({ ssrc: 5 }));
	const told = [nextEvent(transport, 'tuple'), nextEvent(transport, 'rtcptuple')];
	peer.send(sender.nextOpus().bytes);
	peer.send(buildReceiverReport({ senderSsrc: 1, ssrc: 5, highestSequence: 1 }));
	const [[tuple], [rtcpTuple]] = await Promise.all(told);
	assert.equal(tuple.remotePort, peer.port);
	assert.equal(rtcpTuple.remotePort, peer.rtcpPort);
	const dump = await transport.dump();
	assert.equal(dump.rtcpMux, false);
	assert.equal(dump.rtcpTuple.remotePort, peer.rtcpPort);
});

test('without rtcpMux RTP and RTCP keep to their ports', BOUNDED, async t => {
	const session = await Session.create(t);
	const publisher = await session.opusPublisher({ transport: { rtcpMux: false } });
	const receiver = await session.receiver(publisher.producer, { transport: { rtcpMux: false } });
	for (let count = 0; count < 10; ++count) {
		publisher.peer.send(publisher.sender.nextOpus().bytes);
	}
	const received = await receiver.peer.receive(receiver.ssrc, 10);
	assert.ok(received.every(packet => packet.from === receiver.transport.tuple.localPort));
	// The receiver gets sender reports, the publisher receiver reports, both from the RTCP port.
	const sr = await receiver.peer.receiveRtcp('sr', packet => packet.ssrc === receiver.ssrc);
	assert.equal(sr.from, receiver.transport.rtcpTuple.localPort);
	const rr = await publisher.peer.receiveRtcp('rr', packet => packet.reports.length > 0);
	assert.equal(rr.from, publisher.transport.rtcpTuple.localPort);
});

test('packets of strangers are ignored', BOUNDED, async t => {
	const session = await Session.create(t);
	const { peer, transport, producer, sender } = await session.opusPublisher();
	const receiver = await session.receiver(producer);
	const stranger = await session.peer();
	stranger.talkTo(transport.tuple);
	peer.send(sender.nextOpus().bytes);
	await receiver.peer.receive(receiver.ssrc, 1);
	for (let count = 0; count < 20; ++count) {
		stranger.send(sender.nextOpus().bytes);
	}
	sender.sequenceNumber -= 20;
	peer.send(sender.nextOpus().bytes);
	await receiver.peer.receive(receiver.ssrc, 2);
	await sleep(50);
	assert.equal(receiver.peer.rtp.length, 2);
	assert.equal((await transport.dump()).tuple.remotePort, peer.port);
	assert.equal(stranger.rtp.length + stranger.rtcp.length, 0, 'nothing is sent to a stranger');
});

test('a transport listens where it is told', BOUNDED, async t => {
	const session = await Session.create(t, { rtcMinPort: 21_000, rtcMaxPort: 21_100 });
	const byWorker = await session.router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' } });
	assert.ok(byWorker.tuple.localPort >= 21_000 && byWorker.tuple.localPort <= 21_100);
	const byRange = await session.router.createPlainTransport({
		listenInfo: { protocol: 'udp', ip: '127.0.0.1', portRange: { min: 22_000, max: 22_005 } },
	});
	assert.ok(byRange.tuple.localPort >= 22_000 && byRange.tuple.localPort <= 22_005);
	const announced = await session.router.createPlainTransport({
		listenInfo: { protocol: 'udp', ip: '127.0.0.1', announcedAddress: 'sfu.example.com', port: 22_222 },
		rtcpMux: false,
		rtcpListenInfo: { protocol: 'udp', ip: '127.0.0.1', port: 22_223 },
	});
	assert.deepEqual(
		[announced.tuple.localAddress, announced.tuple.localPort, announced.rtcpTuple.localPort],
		['sfu.example.com', 22_222, 22_223]
	);
	const buffers = await session.router.createPlainTransport({
		listenInfo: {
			protocol: 'udp',
			ip: '127.0.0.1',
			sendBufferSize: 100_000,
			recvBufferSize: 100_000,
			flags: { udpReusePort: true },
		},
	});
	assert.ok(buffers.tuple.localPort > 0);
	await assert.rejects(
		session.router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1', port: 22_222 } })
	);
});

test('media flows over IPv6', BOUNDED, async t => {
	const session = await Session.create(t);
	const listenInfo = { protocol: 'udp', ip: '::1' };
	const peer = await session.peer({ ip: '::1' });
	const transport = await session.router.createPlainTransport({ listenInfo, comedia: true });
	peer.talkTo(transport.tuple);
	const rtpParameters = opusParameters({ ssrc: 5 });
	const producer = await transport.produce({ kind: 'audio', rtpParameters });
	const receivingPeer = await session.peer({ ip: '::1' });
	const receiving = await session.router.createPlainTransport({ listenInfo });
	await receiving.connect({ ip: '::1', port: receivingPeer.port });
	const consumer = await receiving.consume({
		producerId: producer.id,
		rtpCapabilities: session.router.rtpCapabilities,
	});
	const sender = new Sender(rtpParameters);
	for (let count = 0; count < 5; ++count) {
		peer.send(sender.nextOpus().bytes);
	}
	await receivingPeer.receive(consumer.rtpParameters.encodings[0].ssrc, 5);
});

test('connect() names what is wrong', BOUNDED, async t => {
	const session = await Session.create(t);
	const listenInfo = { protocol: 'udp', ip: '127.0.0.1' };
	const mux = await session.router.createPlainTransport({ listenInfo });
	await assert.rejects(mux.connect({ ip: '127.0.0.1', port: 9, rtcpPort: 10 }), TypeError);
	await assert.rejects(mux.connect({ port: 9 }), TypeError);
	await assert.rejects(mux.connect({ ip: 'chicken', port: 9 }), TypeError);
	await mux.connect({ ip: '127.0.0.1', port: 9 });
	await assert.rejects(mux.connect({ ip: '127.0.0.1', port: 9 }), { name: 'Error' });
	const two = await session.router.createPlainTransport({ listenInfo, rtcpMux: false });
	await assert.rejects(two.connect({ ip: '127.0.0.1', port: 9 }), TypeError);
	const srtp = await session.router.createPlainTransport({ listenInfo, enableSrtp: true });
	await assert.rejects(srtp.connect({ ip: '127.0.0.1', port: 9 }), TypeError);
});
