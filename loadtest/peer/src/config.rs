//! What a peer is told, and what it tells.

use std::sync::Arc;
use std::time::Duration;

use ringsoup_rtc::dtls::{Certificate, Fingerprint, Role};
use ringsoup_rtc::ice::Credentials;

use crate::Path;

/// How the pair that media takes is named to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nomination {
    /// USE-CANDIDATE on a check of its own, once a pair is known to work (RFC 8445 section 8.1.1).
    #[default]
    Regular,
    /// USE-CANDIDATE on every check, as libwebrtc does it to a lite agent: one round trip less.
    Aggressive,
    /// As regular, and with a growing NOMINATION (draft-thatcher-ice-renomination).
    Renomination,
}

/// The other side's parameters, from signalling.
#[derive(Debug, Clone)]
pub struct RemoteParameters {
    pub credentials: Credentials,
    pub fingerprint: Fingerprint,
}

/// Ours, for signalling.
#[derive(Debug, Clone)]
pub struct LocalParameters {
    pub credentials: Credentials,
    /// SHA-256.
    pub fingerprint: Fingerprint,
    /// `Client` or `Server`.
    pub role: Role,
}

#[derive(Debug, Clone)]
pub struct Config {
    /// Of ICE: credentials, transactions, the times of consent checks.
    pub seed: u64,
    /// Ours in DTLS. To leave the choice (`Auto`) is to be the server: an SFU then takes the client's part.
    pub role: Role,
    pub certificate: Arc<Certificate>,
    pub remote: RemoteParameters,
    /// What is tried, in this order: the first that works is nominated. More can be added later.
    pub paths: Vec<Path>,
    pub nomination: Nomination,
    /// Between two checks of the selected pair, give or take 20 % (RFC 7675 section 5.1).
    pub consent_interval: Duration,
    /// Until the first datagram of a flight is sent again, doubling.
    pub dtls_retransmit: Duration,
}

impl Config {
    /// As browsers do it: a check every 5 s; a first retransmission of DTLS after 50 ms.
    pub fn new(seed: u64, certificate: Arc<Certificate>, remote: RemoteParameters, paths: Vec<Path>) -> Self {
        Self {
            seed,
            role: Role::Client,
            certificate,
            remote,
            paths,
            nomination: Nomination::default(),
            consent_interval: Duration::from_secs(5),
            dtls_retransmit: Duration::from_millis(50),
        }
    }
}
