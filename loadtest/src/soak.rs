//! A long run: memory every ten seconds, loss to the last packet, and a verdict.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::Cli;
use crate::cpu;
use crate::error::Error;
use crate::harness::Harness;
use crate::latency::Percentiles;
use crate::progress::Progress;
use crate::report::{Loss, float, percent_of_core};
use crate::scenario::Scenario;

const SAMPLE: Duration = Duration::from_secs(10);
/// Memory may grow until here: buffers and tables find their size.
const SETTLED: Duration = Duration::from_secs(60);
const BYTES_PER_KIB: u64 = 1024;
const BYTES_PER_MIB: f64 = 1_048_576.0;

/// One look, every ten seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) at_s: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) worker_core_percent: f64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
}

/// The run and its verdict.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Soak {
    pub(crate) scenario: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) loss: Loss,
    pub(crate) latency: Percentiles,
    /// Highest after the first minute less the value at its end; `None` when the run was shorter.
    pub(crate) growth_bytes: Option<i64>,
    /// What was missed; empty when the run passed.
    pub(crate) failures: Vec<String>,
}

/// Runs for the scenario's duration.
pub(crate) fn run(cli: &Cli, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Soak, Error> {
    let progress = Progress::new();
    progress.stage("starting the worker");
    let mut harness = Harness::start(cli, scenario, stop)?;
    progress.stage("warm-up");
    harness.warm_up(Duration::from_secs_f64(scenario.warmup_s), &progress)?;
    progress.stage("soak");
    let begin = Instant::now();
    let mut samples = Vec::new();
    let mut whole = None;
    while begin.elapsed().as_secs_f64() < scenario.duration_s {
        let slice = harness.measure(SAMPLE, &progress)?;
        let resident_bytes =
            cpu::resident_bytes(harness.worker_pid()).map_err(Error::io("reading the worker's memory"))?;
        let sample = Sample {
            at_s: begin.elapsed().as_secs_f64(),
            resident_bytes,
            worker_core_percent: percent_of_core(slice.worker_cpu.total_ns(), slice.wall_s),
            received: slice.received.unique,
            lost: slice.lost(),
        };
        if !cli.json {
            println!(
                "{:6.0} s  RSS {:.2} MiB  worker {:.1} %  received {}  lost {}",
                sample.at_s,
                float(resident_bytes) / BYTES_PER_MIB,
                sample.worker_core_percent,
                sample.received,
                sample.lost
            );
        }
        samples.push(sample);
        match &mut whole {
            None => whole = Some(slice),
            Some(whole) => whole.join(&slice),
        }
    }
    progress.finish();
    let closed = harness.finish();
    let whole = whole.ok_or_else(|| Error::new("nothing was measured"))?;
    let mut soak = Soak {
        scenario: scenario.name.clone(),
        growth_bytes: growth(&samples),
        samples,
        loss: Loss::of(&whole),
        latency: Percentiles::of_nanos(&whole.latency),
        failures: Vec::new(),
    };
    soak.judge(cli.soak_growth * BYTES_PER_KIB);
    soak.failures.extend(closed.err().map(|error| error.to_string()));
    Ok(soak)
}

fn growth(samples: &[Sample]) -> Option<i64> {
    let mut settled = samples.iter().filter(|sample| sample.at_s >= SETTLED.as_secs_f64());
    let first = settled.next()?.resident_bytes;
    let highest = settled.map(|sample| sample.resident_bytes).max()?;
    Some(i64::try_from(highest).ok()? - i64::try_from(first).ok()?)
}

impl Soak {
    fn judge(&mut self, growth_max: u64) {
        if let Some(growth) = self.growth_bytes.and_then(|growth| u64::try_from(growth).ok())
            && growth > growth_max
        {
            self.failures.push(format!("memory grew by {growth} bytes after the first minute"));
        }
        if self.loss.lost > 0 {
            self.failures.push(format!("{} of {} packets were lost", self.loss.lost, self.loss.due));
        }
        if self.loss.harness_socket_drops > 0 {
            self.failures.push(format!("the harness itself dropped {}", self.loss.harness_socket_drops));
        }
        if self.loss.received == 0 {
            self.failures.push("nothing was received".to_owned());
        }
    }

    /// For people.
    pub(crate) fn render(&self) -> String {
        let growth = self.growth_bytes.map_or_else(
            || "too short to tell growth after the first minute".to_owned(),
            |bytes| format!("memory {bytes:+} bytes after the first minute"),
        );
        let verdict = if self.failures.is_empty() {
            "passed".to_owned()
        } else {
            format!("FAILED: {}", self.failures.join("; "))
        };
        format!(
            "\nsoak {}: {} received, {} lost, {growth}, p99 {:.2} ms, p99.9 {:.2} ms\n{verdict}\n",
            self.scenario,
            self.loss.received,
            self.loss.lost,
            self.latency.p99_us / 1000.0,
            self.latency.p999_us / 1000.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::slice;

    fn samples(resident: &[u64]) -> Vec<Sample> {
        let at = |index: usize| f64::from(u32::try_from(index).unwrap() * 10 + 10);
        let sample = |(index, bytes): (usize, &u64)| Sample {
            at_s: at(index),
            resident_bytes: *bytes,
            worker_core_percent: 1.0,
            received: 1,
            lost: 0,
        };
        resident.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn growth_counts_from_the_end_of_the_first_minute() {
        assert_eq!(growth(&samples(&[1, 2, 3, 4, 5, 100, 90, 104, 101])), Some(4));
        assert_eq!(growth(&samples(&[1, 2, 3])), None);
    }

    #[test]
    fn loss_and_growth_fail() {
        let mut soak = Soak {
            scenario: "test".to_owned(),
            samples: Vec::new(),
            loss: Loss::of(&slice()),
            latency: Percentiles::default(),
            growth_bytes: Some(2048),
            failures: Vec::new(),
        };
        soak.judge(1024);
        assert_eq!(soak.failures.len(), 2);
        assert!(soak.render().contains("FAILED"));
    }
}
