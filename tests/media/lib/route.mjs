// The way of streams through the worker: a transport, a producer and a consumer for each.

import { randomBytes } from 'node:crypto';

import * as mediasoup from 'mediasoup';

import { keyAndSaltLength } from '../../interop/lib/srtp.mjs';

const LISTEN_INFO = { protocol: 'udp', ip: '127.0.0.1' };

const CODECS = {
	VP8: { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
	H264: {
		kind: 'video',
		mimeType: 'video/H264',
		clockRate: 90_000,
		parameters: { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 },
	},
	opus: { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
};

/** What the programs send: the codec's name in SDP, and numbers that are not the router's. */
export const VIDEO_SSRC = 22_222_222;
export const AUDIO_SSRC = 11_111_111;
const SENT_PAYLOAD_TYPES = { VP8: 122, H264: 123, opus: 121 };

export class Route {
	/** `t` is the test's context. */
	static async create(t) {
		const worker = await mediasoup.createWorker({ logLevel: 'warn', logTags: ['rtp', 'rtcp', 'srtp'] });
		t.after(() => worker.close());
		const mediaCodecs = Object.values(CODECS);
		return new Route(await worker.createRouter({ mediaCodecs }));
	}

	constructor(router) {
		this.router = router;
	}

	/**
	 * Lets a program send a stream. It is known by where it sends from, or (`from` undefined) by its first packet.
	 * Returns what the program has to know.
	 */
	async enter(codec, { suite, from, rtcpMux = false } = {}) {
		const { kind, mimeType, clockRate, channels, parameters } = CODECS[codec];
		const { transport, keys } = await this.#transport(suite, { rtcpMux, comedia: from === undefined }, from);
		const payloadType = SENT_PAYLOAD_TYPES[codec];
		const ssrc = kind === 'video' ? VIDEO_SSRC : AUDIO_SSRC;
		const rtcpFeedback = kind === 'video' ? [{ type: 'nack', parameter: 'pli' }] : [];
		const producer = await transport.produce({
			kind,
			rtpParameters: {
				codecs: [{ mimeType, clockRate, channels, parameters, payloadType, rtcpFeedback }],
				encodings: [{ ssrc }],
				rtcp: { cname: 'media' },
			},
		});
		const { tuple, rtcpTuple } = transport;
		return {
			codec,
			kind,
			clockRate,
			channels,
			ssrc,
			payloadType,
			port: tuple.localPort,
			rtcpPort: (rtcpTuple ?? tuple).localPort,
			keys,
			producer,
			transport,
		};
	}

	/** Lets a program receive a producer's stream at `to`, which begins with `consumer.resume()`. */
	async leave({ codec, kind, clockRate, channels, producer }, { suite, to, rtcpMux = false }) {
		const { transport, keys } = await this.#transport(suite, { rtcpMux }, to);
		const consumer = await transport.consume({
			producerId: producer.id,
			rtpCapabilities: this.router.rtpCapabilities,
			paused: true,
		});
		const [{ payloadType }] = consumer.rtpParameters.codecs;
		const [{ ssrc }] = consumer.rtpParameters.encodings;
		const { tuple, rtcpTuple } = transport;
		return {
			codec,
			kind,
			clockRate,
			channels,
			ssrc,
			payloadType,
			...to,
			remotePort: tuple.localPort,
			remoteRtcpPort: (rtcpTuple ?? tuple).localPort,
			keys,
			consumer,
			transport,
		};
	}

	/** A transport that is connected; `keys` are those of either direction, for the program. */
	async #transport(suite, options, remote) {
		const transport = await this.router.createPlainTransport({
			listenInfo: LISTEN_INFO,
			...options,
			...(suite && { enableSrtp: true, srtpCryptoSuite: suite }),
		});
		const sending = suite && {
			cryptoSuite: suite,
			keyBase64: randomBytes(keyAndSaltLength(suite)).toString('base64'),
		};
		if (remote || suite) {
			const { port, rtcpPort } = remote ?? {};
			await transport.connect({
				...(remote && { ip: '127.0.0.1', port, ...(!options.rtcpMux && { rtcpPort }) }),
				...(suite && { srtpParameters: sending }),
			});
		}
		return { transport, keys: suite && { suite, sending: sending.keyBase64, receiving: transport.srtpParameters.keyBase64 } };
	}
}
