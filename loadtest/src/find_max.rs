//! The highest rate a worker carries: up in steps until packets are lost, then halfway back and forth.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use crate::cli::Cli;
use crate::error::Error;
use crate::harness::{Harness, Slice};
use crate::latency::Percentiles;
use crate::progress::Progress;
use crate::report::{
    Flow, LATENESS_P99_MAX_US, OTHERS_CORE_PERCENT_MAX, THREAD_CORE_PERCENT_MAX, percent_of_core,
};
use crate::scenario::Scenario;

/// Media per step.
const STEP: Duration = Duration::from_secs(4);
/// Each step up is so many times the last.
const GROWTH: f64 = 1.5;
/// Halvings between the highest rate that held and the lowest that did not.
const HALVINGS: u32 = 4;
/// Steps up before giving up on reaching a limit.
const STEPS_MAX: u32 = 20;
/// A worker that lost packets is given this long to settle.
const SETTLE: Duration = Duration::from_millis(300);

/// One rate that was tried.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) scale: f64,
    pub(crate) input: Flow,
    pub(crate) output: Flow,
    pub(crate) loss_percent: f64,
    pub(crate) worker_core_percent: f64,
    pub(crate) worker_ns_per_packet: f64,
    pub(crate) latency: Percentiles,
    /// Datagrams dropped at the worker's sockets.
    pub(crate) worker_socket_drops: u64,
    /// The harness' busiest thread.
    pub(crate) generator_core_percent: f64,
    /// Everything on the machine that is neither the worker nor the harness.
    pub(crate) others_core_percent: f64,
    /// Whether the harness itself was late, dropped or out of CPU: such a step tells nothing about the
    /// worker.
    pub(crate) generator_limited: bool,
}

/// All of them, and the best that held.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Search {
    pub(crate) scenario: String,
    pub(crate) shards: Option<u32>,
    pub(crate) max_loss_percent: f64,
    pub(crate) best: Option<Step>,
    /// True when the search ended because of the generator, so that the worker may do more.
    pub(crate) generator_limited: bool,
    pub(crate) steps: Vec<Step>,
}

/// The longest the search may take.
pub(crate) fn time_limit() -> Duration {
    (STEP + Duration::from_secs(4)) * (STEPS_MAX + HALVINGS)
}

