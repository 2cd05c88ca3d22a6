// Chromium without a screen, with a test camera, and a page in it for every participant.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const LAUNCH_MS_MAX = 60_000;

/** Quiet, and speaking with loopback: there is no other network in the tests' namespace. */
const FLAGS = [
	'--disable-gpu',
	'--disable-quic',
	'--no-first-run',
	'--disable-background-networking',
	'--disable-component-update',
	'--disable-sync',
	'--use-fake-device-for-media-stream',
	'--use-fake-ui-for-media-stream',
	'--autoplay-policy=no-user-gesture-required',
	'--allow-loopback-in-peer-connection',
	'--disable-features=WebRtcHideLocalIpsWithMdns',
];

export class Browser {
	static async launch() {
		const script = await bundle();
		const server = createServer((request, response) => {
			const [type, body] = request.url === '/client.js' ? ['text/javascript', script] : ['text/html', HTML];
			response.setHeader('content-type', type).end(body);
		});
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		const browser = await chromium.launch({
			executablePath: process.env.CHROMIUM_BIN ?? '/usr/bin/chromium',
			args: FLAGS,
			chromiumSandbox: false,
			timeout: LAUNCH_MS_MAX,
		});
		return new Browser(browser, server);
	}

	constructor(browser, server) {
		this.browser = browser;
		this.server = server;
	}

	/** A page with a client in it; `signal` answers what the client asks the server. */
	async page(signal) {
		const page = await this.browser.newPage();
		const errors = [];
		page.on('pageerror', error => errors.push(error));
		await page.exposeFunction('signal', signal);
		await page.goto(`http://127.0.0.1:${this.server.address().port}/`);
		return { page, errors };
	}

	async close() {
		await this.browser.close();
		this.server.close();
		this.server.closeAllConnections();
	}
}

const HTML = '<!doctype html><title>participant</title><script src="/client.js"></script>';

async function bundle() {
	const { outputFiles } = await build({
		entryPoints: [fileURLToPath(new URL('../page/client.mjs', import.meta.url))],
		bundle: true,
		format: 'iife',
		write: false,
	});
	return outputFiles[0].text;
}
