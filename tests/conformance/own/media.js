// What is negotiated in these tests.

'use strict';

const mediaCodecs = [
	{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48000, channels: 2, parameters: { foo: 'bar' } },
	{ kind: 'video', mimeType: 'video/VP8', clockRate: 90000 },
	{
		kind: 'video',
		mimeType: 'video/H264',
		clockRate: 90000,
		parameters: { 'level-asymmetry-allowed': 1, 'packetization-mode': 1, 'profile-level-id': '4d0032' },
	},
];

const AUDIO_SSRC = 11111111;
const VIDEO_SSRCS = [22222221, 22222222];
const LEVEL_EXTENSION = 10;
const ORIENTATION_EXTENSION = 11;

function audio() {
	return {
		kind: 'audio',
		rtpParameters: {
			mid: 'AUDIO',
			codecs: [
				{
					mimeType: 'audio/opus',
					payloadType: 111,
					clockRate: 48000,
					channels: 2,
					parameters: { useinbandfec: 1, usedtx: 1, foo: 222.222, bar: '333' },
				},
			],
			headerExtensions: [
				{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 1 },
				{ uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level', id: LEVEL_EXTENSION },
			],
			encodings: [{ ssrc: AUDIO_SSRC, dtx: true }],
			rtcp: { cname: 'sound' },
		},
	};
}

function video(ssrcs = VIDEO_SSRCS) {
	return {
		kind: 'video',
		rtpParameters: {
			mid: 'VIDEO',
			codecs: [
				{
					mimeType: 'video/VP8',
					payloadType: 112,
					clockRate: 90000,
					rtcpFeedback: [
						{ type: 'nack' },
						{ type: 'nack', parameter: 'pli' },
						{ type: 'ccm', parameter: 'fir' },
						{ type: 'goog-remb' },
					],
				},
				{ mimeType: 'video/rtx', payloadType: 113, clockRate: 90000, parameters: { apt: 112 } },
			],
			headerExtensions: [
				{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 1 },
				{ uri: 'urn:3gpp:video-orientation', id: ORIENTATION_EXTENSION },
			],
			encodings: ssrcs.map(ssrc => ({ ssrc, rtx: { ssrc: ssrc + 100 }, scalabilityMode: 'S1T3', maxBitrate: 1000000 })),
			rtcp: { cname: 'pictures' },
		},
	};
}

module.exports = { AUDIO_SSRC, LEVEL_EXTENSION, ORIENTATION_EXTENSION, VIDEO_SSRCS, audio, mediaCodecs, video };
