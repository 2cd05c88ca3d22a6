//! Two or three ways of doing the same side by side: a worker each, in turns, in one run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::ValueEnum;
use ringsoup_rtc::srtp::CryptoSuite;
use serde::Serialize;

use crate::cli::Cli;
use crate::error::Error;
use crate::harness::{Harness, Slice};
use crate::impair::Network;
use crate::progress::Progress;
use crate::report::median;
use crate::report::side::Side;
use crate::scenario::{Scenario, Video};
use crate::session::Ways;

/// What DTLS agrees on too.
const SUITE: CryptoSuite = CryptoSuite::AeadAes256Gcm;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Between {
    /// Plain transports with SRTP, and WebRTC transports.
    Transports,
    /// Video in its largest size alone, and simulcast of which everybody gets that size.
    Sizes,
    /// The network as it is, and as it was asked to be: repaired on the same stream, and by RTX.
    Repair,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) scenario: String,
    pub(crate) sides: Vec<Side>,
    /// CPU per packet of the sides after the first to that of the first: the median of the turns' ratios, for turns that
    /// follow each other had the same machine.
    pub(crate) ratios: Vec<f64>,
}

/// One side before it runs.
#[derive(Debug)]
struct Contender {
    name: String,
    scenario: Scenario,
    ways: Ways,
}

/// One side while it runs.
struct Running {
    /// Its place in the report.
    place: usize,
    name: String,
    harness: Harness,
    slices: Vec<Slice>,
}

fn contenders(cli: &Cli, scenario: &Scenario) -> Result<Vec<Contender>, Error> {
    let ways = cli.ways()?;
    let contender =
        |name: &str, scenario: Scenario, ways: Ways| Contender { name: name.to_owned(), scenario, ways };
    match cli.between {
        Between::Transports => {
            let plain =
                Ways { srtp: Some(cli.srtp.unwrap_or(SUITE)), webrtc: None, tcp: false, ..ways.clone() };
            let webrtc = Ways { srtp: None, webrtc: Some(cli.webrtc()), ..ways };
            Ok(vec![
                contender("plain", scenario.clone(), plain),
                contender("WebRTC", scenario.clone(), webrtc),
            ])
        }
        Between::Sizes => {
            let simulcast = with_video(scenario, Video::make_simulcast)?;
            Ok(vec![
                // The largest size of the same simulcast, whatever the scenario's rate is.
                contender("largest size alone", with_video(&simulcast, Video::make_simple)?, ways.clone()),
                contender("simulcast", simulcast, ways),
            ])
        }
        Between::Repair => {
            if !ways.network.is_impaired() {
                return Err(Error::new("--between repair needs a network that does something: --loss, say"));
            }
            let rtx = |rtx| with_video(scenario, |video| video.rtx = rtx);
            let clean = Ways { network: Network::default(), ..ways.clone() };
            Ok(vec![
                contender("nothing lost", rtx(true)?, clean),
                contender("lossy, same stream", rtx(false)?, ways.clone()),
                contender("lossy, RTX", rtx(true)?, ways),
            ])
        }
    }
}

fn with_video(scenario: &Scenario, change: impl FnOnce(&mut Video)) -> Result<Scenario, Error> {
    let mut scenario = scenario.clone();
    let video = scenario.video.as_mut();
    change(video.ok_or_else(|| Error::new("this comparison needs a scenario with video"))?);
    Ok(scenario)
}

