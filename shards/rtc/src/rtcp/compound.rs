//! The walk over a compound packet (RFC 3550 §6.1).
//!
//! A sub-packet that lies inside its own length is one error, and the walk goes on behind it: one
//! broken report must not cost the feedback beside it. A sub-packet whose length cannot be believed
//! ends the walk.

use super::feedback::{PayloadFormat, TransportFormat};
use super::{
    Bye, ExtendedReport, Feedback, Fir, Nack, Pli, ReceiverReport, Remb, Sdes, SenderReport, TransportCc,
    packet_type,
};

/// Version, count, type and length (RFC 3550 §6.4.1), in bytes.
pub(super) const COMMON_HEADER_LEN: usize = 4;
pub(super) const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
const COUNT_MASK: u8 = 0x1f;

/// Why a sub-packet, or the rest of a compound, is not RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    #[error("shorter than the 4 bytes of the common header")]
    Short,
    #[error("version is not 2")]
    Version,
    #[error("the sub-packet ends beyond the datagram")]
    LengthBeyondEnd,
    #[error("the padding is announced as zero bytes or begins before the content")]
    PaddingBeyondEnd,
    #[error("the sub-packet of type {packet_type} ends before the content it announces")]
    Truncated { packet_type: u8 },
    #[error("a source description chunk has no end or an item beyond it")]
    SdesChunk,
    #[error("an extended report block has a length its type does not allow")]
    ExtendedReportBlock,
    #[error("the bitrate estimate does not fit in 64 bits")]
    BitrateOverflow,
    #[error("transport-wide feedback claims packets without their status or delta, or too many")]
    TransportCcStatus,
}

