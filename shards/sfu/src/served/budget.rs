//! How many checks a shard hands over that nobody has vouched for yet.
//!
//! Whoever has seen a fragment can send checks for it from as many addresses as there are. None of them may cost another shard
//! more than a few percent of its time, nor keep out the checks of other peers.

use std::time::Duration;

use ringsoup_rtc::time::Time;

/// How long checks are counted together.
const WINDOW: Duration = Duration::from_millis(100);
/// Checks in a window that name one fragment: an agent that tries ten pairs at the pace of RFC 8445 sends a fifth of that.
pub(super) const PER_FRAGMENT: u8 = 16;
/// Fragments are counted in so many groups. Which are counted together, nobody outside can tell.
const GROUPS: usize = 4_096;
/// Checks in a window for one shard: at 1 µs each, 2 % of its time.
pub(super) const PER_SHARD: u32 = 2_000;

#[derive(Debug)]
pub(super) struct Budget {
    until: Time,
    by_fragment: Box<[u8]>,
    by_shard: Vec<u32>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { until: Time::ZERO, by_fragment: vec![0; GROUPS].into(), by_shard: Vec::new() }
    }
}

impl Budget {
    /// Makes room for the counts of so many shards.
    pub(super) fn reserve(&mut self, shards: usize) {
        if self.by_shard.len() < shards {
            self.by_shard.resize(shards, 0);
        }
    }

    /// Whether one more may be handed to this shard.
    pub(super) fn admits(&mut self, now: Time, shard: u16, seal: u64) -> bool {
        if now >= self.until {
            self.until = now + WINDOW;
            self.by_fragment.fill(0);
            self.by_shard.fill(0);
        }
        let group = usize::try_from(seal % GROUPS as u64).unwrap_or(0);
        let Some(of_shard) = self.by_shard.get_mut(usize::from(shard)) else { return false };
        let of_fragment = &mut self.by_fragment[group];
        if *of_fragment >= PER_FRAGMENT || *of_shard >= PER_SHARD {
            return false;
        }
        *of_fragment += 1;
        *of_shard += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(budget: &mut Budget, now: u64, shard: u16, seals: impl Iterator<Item = u64>) -> usize {
        seals.filter(|seal| budget.admits(Time::from_millis(now), shard, *seal)).count()
    }

    #[test]
    fn a_fragment_has_its_share_and_takes_none_of_the_others() {
        let mut budget = Budget::default();
        budget.reserve(2);
        let same = || std::iter::repeat_n(7, 1_000);
        assert_eq!(admitted(&mut budget, 1_000, 1, same()), usize::from(PER_FRAGMENT));
        assert_eq!(admitted(&mut budget, 1_050, 1, 8..108), 100);
        assert_eq!(admitted(&mut budget, 1_100, 1, same()), usize::from(PER_FRAGMENT));
    }

    #[test]
    fn a_shard_is_spared_whatever_the_fragments() {
        let mut budget = Budget::default();
        assert_eq!(admitted(&mut budget, 0, 1, 0..10), 0, "nobody has such a shard");
        budget.reserve(3);
        assert_eq!(admitted(&mut budget, 0, 1, 0..100_000), PER_SHARD as usize);
        assert_eq!(admitted(&mut budget, 0, 2, 0..10), 10);
    }
}
