//! The control channel's bytes in arbitrary pieces, and every frame through the verifier.
#![no_main]

use std::io::{self, Read};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringsoup_control::channel::reader::{Fill, Frame, FrameReader};
use ringsoup_control::channel::{MESSAGE_BYTES_MAX, PREFIX_BYTES};
use ringsoup_fbs::verify_message;

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

/// The frames that a stream consists of; over-long ones by their length alone.
fn expected(mut stream: &[u8]) -> Vec<Result<&[u8], usize>> {
    let mut frames = Vec::new();
    while let Some(prefix) = stream.first_chunk::<PREFIX_BYTES>() {
        let total = u32::from_le_bytes(*prefix) as usize + PREFIX_BYTES;
        if total > MESSAGE_BYTES_MAX {
            frames.push(Err(total));
            stream = stream.get(total..).unwrap_or_default();
        } else {
            let Some((frame, rest)) = stream.split_at_checked(total) else { break };
            frames.push(Ok(frame));
            stream = rest;
        }
    }
    frames
}

fuzz_target!(|input: Input<'_>| {
    if !input.pieces.is_empty() && input.pieces.iter().all(|&piece| piece == 0) {
        return;
    }
    let mut source = Pieces { bytes: input.stream, lengths: input.pieces.iter().cycle() };
    let mut reader = FrameReader::default();
    let mut expected = expected(input.stream).into_iter();
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
                    assert_eq!(expected.next(), Some(Ok(frame)));
                    // What the verifier lets pass is walked by its Debug form.
                    if let Ok(message) = verify_message(frame) {
                        std::hint::black_box(format!("{message:?}"));
                    }
                }
                Frame::TooLong(bytes) => assert_eq!(expected.next(), Some(Err(bytes))),
                Frame::Partial => {
                    assert!(!has_frame);
                    break;
                }
            }
        }
    }
    assert_eq!(expected.next(), None, "every frame came out");
});
