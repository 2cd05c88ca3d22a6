// GStreamer sends and receives. Its encoders make key frames only when they are asked, so a receiver that comes later sees
// nothing unless the worker asks the sender in a way that its rtpbin understands.

import { test } from 'node:test';

import { SUITE_NAMES } from '../interop/lib/srtp.mjs';
import { BOUNDED } from './lib/check.mjs';
import * as gstreamer from './lib/gstreamer.mjs';
import { throughWorker } from './lib/through.mjs';

const both = { sender: gstreamer, receiver: gstreamer, receivers: 2 };

test('VP8 and Opus, plain', BOUNDED, t => throughWorker(t, { ...both, codecs: ['VP8', 'opus'] }));

test('H264 and Opus, plain', BOUNDED, t => throughWorker(t, { ...both, codecs: ['H264', 'opus'] }));

SUITE_NAMES.forEach((suite, index) => {
	const video = index % 2 === 0 ? 'VP8' : 'H264';
	test(`${video} and Opus, SRTP with ${suite}`, BOUNDED, t =>
		throughWorker(t, { ...both, codecs: [video, 'opus'], suites: { in: suite, out: suite } }));
});
