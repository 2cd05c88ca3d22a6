//! The template dependency structure: what a sequence's frames have in common, told once with its key frame.
//!
//! Differences between frames and chains are read over: a decoder needs them, a forwarder does not.

use super::bits::Bits;
use super::{
    DECODE_TARGETS_MAX, Frame, Indication, SPATIAL_LAYERS_MAX, TEMPLATES_MAX, TEMPORAL_LAYERS_MAX, place,
};

/// What frames of one kind have in common.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Template {
    pub spatial: u8,
    pub temporal: u8,
    /// By layers: see [`Structure::by_layers`].
    pub indications: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Structure {
    /// The id of the first template.
    id_offset: u8,
    template_count: usize,
    pub decode_target_count: usize,
    pub chain_count: u8,
    /// Where the indication of each decode target goes: the place of its layers.
    places: [u8; DECODE_TARGETS_MAX],
    templates: [Template; TEMPLATES_MAX],
}

impl Structure {
    /// `None` when the bits end inside it, or say what cannot be.
    pub(super) fn parse(bits: &mut Bits<'_>) -> Option<Self> {
        let mut structure = Self {
            id_offset: bits.read(6)?,
            template_count: 0,
            decode_target_count: usize::from(bits.read(5)?) + 1,
            chain_count: 0,
            places: [0; DECODE_TARGETS_MAX],
            templates: [Template::default(); TEMPLATES_MAX],
        };
        let spatial_layers = structure.read_layers(bits)?;
        let count = structure.template_count;
        for index in 0..count {
            structure.templates[index].indications = structure.read_indications(bits)?;
        }
        for _ in 0..count {
            while bits.flag()? {
                bits.skip(4)?;
            }
        }
        structure.read_chains(bits)?;
        structure.place_targets();
        for index in 0..count {
            structure.templates[index].indications =
                structure.by_layers(structure.templates[index].indications);
        }
        if bits.flag()? {
            // Width and height of each spatial layer.
            bits.skip(spatial_layers * 32)?;
        }
        Some(structure)
    }

    /// Returns the number of spatial layers.
    fn read_layers(&mut self, bits: &mut Bits<'_>) -> Option<usize> {
        let mut next = Template::default();
        loop {
            *self.templates.get_mut(self.template_count)? = next;
            self.template_count += 1;
            match bits.read(2)? {
                0 => {}
                1 => next.temporal += 1,
                2 => next = Template { spatial: next.spatial + 1, ..Template::default() },
                _ => return Some(usize::from(next.spatial) + 1),
            }
            if next.spatial >= SPATIAL_LAYERS_MAX || next.temporal >= TEMPORAL_LAYERS_MAX {
                return None;
            }
        }
    }

    /// Two bits for each decode target, the first one's lowest.
    pub(super) fn read_indications(&self, bits: &mut Bits<'_>) -> Option<u64> {
        let mut indications = 0;
        for target in 0..self.decode_target_count {
            indications |= u64::from(bits.read(2)?) << (2 * target);
        }
        Some(indications)
    }

    fn read_chains(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.chain_count = bits.below(u8::try_from(self.decode_target_count + 1).ok()?)?;
        if self.chain_count == 0 {
            return Some(());
        }
        for _ in 0..self.decode_target_count {
            bits.below(self.chain_count)?;
        }
        bits.skip(self.template_count * usize::from(self.chain_count) * 4)
    }

    /// A decode target has the highest layers among the frames that are for it.
    fn place_targets(&mut self) {
        let templates = &self.templates[..self.template_count];
        for (target, own) in self.places[..self.decode_target_count].iter_mut().enumerate() {
            let mut layers = (0, 0);
            for template in templates.iter().filter(|template| template.indications >> (2 * target) & 3 != 0)
            {
                layers = (layers.0.max(template.spatial), layers.1.max(template.temporal));
            }
            *own = place(layers.0, layers.1);
        }
    }

    /// Indications in the order of decode targets, put in the order of their layers. Of two decode targets with the same layers the
    /// first that has the frame counts.
    pub(super) fn by_layers(&self, indications: u64) -> u64 {
        let places = self.places[..self.decode_target_count].iter().enumerate();
        places.fold(0, |placed: u64, (target, place)| {
            let shift = 2 * u32::from(*place);
            if placed >> shift & 3 == 0 {
                placed | (indications >> (2 * target) & 3) << shift
            } else {
                placed
            }
        })
    }

    /// Spatial and temporal layer of each decode target.
    pub(super) fn layers_of_targets(&self) -> impl Iterator<Item = (u8, u8)> {
        let places = &self.places[..self.decode_target_count];
        places.iter().map(|place| (place / TEMPORAL_LAYERS_MAX, place % TEMPORAL_LAYERS_MAX))
    }

    /// The decode targets that a frame is for, one bit each.
    pub(super) fn targets_of(&self, frame: &Frame) -> u32 {
        let is_for = |own: (u8, u8)| frame.indication(own.0, own.1) != Indication::NotPresent;
        let targets = self.layers_of_targets().enumerate();
        targets.filter(|(_, own)| is_for(*own)).fold(0, |mask, (target, _)| mask | 1 << target)
    }

    /// All decode targets, one bit each.
    pub(super) fn all_targets(&self) -> u32 {
        u32::MAX >> (DECODE_TARGETS_MAX - self.decode_target_count)
    }

    /// Ids count on modulo 64 from the structure's first; those of another structure name nothing.
    pub(super) fn template(&self, id: u8) -> Option<&Template> {
        let index = usize::from(id.wrapping_sub(self.id_offset)) % TEMPLATES_MAX;
        self.templates[..self.template_count].get(index)
    }
}
