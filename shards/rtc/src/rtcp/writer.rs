//! Builds a compound in a caller's buffer.

use super::compound::{COMMON_HEADER_LEN, VERSION};
use super::feedback::{PayloadFormat, TransportFormat};
use super::receiver_report::{REPORT_BLOCKS_MAX, ReportBlock};
use super::wire::Cursor;
use super::{Dlrr, FirEntry, SenderInfo, bye, extended_report, fir, nack, packet_type, receiver_report};
use super::{remb, sdes, sender_report};
use crate::ntp::NtpTime;

/// Most bytes of a compound before SRTCP: 1500 of Ethernet less 40 of IPv6, 20 of TCP, and 148 for
/// the longest SRTCP trailer (index, MKI and tag) a cipher may add.
pub const RTCP_BYTES_MAX: usize = 1500 - 40 - 20 - 148;
/// Sources a goodbye names: five bits count them (RFC 3550 §6.6).
const BYE_SSRCS_MAX: usize = 31;

/// Appends sub-packets. Every method returns the bytes it added, or `None`, with nothing added, when
/// the buffer is full or an argument cannot be encoded.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    cursor: Cursor<'a>,
}

impl<'a> CompoundWriter<'a> {
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { cursor: Cursor::new(out) }
    }

    /// Bytes written so far.
    pub const fn len(&self) -> usize {
        self.cursor.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.cursor.len() == 0
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.cursor.written()
    }

    /// At most 31 report blocks.
    pub fn sender_report(&mut self, info: &SenderInfo, reports: &[ReportBlock]) -> Option<usize> {
        let count = count_up_to(reports.len(), REPORT_BLOCKS_MAX)?;
        self.packet(packet_type::SENDER_REPORT, count, |out| sender_report::write(out, info, reports))
    }

    /// At most 31 report blocks; none makes the empty report a compound may begin with.
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[ReportBlock]) -> Option<usize> {
        let count = count_up_to(reports.len(), REPORT_BLOCKS_MAX)?;
        self.packet(packet_type::RECEIVER_REPORT, count, |out| receiver_report::write(out, ssrc, reports))
    }

    /// A canonical name of at most 255 bytes.
    pub fn sdes_cname(&mut self, ssrc: u32, cname: &str) -> Option<usize> {
        self.packet(packet_type::SOURCE_DESCRIPTION, 1, |out| sdes::write_cname(out, ssrc, cname))
    }

    /// At most 31 sources and a reason of 255 bytes.
    pub fn bye(&mut self, ssrcs: &[u32], reason: Option<&str>) -> Option<usize> {
        let count = count_up_to(ssrcs.len(), BYE_SSRCS_MAX)?;
        self.packet(packet_type::BYE, count, |out| bye::write(out, ssrcs, reason))
    }

    /// Receiver reference time (RFC 3611 §4.4).
    pub fn xr_rrt(&mut self, ssrc: u32, ntp: NtpTime) -> Option<usize> {
        self.packet(packet_type::EXTENDED_REPORT, 0, |out| {
            extended_report::write_reference_time(out, ssrc, ntp)
        })
    }

    /// Delays since the receivers' reference times (RFC 3611 §4.5).
    pub fn xr_dlrr(&mut self, ssrc: u32, delays: &[Dlrr]) -> Option<usize> {
        self.packet(packet_type::EXTENDED_REPORT, 0, |out| extended_report::write_delays(out, ssrc, delays))
    }

    /// Sequence numbers in order, wrapping. At least one.
    pub fn nack(
        &mut self,
        sender_ssrc: u32,
        media_ssrc: u32,
        seqs: impl IntoIterator<Item = u16>,
    ) -> Option<usize> {
        let head = (packet_type::TRANSPORT_FEEDBACK, TransportFormat::NACK);
        self.feedback_with(head, sender_ssrc, media_ssrc, |out| nack::write(out, seqs))
    }

    pub fn pli(&mut self, sender_ssrc: u32, media_ssrc: u32) -> Option<usize> {
        let head = (packet_type::PAYLOAD_FEEDBACK, PayloadFormat::PLI);
        self.feedback_with(head, sender_ssrc, media_ssrc, |_| Some(()))
    }

    /// Asks `media_ssrc`. It is in the header too, where RFC 5104 §4.3.1.2 wants zero, because
    /// GStreamer does not find the stream otherwise.
    pub fn fir(&mut self, sender_ssrc: u32, media_ssrc: u32, sequence_number: u8) -> Option<usize> {
        let head = (packet_type::PAYLOAD_FEEDBACK, PayloadFormat::FIR);
        let entry = FirEntry { ssrc: media_ssrc, sequence_number };
        self.feedback_with(head, sender_ssrc, media_ssrc, |out| fir::write(out, entry))
    }

    /// At most 255 streams. The media SSRC is zero as the draft wants.
    pub fn remb(&mut self, sender_ssrc: u32, bitrate_bps: u64, ssrcs: &[u32]) -> Option<usize> {
        let head = (packet_type::PAYLOAD_FEEDBACK, PayloadFormat::APPLICATION);
        self.feedback_with(head, sender_ssrc, 0, |out| remb::write(out, bitrate_bps, ssrcs))
    }

    /// Transport-wide feedback with its control information encoded by the caller, a multiple of four
    /// bytes.
    pub fn transport_cc(&mut self, sender_ssrc: u32, media_ssrc: u32, fci: &[u8]) -> Option<usize> {
        let head = (packet_type::TRANSPORT_FEEDBACK, TransportFormat::TRANSPORT_CC);
        self.feedback_with(head, sender_ssrc, media_ssrc, |out| out.put(fci))
    }

    fn feedback_with(
        &mut self,
        (packet_type, format): (u8, u8),
        sender_ssrc: u32,
        media_ssrc: u32,
        write_fci: impl FnOnce(&mut Cursor<'a>) -> Option<()>,
    ) -> Option<usize> {
        self.packet(packet_type, format, |out| {
            out.put_u32(sender_ssrc)?;
            out.put_u32(media_ssrc)?;
            write_fci(out)
        })
    }

    fn packet(
        &mut self,
        packet_type: u8,
        count: u8,
        write_body: impl FnOnce(&mut Cursor<'a>) -> Option<()>,
    ) -> Option<usize> {
        let start = self.cursor.len();
        let written = write_packet(&mut self.cursor, packet_type, count, write_body);
        if written.is_none() {
            self.cursor.rewind(start);
        }
        written
    }
}

/// Writes the common header, then the body, then the length now known.
fn write_packet<'a>(
    out: &mut Cursor<'a>,
    packet_type: u8,
    count: u8,
    write_body: impl FnOnce(&mut Cursor<'a>) -> Option<()>,
) -> Option<usize> {
    let start = out.len();
    out.put(&[VERSION << 6 | count, packet_type, 0, 0])?;
    write_body(out)?;
    let len = out.len() - start;
    if !len.is_multiple_of(4) {
        return None;
    }
    let words = u16::try_from((len - COMMON_HEADER_LEN) / 4).ok()?;
    out.patch(start + 2, &words.to_be_bytes())?;
    Some(len)
}

fn count_up_to(len: usize, max: usize) -> Option<u8> {
    u8::try_from(len).ok().filter(|_| len <= max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Compound, Pli, RtcpPacket, XrBlock};

    const INFO: SenderInfo = SenderInfo {
        ssrc: 5,
        ntp: NtpTime::from_u64(77),
        rtp_timestamp: 8,
        packet_count: 9,
        octet_count: 10,
    };

    #[test]
    fn a_whole_compound_parses_back() {
        let block = ReportBlock { ssrc: 3, cumulative_lost: -5, ..Default::default() };
        let mut out = [0; RTCP_BYTES_MAX];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.sender_report(&INFO, &[block]), Some(52));
        writer.sdes_cname(5, "name").unwrap();
        writer.xr_dlrr(5, &[Dlrr::default()]).unwrap();
        assert_eq!(writer.pli(5, 3), Some(12));
        assert_eq!(writer.transport_cc(5, 3, &[0; 8]), Some(20));
        assert_eq!(writer.transport_cc(5, 3, &[0; 9]), None);
        writer.bye(&[5], None).unwrap();
        let packets: Vec<_> = Compound::new(writer.as_bytes()).map(Result::unwrap).collect();
        let [
            RtcpPacket::SenderReport(report),
            RtcpPacket::Sdes(sdes),
            RtcpPacket::ExtendedReport(delays),
            RtcpPacket::Pli(pli),
            RtcpPacket::TransportCc(_),
            RtcpPacket::Bye(bye),
        ] = packets[..]
        else {
            panic!("{packets:?}")
        };
        assert_eq!(report.info, INFO);
        assert_eq!(report.reports().collect::<Vec<_>>(), [block]);
        assert_eq!(sdes.chunks().next().unwrap().cname(), Some("name"));
        assert!(matches!(delays.blocks().next(), Some(XrBlock::DelaySinceLastRr(_))));
        assert_eq!(pli, Pli { sender_ssrc: 5, media_ssrc: 3 });
        assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn what_does_not_fit_leaves_no_trace() {
        let mut out = [0; 20];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.pli(1, 2), Some(12));
        assert_eq!(writer.pli(1, 2), None);
        assert_eq!(writer.len(), 12);
        assert_eq!(writer.receiver_report(1, &[]), Some(8));
        assert_eq!(Compound::new(writer.as_bytes()).flatten().count(), 2);
        let mut large = [0; 2000];
        let mut writer = CompoundWriter::new(&mut large);
        assert_eq!(writer.receiver_report(1, &[ReportBlock::default(); 32]), None);
        assert_eq!(writer.bye(&[0; 32], None), None);
        assert!(writer.is_empty());
        assert!(writer.receiver_report(1, &[ReportBlock::default(); 31]).is_some());
    }

    fn any_block() -> impl Strategy<Value = ReportBlock> {
        (any::<u32>(), any::<u8>(), -0x80_0000..0x80_0000, any::<[u32; 4]>()).prop_map(
            |(ssrc, fraction_lost, cumulative_lost, [high, jitter, last, delay])| ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost,
                highest_sequence_number: high,
                jitter,
                last_sender_report: last,
                delay_since_last_sender_report: delay,
            },
        )
    }

    proptest! {
        #[test]
        fn reports_round_trip(
            (ssrc, ntp, rtp_timestamp, packet_count, octet_count) in any::<(u32, u64, u32, u32, u32)>(),
            blocks in prop::collection::vec(any_block(), 0..32),
        ) {
            let info = SenderInfo { ssrc, ntp: NtpTime::from_u64(ntp), rtp_timestamp, packet_count, octet_count };
            let mut out = [0; 2000];
            let mut writer = CompoundWriter::new(&mut out);
            writer.sender_report(&info, &blocks).unwrap();
            writer.receiver_report(ssrc, &blocks).unwrap();
            let packets: Vec<_> = Compound::new(writer.as_bytes()).map(Result::unwrap).collect();
            let [RtcpPacket::SenderReport(sender), RtcpPacket::ReceiverReport(receiver)] = packets[..] else {
                return Err(TestCaseError::fail("wrong types"));
            };
            prop_assert_eq!(sender.info, info);
            prop_assert_eq!(sender.reports().collect::<Vec<_>>(), &blocks[..]);
            prop_assert_eq!(receiver.reports().collect::<Vec<_>>(), &blocks[..]);
        }

        #[test]
        fn buffers_of_any_size_are_safe(size in 0usize..200) {
            let mut out = vec![0; size];
            let mut writer = CompoundWriter::new(&mut out);
            let _ = writer.sender_report(&INFO, &[ReportBlock::default()]);
            let _ = writer.sdes_cname(1, "somebody");
            let _ = writer.xr_rrt(1, NtpTime::default());
            let _ = writer.nack(1, 2, [1, 50, 100]);
            let _ = writer.fir(1, 2, 3);
            let _ = writer.remb(1, 2, &[3]);
            prop_assert!(Compound::new(writer.as_bytes()).all(|packet| packet.is_ok()));
        }
    }
}
