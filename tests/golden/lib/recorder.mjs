// What crosses the channel between a library and its worker, frame by frame.

import { createRequire } from 'node:module';

const PREFIX_BYTES = 4;

const require = createRequire(import.meta.url);

/** Hands every frame to `seen(direction, frame)`; to be made before the library starts a worker. */
export function record(seen) {
	const processes = require('node:child_process');
	const { spawn } = processes;
	processes.spawn = (...args) => {
		const child = spawn(...args);
		const [toWorker, fromWorker] = [child.stdio[3], child.stdio[4]];
		const write = toWorker.write.bind(toWorker);
		toWorker.write = (frame, ...rest) => {
			seen('>', Buffer.from(frame));
			return write(frame, ...rest);
		};
		let waiting = Buffer.alloc(0);
		fromWorker.prependListener('data', chunk => {
			waiting = Buffer.concat([waiting, chunk]);
			while (waiting.length >= PREFIX_BYTES) {
				const end = PREFIX_BYTES + waiting.readUInt32LE(0);
				if (waiting.length < end) {
					break;
				}
				seen('<', Buffer.from(waiting.subarray(0, end)));
				waiting = waiting.subarray(end);
			}
		});
		return child;
	};
}

/** Ids and numbers that libraries choose at random are the same in every recording. */
export function choosePredictably() {
	const crypto = require('node:crypto');
	let chosen = 0;
	crypto.randomUUID = () => `00000000-0000-4000-8000-${`${++chosen}`.padStart(12, '0')}`;
	crypto.randomInt = (...args) => args[0] + 11_111 * ++chosen;
}
