// What runs in the page: a participant that does what a test tells it, by the library applications use.

import { Device } from 'mediasoup-client';

import { PictureWatch } from './picture.mjs';
import { SoundWatch } from './sound.mjs';

const WIDTH = 320;
const FRAME_RATE = 15;

/** Browsers' own certificates have keys on a curve unless they are asked. */
const RSA = {
	name: 'RSASSA-PKCS1-v1_5',
	hash: 'SHA-256',
	modulusLength: 2_048,
	publicExponent: new Uint8Array([1, 0, 1]),
};

class Client {
	#device;
	#transports = new Map();
	#producers = new Map();
	#consumers = new Map();

	async load(routerRtpCapabilities) {
		this.#device = await Device.factory({ handlerName: 'Chrome111' });
		await this.#device.load({ routerRtpCapabilities });
		return this.#device.rtpCapabilities;
	}

	/** The page's end of a transport; what the library wants to tell the server goes through `window.signal`. */
	async openTransport(direction, described, { rsa = false } = {}) {
		const additionalSettings = rsa ? { certificates: [await RTCPeerConnection.generateCertificate(RSA)] } : {};
		const options = { ...described, additionalSettings };
		const transport =
			direction === 'send' ? this.#device.createSendTransport(options) : this.#device.createRecvTransport(options);
		const ask = (name, data) => window.signal(name, { transportId: transport.id, ...data });
		transport.on('connect', ({ dtlsParameters }, done, failed) => {
			ask('connect', { dtlsParameters }).then(done, failed);
		});
		transport.on('produce', ({ kind, rtpParameters }, done, failed) => {
			ask('produce', { kind, rtpParameters }).then(id => done({ id }), failed);
		});
		this.#transports.set(direction, transport);
	}

	async publish({ kind, codec, hertz, width = WIDTH, encodings }) {
		const track = kind === 'video' ? await camera(width) : tone(hertz);
		const producer = await this.#transports.get('send').produce({
			track,
			encodings,
			codec: this.#device.rtpCapabilities.codecs.find(({ mimeType }) => mimeType === codec),
			codecOptions: { videoGoogleStartBitrate: 500 },
		});
		this.#producers.set(producer.id, producer);
		return producer.id;
	}

	/** Shows or plays a consumer; the clock for its first picture starts here. */
	async consume({ hertz, ...options }) {
		const startedAt = performance.now();
		const consumer = await this.#transports.get('recv').consume(options);
		const watch = consumer.kind === 'video' ? new PictureWatch(consumer.track, startedAt) : new SoundWatch(consumer.track, hertz);
		this.#consumers.set(consumer.id, { consumer, watch });
	}

	/** What came of a consumer so far: by the browser's statistics, and by looking and listening. */
	async report(consumerId) {
		const { consumer, watch } = this.#consumers.get(consumerId);
		const stats = [...(await consumer.getStats()).values()].find(({ type }) => type === 'inbound-rtp') ?? {};
		const names = [
			...['packetsReceived', 'packetsLost', 'nackCount', 'pliCount', 'framesDecoded', 'keyFramesDecoded'],
			...['freezeCount', 'totalFreezesDuration', 'totalAudioEnergy', 'frameWidth', 'concealedSamples'],
		];
		return { ...Object.fromEntries(names.map(name => [name, stats[name] ?? 0])), ...watch.report() };
	}

	/** What a producer has sent. */
	async sent(producerId) {
		const stats = [...(await this.#producers.get(producerId).getStats()).values()];
		return stats.filter(({ type }) => type === 'outbound-rtp').map(({ packetsSent, framesEncoded, keyFramesEncoded, encoderImplementation, rid }) => ({
			...{ packetsSent, framesEncoded, keyFramesEncoded, encoderImplementation, rid },
		}));
	}

	/** A transport's state, and of the pair in use the protocol, the server's port and its fragment. */
	async path(direction) {
		const transport = this.#transports.get(direction);
		const stats = await transport.getStats();
		const { selectedCandidatePairId } = [...stats.values()].find(({ type }) => type === 'transport') ?? {};
		const pair = stats.get(selectedCandidatePairId);
		const remote = pair && stats.get(pair.remoteCandidateId);
		return { state: transport.connectionState, protocol: remote?.protocol, port: remote?.port, usernameFragment: remote?.usernameFragment };
	}

	restartIce(direction, iceParameters) {
		return this.#transports.get(direction).restartIce({ iceParameters });
	}

	pauseProducer(id) {
		this.#producers.get(id).pause();
	}

	resumeProducer(id) {
		this.#producers.get(id).resume();
	}
}

/** The browser's own test camera, which moves. */
async function camera(width) {
	const video = { width, height: (width * 3) / 4, frameRate: FRAME_RATE };
	const stream = await navigator.mediaDevices.getUserMedia({ video });
	return stream.getVideoTracks()[0];
}

function tone(hertz) {
	const context = new AudioContext();
	const oscillator = new OscillatorNode(context, { frequency: hertz });
	const destination = context.createMediaStreamDestination();
	oscillator.connect(destination);
	oscillator.start();
	return destination.stream.getAudioTracks()[0];
}

window.client = new Client();
