//! What a receiver asks for again: gaps in its video, at once and then each round trip, until they come or it gives up.

use std::collections::BTreeMap;

/// A receiver gives up after so many requests, as browsers do.
const TRIES_MAX: u8 = 10;
/// A longer gap is not repaired: whoever was away so long wants a key frame instead.
const GAP_MAX: u64 = 1_000;
/// Packets asked for at a time, of all consumers together; further ones are not asked for.
const ASKS_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug)]
struct Ask {
    next_ns: u64,
    tries: u8,
}

/// The gaps of a thread's consumers.
#[derive(Debug)]
pub(super) struct Nacks {
    /// By consumer and extended sequence number.
    asks: BTreeMap<(usize, u64), Ask>,
    interval_ns: u64,
    /// Numbers asked for, each time.
    pub(super) asked: u64,
    pub(super) repaired: u64,
    pub(super) given_up: u64,
}

impl Nacks {
    pub(super) const fn new(interval_ns: u64) -> Self {
        Self { asks: BTreeMap::new(), interval_ns, asked: 0, repaired: 0, given_up: 0 }
    }

    /// The numbers between two that came in sequence are missing.
    pub(super) fn note_gap(&mut self, consumer: usize, before: u64, after: u64, now_ns: u64) {
        if after - before > GAP_MAX {
            return;
        }
        for missing in before + 1..after {
            if self.asks.len() < ASKS_MAX {
                self.asks.insert((consumer, missing), Ask { next_ns: now_ns, tries: 0 });
            }
        }
    }

    /// A packet came late.
    pub(super) fn note_late(&mut self, consumer: usize, number: u64) {
        if self.asks.remove(&(consumer, number)).is_some_and(|ask| ask.tries > 0) {
            self.repaired += 1;
        }
    }

    /// What is to be asked for now, ascending for each consumer.
    pub(super) fn take_due(&mut self, now_ns: u64, mut wanted: impl FnMut(usize, u64)) {
        let (mut asked, mut given_up) = (0, 0);
        self.asks.retain(|(consumer, number), ask| {
            if ask.next_ns > now_ns {
                return true;
            }
            if ask.tries == TRIES_MAX {
                given_up += 1;
                return false;
            }
            wanted(*consumer, *number);
            asked += 1;
            *ask = Ask { next_ns: now_ns + self.interval_ns, tries: ask.tries + 1 };
            true
        });
        self.asked += asked;
        self.given_up += given_up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(nacks: &mut Nacks, now_ns: u64) -> Vec<(usize, u64)> {
        let mut all = Vec::new();
        nacks.take_due(now_ns, |consumer, number| all.push((consumer, number)));
        all
    }

    #[test]
    fn gaps_are_asked_for_at_once_and_each_interval_until_they_come() {
        let mut nacks = Nacks::new(100);
        nacks.note_gap(1, 10, 13, 5);
        nacks.note_gap(0, 70, 72, 5);
        assert_eq!(due(&mut nacks, 5), [(0, 71), (1, 11), (1, 12)]);
        assert_eq!(due(&mut nacks, 104), []);
        nacks.note_late(1, 11);
        assert_eq!(due(&mut nacks, 105), [(0, 71), (1, 12)]);
        assert_eq!((nacks.asked, nacks.repaired, nacks.given_up), (5, 1, 0));
    }

    #[test]
    fn a_receiver_gives_up() {
        let mut nacks = Nacks::new(100);
        nacks.note_gap(0, 1, 3, 0);
        for turn in 0..10 {
            assert_eq!(due(&mut nacks, turn * 100), [(0, 2)]);
        }
        assert_eq!(due(&mut nacks, 1_000), []);
        assert_eq!((nacks.asked, nacks.given_up), (10, 1));
        nacks.note_gap(0, 3, 5_000, 0);
        assert_eq!(due(&mut nacks, 2_000), [], "too long a gap");
    }

    #[test]
    fn what_comes_before_it_was_asked_for_is_no_repair() {
        let mut nacks = Nacks::new(100);
        nacks.note_gap(0, 1, 3, 0);
        nacks.note_late(0, 2);
        assert_eq!((due(&mut nacks, 0), nacks.repaired), (Vec::new(), 0));
    }
}
