// GStreamer as a sender and as a receiver: rtpbin for RTP and RTCP, srtpenc and srtpdec for SRTP.

import { execFileSync } from 'node:child_process';

import { HEIGHT, Pictures, WIDTH } from './picture.mjs';
import { adjacentPorts } from './ports.mjs';
import { RATE, Sound } from './sound.mjs';
import { Tool } from './tool.mjs';

/** The upper two thirds stand still, in a corner below is noise. */
const PICTURE = 'videotestsrc pattern=smpte';
const GRAY = `videoconvert ! videoscale add-borders=false ! video/x-raw,format=GRAY8,width=${WIDTH},height=${HEIGHT}`;

/** Encoders that make no key frame but the first, unless they are asked for one. */
const KEY_FRAME_DISTANCE = 1_000_000;

const CODECS = {
	VP8: {
		encoder: `vp8enc deadline=1 cpu-used=8 target-bitrate=400000 keyframe-max-dist=${KEY_FRAME_DISTANCE}`,
		payloader: 'rtpvp8pay picture-id-mode=15-bit',
		decoder: 'rtpvp8depay ! vp8dec',
	},
	H264: {
		encoder: `openh264enc bitrate=400000 complexity=low gop-size=${KEY_FRAME_DISTANCE}`,
		payloader: 'rtph264pay aggregate-mode=zero-latency',
		decoder: 'rtph264depay ! h264parse ! openh264dec',
	},
	opus: { encoder: 'opusenc', payloader: 'rtpopuspay', decoder: 'rtpopusdepay ! opusdec' },
};

const SUITES = {
	AES_CM_128_HMAC_SHA1_80: { cipher: 'aes-128-icm', auth: 'hmac-sha1-80' },
	AES_CM_128_HMAC_SHA1_32: { cipher: 'aes-128-icm', auth: 'hmac-sha1-32', rtcpAuth: 'hmac-sha1-80' },
	AEAD_AES_128_GCM: { cipher: 'aes-128-gcm', auth: 'null' },
	AEAD_AES_256_GCM: { cipher: 'aes-256-gcm', auth: 'null' },
};

/** Its rtpbin asks for a key frame when its decoder needs one. */
export const ASKS_FOR_KEY_FRAMES = true;

/** Where a stream will be sent from and where its sender hears RTCP. */
export function sendFrom() {
	return adjacentPorts();
}

/** Where it will receive a stream. */
export function listenAt() {
	return adjacentPorts();
}

/** Sends test pictures and a tone: `streams` are from `Route.enter`, `from` being ports of `sendFrom`. */
export function send(t, streams, { hertz }) {
	const sources = {
		video: `${PICTURE} is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=25/1`,
		audio: `audiotestsrc is-live=true wave=sine freq=${hertz} ! audio/x-raw,rate=${RATE},channels=2`,
	};
	const pipeline = streams.map((stream, session) => {
		const { codec, kind, ssrc, payloadType, from } = stream;
		const { encoder, payloader } = CODECS[codec];
		return [
			`${sources[kind]} ! ${encoder} ! ${payloader} mtu=1200 ssrc=${ssrc} pt=${payloadType} ! rtp.send_rtp_sink_${session}`,
			...outgoing(session, { ...stream, listening: from, remote: stream }, true),
			...incomingRtcp(session, { ...stream, listening: from }),
		].join(' ');
	});
	return launch(t, `rtpbin name=rtp rtp-profile=avpf ${pipeline.join(' ')}`, 0);
}

