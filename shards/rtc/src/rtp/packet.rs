//! A view of one RTP packet, parsed once and borrowed from its datagram.
//!
//! Every length is taken from the wire. Recomputing the header's length from parsed extension
//! elements goes wrong after an element with id 15 and moves the point where SRTP begins.

use super::element::{Extensions, ONE_BYTE_PROFILE, is_two_byte_profile};

/// The header without CSRCs and extension (RFC 3550 §5.1), in bytes.
pub const FIXED_HEADER_LEN: usize = 12;
/// Profile and length in front of the extension's elements (RFC 3550 §5.3.1), in bytes.
pub const EXTENSION_HEADER_LEN: usize = 4;
pub(crate) const VERSION: u8 = 2;
pub(crate) const PADDING_BIT: u8 = 0x20;
pub(crate) const EXTENSION_BIT: u8 = 0x10;
const CSRC_COUNT_MASK: u8 = 0x0f;
pub(crate) const MARKER_BIT: u8 = 0x80;
const PAYLOAD_TYPE_MASK: u8 = 0x7f;

/// Why a datagram is not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    #[error("shorter than the 12 bytes of the fixed header")]
    Short,
    #[error("version is not 2")]
    Version,
    #[error("the CSRC list ends beyond the packet")]
    CsrcBeyondEnd,
    #[error("the header extension ends beyond the packet")]
    ExtensionBeyondEnd,
    #[error("the padding is announced as zero bytes or begins before the payload")]
    PaddingBeyondEnd,
}

/// Whether a datagram is RTP by its first byte (RFC 7983 §7). RTCP passes too: ask `is_rtcp` first.
pub fn is_rtp(datagram: &[u8]) -> bool {
    datagram.len() >= FIXED_HEADER_LEN && is_version_two(datagram)
}

/// Whether a datagram is RTCP, also where it shares its port with RTP (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    const COMMON_HEADER_LEN: usize = 4;
    datagram.len() >= COMMON_HEADER_LEN
        && is_version_two(datagram)
        && datagram.get(1).is_some_and(|packet_type| (192..=223).contains(packet_type))
}

/// First byte 128 to 191: RTP's range of RFC 7983 §7 is the one whose top bits are version 2.
fn is_version_two(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first >> 6 == VERSION)
}

/// Length of the whole header, CSRCs and extension included, in bytes.
///
/// For packets still encrypted, whose padding cannot be read yet.
pub fn header_len(wire: &[u8]) -> Result<usize, RtpError> {
    Header::parse(wire).map(|header| wire.len() - header.rest.len())
}

/// One RTP packet, decrypted.
#[derive(Debug, Clone, Copy)]
pub struct RtpPacket<'a> {
    wire: &'a [u8],
    header: Header<'a>,
    payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    pub fn parse(wire: &'a [u8]) -> Result<Self, RtpError> {
        let header = Header::parse(wire)?;
        let payload = if header.first & PADDING_BIT == 0 {
            header.rest
        } else {
            without_padding(header.rest).ok_or(RtpError::PaddingBeyondEnd)?
        };
        Ok(Self { wire, header, payload })
    }

    pub const fn payload_type(&self) -> u8 {
        self.header.second & PAYLOAD_TYPE_MASK
    }

    pub const fn marker(&self) -> bool {
        self.header.second & MARKER_BIT != 0
    }

    pub const fn sequence_number(&self) -> u16 {
        self.header.sequence_number
    }

    pub const fn timestamp(&self) -> u32 {
        self.header.timestamp
    }

    pub const fn ssrc(&self) -> u32 {
        self.header.ssrc
    }

    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.header.csrcs.as_chunks().0.iter().map(|csrc| u32::from_be_bytes(*csrc))
    }

    /// The CSRC list as it is on the wire, a multiple of four bytes.
    pub const fn csrc_bytes(&self) -> &'a [u8] {
        self.header.csrcs
    }

    /// Length of the whole header, CSRCs and extension included, in bytes.
    pub const fn header_len(&self) -> usize {
        self.wire.len() - self.header.rest.len()
    }

    /// The payload without padding.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The payload and the padding behind it, its count byte included.
    pub const fn payload_and_padding(&self) -> &'a [u8] {
        self.header.rest
    }

    /// Bytes of padding, its count byte included; zero when there is none.
    pub const fn padding_len(&self) -> usize {
        self.header.rest.len() - self.payload.len()
    }

    pub const fn has_padding(&self) -> bool {
        self.header.first & PADDING_BIT != 0
    }

    pub const fn wire(&self) -> &'a [u8] {
        self.wire
    }

    pub const fn has_extension_block(&self) -> bool {
        self.header.first & EXTENSION_BIT != 0
    }

    /// The value of the first element with this id. Ids are the sender's own, agreed in signalling.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|element| element.0 == id).map(|element| element.1)
    }

    /// The elements of the header extension in wire order. Ends at the first lie about a length;
    /// empty when the profile is neither that of RFC 8285 §4.2 nor of §4.3.
    pub fn extensions(&self) -> Extensions<'a> {
        match self.header.profile {
            ONE_BYTE_PROFILE => Extensions::one_byte(self.header.extension),
            profile if is_two_byte_profile(profile) => Extensions::two_byte(self.header.extension),
            _ => Extensions::one_byte(&[]),
        }
    }
}

