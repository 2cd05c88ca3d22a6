// A program that sends or receives media: started for a test, watched, and ended with it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { until } from '../../interop/lib/wait.mjs';

/** Starting an encoder or a decoder takes seconds on a busy machine, in ms. */
export const PATIENCE_MS = 60_000;

/** Lines of its messages that a failing test shows. */
const MESSAGES_MAX = 30;
/** The first file descriptor of what it decodes; below are its messages. */
const FIRST_OUTPUT = 3;

export class Tool {
	/** `outputs` is how many streams of decoded media it writes, to descriptors 3, 4, ...; `input` is what it reads. */
	static start(t, command, args, { outputs = 0, input } = {}) {
		const streams = Array.from({ length: outputs }, () => 'pipe');
		const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe', ...streams] });
		const tool = new Tool(command, child, outputs);
		child.stdin.on('error', () => {});
		child.stdin.end(input ?? '');
		t.after(() => tool.end());
		return tool;
	}

	constructor(command, child, outputs) {
		this.command = command;
		this.child = child;
		this.messages = [];
		child.on('error', error => this.#say(error.message));
		for (const stream of [child.stdout, child.stderr]) {
			stream.on('data', text => this.#say(text.toString()));
		}
		/** Streams of decoded media. */
		this.outputs = child.stdio.slice(FIRST_OUTPUT, FIRST_OUTPUT + outputs);
	}

	#say(text) {
		this.messages.push(...text.split(/[\r\n]+/).filter(line => line !== ''));
		this.messages.splice(0, this.messages.length - MESSAGES_MAX);
	}

	/** Waits until it has said something. */
	says(words) {
		return until(
			`${this.command} to say "${words}"`,
			() => {
				this.check();
				return this.messages.some(message => message.includes(words));
			},
			PATIENCE_MS
		);
	}

	/** Throws when it is no longer there, with its last words: what is waited for would never come. */
	check() {
		const { exitCode, signalCode } = this.child;
		if (exitCode !== null || signalCode !== null) {
			throw new Error(`${this.command} ended (${exitCode ?? signalCode}):\n${this.messages.join('\n')}`);
		}
	}

	async end() {
		if (this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined) {
			const gone = once(this.child, 'exit');
			this.child.kill('SIGKILL');
			await gone;
		}
	}
}