/** Receives and decodes `streams` of `Route.leave`, `to` being ports of `listenAt`, where it listens when this returns. */
export async function receive(t, streams) {
	const pipeline = streams.map((stream, session) => {
		const { codec, kind, clockRate, payloadType, to, remotePort, remoteRtcpPort } = stream;
		const caps = `media=${kind},clock-rate=${clockRate},encoding-name=${codec.toUpperCase()},payload=${payloadType}`;
		const raw = kind === 'video' ? GRAY : `audioconvert ! audio/x-raw,format=S16LE,channels=1,rate=${RATE}`;
		const shown = { ...stream, listening: to, remote: { port: remotePort, rtcpPort: remoteRtcpPort } };
		return [
			incomingRtp(session, shown, caps),
			`rtp.recv_rtp_src_${session}_${stream.ssrc}_${payloadType} ! ${CODECS[codec].decoder} ! ${raw}`,
			`! fdsink fd=${3 + session} sync=false async=false`,
			...outgoing(session, shown, false),
			...incomingRtcp(session, shown),
		].join(' ');
	});
	const tool = launch(t, `rtpbin name=rtp rtp-profile=avpf ${pipeline.join(' ')}`, streams.length);
	const received = { tool };
	streams.forEach(({ kind }, index) => {
		received[kind] = kind === 'video' ? new Pictures(tool.outputs[index]) : new Sound(tool.outputs[index]);
	});
	await tool.says('Setting pipeline to PLAYING');
	return received;
}

/** What `send` shows, as a receiver would decode it. */
export function testPicture() {
	const size = 'video/x-raw,format=I420,width=320,height=240';
	return execFileSync('gst-launch-1.0', words(`-q ${PICTURE} num-buffers=1 ! ${size} ! ${GRAY} ! fdsink fd=1`));
}

function launch(t, pipeline, outputs) {
	return Tool.start(t, 'gst-launch-1.0', words(pipeline), { outputs });
}

function words(text) {
	return text.split(/\s+/);
}

/**
 * RTP (if it sends any) and RTCP from the session to the worker, from the ports it listens at. A sink's socket of the same
 * port takes packets away from the source, unless the source's is the more specific one.
 */
function outgoing(session, { keys, listening, remote }, withRtp) {
	const sink = (from, to) => `udpsink host=127.0.0.1 port=${to} bind-address=0.0.0.0 bind-port=${from} sync=false async=false`;
	const kinds = [...(withRtp ? [['rtp', 'port']] : []), ['rtcp', 'rtcpPort']];
	const name = `seal${session}`;
	return [
		...(keys ? [`srtpenc name=${name} key=${hex(keys.sending)} ${encryption(keys.suite)}`] : []),
		...kinds.map(([protocol, port]) => {
			const source = `rtp.send_${protocol}_src_${session}`;
			const sealed = keys ? `${source} ! ${name}.${protocol}_sink_0 ${name}.${protocol}_src_0` : source;
			return `${sealed} ! ${sink(listening[port], remote[port])}`;
		}),
	];
}

function incomingRtp(session, { keys, ssrc, listening }, caps) {
	const source = `udpsrc address=127.0.0.1 port=${listening.port}`;
	return keys
		? `${source} caps=application/x-srtp,${caps},${decryption(keys, ssrc)} ! srtpdec ! rtp.recv_rtp_sink_${session}`
		: `${source} caps=application/x-rtp,${caps} ! rtp.recv_rtp_sink_${session}`;
}

function incomingRtcp(session, { keys, ssrc, listening }) {
	const source = `udpsrc address=127.0.0.1 port=${listening.rtcpPort}`;
	const open = `open${session}`;
	return [
		keys
			? `${source} caps=application/x-srtcp,${decryption(keys, ssrc)} ! ${open}.rtcp_sink srtpdec name=${open} ${open}.rtcp_src ! rtp.recv_rtcp_sink_${session}`
			: `${source} caps=application/x-rtcp ! rtp.recv_rtcp_sink_${session}`,
	];
}

function encryption(suite) {
	const { cipher, auth, rtcpAuth = auth } = SUITES[suite];
	return `rtp-cipher=${cipher} rtcp-cipher=${cipher} rtp-auth=${auth} rtcp-auth=${rtcpAuth}`;
}

function decryption({ suite, receiving }, ssrc) {
	const { cipher, auth, rtcpAuth = auth } = SUITES[suite];
	return [
		`ssrc=(uint)${ssrc}`,
		`srtp-key=(buffer)${hex(receiving)}`,
		`srtp-cipher=${cipher},srtcp-cipher=${cipher}`,
		`srtp-auth=${auth},srtcp-auth=${rtcpAuth}`,
		'roc=(uint)0',
	].join(',');
}

function hex(base64) {
	return Buffer.from(base64, 'base64').toString('hex');
}
