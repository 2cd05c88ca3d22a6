// Ports for programs that cannot tell which one the kernel gave them.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const ATTEMPTS_MAX = 200;

async function bind(port) {
	const socket = createSocket('udp4');
	try {
		socket.bind(port, '127.0.0.1');
		await once(socket, 'listening');
	} catch {
		socket.close();
		return undefined;
	}
	return socket;
}

/** A port of the kernel's choice whose successor is free too: RTP and RTCP as RFC 3550 §11 has them. */
export async function adjacentPorts() {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; ++attempt) {
		const first = await bind(0);
		const { port } = first.address();
		const second = port % 2 === 0 ? await bind(port + 1) : undefined;
		first.close();
		if (second) {
			second.close();
			return { port, rtcpPort: port + 1 };
		}
	}
	throw new Error('no two adjacent ports are free');
}
