//! RTCP: reading and writing a compound, beside the `rtcp` and `rtc-rtcp` crates on the same bytes.
//!
//! `cargo bench -p ringsoup-benches --bench rtcp`

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use ringsoup_benches::write_compound;
use ringsoup_rtc::rtcp::{Compound, RtcpPacket};

/// Every number of a compound looked at, so that reading is not optimised away.
fn read(datagram: &[u8]) -> u32 {
    let mut sum = 0_u32;
    for packet in Compound::new(datagram).flatten() {
        sum = sum.wrapping_add(match packet {
            RtcpPacket::SenderReport(report) => {
                report.reports().fold(report.info.packet_count, |sum, block| sum.wrapping_add(block.jitter))
            }
            RtcpPacket::ReceiverReport(report) => {
                report.reports().fold(report.ssrc, |sum, block| sum.wrapping_add(block.jitter))
            }
            RtcpPacket::Sdes(sdes) => sdes.chunks().map(|chunk| chunk.ssrc).fold(0, u32::wrapping_add),
            RtcpPacket::Nack(nack) => nack.sequence_numbers().map(u32::from).fold(0, u32::wrapping_add),
            RtcpPacket::Pli(pli) => pli.media_ssrc,
            _ => 0,
        });
    }
    sum
}

fn parse(criterion: &mut Criterion) {
    let mut buffer = [0; 1400];
    let len = write_compound(&mut buffer).expect("the compound fits");
    let datagram = &buffer[..len];
    let shared = Bytes::copy_from_slice(datagram);
    let mut group = criterion.benchmark_group("rtcp parse SR + SDES + RR + NACK + PLI");
    group.bench_function("ringsoup, every field read", |bencher| bencher.iter(|| read(black_box(datagram))));
    group.bench_function("rtc-rtcp 0.21", |bencher| {
        bencher.iter(|| rtc_rtcp::packet::unmarshal(&mut black_box(&shared).clone()).map(|all| all.len()));
    });
    group.bench_function("rtcp 0.17", |bencher| {
        bencher.iter(|| rtcp::packet::unmarshal(&mut black_box(&shared).clone()).map(|all| all.len()));
    });
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut buffer = [0; 1400];
    let len = write_compound(&mut buffer).expect("the compound fits");
    let shared = Bytes::copy_from_slice(&buffer[..len]);
    let theirs = rtc_rtcp::packet::unmarshal(&mut shared.clone()).expect("the compound is valid");
    let older = rtcp::packet::unmarshal(&mut shared.clone()).expect("the compound is valid");
    let mut group = criterion.benchmark_group("rtcp write SR + SDES + RR + NACK + PLI");
    group.bench_function("ringsoup", |bencher| bencher.iter(|| write_compound(black_box(&mut buffer))));
    group.bench_function("rtc-rtcp 0.21", |bencher| {
        bencher.iter(|| rtc_rtcp::packet::marshal(black_box(&theirs)));
    });
    group.bench_function("rtcp 0.17", |bencher| {
        bencher.iter(|| rtcp::packet::marshal(black_box(&older)));
    });
    group.finish();
}

criterion_group!(benches, parse, write);
criterion_main!(benches);
