//! What all feedback messages share (RFC 4585 §6.1).

use super::compound::{RawPacket, RtcpError};
use super::wire::split_u32;

/// Formats of transport-layer feedback, packet type 205 (IANA "FMT Values for RTPFB").
pub struct TransportFormat;

impl TransportFormat {
    /// RFC 4585 §6.2.1.
    pub const NACK: u8 = 1;
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.
    pub const TRANSPORT_CC: u8 = 15;
}

/// Formats of payload-specific feedback, packet type 206 (IANA "FMT Values for PSFB").
pub struct PayloadFormat;

impl PayloadFormat {
    /// RFC 4585 §6.3.1.
    pub const PLI: u8 = 1;
    /// RFC 5104 §4.3.1.
    pub const FIR: u8 = 4;
    /// RFC 4585 §6.4, where REMB lives.
    pub const APPLICATION: u8 = 15;
}

/// A feedback message with its control information unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feedback<'a> {
    /// 205 or 206.
    pub packet_type: u8,
    pub format: u8,
    pub sender_ssrc: u32,
    pub media_ssrc: u32,
    /// Feedback control information.
    pub fci: &'a [u8],
}

impl<'a> Feedback<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, RtcpError> {
        let (sender_ssrc, rest) = split_u32(raw.body).ok_or_else(|| raw.truncated())?;
        let (media_ssrc, fci) = split_u32(rest).ok_or_else(|| raw.truncated())?;
        Ok(Self { packet_type: raw.packet_type, format: raw.count, sender_ssrc, media_ssrc, fci })
    }

    pub(super) const fn truncated(&self) -> RtcpError {
        RtcpError::Truncated { packet_type: self.packet_type }
    }
}
