//! RFC 4571: datagrams on a stream, each behind its length.
//!
//! ```text
//! stream:    | length 16 | frame … | length 16 | frame … |
//! receives:  |───────────────|────|───────────────────|        cut anywhere
//! ```
//! A frame that lies whole in what was received is handed out where it lies. Only one that is cut is gathered, in memory
//! that all streams of a shard share: a stream that is between frames owns none.

use std::ops::{Deref, DerefMut};

/// Bytes of a frame's length.
pub const LENGTH_BYTES: usize = 2;
/// The longest frame there is: its length is told in 16 bits.
pub const FRAME_BYTES_MAX: usize = 65_535;
/// What a cut frame gets first, bytes: any frame of an ordinary MTU. A longer one gets more as it comes, so that its length
/// alone takes nothing.
const GATHER_BYTES: usize = 2_048;
/// Buffers of that size kept for the next cut frame: as many connections as may be in the middle of one without an allocation.
const SPARES_MAX: usize = 64;

/// A frame's length as it goes before it; `None` for what no frame can carry.
pub fn length_prefix(len: usize) -> Option<[u8; LENGTH_BYTES]> {
    u16::try_from(len).ok().map(u16::to_be_bytes)
}

/// The stream announced a frame longer than it may send. There is no way to find the next one's beginning but to wait for
/// its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes")]
pub struct FrameTooLong(pub usize);

/// One frame, never empty.
#[derive(Debug)]
pub enum Frame<'a> {
    /// Where it was received.
    Whole(&'a mut [u8]),
    /// It came in parts. To be given back: [`FrameMemory::give_back`].
    Gathered(Vec<u8>),
}

impl Deref for Frame<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Gathered(bytes) => bytes,
        }
    }
}

impl DerefMut for Frame<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Gathered(bytes) => bytes,
        }
    }
}

/// Memory for frames that are incomplete, of many streams.
#[derive(Debug)]
pub struct FrameMemory {
    spares: Vec<Vec<u8>>,
    /// Bytes that streams have, by capacity.
    held: usize,
    held_max: usize,
    skipped: u64,
}

impl FrameMemory {
    /// Streams may have `held_max` bytes, spare buffers not counted. When they have, cut frames are skipped.
    pub fn new(held_max: usize) -> Self {
        Self { spares: Vec::with_capacity(SPARES_MAX), held: 0, held_max, skipped: 0 }
    }

    pub fn held(&self) -> usize {
        self.held
    }

    /// Frames that found no room so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Takes a gathered frame's memory back.
    pub fn give_back(&mut self, mut bytes: Vec<u8>) {
        self.held -= bytes.capacity().min(self.held);
        if bytes.capacity() == GATHER_BYTES && self.spares.len() < SPARES_MAX {
            bytes.clear();
            self.spares.push(bytes);
        }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        if self.held + GATHER_BYTES > self.held_max {
            return None;
        }
        let bytes = self.spares.pop().unwrap_or_else(|| Vec::with_capacity(GATHER_BYTES));
        self.held += bytes.capacity();
        Some(bytes)
    }

    /// Makes room for `more` bytes of a frame of `len`. False when there is none.
    fn grow(&mut self, bytes: &mut Vec<u8>, more: usize, len: usize) -> bool {
        let (needed, had) = (bytes.len() + more, bytes.capacity());
        if needed <= had {
            return true;
        }
        // Twice what there was, but no more than the frame needs: as many copies as there are doublings.
        let wanted = (2 * had).clamp(needed, len.max(needed));
        if self.held + (wanted - had) > self.held_max {
            return false;
        }
        bytes.reserve_exact(wanted - bytes.len());
        self.held += bytes.capacity() - had;
        true
    }
}

#[derive(Debug, Default)]
enum State {
    /// Between two frames.
    #[default]
    Start,
    /// The first byte of a length has come.
    Length(u8),
    /// A frame of `len` bytes has begun.
    Gathering { bytes: Vec<u8>, len: usize },
    /// A frame that found no room: this many bytes of it are to come.
    Skipping { left: usize },
}

/// Finds the frames of one stream.
#[derive(Debug, Default)]
pub struct Deframer {
    state: State,
}

