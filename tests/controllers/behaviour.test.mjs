// What differs by the controller's version beside the layout of messages, as its library's application sees it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';

import { h264Parameters } from '../interop/lib/media.mjs';
import { Peer } from '../interop/lib/peer.mjs';
import { buildRtp } from '../interop/lib/rtp.mjs';

const BOUNDED = { timeout: 20_000 };

const IP = '127.0.0.1';
const SSRC = 33_333_333;
const FRAME_MARKING = 'urn:ietf:params:rtp-hdrext:framemarking';
const SENT_ID = 9;

const mediasoup = createRequire(join(process.env.MEDIASOUP_HOME, 'package.json'))('mediasoup');
const [, minor, patch] = mediasoup.version.split('.').map(Number);
const before = (otherMinor, otherPatch = 0) => minor < otherMinor || (minor === otherMinor && patch < otherPatch);

/** Before 3.13 there are addresses to listen on, and nothing else to say of them. */
const LISTEN = before(13) ? { listenIp: { ip: IP } } : { listenInfo: { protocol: 'udp', ip: IP } };

const codec = (name, preferredPayloadType) => ({
	kind: 'video',
	mimeType: `video/${name}`,
	preferredPayloadType,
	clockRate: 90_000,
	parameters: name === 'H264' ? { 'packetization-mode': 1, 'profile-level-id': '42e01f' } : {},
});

const parameters = (name, payloadType, scalabilityMode) => ({
	codecs: [{ mimeType: `video/${name}`, payloadType, clockRate: 90_000 }],
	encodings: [{ ssrc: SSRC, scalabilityMode }],
	rtcp: { cname: 'behaviour' },
});

async function stage(t, mediaCodecs) {
	const worker = await mediasoup.createWorker({ logLevel: 'none' });
	t.after(() => worker.close());
	return worker.createRouter({ mediaCodecs });
}

async function connected(t, router) {
	const peer = await Peer.create();
	t.after(() => peer.close());
	const transport = await router.createPlainTransport({ ...LISTEN, rtcpMux: true });
	await transport.connect({ ip: IP, port: peer.port });
	peer.talkTo(transport.tuple);
	return { peer, transport };
}

async function refusal(promise) {
	try {
		await promise;
	} catch (error) {
		return error;
	}
	throw new Error('it was accepted');
}

test(`${mediasoup.version}: errors have the words of the version`, BOUNDED, async t => {
	const router = await stage(t, [codec('VP8', 101)]);
	const { transport } = await connected(t, router);
	const { message } = await refusal(transport.connect({ ip: IP, port: 9 }));
	const name = before(13) ? 'transport.connect' : 'plainTransport.connect';
	assert.ok(message.includes('connect() already called'), message);
	assert.equal(message.includes(`[method:${name}]`), before(21), message);
});

test(`${mediasoup.version}: one stream with temporal layers`, BOUNDED, async t => {
	const router = await stage(t, [codec('VP8', 101)]);
	const { transport } = await connected(t, router);
	const produced = transport.produce({ kind: 'video', rtpParameters: parameters('VP8', 101, 'L1T3') });
	if (before(11, 9)) {
		assert.equal((await refusal(produced)).constructor.name, 'TypeError');
		return;
	}
	const producer = await produced;
	const type = before(21, 1) ? 'simulcast' : 'svc';
	assert.equal(producer.type, type);
	const { rtpCapabilities } = router;
	const consumer = await transport.consume({ producerId: producer.id, rtpCapabilities, paused: true });
	assert.equal(consumer.type, type);
	assert.equal((await consumer.dump()).type, type);
	assert.deepEqual(consumer.preferredLayers, { spatialLayer: 0, temporalLayer: 2 });
});

test(`${mediasoup.version}: codecs that came and went`, BOUNDED, async t => {
	const names = [
		['H265', before(16, 6)],
		['H264-SVC', before(16, 6) && !before(9, 14)],
		['AV1', !before(16)],
	];
	for (const [name, isKnown] of names) {
		if (!isKnown) {
			const error = await refusal(stage(t, [codec(name, 102)]));
			assert.equal(error.constructor.name, 'UnsupportedError', 'the library itself knows no such codec');
			continue;
		}
		const router = await stage(t, [codec(name, 102)]);
		const { transport } = await connected(t, router);
		const producer = await transport.produce({ kind: 'video', rtpParameters: parameters(name, 102) });
		assert.equal(producer.type, 'simple');
		const { rtpCapabilities } = router;
		const consumer = await transport.consume({ producerId: producer.id, rtpCapabilities });
		assert.equal(consumer.rtpParameters.codecs[0].mimeType, `video/${name}`);
	}
});

test(`${mediasoup.version}: frame marking`, { ...BOUNDED, skip: !before(16, 6) && 'it is gone' }, async t => {
	const router = await stage(t, [codec('H264', 101)]);
	const sender = await connected(t, router);
	const rtpParameters = h264Parameters({ ssrc: SSRC, payloadType: 112 });
	rtpParameters.headerExtensions = [{ uri: FRAME_MARKING, id: SENT_ID }];
	const producer = await sender.transport.produce({ kind: 'video', rtpParameters });
	const shown = (await producer.dump()).rtpParameters.headerExtensions.map(({ uri, id }) => [uri, id]);
	assert.deepEqual(shown, [[FRAME_MARKING, SENT_ID]]);
	const receiver = await connected(t, router);
	const { rtpCapabilities } = router;
	const consumer = await receiver.transport.consume({ producerId: producer.id, rtpCapabilities });
	const { id } = consumer.rtpParameters.headerExtensions.find(({ uri }) => uri === FRAME_MARKING);
	assert.equal(id, 7);
	// A key frame's parameter set; marked as its first packet, which needs no other.
	const value = Buffer.from([0xa0]);
	const [packet] = await (async () => {
		sender.peer.send(
			buildRtp({
				payloadType: 112,
				sequenceNumber: 1,
				timestamp: 1,
				ssrc: SSRC,
				extensions: new Map([[SENT_ID, value]]),
				payload: Buffer.from([0x67, 0x42, 0xe0, 0x1f]),
			})
		);
		return receiver.peer.receive(consumer.rtpParameters.encodings[0].ssrc, 1);
	})();
	assert.deepEqual(packet.extensions.get(id), value);
});
