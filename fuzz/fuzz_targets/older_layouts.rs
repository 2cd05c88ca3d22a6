//! Requests in the layouts of controllers before the newest, with some bytes changed: an answer or an error, the same
//! whatever was read before.
#![no_main]

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringsoup_control::version::Version;
use ringsoup_control::wire::{Decoder, Generation};
use ringsoup_fuzz::changes::Change;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    layout: u8,
    /// Which valid message to start from.
    template: u16,
    changes: Vec<Change>,
    /// Instead of a message.
    raw: Option<&'a [u8]>,
}

/// One version of each older layout.
const VERSIONS: [Version; 11] = [
    Version::new(3, 13, 0),
    Version::new(3, 13, 11),
    Version::new(3, 13, 14),
    Version::new(3, 14, 0),
    Version::new(3, 16, 6),
    Version::new(3, 17, 0),
    Version::new(3, 19, 5),
    Version::new(3, 19, 10),
    Version::new(3, 19, 18),
    Version::new(3, 20, 0),
    Version::new(3, 23, 0),
];

/// Each layout, and the valid messages that it has.
static GENERATIONS: LazyLock<Vec<(Arc<Generation>, Vec<Vec<u8>>)>> = LazyLock::new(|| {
    let newest = ringsoup_fuzz::requests::all();
    let older = |version: Version| {
        let generation = Arc::new(Generation::of(version).expect("older than the newest"));
        let frames = newest.iter().filter_map(|frame| generation.encode(frame)).collect();
        (generation, frames)
    };
    VERSIONS.into_iter().map(older).collect()
});

fuzz_target!(|input: Input<'_>| {
    let (generation, templates) = &GENERATIONS[usize::from(input.layout) % VERSIONS.len()];
    let mut decoder = Decoder::speaking(Some(Arc::clone(generation)));
    let template = &templates[usize::from(input.template) % templates.len()];
    let mut frame = input.raw.unwrap_or(template).to_vec();
    for change in &input.changes {
        change.apply(&mut frame);
    }
    let first = decoder.decode(&frame);
    if frame == *template {
        assert!(first.is_ok(), "a valid message is understood");
    }
    assert_eq!(format!("{:?}", decoder.decode(&frame)), format!("{first:?}"));
});
