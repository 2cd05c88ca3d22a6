//! The header of a forwarded packet: what is common to all consumers once, the rest per consumer.
//!
//! ```text
//! once per incoming packet           ExtensionBlock: mapped elements, ready for the wire
//! once per consumer                  12 bytes | CSRCs | profile, length | elements | MID, stamp | pad
//!                                    ^ HeaderFields                     ^ copy     ^ own
//! ```
//!
//! A receiver's own elements go behind those of the block: its name for the stream, and when and as
//! which of its transport's packets this one is sent. CSRCs and, when the caller appends them,
//! padding bytes go through unchanged: a mixer in front of the router stays visible behind it.

use super::ExtensionBlock;
use super::block::write_element;
use super::element::{ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};
use super::packet::{
    EXTENSION_BIT, EXTENSION_HEADER_LEN, FIXED_HEADER_LEN, MARKER_BIT, PADDING_BIT, VERSION,
};
use super::stamp::Stamp;

/// Most CSRCs a header names (RFC 3550 §5.1: four bits), in bytes.
const CSRC_BYTES_MAX: usize = 15 * 4;
/// The original sequence number in front of an RTX payload (RFC 4588 §4), in bytes.
pub const ORIGINAL_SEQUENCE_NUMBER_LEN: usize = 2;

/// What one consumer's header says.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeaderFields<'a> {
    /// 0 to 127.
    pub payload_type: u8,
    pub marker: bool,
    /// Whether the caller appends the packet's padding behind the payload.
    pub padding: bool,
    pub sequence_number: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// CSRC list in wire form: a multiple of four bytes, 60 at most (`RtpPacket::csrc_bytes`).
    pub csrcs: &'a [u8],
    /// Element id and value of the consumer's MID: up to 16 bytes and id 14 unless the block is in the
    /// two-byte form.
    pub mid: Option<(u8, &'a [u8])>,
    /// Ids up to 14 unless the block is in the two-byte form.
    pub stamp: Stamp,
}

/// Writes the header with its extension and returns its length; the payload goes behind it.
///
/// `None` when `out` is too small, or the CSRC list, MID or stamp cannot be encoded.
#[inline]
pub fn write_header(out: &mut [u8], fields: &HeaderFields<'_>, block: &ExtensionBlock) -> Option<usize> {
    let csrc_len = fields.csrcs.len();
    if !csrc_len.is_multiple_of(4) || csrc_len > CSRC_BYTES_MAX {
        return None;
    }
    let elements_len = block.len_with_own(fields.mid, &fields.stamp)?;
    let has_extension = elements_len > 0;
    let extensions_at = FIXED_HEADER_LEN + csrc_len;
    let padded_len = elements_len.next_multiple_of(4);
    let header_len = extensions_at + if has_extension { EXTENSION_HEADER_LEN + padded_len } else { 0 };

    let header = out.get_mut(..header_len)?;
    let (fixed, rest) = header.split_first_chunk_mut::<FIXED_HEADER_LEN>()?;
    *fixed = fixed_header(fields, has_extension);
    let (csrcs, rest) = rest.split_at_mut_checked(csrc_len)?;
    copy_if_any(csrcs, fields.csrcs);
    if has_extension {
        write_block(rest, block, fields, padded_len)?;
    }
    Some(header_len)
}

/// Writes the header of a retransmission and the original sequence number that begins its payload
/// (RFC 4588 §4); `fields` carry the payload type, sequence number and SSRC of the RTX stream.
/// Returns the length of both; the original payload goes behind them.
#[inline]
pub fn write_rtx_header(
    out: &mut [u8],
    fields: &HeaderFields<'_>,
    original_sequence_number: u16,
    block: &ExtensionBlock,
) -> Option<usize> {
    let header_len = write_header(out, fields, block)?;
    let rest = out.get_mut(header_len..)?;
    *rest.first_chunk_mut::<ORIGINAL_SEQUENCE_NUMBER_LEN>()? = original_sequence_number.to_be_bytes();
    Some(header_len + ORIGINAL_SEQUENCE_NUMBER_LEN)
}

#[allow(clippy::cast_possible_truncation, reason = "a CSRC list has at most 15 entries")]
fn fixed_header(fields: &HeaderFields<'_>, has_extension: bool) -> [u8; FIXED_HEADER_LEN] {
    let padding = if fields.padding { PADDING_BIT } else { 0 };
    let extension = if has_extension { EXTENSION_BIT } else { 0 };
    let marker = if fields.marker { MARKER_BIT } else { 0 };
    let first = VERSION << 6 | padding | extension | (fields.csrcs.len() / 4) as u8;
    let second = marker | (fields.payload_type & !MARKER_BIT);
    let [s0, s1] = fields.sequence_number.to_be_bytes();
    let [t0, t1, t2, t3] = fields.timestamp.to_be_bytes();
    let [i0, i1, i2, i3] = fields.ssrc.to_be_bytes();
    [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]
}

