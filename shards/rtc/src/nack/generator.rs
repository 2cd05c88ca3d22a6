//! Decides which missing packets of a stream to ask for, and when to give up on them.
//!
//! ```text
//!            gap seen             10 ms later            every RTT, at most 10 requests
//! (unknown) ──────────▶ listed ──────────────▶ asked ──────────────────────────▶ forgotten
//!                          │                      │
//!                          └──────── arrives ─────┘
//! ```
//!
//! Packets are named by extended sequence numbers, so nothing here wraps. A packet recovered by
//! RTX ahead of the newest one becomes the newest itself, hence is never listed: no separate
//! memory of recovered packets is needed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// Packets this far behind the newest are forgotten: no receiver still waits for them.
pub const AGE_MAX_PACKETS: u64 = 10_000;

/// Missing packets remembered at once. Beyond it a key frame is cheaper than the repair.
pub const LIST_MAX_PACKETS: usize = 1_000;

/// Requests per packet, the first one included.
pub const REQUESTS_MAX: u8 = 10;

/// Wait before the first request: most gaps are reordering, and close by themselves.
pub const FIRST_DELAY: Duration = Duration::from_millis(10);

/// The shortest time between two requests for the same packet, however small the round trip, and
/// thus the rate at which a lossy stream wakes its shard.
pub const RETRY_INTERVAL_MIN: Duration = Duration::from_millis(40);

/// Round trip assumed while none has been measured.
pub const RTT_DEFAULT: Duration = Duration::from_millis(100);

/// Key frames remembered as places to cut the list at. Forgetting the oldest only makes the first
/// cut larger.
const KEY_FRAMES_MAX: usize = 64;

/// Room for a usual burst of losses; a worse one grows the list, at most to `LIST_MAX_PACKETS`.
const LIST_INITIAL_PACKETS: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Missing {
    seq: u64,
    /// When the gap was seen while `requests` is zero, else the last request.
    at: Time,
    requests: u8,
}

impl Missing {
    fn due(&self, retry: Duration) -> Time {
        self.at + if self.requests == 0 { FIRST_DELAY } else { retry }
    }
}

/// What an arriving packet meant to the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// The packet had been asked for. One that comes before it was is merely out of order.
    pub was_requested: bool,
    /// Too many packets are missing to be asked for one by one; ask for a key frame.
    pub needs_key_frame: bool,
}

/// What `handle_timeout` wrote and gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NackBatch {
    /// Sequence numbers written, in sending order.
    pub count: usize,
    /// How many of them were requested for the last time.
    pub exhausted: usize,
}

/// The missing packets of one received stream.
#[derive(Debug)]
pub struct NackGenerator {
    /// Sorted by sequence number.
    missing: VecDeque<Missing>,
    /// Sequence numbers of key frames' first packets, sorted.
    key_frames: VecDeque<u64>,
    newest: Option<u64>,
    deadline: Option<Time>,
}

impl Default for NackGenerator {
    fn default() -> Self {
        Self::new()
    }
}

impl NackGenerator {
    pub fn new() -> Self {
        Self {
            missing: VecDeque::with_capacity(LIST_INITIAL_PACKETS),
            key_frames: VecDeque::with_capacity(KEY_FRAMES_MAX),
            newest: None,
            deadline: None,
        }
    }

    /// Takes note of a packet with extended sequence number `seq`, whichever way it came.
    pub fn receive(&mut self, now: Time, seq: u64, is_key_frame: bool) -> Received {
        let Some(newest) = self.newest else {
            self.newest = Some(seq);
            if is_key_frame {
                self.add_key_frame(seq);
            }
            return Received::default();
        };
        if seq == newest {
            return Received::default();
        }
        if seq < newest {
            return Received { was_requested: self.remove(seq), needs_key_frame: false };
        }
        if is_key_frame {
            self.add_key_frame(seq);
        }
        self.newest = Some(seq);
        self.forget_before(seq.saturating_sub(AGE_MAX_PACKETS));
        let has_listed = self.add_missing(now, newest + 1, seq);
        Received { was_requested: false, needs_key_frame: !has_listed }
    }

