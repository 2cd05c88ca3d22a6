//! A datagram through every RTCP view, each read to its end.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use ringsoup_rtc::rtcp::{Compound, CompoundWriter, RtcpPacket, XrBlock};

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
        RtcpPacket::TransportCc(feedback) => {
            black_box(feedback);
        }
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
