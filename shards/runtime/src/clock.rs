//! The only file that reads a clock.
//!
//! One origin for the whole process, so that times of different shards compare. Kernel receive timestamps
//! are wall-clock (`SO_TIMESTAMPNS`), time in the shards is monotonic: both clocks are read together once
//! per batch and a timestamp is placed by its age, so a stepped wall clock disturbs one batch at most.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringsoup_rtc::time::Time;

/// Nobody's datagram waited longer than this in a socket queue; an older stamp means that the wall clock
/// was stepped in between, and the datagram then counts as received now.
const RECEIVE_AGE_MAX: Duration = Duration::from_secs(10);

/// The process's time. Copy it to every shard.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    unix_origin: Duration,
}

impl Clock {
    /// Starts time: `now()` is [`Time::ZERO`] here.
    #[allow(clippy::disallowed_methods, reason = "this file is the one that reads the clock")]
    pub fn start() -> Self {
        let unix_origin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin: Instant::now(), unix_origin }
    }

    pub fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    /// Microseconds from 1970 to [`Time::ZERO`].
    pub fn unix_origin_us(&self) -> u64 {
        u64::try_from(self.unix_origin.as_micros()).unwrap_or(u64::MAX)
    }

    /// Both clocks, read together.
    #[allow(clippy::disallowed_methods, reason = "this file is the one that reads the clock")]
    pub(crate) fn batch(&self) -> BatchClock {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        BatchClock { now: self.now(), unix }
    }
}

/// The time of one batch, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchClock {
    pub(crate) now: Time,
    unix: Duration,
}

impl BatchClock {
    /// Where a kernel timestamp (since 1970) lies in monotonic time.
    pub(crate) fn place(&self, stamp: Duration) -> Time {
        match self.unix.checked_sub(stamp) {
            Some(age) if age <= RECEIVE_AGE_MAX => self.now - age,
            _ => self.now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> BatchClock {
        BatchClock { now: Time::from_millis(50_000), unix: Duration::from_secs(1_000_000) }
    }

    #[test]
    fn a_stamp_is_placed_by_its_age() {
        let stamp = Duration::from_secs(1_000_000) - Duration::from_millis(3);
        assert_eq!(batch().place(stamp), Time::from_millis(49_997));
    }

    #[test]
    fn a_stepped_wall_clock_means_now() {
        assert_eq!(batch().place(Duration::from_secs(1_000_001)), batch().now);
        assert_eq!(batch().place(Duration::from_secs(900_000)), batch().now);
    }
}
