//! Sockets that are bound before it is known which shard reads them.

use std::net::SocketAddr;

use ringsoup_rtc::ice::Sealer;
use ringsoup_sfu::command::Protocol;
use ringsoup_sfu::served::ServerKey;
use ringsoup_sfu::sockets::{BindError, ListenRequest};

use super::port_book::PortBook;
use super::ports::{self, Bound};

/// A bound socket that nobody reads. Dropping it frees its port.
#[derive(Debug)]
pub struct ListenSocket {
    pub(crate) bound: Bound,
    pub(crate) is_udp: bool,
}

impl ListenSocket {
    /// # Errors
    /// Nothing stays bound.
    pub fn open(request: &ListenRequest, book: &PortBook) -> Result<Self, BindError> {
        let is_udp = matches!(request, ListenRequest::Udp(_));
        ports::bind(request, book).map(|bound| Self { bound, is_udp })
    }

    /// The first of a group on its port, which [`member`](Self::member) adds to. It is bound as if it were alone: nobody else's
    /// group has the port, so that a second worker is told that it is taken.
    ///
    /// # Errors
    /// Nothing stays bound.
    pub fn open_group(request: &ListenRequest, book: &PortBook) -> Result<Self, BindError> {
        let socket = Self::open(request, book)?;
        if socket.is_udp {
            ports::share(&socket.bound.socket)?;
        }
        Ok(socket)
    }

    /// Another UDP socket on the port that a group has: the kernel spreads the peers over all of them.
    ///
    /// # Errors
    /// Nothing stays bound.
    pub fn member(request: &ListenRequest, local: SocketAddr) -> Result<Self, BindError> {
        ports::bind_member(request, local).map(|bound| Self { bound, is_udp: true })
    }

    pub fn local(&self) -> SocketAddr {
        self.bound.local
    }
}

/// Where a shard has a server's address.
#[derive(Debug)]
pub enum Listener {
    Here(ListenSocket),
    /// Another shard alone listens, there.
    Elsewhere(SocketAddr),
}

impl Listener {
    pub fn local(&self) -> SocketAddr {
        match self {
            Self::Here(socket) => socket.local(),
            Self::Elsewhere(local) => *local,
        }
    }
}

/// A shard's part in a WebRTC server.
#[derive(Debug)]
pub struct ServerSockets {
    pub key: ServerKey,
    /// By the places of their listenInfos.
    pub listeners: Vec<(Protocol, Listener)>,
    pub sealer: Sealer,
    /// The other shards that read the same port.
    pub readers: Vec<u16>,
}
