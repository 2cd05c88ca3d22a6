//! When to send a flight again, and when to give up.

use std::time::Duration;

use ringsoup_rtc::time::Time;

/// How long an answer is waited for at first, doubling to [`INTERVAL_MAX`].
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(4);

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Timer {
    interval: Duration,
    /// When the last flight is sent again. `None` while there is none to answer.
    retransmission: Option<Time>,
    end: Time,
}

impl Timer {
    pub(crate) fn begin(now: Time) -> Self {
        Self { interval: INTERVAL_MIN, retransmission: None, end: now + HANDSHAKE_MAX }
    }

    /// A new flight was sent.
    pub(crate) fn flight_sent(&mut self, now: Time) {
        self.interval = INTERVAL_MIN;
        self.retransmission = Some(now + INTERVAL_MIN);
    }

    /// The same flight was sent again.
    pub(crate) fn flight_sent_again(&mut self, now: Time) {
        self.interval = (2 * self.interval).min(INTERVAL_MAX);
        self.retransmission = Some(now + self.interval);
    }

    pub(crate) fn next(&self) -> Time {
        self.retransmission.map_or(self.end, |retransmission| retransmission.min(self.end))
    }

    pub(crate) fn is_over(&self, now: Time) -> bool {
        now >= self.end
    }

    pub(crate) fn is_retransmission_due(&self, now: Time) -> bool {
        self.retransmission.is_some_and(|time| now >= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_to_four_seconds_until_the_end() {
        let mut timer = Timer::begin(Time::ZERO);
        assert_eq!(timer.next(), Time::from_millis(30_000));
        timer.flight_sent(Time::ZERO);
        let mut times = Vec::new();
        while !timer.is_over(timer.next()) {
            let now = timer.next();
            assert!(timer.is_retransmission_due(now));
            times.push(now.as_millis());
            timer.flight_sent_again(now);
        }
        assert_eq!(times, [100, 300, 700, 1_500, 3_100, 6_300, 10_300, 14_300, 18_300, 22_300, 26_300]);
        assert_eq!(timer.next(), Time::from_millis(30_000));
    }
}
