// The library under test, and what it said to the worker and had answered.

'use strict';

const { readFileSync, readdirSync } = require('fs');
const { join } = require('path');

const mediasoup = require('../');
const { Channel } = require('../Channel');
const { PayloadChannel } = require('../PayloadChannel');

const [, minor] = mediasoup.version.split('.').map(Number);

/** Methods that the worker accepted, or that were told to it where nothing is answered. */
const accepted = new Set();

for (const channel of [Channel, PayloadChannel]) {
	const request = channel.prototype.request;
	channel.prototype.request = async function (method, ...rest) {
		const data = await request.call(this, method, ...rest);
		accepted.add(method);
		return data;
	};
}
const notify = PayloadChannel.prototype.notify;
PayloadChannel.prototype.notify = function (method, ...rest) {
	accepted.add(method);
	return notify.call(this, method, ...rest);
};

/** Every method that stands in the library's source. */
function methodsOfLibrary() {
	const folder = join(__dirname, '..');
	const files = readdirSync(folder).filter(name => name.endsWith('.js'));
	const said = /[cC]hannel\.(?:request|notify)\('([a-zA-Z.]+)'/g;
	return new Set(files.flatMap(name => [...readFileSync(join(folder, name), 'utf8').matchAll(said)].map(match => match[1])));
}

/** The next time that `emitter` says `event`, as the list of what it says, which `wanted` may choose among. */
function next(emitter, event, wanted = () => true) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new Error(`no ${event} came`)), 5000);
		const listener = (...values) => {
			if (wanted(...values)) {
				clearTimeout(timer);
				emitter.off(event, listener);
				resolve(values);
			}
		};
		emitter.on(event, listener);
	});
}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

module.exports = { accepted, hasWebRtcServers: minor >= 10, mediasoup, methodsOfLibrary, next, pause };
