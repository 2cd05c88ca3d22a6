// SRTP and SRTCP (RFC 3711; AES-GCM: RFC 7714) on node:crypto, written for these tests so that the worker meets
// an implementation that shares nothing with its own.

import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';

import { isRtcp, rtpHeaderLength } from './rtp.mjs';

const SUITES = {
	AES_CM_128_HMAC_SHA1_80: { keyLength: 16, saltLength: 14, tagLength: 10, gcm: false },
	AES_CM_128_HMAC_SHA1_32: { keyLength: 16, saltLength: 14, tagLength: 4, gcm: false },
	AEAD_AES_128_GCM: { keyLength: 16, saltLength: 12, tagLength: 16, gcm: true },
	AEAD_AES_256_GCM: { keyLength: 32, saltLength: 12, tagLength: 16, gcm: true },
};

export const SUITE_NAMES = Object.keys(SUITES);

/** SRTCP keeps the long tag where SRTP has the short one (RFC 5764 §4.1.2). */
const SRTCP_HMAC_TAG_LENGTH = 10;
const HMAC_KEY_LENGTH = 20;
const E_FLAG = 0x80000000;

/** Bytes of a master key and its salt. */
export function keyAndSaltLength(suite) {
	return SUITES[suite].keyLength + SUITES[suite].saltLength;
}

/** One direction of a session: protects or unprotects any number of streams. */
export class SrtpContext {
	constructor(suite, keyBase64) {
		this.suite = SUITES[suite];
		const master = Buffer.from(keyBase64, 'base64');
		if (master.length !== this.suite.keyLength + this.suite.saltLength) {
			throw new TypeError(`${suite} takes no key of ${master.length} bytes`);
		}
		const key = master.subarray(0, this.suite.keyLength);
		const salt = master.subarray(this.suite.keyLength);
		const derive = (label, length) => deriveKey(key, salt, label, length);
		this.rtp = {
			key: derive(0, this.suite.keyLength),
			auth: derive(1, HMAC_KEY_LENGTH),
			salt: derive(2, this.suite.saltLength),
		};
		this.rtcp = {
			key: derive(3, this.suite.keyLength),
			auth: derive(4, HMAC_KEY_LENGTH),
			salt: derive(5, this.suite.saltLength),
		};
		/** By SSRC: the highest index so far. */
		this.highest = new Map();
		this.rtcpIndex = 0;
	}

	protect(packet) {
		return isRtcp(packet) ? this.#protectRtcp(packet) : this.#protectRtp(packet);
	}

	/** Throws when the packet is not authentic. */
	unprotect(packet) {
		return isRtcp(packet) ? this.#unprotectRtcp(packet) : this.#unprotectRtp(packet);
	}

