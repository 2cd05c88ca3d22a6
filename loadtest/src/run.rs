//! The default mode: the worker's turn and the floor's turn, again and again, then the report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ringsoup_rtc::srtp::CryptoSuite;

use crate::cli::Cli;
use crate::cpu;
use crate::dump::WorkerWindow;
use crate::error::Error;
use crate::floor::{Cost, Floor, Method, Rhythm};
use crate::harness::{Harness, Slice};
use crate::latency::Percentiles;
use crate::progress::Progress;
use crate::report::{
    self, Cpu, FloorReport, Flow, Generator, LayerReport, Loss, Memory, MethodCost, PictureReport,
    RepairReport, Report, median,
};
use crate::scenario::{Pacing, Scenario};

/// Of each floor turn at the scenario's rhythm.
pub(crate) const PACED_NS: u64 = 1_500_000_000;
/// Of each saturated method, each floor turn.
pub(crate) const SATURATED_NS: u64 = 250_000_000;
const NANOS_PER_SECOND: f64 = 1e9;

/// Runs `scenario` and reports.
pub(crate) fn run(cli: &Cli, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Report, Error> {
    let progress = Progress::new();
    progress.stage("starting the worker");
    let mut harness = Harness::start(cli, scenario, stop)?;
    let mut memory = Memory { idle_bytes: resident(&harness), ..Memory::default() };
    progress.stage("warm-up");
    harness.warm_up(Duration::from_secs_f64(scenario.warmup_s), &progress)?;
    memory.start_bytes = resident(&harness);
    let (before, stats_before) = (harness.dump()?, harness.stats()?);
    let (slices, floor) = take_turns(cli, scenario, &mut harness, &progress)?;
    let (after, stats_after) = (harness.dump()?, harness.stats()?);
    memory.end_bytes = resident(&harness);
    memory.peak_bytes = cpu::peak_resident_bytes(harness.worker_pid()).unwrap_or(0);
    progress.finish();
    let (sent, suite) = (harness.sent(), harness.suite());
    harness.finish()?;
    let window = before.zip(after).map(|(before, after)| WorkerWindow::between(&before, &after));
    let whole = whole(&slices)?;
    let mut report = assemble(cli, scenario, &slices, &whole, floor, window, memory, &sent, suite);
    let repair = stats_before.zip(stats_after).map(|(before, after)| after.since(&before));
    report.repair = RepairReport::of(&whole, cli.network(), repair);
    Ok(report)
}

fn resident(harness: &Harness) -> u64 {
    cpu::resident_bytes(harness.worker_pid()).unwrap_or(0)
}

fn whole(slices: &[Slice]) -> Result<Slice, Error> {
    let mut slices = slices.iter();
    let mut whole = slices.next().cloned().ok_or_else(|| Error::new("nothing was measured"))?;
    slices.for_each(|slice| whole.join(slice));
    Ok(whole)
}

/// What the floor's turns found.
#[derive(Debug)]
struct FloorTurns {
    rhythm: Rhythm,
    packet_bytes: usize,
    paced: Vec<f64>,
    paced_thread: Vec<f64>,
    saturated: BTreeMap<Method, Vec<f64>>,
}

/// Worker, floor, worker, floor.
fn take_turns(
    cli: &Cli,
    scenario: &Scenario,
    harness: &mut Harness,
    progress: &Progress,
) -> Result<(Vec<Slice>, Option<FloorTurns>), Error> {
    let duration = Duration::from_secs_f64(scenario.duration_s / f64::from(scenario.slices));
    let mut slices = Vec::new();
    let mut turns: Option<(Floor, FloorTurns)> = None;
    for turn in 1..=scenario.slices {
        progress.stage(&format!("worker, turn {turn} of {}", scenario.slices));
        slices.push(harness.measure(duration, progress)?);
        if cli.no_floor {
            continue;
        }
        progress.stage(&format!("floor, turn {turn} of {}", scenario.slices));
        let (floor, found) = match &mut turns {
            Some(turns) => turns,
            // The first turn of the worker tells what its packets are like.
            none => none.insert(prepare_floor(scenario, harness, slices.first())?),
        };
        floor_turn(floor, found, harness)?;
    }
    Ok((slices, turns.map(|(_, found)| found)))
}

fn prepare_floor(
    scenario: &Scenario,
    harness: &Harness,
    slice: Option<&Slice>,
) -> Result<(Floor, FloorTurns), Error> {
    let slice = slice.ok_or_else(|| Error::new("the floor needs a slice"))?;
    let packets = slice.received.packets.max(1);
    let packet_bytes = usize::try_from(slice.received.bytes / packets).unwrap_or(0).max(12);
    let rhythm = rhythm(scenario, slice, harness.addresses().len());
    let floor = Floor::new(harness.addresses(), packet_bytes).map_err(Error::io("preparing the floor"))?;
    Ok((
        floor,
        FloorTurns {
            rhythm,
            packet_bytes,
            paced: Vec::new(),
            paced_thread: Vec::new(),
            saturated: BTreeMap::new(),
        },
    ))
}

/// How the scenario's packets come, from what was measured of it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small positive figures"
)]
pub(crate) fn rhythm(scenario: &Scenario, slice: &Slice, sockets: usize) -> Rhythm {
    let publishers = f64::from(scenario.room.count * scenario.room.publishers_each());
    let per_second = report::float(slice.sent_packets) / slice.wall_s.max(f64::EPSILON);
    let burst_packets = match &scenario.video {
        Some(video) if video.pacing == Pacing::Frame => {
            (per_second / publishers / video.fps).round().max(1.0)
        }
        _ => 1.0,
    };
    // Of several sizes a receiver gets one: what it gets is the rhythm then, not what comes in.
    let is_layered = slice.layers.expected > 0;
    let per_second = if is_layered {
        report::float(slice.received.packets) / slice.wall_s.max(f64::EPSILON) / sockets.max(1) as f64
    } else {
        per_second
    };
    let period_ns = NANOS_PER_SECOND * burst_packets / per_second.max(1.0);
    let fan_out = report::float(slice.due_packets) / report::float(slice.sent_packets.max(1));
    let fan_out = if is_layered { sockets as f64 } else { fan_out };
    Rhythm {
        burst_packets: burst_packets as usize,
        period_ns: period_ns as u64,
        destinations: (fan_out.round() as usize).clamp(1, sockets.max(1)),
    }
}

