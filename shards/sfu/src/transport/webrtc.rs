//! A WebRTC transport: media for a peer that is found by ICE and trusted by its DTLS fingerprint.
//!
//! ```text
//! created ──► connect(): the peer's fingerprint ──► ICE selects an address ──► DTLS ──► SRTP
//! ```
//! The last three steps are not built yet, so a transport stays new: it is listed, produced and consumed on, and nothing
//! flows.

use std::net::SocketAddr;

use ringsoup_rtc::dtls::{self, Fingerprint, Role};
use ringsoup_rtc::ice::{Agent, Candidate};

use crate::command::{CommandError, WebRtcConnect};
use crate::name::Name;
use crate::sockets::SocketId;

#[derive(Debug)]
pub struct WebRtcTransport {
    pub(crate) listening: Listening,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) ice: Agent<Tuple>,
    pub(crate) dtls: Dtls,
}

/// Where we receive, and where the peer sends from.
pub(crate) type Tuple = (SocketId, SocketAddr);

/// Where the peer's packets come in.
#[derive(Debug)]
pub enum Listening {
    /// On sockets of the transport's own.
    Own(Vec<SocketId>),
    /// On those of a server, which may be on another shard.
    Server(Name),
}

#[derive(Debug, Default)]
pub struct Dtls {
    /// Ours; `Auto` until the peer's is known.
    pub role: Role,
    pub state: dtls::State,
    /// What the peer's certificate must match. `None` until `connect()`.
    pub remote_fingerprint: Option<Fingerprint>,
}

impl WebRtcTransport {
    pub(crate) fn new(listening: Listening, candidates: Vec<Candidate>, ice: Agent<Tuple>) -> Self {
        Self { listening, candidates, ice, dtls: Dtls::default() }
    }

    pub(crate) fn own_sockets(&self) -> &[SocketId] {
        match &self.listening {
            Listening::Own(sockets) => sockets,
            Listening::Server(_) => &[],
        }
    }

    pub(crate) fn is_served_by(&self, name: &str) -> bool {
        matches!(&self.listening, Listening::Server(server) if **server == *name)
    }

    /// Takes in the peer's side and returns our role.
    ///
    /// # Errors
    /// As mediasoup's `webRtcTransport.connect()`; nothing has changed then.
    pub(crate) fn connect(&mut self, request: WebRtcConnect) -> Result<Role, CommandError> {
        if self.dtls.remote_fingerprint.is_some() {
            return Err(CommandError::error("connect() already called"));
        }
        // Fingerprints of one certificate by different algorithms: the first is as good as any.
        let Some(fingerprint) = request.fingerprints.into_iter().next() else {
            return Err(CommandError::type_error("empty dtlsParameters.fingerprints array"));
        };
        self.dtls.remote_fingerprint = Some(fingerprint);
        self.dtls.role = request.role.opposite();
        Ok(self.dtls.role)
    }
}
