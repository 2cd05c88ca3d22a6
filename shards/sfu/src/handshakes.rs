//! Whose handshake a shard works on next (docs/decisions/0020).
//!
//! ```text
//! asks ──► waiting ──► begins ──► its peer speaks: a place ──► a flight is whole: ready ──► the answer ──► ready … connected
//!             └─────────────────────────── one piece of work each ───────────────────────────┘
//! ```
//! Public-key work comes in pieces of a few hundred microseconds. One is done at a time, between two flushes of media; when
//! there is time for one is for whoever drives the shard to say.

use std::collections::VecDeque;
use std::time::Duration;

use crate::table::Id;
use crate::transport::Transport;

/// Handshakes that wait to begin. Where they have three quarters of a shard's time, a millisecond each, the last of them waits for
/// some 6 s; where media leaves them a twentieth, for a minute and a half. Whose peer lost consent meanwhile has its turn for
/// nothing: it does not begin.
const WAITING_MAX: usize = 4_096;

/// When one asks again for which there was no room.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// Handshakes whose peers have spoken: each may hold some 80 KB.
const PLACES: usize = 1_024;

/// Of so many pieces of work one begins a handshake, while those that have begun have work too. They go first, but what their
/// peers can make of it must not keep everybody else out.
const BEGINS_ONE_IN: u32 = 4;

/// What a transport is in the queues for. It is in them once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Begin,
    /// Its peer's flight is whole.
    Answer,
}

#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    /// Those that have begun. Bounded by the places: no flight comes from a peer that has not spoken.
    ready: VecDeque<Id<Transport>>,
    /// Those that have not, in the order in which they asked.
    waiting: VecDeque<Id<Transport>>,
    places_taken: usize,
    /// Pieces of work since one began.
    since_begin: u32,
    /// Whose piece is being worked on: what a panic is about.
    pub(crate) at_work: Option<Id<Transport>>,
}

impl Handshakes {
    /// Whether it will begin; otherwise it asks again after [`RETRY`].
    pub(crate) fn ask(&mut self, id: Id<Transport>) -> bool {
        let has_room = self.waiting.len() < WAITING_MAX;
        if has_room {
            self.waiting.push_back(id);
        }
        has_room
    }

    /// One that has begun has something to be worked on.
    pub(crate) fn is_ready(&mut self, id: Id<Transport>) {
        self.ready.push_back(id);
    }

    /// Whose turn it is.
    pub(crate) fn next(&mut self) -> Option<Id<Transport>> {
        let begins = self.ready.is_empty() || self.since_begin + 1 >= BEGINS_ONE_IN;
        if begins && let Some(id) = self.waiting.pop_front() {
            self.since_begin = 0;
            return Some(id);
        }
        self.since_begin = self.since_begin.saturating_add(1);
        self.ready.pop_front()
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.waiting.is_empty()
    }

    /// Takes one out of the queue that it is in.
    pub(crate) fn forget(&mut self, id: Id<Transport>, turn: Turn) {
        let queue = match turn {
            Turn::Begin => &mut self.waiting,
            Turn::Answer => &mut self.ready,
        };
        queue.retain(|&queued| queued != id);
    }

    /// Whether there is a place for one more. Where there is none, what a peer says that has none is to be dropped unread.
    pub(crate) const fn has_place(&self) -> bool {
        self.places_taken < PLACES
    }

    /// For a handshake that holds something of its peer's for the first time: there is a place, as was asked before.
    pub(crate) fn take_place(&mut self) {
        debug_assert!(self.has_place(), "it was asked before");
        self.places_taken += 1;
    }

    pub(crate) fn give_place_back(&mut self) {
        self.places_taken = self.places_taken.saturating_sub(1);
    }

    /// In the queues, and places.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.ready.len() + self.waiting.len(), self.places_taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<usize>) -> Vec<Id<Transport>> {
        range.map(Id::new).collect()
    }

    #[test]
    fn they_begin_in_the_order_in_which_they_asked() {
        let mut handshakes = Handshakes::default();
        for id in ids(0..10) {
            assert!(handshakes.ask(id));
        }
        handshakes.forget(Id::new(4), Turn::Begin);
        let begun: Vec<_> = std::iter::from_fn(|| handshakes.next()).map(Id::index).collect();
        assert_eq!(begun, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
        assert!(!handshakes.has_work());
    }

    #[test]
    fn those_that_have_begun_go_first_and_keep_nobody_out() {
        let mut handshakes = Handshakes::default();
        ids(0..3).into_iter().for_each(|id| assert!(handshakes.ask(id)));
        ids(100..112).into_iter().for_each(|id| handshakes.is_ready(id));
        let order: Vec<_> = std::iter::from_fn(|| handshakes.next()).map(Id::index).collect();
        assert_eq!(order, [100, 101, 102, 0, 103, 104, 105, 1, 106, 107, 108, 2, 109, 110, 111]);
    }

    #[test]
    fn those_that_wait_are_bounded() {
        let mut handshakes = Handshakes::default();
        let asked = ids(0..WAITING_MAX + 10).into_iter().filter(|&id| handshakes.ask(id)).count();
        assert_eq!((asked, handshakes.counts()), (WAITING_MAX, (WAITING_MAX, 0)));
        assert_eq!(handshakes.next().map(Id::index), Some(0));
        assert!(handshakes.ask(Id::new(9_999)));
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let mut handshakes = Handshakes::default();
        for _ in 0..PLACES {
            assert!(handshakes.has_place());
            handshakes.take_place();
        }
        assert!(!handshakes.has_place());
        handshakes.give_place_back();
        assert!(handshakes.has_place());
        handshakes.take_place();
        assert!(!handshakes.has_place());
    }
}
