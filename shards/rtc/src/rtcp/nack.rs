//! Generic NACK (RFC 4585 §6.2.1).

use super::compound::RtcpError;
use super::feedback::Feedback;
use super::wire::Cursor;

/// Packets one item can ask for: the first and the 16 of its bitmask.
pub const NACK_ITEM_PACKETS_MAX: u16 = 17;

/// A lost packet and the lost ones among the 16 that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NackItem {
    pub packet_id: u16,
    /// Bit 0 stands for `packet_id` + 1.
    pub bitmask: u16,
}

impl NackItem {
    const fn from_bytes(bytes: &[u8; 4]) -> Self {
        let [p0, p1, b0, b1] = *bytes;
        Self { packet_id: u16::from_be_bytes([p0, p1]), bitmask: u16::from_be_bytes([b0, b1]) }
    }

    /// The sequence numbers asked for, in order, wrapping.
    pub fn sequence_numbers(self) -> impl Iterator<Item = u16> {
        (0..NACK_ITEM_PACKETS_MAX)
            .filter(move |offset| *offset == 0 || self.bitmask >> (offset - 1) & 1 == 1)
            .map(move |offset| self.packet_id.wrapping_add(offset))
    }

    pub const fn packet_count(self) -> u32 {
        1 + self.bitmask.count_ones()
    }

    /// The item with `seq` added, or `None` when it is beyond the bitmask.
    const fn with(self, seq: u16) -> Option<Self> {
        match seq.wrapping_sub(self.packet_id) {
            0 => Some(self),
            offset if offset < NACK_ITEM_PACKETS_MAX => {
                Some(Self { packet_id: self.packet_id, bitmask: self.bitmask | 1 << (offset - 1) })
            }
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack<'a> {
    pub sender_ssrc: u32,
    pub media_ssrc: u32,
    items: &'a [[u8; 4]],
}

impl<'a> Nack<'a> {
    /// RFC 4585 §6.2.1: "The FCI field MUST contain at least one and MAY contain more than one Generic
    /// NACK."
    pub(super) fn parse(feedback: Feedback<'a>) -> Result<Self, RtcpError> {
        let (items, _) = feedback.fci.as_chunks();
        if items.is_empty() {
            return Err(feedback.truncated());
        }
        Ok(Self { sender_ssrc: feedback.sender_ssrc, media_ssrc: feedback.media_ssrc, items })
    }

    pub fn items(&self) -> impl ExactSizeIterator<Item = NackItem> + use<'a> {
        self.items.iter().map(NackItem::from_bytes)
    }

    /// All sequence numbers asked for; a peer may name one twice.
    pub fn sequence_numbers(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.items().flat_map(NackItem::sequence_numbers)
    }
}

/// Packs sequence numbers, in order and wrapping, into items.
pub(super) fn write(out: &mut Cursor<'_>, seqs: impl IntoIterator<Item = u16>) -> Option<()> {
    let mut seqs = seqs.into_iter();
    let mut item = NackItem { packet_id: seqs.next()?, bitmask: 0 };
    for seq in seqs {
        item = match item.with(seq) {
            Some(item) => item,
            None => {
                put(out, item)?;
                NackItem { packet_id: seq, bitmask: 0 }
            }
        };
    }
    put(out, item)
}

fn put(out: &mut Cursor<'_>, item: NackItem) -> Option<()> {
    out.put_u16(item.packet_id)?;
    out.put_u16(item.bitmask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Compound, CompoundWriter, RtcpPacket};

    fn sequence_numbers(wire: &[u8]) -> Vec<u16> {
        match Compound::new(wire).next().unwrap().unwrap() {
            RtcpPacket::Nack(nack) => nack.sequence_numbers().collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn hand_made_bytes() {
        let wire = [0x81, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0x80, 0x01, 0, 100, 0, 0];
        assert_eq!(sequence_numbers(&wire), [65535, 0, 15, 100]);
        let mut out = [0; 20];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.nack(1, 2, [65535, 0, 15, 100]), Some(20));
        assert_eq!(writer.as_bytes(), wire);
    }

    #[test]
    fn the_seventeenth_follower_needs_an_item_of_its_own() {
        let mut out = [0; 64];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.nack(1, 2, 0..=16), Some(16));
        assert_eq!(writer.nack(1, 2, 0..=17), Some(20));
        assert_eq!(NackItem { packet_id: 0, bitmask: 0xffff }.packet_count(), 17);
    }

    #[test]
    fn an_empty_nack_is_none() {
        let mut out = [0; 64];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.nack(1, 2, []), None);
        assert!(writer.is_empty());
        let wire = [0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let error = Compound::new(&wire).next().unwrap().err();
        assert_eq!(error, Some(RtcpError::Truncated { packet_type: 205 }));
    }

    proptest! {
        #[test]
        fn sequence_numbers_round_trip(start: u16, gaps in prop::collection::vec(1u16..40, 0..200)) {
            let mut seqs = vec![start];
            for gap in gaps {
                seqs.push(seqs.last().unwrap().wrapping_add(gap));
            }
            let mut out = [0; 1292];
            let mut writer = CompoundWriter::new(&mut out);
            writer.nack(1, 2, seqs.iter().copied()).unwrap();
            prop_assert_eq!(sequence_numbers(writer.as_bytes()), seqs);
        }
    }
}
