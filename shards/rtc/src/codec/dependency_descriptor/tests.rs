use proptest::prelude::*;

use super::Indication::{Discardable, NotPresent, Required, Switch};
use super::writer::{NewDescriptor, NewStructure, NewTemplate, layered};
use super::*;

const INDICATIONS: [Indication; 4] = [NotPresent, Discardable, Switch, Required];

fn key(structure: &NewStructure) -> Vec<u8> {
    let descriptor =
        NewDescriptor { starts_frame: true, structure: Some(structure), ..NewDescriptor::default() };
    descriptor.write(structure)
}

#[test]
fn a_key_frame_brings_the_templates_of_what_follows() {
    let structure = NewStructure { id_offset: 60, ..layered(3, 3, false) };
    let mut reader = Reader::default();
    let short =
        NewDescriptor { ends_frame: true, template: 15, ..NewDescriptor::default() }.write(&structure);
    assert_eq!(short.len(), 3);
    assert_eq!(reader.read(1, &short), None, "nothing is known yet");
    let first = reader.read(2, &key(&structure)).unwrap();
    assert!(first.is_key_frame && first.starts_frame && !first.ends_frame && first.is_for_higher());
    assert_eq!((first.spatial, first.temporal), (0, 0));
    assert!((0..3).all(|spatial| first.opens(spatial, 2)));
    // Template 15 of 18 has the id 11: ids wrap.
    let frame = reader.read(3, &short).unwrap();
    assert!(!frame.is_key_frame && !frame.starts_frame && frame.ends_frame && !frame.is_for_higher());
    assert_eq!((frame.spatial, frame.temporal), (2, 1));
    assert_eq!(frame.indication(1, 2), NotPresent);
    assert_eq!((frame.indication(2, 0), frame.indication(2, 1)), (NotPresent, Discardable));
    assert_eq!((frame.indication(2, 2), frame.indication(3, 0)), (Switch, NotPresent));
    assert!(frame.opens(2, 1) && frame.opens(2, 2) && !frame.opens(2, 3));
    let unknown = NewDescriptor { template: 18, ..NewDescriptor::default() }.write(&structure);
    assert_eq!(reader.read(4, &unknown), None);
    reader.reset();
    assert_eq!(reader.read(5, &short), None);
}

#[test]
fn in_keyed_modes_a_frame_between_key_pictures_is_for_its_own_layer() {
    let structure = layered(2, 1, true);
    let mut reader = Reader::default();
    assert!(reader.read(1, &key(&structure)).unwrap().is_for_higher());
    let delta = NewDescriptor { template: 1, ..NewDescriptor::default() }.write(&structure);
    let frame = reader.read(2, &delta).unwrap();
    assert!(!frame.is_for_higher());
    assert_eq!((frame.indication(0, 0), frame.indication(1, 0)), (Switch, NotPresent));
}

#[test]
fn a_structure_that_comes_late_does_not_replace_a_newer_one() {
    let (old, new) = (layered(1, 2, false), NewStructure { id_offset: 4, ..layered(1, 3, false) });
    let mut reader = Reader::default();
    assert!(reader.read(20, &key(&new)).is_some());
    let late = reader.read(10, &key(&old)).unwrap();
    assert!(late.is_key_frame && late.opens(0, 1) && !late.opens(0, 2));
    let frame = NewDescriptor { template: 4, ..NewDescriptor::default() }.write(&new);
    assert_eq!(reader.read(21, &frame).unwrap().temporal, 2);
}

#[test]
fn a_packet_that_comes_late_is_read_by_the_structure_of_its_time() {
    let (old, new) = (layered(1, 3, false), NewStructure { id_offset: 6, ..layered(1, 2, false) });
    let mut reader = Reader::default();
    let of_old = NewDescriptor { template: 4, ..NewDescriptor::default() }.write(&old);
    let of_new = NewDescriptor { template: 2, ..NewDescriptor::default() }.write(&new);
    reader.read(10, &key(&old)).unwrap();
    for _ in 0..2 {
        reader.read(20, &key(&new)).unwrap();
    }
    assert_eq!(reader.read(19, &of_old).unwrap().temporal, 2);
    assert_eq!(reader.read(21, &of_new).unwrap().temporal, 1);
    assert_eq!((reader.read(21, &of_old), reader.read(19, &of_new)), (None, None), "of another time");
    assert_eq!(reader.read(9, &of_old), None, "of one that never came");
    // One between the two that comes late.
    let between = NewStructure { id_offset: 30, ..layered(2, 1, false) };
    let of_between = NewDescriptor { template: 2, ..NewDescriptor::default() }.write(&between);
    assert_eq!(reader.read(16, &of_between), None);
    reader.read(15, &key(&between)).unwrap();
    assert_eq!(reader.read(16, &of_between).unwrap().spatial, 1);
    assert_eq!(reader.read(21, &of_new).unwrap().temporal, 1);
}

