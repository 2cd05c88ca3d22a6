//! Requests with some bytes changed through the decoder of the channel: an answer or an error, never a panic.
#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringsoup_control::wire::decode;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Which valid message to start from.
    template: u16,
    changes: Vec<Change>,
    /// Instead of a message.
    raw: Option<&'a [u8]>,
}

#[derive(Debug, Arbitrary)]
enum Change {
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

fn templates() -> &'static [Vec<u8>] {
    static TEMPLATES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    TEMPLATES.get_or_init(ringsoup_fuzz::requests::all)
}

fn apply(frame: &mut Vec<u8>, change: &Change) {
    let place = |at: u16, len: usize| (len > 0).then(|| usize::from(at) % len.max(1));
    let len = frame.len();
    match *change {
        Change::Byte { at, value } => {
            if let Some(at) = place(at, len) {
                frame[at] = value;
            }
        }
        Change::Flip { at, bit } => {
            if let Some(at) = place(at, len) {
                frame[at] ^= 1 << (bit % 8);
            }
        }
        Change::Word { at, value } => {
            let at = usize::from(at) / 4 * 4 % len.max(1);
            if let Some(word) = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
                *word = value.to_le_bytes();
            }
        }
        Change::Add { at, step } => {
            let at = usize::from(at) / 2 * 2 % len.max(1);
            if let Some(byte) = frame.get_mut(at) {
                *byte = byte.wrapping_add_signed(step);
            }
        }
        Change::Truncate { len } => frame.truncate(usize::from(len)),
        Change::Extend { byte, len } => frame.resize(frame.len() + usize::from(len), byte),
    }
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
        apply(&mut frame, change);
    }
    let decoded = decode(&frame);
    if frame == *template {
        decoded.expect("a valid message is understood");
    }
});
