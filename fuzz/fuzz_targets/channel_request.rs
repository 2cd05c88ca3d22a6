//! Requests with some bytes changed through the decoder of the channel: an answer or an error, never a panic.
#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringsoup_control::wire::decode;
use ringsoup_fuzz::changes::Change;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Which valid message to start from.
    template: u16,
    changes: Vec<Change>,
    /// Instead of a message.
    raw: Option<&'a [u8]>,
}

fn templates() -> &'static [Vec<u8>] {
    static TEMPLATES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    TEMPLATES.get_or_init(ringsoup_fuzz::requests::all)
}

fuzz_target!(|input: Input<'_>| {
    if let Some(raw) = input.raw {
        std::hint::black_box(decode(raw).is_ok());
        return;
    }
    let templates = templates();
    let template = &templates[usize::from(input.template) % templates.len()];
    let mut frame = template.clone();
    for change in &input.changes {
        change.apply(&mut frame);
    }
    let decoded = decode(&frame);
    if frame == *template {
        decoded.expect("a valid message is understood");
    }
});