    /// When `handle_timeout` has something to do; `None` while nothing is missing.
    pub fn next_timeout(&self) -> Option<Time> {
        self.deadline
    }

    /// Writes the packets due for a request into `out`, lowest first, as plain sequence numbers.
    ///
    /// `rtt` is the stream's measured round trip, zero when unknown. What does not fit in `out`
    /// stays due, so `out` must not be empty.
    pub fn handle_timeout(&mut self, now: Time, rtt: Duration, out: &mut [u16]) -> NackBatch {
        let rtt = if rtt.is_zero() { RTT_DEFAULT } else { rtt };
        let retry = rtt.max(RETRY_INTERVAL_MIN);
        let mut batch = NackBatch::default();
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return batch;
        }
        let mut next = None;
        self.missing.retain_mut(|missing| {
            if missing.due(retry) <= now
                && let Some(slot) = out.get_mut(batch.count)
            {
                *slot = wire_seq(missing.seq);
                batch.count += 1;
                missing.requests += 1;
                missing.at = now;
            }
            if missing.requests >= REQUESTS_MAX {
                batch.exhausted += 1;
                return false;
            }
            next = earliest(next, missing.due(retry));
            true
        });
        // Packets noticed one by one would otherwise wake the shard one by one.
        let soonest = if batch.count == out.len() { now } else { now + FIRST_DELAY };
        self.deadline = next.map(|next| next.max(soonest));
        batch
    }

    /// Missing packets listed.
    pub fn len(&self) -> usize {
        self.missing.len()
    }

    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Forgets everything, as a stream that restarts or pauses must; keeps the memory.
    pub fn reset(&mut self) {
        self.missing.clear();
        self.key_frames.clear();
        self.newest = None;
        self.deadline = None;
    }

    fn add_key_frame(&mut self, seq: u64) {
        if self.key_frames.len() == KEY_FRAMES_MAX {
            self.key_frames.pop_front();
        }
        self.key_frames.push_back(seq);
    }

    /// Whether the packet had been asked for.
    fn remove(&mut self, seq: u64) -> bool {
        let found = self.missing.binary_search_by_key(&seq, |missing| missing.seq);
        let removed = found.ok().and_then(|index| self.missing.remove(index));
        self.disarm_if_empty();
        removed.is_some_and(|missing| missing.requests > 0)
    }

    fn forget_before(&mut self, seq: u64) {
        while self.key_frames.front().is_some_and(|key_frame| *key_frame < seq) {
            self.key_frames.pop_front();
        }
        self.cut_before(seq);
    }

    /// Drops the missing packets before `seq`; tells whether there were any.
    fn cut_before(&mut self, seq: u64) -> bool {
        let count = self.missing.partition_point(|missing| missing.seq < seq);
        self.missing.drain(..count);
        self.disarm_if_empty();
        count > 0
    }

    /// Lists `first..end`. False when there is no room for them, in which case the list is empty.
    fn add_missing(&mut self, now: Time, first: u64, end: u64) -> bool {
        let added = usize::try_from(end - first).unwrap_or(usize::MAX);
        while self.missing.len().saturating_add(added) > LIST_MAX_PACKETS {
            if !self.cut_at_key_frame() {
                self.missing.clear();
                self.deadline = None;
                return false;
            }
        }
        if added > 0 {
            self.missing.extend((first..end).map(|seq| Missing { seq, at: now, requests: 0 }));
            self.deadline = earliest(self.deadline, now + FIRST_DELAY);
        }
        true
    }

    /// Drops what precedes the oldest key frame that has missing packets before it: a decoder can
    /// go on from there without them.
    fn cut_at_key_frame(&mut self) -> bool {
        while let Some(key_frame) = self.key_frames.front().copied() {
            if self.cut_before(key_frame) {
                return true;
            }
            self.key_frames.pop_front();
        }
        false
    }

    fn disarm_if_empty(&mut self) {
        if self.missing.is_empty() {
            self.deadline = None;
        }
    }
}

fn earliest(known: Option<Time>, candidate: Time) -> Option<Time> {
    Some(known.map_or(candidate, |known| known.min(candidate)))
}

