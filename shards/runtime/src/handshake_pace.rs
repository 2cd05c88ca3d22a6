//! When a shard has time for a piece of a handshake (docs/decisions/0020).
//!
//! A piece is public-key work of some hundred microseconds, or of milliseconds where the operator's certificate is RSA: nothing
//! else is done meanwhile. So it is measured what a piece took, and the next one waits until handshakes have had no more than
//! their share of the time: what media leaves of it.

use ringsoup_rtc::time::Time;

/// Share of a shard's time that neither media nor handshakes get: packets come in bursts.
const HEADROOM: f32 = 0.25;
/// What handshakes get however busy the shard is, so that a call can begin there.
const SHARE_MIN: f32 = 0.05;

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
        self.next = ended + ended.saturating_since(began).mul_f32(1.0 / share - 1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Pieces of so many microseconds each, as soon as there is time, for ten seconds: how many were done.
    fn done(media: f32, micros: u64) -> u64 {
        let (mut pace, mut count) = (HandshakePace::default(), 0);
        loop {
            let began = pace.next();
            if began >= Time::from_millis(10_000) {
                return count;
            }
            pace.record(began, began + Duration::from_micros(micros), media);
            count += 1;
        }
    }

    #[test]
    fn handshakes_have_what_media_leaves() {
        assert!((29_000..31_000).contains(&done(0.0, 250)), "three quarters of an idle shard");
        assert!((9_900..10_100).contains(&done(0.5, 250)), "a quarter beside media");
        assert!((1_900..2_100).contains(&done(0.95, 250)), "a twentieth in any case");
    }

    #[test]
    fn dear_pieces_are_few() {
        let (cheap, dear) = (done(0.3, 250), done(0.3, 5_000));
        assert!((19 * dear..=21 * dear).contains(&cheap), "{cheap}, {dear}");
    }
}
