//! What a camera leaves in each packet of a picture beside the stamp: which part of which frame it is, and what that frame
//! needs. Receivers judge by it what a decoder could have shown, whatever the worker wrote into the payload's descriptor.
//!
//! As in a stamp, every byte has its high bit set.

use crate::stamp::{read_digits, write_digits};

/// Bytes of one mark.
pub(crate) const MARK_BYTES: usize = NUMBER_DIGITS + 2 * PACKET_DIGITS + REFERENCES + LAYER_DIGITS;
/// Four digits of seven bits: a stream's frames of three months.
const NUMBER_DIGITS: usize = 4;
/// Two digits: 16,384 packets of a frame.
const PACKET_DIGITS: usize = 2;
const LAYER_DIGITS: usize = 1;
/// To the layer below and to a picture before.
pub(crate) const REFERENCES: usize = 2;
/// Frames that differ by a multiple of this have the same number.
pub(crate) const NUMBERS: u32 = 1 << (7 * NUMBER_DIGITS);

const KEY: u8 = 0x10;

/// One packet's place. Of a picture in spatial layers, each is a frame of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Counts the stream's frames.
    pub(crate) number: u32,
    /// Which packet of the frame, and of how many.
    pub(crate) index: u16,
    pub(crate) packets: u16,
    /// The frames it cannot be decoded without, as distances back; 0 is none.
    pub(crate) references: [u8; REFERENCES],
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// Of a key picture, in any layer.
    pub(crate) is_key: bool,
}

impl Mark {
    /// Writes it at the front of `out`; false when it does not fit.
    pub(crate) fn write(&self, out: &mut [u8]) -> bool {
        let Some(out) = out.get_mut(..MARK_BYTES) else { return false };
        let (number, rest) = out.split_at_mut(NUMBER_DIGITS);
        let (index, rest) = rest.split_at_mut(PACKET_DIGITS);
        let (packets, rest) = rest.split_at_mut(PACKET_DIGITS);
        let (references, layers) = rest.split_at_mut(REFERENCES);
        write_digits(u64::from(self.number), number);
        write_digits(u64::from(self.index), index);
        write_digits(u64::from(self.packets), packets);
        for (out, distance) in references.iter_mut().zip(self.references) {
            write_digits(u64::from(distance), std::slice::from_mut(out));
        }
        let key = if self.is_key { KEY } else { 0 };
        write_digits(u64::from(key | (self.spatial & 3) << 2 | self.temporal & 3), layers);
        true
    }

    /// Reads the mark at the front of `bytes`.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..MARK_BYTES)?;
        let (number, rest) = bytes.split_at(NUMBER_DIGITS);
        let (index, rest) = rest.split_at(PACKET_DIGITS);
        let (packets, rest) = rest.split_at(PACKET_DIGITS);
        let (references, layers) = rest.split_at(REFERENCES);
        let small = |digits: &[u8]| u16::try_from(read_digits(digits)).unwrap_or_default();
        let [one, other] = [references[0], references[1]].map(|byte| small(&[byte]).to_le_bytes()[0]);
        let layers = small(layers).to_le_bytes()[0];
        Some(Self {
            number: u32::try_from(read_digits(number)).ok()?,
            index: small(index),
            packets: small(packets),
            references: [one, other],
            spatial: layers >> 2 & 3,
            temporal: layers & 3,
            is_key: layers & KEY != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in 0..NUMBERS, (index, packets) in (0_u16..1 << 14, 0_u16..1 << 14), references in [0_u8..128, 0_u8..128],
            spatial in 0_u8..4, temporal in 0_u8..4, is_key: bool,
        ) {
            let mark = Mark { number, index, packets, references, spatial, temporal, is_key };
            let mut bytes = [0; MARK_BYTES];
            prop_assert!(mark.write(&mut bytes));
            prop_assert!(bytes.iter().all(|byte| byte & 0x80 != 0));
            prop_assert_eq!(Mark::read(&bytes), Some(mark));
            prop_assert!(!mark.write(&mut bytes[1..]));
        }

        #[test]
        fn any_bytes_are_safe_to_read(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = Mark::read(&bytes);
        }
    }
}
