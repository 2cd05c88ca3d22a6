//! What a message costs in each generation of the channel, as a multiple of the newest's, all in one run: each round runs
//! every generation for a moment by the thread's CPU clock, and of all rounds the median counts.
//!
//! `cargo bench -p ringsoup-benches --bench generations`
//!
//! What is read is what the published libraries of each version were recorded to send (`tests/golden`), but for the packet,
//! which is as long as media is; what is written are the worker's answers and events.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use nix::time::{ClockId, clock_gettime};
use ringsoup_benches::{Media, Router, RouterSetUp};
use ringsoup_control::message::{Response, ResponseBody};
use ringsoup_control::version::Version;
use ringsoup_control::wire::{Decoder, Encoder, Generation};
use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::notification::{Body, Event as Number, Notification, NotificationArgs};
use ringsoup_fbs::fbs::producer::{SendNotification, SendNotificationArgs};
use ringsoup_fbs::finish_message;
use ringsoup_sfu::event::{Event, ProducerScore};
use ringsoup_sfu::reply::Reply;

/// The newest first: what the others are multiples of.
const VERSIONS: [&str; 11] = [
    "3.27.1", "3.26.0", "3.22.0", "3.19.22", "3.19.17", "3.19.7", "3.19.4", "3.16.7", "3.14.16", "3.13.24",
    "3.13.5",
];

/// Those that are written JSON.
const JSON_VERSIONS: [&str; 3] = ["3.12.16", "3.9.17", "3.8.4"];

/// What applications do all the time, by the names that the recordings have for it.
const READ: [(&str, &str); 6] = [
    ("createRouter", "worker.createRouter"),
    ("createWebRtcTransport", "router.createWebRtcTransport"),
    ("produce (H264, RTX)", "transport.produce H264 with RTX, paused"),
    ("consume (H264, RTX)", "transport.consume H264, paused"),
    ("dump", "consumer.dump"),
    ("getStats", "consumer.getStats"),
];

/// Bytes of a packet that an application sends, or is sent, over the channel.
const PACKET_BYTES: usize = 1_200;

/// Messages of one generation in one round.
const BATCH: usize = 20;
const ROUNDS: usize = 600;

/// One generation's way to treat a message.
type Contender<'a> = Box<dyn FnMut() + 'a>;

fn version(text: &str) -> Version {
    Version::parse(text).expect("a version")
}

fn generation(text: &str) -> Option<Arc<Generation>> {
    Generation::of(version(text)).map(Arc::new)
}

