//! The dependency structure of a mode: decode targets, chains and templates (RTP Payload Format for AV1, appendix A).
//!
//! Nothing here is a table copied from somewhere: what a frame is to a decode target follows from what later frames truly
//! refer to.

use std::collections::{BTreeMap, BTreeSet};

use ringsoup_tests::rng::Rng;

use super::encoder::{Encoder, Frame, InterLayer, Mode};

/// Differences and chains of a template have four bits; chains count from 0, differences from 1.
const TEMPLATE_DIFFERENCE_MAX: u16 = 16;
const TEMPLATE_CHAIN_MAX: u8 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Indication {
    NotPresent,
    Discardable,
    Switch,
    Required,
}

/// What a descriptor says of a frame.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Definition {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// One per decode target.
    pub(crate) indications: Vec<Indication>,
    /// How many frames back its references lie.
    pub(crate) differences: Vec<u16>,
    /// For each chain, how many frames back the one before in it lies; 0 where there is none.
    pub(crate) chains: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Structure {
    mode: Mode,
    /// The highest layers of each decode target.
    pub(crate) targets: Vec<(u8, u8)>,
    /// Sorted by layers.
    pub(crate) templates: Vec<Definition>,
    pub(crate) id_offset: u8,
    pub(crate) tells_sizes: bool,
    /// By whether it is of a key picture, place in the pattern and spatial layer.
    indications: BTreeMap<(bool, usize, u8), Vec<Indication>>,
    /// The newest frame of each chain; there is one for each spatial layer.
    newest: Vec<Option<u32>>,
}

impl Structure {
    pub(crate) fn new(mode: Mode, rng: &mut Rng) -> Self {
        let layers = (0..mode.spatial).flat_map(|spatial| (0..mode.temporal).map(move |own| (spatial, own)));
        let mut structure = Self {
            mode,
            targets: layers.collect(),
            templates: Vec::new(),
            id_offset: rng.byte() & 0x3f,
            tells_sizes: rng.below(2) == 0,
            indications: BTreeMap::new(),
            newest: vec![None; mode.spatial.into()],
        };
        structure.look_ahead();
        structure.choose_templates(rng);
        structure
    }

    pub(crate) fn chains(&self) -> usize {
        self.newest.len()
    }

    /// The chain of each decode target is its spatial layer's.
    pub(crate) fn protected_by(&self) -> impl Iterator<Item = u8> {
        self.targets.iter().map(|(spatial, _)| *spatial)
    }

    /// One bit for each decode target that can be received while `layers` spatial layers are sent.
    pub(crate) fn active_mask(&self, layers: u8) -> u32 {
        let is_active = |(index, target): (usize, &(u8, u8))| u32::from(target.0 < layers) << index;
        self.targets.iter().enumerate().map(is_active).sum()
    }

    /// A sequence with other template ids.
    pub(crate) fn renumber(&mut self) {
        let count = u8::try_from(self.templates.len()).expect("64 at most");
        self.id_offset = (self.id_offset + count) & 0x3f;
    }

    /// What there is to say of the encoder's next frame.
    pub(crate) fn define(&mut self, frame: &Frame) -> Definition {
        if frame.is_key && frame.spatial == 0 {
            self.newest.fill(None);
        }
        let back = |other: u32| frame.number - other;
        let chains = self.newest.iter().map(|newest| newest.map_or(0, back));
        // Of a layer that is not sent any more the last one may be further back than eight bits tell. Nobody goes by its chain.
        let chains = chains.map(|back| u8::try_from(back).unwrap_or(u8::MAX)).collect();
        let key = (frame.is_key, frame.step % self.mode.pattern.0.len(), frame.spatial);
        let definition = Definition {
            spatial: frame.spatial,
            temporal: frame.temporal,
            indications: self.indications[&key].clone(),
            differences: frame.references().map(|to| u16::try_from(back(to)).expect("near")).collect(),
            chains,
        };
        for (target, newest) in (0..).zip(&mut self.newest) {
            if frame.temporal == 0 && is_of(frame, (target, 0), self.mode.inter_layer) {
                *newest = Some(frame.number);
            }
        }
        definition
    }

    /// The template that says it all, or one of the same layers.
    pub(crate) fn template(&self, definition: &Definition) -> u8 {
        let is_like = |template: &Definition| {
            (template.spatial, template.temporal) == (definition.spatial, definition.temporal)
        };
        let same = self.templates.iter().position(|template| template == definition);
        let index =
            same.or_else(|| self.templates.iter().position(is_like)).expect("of every pair of layers");
        u8::try_from(index).expect("64 at most")
    }

