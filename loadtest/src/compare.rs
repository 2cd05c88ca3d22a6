//! Plain transports with SRTP and WebRTC transports side by side: a worker each, in turns, in one run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ringsoup_rtc::srtp::CryptoSuite;
use serde::Serialize;

use crate::cli::Cli;
use crate::error::Error;
use crate::harness::Harness;
use crate::progress::Progress;
use crate::report::side::Side;
use crate::scenario::Scenario;
use crate::session::Ways;

/// What DTLS agrees on too.
const SUITE: CryptoSuite = CryptoSuite::AeadAes256Gcm;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) scenario: String,
    pub(crate) sides: Vec<Side>,
    /// CPU per packet of WebRTC transports to that of plain ones.
    pub(crate) ratio: f64,
}

pub(crate) fn run(cli: &Cli, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Comparison, Error> {
    let progress = Progress::new();
    let plain = Ways { srtp: Some(cli.srtp.unwrap_or(SUITE)), webrtc: None, gro: cli.gro };
    let webrtc = Ways { srtp: None, webrtc: Some(cli.webrtc()), gro: cli.gro };
    let mut harnesses = Vec::new();
    for ways in [plain, webrtc] {
        progress.stage("starting a worker");
        let mut harness = Harness::start_with(cli, scenario, &ways, stop)?;
        progress.stage("warm-up");
        harness.warm_up(Duration::from_secs_f64(scenario.warmup_s), &progress)?;
        let kind = if ways.webrtc.is_some() { "WebRTC" } else { "plain" };
        let suite = harness.suite().map_or("no SRTP", CryptoSuite::name);
        harnesses.push((format!("{kind}, {suite}"), harness, Vec::new()));
    }
    let duration = Duration::from_secs_f64(scenario.duration_s / f64::from(scenario.slices));
    for turn in 1..=scenario.slices {
        for (name, harness, slices) in &mut harnesses {
            progress.stage(&format!("{name}: turn {turn} of {}", scenario.slices));
            slices.push(harness.measure(duration, &progress)?);
        }
        // Whoever went first goes last next time.
        harnesses.reverse();
    }
    progress.finish();
    harnesses.sort_by(|(one, ..), (other, ..)| other.cmp(one));
    let mut sides = Vec::new();
    for (name, harness, slices) in harnesses {
        sides.push(Side::of(&name, &slices).ok_or_else(|| Error::new("nothing was received"))?);
        harness.finish()?;
    }
    let [plain, webrtc] = &sides[..] else { return Err(Error::new("two sides were to be measured")) };
    let ratio = webrtc.worker_ns_per_packet / plain.worker_ns_per_packet;
    Ok(Comparison { scenario: scenario.name.clone(), sides, ratio })
}

impl Comparison {
    /// For people.
    pub(crate) fn render(&self) -> String {
        format!(
            "\n{}: in turns, a worker each\n{}\nWebRTC costs {:.3} times the CPU per packet of plain transports with SRTP\n",
            self.scenario,
            Side::table(&self.sides),
            self.ratio
        )
    }
}
