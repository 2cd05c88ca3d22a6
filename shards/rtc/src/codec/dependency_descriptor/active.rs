//! Which decode targets are alive: told when that changes, here for a receiver that gets fewer layers than were sent.
//!
//! ```text
//!  sent    S|E|template  number   0 0 0 F C  differences, chains
//!  passes  S|E|template  number   0 1 0 F C  mask  differences, chains
//! ```
//! The bits behind the mask move, and mean the same. The first packet of a key frame stays as it is: with the structure that it brings all
//! targets are alive (section A.8.3), and the next packet tells which are.

use super::bits::Bits;
use super::structure::Structure;
use super::{KeptFrame, SPATIAL_LAYERS_MAX};

/// Longest descriptor with a mask put in, bytes: what the one-byte form of header extensions takes. A longer one stays as it is.
pub const REWRITTEN_BYTES_MAX: usize = 16;

/// The bytes that all descriptors have.
const MANDATORY_BYTES: usize = 3;

/// One bit per decode target, the first one's lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Active {
    mask: u32,
    count: u8,
    /// Those of the receiver's layers, be they alive or not.
    own: u32,
    /// By spatial layer, how many temporal layers the highest target that is alive has.
    heights: [u8; SPATIAL_LAYERS_MAX as usize],
}

/// The decode targets of a stream as they are now.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    pub(super) structure: &'a Structure,
    /// Those that the sender keeps alive.
    pub(super) active: u32,
    pub(super) generation: u32,
}

impl Targets<'_> {
    /// Another one after anything has changed.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Those for whom a receiver of these layers gets all; where spatial layers stand alone it gets its own only.
    pub fn within(&self, spatial: u8, temporal: u8, stands_alone: bool) -> Active {
        let has = |own: (u8, u8)| {
            own.1 <= temporal && if stands_alone { own.0 == spatial } else { own.0 <= spatial }
        };
        let mut active = Active { mask: 0, count: 0, own: 0, heights: [0; SPATIAL_LAYERS_MAX as usize] };
        active.count = u8::try_from(self.structure.decode_target_count).unwrap_or(u8::MAX);
        for (target, own) in self.structure.layers_of_targets().enumerate().filter(|(_, own)| has(*own)) {
            active.own |= 1 << target;
            if self.active >> target & 1 == 1 {
                active.mask |= 1 << target;
                if let Some(height) = active.heights.get_mut(usize::from(own.0)) {
                    *height = (*height).max(own.1 + 1);
                }
            }
        }
        active
    }

    /// Whether they are all that are alive.
    pub fn are_all(&self, active: &Active) -> bool {
        active.mask == self.active
    }
}

impl Active {
    pub const fn is_empty(&self) -> bool {
        self.mask == 0
    }

    /// What a packet of this frame tells. One that came late may be of a layer that was revived behind it, or by it: all of the receiver's
    /// targets are alive then, as far as is known.
    #[must_use]
    pub fn told_with(self, frame: &KeptFrame) -> Self {
        let above = self.heights.iter().skip(frame.spatial.into());
        let is_dead = !above.into_iter().any(|height| *height > frame.temporal);
        if is_dead { Self { mask: self.own, ..self } } else { self }
    }

    /// Writes the descriptor `value` with this mask; returns its length. `None` where it stays as it is: no descriptor, one that brings a
    /// structure, or one that would become too long.
    pub fn rewrite(&self, value: &[u8], out: &mut [u8; REWRITTEN_BYTES_MAX]) -> Option<usize> {
        let (mandatory, extended) = value.split_at_checked(MANDATORY_BYTES)?;
        out.fill(0);
        out.get_mut(..MANDATORY_BYTES)?.copy_from_slice(mandatory);
        let mut writer = BitWriter { bytes: out, at: MANDATORY_BYTES * 8 };
        let mut bits = Bits::new(extended);
        let (mut tells_active, mut others) = (false, [false; 3]);
        if !extended.is_empty() {
            if bits.flag()? {
                return None;
            }
            tells_active = bits.flag()?;
            others = [bits.flag()?, bits.flag()?, bits.flag()?];
        }
        [false, true].into_iter().chain(others).try_for_each(|flag| writer.put(flag))?;
        let mut before = u32::MAX;
        if tells_active {
            before = bits.mask(self.count.into())?;
        }
        let mask = self.mask & before;
        (0..self.count).rev().try_for_each(|target| writer.put(mask >> target & 1 == 1))?;
        let mut rest = bits.len();
        // What fills the last byte is not needed.
        if !others.contains(&true) {
            rest = 0;
        }
        for _ in 0..rest {
            writer.put(bits.flag()?)?;
        }
        Some(writer.at.div_ceil(8))
    }
}

/// Into zeros.
struct BitWriter<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl BitWriter<'_> {
    fn put(&mut self, flag: bool) -> Option<()> {
        let byte = self.bytes.get_mut(self.at / 8)?;
        *byte |= u8::from(flag) << (7 - self.at % 8);
        self.at += 1;
        Some(())
    }
}
