//! What an SCTP association has been given to send and has not sent yet, stream by stream.
//!
//! Streams outlive the data consumers that used them: what was queued stays queued, and a later data consumer on the
//! same stream sees it, as it would on the wire.

use std::collections::VecDeque;

use crate::map::Map;

use super::Message;

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueRefusal {
    /// SCTP has no empty messages.
    Empty,
    TooLong,
    /// The association or the stream holds as much as it may.
    Full,
}

/// Bounds, bytes. A queue is full when it holds its limit, so that it exceeds it by less than one message.
#[derive(Debug, Clone, Copy)]
pub struct SendQueueLimits {
    pub message: u32,
    pub total: u32,
    pub per_stream: u32,
    /// At or below this a stream that held more tells that it is low.
    pub low_threshold: u32,
}

/// What was taken out of a queue.
#[derive(Debug)]
pub struct Waiting {
    /// With their streams, each of which is in order.
    pub messages: Vec<(u16, Message)>,
    /// Streams that held more than their threshold.
    pub now_low: Vec<u16>,
}

#[derive(Debug)]
pub struct SendQueue {
    limits: SendQueueLimits,
    /// At most 65,535, each made by its first message or threshold.
    streams: Map<u16, OutgoingStream>,
    buffered: usize,
}

#[derive(Debug)]
struct OutgoingStream {
    messages: VecDeque<Message>,
    buffered: usize,
    low_threshold: usize,
}

impl SendQueue {
    pub fn new(limits: SendQueueLimits) -> Self {
        Self { limits, streams: Map::default(), buffered: 0 }
    }

    /// # Errors
    /// Nothing was queued then.
    pub fn push(&mut self, stream_id: u16, message: Message) -> Result<(), QueueRefusal> {
        let bytes = message.payload.len();
        if bytes == 0 {
            return Err(QueueRefusal::Empty);
        }
        if bytes > self.limits.message as usize {
            return Err(QueueRefusal::TooLong);
        }
        let is_full = self.buffered >= self.limits.total as usize
            || self.buffered_amount(stream_id) as usize >= self.limits.per_stream as usize;
        if is_full {
            return Err(QueueRefusal::Full);
        }
        let stream = self.stream(stream_id);
        stream.messages.push_back(message);
        stream.buffered += bytes;
        self.buffered += bytes;
        Ok(())
    }

    /// Takes out everything that waits.
    pub fn take_all(&mut self) -> Waiting {
        let mut waiting = Waiting { messages: Vec::new(), now_low: Vec::new() };
        for (&stream_id, stream) in &mut self.streams {
            if stream.buffered > stream.low_threshold {
                waiting.now_low.push(stream_id);
            }
            stream.buffered = 0;
            waiting.messages.extend(stream.messages.drain(..).map(|message| (stream_id, message)));
        }
        self.buffered = 0;
        waiting
    }

    /// Bytes that wait in a stream.
    pub fn buffered_amount(&self, stream_id: u16) -> u32 {
        let buffered = self.streams.get(&stream_id).map_or(0, |stream| stream.buffered);
        u32::try_from(buffered).unwrap_or(u32::MAX)
    }

    /// Bytes that wait in all streams.
    pub fn buffered_amount_of_all(&self) -> u32 {
        u32::try_from(self.buffered).unwrap_or(u32::MAX)
    }

    pub fn low_threshold(&self, stream_id: u16) -> u32 {
        let threshold = self.streams.get(&stream_id).map(|stream| stream.low_threshold);
        threshold.map_or(self.limits.low_threshold, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// True when the stream is low by the new threshold and was not by the old one.
    pub fn set_low_threshold(&mut self, stream_id: u16, bytes: u32) -> bool {
        let stream = self.stream(stream_id);
        let old = std::mem::replace(&mut stream.low_threshold, bytes as usize);
        old < stream.buffered && stream.buffered <= bytes as usize
    }

    fn stream(&mut self, stream_id: u16) -> &mut OutgoingStream {
        let low_threshold = self.limits.low_threshold as usize;
        self.streams.entry(stream_id).or_insert_with(|| OutgoingStream {
            messages: VecDeque::new(),
            buffered: 0,
            low_threshold,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> SendQueue {
        SendQueue::new(SendQueueLimits { message: 10, total: 25, per_stream: 15, low_threshold: 3 })
    }

    fn message(bytes: usize) -> Message {
        Message { ppid: 53, payload: vec![0; bytes].into() }
    }

    #[test]
    fn limits_are_exceeded_by_less_than_a_message() {
        let mut queue = queue();
        assert_eq!(queue.push(1, message(0)), Err(QueueRefusal::Empty));
        assert_eq!(queue.push(1, message(11)), Err(QueueRefusal::TooLong));
        assert_eq!(queue.push(1, message(10)), Ok(()));
        assert_eq!(queue.push(1, message(10)), Ok(()));
        assert_eq!(queue.push(1, message(1)), Err(QueueRefusal::Full));
        assert_eq!(queue.push(2, message(10)), Ok(()));
        assert_eq!(queue.push(3, message(1)), Err(QueueRefusal::Full));
        assert_eq!(
            (queue.buffered_amount(1), queue.buffered_amount(2), queue.buffered_amount(3)),
            (20, 10, 0)
        );
        assert_eq!(queue.buffered_amount_of_all(), 30);
    }

    #[test]
    fn what_is_taken_out_leaves_room_and_tells_who_is_low() {
        let mut queue = queue();
        for (stream, bytes) in [(1, 2), (2, 10), (2, 1)] {
            queue.push(stream, message(bytes)).unwrap();
        }
        let waiting = queue.take_all();
        let of = |stream| waiting.messages.iter().filter(move |(id, _)| *id == stream);
        assert_eq!(of(2).map(|(_, message)| message.payload.len()).collect::<Vec<_>>(), [10, 1]);
        assert_eq!((of(1).count(), &waiting.now_low[..]), (1, &[2][..]));
        assert_eq!(queue.buffered_amount(2), 0);
        assert!(queue.take_all().messages.is_empty());
    }

    #[test]
    fn a_raised_threshold_tells_once_that_a_stream_is_low() {
        let mut queue = queue();
        assert_eq!(queue.low_threshold(1), 3);
        assert!(!queue.set_low_threshold(2, 5));
        assert_eq!((queue.low_threshold(2), queue.low_threshold(1)), (5, 3));
        queue.push(1, message(8)).unwrap();
        assert!(!queue.set_low_threshold(1, 7));
        assert!(queue.set_low_threshold(1, 8));
        assert!(!queue.set_low_threshold(1, 9));
        assert!(!queue.set_low_threshold(1, 2));
    }
}
