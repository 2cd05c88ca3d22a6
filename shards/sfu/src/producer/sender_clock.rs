//! What a stream's sender reports say of its clock, as long as it is the clock of the packets that come now.
//!
//! ```text
//! old run   ─p─p─R─p─┐     R'           R' comes late: it speaks of timestamps that no packet has any more
//! new run            └─p─────p─R─p─►    the second packet shows the restart; an R before it would be early
//! ```

use std::time::Duration;

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::time::Time;

/// How long after a restart a report may still be of the stream before it: longer than packets are under way.
const REPORT_DELAY_MAX: Duration = Duration::from_secs(1);

/// Ticks and wall clock of one stream's reports run apart by less: clocks drift by parts in ten thousand, and what other servers estimate
/// is off by a packet's way.
const REPORT_ERROR_MAX: Duration = Duration::from_millis(500);

/// A sender's word on its clock: this wall clock time is this timestamp (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderClock {
    pub ntp: NtpTime,
    pub rtp_timestamp: u32,
}

impl SenderClock {
    /// Whether a later word continues this one at so many ticks per second.
    fn agrees(self, later: Self, clock_rate: u32) -> bool {
        // A difference of 32.32 bits, either way.
        let apart = later.ntp.as_u64().wrapping_sub(self.ntp.as_u64()).cast_signed();
        let ticks = (i128::from(apart) * i128::from(clock_rate)) >> 32;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 2^32 on the wire")]
        let expected = self.rtp_timestamp.wrapping_add(ticks as u32);
        let error = later.rtp_timestamp.wrapping_sub(expected).cast_signed().unsigned_abs();
        u128::from(error) * 1_000 <= REPORT_ERROR_MAX.as_millis() * u128::from(clock_rate)
    }
}

/// The clock of a stream that may begin anew.
#[derive(Debug, Default)]
pub(crate) struct ToldClock {
    newest: Option<SenderClock>,
    restarted: Option<Time>,
}

impl ToldClock {
    pub(crate) fn newest(&self) -> Option<SenderClock> {
        self.newest
    }

    /// Takes a report's word. What breaks with the word before is not believed, nor is that any more: the next one tells.
    pub(crate) fn hear(&mut self, received: Time, told: SenderClock, clock_rate: u32) {
        let is_settled = self.restarted.is_none_or(|at| received.saturating_since(at) >= REPORT_DELAY_MAX);
        let is_believed = is_settled && self.newest.is_none_or(|before| before.agrees(told, clock_rate));
        self.newest = is_believed.then_some(told);
    }

    /// The stream began anew.
    pub(crate) fn restart(&mut self, received: Time) {
        *self = Self { newest: None, restarted: Some(received) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(millis: u64, rtp_timestamp: u32) -> SenderClock {
        SenderClock { ntp: NtpTime::from_unix_micros(millis * 1_000), rtp_timestamp }
    }

    #[test]
    fn words_agree_across_wraps_and_in_either_order() {
        let clock = told(10_000, u32::MAX - 44_999);
        assert!(clock.agrees(told(11_000, 45_000), 90_000));
        assert!(told(11_000, 45_000).agrees(clock, 90_000));
        assert!(clock.agrees(told(11_000, 89_000), 90_000), "491 ms off");
        assert!(!clock.agrees(told(11_000, 91_000), 90_000), "511 ms off");
        assert!(!clock.agrees(told(11_000, u32::MAX - 1_000), 90_000));
    }

    #[test]
    fn a_word_that_breaks_with_the_one_before_is_believed_when_the_next_one_agrees() {
        let mut clock = ToldClock::default();
        clock.hear(Time::from_millis(0), told(0, 0), 90_000);
        clock.hear(Time::from_millis(1_000), told(1_000, 7_000_000), 90_000);
        assert_eq!(clock.newest(), None);
        clock.hear(Time::from_millis(2_000), told(2_000, 7_090_000), 90_000);
        assert_eq!(clock.newest(), Some(told(2_000, 7_090_000)));
    }

    #[test]
    fn nothing_is_believed_soon_after_a_restart() {
        let mut clock = ToldClock::default();
        clock.hear(Time::from_millis(0), told(0, 0), 90_000);
        clock.restart(Time::from_millis(500));
        clock.hear(Time::from_millis(1_499), told(1_000, 90_000), 90_000);
        assert_eq!(clock.newest(), None);
        clock.hear(Time::from_millis(1_500), told(1_500, 7_000_000), 90_000);
        assert_eq!(clock.newest(), Some(told(1_500, 7_000_000)));
    }
}