#[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits of an extended number")]
const fn wire_seq(seq: u64) -> u16 {
    seq as u16
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(100);

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn due(generator: &mut NackGenerator, now: Time) -> Vec<u16> {
        let mut out = [0; LIST_MAX_PACKETS];
        let batch = generator.handle_timeout(now, RTT, &mut out);
        out[..batch.count].to_vec()
    }

    #[test]
    fn in_order_packets_need_nothing() {
        let mut generator = NackGenerator::new();
        for seq in 65_530..65_560 {
            assert_eq!(generator.receive(ms(seq), seq, false), Received::default());
        }
        assert_eq!(generator.next_timeout(), None);
        assert!(generator.is_empty());
    }

    #[test]
    fn a_gap_is_asked_for_after_the_first_delay_then_by_round_trips() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 65_534, false);
        generator.receive(ms(5), 65_538, false);
        assert_eq!(generator.next_timeout(), Some(ms(15)));
        assert_eq!(due(&mut generator, ms(14)), []);
        assert_eq!(due(&mut generator, ms(15)), [65_535, 0, 1]);
        assert_eq!(generator.next_timeout(), Some(ms(115)));
        assert!(generator.receive(ms(50), 65_536, false).was_requested);
        assert!(!generator.receive(ms(51), 65_536, false).was_requested);
        assert_eq!(due(&mut generator, ms(115)), [65_535, 1]);
    }

    #[test]
    fn reordering_within_the_first_delay_is_never_asked_for() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 10, false);
        generator.receive(ms(0), 12, false);
        assert!(!generator.receive(ms(3), 11, false).was_requested, "merely out of order");
        assert_eq!(generator.next_timeout(), None);
        assert_eq!(due(&mut generator, ms(100)), []);
    }

    #[test]
    fn requests_run_out() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 10, false);
        generator.receive(ms(0), 12, false);
        let mut batches = Vec::new();
        let mut out = [0; 4];
        while let Some(now) = generator.next_timeout() {
            batches.push(generator.handle_timeout(now, Duration::ZERO, &mut out));
        }
        assert_eq!(batches.len(), usize::from(REQUESTS_MAX));
        assert!(batches.iter().all(|batch| batch.count == 1));
        assert_eq!(batches.iter().map(|batch| batch.exhausted).sum::<usize>(), 1);
        assert!(!generator.receive(ms(9_000), 11, false).was_requested, "given up");
    }

    #[test]
    fn a_tiny_round_trip_does_not_hurry_requests() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 10, false);
        generator.receive(ms(0), 12, false);
        generator.handle_timeout(ms(10), Duration::from_millis(1), &mut [0; 4]);
        assert_eq!(generator.next_timeout(), Some(ms(50)));
    }

    #[test]
    fn what_does_not_fit_stays_due() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 0, false);
        generator.receive(ms(0), 6, false);
        let mut out = [0; 2];
        let mut asked = Vec::new();
        for _ in 0..3 {
            assert!(generator.next_timeout() <= Some(ms(10)));
            let batch = generator.handle_timeout(ms(10), RTT, &mut out);
            asked.extend_from_slice(&out[..batch.count]);
        }
        assert_eq!(asked, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn overflow_cuts_at_key_frames_first() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 0, false);
        generator.receive(ms(0), 601, true);
        generator.receive(ms(0), 902, true);
        assert_eq!(generator.len(), 900);
        let received = generator.receive(ms(0), 1_200, false);
        assert!(!received.needs_key_frame);
        assert_eq!(generator.len(), 300 + 297, "cut before 601 only");
        let received = generator.receive(ms(0), 2_000, false);
        assert!(received.needs_key_frame, "cutting before 902 too is not enough");
        assert!(generator.is_empty());
        assert_eq!(generator.next_timeout(), None);
    }

    #[test]
    fn overflow_without_key_frames_asks_for_one() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 0, false);
        assert!(!generator.receive(ms(0), 1_001, false).needs_key_frame);
        assert_eq!(generator.len(), LIST_MAX_PACKETS);
        assert!(generator.receive(ms(0), 1_003, false).needs_key_frame);
        assert!(generator.is_empty());
        assert!(generator.receive(ms(0), u64::MAX, false).needs_key_frame);
    }

    #[test]
    fn old_packets_are_forgotten() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 0, false);
        for seq in 2..=10_002 {
            generator.receive(ms(0), seq, false);
        }
        assert!(generator.is_empty());
        assert_eq!(generator.next_timeout(), None);
    }

    #[test]
    fn reset_starts_over() {
        let mut generator = NackGenerator::new();
        generator.receive(ms(0), 100, false);
        generator.receive(ms(0), 105, false);
        generator.reset();
        assert_eq!(generator.next_timeout(), None);
        assert_eq!(generator.receive(ms(1), 7, false), Received::default());
        assert!(generator.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Fate {
        Arrives,
        Lost,
        /// Arrives this many packets late.
        Late(u64),
    }

    fn fates() -> impl Strategy<Value = Vec<Fate>> {
        let fate =
            prop_oneof![6 => Just(Fate::Arrives), 2 => Just(Fate::Lost), 1 => (1u64..5).prop_map(Fate::Late)];
        proptest::collection::vec(fate, 1..200)
    }

    proptest! {
        /// Nothing answers the requests: each lost packet must be asked for exactly as often as
        /// allowed, and nothing else more than a reordering may cause.
        #[test]
        fn lost_packets_are_asked_for_ten_times(fates in fates(), start in 0u64..200_000) {
            let mut arrivals = vec![(0, start)];
            let mut lost = BTreeSet::new();
            for (index, fate) in fates.iter().enumerate() {
                let index = index as u64 + 1;
                match fate {
                    Fate::Arrives => arrivals.push((index, start + index)),
                    Fate::Late(by) => arrivals.push((index + by, start + index)),
                    Fate::Lost => { lost.insert(start + index); }
                }
            }
            let end = fates.len() as u64 + 10;
            arrivals.push((end, start + end));
            lost.extend(start + fates.len() as u64 + 1..start + end);
            arrivals.sort_unstable();
            let mut generator = NackGenerator::new();
            let mut asked = BTreeMap::new();
            let mut out = [0; 16];
            let mut arrivals = arrivals.into_iter().peekable();
            loop {
                let arrival = arrivals.peek().map(|(slot, _)| ms(slot * 20));
                match (arrival, generator.next_timeout()) {
                    (Some(at), timeout) if timeout.is_none_or(|timeout| at <= timeout) => {
                        let (_, seq) = arrivals.next().unwrap();
                        generator.receive(at, seq, false);
                    }
                    (_, Some(now)) => {
                        let batch = generator.handle_timeout(now, RTT, &mut out);
                        for seq in &out[..batch.count] {
                            *asked.entry(*seq).or_insert(0u8) += 1;
                        }
                    }
                    (_, None) => break,
                }
            }
            for seq in &lost {
                prop_assert_eq!(asked.get(&wire_seq(*seq)), Some(&REQUESTS_MAX), "{}", seq);
            }
            let late = asked.values().filter(|requests| **requests < REQUESTS_MAX).count();
            let reordered = fates.iter().filter(|fate| matches!(fate, Fate::Late(_))).count();
            prop_assert!(late <= reordered);
        }

        #[test]
        fn limits_hold_under_any_operations(
            operations in proptest::collection::vec((any::<u16>(), 0u64..60, any::<[bool; 2]>()), 1..300),
        ) {
            let mut generator = NackGenerator::new();
            let mut base = 1u64 << 40;
            let mut now = ms(0);
            let mut out = [0; 64];
            for (seq, wait, [is_key_frame, far]) in operations {
                now += Duration::from_millis(wait);
                base += if far { u64::from(seq) } else { u64::from(seq % 32) };
                let seq = base - u64::from(seq % 7);
                generator.receive(now, seq, is_key_frame);
                generator.handle_timeout(now, RTT, &mut out);
                prop_assert!(generator.len() <= LIST_MAX_PACKETS);
                prop_assert!(generator.key_frames.len() <= KEY_FRAMES_MAX);
                prop_assert_eq!(generator.is_empty(), generator.next_timeout().is_none());
                prop_assert!(generator.missing.iter().is_sorted_by_key(|missing| missing.seq));
            }
        }
    }
}