/// One turn of the floor, on a thread of its own so that its CPU time is seen under its name.
fn floor_turn(floor: &Floor, found: &mut FloorTurns, harness: &mut Harness) -> Result<(), Error> {
    let received = || harness.floor_received();
    let costs = on_floor_thread(|| -> std::io::Result<(Cost, Vec<(Method, Cost)>)> {
        let paced = floor.paced(found.rhythm, PACED_NS)?;
        let saturated = Method::ALL
            .into_iter()
            .map(|method| Ok((method, floor.saturated(method, SATURATED_NS, &received)?)))
            .collect::<std::io::Result<_>>()?;
        Ok((paced, saturated))
    })?;
    let (paced, saturated) = costs.map_err(Error::io("sending the floor's packets"))?;
    found.paced.extend(paced.ns_per_packet());
    found.paced_thread.extend(paced.thread_ns_per_packet());
    for (method, cost) in saturated {
        found.saturated.entry(method).or_default().extend(cost.ns_per_packet());
    }
    harness.watch()
}

/// Runs `work` on a thread named for it.
pub(crate) fn on_floor_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("floor".to_owned()).spawn_scoped(scope, work);
        let thread = thread.map_err(Error::io("starting the floor's thread"))?;
        thread.join().map_err(|_| Error::new("the floor's thread panicked"))
    })
}

