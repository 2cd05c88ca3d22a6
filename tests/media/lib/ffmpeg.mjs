// FFmpeg as a sender (its rtp and srtp protocols) and as a receiver (its sdp demuxer).

import { execFileSync } from 'node:child_process';

import { HEIGHT, Pictures, WIDTH } from './picture.mjs';
import { adjacentPorts } from './ports.mjs';
import { RATE, Sound } from './sound.mjs';
import { Tool } from './tool.mjs';

const QUIET = ['-hide_banner', '-nostats', '-loglevel', 'warning'];
const PICTURE = 'testsrc=size=320x240:rate=25';
const GRAY = ['-vf', `scale=${WIDTH}:${HEIGHT}`, '-pix_fmt', 'gray', '-f', 'rawvideo'];

/** It hears no requests for key frames, so it sends one a second. */
const ENCODERS = {
	VP8: ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '400k', '-g', '25'],
	H264: [
		...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline'],
		...['-pix_fmt', 'yuv420p', '-b:v', '400k', '-g', '25'],
	],
	opus: ['-c:a', 'libopus', '-ac', '2', '-b:a', '64k'],
};

/** Nothing it is asked for takes longer; it ends by itself should nobody end it. */
const SECONDS_MAX = '60';

/** Sends test pictures and a tone: `streams` are from `Route.enter`. */
export function send(t, streams, { hertz }) {
	const source = kind => (kind === 'video' ? PICTURE : `sine=frequency=${hertz}:sample_rate=${RATE}`);
	return Tool.start(t, 'ffmpeg', [
		...QUIET,
		...streams.flatMap(({ kind }) => ['-re', '-f', 'lavfi', '-i', source(kind)]),
		...streams.flatMap((stream, index) => ['-map', `${index}`, '-t', SECONDS_MAX, ...ENCODERS[stream.codec], ...target(stream)]),
	]);
}

function target({ ssrc, payloadType, port, rtcpPort, keys }) {
	const crypto = keys && ['-srtp_out_suite', keys.suite, '-srtp_out_params', keys.sending];
	const numbers = ['-ssrc', `${ssrc}`, '-payload_type', `${payloadType}`];
	const scheme = keys ? 'srtp' : 'rtp';
	return [...numbers, ...(crypto ?? []), '-f', 'rtp', `${scheme}://127.0.0.1:${port}?rtcpport=${rtcpPort}&pkt_size=1200`];
}

/** Once it receives it needs key frames by itself, or by an application that asks for them. */
export const ASKS_FOR_KEY_FRAMES = false;

/** Its sockets' ports are not known before it sends. */
export async function sendFrom() {
	return undefined;
}

/** Where it will receive a stream. */
export function listenAt() {
	return adjacentPorts();
}

/** Receives and decodes `streams` of `Route.leave`; it does not say when it listens. */
export async function receive(t, streams) {
	const decoded = streams.flatMap(({ kind }, index) => [
		...['-map', `0:${index}`],
		...(kind === 'video' ? ['-vsync', 'passthrough', ...GRAY] : ['-ac', '1', '-ar', `${RATE}`, '-f', 's16le']),
		`pipe:${3 + index}`,
	]);
	const tool = Tool.start(
		t,
		'ffmpeg',
		[...QUIET, '-protocol_whitelist', 'pipe,fd,file,udp,rtp,srtp,crypto', '-f', 'sdp', '-i', 'pipe:0', ...decoded],
		{ outputs: streams.length, input: sdp(streams) }
	);
	const received = { tool };
	streams.forEach(({ kind }, index) => {
		received[kind] = kind === 'video' ? new Pictures(tool.outputs[index]) : new Sound(tool.outputs[index]);
	});
	return received;
}

function sdp(streams) {
	const lines = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
	for (const { codec, kind, clockRate, channels, payloadType, port, keys } of streams) {
		lines.push(`m=${kind} ${port} RTP/${keys ? 'SAVP' : 'AVP'} ${payloadType}`);
		lines.push(`a=rtpmap:${payloadType} ${codec}/${clockRate}${channels ? `/${channels}` : ''}`);
		if (codec === 'H264') {
			lines.push(`a=fmtp:${payloadType} packetization-mode=1`);
		}
		if (keys) {
			lines.push(`a=crypto:1 ${keys.suite} inline:${keys.receiving}`);
		}
	}
	return `${lines.join('\r\n')}\r\n`;
}

/** What `send` shows, as a receiver would decode it. */
export function testPicture() {
	return execFileSync('ffmpeg', [...QUIET, '-f', 'lavfi', '-i', PICTURE, '-frames:v', '1', ...GRAY, 'pipe:1']);
}
