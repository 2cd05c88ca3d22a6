//! From a producer's sequence numbers to a consumer's: gap-free where we drop on purpose, faithful to real loss.
//!
//! ```text
//! input    100 101 102 103 104 105          (102 dropped on purpose, 104 lost on the way)
//! output    40  41   -  42  43  44          (43 stays missing: the receiver may ask for it)
//! ```

use std::collections::VecDeque;

/// Deliberate drops that are remembered, for packets that arrive late among them. Older ones only count in the
/// offset; a packet that late is refused.
const REMEMBERED_DROPS_MAX: usize = 512;

#[derive(Debug, Clone)]
pub struct SeqMap {
    /// `output = input - offset`, for inputs after all remembered drops.
    offset: u64,
    /// The first input of the current run: what came before it was never announced to the receiver.
    first_input: u64,
    max_output: u64,
    max_input: u64,
    dropped: VecDeque<u64>,
}

impl SeqMap {
    /// The first output will be `first_output`.
    pub fn new(first_output: u16) -> Self {
        Self {
            offset: 0,
            first_input: 0,
            // One cycle up, so that outputs never go below zero.
            max_output: 0x1_0000 + u64::from(first_output) - 1,
            max_input: 0,
            dropped: VecDeque::new(),
        }
    }

    /// Starts a new run: `input` becomes the output after the highest one so far.
    pub fn sync(&mut self, input: u64) {
        self.sync_at(input, self.max_output + 1);
    }

    /// Starts a new run: `input` becomes `output`.
    pub fn sync_at(&mut self, input: u64, output: u64) {
        // Wrapping on purpose: the offset is a difference modulo 2^64.
        self.offset = input.wrapping_sub(output);
        self.max_output = output - 1;
        self.first_input = input;
        self.max_input = input;
        self.dropped.clear();
    }

    /// Leaves `input` out on purpose: what follows closes the gap.
    pub fn drop_input(&mut self, input: u64) {
        if input <= self.max_input {
            self.drop_late(input);
            return;
        }
        if self.dropped.len() == REMEMBERED_DROPS_MAX
            && let Some(oldest) = self.dropped.pop_front()
        {
            self.first_input = self.first_input.max(oldest + 1);
        }
        self.max_input = input;
        self.dropped.push_back(input);
        self.offset = self.offset.wrapping_add(1);
    }

    /// Inputs after this one were seen. When they were all dropped, this one still closes up; when one went out, it did so with
    /// this number's gap, which stays.
    fn drop_late(&mut self, input: u64) {
        let place = self.dropped.partition_point(|&dropped| dropped < input);
        let later = (self.dropped.len() - place) as u64;
        let output = input.wrapping_sub(self.offset.wrapping_sub(later));
        let is_known = self.dropped.get(place) == Some(&input);
        let has_room = self.dropped.len() < REMEMBERED_DROPS_MAX;
        if input >= self.first_input && output > self.max_output && later > 0 && !is_known && has_room {
            self.dropped.insert(place, input);
            self.offset = self.offset.wrapping_add(1);
        }
    }

    /// The output for `input`, or `None` when it belongs before this run or was dropped.
    pub fn map(&mut self, input: u64) -> Option<u64> {
        let output = self.output_of(input)?;
        self.max_input = self.max_input.max(input);
        self.max_output = self.max_output.max(output);
        Some(output)
    }

    /// The output that `input` has, whether it went out or not.
    pub fn output_of(&self, input: u64) -> Option<u64> {
        if input < self.first_input {
            return None;
        }
        let mut offset = self.offset;
        if self.dropped.back().is_some_and(|&last| input <= last) {
            let later = self.dropped.partition_point(|&dropped| dropped < input);
            if self.dropped.get(later) == Some(&input) {
                return None;
            }
            offset = offset.wrapping_sub((self.dropped.len() - later) as u64);
        }
        Some(input.wrapping_sub(offset))
    }

    /// The input that went out, or would have, under the 16 bits `output`: the newest such number. With it the whole
    /// output. `None` for what came before this run, was not sent yet or lies too far back to be told apart.
    pub fn source(&self, output: u16) -> Option<(u64, u64)> {
        #[allow(clippy::cast_possible_truncation, reason = "the distance is modulo 2^16 on the wire")]
        let behind = (self.max_output as u16).wrapping_sub(output);
        let output = self.max_output - u64::from(behind);
        // Each remembered drop moved what follows it down by one: count those at or below the output.
        let count = self.dropped.len() as u64;
        let first_after = |index: usize, dropped: u64| {
            let later = count - 1 - index as u64;
            (dropped + 1).wrapping_sub(self.offset.wrapping_sub(later))
        };
        let mut before = 0;
        let mut end = self.dropped.len();
        while before < end {
            let middle = usize::midpoint(before, end);
            if first_after(middle, self.dropped[middle]) <= output {
                before = middle + 1
            } else {
                end = middle
            }
        }
        let input = output.wrapping_add(self.offset.wrapping_sub(count - before as u64));
        (input >= self.first_input && input <= self.max_input).then_some((input, output))
    }

