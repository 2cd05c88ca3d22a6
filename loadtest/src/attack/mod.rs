//! Attacks on a worker whose WebRTC transports carry media: each against a worker of its own, in turns without it, in pretence
//! (where that says something) and with it, and held to its figures.

mod attacker;
mod crowd;
mod flood;
mod kind;
mod packets;
mod report;
mod row;
mod strength;
mod turns;
mod weapons;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub(crate) use kind::Kinds;
pub(crate) use report::Attacks;

use crate::cli::Cli;
use crate::error::Error;
use crate::progress::Progress;
use crate::scenario::Scenario;

/// One for what is attacked and one for what should not notice.
const SHARDS: u32 = 2;
/// Beyond an attack's media: starting a worker, warming up, seeing whether it is idle again.
const ROW_LIMIT: Duration = Duration::from_secs(60);

/// All of it, however slow the machine is.
pub(crate) fn time_limit(cli: &Cli, media: Duration) -> Duration {
    let rows = u32::try_from(cli.kind.0.len()).unwrap_or(1);
    (media * 3 + ROW_LIMIT) * rows
}

pub(crate) fn run(cli: &Cli, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Attacks, Error> {
    let shards = cli.shards.unwrap_or(SHARDS);
    // What an attack makes the worker log is part of what it costs.
    let mut cli = cli.clone();
    cli.shards = Some(shards);
    "warn".clone_into(&mut cli.worker_log);
    let mut scenario = scenario.clone();
    scenario.room.count = shards;
    let progress = Progress::new();
    let rows = cli.kind.0.iter().map(|kind| row::run(*kind, &cli, &scenario, stop, &progress));
    let rows = rows.collect::<Result<_, _>>();
    progress.finish();
    let transport = if cli.webrtc_server { "WebRTC by a server" } else { "WebRTC" };
    Ok(Attacks { scenario: scenario.name, transport, shards, rows: rows? })
}
