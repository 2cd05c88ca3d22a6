// RTP packets (RFC 3550 §5.1) with one-byte header extensions (RFC 8285 §4.2).

/** Bytes of an RTP packet. `extensions` maps ids to buffers. */
export function buildRtp({ payloadType, sequenceNumber, timestamp, ssrc, marker = false, extensions, payload }) {
	const header = Buffer.alloc(12);
	header[0] = 0x80;
	header[1] = (marker ? 0x80 : 0) | payloadType;
	header.writeUInt16BE(sequenceNumber & 0xffff, 2);
	header.writeUInt32BE(timestamp >>> 0, 4);
	header.writeUInt32BE(ssrc, 8);
	if (extensions === undefined || extensions.size === 0) {
		return Buffer.concat([header, payload]);
	}
	header[0] |= 0x10;
	const elements = [...extensions].flatMap(([id, data]) => [
		Buffer.from([(id << 4) | (data.length - 1)]),
		data,
	]);
	const length = elements.reduce((sum, element) => sum + element.length, 0);
	const words = Math.ceil(length / 4);
	const head = Buffer.from([0xbe, 0xde, words >> 8, words & 0xff]);
	return Buffer.concat([header, head, ...elements, Buffer.alloc(words * 4 - length), payload]);
}

/** Bytes of the header, extensions included. */
export function rtpHeaderLength(packet) {
	let length = 12 + 4 * (packet[0] & 0x0f);
	if (packet[0] & 0x10) {
		length += 4 + 4 * packet.readUInt16BE(length + 2);
	}
	return length;
}

export function parseRtp(packet) {
	const headerLength = rtpHeaderLength(packet);
	const padding = packet[0] & 0x20 ? packet[packet.length - 1] : 0;
	return {
		marker: (packet[1] & 0x80) !== 0,
		payloadType: packet[1] & 0x7f,
		sequenceNumber: packet.readUInt16BE(2),
		timestamp: packet.readUInt32BE(4),
		ssrc: packet.readUInt32BE(8),
		extensions: parseExtensions(packet, headerLength),
		payload: packet.subarray(headerLength, packet.length - padding),
	};
}

function parseExtensions(packet, headerLength) {
	const extensions = new Map();
	if (!(packet[0] & 0x10)) {
		return extensions;
	}
	let at = 12 + 4 * (packet[0] & 0x0f);
	const oneByte = packet.readUInt16BE(at) === 0xbede;
	at += 4;
	while (at < headerLength) {
		if (packet[at] === 0) {
			at += 1;
			continue;
		}
		const id = oneByte ? packet[at] >> 4 : packet[at];
		const length = oneByte ? (packet[at] & 0x0f) + 1 : packet[at + 1];
		const start = at + (oneByte ? 1 : 2);
		extensions.set(id, packet.subarray(start, start + length));
		at = start + length;
	}
	return extensions;
}

/** RTCP shares the port with RTP and is told apart by its packet type (RFC 5761 §4). */
export function isRtcp(packet) {
	return packet.length >= 8 && packet[1] >= 192 && packet[1] <= 223;
}

/** b - a on the circle of 16-bit sequence numbers. */
export function sequenceDistance(a, b) {
	return (b - a) & 0xffff;
}
