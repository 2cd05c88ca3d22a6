//! The wall clocks of a transport's senders, told apart by CNAME (RFC 3550 section 6.5.1: one per machine).

use std::time::Duration;

use ringsoup_rtc::clock_offset::ClockOffset;
use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::time::Time;

/// As many as there are names among the transport's producers, nearly always one.
#[derive(Debug, Default)]
pub(crate) struct SenderClocks(Vec<SenderClock>);

#[derive(Debug)]
struct SenderClock {
    cname: Box<str>,
    offset: ClockOffset,
}

impl SenderClocks {
    /// A report of one of the sender's streams arrived; returns what is known of its clock now.
    pub(crate) fn hear(&mut self, cname: &str, ntp: NtpTime, arrived: Time, rtt: Duration) -> Option<i64> {
        let index = self.0.iter().position(|clock| &*clock.cname == cname);
        let index = index.unwrap_or_else(|| {
            self.0.push(SenderClock { cname: cname.into(), offset: ClockOffset::default() });
            self.0.len() - 1
        });
        let offset = &mut self.0[index].offset;
        offset.add(ntp, arrived, rtt);
        offset.micros()
    }

    pub(crate) fn micros(&self, cname: &str) -> Option<i64> {
        self.0.iter().find(|clock| &*clock.cname == cname)?.offset.micros()
    }

    /// The last producer of this name has closed.
    pub(crate) fn forget(&mut self, cname: &str) {
        self.0.retain(|clock| &*clock.cname != cname);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_have_clocks_of_their_own_until_they_are_gone() {
        let mut clocks = SenderClocks::default();
        for at in 1..=3_u64 {
            let arrived = Time::from_millis(1_000 * at);
            let ntp = |lead: u64| NtpTime::from_unix_micros(1_000_000 * at + lead);
            clocks.hear("a", ntp(5), arrived, Duration::ZERO);
            clocks.hear("b", ntp(7), arrived, Duration::ZERO);
        }
        assert_eq!((clocks.micros("a"), clocks.micros("b"), clocks.micros("c")), (Some(-5), Some(-7), None));
        clocks.forget("a");
        assert_eq!((clocks.micros("a"), clocks.micros("b")), (None, Some(-7)));
    }
}
