// Records a session of a library with the worker.
//
//     node record.mjs CONFORMANCE_FOLDER SAMPLES RECORDING
//
// Called by ./run, which prepares everything. A recording has three lines for each message: who says it and when
// (`>` the library, `<` the worker, `~` a sample of what the worker can say), what the library's own reader makes of
// it, and its bytes.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

import { session } from './lib/session.mjs';
import { Reader } from './lib/meaning.mjs';
import { choosePredictably, record } from './lib/recorder.mjs';
import { Secrets } from './lib/secrets.mjs';

const [home, samplesPath, recordingPath] = process.argv.slice(2);
const library = join(home, 'node_modules/mediasoup');

const frames = [];
let doing = 'createWorker';
choosePredictably();
record((direction, frame) => frames.push({ direction, label: doing, frame }));

const mediasoup = createRequire(join(home, 'package.json'))('mediasoup');
const secrets = new Secrets();
await session(mediasoup, { secrets, label: name => void (doing = name) });

for (const line of readFileSync(samplesPath, 'utf8').split('\n').filter(Boolean)) {
	const [label, hex] = line.split('\t');
	frames.push({ direction: '~', label, frame: Buffer.from(hex, 'hex') });
}

const reader = new Reader(library);
const lines = [`# mediasoup ${basename(home)} and the worker. Written by tests/golden/run, which says what this is.`];
const told = new Set();
for (const { direction, label, frame } of frames) {
	const hidden = direction === '~' ? frame : secrets.hide(frame);
	const meaning = JSON.stringify(reader.read(hidden));
	// Numbers of requests apart, what is said often is recorded once.
	const kind = [...meaning.matchAll(/"(?:method|event|type)":"\w+"/g)].join();
	const same = kind ? `${label} ${kind}` : meaning.replace(/"id":\d+/, '');
	if (direction === '~' || !told.has(same)) {
		lines.push(`${direction} ${label}`, meaning, hidden.toString('hex'));
	}
	told.add(same);
}
writeFileSync(recordingPath, `${lines.join('\n')}\n`);
console.log(`${basename(home)}: ${(lines.length - 1) / 3} messages`);
process.exit(0);