    /// Finds out what each frame of the pattern is to the decode targets.
    fn look_ahead(&mut self) {
        let round = self.mode.pattern.0.len();
        let (mut encoder, mut next) = (Encoder::new(self.mode, 0), 0);
        let frames: Vec<_> = (0..5 * round).flat_map(|_| encoder.picture(&mut next)).collect();
        // What follows the first picture, and from the second round on what comes again and again.
        for (at, frame) in frames.iter().enumerate().filter(|(_, frame)| frame.step < 2 * round) {
            let indication = |target| indication(&frames[at..], &frames[..at], target, self.mode.inter_layer);
            let indications = self.targets.iter().map(|target| indication(*target)).collect();
            self.indications.insert((frame.is_key, frame.step % round, frame.spatial), indications);
        }
    }

    fn choose_templates(&mut self, rng: &mut Rng) {
        let round = self.mode.pattern.0.len();
        let (mut encoder, mut next) = (Encoder::new(self.mode, 0), 0);
        let mut found = BTreeSet::new();
        for frame in (0..3 * round).flat_map(|_| encoder.picture(&mut next)).collect::<Vec<_>>() {
            let definition = self.define(&frame);
            let fits = definition.differences.iter().all(|back| *back <= TEMPLATE_DIFFERENCE_MAX)
                && definition.chains.iter().all(|back| *back <= TEMPLATE_CHAIN_MAX);
            if fits {
                found.insert(definition);
            }
        }
        // Some are left out, so that their frames have to be told by what differs.
        let sparse = rng.below(3) == 0;
        let mut kept: Vec<Definition> = Vec::new();
        for definition in found {
            let is_first = kept.last().is_none_or(|last| {
                (last.spatial, last.temporal) != (definition.spatial, definition.temporal)
            });
            if is_first || !sparse || rng.below(2) == 0 {
                kept.push(definition);
            }
        }
        self.templates = kept;
        self.newest.fill(None);
    }
}

/// Whether a decode target has this frame.
fn is_of(frame: &Frame, target: (u8, u8), inter_layer: InterLayer) -> bool {
    let is_of_lower = match inter_layer {
        InterLayer::Always => true,
        InterLayer::KeyPictures => frame.is_key,
        InterLayer::Never => false,
    };
    let is_of_layer = frame.spatial == target.0 || (frame.spatial < target.0 && is_of_lower);
    is_of_layer && frame.temporal <= target.1
}

/// What the first of `frames` is to a target, by those after it.
fn indication(frames: &[Frame], before: &[Frame], target: (u8, u8), inter_layer: InterLayer) -> Indication {
    let (frame, after) = frames.split_first().expect("a frame");
    if !is_of(frame, target, inter_layer) {
        return Indication::NotPresent;
    }
    let later = || after.iter().filter(|frame| is_of(frame, target, inter_layer));
    if !later().any(|other| other.references().any(|to| to == frame.number)) {
        return Indication::Discardable;
    }
    let mut decodable = BTreeSet::from([frame.number]);
    for earlier in std::iter::once(frame).chain(before.iter().rev()) {
        if decodable.contains(&earlier.number) {
            decodable.extend(earlier.references());
        }
    }
    for other in later() {
        if !other.references().all(|to| decodable.contains(&to)) {
            return Indication::Required;
        }
        decodable.insert(other.number);
    }
    Indication::Switch
}

#[cfg(test)]
fn letters(indications: &[Indication]) -> String {
    indications.iter().map(|indication| ['-', 'D', 'S', 'R'][*indication as usize]).collect()
}

/// The examples of the specification's appendix, section A.8.
#[test]
fn three_temporal_layers_are_as_in_the_specification() {
    let mut rng = Rng::new(1);
    let mut mode = Mode::new(1, 3, InterLayer::Always, &mut rng);
    while mode.pattern.0.len() != 4 {
        mode = Mode::new(1, 3, InterLayer::Always, &mut rng);
    }
    let structure = Structure::new(mode, &mut rng);
    let of = |step, is_key| letters(&structure.indications[&(is_key, step, 0)]);
    assert_eq!([of(0, true), of(0, false), of(1, false), of(2, false)], ["SSS", "SSS", "--D", "-DS"]);
}

#[test]
fn upper_layers_need_lower_ones_always_or_in_key_pictures_only() {
    let mut rng = Rng::new(1);
    let full = Structure::new(Mode::new(2, 1, InterLayer::Always, &mut rng), &mut rng);
    let of = |structure: &Structure, is_key, spatial| letters(&structure.indications[&(is_key, 0, spatial)]);
    assert_eq!([of(&full, true, 0), of(&full, false, 0), of(&full, false, 1)], ["SS", "SR", "-S"]);
    let keyed = Structure::new(Mode::new(2, 1, InterLayer::KeyPictures, &mut rng), &mut rng);
    assert_eq!([of(&keyed, true, 0), of(&keyed, false, 0), of(&keyed, false, 1)], ["SS", "S-", "-S"]);
}
