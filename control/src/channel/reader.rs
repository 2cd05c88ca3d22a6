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

use super::framing::{Beginning, Extent, Framing};
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
    /// A message; one with a size prefix lies 8-aligned.
    Whole(&'a [u8]),
    /// A message of this many bytes is longer than any may be; its bytes are being skipped.
    TooLong(usize),
    /// Nobody can say where a frame begins: what was read is thrown away, as the original does.
    Nonsense(&'static str),
    /// More bytes are needed.
    Partial,
}

#[derive(Debug)]
pub struct FrameReader {
    framing: Framing,
    buffer: AlignedBytes,
    start: usize,
    end: usize,
    scratch: AlignedBytes,
    /// Bytes of an over-long message still to be thrown away.
    skip: usize,
    /// Longest message, without what is around it.
    payload_bytes_max: usize,
}

impl Default for FrameReader {
    /// For the longest messages there are.
    fn default() -> Self {
        Self::new(Framing::SizePrefix, MESSAGE_BYTES_MAX - PREFIX_BYTES)
    }
}

impl FrameReader {
    /// For messages that are at most so long without what is around them.
    pub fn new(framing: Framing, payload_bytes_max: usize) -> Self {
        Self {
            framing,
            buffer: AlignedBytes::new(BUFFER_BYTES),
            start: 0,
            end: 0,
            scratch: AlignedBytes::new(0),
            skip: 0,
            payload_bytes_max,
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
        match self.beginning() {
            Beginning::Unknown => false,
            Beginning::Nonsense(_) => true,
            Beginning::Frame(extent) => self.is_too_long(extent) || self.end - self.start >= extent.total(),
        }
    }

    /// The next frame among the bytes read so far. Total: any bytes give frames or ask for more.
    pub fn next_frame(&mut self) -> Frame<'_> {
        self.skip_some();
        let extent = match self.beginning() {
            Beginning::Unknown => return Frame::Partial,
            Beginning::Nonsense(reason) => return self.forget(reason),
            Beginning::Frame(extent) => extent,
        };
        let total = extent.total();
        if self.is_too_long(extent) {
            self.skip = total;
            self.skip_some();
            return Frame::TooLong(total);
        }
        if self.end - self.start < total {
            return Frame::Partial;
        }
        let (from, to) = (self.start, self.start + total);
        if let Some(reason) = self.framing.fault(&self.buffer.bytes()[from..to]) {
            return self.forget(reason);
        }
        self.start = to;
        if self.framing != Framing::SizePrefix || from % ALIGNMENT == 0 {
            return Frame::Whole(self.framing.message(&self.buffer.bytes()[from..to], extent));
        }
        if self.scratch.len < total {
            self.scratch = AlignedBytes::new(total.next_power_of_two());
        }
        let target = &mut self.scratch.bytes_mut()[..total];
        target.copy_from_slice(&self.buffer.bytes()[from..to]);
        Frame::Whole(target)
    }

    fn beginning(&self) -> Beginning {
        self.framing.beginning(&self.buffer.bytes()[self.start..self.end])
    }

    fn is_too_long(&self, extent: Extent) -> bool {
        extent.body > self.payload_bytes_max
    }

    fn forget(&mut self, reason: &'static str) -> Frame<'_> {
        self.start = self.end;
        Frame::Nonsense(reason)
    }

    fn skip_some(&mut self) {
        let count = self.skip.min(self.end - self.start);
        self.skip -= count;
        self.start += count;
    }

    /// Moves what is left to the front; grows for a message that says it is longer and shrinks when it has
    /// gone. After it the buffer has free bytes.
    fn make_room(&mut self) {
        let left = self.end - self.start;
        let wanted = match self.beginning() {
            Beginning::Frame(extent) if self.skip == 0 && !self.is_too_long(extent) => {
                extent.total().max(BUFFER_BYTES)
            }
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
                    Frame::Nonsense(reason) => panic!("{reason}"),
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
        let mut reader = FrameReader::new(Framing::SizePrefix, payload_max);
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
                    Frame::Nonsense(reason) => panic!("{reason}"),
                    Frame::Partial => break,
                }
            }
        }
        let longest = payload_max + PREFIX_BYTES;
        assert_eq!(lengths, [Ok(longest), Err(longest + 1), Ok(5 + PREFIX_BYTES)]);
    }

    /// Messages of a JSON framing; over-long ones and nonsense by name.
    fn read_texts(framing: Framing, max: usize, bytes: &[u8], step: usize) -> Vec<String> {
        let mut reader = FrameReader::new(framing, max);
        let mut source = Trickle { bytes, step };
        let mut texts = Vec::new();
        while reader.fill(&mut source).unwrap() == Fill::Read {
            loop {
                let has_frame = reader.has_frame();
                match reader.next_frame() {
                    Frame::Whole(text) => texts.push(String::from_utf8_lossy(text).into_owned()),
                    Frame::TooLong(bytes) => texts.push(format!("too long: {bytes}")),
                    Frame::Nonsense(reason) => texts.push(reason.to_owned()),
                    Frame::Partial => {
                        assert!(!has_frame);
                        break;
                    }
                }
                assert!(has_frame);
            }
        }
        texts
    }

    #[test]
    fn texts_come_out_of_both_json_framings() {
        let messages = [&b"one"[..], b"", b"two,3:x", &[b'7'; 70_000], b"last"];
        for framing in [Framing::Length, Framing::Netstring] {
            let mut stream = Vec::new();
            messages.iter().for_each(|message| framing.write(message, &mut stream));
            let expected: Vec<_> =
                messages.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
            for step in [1, 5, 4096, usize::MAX] {
                assert_eq!(read_texts(framing, 70_000, &stream, step), expected, "{framing:?} {step}");
            }
            let mut expected = expected;
            let around = if framing == Framing::Netstring { 7 } else { 4 };
            expected[3] = format!("too long: {}", 70_000 + around);
            assert_eq!(read_texts(framing, 69_999, &stream, 999), expected, "{framing:?}");
        }
    }

    #[test]
    fn nonsense_between_netstrings_is_told_and_thrown_away() {
        assert_eq!(
            read_texts(Framing::Netstring, 10, b"2:ab,nonsense 1:x,", 100),
            ["ab", "no netstring's length"]
        );
        assert_eq!(read_texts(Framing::Netstring, 10, b"2:abc1:x,", 100), ["no comma behind a netstring"]);
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
