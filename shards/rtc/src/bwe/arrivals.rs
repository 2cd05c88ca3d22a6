//! When each packet of a transport arrived, by transport-wide sequence number.
//!
//! ```text
//! floor ≤ next ≤ highest          sequence numbers, extended
//!   │       └ reported from here on
//!   └ as far back a late packet is taken; what follows it is then reported once more, it included
//! ```

use std::time::Duration;

use crate::rtcp::transport_cc_writer::MISSING_MAX;
use crate::seq::{SeqExtender, SeqNo};
use crate::time::Time;

/// Numbers that are remembered, a power of two: at 100 ms a report, 20,000 packets a second.
const RING: usize = 2_048;
const NUMBERS: u64 = RING as u64;
/// How long arrivals are kept for packets that come late between them.
const KEPT: Duration = Duration::from_millis(500);
/// So many in a row whose numbers are far from all others, yet near each other, are a sender that began anew. Fewer are
/// somebody's mistake, or were long on their way.
const STRAYS_MAX: u8 = 8;
/// Fewer than the least that is written of any arrival: no packet with this number came.
const NEVER: u32 = 0;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    Noted,
    /// Not noted: there is room for it when what is there has been reported.
    Crowded,
    /// Seen before, or too far from all the others.
    Ignored,
}

#[derive(Debug, Default)]
pub struct Arrivals {
    /// Microseconds, the low 32 bits; [`NEVER`] where nothing came.
    ring: Option<Box<[u32]>>,
    extender: SeqExtender,
    floor: SeqNo,
    next: SeqNo,
    /// The latest arrival, of whatever packet.
    latest: Time,
    /// Number of the newest packet that was far from all others.
    stray: u16,
    /// How many of them came in a row.
    strays: u8,
}

fn slot_of(number: SeqNo) -> usize {
    usize::try_from(number.as_u64() % NUMBERS).unwrap_or_default()
}

impl Arrivals {
    pub fn record(&mut self, sequence_number: u16, arrival: Time) -> Recorded {
        let Some(highest) = self.extender.highest() else {
            return self.begin(sequence_number, arrival);
        };
        let number = self.extender.guess(sequence_number);
        if number < self.floor || number - highest > i64::from(MISSING_MAX) {
            return self.record_stray(sequence_number, arrival);
        }
        self.strays = 0;
        let has_unreported = self.next <= highest;
        if has_unreported && number - self.next >= NUMBERS.cast_signed() {
            return Recorded::Crowded;
        }
        self.empty_between(highest, number);
        if self.micros_at(number) != Some(NEVER) {
            return Recorded::Ignored;
        }
        if !has_unreported && arrival.saturating_since(self.latest) > KEPT {
            self.floor = self.floor.max((highest + 1).min(number));
        }
        self.extender.extend(sequence_number);
        self.floor = self.floor.max(number.saturating_sub(NUMBERS - 1));
        self.next = self.next.min(number);
        self.note(number, arrival);
        Recorded::Noted
    }

    /// Where the next report begins and, from there on, which packets arrived when; `None` when there is nothing to report.
    pub fn unreported(&self) -> Option<(SeqNo, impl Iterator<Item = (SeqNo, Time)> + '_)> {
        let highest = self.extender.highest().filter(|&highest| self.next <= highest)?;
        let kept = self.next.max(self.floor).as_u64();
        let arrivals = (kept..=highest.as_u64()).map(SeqNo::new);
        Some((self.next, arrivals.filter_map(|number| Some((number, self.arrival(number)?)))))
    }

    /// All before this one have been reported.
    pub fn set_reported(&mut self, next: SeqNo) {
        self.next = next;
    }

    /// Gives up what is too old for a late packet to come between.
    pub fn forget_old(&mut self, now: Time) {
        let Some(highest) = self.extender.highest() else { return };
        let reported = self.floor.as_u64()..self.next.as_u64().min(highest.as_u64() + 1);
        let is_old =
            |number: SeqNo| self.arrival(number).is_some_and(|arrival| now.saturating_since(arrival) > KEPT);
        if let Some(old) = reported.rev().map(SeqNo::new).find(|&number| is_old(number)) {
            self.floor = old.next();
        }
    }

