// What crosses the channels between a library and its worker, frame by frame.

import { createRequire } from 'node:module';

const PREFIX_BYTES = 4;

const require = createRequire(import.meta.url);

/** The first frame of what came, and where the next begins; undefined while it is not whole. */
export const FRAMINGS = {
	/** With its prefix, from which flatbuffers count. */
	flatbuffers: waiting => prefixed(waiting, 0),
	lengthPrefixed: waiting => prefixed(waiting, PREFIX_BYTES),
	netstrings(waiting) {
		const colon = waiting.indexOf(':');
		const start = colon + 1;
		const end = start + Number(waiting.toString('latin1', 0, Math.max(colon, 0)));
		// A comma ends it.
		return colon > 0 && waiting.length > end ? { frame: waiting.subarray(start, end), next: end + 1 } : undefined;
	},
};

function prefixed(waiting, from) {
	if (waiting.length < PREFIX_BYTES) {
		return undefined;
	}
	const next = PREFIX_BYTES + waiting.readUInt32LE(0);
	return waiting.length >= next ? { frame: waiting.subarray(from, next), next } : undefined;
}

/** Hands the frames of what comes to `seen`. */
function cutter(framing, seen) {
	let waiting = Buffer.alloc(0);
	return chunk => {
		waiting = Buffer.concat([waiting, Buffer.from(chunk)]);
		for (let cut = framing(waiting); cut; cut = framing(waiting)) {
			seen(Buffer.from(cut.frame));
			waiting = waiting.subarray(cut.next);
		}
	};
}

/** Two frames each: a message and its payload. */
function inPairs(seen) {
	let message;
	return frame => {
		if (message === undefined) {
			message = frame;
		} else {
			seen(message, frame);
			message = undefined;
		}
	};
}

/** Hands every message to `seen(direction, frame, payload)`; to be made before the library starts a worker. */
export function record(framing, seen) {
	const processes = require('node:child_process');
	const { spawn } = processes;
	const listen = (socket, cut) => socket.prependListener('data', cut);
	const overhear = (socket, cut) => {
		const write = socket.write.bind(socket);
		socket.write = (frame, ...rest) => {
			cut(frame);
			return write(frame, ...rest);
		};
	};
	processes.spawn = (...args) => {
		const child = spawn(...args);
		const [, , , toWorker, fromWorker, payloadToWorker, payloadFromWorker] = child.stdio;
		overhear(toWorker, cutter(framing, frame => seen('>', frame)));
		listen(fromWorker, cutter(framing, frame => seen('<', frame)));
		if (payloadToWorker) {
			overhear(payloadToWorker, cutter(framing, inPairs((frame, payload) => seen('>', frame, payload))));
			listen(payloadFromWorker, cutter(framing, inPairs((frame, payload) => seen('<', frame, payload))));
		}
		return child;
	};
}

/** Ids and numbers that libraries choose at random are the same in every recording. */
export function choosePredictably() {
	const crypto = require('node:crypto');
	let chosen = 0;
	crypto.randomUUID = () => `00000000-0000-4000-8000-${`${++chosen}`.padStart(12, '0')}`;
	crypto.randomInt = (...args) => args[0] + 11_111 * ++chosen;
	// Before 3.13 ids are made of random bytes, numbers of fractions.
	crypto.randomFillSync = bytes => {
		for (let at = 0; at < bytes.length; at += 16) {
			bytes.fill(0, at, at + 16);
			bytes[at + 14] = ++chosen >> 8;
			bytes[at + 15] = chosen & 0xff;
		}
		return bytes;
	};
	Math.random = () => (++chosen % 1_000) / 1_000;
}
