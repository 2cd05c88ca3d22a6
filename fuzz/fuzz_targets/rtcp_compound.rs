//! A datagram through every RTCP view, each read to its end.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use ringsoup_rtc::rtcp::{Compound, CompoundWriter, RtcpPacket, TransportCc, XrBlock};
use ringsoup_rtc::sent_packets::SentPackets;
use ringsoup_rtc::time::Time;

fuzz_target!(|datagram: &[u8]| {
    let mut count = 0;
    for packet in Compound::new(datagram) {
        count += 1;
        if let Ok(packet) = packet {
            read(packet);
        }
    }
    assert!(count <= datagram.len() / 4 + 1, "every sub-packet takes its common header");
});

/// As many statuses as it claims or none; and no results but those of packets that were sent.
fn read_transport_cc(feedback: &TransportCc<'_>) {
    let mut sent = SentPackets::default();
    (0..100).for_each(|_| sent.insert(Time::ZERO, 100));
    let mut results = 0;
    let resolved = sent.resolve(feedback, |result| {
        results += 1;
        assert!((1..=100).contains(&result.sequence_number));
    });
    assert!(results <= 100);
    match feedback.statuses() {
        Ok(statuses) => assert_eq!(statuses.count(), usize::from(feedback.packet_status_count)),
        Err(_) => assert!(resolved.is_err() && results == 0),
    }
}

fn read(packet: RtcpPacket<'_>) {
    match packet {
        RtcpPacket::SenderReport(report) => {
            black_box(report.reports().count());
            let mut out = [0; 1500];
            let reports: Vec<_> = report.reports().collect();
            let written = CompoundWriter::new(&mut out).sender_report(&report.info, &reports);
            assert!(written.is_some(), "what was read can be written");
        }
        RtcpPacket::ReceiverReport(report) => {
            let reports: Vec<_> = report.reports().collect();
            let mut out = [0; 1500];
            let mut writer = CompoundWriter::new(&mut out);
            assert!(writer.receiver_report(report.ssrc, &reports).is_some(), "what was read can be written");
            let Some(Ok(RtcpPacket::ReceiverReport(again))) = Compound::new(writer.as_bytes()).next() else {
                panic!("what was written can be read");
            };
            assert!(again.reports().eq(reports));
        }
        RtcpPacket::Sdes(sdes) => {
            for chunk in sdes.chunks() {
                black_box((chunk.cname(), chunk.items().map(|(_, item)| item.len()).sum::<usize>()));
            }
        }
        RtcpPacket::Bye(bye) => {
            black_box((bye.ssrcs().count(), bye.reason()));
        }
        RtcpPacket::Nack(nack) => {
            let packets: u32 = nack.items().map(|item| item.packet_count()).sum();
            assert_eq!(nack.sequence_numbers().count(), packets as usize);
        }
        RtcpPacket::TransportCc(feedback) => read_transport_cc(&feedback),
        RtcpPacket::Pli(pli) => {
            black_box(pli);
        }
        RtcpPacket::Fir(fir) => {
            black_box(fir.entries().count());
        }
        RtcpPacket::Remb(remb) => {
            black_box(remb.ssrcs().count());
        }
        RtcpPacket::ExtendedReport(report) => {
            for block in report.blocks() {
                if let XrBlock::DelaySinceLastRr(delays) = block {
                    black_box(delays.count());
                }
            }
        }
        RtcpPacket::OtherFeedback(feedback) => {
            black_box(feedback.fci.len());
        }
        RtcpPacket::Other(raw) => {
            black_box(raw.body.len());
        }
    }
}
