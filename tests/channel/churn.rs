//! Objects of every kind, made and ended over and over: nothing of them stays, neither memory nor descriptors nor names.
//!
//! `CHURN=100000 cargo test --release -p ringsoup-tests --test channel churn -- --nocapture --test-threads 1` makes
//! that many of each, and tells the figures.

use std::ops::Range;
use std::time::{Duration, Instant};

use ringsoup_tests::channel::Channel;
use ringsoup_tests::media::{self, Codec};
use ringsoup_tests::worker::{Launch, PATIENCE, Worker};
use ringsoup_tests::{data, request, transports};

/// Objects of each kind unless `CHURN` says: all kinds together take some 20 s.
const CYCLES_DEFAULT: u32 = 800;
/// What the larger kinds count for.
const PARTS: u32 = 8;
/// Alive at once.
const BATCH: u32 = 50;
/// What a worker may have grown by after all of them, bytes: what its allocator keeps differs by this much. With
/// 100,000 cycles it is what one leaked pointer per object comes to.
const GROWTH_MAX: usize = 1 << 20;

/// What is made and ended.
struct Kind {
    name: &'static str,
    /// Of how many it consists.
    parts: u32,
    /// What it is made on.
    set_up: Vec<Vec<u8>>,
    /// Requests that make one, by its number, and those that end it.
    make: fn(u32) -> Vec<Vec<u8>>,
    end: fn(u32) -> Vec<Vec<u8>>,
}

/// What must not grow.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    handlers: usize,
    /// Routers, transports, producers and consumers, as the shards count them.
    objects: [u32; 4],
}

