//! When the harness, not the worker, is what a figure shows.

use super::{Report, float};

/// A packet this late is not the load that was asked for.
pub(crate) const LATENESS_P99_MAX_US: f64 = 5_000.0;
/// A thread this busy is the limit.
pub(crate) const THREAD_CORE_PERCENT_MAX: f64 = 85.0;
/// Softirq work this large beside the worker's own makes its CPU figure look better than it is.
const SOFTIRQ_SHARE_MAX: f64 = 0.05;
/// Other work on the machine above this competes with what is measured.
pub(crate) const OTHERS_CORE_PERCENT_MAX: f64 = 20.0;
/// Spread of the slices' cost, highest over lowest, above which the machine was not quiet.
const SPREAD_MAX: f64 = 1.25;

/// What the reader must know before believing the report.
pub(crate) fn warnings(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let lateness = &report.generator.lateness;
    if lateness.p99_us > LATENESS_P99_MAX_US {
        found.push(format!(
            "the generator is the limit: 1 % of its packets left {:.1} ms late or more",
            lateness.p99_us / 1000.0
        ));
    }
    for (thread, percent) in &report.generator.threads_core_percent {
        if *percent >= THREAD_CORE_PERCENT_MAX {
            found.push(format!(
                "the generator is the limit: its thread {thread} used {percent:.0} % of a core"
            ));
        }
    }
    if report.loss.harness_socket_drops > 0 {
        found.push(format!(
            "the generator is the limit: its sockets dropped {} datagrams; the loss is not (all) the worker's",
            report.loss.harness_socket_drops
        ));
    }
    if report.generator.send_errors > 0 {
        found.push(format!("{} packets could not be handed to the kernel", report.generator.send_errors));
    }
    if report.loss.misdelivered + report.loss.unknown + report.loss.undecryptable > 0 {
        found.push(
            "packets arrived that should not have: misdelivered, of no consumer, or undecryptable".to_owned(),
        );
    }
    if let Some(layers) = &report.layers {
        let totals = &layers.totals;
        if totals.wrong_layer + totals.wrong_temporal + totals.timestamps_back > 0 {
            found.push(
                "layers were mixed: packets of a layer that is not sent, or earlier timestamps".to_owned(),
            );
        }
    }
    if report.cpu.softirq_core_percent > report.cpu.core_percent * SOFTIRQ_SHARE_MAX {
        found.push(format!(
            "the kernel's softirq threads used {:.1} % of a core, which no process was charged for",
            report.cpu.softirq_core_percent
        ));
    }
    if report.cpu.others_core_percent > OTHERS_CORE_PERCENT_MAX {
        found.push(format!(
            "the machine was not quiet: other processes used {:.0} % of a core",
            report.cpu.others_core_percent
        ));
    }
    let costs = &report.cpu.slices_ns_per_forwarded_packet;
    let lowest = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = costs.iter().copied().fold(0.0, f64::max);
    if costs.len() > 1 && highest > lowest * SPREAD_MAX {
        found.push(format!(
            "the slices disagree ({lowest:.0} to {highest:.0} ns per packet): the machine was not quiet"
        ));
    }
    if float(report.loss.due) == 0.0 {
        found.push("nothing was sent".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn a_quiet_run_has_none() {
        assert!(warnings(&report()).is_empty());
    }

    #[test]
    fn each_limit_of_the_generator_is_named() {
        let mut report = report();
        report.generator.lateness.p99_us = 6_000.0;
        report.generator.threads_core_percent.insert("publishers".to_owned(), 90.0);
        report.loss.harness_socket_drops = 3;
        report.cpu.others_core_percent = 50.0;
        report.cpu.slices_ns_per_forwarded_packet = vec![100.0, 200.0];
        let all = warnings(&report).join("\n");
        for expected in ["6.0 ms late", "publishers used 90 %", "dropped 3", "used 50 %", "slices disagree"] {
            assert!(all.contains(expected), "{expected} in {all}");
        }
    }
}
