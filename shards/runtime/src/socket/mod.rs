//! The shard's sockets: a table whose places are also the ring's registered files.

mod backlog;
pub(crate) mod batch;
pub(crate) mod connections;
pub(crate) mod listen;
pub(crate) mod port_book;
pub(crate) mod ports;
pub(crate) mod receive;
mod strangers;
pub(crate) mod stream_send;
#[cfg(test)]
mod stream_tests;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use ringsoup_sfu::sockets::{BindError, BoundSocket, ListenRequest, SocketId, Sockets, TcpListen, UdpBind};
use socket2::Socket;

use crate::ring::{GENERATION_MASK, Operation, RingPoller};

use connections::{Connection, Connections};
use listen::ListenSocket;
use port_book::{PortBook, PortClaim};
use ports::Bound;

/// Receive failures in a row after which a socket is armed again only at the next tick.
const FAILURES_MAX: u32 = 16;

/// One open UDP socket.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    /// Given back before the socket closes, never after: meanwhile the kernel knows that the port is taken.
    _claim: Option<PortClaim>,
    socket: Socket,
    /// UDP_SEGMENT works on the way this socket's packets take. Cleared by the first refusal.
    pub(crate) segments: bool,
}

/// What a place in the table can hold.
#[derive(Debug)]
enum OpenSocket {
    Udp(UdpSocket),
    /// Kept open for the ring to accept from.
    TcpListener {
        _claim: Option<PortClaim>,
        _socket: Socket,
    },
    Connection(Box<Connection>),
}

/// A place in the table. The generation outlives the socket, so that late completions find nobody.
#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    socket: Option<OpenSocket>,
    /// Failed receives since the last datagram, or accepts since the last connection.
    failures: u32,
}

/// The sockets and the ring they are registered in.
#[derive(Debug)]
pub(crate) struct ShardSockets {
    pub(crate) ring: RingPoller,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Receives and accepts to be armed at the next tick, after too many failures.
    resting: Vec<(u32, u32)>,
    ports: PortBook,
    pub(crate) connections: Connections,
}

impl ShardSockets {
    pub(crate) fn new(ring: RingPoller, ports: PortBook) -> Self {
        Self {
            ring,
            slots: Vec::new(),
            free: Vec::new(),
            resting: Vec::new(),
            ports,
            connections: Connections::default(),
        }
    }

    /// The socket, if it is still the one the completion was for.
    pub(crate) fn is_current(&self, slot: u32, generation: u32) -> bool {
        self.slots
            .get(slot as usize)
            .is_some_and(|entry| entry.socket.is_some() && entry.generation == generation)
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut UdpSocket> {
        match self.slots.get_mut(id.0 as usize)?.socket.as_mut()? {
            OpenSocket::Udp(socket) => Some(socket),
            OpenSocket::TcpListener { .. } | OpenSocket::Connection(_) => None,
        }
    }

    /// Whose completions are current at this place.
    pub(crate) fn generation(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).map_or(0, |entry| entry.generation)
    }

