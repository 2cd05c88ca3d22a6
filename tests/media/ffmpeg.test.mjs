// FFmpeg sends and receives, with RTCP on ports of its own. It takes the worker's ports, and is known by its first packets.

import { test } from 'node:test';

import { BOUNDED } from './lib/check.mjs';
import * as ffmpeg from './lib/ffmpeg.mjs';
import { throughWorker } from './lib/through.mjs';

const both = { sender: ffmpeg, receiver: ffmpeg };

test('VP8 and Opus, plain', BOUNDED, t => throughWorker(t, { ...both, codecs: ['VP8', 'opus'] }));

test('H264 and Opus, plain', BOUNDED, t => throughWorker(t, { ...both, codecs: ['H264', 'opus'] }));

test('VP8 and Opus, SRTP with AES_CM_128_HMAC_SHA1_80 in and _32 out', BOUNDED, t =>
	throughWorker(t, {
		...both,
		codecs: ['VP8', 'opus'],
		suites: { in: 'AES_CM_128_HMAC_SHA1_80', out: 'AES_CM_128_HMAC_SHA1_32' },
	}));

test('H264 and Opus, SRTP with AES_CM_128_HMAC_SHA1_32 in and _80 out', BOUNDED, t =>
	throughWorker(t, {
		...both,
		codecs: ['H264', 'opus'],
		suites: { in: 'AES_CM_128_HMAC_SHA1_32', out: 'AES_CM_128_HMAC_SHA1_80' },
	}));
