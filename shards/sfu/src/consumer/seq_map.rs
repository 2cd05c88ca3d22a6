//! From a producer's sequence numbers to a consumer's: gap-free where we drop on purpose, faithful to real loss.
//!
//! ```text
//! input    100 101 102 103 104 105          (102 dropped on purpose, 104 lost on the way)
//! output    40  41   -  42  43  44          (43 stays missing: the receiver may ask for it)
//! ```

use std::collections::VecDeque;

use ringsoup_rtc::rtx::history::PACKETS_MAX;

/// How far behind the newest input drops are remembered: for packets that arrive late among them, and to find again what a receiver asks
/// for, whose history reaches as far. Older ones only count in the offset; a packet that late is refused.
const REACH: u64 = PACKETS_MAX;

#[derive(Debug, Clone)]
pub struct SeqMap {
    /// `output = input - offset`, for inputs after all remembered drops.
    offset: u64,
    /// The first input of the current run: what came before it was never announced to the receiver.
    first_input: u64,
    max_output: u64,
    max_input: u64,
    /// Oldest first, at least one input between two of them: about half of [`REACH`] at most.
    dropped: VecDeque<Dropped>,
}

/// Inputs in a row that were dropped.
#[derive(Debug, Clone, Copy)]
struct Dropped {
    start: u64,
    /// The first input after them.
    end: u64,
    /// As the map's, for inputs from `end` on.
    offset: u64,
}

impl Dropped {
    /// The offset of inputs before it.
    fn offset_before(&self) -> u64 {
        self.offset.wrapping_sub(self.end - self.start)
    }

    /// What the first input after it goes out under.
    fn next_output(&self) -> u64 {
        self.end.wrapping_sub(self.offset)
    }
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
        self.max_input = input;
        self.offset = self.offset.wrapping_add(1);
        let offset = self.offset;
        match self.dropped.back_mut() {
            Some(last) if last.end == input => (last.end, last.offset) = (input + 1, offset),
            _ => {
                self.forget_before(input.saturating_sub(REACH));
                self.dropped.push_back(Dropped { start: input, end: input + 1, offset });
            }
        }
    }

    fn forget_before(&mut self, input: u64) {
        while let Some(oldest) = self.dropped.pop_front_if(|oldest| oldest.end <= input) {
            self.first_input = self.first_input.max(oldest.end);
        }
    }

    /// Inputs after this one were seen. When they were all dropped, this one still closes up; when one went out, it did so with
    /// this number's gap, which stays.
    fn drop_late(&mut self, input: u64) {
        let place = self.place_of(input);
        let Some(&next) = self.dropped.get(place) else { return };
        let output = input.wrapping_sub(next.offset_before());
        let is_known = next.start <= input;
        let is_near = input >= self.first_input && self.max_input - input < REACH;
        if is_known || !is_near || output <= self.max_output {
            return;
        }
        self.offset = self.offset.wrapping_add(1);
        for later in self.dropped.range_mut(place..) {
            later.offset = later.offset.wrapping_add(1);
        }
        let joins_next = next.start == input + 1;
        let before = place.checked_sub(1).and_then(|before| self.dropped.get_mut(before));
        match before.filter(|before| before.end == input) {
            Some(before) if joins_next => {
                (before.end, before.offset) = (next.end, next.offset.wrapping_add(1));
                self.dropped.remove(place);
            }
            Some(before) => (before.end, before.offset) = (input + 1, before.offset.wrapping_add(1)),
            None if joins_next => self.dropped[place].start = input,
            None => {
                let offset = next.offset_before().wrapping_add(1);
                self.dropped.insert(place, Dropped { start: input, end: input + 1, offset });
            }
        }
    }

    /// Of the first drops that do not lie before `input`.
    fn place_of(&self, input: u64) -> usize {
        self.dropped.partition_point(|dropped| dropped.end <= input)
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
        if self.dropped.back().is_none_or(|last| last.end <= input) {
            return Some(input.wrapping_sub(self.offset));
        }
        let next = self.dropped.get(self.place_of(input)).filter(|next| input < next.start)?;
        Some(input.wrapping_sub(next.offset_before()))
    }

    /// The input that went out, or would have, under the 16 bits `output`: the newest such number. With it the whole
    /// output. `None` for what came before this run, was not sent yet or lies too far back to be told apart.
    pub fn source(&self, output: u16) -> Option<(u64, u64)> {
        #[allow(clippy::cast_possible_truncation, reason = "the distance is modulo 2^16 on the wire")]
        let behind = (self.max_output as u16).wrapping_sub(output);
        let output = self.max_output - u64::from(behind);
        let place = self.dropped.partition_point(|dropped| dropped.next_output() <= output);
        let offset = self.dropped.get(place).map_or(self.offset, Dropped::offset_before);
        let input = output.wrapping_add(offset);
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

    proptest! {
        /// Drops in any order are the same drops.
        #[test]
        fn late_drops_count_as_those_in_time(
            dropped in proptest::collection::btree_set(1_u64..60, 1..40),
            order in proptest::collection::vec(any::<u16>(), 40),
        ) {
            let mut shuffled: Vec<_> = dropped.iter().copied().zip(order).collect();
            shuffled.sort_by_key(|(_, place)| *place);
            let (mut map, mut in_time) = (SeqMap::new(1_000), SeqMap::new(1_000));
            for map in [&mut map, &mut in_time] {
                map.sync(0);
                map.map(0);
            }
            shuffled.iter().for_each(|(input, _)| map.drop_input(*input));
            dropped.iter().for_each(|input| in_time.drop_input(*input));
            for input in 0..80 {
                prop_assert_eq!(map.output_of(input), in_time.output_of(input), "{}", input);
            }
            for input in 0..80 {
                let (output, expected) = (map.map(input), in_time.map(input));
                prop_assert_eq!(output, expected);
            }
            prop_assert_eq!(map.dropped.len(), in_time.dropped.len(), "joined to the same runs");
            for output in 1_000..1_080 {
                prop_assert_eq!(map.source(output), in_time.source(output));
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
        assert!(map.dropped.len() as u64 <= REACH / 2 + 1);
        assert_eq!(map.map(2), None);
        let reached = 4_000 - REACH + 2;
        assert_eq!(map.map(reached), Some(first + reached / 2));
    }
}
