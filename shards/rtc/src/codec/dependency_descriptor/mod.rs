//! The dependency descriptor: what a frame is to whom, told in a header extension so that payloads can stay closed.
//!
//! RTP Payload Format for AV1, appendix A. AV1 tells its layers and key frames here only, H264 its temporal layers.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+
//! |S|E| template  |  first and last packet of the frame
//! | frame number  |  two bytes
//! |T|A|D|F|C| …      only when there is more: a template structure, which decode targets are alive,
//!                    and what differs from the template (indications, frame differences, chains)
//! ```
//! A structure comes with the first packet of a key frame and holds until the next one comes.

mod active;
mod bits;
mod structure;
pub mod writer;

pub use active::{Active, REWRITTEN_BYTES_MAX, Targets};
use bits::Bits;
use structure::Structure;

/// Templates of a structure: their ids have six bits.
pub const TEMPLATES_MAX: usize = 64;

/// Decode targets of a structure: their count less one has five bits.
pub const DECODE_TARGETS_MAX: usize = 32;

/// Spatial layers: AV1's `spatial_id` has two bits (AV1 specification section 5.3.3).
pub const SPATIAL_LAYERS_MAX: u8 = 4;

/// Temporal layers: AV1's `temporal_id` has three bits.
pub const TEMPORAL_LAYERS_MAX: u8 = 8;

/// There is a place of two bits for each pair of layers.
const _: () = assert!(2 * SPATIAL_LAYERS_MAX as u32 * TEMPORAL_LAYERS_MAX as u32 == u64::BITS);

/// What a frame is to a decode target (table A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indication {
    /// Not part of it.
    NotPresent,
    /// No later frame of it refers to this one.
    Discardable,
    /// Whoever can decode this one can decode all that follows of it.
    Switch,
    Required,
}

/// A packet's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Below `SPATIAL_LAYERS_MAX`.
    pub spatial: u8,
    /// Below `TEMPORAL_LAYERS_MAX`.
    pub temporal: u8,
    /// First packet of the frame.
    pub starts_frame: bool,
    /// Last packet of the frame.
    pub ends_frame: bool,
    /// First packet of a sequence that refers to nothing before it.
    pub is_key_frame: bool,
    /// Two bits for each pair of layers.
    indications: u64,
}

/// What is to be remembered of a frame for who asks for its packets again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptFrame {
    pub spatial: u8,
    pub temporal: u8,
    pub ends_frame: bool,
    pub is_key_frame: bool,
    pub is_for_higher: bool,
}

/// The bits of a pair of layers, counted in indications.
const fn place(spatial: u8, temporal: u8) -> u8 {
    spatial * TEMPORAL_LAYERS_MAX + temporal
}

impl Frame {
    /// What the frame is to the decode target with these highest layers; not present where there is none.
    pub fn indication(&self, spatial: u8, temporal: u8) -> Indication {
        if spatial >= SPATIAL_LAYERS_MAX || temporal >= TEMPORAL_LAYERS_MAX {
            return Indication::NotPresent;
        }
        match self.indications >> (2 * place(spatial, temporal)) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }

    /// Whether a receiver of this frame can take everything of a spatial layer up to this temporal layer from now on (section A.7).
    pub fn opens(&self, spatial: u8, temporal: u8) -> bool {
        (temporal..TEMPORAL_LAYERS_MAX)
            .any(|temporal| self.indication(spatial, temporal) == Indication::Switch)
    }

    /// Whether receivers of a higher spatial layer need the frame.
    pub fn is_for_higher(&self) -> bool {
        let own_and_lower = 2 * u32::from(place(self.spatial + 1, 0));
        self.indications.checked_shr(own_and_lower).is_some_and(|higher| higher != 0)
    }

    pub fn kept(&self) -> KeptFrame {
        KeptFrame {
            spatial: self.spatial,
            temporal: self.temporal,
            ends_frame: self.ends_frame,
            is_key_frame: self.is_key_frame,
            is_for_higher: self.is_for_higher(),
        }
    }
}

/// Reads the descriptors of one stream.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    structure: Option<Structure>,
    /// The packet that brought it.
    since: u64,
    /// The one before and the packet that brought that, for those that come late.
    previous: Option<(u64, Structure)>,
    /// The decode targets that are alive, by the packet that told it last.
    active: u32,
    active_since: u64,
    /// Counts changes of either.
    generation: u32,
}

