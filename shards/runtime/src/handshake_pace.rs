//! When a shard has time for a piece of a handshake (docs/decisions/0020).
//!
//! A piece is public-key work of some hundred microseconds, or of milliseconds where a certificate is RSA: nothing else is done
//! meanwhile. So it is measured what a piece took, and the next one waits until handshakes have had no more than their share of
//! the time: what media leaves of it. What is measured is time on the wall, though, of which the system may have taken part for
//! others: no piece, whatever it seems to have taken, makes the next one wait for more than [`WAIT_MAX`].

use std::time::Duration;

use ringsoup_rtc::time::Time;

/// Share of a shard's time that neither media nor handshakes get: packets come in bursts.
const HEADROOM: f32 = 0.25;
/// What handshakes get however busy the shard is, so that a call can begin there.
const SHARE_MIN: f32 = 0.05;
/// What handshakes may catch up on: a shard that was to wake for the next piece wakes later, and is often not asked to.
const CREDIT_MAX: Duration = Duration::from_millis(5);
/// The longest wait for the next piece: the price of one of 10 ms, two RSA-4096 signatures, in a shard that is as busy as can be.
/// A shard that was held up for a second in a piece would have everybody else's handshakes wait for 19 s, and they fail at 30.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// Between two pieces of work.
#[derive(Debug, Default)]
pub(crate) struct HandshakePace {
    next: Time,
}

impl HandshakePace {
    /// When there is time for a piece.
    pub(crate) fn next(&self) -> Time {
        self.next
    }

    /// A piece was done. `media` is the share of the time that everything else takes.
    pub(crate) fn record(&mut self, began: Time, ended: Time, media: f32) {
        let share = (1.0 - HEADROOM - media).max(SHARE_MIN);
        let paid = self.next.max(began - CREDIT_MAX) + ended.saturating_since(began).div_f32(share);
        self.next = paid.min(ended + WAIT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_time_does_not_bring_a_crowd_of_them() {
        let (mut pace, mut now) = (HandshakePace::default(), Time::from_millis(60_000));
        let begin = now;
        while now >= pace.next() {
            let ended = now + Duration::from_micros(250);
            pace.record(now, ended, 0.25);
            now = ended;
        }
        // Half of the time is theirs: a piece uses up twice what it takes, and what it takes comes in meanwhile.
        assert!(now.saturating_since(begin) <= Duration::from_millis(6), "{now:?}");
    }

    /// Pieces of so many microseconds each, for ten seconds, by a shard that wakes so much later than it was to: how many were
    /// done.
    fn done(media: f32, micros: u64, late: u64) -> u64 {
        let (mut pace, mut count, mut now) = (HandshakePace::default(), 0, Time::from_millis(1_000));
        while now < Time::from_millis(11_000) {
            if now < pace.next() {
                now = pace.next() + Duration::from_micros(late);
            }
            let ended = now + Duration::from_micros(micros);
            pace.record(now, ended, media);
            (now, count) = (ended, count + 1);
        }
        count
    }

    #[test]
    fn handshakes_have_what_media_leaves() {
        for late in [0, 100, 1_000] {
            assert!((29_000..31_000).contains(&done(0.0, 250, late)), "three quarters of an idle shard");
            assert!((9_900..10_100).contains(&done(0.5, 250, late)), "a quarter beside media");
            assert!((1_900..2_100).contains(&done(0.95, 250, late)), "a twentieth in any case");
        }
    }

    #[test]
    fn a_shard_that_was_held_up_in_a_piece_goes_on_soon() {
        for held_up in [Duration::from_millis(1_000), Duration::from_secs(3_600)] {
            let (mut pace, began) = (HandshakePace::default(), Time::from_millis(60_000));
            let ended = began + held_up;
            pace.record(began, ended, 0.95);
            assert_eq!(pace.next().saturating_since(ended), Duration::from_millis(200), "{held_up:?}");
        }
        // Pieces that are only dear still wait for all that they cost: with RSA-4096 nineteen times what they took.
        let (mut pace, began) = (HandshakePace::default(), Time::from_millis(60_000));
        let ended = began + Duration::from_millis(5);
        pace.record(began, ended, 0.95);
        assert!(pace.next().saturating_since(ended) >= Duration::from_millis(89));
    }

    #[test]
    fn dear_pieces_are_few() {
        let (cheap, dear) = (done(0.3, 250, 0), done(0.3, 5_000, 0));
        assert!((19 * dear..=21 * dear).contains(&cheap), "{cheap}, {dear}");
    }
}
