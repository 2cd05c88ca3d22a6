//! Extended reports: receiver reference time and its answer (RFC 3611 §4.4, §4.5), by which a
//! receiver that sends nothing measures its round trip.

use super::compound::{RawPacket, RtcpError};
use super::wire::{Cursor, split_u32, word};
use crate::ntp::NtpTime;

const RECEIVER_REFERENCE_TIME: u8 = 4;
const DELAY_SINCE_LAST_RR: u8 = 5;
/// One receiver's entry in a DLRR block, in bytes.
const DLRR_LEN: usize = 12;
/// Words of such an entry.
const DLRR_WORDS: u16 = 3;
/// Words of a receiver reference time block behind its header.
const REFERENCE_TIME_WORDS: u16 = 2;

/// How long ago the last receiver reference time of `ssrc` came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dlrr {
    pub ssrc: u32,
    /// Middle 32 bits of that reference time, zero when there was none.
    pub last_receiver_report: u32,
    /// 16.16 seconds since it came.
    pub delay_since_last_receiver_report: u32,
}

impl Dlrr {
    const fn from_bytes(bytes: &[u8; DLRR_LEN]) -> Self {
        let [s0, s1, s2, s3, l0, l1, l2, l3, d0, d1, d2, d3] = *bytes;
        Self {
            ssrc: word(s0, s1, s2, s3),
            last_receiver_report: word(l0, l1, l2, l3),
            delay_since_last_receiver_report: word(d0, d1, d2, d3),
        }
    }
}

/// One report block.
#[derive(Debug, Clone)]
pub enum XrBlock<'a> {
    ReceiverReferenceTime(NtpTime),
    DelaySinceLastRr(Dlrrs<'a>),
    /// A block type without use here, and its content.
    Other(u8, &'a [u8]),
}

/// The entries of a DLRR block.
#[derive(Debug, Clone)]
pub struct Dlrrs<'a>(std::slice::Iter<'a, [u8; DLRR_LEN]>);

impl Iterator for Dlrrs<'_> {
    type Item = Dlrr;

    fn next(&mut self) -> Option<Dlrr> {
        self.0.next().map(Dlrr::from_bytes)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Dlrrs<'_> {}

/// Report blocks, each checked to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedReport<'a> {
    /// Of the one who reports.
    pub ssrc: u32,
    blocks: &'a [u8],
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, RtcpError> {
        let (ssrc, blocks) = split_u32(raw.body).ok_or_else(|| raw.truncated())?;
        let mut rest = blocks;
        while !rest.is_empty() {
            rest = split_block(rest).ok_or(RtcpError::ExtendedReportBlock)?.1;
        }
        Ok(Self { ssrc, blocks })
    }

    pub fn blocks(&self) -> impl Iterator<Item = XrBlock<'a>> + use<'a> {
        let mut rest = self.blocks;
        std::iter::from_fn(move || {
            let (block, behind) = split_block(rest)?;
            rest = behind;
            Some(block)
        })
    }
}

/// Type, type-specific byte, length in words, content (RFC 3611 §3).
fn split_block(bytes: &[u8]) -> Option<(XrBlock<'_>, &[u8])> {
    let ([block_type, _, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let content_len = usize::from(u16::from_be_bytes([*l0, *l1])) * 4;
    let (content, rest) = rest.split_at_checked(content_len)?;
    let block = match *block_type {
        RECEIVER_REFERENCE_TIME => {
            let ntp = u64::from_be_bytes(*content.as_array::<8>()?);
            XrBlock::ReceiverReferenceTime(NtpTime::from_u64(ntp))
        }
        DELAY_SINCE_LAST_RR => {
            let (entries, []) = content.as_chunks::<DLRR_LEN>() else {
                return None;
            };
            XrBlock::DelaySinceLastRr(Dlrrs(entries.iter()))
        }
        other => XrBlock::Other(other, content),
    };
    Some((block, rest))
}

pub(super) fn write_reference_time(out: &mut Cursor<'_>, ssrc: u32, ntp: NtpTime) -> Option<()> {
    out.put_u32(ssrc)?;
    out.put(&[RECEIVER_REFERENCE_TIME, 0])?;
    out.put_u16(REFERENCE_TIME_WORDS)?;
    out.put_u64(ntp.as_u64())
}

pub(super) fn write_delays(out: &mut Cursor<'_>, ssrc: u32, delays: &[Dlrr]) -> Option<()> {
    let words = u16::try_from(delays.len()).ok()?.checked_mul(DLRR_WORDS)?;
    out.put_u32(ssrc)?;
    out.put(&[DELAY_SINCE_LAST_RR, 0])?;
    out.put_u16(words)?;
    delays.iter().try_for_each(|delay| {
        out.put_u32(delay.ssrc)?;
        out.put_u32(delay.last_receiver_report)?;
        out.put_u32(delay.delay_since_last_receiver_report)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Compound, CompoundWriter, RtcpPacket};

    fn parse(wire: &[u8]) -> Result<ExtendedReport<'_>, RtcpError> {
        match Compound::new(wire).next().unwrap()? {
            RtcpPacket::ExtendedReport(report) => Ok(report),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reference_time_bytes() {
        let mut out = [0; 32];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.xr_rrt(9, NtpTime::from_parts(1, 2)), Some(20));
        let wire = [0x80, 207, 0, 4, 0, 0, 0, 9, 4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(writer.as_bytes(), wire);
        let report = parse(&wire).unwrap();
        assert_eq!(report.ssrc, 9);
        let block = report.blocks().next().unwrap();
        assert!(matches!(block, XrBlock::ReceiverReferenceTime(ntp) if ntp == NtpTime::from_parts(1, 2)));
    }

    #[test]
    fn delays_round_trip() {
        let delay = |ssrc| Dlrr { ssrc, last_receiver_report: 5, delay_since_last_receiver_report: 6 };
        let delays = [delay(1), delay(2)];
        let mut out = [0; 64];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.xr_dlrr(9, &delays), Some(36));
        let report = parse(writer.as_bytes()).unwrap();
        let Some(XrBlock::DelaySinceLastRr(parsed)) = report.blocks().next() else { panic!("no delays") };
        assert_eq!(parsed.len(), 2);
        assert_eq!(parsed.collect::<Vec<_>>(), delays);
    }

    #[test]
    fn foreign_blocks_are_stepped_over() {
        let mut wire = vec![0x80, 207, 0, 6, 0, 0, 0, 9];
        wire.extend([7, 1, 0, 1, 1, 2, 3, 4]);
        wire.extend([4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        let report = parse(&wire).unwrap();
        let blocks: Vec<_> = report.blocks().collect();
        assert!(matches!(blocks[0], XrBlock::Other(7, [1, 2, 3, 4])));
        assert!(matches!(blocks[1], XrBlock::ReceiverReferenceTime(_)));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let refused = Err(RtcpError::ExtendedReportBlock);
        assert_eq!(parse(&[0x80, 207, 0, 2, 0, 0, 0, 9, 4, 0, 0, 1]), refused);
        assert_eq!(parse(&[0x80, 207, 0, 3, 0, 0, 0, 9, 4, 0, 0, 1, 0, 0, 0, 0]), refused);
        assert_eq!(parse(&[0x80, 207, 0, 3, 0, 0, 0, 9, 5, 0, 0, 1, 0, 0, 0, 0]), refused);
        assert_eq!(parse(&[0x80, 207, 0, 0]), Err(RtcpError::Truncated { packet_type: 207 }));
    }
}
