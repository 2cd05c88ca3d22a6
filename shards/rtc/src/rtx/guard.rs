//! Keeps one receiver from having more sent again than it can need, whatever it asks for.
//!
//! ```text
//! asked for ──► looked up ──────────────► sent again
//!     at most LOOKUPS_MAX        a packet: once per round trip
//!     in RTT_MIN, see lookups    bytes: as many as are kept, then as many as are sent
//! ```
//! A receiver that lost half of what it was sent, and half of what it was sent again, needs no more than that.
//!
//! Which packet a sequence number stands for is the consumer's own arithmetic (its sequence map is
//! reversible), so nothing is remembered of packets that were sent once. Only what was asked for
//! again leaves a mark, and a receiver that never asks costs no memory.

use std::time::Duration;

use crate::time::Time;

/// Packets behind the newest that can still be asked for.
pub const PACKETS_MAX: u64 = 2_500;

/// Sequence numbers one NACK item can name (RFC 4585 §6.2.1): itself and 16 bits of mask.
pub const NACK_ITEM_PACKETS_MAX: usize = 17;

/// Round trip assumed while none has been measured.
pub const RTT_DEFAULT: Duration = Duration::from_millis(100);

/// The shortest round trip that is believed: a receiver that claims less would have each packet sent a thousand times a
/// second. No receiver asks for the same packet sooner.
pub const RTT_MIN: Duration = Duration::from_millis(10);

/// The power of two that holds `PACKETS_MAX`: two packets that can be asked for at one time never
/// share a mark.
const MARKS: usize = 4_096;

const _: () = assert!(MARKS as u64 >= PACKETS_MAX && MARKS.is_power_of_two());

/// Why a packet is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Sent again less than a round trip ago: the answer may be on its way.
    TooSoon,
    /// Too far behind what was sent last, or ahead of it.
    NotFound,
}

/// A packet that was sent again. The sequence number is extended, modulo 2^32: never two of a run
/// are equal.
#[derive(Debug, Clone, Copy)]
struct Mark {
    out_seq: u32,
    resent_ms: u32,
}

/// Marks of one sent stream, and what it may still cost.
#[derive(Debug, Clone, Default)]
pub struct ResendGuard {
    /// Empty until the first resend, then indexed by the low bits of the sequence number.
    marks: Vec<Option<Mark>>,
    credit: Credit,
}

/// Bytes that may still be sent again.
#[derive(Debug, Clone, Default)]
struct Credit {
    bytes: u64,
    /// How much the stream had sent when credit was last given for it.
    given_for: u64,
}

impl ResendGuard {
    /// Whether `bytes` more may be sent again, of a stream that has sent `sent` so far and of which `kept` can be asked for.
    pub fn affords(&mut self, bytes: usize, sent: u64, kept: u64) -> bool {
        let credit = &mut self.credit;
        let earned = sent.saturating_sub(credit.given_for);
        credit.given_for = sent;
        // What is kept changes with the stream it is kept of; what was earned stays.
        credit.bytes = credit.bytes.max((credit.bytes + earned).min(kept));
        bytes as u64 <= credit.bytes
    }

    /// Asks for leave to send the packet `out_seq` again, `newest` being the last one sent; both
    /// extended. The answer is whether this would be its first time. It costs one look, so it is asked before all else.
    ///
    /// `rtt` is the measured round trip to this receiver, zero when unknown.
    ///
    /// # Errors
    /// [`Refused`] says why not.
    pub fn may_resend(&self, now: Time, rtt: Duration, newest: u64, out_seq: u64) -> Result<bool, Refused> {
        if newest.checked_sub(out_seq).is_none_or(|behind| behind >= PACKETS_MAX) {
            return Err(Refused::NotFound);
        }
        let seq = mark_of(out_seq);
        let mark = self.marks.get(place(seq)).copied().flatten();
        let last = mark.filter(|mark| mark.out_seq == seq);
        let rtt = if rtt.is_zero() { RTT_DEFAULT } else { rtt.max(RTT_MIN) };
        let since = |mark: Mark| Duration::from_millis(millis(now).wrapping_sub(mark.resent_ms).into());
        if last.is_some_and(|mark| since(mark) <= rtt) {
            return Err(Refused::TooSoon);
        }
        Ok(last.is_none())
    }

    /// The packet `out_seq`, extended, of `bytes` was sent again: that counts once it is on its way and not before.
    pub fn resent(&mut self, now: Time, out_seq: u64, bytes: usize) {
        self.credit.bytes = self.credit.bytes.saturating_sub(bytes as u64);
        if self.marks.is_empty() {
            self.marks = vec![None; MARKS];
        }
        let seq = mark_of(out_seq);
        if let Some(mark) = self.marks.get_mut(place(seq)) {
            *mark = Some(Mark { out_seq: seq, resent_ms: millis(now) });
        }
    }

    /// Forgets all marks and gives the memory back, for a stream that pauses.
    pub fn clear(&mut self) {
        self.marks = Vec::new();
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.marks.capacity() * size_of::<Option<Mark>>()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "modulo 2^32 on purpose, see Mark")]
fn mark_of(out_seq: u64) -> u32 {
    out_seq as u32
}

