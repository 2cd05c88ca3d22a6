'use strict';

const dgram = require('dgram');

const { mediasoup, next } = require('./library');
const { AUDIO_SSRC, audio, mediaCodecs } = require('./media');
const { rtp } = require('./rtp');

const KEY = 'ZnQ3eWJraDg0d3ZoYzM5cXN1Y2pnaHU5NWxrZTVv';

describe('plain transport', () => {
	let worker;
	let router;
	let socket;
	beforeEach(async () => {
		worker = await mediasoup.createWorker();
		router = await worker.createRouter({ mediaCodecs });
		socket = dgram.createSocket('udp4');
		await new Promise(resolve => socket.bind(0, '127.0.0.1', resolve));
	});
	afterEach(() => {
		socket.close();
		worker.close();
	});

	test('is created, dumped and connected', async () => {
		const transport = await router.createPlainTransport({
			listenIp: { ip: '127.0.0.1', announcedIp: '9.9.9.1' },
			rtcpMux: false,
			enableSctp: true,
		});
		const local = tuple => ({ localIp: '9.9.9.1', localPort: tuple.localPort, protocol: 'udp' });
		expect(transport.tuple).toEqual(local(transport.tuple));
		expect(transport.rtcpTuple).toEqual(local(transport.rtcpTuple));
		expect(transport.sctpParameters).toMatchObject({ port: 5000, OS: 1024, MIS: 1024, maxMessageSize: 262144 });
		expect(await transport.dump()).toMatchObject({
			id: transport.id,
			rtcpMux: false,
			comedia: false,
			tuple: transport.tuple,
			rtcpTuple: transport.rtcpTuple,
			sctpParameters: transport.sctpParameters,
			sctpState: 'new',
		});
		expect(await transport.dump()).not.toHaveProperty('srtpParameters');
		await transport.connect({ ip: '1.2.3.4', port: 1234, rtcpPort: 1235 });
		expect(transport.tuple).toMatchObject({ remoteIp: '1.2.3.4', remotePort: 1234, protocol: 'udp' });
		expect(transport.rtcpTuple).toMatchObject({ remoteIp: '1.2.3.4', remotePort: 1235, protocol: 'udp' });
		const [stats] = await transport.getStats();
		expect(stats).toMatchObject({ type: 'plain-rtp-transport', rtcpMux: false, comedia: false, tuple: transport.tuple });
		await expect(transport.connect({ ip: '1.2.3.4', port: 1234, rtcpPort: 1235 })).rejects.toThrow(Error);
	});

	test('is encrypted by what both sides say', async () => {
		const transport = await router.createPlainTransport({ listenIp: '127.0.0.1', enableSrtp: true });
		expect(transport.srtpParameters.cryptoSuite).toBe('AES_CM_128_HMAC_SHA1_80');
		expect(transport.srtpParameters.keyBase64).toHaveLength(40);
		const connect = srtpParameters => transport.connect({ ip: '127.0.0.2', port: 9999, srtpParameters });
		for (const wrong of [undefined, 1, { keyBase64: KEY }, { cryptoSuite: 'FOO', keyBase64: KEY }]) {
			await expect(connect(wrong)).rejects.toThrow(TypeError);
		}
		await connect({ cryptoSuite: 'AES_CM_128_HMAC_SHA1_32', keyBase64: KEY });
		expect(transport.srtpParameters.cryptoSuite).toBe('AES_CM_128_HMAC_SHA1_32');
		expect((await transport.dump()).srtpParameters).toEqual(transport.srtpParameters);
	});

	test('learns where a peer sends from', async () => {
		const transport = await router.createPlainTransport({ listenIp: '127.0.0.1', rtcpMux: false, comedia: true });
		const producer = await transport.produce(audio());
		const tuple = next(transport, 'tuple');
		const score = next(producer, 'score');
		const packet = rtp({ payloadType: 111, sequenceNumber: 1, timestamp: 1, ssrc: AUDIO_SSRC, payload: [1, 2, 3] });
		socket.send(packet, transport.tuple.localPort, '127.0.0.1');
		const remote = { remoteIp: '127.0.0.1', remotePort: socket.address().port, protocol: 'udp' };
		expect((await tuple)[0]).toMatchObject(remote);
		expect(transport.tuple).toMatchObject(remote);
		expect(await score).toEqual([[{ encodingIdx: 0, ssrc: AUDIO_SSRC, score: 10 }]]);
		const rtcpTuple = next(transport, 'rtcptuple');
		// A receiver report about nothing.
		const report = Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 1]);
		socket.send(report, transport.rtcpTuple.localPort, '127.0.0.1');
		expect((await rtcpTuple)[0]).toMatchObject(remote);
		const [stats] = await transport.getStats();
		expect(stats.rtpBytesReceived).toBe(packet.length);
		expect((await producer.getStats())[0]).toMatchObject({ type: 'inbound-rtp', ssrc: AUDIO_SSRC, packetCount: 1 });
	});

	test('is refused with what makes no sense', async () => {
		await expect(router.createPlainTransport({})).rejects.toThrow(TypeError);
		await expect(router.createPlainTransport({ listenIp: '999.0.0.1' })).rejects.toThrow(TypeError);
		await expect(router.createPlainTransport({ listenIp: '8.8.8.8' })).rejects.toThrow(Error);
		const transport = await router.createPlainTransport({ listenIp: '127.0.0.1', rtcpMux: true });
		await expect(transport.connect({})).rejects.toThrow(TypeError);
		await expect(transport.connect({ ip: '::::1234' })).rejects.toThrow(TypeError);
		await expect(transport.connect({ ip: '127.0.0.1', port: 1234, rtcpPort: 1235 })).rejects.toThrow(TypeError);
	});
});
