//! Loss, reordering and duplicates of one RTP stream, told from its sequence numbers alone.

/// Sequence numbers behind the highest whose arrival is remembered, to tell late from repeated.
const WINDOW: u64 = 1024;
const WORD_BITS: u64 = 64;
const WORDS: usize = 16;

/// What one arrival was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The next, or one after a gap.
    New,
    /// Behind the highest, seen for the first time.
    Late,
    Duplicate,
    /// Too far behind to tell late from repeated; counted as a duplicate.
    Ancient,
}

/// One stream's account. `unique` packets arrived out of `expected()`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    /// Highest extended sequence number; `None` before the first packet.
    highest: Option<u64>,
    first: u64,
    seen: [u64; WORDS],
    pub(crate) unique: u64,
    /// Numbers that the sender left out on purpose; the last of them, should it come after all.
    left_out: u64,
    last_left_out: Option<u64>,
}

impl Sequence {
    /// Accounts for one packet.
    pub(crate) fn receive(&mut self, sequence: u16) -> Arrival {
        let Some(highest) = self.highest else {
            // One cycle up, so that packets that were sent before the first to arrive have room below.
            let extended = u64::from(sequence) + (1 << 16);
            self.highest = Some(extended);
            self.first = extended;
            self.mark(extended);
            self.unique = 1;
            return Arrival::New;
        };
        let extended = extend(highest, sequence);
        if extended > highest {
            for skipped in highest + 1..=extended.min(highest + WINDOW) {
                self.unmark(skipped);
            }
            self.highest = Some(extended);
            self.mark(extended);
            self.unique += 1;
            return Arrival::New;
        }
        if highest - extended >= WINDOW {
            return Arrival::Ancient;
        }
        if self.is_marked(extended) {
            return Arrival::Duplicate;
        }
        if self.last_left_out == Some(extended) {
            self.last_left_out = None;
            self.left_out -= 1;
        }
        self.first = self.first.min(extended);
        self.mark(extended);
        self.unique += 1;
        Arrival::Late
    }

    /// The highest extended number.
    pub(super) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// The number before the highest stands for no packet.
    pub(super) fn leave_out(&mut self) {
        self.last_left_out = self.highest.and_then(|highest| highest.checked_sub(1));
        self.left_out += 1;
    }

    /// Packets the sender must have sent for the highest to exist, counted from the first.
    pub(crate) fn expected(&self) -> u64 {
        self.spanned().saturating_sub(self.left_out)
    }

    /// Numbers from the first to the highest: what RFC 3550 6.4.1 calls expected.
    pub(super) fn spanned(&self) -> u64 {
        self.highest.map_or(0, |highest| highest - self.first + 1)
    }

    #[cfg(test)]
    fn missing(&self) -> u64 {
        self.expected().saturating_sub(self.unique)
    }

    /// The extended highest sequence number as a receiver report wants it.
    pub(crate) fn highest_for_report(&self) -> u32 {
        let highest = self.highest.unwrap_or(0).saturating_sub(1 << 16);
        u32::try_from(highest & u64::from(u32::MAX)).unwrap_or(0)
    }

    fn slot(extended: u64) -> (usize, u64) {
        let bit = extended % WINDOW;
        (usize::try_from(bit / WORD_BITS).unwrap_or(0), 1 << (bit % WORD_BITS))
    }

    fn mark(&mut self, extended: u64) {
        let (word, bit) = Self::slot(extended);
        self.seen[word] |= bit;
    }

    fn unmark(&mut self, extended: u64) {
        let (word, bit) = Self::slot(extended);
        self.seen[word] &= !bit;
    }

    fn is_marked(&self, extended: u64) -> bool {
        let (word, bit) = Self::slot(extended);
        self.seen[word] & bit != 0
    }
}

/// The extended number nearest to `highest` whose low 16 bits are `sequence` (RFC 3550 A.1's idea).
pub(super) fn extend(highest: u64, sequence: u16) -> u64 {
    let low = u16::try_from(highest & 0xFFFF).unwrap_or(0);
    let ahead = sequence.wrapping_sub(low);
    if ahead < 1 << 15 {
        highest + u64::from(ahead)
    } else {
        highest.saturating_sub(u64::from(low.wrapping_sub(sequence)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn feed(sequence: &mut Sequence, numbers: &[u16]) -> Vec<Arrival> {
        numbers.iter().map(|number| sequence.receive(*number)).collect()
    }

    #[test]
    fn gaps_are_missing_until_filled() {
        let mut sequence = Sequence::default();
        use Arrival::{Duplicate, Late, New};
        assert_eq!(feed(&mut sequence, &[10, 11, 14, 13, 13]), [New, New, New, Late, Duplicate]);
        assert_eq!((sequence.expected(), sequence.unique, sequence.missing()), (5, 4, 1));
        assert_eq!(feed(&mut sequence, &[12]), [Late]);
        assert_eq!(sequence.missing(), 0);
    }

    #[test]
    fn the_wrap_is_not_a_gap() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, &[65_534, 65_535, 0, 2]);
        assert_eq!((sequence.expected(), sequence.missing()), (5, 1));
        assert_eq!(sequence.highest_for_report(), 65_536 + 2);
        assert_eq!(feed(&mut sequence, &[65_535, 1]), [Arrival::Duplicate, Arrival::Late]);
    }

    #[test]
    fn a_packet_before_the_first_still_counts() {
        let mut sequence = Sequence::default();
        assert_eq!(feed(&mut sequence, &[5, 4]), [Arrival::New, Arrival::Late]);
        assert_eq!((sequence.expected(), sequence.missing()), (2, 0));
    }

    #[test]
    fn what_is_left_out_is_not_missing_unless_it_comes() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, &[1, 2, 4]);
        sequence.leave_out();
        assert_eq!((sequence.expected(), sequence.missing(), sequence.spanned()), (3, 0, 4));
        assert_eq!(feed(&mut sequence, &[3]), [Arrival::Late]);
        assert_eq!((sequence.expected(), sequence.missing()), (4, 0));
    }

    #[test]
    fn long_gaps_clear_the_window() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, &[0, 5000]);
        assert_eq!(sequence.missing(), 4999);
        assert_eq!(feed(&mut sequence, &[4999, 4000, 1]), [Arrival::Late, Arrival::Late, Arrival::Ancient]);
    }

    proptest! {
        #[test]
        fn the_account_matches_a_set(jumps in proptest::collection::vec(-20_i32..40, 1..400)) {
            let mut sequence = Sequence::default();
            let mut sent = BTreeSet::new();
            let mut at = 100_000_i64;
            for jump in jumps {
                at += i64::from(jump);
                let new = sent.insert(at);
                let arrival = sequence.receive(u16::try_from(at.rem_euclid(65_536)).unwrap());
                let highest = *sent.last().unwrap();
                if highest - at < 1000 {
                    prop_assert_eq!(matches!(arrival, Arrival::New | Arrival::Late), new);
                } else if !new {
                    prop_assert_eq!(arrival, Arrival::Ancient);
                }
            }
        }
    }
}