/// Most headers have neither CSRCs nor elements of the router's: to ask costs less than the call that copies nothing.
#[inline]
fn copy_if_any(to: &mut [u8], from: &[u8]) {
    if !from.is_empty() {
        to.copy_from_slice(from);
    }
}

/// Profile, length in words, elements, MID, stamp and zeros up to `padded_len`.
fn write_block(
    out: &mut [u8],
    block: &ExtensionBlock,
    fields: &HeaderFields<'_>,
    padded_len: usize,
) -> Option<()> {
    let profile = if block.is_two_byte() { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE };
    let words = u16::try_from(padded_len / 4).ok()?;
    let (head, rest) = out.split_first_chunk_mut::<EXTENSION_HEADER_LEN>()?;
    let [p0, p1] = profile.to_be_bytes();
    let [w0, w1] = words.to_be_bytes();
    *head = [p0, p1, w0, w1];
    // Before the rest: at most three bytes at the end stay unwritten by what follows.
    if let Some(last) = rest.last_chunk_mut::<4>() {
        *last = [0; 4];
    }
    let bytes = block.wire_form();
    let (elements, mut rest) = rest.split_at_mut_checked(bytes.len())?;
    copy_if_any(elements, bytes);
    if let Some((id, value)) = fields.mid {
        let written = write_element(rest, block.is_two_byte(), id, value)?;
        rest = rest.get_mut(written..)?;
    }
    fields.stamp.write(rest, block.is_two_byte())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtp::extension::{encode_abs_send_time, encode_transport_wide_cc};
    use crate::rtp::{ExtensionMap, RtpPacket};

    const FIELDS: HeaderFields<'static> = HeaderFields {
        payload_type: 101,
        marker: true,
        padding: false,
        sequence_number: 0x0102,
        timestamp: 0x0304_0506,
        ssrc: 0x0708_090a,
        csrcs: &[],
        mid: None,
        stamp: Stamp::NONE,
    };

    #[test]
    fn bare_header_has_twelve_bytes() {
        let mut out = [0xff; 12];
        assert_eq!(write_header(&mut out, &FIELDS, &ExtensionBlock::new()), Some(12));
        assert_eq!(out, [0x80, 0xe5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(write_header(&mut out[..11], &FIELDS, &ExtensionBlock::new()), None);
    }

    #[test]
    fn one_byte_form_with_mid_and_csrcs() {
        let mut block = ExtensionBlock::new();
        assert!(block.push(5, &[0xab, 0xcd]));
        let fields = HeaderFields { csrcs: &[0, 0, 0, 9], mid: Some((1, b"m")), ..FIELDS };
        let mut out = [0xff; 40];
        assert_eq!(write_header(&mut out, &fields, &block), Some(28));
        assert_eq!(out[0], 0x91);
        assert_eq!(out[12..28], [0, 0, 0, 9, 0xbe, 0xde, 0, 2, 0x51, 0xab, 0xcd, 0x10, b'm', 0, 0, 0]);
    }

    #[test]
    fn two_byte_wire_form() {
        let mut block = ExtensionBlock::new();
        assert!(block.push(20, &[1]));
        let fields = HeaderFields { mid: Some((1, b"0")), ..FIELDS };
        let mut out = [0xff; 40];
        assert_eq!(write_header(&mut out, &fields, &block), Some(24));
        assert_eq!(out[12..24], [0x10, 0, 0, 2, 20, 1, 1, 1, 1, b'0', 0, 0]);
    }

    #[test]
    fn what_cannot_be_encoded_is_refused() {
        let mut block = ExtensionBlock::new();
        assert!(!block.push(0, &[1]));
        assert!(!block.push(1, &[0; 256]));
        assert!(block.push(1, &[0; 255]));
        assert!(block.push(2, &[0; 251]));
        assert!(!block.push(3, &[0; 1]));
        assert!(block.push(3, &[]));
        let mut out = [0; 600];
        let too_long = HeaderFields { mid: Some((1, &[b'x'; 17])), ..FIELDS };
        assert_eq!(write_header(&mut out, &too_long, &ExtensionBlock::new()), None);
        assert_eq!(write_header(&mut out, &too_long, &block), Some(16 + 532));
        let ragged = HeaderFields { csrcs: &[0; 3], ..FIELDS };
        assert_eq!(write_header(&mut out, &ragged, &ExtensionBlock::new()), None);
        let many = HeaderFields { csrcs: &[0; 64], ..FIELDS };
        assert_eq!(write_header(&mut out, &many, &ExtensionBlock::new()), None);
    }

    /// RFC 4588 §4: the original sequence number is the first two bytes of the payload.
    #[test]
    fn retransmission_carries_the_original_sequence_number() {
        let fields = HeaderFields { mid: Some((1, b"a")), ..FIELDS };
        let mut out = [0; 64];
        let len = write_rtx_header(&mut out, &fields, 0xbeef, &ExtensionBlock::new()).unwrap();
        let packet = RtpPacket::parse(&out[..len]).unwrap();
        assert_eq!(packet.payload(), [0xbe, 0xef]);
        assert_eq!(packet.extension(1), Some(&b"a"[..]));
        assert_eq!(write_rtx_header(&mut out[..len - 1], &fields, 1, &ExtensionBlock::new()), None);
    }

    /// Behind the MID: absolute send time, then the transport-wide sequence number.
    #[test]
    fn stamps_are_written_behind_everything_else() {
        let stamp = Stamp { abs_send_time: Some((4, 0x0001_0203)), transport_wide_cc: Some((5, 0x0a0b)) };
        let fields = HeaderFields { mid: Some((1, b"m")), stamp, ..FIELDS };
        let mut out = [0xff; 40];
        let mut block = ExtensionBlock::new();
        assert!(block.push(7, &[9]));
        assert_eq!(write_header(&mut out, &fields, &block), Some(28));
        assert_eq!(out[12..28], [0xbe, 0xde, 0, 3, 0x70, 9, 0x10, b'm', 0x42, 1, 2, 3, 0x51, 0x0a, 0x0b, 0]);
        let alone = HeaderFields { stamp, ..FIELDS };
        assert_eq!(write_header(&mut out, &alone, &ExtensionBlock::new()), Some(24));
        assert_eq!(write_header(&mut out[..23], &alone, &ExtensionBlock::new()), None);
        let wide = Stamp { transport_wide_cc: Some((200, 1)), ..Stamp::default() };
        let wide = HeaderFields { stamp: wide, ..FIELDS };
        assert_eq!(write_header(&mut out, &wide, &ExtensionBlock::new()), None, "no id of the one-byte form");
        assert_eq!(write_header(&mut out, &wide, &ExtensionBlock::two_byte()), Some(20));
        assert_eq!(out[12..20], [0x10, 0, 0, 1, 200, 2, 0, 1]);
    }

    proptest! {
        #[test]
        fn written_headers_parse_back(
            elements in prop::collection::vec((1u8..20, prop::collection::vec(any::<u8>(), 0..24)), 0..8),
            mid in prop::option::of(prop::collection::vec(any::<u8>(), 1..9)),
            sent_at in prop::option::of(0u32..1 << 24),
            number in prop::option::of(any::<u16>()),
            two_byte: bool,
            csrc_count in 0usize..16,
            garbage: u8,
        ) {
            let mut block = if two_byte { ExtensionBlock::two_byte() } else { ExtensionBlock::new() };
            for (id, value) in &elements {
                prop_assert!(block.push(*id, value));
            }
            let (time_id, number_id) = if block.is_two_byte() { (200, 201) } else { (13, 14) };
            let stamp = Stamp {
                abs_send_time: sent_at.map(|at| (time_id, at)),
                transport_wide_cc: number.map(|number| (number_id, number)),
            };
            let csrcs = vec![3; csrc_count * 4];
            let mid = mid.as_deref().map(|mid| (1, mid));
            let fields = HeaderFields { csrcs: &csrcs, mid, stamp, ..FIELDS };
            let mut out = [garbage; 1500];
            let len = write_header(&mut out, &fields, &block).unwrap();
            let packet = RtpPacket::parse(&out[..len]).unwrap();
            prop_assert_eq!(packet.header_len(), len);
            prop_assert_eq!(packet.csrc_bytes(), &csrcs[..]);
            prop_assert_eq!((packet.payload_type(), packet.marker()), (101, true));
            prop_assert_eq!((packet.sequence_number(), packet.timestamp(), packet.ssrc()), (0x0102, 0x0304_0506, 0x0708_090a));
            let time = sent_at.map(encode_abs_send_time);
            let number = number.map(encode_transport_wide_cc);
            let expected: Vec<_> = elements.iter().map(|(id, value)| (*id, &value[..])).chain(mid)
                .chain(time.as_ref().map(|time| (time_id, &time[..])))
                .chain(number.as_ref().map(|number| (number_id, &number[..]))).collect();
            prop_assert_eq!(packet.extensions().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn mapping_noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200), size in 0usize..700) {
            let mut wire = vec![0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x10, 0, 0];
            wire.push(u8::try_from(noise.len() / 4).unwrap());
            wire.extend(&noise);
            let packet = RtpPacket::parse(&wire).unwrap();
            let mut map = ExtensionMap::new();
            (1..=255).for_each(|id| map.set(id, id.wrapping_mul(7)));
            let block = ExtensionBlock::from_packet(&packet, &map);
            let mut out = vec![0; size];
            if let Some(len) = write_header(&mut out, &FIELDS, &block) {
                prop_assert!(RtpPacket::parse(&out[..len]).is_ok());
            }
        }
    }
}
