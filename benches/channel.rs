//! The channel: framing on the work of the Go worker's published table, and messages to and from plain types.
//!
//! `cargo bench -p ringsoup-benches --bench channel`
//!
//! That table's loop bodies, with its 143-byte reply: "native" is a u32 length and the bytes (also the framing of the
//! flatbuffers generations), "netstring" is `143:…,`. Its native read spawns a writer per iteration and hands each piece over
//! through a pipe without a buffer, so it times the hand-over; it is done here with a task, which is what a goroutine is
//! nearest to, and with a thread, and the reading alone has a row of its own. What the table says is shown beside, on machines of
//! its author.

use std::future::Future;
use std::hint::black_box;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use criterion::{Criterion, criterion_group, criterion_main};
use ringsoup_benches::pipe::{self, Rendezvous};
use ringsoup_benches::{Media, Router, RouterSetUp, netstring};
use ringsoup_control::channel::reader::{Frame, FrameReader};
use ringsoup_control::channel::writer::{FrameWriter, Importance};
use ringsoup_control::message::{Response, ResponseBody};
use ringsoup_control::wire::{Encoder, decode};
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::event::{Event, ProducerScore};
use ringsoup_sfu::reply::Reply;

/// As long as the reply of that table.
const REPLY: &[u8; 143] = br#"{"id":5,"accepted":true,"data":{"id":"4bfb3c4e-0d1f-4a55-b9a7-0c6b0f3a8a51","kind":"video","type":"simple","paused":false,"producerPaused":10}}"#;
/// The buffer it reads into, bytes: a prefix and the longest message of its time.
const READ_BUFFER_BYTES: usize = 4_194_308;
/// Its buffered reader, bytes.
const BUFFERED_BYTES: usize = 4096;

/// The Go worker's own figures (README of byyam/mediasoup-go-worker), nanoseconds on an i7-8850H and on an arm64 machine: published,
/// not measured here.
const PUBLISHED: [(&str, f64, f64); 4] = [
    ("native write", 29.73, 22.44),
    ("native read, a goroutine writes", 4487.0, 2861.0),
    ("netstring write, a fresh buffer", 152.0, 105.2),
    ("netstring read", 88.37, 77.66),
];

fn published(_: &mut Criterion) {
    for (what, intel, arm) in PUBLISHED {
        println!(
            "published by the Go worker, not measured here: {what} {intel} ns (i7-8850H), {arm} ns (arm64)"
        );
    }
}

fn native_frame() -> Vec<u8> {
    let len = u32::try_from(REPLY.len()).expect("143 bytes");
    [&len.to_le_bytes()[..], REPLY].concat()
}

/// A sink that the compiler knows nothing of.
fn sink() -> Box<dyn Write> {
    black_box(Box::new(io::sink()))
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel write");
    let mut target = sink();
    group.bench_function("native, two writes", |bencher| {
        bencher.iter(|| {
            let len = u32::try_from(black_box(REPLY).len()).expect("143 bytes");
            target.write_all(&len.to_ne_bytes())?;
            target.write_all(black_box(REPLY))
        });
    });
    let frame = native_frame();
    let mut writer = FrameWriter::default();
    group.bench_function("native, the worker's queue and one write", |bencher| {
        bencher.iter(|| {
            writer.push(black_box(&frame), Importance::Required).expect("the queue is empty");
            writer.flush(&mut target)
        });
    });
    group.bench_function("netstring, a fresh buffer", |bencher| {
        bencher.iter(|| netstring::write(&mut target, &mut Vec::new(), black_box(REPLY)));
    });
    let mut buffer = Vec::new();
    group.bench_function("netstring, one buffer", |bencher| {
        bencher.iter(|| netstring::write(&mut target, &mut buffer, black_box(REPLY)));
    });
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel read");
    let frame = native_frame();
    let mut out = vec![0; READ_BUFFER_BYTES];
    group.bench_function("native, faithful, a task writes", |bencher| {
        bencher.iter(|| read_from_task(black_box(REPLY), &mut out));
    });
    group.bench_function("native, faithful, a thread writes", |bencher| {
        bencher.iter(|| read_from_thread(black_box(REPLY), &mut out).expect("the writer writes all"));
    });
    group.bench_function("native, parser only", |bencher| {
        bencher.iter(|| read_native(&mut black_box(&frame[..]), &mut out).expect("the frame is whole"));
    });
    let mut reader = FrameReader::default();
    group.bench_function("native, the worker's reader", |bencher| {
        bencher.iter(|| {
            reader.fill(&mut black_box(&frame[..])).expect("memory does not fail");
            let Frame::Whole(frame) = reader.next_frame() else { panic!("the frame is whole") };
            frame.len()
        });
    });
    let mut wire = Vec::new();
    netstring::write(&mut wire, &mut Vec::new(), REPLY).expect("memory does not fail");
    let mut reader = BufReader::with_capacity(BUFFERED_BYTES, Cursor::new(wire));
    group.bench_function("netstring, parser only", |bencher| {
        bencher.iter(|| {
            // The buffer is empty after a read; what is reset is the place in the source.
            reader.get_mut().set_position(0);
            netstring::read(black_box(&mut reader), &mut out).expect("the frame is whole")
        });
    });
    group.finish();
}

