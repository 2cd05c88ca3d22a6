//! TCP connections in the driver: accepted, read frame by frame, hung up.

use std::io;

use ringsoup_rtc::stream_framing::Frame;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::served::HandOver;
use ringsoup_sfu::sfu::{CameBy, Datagram};
use ringsoup_sfu::sockets::{SocketId, Sockets as _};

use super::{Driver, flush_parts};
use crate::clock::BatchClock;
use crate::ring::Completion;

/// Why the runtime closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HangUp {
    Ended,
    Failed,
    TooLong,
    Overdue,
    Crowded,
}

/// Where a connection's bytes are.
#[derive(Debug)]
enum Source<'a> {
    Buffer {
        id: u16,
        len: usize,
    },
    /// As another shard received them.
    HandedOver(&'a mut [u8]),
}

/// How the bytes of a receive were used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    /// A frame closed the connection, or has it leave for another shard.
    Left,
    TooLong,
    Panicked,
}

impl Driver {
    pub(super) fn take_connection(
        &mut self,
        batch: BatchClock,
        completion: Completion,
        slot: u32,
        generation: u32,
    ) -> io::Result<()> {
        let current = self.sockets.is_current(slot, generation);
        if let Some(connection) = completion.connection()
            && current
        {
            self.sockets.received(slot);
            let listener = SocketId(slot);
            match self.sockets.accept(listener, connection, batch.now) {
                Ok((connection, remote)) => {
                    self.report.connections_accepted += 1;
                    self.make_room(batch.now, Some(listener));
                    let (sfu, sockets, out) = (&mut self.sfu, &mut self.sockets, &mut self.out);
                    let accept =
                        || sfu.handle_accepted(batch.now, listener, connection, remote, sockets, out);
                    if let Err(message) = self.containment.contain(accept) {
                        let line = self.containment.report(batch.now, "a connection", &message, &[]);
                        self.out.events.extend(line);
                        self.sockets.close(connection);
                    }
                }
                Err(_) => self.report.connections_refused += 1,
            }
        }
        if !completion.more && self.sockets.is_current(slot, generation) {
            self.sockets.rearm(slot, generation, completion.result < 0)?;
        }
        Ok(())
    }

    pub(super) fn take_stream(
        &mut self,
        batch: BatchClock,
        completion: Completion,
        slot: u32,
        generation: u32,
    ) -> io::Result<()> {
        let current = self.sockets.is_current(slot, generation);
        if let Some(id) = completion.buffer {
            if !current {
                self.report.receive_stale += 1;
            } else if let Ok(len @ 1..) = usize::try_from(completion.result) {
                self.report.stream_receives += 1;
                self.take_received(batch, slot, generation, Source::Buffer { id, len })?;
            }
            self.buffers.recycle(id);
        }
        if completion.more || !self.sockets.is_current(slot, generation) || self.sockets.receive_ended(slot) {
            return Ok(());
        }
        match completion.result {
            0 => self.hang_up(batch.now, SocketId(slot), HangUp::Ended),
            result if result > 0 || matches!(-result, libc::ENOBUFS | libc::EINTR | libc::EAGAIN) => {
                self.report.receive_rearmed += 1;
                self.sockets.rearm(slot, generation, false)?;
            }
            result if -result == libc::ECONNRESET => {
                self.hang_up(batch.now, SocketId(slot), HangUp::Ended);
            }
            _ => self.hang_up(batch.now, SocketId(slot), HangUp::Failed),
        }
        Ok(())
    }

