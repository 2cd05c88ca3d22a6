//! Host candidates and their priorities (RFC 8445 section 5.1.2).

use std::net::SocketAddr;

/// What host candidates of this worker prefer over other types; RFC 8445 recommends 126, the original says 64.
const TYPE_PREFERENCE: u32 = 64;
/// RTP and RTCP share the only component.
const COMPONENT: u32 = 1;
/// The local preference of the first listening address.
const LOCAL_PREFERENCE_FIRST: u16 = 10_000;
/// How much less each further address is preferred.
const LOCAL_PREFERENCE_STEP: u16 = 100;
/// What a preferred protocol adds to the local preference.
const LOCAL_PREFERENCE_BONUS: u16 = 1_000;
/// How far a bound address stays behind the announced one that hides it, in units of priority.
const INTERNAL_PENALTY: u32 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateProtocol {
    Udp,
    /// Passive: the peer connects (RFC 6544).
    Tcp,
}

impl CandidateProtocol {
    /// All candidates of a protocol are told as one foundation, which the peer's checks do not depend on.
    pub const fn foundation(self) -> &'static str {
        match self {
            Self::Udp => "udpcandidate",
            Self::Tcp => "tcpcandidate",
        }
    }
}

/// A host candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub protocol: CandidateProtocol,
    pub priority: u32,
    /// The announced address or host name where there is one, else the bound IP.
    pub address: String,
    pub port: u16,
}

/// A bound address that peers shall hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered<'a> {
    pub protocol: CandidateProtocol,
    pub local: SocketAddr,
    pub announced: Option<&'a str>,
    /// Tell of the bound IP as well as of the announced address.
    pub expose_internal_ip: bool,
    /// This protocol before others.
    pub preferred: bool,
}

impl Candidate {
    /// What the address at place `index` of the listening ones is offered as: one candidate, or two when an announced
    /// address shall not hide the bound one.
    pub fn of(index: usize, offered: &Offered<'_>) -> impl Iterator<Item = Self> + use<> {
        let priority = priority(local_preference(index, offered.preferred));
        let bound = offered.local.ip().to_string();
        let announced = offered.announced.filter(|address| !address.is_empty());
        let internal = (announced.is_some() && offered.expose_internal_ip)
            .then(|| (bound.clone(), priority - INTERNAL_PENALTY));
        let first = (announced.map_or(bound, str::to_owned), priority);
        let (protocol, port) = (offered.protocol, offered.local.port());
        let candidate = move |(address, priority)| Self { protocol, priority, address, port };
        [Some(first), internal].into_iter().flatten().map(candidate)
    }
}

/// Wraps like the original's 16 bits, which a hundred addresses take to their end.
fn local_preference(index: usize, preferred: bool) -> u16 {
    #[allow(clippy::cast_possible_truncation, reason = "wrapping is the contract")]
    let behind = (index as u16).wrapping_mul(LOCAL_PREFERENCE_STEP);
    let bonus = if preferred { LOCAL_PREFERENCE_BONUS } else { 0 };
    LOCAL_PREFERENCE_FIRST.wrapping_sub(behind).wrapping_add(bonus)
}

fn priority(local_preference: u16) -> u32 {
    (TYPE_PREFERENCE << 24) + (u32::from(local_preference) << 8) + (256 - COMPONENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(announced: Option<&str>, expose_internal_ip: bool) -> Offered<'_> {
        Offered {
            protocol: CandidateProtocol::Udp,
            local: "127.0.0.1:4000".parse().expect("an address"),
            announced,
            expose_internal_ip,
            preferred: false,
        }
    }

    fn told(index: usize, offered: &Offered<'_>) -> Vec<(String, u32)> {
        Candidate::of(index, offered).map(|candidate| (candidate.address, candidate.priority)).collect()
    }

    #[test]
    fn priorities_are_those_of_the_original() {
        // 2^24 * 64 + 2^8 * 10,000 + 255, and 100 less of local preference for each further address.
        assert_eq!(told(0, &offered(None, false)), [("127.0.0.1".into(), 1_076_302_079)]);
        assert_eq!(told(1, &offered(None, false)), [("127.0.0.1".into(), 1_076_276_479)]);
        let preferred = Offered { preferred: true, ..offered(None, false) };
        assert_eq!(told(0, &preferred), [("127.0.0.1".into(), 1_076_558_079)]);
    }

    #[test]
    fn an_announced_address_hides_the_bound_one_unless_told_otherwise() {
        assert_eq!(told(0, &offered(Some("sfu.test"), false)), [("sfu.test".into(), 1_076_302_079)]);
        assert_eq!(
            told(0, &offered(Some("9.9.9.9"), true)),
            [("9.9.9.9".into(), 1_076_302_079), ("127.0.0.1".into(), 1_076_301_079)]
        );
        // Nothing is hidden, so there is nothing to expose.
        assert_eq!(told(0, &offered(None, true)).len(), 1);
        assert_eq!(told(0, &offered(Some(""), true)).len(), 1);
    }

    #[test]
    fn many_addresses_never_overflow() {
        for index in [100, 101, 655, 656, 65_535, 65_536, usize::MAX] {
            assert_eq!(told(index, &offered(Some("x"), true)).len(), 2);
        }
    }
}
