// The RTCP packets a media peer sends and receives (RFC 3550 §6, RFC 4585 §6, RFC 5104 §4.3).

const TYPES = new Map([
	[200, 'sr'],
	[201, 'rr'],
	[202, 'sdes'],
	[203, 'bye'],
	[205, 'rtpfb'],
	[206, 'psfb'],
	[207, 'xr'],
]);

function packet(count, type, body) {
	const head = Buffer.from([0x80 | count, type, 0, 0]);
	head.writeUInt16BE(body.length / 4, 2);
	return Buffer.concat([head, body]);
}

function words(...values) {
	const bytes = Buffer.alloc(4 * values.length);
	values.forEach((value, index) => bytes.writeUInt32BE(value >>> 0, 4 * index));
	return bytes;
}

export function buildSenderReport({ ssrc, ntpSeconds, ntpFraction, rtpTimestamp, packetCount, octetCount }) {
	return packet(0, 200, words(ssrc, ntpSeconds, ntpFraction, rtpTimestamp, packetCount, octetCount));
}

export function buildReceiverReport({ senderSsrc, ssrc, fractionLost = 0, lost = 0, highestSequence, jitter = 0, lastSr = 0, delay = 0 }) {
	const loss = ((fractionLost & 0xff) << 24) | (lost & 0xffffff);
	return packet(1, 201, words(senderSsrc, ssrc, loss, highestSequence, jitter, lastSr, delay));
}

/** Generic NACK of sequence numbers, one item each. */
export function buildNack({ senderSsrc, ssrc, sequenceNumbers }) {
	const items = sequenceNumbers.map(sequence => (sequence << 16) >>> 0);
	return packet(1, 205, words(senderSsrc, ssrc, ...items));
}

export function buildPli({ senderSsrc, ssrc }) {
	return packet(1, 206, words(senderSsrc, ssrc));
}

export function buildFir({ senderSsrc, ssrc, sequence }) {
	return packet(4, 206, words(senderSsrc, 0, ssrc, sequence << 24));
}

/** Which of at most 14 packets from `base` on came, a quarter of a millisecond apart. */
export function buildTransportCc({ senderSsrc, ssrc, base, came, count = 0 }) {
	const bits = came.reduce((sum, has, index) => sum | (has ? 1 << (13 - index) : 0), 0x8000);
	const fci = Buffer.alloc(10 + came.filter(Boolean).length, 1);
	fci.writeUInt16BE(base, 0);
	fci.writeUInt16BE(came.length, 2);
	fci.writeIntBE(1, 4, 3);
	fci[7] = count;
	fci.writeUInt16BE(bits, 8);
	const padding = Buffer.alloc((4 - (fci.length % 4)) % 4);
	return packet(15, 205, Buffer.concat([words(senderSsrc, ssrc), fci, padding]));
}

/** The packets of a compound, in order. */
export function parseRtcp(compound) {
	const packets = [];
	for (let at = 0; at + 4 <= compound.length; ) {
		const length = 4 + 4 * compound.readUInt16BE(at + 2);
		packets.push(parseOne(compound.subarray(at, at + length)));
		at += length;
	}
	return packets;
}

function parseOne(bytes) {
	const count = bytes[0] & 0x1f;
	const type = TYPES.get(bytes[1]) ?? `type ${bytes[1]}`;
	const common = { type, ssrc: bytes.readUInt32BE(4) };
	switch (type) {
		case 'sr':
			return {
				...common,
				ntpSeconds: bytes.readUInt32BE(8),
				ntpFraction: bytes.readUInt32BE(12),
				rtpTimestamp: bytes.readUInt32BE(16),
				packetCount: bytes.readUInt32BE(20),
				octetCount: bytes.readUInt32BE(24),
				reports: parseReports(bytes, 28, count),
			};
		case 'rr':
			return { ...common, reports: parseReports(bytes, 8, count) };
		case 'sdes':
			return { ...common, cname: bytes[8] === 1 ? bytes.toString('utf8', 10, 10 + bytes[9]) : undefined };
		case 'rtpfb':
			return parseTransportFeedback(bytes, count, { ...common, mediaSsrc: bytes.readUInt32BE(8) });
		case 'psfb':
			return parsePayloadFeedback(bytes, count, common);
		default:
			return common;
	}
}

