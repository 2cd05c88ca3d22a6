//! What must not be lost and found its direction full.
//!
//! A lost packet is repaired or missed; a lost message of a data channel is what SCTP promises not to happen, and a lost word about
//! a tuple silences a peer. So these wait here, in order, for the other shard to catch up: as long and as many as can mean that it
//! will.

use std::collections::VecDeque;
use std::time::Duration;

use ringsoup_rtc::time::Time;

use super::head::Head;

/// Bytes that wait for one shard.
const BYTES_MAX: usize = 16 << 20;
/// A message that small counts as this many bytes: its entry and its own allocation.
const MESSAGE_BYTES_MIN: usize = 128;
/// A shard that took nothing for this long is not busy but gone.
const AGE_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Held {
    pub(super) head: Head,
    pub(super) bytes: Vec<u8>,
    since: Time,
}

/// What waits for one shard.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    messages: VecDeque<Held>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// False when there is no room.
    pub(super) fn hold(&mut self, now: Time, head: Head, front: &[u8], back: &[u8]) -> bool {
        let len = front.len() + back.len();
        if self.bytes + cost(len) > BYTES_MAX {
            return false;
        }
        self.bytes += cost(len);
        self.messages.push_back(Held { head, bytes: [front, back].concat(), since: now });
        true
    }

    /// The one that has waited longest.
    pub(super) fn take(&mut self) -> Option<Held> {
        let held = self.messages.pop_front()?;
        self.bytes -= cost(held.bytes.len());
        Some(held)
    }

    /// For one that was taken and still found no room.
    pub(super) fn put_back(&mut self, held: Held) {
        self.bytes += cost(held.bytes.len());
        self.messages.push_front(held);
    }
}

impl Held {
    pub(super) fn is_hopeless(&self, now: Time) -> bool {
        now.saturating_since(self.since) > AGE_MAX
    }
}

fn cost(len: usize) -> usize {
    len.max(MESSAGE_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use ringsoup_sfu::piped::{PipeKey, PipedKind};

    use super::*;

    fn head(key: u64) -> Head {
        Head::Piped { to: PipeKey(key), kind: PipedKind::Message }
    }

    #[test]
    fn messages_wait_in_order_and_within_bounds() {
        let mut backlog = Backlog::default();
        let mut count = 0;
        while backlog.hold(Time::ZERO, head(count), b"a", b"b") {
            count += 1;
        }
        assert_eq!(count, (BYTES_MAX / MESSAGE_BYTES_MIN) as u64);
        let first = backlog.take().unwrap();
        assert_eq!((first.head, &first.bytes[..]), (head(0), &b"ab"[..]));
        backlog.put_back(first);
        for key in 0..count {
            assert_eq!(backlog.take().unwrap().head, head(key));
        }
        assert!(backlog.is_empty() && backlog.bytes == 0);
        assert!(!backlog.hold(Time::ZERO, head(0), &[], &vec![0; BYTES_MAX + 1]));
    }

    #[test]
    fn hope_ends() {
        let mut backlog = Backlog::default();
        assert!(backlog.hold(Time::from_millis(1_000), head(0), b"a", b""));
        let held = backlog.take().unwrap();
        assert!(!held.is_hopeless(Time::from_millis(11_000)) && held.is_hopeless(Time::from_millis(11_001)));
    }
}
