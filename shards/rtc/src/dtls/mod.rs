//! DTLS: who we are, and who the peer must be.

pub mod certificate;
pub mod connection;
pub mod fingerprint;

pub use certificate::Certificate;
pub use connection::{Connected, Connection, Connector, Event, Output};
pub use fingerprint::{Fingerprint, FingerprintAlgorithm};

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