	/** The packet's 48-bit index, guessed from the highest one (RFC 3711 §3.3.1). */
	#index(packet) {
		const ssrc = packet.readUInt32BE(8);
		const sequence = packet.readUInt16BE(2);
		const highest = this.highest.get(ssrc);
		if (highest === undefined) {
			this.highest.set(ssrc, sequence);
			return { ssrc, sequence, rollover: 0 };
		}
		let rollover = Math.floor(highest / 65536);
		const last = highest % 65536;
		if (sequence < last - 32768) {
			rollover += 1;
		} else if (sequence > last + 32768 && rollover > 0) {
			rollover -= 1;
		}
		this.highest.set(ssrc, Math.max(highest, rollover * 65536 + sequence));
		return { ssrc, sequence, rollover };
	}

	#protectRtp(packet) {
		const { ssrc, sequence, rollover } = this.#index(packet);
		const header = packet.subarray(0, rtpHeaderLength(packet));
		const payload = packet.subarray(header.length);
		if (this.suite.gcm) {
			return Buffer.concat([header, this.#seal(this.rtp, rtpNonce(ssrc, rollover, sequence), header, payload)]);
		}
		const encrypted = this.#counterMode(this.rtp, ssrc, rollover, sequence, payload);
		const authenticated = Buffer.concat([header, encrypted]);
		return Buffer.concat([authenticated, this.#rtpTag(authenticated, rollover)]);
	}

	#unprotectRtp(packet) {
		const { ssrc, sequence, rollover } = this.#index(packet);
		const header = packet.subarray(0, rtpHeaderLength(packet));
		if (this.suite.gcm) {
			const sealed = packet.subarray(header.length);
			return Buffer.concat([header, this.#open(this.rtp, rtpNonce(ssrc, rollover, sequence), header, sealed)]);
		}
		const end = packet.length - this.suite.tagLength;
		const expected = this.#rtpTag(packet.subarray(0, end), rollover);
		if (!timingSafeEqual(expected, packet.subarray(end))) {
			throw new Error('SRTP: the tag is wrong');
		}
		const payload = packet.subarray(header.length, end);
		return Buffer.concat([header, this.#counterMode(this.rtp, ssrc, rollover, sequence, payload)]);
	}

	#rtpTag(bytes, rollover) {
		const hmac = createHmac('sha1', this.rtp.auth).update(bytes).update(uint32(rollover)).digest();
		return hmac.subarray(0, this.suite.tagLength);
	}

	#protectRtcp(packet) {
		this.rtcpIndex += 1;
		const index = this.rtcpIndex;
		const ssrc = packet.readUInt32BE(4);
		const header = packet.subarray(0, 8);
		const trailer = uint32((E_FLAG | index) >>> 0);
		if (this.suite.gcm) {
			const sealed = this.#seal(this.rtcp, rtcpNonce(ssrc, index), Buffer.concat([header, trailer]), packet.subarray(8));
			return Buffer.concat([header, sealed, trailer]);
		}
		const encrypted = this.#counterMode(this.rtcp, ssrc, Math.floor(index / 65536), index % 65536, packet.subarray(8));
		const authenticated = Buffer.concat([header, encrypted, trailer]);
		return Buffer.concat([authenticated, this.#rtcpTag(authenticated)]);
	}

	#unprotectRtcp(packet) {
		const ssrc = packet.readUInt32BE(4);
		const header = packet.subarray(0, 8);
		const end = packet.length - (this.suite.gcm ? 0 : SRTCP_HMAC_TAG_LENGTH);
		const trailer = packet.subarray(end - 4, end);
		const index = trailer.readUInt32BE(0) & ~E_FLAG;
		if (!(trailer[0] & 0x80)) {
			throw new Error('SRTCP: not encrypted');
		}
		const body = packet.subarray(8, end - 4);
		if (this.suite.gcm) {
			const associated = Buffer.concat([header, trailer]);
			return Buffer.concat([header, this.#open(this.rtcp, rtcpNonce(ssrc, index), associated, body)]);
		}
		if (!timingSafeEqual(this.#rtcpTag(packet.subarray(0, end)), packet.subarray(end))) {
			throw new Error('SRTCP: the tag is wrong');
		}
		const plain = this.#counterMode(this.rtcp, ssrc, Math.floor(index / 65536), index % 65536, body);
		return Buffer.concat([header, plain]);
	}

	#rtcpTag(bytes) {
		return createHmac('sha1', this.rtcp.auth).update(bytes).digest().subarray(0, SRTCP_HMAC_TAG_LENGTH);
	}

	/** Key stream over `bytes`; the index is `high` · 2^16 + `low` (RFC 3711 §4.1.1). */
	#counterMode(keys, ssrc, high, low, bytes) {
		const block = Buffer.alloc(16);
		block.writeUInt32BE(ssrc, 4);
		block.writeUInt32BE(high, 8);
		block.writeUInt16BE(low, 12);
		const cipher = createCipheriv('aes-128-ctr', keys.key, xor(block, keys.salt));
		return Buffer.concat([cipher.update(bytes), cipher.final()]);
	}

	#seal(keys, nonce, associated, bytes) {
		const cipher = createCipheriv(this.#gcmName(), keys.key, xor(nonce, keys.salt));
		cipher.setAAD(associated);
		return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
	}

	#open(keys, nonce, associated, sealed) {
		const end = sealed.length - this.suite.tagLength;
		const decipher = createDecipheriv(this.#gcmName(), keys.key, xor(nonce, keys.salt));
		decipher.setAAD(associated);
		decipher.setAuthTag(sealed.subarray(end));
		return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]);
	}

	#gcmName() {
		return this.suite.keyLength === 32 ? 'aes-256-gcm' : 'aes-128-gcm';
	}
}

/** AES-CM as the pseudo-random function, rate 0 (RFC 3711 §4.3; RFC 7714 §11 pads the salt). */
function deriveKey(key, salt, label, length) {
	const block = Buffer.alloc(16);
	salt.copy(block);
	block[7] ^= label;
	const cipher = createCipheriv(key.length === 32 ? 'aes-256-ctr' : 'aes-128-ctr', key, block);
	return Buffer.concat([cipher.update(Buffer.alloc(length)), cipher.final()]);
}

function rtpNonce(ssrc, rollover, sequence) {
	const nonce = Buffer.alloc(12);
	nonce.writeUInt32BE(ssrc, 2);
	nonce.writeUInt32BE(rollover, 6);
	nonce.writeUInt16BE(sequence, 10);
	return nonce;
}

function rtcpNonce(ssrc, index) {
	const nonce = Buffer.alloc(12);
	nonce.writeUInt32BE(ssrc, 2);
	nonce.writeUInt32BE(index, 8);
	return nonce;
}

function xor(block, salt) {
	for (let at = 0; at < salt.length; ++at) {
		block[at] ^= salt[at];
	}
	return block;
}

function uint32(value) {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32BE(value);
	return bytes;
}