fn held(worker: &mut Worker) -> Held {
    let frame = worker.channel.accepted(&request::worker_dump(1));
    let dump = frame.response().and_then(|response| response.body_as_worker_dump_response()).unwrap();
    let mut objects = [0; 4];
    for shard in dump.ringsoup_shards().unwrap() {
        let counts = [shard.routers(), shard.transports(), shard.producers(), shard.consumers()];
        objects.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    let handlers = dump.channel_message_handlers();
    let handlers = handlers.channel_request_handlers().len() + handlers.channel_notification_handlers().len();
    Held { descriptors: worker.descriptors(), handlers, objects }
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

fn cycles(channel: &mut Channel, kind: &Kind, numbers: Range<u32>) {
    for first in numbers.clone().step_by(BATCH as usize) {
        let batch = first..(first + BATCH).min(numbers.end);
        all_accepted(channel, &batch.clone().flat_map(kind.make).collect::<Vec<_>>());
        all_accepted(channel, &batch.flat_map(kind.end).collect::<Vec<_>>());
    }
}

fn churn(kind: &Kind) {
    let asked = std::env::var("CHURN").ok().map(|text| text.parse().expect("CHURN is a number"));
    let count: u32 = asked.unwrap_or(CYCLES_DEFAULT) / kind.parts;
    let mut worker = Launch::default().env("RINGSOUP_SHARDS", "2").run();
    all_accepted(&mut worker.channel, &kind.set_up);
    let warm_up = count / 2;
    cycles(&mut worker.channel, kind, 0..warm_up);
    let (held_before, bytes_before) = (held(&mut worker), worker.resident_bytes());
    let started = Instant::now();
    cycles(&mut worker.channel, kind, warm_up..warm_up + count);
    let took = started.elapsed();
    let deadline = Instant::now() + PATIENCE;
    // The kernel closes sockets that its ring still holds a moment later.
    while held(&mut worker).descriptors != held_before.descriptors && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(held(&mut worker), held_before);
    let bytes = worker.resident_bytes();
    println!(
        "{}: {count} cycles at {:.0} a second, {} KiB before, {} KiB after, {} descriptors",
        kind.name,
        f64::from(count) / took.as_secs_f64(),
        bytes_before >> 10,
        bytes >> 10,
        held_before.descriptors,
    );
    let grown = bytes.saturating_sub(bytes_before);
    assert!(grown < GROWTH_MAX, "{} bytes more after {count} cycles", grown);
}

fn name(number: u32) -> String {
    format!("object-{number}")
}

fn sub(number: u32, what: &str) -> String {
    format!("object-{number}-{what}")
}

/// A router with a direct transport that has a producer, and an empty transport beside it.
fn router() -> Vec<Vec<u8>> {
    vec![
        request::create_router(1, "r"),
        request::create_direct_transport(1, "r", "t"),
        media::produce(1, "t", "p", Codec::Opus, 1_000),
        data::produce(1, "t", "dp"),
        request::create_direct_transport(1, "r", "t2"),
    ]
}

#[test]
fn routers() {
    churn(&Kind {
        name: "router",
        parts: 1,
        set_up: Vec::new(),
        make: |number| vec![request::create_router(1, &name(number))],
        end: |number| vec![request::close_router(1, &name(number))],
    });
}

#[test]
fn direct_transports() {
    churn(&Kind {
        name: "direct transport",
        parts: 1,
        set_up: router(),
        make: |number| vec![request::create_direct_transport(1, "r", &name(number))],
        end: |number| vec![request::close_transport(1, "r", &name(number))],
    });
}

#[test]
fn plain_transports() {
    churn(&Kind {
        name: "plain transport",
        parts: 1,
        set_up: router(),
        make: |number| vec![request::create_plain_transport(1, "r", &name(number), "127.0.0.1", 0)],
        end: |number| vec![request::close_transport(1, "r", &name(number))],
    });
}

#[test]
fn pipe_transports() {
    churn(&Kind {
        name: "pipe transport",
        parts: 1,
        set_up: router(),
        make: |number| vec![transports::create_pipe_transport(1, "r", &name(number))],
        end: |number| vec![request::close_transport(1, "r", &name(number))],
    });
}

#[test]
fn web_rtc_transports() {
    churn(&Kind {
        name: "WebRTC transport",
        parts: 1,
        set_up: router(),
        make: |number| vec![transports::create_web_rtc_transport(1, "r", &name(number))],
        end: |number| vec![request::close_transport(1, "r", &name(number))],
    });
}

#[test]
fn web_rtc_servers() {
    churn(&Kind {
        name: "WebRtcServer with a transport",
        parts: 2,
        set_up: router(),
        make: |number| {
            let server = name(number);
            let transport = sub(number, "transport");
            vec![
                transports::create_web_rtc_server(1, &server),
                transports::create_web_rtc_transport_with_server(1, "r", &transport, &server),
            ]
        },
        // It takes its transports along.
        end: |number| vec![transports::close_web_rtc_server(1, &name(number))],
    });
}

#[test]
fn producers() {
    churn(&Kind {
        name: "producer",
        parts: 1,
        set_up: router(),
        make: |number| vec![media::produce(1, "t", &name(number), Codec::H264, 10_000 + number)],
        end: |number| vec![media::close_producer(1, "t", &name(number))],
    });
}

#[test]
fn consumers() {
    churn(&Kind {
        name: "consumer",
        parts: 1,
        set_up: router(),
        make: |number| {
            vec![media::consume(1, "t2", &name(number), Codec::Opus, ("p", 1_000), 10_000 + number)]
        },
        end: |number| vec![media::close_consumer(1, "t2", &name(number))],
    });
}

#[test]
fn data_producers() {
    churn(&Kind {
        name: "data producer",
        parts: 1,
        set_up: router(),
        make: |number| vec![data::produce(1, "t", &name(number))],
        end: |number| vec![data::close_producer(1, "t", &name(number))],
    });
}

#[test]
fn data_consumers() {
    churn(&Kind {
        name: "data consumer",
        parts: 1,
        set_up: router(),
        make: |number| vec![data::consume(1, "t2", &name(number), "dp")],
        end: |number| vec![data::close_consumer(1, "t2", &name(number))],
    });
}

#[test]
fn active_speaker_observers() {
    churn(&Kind {
        name: "active speaker observer",
        parts: 1,
        set_up: router(),
        make: |number| {
            let create = media::create_active_speaker_observer(1, "r", &name(number), 300);
            vec![create, media::add_producer(1, &name(number), "p")]
        },
        end: |number| vec![media::close_observer(1, "r", &name(number))],
    });
}

#[test]
fn audio_level_observers() {
    churn(&Kind {
        name: "audio level observer",
        parts: 1,
        set_up: router(),
        make: |number| {
            let create = media::create_audio_level_observer(1, "r", &name(number), 1_000);
            vec![create, media::add_producer(1, &name(number), "p")]
        },
        end: |number| vec![media::close_observer(1, "r", &name(number))],
    });
}

/// A producer and who listens to it, on two plain transports of router `r`.
fn call(number: u32, router: &str) -> Vec<Vec<u8>> {
    let [sending, receiving] = [sub(number, "sending"), sub(number, "receiving")];
    let [audio, video] = [sub(number, "audio"), sub(number, "video")];
    vec![
        request::create_plain_transport(1, router, &sending, "127.0.0.1", 0),
        request::create_plain_transport(1, router, &receiving, "127.0.0.1", 0),
        media::produce(1, &sending, &audio, Codec::Opus, 1_000),
        media::produce(1, &sending, &video, Codec::H264, 2_000),
        media::consume(1, &receiving, &sub(number, "hears"), Codec::Opus, (&audio, 1_000), 7),
        media::consume(1, &receiving, &sub(number, "sees"), Codec::H264, (&video, 2_000), 8),
    ]
}

#[test]
fn whole_routers() {
    churn(&Kind {
        name: "router with all on it",
        parts: PARTS,
        set_up: Vec::new(),
        make: |number| {
            let router = name(number);
            let mut requests = vec![request::create_router(1, &router)];
            requests.extend(call(number, &router));
            let (observer, direct) = (sub(number, "observer"), sub(number, "direct"));
            requests.extend([
                media::create_audio_level_observer(1, &router, &observer, 1_000),
                media::add_producer(1, &observer, &sub(number, "audio")),
                request::create_direct_transport(1, &router, &direct),
                data::produce(1, &direct, &sub(number, "data producer")),
                data::consume(1, &direct, &sub(number, "data consumer"), &sub(number, "data producer")),
            ]);
            requests
        },
        end: |number| vec![request::close_router(1, &name(number))],
    });
}

#[test]
fn whole_transports() {
    churn(&Kind {
        name: "two transports with media between them",
        parts: PARTS,
        set_up: router(),
        make: |number| call(number, "r"),
        // The first takes the producers, and those the other's consumers.
        end: |number| {
            ["sending", "receiving"].map(|end| request::close_transport(1, "r", &sub(number, end))).to_vec()
        },
    });
}