fn read_native(source: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut prefix = [0; 4];
    source.read_exact(&mut prefix)?;
    let len = u32::from_le_bytes(prefix) as usize;
    let body = out.get_mut(..len).ok_or(io::ErrorKind::InvalidData)?;
    source.read_exact(body)?;
    Ok(len)
}

fn read_from_thread(reply: &'static [u8], out: &mut [u8]) -> io::Result<usize> {
    let (sender, mut receiver) = pipe::threads();
    let writer = std::thread::spawn(move || {
        let len = u32::try_from(reply.len()).expect("143 bytes");
        sender.write(&len.to_le_bytes()) && sender.write(reply)
    });
    let len = read_native(&mut receiver, out);
    writer.join().map_err(|_| io::ErrorKind::Other)?;
    len
}

fn read_from_task(reply: &'static [u8], out: &mut [u8]) -> usize {
    let pipe = Rendezvous::default();
    let writing = pipe.clone();
    // Spawned: on the heap, as a goroutine's stack is.
    let mut writer: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
        let len = u32::try_from(reply.len()).expect("143 bytes");
        writing.write(&len.to_le_bytes()).await;
        writing.write(reply).await;
    });
    let mut reader = std::pin::pin!(async {
        let mut prefix = [0; 4];
        pipe.read_exact(&mut prefix).await;
        let len = u32::from_le_bytes(prefix) as usize;
        pipe.read_exact(&mut out[..len]).await;
        len
    });
    let mut context = Context::from_waker(Waker::noop());
    let mut written = false;
    loop {
        written = written || writer.as_mut().poll(&mut context).is_ready();
        if let Poll::Ready(len) = reader.as_mut().poll(&mut context) {
            return len;
        }
    }
}

/// As the Node library of 3.27.1 sends them.
const WORKER_DUMP: &str = "340000000c00000008000a0009000400080000001000000000010a000c000800000004000a000000\
    08000000010000000000000000000000";
const CREATE_ROUTER: &str = "580000000c00000008000a0009000400080000001400000000010e001800140013000c000b000400\
    0e00000020000000000000040c0000000000000402000000000000000000060008000400060000000400000002000000\
    72310000";

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel message");
    for (name, hex) in [("worker.dump", WORKER_DUMP), ("worker.createRouter", CREATE_ROUTER)] {
        let frame = bytes(hex);
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| decode(black_box(&frame)).expect("the frame is a controller's"));
        });
    }
    let mut router = Router::new(
        RouterSetUp { media: Media::H264, receivers: 1, rtx: true, srtp: None, stamps: false },
        1200,
    );
    router.forward();
    let [dump, stats] = router.describe_consumer();
    let answered = |reply| Response { id: 5.into(), result: Ok(ResponseBody::Shard(reply)) };
    let responses = [
        ("accept", answered(Reply::Done)),
        ("refusal", Response { id: 5.into(), result: Err(CommandError::not_found("Consumer not found")) }),
        ("consumer dump", answered(dump)),
        ("consumer stats", answered(stats)),
    ];
    let mut encoder = Encoder::new();
    for (name, response) in &responses {
        group.bench_function(format!("encode {name}"), |bencher| {
            bencher.iter(|| encoder.response(black_box(response)).len());
        });
    }
    let score = Event::ProducerScore {
        producer: "4bfb3c4e-0d1f-4a55-b9a7-0c6b0f3a8a51".into(),
        scores: vec![ProducerScore { encoding_idx: 0, ssrc: 1, rid: None, score: 9 }],
    };
    group.bench_function("encode producer score", |bencher| {
        bencher.iter(|| encoder.event(black_box(&score)).map(|told| told.message.len()));
    });
    group.finish();
}

criterion_group!(benches, write, read, messages, published);
criterion_main!(benches);
