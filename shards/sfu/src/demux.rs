//! What a datagram is and whose it is: by its socket, then by its first bytes (RFC 7983, RFC 5761).

use ringsoup_rtc::dtls::is_dtls;
use ringsoup_rtc::rtp::{is_rtcp, is_rtp};
use ringsoup_rtc::stun::is_stun;

use crate::map::Map;
use crate::sockets::SocketId;
use crate::table::Id;
use crate::transport::Transport;
use crate::transport::webrtc_server::WebRtcServer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Rtp,
    Rtcp,
}

/// `None` for anything that is neither.
pub fn protocol_of(bytes: &[u8]) -> Option<Protocol> {
    if is_rtcp(bytes) {
        Some(Protocol::Rtcp)
    } else if is_rtp(bytes) {
        Some(Protocol::Rtp)
    } else {
        None
    }
}

/// What shares a socket of WebRTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    Stun,
    Dtls,
    Media(Protocol),
}

/// `None` for anything else.
pub fn packet_of(bytes: &[u8]) -> Option<Packet> {
    if let Some(protocol) = protocol_of(bytes) {
        Some(Packet::Media(protocol))
    } else if is_stun(bytes) {
        Some(Packet::Stun)
    } else if is_dtls(bytes) {
        Some(Packet::Dtls)
    } else {
        None
    }
}

/// Whose datagrams come on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketOwner {
    Transport(Id<Transport>),
    WebRtcServer(Id<WebRtcServer>),
}

/// Who owns which socket. Socket ids are small numbers that the runtime reuses.
#[derive(Debug, Default)]
pub struct SocketOwners {
    owners: Vec<Option<Owned>>,
    /// Accepted, by owner: they close with it. No entry is empty.
    connections: Map<SocketOwner, Vec<SocketId>>,
}

#[derive(Debug, Clone, Copy)]
struct Owned {
    owner: SocketOwner,
    /// What accepted it, if it is a TCP connection.
    listener: Option<SocketId>,
}

impl SocketOwners {
    pub fn insert(&mut self, socket: SocketId, owner: SocketOwner) {
        self.set(socket, Owned { owner, listener: None });
    }

    /// The connection belongs to whoever has the listener; false when nobody has.
    pub fn accept(&mut self, listener: SocketId, connection: SocketId) -> bool {
        let Some(Owned { owner, .. }) = self.get(listener) else { return false };
        self.set(connection, Owned { owner, listener: Some(listener) });
        self.connections.entry(owner).or_default().push(connection);
        true
    }

    /// A connection that another shard accepted for this owner. Nobody has a socket of that listener's number.
    pub fn adopt(&mut self, owner: SocketOwner, listener: SocketId, connection: SocketId) {
        self.set(connection, Owned { owner, listener: Some(listener) });
        self.connections.entry(owner).or_default().push(connection);
    }

    /// Forgets a connection, and nothing that is none.
    pub fn hang_up(&mut self, connection: SocketId) {
        let Some(Owned { owner, listener: Some(_) }) = self.get(connection) else { return };
        if let Some(connections) = self.connections.get_mut(&owner) {
            connections.retain(|&other| other != connection);
            if connections.is_empty() {
                self.connections.remove(&owner);
            }
        }
        self.remove(connection);
    }

    /// Forgets the connections of an owner.
    pub fn take_connections(&mut self, owner: SocketOwner) -> Vec<SocketId> {
        let taken = self.connections.remove(&owner).unwrap_or_default();
        taken.iter().for_each(|&connection| self.remove(connection));
        taken
    }

    pub fn connection_count(&self) -> usize {
        self.connections.values().map(Vec::len).sum()
    }

    fn set(&mut self, socket: SocketId, owned: Owned) {
        let index = socket.0 as usize;
        if index >= self.owners.len() {
            self.owners.resize(index + 1, None);
        }
        self.owners[index] = Some(owned);
    }

    /// Sockets that belong to someone.
    pub fn count(&self) -> usize {
        self.owners.iter().flatten().count()
    }

    pub fn remove(&mut self, socket: SocketId) {
        if let Some(owner) = self.owners.get_mut(socket.0 as usize) {
            *owner = None;
        }
    }

    /// The transport whose socket it is.
    pub fn owner(&self, socket: SocketId) -> Option<Id<Transport>> {
        match self.get(socket)?.owner {
            SocketOwner::Transport(id) => Some(id),
            SocketOwner::WebRtcServer(_) => None,
        }
    }

    /// The server whose socket it is.
    pub fn server(&self, socket: SocketId) -> Option<Id<WebRtcServer>> {
        match self.get(socket)?.owner {
            SocketOwner::WebRtcServer(id) => Some(id),
            SocketOwner::Transport(_) => None,
        }
    }

    /// What accepted it; `None` unless it is a connection.
    pub fn listener(&self, socket: SocketId) -> Option<SocketId> {
        self.get(socket)?.listener
    }

    fn get(&self, socket: SocketId) -> Option<Owned> {
        self.owners.get(socket.0 as usize).copied().flatten()
    }
}
