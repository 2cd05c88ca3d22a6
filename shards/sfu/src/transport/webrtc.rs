//! A WebRTC transport: media for a peer that is found by ICE and trusted by its DTLS fingerprint.
//!
//! ```text
//! created ──► connect(): the peer's fingerprint ─┐
//!    └──────► ICE selects a tuple ───────────────┴─► DTLS ──► SRTP: connected, while ICE is
//! ```

mod ways;

use std::net::SocketAddr;

use ringsoup_rtc::dtls::{self, Fingerprint, Role};
use ringsoup_rtc::ice::{self, Agent, Candidate};
use ringsoup_rtc::time::Time;

use crate::command::{CommandError, Protocol, WebRtcConnect};
use crate::handshakes::{Handshakes, Turn};
use crate::name::Name;
use crate::reply;
use crate::sockets::{BoundSocket, SocketId};
use crate::table::Id;

use super::Transport;
use super::Way;
use super::srtp::SrtpSessions;

pub(crate) use ways::Ways;

#[derive(Debug)]
pub struct WebRtcTransport {
    pub(crate) listening: Listening,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) ice: Agent<Tuple>,
    pub(crate) ways: Ways,
    /// The entry on the shard's timers that is to ask the agent.
    pub(crate) ice_timer: Option<Time>,
    pub(crate) dtls: Dtls,
    /// While DTLS is connected.
    pub(crate) srtp: Option<SrtpSessions>,
    /// What its consumers were told last.
    pub(crate) was_connected: bool,
}

/// Where we receive, and where the peer sends from. A TCP connection is a socket of its own.
pub(crate) type Tuple = (SocketId, SocketAddr);

/// Where the peer's packets come in.
#[derive(Debug)]
pub enum Listening {
    /// On sockets of the transport's own.
    Own(Vec<Listener>),
    /// On those that this shard has of a server.
    Server(Name, Vec<Listener>),
}

/// A socket as it is told of.
#[derive(Debug, Clone, Copy)]
pub struct Listener {
    pub(crate) socket: BoundSocket,
    pub(crate) protocol: Protocol,
}

#[derive(Debug, Default)]
pub struct Dtls {
    /// Ours; `Auto` until the peer's is known.
    pub role: Role,
    pub state: dtls::State,
    /// What the peer's certificate must match. `None` until `connect()`.
    pub remote_fingerprint: Option<Fingerprint>,
    /// From the handshake's beginning to its failure or the peer's good-bye.
    pub(crate) connection: Option<Box<dyn dtls::Connection>>,
    /// What it is in the shard's queues for.
    pub(crate) turn: Option<Turn>,
    /// Whether it has a place among those whose peers have spoken.
    pub(crate) has_place: bool,
    /// When it asks again to begin, since too many wait for that.
    pub(crate) asks_again: Option<Time>,
    /// The entry on the shard's timers that is to ask the connection.
    pub(crate) timer: Option<Time>,
}

impl Dtls {
    /// Leaves the shard's queues and gives its place back.
    pub(crate) fn leave(&mut self, id: Id<Transport>, handshakes: &mut Handshakes) {
        if let Some(turn) = self.turn.take() {
            handshakes.forget(id, turn);
        }
        if std::mem::take(&mut self.has_place) {
            handshakes.give_place_back();
        }
        self.asks_again = None;
    }
}

impl WebRtcTransport {
    pub(crate) fn new(listening: Listening, candidates: Vec<Candidate>, ice: Agent<Tuple>) -> Self {
        Self {
            listening,
            candidates,
            ice,
            ways: Ways::default(),
            ice_timer: None,
            dtls: Dtls::default(),
            srtp: None,
            was_connected: false,
        }
    }

    pub(crate) fn own_listeners(&self) -> &[Listener] {
        match &self.listening {
            Listening::Own(listeners) => listeners,
            Listening::Server(..) => &[],
        }
    }

    fn listeners(&self) -> &[Listener] {
        let (Listening::Own(listeners) | Listening::Server(_, listeners)) = &self.listening;
        listeners
    }

    pub(crate) fn is_served_by(&self, name: &str) -> bool {
        matches!(&self.listening, Listening::Server(server, _) if **server == *name)
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

    /// Whether the peer was found and may still be there.
    pub(crate) fn has_peer(&self) -> bool {
        matches!(self.ice.state(), ice::State::Connected | ice::State::Completed)
    }

    /// Whether both are known that a handshake needs, and there was none.
    pub(crate) fn may_start_dtls(&self) -> bool {
        self.dtls.state == dtls::State::New && self.dtls.remote_fingerprint.is_some() && self.has_peer()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.has_peer() && self.dtls.state == dtls::State::Connected
    }

    /// `None` without a peer, or before its keys are known.
    pub(crate) fn way(&mut self) -> Option<Way<'_>> {
        Some(Way::Sealed(self.ways.selected()?, self.srtp.as_mut()?.outbound()))
    }

    /// A tuple as it is told of. `listener` is where it came in.
    pub(crate) fn describe(&self, tuple: Tuple, listener: SocketId) -> Option<reply::Tuple> {
        let listener = self.listeners().iter().find(|known| known.socket.id == listener)?;
        Some(reply::Tuple {
            // As in the original, this is the bound address: candidates tell of announced ones.
            local_address: listener.socket.local.ip().to_string(),
            local_port: listener.socket.local.port(),
            remote: Some(tuple.1),
            protocol: listener.protocol,
        })
    }
}
