//! When a packet's media was captured, and what is said of it.
//!
//! A sender's report says which wall clock time is which timestamp, and the offset of its clock from ours follows from when its reports
//! arrive. So a frame's moment of capture is known on our clock, for sound and picture of one sender alike, and sender reports
//! towards receivers are built on it: built on arrival they would tell apart what two streams spent on their ways.

use ringsoup_rtc::rtp::extension::AbsCaptureTime;

use crate::producer::sender_clock::SenderClock;

/// How far from its last sender report a timestamp may be, microseconds: clocks drift.
const INTERPOLATION_MAX_US: i64 = 10_000_000;

/// Microseconds of our clock at which the media with this timestamp was captured. `offset_us` leads from the sender's clock to ours.
pub(super) fn captured_us(
    clock: SenderClock,
    clock_rate: u32,
    timestamp: u32,
    offset_us: i64,
) -> Option<i64> {
    let distance = i64::from(timestamp.wrapping_sub(clock.rtp_timestamp).cast_signed());
    let distance_us = (distance * 1_000_000).checked_div(i64::from(clock_rate))?;
    if distance_us.abs() > INTERPOLATION_MAX_US {
        return None;
    }
    let reported_us = i64::try_from(clock.ntp.as_unix_micros()).ok()?;
    reported_us.checked_add(distance_us)?.checked_add(offset_us)
}

/// The extension as we send it on: the time is the capturer's and stays; the offset is from whoever sends to the capturer, and that is us
/// now. `wall_offset_us` leads from the sender's wall clock to ours, zero while unknown.
///
/// `None` when the offset does not fit its 32 bits of seconds: then there is nothing true to say.
pub(crate) fn forwarded(received: AbsCaptureTime, wall_offset_us: i64) -> Option<AbsCaptureTime> {
    let offset = (i128::from(wall_offset_us) << 32) / 1_000_000;
    let offset = i64::try_from(offset).ok()?;
    let clock_offset = received.clock_offset.unwrap_or_default().checked_sub(offset)?;
    Some(AbsCaptureTime { clock_offset: Some(clock_offset), ..received })
}

#[cfg(test)]
mod tests {
    use ringsoup_rtc::ntp::NtpTime;

    use super::*;

    #[test]
    fn timestamps_are_on_our_clock() {
        let clock = SenderClock { ntp: NtpTime::from_unix_micros(5_000_000), rtp_timestamp: u32::MAX };
        assert_eq!(captured_us(clock, 90_000, u32::MAX, -4_000_000), Some(1_000_000));
        // Across the wrap, and back.
        assert_eq!(captured_us(clock, 90_000, 89_999, -4_000_000), Some(2_000_000));
        assert_eq!(captured_us(clock, 90_000, u32::MAX - 45_000, -4_000_000), Some(500_000));
        assert_eq!(captured_us(clock, 90_000, 11 * 90_000, 0), None, "too long ago to tell");
        assert_eq!(captured_us(clock, 0, 1, 0), None);
    }

    #[test]
    fn the_offset_is_from_us() {
        let second = 1_i64 << 32;
        let received = |clock_offset| AbsCaptureTime { timestamp: 77, clock_offset };
        assert_eq!(forwarded(received(None), 0), Some(received(Some(0))));
        assert_eq!(forwarded(received(None), 1_500_000), Some(received(Some(-second * 3 / 2))));
        assert_eq!(forwarded(received(Some(second)), -500_000), Some(received(Some(second * 3 / 2))));
        assert_eq!(forwarded(received(None), i64::MAX), None);
        assert_eq!(forwarded(received(Some(i64::MIN)), 1_000_000), None);
    }
}