function parseReports(bytes, start, count) {
	return Array.from({ length: count }, (_, index) => {
		const at = start + 24 * index;
		return {
			ssrc: bytes.readUInt32BE(at),
			fractionLost: bytes[at + 4],
			lost: bytes.readIntBE(at + 5, 3),
			highestSequence: bytes.readUInt32BE(at + 8),
			jitter: bytes.readUInt32BE(at + 12),
			lastSr: bytes.readUInt32BE(at + 16),
			delay: bytes.readUInt32BE(at + 20),
		};
	});
}

function parseNackItems(bytes) {
	const sequenceNumbers = [];
	for (let at = 12; at + 4 <= bytes.length; at += 4) {
		const first = bytes.readUInt16BE(at);
		const mask = bytes.readUInt16BE(at + 2);
		sequenceNumbers.push(first);
		for (let bit = 0; bit < 16; ++bit) {
			if (mask & (1 << bit)) {
				sequenceNumbers.push((first + bit + 1) & 0xffff);
			}
		}
	}
	return sequenceNumbers;
}

function parseTransportFeedback(bytes, format, common) {
	switch (format) {
		case 1:
			return { ...common, type: 'nack', sequenceNumbers: parseNackItems(bytes) };
		case 15:
			return { ...common, type: 'transport-cc', count: bytes[19], statuses: parseTransportCc(bytes) };
		default:
			return { ...common, format };
	}
}

/** What became of each packet (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). */
function parseTransportCc(bytes) {
	const base = bytes.readUInt16BE(12);
	const count = bytes.readUInt16BE(14);
	const symbols = [];
	let at = 20;
	for (; symbols.length < count; at += 2) {
		const chunk = bytes.readUInt16BE(at);
		if (chunk >> 15 === 0) {
			symbols.push(...Array(chunk & 0x1fff).fill(chunk >> 13));
		} else if (chunk >> 14 === 2) {
			symbols.push(...Array.from({ length: 14 }, (_, index) => (chunk >> (13 - index)) & 1));
		} else {
			symbols.push(...Array.from({ length: 7 }, (_, index) => (chunk >> (12 - 2 * index)) & 3));
		}
	}
	let arrivedUs = bytes.readIntBE(16, 3) * 64_000;
	return symbols.slice(0, count).map((symbol, index) => {
		const sequenceNumber = (base + index) & 0xffff;
		if (symbol === 0) {
			return { sequenceNumber };
		}
		arrivedUs += 250 * (symbol === 1 ? bytes.readUInt8(at) : bytes.readInt16BE(at));
		at += symbol;
		return { sequenceNumber, arrivedUs };
	});
}

function parsePayloadFeedback(bytes, format, common) {
	const mediaSsrc = bytes.readUInt32BE(8);
	if (format === 1) {
		return { ...common, type: 'pli', mediaSsrc };
	}
	if (format === 4) {
		return { ...common, type: 'fir', mediaSsrc: bytes.readUInt32BE(12), sequence: bytes[16] };
	}
	if (format === 15 && bytes.toString('latin1', 12, 16) === 'REMB') {
		const mantissa = bytes.readUIntBE(17, 3) & 0x3ffff;
		const ssrcs = Array.from({ length: bytes[16] }, (_, index) => bytes.readUInt32BE(20 + 4 * index));
		return { ...common, type: 'remb', bitrate: mantissa * 2 ** (bytes[17] >> 2), ssrcs };
	}
	return { ...common, mediaSsrc, format };
}
