//! RTP: parsing, looking up extensions and rewriting a header, beside the `rtp` and `rtc-rtp` crates on the same bytes.
//!
//! `cargo bench -p ringsoup-benches --bench rtp`

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringsoup_benches::{LOOKED_UP_IDS, browser_packet};
use ringsoup_rtc::rtp::{ExtensionBlock, ExtensionMap, HeaderFields, RtpPacket, write_header};

/// Bytes of the packet on the wire.
const PACKET_BYTES: usize = 1200;

fn parse(criterion: &mut Criterion) {
    let wire = browser_packet(PACKET_BYTES);
    let shared = Bytes::from(wire.clone());
    let mut group = criterion.benchmark_group("rtp parse");
    group.bench_function("ringsoup", |bencher| {
        bencher.iter(|| RtpPacket::parse(black_box(&wire)).map(|packet| packet.ssrc()));
    });
    group.bench_function("rtc-rtp 0.21", |bencher| {
        bencher.iter(|| {
            let mut input = black_box(&shared).clone();
            <rtc_rtp::Packet as rtc_shared::marshal::Unmarshal>::unmarshal(&mut input)
        });
    });
    group.bench_function("rtp 0.17", |bencher| {
        bencher.iter(|| {
            let mut input = black_box(&shared).clone();
            <rtp::packet::Packet as webrtc_util::marshal::Unmarshal>::unmarshal(&mut input)
        });
    });
    group.finish();
}

fn parse_and_look_up(criterion: &mut Criterion) {
    let wire = browser_packet(PACKET_BYTES);
    let shared = Bytes::from(wire.clone());
    let mut group = criterion.benchmark_group("rtp parse + 3 lookups");
    group.bench_function("ringsoup", |bencher| {
        bencher.iter(|| {
            let packet = RtpPacket::parse(black_box(&wire)).expect("the packet is valid");
            LOOKED_UP_IDS.map(|id| packet.extension(id).map(<[u8]>::len))
        });
    });
    group.bench_function("rtc-rtp 0.21", |bencher| {
        bencher.iter(|| {
            let mut input = black_box(&shared).clone();
            let packet = <rtc_rtp::Packet as rtc_shared::marshal::Unmarshal>::unmarshal(&mut input)
                .expect("the packet is valid");
            LOOKED_UP_IDS.map(|id| packet.header.get_extension(id).map(|value| value.len()))
        });
    });
    group.bench_function("rtp 0.17", |bencher| {
        bencher.iter(|| {
            let mut input = black_box(&shared).clone();
            let packet = <rtp::packet::Packet as webrtc_util::marshal::Unmarshal>::unmarshal(&mut input)
                .expect("the packet is valid");
            LOOKED_UP_IDS.map(|id| packet.header.get_extension(id).map(|value| value.len()))
        });
    });
    group.finish();
}

/// Once per packet, then once per receiver.
fn rewrite(criterion: &mut Criterion) {
    let wire = browser_packet(PACKET_BYTES);
    let packet = RtpPacket::parse(&wire).expect("the packet is valid");
    let mut map = ExtensionMap::new();
    for id in LOOKED_UP_IDS {
        map.set(id, id + 1);
    }
    let block = ExtensionBlock::from_packet(&packet, &map);
    let mut group = criterion.benchmark_group("rtp rewrite");
    group.bench_function("extension block, once per packet", |bencher| {
        bencher.iter(|| ExtensionBlock::from_packet(black_box(&packet), &map));
    });
    let mut out = [0; 256];
    for (name, mid) in [("", None), (" with MID", Some((1, &b"0"[..])))] {
        let id = BenchmarkId::from_parameter(format!("write_header{name}, once per receiver"));
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                let fields = HeaderFields {
                    payload_type: 101,
                    marker: packet.marker(),
                    sequence_number: black_box(17),
                    timestamp: packet.timestamp(),
                    ssrc: black_box(42),
                    mid,
                    ..HeaderFields::default()
                };
                write_header(black_box(&mut out), &fields, &block)
            });
        });
    }
    // What the other library does for a receiver: a header of its own, marshalled.
    let mut shared = Bytes::from(wire.clone());
    let theirs = <rtc_rtp::Packet as rtc_shared::marshal::Unmarshal>::unmarshal(&mut shared)
        .expect("the packet is valid");
    group.bench_function("rtc-rtp 0.21: clone header, change, marshal", |bencher| {
        bencher.iter(|| {
            let mut header = black_box(&theirs.header).clone();
            header.payload_type = 101;
            header.sequence_number = black_box(17);
            header.ssrc = black_box(42);
            rtc_shared::marshal::Marshal::marshal_to(&header, black_box(&mut out))
        });
    });
    group.finish();
}

criterion_group!(benches, parse, parse_and_look_up, rewrite);
criterion_main!(benches);
