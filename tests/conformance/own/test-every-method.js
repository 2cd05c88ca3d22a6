'use strict';

const { accepted, methodsOfLibrary } = require('./library');

jest.setTimeout(20000);

for (const topic of ['worker', 'webrtc', 'plain', 'pipe', 'media-objects', 'direct', 'data', 'observers']) {
	require(`./${topic}`);
}

// Last: what the tests before had the library say.
test('every method of the channel was accepted', () => {
	const methods = [...methodsOfLibrary()];
	expect(methods.length).toBeGreaterThan(50);
	expect(methods.filter(method => !accepted.has(method))).toEqual([]);
});