/// One sub-packet.
#[derive(Debug, Clone, Copy)]
pub enum RtcpPacket<'a> {
    SenderReport(SenderReport<'a>),
    ReceiverReport(ReceiverReport<'a>),
    Sdes(Sdes<'a>),
    Bye(Bye<'a>),
    Nack(Nack<'a>),
    TransportCc(TransportCc<'a>),
    Pli(Pli),
    Fir(Fir<'a>),
    Remb(Remb<'a>),
    ExtendedReport(ExtendedReport<'a>),
    /// Feedback in a format this worker has no use for.
    OtherFeedback(Feedback<'a>),
    /// APP, and types not known here.
    Other(RawPacket<'a>),
}

impl<'a> RtcpPacket<'a> {
    fn parse(raw: RawPacket<'a>) -> Result<Self, RtcpError> {
        match raw.packet_type {
            packet_type::SENDER_REPORT => SenderReport::parse(raw).map(Self::SenderReport),
            packet_type::RECEIVER_REPORT => ReceiverReport::parse(raw).map(Self::ReceiverReport),
            packet_type::SOURCE_DESCRIPTION => Sdes::parse(raw).map(Self::Sdes),
            packet_type::BYE => Bye::parse(raw).map(Self::Bye),
            packet_type::TRANSPORT_FEEDBACK => Self::parse_transport_feedback(Feedback::parse(raw)?),
            packet_type::PAYLOAD_FEEDBACK => Self::parse_payload_feedback(Feedback::parse(raw)?),
            packet_type::EXTENDED_REPORT => ExtendedReport::parse(raw).map(Self::ExtendedReport),
            _ => Ok(Self::Other(raw)),
        }
    }

    fn parse_transport_feedback(feedback: Feedback<'a>) -> Result<Self, RtcpError> {
        match feedback.format {
            TransportFormat::NACK => Nack::parse(feedback).map(Self::Nack),
            TransportFormat::TRANSPORT_CC => TransportCc::parse(feedback).map(Self::TransportCc),
            _ => Ok(Self::OtherFeedback(feedback)),
        }
    }

    fn parse_payload_feedback(feedback: Feedback<'a>) -> Result<Self, RtcpError> {
        match feedback.format {
            PayloadFormat::PLI => Ok(Self::Pli(Pli::parse(feedback))),
            PayloadFormat::FIR => Fir::parse(feedback).map(Self::Fir),
            PayloadFormat::APPLICATION if Remb::is_remb(feedback) => Remb::parse(feedback).map(Self::Remb),
            _ => Ok(Self::OtherFeedback(feedback)),
        }
    }
}

/// A sub-packet by its common header, padding removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawPacket<'a> {
    /// Report count, chunk count, format or subtype: 0 to 31.
    pub count: u8,
    pub packet_type: u8,
    /// Everything behind the common header.
    pub body: &'a [u8],
}

impl RawPacket<'_> {
    pub(super) const fn truncated(&self) -> RtcpError {
        RtcpError::Truncated { packet_type: self.packet_type }
    }
}

/// Iterates over the sub-packets of a compound. Ends after the first error of framing.
#[derive(Debug, Clone)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }

    /// The next sub-packet with its padding still on, and the padding bit.
    fn split_next(&mut self) -> Result<(RawPacket<'a>, bool), RtcpError> {
        let ([first, packet_type, l0, l1], behind) =
            self.rest.split_first_chunk::<COMMON_HEADER_LEN>().ok_or(RtcpError::Short)?;
        if first >> 6 != VERSION {
            return Err(RtcpError::Version);
        }
        let body_len = usize::from(u16::from_be_bytes([*l0, *l1])) * 4;
        let (body, rest) = behind.split_at_checked(body_len).ok_or(RtcpError::LengthBeyondEnd)?;
        self.rest = rest;
        let raw = RawPacket { count: first & COUNT_MASK, packet_type: *packet_type, body };
        Ok((raw, first & PADDING_BIT != 0))
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<RtcpPacket<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.split_next() {
            Ok((raw, false)) => Some(RtcpPacket::parse(raw)),
            Ok((raw, true)) => Some(without_padding(raw).and_then(RtcpPacket::parse)),
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// The last byte counts the padding, itself included (RFC 3550 §6.4.1).
fn without_padding(raw: RawPacket<'_>) -> Result<RawPacket<'_>, RtcpError> {
    let padding = raw.body.last().map_or(0, |count| usize::from(*count));
    let kept = raw.body.len().checked_sub(padding).filter(|_| padding > 0);
    let body = kept.and_then(|kept| raw.body.get(..kept)).ok_or(RtcpError::PaddingBeyondEnd)?;
    Ok(RawPacket { body, ..raw })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::XrBlock;

    #[test]
    fn a_bad_sub_packet_does_not_hide_the_next() {
        let mut datagram = vec![0x81, 201, 0, 1, 0, 0, 0, 7];
        datagram.extend([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        let packets: Vec<_> = Compound::new(&datagram).collect();
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0].as_ref().err(), Some(&RtcpError::Truncated { packet_type: 201 }));
        let Ok(RtcpPacket::Pli(pli)) = packets[1] else { panic!("{packets:?}") };
        assert_eq!(pli, Pli { sender_ssrc: 1, media_ssrc: 2 });
    }

    #[test]
    fn framing_errors_end_the_walk() {
        let errors = |bytes: &[u8]| -> Vec<_> { Compound::new(bytes).map(|packet| packet.err()).collect() };
        assert_eq!(errors(&[]), []);
        assert_eq!(errors(&[0x80, 203]), [Some(RtcpError::Short)]);
        assert_eq!(errors(&[0x40, 203, 0, 0, 0x80, 203, 0, 0]), [Some(RtcpError::Version)]);
        assert_eq!(errors(&[0x80, 203, 0, 1, 0]), [Some(RtcpError::LengthBeyondEnd)]);
        assert_eq!(errors(&[0x80, 203, 0, 0, 1]), [None, Some(RtcpError::Short)]);
    }

    #[test]
    fn padding_is_removed_or_refused() {
        let padded = [0xa0, 204, 0, 2, 1, 2, 3, 4, 0, 0, 0, 4];
        let packet = Compound::new(&padded).next().unwrap().unwrap();
        let RtcpPacket::Other(raw) = packet else { panic!("{packet:?}") };
        assert_eq!(raw, RawPacket { count: 0, packet_type: 204, body: &[1, 2, 3, 4] });
        for count in [0, 9] {
            let lie = [0xa0, 204, 0, 2, 1, 2, 3, 4, 0, 0, 0, count];
            assert_eq!(Compound::new(&lie).next().unwrap().err(), Some(RtcpError::PaddingBeyondEnd));
        }
        let empty = [0xa0, 204, 0, 0];
        assert_eq!(Compound::new(&empty).next().unwrap().err(), Some(RtcpError::PaddingBeyondEnd));
    }

    #[test]
    fn unknown_types_and_formats_are_told_raw() {
        let app = [0x83, 192, 0, 0];
        assert!(matches!(Compound::new(&app).next(), Some(Ok(RtcpPacket::Other(_)))));
        let tmmbr = [0x83, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let packet = Compound::new(&tmmbr).next().unwrap().unwrap();
        let RtcpPacket::OtherFeedback(feedback) = packet else { panic!("{packet:?}") };
        assert_eq!((feedback.format, feedback.sender_ssrc, feedback.media_ssrc), (3, 1, 2));
    }

    /// Reads everything a view offers.
    fn exhaust(packet: RtcpPacket<'_>) {
        match packet {
            RtcpPacket::SenderReport(report) => assert!(report.reports().count() < 32),
            RtcpPacket::ReceiverReport(report) => assert!(report.reports().count() < 32),
            RtcpPacket::Sdes(sdes) => sdes.chunks().for_each(|chunk| {
                let _ = (chunk.cname(), chunk.items().count());
            }),
            RtcpPacket::Bye(bye) => {
                let _ = (bye.ssrcs().count(), bye.reason());
            }
            RtcpPacket::Nack(nack) => assert!(nack.sequence_numbers().count() >= nack.items().count()),
            RtcpPacket::Fir(fir) => assert!(fir.entries().count() > 0),
            RtcpPacket::Remb(remb) => assert!(remb.ssrcs().count() < 256),
            RtcpPacket::ExtendedReport(report) => report.blocks().for_each(|block| {
                if let XrBlock::DelaySinceLastRr(dlrrs) = block {
                    assert!(dlrrs.count() < usize::from(u16::MAX));
                }
            }),
            RtcpPacket::TransportCc(_) | RtcpPacket::Pli(_) => {}
            RtcpPacket::OtherFeedback(_) | RtcpPacket::Other(_) => {}
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            Compound::new(&noise).flatten().for_each(exhaust);
        }

        #[test]
        fn well_framed_noise_never_panics(
            packets in prop::collection::vec((192u8..224, 0u8..64, prop::collection::vec(any::<u8>(), 0..80)), 0..6),
        ) {
            let mut datagram = Vec::new();
            for (packet_type, low_bits, body) in &packets {
                let words = u8::try_from(body.len() / 4).unwrap();
                datagram.extend([0x80 | low_bits, *packet_type, 0, words]);
                datagram.extend(&body[..usize::from(words) * 4]);
            }
            prop_assert_eq!(Compound::new(&datagram).count(), packets.len());
            Compound::new(&datagram).flatten().for_each(exhaust);
        }
    }
}
