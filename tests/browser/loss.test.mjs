// A network that loses a tenth of all datagrams each way, of ICE and DTLS too: what is lost is sent again, on both sides of the worker.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { BOUNDED, moves } from './lib/check.mjs';
import { heightOf, picturesOf, SIMULCAST, View } from './lib/layers.mjs';
import { LossyNetwork } from './lib/lossy_network.mjs';
import { Session } from './lib/session.mjs';

const LOSS = 0.1;
const SEED = 20_261_130;

const HERTZ = 440;

/** Pictures of the sender for which a viewer's are counted, without loss and with it. */
const CLEAN_PICTURES = 30;
const LOSSY_PICTURES = 90;

/** Without loss before and after, so that what is late has come when it is counted. */
const QUIET_PICTURES = 15;

/** How many of the sender's pictures come without loss: what comes with it is held against these. */
const CLEAN_PICTURES_MIN = 0.9;
/** How many of the pictures that come without loss come with it. */
const PICTURES_MIN = 0.8;

/** How much of what the network lost is to be repaired. */
const REPAIRED_MIN = 0.9;
/** The same where what is sent again goes by the same SSRC, so that it counts as lost too when it is. */
const REPAIRED_MIN_ALONE = 0.7;

/** Packets of a stream that the network has to lose for that to say anything: of the smallest it takes some ten. */
const LOST_MIN = 2;
/** Packets that may still be on their way when it is counted. */
const UNREPAIRED_MAX = 1;

/** Of the blocks of 50 ms in which a tone is to be heard; decoders conceal what is missing. */
const HEARD_MIN = 0.7;

/** With loss a change of layers may need a second key frame, which is asked for a second after the first. */
const LOSSY_SWITCH_MS_MAX = 5_000;

/** In kbit/s. Chromium sends less and less into a network that loses a tenth, until there is nothing to see: this is its least. */
const LEAST = { videoGoogleStartBitrate: 2_500, videoGoogleMinBitrate: 2_500 };

let browser;
before(async () => {
	browser = await Browser.launch();
});
after(() => browser?.close());

/** Two participants in such a network, the one watching what the other publishes. */
async function stage(t, published) {
	const session = await Session.create(t, browser);
	const router = await session.router();
	const network = new LossyNetwork(t, { loss: LOSS, seed: SEED });
	const participant = () => session.participant(router, undefined, undefined, network.through);
	const [publisher, viewer] = [await participant(), await participant()];
	const producer = await publisher.publish({ kind: 'video', codec: 'video/VP8', ...published, codecOptions: LEAST });
	const consumer = await viewer.consume(producer);
	await publisher.reaches('send', 'the publisher to be connected', ({ state }) => state === 'connected');
	await viewer.reaches('recv', 'the viewer to be connected', ({ state }) => state === 'connected');
	return { network, publisher, viewer, producer, consumer };
}

/** What a viewer decodes while the sender makes so many pictures, and then some without loss. */
async function decodes({ network, publisher, viewer, producer, consumer }, pictures, loss) {
	const counts = async () => [await viewer.report(consumer), picturesOf(await publisher.sent(producer))];
	const more = async (count, since) => {
		const isOver = async () => picturesOf(await publisher.sent(producer)) >= since + count;
		await viewer.expects(consumer, `${count} pictures of the sender`, isOver);
	};
	await viewer.begin(consumer);
	const [before, encodedBefore] = await counts();
	network.loss = loss;
	await more(pictures, encodedBefore);
	network.loss = 0;
	await more(pictures + QUIET_PICTURES, encodedBefore);
	const [now, encoded] = await counts();
	moves(now);
	const since = name => now[name] - before[name];
	const figures =
		`${since('framesDecoded')} of ${encoded - encodedBefore} pictures decoded, ${since('freezeCount')} freezes of ` +
		`${since('totalFreezesDuration').toFixed(1)} s, longest gap ${Math.round(now.stage.longestGapMs)} ms, ` +
		`${since('nackCount')} NACKs and ${since('pliCount')} PLIs of the receiver`;
	return { share: since('framesDecoded') / (encoded - encodedBefore), figures };
}

/** Compares what is decoded with loss with what is decoded without. */
async function losesFewPictures(t, there) {
	there.network.loss = 0;
	await there.viewer.shows(there.consumer, QUIET_PICTURES, await there.viewer.report(there.consumer));
	const clean = await decodes(there, CLEAN_PICTURES, 0);
	t.diagnostic(`without loss: ${clean.figures}`);
	assert.ok(clean.share >= CLEAN_PICTURES_MIN, `${clean.share} of the pictures without loss`);
	const lossy = await decodes(there, LOSSY_PICTURES, LOSS);
	t.diagnostic(`with loss: ${lossy.figures}`);
	assert.ok(lossy.share >= PICTURES_MIN * clean.share, `${lossy.share} of the pictures with loss, ${clean.share} without`);
}