impl Reader {
    /// Reads the value of packet `seq`'s element. `None` when it is no descriptor, or names a template of a structure that did not come
    /// (yet): then nothing is known of the frame.
    pub fn read(&mut self, seq: u64, value: &[u8]) -> Option<Frame> {
        let ([first, _, _], extended) = value.split_first_chunk()?;
        if extended.is_empty() {
            let frame = frame(self.structure_of(seq)?, *first, None)?;
            self.note_alive(seq, &frame);
            return Some(frame);
        }
        let mut bits = Bits::new(extended);
        let brings_structure = bits.flag()?;
        let tells_active = bits.flag()?;
        let (has_indications, has_differences, has_chains) = (bits.flag()?, bits.flag()?, bits.flag()?);
        let brought = if brings_structure { Some(self.parse_structure(seq, &mut bits)?) } else { None };
        let structure = brought.as_ref().or_else(|| self.structure_of(seq))?;
        let active = if tells_active { Some(bits.mask(structure.decode_target_count)?) } else { None };
        let indications = if has_indications { Some(structure.read_indications(&mut bits)?) } else { None };
        if has_differences {
            skip_differences(&mut bits)?;
        }
        if has_chains {
            bits.skip(usize::from(structure.chain_count) * 8)?;
        }
        let frame = frame(structure, *first, indications)?;
        if let Some(structure) = brought {
            self.note_structure(seq, structure, active);
        } else if let Some(active) = active.filter(|_| seq >= self.active_since) {
            self.note_active(seq, active, active != self.active);
        } else {
            self.note_alive(seq, &frame);
        }
        Some(Frame { is_key_frame: brings_structure, ..frame })
    }

    /// The structure that a packet's frame is told by, as far as it came.
    fn structure_of(&self, seq: u64) -> Option<&Structure> {
        if seq >= self.since {
            return self.structure.as_ref();
        }
        self.previous.as_ref().filter(|(since, _)| seq >= *since).map(|(_, structure)| structure)
    }

    fn parse_structure(&mut self, seq: u64, bits: &mut Bits<'_>) -> Option<Structure> {
        let structure = Structure::parse(bits);
        if structure.is_none() && seq > self.since {
            // What follows is not told by the one before.
            let since = std::mem::replace(&mut self.since, seq);
            self.previous = self.structure.take().map(|previous| (since, previous));
        }
        structure
    }

    /// Whether any structure came that may hold now.
    pub fn has_structure(&self) -> bool {
        self.structure.is_some()
    }

    fn note_structure(&mut self, seq: u64, structure: Structure, active: Option<u32>) {
        if self.structure.is_none() || seq >= self.since {
            self.note_active(seq, active.unwrap_or_else(|| structure.all_targets()), true);
            let since = std::mem::replace(&mut self.since, seq);
            let before = self.structure.replace(structure).map(|before| (since, before));
            // The same packet may come twice.
            self.previous = before.filter(|_| since != seq).or_else(|| self.previous.take());
        } else if self.previous.as_ref().is_none_or(|(since, _)| seq >= *since) {
            // It comes late, of an earlier sequence.
            self.previous = Some((seq, structure));
        }
    }

    /// A frame of dead decode targets only tells that they are alive again: what says so is late, or lost. That still counts when it comes.
    #[inline]
    fn note_alive(&mut self, seq: u64, frame: &Frame) {
        let Some(structure) = &self.structure else { return };
        let all = structure.all_targets();
        if self.active != all && seq > self.active_since.max(self.since) {
            let own = structure.targets_of(frame);
            if own & self.active == 0 {
                self.active |= own;
                self.generation = self.generation.wrapping_add(1);
            }
        }
    }

    fn note_active(&mut self, seq: u64, active: u32, has_changed: bool) {
        (self.active, self.active_since) = (active, seq);
        self.generation = self.generation.wrapping_add(u32::from(has_changed));
    }

    /// The stream's decode targets, once they are known.
    pub fn targets(&self) -> Option<Targets<'_>> {
        let structure = self.structure.as_ref()?;
        Some(Targets { structure, active: self.active, generation: self.generation })
    }

    /// The sender began anew.
    pub fn reset(&mut self) {
        *self = Self { generation: self.generation.wrapping_add(1), ..Self::default() };
    }
}

/// A frame by its template, but for indications of its own.
fn frame(structure: &Structure, first: u8, indications: Option<u64>) -> Option<Frame> {
    let template = structure.template(first & 0x3f)?;
    Some(Frame {
        spatial: template.spatial,
        temporal: template.temporal,
        starts_frame: first & 0x80 != 0,
        ends_frame: first & 0x40 != 0,
        is_key_frame: false,
        indications: indications.map_or(template.indications, |own| structure.by_layers(own)),
    })
}

/// Differences of 4, 8 or 12 bits, each behind the number of its half bytes.
fn skip_differences(bits: &mut Bits<'_>) -> Option<()> {
    loop {
        match bits.read(2)? {
            0 => return Some(()),
            half_bytes => bits.skip(4 * usize::from(half_bytes))?,
        }
    }
}

#[cfg(test)]
mod tests;
