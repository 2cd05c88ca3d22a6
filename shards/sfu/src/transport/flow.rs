//! One UDP socket of a transport and its only peer.

use std::net::{IpAddr, SocketAddr};

use crate::command::{CommandError, ListenInfo, Protocol as ListenProtocol};
use crate::drop_reason::DropReason;
use crate::listen;
use crate::outbox::{Destination, LaneAllocator, Outbox, Route};
use crate::reply::Tuple;
use crate::sockets::{BoundSocket, SocketId, Sockets};

#[derive(Debug)]
pub struct Flow {
    socket: BoundSocket,
    announced_address: Option<String>,
    remote: Option<SocketAddr>,
    destination: Option<Destination>,
}

/// What a packet from this address means to a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Peer,
    /// The first packet of a comedia peer: its address is to be learned.
    NewPeer,
}

impl Flow {
    pub(crate) fn open(
        info: &ListenInfo,
        worker_ports: (u16, u16),
        sockets: &mut dyn Sockets,
    ) -> Result<Self, CommandError> {
        let socket = sockets.bind_udp(&listen::udp(info, worker_ports)?)?;
        Ok(Self {
            socket,
            announced_address: info.announced_address.clone(),
            remote: None,
            destination: None,
        })
    }

    pub(crate) fn close(&mut self, lanes: &mut LaneAllocator, sockets: &mut dyn Sockets, out: &mut Outbox) {
        sockets.close(self.socket.id);
        if let Some(destination) = self.destination.take() {
            out.forget(destination);
            lanes.release(destination.lane);
        }
    }

    pub(crate) fn set_remote(
        &mut self,
        remote: SocketAddr,
        lanes: &mut LaneAllocator,
        sockets: &mut dyn Sockets,
    ) {
        let connected = sockets.connect(self.socket.id, remote);
        self.remote = Some(remote);
        self.destination = Some(Destination {
            lane: lanes.allocate(),
            route: Route::Socket { socket: self.socket.id, remote: (!connected).then_some(remote) },
        });
    }

    /// A socket of one family cannot send to the other; better to say so than to drop every packet.
    pub(crate) fn check_family(&self, ip: IpAddr) -> Result<(), CommandError> {
        let local = self.socket.local.ip();
        if local.is_ipv4() == ip.is_ipv4() {
            return Ok(());
        }
        Err(CommandError::type_error(format!("remote ip '{ip}' is not of the address family of '{local}'")))
    }

    pub(crate) fn socket(&self) -> SocketId {
        self.socket.id
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.socket.local
    }

    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    pub(crate) fn tuple(&self) -> Tuple {
        let announced = self.announced_address.clone().filter(|address| !address.is_empty());
        Tuple {
            local_address: announced.unwrap_or_else(|| self.socket.local.ip().to_string()),
            local_port: self.socket.local.port(),
            remote: self.remote,
            protocol: ListenProtocol::Udp,
        }
    }

    pub(crate) fn tuple_if_connected(&self) -> Option<Tuple> {
        self.remote.map(|_| self.tuple())
    }

    pub(crate) fn destination(&self) -> Option<Destination> {
        self.destination
    }

    pub(crate) fn origin(&self, remote: SocketAddr, comedia: bool) -> Result<Origin, DropReason> {
        match self.remote {
            Some(peer) if peer == remote => Ok(Origin::Peer),
            Some(_) => Err(DropReason::ForeignTuple),
            None if comedia => Ok(Origin::NewPeer),
            None => Err(DropReason::NotConnected),
        }
    }
}
