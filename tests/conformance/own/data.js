'use strict';

const { mediasoup, next } = require('./library');
const { mediaCodecs } = require('./media');

describe('data producers and data consumers', () => {
	let worker;
	let router;
	beforeEach(async () => {
		worker = await mediasoup.createWorker();
		router = await worker.createRouter({ mediaCodecs });
	});
	afterEach(() => worker.close());

	test('over SCTP are dumped as they were made', async () => {
		const sending = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'], enableSctp: true });
		const receiving = await router.createPlainTransport({ listenIp: '127.0.0.1', enableSctp: true });
		const sctpStreamParameters = { streamId: 12345, ordered: false, maxPacketLifeTime: 5000 };
		const dataProducer = await sending.produceData({ sctpStreamParameters, label: 'foo', protocol: 'bar' });
		expect(await dataProducer.dump()).toEqual({
			id: dataProducer.id,
			type: 'sctp',
			sctpStreamParameters,
			label: 'foo',
			protocol: 'bar',
		});
		expect(await dataProducer.getStats()).toMatchObject([
			{ type: 'data-producer', label: 'foo', protocol: 'bar', messagesReceived: 0, bytesReceived: 0 },
		]);
		const dataConsumer = await receiving.consumeData({ dataProducerId: dataProducer.id, maxPacketLifeTime: 4000 });
		expect(await dataConsumer.dump()).toEqual({
			id: dataConsumer.id,
			dataProducerId: dataProducer.id,
			type: 'sctp',
			sctpStreamParameters: dataConsumer.sctpStreamParameters,
			label: 'foo',
			protocol: 'bar',
			bufferedAmountLowThreshold: 0,
		});
		expect(await dataConsumer.getStats()).toMatchObject([
			{ type: 'data-consumer', label: 'foo', protocol: 'bar', messagesSent: 0, bytesSent: 0, bufferedAmount: 0 },
		]);
		expect(await dataConsumer.getBufferedAmount()).toBe(0);
		await dataConsumer.setBufferedAmountLowThreshold(1000);
		expect((await dataConsumer.dump()).bufferedAmountLowThreshold).toBe(1000);
		// It waits until somebody has connected.
		await dataConsumer.send('early');
		expect(await dataConsumer.getBufferedAmount()).toBe(5);
		expect(await sending.dump()).toMatchObject({ sctpListener: { streamIdTable: { 12345: dataProducer.id } } });
		expect(await router.dump()).toMatchObject({
			mapDataProducerIdDataConsumerIds: { [dataProducer.id]: [dataConsumer.id] },
			mapDataConsumerIdDataProducerId: { [dataConsumer.id]: dataProducer.id },
		});
		dataConsumer.close();
		expect(await router.dump()).toMatchObject({ mapDataProducerIdDataConsumerIds: { [dataProducer.id]: [] } });
		dataProducer.close();
		expect(await router.dump()).toMatchObject({ mapDataProducerIdDataConsumerIds: {} });
	});

	test('are refused with what makes no sense', async () => {
		const transport = await router.createWebRtcTransport({ listenIps: ['127.0.0.1'], enableSctp: true });
		await expect(transport.produceData({})).rejects.toThrow(TypeError);
		const sctpStreamParameters = { streamId: 1, ordered: true, maxPacketLifeTime: 4000 };
		await expect(transport.produceData({ sctpStreamParameters })).rejects.toThrow(TypeError);
		await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
		await expect(transport.produceData({ sctpStreamParameters: { streamId: 1 } })).rejects.toThrow(Error);
	});

	test('carry messages between direct transports', async () => {
		const sending = await router.createDirectTransport();
		const receiving = await router.createDirectTransport();
		const dataProducer = await sending.produceData({ label: 'foo', protocol: 'bar' });
		const dataConsumer = await receiving.consumeData({ dataProducerId: dataProducer.id });
		expect([dataProducer.type, dataConsumer.type]).toEqual(['direct', 'direct']);
		const messages = [
			['a text', 51, Buffer.from('a text')],
			[Buffer.from([1, 0, 255]), 53, Buffer.from([1, 0, 255])],
			['', 56, Buffer.from(' ')],
			[Buffer.alloc(0), 57, Buffer.alloc(1)],
		];
		for (const [message, ppid, arriving] of messages) {
			const arrived = next(dataConsumer, 'message');
			dataProducer.send(message);
			expect(await arrived).toEqual([arriving, ppid]);
		}
		const bytes = 6 + 3 + 1 + 1;
		expect(await dataProducer.getStats()).toMatchObject([{ messagesReceived: 4, bytesReceived: bytes }]);
		expect(await dataConsumer.getStats()).toMatchObject([{ messagesSent: 4, bytesSent: bytes }]);
		// These libraries' own workers never answer the first of them.
		await expect(dataConsumer.send('to nobody')).rejects.toThrow(TypeError);
		await expect(dataConsumer.getBufferedAmount()).rejects.toThrow(TypeError);
		const closed = next(dataConsumer, 'dataproducerclose');
		dataProducer.close();
		await closed;
		expect(dataConsumer.closed).toBe(true);
	});

	test('carry long messages in order', async () => {
		const transport = await router.createDirectTransport({ maxMessageSize: 1000000 });
		const dataProducer = await transport.produceData();
		const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
		const count = 20;
		const arrived = new Promise(resolve => {
			const lengths = [];
			dataConsumer.on('message', message => {
				lengths.push(message.length);
				if (lengths.length === count) {
					resolve(lengths);
				}
			});
		});
		const lengths = Array.from({ length: count }, (_, index) => 1 + 9999 * index);
		lengths.forEach(length => dataProducer.send(Buffer.alloc(length, 7)));
		expect(await arrived).toEqual(lengths);
	});
});
