//! Error replies, and how few of them a flood can call forth.
//!
//! Whoever cannot authenticate may have forged its address, and what we reply then goes to a victim. So a reply is never
//! longer than its request, and there are few of them.

use std::time::Duration;

use thiserror::Error;

use crate::stun::{Class, IntegrityKey, Message, Writer};
use crate::time::Time;

/// Time between replies of one agent, in the long run: 10 a second are some 4 kbit/s, to victims of forged addresses in
/// all.
const INTERVAL: Duration = Duration::from_millis(100);
/// Replies at once after silence: as many as a peer has tuples, each of which may begin with an error.
const BURST: u32 = 8;
/// Time between replies to one source, which so cannot use up those to others. Half of STUN's first retransmission
/// timeout (RFC 8489 section 6.2.1): a peer that means well hears of every try.
const SOURCE_INTERVAL: Duration = Duration::from_millis(250);
/// Sources remembered. In [`SOURCE_INTERVAL`] no more than two or three are replied to after a burst.
const SOURCES: usize = 4;

/// Why a request is not answered with success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("unknown method")]
    UnknownMethod,
    #[error("no FINGERPRINT")]
    NoFingerprint,
    #[error("no PRIORITY")]
    NoPriority,
    #[error("no USERNAME")]
    NoUsername,
    #[error("no MESSAGE-INTEGRITY")]
    NoIntegrity,
    #[error("wrong user name or password")]
    Unauthorized,
    /// The peer says that we control; one that is lite never does (RFC 8445 section 6.1.1).
    #[error("role conflict")]
    RoleConflict,
}

impl Refusal {
    /// The code of RFC 8489 section 14.8 or RFC 8445 section 16.1.
    pub const fn code(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::RoleConflict => 487,
            _ => 400,
        }
    }

    /// The words that the RFCs recommend; what is wrong in detail is for our log.
    const fn reason(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::RoleConflict => "Role Conflict",
            _ => "Bad Request",
        }
    }

    /// The reply, under the key of a request that was authentic (RFC 8489 section 9.1.4). `None` if there is no room.
    pub(super) fn write<'a>(
        self,
        request: &Message<'_>,
        key: Option<&IntegrityKey>,
        out: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        Writer::new(out, Class::ErrorResponse, request.method, request.transaction())
            .error_code(self.code(), self.reason().as_bytes())
            .finish(key)
    }
}

/// Says which requests get an error reply.
#[derive(Debug)]
pub(super) struct RefusalLimiter<T> {
    /// Until when replies that were sent use up what [`INTERVAL`] allows.
    spent_until: Time,
    recent: [Option<(T, Time)>; SOURCES],
    /// Where the next source is remembered.
    next: usize,
}

impl<T: Copy + Eq> RefusalLimiter<T> {
    pub(super) const fn new() -> Self {
        Self { spent_until: Time::ZERO, recent: [None; SOURCES], next: 0 }
    }

    /// Whether this source may be replied to; that is counted then.
    pub(super) fn allow(&mut self, now: Time, source: T) -> bool {
        let is_recent =
            |(known, at): &(T, Time)| *known == source && now.saturating_since(*at) < SOURCE_INTERVAL;
        if self.recent.iter().flatten().any(is_recent) {
            return false;
        }
        let spent_until = self.spent_until.max(now);
        if spent_until.saturating_since(now) > INTERVAL * (BURST - 1) {
            return false;
        }
        self.spent_until = spent_until + INTERVAL;
        self.recent[self.next] = Some((source, now));
        self.next = (self.next + 1) % SOURCES;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies in ten seconds to a request each millisecond.
    fn replies(source: impl Fn(u64) -> u64) -> usize {
        let mut limiter = RefusalLimiter::new();
        (0..10_000).filter(|at| limiter.allow(Time::from_millis(*at), source(*at))).count()
    }

    #[test]
    fn a_flood_gets_a_burst_and_ten_replies_a_second() {
        assert_eq!(replies(|at| at), 8 + 99);
    }

    #[test]
    fn one_source_gets_four_replies_a_second() {
        assert_eq!(replies(|_| 7), 40);
    }

    #[test]
    fn one_loud_source_leaves_replies_to_others() {
        let mut limiter = RefusalLimiter::new();
        let mut quiet = 0;
        for at in 0..10_000 {
            limiter.allow(Time::from_millis(at), 1);
            if at % 500 == 0 && limiter.allow(Time::from_millis(at), 2) {
                quiet += 1;
            }
        }
        assert_eq!(quiet, 20);
    }
}
