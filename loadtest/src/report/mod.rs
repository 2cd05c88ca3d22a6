//! The report: what one run found, as an object for machines and as tables for people.

pub(crate) mod repair;
pub(crate) mod side;
pub(crate) mod table;
mod warnings;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cpu::CpuUse;
use crate::dump::WorkerWindow;
use crate::floor::{Method, Rhythm};
use crate::harness::Slice;
use crate::latency::Percentiles;
use crate::publisher;
use crate::subscriber::{LayerTotals, PictureTotals};

pub(crate) use repair::RepairReport;
pub(crate) use warnings::{LATENESS_P99_MAX_US, OTHERS_CORE_PERCENT_MAX, THREAD_CORE_PERCENT_MAX, warnings};

const BITS_PER_MEGABIT: f64 = 1e6;
const NANOS_PER_SECOND: f64 = 1e9;

/// Everything a run of a scenario found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) description: String,
    pub(crate) worker: String,
    pub(crate) shards: Option<u32>,
    pub(crate) transport: &'static str,
    pub(crate) srtp: Option<String>,
    pub(crate) receivers_take_trains: bool,
    pub(crate) consumers: u64,
    pub(crate) measured_s: f64,
    pub(crate) input: Flow,
    pub(crate) output: Flow,
    pub(crate) loss: Loss,
    /// Where video comes in several sizes.
    pub(crate) layers: Option<LayerReport>,
    /// Of video.
    pub(crate) pictures: Option<PictureReport>,
    /// Where the network was impaired.
    pub(crate) repair: Option<RepairReport>,
    pub(crate) latency: Percentiles,
    pub(crate) cpu: Cpu,
    pub(crate) memory: Memory,
    pub(crate) floor: Option<FloorReport>,
    pub(crate) worker_shards: Option<WorkerWindow>,
    pub(crate) generator: Generator,
    pub(crate) warnings: Vec<String>,
}

/// Packets in one direction, as the harness sent or received them.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Flow {
    pub(crate) packets: u64,
    pub(crate) packets_per_second: f64,
    pub(crate) megabits_per_second: f64,
}

/// What did not arrive, or not in order.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Loss {
    /// Packets sent times consumers.
    pub(crate) due: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) lost_percent: f64,
    /// Gaps in the receivers' sequence numbers; less than `lost` where the worker dropped first.
    pub(crate) missing_by_sequence: u64,
    pub(crate) reordered: u64,
    pub(crate) duplicates: u64,
    pub(crate) retransmitted: u64,
    pub(crate) misdelivered: u64,
    pub(crate) unknown: u64,
    pub(crate) undecryptable: u64,
    /// Datagrams dropped at the worker's sockets, and at ours.
    pub(crate) worker_socket_drops: u64,
    pub(crate) harness_socket_drops: u64,
}

/// What receivers of video in several sizes saw.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct LayerReport {
    #[serde(flatten)]
    pub(crate) totals: LayerTotals,
    /// From the request to the first packet of the layer.
    pub(crate) switch_times: Percentiles,
}

impl LayerReport {
    /// `None` where nobody received video in several sizes.
    pub(crate) fn of(slice: &Slice) -> Option<Self> {
        let switch_times = Percentiles::of_nanos(&slice.switch_times);
        (slice.layers.expected > 0).then_some(Self { totals: slice.layers, switch_times })
    }
}

/// What viewers saw.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct PictureReport {
    #[serde(flatten)]
    pub(crate) totals: PictureTotals,
    /// Between two pictures of a viewer.
    pub(crate) gaps: Percentiles,
}

impl PictureReport {
    /// `None` where nobody received video.
    pub(crate) fn of(slice: &Slice) -> Option<Self> {
        let gaps = Percentiles::of_nanos(&slice.picture_gaps);
        (slice.pictures.frames > 0).then_some(Self { totals: slice.pictures, gaps })
    }
}

/// What the worker's threads used.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cpu {
    /// Median over the slices, per packet that reached a receiver.
    pub(crate) ns_per_forwarded_packet: f64,
    pub(crate) slices_ns_per_forwarded_packet: Vec<f64>,
    pub(crate) core_percent: f64,
    pub(crate) threads_core_percent: BTreeMap<String, f64>,
    /// Kernel softirq threads meanwhile, charged to nobody.
    pub(crate) softirq_core_percent: f64,
    /// Everything else on the machine meanwhile.
    pub(crate) others_core_percent: f64,
}

