//! Objects of every kind, made and ended over and over: nothing of them stays, neither memory nor descriptors nor names.
//!
//! `CHURN=100000 cargo test --release -p ringsoup-tests --test channel churn -- --nocapture --test-threads 1` makes
//! that many of each, and tells the figures.

mod connected;
mod harness;

use ringsoup_tests::media::{self, Codec};
use ringsoup_tests::{data, request, transports};

use harness::{Kind, churn};

/// What the larger kinds count for.
const PARTS: u32 = 8;

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
        shards: 1,
        set_up: Vec::new(),
        make: |number| vec![request::create_router(1, &name(number))],
        end: |number| vec![request::close_router(1, &name(number))],
        alive: &[("routers", 1), ("held_names", 1)],
    });
}

#[test]
fn direct_transports() {
    churn(&Kind {
        name: "direct transport",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| vec![request::create_direct_transport(1, "r", &name(number))],
        end: |number| vec![request::close_transport(1, "r", &name(number))],
        alive: &[("transports", 1), ("held_socket_owners", 0)],
    });
}

#[test]
fn plain_transports() {
    churn(&Kind {
        name: "plain transport",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| vec![request::create_plain_transport(1, "r", &name(number), "127.0.0.1", 0)],
        end: |number| vec![request::close_transport(1, "r", &name(number))],
        alive: &[("transports", 1), ("held_socket_owners", 1), ("held_lanes", 0)],
    });
}

#[test]
fn pipe_transports() {
    churn(&Kind {
        name: "pipe transport",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| vec![transports::create_pipe_transport(1, "r", &name(number))],
        end: |number| vec![request::close_transport(1, "r", &name(number))],
        alive: &[("transports", 1), ("held_pipes", 1), ("control_pipes", 1)],
    });
}

#[test]
fn web_rtc_transports() {
    churn(&Kind {
        name: "WebRTC transport",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| vec![transports::create_web_rtc_transport(1, "r", &name(number))],
        end: |number| vec![request::close_transport(1, "r", &name(number))],
        alive: &[("transports", 1), ("held_socket_owners", 1)],
    });
}

#[test]
fn web_rtc_servers() {
    churn(&Kind {
        name: "WebRtcServer with a transport",
        parts: 2,
        shards: 2,
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
        // Its first reader is one shard, its transport is on the other, which reads the port too.
        alive: &[("held_webrtc_servers", 2), ("control_webrtc_servers", 1), ("transports", 1)],
    });
}

#[test]
fn producers() {
    churn(&Kind {
        name: "producer",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| vec![media::produce(1, "t", &name(number), Codec::H264, 10_000 + number)],
        end: |number| vec![media::close_producer(1, "t", &name(number))],
        alive: &[("producers", 1)],
    });
}

#[test]
fn consumers() {
    churn(&Kind {
        name: "consumer",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| {
            vec![media::consume(1, "t2", &name(number), Codec::Opus, ("p", 1_000), 10_000 + number)]
        },
        end: |number| vec![media::close_consumer(1, "t2", &name(number))],
        alive: &[("consumers", 1)],
    });
}

#[test]
fn data_producers() {
    churn(&Kind {
        name: "data producer",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| vec![data::produce(1, "t", &name(number))],
        end: |number| vec![data::close_producer(1, "t", &name(number))],
        alive: &[("held_data_producers", 1)],
    });
}

#[test]
fn data_consumers() {
    churn(&Kind {
        name: "data consumer",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| vec![data::consume(1, "t2", &name(number), "dp")],
        end: |number| vec![data::close_consumer(1, "t2", &name(number))],
        alive: &[("held_data_consumers", 1)],
    });
}

#[test]
fn active_speaker_observers() {
    churn(&Kind {
        name: "active speaker observer",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| {
            let create = media::create_active_speaker_observer(1, "r", &name(number), 300);
            vec![create, media::add_producer(1, &name(number), "p")]
        },
        end: |number| vec![media::close_observer(1, "r", &name(number))],
        alive: &[("held_observers", 1), ("held_timers", 1)],
    });
}

#[test]
fn audio_level_observers() {
    churn(&Kind {
        name: "audio level observer",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| {
            let create = media::create_audio_level_observer(1, "r", &name(number), 1_000);
            vec![create, media::add_producer(1, &name(number), "p")]
        },
        end: |number| vec![media::close_observer(1, "r", &name(number))],
        alive: &[("held_observers", 1), ("held_timers", 1)],
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
        shards: 1,
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
        alive: &[
            ("routers", 1),
            ("transports", 3),
            ("producers", 2),
            ("consumers", 2),
            ("held_observers", 1),
            ("held_data_producers", 1),
            ("held_data_consumers", 1),
        ],
    });
}

#[test]
fn whole_transports() {
    churn(&Kind {
        name: "two transports with media between them",
        parts: PARTS,
        shards: 1,
        set_up: router(),
        make: |number| call(number, "r"),
        // The first takes the producers, and those the other's consumers.
        end: |number| {
            ["sending", "receiving"].map(|end| request::close_transport(1, "r", &sub(number, end))).to_vec()
        },
        alive: &[("transports", 2), ("producers", 2), ("consumers", 2)],
    });
}
