//! Accepted TCP connections: sockets of the shard like others, whose datagrams are frames of a stream.
//!
//! ```text
//! accept ──► stranger ──keep()──► kept ──┐
//!               │ too long, too many     ├─ close() ─► closing ─ flush ─► gone
//!               └────────────────────────┘                 └─ or: released, with all that was received
//! ```
//! A connection that closes stays until the flush has sent what it was given before; its place is given again only then,
//! so that nothing the Outbox holds for it reaches a successor.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use ringsoup_rtc::stream_framing::{Deframer, FRAME_BYTES_MAX, FrameMemory, length_prefix};
use ringsoup_rtc::time::Time;
use ringsoup_sfu::sockets::{BindError, SocketId};
use socket2::Socket;

use super::backlog::{BACKLOGS_BYTES_MAX, Backlog};
use super::strangers::{Strangers, Ticket};
use super::{OpenSocket, ShardSockets};
use crate::ring::{GENERATION_MASK, Operation};

/// Bytes of a stranger's frames: a connectivity check is far below, and what is not one is dropped anyway.
const STRANGER_FRAME_BYTES_MAX: usize = 2_048;
/// Bytes that the shard's connections may have in frames that are incomplete: 256 of the longest. Beyond it such a frame is
/// skipped, like a datagram that was lost.
const PARTIAL_BYTES_MAX: usize = 16 << 20;

/// One accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    remote: SocketAddr,
    deframer: Deframer,
    /// `None` once it is kept.
    stranger: Option<Ticket>,
    /// A receive is armed in the ring.
    is_armed: bool,
    /// The ring will say when the kernel takes more.
    pub(super) waits_to_write: bool,
    pub(super) backlog: Backlog,
    /// It has a send in the submission that is being made.
    pub(super) is_sending: bool,
    /// Sends fail; the receive will say that it has ended.
    pub(super) is_broken: bool,
    pub(super) is_closing: bool,
    leaving: Option<Vec<u8>>,
}

impl Connection {
    /// Sends a frame at once, if none has to go before it. Nothing comes behind it, so it may go in part.
    pub(super) fn send_last(&self, bytes: &[u8]) {
        let Some(prefix) = length_prefix(bytes.len()).filter(|_| self.backlog.is_empty()) else { return };
        let parts = [IoSlice::new(&prefix), IoSlice::new(bytes)];
        // Whether it arrives is nobody's care: the peer finds out by the end of the connection.
        let _ = self.socket.send_vectored_with_flags(&parts, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    }
}

/// A connection between two shards: nobody's socket, with all that was received and not handled.
#[derive(Debug)]
pub(crate) struct HandedConnection {
    socket: Socket,
    pub(crate) remote: SocketAddr,
    deframer: Deframer,
    /// Starts with the frame that it was handed over for.
    pub(crate) unread: Vec<u8>,
}

/// What the connections of a shard share.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(super) strangers: Strangers,
    pub(crate) memory: FrameMemory,
    pub(super) backlog_bytes: usize,
    /// To be taken out when the flush is over.
    closing: Vec<u32>,
    /// The kernel takes more of their backlogs.
    pub(super) writable: Vec<u32>,
    pub(super) count: usize,
    released: Vec<(SocketId, HandedConnection)>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            strangers: Strangers::default(),
            memory: FrameMemory::new(PARTIAL_BYTES_MAX),
            backlog_bytes: 0,
            closing: Vec::new(),
            writable: Vec::new(),
            count: 0,
            released: Vec::new(),
        }
    }
}

impl Connections {
    /// By how much a backlog may grow.
    pub(super) fn backlog_room(&self) -> usize {
        BACKLOGS_BYTES_MAX.saturating_sub(self.backlog_bytes)
    }
}

/// What a driver needs of a connection while it takes frames apart; given back by [`ShardSockets::end_read`].
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) deframer: Deframer,
    pub(crate) remote: SocketAddr,
}

impl ShardSockets {
    /// Takes an accepted connection in and starts to read it.
    ///
    /// # Errors
    /// It is closed again: the table is full, or the peer has gone already.
    pub(crate) fn accept(
        &mut self,
        listener: SocketId,
        connection: OwnedFd,
        now: Time,
    ) -> Result<(SocketId, SocketAddr), BindError> {
        let socket = Socket::from(connection);
        let set_up = |error: io::Error| BindError::SetUp { cause: error.to_string() };
        let remote = socket.peer_addr().map_err(set_up)?.as_socket();
        let remote = remote.ok_or_else(|| set_up(io::Error::other("not an IP socket")))?;
        let id = self.add_connection(socket, remote, Deframer::default(), Some(listener), now)?;
        Ok((id, remote))
    }

    /// Takes in what another shard [released](Self::release_connection). What it brings unread is to be read as if it had
    /// been received now. It is a stranger again, until it is kept here.
    ///
    /// # Errors
    /// It is closed: the table is full.
    pub(crate) fn adopt_connection(
        &mut self,
        handed: HandedConnection,
        now: Time,
    ) -> Result<(SocketId, Vec<u8>), BindError> {
        let HandedConnection { socket, remote, deframer, unread } = handed;
        deframer.move_in(&mut self.connections.memory);
        Ok((self.add_connection(socket, remote, deframer, None, now)?, unread))
    }