/// What a version's library was recorded to say on an occasion: for JSON the message itself.
fn recorded(version: &str, occasion: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/golden/{version}.txt"));
    let text = std::fs::read_to_string(path).expect("every version has its recording");
    let lines = text.lines().skip_while(|line| line.strip_prefix("> ") != Some(occasion));
    let mut lines = lines.skip(1);
    let (said, hex) = (lines.next(), lines.next().expect("every occasion is recorded"));
    if JSON_VERSIONS.contains(&version) {
        return said.unwrap_or_default().as_bytes().to_vec();
    }
    let pairs = hex.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// `producer.send()` of a packet, as a version's library says it.
fn send(version: &str) -> Vec<u8> {
    if JSON_VERSIONS.contains(&version) {
        // The packet follows it.
        return recorded(version, "media");
    }
    let mut builder = flatbuffers::FlatBufferBuilder::new();
    let data = Some(builder.create_vector(&[0x41_u8; PACKET_BYTES]));
    let body = SendNotification::create(&mut builder, &SendNotificationArgs { data });
    let handler_id = Some(builder.create_string("4bfb3c4e-0d1f-4a55-b9a7-0c6b0f3a8a51"));
    let args = NotificationArgs {
        handler_id,
        event: Number::PRODUCER_SEND,
        body_type: Body::Producer_SendNotification,
        body: Some(body.as_union_value()),
    };
    let notification = Notification::create(&mut builder, &args);
    let newest = finish_message(&mut builder, MessageBody::Notification, notification.as_union_value());
    match generation(version) {
        None => newest.to_vec(),
        Some(generation) => generation.encode(newest).expect("every layout has it"),
    }
}

/// Medians, nanoseconds of CPU a message.
fn medians(contenders: &mut [Contender<'_>]) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for round in 0..ROUNDS {
        for step in 0..contenders.len() {
            // Nobody always follows the same other.
            let index = (step + round) % contenders.len();
            let began = cpu_ns();
            (0..BATCH).for_each(|_| contenders[index]());
            times[index].push((cpu_ns() - began) / BATCH as f64);
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    times.iter().map(|times| times[times.len() / 2]).collect()
}

#[allow(clippy::cast_precision_loss, reason = "a process does not run for 2^53 ns")]
fn cpu_ns() -> f64 {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("threads have a clock");
    now.tv_sec() as f64 * 1e9 + now.tv_nsec() as f64
}

fn tell(what: &str, mut contenders: Vec<Contender<'_>>) {
    let medians = medians(&mut contenders);
    print!("{what:32} {:6.0} ns ", medians[0]);
    medians.iter().skip(1).for_each(|median| print!(" {:8.2}", median / medians[0]));
    println!();
}

/// Every version's way to read its own library's frame.
fn read(what: &str, frame: impl Fn(&str) -> Vec<u8>, read_json: impl Fn(&mut Decoder, &[u8]) + Copy) {
    let binary = VERSIONS.map(|text| {
        let frame = frame(text);
        let mut decoder = Decoder::speaking(generation(text));
        let contender: Contender<'_> =
            Box::new(move || drop(black_box(decoder.decode(black_box(&frame)).expect("recorded"))));
        contender
    });
    let json = JSON_VERSIONS.map(|text| {
        let frame = frame(text);
        let mut decoder = Decoder::speaking_json(version(text));
        let contender: Contender<'_> = Box::new(move || read_json(&mut decoder, black_box(&frame)));
        contender
    });
    tell(&format!("read {what}"), binary.into_iter().chain(json).collect());
}

fn write(what: &str, write: impl Fn(&mut Encoder) -> usize) {
    let write = &write;
    let binary = VERSIONS.map(|version| Encoder::speaking(generation(version)));
    let json = JSON_VERSIONS.map(|text| Encoder::speaking_json(version(text)));
    let contenders = binary.into_iter().chain(json).map(|mut encoder| {
        let contender: Contender<'_> = Box::new(move || {
            black_box(write(&mut encoder));
        });
        contender
    });
    tell(&format!("write {what}"), contenders.collect());
}

fn main() {
    print!("{:32} {:>9} ", "", VERSIONS[0]);
    VERSIONS.iter().skip(1).chain(&JSON_VERSIONS).for_each(|version| print!(" {version:>8}"));
    println!();
    for (what, occasion) in READ {
        let read_json =
            |decoder: &mut Decoder, text: &[u8]| drop(black_box(decoder.decode(text).expect("recorded")));
        read(what, |version| recorded(version, occasion), read_json);
    }
    let payload = [0x41; PACKET_BYTES];
    let read_json = |decoder: &mut Decoder, head: &[u8]| {
        drop(black_box(decoder.decode_payload(head, black_box(&payload)).expect("recorded")));
    };
    read("producer.send() of 1,200 bytes", send, read_json);

    let mut router = Router::new(
        RouterSetUp { media: Media::H264, receivers: 1, rtx: true, srtp: None, stamps: false },
        PACKET_BYTES,
    );
    router.forward();
    let [dump, stats] = router.describe_consumer();
    for (what, reply) in [("accept", Reply::Done), ("consumer dump", dump), ("consumer stats", stats)] {
        let response = Response { id: 5.into(), result: Ok(ResponseBody::Shard(reply)) };
        write(what, |encoder| encoder.response(black_box(&response)).len());
    }
    let score = ProducerScore { encoding_idx: 0, ssrc: 1, rid: None, score: 9 };
    let events = [
        ("producer score", Event::ProducerScore { producer: "p".into(), scores: vec![score] }),
        (
            "rtp event of 1,200 bytes",
            Event::ConsumerRtp { consumer: "c".into(), data: vec![0x41; PACKET_BYTES] },
        ),
    ];
    for (what, event) in &events {
        write(what, |encoder| encoder.event(black_box(event)).map_or(0, |told| told.message.len()));
    }
}
