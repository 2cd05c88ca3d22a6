//! Receiver report, and the report blocks it shares with the sender report (RFC 3550 §6.4).

use super::compound::{RawPacket, RtcpError};
use super::wire::{Cursor, split_u32, word};

/// One report block, in bytes.
pub(super) const REPORT_BLOCK_LEN: usize = 24;
/// Five bits count them (RFC 3550 §6.4.1).
pub const REPORT_BLOCKS_MAX: usize = 31;
/// Cumulative loss is a signed 24-bit number (RFC 3550 §6.4.1).
const CUMULATIVE_LOST_MAX: i32 = 0x7f_ffff;
const CUMULATIVE_LOST_MIN: i32 = -0x80_0000;

/// Reception of one source, as its receiver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Lost since the previous report, in 1/256.
    pub fraction_lost: u8,
    /// Expected minus received since the beginning; negative with duplicates. Written clamped to 24
    /// bits, since RFC 3550 §A.3 asks for saturation and not for a wrap.
    pub cumulative_lost: i32,
    /// Cycles in the upper, sequence number in the lower 16 bits.
    pub highest_sequence_number: u32,
    /// In units of the RTP clock.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time in the last sender report, zero when there was none.
    pub last_sender_report: u32,
    /// 16.16 seconds since then.
    pub delay_since_last_sender_report: u32,
}

impl ReportBlock {
    pub(super) const fn from_bytes(bytes: &[u8; REPORT_BLOCK_LEN]) -> Self {
        let [
            s0,
            s1,
            s2,
            s3,
            fraction_lost,
            c0,
            c1,
            c2,
            h0,
            h1,
            h2,
            h3,
            j0,
            j1,
            j2,
            j3,
            l0,
            l1,
            l2,
            l3,
            d0,
            d1,
            d2,
            d3,
        ] = *bytes;
        Self {
            ssrc: word(s0, s1, s2, s3),
            fraction_lost,
            // The sign is in the top byte, so an arithmetic shift extends it.
            cumulative_lost: word(c0, c1, c2, 0).cast_signed() >> 8,
            highest_sequence_number: word(h0, h1, h2, h3),
            jitter: word(j0, j1, j2, j3),
            last_sender_report: word(l0, l1, l2, l3),
            delay_since_last_sender_report: word(d0, d1, d2, d3),
        }
    }

    fn write(&self, out: &mut Cursor<'_>) -> Option<()> {
        let clamped = self.cumulative_lost.clamp(CUMULATIVE_LOST_MIN, CUMULATIVE_LOST_MAX);
        let [_, c0, c1, c2] = clamped.to_be_bytes();
        out.put_u32(self.ssrc)?;
        out.put(&[self.fraction_lost, c0, c1, c2])?;
        out.put_u32(self.highest_sequence_number)?;
        out.put_u32(self.jitter)?;
        out.put_u32(self.last_sender_report)?;
        out.put_u32(self.delay_since_last_sender_report)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Of the one who reports.
    pub ssrc: u32,
    reports: &'a [[u8; REPORT_BLOCK_LEN]],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, RtcpError> {
        let (ssrc, rest) = split_u32(raw.body).ok_or_else(|| raw.truncated())?;
        let reports = split_reports(rest, raw.count).ok_or_else(|| raw.truncated())?;
        Ok(Self { ssrc, reports })
    }

    pub fn reports(&self) -> impl ExactSizeIterator<Item = ReportBlock> + use<'a> {
        self.reports.iter().map(ReportBlock::from_bytes)
    }
}

/// The announced blocks; what follows them is a profile's extension and not read.
pub(super) fn split_reports(bytes: &[u8], count: u8) -> Option<&[[u8; REPORT_BLOCK_LEN]]> {
    bytes.as_chunks().0.get(..usize::from(count))
}

pub(super) fn write(out: &mut Cursor<'_>, ssrc: u32, reports: &[ReportBlock]) -> Option<()> {
    out.put_u32(ssrc)?;
    write_reports(out, reports)
}

pub(super) fn write_reports(out: &mut Cursor<'_>, reports: &[ReportBlock]) -> Option<()> {
    reports.iter().try_for_each(|report| report.write(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Compound, CompoundWriter, RtcpPacket};

    #[test]
    fn hand_made_bytes() {
        let mut wire = vec![0x81, 201, 0, 7, 0, 0, 0, 1];
        wire.extend([0, 0, 0, 2, 0x40, 0xff, 0xff, 0xfe, 0, 1, 0, 5, 0, 0, 0, 9]);
        wire.extend([0xaa, 0xbb, 0xcc, 0xdd, 0, 1, 0, 0]);
        let packet = Compound::new(&wire).next().unwrap().unwrap();
        let RtcpPacket::ReceiverReport(report) = packet else { panic!("{packet:?}") };
        let expected = ReportBlock {
            ssrc: 2,
            fraction_lost: 64,
            cumulative_lost: -2,
            highest_sequence_number: 0x0001_0005,
            jitter: 9,
            last_sender_report: 0xaabb_ccdd,
            delay_since_last_sender_report: 65536,
        };
        assert_eq!(report.ssrc, 1);
        assert_eq!(report.reports().collect::<Vec<_>>(), [expected]);

        let mut out = [0; 64];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.receiver_report(1, &[expected]), Some(32));
        assert_eq!(writer.as_bytes(), wire);
    }

    #[test]
    fn loss_saturates_at_24_bits() {
        for (lost, seen) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000), (-1, -1)] {
            let mut out = [0; 64];
            let mut writer = CompoundWriter::new(&mut out);
            let block = ReportBlock { cumulative_lost: lost, ..Default::default() };
            writer.receiver_report(1, &[block]).unwrap();
            let Some(Ok(RtcpPacket::ReceiverReport(report))) = Compound::new(writer.as_bytes()).next() else {
                panic!("not a receiver report")
            };
            assert_eq!(report.reports().next().unwrap().cumulative_lost, seen);
        }
    }
}