/// Resident bytes of the worker.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Memory {
    /// Before any media.
    pub(crate) idle_bytes: u64,
    pub(crate) start_bytes: u64,
    pub(crate) end_bytes: u64,
    pub(crate) peak_bytes: u64,
}

/// The kernel's price in turns with the worker's.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FloorReport {
    pub(crate) packet_bytes: usize,
    pub(crate) rhythm: Rhythm,
    /// One sendto per packet at the scenario's own rhythm: what the ratio is to.
    pub(crate) paced_sendto_ns: f64,
    /// The same with the sleeps and wake-ups of the thread that sends.
    pub(crate) paced_thread_ns: f64,
    /// Worker CPU per forwarded packet over `paced_sendto_ns`.
    pub(crate) ratio: f64,
    /// The same over `paced_thread_ns`: the worker's figure includes its wake-ups too.
    pub(crate) ratio_to_thread: f64,
    /// The same over the saturated sendto, for comparison.
    pub(crate) ratio_to_saturated: f64,
    /// Without pauses between the sends.
    pub(crate) saturated: Vec<MethodCost>,
}

/// One method's price.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct MethodCost {
    pub(crate) method: Method,
    pub(crate) ns_per_packet: f64,
}

/// How the harness itself did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Generator {
    pub(crate) lateness: Percentiles,
    pub(crate) threads_core_percent: BTreeMap<String, f64>,
    pub(crate) send_errors: u64,
    pub(crate) key_frames: u64,
    pub(crate) key_frame_requests: u64,
    pub(crate) nacked: u64,
    pub(crate) retransmitted: u64,
}

#[allow(clippy::cast_precision_loss, reason = "counts and nanoseconds of a run")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

impl Flow {
    pub(crate) fn new(packets: u64, bytes: u64, seconds: f64) -> Self {
        let seconds = seconds.max(f64::EPSILON);
        Self {
            packets,
            packets_per_second: float(packets) / seconds,
            megabits_per_second: float(bytes) * 8.0 / BITS_PER_MEGABIT / seconds,
        }
    }
}

impl Loss {
    pub(crate) fn of(slice: &Slice) -> Self {
        let received = &slice.received;
        Self {
            due: slice.due_packets,
            received: received.unique,
            lost: slice.lost(),
            lost_percent: slice.loss() * 100.0,
            missing_by_sequence: received.expected.saturating_sub(received.unique),
            reordered: received.reordered,
            duplicates: received.duplicates,
            retransmitted: received.rtx,
            misdelivered: received.misdelivered,
            unknown: received.unknown,
            undecryptable: received.undecryptable,
            worker_socket_drops: slice.worker_drops,
            harness_socket_drops: slice.harness_drops,
        }
    }
}

impl Cpu {
    /// `whole` is all of `slices` joined.
    pub(crate) fn of(slices: &[Slice], whole: &Slice) -> Self {
        let costs: Vec<f64> = slices.iter().filter_map(Slice::worker_ns_per_packet).collect();
        Self {
            ns_per_forwarded_packet: median(&costs).unwrap_or(0.0),
            slices_ns_per_forwarded_packet: costs,
            core_percent: percent_of_core(whole.worker_cpu.total_ns(), whole.wall_s),
            threads_core_percent: threads_percent(&whole.worker_cpu, whole.wall_s),
            softirq_core_percent: percent_of_core(whole.softirq_ns, whole.wall_s),
            others_core_percent: percent_of_core(whole.others_ns(), whole.wall_s),
        }
    }
}

impl Generator {
    pub(crate) fn of(whole: &Slice, sent: &publisher::Totals) -> Self {
        Self {
            lateness: Percentiles::of_nanos(&whole.lateness),
            threads_core_percent: threads_percent(&whole.harness_cpu, whole.wall_s),
            send_errors: whole.send_errors,
            key_frames: sent.key_frames,
            key_frame_requests: sent.key_frame_requests,
            nacked: sent.nacked,
            retransmitted: sent.retransmitted,
        }
    }
}

pub(crate) fn percent_of_core(nanos: u64, seconds: f64) -> f64 {
    float(nanos) / NANOS_PER_SECOND / seconds.max(f64::EPSILON) * 100.0
}

