// What a receiver must have decoded, whichever program sent and whichever received.

import assert from 'node:assert/strict';

import { until } from '../../interop/lib/wait.mjs';
import { PATIENCE_MS } from './tool.mjs';

const PICTURES = 40;
const SECONDS = 1.5;

/** Correlation: encoders of few bits blur, and scalers differ. */
const LIKENESS_MIN = 0.95;
/** The tone's share of the sound's energy in most blocks; noise has about 0.001. */
const TONE_MIN = 0.9;
/** Silence is 0, the tone some thousands. */
const LOUDNESS_MIN = 300;

/** The node:test timeout of a test that decodes once or twice. */
export const BOUNDED = { timeout: 2 * PATIENCE_MS + 10_000 };

/** Waits until `received` has enough of its streams, while `senders` and the receiver live. */
export async function decoded(senders, received) {
	await until(
		`${PICTURES} pictures and ${SECONDS} s of sound`,
		() => {
			[...senders, received.tool].forEach(tool => tool.check());
			const { video, audio } = received;
			return (!video || video.count >= PICTURES) && (!audio || audio.seconds >= SECONDS);
		},
		PATIENCE_MS
	).catch(error => {
		const got = `${received.video?.count ?? 0} pictures, ${received.audio?.seconds ?? 0} s of sound`;
		const said = [...senders, received.tool].flatMap(tool => [`${tool.command}:`, ...tool.messages]);
		throw new Error(`${error.message}; got ${got}\n${said.join('\n')}`);
	});
}

/** The pictures are the sent one, and move. On a starved machine a socket's buffer overflows: one in ten may be spoilt. */
export function isPicture(pictures, sent) {
	const { count, changes } = pictures;
	assert.ok(changes >= count / 2, `${changes} of ${count} pictures differ from the one before`);
	const like = pictures.countLike(sent, LIKENESS_MIN);
	assert.ok(like >= 0.9 * count, `${like} of ${count} pictures are like the sent one`);
}

/** The sound is the sent tone. */
export function isTone(sound, hertz) {
	const { share, rms } = sound.tone(hertz, SECONDS);
	assert.ok(rms >= LOUDNESS_MIN, `the loudness is ${rms.toFixed(0)}`);
	assert.ok(share >= TONE_MIN, `the tone of ${hertz} Hz is ${share.toFixed(3)} of the sound`);
}
