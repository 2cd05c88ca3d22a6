// Waiting with a bound: a test fails with what it waited for instead of hanging.

/** Far above what anything here takes on a busy machine, in ms. */
export const PATIENCE_MS = 8_000;

export function sleep(ms) {
	return new Promise(resolve => setTimeout(resolve, ms));
}

/** Resolves with the first truthy result of `condition`, looked at every few ms. */
export async function until(what, condition, patienceMs = PATIENCE_MS, intervalMs = 5) {
	const deadline = Date.now() + patienceMs;
	for (;;) {
		const result = await condition();
		if (result) {
			return result;
		}
		if (Date.now() > deadline) {
			throw new Error(`waited ${patienceMs} ms for ${what}`);
		}
		await sleep(intervalMs);
	}
}

/** Resolves with the arguments of the next event of that name. */
export function nextEvent(emitter, name, patienceMs = PATIENCE_MS) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => {
			emitter.off(name, listener);
			reject(new Error(`waited ${patienceMs} ms for the event "${name}"`));
		}, patienceMs);
		function listener(...values) {
			clearTimeout(timer);
			resolve(values);
		}
		emitter.once(name, listener);
	});
}
