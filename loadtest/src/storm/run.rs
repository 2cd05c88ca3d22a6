//! Media with and without handshakes beside it, in turns.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use super::Storm;
use crate::cli::Cli;
use crate::error::Error;
use crate::harness::Harness;
use crate::latency::Percentiles;
use crate::progress::Progress;
use crate::report::float;
use crate::report::side::Side;
use crate::scenario::Scenario;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Storms {
    pub(crate) scenario: String,
    pub(crate) transport: &'static str,
    /// Asked for, each second.
    pub(crate) rate: f64,
    /// Without and with.
    pub(crate) sides: Vec<Side>,
    pub(crate) offered: u64,
    pub(crate) connected: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) connected_per_second: f64,
    pub(crate) handshake: Percentiles,
    pub(crate) why: Option<String>,
}

pub(crate) fn run(
    cli: &Cli,
    scenario: &Scenario,
    rate: f64,
    stop: &Arc<AtomicBool>,
) -> Result<Storms, Error> {
    let progress = Progress::new();
    progress.stage("starting the worker");
    let mut harness = Harness::start(cli, scenario, stop)?;
    let storm = Storm::start(harness.channel(), rate, cli.webrtc())?;
    progress.stage("warm-up");
    harness.warm_up(Duration::from_secs_f64(scenario.warmup_s), &progress)?;
    let duration = Duration::from_secs_f64(scenario.duration_s / f64::from(scenario.slices));
    let (mut calm, mut stormy) = (Vec::new(), Vec::new());
    for turn in 1..=scenario.slices {
        progress.stage(&format!("without handshakes, turn {turn} of {}", scenario.slices));
        calm.push(harness.measure(duration, &progress)?);
        progress.stage(&format!("with handshakes, turn {turn} of {}", scenario.slices));
        storm.offer();
        let slice = harness.measure(duration, &progress);
        storm.pause();
        stormy.push(slice?);
    }
    progress.finish();
    let totals = storm.finish()?;
    harness.finish()?;
    let names = ["without handshakes".to_owned(), format!("with {rate} offered a second")];
    let sides = [(&names[0], &calm), (&names[1], &stormy)].map(|(name, slices)| Side::of(name, slices));
    let sides: Vec<Side> = sides.into_iter().flatten().collect();
    let stormy_s: f64 = stormy.iter().map(|slice| slice.wall_s).sum();
    Ok(Storms {
        scenario: scenario.name.clone(),
        transport: cli.transport_name(),
        rate,
        sides,
        offered: totals.offered,
        connected: totals.connected,
        failed: totals.failed,
        skipped: totals.skipped,
        connected_per_second: float(totals.connected) / stormy_s,
        handshake: Percentiles::of_nanos(&totals.latency),
        why: totals.why,
    })
}

impl Storms {
    pub(crate) fn succeeded(&self) -> bool {
        self.failed == 0 && self.connected > 0
    }

    /// For people.
    pub(crate) fn render(&self) -> String {
        let mut text = format!(
            "\n{} on {} transports, in turns without and with handshakes\n{}\n",
            self.scenario,
            self.transport,
            Side::table(&self.sides)
        );
        let _ = writeln!(
            text,
            "handshakes: {} offered, {} connected ({:.0} a second), {} failed, {} not offered; p50 {:.2} ms, p99 {:.2} ms, at most {:.2} ms",
            self.offered,
            self.connected,
            self.connected_per_second,
            self.failed,
            self.skipped,
            self.handshake.p50_us / 1e3,
            self.handshake.p99_us / 1e3,
            self.handshake.max_us / 1e3,
        );
        if let Some(why) = &self.why {
            let _ = writeln!(text, "the last failure: {why}");
        }
        text
    }
}
