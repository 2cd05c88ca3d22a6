'use strict';

const { hasWebRtcServers, mediasoup, next } = require('./library');
const { mediaCodecs } = require('./media');

describe('worker', () => {
	let worker;
	beforeEach(async () => {
		worker = await mediasoup.createWorker();
	});
	afterEach(() => worker.close());

	test('dumps what it has', async () => {
		const servers = hasWebRtcServers ? { webRtcServerIds: [] } : {};
		expect(await worker.dump()).toEqual({ pid: worker.pid, routerIds: [], ...servers });
		const router = await worker.createRouter({ mediaCodecs });
		expect(await worker.dump()).toEqual({ pid: worker.pid, routerIds: [router.id], ...servers });
		router.close();
		expect(await worker.dump()).toEqual({ pid: worker.pid, routerIds: [], ...servers });
	});

	test('tells what it uses', async () => {
		const usage = await worker.getResourceUsage();
		const names = [
			...['utime', 'stime', 'maxrss', 'ixrss', 'idrss', 'isrss', 'minflt', 'majflt'],
			...['nswap', 'inblock', 'oublock', 'msgsnd', 'msgrcv', 'nsignals', 'nvcsw', 'nivcsw'],
		];
		expect(Object.keys(usage).sort()).toEqual(names.map(name => `ru_${name}`).sort());
		expect(Object.values(usage).every(Number.isInteger)).toBe(true);
	});

	test('takes settings and refuses those that make no sense', async () => {
		await worker.updateSettings({ logLevel: 'debug', logTags: ['ice', 'rtp'] });
		await expect(worker.updateSettings({ logLevel: 'chicken' })).rejects.toThrow(TypeError);
		await worker.updateSettings({ logLevel: 'error', logTags: [] });
	});

	test('dumps a router', async () => {
		const router = await worker.createRouter({ mediaCodecs });
		expect(await router.dump()).toMatchObject({
			id: router.id,
			transportIds: [],
			rtpObserverIds: [],
			mapProducerIdConsumerIds: {},
			mapConsumerIdProducerId: {},
			mapProducerIdObserverIds: {},
			mapDataProducerIdDataConsumerIds: {},
			mapDataConsumerIdDataProducerId: {},
			ringsoupLatency: { count: 0 },
		});
		const closed = next(router, 'workerclose');
		worker.close();
		await closed;
		expect(router.closed).toBe(true);
	});

	test('tells what its shards did once they had something to do', async () => {
		const router = await worker.createRouter({ mediaCodecs });
		await router.createDirectTransport();
		const { ringsoupShards } = await worker.dump();
		expect(ringsoupShards).toHaveLength(1);
		expect(ringsoupShards[0]).toMatchObject({ started: true, transports: 1, receivedPackets: 0, latency: { count: 0 } });
	});

	test('refuses ports that make no sense', async () => {
		await expect(mediasoup.createWorker({ rtcMinPort: 1000, rtcMaxPort: 999 })).rejects.toThrow(TypeError);
		await expect(mediasoup.createWorker({ dtlsCertificateFile: '/not/there' })).rejects.toThrow(TypeError);
	});

	test('dies only when it is killed', async () => {
		process.kill(worker.pid, 'SIGPIPE');
		process.kill(worker.pid, 'SIGHUP');
		await worker.dump();
		const died = next(worker, 'died');
		process.kill(worker.pid, 'SIGKILL');
		await died;
		expect(worker.closed).toBe(true);
	});
});
