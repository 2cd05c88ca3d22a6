'use strict';

const { mediasoup, next, pause } = require('./library');
const { AUDIO_SSRC, LEVEL_EXTENSION, audio, mediaCodecs, video } = require('./media');
const { rtp } = require('./rtp');

describe('observers', () => {
	let worker;
	let router;
	let transport;
	beforeEach(async () => {
		worker = await mediasoup.createWorker();
		router = await worker.createRouter({ mediaCodecs });
		transport = await router.createDirectTransport();
	});
	afterEach(() => worker.close());

	/** Half a second of somebody speaking at -20 dBov (RFC 6464). */
	async function speak(producer) {
		for (let number = 1; number <= 25; ++number) {
			producer.send(
				rtp({
					payloadType: 111,
					sequenceNumber: number,
					timestamp: 960 * number,
					ssrc: AUDIO_SSRC,
					extensions: [[LEVEL_EXTENSION, [0x80 | 20]]],
					payload: [1, 2, 3],
				})
			);
			await pause(20);
		}
	}

	test('tell volumes, and silence when nobody speaks any more', async () => {
		const observer = await router.createAudioLevelObserver({ maxEntries: 2, threshold: -70, interval: 300 });
		const producer = await transport.produce(audio());
		await observer.addProducer({ producerId: producer.id });
		expect(await router.dump()).toMatchObject({
			rtpObserverIds: [observer.id],
			mapProducerIdObserverIds: { [producer.id]: [observer.id] },
		});
		const volumes = next(observer, 'volumes');
		const silence = next(observer, 'silence');
		await speak(producer);
		expect(await volumes).toEqual([[{ producer, volume: -20 }]]);
		await silence;
		await observer.pause();
		expect(observer.paused).toBe(true);
		await observer.resume();
		await observer.removeProducer({ producerId: producer.id });
		expect((await router.dump()).mapProducerIdObserverIds).toEqual({ [producer.id]: [] });
		observer.close();
		expect((await router.dump()).rtpObserverIds).toEqual([]);
	});

	test('tell who speaks', async () => {
		const observer = await router.createActiveSpeakerObserver({ interval: 100 });
		const producer = await transport.produce(audio());
		await observer.addProducer({ producerId: producer.id });
		const speaker = next(observer, 'dominantspeaker');
		await speak(producer);
		expect(await speaker).toEqual([{ producer }]);
		observer.close();
		expect((await router.dump()).rtpObserverIds).toEqual([]);
	});

	test('are refused with what makes no sense', async () => {
		await expect(router.createAudioLevelObserver({ maxEntries: 0 })).rejects.toThrow(TypeError);
		await expect(router.createAudioLevelObserver({ threshold: 'foo' })).rejects.toThrow(TypeError);
		await expect(router.createActiveSpeakerObserver({ interval: false })).rejects.toThrow(TypeError);
		const observer = await router.createActiveSpeakerObserver();
		const producer = await transport.produce(video());
		await expect(observer.addProducer({ producerId: producer.id })).rejects.toThrow();
	});
});