    fn add_connection(
        &mut self,
        socket: Socket,
        remote: SocketAddr,
        mut deframer: Deframer,
        listener: Option<SocketId>,
        now: Time,
    ) -> Result<SocketId, BindError> {
        let slot = match self.take_slot() {
            Ok(slot) => slot,
            Err(error) => {
                deframer.clear(&mut self.connections.memory);
                return Err(error);
            }
        };
        let added = self.ring.add_socket(slot, socket.as_raw_fd());
        let ticket = self.connections.strangers.add(SocketId(slot), listener, now);
        let entry = &mut self.slots[slot as usize];
        entry.failures = 0;
        let generation = entry.generation;
        entry.socket = Some(OpenSocket::Connection(Box::new(Connection {
            socket,
            remote,
            deframer,
            stranger: Some(ticket),
            is_armed: true,
            waits_to_write: false,
            backlog: Backlog::default(),
            is_sending: false,
            is_broken: false,
            is_closing: false,
            leaving: None,
        })));
        self.connections.count += 1;
        if let Err(error) = added.and_then(|()| self.arm(slot, generation)) {
            self.close_connection(slot);
            return Err(BindError::SetUp { cause: error.to_string() });
        }
        Ok(SocketId(slot))
    }

    pub(super) fn connection_mut(&mut self, slot: u32) -> Option<&mut Connection> {
        match self.slots.get_mut(slot as usize)?.socket.as_mut()? {
            OpenSocket::Connection(connection) => Some(connection),
            OpenSocket::Udp(_) | OpenSocket::TcpListener { .. } => None,
        }
    }

    /// Starts to take received bytes apart. `None` when they are not to be: the connection is on its way to another
    /// shard, which gets them.
    pub(crate) fn begin_read(&mut self, slot: u32, received: &[u8]) -> Option<Reading> {
        let connection = self.connection_mut(slot)?;
        if let Some(unread) = &mut connection.leaving {
            unread.extend_from_slice(received);
            return None;
        }
        Some(Reading { deframer: std::mem::take(&mut connection.deframer), remote: connection.remote })
    }

    pub(crate) fn is_leaving(&mut self, slot: u32) -> bool {
        self.connection_mut(slot).is_some_and(|connection| connection.leaving.is_some())
    }

    /// The longest frame that the peer may send now.
    pub(crate) fn longest_frame(&mut self, slot: u32) -> usize {
        let is_stranger = self.connection_mut(slot).is_some_and(|connection| connection.stranger.is_some());
        if is_stranger { STRANGER_FRAME_BYTES_MAX } else { FRAME_BYTES_MAX }
    }

    /// Ends what [`begin_read`](Self::begin_read) began. `rest`: what was not taken apart, because the connection has closed or
    /// is to leave.
    pub(crate) fn end_read(&mut self, slot: u32, generation: u32, reading: Reading, rest: &[u8]) {
        let Reading { mut deframer, .. } = reading;
        if self.is_current(slot, generation)
            && let Some(connection) = self.connection_mut(slot)
        {
            connection.deframer = deframer;
            if let Some(unread) = &mut connection.leaving {
                unread.extend_from_slice(rest);
            }
        } else {
            deframer.clear(&mut self.connections.memory);
        }
    }

    /// The receive has ended, and is armed again by [`rearm`](Self::rearm), unless the connection leaves: then all that
    /// was received has been taken, and it can go. True then.
    pub(crate) fn receive_ended(&mut self, slot: u32) -> bool {
        let Some(connection) = self.connection_mut(slot) else { return false };
        connection.is_armed = false;
        if connection.leaving.is_none() {
            return false;
        }
        self.end_connection(slot);
        true
    }

    pub(super) fn note_armed(&mut self, slot: u32) {
        if let Some(connection) = self.connection_mut(slot) {
            connection.is_armed = true;
        }
    }

    /// Has a connection leave for another shard, with `frame` as the first that is to be handled there; the rest of what was
    /// received follows it. It comes out at [`take_released`](Self::take_released) when all that the ring has for it has been
    /// taken, within this turn or the next. The shard's own objects must have forgotten it. False when there is no such
    /// connection.
    pub(crate) fn release_connection(&mut self, id: SocketId, frame: &[u8]) -> bool {
        let Some(entry) = self.slots.get(id.0 as usize) else { return false };
        let generation = entry.generation;
        let Some(connection) = self.connection_mut(id.0) else { return false };
        if connection.is_closing || connection.leaving.is_some() {
            return false;
        }
        let mut unread = Vec::with_capacity(frame.len() + 2);
        if let Some(prefix) = length_prefix(frame.len()).filter(|_| !frame.is_empty()) {
            unread.extend_from_slice(&prefix);
            unread.extend_from_slice(frame);
        }
        connection.leaving = Some(unread);
        if connection.is_armed {
            // Ends the receive, and with it comes the end of what was received. A ring that fails here fails for the driver
            // too, which then ends the shard.
            let _ = self.ring.cancel(Operation::Stream { slot: id.0, generation });
        } else {
            self.end_connection(id.0);
        }
        true
    }

