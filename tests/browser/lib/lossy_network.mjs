// A network between browsers and their worker that loses datagrams, each way, as a seed tells.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const LOOPBACK = '127.0.0.1';

/** Of a relay's sockets, in bytes: what a key frame's packets need while the test is busy otherwise. */
const RECEIVE_BUFFER = 1 << 20;

/** Addresses that a browser may send from through one relay: it has one, and one more after a restart of ICE. */
const PEERS_MAX = 4;

export class LossyNetwork {
	#loss;
	#seed;
	#relays = [];

	/** `loss` is the share that is lost, until it is set anew; the seed is told, so that a run can be had again. */
	constructor(t, { loss, seed }) {
		this.#loss = loss;
		this.#seed = seed;
		t.diagnostic(`seed ${seed}`);
		t.after(() => this.#relays.forEach(relay => relay.close()));
	}

	set loss(loss) {
		this.#loss = loss;
	}

	/** The candidates of a transport, on ports of relays to it. */
	through = candidates =>
		Promise.all(
			candidates.map(async candidate => {
				const relay = await Relay.create(candidate.port, [this.#dice(), this.#dice()]);
				this.#relays.push(relay);
				return { ...candidate, port: relay.port };
			})
		);

	/** Says of datagram after datagram whether it is lost. */
	#dice() {
		this.#seed += 1;
		const random = mulberry32(this.#seed);
		return () => random() < this.#loss;
	}

	/** How many packets of an RTP stream went into the network, and how many of them were lost. */
	stream(ssrc) {
		const counts = this.#relays.map(relay => relay.streams.get(ssrc)).filter(count => count);
		const sum = name => counts.reduce((total, count) => total + count[name], 0);
		return { sent: sum('sent'), lost: sum('lost') };
	}
}

/** One port before another, each way. */
class Relay {
	/** The worker's port is taken for one that a browser sends to; `dice` are those of the way to it and of the way back. */
	static async create(workerPort, dice) {
		const relay = new Relay(workerPort, dice);
		await relay.#listen();
		return relay;
	}

	constructor(workerPort, [thereIsLost, backIsLost]) {
		Object.assign(this, { workerPort, thereIsLost, backIsLost });
		/** By port of the browser: the socket that the worker knows it by. */
		this.backs = new Map();
		/** By SSRC, as RTP's header is in the clear also in SRTP. */
		this.streams = new Map();
		this.front = socket();
		this.front.on('message', (datagram, { port }) => this.#goesThere(datagram, port));
	}

	get port() {
		return this.front.address().port;
	}

	async #listen() {
		this.front.bind(0, LOOPBACK);
		await once(this.front, 'listening');
	}

	#goesThere(datagram, port) {
		if (!this.backs.has(port)) {
			if (this.backs.size === PEERS_MAX) {
				return;
			}
			const back = socket();
			back.on('message', answer => this.#comesBack(answer, port));
			this.backs.set(port, back);
		}
		if (!this.#isLost(datagram, this.thereIsLost)) {
			// The socket is bound with its first datagram, and keeps what is sent before that.
			this.backs.get(port).send(datagram, this.workerPort, LOOPBACK);
		}
	}

	#comesBack(datagram, port) {
		if (!this.#isLost(datagram, this.backIsLost)) {
			this.front.send(datagram, port, LOOPBACK);
		}
	}

	#isLost(datagram, dice) {
		const isLost = dice();
		if (isRtp(datagram)) {
			const ssrc = datagram.readUInt32BE(8);
			const count = this.streams.get(ssrc) ?? { sent: 0, lost: 0 };
			count.sent += 1;
			count.lost += Number(isLost);
			this.streams.set(ssrc, count);
		}
		return isLost;
	}

	close() {
		this.front.close();
		this.backs.forEach(back => back.close());
	}
}

function socket() {
	return createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER });
}

/** RTP and not RTCP, STUN or DTLS (RFC 7983, RFC 5761 section 4). */
function isRtp(datagram) {
	return datagram.length >= 12 && datagram[0] >> 6 === 2 && !(datagram[1] >= 192 && datagram[1] <= 223);
}

/** A small generator of even numbers in [0, 1) from 32 bits of state. */
function mulberry32(seed) {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}
