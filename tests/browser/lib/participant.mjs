// A page and its two transports: what a test tells it to do, and what the page asks of the server meanwhile.

import { until } from '../../interop/lib/wait.mjs';
import { withDescriptors } from './descriptors.mjs';

/** Far above what anything here takes on a busy machine, in ms. */
export const PATIENCE_MS = 45_000;
/** A look costs the page, which has to decode, some time. */
const LOOK_EVERY_MS = 100;

const UDP = { listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }] };

export class Participant {
	static async create(browser, router, listen = UDP, settings = {}, through = candidates => candidates) {
		const participant = new Participant(router);
		const { page, errors } = await browser.page((name, data) => participant.#answer(name, data));
		participant.page = page;
		participant.errors = errors;
		participant.rtpCapabilities = await participant.#call('load', router.rtpCapabilities);
		for (const direction of ['send', 'recv']) {
			const transport = await router.createWebRtcTransport(listen);
			participant.transports.set(direction, transport);
			const { id, iceParameters, dtlsParameters } = transport;
			const iceCandidates = await through(transport.iceCandidates);
			await participant.#call('openTransport', direction, { id, iceParameters, iceCandidates, dtlsParameters }, settings);
		}
		return participant;
	}

	constructor(router) {
		this.router = router;
		/** The server's ends, by direction. */
		this.transports = new Map();
		/** The server's producers, by id. */
		this.producers = new Map();
	}

	#call(method, ...args) {
		return this.page.evaluate(([name, values]) => window.client[name](...values), [method, args]);
	}

	/** What the page's library asks of the server. */
	async #answer(name, { transportId, ...data }) {
		const transport = [...this.transports.values()].find(({ id }) => id === transportId);
		switch (name) {
			case 'connect':
				return transport.connect(data);
			case 'produce': {
				const producer = await transport.produce(data);
				this.producers.set(producer.id, producer);
				return producer.id;
			}
			default:
				throw new TypeError(`the page asks for "${name}"`);
		}
	}

	/** Publishes and returns the server's producer. */
	async publish(options) {
		return this.producers.get(await this.#call('publish', options));
	}

	publishVideo(codec = 'video/VP8') {
		return this.publish({ kind: 'video', codec });
	}

	publishTone(hertz) {
		return this.publish({ kind: 'audio', codec: 'audio/opus', hertz });
	}

	/**
	 * Consumes a producer of the participant's router, `hertz` being the tone to listen for, `descriptors` whether dependency
	 * descriptors shall come along, and `enableRtx` as the library has it; it flows when this returns.
	 */
	async consume(producer, { hertz, descriptors = false, enableRtx } = {}) {
		const rtpCapabilities = descriptors ? withDescriptors(this.router, producer, this.rtpCapabilities) : this.rtpCapabilities;
		const consumer = await this.transports.get('recv').consume({
			producerId: producer.id,
			rtpCapabilities,
			enableRtx,
			paused: true,
		});
		const { id, producerId, kind, rtpParameters } = consumer;
		await this.#call('consume', { id, producerId, kind, rtpParameters, hertz });
		await consumer.resume();
		return consumer;
	}

	report(consumer) {
		return this.#call('report', consumer.id);
	}

	sent(producer) {
		return this.#call('sent', producer.id);
	}

	/** Begins a stage of a consumer's pictures; its reports tell what came since. */
	begin(consumer) {
		return this.#call('begin', consumer.id);
	}

	encodes(...what) {
		return this.#call('encodes', ...what);
	}

	/** Has the page send no layers of a simulcast above this one. */
	sendUpTo(producer, spatialLayer) {
		return this.#call('sendUpTo', producer.id, spatialLayer);
	}

	changeEncoding(producer, change) {
		return this.#call('changeEncoding', producer.id, change);
	}

	path(direction) {
		return this.#call('path', direction);
	}

	/** Waits until a consumer's report is as wanted, and returns it. */
	async expects(consumer, what, isSo) {
		return this.#until(what, () => this.report(consumer), isSo);
	}

	/** Waits until the way of a transport is as wanted, and returns it. */
	async reaches(direction, what, isSo) {
		return this.#until(what, () => this.path(direction), isSo);
	}

	async #until(what, look, isSo) {
		let last;
		try {
			return await until(
				what,
				async () => {
					last = await look();
					return (await isSo(last)) && last;
				},
				PATIENCE_MS,
				LOOK_EVERY_MS
			);
		} catch (error) {
			const ways = { send: await this.path('send'), recv: await this.path('recv') };
			throw new Error(`${error.message}; the page has ${JSON.stringify(last)} ${JSON.stringify(ways)}`);
		}
	}

	/** Waits until a consumer shows so many more pictures than in `since`. */
	shows(consumer, pictures, since = { pictures: 0 }) {
		return this.expects(consumer, `${pictures} pictures`, report => report.pictures >= since.pictures + pictures);
	}

	/** Waits until a tone was heard in so many more blocks of 50 ms than in `since`. */
	hears(consumer, blocks, since = { heard: 0 }) {
		return this.expects(consumer, `${blocks} blocks of the tone`, report => report.heard >= since.heard + blocks);
	}

	/** Waits until nothing comes any more for a second, and returns the report then. */
	async stands(consumer) {
		let last = await this.report(consumer);
		let since = Date.now();
		return this.expects(consumer, 'nothing to come for a second', report => {
			if (report.packetsReceived !== last.packetsReceived || report.pictures !== last.pictures) {
				since = Date.now();
			}
			last = report;
			return Date.now() - since >= 1_000;
		});
	}

	async restartIce(direction) {
		const iceParameters = await this.transports.get(direction).restartIce();
		await this.#call('restartIce', direction, iceParameters);
	}

	/** Pauses the server's producer, then the page's, which sends black pictures meanwhile. */
	async pause(producer) {
		await producer.pause();
		await this.#call('pauseProducer', producer.id);
	}

	async resume(producer) {
		await this.#call('resumeProducer', producer.id);
		await producer.resume();
	}

	close() {
		return this.page.close();
	}
}