/// Everything in front of the payload.
#[derive(Debug, Clone, Copy)]
struct Header<'a> {
    first: u8,
    second: u8,
    sequence_number: u16,
    timestamp: u32,
    ssrc: u32,
    csrcs: &'a [u8],
    /// Zero when there is no extension, which is no profile of RFC 8285.
    profile: u16,
    extension: &'a [u8],
    /// Payload and padding.
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    #[inline]
    fn parse(wire: &'a [u8]) -> Result<Self, RtpError> {
        let (fixed, rest) = wire.split_first_chunk::<FIXED_HEADER_LEN>().ok_or(RtpError::Short)?;
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if first >> 6 != VERSION {
            return Err(RtpError::Version);
        }
        let csrc_len = usize::from(first & CSRC_COUNT_MASK) * 4;
        let (csrcs, rest) = rest.split_at_checked(csrc_len).ok_or(RtpError::CsrcBeyondEnd)?;
        let (profile, extension, rest) = if first & EXTENSION_BIT == 0 {
            (0, &[][..], rest)
        } else {
            split_extension(rest).ok_or(RtpError::ExtensionBeyondEnd)?
        };
        Ok(Self {
            first,
            second,
            sequence_number: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            csrcs,
            profile,
            extension,
            rest,
        })
    }
}

/// Profile, elements and what follows (RFC 3550 §5.3.1).
fn split_extension(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let ([p0, p1, l0, l1], rest) = bytes.split_first_chunk::<EXTENSION_HEADER_LEN>()?;
    let words = u16::from_be_bytes([*l0, *l1]);
    let (elements, rest) = rest.split_at_checked(usize::from(words) * 4)?;
    Some((u16::from_be_bytes([*p0, *p1]), elements, rest))
}

