//! DTLS: who we are, and who the peer must be.

pub mod certificate;
pub mod connection;
pub mod fingerprint;

pub use certificate::Certificate;
pub use connection::{Connected, Connection, Connector, Event, NoHandshakes, Output};
pub use fingerprint::{Fingerprint, FingerprintAlgorithm};

/// Bytes before a record's content.
const RECORD_HEADER_LEN: usize = 13;

/// Whether these bytes are to be read as DTLS rather than as STUN, RTP or RTCP (RFC 7983 section 7).
pub fn is_dtls(bytes: &[u8]) -> bool {
    bytes.len() >= RECORD_HEADER_LEN && bytes.first().is_some_and(|first| (20..64).contains(first))
}

/// Which side of the handshake one takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Not agreed upon yet.
    #[default]
    Auto,
    Client,
    Server,
}

/// Where a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    #[default]
    New,
    Connecting,
    Connected,
    Failed,
    Closed,
}

impl Role {
    /// Ours, when the peer has this one. To a peer that leaves the choice we are the client: an SFU is ICE-controlled.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server | Self::Auto => Self::Client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtls_is_told_from_what_shares_its_port() {
        let begins = |first: u8| is_dtls(&[first; RECORD_HEADER_LEN]);
        assert!((20..64).all(begins));
        assert!(![0, 3, 19, 64, 79, 128, 191, 255].into_iter().any(begins));
        assert!(!is_dtls(&[22; RECORD_HEADER_LEN - 1]));
    }
}
