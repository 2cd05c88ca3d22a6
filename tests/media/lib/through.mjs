// Media of one program through the worker to another.

import { decoded, isPicture, isTone } from './check.mjs';
import { Route } from './route.mjs';

const HERTZ = 440;
/** How often an application would ask again, in ms. */
const KEY_FRAME_INTERVAL_MS = 1_000;

/**
 * `sender` and `receiver` are the modules of programs; `suites` of SRTP for either side, none being plain RTP; so many
 * `receivers`, one after the other.
 */
export async function throughWorker(t, { sender, receiver, codecs, suites = {}, receivers = 1 }) {
	const route = await Route.create(t);
	const entries = [];
	for (const codec of codecs) {
		const from = await sender.sendFrom();
		entries.push({ ...(await route.enter(codec, { suite: suites.in, from })), from });
	}
	const sending = sender.send(t, entries, { hertz: HERTZ });
	for (let count = 0; count < receivers; ++count) {
		const exits = [];
		for (const entry of entries) {
			const to = await receiver.listenAt();
			exits.push({ ...(await route.leave(entry, { suite: suites.out, to })), to });
		}
		const received = await receiver.receive(t, exits);
		await Promise.all(exits.map(({ consumer }) => consumer.resume()));
		const asking = receiver.ASKS_FOR_KEY_FRAMES ? undefined : keepAsking(exits);
		try {
			await decoded([sending], received);
		} finally {
			clearInterval(asking);
		}
		isPicture(received.video, sender.testPicture());
		isTone(received.audio, HERTZ);
		await received.tool.end();
	}
}

function keepAsking(exits) {
	const { consumer } = exits.find(({ kind }) => kind === 'video');
	return setInterval(() => void consumer.requestKeyFrame(), KEY_FRAME_INTERVAL_MS);
}
