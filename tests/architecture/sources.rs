//! Where unsafe code may be, how long a file may get, and that nothing in the tree leads to one registry's host.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

/// Files and folders that may hold unsafe code.
const UNSAFE_MAY_BE_IN: [&str; 11] = [
    "shards/runtime/src/socket/",
    "shards/runtime/src/buffers.rs",
    "shards/runtime/src/mailbox.rs",
    "shards/runtime/src/ring.rs",
    "shards/runtime/src/sys.rs",
    "shards/runtime/src/test_allocations.rs",
    "shards/runtime/examples/",
    "shards/runtime/tests/allocations.rs",
    "control/src/channel/fds.rs",
    "shards/dtls/src/ffi.rs",
    "loadtest/src/sys.rs",
];

/// Lines of a file without its tests. A file beyond it holds more than one concept.
const LINES_MAX: usize = 600;

/// What the worker and its harness are made of.
const SOURCE_FOLDERS: [&str; 9] = [
    "src",
    "control/src",
    "shards/dtls/src",
    "shards/rtc/src",
    "shards/sfu/src",
    "shards/runtime",
    "loadtest/src",
    "loadtest/peer/src",
    "fbs/src",
];

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("generated") && !path.ends_with("target") {
                rust_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Path from the workspace's root, and the text up to the file's own tests.
fn sources() -> Vec<(String, String)> {
    let root = workspace();
    let mut files = Vec::new();
    for folder in SOURCE_FOLDERS {
        rust_files(&root.join(folder), &mut files);
    }
    files
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = match text.find("#[cfg(test)]\nmod tests {") {
                Some(tests) => text[..tests].to_owned(),
                None => text,
            };
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, code)
        })
        .collect()
}

fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem == "tests"
        || stem == "test_support"
        || stem.ends_with("_tests")
        || path.components().any(|part| part.as_os_str() == "tests")
}

fn uses_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|character: char| !character.is_alphanumeric() && character != '_')
        .any(|word| word == "unsafe")
}

#[test]
fn unsafe_code_has_an_address() {
    for (name, code) in sources() {
        if UNSAFE_MAY_BE_IN.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        if let Some(line) = code.lines().position(uses_unsafe) {
            panic!("{name}:{}: unsafe code may only be in {UNSAFE_MAY_BE_IN:?}", line + 1);
        }
    }
}

#[test]
fn no_file_outgrows_one_concept() {
    for (name, code) in sources() {
        let lines = code.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines without its tests; the limit is {LINES_MAX}");
    }
}

#[test]
fn every_source_says_why_it_exists() {
    for (name, code) in sources() {
        if name.ends_with("fbs/src/lib.rs") || code.trim().is_empty() {
            continue;
        }
        assert!(code.starts_with("//!"), "{name} begins with no module doc");
    }
}

/// Lock files without hosts work with whatever registry a machine is set up for.
#[test]
fn lock_files_name_no_host() {
    let tests = workspace().join("tests");
    for lock in ["node", "interop", "conformance/3.27.1"] {
        let text = fs::read_to_string(tests.join(lock).join("package-lock.json")).unwrap();
        assert!(!text.contains("\"resolved\""), "tests/{lock}/package-lock.json: see docs/TESTING.md");
    }
}
