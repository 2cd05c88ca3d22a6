//! What has a peer, or is made on what has one: lanes, SRTP sessions, report timers, joined pipes.

use ringsoup_tests::connected::{self, With};
use ringsoup_tests::media::{self, Codec, Layered};
use ringsoup_tests::{data, request, transports};

use super::harness::{Kind, churn};
use super::{name, router, sub};

const LOCAL: &str = "127.0.0.1";
/// A peer that takes everything and says nothing: port 9 is the discard service's (RFC 863).
const PEER: (&str, u16) = (LOCAL, 9);
/// Stream ids that are in use at once are fewer than this.
const STREAMS: u32 = 1_000;
/// SSRC of the layered producer that consumers take.
const LAYERED_SSRC: u32 = 5_000;

/// A router with a connected transport `c`, beside what [`router`] has.
fn connected_router(with: With) -> Vec<Vec<u8>> {
    let mut requests = router();
    requests.extend([
        connected::create_plain(1, "r", "c", LOCAL, with),
        connected::connect_plain(1, "c", PEER, with),
    ]);
    requests
}

/// With a layered producer on transport `t`.
fn layered_router(layered: Layered) -> Vec<Vec<u8>> {
    let mut requests = connected_router(With::Srtp);
    requests.push(media::produce_layered(1, "t", "layered", layered, LAYERED_SSRC));
    requests
}

#[test]
fn srtp_transports() {
    churn(&Kind {
        name: "connected plain transport with SRTP",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| {
            let transport = name(number);
            vec![
                connected::create_plain(1, "r", &transport, LOCAL, With::Srtp),
                connected::connect_plain(1, &transport, PEER, With::Srtp),
            ]
        },
        end: |number| vec![request::close_transport(1, "r", &name(number))],
        alive: &[("transports", 1), ("held_lanes", 1), ("held_timers", 1)],
    });
}

#[test]
fn srtp_pipe_transports() {
    churn(&Kind {
        name: "connected pipe transport with SRTP",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| {
            let transport = name(number);
            vec![
                connected::create_pipe(1, "r", &transport, (LOCAL, 0), With::Srtp),
                connected::connect_pipe(1, &transport, PEER, With::Srtp),
            ]
        },
        end: |number| vec![request::close_transport(1, "r", &name(number))],
        alive: &[
            ("transports", 1),
            ("held_pipes", 1),
            ("held_lanes", 1),
            ("held_timers", 1),
            ("control_pipes", 1),
        ],
    });
}

#[test]
fn connected_web_rtc_transports() {
    churn(&Kind {
        name: "connected WebRTC transport",
        parts: 1,
        shards: 1,
        set_up: router(),
        make: |number| {
            let transport = name(number);
            vec![
                transports::create_web_rtc_transport(1, "r", &transport),
                connected::connect_web_rtc(1, &transport),
            ]
        },
        end: |number| vec![request::close_transport(1, "r", &name(number))],
        alive: &[("transports", 1), ("held_socket_owners", 1)],
    });
}

/// Ends of a pair: an address of this process and of its kind (`first_net`) alone, and below the ports that the system gives
/// out, so that nobody else has them. They come again after many batches, when the kernel has long let go of them.
fn ends(first_net: u32, number: u32) -> (String, [u16; 2]) {
    const FIRST: u32 = 2_000;
    const PAIRS: u32 = 15_000;
    const NETS: u32 = 50;
    let [.., high, low] = std::process::id().to_be_bytes();
    let first = u16::try_from(FIRST + number % PAIRS * 2).unwrap();
    // Neither network nor broadcast addresses mean anything within 127/8 but at its ends.
    (format!("127.{}.{high}.{low}", first_net + number / PAIRS % NETS), [first, first + 1])
}

/// Both name each other before either could send.
fn joined_pair(first_net: u32, number: u32, routers: [&str; 2]) -> Vec<Vec<u8>> {
    let (ip, [a, b]) = ends(first_net, number);
    let names = [sub(number, "a"), sub(number, "b")];
    vec![
        connected::create_pipe(1, routers[0], &names[0], (&ip, a), With::Nothing),
        connected::create_pipe(1, routers[1], &names[1], (&ip, b), With::Nothing),
        connected::connect_pipe(1, &names[0], (&ip, b), With::Nothing),
        connected::connect_pipe(1, &names[1], (&ip, a), With::Nothing),
    ]
}

/// Of each end: its own lane, and one for packets and one for messages to the other.
const JOINED: &[(&str, u64)] = &[
    ("transports", 2),
    ("held_pipes", 2),
    ("held_lanes", 6),
    ("held_timers", 2),
    ("control_pipes", 2),
    ("control_pipe_names", 2),
    ("control_pipe_addresses", 2),
];

