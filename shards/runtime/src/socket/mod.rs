//! The shard's sockets: a table whose places are also the ring's registered files.

pub(crate) mod batch;
mod ports;
pub(crate) mod receive;
#[cfg(test)]
mod tests;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use ringsoup_sfu::sockets::{BindError, BoundSocket, SocketId, Sockets, UdpBind};
use socket2::Socket;

use crate::ring::{GENERATION_MASK, RingPoller};

/// Receive failures in a row after which a socket is armed again only at the next tick.
const FAILURES_MAX: u32 = 16;

/// One open socket.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    socket: Socket,
    /// UDP_SEGMENT works on the way this socket's packets take. Cleared by the first refusal.
    pub(crate) segments: bool,
    /// Failed receives since the last datagram.
    failures: u32,
}

/// A place in the table. The generation outlives the socket, so that late completions find nobody.
#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    socket: Option<UdpSocket>,
}

/// The sockets and the ring they are registered in.
#[derive(Debug)]
pub(crate) struct ShardSockets {
    pub(crate) ring: RingPoller,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Receives to be armed at the next tick, after too many failures.
    resting: Vec<(u32, u32)>,
}

impl ShardSockets {
    pub(crate) fn new(ring: RingPoller) -> Self {
        Self { ring, slots: Vec::new(), free: Vec::new(), resting: Vec::new() }
    }

    /// The socket, if it is still the one the completion was for.
    pub(crate) fn is_current(&self, slot: u32, generation: u32) -> bool {
        self.slots
            .get(slot as usize)
            .is_some_and(|entry| entry.socket.is_some() && entry.generation == generation)
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut UdpSocket> {
        self.slots.get_mut(id.0 as usize)?.socket.as_mut()
    }

    /// A datagram came: failures before it are forgotten.
    pub(crate) fn received(&mut self, slot: u32) {
        if let Some(socket) = self.get_mut(SocketId(slot)) {
            socket.failures = 0;
        }
    }

    /// The multishot receive has ended: for want of buffers, by a pending ICMP error, or for good.
    pub(crate) fn rearm(&mut self, slot: u32, generation: u32, failed: bool) -> io::Result<()> {
        let Some(socket) = self.get_mut(SocketId(slot)) else {
            return Ok(());
        };
        if failed {
            socket.failures += 1;
            if socket.failures > FAILURES_MAX {
                self.resting.push((slot, generation));
                return Ok(());
            }
        }
        self.ring.arm_receive(slot, generation)
    }

    pub(crate) fn has_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    /// Arms the receives that were resting.
    pub(crate) fn rearm_resting(&mut self) -> io::Result<()> {
        while let Some((slot, generation)) = self.resting.pop() {
            if self.is_current(slot, generation) {
                self.ring.arm_receive(slot, generation)?;
            }
        }
        Ok(())
    }

    pub(crate) fn close_all(&mut self) {
        for slot in 0..self.slots.len() {
            self.close(SocketId(u32::try_from(slot).unwrap_or(u32::MAX)));
        }
    }

    fn take_slot(&mut self) -> Result<u32, BindError> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        if slot >= self.ring.sockets_max() {
            return Err(BindError::SetUp {
                cause: format!("{slot} sockets are open, the limit of this process"),
            });
        }
        self.slots.push(Slot::default());
        Ok(slot)
    }

    fn register(&mut self, slot: u32, socket: &Socket) -> io::Result<()> {
        self.ring.add_socket(slot, socket.as_raw_fd())?;
        self.ring.arm_receive(slot, self.slots[slot as usize].generation)
    }
}

impl Sockets for ShardSockets {
    fn bind_udp(&mut self, request: &UdpBind) -> Result<BoundSocket, BindError> {
        let slot = self.take_slot()?;
        let bound = ports::bind(request).and_then(|(socket, local)| {
            self.register(slot, &socket).map_err(|error| BindError::SetUp { cause: error.to_string() })?;
            Ok((socket, local))
        });
        match bound {
            Ok((socket, local)) => {
                self.slots[slot as usize].socket = Some(UdpSocket { socket, segments: true, failures: 0 });
                Ok(BoundSocket { id: SocketId(slot), local })
            }
            Err(error) => {
                self.free.push(slot);
                Err(error)
            }
        }
    }

    fn connect(&mut self, socket: SocketId, remote: SocketAddr) -> bool {
        self.get_mut(socket).is_some_and(|socket| socket.socket.connect(&remote.into()).is_ok())
    }

    fn close(&mut self, socket: SocketId) {
        let Some(slot) = self.slots.get_mut(socket.0 as usize) else {
            return;
        };
        let Some(open) = slot.socket.take() else { return };
        let generation = slot.generation;
        slot.generation = (generation + 1) & GENERATION_MASK;
        // A ring that fails here fails for the driver too, which then ends the shard.
        if self.ring.remove_socket(socket.0, generation).is_ok() {
            self.free.push(socket.0);
        }
        drop(open);
    }
}
