'use strict';

const { mediasoup, next, pause } = require('./library');
const { ORIENTATION_EXTENSION, VIDEO_SSRCS, AUDIO_SSRC, audio, mediaCodecs, video } = require('./media');
const { pli, readRtp, rtcpKinds, rtp, vp8 } = require('./rtp');

const PLI = [206, 1];

describe('direct transport', () => {
	let worker;
	let router;
	let sending;
	let receiving;
	beforeEach(async () => {
		worker = await mediasoup.createWorker();
		router = await worker.createRouter({ mediaCodecs });
		sending = await router.createDirectTransport();
		receiving = await router.createDirectTransport({ maxMessageSize: 1024 });
	});
	afterEach(() => worker.close());

	const consume = (producer, options = {}) =>
		receiving.consume({ producerId: producer.id, rtpCapabilities: router.rtpCapabilities, ...options });

	/** One frame of each layer, with the number of the frame. */
	const sendPicture = (producer, number, { isKeyFrame = true, extensions = [] } = {}) => {
		for (const ssrc of VIDEO_SSRCS) {
			producer.send(
				rtp({
					payloadType: 112,
					sequenceNumber: number,
					timestamp: 3000 * number,
					ssrc,
					marker: true,
					extensions,
					payload: vp8(number, isKeyFrame),
				})
			);
		}
	};

	test('is dumped and tells its statistics', async () => {
		expect(await receiving.dump()).toMatchObject({ id: receiving.id, direct: true, maxMessageSize: 1024 });
		expect(await receiving.dump()).not.toHaveProperty('sctpParameters');
		const [stats] = await receiving.getStats();
		expect(stats).toMatchObject({ type: 'direct-transport', transportId: receiving.id, bytesReceived: 0 });
		await receiving.connect();
	});

	test('forwards RTP', async () => {
		const producer = await sending.produce(audio());
		const consumer = await consume(producer);
		const score = next(producer, 'score');
		const received = next(consumer, 'rtp');
		producer.send(rtp({ payloadType: 111, sequenceNumber: 1, timestamp: 1, ssrc: AUDIO_SSRC, payload: [7, 8, 9] }));
		const [packet] = await received;
		expect(readRtp(packet)).toEqual({
			payloadType: 100,
			ssrc: consumer.rtpParameters.encodings[0].ssrc,
			payload: Buffer.from([7, 8, 9]),
		});
		expect(await score).toEqual([[{ encodingIdx: 0, ssrc: AUDIO_SSRC, score: 10 }]]);
		expect(producer.score).toEqual([{ encodingIdx: 0, ssrc: AUDIO_SSRC, score: 10 }]);
		const [inbound] = await producer.getStats();
		expect(inbound).toMatchObject({
			type: 'inbound-rtp',
			ssrc: AUDIO_SSRC,
			kind: 'audio',
			mimeType: 'audio/opus',
			packetsLost: 0,
			fractionLost: 0,
			packetsDiscarded: 0,
			packetsRetransmitted: 0,
			packetsRepaired: 0,
			nackCount: 0,
			nackPacketCount: 0,
			pliCount: 0,
			firCount: 0,
			score: 10,
			jitter: 0,
			packetCount: 1,
		});
		expect(inbound.byteCount).toBeGreaterThan(0);
		const stats = await consumer.getStats();
		expect(stats.map(one => [one.type, one.packetCount])).toEqual([['outbound-rtp', 1], ['inbound-rtp', 1]]);
		const { ringsoupShards } = await worker.dump();
		expect(ringsoupShards[0].forwardedPackets).toBe(1);
	});

	test('forwards the layers that are wanted, and says which', async () => {
		const producer = await sending.produce(video());
		const consumer = await consume(producer);
		const layers = next(consumer, 'layerschange', value => value && value.spatialLayer === 1);
		const score = next(consumer, 'score');
		const received = next(consumer, 'rtp');
		for (let number = 1; number <= 3; ++number) {
			sendPicture(producer, number);
			await pause(50);
		}
		expect(readRtp((await received)[0]).ssrc).toBe(consumer.rtpParameters.encodings[0].ssrc);
		expect((await score)[0].producerScores).toHaveLength(2);
		expect((await layers)[0]).toEqual({ spatialLayer: 1, temporalLayer: expect.any(Number) });
		expect(consumer.currentLayers).toMatchObject({ spatialLayer: 1 });
		expect(await consumer.dump()).toMatchObject({ currentSpatialLayer: 1, targetSpatialLayer: 1 });
		const gone = next(consumer, 'layerschange', value => value === undefined || value === null);
		await consumer.pause();
		await gone;
	});

	test('asks for key frames by RTCP', async () => {
		const producer = await sending.produce(video());
		const consumer = await consume(producer);
		sendPicture(producer, 1);
		const asked = next(sending, 'rtcp', packet => rtcpKinds(packet).some(([type, format]) => type === PLI[0] && format === PLI[1]));
		await consumer.requestKeyFrame();
		await asked;
		expect((await producer.getStats()).some(({ pliCount }) => pliCount > 0)).toBe(true);
	});

	test('takes RTCP and traces it', async () => {
		const producer = await sending.produce(video());
		const consumer = await consume(producer);
		await consumer.enableTraceEvent(['pli']);
		sendPicture(producer, 1);
		const traced = next(consumer, 'trace');
		const [{ ssrc }] = consumer.rtpParameters.encodings;
		receiving.sendRtcp(pli(ssrc));
		expect((await traced)[0]).toEqual({ type: 'pli', timestamp: expect.any(Number), direction: 'in', info: { ssrc } });
	});

	test('traces packets', async () => {
		const producer = await sending.produce(video());
		await producer.enableTraceEvent(['rtp', 'keyframe']);
		for (const isKeyFrame of [true, false]) {
			const traced = next(producer, 'trace', trace => trace.info.ssrc === VIDEO_SSRCS[0]);
			sendPicture(producer, isKeyFrame ? 1 : 2, { isKeyFrame });
			expect((await traced)[0]).toMatchObject({
				type: isKeyFrame ? 'keyframe' : 'rtp',
				direction: 'in',
				info: {
					payloadType: 112,
					sequenceNumber: isKeyFrame ? 1 : 2,
					marker: true,
					isKeyFrame,
					size: expect.any(Number),
					payloadSize: expect.any(Number),
					spatialLayer: 0,
					temporalLayer: 0,
				},
			});
		}
	});

	test('says how a picture lies', async () => {
		const producer = await sending.produce(video());
		const turned = next(producer, 'videoorientationchange');
		// Camera at the back, flipped, turned by 270 degrees (3GPP TS 26.114 section 7.4.5).
		sendPicture(producer, 1, { extensions: [[ORIENTATION_EXTENSION, [0x0f]]] });
		expect(await turned).toEqual([{ camera: true, flip: true, rotation: 270 }]);
	});
});
