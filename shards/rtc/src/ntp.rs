//! NTP time as RTCP carries it: seconds and fraction, and their middle half.

use std::time::Duration;

/// Seconds from 1900-01-01 (NTP) to 1970-01-01 (Unix), RFC 5905 §6.
const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;
const MICROS_PER_SECOND: u64 = 1_000_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// 32.32 fixed point seconds since 1900, wrapping with the NTP era (next in February 2036).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpTime(u64);

impl NtpTime {
    pub const fn from_u64(fixed_point: u64) -> Self {
        Self(fixed_point)
    }

    pub const fn as_u64(self) -> u64 {
        self.0
    }

    pub fn from_parts(seconds: u32, fraction: u32) -> Self {
        Self(u64::from(seconds) << 32 | u64::from(fraction))
    }

    /// Microseconds since 1970. The fraction is rounded up to the next unit of 2^-32 s, which is what
    /// makes `as_unix_micros` give the same microsecond back.
    pub const fn from_unix_micros(micros: u64) -> Self {
        let seconds = (micros / MICROS_PER_SECOND).wrapping_add(UNIX_EPOCH_SECONDS);
        let fraction = ((micros % MICROS_PER_SECOND) << 32).div_ceil(MICROS_PER_SECOND);
        Self((seconds << 32) | fraction)
    }

    /// Microseconds since 1970; a time before 1970 belongs to the era that begins in 2036.
    pub const fn as_unix_micros(self) -> u64 {
        let seconds = self.seconds() as u64;
        let era = if seconds < UNIX_EPOCH_SECONDS { 1 << 32 } else { 0 };
        (seconds + era - UNIX_EPOCH_SECONDS) * MICROS_PER_SECOND
            + ((self.fraction() as u64 * MICROS_PER_SECOND) >> 32)
    }

    /// Milliseconds since 1900 within the era.
    pub const fn as_millis(self) -> u64 {
        self.seconds() as u64 * 1000 + ((self.fraction() as u64 * 1000) >> 32)
    }

    #[allow(clippy::cast_possible_truncation, reason = "the upper half has 32 bits")]
    pub const fn seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half is asked for")]
    pub const fn fraction(self) -> u32 {
        self.0 as u32
    }

    /// The middle 32 bits, 16.16 seconds: LSR of RFC 3550 §6.4.1 and LRR of RFC 3611 §4.5.
    #[allow(clippy::cast_possible_truncation, reason = "the middle half is asked for")]
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// `self` later by `duration`, wrapping with the era.
    pub fn wrapping_add(self, duration: Duration) -> Self {
        Self(self.0.wrapping_add(duration_to_fixed(duration)))
    }

    /// Time from `earlier` to `self`, also across an era; zero when `earlier` is in fact later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        let difference = self.0.wrapping_sub(earlier.0);
        if difference >> 63 == 1 {
            return Duration::ZERO;
        }
        let fraction_nanos = ((difference & 0xffff_ffff) * 1_000_000_000) >> 32;
        Duration::from_secs(difference >> 32) + Duration::from_nanos(fraction_nanos)
    }
}

/// 16.16 seconds as in DLSR and DLRR, saturating at 18.2 hours.
pub fn duration_to_middle(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().saturating_mul(1 << 16) / NANOS_PER_SECOND).unwrap_or(u32::MAX)
}

/// The duration of 16.16 seconds.
pub fn middle_to_duration(middle: u32) -> Duration {
    Duration::from_nanos((u64::from(middle) * 1_000_000_000) >> 16)
}

/// Milliseconds of 16.16 seconds, with their fraction: round-trip times are told to the controller
/// as floats.
pub fn middle_to_millis(middle: u32) -> f64 {
    f64::from(middle) * 1000.0 / 65536.0
}

