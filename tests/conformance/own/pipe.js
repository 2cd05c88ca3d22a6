'use strict';

const { hasWebRtcServers, mediasoup, next } = require('./library');
const { mediaCodecs, video } = require('./media');

describe('pipe transport', () => {
	let worker;
	let routers;
	beforeEach(async () => {
		worker = await mediasoup.createWorker();
		routers = [await worker.createRouter({ mediaCodecs }), await worker.createRouter({ mediaCodecs })];
	});
	afterEach(() => worker.close());

	test('is created, dumped and connected', async () => {
		const transport = await routers[0].createPipeTransport({ listenIp: '127.0.0.1', enableRtx: true, enableSrtp: true });
		const suite = hasWebRtcServers ? 'AEAD_AES_256_GCM' : 'AES_CM_128_HMAC_SHA1_80';
		expect(transport.srtpParameters.cryptoSuite).toBe(suite);
		const { tuple, srtpParameters } = transport;
		expect(await transport.dump()).toMatchObject({ id: transport.id, tuple, rtx: true, srtpParameters });
		expect(tuple).toEqual({ localIp: '127.0.0.1', localPort: tuple.localPort, protocol: 'udp' });
		await expect(transport.connect({ ip: '127.0.0.1', port: 9999 })).rejects.toThrow(TypeError);
		await transport.connect({ ip: '127.0.0.1', port: 9999, srtpParameters });
		expect(transport.tuple).toEqual({ ...tuple, remoteIp: '127.0.0.1', remotePort: 9999 });
		const [stats] = await transport.getStats();
		expect(stats).toMatchObject({ type: 'pipe-transport', transportId: transport.id, tuple: transport.tuple });
		await expect(transport.connect({ ip: '127.0.0.1', port: 9999, srtpParameters })).rejects.toThrow(Error);
	});

	test('takes a producer to another router', async () => {
		const transport = await routers[0].createWebRtcTransport({ listenIps: ['127.0.0.1'] });
		const producer = await transport.produce(video());
		const { pipeConsumer, pipeProducer } = await routers[0].pipeToRouter({ producerId: producer.id, router: routers[1] });
		expect(pipeConsumer.type).toBe('pipe');
		expect(pipeProducer.id).toBe(producer.id);
		const dump = await pipeConsumer.dump();
		expect(dump).toMatchObject({ id: pipeConsumer.id, type: 'pipe', kind: 'video', producerId: producer.id });
		expect(dump.rtpStreams).toHaveLength(2);
		expect(dump).not.toHaveProperty('rtpStream');
		expect(dump).not.toHaveProperty('preferredSpatialLayer');
		expect(await pipeConsumer.getStats()).toHaveLength(2);
		expect((await routers[0].dump()).mapProducerIdConsumerIds).toEqual({ [producer.id]: [pipeConsumer.id] });
		const paused = next(pipeProducer.observer, 'pause');
		await producer.pause();
		await paused;
		const closed = next(pipeProducer.observer, 'close');
		producer.close();
		await closed;
	});

	test('takes a data producer to another router', async () => {
		const transport = await routers[0].createDirectTransport();
		const dataProducer = await transport.produceData({ label: 'piped' });
		const piped = { dataProducerId: dataProducer.id, router: routers[1] };
		const { pipeDataConsumer, pipeDataProducer } = await routers[0].pipeToRouter(piped);
		expect(pipeDataConsumer).toMatchObject({ type: 'sctp', label: 'piped', dataProducerId: dataProducer.id });
		expect(pipeDataProducer).toMatchObject({ id: dataProducer.id, type: 'sctp', label: 'piped' });
	});
});
