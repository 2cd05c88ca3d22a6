// The tests' own SRTP against the published vectors, so that a failure elsewhere is the worker's.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SUITE_NAMES, SrtpContext, keyAndSaltLength } from './lib/srtp.mjs';

const hex = digits => Buffer.from(digits.replaceAll(/\s/g, ''), 'hex');

test('key derivation is that of RFC 3711 §B.3', () => {
	const master = hex('E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6');
	const context = new SrtpContext('AES_CM_128_HMAC_SHA1_80', master.toString('base64'));
	assert.deepEqual(context.rtp.key, hex('C61E7A93744F39EE10734AFE3FF7A087'));
	assert.deepEqual(context.rtp.salt, hex('30CBBC08863D8C85D49DB34A9AE1'));
	assert.deepEqual(context.rtp.auth, hex('CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4'));
});

test('sealing is that of RFC 7714 §16.1', () => {
	const context = new SrtpContext('AEAD_AES_128_GCM', Buffer.alloc(28).toString('base64'));
	context.rtp = { key: hex('000102030405060708090a0b0c0d0e0f'), salt: hex('517569642070726f2071756f') };
	const packet = hex(`8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
		69736120 696e2070 61727465 73207472 6573`);
	const expected = hex(`8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
		0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce`);
	assert.deepEqual(context.protect(packet), expected);
});

for (const suite of SUITE_NAMES) {
	test(`${suite} opens what it sealed, over a wrap`, () => {
		const key = Buffer.alloc(keyAndSaltLength(suite), 7).toString('base64');
		const [sending, receiving] = [new SrtpContext(suite, key), new SrtpContext(suite, key)];
		for (const sequence of [65_533, 65_534, 65_535, 0, 1]) {
			const packet = Buffer.alloc(100, sequence & 0xff);
			packet.set([0x80, 96, sequence >> 8, sequence & 0xff]);
			assert.deepEqual(receiving.unprotect(sending.protect(packet)), packet);
		}
		const rtcp = Buffer.concat([Buffer.from([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2])]);
		assert.deepEqual(receiving.unprotect(sending.protect(rtcp)), rtcp);
	});
}