#[test]
fn what_follows_a_structure_that_cannot_be_read_is_not_told_by_the_one_before() {
    let structure = layered(1, 2, false);
    let delta = NewDescriptor { template: 2, ..NewDescriptor::default() }.write(&structure);
    let mut reader = Reader::default();
    reader.read(10, &key(&structure)).unwrap();
    let broken = key(&structure);
    assert_eq!(reader.read(20, &broken[..6]), None);
    assert!(!reader.has_structure());
    assert_eq!((reader.read(21, &delta), reader.read(19, &delta).unwrap().temporal), (None, 1));
    reader.read(30, &key(&structure)).unwrap();
    assert!(reader.has_structure() && reader.read(31, &delta).is_some());
}

#[test]
fn what_cannot_be_is_no_descriptor() {
    let mut structure = layered(4, 8, false);
    assert!(Reader::default().read(1, &key(&structure)).is_some(), "as many as there can be");
    structure.templates.push(NewTemplate { spatial: 4, ..NewTemplate::default() });
    assert_eq!(Reader::default().read(1, &key(&structure)), None, "a fifth spatial layer");
    let flat = |temporal| NewTemplate { temporal, indications: vec![Switch], ..NewTemplate::default() };
    let structure = |templates| NewStructure { decode_targets: 1, templates, ..NewStructure::default() };
    assert!(Reader::default().read(1, &key(&structure(vec![flat(0); 64]))).is_some());
    assert_eq!(Reader::default().read(1, &key(&structure(vec![flat(0); 65]))), None, "a 65th template");
    assert_eq!(Reader::default().read(1, &key(&structure((0..9).map(flat).collect()))), None);
}

/// Structures with any of their parts, and a frame of each kind.
fn structures() -> impl Strategy<Value = NewStructure> {
    let shape = (1_u8..=32, 0_u8..=32, proptest::collection::vec((0_u8..3, 0_usize..4), 0..20));
    (shape, 0_u8..64, any::<bool>(), any::<u64>()).prop_map(
        |((targets, chains, steps), id_offset, sizes, seed)| {
            let mut state = seed;
            let mut any_below = move |below: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                usize::try_from(state >> 33).unwrap() % below
            };
            let (mut layers, chains) = ((0, 0), chains.min(targets));
            let mut templates = Vec::new();
            for (step, differences) in std::iter::once((0, 0)).chain(steps) {
                match step {
                    1 if layers.1 < TEMPORAL_LAYERS_MAX - 1 => layers.1 += 1,
                    2 if layers.0 < SPATIAL_LAYERS_MAX - 1 => layers = (layers.0 + 1, 0),
                    _ => {}
                }
                templates.push(NewTemplate {
                    spatial: layers.0,
                    temporal: layers.1,
                    indications: (0..targets).map(|_| INDICATIONS[any_below(4)]).collect(),
                    differences: (0..differences).map(|_| u8::try_from(any_below(16) + 1).unwrap()).collect(),
                    chains: (0..chains).map(|_| u8::try_from(any_below(16)).unwrap()).collect(),
                });
            }
            let protected_by =
                (0..targets).map(|_| u8::try_from(any_below(chains.max(1).into())).unwrap()).collect();
            let resolutions = sizes.then(|| (0..=layers.0).map(|_| (640, 480)).collect());
            NewStructure { id_offset, decode_targets: targets, templates, chains, protected_by, resolutions }
        },
    )
}

/// The layers of each decode target by the specification's words: the highest among the frames that are for it.
fn decode_targets(structure: &NewStructure) -> Vec<(u8, u8)> {
    let layers = |target: usize| {
        let has = |template: &&NewTemplate| template.indications[target] != NotPresent;
        let of = structure.templates.iter().filter(has);
        of.fold((0, 0), |top, template| (top.0.max(template.spatial), top.1.max(template.temporal)))
    };
    (0..structure.decode_targets.into()).map(layers).collect()
}

/// What a frame with these indications is to the decode target of these layers.
fn expected(targets: &[(u8, u8)], indications: &[Indication], layers: (u8, u8)) -> Indication {
    let own = targets.iter().zip(indications).filter(|(target, _)| **target == layers);
    own.map(|(_, indication)| *indication).find(|indication| *indication != NotPresent).unwrap_or(NotPresent)
}

/// A reader of this structure, and what is alive for receivers of layers.
fn reader_of(structure: &NewStructure) -> Reader {
    let mut reader = Reader::default();
    reader.read(1, &key(structure)).unwrap();
    reader
}

