//! One candidate pair and the check that is under way on it.

use std::time::Duration;

use ringsoup_rtc::stun::TRANSACTION_LEN;
use ringsoup_rtc::time::Time;

use crate::Path;

/// Until a check is sent again the first time; loopback and test networks are fast. RFC 8445 section 14.3 asks for
/// 500 ms where the network is not known.
const RETRANSMIT_START: Duration = Duration::from_millis(100);
/// It doubles up to this.
const RETRANSMIT_MAX: Duration = Duration::from_millis(1_600);
/// How often one check is sent before its pair has failed.
const SENDS_MAX: u32 = 8;

/// Why a check is made, which is what its answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whether the path works.
    Probe,
    /// That media shall take it.
    Nominate,
    /// Whether the peer still wants what we send.
    Consent,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) purpose: Purpose,
    pub(super) transaction: [u8; TRANSACTION_LEN],
    /// With a NOMINATION attribute.
    pub(super) nomination: Option<u32>,
    sends: u32,
    again_at: Time,
}

impl Check {
    pub(super) const fn new(
        purpose: Purpose,
        transaction: [u8; TRANSACTION_LEN],
        nomination: Option<u32>,
    ) -> Self {
        Self { purpose, transaction, nomination, sends: 0, again_at: Time::ZERO }
    }

    pub(super) fn sent(&mut self, now: Time) {
        let wait = RETRANSMIT_START.saturating_mul(1 << self.sends.min(10)).min(RETRANSMIT_MAX);
        self.sends += 1;
        self.again_at = now + wait;
    }

    const fn is_exhausted(&self) -> bool {
        self.sends >= SENDS_MAX
    }
}

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) path: Path,
    /// An answer came: media may take it.
    pub(super) is_valid: bool,
    pub(super) has_failed: bool,
    pub(super) check: Option<Check>,
    /// When the next check is begun, if none is under way.
    pub(super) next_check: Option<(Time, Purpose)>,
}

/// What a pair wants at a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Begin(Purpose),
    Resend,
    GiveUp(Purpose),
}

impl Pair {
    pub(super) const fn new(path: Path, at: Time) -> Self {
        let next_check = Some((at, Purpose::Probe));
        Self { path, is_valid: false, has_failed: false, check: None, next_check }
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        let begin = self.next_check.map(|(at, _)| at);
        [self.check.map(|check| check.again_at), begin].into_iter().flatten().min()
    }

    pub(super) fn due(&self, now: Time) -> Due {
        if let Some((at, purpose)) = self.next_check
            && at <= now
        {
            return Due::Begin(purpose);
        }
        match &self.check {
            Some(check) if check.again_at <= now && check.is_exhausted() => Due::GiveUp(check.purpose),
            Some(check) if check.again_at <= now => Due::Resend,
            _ => Due::Nothing,
        }
    }

    /// Whatever is under way is forgotten: from the beginning again.
    pub(super) const fn probe_at(&mut self, at: Time) {
        self.is_valid = false;
        self.has_failed = false;
        self.check = None;
        self.next_check = Some((at, Purpose::Probe));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_sent_again_ever_more_slowly_and_then_given_up() {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let mut pair = Pair::new(Path::udp(address, address), Time::ZERO);
        assert_eq!(pair.due(Time::ZERO), Due::Begin(Purpose::Probe));
        pair.next_check = None;
        let mut check = Check::new(Purpose::Probe, [0; TRANSACTION_LEN], None);
        check.sent(Time::ZERO);
        pair.check = Some(check);
        let mut times = Vec::new();
        while let Some(at) = pair.next_timeout() {
            times.push(at.as_millis());
            match pair.due(at) {
                Due::Resend => pair.check.as_mut().unwrap().sent(at),
                due => {
                    assert_eq!(due, Due::GiveUp(Purpose::Probe));
                    break;
                }
            }
        }
        assert_eq!(times, [100, 300, 700, 1_500, 3_100, 4_700, 6_300, 7_900]);
    }
}
