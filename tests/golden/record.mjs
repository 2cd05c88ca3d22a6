// Records a session of a library with the worker.
//
//     node record.mjs PACKAGE_FOLDER SAMPLES RECORDING
//
// Called by ./run, which prepares everything. A recording has three lines for each message: who says it and when
// (`>` the library, `<` the worker, `~` a sample of what the worker can say), what the library's own reader makes of
// it, and its bytes. Before 3.13 the second line is the message itself, JSON without its framing, and the third the
// payload that followed it on its channel.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

import { session } from './lib/session.mjs';
import { Reader } from './lib/meaning.mjs';
import { FRAMINGS, choosePredictably, record } from './lib/recorder.mjs';
import { Secrets } from './lib/secrets.mjs';

const [home, samplesPath, recordingPath] = process.argv.slice(2);
const library = join(home, 'node_modules/mediasoup');
const version = basename(home);
const [, minor] = version.split('.').map(Number);
const isJson = minor < 13;

function framing() {
	if (!isJson) {
		return FRAMINGS.flatbuffers;
	}
	return minor < 9 ? FRAMINGS.netstrings : FRAMINGS.lengthPrefixed;
}

const messages = [];
let doing = 'createWorker';
choosePredictably();
record(framing(), (direction, frame, payload) => messages.push({ direction, label: doing, frame, payload }));

const mediasoup = createRequire(join(home, 'package.json'))('mediasoup');
const secrets = new Secrets();
await session(mediasoup, { secrets, label: name => void (doing = name) });

if (existsSync(samplesPath)) {
	for (const line of readFileSync(samplesPath, 'utf8').split('\n').filter(Boolean)) {
		const [label, hex] = line.split('\t');
		messages.push({ direction: '~', label, frame: Buffer.from(hex, 'hex') });
	}
}

/** Both lines of a message. */
const reader = isJson ? undefined : new Reader(library);
function shown({ frame, payload }) {
	return isJson ? [frame.toString(), payload?.toString('hex') ?? ''] : [JSON.stringify(reader.read(frame)), frame.toString('hex')];
}

/** What is said often is recorded once: this is the same of all. */
function kind(label, text) {
	const fields = [...text.matchAll(/"(?:method|event|type)":"\w[\w.]*"|^(?:r:|n:)?(?:\d+:)?[a-z]\w+\.\w+/g)];
	return fields.length > 0 ? `${label} ${fields.join()}` : text.replace(/"id":\d+/, '');
}

const lines = [`# mediasoup ${version} and the worker. Written by tests/golden/run, which says what this is.`];
const told = new Set();
for (const { direction, label, frame, payload } of messages) {
	const hidden = direction === '~' ? frame : secrets.hide(frame);
	const [text, bytes] = shown({ frame: hidden, payload });
	const same = `${direction} ${kind(label, text)}`;
	if (direction === '~' || !told.has(same)) {
		lines.push(`${direction} ${label}`, text, bytes);
	}
	told.add(same);
}
writeFileSync(recordingPath, `${lines.join('\n')}\n`);
console.log(`${version}: ${(lines.length - 1) / 3} messages`);
process.exit(0);
