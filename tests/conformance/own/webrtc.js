'use strict';

const dgram = require('dgram');

const { hasWebRtcServers, mediasoup, next } = require('./library');
const { mediaCodecs } = require('./media');
const { nominate } = require('./stun');

const FINGERPRINT = {
	algorithm: 'sha-256',
	value: '82:5A:68:3D:36:C3:0A:DE:AF:E7:32:43:D2:88:83:57:AC:2D:65:E5:80:C4:B6:FB:AF:1A:A0:21:9F:6D:0C:AD',
};

describe('WebRTC transport', () => {
	let worker;
	let router;
	let socket;
	beforeEach(async () => {
		worker = await mediasoup.createWorker();
		router = await worker.createRouter({ mediaCodecs });
		socket = dgram.createSocket('udp4');
	});
	afterEach(() => {
		socket.close();
		worker.close();
	});

	test('is created and dumped', async () => {
		const transport = await router.createWebRtcTransport({
			listenIps: [{ ip: '127.0.0.1', announcedIp: '9.9.9.1' }, '127.0.0.1'],
			enableTcp: true,
			preferUdp: true,
			enableSctp: true,
			numSctpStreams: { OS: 2048, MIS: 2048 },
			maxSctpMessageSize: 1000000,
		});
		const data = await transport.dump();
		expect(data).toMatchObject({
			id: transport.id,
			direct: false,
			producerIds: [],
			consumerIds: [],
			mapSsrcConsumerId: {},
			mapRtxSsrcConsumerId: {},
			dataProducerIds: [],
			dataConsumerIds: [],
			recvRtpHeaderExtensions: {},
			rtpListener: { ssrcTable: {}, midTable: {}, ridTable: {} },
			iceRole: 'controlled',
			iceParameters: transport.iceParameters,
			iceCandidates: transport.iceCandidates,
			iceState: 'new',
			dtlsParameters: transport.dtlsParameters,
			dtlsState: 'new',
			sctpParameters: transport.sctpParameters,
			sctpState: 'new',
			sctpListener: { streamIdTable: {} },
			traceEventTypes: '',
		});
		expect(data).not.toHaveProperty('iceSelectedTuple');
		expect(transport.iceParameters).toMatchObject({ iceLite: true });
		expect(transport.sctpParameters).toMatchObject({ port: 5000, OS: 2048, MIS: 2048, maxMessageSize: 1000000 });
		const candidates = transport.iceCandidates;
		expect(candidates.map(candidate => [candidate.ip, candidate.protocol, candidate.tcpType])).toEqual([
			['9.9.9.1', 'udp', undefined],
			['9.9.9.1', 'tcp', 'passive'],
			['127.0.0.1', 'udp', undefined],
			['127.0.0.1', 'tcp', 'passive'],
		]);
		expect(candidates.every(candidate => candidate.type === 'host' && candidate.port > 0)).toBe(true);
		expect(transport.dtlsParameters.role).toBe('auto');
		expect(transport.dtlsParameters.fingerprints.map(one => one.algorithm)).toContain('sha-256');
		expect(await router.dump()).toMatchObject({ transportIds: [transport.id] });
		transport.close();
		expect(await router.dump()).toMatchObject({ transportIds: [] });
		await expect(transport.dump()).rejects.toThrow(Error);
	});

	test('tells its statistics', async () => {
		const transport = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'] });
		const [stats, ...more] = await transport.getStats();
		expect(more).toEqual([]);
		expect(stats).toMatchObject({
			type: 'webrtc-transport',
			transportId: transport.id,
			iceRole: 'controlled',
			iceState: 'new',
			dtlsState: 'new',
			bytesReceived: 0,
			recvBitrate: 0,
			bytesSent: 0,
			sendBitrate: 0,
			rtpBytesReceived: 0,
			rtpRecvBitrate: 0,
			rtpBytesSent: 0,
			rtpSendBitrate: 0,
			rtxBytesReceived: 0,
			rtxRecvBitrate: 0,
			rtxBytesSent: 0,
			rtxSendBitrate: 0,
			probationBytesSent: 0,
			probationSendBitrate: 0,
		});
		for (const absent of ['iceSelectedTuple', 'sctpState', 'maxIncomingBitrate']) {
			expect(stats).not.toHaveProperty(absent);
		}
		await transport.setMaxIncomingBitrate(100000);
		await transport.setMaxOutgoingBitrate(200000);
		expect((await transport.getStats())[0].maxIncomingBitrate).toBe(100000);
	});

	test('connects once, with parameters that make sense', async () => {
		const transport = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'] });
		const refused = [{}, { dtlsParameters: {} }, { dtlsParameters: { role: 'chicken', fingerprints: [FINGERPRINT] } }];
		for (const wrong of refused) {
			await expect(transport.connect(wrong)).rejects.toThrow(TypeError);
		}
		const fingerprints = [{ algorithm: 'sha-256000', value: FINGERPRINT.value }];
		await expect(transport.connect({ dtlsParameters: { role: 'client', fingerprints } })).rejects.toThrow(TypeError);
		expect(transport.dtlsParameters.role).toBe('auto');
		const dtlsParameters = { role: 'client', fingerprints: [FINGERPRINT] };
		await transport.connect({ dtlsParameters });
		expect(transport.dtlsParameters.role).toBe('server');
		await expect(transport.connect({ dtlsParameters })).rejects.toThrow(Error);
	});

	test('has new credentials after a restart of ICE', async () => {
		const transport = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'] });
		const before = { ...transport.iceParameters };
		const parameters = await transport.restartIce();
		expect(parameters).toEqual(transport.iceParameters);
		expect(parameters.iceLite).toBe(true);
		expect(parameters.usernameFragment).not.toBe(before.usernameFragment);
		expect(parameters.password).not.toBe(before.password);
		expect(await transport.dump()).toMatchObject({ iceParameters: parameters });
	});

	test('traces what it is asked to', async () => {
		const transport = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'] });
		for (const [types, dumped] of [[['bwe', 'probation'], 'probation,bwe'], [['bwe'], 'bwe'], [[], '']]) {
			await transport.enableTraceEvent(types);
			expect((await transport.dump()).traceEventTypes).toBe(dumped);
		}
		await expect(transport.enableTraceEvent([123])).rejects.toThrow(TypeError);
	});

	test('tells the way that a peer has taken', async () => {
		const transport = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'] });
		const [candidate] = transport.iceCandidates;
		const tuple = next(transport, 'iceselectedtuplechange');
		const state = next(transport, 'icestatechange', value => value === 'completed');
		const dtls = next(transport, 'dtlsstatechange');
		await new Promise(resolve => socket.bind(0, '127.0.0.1', resolve));
		await transport.connect({ dtlsParameters: { role: 'server', fingerprints: [FINGERPRINT] } });
		socket.send(nominate(transport.iceParameters), candidate.port, candidate.ip);
		await state;
		const expected = {
			localIp: '127.0.0.1',
			localPort: candidate.port,
			remoteIp: '127.0.0.1',
			remotePort: socket.address().port,
			protocol: 'udp',
		};
		expect(await tuple).toEqual([expected]);
		expect(transport.iceSelectedTuple).toEqual(expected);
		expect(await dtls).toEqual(['connecting']);
		const [stats] = await transport.getStats();
		expect(stats).toMatchObject({ iceState: 'completed', dtlsState: 'connecting', iceSelectedTuple: expected });
	});

	test('is refused without an address', async () => {
		await expect(router.createWebRtcTransport({})).rejects.toThrow(TypeError);
		await expect(router.createWebRtcTransport({ listenIps: [123] })).rejects.toThrow(TypeError);
		await expect(router.createWebRtcTransport({ listenIps: ['999.0.0.1'] })).rejects.toThrow(TypeError);
		await expect(router.createWebRtcTransport({ listenIps: ['1.2.3.4'] })).rejects.toThrow(Error);
	});

	if (!hasWebRtcServers) {
		return;
	}

	test('listens through a server', async () => {
		const listenInfos = ['udp', 'tcp'].map(protocol => ({ protocol, ip: '127.0.0.1', announcedIp: '9.9.9.1', port: 40123 }));
		const server = await worker.createWebRtcServer({ listenInfos });
		expect(await server.dump()).toMatchObject({
			id: server.id,
			udpSockets: [{ ip: '127.0.0.1', port: 40123 }],
			tcpServers: [{ ip: '127.0.0.1', port: 40123 }],
			webRtcTransportIds: [],
			localIceUsernameFragments: [],
			tupleHashes: [],
		});
		await expect(worker.createWebRtcServer({ listenInfos: [] })).rejects.toThrow(TypeError);
		await expect(worker.createWebRtcServer({ listenInfos })).rejects.toThrow(Error);
		const transport = await router.createWebRtcTransport({ webRtcServer: server, enableTcp: true });
		expect(transport.iceCandidates.map(candidate => [candidate.ip, candidate.port, candidate.protocol])).toEqual([
			['9.9.9.1', 40123, 'udp'],
			['9.9.9.1', 40123, 'tcp'],
		]);
		const { usernameFragment } = transport.iceParameters;
		expect(await server.dump()).toMatchObject({
			webRtcTransportIds: [transport.id],
			localIceUsernameFragments: [{ localIceUsernameFragment: usernameFragment, webRtcTransportId: transport.id }],
		});
		const closed = next(transport, 'listenserverclose');
		server.close();
		await closed;
		expect(transport.closed).toBe(true);
		expect(await worker.dump()).toMatchObject({ webRtcServerIds: [] });
		expect(await router.dump()).toMatchObject({ transportIds: [] });
	});
});
