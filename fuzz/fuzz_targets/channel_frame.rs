//! The control channel's bytes in arbitrary pieces and each of the framings, and every frame through the verifier.
#![no_main]

use std::io::{self, Read};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringsoup_control::channel::framing::Framing;
use ringsoup_control::channel::reader::{Fill, Frame, FrameReader};
use ringsoup_control::channel::{MESSAGE_BYTES_MAX, PREFIX_BYTES};
use ringsoup_fbs::verify_message;

/// Digits that a netstring's length may have.
const DIGITS_MAX: usize = 9;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Lengths of the reads, taken in turn; zero stands for "nothing now".
    pieces: Vec<u8>,
    stream: &'a [u8],
}

struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        assert!(!target.is_empty(), "the reader always has room");
        let wanted = self.lengths.next().map_or(usize::MAX, |&length| usize::from(length));
        if wanted == 0 && !self.bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = wanted.min(target.len()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        target[..count].copy_from_slice(now);
        self.bytes = later;
        Ok(count)
    }
}

/// What a stream begins with, and how long that is.
enum Front<'a> {
    Frame(&'a [u8], usize),
    TooLong(usize),
    Nonsense,
    Partial,
}

fn front(framing: Framing, stream: &[u8]) -> Front<'_> {
    let (head, body, tail) = match framing {
        Framing::SizePrefix | Framing::Length => {
            let Some(prefix) = stream.first_chunk::<PREFIX_BYTES>() else { return Front::Partial };
            (PREFIX_BYTES, u32::from_le_bytes(*prefix) as usize, 0)
        }
        Framing::Netstring => {
            let digits = stream.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > DIGITS_MAX || (digits > 1 && stream[0] == b'0') {
                return Front::Nonsense;
            }
            match stream.get(digits) {
                None => return Front::Partial,
                Some(b':') if digits > 0 => {}
                Some(_) => return Front::Nonsense,
            }
            let length = std::str::from_utf8(&stream[..digits]).expect("digits");
            (digits + 1, length.parse().expect("few digits"), 1)
        }
    };
    let total = head + body + tail;
    if body > MESSAGE_BYTES_MAX - PREFIX_BYTES {
        return Front::TooLong(total);
    }
    match stream.get(..total) {
        None => Front::Partial,
        Some(frame) if framing == Framing::SizePrefix => Front::Frame(frame, total),
        Some(frame) if tail == 0 || frame.ends_with(b",") => Front::Frame(&frame[head..head + body], total),
        Some(_) => Front::Nonsense,
    }
}

/// The frames that a stream consists of, over-long ones by their length alone; and whether nonsense follows them.
fn expected(framing: Framing, mut stream: &[u8]) -> (Vec<Result<&[u8], usize>>, bool) {
    let mut frames = Vec::new();
    loop {
        let total = match front(framing, stream) {
            Front::Frame(message, total) => {
                frames.push(Ok(message));
                total
            }
            Front::TooLong(total) => {
                frames.push(Err(total));
                total
            }
            Front::Nonsense => return (frames, true),
            Front::Partial => return (frames, false),
        };
        stream = stream.get(total..).unwrap_or_default();
    }
}

fn check(framing: Framing, input: &Input<'_>) {
    let mut source = Pieces { bytes: input.stream, lengths: input.pieces.iter().cycle() };
    let mut reader = FrameReader::new(framing, MESSAGE_BYTES_MAX - PREFIX_BYTES);
    let (expected, ends_in_nonsense) = expected(framing, input.stream);
    let mut expected = expected.into_iter();
    // What is thrown away with nonsense is what was read by then: nobody can say what comes behind it.
    let mut is_lost = false;
    loop {
        match reader.fill(&mut source).expect("the source has no errors of its own") {
            Fill::Read => {}
            Fill::WouldBlock => continue,
            Fill::Closed => break,
        }
        loop {
            let has_frame = reader.has_frame();
            match reader.next_frame() {
                Frame::Whole(frame) => {
                    assert!(is_lost || expected.next() == Some(Ok(frame)));
                    // What the verifier lets pass is walked by its Debug form.
                    if let Ok(message) = verify_message(frame) {
                        std::hint::black_box(format!("{message:?}"));
                    }
                }
                Frame::TooLong(bytes) => assert!(is_lost || expected.next() == Some(Err(bytes))),
                Frame::Nonsense(_) => {
                    assert!(is_lost || (ends_in_nonsense && expected.next().is_none()));
                    is_lost = true;
                }
                Frame::Partial => {
                    assert!(!has_frame);
                    break;
                }
            }
            assert!(has_frame);
        }
    }
    assert_eq!(is_lost, ends_in_nonsense);
    assert_eq!(expected.next(), None, "every frame came out");
}

fuzz_target!(|input: Input<'_>| {
    if !input.pieces.is_empty() && input.pieces.iter().all(|&piece| piece == 0) {
        return;
    }
    for framing in [Framing::SizePrefix, Framing::Length, Framing::Netstring] {
        check(framing, &input);
    }
});
