// One program sends, the other receives, with SRTP that the worker opens and seals with another suite.

import { test } from 'node:test';

import { BOUNDED } from './lib/check.mjs';
import * as ffmpeg from './lib/ffmpeg.mjs';
import * as gstreamer from './lib/gstreamer.mjs';
import { throughWorker } from './lib/through.mjs';

test('VP8 and Opus from FFmpeg, plain, to GStreamer, SRTP with AEAD_AES_128_GCM', BOUNDED, t =>
	throughWorker(t, {
		sender: ffmpeg,
		receiver: gstreamer,
		codecs: ['VP8', 'opus'],
		suites: { out: 'AEAD_AES_128_GCM' },
	}));

test('H264 and Opus from GStreamer, SRTP with AEAD_AES_256_GCM, to FFmpeg, with AES_CM_128_HMAC_SHA1_80', BOUNDED, t =>
	throughWorker(t, {
		sender: gstreamer,
		receiver: ffmpeg,
		codecs: ['H264', 'opus'],
		suites: { in: 'AEAD_AES_256_GCM', out: 'AES_CM_128_HMAC_SHA1_80' },
	}));