#[test]
fn pairs_on_one_shard() {
    churn(&Kind {
        name: "joined pipe transports on one shard",
        parts: 2,
        shards: 1,
        set_up: router(),
        make: |number| joined_pair(100, number, ["r", "r"]),
        end: |number| ["a", "b"].map(|end| request::close_transport(1, "r", &sub(number, end))).to_vec(),
        alive: JOINED,
    });
}

#[test]
fn pairs_on_two_shards() {
    churn(&Kind {
        name: "joined pipe transports on two shards",
        parts: 2,
        // A shard starts with its first router, so that both have one.
        shards: 2,
        set_up: vec![request::create_router(1, "r"), request::create_router(1, "s")],
        make: |number| joined_pair(150, number, ["r", "s"]),
        end: |number| {
            let ends = [("r", "a"), ("s", "b")];
            ends.map(|(router, end)| request::close_transport(1, router, &sub(number, end))).to_vec()
        },
        alive: JOINED,
    });
}

fn consumer_kind(name: &'static str, layered: Layered, make: fn(u32) -> Vec<Vec<u8>>) -> Kind {
    Kind {
        name,
        parts: 1,
        shards: 1,
        set_up: layered_router(layered),
        make,
        end: |number| vec![media::close_consumer(1, "c", &super::name(number))],
        alive: &[("consumers", 1), ("held_names", 1)],
    }
}

#[test]
fn simulcast_consumers() {
    churn(&consumer_kind("simulcast consumer", Layered::Simulcast, |number| {
        let of = ("layered", LAYERED_SSRC);
        vec![media::consume_layered(1, "c", &name(number), Layered::Simulcast, of, 10_000 + number)]
    }));
}

#[test]
fn svc_consumers() {
    churn(&consumer_kind("SVC consumer", Layered::Svc, |number| {
        let of = ("layered", LAYERED_SSRC);
        vec![media::consume_layered(1, "c", &name(number), Layered::Svc, of, 10_000 + number)]
    }));
}

#[test]
fn pipe_consumers() {
    churn(&consumer_kind("pipe consumer of three streams", Layered::Simulcast, |number| {
        let of = ("layered", LAYERED_SSRC);
        // Three SSRCs each.
        vec![media::consume_piped(1, "c", &name(number), Layered::Simulcast, of, 10_000 + number * 3)]
    }));
}

#[test]
fn data_over_sctp() {
    churn(&Kind {
        name: "data producer and consumer over SCTP",
        parts: 2,
        shards: 1,
        set_up: connected_router(With::Sctp),
        make: |number| {
            let stream = u16::try_from(number % STREAMS).unwrap();
            let (producer, consumer) = (sub(number, "producer"), sub(number, "consumer"));
            vec![
                data::produce_over_sctp(1, "c", &producer, stream),
                data::consume_over_sctp(1, "c", &consumer, &producer, stream),
            ]
        },
        // It takes its consumer along.
        end: |number| vec![data::close_producer(1, "c", &sub(number, "producer"))],
        alive: &[("held_data_producers", 1), ("held_data_consumers", 1)],
    });
}

#[test]
fn sctp_transports_with_data() {
    churn(&Kind {
        name: "connected transport with data over SCTP",
        parts: 3,
        shards: 1,
        set_up: router(),
        make: |number| {
            let transport = name(number);
            let (producer, consumer) = (sub(number, "producer"), sub(number, "consumer"));
            vec![
                connected::create_plain(1, "r", &transport, LOCAL, With::Sctp),
                connected::connect_plain(1, &transport, PEER, With::Sctp),
                data::produce_over_sctp(1, &transport, &producer, 1),
                data::consume_over_sctp(1, &transport, &consumer, "dp", 2),
            ]
        },
        end: |number| vec![request::close_transport(1, "r", &name(number))],
        alive: &[
            ("transports", 1),
            ("held_data_producers", 1),
            ("held_data_consumers", 1),
            ("held_lanes", 1),
        ],
    });
}

#[test]
fn observers_with_a_producer_that_ends() {
    churn(&Kind {
        name: "observers and a producer that both have",
        parts: 3,
        shards: 1,
        set_up: router(),
        make: |number| {
            let [speaker, level] = [sub(number, "speaker"), sub(number, "level")];
            let producer = name(number);
            vec![
                media::create_active_speaker_observer(1, "r", &speaker, 300),
                media::create_audio_level_observer(1, "r", &level, 1_000),
                media::produce(1, "t", &producer, Codec::Opus, 10_000 + number),
                media::add_producer(1, &speaker, &producer),
                media::add_producer(1, &level, &producer),
            ]
        },
        // It goes out of both, one of which has gone before.
        end: |number| {
            let [speaker, level] = [sub(number, "speaker"), sub(number, "level")];
            vec![
                media::close_observer(1, "r", &speaker),
                media::close_producer(1, "t", &name(number)),
                media::close_observer(1, "r", &level),
            ]
        },
        alive: &[("held_observers", 2), ("producers", 1), ("held_timers", 2)],
    });
}