    /// Hands each frame that is whole now to the Sfu.
    fn take_received(
        &mut self,
        batch: BatchClock,
        slot: u32,
        generation: u32,
        source: Source<'_>,
    ) -> io::Result<()> {
        let mut received = match source {
            Source::Buffer { id, len } => self.buffers.bytes(id, len),
            Source::HandedOver(bytes) => bytes,
        };
        let Some(mut reading) = self.sockets.begin_read(slot, received) else { return Ok(()) };
        let (socket, remote) = (SocketId(slot), reading.remote);
        let taken = loop {
            let longest = self.sockets.longest_frame(slot);
            let memory = &mut self.sockets.connections.memory;
            let mut frame = match reading.deframer.next(&mut received, longest, memory) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Taken::All,
                Err(_) => break Taken::TooLong,
            };
            self.report.received_frames += 1;
            let (sfu, sockets, out) = (&mut self.sfu, &mut self.sockets, &mut self.out);
            let handled = self.containment.contain(|| {
                let datagram = Datagram { socket, remote, bytes: &mut frame, received: batch.now };
                sfu.handle_datagram(batch.now, datagram, sockets, out)
            });
            match &handled {
                Ok(None) => {}
                Ok(Some(hand_over)) => {
                    if self.sockets.release_connection(socket, &frame) {
                        self.leaving.push((socket, *hand_over));
                    }
                }
                Err(message) => {
                    self.out.events.extend(self.containment.report(batch.now, "a frame", message, &frame));
                }
            }
            if let Frame::Gathered(bytes) = frame {
                self.sockets.connections.memory.give_back(bytes);
            }
            if handled.is_err() {
                break Taken::Panicked;
            }
            if !self.sockets.is_current(slot, generation) || self.sockets.is_leaving(slot) {
                break Taken::Left;
            }
            if self.out.wants_flush() {
                flush_parts(
                    (&mut self.sfu, &mut self.out),
                    (&mut self.sockets, &mut self.transmit, &mut self.mesh),
                    self.clock,
                    &mut self.report,
                )?;
            }
        };
        self.sockets.end_read(slot, generation, reading, received);
        match taken {
            Taken::All | Taken::Left => {}
            Taken::TooLong => self.hang_up(batch.now, socket, HangUp::TooLong),
            Taken::Panicked => {
                self.close_faulty(batch.now, CameBy::Socket(socket))?;
                // A server's connection belongs to no transport that could be closed.
                if self.sockets.is_current(slot, generation) {
                    self.hang_up(batch.now, socket, HangUp::Failed);
                }
            }
        }
        Ok(())
    }

    /// Passes on the connections that have come out of the ring since they were released.
    pub(super) fn pass_connections(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        while let Some((id, connection)) = self.sockets.take_released() {
            let Some(at) = self.leaving.iter().position(|(leaving, _)| *leaving == id) else { continue };
            let (_, HandOver { to, socket, .. }) = self.leaving.swap_remove(at);
            let is_passed = self.mesh.pass_connection(to, socket, connection);
            self.report.connections_handed_over += u64::from(is_passed);
            self.report.hand_over_refused += u64::from(!is_passed);
        }
        // One that was closed meanwhile does not come out.
        let sockets = &mut self.sockets;
        self.leaving.retain(|(id, _)| sockets.is_leaving(id.0));
    }

    /// Takes in the connections that other shards have handed over, with what they brought.
    pub(super) fn take_connections(&mut self, batch: BatchClock) -> io::Result<()> {
        while let Some((server, handed)) = self.mesh.take_connection() {
            let Ok((connection, mut unread)) = self.sockets.adopt_connection(handed, batch.now) else {
                self.report.connections_refused += 1;
                continue;
            };
            self.make_room(batch.now, None);
            let sfu = &mut self.sfu;
            match self.containment.contain(|| sfu.handle_adopted(server, connection)) {
                Ok(true) => {
                    let generation = self.sockets.generation(connection.0);
                    self.take_received(batch, connection.0, generation, Source::HandedOver(&mut unread))?;
                }
                Ok(false) => self.sockets.close(connection),
                Err(message) => {
                    let line = self.containment.report(batch.now, "a connection", &message, &[]);
                    self.out.events.extend(line);
                    self.sockets.close(connection);
                }
            }
        }
        Ok(())
    }

    /// Closes the oldest stranger where one that was added just now is too many.
    fn make_room(&mut self, now: Time, listener: Option<SocketId>) {
        if let Some(oldest) = self.sockets.excess_stranger(listener) {
            self.hang_up(now, oldest, HangUp::Crowded);
        }
    }

    /// Closes what has been a stranger for too long.
    pub(super) fn hang_up_overdue(&mut self, now: Time) {
        while let Some(connection) = self.sockets.overdue_stranger(now) {
            self.hang_up(now, connection, HangUp::Overdue);
        }
    }

    /// Closes a connection of which the Sfu does not know yet that it ends.
    fn hang_up(&mut self, now: Time, connection: SocketId, why: HangUp) {
        let count = match why {
            HangUp::Ended => &mut self.report.connections_ended,
            HangUp::Failed => &mut self.report.connections_failed,
            HangUp::TooLong => &mut self.report.connections_too_long,
            HangUp::Overdue => &mut self.report.connections_overdue,
            HangUp::Crowded => &mut self.report.connections_crowded,
        };
        *count += 1;
        let (sfu, sockets, out) = (&mut self.sfu, &mut self.sockets, &mut self.out);
        let handled = self.containment.contain(|| sfu.handle_hung_up(now, connection, sockets, out));
        if let Err(message) = handled {
            self.out.events.extend(self.containment.report(now, "a hang-up", &message, &[]));
        }
        if why == HangUp::Ended {
            self.sockets.close(connection);
        } else {
            self.sockets.abort_connection(connection);
        }
    }
}
