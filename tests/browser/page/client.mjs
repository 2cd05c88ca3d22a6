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

	async publish({ kind, codec, hertz, width = WIDTH, height = (width * 3) / 4, encodings, codecOptions }) {
		const track = kind === 'video' ? await camera(width, height) : tone(hertz);
		const producer = await this.#transports.get('send').produce({
			track,
			encodings,
			codec: this.#device.rtpCapabilities.codecs.find(({ mimeType }) => mimeType === codec),
			codecOptions: { videoGoogleStartBitrate: 500, ...codecOptions },
		});
		if (kind === 'video') {
			await keepResolution(producer.rtpSender);
		}
		this.#producers.set(producer.id, producer);
		return producer.id;
	}

	/** Whether this browser makes such a stream, by its own word. */
	async encodes(contentType, scalabilityMode, { width, height }, bitrate) {
		const video = { contentType, width, height, framerate: FRAME_RATE, bitrate, scalabilityMode };
		const { supported } = await navigator.mediaCapabilities.encodingInfo({ type: 'webrtc', video });
		return supported;
	}

	/** The sender ceases to send the layers of a simulcast above this one, or begins again. */
	sendUpTo(producerId, spatialLayer) {
		return this.#producers.get(producerId).setMaxSpatialLayer(spatialLayer);
	}

	/** The sender's only encoding gets another form. */
	async changeEncoding(producerId, change) {
		await this.#producers.get(producerId).setRtpEncodingParameters(change);
	}

	/** Shows or plays a consumer; the clock for its first picture starts here. */
	async consume({ hertz, ...options }) {
		const startedAt = performance.now();
		const consumer = await this.#transports.get('recv').consume(options);
		const watch = consumer.kind === 'video' ? new PictureWatch(consumer.track, startedAt) : new SoundWatch(consumer.track, hertz);
		this.#consumers.set(consumer.id, { consumer, watch });
	}

	/** Begins a stage of a consumer's pictures. */
	begin(consumerId) {
		this.#consumers.get(consumerId).watch.begin();
	}

	/** What came of a consumer so far: by the browser's statistics, and by looking and listening. */
	async report(consumerId) {
		const { consumer, watch } = this.#consumers.get(consumerId);
		const stats = [...(await consumer.getStats()).values()].find(({ type }) => type === 'inbound-rtp') ?? {};
		const names = [
			...['packetsReceived', 'packetsLost', 'nackCount', 'pliCount', 'framesDecoded', 'keyFramesDecoded'],
			...['freezeCount', 'totalFreezesDuration', 'totalAudioEnergy', 'frameWidth', 'concealedSamples'],
			...['framesReceived', 'framesDropped', 'retransmittedPacketsReceived', 'totalSamplesReceived'],
		];
		return { ...Object.fromEntries(names.map(name => [name, stats[name] ?? 0])), ...watch.report() };
	}

	/** What a producer has sent. */
	async sent(producerId) {
		const stats = [...(await this.#producers.get(producerId).getStats()).values()];
		return stats.filter(({ type }) => type === 'outbound-rtp');
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

/** On a busy machine a sender shall make fewer pictures, not smaller ones, of whose size tests tell layers. */
async function keepResolution(sender) {
	await sender.setParameters({ ...sender.getParameters(), degradationPreference: 'maintain-resolution' });
}

/** The browser's own test camera, which moves. */
async function camera(width, height) {
	const video = { width, height, frameRate: FRAME_RATE };
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
