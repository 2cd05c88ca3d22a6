// What a publisher is told about the way to the worker: arrivals, limits.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TRANSPORT_WIDE, Sender, h264Parameters } from './lib/media.mjs';
import { Session } from './lib/session.mjs';
import { sleep, until } from './lib/wait.mjs';

const BOUNDED = { timeout: 20_000 };

/** A publisher whose media negotiate transport-wide feedback, each packet with its number. */
async function publisher(t) {
	const session = await Session.create(t);
	const { peer, transport } = await session.connectedPeer();
	const rtpParameters = h264Parameters({ ssrc: 22_222_222 });
	rtpParameters.codecs[0].rtcpFeedback.push({ type: 'transport-cc' });
	rtpParameters.headerExtensions.push(TRANSPORT_WIDE);
	await transport.produce({ kind: 'video', rtpParameters });
	const sender = new Sender(rtpParameters);
	let wide = 65_400;
	const next = () => {
		const number = Buffer.alloc(2);
		number.writeUInt16BE(wide & 0xffff);
		++wide;
		return sender.next(Buffer.from([0x41, 1, 2, 3]), {
			timestampStep: 900,
			extensions: [[TRANSPORT_WIDE.id, number]],
		}).bytes;
	};
	return { peer, transport, next, ssrc: sender.ssrc };
}

test('each packet is accounted for by number and arrival', BOUNDED, async t => {
	const { peer, transport, next, ssrc } = await publisher(t);
	const lost = new Set();
	const packets = 400;
	for (let index = 0; index < packets; ++index) {
		const bytes = next();
		// The last one comes, so that what is missing before it is seen to be.
		if (index % 9 === 4 && index < packets - 1) {
			lost.add((65_400 + index) & 0xffff);
		} else {
			peer.send(bytes);
		}
		await sleep(2);
	}
	const statuses = await until('feedback on all packets', () => {
		const told = new Map();
		for (const { statuses } of peer.rtcp.filter(packet => packet.type === 'transport-cc')) {
			statuses.forEach(({ sequenceNumber, arrivedUs }) => told.set(sequenceNumber, arrivedUs));
		}
		return told.size === packets && told;
	});
	let previous = -Infinity;
	for (let index = 0; index < packets; ++index) {
		const number = (65_400 + index) & 0xffff;
		const arrived = statuses.get(number);
		assert.equal(arrived === undefined, lost.has(number), `packet ${number}`);
		if (arrived !== undefined) {
			assert.ok(arrived >= previous, 'loopback keeps the order');
			previous = arrived;
		}
	}
	const feedback = peer.rtcp.filter(packet => packet.type === 'transport-cc');
	feedback.forEach((packet, index) => {
		assert.equal(packet.mediaSsrc, ssrc);
		assert.equal(packet.count, index & 0xff);
	});
	const [stats] = await transport.getStats();
	assert.ok(Math.abs(stats.rtpPacketLossReceived - 1 / 9) < 0.05, `${stats.rtpPacketLossReceived}`);
	assert.equal(stats.availableIncomingBitrate, 0);
});

test('a publisher is told the limit of the transport, and its end', BOUNDED, async t => {
	const { peer, transport, next } = await publisher(t);
	await transport.setMaxIncomingBitrate(500_000);
	peer.send(next());
	const limit = await peer.receiveRtcp('remb', () => true);
	assert.ok(limit.bitrate <= 500_000 && limit.bitrate > 499_000, `${limit.bitrate}`);
	await transport.setMaxIncomingBitrate(0);
	await peer.receiveRtcp('remb', packet => packet.bitrate === 0);
});
