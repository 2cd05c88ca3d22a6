//! Frames out of a byte stream.
//!
//! ```text
//! bytes:   consumed │ frame │ frame │ part of a frame │ free
//!                   ^ start                           ^ end
//! ```
//! The flatbuffers library of JavaScript aligns a message from the start of its size prefix, so a reader
//! that checks alignment needs the prefix at an 8-aligned address. The buffer starts at one and partial
//! frames are moved back to it; a whole frame that lies elsewhere is copied to a scratch buffer that does.

use std::io::{self, Read};

use super::{MESSAGE_BYTES_MAX, PREFIX_BYTES};

/// The buffer while messages are of the usual size, bytes. A produce request with many codecs is under 4 KiB.
const BUFFER_BYTES: usize = 64 << 10;
/// What the encoders assume of the prefix's address, bytes.
const ALIGNMENT: usize = 8;

/// Bytes whose first one lies at an aligned address.
#[derive(Debug)]
struct AlignedBytes {
    storage: Vec<u8>,
    offset: usize,
    len: usize,
}

impl AlignedBytes {
    fn new(len: usize) -> Self {
        let storage = vec![0; len + ALIGNMENT];
        // A pointer to bytes can always be aligned within ALIGNMENT - 1 steps.
        let offset = storage.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { storage, offset, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.storage[self.offset..self.offset + self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.offset..self.offset + self.len]
    }
}

/// What [`FrameReader::fill`] met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Some bytes; there may be more.
    Read,
    /// Nothing to read now.
    WouldBlock,
    /// The other side closed.
    Closed,
}

/// One step of taking frames out.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Prefix and body, the prefix 8-aligned.
    Whole(&'a [u8]),
    /// A message of this many bytes is longer than any may be; its bytes are being skipped.
    TooLong(usize),
    /// More bytes are needed.
    Partial,
}

#[derive(Debug)]
pub struct FrameReader {
    buffer: AlignedBytes,
    start: usize,
    end: usize,
    scratch: AlignedBytes,
    /// Bytes of an over-long message still to be thrown away.
    skip: usize,
    /// Longest message, prefix included.
    message_bytes_max: usize,
}

impl Default for FrameReader {
    /// For the longest messages there are.
    fn default() -> Self {
        Self::with_payload_max(MESSAGE_BYTES_MAX - PREFIX_BYTES)
    }
}

impl FrameReader {
    /// For messages that are at most so long without their prefix.
    pub fn with_payload_max(payload_bytes_max: usize) -> Self {
        Self {
            buffer: AlignedBytes::new(BUFFER_BYTES),
            start: 0,
            end: 0,
            scratch: AlignedBytes::new(0),
            skip: 0,
            message_bytes_max: payload_bytes_max + PREFIX_BYTES,
        }
    }

