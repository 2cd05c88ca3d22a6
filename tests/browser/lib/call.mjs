// One participant's sound and pictures to another.

import { figures, isFluent, moves } from './check.mjs';

const HERTZ = 440;

/** Resolves with the consumers when they were seen and heard; `piped` is how a producer comes to the other's router. */
export async function call(t, from, to, { piped = async producer => producer, what = '' } = {}) {
	const sound = await to.consume(await piped(await from.publishTone(HERTZ)), { hertz: HERTZ });
	const video = await to.consume(await piped(await from.publishVideo()));
	const seen = await to.shows(video, 30);
	moves(seen);
	isFluent(seen);
	await to.hears(sound, 20);
	figures(t, seen, what);
	return { video, sound };
}
