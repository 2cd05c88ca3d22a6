//! The straight line of crates: what a layer may not know is absent from its Cargo.toml, and from what that
//! pulls in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::workspace;

/// Folder, and the folders of the workspace it may depend on. An arrow never points up.
const LINE: [(&str, &[&str]); 8] = [
    ("shards/rtc", &[]),
    ("shards/dtls", &["shards/rtc"]),
    ("shards/sfu", &["shards/rtc"]),
    ("shards/runtime", &["shards/sfu", "shards/rtc"]),
    ("fbs", &[]),
    ("control", &["shards/runtime", "shards/sfu", "shards/dtls", "shards/rtc", "fbs"]),
    ("loadtest/peer", &["shards/rtc"]),
    ("loadtest", &["loadtest/peer", "shards/rtc", "fbs"]),
];

/// The process itself sees one crate.
const ROOT_MAY_USE: &[&str] = &["control"];

/// Package, what it must not be built from however indirectly, and why.
const FORBIDDEN: [(&str, &[&str], &str); 4] = [
    (
        "ringsoup-rtc",
        &[
            "flatbuffers",
            "flume",
            "glommio",
            "io-uring",
            "mio",
            "nix",
            "rand",
            "serde_json",
            "signal-hook",
            "socket2",
            "tokio",
        ],
        "protocols do no I/O, read no clock, draw no randomness",
    ),
    (
        "ringsoup-sfu",
        &[
            "flatbuffers",
            "flume",
            "glommio",
            "io-uring",
            "mio",
            "nix",
            "rand",
            "serde_json",
            "signal-hook",
            "socket2",
            "tokio",
        ],
        "a shard's objects know no I/O, clock, threads, flatbuffers or JSON",
    ),
    (
        "ringsoup-runtime",
        &["flatbuffers", "serde_json", "tokio"],
        "threads, rings and sockets know no requests",
    ),
    (
        "ringsoup",
        &["rtp", "rtcp", "webrtc-srtp", "rtc-rtp", "rtc-rtcp", "rtc-srtp", "tokio"],
        "other implementations are what we are compared with, never what a packet passes through",
    ),
];

fn manifest(folder: &str) -> toml::Table {
    let path = workspace().join(folder).join("Cargo.toml");
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn package_name(folder: &str) -> String {
    manifest(folder)["package"]["name"].as_str().unwrap().to_owned()
}

/// Names of ours under `[dependencies]`, also those for one target only.
fn own_dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let targets = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values())
        .filter_map(|target| target.get("dependencies"));
    manifest
        .get("dependencies")
        .into_iter()
        .chain(targets)
        .filter_map(toml::Value::as_table)
        .flat_map(toml::Table::keys)
        .filter(|name| name.starts_with("ringsoup"))
        .cloned()
        .collect()
}

#[test]
fn arrows_never_point_up() {
    let root = (".", ROOT_MAY_USE);
    for (folder, may_use) in LINE.into_iter().chain([root]) {
        let allowed: BTreeSet<String> = may_use.iter().map(|folder| package_name(folder)).collect();
        let used = own_dependencies(&manifest(folder));
        let wrong: Vec<_> = used.difference(&allowed).collect();
        assert!(wrong.is_empty(), "{folder} depends on {wrong:?}; it may use {allowed:?}");
    }
}

#[test]
fn every_crate_inherits_the_lints_and_the_versions() {
    let root = manifest(".");
    let members = root["workspace"]["members"].as_array().unwrap();
    for folder in members.iter().map(|member| member.as_str().unwrap()).chain(["."]) {
        let manifest = manifest(folder);
        let inherits = |value: Option<&toml::Value>| {
            value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        assert!(inherits(manifest.get("lints")), "{folder}: [lints] workspace = true");
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(table).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, dependency) in table {
                assert!(inherits(Some(dependency)), "{folder}: {name}.workspace = true");
            }
        }
    }
}

/// Package names and, for each, the names of what it is built from (not what only its tests need).
fn dependency_graph() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let uses = graph.entry(names[node["id"].as_str().unwrap()].to_owned()).or_default();
        for dependency in node["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                uses.insert(names[dependency["pkg"].as_str().unwrap()].to_owned());
            }
        }
    }
    graph
}

#[test]
fn no_layer_is_built_from_what_it_may_not_know() {
    let graph = dependency_graph();
    for (package, forbidden, why) in FORBIDDEN {
        let mut reached = BTreeSet::new();
        let mut todo = vec![package];
        while let Some(name) = todo.pop() {
            if reached.insert(name) {
                todo.extend(graph[name].iter().map(String::as_str));
            }
        }
        let wrong: Vec<_> = forbidden.iter().filter(|name| reached.contains(**name)).collect();
        assert!(wrong.is_empty(), "{package} is built from {wrong:?}, but {why}");
    }
}

#[test]
fn the_shards_may_not_read_a_clock() {
    let clippy: toml::Table =
        fs::read_to_string(workspace().join("shards/clippy.toml")).unwrap().parse().unwrap();
    let methods = clippy["disallowed-methods"].as_array().unwrap();
    for clock in ["std::time::Instant::now", "std::time::SystemTime::now"] {
        assert!(
            methods.iter().any(|method| method["path"].as_str() == Some(clock)),
            "shards/clippy.toml disallows {clock}"
        );
    }
    let root: toml::Table = fs::read_to_string(workspace().join("clippy.toml")).unwrap().parse().unwrap();
    for (key, value) in &root {
        assert_eq!(clippy.get(key), Some(value), "clippy does not merge: shards/clippy.toml repeats {key}");
    }
}