    /// Reads once from `source` into the free part of the buffer.
    ///
    /// # Errors
    /// The source's, except for those that mean "later".
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<Fill> {
        self.make_room();
        let end = self.end;
        loop {
            match source.read(&mut self.buffer.bytes_mut()[end..]) {
                Ok(0) => return Ok(Fill::Closed),
                Ok(count) => {
                    self.end += count;
                    return Ok(Fill::Read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Fill::WouldBlock),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether [`next_frame`](Self::next_frame) has anything but [`Frame::Partial`] to give.
    pub fn has_frame(&mut self) -> bool {
        self.skip_some();
        let whole_or_too_long = |total| total > self.message_bytes_max || self.end - self.start >= total;
        self.pending_frame_bytes().is_some_and(whole_or_too_long)
    }

    /// The next frame among the bytes read so far. Total: any bytes give frames or ask for more.
    pub fn next_frame(&mut self) -> Frame<'_> {
        self.skip_some();
        let Some(total) = self.pending_frame_bytes() else {
            return Frame::Partial;
        };
        if total > self.message_bytes_max {
            self.skip = total;
            self.skip_some();
            return Frame::TooLong(total);
        }
        if self.end - self.start < total {
            return Frame::Partial;
        }
        let (from, to) = (self.start, self.start + total);
        self.start = to;
        if from % ALIGNMENT == 0 {
            return Frame::Whole(&self.buffer.bytes()[from..to]);
        }
        if self.scratch.len < total {
            self.scratch = AlignedBytes::new(total.next_power_of_two());
        }
        let target = &mut self.scratch.bytes_mut()[..total];
        target.copy_from_slice(&self.buffer.bytes()[from..to]);
        Frame::Whole(target)
    }

    fn skip_some(&mut self) {
        let count = self.skip.min(self.end - self.start);
        self.skip -= count;
        self.start += count;
    }

    /// Bytes of the frame at the front, prefix included, once its prefix is there.
    fn pending_frame_bytes(&self) -> Option<usize> {
        let prefix = self.buffer.bytes()[self.start..self.end].first_chunk::<PREFIX_BYTES>()?;
        // u32 in the host's order; flatbuffers says little-endian, which is the same on every host we run on.
        Some(u32::from_le_bytes(*prefix) as usize + PREFIX_BYTES)
    }

    /// Moves what is left to the front; grows for a message that says it is longer and shrinks when it has
    /// gone. After it the buffer has free bytes.
    fn make_room(&mut self) {
        let left = self.end - self.start;
        let wanted = match self.pending_frame_bytes() {
            Some(total) if self.skip == 0 => total.clamp(BUFFER_BYTES, self.message_bytes_max),
            _ => BUFFER_BYTES,
        };
        let wanted = wanted.max((left + 1).next_power_of_two());
        if wanted > self.buffer.len || (wanted == BUFFER_BYTES && self.buffer.len > BUFFER_BYTES) {
            let mut moved = AlignedBytes::new(wanted);
            moved.bytes_mut()[..left].copy_from_slice(&self.buffer.bytes()[self.start..self.end]);
            self.buffer = moved;
        } else if self.start > 0 {
            let (start, end) = (self.start, self.end);
            self.buffer.bytes_mut().copy_within(start..end, 0);
        }
        self.start = 0;
        self.end = left;
        if self.scratch.len > BUFFER_BYTES {
            self.scratch = AlignedBytes::new(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives at most `step` bytes a time, then says "later".
    struct Trickle<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
            assert!(!target.is_empty());
            if self.bytes.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = self.step.min(target.len()).min(self.bytes.len());
            let (now, later) = self.bytes.split_at(count);
            target[..count].copy_from_slice(now);
            self.bytes = later;
            Ok(count)
        }
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    /// Whole frames, and lengths of over-long ones as empty vectors.
    fn read_all(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut reader = FrameReader::default();
        let mut source = Trickle { bytes, step };
        let mut frames = Vec::new();
        while reader.fill(&mut source).unwrap() == Fill::Read {
            loop {
                match reader.next_frame() {
                    Frame::Whole(frame) => {
                        assert_eq!(frame.as_ptr().align_offset(ALIGNMENT), 0);
                        frames.push(frame.to_vec());
                    }
                    Frame::TooLong(_) => frames.push(Vec::new()),
                    Frame::Partial => break,
                }
            }
        }
        frames
    }

    #[test]
    fn frames_come_out_however_the_bytes_arrive() {
        let bodies: [&[u8]; 5] = [b"one", b"", b"a little longer", &[7; 5000], b"last"];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        let expected: Vec<Vec<u8>> = bodies.iter().map(|body| frame(body)).collect();
        for step in [1, 2, 3, 7, 64, 4096, usize::MAX] {
            assert_eq!(read_all(&stream, step), expected, "step {step}");
        }
    }

    #[test]
    fn the_longest_message_passes_and_the_buffer_shrinks_again() {
        let longest = vec![1; MESSAGE_BYTES_MAX - PREFIX_BYTES];
        let mut stream = frame(b"before");
        stream.extend(frame(&longest));
        stream.extend(frame(b"after"));
        let frames = read_all(&stream, 1 << 16);
        assert_eq!(frames.len(), 3);
        assert_eq!(frames[1].len(), MESSAGE_BYTES_MAX);

        let mut reader = FrameReader::default();
        let mut source = Trickle { bytes: &stream, step: 1 << 16 };
        while reader.fill(&mut source).unwrap() == Fill::Read {
            while let Frame::Whole(_) = reader.next_frame() {}
        }
        assert_eq!(reader.buffer.len, BUFFER_BYTES);
    }

    #[test]
    fn an_over_long_message_is_told_once_and_skipped() {
        let mut stream = frame(&vec![9; MESSAGE_BYTES_MAX]);
        stream.extend(frame(b"after"));
        for step in [999, 1 << 16] {
            assert_eq!(read_all(&stream, step), vec![Vec::new(), frame(b"after")]);
        }
    }

    #[test]
    fn a_smaller_limit_is_kept_to_the_byte() {
        let payload_max = 70_000;
        let mut reader = FrameReader::with_payload_max(payload_max);
        let mut stream = frame(&vec![1; payload_max]);
        stream.extend(frame(&vec![2; payload_max + 1]));
        stream.extend(frame(b"after"));
        let mut source = Trickle { bytes: &stream, step: usize::MAX };
        let mut lengths = Vec::new();
        while reader.fill(&mut source).unwrap() == Fill::Read {
            loop {
                match reader.next_frame() {
                    Frame::Whole(frame) => lengths.push(Ok(frame.len())),
                    Frame::TooLong(bytes) => lengths.push(Err(bytes)),
                    Frame::Partial => break,
                }
            }
        }
        let longest = payload_max + PREFIX_BYTES;
        assert_eq!(lengths, [Ok(longest), Err(longest + 1), Ok(5 + PREFIX_BYTES)]);
    }

    #[test]
    fn garbage_is_a_message_of_nonsense_length() {
        let stream = [0xff; 100_000];
        assert_eq!(read_all(&stream, 1000), vec![Vec::<u8>::new()]);
    }

    proptest! {
        #[test]
        fn any_bytes_read_the_same_in_any_pieces(
            bytes in prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 0..3000),
            step in 1usize..200,
        ) {
            prop_assert_eq!(read_all(&bytes, step), read_all(&bytes, usize::MAX));
        }
    }

    #[test]
    fn the_end_of_the_stream_is_told() {
        let mut reader = FrameReader::default();
        assert_eq!(reader.fill(&mut io::empty()).unwrap(), Fill::Closed);
    }
}
