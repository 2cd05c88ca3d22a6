// Loaded by jest before each test file of a run over plain transports: the
// suite's files about producers and consumers ask for WebRtcTransports but
// only ever produce and consume on them, which a PlainTransport does as well.

const path = require('node:path');

const { RouterImpl } = require(path.join(process.env.RINGSOUP_SUITE, 'node/lib/Router'));

RouterImpl.prototype.createWebRtcTransport = function ({ enableSctp, appData } = {}) {
	return this.createPlainTransport({
		listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
		comedia: true,
		enableSctp,
		appData,
	});
};