/// Searches.
pub(crate) fn run(cli: &Cli, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Search, Error> {
    let progress = Progress::new();
    progress.stage("starting the worker");
    let mut harness = Harness::start(cli, scenario, stop)?;
    progress.stage("warm-up");
    harness.warm_up(Duration::from_secs_f64(scenario.warmup_s), &progress)?;
    let mut search = Search {
        scenario: scenario.name.clone(),
        shards: cli.shards,
        max_loss_percent: cli.max_loss,
        best: None,
        generator_limited: false,
        steps: Vec::new(),
    };
    let mut holds = 0.0;
    let mut fails = None;
    let mut scale = cli.rate_scale;
    for _ in 0..STEPS_MAX {
        if !search.try_scale(&mut harness, scale, &progress)? {
            fails = Some(scale);
            break;
        }
        holds = scale;
        scale *= GROWTH;
    }
    let Some(mut fails) = fails else {
        progress.finish();
        harness.finish()?;
        return Ok(search);
    };
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(holds, fails);
        if search.try_scale(&mut harness, middle, &progress)? {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    progress.finish();
    harness.finish()?;
    // The limit was the generator's when the lowest rate that failed, failed because of it.
    let limit =
        search.steps.iter().filter(|step| !search.holds(step)).min_by(|a, b| a.scale.total_cmp(&b.scale));
    search.generator_limited = limit.is_some_and(|step| step.generator_limited);
    Ok(search)
}

impl Search {
    fn holds(&self, step: &Step) -> bool {
        step.loss_percent < self.max_loss_percent && !step.generator_limited
    }

    /// One step; whether the rate held.
    fn try_scale(&mut self, harness: &mut Harness, scale: f64, progress: &Progress) -> Result<bool, Error> {
        progress.stage(&format!("rate x{scale:.2}"));
        harness.set_scale(scale);
        let step = Step::of(scale, &harness.measure(STEP, progress)?);
        let holds = self.holds(&step);
        if holds && self.best.as_ref().is_none_or(|best| best.scale < scale) {
            self.best = Some(step.clone());
        }
        self.steps.push(step);
        if !holds {
            std::thread::sleep(SETTLE);
        }
        Ok(holds)
    }

    /// For people.
    pub(crate) fn render(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.set_header(vec![
            "rate",
            "in packets/s",
            "out packets/s",
            "loss %",
            "worker % of a core",
            "ns/packet",
            "p99",
            "worker's sockets dropped",
            "harness %",
            "others %",
            "limit",
        ]);
        for step in &self.steps {
            table.add_row(vec![
                format!("x{:.2}", step.scale),
                format!("{:.0}", step.input.packets_per_second),
                format!("{:.0}", step.output.packets_per_second),
                format!("{:.4}", step.loss_percent),
                format!("{:.1}", step.worker_core_percent),
                format!("{:.0}", step.worker_ns_per_packet),
                format!("{:.2} ms", step.latency.p99_us / 1000.0),
                step.worker_socket_drops.to_string(),
                format!("{:.0}", step.generator_core_percent),
                format!("{:.0}", step.others_core_percent),
                if step.generator_limited { "generator" } else { "" }.to_owned(),
            ]);
        }
        let best = self.best.as_ref().map_or_else(
            || format!("no rate had less than {} % loss\n", self.max_loss_percent),
            |best| {
                format!(
                    "highest rate with less than {} % loss: {:.0} packets/s out ({:.0} in, {:.1} Mbit/s out), \
                     worker {:.1} % of a core, {:.0} ns per packet\n",
                    self.max_loss_percent,
                    best.output.packets_per_second,
                    best.input.packets_per_second,
                    best.output.megabits_per_second,
                    best.worker_core_percent,
                    best.worker_ns_per_packet
                )
            },
        );
        let mut limit = String::new();
        if self.generator_limited {
            limit.push_str("warning: the generator is the limit, the worker may carry more\n");
        }
        if self.steps.iter().any(|step| step.others_core_percent > OTHERS_CORE_PERCENT_MAX) {
            limit.push_str("warning: the machine was not quiet, the worker may carry more\n");
        }
        format!("\nfind-max, {}\n\n{table}\n\n{best}{limit}", self.scenario)
    }
}

impl Step {
    fn of(scale: f64, slice: &Slice) -> Self {
        let lateness = Percentiles::of_nanos(&slice.lateness);
        let busiest_ns = slice.harness_cpu.by_name.values().copied().max().unwrap_or(0);
        let generator_core_percent = percent_of_core(busiest_ns, slice.wall_s);
        Self {
            scale,
            input: Flow::new(slice.sent_packets, slice.sent_bytes, slice.wall_s),
            output: Flow::new(slice.received.packets, slice.received.bytes, slice.wall_s),
            loss_percent: slice.loss() * 100.0,
            worker_core_percent: percent_of_core(slice.worker_cpu.total_ns(), slice.wall_s),
            worker_ns_per_packet: slice.worker_ns_per_packet().unwrap_or(0.0),
            latency: Percentiles::of_nanos(&slice.latency),
            worker_socket_drops: slice.worker_drops,
            generator_core_percent,
            others_core_percent: percent_of_core(slice.others_ns(), slice.wall_s),
            generator_limited: slice.harness_drops > 0
                || slice.send_errors > 0
                || lateness.p99_us > LATENESS_P99_MAX_US
                || generator_core_percent >= THREAD_CORE_PERCENT_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::slice;

    #[test]
    fn a_step_holds_below_the_loss_and_only_if_the_generator_kept_up() {
        let search = Search {
            scenario: "test".to_owned(),
            shards: None,
            max_loss_percent: 0.1,
            best: None,
            generator_limited: false,
            steps: Vec::new(),
        };
        let mut fine = slice();
        fine.due_packets = 990;
        assert!(search.holds(&Step::of(1.0, &fine)));
        assert!(!search.holds(&Step::of(1.0, &slice())), "1 % is lost");
        fine.harness_drops = 1;
        assert!(!search.holds(&Step::of(1.0, &fine)));
        assert!(search.render().contains("no rate had less"));
    }
}
