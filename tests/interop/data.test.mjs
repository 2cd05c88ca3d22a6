// Data channels through the library: messages from and to the application, and SCTP data producers and consumers before
// their association is connected.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Session } from './lib/session.mjs';
import { nextEvent, until } from './lib/wait.mjs';

const BOUNDED = { timeout: 30_000 };
const LISTEN_INFO = { protocol: 'udp', ip: '127.0.0.1' };

async function directProducer(session, options = {}) {
	const transport = await session.router.createDirectTransport();
	const producer = await transport.produceData({ label: 'chat', protocol: 'lines', ...options });
	return { transport, producer };
}

async function directConsumer(session, producer, options = {}) {
	const transport = options.transport ?? (await session.router.createDirectTransport());
	delete options.transport;
	const consumer = await transport.consumeData({ dataProducerId: producer.id, ...options });
	const messages = [];
	consumer.on('message', (message, ppid) => messages.push({ message, ppid }));
	return { transport, consumer, messages, texts: () => messages.map(({ message }) => message.toString()) };
}

function sctpTransport(session, options = {}) {
	return session.router.createPlainTransport({ listenInfo: LISTEN_INFO, enableSctp: true, ...options });
}

test('messages of every kind arrive as they were sent, in order', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer } = await directProducer(session);
	const near = await directConsumer(session, producer);
	const far = await directConsumer(session, producer);
	const big = Buffer.alloc(262_144, 7);
	producer.send('text');
	producer.send('');
	producer.send(Buffer.from([0, 255]));
	producer.send(Buffer.alloc(0));
	producer.send(big);
	producer.send('own ppid', 12_345);
	for (const { messages } of [near, far]) {
		await until('six messages', () => messages.length === 6);
		assert.deepEqual(
			messages.map(({ ppid }) => ppid),
			[51, 56, 53, 57, 53, 12_345]
		);
		assert.equal(messages[0].message.toString(), 'text');
		assert.deepEqual(messages[2].message, Buffer.from([0, 255]));
		assert.deepEqual(messages[4].message, big);
	}
	const bytes = 4 + 1 + 2 + 1 + big.length + 8;
	const [received] = await producer.getStats();
	assert.deepEqual(
		{ ...received, timestamp: 0 },
		{ type: 'data-producer', timestamp: 0, label: 'chat', protocol: 'lines', messagesReceived: 6, bytesReceived: bytes }
	);
	const [sent] = await near.consumer.getStats();
	assert.deepEqual(
		{ ...sent, timestamp: 0 },
		{
			type: 'data-consumer',
			timestamp: 0,
			label: 'chat',
			protocol: 'lines',
			messagesSent: 6,
			bytesSent: bytes,
			bufferedAmount: 0,
		}
	);
	const [transport] = await near.transport.getStats();
	assert.equal(transport.bytesSent, bytes);
});

test('a burst far beyond what the channel holds arrives complete', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer } = await directProducer(session);
	const { messages } = await directConsumer(session, producer);
	const other = await directConsumer(session, producer);
	const count = 1_500;
	for (let index = 0; index < count; ++index) {
		const message = Buffer.alloc(32_768);
		message.writeUInt32BE(index);
		producer.send(message);
	}
	for (const received of [messages, other.messages]) {
		await until('all of them', () => received.length === count, 20_000);
		received.forEach(({ message }, index) => assert.equal(message.readUInt32BE(), index));
	}
});

test('so does a flood of small ones to several', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer } = await directProducer(session);
	const receivers = await Promise.all([1, 2, 3, 4].map(() => directConsumer(session, producer)));
	const count = 10_000;
	for (let index = 0; index < count; ++index) {
		producer.send(String(index));
	}
	for (const { messages, texts } of receivers) {
		await until('all of them', () => messages.length === count, 20_000);
		texts().forEach((text, index) => assert.equal(text, String(index)));
	}
});

test('too long a message is refused, and the next one goes on', BOUNDED, async t => {
	const session = await Session.create(t);
	const transport = await session.router.createDirectTransport({ maxReceiveMessageSize: 100, maxSendMessageSize: 50 });
	const producer = await transport.produceData();
	const narrow = await directConsumer(session, producer, { transport });
	const wide = await directConsumer(session, producer);
	producer.send(Buffer.alloc(101));
	producer.send(Buffer.alloc(100));
	producer.send(Buffer.alloc(50));
	await until('two messages', () => wide.messages.length === 2);
	await until('one message', () => narrow.messages.length === 1);
	const [stats] = await producer.getStats();
	assert.equal(stats.messagesReceived, 2);
});

