//! A stream of RFC 4571 frames, cut anywhere: the frames are the same as without cuts, in bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringsoup_rtc::stream_framing::{Deframer, FRAME_BYTES_MAX, Frame, FrameMemory, FrameTooLong};

/// Any frame fits, and a stream of several that are cut.
const PLENTY: usize = 2 * FRAME_BYTES_MAX;

struct Received {
    frames: Vec<Vec<u8>>,
    result: Result<(), FrameTooLong>,
    skipped: u64,
}

fn receive(stream: &[u8], pieces: impl Iterator<Item = usize>, longest: usize, room: usize) -> Received {
    let (mut deframer, mut memory) = (Deframer::default(), FrameMemory::new(room));
    let (mut frames, mut rest, mut result) = (Vec::new(), stream, Ok(()));
    for len in pieces {
        if rest.is_empty() || result.is_err() {
            break;
        }
        let (piece, behind) = rest.split_at(len.clamp(1, rest.len()));
        rest = behind;
        let mut piece = piece.to_vec();
        let mut received = &mut piece[..];
        loop {
            match deframer.next(&mut received, longest, &mut memory) {
                Ok(Some(frame)) => {
                    assert!(!frame.is_empty() && frame.len() <= longest);
                    frames.push(frame.to_vec());
                    if let Frame::Gathered(bytes) = frame {
                        memory.give_back(bytes);
                    }
                }
                Ok(None) => {
                    assert!(received.is_empty());
                    break;
                }
                Err(error) => {
                    assert!(error.0 > longest);
                    result = Err(error);
                    break;
                }
            }
        }
        assert!(memory.held() <= room);
    }
    deframer.clear(&mut memory);
    assert_eq!(memory.held(), 0);
    Received { frames, result, skipped: memory.skipped() }
}

// `| longest 16 | room 16 | pieces 8 | length of a piece 8 … | stream … |`
fuzz_target!(|input: &[u8]| {
    let Some((&[longest_high, longest_low, room_high, room_low, count], rest)) = input.split_first_chunk()
    else {
        return;
    };
    let longest = usize::from(u16::from_be_bytes([longest_high, longest_low]));
    let room = usize::from(u16::from_be_bytes([room_high, room_low]));
    let (cuts, stream) = rest.split_at(usize::from(count).min(rest.len()));
    let pieces = || cuts.iter().map(|&len| usize::from(len)).chain(std::iter::repeat(1_448));
    let whole = receive(stream, std::iter::repeat(stream.len()), longest, PLENTY);
    let cut = receive(stream, pieces(), longest, PLENTY);
    assert_eq!((&cut.frames, cut.result, cut.skipped), (&whole.frames, whole.result, 0));
    // Short of memory it skips, and stays in step.
    let short = receive(stream, pieces(), longest, room);
    assert_eq!(short.result, whole.result);
    let mut expected = whole.frames.iter();
    assert!(short.frames.iter().all(|frame| expected.any(|other| other == frame)));
});