pub(crate) fn run(cli: &Cli, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Comparison, Error> {
    let progress = Progress::new();
    let mut running = Vec::new();
    for (place, Contender { name, scenario, ways }) in contenders(cli, scenario)?.into_iter().enumerate() {
        progress.stage("starting a worker");
        let mut harness = Harness::start_with(cli, &scenario, &ways, stop)?;
        progress.stage("warm-up");
        harness.warm_up(Duration::from_secs_f64(scenario.warmup_s), &progress)?;
        let suite = harness.suite().map_or("no SRTP", CryptoSuite::name);
        running.push(Running { place, name: format!("{name}, {suite}"), harness, slices: Vec::new() });
    }
    let duration = Duration::from_secs_f64(scenario.duration_s / f64::from(scenario.slices));
    for turn in 1..=scenario.slices {
        for Running { name, harness, slices, .. } in &mut running {
            progress.stage(&format!("{name}: turn {turn} of {}", scenario.slices));
            slices.push(harness.measure(duration, &progress)?);
        }
        // Whoever went first goes last next time.
        running.reverse();
    }
    progress.finish();
    running.sort_by_key(|side| side.place);
    let costs: Vec<Vec<Option<f64>>> =
        running.iter().map(|side| side.slices.iter().map(Slice::worker_ns_per_packet).collect()).collect();
    let mut sides = Vec::new();
    for Running { name, harness, slices, .. } in running {
        sides.push(Side::of(&name, &slices).ok_or_else(|| Error::new("nothing was received"))?);
        harness.finish()?;
    }
    Ok(Comparison { scenario: scenario.name.clone(), sides, ratios: ratios(&costs) })
}

/// Of each side after the first, the median of its turns' costs to the first's.
fn ratios(costs: &[Vec<Option<f64>>]) -> Vec<f64> {
    let Some((first, others)) = costs.split_first() else { return Vec::new() };
    let ratio = |side: &Vec<Option<f64>>| {
        let turns = side.iter().zip(first);
        let ratios: Vec<f64> = turns.filter_map(|(cost, first)| Some((*cost)? / (*first)?)).collect();
        median(&ratios)
    };
    others.iter().filter_map(ratio).collect()
}

impl Comparison {
    /// For people.
    pub(crate) fn render(&self) -> String {
        let mut text =
            format!("\n{}: in turns, a worker each\n{}\n", self.scenario, Side::table(&self.sides));
        let Some((first, others)) = self.sides.split_first() else { return text };
        for (side, ratio) in others.iter().zip(&self.ratios) {
            text.push_str(&format!(
                "{} costs {ratio:.3} times the worker's CPU per packet of {} (median of the turns)\n",
                side.name, first.name
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn sides(arguments: &[&str]) -> Result<Vec<Contender>, Error> {
        let cli = Cli::try_parse_from([&["loadtest", "compare"], arguments].concat()).unwrap();
        contenders(&cli, &cli.scenario().unwrap())
    }

    #[test]
    fn ratios_are_those_of_turns_that_belong_together() {
        let costs = [
            vec![Some(100.0), Some(200.0), Some(1_000.0)],
            vec![Some(110.0), Some(220.0), Some(5_000.0)],
            vec![Some(200.0), None, None],
        ];
        let ratios = ratios(&costs);
        assert!((ratios[0] - 1.1).abs() < 1e-9 && (ratios[1] - 2.0).abs() < 1e-9, "{ratios:?}");
    }

    #[test]
    fn each_comparison_has_its_sides() {
        let transports = sides(&[]).unwrap();
        assert!(transports[0].ways.webrtc.is_none() && transports[1].ways.webrtc.is_some());
        let sizes = sides(&["--between", "sizes", "--scenario", "cbr-500pps-1x50"]).unwrap();
        let rates = sizes.iter().map(|side| side.scenario.video.as_ref().unwrap().encodings());
        let largest: Vec<_> = rates.map(|all| all.last().unwrap().bitrate_kbps).collect();
        assert_eq!(largest, [Some(1500.0), Some(1500.0)]);
        let repair = sides(&["--between", "repair", "--loss", "5"]).unwrap();
        let lossy: Vec<bool> = repair.iter().map(|side| side.ways.network.is_impaired()).collect();
        assert_eq!(lossy, [false, true, true]);
        assert!(sides(&["--between", "repair"]).is_err());
    }
}
