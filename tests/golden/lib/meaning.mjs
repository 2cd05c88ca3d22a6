// What a frame means to a library: the object that its own generated reader makes of it, with names for numbers.

import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

export class Reader {
	/** `library` is the folder of a mediasoup package. */
	constructor(library) {
		this.require = createRequire(join(library, 'package.json'));
		this.folder = join(library, 'node/lib/fbs');
		this.flatbuffers = this.require('flatbuffers');
		({ Message: this.Message } = this.require(join(this.folder, 'message/message.js')));
		this.classes = new Map();
		for (const file of readdirSync(this.folder, { recursive: true })) {
			if (file.endsWith('.d.ts')) {
				this.#declared(join(this.folder, file));
			}
		}
	}

	/** Notes of every plain class which fields are of which enum. */
	#declared(path) {
		const text = readFileSync(path, 'utf8');
		const module = this.require(path.replace(/\.d\.ts$/, '.js'));
		const imports = new Map();
		for (const [, names, from] of text.matchAll(/import \{([^}]*)\} from '([^']*)'/g)) {
			for (const name of names.split(',')) {
				const [original, alias] = name.trim().split(' as ');
				imports.set(alias ?? original, { original, from });
			}
		}
		for (const [, name, body] of text.matchAll(/export declare class (\w+T) [^{]*\{([^]*?)\n\}/g)) {
			const enums = new Map();
			for (const [, field, type] of body.matchAll(/^    (\w+): \(?(\w+)(?:\)\[\])?(?: \| null)?;/gm)) {
				const imported = imports.get(type);
				const found = imported
					? this.require(`${resolve(dirname(path), imported.from.replace(/\.js$/, ''))}.js`)[imported.original]
					: module[type];
				if (typeof found === 'object') {
					enums.set(field, found);
				}
			}
			this.classes.set(module[name], enums);
		}
	}

	/** The frame's message; its size prefix is looked at by nobody. */
	read(frame) {
		const buffer = new this.flatbuffers.ByteBuffer(new Uint8Array(frame));
		return this.#plain(this.Message.getSizePrefixedRootAsMessage(buffer).unpack());
	}

	#plain(object) {
		const enums = this.classes.get(object.constructor);
		const shown = {};
		for (const [field, value] of Object.entries(object)) {
			const isUnion = `${field}Type` in object;
			const isUnionType = field.endsWith('Type') && field.slice(0, -4) in object;
			if (value === null || value === undefined || isUnionType || (Array.isArray(value) && value.length === 0)) {
				continue;
			}
			const one = item => this.#value(item, enums?.get(field));
			shown[field] = isUnion
				? { [value.constructor.name.slice(0, -1)]: one(value) }
				: Array.isArray(value)
					? value.map(one)
					: one(value);
		}
		return shown;
	}

	#value(value, values) {
		switch (typeof value) {
			case 'bigint':
				return value <= SAFE && value >= -SAFE ? Number(value) : `${value}`;
			case 'number':
				return values?.[value] ?? value;
			case 'object':
				return this.#plain(value);
			default:
				return value;
		}
	}
}
