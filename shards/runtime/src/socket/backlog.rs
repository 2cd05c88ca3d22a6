//! What a connection has for its peer and the kernel does not take yet: whole frames, but for the first, of which a part may
//! have gone.
//!
//! A receiver that is slower than what it is sent must not hear the past. So frames wait no longer than media is of use;
//! the one that is torn must be finished whatever its age, or nothing behind it could be read.

use std::collections::VecDeque;
use std::time::Duration;

use ringsoup_rtc::time::Time;

/// Bytes of a backlog: what a receiver of 2 Mbit/s takes in a second. More would be too old before it went.
pub(super) const BACKLOG_BYTES_MAX: usize = 256 << 10;
/// Frames of a backlog; audio ones are small.
const FRAMES_MAX: usize = 2_048;
/// What waited longer is dropped. A jitter buffer has given such a packet up, a retransmission of it is on its way, and checks and
/// handshakes are repeated sooner.
const AGE_MAX: Duration = Duration::from_secs(1);
/// The first allocation, bytes: a few packets.
const FIRST_BYTES: usize = 16 << 10;
/// Bytes that all backlogs of a shard may have: 128 receivers that are full. When they have, frames that find no room are dropped.
pub(super) const BACKLOGS_BYTES_MAX: usize = 32 << 20;

/// A frame with its length before it, in `bytes`.
#[derive(Debug, Clone, Copy)]
struct Held {
    start: usize,
    len: usize,
    at: Time,
}

#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    frames: VecDeque<Held>,
    /// The first frame has lost bytes at its front: they have gone.
    is_torn: bool,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Bytes to be counted against [`BACKLOGS_BYTES_MAX`].
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The rest of a frame of which the kernel took the front. Only the first may be one. False when there is no room.
    pub(super) fn hold_torn(&mut self, now: Time, rest: &[&[u8]], room: usize) -> bool {
        self.is_torn = self.hold(now, rest, room);
        self.is_torn
    }

    /// Takes a frame in, with its length, in parts. `room`: by how much it may grow. False when there is none.
    pub(super) fn hold(&mut self, now: Time, parts: &[&[u8]], room: usize) -> bool {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if self.frames.len() >= FRAMES_MAX || !self.make_room(len, room) {
            return false;
        }
        let start = self.bytes.len();
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.frames.push_back(Held { start, len, at: now });
        true
    }

    fn make_room(&mut self, len: usize, room: usize) -> bool {
        if self.bytes.len() + len > self.bytes.capacity() {
            self.compact();
        }
        let (needed, had) = (self.bytes.len() + len, self.bytes.capacity());
        if needed <= had {
            return true;
        }
        let wanted = (2 * had).max(FIRST_BYTES).max(needed).min(BACKLOG_BYTES_MAX);
        if needed > wanted || wanted - had > room {
            return false;
        }
        self.bytes.reserve_exact(wanted - self.bytes.len());
        true
    }

    /// Moves what is left to the front.
    fn compact(&mut self) {
        let mut end = 0;
        for frame in &mut self.frames {
            self.bytes.copy_within(frame.start..frame.start + frame.len, end);
            frame.start = end;
            end += frame.len;
        }
        self.bytes.truncate(end);
    }

    /// Drops what is too old; returns how many frames.
    pub(super) fn expire(&mut self, now: Time) -> usize {
        let before = self.frames.len();
        let mut keeps = self.is_torn;
        self.frames.retain(|frame| std::mem::take(&mut keeps) || now.saturating_since(frame.at) <= AGE_MAX);
        before - self.frames.len()
    }

    /// What is to be written, in order, in at most so many slices; frames that touch are one.
    pub(super) fn slices(&self, slices_max: usize, mut take: impl FnMut(&[u8])) {
        let (mut start, mut end, mut taken) = (0, 0, 0);
        for frame in &self.frames {
            if frame.start != end && end > start {
                take(&self.bytes[start..end]);
                taken += 1;
            }
            if taken >= slices_max {
                return;
            }
            if frame.start != end || end == start {
                start = frame.start;
            }
            end = frame.start + frame.len;
        }
        if end > start {
            take(&self.bytes[start..end]);
        }
    }

    /// The kernel took so many bytes of what [`slices`](Self::slices) told; returns how many frames have gone whole.
    pub(super) fn advance(&mut self, mut taken: usize) -> usize {
        let before = self.frames.len();
        while let Some(first) = self.frames.front_mut() {
            if taken < first.len {
                self.is_torn |= taken > 0;
                first.start += taken;
                first.len -= taken;
                break;
            }
            taken -= first.len;
            self.frames.pop_front();
            self.is_torn = false;
        }
        before - self.frames.len()
    }
}