test('subchannels, the required and the ignored one choose the receivers', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer } = await directProducer(session);
	const alice = await directConsumer(session, producer, { subchannels: [1, 100] });
	const bob = await directConsumer(session, producer, { subchannels: [2, 100] });
	const nobody = await directConsumer(session, producer);
	assert.deepEqual(alice.consumer.subchannels, [1, 100]);
	producer.send('all');
	producer.send('one', undefined, [1]);
	producer.send('group', undefined, [100]);
	producer.send('needs two', undefined, [100], 2);
	producer.send('not from one', undefined, undefined, undefined, 1);
	producer.send('group but two', undefined, [100], undefined, 2);
	await bob.consumer.addSubchannel(1);
	producer.send('one again', undefined, [1]);
	await bob.consumer.removeSubchannel(1);
	producer.send('only one', undefined, [1]);
	await alice.consumer.setSubchannels([]);
	producer.send('end');
	await until('the end', () => [alice, bob, nobody].every(({ texts }) => texts().at(-1) === 'end'));
	assert.deepEqual(alice.texts(), ['all', 'one', 'group', 'group but two', 'one again', 'only one', 'end']);
	assert.deepEqual(bob.texts(), ['all', 'group', 'needs two', 'not from one', 'one again', 'end']);
	assert.deepEqual(nobody.texts(), ['all', 'not from one', 'end']);
});

test('pauses of either side, and the events they cause', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer } = await directProducer(session, { paused: true });
	const early = await directConsumer(session, producer);
	assert.equal(early.consumer.dataProducerPaused, true);
	producer.send('1');
	const resumed = nextEvent(early.consumer, 'dataproducerresume');
	await producer.resume();
	await resumed;
	producer.send('2');
	await early.consumer.pause();
	producer.send('3');
	await early.consumer.resume();
	producer.send('4');
	const paused = nextEvent(early.consumer, 'dataproducerpause');
	await producer.pause();
	await paused;
	producer.send('5');
	const [stats] = await producer.getStats();
	assert.equal(stats.messagesReceived, 5);
	await until('two messages', () => early.messages.length === 2);
	assert.deepEqual(early.texts(), ['2', '4']);
});

test('closing tells who loses a producer', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer, transport } = await directProducer(session);
	const other = await transport.produceData();
	const first = await directConsumer(session, producer);
	const second = await directConsumer(session, other);
	const third = await directConsumer(session, producer);
	third.consumer.close();
	const gone = nextEvent(first.consumer, 'dataproducerclose');
	producer.close();
	await gone;
	await assert.rejects(first.consumer.dump(), { name: 'NotFoundError' });
	const alsoGone = nextEvent(second.consumer, 'dataproducerclose');
	transport.close();
	await alsoGone;
	const dump = await session.router.dump();
	assert.deepEqual(dump.mapDataProducerIdDataConsumerIds, []);
	assert.deepEqual(dump.mapDataConsumerIdDataProducerId, []);
	const handlers = (await session.worker.dump()).channelMessageHandlers;
	const left = [first, second, third].map(({ transport: { id } }) => id);
	assert.deepEqual(handlers.channelNotificationHandlers.toSorted(), left.toSorted());
});

test('handlers and maps name data producers and consumers', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer, transport } = await directProducer(session);
	const { consumer } = await directConsumer(session, producer, { transport });
	const router = await session.router.dump();
	assert.deepEqual(router.mapDataProducerIdDataConsumerIds, [{ key: producer.id, values: [consumer.id] }]);
	assert.deepEqual(router.mapDataConsumerIdDataProducerId, [{ key: consumer.id, value: producer.id }]);
	const dump = await transport.dump();
	assert.deepEqual([dump.dataProducerIds, dump.dataConsumerIds], [[producer.id], [consumer.id]]);
	const { channelRequestHandlers, channelNotificationHandlers } = (await session.worker.dump()).channelMessageHandlers;
	assert.deepEqual(
		channelRequestHandlers.toSorted(),
		[session.router.id, transport.id, producer.id, consumer.id].toSorted()
	);
	assert.deepEqual(channelNotificationHandlers.toSorted(), [transport.id, producer.id].toSorted());
});

test('an SCTP transport shows what it was given', BOUNDED, async t => {
	const session = await Session.create(t);
	const transport = await sctpTransport(session, {
		maxSendMessageSize: 1_000,
		maxReceiveMessageSize: 2_000,
		sctpSendBufferSize: 3_000,
		sctpPerStreamSendQueueLimit: 4_000,
		sctpMaxReceiverWindowBufferSize: 5_000,
	});
	const parameters = {
		port: 5_000,
		maxSendMessageSize: 1_000,
		maxReceiveMessageSize: 2_000,
		sendBufferSize: 3_000,
		perStreamSendQueueLimit: 4_000,
		maxReceiverWindowBufferSize: 5_000,
		isDataChannel: false,
	};
	const shown = ({ sctpParameters }) => Object.fromEntries(Object.keys(parameters).map(key => [key, sctpParameters[key]]));
	assert.deepEqual(shown(transport), parameters);
	assert.equal(transport.sctpState, 'new');
	const producer = await transport.produceData({ sctpStreamParameters: { streamId: 9 } });
	const dump = await transport.dump();
	assert.deepEqual(shown(dump), parameters);
	assert.equal(dump.sctpState, 'new');
	assert.deepEqual(dump.sctpNegotiatedCapabilities, { negotiatedMaxOutboundStreams: 0, negotiatedMaxInboundStreams: 0 });
	assert.deepEqual(dump.sctpListener, { streamIdTable: [{ key: 9, value: producer.id }] });
	assert.deepEqual([dump.maxSendMessageSize, dump.maxReceiveMessageSize], [1_000, 2_000]);
	const [stats] = await transport.getStats();
	assert.equal(stats.sctpState, 'new');
	await assert.rejects(transport.produceData({ sctpStreamParameters: { streamId: 9 } }), { name: 'Error' });
	await assert.rejects(
		transport.produceData({ sctpStreamParameters: { streamId: 10, ordered: true, maxRetransmits: 1 } }),
		TypeError
	);
	const plain = await session.router.createPlainTransport({ listenInfo: LISTEN_INFO });
	assert.equal((await plain.dump()).sctpState, undefined);
	await assert.rejects(plain.produceData({ sctpStreamParameters: { streamId: 1 } }), { name: 'Error' });
});

