// A media peer: one UDP socket for RTP and RTCP, or a second one for RTCP, that keeps what it receives.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';

import { parseRtcp } from './rtcp.mjs';
import { isRtcp, parseRtp } from './rtp.mjs';
import { SrtpContext } from './srtp.mjs';
import { until } from './wait.mjs';

/** Large enough for a burst of a whole test. */
const RECEIVE_BUFFER_BYTES = 1 << 20;

async function bind(ip) {
	const socket = createSocket({ type: ip.includes(':') ? 'udp6' : 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
	socket.bind(0, ip);
	await once(socket, 'listening');
	return socket;
}

export class Peer {
	static async create({ ip = '127.0.0.1', rtcpMux = true } = {}) {
		return new Peer(ip, await bind(ip), rtcpMux ? undefined : await bind(ip));
	}

	constructor(ip, socket, rtcpSocket) {
		this.ip = ip;
		this.socket = socket;
		this.rtcpSocket = rtcpSocket;
		/** Parsed RTP packets in order of arrival, `from` being the sender's port. */
		this.rtp = [];
		/** Parsed RTCP packets (not compounds) in order of arrival. */
		this.rtcp = [];
		/** Why packets could not be unprotected. */
		this.srtpErrors = [];
		socket.on('message', (bytes, { port }) => this.#receive(bytes, port));
		rtcpSocket?.on('message', (bytes, { port }) => this.#receive(bytes, port));
	}

	get port() {
		return this.socket.address().port;
	}

	get rtcpPort() {
		return this.rtcpSocket?.address().port;
	}

	/** Where to send; `rtcp` is the tuple of a transport without rtcpMux. */
	talkTo(tuple, rtcpTuple) {
		this.remotePort = tuple.localPort;
		this.remoteRtcpPort = (rtcpTuple ?? tuple).localPort;
	}

	/** Keys as in `transport.srtpParameters`. */
	useSrtp({ sending, receiving }) {
		this.sendingSrtp = new SrtpContext(sending.cryptoSuite, sending.keyBase64);
		this.receivingSrtp = new SrtpContext(receiving.cryptoSuite, receiving.keyBase64);
	}

	/** Sends an RTP packet or an RTCP compound. */
	send(packet) {
		this.sendRaw(this.sendingSrtp ? this.sendingSrtp.protect(packet) : packet, isRtcp(packet));
	}

	sendRaw(bytes, asRtcp = false) {
		const socket = asRtcp ? (this.rtcpSocket ?? this.socket) : this.socket;
		socket.send(bytes, asRtcp ? this.remoteRtcpPort : this.remotePort, this.ip);
	}

	#receive(bytes, from) {
		let plain = bytes;
		if (this.receivingSrtp) {
			try {
				plain = this.receivingSrtp.unprotect(bytes);
			} catch (error) {
				this.srtpErrors.push(error);
				return;
			}
		}
		if (isRtcp(plain)) {
			this.rtcp.push(...parseRtcp(plain).map(packet => ({ ...packet, from })));
		} else {
			this.rtp.push({ ...parseRtp(plain), from });
		}
	}

	/** The packets of one stream so far. */
	stream(ssrc) {
		return this.rtp.filter(packet => packet.ssrc === ssrc);
	}

	/** Waits until the stream has so many packets and returns them. */
	async receive(ssrc, count) {
		try {
			await until(`${count} packets of SSRC ${ssrc}`, () => this.stream(ssrc).length >= count);
		} catch (error) {
			const got = this.rtp.map(packet => `${packet.ssrc}:${packet.sequenceNumber}`);
			const reasons = this.srtpErrors.map(reason => reason.message);
			throw new Error(`${error.message}; got ${got.join(' ') || 'nothing'} ${reasons.join(' ')}`);
		}
		return this.stream(ssrc);
	}

	/** Waits for an RTCP packet of a type, e.g. "pli", that `accepts` likes; looks at what came from `since` on. */
	async receiveRtcp(type, accepts = () => true, since = 0) {
		return until(`an RTCP ${type}`, () =>
			this.rtcp.slice(since).find(packet => packet.type === type && accepts(packet))
		);
	}

	countRtcp(type) {
		return this.rtcp.filter(packet => packet.type === type).length;
	}

	close() {
		this.socket.close();
		this.rtcpSocket?.close();
	}
}
