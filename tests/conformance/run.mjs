// Runs jest over an unpacked mediasoup package and holds what passes to a list.
//
//     node run.mjs VERSION_FOLDER [--update] [FILE_PART...]
//
// Called by ./run, which prepares everything.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const PASSES = 'passes';

/** Tests that may need their second try: more are no busy machine's doing. */
const SECOND_TRIES_MAX = 3;

/** What a failing test waits for, until the list says better. */
const WAITS_FOR_DEFAULT = 'waits for SCTP traffic';

const [home, ...rest] = process.argv.slice(2);
const update = rest.includes('--update');
const fileParts = rest.filter(argument => !argument.startsWith('--'));
const listPath = join(home, 'expected.json');
const scratch = mkdtempSync(join(tmpdir(), 'ringsoup-conformance-'));

/** One jest run: a map from file name to a map from test name to "passed" or the failure. */
function runJest(name, patterns) {
	const output = join(scratch, `${name}.json`);
	const root = ['node/lib/test', 'test'].find(folder => existsSync(join(home, 'suite', folder)));
	writeFileSync(
		join(scratch, 'jest.config.json'),
		JSON.stringify({
			rootDir: join(home, 'suite'),
			roots: [`<rootDir>/${root}`],
			testRegex: '/test-[^/]*\\.js$',
			testPathIgnorePatterns: [],
			transform: {},
			cacheDirectory: join(scratch, 'cache'),
			modulePaths: [join(home, 'node_modules')],
		})
	);
	// One file at a time: the suite's limits are two seconds a test, meant for an idle machine.
	const jest = spawnSync(
		process.execPath,
		[
			join(home, '../jest/node_modules/jest/bin/jest.js'),
			...['--config', join(scratch, 'jest.config.json')],
			...['--json', '--outputFile', output, '--runInBand', '--forceExit', ...patterns],
		],
		{
			// The oldest suite names its files from its package on.
			cwd: root === 'test' ? join(home, 'suite') : scratch,
			stdio: ['ignore', 'ignore', 'pipe'],
			encoding: 'utf8',
			maxBuffer: 1 << 28,
		}
	);
	if (!existsSync(output)) {
		process.stderr.write(jest.stderr ?? '');
		throw new Error(`jest did not finish (status ${jest.status}, signal ${jest.signal})`);
	}
	const files = new Map();
	for (const file of JSON.parse(readFileSync(output, 'utf8')).testResults) {
		const tests = new Map();
		for (const test of file.assertionResults) {
			tests.set(
				test.fullName,
				test.status === 'passed' ? 'passed' : firstLines(test.failureMessages[0] ?? test.status)
			);
		}
		if (tests.size === 0) {
			tests.set('(the file loads)', firstLines(file.message));
		}
		files.set(basename(file.name), tests);
	}
	return files;
}

function firstLines(message) {
	// eslint-disable-next-line no-control-regex
	const plain = message.replaceAll(/\u001b\[[0-9;]*m/g, '');
	return plain
		.split('\n')
		.filter(line => line.trim() !== '')
		.slice(0, 12)
		.join('\n        ');
}

function readList() {
	return existsSync(listPath) ? JSON.parse(readFileSync(listPath, 'utf8')) : {};
}

function waitsFor(before) {
	return before === undefined || before === PASSES ? WAITS_FOR_DEFAULT : before;
}

function writeList(results) {
	const list = readList();
	for (const [file, tests] of results) {
		const before = list[file] ?? {};
		list[file] = Object.fromEntries(
			[...tests].map(([test, outcome]) => [
				test,
				outcome === 'passed' ? PASSES : waitsFor(before[test]),
			])
		);
	}
	const sorted = Object.fromEntries(Object.entries(list).sort(([a], [b]) => (a < b ? -1 : 1)));
	writeFileSync(listPath, `${JSON.stringify(sorted, null, '\t')}\n`);
	console.log(`wrote ${listPath}`);
}

/** Prints the verdict and returns the number of tests that break the list. */
function report(results, secondTry) {
	const list = readList();
	const known = new Map(Object.entries(list).map(([file, tests]) => [file, new Map(Object.entries(tests))]));
	let passed = 0;
	let failed = 0;
	let waiting = 0;
	let secondTries = 0;
	for (const [file, tests] of results) {
		const expected = known.get(file) ?? new Map();
		const count = [...tests.values()].filter(outcome => outcome === 'passed').length;
		console.log(`${file}: ${count} of ${tests.size} pass`);
		for (const [test, outcome] of tests) {
			const verdict = expected.get(test);
			if (outcome === 'passed') {
				passed += 1;
				if (verdict !== PASSES) {
					console.log(`    newly passes, put it on the list: ${test}`);
				}
			} else if (verdict === undefined || verdict === PASSES) {
				if (secondTry.get(file)?.get(test) === 'passed') {
					passed += 1;
					secondTries += 1;
					console.log(`    passed at the second try only: ${test}\n        ${outcome}`);
				} else {
					failed += 1;
					console.log(`    FAILED: ${test}\n        ${outcome}`);
				}
			} else {
				waiting += 1;
			}
		}
	}
	if (fileParts.length === 0) {
		failed += reportDifference(results, known);
	}
	console.log(`${secondTries} passed at the second try only, of at most ${SECOND_TRIES_MAX}`);
	if (secondTries > SECOND_TRIES_MAX) {
		passed -= secondTries;
		failed += secondTries;
	}
	console.log(`conformance with mediasoup ${basename(home)}:`);
	console.log(`${passed} passed, ${failed} failed, ${waiting} skipped`);
	return failed;
}

/** The list names every test of the suite and nothing else, whatever it says of it. Returns the exceptions' number. */
function reportDifference(results, known) {
	const names = files =>
		new Set([...files].flatMap(([file, tests]) => [...tests.keys()].map(test => `${file}: ${test}`)));
	const suite = names(results);
	const listed = names(known);
	const missing = [...suite].filter(name => !listed.has(name));
	const gone = [...listed].filter(name => !suite.has(name));
	missing.forEach(name => console.log(`    FAILED: not on the list: ${name}`));
	gone.forEach(name => console.log(`    FAILED: listed, but not in the suite: ${name}`));
	console.log(`${suite.size} tests in the suite, ${listed.size} on the list`);
	return missing.length + gone.length;
}

/** The files where a test of the list failed. */
function brokenFiles(results) {
	const list = readList();
	return [...results]
		.filter(([file, tests]) =>
			[...tests].some(
				([test, outcome]) => outcome !== 'passed' && (list[file]?.[test] ?? PASSES) === PASSES
			)
		)
		.map(([file]) => file);
}

try {
	const parts = fileParts.length > 0 ? fileParts : [''];
	const patterns = parts.map(part => `/test-${part}`);
	const results = runJest('first', patterns);
	if (update) {
		writeList(results);
	}
	const broken = brokenFiles(results);
	const secondTry = broken.length > 0 ? runJest('second', broken) : new Map();
	process.exitCode = report(results, secondTry) === 0 ? 0 : 1;
} finally {
	rmSync(scratch, { recursive: true, force: true });
}
