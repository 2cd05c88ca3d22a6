//! RTP and RTCP as peers send them.

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::{
    Compound, CompoundWriter, ExtendedReport, Pli, RTCP_BYTES_MAX, ReportBlock, RtcpPacket, SenderInfo,
};
use ringsoup_rtc::rtp::RtpWriter;

use super::Sent;

/// The first packet of an H264 key frame: a sequence parameter set.
pub(crate) const KEY: &[u8] = &[0x67, 0x42, 0xe0, 0x1f, 1, 2, 3];
/// A packet of a predicted frame.
pub(crate) const DELTA: &[u8] = &[0x41, 9, 8, 7, 6, 5];
/// Opus with sound, and a DTX packet.
pub(crate) const SPEECH: &[u8] = &[0x78, 1, 2, 3, 4];
pub(crate) const SILENCE: &[u8] = &[0x78];

pub(crate) fn rtp(payload_type: u8, seq: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let packet = RtpWriter::new(payload_type, seq, timestamp, ssrc).payload(payload);
    packet.to_vec().expect("no CSRCs")
}

/// A retransmission of `original_seq` (RFC 4588 section 4).
pub(crate) fn rtx(
    payload_type: u8,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    original_seq: u16,
    payload: &[u8],
) -> Vec<u8> {
    rtp(payload_type, seq, timestamp, ssrc, &[&original_seq.to_be_bytes(), payload].concat())
}

pub(crate) fn rtcp(fill: impl FnOnce(&mut CompoundWriter<'_>) -> Option<usize>) -> Vec<u8> {
    let mut buffer = [0; RTCP_BYTES_MAX];
    let mut writer = CompoundWriter::new(&mut buffer);
    fill(&mut writer).expect("it fits");
    writer.as_bytes().to_vec()
}

pub(crate) fn pli(ssrc: u32) -> Vec<u8> {
    rtcp(|writer| writer.pli(1, ssrc))
}

pub(crate) fn fir(ssrc: u32, sequence: u8) -> Vec<u8> {
    rtcp(|writer| writer.fir(1, ssrc, sequence))
}

pub(crate) fn nack(ssrc: u32, seqs: &[u16]) -> Vec<u8> {
    rtcp(|writer| writer.nack(1, ssrc, seqs.iter().copied()))
}

pub(crate) fn receiver_report(block: ReportBlock) -> Vec<u8> {
    rtcp(|writer| writer.receiver_report(1, &[block]))
}

pub(crate) fn sender_report(ssrc: u32, ntp: NtpTime, rtp_timestamp: u32) -> Vec<u8> {
    let info = SenderInfo { ssrc, ntp, rtp_timestamp, packet_count: 10, octet_count: 1_000 };
    rtcp(|writer| writer.sender_report(&info, &[]))
}

pub(crate) fn empty_block(ssrc: u32) -> ReportBlock {
    ReportBlock {
        ssrc,
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_sequence_number: 0,
        jitter: 0,
        last_sender_report: 0,
        delay_since_last_sender_report: 0,
    }
}

/// Transport-wide feedback: by sequence number when each packet came, microseconds, if it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransportWide {
    pub(crate) media_ssrc: u32,
    pub(crate) count: u8,
    pub(crate) arrivals: Vec<(u16, Option<i64>)>,
}

/// What a shard said by RTCP, in order.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) sender_reports: Vec<SenderInfo>,
    pub(crate) cnames: Vec<(u32, String)>,
    pub(crate) blocks: Vec<ReportBlock>,
    pub(crate) nacks: Vec<(u32, Vec<u16>)>,
    pub(crate) plis: Vec<Pli>,
    pub(crate) firs: Vec<(u32, u8)>,
    pub(crate) reference_times: Vec<NtpTime>,
    pub(crate) dlrrs: Vec<ringsoup_rtc::rtcp::Dlrr>,
    pub(crate) rembs: Vec<(u64, Vec<u32>)>,
    pub(crate) transport_ccs: Vec<TransportWide>,
    /// One letter per sub-packet, compounds apart: `S`R, `R`R, s`D`ES, `X`R, `N`ACK, `P`LI, `F`IR, `B`itrate (REMB),
    /// `T`ransport-wide feedback.
    pub(crate) order: Vec<String>,
}

pub(crate) fn heard<'a>(sent: impl IntoIterator<Item = &'a Sent>) -> Heard {
    let mut heard = Heard::default();
    for sent in sent {
        heard.compound(&sent.bytes);
    }
    heard
}

impl Heard {
    pub(crate) fn compound(&mut self, bytes: &[u8]) {
        let mut order = String::new();
        for packet in Compound::new(bytes) {
            order.push(self.packet(&packet.expect("well-formed RTCP leaves")));
        }
        self.order.push(order);
    }

    fn packet(&mut self, packet: &RtcpPacket<'_>) -> char {
        match packet {
            RtcpPacket::SenderReport(report) => {
                self.sender_reports.push(report.info);
                'S'
            }
            RtcpPacket::ReceiverReport(report) => {
                self.blocks.extend(report.reports());
                'R'
            }
            RtcpPacket::Sdes(sdes) => {
                let name =
                    |chunk: ringsoup_rtc::rtcp::SdesChunk<'_>| Some((chunk.ssrc, chunk.cname()?.to_owned()));
                self.cnames.extend(sdes.chunks().filter_map(name));
                'D'
            }
            RtcpPacket::Nack(nack) => {
                let seqs = nack.items().flat_map(|item| item.sequence_numbers().collect::<Vec<_>>());
                self.nacks.push((nack.media_ssrc, seqs.collect()));
                'N'
            }
            RtcpPacket::Pli(pli) => {
                self.plis.push(*pli);
                'P'
            }
            RtcpPacket::Fir(fir) => {
                self.firs.extend(fir.entries().map(|entry| (entry.ssrc, entry.sequence_number)));
                'F'
            }
            RtcpPacket::ExtendedReport(report) => {
                self.extended(report);
                'X'
            }
            RtcpPacket::Remb(remb) => {
                self.rembs.push((remb.bitrate_bps, remb.ssrcs().collect()));
                'B'
            }
            RtcpPacket::TransportCc(feedback) => {
                let statuses = feedback.statuses().expect("complete");
                self.transport_ccs.push(TransportWide {
                    media_ssrc: feedback.media_ssrc,
                    count: feedback.feedback_packet_count,
                    arrivals: statuses.map(|status| (status.sequence_number, status.arrived_us)).collect(),
                });
                'T'
            }
            other => panic!("a shard does not send {other:?}"),
        }
    }

    fn extended(&mut self, report: &ExtendedReport<'_>) {
        use ringsoup_rtc::rtcp::XrBlock;
        for block in report.blocks() {
            match block {
                XrBlock::ReceiverReferenceTime(time) => self.reference_times.push(time),
                XrBlock::DelaySinceLastRr(delays) => self.dlrrs.extend(delays),
                XrBlock::Other(..) => panic!("a shard sends no other block"),
            }
        }
    }
}