/// Round trip in 16.16 seconds from a report block or DLRR (RFC 3550 §6.4.1, figure 2):
/// arrival - last report - delay since it. `None` when the peer never saw a report of ours, does not
/// measure the delay (it says zero then), or when the answer would be negative, which only a wrong
/// delay or a stepping clock makes.
pub fn round_trip(now: NtpTime, last_report: u32, delay_since_last_report: u32) -> Option<u32> {
    if last_report == 0 || delay_since_last_report == 0 {
        return None;
    }
    let elapsed = now.middle().wrapping_sub(last_report);
    if elapsed >> 31 == 1 {
        return None;
    }
    elapsed.checked_sub(delay_since_last_report)
}

fn duration_to_fixed(duration: Duration) -> u64 {
    let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
    (duration.as_secs() << 32).wrapping_add(fraction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_unix_epoch_is_known() {
        let epoch = NtpTime::from_unix_micros(0);
        assert_eq!((epoch.seconds(), epoch.fraction()), (0x83aa_7e80, 0));
        let half = NtpTime::from_unix_micros(1_500_000);
        assert_eq!((half.seconds(), half.fraction()), (0x83aa_7e81, 0x8000_0000));
        assert_eq!(half.middle(), 0x7e81_8000);
        assert_eq!(half.as_unix_micros(), 1_500_000);
    }

    /// The example of RFC 3550 §6.4.1, figure 2.
    #[test]
    fn round_trip_of_the_rfc_example() {
        let now = NtpTime::from_u64(0xb710_8000_u64 << 16);
        let trip = round_trip(now, 0xb705_2000, 0x0005_4000).expect("positive");
        assert_eq!(trip, 0x0006_2000);
        assert!((middle_to_millis(trip) - 6125.0).abs() < f64::EPSILON);
        assert_eq!(middle_to_duration(trip), Duration::from_millis(6125));
    }

    #[test]
    fn round_trip_refuses_what_cannot_be() {
        let now = NtpTime::from_parts(100, 0);
        assert_eq!(round_trip(now, 0, 1), None);
        assert_eq!(round_trip(now, now.middle().wrapping_sub(65_536), 0), None);
        assert_eq!(round_trip(now, now.middle().wrapping_sub(65_536), 1), Some(65_535));
        assert_eq!(round_trip(now, now.middle(), 1), None);
        assert_eq!(round_trip(now, now.middle().wrapping_add(65536), 1), None);
    }

    #[test]
    fn era_wrap_is_harmless() {
        let before = NtpTime::from_parts(u32::MAX, 0);
        let after = before.wrapping_add(Duration::from_millis(1500));
        assert_eq!((after.seconds(), after.fraction()), (0, 0x8000_0000));
        assert_eq!(after.saturating_since(before), Duration::from_millis(1500));
        assert_eq!(before.saturating_since(after), Duration::ZERO);
        assert_eq!(after.as_unix_micros() - before.as_unix_micros(), 1_500_000);
    }

    proptest! {
        #[test]
        fn micros_round_trip(micros in 0..4_000_000_000_000_000_u64) {
            prop_assert_eq!(NtpTime::from_unix_micros(micros).as_unix_micros(), micros);
        }

        #[test]
        fn middle_is_within_a_unit(micros in 0..60_000_000_000_u64) {
            let duration = Duration::from_micros(micros);
            let back = middle_to_duration(duration_to_middle(duration));
            prop_assert!(duration.saturating_sub(back) < Duration::from_micros(32));
        }

        #[test]
        fn nothing_panics(a: u64, b: u64, c: u32, d: u32, nanos: u64) {
            let (a, b) = (NtpTime::from_u64(a), NtpTime::from_u64(b));
            let _ = (a.as_unix_micros(), a.as_millis(), a.saturating_since(b), round_trip(a, c, d));
            let _ = (a.wrapping_add(Duration::from_nanos(nanos)), middle_to_duration(c));
            let _ = (a.wrapping_add(Duration::MAX), duration_to_middle(Duration::MAX));
            let _ = NtpTime::from_unix_micros(nanos);
        }
    }
}
