//! What is done to a valid message to see what becomes of it.

use arbitrary::Arbitrary;

#[derive(Debug, Arbitrary)]
pub enum Change {
    Byte {
        at: u16,
        value: u8,
    },
    Flip {
        at: u16,
        bit: u8,
    },
    /// Little-endian words are what offsets and lengths are made of.
    Word {
        at: u16,
        value: u32,
    },
    /// Small steps move an offset to a neighbour.
    Add {
        at: u16,
        step: i8,
    },
    Truncate {
        len: u16,
    },
    Extend {
        byte: u8,
        len: u8,
    },
}

impl Change {
    pub fn apply(&self, frame: &mut Vec<u8>) {
        let place = |at: u16, len: usize| (len > 0).then(|| usize::from(at) % len.max(1));
        let len = frame.len();
        match *self {
            Self::Byte { at, value } => {
                if let Some(at) = place(at, len) {
                    frame[at] = value;
                }
            }
            Self::Flip { at, bit } => {
                if let Some(at) = place(at, len) {
                    frame[at] ^= 1 << (bit % 8);
                }
            }
            Self::Word { at, value } => {
                let at = usize::from(at) / 4 * 4 % len.max(1);
                if let Some(word) = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
                    *word = value.to_le_bytes();
                }
            }
            Self::Add { at, step } => {
                let at = usize::from(at) / 2 * 2 % len.max(1);
                if let Some(byte) = frame.get_mut(at) {
                    *byte = byte.wrapping_add_signed(step);
                }
            }
            Self::Truncate { len } => frame.truncate(usize::from(len)),
            Self::Extend { byte, len } => frame.resize(frame.len() + usize::from(len), byte),
        }
    }
}
