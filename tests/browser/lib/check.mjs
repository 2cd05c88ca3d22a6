// What a report of a consumer must say.

import assert from 'node:assert/strict';

import { PATIENCE_MS } from './participant.mjs';

/** The node:test option of a test, which waits a few times at most. */
export const BOUNDED = { timeout: 4 * PATIENCE_MS };

/** The test camera's picture has more structure than this; a gray or black one has none. */
const SPREAD_MIN = 8;

/** The pictures move, and each of them shows something. */
export function moves({ pictures, changes, leastSpread }) {
	assert.ok(changes >= pictures / 2, `${changes} of ${pictures} pictures differ from the one before`);
	assert.ok(leastSpread >= SPREAD_MIN, `a picture's luma spreads by ${leastSpread} only`);
}

/** Of a call of a few seconds. An undisturbed one has none or one. */
const FREEZES_MAX = 3;

/** Nothing was lost that was not repaired, but for what a busy machine loses. */
export function losesLittle({ packetsReceived, packetsLost }) {
	assert.ok(packetsLost <= packetsReceived / 50, `${packetsLost} packets of ${packetsReceived} were lost`);
}

/** Little was lost, and what a browser calls a freeze was rare: the machine may be busy, not the worker. */
export function isFluent(report) {
	const { freezeCount, framesDecoded } = report;
	losesLittle(report);
	assert.ok(freezeCount <= FREEZES_MAX, `${freezeCount} freezes in ${framesDecoded} pictures`);
}

/** Tells what was measured. */
export function figures(t, { framesDecoded, firstPictureMs, freezeCount, packetsReceived, packetsLost, keyFramesDecoded }, what = '') {
	t.diagnostic(
		`${what}${framesDecoded} pictures (${keyFramesDecoded} key), the first after ${Math.round(firstPictureMs)} ms, ` +
			`${freezeCount} freezes, ${packetsLost} of ${packetsReceived} packets lost`
	);
}
