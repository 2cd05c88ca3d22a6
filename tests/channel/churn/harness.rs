//! Makes and ends a kind of object over and over, and holds what the worker has against what it had.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use ringsoup_tests::channel::Channel;
use ringsoup_tests::request;
use ringsoup_tests::worker::{Launch, PATIENCE, Worker};

/// Objects of each kind unless `CHURN` says: all kinds together take some 20 s.
const CYCLES_DEFAULT: u32 = 800;
/// Alive at once.
const BATCH: u32 = 50;
/// What one object may leave behind on the average, bytes: less than the smallest of them is, more than tables and
/// caches that are not yet as large as they get account for.
const LEFT_MAX: u64 = 200;
/// What a worker's memory may have grown by after all of them, bytes: what its allocator keeps differs by this much. With
/// 100,000 cycles it is what one leaked pointer per object comes to.
const GROWTH_MAX: u64 = 1 << 20;
/// How long descriptors are watched: the kernel closes sockets that its ring still holds a moment later.
const DESCRIPTOR_LOOKS: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What is made and ended.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Of how many it consists.
    pub(super) parts: u32,
    /// On how many shards.
    pub(super) shards: usize,
    /// What it is made on.
    pub(super) set_up: Vec<Vec<u8>>,
    /// Requests that make one, by its number, and those that end it.
    pub(super) make: fn(u32) -> Vec<Vec<u8>>,
    pub(super) end: fn(u32) -> Vec<Vec<u8>>,
    /// What one that is alive adds to the worker's counts; it shows that it was made as meant.
    pub(super) alive: &'static [(&'static str, u64)],
}

/// What must not grow.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    handlers: usize,
    counts: Counts,
}

/// By shard and name what shards and control say that they hold, where it is not nothing.
type Counts = BTreeMap<(u16, String), u64>;

/// What the worker says of itself.
struct Told {
    handlers: usize,
    shards: usize,
    counts: Counts,
    /// Bytes.
    heap: u64,
}

fn told(worker: &mut Worker) -> Told {
    let frame = worker.channel.accepted(&request::worker_dump(1));
    let dump = frame.response().and_then(|response| response.body_as_worker_dump_response()).unwrap();
    let handlers = dump.channel_message_handlers();
    let handlers = handlers.channel_request_handlers().len() + handlers.channel_notification_handlers().len();
    let mut told = Told { handlers, shards: 0, counts: Counts::new(), heap: 0 };
    for shard in dump.ringsoup_shards().unwrap().iter().filter(|shard| shard.started()) {
        told.shards += 1;
        let objects = [
            ("routers", shard.routers()),
            ("transports", shard.transports()),
            ("producers", shard.producers()),
            ("consumers", shard.consumers()),
        ];
        let objects = objects.map(|(name, count)| (name, u64::from(count)));
        let counters = shard.io().into_iter().flatten().map(|one| (one.name(), one.value()));
        for (name, value) in objects.into_iter().chain(counters) {
            let is_held = objects.iter().any(|(object, _)| *object == name)
                || name.starts_with("held_")
                || name.starts_with("control_");
            if name == "process_heap_bytes" {
                told.heap = value;
            } else if is_held && value > 0 {
                told.counts.insert((shard.index(), name.to_owned()), value);
            }
        }
    }
    told
}

fn held(worker: &mut Worker) -> Held {
    let Told { handlers, counts, .. } = told(worker);
    Held { descriptors: worker.descriptors(), handlers, counts }
}

/// Sends requests at once and waits until all are accepted.
fn all_accepted(channel: &mut Channel, requests: &[Vec<u8>]) {
    channel.send(&requests.concat());
    for _ in requests {
        let frame = channel.wait_for("a response", |frame| frame.response().is_some());
        let response = frame.response().unwrap();
        assert!(response.accepted(), "{:?}", response.reason());
    }
    channel.skipped();
}

fn requests(of: fn(u32) -> Vec<Vec<u8>>, numbers: Range<u32>) -> Vec<Vec<u8>> {
    numbers.flat_map(of).collect()
}

