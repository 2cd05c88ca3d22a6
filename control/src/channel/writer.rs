//! The queue towards the controller.
//!
//! Rules when the controller does not read:
//! 1. From half of [`SOFT_BYTES_MAX`] on [`is_congested`](FrameWriter::is_congested) asks the caller to read no further
//!    requests and to take nothing from shards, which drop what can be missed and keep the rest, within bounds of
//!    their own. What is queued here grows no further then but by what was under way.
//! 2. Beyond [`SOFT_BYTES_MAX`] what can be missed (log lines, scores, traces, copies of packets) is dropped and counted.
//! 3. Responses and state changes are never dropped. Beyond [`HARD_BYTES_MAX`], which a caller that keeps to the first
//!    rule never meets, the controller is taken for dead: the queue fails, and the worker closes as it does when the
//!    channel breaks.

use std::io::{self, Write};

use super::framing::Framing;
use super::{MESSAGE_BYTES_MAX, PREFIX_BYTES};

/// Queued bytes above which droppable frames are dropped and requests wait: one message of the largest size.
pub const SOFT_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
/// Queued bytes that are never exceeded. Room for what was under way when the soft limit was met.
pub const HARD_BYTES_MAX: usize = 64 << 20;
/// Below this many written bytes moving the rest to the front is not worth it.
const COMPACT_BYTES: usize = 1 << 20;
/// Memory kept for the queue when it is empty, bytes.
const KEEP_BYTES: usize = 1 << 20;

/// Whether a controller's picture survives without a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// A response or a change of state.
    Required,
    /// A log line, a sample of something that is told again, a packet.
    Droppable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The caller reports it and goes on.
    #[error("message too big ({0} bytes)")]
    MessageTooBig(usize),
    /// The channel is of no use any more.
    #[error("the controller left {HARD_BYTES_MAX} bytes unread")]
    ControllerStuck,
}

#[derive(Debug)]
pub struct FrameWriter {
    framing: Framing,
    queue: Vec<u8>,
    /// Bytes of `queue` that were written already.
    written: usize,
    dropped: u64,
    /// Longest message, without what is around it.
    payload_bytes_max: usize,
}

impl Default for FrameWriter {
    /// For the longest messages there are.
    fn default() -> Self {
        Self::new(Framing::SizePrefix, MESSAGE_BYTES_MAX - PREFIX_BYTES)
    }
}

impl FrameWriter {
    /// For messages that are at most so long without what is around them.
    pub fn new(framing: Framing, payload_bytes_max: usize) -> Self {
        Self { framing, queue: Vec::new(), written: 0, dropped: 0, payload_bytes_max }
    }

    /// Queues a message; in flatbuffers it carries its own size prefix.
    ///
    /// # Errors
    /// Nothing was queued then.
    pub fn push(&mut self, message: &[u8], importance: Importance) -> Result<(), QueueError> {
        self.push_all([message], importance)
    }

    /// Queues messages that belong together: all, or none.
    ///
    /// # Errors
    /// Nothing was queued then.
    pub fn push_all<const COUNT: usize>(
        &mut self,
        messages: [&[u8]; COUNT],
        importance: Importance,
    ) -> Result<(), QueueError> {
        let is_too_big = |message: &&&[u8]| self.framing.payload_len(message) > self.payload_bytes_max;
        if let Some(message) = messages.iter().find(is_too_big) {
            return Err(QueueError::MessageTooBig(message.len()));
        }
        let queued = self.queued_bytes() + messages.iter().map(|message| message.len()).sum::<usize>();
        if queued > SOFT_BYTES_MAX && importance == Importance::Droppable {
            self.dropped += 1;
            return Ok(());
        }
        if queued > HARD_BYTES_MAX {
            return Err(QueueError::ControllerStuck);
        }
        for message in messages {
            self.framing.write(message, &mut self.queue);
        }
        Ok(())
    }

