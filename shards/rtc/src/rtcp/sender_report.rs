//! Sender report (RFC 3550 §6.4.1).

use super::compound::{RawPacket, RtcpError};
use super::receiver_report::{REPORT_BLOCK_LEN, ReportBlock, split_reports, write_reports};
use super::wire::{Cursor, word};
use crate::ntp::NtpTime;

/// SSRC and sender information, in bytes.
const SENDER_INFO_LEN: usize = 24;

/// What a sender says about its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    pub ssrc: u32,
    /// The instant of `rtp_timestamp` on the sender's wall clock.
    pub ntp: NtpTime,
    pub rtp_timestamp: u32,
    pub packet_count: u32,
    /// Payload bytes without header and padding.
    pub octet_count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport<'a> {
    pub info: SenderInfo,
    reports: &'a [[u8; REPORT_BLOCK_LEN]],
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, RtcpError> {
        let (info, rest) = raw.body.split_first_chunk::<SENDER_INFO_LEN>().ok_or_else(|| raw.truncated())?;
        let reports = split_reports(rest, raw.count).ok_or_else(|| raw.truncated())?;
        Ok(Self { info: SenderInfo::from_bytes(info), reports })
    }

    pub fn reports(&self) -> impl ExactSizeIterator<Item = ReportBlock> + use<'a> {
        self.reports.iter().map(ReportBlock::from_bytes)
    }
}

impl SenderInfo {
    const fn from_bytes(bytes: &[u8; SENDER_INFO_LEN]) -> Self {
        let [s0, s1, s2, s3, n0, n1, n2, n3, n4, n5, n6, n7, t0, t1, t2, t3, p0, p1, p2, p3, o0, o1, o2, o3] =
            *bytes;
        Self {
            ssrc: word(s0, s1, s2, s3),
            ntp: NtpTime::from_u64(u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7])),
            rtp_timestamp: word(t0, t1, t2, t3),
            packet_count: word(p0, p1, p2, p3),
            octet_count: word(o0, o1, o2, o3),
        }
    }
}

pub(super) fn write(out: &mut Cursor<'_>, info: &SenderInfo, reports: &[ReportBlock]) -> Option<()> {
    out.put_u32(info.ssrc)?;
    out.put_u64(info.ntp.as_u64())?;
    out.put_u32(info.rtp_timestamp)?;
    out.put_u32(info.packet_count)?;
    out.put_u32(info.octet_count)?;
    write_reports(out, reports)
}