fn rewritten(active: &Active, value: &[u8]) -> Option<Vec<u8>> {
    let mut out = [0xff; REWRITTEN_BYTES_MAX];
    active.rewrite(value, &mut out).map(|len| out[..len].to_vec())
}

#[test]
fn a_receiver_of_fewer_layers_is_told_which_targets_are_alive() {
    let structure = layered(2, 2, false);
    let mut reader = reader_of(&structure);
    let targets = reader.targets().unwrap();
    let active = targets.within(0, 1, false);
    assert!(!targets.are_all(&active) && targets.are_all(&targets.within(1, 1, false)));
    let short = NewDescriptor { starts_frame: true, template: 1, number: 7, ..NewDescriptor::default() };
    let expected = NewDescriptor { active: Some(0b0011), ..short.clone() }.write(&structure);
    assert_eq!(rewritten(&active, &short.write(&structure)), Some(expected));
    let alone = targets.within(1, 0, true);
    let expected = NewDescriptor { active: Some(0b0100), ..short.clone() }.write(&structure);
    assert_eq!(rewritten(&alone, &short.write(&structure)), Some(expected));
    assert_eq!(rewritten(&active, &key(&structure)), None, "the key frame's first packet");
    assert_eq!(rewritten(&active, &[0, 0]), None);
    // What the sender has switched off stays off, until another structure.
    let before = targets.generation();
    let off = NewDescriptor { active: Some(0b0101), ..short.clone() }.write(&structure);
    reader.read(9, &off).unwrap();
    reader.read(8, &NewDescriptor { active: Some(0b1111), ..short }.write(&structure)).unwrap();
    let targets = reader.targets().unwrap();
    assert_ne!(targets.generation(), before);
    assert!(targets.are_all(&targets.within(1, 0, false)), "a late packet changes nothing");
    reader.read(10, &key(&structure)).unwrap();
    let targets = reader.targets().unwrap();
    assert!(!targets.are_all(&targets.within(1, 0, false)));
}

#[test]
fn frames_of_dead_targets_revive_theirs_until_their_own_mask_comes() {
    let structure = layered(2, 2, false);
    let mut reader = reader_of(&structure);
    let frame = |template: u8, active: Option<u32>| {
        NewDescriptor { template, active, ..NewDescriptor::default() }.write(&structure)
    };
    reader.read(9, &frame(1, Some(0b0011))).unwrap();
    let generation = reader.generation;
    reader.read(8, &frame(5, None)).unwrap();
    reader.read(10, &frame(1, None)).unwrap();
    assert_eq!(
        (reader.active, reader.generation),
        (0b0011, generation),
        "late, or of the layer that is alive"
    );
    reader.read(12, &frame(5, None)).unwrap();
    assert_eq!((reader.active, reader.generation), (0b1111, generation + 1));
    reader.read(11, &frame(1, Some(0b0111))).unwrap();
    assert_eq!(reader.active, 0b0111, "late, and newer than what was told");
}

#[test]
fn a_frame_of_dead_targets_is_told_with_all_of_the_receivers_own() {
    let structure = layered(2, 2, false);
    let mut reader = reader_of(&structure);
    let frame = |template: u8, active: Option<u32>| {
        NewDescriptor { template, active, ..NewDescriptor::default() }.write(&structure)
    };
    reader.read(9, &frame(1, Some(0b0001))).unwrap();
    let active = reader.targets().unwrap().within(1, 0, false);
    let told = |template: u8| {
        let value = frame(template, None);
        let kept = reader.clone().read(8, &value).unwrap().kept();
        let mut out = [0; REWRITTEN_BYTES_MAX];
        active.told_with(&kept).rewrite(&value, &mut out).unwrap();
        out[..5].to_vec()
    };
    let mask = |value: &[u8]| u16::from_be_bytes([value[3], value[4]]) >> 7 & 0xf;
    assert_eq!(mask(&told(1)), 0b0001, "of a layer that is alive");
    assert_eq!(mask(&told(5)), 0b0101, "of one that was dead");
}

