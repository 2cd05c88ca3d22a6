//! Requests in the layouts of controllers before the newest, with some bytes changed: an answer or an error, the same
//! whatever was read before. Layouts change within a run, and each also reads what another one's controller said.
#![no_main]

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringsoup_control::version::Version;
use ringsoup_control::wire::{Decoder, Generation};
use ringsoup_fuzz::changes::Change;

/// Messages of a run: more find nothing that fewer do not.
const MESSAGES_MAX: usize = 8;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    messages: Vec<Message<'a>>,
    /// Who reads each of them before its own layout does so again.
    others: u8,
}

#[derive(Debug, Arbitrary)]
struct Message<'a> {
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

impl Message<'_> {
    fn layout(&self) -> usize {
        usize::from(self.layout) % VERSIONS.len()
    }

    /// The frame, and whether it is a valid one as it was.
    fn frame(&self) -> (Vec<u8>, bool) {
        let (_, templates) = &GENERATIONS[self.layout()];
        let template = &templates[usize::from(self.template) % templates.len()];
        let mut frame = self.raw.unwrap_or(template).to_vec();
        for change in &self.changes {
            change.apply(&mut frame);
        }
        let is_valid = frame == *template;
        (frame, is_valid)
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut decoders: Vec<_> =
        GENERATIONS.iter().map(|(generation, _)| Decoder::speaking(Some(Arc::clone(generation)))).collect();
    let messages = &input.messages[..input.messages.len().min(MESSAGES_MAX)];
    let mut told = Vec::with_capacity(messages.len());
    for message in messages {
        let (frame, is_valid) = message.frame();
        let first = decoders[message.layout()].decode(&frame);
        assert!(!is_valid || first.is_ok(), "a valid message is understood");
        drop(decoders[usize::from(input.others) % VERSIONS.len()].decode(&frame));
        told.push((message.layout(), frame, format!("{first:?}")));
    }
    // Whatever was read in between.
    for (layout, frame, first) in told {
        assert_eq!(format!("{:?}", decoders[layout].decode(&frame)), first);
    }
});
