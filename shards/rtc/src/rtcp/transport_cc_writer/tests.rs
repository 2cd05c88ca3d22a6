use proptest::prelude::*;

use super::*;
use crate::rtcp::{Compound, RtcpPacket};

/// Read as the draft says, by code that shares nothing with the writer: per status the arrival in microseconds, rounded to
/// ticks, or `None`.
fn read(wire: &[u8]) -> (u16, Vec<Option<u64>>) {
    let Some(Ok(RtcpPacket::TransportCc(packet))) = Compound::new(wire).next() else { panic!("{wire:?}") };
    let count = usize::from(packet.packet_status_count);
    let (mut statuses, mut rest) = (Vec::new(), packet.chunks_and_deltas);
    while statuses.len() < count {
        let chunk = u16::from_be_bytes([rest[0], rest[1]]);
        rest = &rest[2..];
        match chunk >> 14 {
            0 | 1 => statuses.extend((0..chunk & 0x1fff).map(|_| (chunk >> 13) & 3)),
            2 => statuses.extend((0..14).rev().map(|bit| (chunk >> bit) & 1)),
            _ => statuses.extend((0..7).rev().map(|pair| (chunk >> (2 * pair)) & 3)),
        }
    }
    assert!(statuses[count..].iter().all(|&status| status == 0), "slots behind the last are empty");
    statuses.truncate(count);
    let mut at = i64::from(packet.reference_time) * 64_000;
    let arrivals = statuses.into_iter().map(|status| {
        let len = usize::from(status);
        let delta = match (status, rest) {
            (0, _) => return None,
            (1, [small, ..]) => i64::from(*small),
            (2, [high, low, ..]) => i64::from(i16::from_be_bytes([*high, *low])),
            _ => panic!("status {status}"),
        };
        rest = &rest[len..];
        at += delta * 250;
        Some(u64::try_from(at).unwrap())
    });
    let arrivals = arrivals.collect();
    assert!(rest.len() < 4 && rest.iter().all(|&byte| byte == 0), "{rest:?} is padding");
    (packet.base_sequence_number, arrivals)
}

fn micros(micros: u64) -> Time {
    Time::from_nanos(micros * 1_000)
}

fn written(writer: TransportCcWriter) -> Vec<u8> {
    let mut buffer = [0; RTCP_BYTES_MAX];
    let mut out = CompoundWriter::new(&mut buffer);
    writer.write(&mut out, 0, 7).expect("fits");
    out.as_bytes().to_vec()
}

fn ticks(arrival: u64) -> u64 {
    (arrival + 125) / 250 * 250
}

#[test]
fn the_bytes_of_a_small_one() {
    // 130 ms is two references of 64 ms and eight ticks.
    let mut writer = TransportCcWriter::new(10, micros(130_000), 5);
    writer.push(11, micros(130_000)).unwrap();
    writer.push(12, micros(131_000)).unwrap();
    writer.push(14, micros(130_500)).unwrap();
    assert_eq!((writer.status_count(), writer.lost_count(), writer.end()), (5, 2, 15));
    let wire = written(writer);
    let mut expected = vec![0x8f, 205, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 10, 0, 5, 0, 0, 2, 5];
    expected.extend([0b1100_0101, 0b0010_0000, 8, 4, 0xff, 0xfe, 0, 0]);
    assert_eq!(wire, expected);
}

#[test]
fn long_runs_take_two_bytes() {
    let mut writer = TransportCcWriter::new(0, micros(0), 0);
    for seq in 0..1_000 {
        writer.push(seq, micros(u64::from(seq) * 1_000)).unwrap();
    }
    writer.push(8_191, micros(1_000_000)).unwrap();
    let wire = written(writer);
    // Run of small deltas, run of lost, run of one; a byte each for a thousand and one.
    assert_eq!(wire.len(), (12 + 8 + 3 * 2 + 1_001_usize).next_multiple_of(4));
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_trace() {
    let mut writer = TransportCcWriter::new(65_000, micros(1_000_000), 0);
    writer.push(65_000, micros(1_000_000)).unwrap();
    assert_eq!(writer.push(65_001, micros(9_200_000)), Err(Full), "more than 8.19 s between two");
    assert_eq!(
        writer.push(65_001_u16.wrapping_add(8_192), micros(1_000_000)),
        Err(Full),
        "a gap beyond a run"
    );
    assert_eq!((writer.status_count(), writer.lost_count()), (1, 0));
    assert_eq!(read(&written(writer)), (65_000, vec![Some(1_000_000)]));
    let empty = TransportCcWriter::new(0, micros(0), 0);
    assert_eq!(empty.write(&mut CompoundWriter::new(&mut [0; 100]), 0, 0), None);
}

#[test]
fn the_reference_time_wraps_at_24_bits() {
    let at = (1 << 24) * 64_000 + 64_000;
    let mut writer = TransportCcWriter::new(3, micros(at), 255);
    writer.push(3, micros(at)).unwrap();
    let wire = written(writer);
    assert_eq!(wire[16..20], [0, 0, 1, 255]);
}

proptest! {
    /// Whatever came is told, to the tick, in as many packets as it takes, each within its bytes.
    #[test]
    fn what_is_written_reads_back(
        start: u16,
        begin in 0u64..1_000_000_000,
        // Gaps are none, few or many; times between arrivals small, backwards, or large.
        steps in prop::collection::vec(
            (
                prop_oneof![6 => Just(0u16), 3 => 1u16..20, 1 => 20u16..8_191],
                prop_oneof![8 => -2_000i64..40_000, 2 => -900_000i64..900_000],
            ),
            1..400,
        ),
    ) {
        let (mut seq, mut at) = (u64::from(start), begin + 3_000_000_000);
        let mut truth = std::collections::BTreeMap::new();
        let mut packets = Vec::new();
        let mut writer: Option<TransportCcWriter> = None;
        for (gap, step) in steps {
            seq += u64::from(gap);
            at = at.saturating_add_signed(step);
            truth.insert(seq, ticks(at));
            let wire_seq = u16::try_from(seq & 0xffff).unwrap();
            let base = writer.as_ref().map_or(start, TransportCcWriter::end);
            let fits = writer.as_mut().is_some_and(|writer| writer.push(wire_seq, micros(at)).is_ok());
            if !fits {
                packets.extend(writer.take().map(written));
                let mut next = TransportCcWriter::new(base, micros(at), 0);
                prop_assert_eq!(next.push(wire_seq, micros(at)), Ok(()), "the first always fits");
                writer = Some(next);
            }
            seq += 1;
        }
        packets.extend(writer.map(written));
        let mut next = u64::from(start);
        for packet in packets {
            prop_assert!(packet.len() <= RTCP_BYTES_MAX);
            let (base, arrivals) = read(&packet);
            prop_assert_eq!(u64::from(base), next & 0xffff);
            for arrival in arrivals {
                prop_assert_eq!(arrival, truth.remove(&next));
                next += 1;
            }
        }
        prop_assert!(truth.is_empty());
    }
}
