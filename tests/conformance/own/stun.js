// The checks of an ICE agent (RFC 8445) as far as a server that is ICE-lite needs them: Binding requests (RFC 8489).

'use strict';

const { createHmac, randomBytes } = require('crypto');

const COOKIE = 0x2112a442;
const FINGERPRINT_XOR = 0x5354554e;

function crc32(bytes) {
	let crc = ~0;
	for (const byte of bytes) {
		crc ^= byte;
		for (let bit = 0; bit < 8; ++bit) {
			crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
		}
	}
	return ~crc >>> 0;
}

function attribute(type, value) {
	const head = Buffer.alloc(4);
	head.writeUInt16BE(type, 0);
	head.writeUInt16BE(value.length, 2);
	return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

function withLength(head, body, more) {
	head.writeUInt16BE(body.length + more, 2);
	return Buffer.concat([head, body]);
}

/** A check that nominates the pair it is sent over. */
function nominate({ usernameFragment, password }) {
	const head = Buffer.alloc(8);
	head.writeUInt16BE(0x0001, 0);
	head.writeUInt32BE(COOKIE, 4);
	const start = Buffer.concat([head, randomBytes(12)]);
	const priority = Buffer.alloc(4);
	priority.writeUInt32BE(0x6e0001ff);
	let body = Buffer.concat([
		attribute(0x0006, Buffer.from(`${usernameFragment}:peer`)),
		attribute(0x0024, priority),
		attribute(0x802a, randomBytes(8)),
		attribute(0x0025, Buffer.alloc(0)),
	]);
	const integrity = createHmac('sha1', password).update(withLength(start, body, 24)).digest();
	body = Buffer.concat([body, attribute(0x0008, integrity)]);
	const fingerprint = Buffer.alloc(4);
	fingerprint.writeUInt32BE((crc32(withLength(start, body, 8)) ^ FINGERPRINT_XOR) >>> 0);
	body = Buffer.concat([body, attribute(0x8028, fingerprint)]);
	return withLength(start, body, 0);
}

module.exports = { nominate };