#[allow(clippy::cast_possible_truncation, reason = "modulo 2^32 on purpose, see Mark")]
fn millis(now: Time) -> u32 {
    now.as_millis() as u32
}

fn place(seq: u32) -> usize {
    seq as usize & (MARKS - 1)
}

/// The sequence numbers a NACK item asks for (RFC 4585 §6.2.1), at most `NACK_ITEM_PACKETS_MAX`.
pub fn requested_seqs(packet_id: u16, bitmask: u16) -> impl Iterator<Item = u16> {
    (0..17_u16)
        .filter(move |&offset| offset == 0 || bitmask & (1 << (offset - 1)) != 0)
        .map(move |offset| packet_id.wrapping_add(offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(50);

    /// Asks, and sends at once what may be sent.
    fn resend(
        guard: &mut ResendGuard,
        now: Time,
        rtt: Duration,
        newest: u64,
        out_seq: u64,
    ) -> Result<bool, Refused> {
        let is_first = guard.may_resend(now, rtt, newest, out_seq)?;
        guard.resent(now, out_seq, 1);
        Ok(is_first)
    }

    #[test]
    fn once_per_round_trip_and_first_only_once() {
        let mut guard = ResendGuard::default();
        let at = Time::from_millis;
        assert_eq!(resend(&mut guard, at(0), RTT, 20, 10), Ok(true));
        assert_eq!(resend(&mut guard, at(50), RTT, 20, 10), Err(Refused::TooSoon));
        assert_eq!(resend(&mut guard, at(50), RTT, 20, 11), Ok(true));
        assert_eq!(resend(&mut guard, at(51), RTT, 20, 10), Ok(false));
        assert_eq!(resend(&mut guard, at(151), Duration::ZERO, 20, 10), Err(Refused::TooSoon));
        assert_eq!(resend(&mut guard, at(152), Duration::ZERO, 20, 10), Ok(false));
    }

    #[test]
    fn what_could_not_be_sent_may_be_asked_for_at_once() {
        let mut guard = ResendGuard::default();
        for _ in 0..2 {
            assert_eq!(guard.may_resend(Time::ZERO, RTT, 20, 10), Ok(true));
        }
        guard.resent(Time::ZERO, 10, 1);
        assert_eq!(guard.may_resend(Time::ZERO, RTT, 20, 10), Err(Refused::TooSoon));
    }

    #[test]
    fn a_round_trip_that_cannot_be_is_not_believed() {
        let mut guard = ResendGuard::default();
        let given = (0..1_000).filter(|at| {
            resend(&mut guard, Time::from_millis(*at), Duration::from_micros(15), 20, 10).is_ok()
        });
        assert_eq!(given.count(), 91, "each eleventh millisecond");
    }

    #[test]
    fn what_is_kept_may_be_sent_again_and_then_as_much_as_is_sent() {
        let mut guard = ResendGuard::default();
        assert!(!guard.affords(1_000, 0, 0), "nothing was sent");
        assert!(guard.affords(4_000, 100_000, 4_000));
        assert!(!guard.affords(4_001, 100_000, 4_000));
        guard.resent(Time::ZERO, 1, 4_000);
        assert!(!guard.affords(1, 100_000, 4_000));
        assert!(guard.affords(500, 100_500, 4_000) && !guard.affords(501, 100_500, 4_000));
        assert!(guard.affords(500, 100_500, 100), "less is kept: what was earned stays");
    }

    #[test]
    fn the_far_past_and_the_future_are_refused() {
        let mut guard = ResendGuard::default();
        let newest = 100_000;
        assert_eq!(resend(&mut guard, Time::ZERO, RTT, newest, newest + 1), Err(Refused::NotFound));
        assert_eq!(resend(&mut guard, Time::ZERO, RTT, newest, newest - PACKETS_MAX), Err(Refused::NotFound));
        assert_eq!(guard.memory(), 0, "refusals cost nothing");
        assert_eq!(resend(&mut guard, Time::ZERO, RTT, newest, newest - PACKETS_MAX + 1), Ok(true));
        guard.clear();
        assert_eq!(guard.memory(), 0);
    }

    #[test]
    fn items_name_the_packet_and_the_sixteen_after_it() {
        assert_eq!(requested_seqs(7, 0).collect::<Vec<_>>(), [7]);
        assert_eq!(requested_seqs(u16::MAX, 0b101).collect::<Vec<_>>(), [u16::MAX, 0, 2]);
        assert_eq!(requested_seqs(1, u16::MAX).count(), NACK_ITEM_PACKETS_MAX);
    }

    proptest! {
        /// However a receiver asks, no packet leaves twice within a round trip.
        #[test]
        fn no_packet_twice_within_a_round_trip(asks in proptest::collection::vec((0_u64..3_000, 0_u64..20), 1..400)) {
            let mut guard = ResendGuard::default();
            let mut last = std::collections::HashMap::new();
            let mut now = 0;
            for (seq, pause) in asks {
                now += pause;
                if resend(&mut guard, Time::from_millis(now), RTT, 3_000, 501 + seq % 2_400).is_ok() {
                    let before = last.insert(seq % 2_400, now);
                    prop_assert!(before.is_none_or(|before: u64| now - before > 50));
                }
            }
        }
    }
}