proptest! {
    /// Whatever else a descriptor says, it says it with the mask too.
    #[test]
    fn a_mask_that_was_put_in_reads_back(
        structure in structures(),
        layers in (0_u8..4, 0_u8..8, any::<bool>()),
        custom in any::<[bool; 4]>(),
        own in proptest::collection::vec(0_usize..4, 32),
        differences in proptest::collection::vec(1_u16..=4_096, 0..5),
        sent: u32,
        number: u16,
    ) {
        let mut reader = reader_of(&structure);
        let active = reader.targets().unwrap().within(layers.0, layers.1, layers.2);
        let targets = decode_targets(&structure);
        let has = |own: &(u8, u8)| own.1 <= layers.1 && if layers.2 { own.0 == layers.0 } else { own.0 <= layers.0 };
        let mask = targets.iter().enumerate().filter(|(_, own)| has(own)).fold(0, |mask, (bit, _)| mask | 1 << bit);
        let own: Vec<_> = own[..targets.len()].iter().map(|index| INDICATIONS[*index]).collect();
        let descriptor = NewDescriptor {
            starts_frame: number % 2 == 0,
            ends_frame: number % 3 == 0,
            template: u8::try_from(usize::from(number) % structure.templates.len()).unwrap(),
            number,
            structure: None,
            active: custom[0].then_some(sent),
            indications: custom[1].then(|| own.clone()),
            differences: custom[2].then(|| differences.clone()),
            chains: custom[3].then(|| vec![200; structure.chains.into()]),
        };
        let value = descriptor.write(&structure);
        let mask = if custom[0] { mask & sent } else { mask };
        let expected = NewDescriptor { active: Some(mask), ..descriptor }.write(&structure);
        match rewritten(&active, &value) {
            Some(rewritten) => {
                // Zeros may fill another byte.
                prop_assert_eq!(&rewritten[..expected.len()], &expected[..]);
                prop_assert!(rewritten[expected.len()..].iter().all(|byte| *byte == 0));
                prop_assert_eq!(reader.clone().read(10, &rewritten), reader.read(10, &value));
                prop_assert_eq!(active.rewrite(&rewritten, &mut [0; REWRITTEN_BYTES_MAX]), Some(rewritten.len()));
            }
            None => prop_assert!(expected.len() + 1 > REWRITTEN_BYTES_MAX, "{} bytes", expected.len()),
        }
    }

    #[test]
    fn what_was_written_reads_back(
        structure in structures(),
        custom in any::<[bool; 4]>(),
        own in proptest::collection::vec(0_usize..4, 32),
        differences in proptest::collection::vec(1_u16..=4_096, 0..5),
        number: u16,
    ) {
        let targets = decode_targets(&structure);
        let mut reader = Reader::default();
        let first = NewDescriptor {
            structure: Some(&structure),
            active: custom[0].then_some(5),
            ..NewDescriptor::default()
        };
        let key = reader.read(9, &first.write(&structure)).unwrap();
        prop_assert!(key.is_key_frame && !key.starts_frame);
        let own: Vec<_> = own[..targets.len()].iter().map(|index| INDICATIONS[*index]).collect();
        for (index, template) in structure.templates.iter().enumerate() {
            let descriptor = NewDescriptor {
                starts_frame: number % 2 == 0,
                ends_frame: number % 3 == 0,
                template: u8::try_from(index).unwrap(),
                number,
                structure: None,
                active: custom[0].then_some(u32::from(number)),
                indications: custom[1].then(|| own.clone()),
                differences: custom[2].then(|| differences.clone()),
                chains: custom[3].then(|| vec![200; structure.chains.into()]),
            };
            let written = descriptor.write(&structure);
            let frame = reader.read(10, &written).unwrap();
            prop_assert_eq!((frame.spatial, frame.temporal), (template.spatial, template.temporal));
            prop_assert_eq!((frame.starts_frame, frame.ends_frame), (number % 2 == 0, number % 3 == 0));
            prop_assert!(!frame.is_key_frame);
            let indications = if custom[1] { &own } else { &template.indications };
            for layers in (0..4).flat_map(|spatial| (0..8).map(move |temporal| (spatial, temporal))) {
                prop_assert_eq!(frame.indication(layers.0, layers.1), expected(&targets, indications, layers));
            }
            let higher = targets.iter().zip(indications).any(|(target, indication)| {
                target.0 > template.spatial && *indication != NotPresent
            });
            prop_assert_eq!(frame.is_for_higher(), higher);
            // Whatever is cut off is missed.
            for len in 0..written.len() {
                let cut = reader.clone().read(10, &written[..len]);
                prop_assert!(cut.is_none() || len == 3, "cut to {len}");
            }
        }
    }

    #[test]
    fn any_bits_are_answered(
        structure in structures(),
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..20),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..4),
    ) {
        let mut reader = Reader::default();
        let mut damaged = key(&structure);
        for (at, bit) in flips {
            let at = at.index(damaged.len());
            damaged[at] ^= 1 << bit;
        }
        reader.read(1, &damaged);
        for (seq, value) in (2..).zip(&values) {
            if let Some(frame) = reader.read(seq, value) {
                prop_assert!(frame.spatial < SPATIAL_LAYERS_MAX && frame.temporal < TEMPORAL_LAYERS_MAX);
                frame.opens(frame.spatial, frame.temporal);
                frame.kept();
            }
            if let Some(targets) = reader.targets() {
                rewritten(&targets.within(1, 1, false), value);
            }
        }
    }
}
