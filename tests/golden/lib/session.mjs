// One application's session with a library: every method once at least, with as much said as it can say, and media
// over direct transports for what the worker tells by itself. Options that a version does not know it ignores.

import { once } from 'node:events';

import { MEDIA_CODECS, OPUS, SIMULCAST, SINGLE, opusPacket, reports, requests, videoPackets } from './media.mjs';

/** Sent and told within this, in ms; observers tell every so often. */
const TOLD_WITHIN_MS = 3_000;

const IP = '127.0.0.1';
/** Above those that the kernel hands out, so that they are free and the same in every recording. */
const FIRST_PORT = 62_000;

const SCTP = {
	enableSctp: true,
	numSctpStreams: { OS: 300, MIS: 600 },
	// Before 3.20, and from then on.
	maxSctpMessageSize: 222_222,
	sctpSendBufferSize: 333_333,
	maxSendMessageSize: 222_222,
	maxReceiveMessageSize: 211_111,
	sctpPerStreamSendQueueLimit: 444_444,
	sctpMaxReceiverWindowBufferSize: 555_555,
	sctpDefaultStreamBufferedAmountLowThreshold: 66_666,
};

export async function session(mediasoup, { secrets, label }) {
	let port = FIRST_PORT;
	const listen = (protocol = 'udp', more = {}) => ({ protocol, ip: IP, port: port++, ...more });
	/** Before 3.13 transports listen on addresses, and there is less to say of them. */
	const byAddress = Number(mediasoup.version.split('.')[1]) < 13;
	const address = ({ ip, announcedIp }) => ({ ip, announcedIp });
	const on = (info, rtcpListenInfo) =>
		byAddress ? { listenIp: address(info), port: info.port } : { listenInfo: info, ...(rtcpListenInfo && { rtcpListenInfo }) };
	const onAll = infos =>
		byAddress ? { listenIps: infos.map(address), port: infos[0].port } : { listenInfos: infos };
	/** Does something under its name. */
	const step = async (name, act) => {
		label(name);
		return act();
	};
	/** Whether this version can. */
	const has = (object, method) => typeof object[method] === 'function';

	const worker = await step('createWorker', () =>
		mediasoup.createWorker({ logLevel: 'warn', logTags: ['info', 'ice'] })
	);
	await step('worker.updateSettings', () => worker.updateSettings({ logLevel: 'error', logTags: ['rtp', 'rtcp', 'sctp'] }));
	await step('worker.getResourceUsage', () => worker.getResourceUsage());
	// From 3.10 on.
	const servers = has(worker, 'createWebRtcServer');
	const server = await step('worker.createWebRtcServer', () =>
		servers &&
		worker.createWebRtcServer({
			listenInfos: [
				listen('udp', { announcedIp: '1.2.3.4', announcedAddress: '1.2.3.4', sendBufferSize: 65_000, recvBufferSize: 66_000 }),
				listen('tcp', { announcedAddress: 'host.example', flags: { ipv6Only: false, udpReusePort: false } }),
			],
		})
	);
	const router = await step('worker.createRouter', () => worker.createRouter({ mediaCodecs: MEDIA_CODECS }));

	// Transports.
	const learn = transport => {
		const { iceParameters, srtpParameters } = transport;
		if (iceParameters) {
			secrets.add(iceParameters.usernameFragment, iceParameters.password);
		}
		if (srtpParameters) {
			secrets.add(srtpParameters.keyBase64);
		}
		return transport;
	};
	const served = learn(
		await step('router.createWebRtcTransport through a server', () =>
			router.createWebRtcTransport({ ...(servers ? { webRtcServer: server } : onAll([listen()])), preferUdp: true, initialAvailableOutgoingBitrate: 1_000_000, ...SCTP })
		)
	);
	await step('webRtcServer.dump', () => servers && server.dump());
	const webRtc = learn(
		await step('router.createWebRtcTransport', () =>
			router.createWebRtcTransport({
				...onAll([
					listen('udp', {
						announcedIp: '5.6.7.8',
						announcedAddress: '5.6.7.8',
						exposeInternalIp: true,
						portRange: { min: 63_000, max: 63_010 },
						flags: { ipv6Only: false, udpReusePort: true },
						sendBufferSize: 70_000,
						recvBufferSize: 80_000,
					}),
					...(byAddress ? [] : [listen('tcp')]),
				]),
				enableUdp: true,
				enableTcp: true,
				preferTcp: true,
				initialAvailableOutgoingBitrate: 4_294_967_295,
				iceConsentTimeout: 25,
				...SCTP,
			})
		)
	);
	await step('webRtcTransport.dump', () => webRtc.dump());
	await step('webRtcTransport.getStats', () => webRtc.getStats());
	await step('webRtcTransport.connect', () =>
		webRtc.connect({
			dtlsParameters: {
				role: 'client',
				fingerprints: [
					{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AA').join(':') },
					{ algorithm: 'sha-1', value: Array.from({ length: 20 }, () => 'BB').join(':') },
				],
			},
		})
	);
	learn({ iceParameters: await step('webRtcTransport.restartIce', () => webRtc.restartIce()) });
	await step('transport.setMaxIncomingBitrate', () => webRtc.setMaxIncomingBitrate(1_500_000));
	await step('transport.setMaxOutgoingBitrate', () => webRtc.setMaxOutgoingBitrate(4_294_967_295));
	await step('transport.setMinOutgoingBitrate', () => has(webRtc, 'setMinOutgoingBitrate') && webRtc.setMinOutgoingBitrate(0));
	await step('transport.enableTraceEvent', () => webRtc.enableTraceEvent(['probation', 'bwe']));
	await step('transport.enableTraceEvent of nothing', () => webRtc.enableTraceEvent());
	const comedia = await step('router.createPlainTransport comedia', () =>
		router.createPlainTransport({ ...on(listen('udp', { announcedAddress: '9.9.9.9' })), rtcpMux: true, comedia: true, ...SCTP })
	);
	const plain = learn(
		await step('router.createPlainTransport with RTCP apart and SRTP', () =>
			router.createPlainTransport({
				...on(listen(), listen()),
				rtcpMux: false,
				enableSrtp: true,
				srtpCryptoSuite: 'AES_CM_128_HMAC_SHA1_32',
			})
		)
	);
	await step('plainTransport.connect', () =>
		plain.connect({
			ip: IP,
			port: 9_998,
			rtcpPort: 9_999,
			srtpParameters: {
				cryptoSuite: 'AES_CM_128_HMAC_SHA1_32',
				keyBase64: 'ZnQ3eWJraDg0d3ZoYzM5cXN1Y2pnaHU5NWxrZTVv',
			},
		})
	);
	await step('plainTransport.dump', () => plain.dump());
	await step('plainTransport.getStats', () => plain.getStats());
	const pipe = learn(
		await step('router.createPipeTransport', () =>
			router.createPipeTransport({ ...on(listen()), enableRtx: true, enableSrtp: true, ...SCTP })
		)
	);
	await step('pipeTransport.connect', () =>
		pipe.connect({
			ip: IP,
			port: 9_997,
			srtpParameters: {
				cryptoSuite: 'AEAD_AES_256_GCM',
				keyBase64: 'YTdjcDBvY2JoMGY5YXNlNDc0eDFsdGh0aWp1ZDhmcW1kZ3c1aGcxc2s0NGM=',
			},
		}).catch(() => undefined)
	);
	// Its first versions cannot.
	await step('pipeTransport.dump', () => pipe.dump().catch(() => undefined));
	await step('pipeTransport.getStats', () => pipe.getStats());
	const direct = await step('router.createDirectTransport', () =>
		router.createDirectTransport({ maxMessageSize: 123_456, maxSendMessageSize: 123_456, maxReceiveMessageSize: 123_456 })
	);

	// Producers.
	const audio = await step('transport.produce Opus', () =>
		direct.produce({ kind: 'audio', rtpParameters: OPUS })
	);
	const video = await step('transport.produce H264 with RTX, paused', () =>
		direct.produce({ kind: 'video', rtpParameters: SINGLE, paused: true, keyFrameRequestDelay: 4_000 })
	);
	const simulcast = await step('transport.produce VP8 simulcast', () =>
		webRtc.produce({ kind: 'video', rtpParameters: SIMULCAST, enableMediasoupPacketIdHeaderExtension: true })
	);
	await step('producer.resume', () => video.resume());
	await step('producer.enableTraceEvent', () => video.enableTraceEvent(['rtp', 'keyframe', 'nack', 'pli', 'fir', 'sr']));
	await step('producer.enableTraceEvent of nothing', () => audio.enableTraceEvent());

	// Consumers.
	const { rtpCapabilities } = router;
	const heard = await step('transport.consume Opus', () =>
		direct.consume({ producerId: audio.id, rtpCapabilities, mid: 'AUDIO', ignoreDtx: true })
	);
	const seen = await step('transport.consume H264, paused', () =>
		direct.consume({ producerId: video.id, rtpCapabilities, paused: true, enableRtx: true })
	);
	await step('consumer.enableTraceEvent', () => seen.enableTraceEvent(['rtp', 'keyframe', 'nack', 'pli', 'fir']));
	await step('consumer.resume', () => seen.resume());
	const layered = await step('transport.consume VP8 simulcast, layers preferred', () =>
		served.consume({
			producerId: simulcast.id,
			rtpCapabilities,
			preferredLayers: { spatialLayer: 1, temporalLayer: 2 },
		})
	);
	await step('transport.consume everything', () => comedia.consume({ producerId: simulcast.id, rtpCapabilities, pipe: true }));
	await step('pipeTransport.consume', () => pipe.consume({ producerId: video.id }));
	await step('consumer.setPreferredLayers', () => layered.setPreferredLayers({ spatialLayer: 2, temporalLayer: 1 }));
	await step('consumer.setPreferredLayers without temporal', () => layered.setPreferredLayers({ spatialLayer: 0 }));
	await step('consumer.setPriority', () => layered.setPriority(255));
	await step('consumer.unsetPriority', () => layered.unsetPriority());
	await step('consumer.requestKeyFrame', () => layered.requestKeyFrame());

	// Observers.
	const levels = await step('router.createAudioLevelObserver', () =>
		router.createAudioLevelObserver({ maxEntries: 3, threshold: -70, interval: 400 })
	);
	const speakers = await step('router.createActiveSpeakerObserver', () =>
		router.createActiveSpeakerObserver({ interval: 500 })
	);
	await step('rtpObserver.addProducer', () => levels.addProducer({ producerId: audio.id }));
	await step('rtpObserver.addProducer to another', () => speakers.addProducer({ producerId: audio.id }));
	await step('rtpObserver.pause', () => speakers.pause());
	await step('rtpObserver.resume', () => speakers.resume());

	// Media: what the worker tells by itself is recorded with it.
	label('media');
	const told = [
		...[audio, video].map(producer => happens(producer, 'score')),
		...[heard, seen].map(consumer => happens(consumer, 'rtp')),
		happens(video, 'videoorientationchange'),
		happens(levels, 'volumes'),
	];
	for (let count = 0; count < 12; ++count) {
		audio.send(opusPacket(count));
	}
	videoPackets().forEach(packet => video.send(packet));
	await Promise.all(told);
	await step('transport.sendRtcp', async () => {
		direct.sendRtcp(reports());
		// Answered after it was traced, where that is known.
		await video.getStats();
	});
	await step('transport.sendRtcp of requests', async () => {
		const { ssrc } = seen.rtpParameters.encodings[0];
		// The publisher is asked too.
		const asked = happens(direct, 'rtcp');
		for (const packet of requests(ssrc)) {
			const traced = happens(seen, 'trace');
			direct.sendRtcp(packet);
			await traced;
		}
		await asked;
	});
	label('silence');
	await happens(levels, 'silence');
	for (const [name, object] of Object.entries({ producer: video, consumer: seen, directTransport: direct, router, worker })) {
		await step(`${name}.dump`, () => object.dump());
		if (has(object, 'getStats')) {
			await step(`${name}.getStats`, () => object.getStats());
		}
	}
	await step('consumer.dump of layers', () => layered.dump());
	await step('consumer.pause', () => seen.pause());
	await step('producer.pause', () => video.pause());

	// Data.
	const spoken = await step('transport.produceData', () => direct.produceData({ label: 'foo', protocol: 'bar' }));
	const stream = await step('transport.produceData on a stream', () =>
		webRtc.produceData({
			label: 'chat',
			protocol: 'json',
			paused: true,
			sctpStreamParameters: { streamId: 12, ordered: false, maxPacketLifeTime: 5_000 },
		})
	);
	const read = await step('transport.consumeData', () =>
		direct.consumeData({ dataProducerId: spoken.id, subchannels: [0, 1, 65_535], paused: true })
	);
	await step('transport.consumeData on a stream', () =>
		served.consumeData({ dataProducerId: spoken.id, ordered: false, maxRetransmits: 3 })
	);
	await step('dataConsumer.resume', () => has(read, 'resume') && read.resume());
	await step('dataProducer.resume', () => has(stream, 'resume') && stream.resume());
	await step('dataProducer.send', async () => {
		const message = happens(read, 'message');
		spoken.send('a text', undefined, [1, 2], 1);
		spoken.send(Buffer.from([1, 2, 3]), undefined, [0]);
		spoken.send('', undefined);
		await message;
	});
	await step('dataConsumer.setSubchannels', () => has(read, 'setSubchannels') && read.setSubchannels([3, 4]));
	if (has(read, 'addSubchannel')) {
		await step('dataConsumer.addSubchannel', () => read.addSubchannel(5));
		await step('dataConsumer.removeSubchannel', () => read.removeSubchannel(3));
	}
	for (const [name, object] of Object.entries({ dataProducer: spoken, dataConsumer: read })) {
		await step(`${name}.dump`, () => object.dump());
		await step(`${name}.getStats`, () => object.getStats());
	}
	await step('dataProducer.pause', () => has(spoken, 'pause') && spoken.pause());
	await step('dataConsumer.pause', () => has(read, 'pause') && read.pause());
	await step('dataConsumer.send', () => read.send('to the application').catch(() => undefined));
	await step('dataConsumer.setBufferedAmountLowThreshold', () =>
		read.setBufferedAmountLowThreshold(77_777).catch(() => undefined)
	);
	await step('dataConsumer.getBufferedAmount', () => read.getBufferedAmount().catch(() => undefined));

	// An error, and the end of everything.
	await step('transport.produce with an SSRC that is taken', () =>
		direct.produce({ kind: 'audio', rtpParameters: { ...OPUS, mid: 'other' } }).then(
			() => Promise.reject(new Error('the SSRC was not taken')),
			() => undefined
		)
	);
	await step('rtpObserver.removeProducer', () => levels.removeProducer({ producerId: audio.id }));
	/** Closing waits for nothing: what comes of it is recorded under its name. */
	const close = (name, object) =>
		step(`${name}.close`, async () => {
			object.close();
			await worker.getResourceUsage();
		});
	await close('dataConsumer', read);
	await close('dataProducer', spoken);
	await close('rtpObserver', levels);
	await close('consumer', heard);
	await close('producer', video);
	await close('transport', pipe);
	if (servers) {
		await close('webRtcServer', server);
	}
	await close('router', router);
	await step('worker.close', async () => {
		worker.close();
		await new Promise(resolve => setTimeout(resolve, 100));
	});
}

/** Fails where an event is not told. */
function happens(object, event) {
	return once(object, event, { signal: AbortSignal.timeout(TOLD_WITHIN_MS) }).catch(() => {
		throw new Error(`waited ${TOLD_WITHIN_MS} ms for ${event}`);
	});
}
