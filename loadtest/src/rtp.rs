//! RTP as the harness needs it: a header writer for publishers and the few fields a receiver counts by.
//!
//! Written apart from the worker's own parser on purpose: a mistake shared by both would not show.

/// RFC 3550 5.1.
pub(crate) const FIXED_HEADER_BYTES: usize = 12;
const VERSION_2: u8 = 0x80;
const EXTENSION_BIT: u8 = 0x10;
const PADDING_BIT: u8 = 0x20;
const CSRC_COUNT_MASK: u8 = 0x0F;
const MARKER_BIT: u8 = 0x80;
/// RFC 8285 4.2, the one-byte header form.
const ONE_BYTE_PROFILE: [u8; 2] = [0xBE, 0xDE];
const EXTENSION_WORD: usize = 4;

/// One header extension element: id 1..=14 and 1..=16 bytes.
pub(crate) type Extension<'a> = (u8, &'a [u8]);

/// The fields a publisher sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Header {
    /// Bytes the header takes with `extensions`.
    pub(crate) fn length(extensions: &[Extension<'_>]) -> usize {
        if extensions.is_empty() {
            return FIXED_HEADER_BYTES;
        }
        let elements: usize = extensions.iter().map(|(_, value)| 1 + value.len()).sum();
        FIXED_HEADER_BYTES + EXTENSION_WORD + elements.next_multiple_of(EXTENSION_WORD)
    }

    /// Writes the header at the front of `out` and returns its length, or `None` when `out` is too short
    /// or an extension does not fit the one-byte form.
    pub(crate) fn write(&self, extensions: &[Extension<'_>], out: &mut [u8]) -> Option<usize> {
        let length = Self::length(extensions);
        let out = out.get_mut(..length)?;
        out[0] = VERSION_2 | if extensions.is_empty() { 0 } else { EXTENSION_BIT };
        out[1] = self.payload_type | if self.marker { MARKER_BIT } else { 0 };
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        if extensions.is_empty() {
            return Some(length);
        }
        let block = &mut out[FIXED_HEADER_BYTES..];
        block.fill(0);
        let words = u16::try_from(block.len() / EXTENSION_WORD - 1).ok()?;
        block[..2].copy_from_slice(&ONE_BYTE_PROFILE);
        block[2..4].copy_from_slice(&words.to_be_bytes());
        let mut at = EXTENSION_WORD;
        for (id, value) in extensions {
            let size = u8::try_from(value.len().checked_sub(1)?).ok().filter(|size| *size < 16)?;
            block[at] = (id << 4) | size;
            block[at + 1..=at + value.len()].copy_from_slice(value);
            at += 1 + value.len();
        }
        Some(length)
    }
}

/// What a receiver reads of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View<'a> {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: &'a [u8],
}

/// True for the packet types RFC 5761 4 reserves for RTCP on a shared port.
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// Reads a packet; `None` for anything that is not well-formed RTP version 2.
pub(crate) fn parse(packet: &[u8]) -> Option<View<'_>> {
    let header = packet.get(..FIXED_HEADER_BYTES)?;
    if header[0] & 0xC0 != VERSION_2 {
        return None;
    }
    let mut payload_at = FIXED_HEADER_BYTES + usize::from(header[0] & CSRC_COUNT_MASK) * 4;
    if header[0] & EXTENSION_BIT != 0 {
        let size = packet.get(payload_at + 2..payload_at + 4)?;
        payload_at += EXTENSION_WORD + usize::from(u16::from_be_bytes([size[0], size[1]])) * EXTENSION_WORD;
    }
    let mut payload = packet.get(payload_at..)?;
    if header[0] & PADDING_BIT != 0 {
        let padding = usize::from(*payload.last()?);
        payload = payload.get(..payload.len().checked_sub(padding)?)?;
    }
    Some(View {
        payload_type: header[1] & !MARKER_BIT,
        marker: header[1] & MARKER_BIT != 0,
        sequence: u16::from_be_bytes([header[2], header[3]]),
        timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_written_header_reads_back() {
        let header = Header { payload_type: 101, marker: true, sequence: 65_535, timestamp: 7, ssrc: 9 };
        for extensions in [&[][..], &[(1, b"mid7".as_slice()), (6, &[0x91])]] {
            let mut packet = [0xAA; 64];
            let length = header.write(extensions, &mut packet).unwrap();
            assert_eq!(length % 4, 0);
            let view = parse(&packet).unwrap();
            assert_eq!((view.payload_type, view.sequence, view.timestamp, view.ssrc), (101, 65_535, 7, 9));
            assert_eq!(view.payload.len(), packet.len() - length);
            assert!(!is_rtcp(&packet));
        }
    }

    #[test]
    fn extensions_take_the_one_byte_form() {
        let header = Header { payload_type: 100, marker: false, sequence: 1, timestamp: 2, ssrc: 3 };
        let mut packet = [0; 20];
        assert_eq!(header.write(&[(6, &[0x8F])], &mut packet), Some(20));
        assert_eq!(packet[12..], [0xBE, 0xDE, 0, 1, 0x60, 0x8F, 0, 0]);
        assert_eq!(header.write(&[(6, &[0x8F])], &mut packet[..19]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe_to_parse(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
        }
    }
}