#[allow(clippy::too_many_arguments, reason = "the parts of one report")]
fn assemble(
    cli: &Cli,
    scenario: &Scenario,
    slices: &[Slice],
    whole: &Slice,
    floor: Option<FloorTurns>,
    worker_shards: Option<WorkerWindow>,
    memory: Memory,
    sent: &crate::publisher::Totals,
    suite: Option<CryptoSuite>,
) -> Report {
    let cpu = Cpu::of(slices, whole);
    let floor = floor.and_then(|turns| floor_report(turns, cpu.ns_per_forwarded_packet));
    let worker =
        cli.worker.as_ref().map_or_else(|| "ringsoup-worker".to_owned(), |path| path.display().to_string());
    let mut report = Report {
        scenario: scenario.name.clone(),
        description: scenario.description.clone(),
        worker,
        shards: cli.shards,
        transport: cli.transport_name(),
        srtp: suite.map(|suite| suite.name().to_owned()),
        receivers_take_trains: cli.gro,
        consumers: scenario.consumer_count(),
        measured_s: whole.wall_s,
        input: Flow::new(whole.sent_packets, whole.sent_bytes, whole.wall_s),
        output: Flow::new(whole.received.packets, whole.received.bytes, whole.wall_s),
        loss: Loss::of(whole),
        layers: LayerReport::of(whole),
        pictures: PictureReport::of(whole),
        repair: None,
        latency: Percentiles::of_nanos(&whole.latency),
        cpu,
        memory,
        floor,
        worker_shards,
        generator: Generator::of(whole, sent),
        warnings: Vec::new(),
    };
    report.warnings = report::warnings(&report);
    report
}

fn floor_report(turns: FloorTurns, worker_ns: f64) -> Option<FloorReport> {
    let paced_sendto_ns = median(&turns.paced)?;
    let paced_thread_ns = median(&turns.paced_thread)?;
    let saturated: BTreeMap<Method, f64> =
        turns.saturated.iter().filter_map(|(method, costs)| Some((*method, median(costs)?))).collect();
    let sendto = saturated.get(&Method::SendTo).copied().unwrap_or(paced_sendto_ns);
    Some(FloorReport {
        packet_bytes: turns.packet_bytes,
        rhythm: turns.rhythm,
        paced_sendto_ns,
        paced_thread_ns,
        ratio: worker_ns / paced_sendto_ns,
        ratio_to_thread: worker_ns / paced_thread_ns,
        ratio_to_saturated: worker_ns / sendto,
        saturated: saturated
            .into_iter()
            .map(|(method, ns_per_packet)| MethodCost { method, ns_per_packet })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::slice;
    use crate::scenario;

    #[test]
    fn the_rhythm_is_the_scenarios() {
        let mut slice = slice();
        slice.wall_s = 1.0;
        slice.sent_packets = 500;
        slice.due_packets = 25_000;
        let even = rhythm(&scenario::load("cbr-500pps-1x50").unwrap(), &slice, 50);
        assert_eq!(even, Rhythm { burst_packets: 1, period_ns: 2_000_000, destinations: 50 });
        let frame = rhythm(&scenario::load("frame-burst-1x50").unwrap(), &slice, 50);
        assert_eq!((frame.burst_packets, frame.destinations), (17, 50));
        assert_eq!(frame.period_ns, 34_000_000);
    }

    #[test]
    fn the_ratio_is_to_the_paced_floor() {
        let turns = FloorTurns {
            rhythm: Rhythm { burst_packets: 1, period_ns: 1, destinations: 1 },
            packet_bytes: 1200,
            paced: vec![1900.0, 2000.0, 9000.0],
            paced_thread: vec![2200.0, 2500.0, 9500.0],
            saturated: BTreeMap::from([(Method::SendTo, vec![2500.0])]),
        };
        let report = floor_report(turns, 1000.0).unwrap();
        assert!((report.ratio - 0.5).abs() < 1e-9 && (report.ratio_to_saturated - 0.4).abs() < 1e-9);
        assert!((report.ratio_to_thread - 0.4).abs() < 1e-9);
    }
}