    /// Writes as much as `target` takes now. True when nothing is left.
    ///
    /// # Errors
    /// The target's: the channel is broken.
    pub fn flush(&mut self, target: &mut impl Write) -> io::Result<bool> {
        while self.written < self.queue.len() {
            match target.write(&self.queue[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.compact();
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.queue.clear();
        self.queue.shrink_to(KEEP_BYTES);
        self.written = 0;
        Ok(true)
    }

    /// Forgets what is queued: nobody reads it any more.
    pub fn clear(&mut self) {
        self.queue = Vec::new();
        self.written = 0;
    }

    fn compact(&mut self) {
        if self.written >= COMPACT_BYTES && self.written * 2 >= self.queue.len() {
            self.queue.drain(..self.written);
            self.written = 0;
        }
    }

    pub fn queued_bytes(&self) -> usize {
        self.queue.len() - self.written
    }

    pub fn is_empty(&self) -> bool {
        self.queued_bytes() == 0
    }

    /// True while no further requests should be read, and nothing taken from shards.
    pub fn is_congested(&self) -> bool {
        self.queued_bytes() > SOFT_BYTES_MAX / 2
    }

    /// Frames dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, three a time, then says "later".
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(3).min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_leave_in_order_across_partial_writes() {
        let mut writer = FrameWriter::default();
        let mut target = Narrow { taken: Vec::new(), room: 0 };
        let mut expected = Vec::new();
        for round in 0..20u8 {
            let frame = vec![round; 50];
            expected.extend_from_slice(&frame);
            writer.push(&frame, Importance::Required).unwrap();
            target.room = 37;
            writer.flush(&mut target).unwrap();
        }
        target.room = usize::MAX;
        assert!(writer.flush(&mut target).unwrap());
        assert_eq!(target.taken, expected);
        assert!(writer.is_empty());
    }

    #[test]
    fn droppable_frames_go_first_and_are_counted() {
        let mut writer = FrameWriter::default();
        let big = vec![0; MESSAGE_BYTES_MAX];
        writer.push(&big, Importance::Required).unwrap();
        assert!(writer.is_congested());
        writer.push(&[1; 10], Importance::Droppable).unwrap();
        writer.push(&[2; 10], Importance::Required).unwrap();
        assert_eq!(writer.queued_bytes(), MESSAGE_BYTES_MAX + 10);
        assert_eq!((writer.take_dropped(), writer.take_dropped()), (1, 0));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut writer = FrameWriter::default();
        let big = vec![0; MESSAGE_BYTES_MAX];
        for _ in 0..HARD_BYTES_MAX / MESSAGE_BYTES_MAX {
            writer.push(&big, Importance::Required).unwrap();
        }
        assert_eq!(writer.push(&[0], Importance::Required), Err(QueueError::ControllerStuck));
        let too_big = vec![0; MESSAGE_BYTES_MAX + 1];
        assert_eq!(
            FrameWriter::default().push(&too_big, Importance::Required),
            Err(QueueError::MessageTooBig(MESSAGE_BYTES_MAX + 1))
        );
    }

    #[test]
    fn a_smaller_limit_is_kept_to_the_byte() {
        let mut writer = FrameWriter::new(Framing::SizePrefix, 1000);
        writer.push(&[0; 1004], Importance::Required).unwrap();
        let pushed = writer.push(&[0; 1005], Importance::Required);
        assert_eq!(pushed, Err(QueueError::MessageTooBig(1005)));
        assert_eq!(writer.queued_bytes(), 1004);
    }

    #[test]
    fn a_head_never_goes_without_its_payload() {
        let mut writer = FrameWriter::new(Framing::Netstring, 10);
        writer.push_all([b"head", b"payload"], Importance::Droppable).unwrap();
        let pushed = writer.push_all([b"head", &[0; 11]], Importance::Droppable);
        assert_eq!(pushed, Err(QueueError::MessageTooBig(11)));
        assert_eq!(writer.queue, b"4:head,7:payload,");
    }

    #[test]
    fn a_broken_channel_is_an_error() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = FrameWriter::default();
        writer.push(b"x", Importance::Required).unwrap();
        assert!(writer.flush(&mut Broken).is_err());
    }
}
