//! One of two sides that are measured in turns.

use serde::Serialize;

use super::{float, median, percent_of_core};
use crate::harness::Slice;
use crate::latency::Percentiles;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) measured_s: f64,
    pub(crate) received_per_second: f64,
    pub(crate) loss_percent: f64,
    pub(crate) latency: Percentiles,
    pub(crate) worker_core_percent: f64,
    pub(crate) harness_core_percent: f64,
    /// The median turn's.
    pub(crate) worker_ns_per_packet: f64,
}

impl Side {
    /// `None` without a turn that received anything.
    pub(crate) fn of(name: &str, slices: &[Slice]) -> Option<Self> {
        let costs: Vec<f64> = slices.iter().filter_map(Slice::worker_ns_per_packet).collect();
        let worker_ns_per_packet = median(&costs)?;
        let (first, rest) = slices.split_first()?;
        let mut whole = first.clone();
        rest.iter().for_each(|slice| whole.join(slice));
        Some(Self {
            name: name.to_owned(),
            measured_s: whole.wall_s,
            received_per_second: float(whole.received.packets) / whole.wall_s,
            loss_percent: whole.loss() * 100.0,
            latency: Percentiles::of_nanos(&whole.latency),
            worker_core_percent: percent_of_core(whole.worker_cpu.total_ns(), whole.wall_s),
            harness_core_percent: percent_of_core(whole.harness_cpu.total_ns(), whole.wall_s),
            worker_ns_per_packet,
        })
    }

    /// The sides beneath each other.
    pub(crate) fn table(sides: &[Self]) -> comfy_table::Table {
        let mut table = super::table::table(&[
            "",
            "packets/s",
            "lost %",
            "p50 us",
            "p90 us",
            "p99 us",
            "max us",
            "worker core %",
            "ns/packet",
            "harness core %",
        ]);
        for side in sides {
            table.add_row([
                side.name.clone(),
                format!("{:.0}", side.received_per_second),
                format!("{:.3}", side.loss_percent),
                format!("{:.0}", side.latency.p50_us),
                format!("{:.0}", side.latency.p90_us),
                format!("{:.0}", side.latency.p99_us),
                format!("{:.0}", side.latency.max_us),
                format!("{:.1}", side.worker_core_percent),
                format!("{:.0}", side.worker_ns_per_packet),
                format!("{:.1}", side.harness_core_percent),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::slice;

    #[test]
    fn a_side_is_its_turns_together_at_the_median_cost() {
        let mut cheap = slice();
        cheap.received.packets = 1_000;
        cheap.worker_cpu.by_name = [("shard".to_owned(), 1_000_000)].into();
        let mut dear = cheap.clone();
        dear.worker_cpu.by_name = [("shard".to_owned(), 9_000_000)].into();
        let side = Side::of("x", &[cheap.clone(), dear, cheap]).expect("packets came");
        assert!((side.worker_ns_per_packet - 1_000.0).abs() < 1e-9);
        assert!(Side::of("x", &[]).is_none());
        assert!(Side::table(&[side]).to_string().contains("1000"));
    }
}