fn threads_percent(used: &CpuUse, seconds: f64) -> BTreeMap<String, f64> {
    used.by_name.iter().map(|(name, nanos)| (name.clone(), percent_of_core(*nanos, seconds))).collect()
}

/// The middle value; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::impair::LineTotals;
    use crate::subscriber;

    /// A slice of round figures: 100 packets in, 1000 due, 990 received in 2 s, 1 ms of worker CPU.
    pub(crate) fn slice() -> Slice {
        let received = subscriber::Totals {
            packets: 992,
            bytes: 992_000,
            unique: 990,
            expected: 995,
            duplicates: 2,
            ..subscriber::Totals::default()
        };
        let used = |name: &str, nanos| CpuUse { by_name: BTreeMap::from([(name.to_owned(), nanos)]) };
        Slice {
            wall_s: 2.0,
            sent_packets: 100,
            sent_bytes: 100_000,
            due_packets: 1000,
            received,
            layers: LayerTotals::default(),
            to_worker: LineTotals::default(),
            from_worker: LineTotals::default(),
            nacked_publishers: 0,
            retransmitted_by_publishers: 0,
            switch_times: crate::latency::new(),
            pictures: PictureTotals::default(),
            picture_gaps: crate::latency::new(),
            latency: crate::latency::new(),
            lateness: crate::latency::new(),
            worker_cpu: used("shard-0", 992_000),
            harness_cpu: used("subscribers", 100_000_000),
            softirq_ns: 0,
            machine_ns: 0,
            worker_drops: 0,
            harness_drops: 0,
            send_errors: 0,
        }
    }

    pub(crate) fn report() -> Report {
        let whole = slice();
        let sent = publisher::Totals {
            packets: 100,
            bytes: 100_000,
            by_stream: vec![100],
            key_frames: 2,
            key_frame_requests: 1,
            nacked: 0,
            retransmitted: 0,
            send_errors: 0,
            up: LineTotals::default(),
            down: LineTotals::default(),
        };
        Report {
            scenario: "test".to_owned(),
            description: "for the test".to_owned(),
            worker: "/bin/worker".to_owned(),
            shards: Some(1),
            transport: "plain",
            srtp: None,
            receivers_take_trains: false,
            consumers: 10,
            measured_s: whole.wall_s,
            input: Flow::new(whole.sent_packets, whole.sent_bytes, whole.wall_s),
            output: Flow::new(whole.received.packets, whole.received.bytes, whole.wall_s),
            loss: Loss::of(&whole),
            layers: LayerReport::of(&whole),
            pictures: PictureReport::of(&whole),
            repair: None,
            latency: Percentiles::default(),
            cpu: Cpu::of(std::slice::from_ref(&whole), &whole),
            memory: Memory::default(),
            floor: Some(FloorReport {
                packet_bytes: 1200,
                rhythm: Rhythm { burst_packets: 1, period_ns: 2_000_000, destinations: 50 },
                paced_sendto_ns: 2000.0,
                paced_thread_ns: 2500.0,
                ratio: 0.5,
                ratio_to_thread: 0.4,
                ratio_to_saturated: 0.4,
                saturated: vec![MethodCost { method: Method::SendTo, ns_per_packet: 2500.0 }],
            }),
            worker_shards: None,
            generator: Generator::of(&whole, &sent),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn figures_follow_from_the_slices() {
        let report = report();
        assert_eq!((report.loss.lost, report.loss.missing_by_sequence, report.loss.duplicates), (10, 5, 2));
        assert!((report.loss.lost_percent - 1.0).abs() < 1e-9);
        assert!((report.cpu.ns_per_forwarded_packet - 1000.0).abs() < 1e-9);
        assert!((report.output.packets_per_second - 496.0).abs() < 1e-9);
        assert!((report.cpu.core_percent - 0.0496).abs() < 1e-9);
        assert!((report.generator.threads_core_percent["subscribers"] - 5.0).abs() < 1e-9);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["floor"]["ratio"], 0.5);
    }

    #[test]
    fn slices_join_into_sums() {
        let mut whole = slice();
        whole.join(&slice());
        assert_eq!((whole.due_packets, whole.received.unique, whole.lost()), (2000, 1980, 20));
        assert_eq!(whole.worker_cpu.total_ns(), 2 * 992_000);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
