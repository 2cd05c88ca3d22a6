//! Drives any mediasoup worker binary with synthetic media and reports what it did and what it cost.
//!
//! One thread publishes, one receives, the main thread directs; the worker is a child process behind the
//! real channel. The harness knows nothing of a worker's inside: what it measures, it sees from outside.

mod attack;
mod channel;
mod cli;
mod compare;
mod connect;
mod counters;
mod cpu;
mod dump;
mod error;
mod find_max;
mod floor;
mod floor_mode;
mod harness;
mod idle;
mod impair;
mod latency;
mod mark;
mod net;
mod parameters;
mod payload;
mod progress;
mod publisher;
mod report;
mod rng;
mod rtcp;
mod rtp;
mod run;
mod scale;
mod scenario;
mod session;
mod soak;
mod srtp;
mod stamp;
mod storm;
mod subscriber;
mod switching;
mod sys;
mod transport_bodies;
mod webrtc;
mod worker;
mod worker_stats;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use serde::Serialize;

use cli::{Cli, Mode};
use error::Error;
use scenario::Scenario;

/// For building the worker, setting up, the floor's turns and closing, beyond the media itself.
const SETUP_LIMIT: Duration = Duration::from_secs(900);
/// Each slice of media brings a floor turn and a drain.
const SLICE_LIMIT: Duration = Duration::from_secs(10);
/// The exit code when the time limit struck.
const OVERTIME: i32 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked; whether it met its criteria.
fn dispatch(cli: &Cli) -> Result<bool, Error> {
    cli.check()?;
    let mode = cli.mode();
    if mode == Mode::List {
        for scenario in scenario::built_in().map_err(|error| Error::new(error.to_string()))? {
            println!("{:20} {}", scenario.name, scenario.description);
        }
        return Ok(true);
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Error::io("watching for ctrl-c"))?;
    }
    if mode == Mode::Floor {
        start_watchdog(SETUP_LIMIT)?;
        println!("{}", floor_mode::run(cli, &stop)?);
        return Ok(true);
    }
    if mode == Mode::Scale {
        start_watchdog(SETUP_LIMIT)?;
        let scale = scale::run(cli, &stop)?;
        print(cli, &scale, scale::Scale::render)?;
        return Ok(scale.succeeded());
    }
    if mode == Mode::Connect {
        let idle = Duration::from_secs_f64(cli.duration.unwrap_or(0.0).clamp(0.0, 86_400.0));
        start_watchdog(SETUP_LIMIT + idle)?;
        let connect = connect::run(cli, &stop)?;
        print(cli, &connect, connect::Connect::render)?;
        return Ok(connect.succeeded());
    }
    let scenario = cli.scenario()?;
    let media = Duration::from_secs_f64(scenario.duration_s) + SLICE_LIMIT * scenario.slices;
    match mode {
        Mode::FindMax => {
            start_watchdog(SETUP_LIMIT + find_max::time_limit())?;
            let search = find_max::run(cli, &scenario, &stop)?;
            print(cli, &search, find_max::Search::render)?;
            Ok(search.best.is_some())
        }
        Mode::Idle => {
            start_watchdog(SETUP_LIMIT + media)?;
            print(cli, &idle::run(cli, &scenario, &stop)?, idle::Idle::render)?;
            Ok(true)
        }
        Mode::Attack => attack(cli, &scenario, media, &stop),
        Mode::Soak => {
            // Each ten seconds of the soak bring a drain.
            start_watchdog(SETUP_LIMIT + media * 2)?;
            let soak = soak::run(cli, &scenario, &stop)?;
            print(cli, &soak, soak::Soak::render)?;
            Ok(soak.failures.is_empty())
        }
        Mode::Compare => {
            start_watchdog(SETUP_LIMIT + media * 2)?;
            print(cli, &compare::run(cli, &scenario, &stop)?, compare::Comparison::render)?;
            Ok(true)
        }
        _ if cli.handshakes_per_second.is_some() => {
            start_watchdog(SETUP_LIMIT + media * 2)?;
            let rate = cli.handshakes_per_second.unwrap_or_default();
            let storms = storm::run(cli, &scenario, rate, &stop)?;
            print(cli, &storms, storm::Storms::render)?;
            Ok(storms.succeeded())
        }
        _ => {
            start_watchdog(SETUP_LIMIT + media)?;
            let report = run::run(cli, &scenario, &stop)?;
            print(cli, &report, report::table::render)?;
            Ok(report.loss.received > 0)
        }
    }
}

fn attack(cli: &Cli, scenario: &Scenario, media: Duration, stop: &Arc<AtomicBool>) -> Result<bool, Error> {
    start_watchdog(SETUP_LIMIT + attack::time_limit(cli, media))?;
    let attacks = attack::run(cli, scenario, stop)?;
    print(cli, &attacks, attack::Attacks::render)?;
    Ok(attacks.succeeded())
}

fn print<T: Serialize>(cli: &Cli, value: &T, render: impl Fn(&T) -> String) -> Result<(), Error> {
    if cli.json {
        let text = serde_json::to_string_pretty(value).map_err(|error| Error::new(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{}", render(value));
    }
    Ok(())
}

/// Ends the process when `limit` is over, whatever hangs; the worker dies with us.
fn start_watchdog(limit: Duration) -> Result<(), Error> {
    let watchdog = move || {
        std::thread::sleep(limit);
        eprintln!("loadtest: gave up after {limit:?}");
        std::process::exit(OVERTIME);
    };
    std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(watchdog)
        .map_err(Error::io("starting a thread"))?;
    Ok(())
}
