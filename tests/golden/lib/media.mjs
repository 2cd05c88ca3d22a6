// Parameters and packets of a recorded session. Rich: what parameters can say is said once.

import { buildFir, buildNack, buildPli, buildSenderReport } from '../../interop/lib/rtcp.mjs';
import { buildRtp } from '../../interop/lib/rtp.mjs';

const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
const RID = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id';
const REPAIRED_RID = 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id';
const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const ORIENTATION = 'urn:3gpp:video-orientation';
const TIME_OFFSET = 'urn:ietf:params:rtp-hdrext:toffset';
const ABS_SEND_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';
const ABS_CAPTURE_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time';
const TRANSPORT_WIDE = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';

const H264 = { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 };

export const MEDIA_CODECS = [
	{ kind: 'audio', mimeType: 'audio/opus', preferredPayloadType: 100, clockRate: 48_000, channels: 2, parameters: { foo: 'bar' } },
	{ kind: 'video', mimeType: 'video/VP8', preferredPayloadType: 101, clockRate: 90_000 },
	{ kind: 'video', mimeType: 'video/H264', preferredPayloadType: 103, clockRate: 90_000, parameters: H264 },
];

const AUDIO_LEVEL_ID = 11;
const ORIENTATION_ID = 13;

export const OPUS = {
	mid: 'AUDIO',
	msid: 'stream track',
	codecs: [
		{
			mimeType: 'audio/opus',
			payloadType: 111,
			clockRate: 48_000,
			channels: 2,
			parameters: { useinbandfec: 1, usedtx: 0, foo: '222.222', bar: '333', ratio: 1.5, negative: -7 },
			rtcpFeedback: [{ type: 'nack' }, { type: 'transport-cc' }],
		},
	],
	headerExtensions: [
		{ uri: MID, id: 10 },
		{ uri: AUDIO_LEVEL, id: AUDIO_LEVEL_ID },
		{ uri: ABS_CAPTURE_TIME, id: 12, encrypt: false, parameters: {} },
	],
	encodings: [{ ssrc: 11_111_111, dtx: true, maxBitrate: 64_000 }],
	rtcp: { cname: 'audio-cname', reducedSize: false },
};

const VIDEO_FEEDBACK = [
	{ type: 'nack' },
	{ type: 'nack', parameter: 'pli' },
	{ type: 'ccm', parameter: 'fir' },
	{ type: 'goog-remb' },
	{ type: 'transport-cc' },
];

export const SINGLE = {
	mid: 'VIDEO',
	codecs: [
		{ mimeType: 'video/H264', payloadType: 112, clockRate: 90_000, parameters: H264, rtcpFeedback: VIDEO_FEEDBACK },
		{ mimeType: 'video/rtx', payloadType: 113, clockRate: 90_000, parameters: { apt: 112 } },
	],
	headerExtensions: [
		{ uri: MID, id: 10 },
		{ uri: ORIENTATION, id: ORIENTATION_ID },
		{ uri: TIME_OFFSET, id: 14 },
	],
	encodings: [{ ssrc: 22_222_222, rtx: { ssrc: 22_222_223 }, maxBitrate: 900_000 }],
	rtcp: { cname: 'video-cname' },
};

export const SIMULCAST = {
	mid: 'SIMULCAST',
	codecs: [
		{ mimeType: 'video/VP8', payloadType: 120, clockRate: 90_000, rtcpFeedback: VIDEO_FEEDBACK },
		{ mimeType: 'video/rtx', payloadType: 121, clockRate: 90_000, parameters: { apt: 120 } },
	],
	headerExtensions: [
		{ uri: MID, id: 1 },
		{ uri: RID, id: 2 },
		{ uri: REPAIRED_RID, id: 3 },
		{ uri: ABS_SEND_TIME, id: 4 },
		{ uri: TRANSPORT_WIDE, id: 5 },
	],
	encodings: [
		{ rid: 'r0', maxBitrate: 100_000, scalabilityMode: 'L1T3' },
		{ rid: 'r1', maxBitrate: 500_000, scalabilityMode: 'L1T3' },
		{ rid: 'r2', maxBitrate: 4_000_000_000, scalabilityMode: 'L1T3', scaleResolutionDownBy: 1 },
	],
	rtcp: { cname: 'simulcast-cname' },
};

/** The `count`th packet of a loud voice. */
export function opusPacket(count) {
	return buildRtp({
		payloadType: 111,
		sequenceNumber: 1_000 + count,
		timestamp: 5_000 + 960 * count,
		ssrc: 11_111_111,
		extensions: new Map([[AUDIO_LEVEL_ID, Buffer.from([0x80 | 20])]]),
		payload: Buffer.from([0xfc, count, 1, 2, 3]),
	});
}

/** The beginning of a key frame (SPS) of a camera on its side, and a frame after it. */
export function videoPackets() {
	return [0x67, 0x41].map((nal, count) =>
		buildRtp({
			payloadType: 112,
			sequenceNumber: 2_000 + count,
			timestamp: 90_000 + 3_000 * count,
			ssrc: 22_222_222,
			marker: true,
			extensions: new Map([[ORIENTATION_ID, Buffer.from([0x09])]]),
			payload: Buffer.from([nal, 0x42, 0xe0, 0x1f, 4, 5, 6, 7]),
		})
	);
}

/** What the publisher of the video reports. */
export function reports() {
	return buildSenderReport({
		ssrc: 22_222_222,
		ntpSeconds: 3_900_000_000,
		ntpFraction: 1 << 30,
		rtpTimestamp: 93_000,
		packetCount: 2,
		octetCount: 16,
	});
}

/** What its receiver asks for. */
export function requests(ssrc) {
	const senderSsrc = 1;
	return [
		buildNack({ senderSsrc, ssrc, sequenceNumbers: [2_000] }),
		buildPli({ senderSsrc, ssrc }),
		buildFir({ senderSsrc, ssrc, sequence: 3 }),
	];
}
