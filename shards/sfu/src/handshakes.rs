//! How many DTLS handshakes a shard takes on (docs/decisions/0020).
//!
//! Public-key work is done between two packets of media, so that it must come in small pieces: new handshakes begin at a
//! bounded rate, and those that have begun are never held up.

use std::time::Duration;

use ringsoup_rtc::time::Time;

/// One handshake begins in so long: 500 a second, a third to a half of a core with an ECDSA certificate.
const INTERVAL: Duration = Duration::from_millis(2);

/// So many may begin at once: what media waits for then is a few milliseconds.
const BURST: u32 = 8;

/// Handshakes under way: each may hold some 80 KB.
const UNDER_WAY_MAX: usize = 1_024;

/// How far ahead handshakes are given their time, in the order in which they asked. Beyond it they ask again: a peer that
/// waits longer has given up.
const AHEAD_MAX: Duration = Duration::from_secs(5);

/// When one asks again that was given no time.
const RETRY: Duration = Duration::from_secs(1);

/// A handshake that does not begin yet. Of what the peer says meanwhile nothing is kept: it says it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PutOff {
    pub(crate) until: Time,
    /// Whether its turn is then. Otherwise it asks again.
    has_turn: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    /// When the next may begin, if none had been saved up.
    next: Time,
    under_way: usize,
}

impl Handshakes {
    /// `before` is what was answered last. [`end`](Self::end) is called once for each that begins.
    ///
    /// # Errors
    /// Not now.
    pub(crate) fn begin(&mut self, now: Time, before: Option<PutOff>) -> Result<(), PutOff> {
        if let Some(before) = before
            && now < before.until
        {
            return Err(before);
        }
        let (saved, ahead) = (INTERVAL * (BURST - 1), self.next.saturating_since(now));
        // Whose turn has come keeps it: others asking since, or no place being free, must not cost it.
        let has_turn = before.is_some_and(|before| before.has_turn);
        if self.under_way >= UNDER_WAY_MAX || (ahead > AHEAD_MAX && !has_turn) {
            return Err(PutOff { until: now + RETRY, has_turn });
        }
        if !has_turn {
            let turn = self.next - saved;
            self.next = self.next.max(now) + INTERVAL;
            if ahead > saved {
                return Err(PutOff { until: turn, has_turn: true });
            }
        }
        self.under_way += 1;
        Ok(())
    }

    pub(crate) fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_few_begin_at_once_and_the_others_take_turns() {
        let mut handshakes = Handshakes::default();
        let asked: Vec<_> = (0..20).map(|_| handshakes.begin(at(1_000), None)).collect();
        assert_eq!(asked.iter().filter(|asked| asked.is_ok()).count(), 8);
        let turns: Vec<_> = asked.iter().filter_map(|asked| asked.err()).collect();
        let times: Vec<_> = turns.iter().map(|turn| turn.until.as_millis()).collect();
        assert_eq!(times, (1_002..).step_by(2).take(12).collect::<Vec<_>>());
        // Who comes later does not go ahead of them.
        assert!(handshakes.begin(at(1_001), None).is_err());
        for turn in turns {
            assert_eq!(handshakes.begin(turn.until - Duration::from_millis(1), Some(turn)), Err(turn));
            assert_eq!(handshakes.begin(turn.until, Some(turn)), Ok(()));
        }
        assert_eq!(handshakes.begin(at(60_000), None), Ok(()));
    }

    #[test]
    fn what_is_offered_beyond_is_put_off_without_a_turn() {
        let mut handshakes = Handshakes::default();
        let offered = (0..10_000).map(|_| handshakes.begin(at(1_000), None));
        let without = offered.filter(|asked| asked.is_err_and(|put_off| !put_off.has_turn)).count();
        // Five seconds of them have a turn.
        assert_eq!(without, 10_000 - 2_501);
    }

    #[test]
    fn turns_are_taken_while_many_more_ask() {
        let mut handshakes = Handshakes::default();
        let mut waiting: Vec<PutOff> = Vec::new();
        let mut begun = 0;
        // Two thousand a second for ten seconds, each of which ends at once.
        for tick in 0..2_000 {
            let now = at(1_000 + 5 * tick);
            let new = (0..10).map(|_| None);
            let due: Vec<_> = waiting.extract_if(.., |put_off| put_off.until <= now).map(Some).collect();
            for before in due.into_iter().chain(new) {
                match handshakes.begin(now, before) {
                    Ok(()) => {
                        begun += 1;
                        handshakes.end();
                    }
                    Err(put_off) => waiting.push(put_off),
                }
            }
        }
        assert!((4_900..5_100).contains(&begun), "{begun}");
    }

    #[test]
    fn a_turn_outlasts_a_full_house() {
        let mut handshakes = Handshakes::default();
        let asked: Vec<_> = (0..9).map(|_| handshakes.begin(at(1_000), None)).collect();
        let turn = asked[8].expect_err("the ninth waits");
        handshakes.under_way = UNDER_WAY_MAX;
        let kept = handshakes.begin(turn.until, Some(turn)).expect_err("no place is free");
        handshakes.end();
        assert_eq!(handshakes.begin(kept.until, Some(kept)), Ok(()));
    }

    #[test]
    fn those_under_way_are_bounded() {
        let mut handshakes = Handshakes::default();
        let mut now = Time::ZERO;
        for _ in 0..UNDER_WAY_MAX {
            now += INTERVAL;
            assert_eq!(handshakes.begin(now, None), Ok(()));
        }
        let put_off = handshakes.begin(now + INTERVAL, None).expect_err("full");
        handshakes.end();
        assert_eq!(handshakes.begin(put_off.until, Some(put_off)), Ok(()));
    }
}
