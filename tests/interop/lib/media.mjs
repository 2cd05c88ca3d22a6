// Streams to send: H264 and Opus as parameters and as payloads.

import { buildRtp } from './rtp.mjs';

export const MEDIA_CODECS = [
	{
		kind: 'audio',
		mimeType: 'audio/opus',
		preferredPayloadType: 100,
		clockRate: 48_000,
		channels: 2,
	},
	{
		kind: 'video',
		mimeType: 'video/H264',
		preferredPayloadType: 101,
		clockRate: 90_000,
		parameters: { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 },
	},
];

const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const ORIENTATION = 'urn:3gpp:video-orientation';

/** Transport-wide sequence numbers, as a publisher offers them. */
export const TRANSPORT_WIDE = {
	uri: 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
	id: 7,
};

/** The producer's own extension ids; none is the router's, so that forwarding has to map them. */
export const SENT_IDS = { mid: 10, audioLevel: 11, orientation: 13 };

/** The id under which a consumer gets an extension. */
export function receivedId(consumer, name) {
	const uri = { mid: MID, audioLevel: AUDIO_LEVEL, orientation: ORIENTATION }[name];
	return consumer.rtpParameters.headerExtensions.find(extension => extension.uri === uri)?.id;
}

export function opusParameters({ ssrc, payloadType = 111, mid = 'audio-mid', dtx = false, nack = false }) {
	return {
		mid,
		codecs: [
			{
				mimeType: 'audio/opus',
				payloadType,
				clockRate: 48_000,
				channels: 2,
				parameters: { useinbandfec: 1, usedtx: dtx ? 1 : 0 },
				rtcpFeedback: nack ? [{ type: 'nack' }] : [],
			},
		],
		headerExtensions: [
			{ uri: MID, id: SENT_IDS.mid },
			{ uri: AUDIO_LEVEL, id: SENT_IDS.audioLevel },
		],
		encodings: [{ ssrc, dtx }],
		rtcp: { cname: 'interop-audio' },
	};
}

export function h264Parameters({ ssrc, rtxSsrc, payloadType = 112, mid = 'video-mid' }) {
	const codecs = [
		{
			mimeType: 'video/H264',
			payloadType,
			clockRate: 90_000,
			parameters: { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 },
			rtcpFeedback: [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }, { type: 'ccm', parameter: 'fir' }],
		},
	];
	if (rtxSsrc !== undefined) {
		codecs.push({
			mimeType: 'video/rtx',
			payloadType: payloadType + 1,
			clockRate: 90_000,
			parameters: { apt: payloadType },
		});
	}
	return {
		mid,
		codecs,
		headerExtensions: [
			{ uri: MID, id: SENT_IDS.mid },
			{ uri: ORIENTATION, id: SENT_IDS.orientation },
		],
		encodings: [{ ssrc, ...(rtxSsrc !== undefined && { rtx: { ssrc: rtxSsrc } }) }],
		rtcp: { cname: 'interop-video' },
	};
}

/** What a receiver can do, from what the router can; `rtx: false` takes retransmissions on the media's own SSRC. */
export function receiverCapabilities(router, { rtx = true } = {}) {
	const { codecs, headerExtensions } = router.rtpCapabilities;
	return {
		codecs: codecs.filter(codec => rtx || !codec.mimeType.endsWith('/rtx')),
		headerExtensions: headerExtensions.filter(extension =>
			[MID, AUDIO_LEVEL, ORIENTATION].includes(extension.uri)
		),
	};
}

/** A stream that remembers where it is. Call `next` for packets in order, or skip some. */
export class Sender {
	constructor(rtpParameters, { sequenceNumber = 1_000, timestamp = 5_000 } = {}) {
		this.ssrc = rtpParameters.encodings[0].ssrc;
		this.payloadType = rtpParameters.codecs[0].payloadType;
		this.mid = Buffer.from(rtpParameters.mid);
		this.sequenceNumber = sequenceNumber;
		this.timestamp = timestamp;
		this.sent = [];
	}

	/** The next packet with this payload: an object with the bytes and what is in them. */
	next(payload, { marker = false, timestampStep = 0, extensions = [] } = {}) {
		this.timestamp = (this.timestamp + timestampStep) >>> 0;
		const packet = {
			payloadType: this.payloadType,
			sequenceNumber: this.sequenceNumber,
			timestamp: this.timestamp,
			ssrc: this.ssrc,
			marker,
			extensions: new Map([[SENT_IDS.mid, this.mid], ...extensions]),
			payload,
		};
		this.sequenceNumber = (this.sequenceNumber + 1) & 0xffff;
		const sent = { ...packet, bytes: buildRtp(packet) };
		this.sent.push(sent);
		return sent;
	}

	/** 20 ms of Opus. The payload is told apart by its sequence number. */
	nextOpus({ audioLevel = 42 } = {}) {
		const payload = fill(80, this.sequenceNumber);
		// TOC byte: CELT, fullband, 20 ms, stereo, one frame.
		payload[0] = 0xfc;
		return this.next(payload, {
			timestampStep: 960,
			extensions: [[SENT_IDS.audioLevel, Buffer.from([0x80 | audioLevel])]],
		});
	}

	/** The packets of a key frame: SPS, PPS and an IDR picture in FU-A fragments. */
	nextKeyFrame() {
		const sps = Buffer.from([0x67, 0x42, 0xe0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe8, 0x06, 0xd0, 0xa1, 0x35]);
		const pps = Buffer.from([0x68, 0xce, 0x06, 0xe2]);
		return [
			this.next(sps, { timestampStep: 3_000 }),
			this.next(pps),
			...this.#fragments(0x65, 4),
		];
	}

	/** The packets of a frame that refers to earlier ones. */
	nextDeltaFrame() {
		this.timestamp = (this.timestamp + 3_000) >>> 0;
		return this.#fragments(0x41, 2);
	}

	#fragments(nal, count) {
		return Array.from({ length: count }, (_, index) => {
			const payload = fill(900, this.sequenceNumber);
			payload[0] = (nal & 0xe0) | 28;
			payload[1] = (index === 0 ? 0x80 : 0) | (index === count - 1 ? 0x40 : 0) | (nal & 0x1f);
			return this.next(payload, { marker: index === count - 1 });
		});
	}
}

function fill(length, seed) {
	return Buffer.from(Array.from({ length }, (_, index) => (seed * 31 + index * 7) & 0xff));
}
