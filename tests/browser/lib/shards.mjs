// How many shards a worker has started: each begins with its first router.

import { readFileSync, readdirSync } from 'node:fs';

/** A shard is a thread, or two, of that name. */
export function shardCount(pid) {
	const names = readdirSync(`/proc/${pid}/task`).map(task => readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8'));
	return new Set(names.filter(name => name.startsWith('shard'))).size;
}
