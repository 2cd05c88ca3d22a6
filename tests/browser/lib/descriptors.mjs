// Dependency descriptors for receivers, which mediasoup's Node library leaves out of what it offers them.

const URI = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';

/**
 * A browser that gets several spatial layers of AV1 decodes none of them without descriptors, also when it gets them from another
 * browser directly. The library takes descriptors from senders only, so this adds them to what may be consumed of a producer, and
 * returns the capabilities of a receiver who takes them.
 */
export function withDescriptors(router, producer, rtpCapabilities) {
	const extension = router.rtpCapabilities.headerExtensions.find(({ uri }) => uri === URI);
	const consumable = producer.consumableRtpParameters;
	if (!consumable.headerExtensions.some(({ uri }) => uri === URI)) {
		consumable.headerExtensions.push({ uri: URI, id: extension.preferredId, encrypt: false, parameters: {} });
		Object.defineProperty(producer, 'consumableRtpParameters', { value: consumable });
	}
	return { ...rtpCapabilities, headerExtensions: [...rtpCapabilities.headerExtensions, { ...extension, direction: 'sendrecv' }] };
}