/// What follows behind the first `skipped` bytes.
pub(super) fn parts_behind<const PARTS: usize>(parts: [&[u8]; PARTS], mut skipped: usize) -> [&[u8]; PARTS] {
    parts.map(|part| {
        let here = skipped.min(part.len());
        skipped -= here;
        &part[here..]
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn content(backlog: &Backlog) -> Vec<u8> {
        let mut bytes = Vec::new();
        backlog.slices(usize::MAX, |slice| bytes.extend_from_slice(slice));
        bytes
    }

    #[test]
    fn frames_go_in_order_and_in_parts() {
        let mut backlog = Backlog::default();
        assert!(backlog.hold_torn(at(0), &[b"rest"], usize::MAX));
        assert!(backlog.hold(at(0), &[b"\0\x03", b"a", b"bc"], usize::MAX));
        assert!(backlog.hold(at(0), &[b"\0\x01", b"d", b""], usize::MAX));
        assert_eq!(content(&backlog), b"rest\0\x03abc\0\x01d");
        assert_eq!((backlog.advance(6), content(&backlog)), (1, b"abc\0\x01d".to_vec()));
        assert_eq!((backlog.advance(6), backlog.is_empty()), (2, true));
    }

    #[test]
    fn what_is_too_old_goes_but_for_what_is_torn() {
        let mut backlog = Backlog::default();
        for (millis, frame) in [(0, b"one"), (0, b"two"), (900, b"thr")] {
            assert!(backlog.hold(at(millis), &[frame], usize::MAX));
        }
        assert_eq!(backlog.expire(at(1_000)), 0);
        backlog.advance(1);
        assert_eq!(backlog.expire(at(1_001)), 1);
        assert_eq!(content(&backlog), b"nethr");
        backlog.advance(2);
        assert_eq!((backlog.expire(at(1_901)), backlog.is_empty()), (1, true));
    }

    #[test]
    fn a_full_backlog_takes_no_more_until_something_has_gone() {
        let mut backlog = Backlog::default();
        let frame = [7; 1_000];
        let taken = (0..).take_while(|_| backlog.hold(at(0), &[&frame], usize::MAX)).count();
        assert_eq!(taken, BACKLOG_BYTES_MAX / 1_000);
        assert_eq!(backlog.capacity(), BACKLOG_BYTES_MAX);
        backlog.advance(1_500);
        assert!(backlog.hold(at(0), &[&frame], 0), "what has gone makes room");
        assert!(!backlog.hold(at(0), &[&frame], 0));
        assert_eq!(content(&backlog).len(), taken * 1_000 - 500);
        let mut small = Backlog::default();
        assert_eq!((0..).take_while(|_| small.hold(at(0), &[b"x"], usize::MAX)).count(), FRAMES_MAX);
        assert!(!Backlog::default().hold(at(0), &[&frame], FIRST_BYTES - 1), "no room in the shard");
    }

    #[test]
    fn a_rest_is_what_lies_behind() {
        let parts: [&[u8]; 3] = [b"ab", b"cde", b"f"];
        for skipped in 0..=6 {
            assert_eq!(parts_behind(parts, skipped).concat(), b"abcdef"[skipped..]);
        }
    }

    proptest! {
        /// Whatever is taken, refused and dropped by age: what goes out is whole frames in order.
        #[test]
        fn nothing_torn_comes_out(
            steps in prop::collection::vec((0..6_000_usize, 0..9_000_usize, 0..500_u64), 1..200),
        ) {
            let (mut backlog, mut written, mut now) = (Backlog::default(), Vec::new(), 0);
            for (number, (len, taken, millis)) in (0_u8..).cycle().zip(steps) {
                now += millis;
                backlog.expire(at(now));
                let body = vec![number; len];
                let prefix = u16::try_from(len).unwrap().to_be_bytes();
                backlog.hold(at(now), &[&prefix, &body], usize::MAX);
                prop_assert!(backlog.capacity() <= BACKLOG_BYTES_MAX);
                let waiting = content(&backlog);
                let taken = taken.min(waiting.len());
                written.extend_from_slice(&waiting[..taken]);
                backlog.advance(taken);
            }
            written.extend(content(&backlog));
            let mut rest = &written[..];
            while let Some((prefix, behind)) = rest.split_first_chunk::<2>() {
                let (body, behind) = behind.split_at(usize::from(u16::from_be_bytes(*prefix)));
                prop_assert!(body.windows(2).all(|pair| pair[0] == pair[1]));
                rest = behind;
            }
            prop_assert!(rest.is_empty());
        }
    }
}