impl Deframer {
    /// The next frame of `received`, whose front is taken off. `None` when all of it has been taken.
    ///
    /// # Errors
    /// The next frame is longer than `longest`; the stream is of no use any more.
    pub fn next<'a>(
        &mut self,
        received: &mut &'a mut [u8],
        longest: usize,
        memory: &mut FrameMemory,
    ) -> Result<Option<Frame<'a>>, FrameTooLong> {
        while !received.is_empty() {
            match &mut self.state {
                State::Start => {
                    let high = take_front(received, 1)[0];
                    self.state = State::Length(high);
                }
                State::Length(high) => {
                    let low = take_front(received, 1)[0];
                    let len = usize::from(u16::from_be_bytes([*high, low]));
                    self.state = State::Start;
                    if len > longest {
                        return Err(FrameTooLong(len));
                    }
                    // The null packet: keeps a stream busy, and is nothing.
                    if len == 0 {
                        continue;
                    }
                    if received.len() >= len {
                        return Ok(Some(Frame::Whole(take_front(received, len))));
                    }
                    self.state = match memory.take() {
                        Some(bytes) => State::Gathering { bytes, len },
                        None => skip(len, memory),
                    };
                }
                State::Gathering { bytes, len } => {
                    let more = (*len - bytes.len()).min(received.len());
                    if !memory.grow(bytes, more, *len) {
                        let left = *len - bytes.len();
                        memory.give_back(std::mem::take(bytes));
                        self.state = skip(left, memory);
                        continue;
                    }
                    bytes.extend_from_slice(take_front(received, more));
                    if bytes.len() == *len {
                        let whole = std::mem::take(bytes);
                        self.state = State::Start;
                        return Ok(Some(Frame::Gathered(whole)));
                    }
                }
                State::Skipping { left } => {
                    *left -= take_front(received, *left).len();
                    if *left == 0 {
                        self.state = State::Start;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether the next byte is the first of a frame's length.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Start)
    }

    /// The stream ends: what was incomplete is forgotten.
    pub fn clear(&mut self, memory: &mut FrameMemory) {
        if let State::Gathering { bytes, .. } = std::mem::take(&mut self.state) {
            memory.give_back(bytes);
        }
    }

    /// The stream goes where other memory is used, or [comes](Self::move_in) from there, with its incomplete frame.
    pub fn move_out(&self, memory: &mut FrameMemory) {
        memory.held -= self.capacity().min(memory.held);
    }

    /// See [`move_out`](Self::move_out). What it brings counts, though it be more than there was room for.
    pub fn move_in(&self, memory: &mut FrameMemory) {
        memory.held += self.capacity();
    }

    fn capacity(&self) -> usize {
        match &self.state {
            State::Gathering { bytes, .. } => bytes.capacity(),
            _ => 0,
        }
    }
}

fn skip(left: usize, memory: &mut FrameMemory) -> State {
    memory.skipped += 1;
    State::Skipping { left }
}

/// At most `count` bytes.
fn take_front<'a>(bytes: &mut &'a mut [u8], count: usize) -> &'a mut [u8] {
    let whole = std::mem::take(bytes);
    let (front, rest) = whole.split_at_mut(count.min(whole.len()));
    *bytes = rest;
    front
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLENTY: usize = 1 << 20;

    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        let framed = |frame: &Vec<u8>| [&length_prefix(frame.len()).unwrap()[..], frame].concat();
        frames.iter().flat_map(framed).collect()
    }

    /// The frames of a stream that is received in pieces of these sizes, over and over.
    fn receive(
        stream: &[u8],
        cuts: &[usize],
        longest: usize,
        memory: &mut FrameMemory,
    ) -> Result<Vec<Vec<u8>>, FrameTooLong> {
        let (mut deframer, mut frames) = (Deframer::default(), Vec::new());
        let (mut stream, mut cuts) = (stream, cuts.iter().cycle());
        let result = loop {
            if stream.is_empty() {
                break Ok(());
            }
            let (piece, rest) = stream.split_at((*cuts.next().unwrap()).clamp(1, stream.len()));
            stream = rest;
            let mut piece = piece.to_vec();
            let mut received = &mut piece[..];
            match drain(&mut deframer, &mut received, longest, memory, &mut frames) {
                Ok(()) => assert!(received.is_empty()),
                Err(error) => break Err(error),
            }
        };
        deframer.clear(memory);
        assert_eq!(memory.held(), 0, "memory stayed with a stream that has ended");
        result.map(|()| frames)
    }

    fn drain(
        deframer: &mut Deframer,
        received: &mut &mut [u8],
        longest: usize,
        memory: &mut FrameMemory,
        frames: &mut Vec<Vec<u8>>,
    ) -> Result<(), FrameTooLong> {
        while let Some(frame) = deframer.next(received, longest, memory)? {
            frames.push(frame.to_vec());
            if let Frame::Gathered(bytes) = frame {
                memory.give_back(bytes);
            }
        }
        Ok(())
    }

    #[test]
    fn frames_cut_at_every_byte_come_out_whole() {
        let frames = [vec![1; 3], vec![2; 300], vec![3; 1], vec![4; 258]];
        let stream = stream(&frames);
        let mut memory = FrameMemory::new(PLENTY);
        for cut in 1..stream.len() {
            let cuts = [cut, stream.len()];
            assert_eq!(
                receive(&stream, &cuts, FRAME_BYTES_MAX, &mut memory).unwrap(),
                frames,
                "cut at {cut}"
            );
        }
        assert_eq!(receive(&stream, &[1], FRAME_BYTES_MAX, &mut memory).unwrap(), frames);
    }

    #[test]
    fn null_packets_are_nothing() {
        let mut memory = FrameMemory::new(PLENTY);
        let stream = stream(&[vec![], vec![7; 2], vec![], vec![], vec![8; 1], vec![]]);
        for cut in 1..=stream.len() {
            let frames = receive(&stream, &[cut], FRAME_BYTES_MAX, &mut memory).unwrap();
            assert_eq!(frames, [vec![7; 2], vec![8; 1]]);
        }
    }

    #[test]
    fn the_longest_frame_fits() {
        let frames = [vec![9; FRAME_BYTES_MAX], vec![1; 10], vec![8; FRAME_BYTES_MAX]];
        let mut memory = FrameMemory::new(FRAME_BYTES_MAX);
        let stream = stream(&frames);
        assert_eq!(receive(&stream, &[1_448], FRAME_BYTES_MAX, &mut memory).unwrap(), frames);
        assert_eq!((memory.skipped(), memory.spares.len()), (0, 0), "long ones are freed");
        assert_eq!(length_prefix(FRAME_BYTES_MAX + 1), None);
    }

    #[test]
    fn a_length_alone_takes_little_memory() {
        let (mut memory, mut deframer) = (FrameMemory::new(PLENTY), Deframer::default());
        let mut bytes = [0xff, 0xff, 1];
        assert!(deframer.next(&mut &mut bytes[..], FRAME_BYTES_MAX, &mut memory).unwrap().is_none());
        assert_eq!(memory.held(), GATHER_BYTES);
        assert!(!deframer.is_between_frames());
        deframer.clear(&mut memory);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_frame_longer_than_allowed_is_an_error_at_once() {
        let mut memory = FrameMemory::new(PLENTY);
        let stream = stream(&[vec![1; 10], vec![2; 11]]);
        for cut in [1, 5, stream.len()] {
            assert_eq!(receive(&stream[..14], &[cut], 10, &mut memory), Err(FrameTooLong(11)));
        }
        assert_eq!(receive(&stream, &[4], 11, &mut memory).unwrap().len(), 2);
    }

    #[test]
    fn what_finds_no_room_is_skipped_and_the_next_frame_is_found() {
        let mut memory = FrameMemory::new(GATHER_BYTES);
        let frames = [vec![1; 5], vec![2; 3 * GATHER_BYTES], vec![3; 5], vec![4; GATHER_BYTES]];
        let received = receive(&stream(&frames), &[100], FRAME_BYTES_MAX, &mut memory).unwrap();
        assert_eq!(received, [frames[0].clone(), frames[2].clone(), frames[3].clone()]);
        assert_eq!(memory.skipped(), 1);
        // None at all: only what is not cut goes through.
        let mut memory = FrameMemory::new(0);
        let received = receive(&stream(&frames), &[10], FRAME_BYTES_MAX, &mut memory).unwrap();
        assert_eq!(received, [frames[0].clone(), frames[2].clone()]);
    }

    #[test]
    fn a_stream_moves_with_its_incomplete_frame() {
        let (mut here, mut there) = (FrameMemory::new(PLENTY), FrameMemory::new(PLENTY));
        let mut deframer = Deframer::default();
        assert!(deframer.next(&mut &mut [0, 3, 1][..], 10, &mut here).unwrap().is_none());
        deframer.move_out(&mut here);
        deframer.move_in(&mut there);
        assert_eq!((here.held(), there.held()), (0, GATHER_BYTES));
        let mut rest = [2, 3];
        let frame = deframer.next(&mut &mut rest[..], 10, &mut there).unwrap().unwrap();
        assert_eq!(*frame, [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_does_not_matter(
            sizes in prop::collection::vec(prop_oneof![0..20_usize, 1_000..3_000_usize, 60_000..65_536_usize], 0..12),
            cuts in prop::collection::vec(prop_oneof![1..4_usize, 1..3_000_usize, Just(65_536)], 1..8),
        ) {
            let frames: Vec<Vec<u8>> = (0_u8..).zip(sizes).map(|(index, len)| vec![index; len]).collect();
            let mut memory = FrameMemory::new(PLENTY);
            let received = receive(&stream(&frames), &cuts, FRAME_BYTES_MAX, &mut memory).unwrap();
            let expected: Vec<_> = frames.into_iter().filter(|frame| !frame.is_empty()).collect();
            prop_assert_eq!(received, expected);
        }

        #[test]
        fn memory_is_bounded_whatever_comes(
            stream in prop::collection::vec(any::<u8>(), 0..5_000),
            cuts in prop::collection::vec(1..400_usize, 1..8),
            room in 0..8_000_usize,
        ) {
            let (mut deframer, mut memory) = (Deframer::default(), FrameMemory::new(room));
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                rest = behind;
                let mut piece = piece.to_vec();
                let mut frames = Vec::new();
                drain(&mut deframer, &mut &mut piece[..], FRAME_BYTES_MAX, &mut memory, &mut frames).unwrap();
                prop_assert!(memory.held() <= room);
            }
            deframer.clear(&mut memory);
            prop_assert_eq!(memory.held(), 0);
        }
    }
}
