//! How far the wall clock of a sender is from ours, from its sender reports.
//!
//! ```text
//! sample = arrival (our clock) - NTP of the report (its clock) - half a round trip
//! offset = median of the last samples, so that a report that was held up does not move it
//! ```

use std::time::Duration;

use crate::ntp::NtpTime;
use crate::time::Time;

/// Samples the median is of: at a report a second, the last seven seconds.
const SAMPLES: usize = 7;
/// Samples before there is an estimate: one report may have been held up, two do not tell which.
const SAMPLES_MIN: usize = 3;

/// Of one machine, whose streams share it: separate estimates would set its sound and its picture apart.
#[derive(Debug, Clone, Default)]
pub struct ClockOffset {
    /// Microseconds, a ring.
    samples: [i64; SAMPLES],
    next: usize,
    count: usize,
    last_arrival: Option<Time>,
}

impl ClockOffset {
    /// A report that said `remote` arrived; `rtt` is zero while unknown.
    ///
    /// A zero time is of a sender without a clock. Reports that arrived at once came in one compound and are one
    /// sample.
    pub fn add(&mut self, remote: NtpTime, arrived: Time, rtt: Duration) {
        if remote.as_u64() == 0 || self.last_arrival == Some(arrived) {
            return;
        }
        self.last_arrival = Some(arrived);
        if let Some(slot) = self.samples.get_mut(self.next) {
            let half_trip = i64::try_from(rtt.as_micros() / 2).unwrap_or(i64::MAX);
            *slot = signed(arrived.as_micros())
                .saturating_sub(signed(remote.as_unix_micros()))
                .saturating_sub(half_trip);
        }
        self.next = (self.next + 1) % SAMPLES;
        self.count = (self.count + 1).min(SAMPLES);
    }

    /// What to add to microseconds since 1970 of the sender's clock to have them in ours, of the process.
    pub fn micros(&self) -> Option<i64> {
        if self.count < SAMPLES_MIN {
            return None;
        }
        let mut sorted = self.samples;
        let sorted = sorted.get_mut(..self.count)?;
        sorted.sort_unstable();
        sorted.get(self.count / 2).copied()
    }
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports that were sent at these milliseconds of the sender's time and came at those of ours.
    fn offset(reports: &[(u64, u64)]) -> Option<i64> {
        let mut offset = ClockOffset::default();
        for (sent, arrived) in reports {
            let sent = NtpTime::from_unix_micros(1_000_000_000_000 + sent * 1_000);
            offset.add(sent, Time::from_millis(*arrived), Duration::from_millis(20));
        }
        offset.micros().map(|micros| micros + 1_000_000_000_000)
    }

    #[test]
    fn two_reports_are_too_few() {
        assert_eq!(offset(&[(0, 110), (1_000, 1_110)]), None);
        assert_eq!(offset(&[(0, 110), (1_000, 1_110), (2_000, 2_110)]), Some(100_000));
    }

    #[test]
    fn a_report_that_was_held_up_moves_nothing() {
        let reports = [(0, 110), (1_000, 1_110), (2_000, 3_800), (3_000, 3_112), (4_000, 4_108)];
        assert_eq!(offset(&reports), Some(100_000));
    }

    #[test]
    fn a_compound_is_one_sample_and_no_clock_is_none() {
        assert_eq!(offset(&[(0, 110), (1, 110), (2, 110)]), None);
        let mut none = ClockOffset::default();
        (1..9).for_each(|at| none.add(NtpTime::from_u64(0), Time::from_millis(at), Duration::ZERO));
        assert_eq!(none.micros(), None);
    }

    #[test]
    fn old_samples_are_forgotten() {
        let early = (0..7).map(|at| (at * 1_000, at * 1_000 + 110));
        let late = (7..11).map(|at| (at * 1_000, at * 1_000 + 510));
        let reports: Vec<_> = early.chain(late).collect();
        assert_eq!(offset(&reports[..10]), Some(100_000), "the median is still of the early ones");
        assert_eq!(offset(&reports), Some(500_000));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut offset = ClockOffset::default();
        for at in 0..5 {
            offset.add(NtpTime::from_u64(u64::MAX), Time::from_nanos(at), Duration::MAX);
        }
        assert!(offset.micros().is_some());
    }
}