    pub fn max_output(&self) -> u64 {
        self.max_output
    }

    /// The highest input sent or dropped in this run.
    pub fn max_input(&self) -> u64 {
        self.max_input
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What went out can be found again by the number it went out under.
        #[test]
        fn source_reverses_map(first in 1_000_u16..32_767, steps in proptest::collection::vec((0_u8..10, 1_u64..4), 1..300)) {
            let mut map = SeqMap::new(first);
            map.sync(5_000);
            let mut input = 5_000;
            let mut sent = vec![(input, map.map(input).unwrap())];
            for (kind, step) in steps {
                input += step;
                if kind < 3 {
                    map.drop_input(input);
                } else if let Some(output) = map.map(input) {
                    sent.push((input, output));
                }
            }
            for (input, output) in sent {
                #[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits")]
                let wire = output as u16;
                prop_assert_eq!(map.source(wire), Some((input, output)));
            }
        }
    }

    proptest! {
        /// Whatever the order, no two inputs share an output and outputs go up with inputs; drops nobody overtook leave no gap.
        #[test]
        fn outputs_are_ordered_like_inputs(steps in proptest::collection::vec((any::<bool>(), 0_u64..12), 1..200)) {
            let mut map = SeqMap::new(1_000);
            map.sync(100);
            let mut sent = std::collections::BTreeMap::from([(100, map.map(100).unwrap())]);
            let mut dropped = std::collections::BTreeSet::new();
            for (index, (drops, jitter)) in steps.into_iter().enumerate() {
                let input = 101 + index as u64 + jitter;
                if sent.contains_key(&input) || dropped.contains(&input) {
                    continue;
                }
                if drops {
                    map.drop_input(input);
                    dropped.insert(input);
                } else if let Some(output) = map.map(input) {
                    sent.insert(input, output);
                }
            }
            for (one, other) in sent.iter().zip(sent.iter().skip(1)) {
                prop_assert!(one.1 < other.1 && other.1 - one.1 <= other.0 - one.0, "{:?} {:?}", one, other);
            }
            for (&input, &output) in &sent {
                prop_assert_eq!(map.output_of(input), Some(output));
            }
        }
    }

    #[test]
    fn drops_out_of_order_close_up_until_something_after_them_went_out() {
        let mut map = SeqMap::new(40);
        map.sync(100);
        let base = map.map(100).unwrap();
        map.drop_input(103);
        map.drop_input(101);
        map.drop_input(102);
        map.drop_input(102);
        assert_eq!(map.map(104), Some(base + 1));
        assert_eq!(map.map(106), Some(base + 3));
        map.drop_input(105);
        assert_eq!(map.map(107), Some(base + 4));
    }

    #[test]
    fn source_knows_nothing_of_other_runs_or_the_future() {
        let mut map = SeqMap::new(100);
        assert_eq!(map.source(100), None);
        map.sync(10);
        map.map(10);
        map.map(11);
        assert_eq!(map.source(101).map(|(input, _)| input), Some(11));
        assert_eq!(map.source(102), None);
        map.sync(500);
        map.map(500);
        assert_eq!(map.source(101), None);
        assert_eq!(map.source(102).map(|(input, _)| input), Some(500));
    }

    #[test]
    fn drops_close_up_and_losses_stay() {
        let mut map = SeqMap::new(40);
        map.sync(100);
        let base = map.map(100).unwrap();
        assert_eq!(base & 0xffff, 40);
        assert_eq!(map.map(101), Some(base + 1));
        map.drop_input(102);
        assert_eq!(map.map(103), Some(base + 2));
        assert_eq!(map.map(105), Some(base + 4));
        assert_eq!(map.map(104), Some(base + 3));
        assert_eq!(map.map(102), None);
    }

    #[test]
    fn late_packets_keep_the_number_of_their_time() {
        let mut map = SeqMap::new(1);
        map.sync(10);
        let base = map.map(10).unwrap();
        map.drop_input(12);
        map.drop_input(13);
        assert_eq!(map.map(14), Some(base + 2));
        assert_eq!(map.map(11), Some(base + 1));
    }

    #[test]
    fn a_new_run_continues_after_the_highest_output() {
        let mut map = SeqMap::new(1_000);
        map.sync(u64::from(u16::MAX));
        let first = map.map(u64::from(u16::MAX)).unwrap();
        assert_eq!(map.map(u64::from(u16::MAX) + 5), Some(first + 5));
        map.sync(7);
        assert_eq!(map.map(7), Some(first + 6));
        assert_eq!(map.map(6), None);
    }

    #[test]
    fn remembered_drops_are_bounded_and_too_late_is_refused() {
        let mut map = SeqMap::new(1);
        map.sync(0);
        let first = map.map(0).unwrap();
        for input in (1..4_000).step_by(2) {
            map.drop_input(input);
            assert_eq!(map.map(input + 1), Some(first + u64::midpoint(input, 1)));
        }
        assert!(map.dropped.len() <= REMEMBERED_DROPS_MAX);
        assert_eq!(map.map(2), None);
    }
}