    /// A datagram or a connection came: failures before it are forgotten.
    pub(crate) fn received(&mut self, slot: u32) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.failures = 0;
        }
    }

    /// The multishot request has ended: for want of buffers or descriptors, by a pending ICMP error, or for good.
    pub(crate) fn rearm(&mut self, slot: u32, generation: u32, failed: bool) -> io::Result<()> {
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return Ok(());
        };
        if failed {
            entry.failures += 1;
            if entry.failures > FAILURES_MAX {
                self.resting.push((slot, generation));
                return Ok(());
            }
        }
        self.arm(slot, generation)
    }

    fn arm(&mut self, slot: u32, generation: u32) -> io::Result<()> {
        match self.slots.get(slot as usize).and_then(|entry| entry.socket.as_ref()) {
            Some(OpenSocket::Udp(_)) => self.ring.arm_receive(slot, generation),
            Some(OpenSocket::TcpListener { .. }) => self.ring.arm_accept(slot, generation),
            Some(OpenSocket::Connection(_)) => {
                self.note_armed(slot);
                self.ring.arm_stream(slot, generation)
            }
            None => Ok(()),
        }
    }

    pub(crate) fn has_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    /// Arms what was resting.
    pub(crate) fn rearm_resting(&mut self) -> io::Result<()> {
        while let Some((slot, generation)) = self.resting.pop() {
            if self.is_current(slot, generation) {
                self.arm(slot, generation)?;
            }
        }
        Ok(())
    }

    pub(crate) fn close_all(&mut self) {
        for slot in 0..self.slots.len() {
            self.close(SocketId(u32::try_from(slot).unwrap_or(u32::MAX)));
        }
        // A ring that fails takes them all with it.
        let _ = self.release_closed();
    }

    fn check_room(&self) -> Result<(), BindError> {
        let open = self.slots.len() - self.free.len();
        if open < self.ring.sockets_max() as usize {
            return Ok(());
        }
        Err(BindError::SetUp { cause: format!("{open} sockets are open, the limit of this process") })
    }

    fn take_slot(&mut self) -> Result<u32, BindError> {
        self.check_room()?;
        Ok(self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        }))
    }

    /// Takes a bound socket into the ring and starts to read it.
    pub(crate) fn adopt(&mut self, opened: ListenSocket) -> Result<BoundSocket, BindError> {
        let ListenSocket { bound: Bound { socket, local, claim }, is_udp } = opened;
        let slot = self.take_slot()?;
        let added = self.ring.add_socket(slot, socket.as_raw_fd());
        let entry = &mut self.slots[slot as usize];
        entry.failures = 0;
        entry.socket = Some(if is_udp {
            OpenSocket::Udp(UdpSocket { _claim: claim, socket, segments: true })
        } else {
            OpenSocket::TcpListener { _claim: claim, _socket: socket }
        });
        let generation = entry.generation;
        if let Err(error) = added.and_then(|()| self.arm(slot, generation)) {
            self.close(SocketId(slot));
            return Err(BindError::SetUp { cause: error.to_string() });
        }
        Ok(BoundSocket { id: SocketId(slot), local })
    }

    fn open(&mut self, request: &ListenRequest) -> Result<BoundSocket, BindError> {
        self.check_room()?;
        let opened = ListenSocket::open(request, &self.ports)?;
        self.adopt(opened)
    }
}

impl Sockets for ShardSockets {
    fn bind_udp(&mut self, request: &UdpBind) -> Result<BoundSocket, BindError> {
        self.open(&ListenRequest::Udp(request.clone()))
    }

    fn listen_tcp(&mut self, request: &TcpListen) -> Result<BoundSocket, BindError> {
        self.open(&ListenRequest::Tcp(request.clone()))
    }

    fn connect(&mut self, socket: SocketId, remote: SocketAddr) -> bool {
        self.get_mut(socket).is_some_and(|socket| socket.socket.connect(&remote.into()).is_ok())
    }

    fn keep(&mut self, connection: SocketId) {
        self.keep_connection(connection.0);
    }

    fn send_last(&mut self, socket: SocketId, remote: Option<SocketAddr>, bytes: &[u8]) {
        if let Some(connection) = self.connection_mut(socket.0) {
            return connection.send_last(bytes);
        }
        let Some(socket) = self.get_mut(socket) else { return };
        // Whether it arrives is nobody's care: the peer would have found out by silence.
        let _ = match remote {
            Some(remote) => socket.socket.send_to_with_flags(bytes, &remote.into(), libc::MSG_DONTWAIT),
            None => socket.socket.send_with_flags(bytes, libc::MSG_DONTWAIT),
        };
    }

    fn close(&mut self, socket: SocketId) {
        let Some(slot) = self.slots.get_mut(socket.0 as usize) else {
            return;
        };
        let generation = slot.generation;
        let operation = match &slot.socket {
            Some(OpenSocket::Udp(_)) => Operation::Receive { slot: socket.0, generation },
            Some(OpenSocket::TcpListener { .. }) => Operation::Accept { slot: socket.0, generation },
            Some(OpenSocket::Connection(_)) => return self.close_connection(socket.0),
            None => return,
        };
        slot.generation = (generation + 1) & GENERATION_MASK;
        let open = slot.socket.take();
        // A ring that fails here fails for the driver too, which then ends the shard.
        if self.ring.remove_socket(socket.0, operation).is_ok() {
            self.free.push(socket.0);
        }
        drop(open);
    }
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let local = socket.local_addr()?;
    local.as_socket().ok_or_else(|| io::Error::other("not an IP socket"))
}
