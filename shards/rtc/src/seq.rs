//! Sequence numbers that wrap, and the one place where they stop wrapping.
//!
//! The wire carries 16 bits. Everything kept longer than one packet uses `SeqNo`, extended once on
//! arrival, so that tables and comparisons further in need no wrap arithmetic.

use std::ops::{Add, Sub};

/// Whether `a` was sent after `b`. Two numbers exactly half the range apart are ambiguous; the
/// numerically smaller one counts as newer, so that of two different numbers one always is.
pub const fn is_newer_u16(a: u16, b: u16) -> bool {
    const HALF: u16 = 1 << 15;
    let ahead = a.wrapping_sub(b);
    (ahead != 0 && ahead < HALF) || (ahead == HALF && a < b)
}

/// `is_newer_u16` for timestamps and other 32-bit counters.
pub const fn is_newer_u32(a: u32, b: u32) -> bool {
    const HALF: u32 = 1 << 31;
    let ahead = a.wrapping_sub(b);
    (ahead != 0 && ahead < HALF) || (ahead == HALF && a < b)
}

/// Signed distance from `b` to `a` by the shortest way around; positive when `a` is newer.
pub const fn distance_u16(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b).cast_signed()
}

/// `distance_u16` for 32-bit counters.
pub const fn distance_u32(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

/// A sequence number extended by its cycle count; the low 16 bits are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SeqNo(u64);

impl SeqNo {
    pub const fn new(extended: u64) -> Self {
        Self(extended)
    }

    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number as the wire carries it.
    #[allow(clippy::cast_possible_truncation, reason = "the low 16 bits are what is asked for")]
    pub const fn as_u16(self) -> u16 {
        self.0 as u16
    }

    /// The 32 bits of a receiver report's extended highest sequence number (RFC 3550 §6.4.1).
    #[allow(clippy::cast_possible_truncation, reason = "the report's cycle count wraps at 16 bits")]
    pub const fn as_u32(self) -> u32 {
        self.0 as u32
    }

    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub const fn saturating_sub(self, count: u64) -> Self {
        Self(self.0.saturating_sub(count))
    }
}

impl Add<u64> for SeqNo {
    type Output = Self;

    fn add(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl Sub for SeqNo {
    type Output = i64;

    /// Packets from `earlier` to `self`, negative when `earlier` is the later one.
    fn sub(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Extends 16-bit sequence numbers to the candidate closest to the highest seen (RFC 3711 §3.3.1).
#[derive(Debug, Clone, Copy, Default)]
pub struct SeqExtender {
    highest: Option<SeqNo>,
}

impl SeqExtender {
    /// The cycle of the first number, one and not zero, so that a packet reordered across the first
    /// wrap still has a number below it.
    const FIRST_CYCLE: u64 = 1 << 16;

    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// The extended number of `seq`, and remembers it when it is the highest so far.
    pub fn extend(&mut self, seq: u16) -> SeqNo {
        let extended = self.guess(seq);
        self.highest = self.highest.max(Some(extended));
        extended
    }

    /// What `extend` would answer, for a packet that is not authenticated yet.
    pub fn guess(&self, seq: u16) -> SeqNo {
        let Some(highest) = self.highest else {
            return SeqNo(Self::FIRST_CYCLE + u64::from(seq));
        };
        let distance = i64::from(distance_u16(seq, highest.as_u16()));
        // Below zero only after 2^16 numbers backwards in steps of half a cycle.
        match highest.0.checked_add_signed(distance) {
            Some(extended) => SeqNo(extended),
            None => SeqNo(u64::from(seq)),
        }
    }

    pub const fn highest(&self) -> Option<SeqNo> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn newer_survives_the_wrap() {
        assert!(is_newer_u16(0, 65535));
        assert!(!is_newer_u16(65535, 0));
        assert!(!is_newer_u16(7, 7));
        assert!(is_newer_u16(0x7fff, 0));
        assert!(is_newer_u32(5, u32::MAX - 5));
        assert_eq!(distance_u16(2, 65534), 4);
        assert_eq!(distance_u32(u32::MAX, 1), -2);
    }

    #[test]
    fn extender_follows_wraps_in_both_directions() {
        let mut extender = SeqExtender::new();
        let first = extender.extend(65534);
        assert_eq!(extender.extend(1) - first, 3);
        assert_eq!(extender.extend(65535) - first, 1);
        assert_eq!(extender.highest().map(SeqNo::as_u16), Some(1));

        let mut extender = SeqExtender::new();
        let first = extender.extend(0);
        assert_eq!(extender.extend(65535) - first, -1);
    }

    #[test]
    fn guessing_remembers_nothing() {
        let mut extender = SeqExtender::new();
        extender.extend(10);
        assert_eq!(extender.guess(500).as_u16(), 500);
        assert_eq!(extender.highest().map(SeqNo::as_u16), Some(10));
    }

    proptest! {
        #[test]
        fn of_two_numbers_exactly_one_is_newer(a: u16, b: u16, c: u32, d: u32) {
            prop_assert_eq!(is_newer_u16(a, b) ^ is_newer_u16(b, a), a != b);
            prop_assert_eq!(is_newer_u32(c, d) ^ is_newer_u32(d, c), c != d);
        }

        #[test]
        fn extending_keeps_the_wire_bits_and_never_panics(seqs: Vec<u16>) {
            let mut extender = SeqExtender::new();
            for seq in seqs {
                prop_assert_eq!(extender.extend(seq).as_u16(), seq);
            }
        }

        #[test]
        fn steps_below_half_a_cycle_are_exact(start: u16, steps in prop::collection::vec(-3000i64..30000, 0..64)) {
            let mut extender = SeqExtender::new();
            let mut truth = extender.extend(start);
            for step in steps {
                let target = SeqNo::new(truth.as_u64().saturating_add_signed(step).max(1 << 16));
                let from_highest = extender.highest().map_or(0, |highest| target - highest);
                prop_assume!(from_highest.abs() < 1 << 15);
                prop_assert_eq!(extender.extend(target.as_u16()), target);
                truth = target;
            }
        }
    }
}