/// The last byte counts the padding, itself included, so zero is a lie (RFC 3550 §5.1).
fn without_padding(rest: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*rest.last()?);
    if padding == 0 {
        return None;
    }
    rest.get(..rest.len().checked_sub(padding)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: [u8; 15] = [0x80, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3];

    #[test]
    fn fixed_header_and_payload() {
        let packet = RtpPacket::parse(&PLAIN).unwrap();
        assert_eq!(packet.payload_type(), 96);
        assert!(packet.marker());
        assert_eq!(packet.sequence_number(), 0x1234);
        assert_eq!(packet.timestamp(), 9);
        assert_eq!(packet.ssrc(), 0xdead_beef);
        assert_eq!(packet.header_len(), 12);
        assert_eq!(packet.payload(), [1, 2, 3]);
        assert_eq!(packet.padding_len(), 0);
        assert_eq!(packet.csrcs().len(), 0);
        assert_eq!(packet.extensions().count(), 0);
        assert_eq!(packet.wire(), PLAIN);
    }

    #[test]
    fn csrcs_extension_and_padding_together() {
        let mut wire = vec![0xb2, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        wire.extend([0, 0, 0, 7, 0, 0, 0, 8]);
        wire.extend([0xbe, 0xde, 0, 1, 0x31, 0xaa, 0xbb, 0]);
        wire.extend([9, 9, 9, 0, 0, 3]);
        let packet = RtpPacket::parse(&wire).unwrap();
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(packet.csrc_bytes().len(), 8);
        assert_eq!(packet.header_len(), 28);
        assert_eq!(packet.extension(3), Some(&[0xaa, 0xbb][..]));
        assert_eq!(packet.extension(4), None);
        assert_eq!(packet.payload(), [9, 9, 9]);
        assert_eq!(packet.padding_len(), 3);
        assert_eq!(packet.payload_and_padding(), [9, 9, 9, 0, 0, 3]);
    }

    /// Id 15 ends the walk, and yet the payload begins where the block's length says.
    #[test]
    fn header_length_comes_from_the_wire() {
        let mut wire = vec![0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        wire.extend([0xbe, 0xde, 0, 2, 0xf0, 1, 0x10, 2, 0x20, 3, 0, 0, 0x55]);
        let packet = RtpPacket::parse(&wire).unwrap();
        assert_eq!(packet.header_len(), 24);
        assert_eq!(header_len(&wire), Ok(24));
        assert_eq!(packet.extensions().count(), 0);
        assert_eq!(packet.payload(), [0x55]);
    }

    #[test]
    fn each_lie_has_its_error() {
        let with = |first: u8, tail: &[u8]| {
            let mut wire = vec![first, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
            wire.extend(tail);
            RtpPacket::parse(&wire).err()
        };
        assert_eq!(RtpPacket::parse(&PLAIN[..11]).err(), Some(RtpError::Short));
        assert_eq!(with(0x40, &[]), Some(RtpError::Version));
        assert_eq!(with(0x81, &[0, 0, 0]), Some(RtpError::CsrcBeyondEnd));
        assert_eq!(with(0x90, &[0xbe, 0xde, 0]), Some(RtpError::ExtensionBeyondEnd));
        assert_eq!(with(0x90, &[0xbe, 0xde, 0, 1, 0]), Some(RtpError::ExtensionBeyondEnd));
        assert_eq!(with(0xa0, &[]), Some(RtpError::PaddingBeyondEnd));
        assert_eq!(with(0xa0, &[5, 0]), Some(RtpError::PaddingBeyondEnd));
        assert_eq!(with(0xa0, &[5, 3]), Some(RtpError::PaddingBeyondEnd));
        assert_eq!(with(0xa0, &[0, 2]), None);
    }

    #[test]
    fn foreign_extension_profiles_have_no_elements() {
        let wire = [0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x12, 0x34, 0, 1, 0x10, 1, 0, 0];
        let packet = RtpPacket::parse(&wire).unwrap();
        assert!(packet.has_extension_block());
        assert_eq!(packet.extensions().count(), 0);
        assert_eq!(packet.header_len(), 20);
    }

    #[test]
    fn demultiplexing_by_first_bytes() {
        assert!(is_rtp(&PLAIN));
        assert!(!is_rtp(&PLAIN[..11]));
        assert!(!is_rtcp(&PLAIN));
        assert!(is_rtcp(&[0x80, 200, 0, 0]));
        assert!(is_rtcp(&[0xbf, 223, 0, 0]));
        assert!(!is_rtcp(&[0x80, 191, 0, 0]));
        assert!(!is_rtcp(&[0x80, 224, 0, 0]));
        assert!(!is_rtcp(&[0x80, 200, 0]));
        assert!(!is_rtcp(&[0xc0, 200, 0, 0]));
        assert!(!is_rtp(&[0x7f; 12]));
        assert!(!is_rtp(&[]));
    }

    proptest! {
        #[test]
        fn parsing_is_total(mut wire in prop::collection::vec(any::<u8>(), 0..80), force: bool) {
            if let (Some(first), true) = (wire.first_mut(), force) {
                *first = *first & 0x3f | 0x80;
            }
            if let Ok(packet) = RtpPacket::parse(&wire) {
                prop_assert_eq!(packet.header_len() + packet.payload().len() + packet.padding_len(), wire.len());
                prop_assert_eq!(header_len(&wire), Ok(packet.header_len()));
                let total: usize = packet.extensions().map(|(_, value)| value.len()).sum();
                prop_assert!(total <= packet.header_len());
                for id in 0..=255 {
                    let _ = packet.extension(id);
                }
            }
        }

        #[test]
        fn extension_blocks_of_noise_end(noise in prop::collection::vec(any::<u8>(), 0..16), two_byte: bool) {
            let mut wire = vec![0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
            wire.extend(if two_byte { [0x10, 0x0f] } else { [0xbe, 0xde] });
            let words = u8::try_from(noise.len() / 4).unwrap();
            wire.extend([0, words]);
            wire.extend(&noise);
            let packet = RtpPacket::parse(&wire).unwrap();
            prop_assert!(packet.extensions().count() <= noise.len());
            prop_assert!(packet.extensions().all(|(id, _)| id != 0));
        }
    }
}
