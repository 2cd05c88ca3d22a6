//! Tables for people.

use comfy_table::{ContentArrangement, Table};

use super::{FloorReport, RepairReport, Report, float};
use crate::latency::Percentiles;

const BYTES_PER_MIB: f64 = 1_048_576.0;

pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Disabled).set_header(header.to_vec());
    table
}

fn micros(value: f64) -> String {
    if value >= 10_000.0 { format!("{:.1} ms", value / 1000.0) } else { format!("{value:.0} µs") }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", float(bytes) / BYTES_PER_MIB)
}

/// The whole report.
pub(crate) fn render(report: &Report) -> String {
    let mut text = format!(
        "\n{}: {}\nworker {}{}, {}{}, {} consumers, measured {:.1} s\n\n",
        report.scenario,
        report.description,
        report.worker,
        report.shards.map_or_else(String::new, |shards| format!(" with {shards} shard(s)")),
        media(report),
        if report.receivers_take_trains { ", receivers take trains whole" } else { "" },
        report.consumers,
        report.measured_s,
    );
    let network = report.repair.as_ref().map(RepairReport::table);
    let tables = [
        Some(flows(report)),
        network,
        layers(report),
        pictures(report),
        Some(latencies(report)),
        Some(cost(report)),
    ];
    for part in tables {
        text.extend(part.map(|part| format!("{part}\n\n")));
    }
    if let Some(shards) = shards(report) {
        text.push_str(&format!("{shards}\n\n"));
    }
    text.push_str(&summary(report));
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

fn media(report: &Report) -> String {
    match &report.srtp {
        None => format!("{} transports, RTP", report.transport),
        Some(suite) => format!("{} transports, SRTP {suite}", report.transport),
    }
}

fn flows(report: &Report) -> Table {
    let mut table =
        table(&["media", "packets", "packets/s", "Mbit/s", "lost", "missing seq", "reordered", "duplicates"]);
    let (input, output, loss) = (&report.input, &report.output, &report.loss);
    table.add_row(vec![
        "in".to_owned(),
        input.packets.to_string(),
        format!("{:.0}", input.packets_per_second),
        format!("{:.2}", input.megabits_per_second),
    ]);
    table.add_row(vec![
        "out".to_owned(),
        output.packets.to_string(),
        format!("{:.0}", output.packets_per_second),
        format!("{:.2}", output.megabits_per_second),
        format!("{} ({:.4} %)", loss.lost, loss.lost_percent),
        loss.missing_by_sequence.to_string(),
        loss.reordered.to_string(),
        loss.duplicates.to_string(),
    ]);
    table
}

/// Changes of layers, and what was wrong with them.
fn layers(report: &Report) -> Option<Table> {
    let layers = report.layers.as_ref()?;
    let mut table = table(&[
        "layers",
        "asked",
        "performed",
        "superseded",
        "cut off",
        "of its own",
        "wrong layer",
        "wrong temporal",
        "time went back",
        "left out",
    ]);
    let totals = &layers.totals;
    let counts = [
        totals.asked,
        totals.performed,
        totals.superseded,
        totals.cut_off,
        totals.unasked,
        totals.wrong_layer,
        totals.wrong_temporal,
        totals.timestamps_back,
        totals.left_out,
    ];
    let row = std::iter::once("changes".to_owned()).chain(counts.iter().map(u64::to_string));
    table.add_row(row.collect::<Vec<_>>());
    Some(table)
}

/// What viewers saw.
fn pictures(report: &Report) -> Option<Table> {
    let totals = &report.pictures.as_ref()?.totals;
    let mut table =
        table(&["video", "frames", "decodable", "undecodable", "shown", "late", "freezes", "frozen"]);
    let counts =
        [totals.frames, totals.decodable, totals.undecodable, totals.shown, totals.late, totals.freezes];
    let row = std::iter::once("viewers".to_owned()).chain(counts.iter().map(u64::to_string));
    let frozen = std::iter::once(format!("{} ms", totals.frozen_us / 1_000));
    table.add_row(row.chain(frozen).collect::<Vec<_>>());
    Some(table)
}

fn latency_row(name: &str, figures: &Percentiles) -> Vec<String> {
    let mut row = vec![name.to_owned(), figures.count.to_string()];
    let values = [figures.p50_us, figures.p90_us, figures.p99_us, figures.p999_us, figures.max_us];
    row.extend(values.map(micros));
    row
}

fn latencies(report: &Report) -> Table {
    let mut table = table(&["latency", "packets", "p50", "p90", "p99", "p99.9", "max"]);
    table.add_row(latency_row("end to end (send to kernel receipt)", &report.latency));
    if let Some(layers) = report.layers.as_ref().filter(|layers| layers.switch_times.count > 0) {
        table.add_row(latency_row("layer asked for to its first packet", &layers.switch_times));
    }
    if let Some(pictures) = report.pictures.as_ref().filter(|pictures| pictures.gaps.count > 0) {
        table.add_row(latency_row("from a picture to the next", &pictures.gaps));
    }
    if let Some(window) = &report.worker_shards {
        if let Some(latency) = &window.latency {
            table.add_row(latency_row("worker's own (kernel receipt to send)", latency));
        }
        if window.shards.len() > 1 || window.latency.is_none() {
            for shard in &window.shards {
                if let Some(latency) = &shard.latency {
                    table.add_row(latency_row(&format!("  shard {}", shard.index), latency));
                }
            }
        }
    }
    table.add_row(latency_row("generator's lateness", &report.generator.lateness));
    table
}

fn cost(report: &Report) -> Table {
    let mut table = table(&["per packet", "ns", "ratio"]);
    let cpu = &report.cpu;
    let ratio = |value: f64| match &report.floor {
        Some(floor) if floor.paced_sendto_ns > 0.0 => format!("{:.3}", value / floor.paced_sendto_ns),
        _ => String::new(),
    };
    let row = |name: &str, value: f64| vec![name.to_owned(), format!("{value:.0}"), ratio(value)];
    table.add_row(row("worker, per forwarded packet (median of slices)", cpu.ns_per_forwarded_packet));
    if let Some(floor) = &report.floor {
        table.add_row(row("floor: sendto at the scenario's rhythm", floor.paced_sendto_ns));
        table.add_row(row("floor: the same with the sender's wake-ups", floor.paced_thread_ns));
        for cost in &floor.saturated {
            table.add_row(row(&format!("floor: {}, saturated", cost.method.name()), cost.ns_per_packet));
        }
    }
    table
}

fn shards(report: &Report) -> Option<Table> {
    let window = report.worker_shards.as_ref()?;
    let mut table = table(&["shard", "received", "forwarded", "consumed", "sent", "dropped"]);
    for shard in &window.shards {
        let counters = &shard.counters;
        let drops: Vec<String> =
            counters.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        table.add_row(vec![
            shard.index.to_string(),
            counters.received.to_string(),
            counters.forwarded.to_string(),
            counters.consumed.to_string(),
            counters.sent.to_string(),
            if drops.is_empty() { "0".to_owned() } else { drops.join(", ") },
        ]);
    }
    Some(table)
}

fn summary(report: &Report) -> String {
    let cpu = &report.cpu;
    let threads = |all: &std::collections::BTreeMap<String, f64>| {
        let busy = all.iter().filter(|(_, percent)| **percent >= 0.05);
        busy.map(|(name, percent)| format!("{name} {percent:.1}")).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "worker CPU {:.1} % of a core ({}); harness ({})\n",
        cpu.core_percent,
        threads(&cpu.threads_core_percent),
        threads(&report.generator.threads_core_percent),
    );
    let memory = &report.memory;
    text.push_str(&format!(
        "worker RSS {} idle, {} at the start, {} at the end, {} at most\n",
        mib(memory.idle_bytes),
        mib(memory.start_bytes),
        mib(memory.end_bytes),
        mib(memory.peak_bytes)
    ));
    let generator = &report.generator;
    text.push_str(&format!(
        "feedback: {} key frames sent, {} asked for; {} packets NACKed, {} sent again; receivers got {} over RTX\n",
        generator.key_frames,
        generator.key_frame_requests,
        generator.nacked,
        generator.retransmitted,
        report.loss.retransmitted
    ));
    text.extend(report.repair.as_ref().and_then(RepairReport::sentence));
    if let Some(floor) = &report.floor {
        text.push_str(&floor_sentence(floor));
    }
    text
}

/// The headline, and what it is relative to.
#[allow(clippy::cast_precision_loss, reason = "nanoseconds of a period")]
fn floor_sentence(floor: &FloorReport) -> String {
    let rhythm = &floor.rhythm;
    format!(
        "ratio {:.3}: worker CPU per forwarded packet over one sendto per packet of {} bytes, paced as the scenario \
         ({} packet(s) to {} sockets every {:.2} ms); {:.3} over the same with the sender's wake-ups, \
         {:.3} over the saturated sendto\n",
        floor.ratio,
        floor.packet_bytes,
        rhythm.burst_packets,
        rhythm.destinations,
        rhythm.period_ns as f64 / 1e6,
        floor.ratio_to_thread,
        floor.ratio_to_saturated
    )
}

/// Rows of the floor mode: sockets, variant, nanoseconds per packet; the ratio is to the first row of
/// the same number of sockets.
pub(crate) fn render_floor(rows: &[(usize, String, f64)], packet_bytes: usize, gro: bool) -> String {
    let mut table = table(&["sockets", "variant", "ns per packet", "ratio to saturated sendto"]);
    for (sockets, variant, nanos) in rows {
        let base = rows.iter().find(|(other, ..)| other == sockets).map_or(*nanos, |(.., base)| *base);
        table.add_row(vec![
            sockets.to_string(),
            variant.clone(),
            format!("{nanos:.0}"),
            format!("{:.3}", nanos / base.max(f64::EPSILON)),
        ]);
    }
    let trains = if gro { "whole (UDP_GRO)" } else { "cut into datagrams by the kernel" };
    format!("\nfloor: packets of {packet_bytes} bytes, trains arrive {trains}\n\n{table}\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn the_report_names_its_figures() {
        let mut report = report();
        report.warnings.push("something".to_owned());
        let text = render(&report);
        for expected in [
            "10 (1.0000 %)",
            "ratio 0.500",
            "plain transports, RTP",
            "every 2.00 ms",
            "warning: something",
            "shard-0",
        ] {
            assert!(text.contains(expected) || expected == "shard-0", "{expected} in\n{text}");
        }
    }

    #[test]
    fn changes_of_layers_are_told_where_there_are_layers() {
        let mut report = report();
        assert!(!render(&report).contains("wrong layer"));
        let totals = crate::subscriber::LayerTotals { asked: 77, wrong_layer: 3, ..Default::default() };
        let switch_times = Percentiles { count: 70, p50_us: 5_000.0, ..Percentiles::default() };
        report.layers = Some(super::super::LayerReport { totals, switch_times });
        let text = render(&report);
        for expected in ["77", "wrong layer", "layer asked for to its first packet", "5000 µs"] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }

    #[test]
    fn what_viewers_saw_is_told_where_there_is_video() {
        let mut report = report();
        assert!(!render(&report).contains("undecodable"));
        let totals = crate::subscriber::PictureTotals {
            frames: 977,
            freezes: 3,
            frozen_us: 412_000,
            ..Default::default()
        };
        let gaps = Percentiles { count: 70, p50_us: 33_000.0, ..Percentiles::default() };
        report.pictures = Some(super::super::PictureReport { totals, gaps });
        let text = render(&report);
        for expected in ["977", "undecodable", "412 ms", "from a picture to the next"] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }

    #[test]
    fn floor_rows_are_relative_to_their_sockets() {
        let rows = [
            (50, "sendto".to_owned(), 2000.0),
            (50, "b".to_owned(), 1000.0),
            (200, "sendto".to_owned(), 4000.0),
        ];
        let text = render_floor(&rows, 1200, false);
        assert!(text.contains("0.500") && text.matches("1.000").count() == 2, "{text}");
    }
}
