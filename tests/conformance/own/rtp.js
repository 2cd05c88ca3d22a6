// RTP and RTCP packets (RFC 3550) as applications hand them to direct transports.

'use strict';

const VERSION = 2 << 6;

/** One-byte header extensions (RFC 8285 section 4.2): [[id, bytes]...]. */
function extensionBlock(extensions) {
	const elements = extensions.map(([id, bytes]) =>
		Buffer.concat([Buffer.from([(id << 4) | (bytes.length - 1)]), Buffer.from(bytes)])
	);
	const body = Buffer.concat(elements);
	const padded = Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
	const head = Buffer.alloc(4);
	head.writeUInt16BE(0xbede, 0);
	head.writeUInt16BE(padded.length / 4, 2);
	return Buffer.concat([head, padded]);
}

function rtp({ payloadType, sequenceNumber, timestamp, ssrc, marker = false, extensions = [], payload }) {
	const head = Buffer.alloc(12);
	head[0] = VERSION | (extensions.length > 0 ? 0x10 : 0);
	head[1] = (marker ? 0x80 : 0) | payloadType;
	head.writeUInt16BE(sequenceNumber, 2);
	head.writeUInt32BE(timestamp, 4);
	head.writeUInt32BE(ssrc, 8);
	const block = extensions.length > 0 ? extensionBlock(extensions) : Buffer.alloc(0);
	return Buffer.concat([head, block, Buffer.from(payload)]);
}

function readRtp(packet) {
	let start = 12 + 4 * (packet[0] & 0x0f);
	if (packet[0] & 0x10) {
		start += 4 + 4 * packet.readUInt16BE(start + 2);
	}
	return { payloadType: packet[1] & 0x7f, ssrc: packet.readUInt32BE(8), payload: packet.subarray(start) };
}

/** A picture loss indication (RFC 4585 section 6.3.1). */
function pli(mediaSsrc) {
	const packet = Buffer.alloc(12);
	packet[0] = VERSION | 1;
	packet[1] = 206;
	packet.writeUInt16BE(2, 2);
	packet.writeUInt32BE(1, 4);
	packet.writeUInt32BE(mediaSsrc, 8);
	return packet;
}

/** Kinds of the packets in a compound one: [[type, count or format]...]. */
function rtcpKinds(compound) {
	const kinds = [];
	for (let at = 0; at + 4 <= compound.length; at += 4 + 4 * compound.readUInt16BE(at + 2)) {
		kinds.push([compound[at + 1], compound[at] & 0x1f]);
	}
	return kinds;
}

/** The beginning of a VP8 frame (RFC 7741) of 16 by 16 pixels; key frames have a start code. */
function vp8(pictureId, isKeyFrame) {
	const descriptor = [0x90, 0x80, pictureId & 0x7f];
	return Buffer.from([...descriptor, ...(isKeyFrame ? [0x10, 2, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0] : [0x11, 2, 0, 1, 2, 3])]);
}

module.exports = { pli, readRtp, rtcpKinds, rtp, vp8 };