    fn begin(&mut self, sequence_number: u16, arrival: Time) -> Recorded {
        // The only allocation, when the first packet comes.
        self.ring.get_or_insert_with(|| vec![NEVER; RING].into()).fill(NEVER);
        self.extender = SeqExtender::new();
        self.strays = 0;
        let number = self.extender.extend(sequence_number);
        // A little back, so that the first packets may come in any order.
        self.floor = number.saturating_sub(NUMBERS / 2);
        self.next = number;
        self.note(number, arrival);
        Recorded::Noted
    }

    #[cold]
    fn record_stray(&mut self, sequence_number: u16, arrival: Time) -> Recorded {
        let follows = (1..=MISSING_MAX).contains(&sequence_number.wrapping_sub(self.stray));
        self.strays = if follows { self.strays + 1 } else { 1 };
        self.stray = sequence_number;
        if self.strays == STRAYS_MAX { self.begin(sequence_number, arrival) } else { Recorded::Ignored }
    }

    /// Empties the slots of the numbers that were jumped over, and of the new one.
    fn empty_between(&mut self, highest: SeqNo, number: SeqNo) {
        let Some(ring) = &mut self.ring else { return };
        let first = (highest.as_u64() + 1).max(number.as_u64().saturating_sub(NUMBERS - 1));
        for passed in first..=number.as_u64() {
            if let Some(slot) = ring.get_mut(slot_of(SeqNo::new(passed))) {
                *slot = NEVER;
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "what is kept spans far less than 2^32 microseconds")]
    fn note(&mut self, number: SeqNo, arrival: Time) {
        self.latest = self.latest.max(arrival);
        let micros = (arrival.as_micros() as u32).max(NEVER + 1);
        if let Some(slot) = self.ring.as_mut().and_then(|ring| ring.get_mut(slot_of(number))) {
            *slot = micros;
        }
    }

    fn micros_at(&self, number: SeqNo) -> Option<u32> {
        self.ring.as_ref()?.get(slot_of(number)).copied()
    }

    #[allow(clippy::cast_possible_truncation, reason = "a difference of what is kept")]
    fn arrival(&self, number: SeqNo) -> Option<Time> {
        let micros = self.micros_at(number).filter(|&micros| micros != NEVER)?;
        let age = (self.latest.as_micros() as u32).wrapping_sub(micros);
        Some(self.latest - Duration::from_micros(age.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(10_000 + millis)
    }

    /// Reports everything: the first number, and what arrived.
    fn report(arrivals: &mut Arrivals) -> Option<(u16, Vec<(u16, u64)>)> {
        let (first, found) = arrivals.unreported()?;
        let found: Vec<_> = found.collect();
        arrivals.set_reported(found.last()?.0.next());
        let found = found.into_iter().map(|(number, time)| (number.as_u16(), time.as_millis() - 10_000));
        Some((first.as_u16(), found.collect()))
    }

    #[test]
    fn each_is_reported_once_and_gaps_are_covered() {
        let mut arrivals = Arrivals::default();
        assert_eq!(report(&mut arrivals), None);
        for (seq, millis) in [(65_534, 1), (65_535, 2), (2, 3), (1, 4)] {
            assert_eq!(arrivals.record(seq, at(millis)), Recorded::Noted);
        }
        assert_eq!(arrivals.record(1, at(5)), Recorded::Ignored, "a duplicate");
        assert_eq!(report(&mut arrivals), Some((65_534, vec![(65_534, 1), (65_535, 2), (1, 4), (2, 3)])));
        assert_eq!(report(&mut arrivals), None);
        arrivals.record(5, at(6));
        assert_eq!(report(&mut arrivals), Some((3, vec![(5, 6)])));
    }

    #[test]
    fn a_late_packet_is_reported_with_what_follows_it() {
        let mut arrivals = Arrivals::default();
        for (seq, millis) in [(1, 0), (2, 0), (4, 10)] {
            arrivals.record(seq, at(millis));
        }
        report(&mut arrivals);
        arrivals.record(3, at(300));
        arrivals.record(5, at(310));
        assert_eq!(report(&mut arrivals), Some((3, vec![(3, 300), (4, 10), (5, 310)])));
        // Half a second later nothing is left for one to come between.
        arrivals.record(7, at(700));
        report(&mut arrivals);
        arrivals.forget_old(at(900));
        assert_eq!(arrivals.record(6, at(900)), Recorded::Noted, "7 is young enough");
        report(&mut arrivals);
        assert_eq!(arrivals.record(0, at(900)), Recorded::Ignored);
        arrivals.forget_old(at(2_000));
        assert_eq!(arrivals.record(3, at(2_000)), Recorded::Ignored);
    }

    #[test]
    fn after_a_silence_nothing_old_comes_back() {
        let mut arrivals = Arrivals::default();
        arrivals.record(1, at(0));
        arrivals.record(3, at(0));
        report(&mut arrivals);
        let hours_later = 2 * 71 * 60 * 1_000;
        arrivals.record(4, at(hours_later));
        assert_eq!(arrivals.record(2, at(hours_later)), Recorded::Ignored);
        assert_eq!(report(&mut arrivals), Some((4, vec![(4, hours_later)])));
    }

    #[test]
    fn a_few_strays_are_ignored_and_many_begin_anew() {
        let mut arrivals = Arrivals::default();
        arrivals.record(100, at(0));
        assert_eq!(arrivals.record(30_000, at(1)), Recorded::Ignored);
        assert_eq!(arrivals.record(101, at(2)), Recorded::Noted);
        for stray in 1..u16::from(STRAYS_MAX) {
            assert_eq!(arrivals.record(30_000 + stray, at(3)), Recorded::Ignored);
        }
        assert_eq!(arrivals.record(30_010, at(4)), Recorded::Noted);
        assert_eq!(report(&mut arrivals), Some((30_010, vec![(30_010, 4)])));
    }

    #[test]
    fn room_is_asked_for_before_anything_is_lost() {
        let mut arrivals = Arrivals::default();
        for seq in 0..2_048 {
            assert_eq!(arrivals.record(seq, at(0)), Recorded::Noted);
        }
        assert_eq!(arrivals.record(2_048, at(1)), Recorded::Crowded);
        assert_eq!(report(&mut arrivals).unwrap().1.len(), 2_048);
        assert_eq!(arrivals.record(2_048, at(1)), Recorded::Noted);
        assert_eq!(arrivals.record(9_000, at(2)), Recorded::Crowded);
        report(&mut arrivals);
        assert_eq!(arrivals.record(9_000, at(2)), Recorded::Noted, "a gap wider than the ring");
        assert_eq!(report(&mut arrivals), Some((2_049, vec![(9_000, 2)])));
    }

    proptest! {
        /// Against a map of everything: what is reported arrived then, and all that arrived is reported.
        #[test]
        fn agrees_with_a_map(
            start: u16,
            steps in prop::collection::vec((-40i32..90, 0u64..20, any::<bool>()), 1..600),
        ) {
            let mut arrivals = Arrivals::default();
            let mut truth = std::collections::BTreeMap::new();
            let (mut newest, mut now) = (i32::from(start) + 0x1_0000, 0);
            for (step, wait, reports) in steps {
                now += wait;
                let number = newest + step;
                newest = newest.max(number);
                let seq = u16::try_from(number & 0xffff).unwrap();
                match arrivals.record(seq, at(now)) {
                    Recorded::Noted => prop_assert_eq!(truth.insert(seq, now), None),
                    Recorded::Ignored => prop_assert!(truth.contains_key(&seq) || step < 0),
                    Recorded::Crowded => return Err(TestCaseError::fail("there is room for some hundred")),
                }
                if reports {
                    let found = report(&mut arrivals).map_or_else(Vec::new, |(_, found)| found);
                    for (seq, millis) in found {
                        prop_assert_eq!(truth.get(&seq), Some(&millis));
                    }
                }
                // Numbers come round again.
                truth.retain(|&seq, _| crate::seq::distance_u16(u16::try_from(newest & 0xffff).unwrap(), seq) < 2_048);
            }
        }

        #[test]
        fn nothing_panics(packets: Vec<(u16, u64, bool)>) {
            let mut arrivals = Arrivals::default();
            for (seq, nanos, reports) in packets {
                if arrivals.record(seq, Time::from_nanos(nanos)) == Recorded::Crowded || reports {
                    report(&mut arrivals);
                    arrivals.forget_old(Time::from_nanos(nanos));
                }
            }
        }
    }
}
