//! What a worker costs that has everything but media.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use crate::cli::Cli;
use crate::cpu;
use crate::error::Error;
use crate::harness::Harness;
use crate::progress::Progress;
use crate::report::percent_of_core;
use crate::scenario::Scenario;

/// After the last media: timers of streams that just ended may still fire.
const SETTLE: Duration = Duration::from_secs(2);
const BYTES_PER_KIB: u64 = 1024;

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) scenario: String,
    pub(crate) rooms: u32,
    pub(crate) shards_started: Option<usize>,
    pub(crate) measured_s: f64,
    pub(crate) core_percent: f64,
    pub(crate) threads_core_percent: std::collections::BTreeMap<String, f64>,
    pub(crate) resident_bytes: u64,
}

/// Starts the rooms, lets media reach everybody once, stops it and measures.
pub(crate) fn run(cli: &Cli, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Idle, Error> {
    let progress = Progress::new();
    progress.stage("starting the worker");
    let mut harness = Harness::start(cli, scenario, stop)?;
    progress.stage("warm-up");
    harness.warm_up(Duration::from_secs_f64(scenario.warmup_s), &progress)?;
    let shards = harness.dump()?;
    let shards_started = shards.map(|shards| shards.iter().filter(|shard| shard.is_started()).count());
    std::thread::sleep(SETTLE);
    let resident_bytes =
        cpu::resident_bytes(harness.worker_pid()).map_err(Error::io("reading the worker's memory"))?;
    progress.stage("idle");
    let (used, measured_s) = harness.idle(Duration::from_secs_f64(scenario.duration_s), &progress)?;
    progress.finish();
    let threads =
        used.by_name.iter().map(|(name, nanos)| (name.clone(), percent_of_core(*nanos, measured_s)));
    Ok(Idle {
        scenario: scenario.name.clone(),
        rooms: scenario.room.count,
        shards_started,
        measured_s,
        core_percent: percent_of_core(used.total_ns(), measured_s),
        threads_core_percent: threads.collect(),
        resident_bytes,
    })
}

impl Idle {
    /// For people.
    pub(crate) fn render(&self) -> String {
        let shards =
            self.shards_started.map_or_else(String::new, |count| format!(", {count} shard(s) started"));
        let threads: Vec<String> =
            self.threads_core_percent.iter().map(|(name, percent)| format!("{name} {percent:.3}")).collect();
        format!(
            "\nidle: {} room(s) of {}{shards}, no media for {:.1} s\nworker CPU {:.3} % of a core ({}); RSS {} KiB\n",
            self.rooms,
            self.scenario,
            self.measured_s,
            self.core_percent,
            threads.join(", "),
            self.resident_bytes / BYTES_PER_KIB
        )
    }
}