test('what an SCTP data consumer is given waits, up to the limit', BOUNDED, async t => {
	const session = await Session.create(t);
	const { producer } = await directProducer(session);
	const transport = await sctpTransport(session, { sctpPerStreamSendQueueLimit: 10_000 });
	const consumer = await transport.consumeData({ dataProducerId: producer.id, ordered: false, maxRetransmits: 2 });
	const dump = await consumer.dump();
	assert.deepEqual(dump.sctpStreamParameters, {
		streamId: 0,
		ordered: false,
		maxPacketLifeTime: undefined,
		maxRetransmits: 2,
	});
	assert.equal(dump.bufferedAmountLowThreshold, 1_024);
	assert.equal(await consumer.send(Buffer.alloc(6_000)), 6_000);
	producer.send(Buffer.alloc(3_000));
	await until('both to wait', async () => (await consumer.getBufferedAmount()) === 9_000);
	assert.equal(await consumer.send('x'.repeat(1_000)), 10_000);
	const full = nextEvent(consumer, 'sctpsendbufferfull');
	await assert.rejects(consumer.send('x'), /sctpsendbufferfull/);
	await full;
	const fullAgain = nextEvent(consumer, 'sctpsendbufferfull');
	producer.send('y');
	await fullAgain;
	await consumer.setBufferedAmountLowThreshold(9_999);
	const low = nextEvent(consumer, 'bufferedamountlow');
	await consumer.setBufferedAmountLowThreshold(10_000);
	assert.deepEqual(await low, [10_000]);
	await assert.rejects(consumer.send(Buffer.alloc(300_000)), TypeError);
	const [stats] = await consumer.getStats();
	assert.deepEqual([stats.messagesSent, stats.bufferedAmount], [5, 10_000]);
});

test('an SCTP data producer takes messages of the application', BOUNDED, async t => {
	const session = await Session.create(t);
	const transport = await sctpTransport(session);
	const producer = await transport.produceData({ sctpStreamParameters: { streamId: 1 }, label: 'sctp' });
	assert.equal(producer.type, 'sctp');
	const { messages, consumer } = await directConsumer(session, producer);
	assert.deepEqual([consumer.type, consumer.label, consumer.sctpStreamParameters], ['direct', 'sctp', undefined]);
	producer.send('hello');
	await until('the message', () => messages.length === 1);
	await assert.rejects(consumer.send('x'), TypeError);
	await assert.rejects(consumer.getBufferedAmount(), TypeError);
	await assert.rejects(consumer.setBufferedAmountLowThreshold(1), TypeError);
});

test('a pipe inside the worker carries messages and says that it is connected', BOUNDED, async t => {
	const session = await Session.create(t);
	const far = await session.worker.createRouter();
	const pipes = [];
	for (const { observer } of [session.router, far]) {
		observer.on('newtransport', transport => transport.type === 'pipe' && pipes.push(transport));
	}
	const { producer } = await directProducer(session);
	const { pipeDataProducer } = await session.router.pipeToRouter({
		dataProducerId: producer.id,
		router: far,
		keepId: false,
	});
	const transport = await far.createDirectTransport();
	const consumer = await transport.consumeData({ dataProducerId: pipeDataProducer.id, subchannels: [1] });
	const texts = [];
	consumer.on('message', message => texts.push(message.toString()));
	producer.send('for one', undefined, [1, 2]);
	producer.send('for two', undefined, [2]);
	producer.send('for all');
	await until('two messages', () => texts.length === 2);
	assert.deepEqual(texts, ['for one', 'for all']);
	for (const pipe of pipes) {
		const dump = await pipe.dump();
		assert.equal(dump.sctpState, 'connected');
		assert.deepEqual(dump.sctpNegotiatedCapabilities, {
			negotiatedMaxOutboundStreams: 65_535,
			negotiatedMaxInboundStreams: 65_535,
		});
		assert.equal(pipe.sctpState, 'connected');
	}
	assert.equal(pipes.length, 2);
});