fn cycles(channel: &mut Channel, kind: &Kind, numbers: Range<u32>) {
    for first in numbers.clone().step_by(BATCH as usize) {
        let batch = first..(first + BATCH).min(numbers.end);
        all_accepted(channel, &requests(kind.make, batch.clone()));
        all_accepted(channel, &requests(kind.end, batch));
    }
}

fn sum(counts: &Counts, name: &str) -> u64 {
    counts.iter().filter(|((_, known), _)| known == name).map(|(_, count)| count).sum()
}

/// One batch, looked at while it is alive.
fn first_cycles(worker: &mut Worker, kind: &Kind, before: &Counts) {
    all_accepted(&mut worker.channel, &requests(kind.make, 0..BATCH));
    let alive = told(worker);
    let made = |name: &str| sum(&alive.counts, name) - sum(before, name);
    let counted: Vec<_> = kind.alive.iter().map(|&(name, _)| (name, made(name))).collect();
    let expected: Vec<_> = kind.alive.iter().map(|&(name, each)| (name, each * u64::from(BATCH))).collect();
    assert_eq!(counted, expected, "{}: {:?}", kind.name, alive.counts);
    assert!(alive.shards >= kind.shards, "{}: {:?}", kind.name, alive.counts);
    all_accepted(&mut worker.channel, &requests(kind.end, 0..BATCH));
}

fn descriptors_at_rest(worker: &Worker) -> usize {
    let look = |_| {
        std::thread::sleep(LOOK_AGAIN);
        worker.descriptors()
    };
    (0..DESCRIPTOR_LOOKS).map(look).min().unwrap()
}

/// Waits until the worker holds what it held: timers of what has ended go when they are due, sockets when the kernel has
/// let go of them.
fn assert_held(worker: &mut Worker, kind: &Kind, before: &Held) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let after = held(worker);
        if after == *before {
            return;
        }
        assert!(Instant::now() < deadline, "{}: before {before:#?}, after {after:#?}", kind.name);
        std::thread::sleep(LOOK_AGAIN);
    }
}

pub(super) fn churn(kind: &Kind) {
    let asked = std::env::var("CHURN").ok().map(|text| text.parse().expect("CHURN is a number"));
    let count: u32 = asked.unwrap_or(CYCLES_DEFAULT) / kind.parts;
    let mut worker = Launch::default().env("RINGSOUP_SHARDS", "2").run();
    all_accepted(&mut worker.channel, &kind.set_up);
    // Before the first of them, so that not even one can stay unseen.
    let Told { handlers, counts, .. } = told(&mut worker);
    first_cycles(&mut worker, kind, &counts);
    let warm = BATCH + count / 2;
    cycles(&mut worker.channel, kind, BATCH..warm);
    let before = Held { descriptors: descriptors_at_rest(&worker), handlers, counts };
    let (heap_before, resident_before) = (told(&mut worker).heap, worker.resident_bytes() as u64);
    let started = Instant::now();
    cycles(&mut worker.channel, kind, warm..warm + count);
    let took = started.elapsed();
    assert_held(&mut worker, kind, &before);
    let (heap, resident) = (told(&mut worker).heap, worker.resident_bytes() as u64);
    let (left, grown) = (heap.saturating_sub(heap_before), resident.saturating_sub(resident_before));
    println!(
        "{}: {count} cycles at {:.0} a second, resident {} KiB before, {} KiB after, {left} of {heap} bytes of heap left behind, \
         {} descriptors",
        kind.name,
        f64::from(count) / took.as_secs_f64(),
        resident_before >> 10,
        resident >> 10,
        before.descriptors,
    );
    assert!(heap > 0, "the allocator tells");
    let left_max = (u64::from(count * kind.parts) * LEFT_MAX).min(GROWTH_MAX);
    assert!(left < left_max, "{}: {left} bytes left behind by {count}", kind.name);
    assert!(grown < GROWTH_MAX, "{}: {grown} bytes more after {count} cycles", kind.name);
}
