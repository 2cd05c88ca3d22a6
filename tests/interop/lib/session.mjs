// What most tests start from: a worker with a router, a publisher's and receivers' transports. All of it goes
// when the test ends.

import * as mediasoup from 'mediasoup';

import { MEDIA_CODECS, Sender, h264Parameters, opusParameters, receiverCapabilities } from './media.mjs';
import { Peer } from './peer.mjs';

const LISTEN_INFO = { protocol: 'udp', ip: '127.0.0.1' };

export class Session {
	/** `t` is the test's context; `settings` are createWorker's. */
	static async create(t, settings = {}) {
		const worker = await mediasoup.createWorker({ logLevel: 'warn', logTags: ['rtp', 'rtcp'], ...settings });
		const session = new Session(worker, await worker.createRouter({ mediaCodecs: MEDIA_CODECS }));
		worker.on('died', error => {
			session.death = error;
		});
		t.after(() => session.close());
		return session;
	}

	constructor(worker, router) {
		this.worker = worker;
		this.router = router;
		this.peers = [];
	}

	async peer(options) {
		const peer = await Peer.create(options);
		this.peers.push(peer);
		return peer;
	}

	/** A peer and the plain transport it is connected to. */
	async connectedPeer({ rtcpMux = true, ...options } = {}) {
		const peer = await this.peer({ rtcpMux });
		const transport = await this.router.createPlainTransport({ listenInfo: LISTEN_INFO, rtcpMux, ...options });
		peer.talkTo(transport.tuple, transport.rtcpTuple);
		if (!options.comedia && !options.enableSrtp) {
			await transport.connect({ ip: peer.ip, port: peer.port, rtcpPort: peer.rtcpPort });
		}
		return { peer, transport };
	}

	/** A publisher of Opus with its producer. */
	async opusPublisher({ ssrc = 11_111_111, stream, transport: options, ...rest } = {}) {
		const { peer, transport } = await this.connectedPeer(options);
		const rtpParameters = opusParameters({ ssrc, ...rest });
		const producer = await transport.produce({ kind: 'audio', rtpParameters });
		return { peer, transport, producer, sender: new Sender(rtpParameters, stream) };
	}

	/** A publisher of H264 (with RTX unless `rtxSsrc` is undefined) with its producer. */
	async h264Publisher({ ssrc = 22_222_222, rtxSsrc, stream, transport: options, keyFrameRequestDelay, ...rest } = {}) {
		const { peer, transport } = await this.connectedPeer(options);
		const rtpParameters = h264Parameters({ ssrc, rtxSsrc, ...rest });
		const producer = await transport.produce({ kind: 'video', rtpParameters, keyFrameRequestDelay });
		return { peer, transport, producer, sender: new Sender(rtpParameters, stream) };
	}

	/** A receiver of a producer on a transport of its own. */
	async receiver(producer, { transport: options, rtx = true, ...rest } = {}) {
		const { peer, transport } = await this.connectedPeer(options);
		const consumer = await transport.consume({
			producerId: producer.id,
			rtpCapabilities: receiverCapabilities(this.router, { rtx }),
			...rest,
		});
		return { peer, transport, consumer, ssrc: consumer.rtpParameters.encodings[0].ssrc };
	}

	close() {
		this.peers.forEach(peer => peer.close());
		this.worker.close();
		if (this.death) {
			throw this.death;
		}
	}
}