/** What was lost between sender and worker, and between worker and receiver, was repaired. */
async function repairs(t, what, network, producer, consumer) {
	for (const { rid = '', ssrc, rtxSsrc, packetsRepaired, packetsRetransmitted, nackPacketCount } of await producer.getStats()) {
		const { sent, lost } = network.stream(ssrc);
		const repair = `${nackPacketCount} asked for, ${packetsRetransmitted} sent again, ${packetsRepaired} repaired`;
		t.diagnostic(`${what}${rid && ` ${rid}`} to the worker: ${lost} of ${sent} lost, ${repair}`);
		isRepaired(lost, packetsRepaired, rtxSsrc);
	}
	const [{ ssrc, rtxSsrc, packetsRepaired, packetsRetransmitted, nackPacketCount }] = await consumer.getStats();
	const { sent, lost } = network.stream(ssrc);
	const repair = `${nackPacketCount} asked for, ${packetsRetransmitted} sent again, ${packetsRepaired} repaired`;
	t.diagnostic(`${what} from the worker: ${lost} of ${sent} lost, ${repair}`);
	isRepaired(lost, packetsRepaired, rtxSsrc);
}

function isRepaired(lost, repaired, rtxSsrc) {
	assert.ok(lost >= LOST_MIN, `${lost} packets lost by the network`);
	const share = rtxSsrc ? REPAIRED_MIN : REPAIRED_MIN_ALONE;
	assert.ok(repaired + UNREPAIRED_MAX >= share * lost, `${repaired} of ${lost} packets repaired`);
}

test('VP8 and Opus', BOUNDED, async t => {
	const there = await stage(t, { width: 640 });
	const { network, publisher, viewer, producer, consumer } = there;
	const tone = await publisher.publish({ kind: 'audio', codec: 'audio/opus', hertz: HERTZ, codecOptions: { opusNack: true } });
	const sound = await viewer.consume(tone, { hertz: HERTZ, enableRtx: true });
	await viewer.shows(consumer, 15);
	await viewer.hears(sound, 1);
	const before = await viewer.report(sound);
	await losesFewPictures(t, there);
	const heard = await viewer.report(sound);
	const blocks = heard.blocks - before.blocks;
	const concealed = (heard.concealedSamples - before.concealedSamples) / (heard.totalSamplesReceived - before.totalSamplesReceived);
	t.diagnostic(`the tone heard in ${heard.heard - before.heard} of ${blocks} blocks, ${(100 * concealed).toFixed(1)} % concealed`);
	await repairs(t, 'VP8', network, producer, consumer);
	await repairs(t, 'Opus', network, tone, sound);
	const { retransmittedPacketsReceived } = await viewer.report(consumer);
	const [{ ssrc, rtx }] = consumer.rtpParameters.encodings;
	isRepaired(network.stream(ssrc).lost, retransmittedPacketsReceived, rtx.ssrc);
	assert.ok(heard.heard - before.heard >= HEARD_MIN * blocks, `the tone in ${heard.heard - before.heard} of ${blocks} blocks`);
});

test('VP8 simulcast', BOUNDED, async t => {
	// Without temporal layers every picture has to be repaired: decoders do not wait for those that no other needs.
	const encodings = SIMULCAST.encodings.map(encoding => ({ ...encoding, scalabilityMode: 'L1T1' }));
	const there = await stage(t, { ...SIMULCAST, encodings });
	const { network, viewer, producer, consumer } = there;
	const view = new View(t, there);
	await view.settles(heightOf(2));
	for (const spatialLayer of [0, 2]) {
		await viewer.begin(consumer);
		await consumer.setPreferredLayers({ spatialLayer });
		const { stage: seen } = await view.reaches(heightOf(spatialLayer));
		const { afterMs } = seen.runs.at(-1);
		t.diagnostic(`layer ${spatialLayer} after ${Math.round(afterMs)} ms, longest gap ${Math.round(seen.longestGapMs)} ms`);
		assert.ok(afterMs <= LOSSY_SWITCH_MS_MAX, `layer ${spatialLayer} after ${afterMs} ms`);
	}
	await losesFewPictures(t, there);
	await repairs(t, 'VP8', network, producer, consumer);
});
