// The way of a browser to its worker.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { call } from './lib/call.mjs';
import { BOUNDED, figures, isFluent } from './lib/check.mjs';
import { Session } from './lib/session.mjs';

let browser;
before(async () => {
	browser = await Browser.launch();
});
after(() => browser?.close());

test('ICE is restarted on either side while media flows', BOUNDED, async t => {
	const session = await Session.create(t, browser);
	const router = await session.router();
	const [alice, bob] = [await session.participant(router), await session.participant(router)];
	const { video, sound } = await call(t, alice, bob, { what: 'before: ' });
	for (const [participant, direction] of [[alice, 'send'], [bob, 'recv']]) {
		const transport = participant.transports.get(direction);
		const { usernameFragment } = transport.iceParameters;
		const before = { ...(await bob.report(video)), heard: (await bob.report(sound)).heard };
		await participant.restartIce(direction);
		assert.notEqual(transport.iceParameters.usernameFragment, usernameFragment);
		await participant.reaches(
			direction,
			'the new credentials to be used',
			path => path.usernameFragment === transport.iceParameters.usernameFragment && path.state === 'connected'
		);
		const seen = await bob.shows(video, 45, before);
		await bob.hears(sound, 40, before);
		isFluent(seen);
		figures(t, seen, `after the restart at ${direction}: `);
	}
});

test('TCP only', BOUNDED, async t => {
	const session = await Session.create(t, browser);
	const router = await session.router();
	const listen = { listenInfos: [{ protocol: 'tcp', ip: '127.0.0.1' }] };
	const [alice, bob] = [await session.participant(router, listen), await session.participant(router, listen)];
	await call(t, alice, bob);
	for (const [participant, direction] of [[alice, 'send'], [bob, 'recv']]) {
		const { protocol, state } = await participant.path(direction);
		assert.deepEqual([protocol, state], ['tcp', 'connected']);
		assert.equal(participant.transports.get(direction).iceSelectedTuple.protocol, 'tcp');
	}
});

test('browsers with RSA certificates', BOUNDED, async t => {
	const session = await Session.create(t, browser);
	const router = await session.router();
	const rsa = () => session.participant(router, undefined, { rsa: true });
	const [alice, bob] = [await rsa(), await rsa()];
	await call(t, alice, bob);
	for (const [participant, direction] of [[alice, 'send'], [bob, 'recv']]) {
		// As RFC 7468 text: the worker tells the certificate it was shown.
		const { dtlsState, dtlsRemoteCert } = participant.transports.get(direction);
		assert.equal(dtlsState, 'connected');
		assert.equal(new X509Certificate(dtlsRemoteCert).publicKey.asymmetricKeyType, 'rsa');
	}
});