    /// What has been released since.
    pub(crate) fn take_released(&mut self) -> Option<(SocketId, HandedConnection)> {
        self.connections.released.pop()
    }

    /// The peer has shown what it had to.
    pub(super) fn keep_connection(&mut self, slot: u32) {
        if let Some(ticket) = self.connection_mut(slot).and_then(|connection| connection.stranger.take()) {
            self.connections.strangers.remove(ticket);
        }
    }

    /// Closes a connection with a reset: what the kernel has for its peer is not kept for a peer that may never take it.
    pub(crate) fn abort_connection(&mut self, id: SocketId) {
        if let Some(connection) = self.connection_mut(id.0) {
            let _ = connection.socket.set_linger(Some(Duration::ZERO));
        }
        self.close_connection(id.0);
    }

    pub(super) fn close_connection(&mut self, slot: u32) {
        self.end_connection(slot);
        if let Some(connection) = self.connection_mut(slot) {
            connection.leaving = None;
            let mut deframer = std::mem::take(&mut connection.deframer);
            deframer.clear(&mut self.connections.memory);
        }
    }

    /// From here on nothing comes from it, and what the Outbox has for it is the last that goes to it.
    fn end_connection(&mut self, slot: u32) {
        let generation = self.slots[slot as usize].generation;
        let Some(connection) = self.connection_mut(slot).filter(|connection| !connection.is_closing) else {
            return;
        };
        connection.is_closing = true;
        let (is_armed, waits) = (connection.is_armed, connection.waits_to_write);
        self.keep_connection(slot);
        self.slots[slot as usize].generation = (generation + 1) & GENERATION_MASK;
        // A ring that fails here fails for the driver too, which then ends the shard.
        if is_armed {
            let _ = self.ring.cancel(Operation::Stream { slot, generation });
        }
        if waits {
            let _ = self.ring.cancel(Operation::Writable { slot, generation });
        }
        self.connections.closing.push(slot);
    }

    /// Takes what has closed out of the ring, once nothing waits any more to be sent on it.
    pub(crate) fn release_closed(&mut self) -> io::Result<()> {
        if self.connections.closing.is_empty() {
            return Ok(());
        }
        // The requests' own references to the sockets go with their cancellations.
        self.ring.settle()?;
        while let Some(slot) = self.connections.closing.pop() {
            self.ring.forget_socket(slot)?;
            self.free.push(slot);
            let Some(OpenSocket::Connection(connection)) = self.slots[slot as usize].socket.take() else {
                continue;
            };
            self.connections.backlog_bytes -= connection.backlog.capacity();
            self.connections.count -= 1;
            self.hand_out(SocketId(slot), *connection);
        }
        Ok(())
    }

    /// A connection that leaves goes as soon as it is out of the ring.
    fn hand_out(&mut self, id: SocketId, connection: Connection) {
        let Connection { socket, remote, mut deframer, leaving, backlog, .. } = connection;
        match leaving {
            // What waits to be written does not go along; where that tears a frame, nothing behind it could be read.
            Some(unread) if backlog.is_empty() => {
                deframer.move_out(&mut self.connections.memory);
                self.connections.released.push((id, HandedConnection { socket, remote, deframer, unread }));
            }
            _ => deframer.clear(&mut self.connections.memory),
        }
    }

    /// A stranger that has to go to make room for another, of this listener or, without one, of another shard's.
    pub(crate) fn excess_stranger(&self, listener: Option<SocketId>) -> Option<SocketId> {
        self.connections.strangers.excess(listener)
    }

    /// A stranger whose time is over.
    pub(crate) fn overdue_stranger(&self, now: Time) -> Option<SocketId> {
        self.connections.strangers.overdue(now)
    }

    /// When the next stranger's time is over.
    pub(crate) fn next_overdue(&self) -> Option<Time> {
        self.connections.strangers.next_overdue()
    }

    /// The kernel takes more: to be written with the next flush.
    pub(crate) fn note_writable(&mut self, slot: u32, generation: u32) {
        if self.is_current(slot, generation)
            && let Some(connection) = self.connection_mut(slot)
        {
            connection.waits_to_write = false;
            self.connections.writable.push(slot);
        }
    }

    pub(crate) fn has_connections(&self) -> bool {
        self.connections.count > 0
    }

    /// What is held now, by name.
    pub(crate) fn held(&self) -> [(&'static str, u64); 5] {
        let shared = &self.connections;
        [
            ("held_sockets", (self.slots.len() - self.free.len()) as u64),
            ("held_streams", shared.count as u64),
            ("held_strangers", shared.strangers.count() as u64),
            ("held_partial_bytes", shared.memory.held() as u64),
            ("held_backlog_bytes", shared.backlog_bytes as u64),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Slot;
    use super::*;

    #[test]
    fn an_idle_connection_costs_a_few_hundred_bytes() {
        assert!(size_of::<Connection>() + size_of::<Slot>() <= 400);
    }
}
