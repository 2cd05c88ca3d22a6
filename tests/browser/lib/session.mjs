// A worker with routers, and participants in pages: what applications build, as little of it as tests need.

import * as mediasoup from 'mediasoup';

import { Participant } from './participant.mjs';

const MEDIA_CODECS = [
	{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
	{ kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
	{ kind: 'video', mimeType: 'video/VP9', clockRate: 90_000, parameters: { 'profile-id': 0 } },
	{ kind: 'video', mimeType: 'video/AV1', clockRate: 90_000 },
	{
		kind: 'video',
		mimeType: 'video/H264',
		clockRate: 90_000,
		parameters: { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 },
	},
];

export class Session {
	/** `t` is the test's context, `browser` a running one. */
	static async create(t, browser, { shards } = {}) {
		const environment = shards && { RINGSOUP_SHARDS: `${shards}` };
		const worker = await withEnvironment(environment, () =>
			mediasoup.createWorker({ logLevel: 'warn', logTags: ['ice', 'dtls', 'rtp', 'rtcp', 'srtp'] })
		);
		const session = new Session(worker, browser);
		worker.on('died', error => {
			session.death = error;
		});
		t.after(() => session.close());
		return session;
	}

	constructor(worker, browser) {
		this.worker = worker;
		this.browser = browser;
		this.participants = [];
	}

	router() {
		return this.worker.createRouter({ mediaCodecs: MEDIA_CODECS });
	}

	/**
	 * A page whose transports are on this router; `listen` is how they are created, `settings` what the page is to do otherwise,
	 * `through` which candidates it is told instead of the transports'.
	 */
	async participant(router, listen, settings, through) {
		const participant = await Participant.create(this.browser, router, listen, settings, through);
		this.participants.push(participant);
		return participant;
	}

	async close() {
		await Promise.all(this.participants.map(participant => participant.close()));
		this.worker.close();
		if (this.death) {
			throw this.death;
		}
		for (const { errors } of this.participants) {
			if (errors.length > 0) {
				throw errors[0];
			}
		}
	}
}

/** The worker inherits what is set while it is started. */
async function withEnvironment(variables = {}, start) {
	const before = Object.keys(variables).map(name => [name, process.env[name]]);
	Object.assign(process.env, variables);
	try {
		return await start();
	} finally {
		for (const [name, value] of before) {
			if (value === undefined) {
				delete process.env[name];
			} else {
				process.env[name] = value;
			}
		}
	}
}
