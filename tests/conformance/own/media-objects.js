'use strict';

const { mediasoup, next } = require('./library');
const { AUDIO_SSRC, VIDEO_SSRCS, audio, mediaCodecs, video } = require('./media');

describe('producers and consumers', () => {
	let worker;
	let router;
	let sending;
	let receiving;
	beforeEach(async () => {
		worker = await mediasoup.createWorker();
		router = await worker.createRouter({ mediaCodecs });
		sending = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'] });
		receiving = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'] });
	});
	afterEach(() => worker.close());

	const consume = (producer, options = {}) =>
		receiving.consume({ producerId: producer.id, rtpCapabilities: router.rtpCapabilities, ...options });

	test('a producer is dumped as it was made', async () => {
		const producer = await sending.produce({ ...audio(), paused: true });
		expect(producer).toMatchObject({ kind: 'audio', type: 'simple', paused: true, score: [] });
		const dump = await producer.dump();
		expect(dump).toMatchObject({
			id: producer.id,
			kind: 'audio',
			type: 'simple',
			paused: true,
			rtpStreams: [],
			traceEventTypes: '',
			rtpMapping: { codecs: [{ payloadType: 111 }], encodings: [{ rid: null, ssrc: AUDIO_SSRC }] },
		});
		const [codec] = dump.rtpParameters.codecs;
		expect(codec).toMatchObject({ mimeType: 'audio/opus', payloadType: 111, clockRate: 48000, channels: 2 });
		expect(codec.parameters).toEqual({ useinbandfec: 1, usedtx: 1, foo: 222.222, bar: '333' });
		expect(dump.rtpParameters.headerExtensions).toEqual([
			{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 1, encrypt: false, parameters: {} },
			{ uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level', id: 10, encrypt: false, parameters: {} },
		]);
		expect(dump.rtpParameters.encodings).toEqual([{ codecPayloadType: 111, ssrc: AUDIO_SSRC, dtx: true }]);
		expect(dump.rtpParameters.rtcp).toMatchObject({ cname: 'sound', reducedSize: true });
		expect(await producer.getStats()).toEqual([]);
		const transport = await sending.dump();
		expect(transport.rtpListener).toEqual({
			ssrcTable: { [AUDIO_SSRC]: producer.id },
			midTable: { AUDIO: producer.id },
			ridTable: {},
		});
		expect(transport.recvRtpHeaderExtensions).toEqual({ mid: 1 });
	});

	test('simulcast has its layers in dumps', async () => {
		const producer = await sending.produce(video());
		expect(producer.type).toBe('simulcast');
		const [encoding] = (await producer.dump()).rtpParameters.encodings;
		expect(encoding).toEqual({
			codecPayloadType: 112,
			ssrc: VIDEO_SSRCS[0],
			rtx: { ssrc: VIDEO_SSRCS[0] + 100 },
			maxBitrate: 1000000,
			scalabilityMode: 'S1T3',
			spatialLayers: 1,
			temporalLayers: 3,
			ksvc: false,
		});
	});

	test('producers are refused with what makes no sense', async () => {
		await expect(sending.produce({ kind: 'chicken', rtpParameters: {} })).rejects.toThrow(TypeError);
		await expect(sending.produce({ kind: 'audio', rtpParameters: {} })).rejects.toThrow(TypeError);
		const { rtpParameters } = video();
		const codecs = rtpParameters.codecs.map(codec => ({ ...codec, parameters: { apt: 96 } }));
		await expect(sending.produce({ kind: 'video', rtpParameters: { ...rtpParameters, codecs } })).rejects.toThrow(TypeError);
		await sending.produce(audio());
		// The same MID and SSRC.
		await expect(sending.produce(audio())).rejects.toThrow(Error);
	});

	test('a producer is paused, resumed and closed with its consumers told', async () => {
		const producer = await sending.produce(audio());
		const consumer = await consume(producer);
		for (const [method, event] of [['pause', 'producerpause'], ['resume', 'producerresume']]) {
			const told = next(consumer, event);
			await producer[method]();
			await told;
			expect(consumer.producerPaused).toBe(method === 'pause');
			expect((await consumer.dump()).producerPaused).toBe(method === 'pause');
			expect((await producer.dump()).paused).toBe(method === 'pause');
		}
		const closed = next(consumer, 'producerclose');
		producer.close();
		await closed;
		expect(consumer.closed).toBe(true);
		expect(await router.dump()).toMatchObject({ mapProducerIdConsumerIds: {}, mapConsumerIdProducerId: {} });
	});

	test('a consumer is dumped as it was made', async () => {
		const producer = await sending.produce(audio());
		const consumer = await consume(producer);
		expect(consumer).toMatchObject({ kind: 'audio', type: 'simple', paused: false, producerPaused: false, priority: 1 });
		expect(consumer.score).toEqual({ score: 10, producerScore: 0, producerScores: [0] });
		expect(consumer.preferredLayers).toBe(undefined);
		const dump = await consumer.dump();
		const [{ ssrc }] = consumer.rtpParameters.encodings;
		expect(dump).toMatchObject({
			id: consumer.id,
			producerId: producer.id,
			kind: 'audio',
			type: 'simple',
			supportedCodecPayloadTypes: [100],
			paused: false,
			producerPaused: false,
			priority: 1,
			traceEventTypes: '',
			rtpStream: { params: { ssrc, payloadType: 100, mimeType: 'audio/opus', clockRate: 48000 }, score: 10 },
		});
		expect(dump.rtpParameters.codecs[0].parameters).toEqual(consumer.rtpParameters.codecs[0].parameters);
		expect(dump).not.toHaveProperty('preferredSpatialLayer');
		expect(await router.dump()).toMatchObject({
			mapProducerIdConsumerIds: { [producer.id]: [consumer.id] },
			mapConsumerIdProducerId: { [consumer.id]: producer.id },
		});
		expect((await receiving.dump()).mapSsrcConsumerId).toEqual({ [ssrc]: consumer.id });
		const [stats] = await consumer.getStats();
		expect(stats).toMatchObject({ type: 'outbound-rtp', ssrc, kind: 'audio', mimeType: 'audio/opus', packetCount: 0 });
		expect(stats).not.toHaveProperty('jitter');
	});

	test('a consumer is paused, resumed and closed', async () => {
		const producer = await sending.produce(audio());
		const consumer = await consume(producer, { paused: true });
		expect(consumer.paused).toBe(true);
		await consumer.resume();
		expect((await consumer.dump()).paused).toBe(false);
		await consumer.pause();
		expect((await consumer.dump()).paused).toBe(true);
		consumer.close();
		expect(await router.dump()).toMatchObject({ mapProducerIdConsumerIds: { [producer.id]: [] } });
		await expect(consumer.dump()).rejects.toThrow(Error);
	});

	test('layers and priority are what was asked for', async () => {
		const simple = await consume(await sending.produce(audio()));
		await simple.setPreferredLayers({ spatialLayer: 1, temporalLayer: 1 });
		expect(simple.preferredLayers).toBe(undefined);
		const producer = await sending.produce(video());
		const consumer = await consume(producer, { preferredLayers: { spatialLayer: 12, temporalLayer: 0 } });
		expect(consumer.type).toBe('simulcast');
		expect(consumer.preferredLayers).toEqual({ spatialLayer: 1, temporalLayer: 0 });
		await consumer.setPreferredLayers({ spatialLayer: 0 });
		expect(consumer.preferredLayers).toEqual({ spatialLayer: 0, temporalLayer: 2 });
		expect(await consumer.dump()).toMatchObject({
			preferredSpatialLayer: 0,
			preferredTemporalLayer: 2,
			targetSpatialLayer: -1,
			targetTemporalLayer: -1,
			currentSpatialLayer: -1,
			currentTemporalLayer: -1,
		});
		for (const wrong of [{}, { spatialLayer: 'foo' }, { temporalLayer: 1 }]) {
			await expect(consumer.setPreferredLayers(wrong)).rejects.toThrow(TypeError);
		}
		await consumer.setPriority(2);
		expect((await consumer.dump()).priority).toBe(2);
		await expect(consumer.setPriority(0)).rejects.toThrow(TypeError);
		await consumer.unsetPriority();
		expect(consumer.priority).toBe(1);
	});

	test('traces are what was asked for, and unknown ones nothing', async () => {
		const producer = await sending.produce(video());
		const consumer = await consume(producer);
		for (const one of [producer, consumer]) {
			for (const [types, dumped] of [[['pli', 'rtp'], 'rtp,pli'], [[], ''], [['nack', 'FOO', 'fir'], 'nack,fir']]) {
				await one.enableTraceEvent(types);
				expect((await one.dump()).traceEventTypes).toBe(dumped);
			}
			await expect(one.enableTraceEvent('rtp')).rejects.toThrow(TypeError);
			await expect(one.enableTraceEvent([123])).rejects.toThrow(TypeError);
		}
	});
});
