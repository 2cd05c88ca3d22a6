//! The flush of connections: each datagram behind its length, one send per connection at a time.
//!
//! ```text
//! Outbox, by connection:   A: p q r             B: s
//! sends:                   A: [len p len q len r]  B: [len s]
//! the kernel takes:        A: [len p le|           B: all
//! backlog of A:                       |n q len r]
//! ```
//! Sends never wait, so the kernel may take a part of one. What is left waits in the connection's backlog until the ring says
//! that the kernel takes more; then it goes first, and what came meanwhile stands behind it. A frame is dropped whole or
//! sent whole, or the connection ends.

use std::io;
use std::net::Shutdown;

use ringsoup_rtc::stream_framing::{LENGTH_BYTES, length_prefix};
use ringsoup_rtc::time::Time;
use ringsoup_sfu::outbox::{Outbox, Route};

use super::ShardSockets;
use super::backlog::{Backlog, parts_behind};
use super::connections::Connection;
use crate::io_report::IoReport;
use crate::ring::SUBMISSIONS_MAX;

/// Slices of one submission.
const SLICES_MAX: usize = 8_192;
/// Slices of one send; the kernel takes 1,024 (UIO_MAXIOV).
const SEND_SLICES_MAX: usize = 1_000;
/// Slices of a frame: length, head, tail.
const FRAME_SLICES: usize = 3;

/// One send: consecutive slices for one connection.
#[derive(Debug, Clone, Copy)]
struct StreamSend {
    slot: u32,
    first_slice: usize,
    slices: usize,
    first_frame: usize,
    /// 0 when it is out of the backlog, which knows its frames itself.
    frames: usize,
    bytes: usize,
}

/// The memory of it, allocated once.
pub(super) struct StreamTransmit {
    prefixes: Vec<[u8; LENGTH_BYTES]>,
    slices: Vec<libc::iovec>,
    /// Slices of each frame.
    frames: Vec<usize>,
    sends: Vec<StreamSend>,
    headers: Box<[libc::msghdr]>,
    outcomes: Vec<(u32, i32)>,
}

/// Where the next frame for a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Kernel,
    Backlog,
    /// It has failed, and will be hung up.
    Nowhere,
}

impl Default for StreamTransmit {
    fn default() -> Self {
        // SAFETY: all zeroes is a valid msghdr: null pointers with zero lengths.
        let header: libc::msghdr = unsafe { std::mem::zeroed() };
        Self {
            prefixes: Vec::with_capacity(SLICES_MAX),
            slices: Vec::with_capacity(SLICES_MAX),
            frames: Vec::with_capacity(SLICES_MAX),
            sends: Vec::with_capacity(SUBMISSIONS_MAX as usize),
            headers: vec![header; SUBMISSIONS_MAX as usize].into_boxed_slice(),
            outcomes: Vec::with_capacity(SUBMISSIONS_MAX as usize),
        }
    }
}

impl StreamTransmit {
    /// Sends what waited and is taken now, then what is new. On return the kernel holds no reference to the Outbox.
    pub(super) fn flush(
        &mut self,
        out: &Outbox,
        sockets: &mut ShardSockets,
        now: Time,
        report: &mut IoReport,
    ) -> io::Result<()> {
        self.write_backlogs(sockets, now, report)?;
        for destination in out.destinations() {
            let Route::Socket { socket, .. } = destination.route else { continue };
            let Some(connection) = sockets.connection_mut(socket.0) else { continue };
            // Two lanes to one connection: its bytes must not be in two sends at once.
            if connection.is_sending {
                self.submit(sockets, now, report)?;
            }
            let mut way = way(sockets, socket.0, now, report);
            let mut send = self.begin(socket.0);
            for (head, tail) in out.datagrams(destination.lane) {
                let prefix = length_prefix(head.len() + tail.len());
                let Some(prefix) = prefix.filter(|_| way != Way::Nowhere) else {
                    report.stream_failed += 1;
                    continue;
                };
                if prefix == [0; LENGTH_BYTES] {
                    continue;
                }
                if way == Way::Backlog {
                    hold(sockets, socket.0, now, &[&prefix, head, tail], report);
                    continue;
                }
                self.append(&mut send, prefix, head, tail);
                if send.slices + FRAME_SLICES > SEND_SLICES_MAX || self.is_full(sockets) {
                    self.finish(send, sockets);
                    self.submit(sockets, now, report)?;
                    (way, send) = (self::way(sockets, socket.0, now, report), self.begin(socket.0));
                }
            }
            self.finish(send, sockets);
            if self.is_full(sockets) {
                self.submit(sockets, now, report)?;
            }
        }
        self.submit(sockets, now, report)
    }

    fn is_full(&self, sockets: &mut ShardSockets) -> bool {
        self.sends.len() + 1 >= self.headers.len().min(sockets.ring.send_room())
            || self.slices.len() + SEND_SLICES_MAX > SLICES_MAX
    }

    fn begin(&self, slot: u32) -> StreamSend {
        let (first_slice, first_frame) = (self.slices.len(), self.frames.len());
        StreamSend { slot, first_slice, slices: 0, first_frame, frames: 0, bytes: 0 }
    }

    fn append(&mut self, send: &mut StreamSend, prefix: [u8; LENGTH_BYTES], head: &[u8], tail: &[u8]) {
        debug_assert!(self.prefixes.len() < self.prefixes.capacity(), "prefixes must not move");
        self.prefixes.push(prefix);
        let first = self.slices.len();
        let prefix = self.prefixes.last().map_or(&[][..], |prefix| &prefix[..]);
        for part in [prefix, head, tail] {
            if !part.is_empty() {
                self.slices.push(slice(part));
                send.bytes += part.len();
            }
        }
        let slices = self.slices.len() - first;
        self.frames.push(slices);
        send.slices += slices;
        send.frames += 1;
    }

    fn finish(&mut self, send: StreamSend, sockets: &mut ShardSockets) {
        if send.bytes > 0
            && let Some(connection) = sockets.connection_mut(send.slot)
        {
            connection.is_sending = true;
            self.sends.push(send);
        }
    }

    /// Goes on where the kernel had enough.
    fn write_backlogs(
        &mut self,
        sockets: &mut ShardSockets,
        now: Time,
        report: &mut IoReport,
    ) -> io::Result<()> {
        while let Some(slot) = sockets.connections.writable.pop() {
            if way(sockets, slot, now, report) != Way::Backlog {
                continue;
            }
            let mut send = self.begin(slot);
            if let Some(connection) = sockets.connection_mut(slot) {
                connection.backlog.slices(SEND_SLICES_MAX, |part| {
                    send.bytes += part.len();
                    send.slices += 1;
                    self.slices.push(slice(part));
                });
            }
            self.finish(send, sockets);
            if self.is_full(sockets) {
                self.submit(sockets, now, report)?;
            }
        }
        // A backlog must not move while the kernel reads it, and what is new goes behind it.
        self.submit(sockets, now, report)
    }

    fn submit(&mut self, sockets: &mut ShardSockets, now: Time, report: &mut IoReport) -> io::Result<()> {
        if self.sends.is_empty() {
            self.clear();
            return Ok(());
        }
        for (index, send) in (0_u32..).zip(&self.sends) {
            let header = &mut self.headers[index as usize];
            header.msg_iov = self.slices[send.first_slice..].as_ptr().cast_mut();
            header.msg_iovlen = send.slices;
            report.stream_sends += 1;
            // SAFETY: slices point into the Outbox, which `flush` borrows, into `prefixes`, and into backlogs, none of which is
            // touched before `submit` has returned; headers and slices are not either: no vector grows beyond its capacity.
            unsafe { sockets.ring.push_stream_send(send.slot, index, header)? };
        }
        sockets.ring.submit()?;
        self.outcomes.clear();
        sockets.ring.take_stream_sends(&mut self.outcomes);
        for index in 0..self.outcomes.len() {
            let (send, result) = self.outcomes[index];
            let Some(&send) = self.sends.get(send as usize) else { continue };
            self.settle(send, result, sockets, now, report)?;
        }
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.sends.clear();
        self.frames.clear();
        self.slices.clear();
        self.prefixes.clear();
    }

    /// Keeps what the kernel did not take.
    fn settle(
        &mut self,
        send: StreamSend,
        result: i32,
        sockets: &mut ShardSockets,
        now: Time,
        report: &mut IoReport,
    ) -> io::Result<()> {
        let Some(connection) = sockets.connection_mut(send.slot) else { return Ok(()) };
        connection.is_sending = false;
        let taken = match usize::try_from(result) {
            Ok(taken) => taken,
            Err(_) if matches!(-result, libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => 0,
            Err(_) => {
                // The receive tells that the connection has ended, and why.
                connection.is_broken = true;
                report.stream_failed += (send.frames + connection.backlog.frames()) as u64;
                report.send_errno = -result;
                drop_backlog(sockets, send.slot);
                return Ok(());
            }
        };
        if send.frames == 0 {
            report.sent_frames += connection.backlog.advance(taken) as u64;
            if connection.backlog.is_empty() {
                drop_backlog(sockets, send.slot);
            }
        } else if taken == send.bytes {
            report.sent_frames += send.frames as u64;
        } else {
            self.hold_rest(send, taken, sockets, now, report);
        }
        await_writable(sockets, send.slot)
    }

    fn hold_rest(
        &self,
        send: StreamSend,
        mut taken: usize,
        sockets: &mut ShardSockets,
        now: Time,
        report: &mut IoReport,
    ) {
        let mut first_slice = send.first_slice;
        for &slices in &self.frames[send.first_frame..send.first_frame + send.frames] {
            let slices = &self.slices[first_slice..first_slice + slices];
            first_slice += slices.len();
            let mut parts: [&[u8]; FRAME_SLICES] = [&[]; FRAME_SLICES];
            for (part, slice) in parts.iter_mut().zip(slices) {
                // SAFETY: made by `append` from the Outbox, which `flush` borrows, or from `prefixes`.
                *part = unsafe { std::slice::from_raw_parts(slice.iov_base.cast::<u8>(), slice.iov_len) };
            }
            let len: usize = parts.iter().map(|part| part.len()).sum();
            if taken >= len {
                taken -= len;
                report.sent_frames += 1;
                continue;
            }
            let torn = std::mem::take(&mut taken);
            if torn == 0 {
                hold(sockets, send.slot, now, &parts, report);
            } else if !hold_torn(sockets, send.slot, now, &parts_behind(parts, torn), report) {
                return;
            }
        }
    }
}

impl std::fmt::Debug for StreamTransmit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StreamTransmit").field("sends", &self.sends.len()).finish_non_exhaustive()
    }
}

fn slice(part: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() }
}

/// Where frames for a connection go, after what is too old has been dropped.
fn way(sockets: &mut ShardSockets, slot: u32, now: Time, report: &mut IoReport) -> Way {
    let Some(connection) = sockets.connection_mut(slot).filter(|connection| !connection.is_broken) else {
        return Way::Nowhere;
    };
    if connection.backlog.is_empty() {
        return Way::Kernel;
    }
    report.stream_expired += connection.backlog.expire(now) as u64;
    if connection.backlog.is_empty() {
        drop_backlog(sockets, slot);
        return Way::Kernel;
    }
    Way::Backlog
}

fn hold(sockets: &mut ShardSockets, slot: u32, now: Time, parts: &[&[u8]], report: &mut IoReport) {
    let is_broken = sockets.connection_mut(slot).is_none_or(|connection| connection.is_broken);
    let held = !is_broken && grow(sockets, slot, |backlog, room| backlog.hold(now, parts, room));
    report.stream_waited += u64::from(held);
    report.stream_blocked += u64::from(!held && !is_broken);
    report.stream_failed += u64::from(is_broken);
}

/// The rest of a torn frame. Without it the stream is of no use: false then.
fn hold_torn(
    sockets: &mut ShardSockets,
    slot: u32,
    now: Time,
    parts: &[&[u8]],
    report: &mut IoReport,
) -> bool {
    let held = grow(sockets, slot, |backlog, room| backlog.hold_torn(now, parts, room));
    report.stream_waited += u64::from(held);
    if !held && let Some(connection) = sockets.connection_mut(slot) {
        report.stream_failed += 1;
        connection.is_broken = true;
        // Its receive ends, and with it the connection.
        let _ = connection.socket.shutdown(Shutdown::Both);
    }
    held
}

/// Has a backlog take something, and counts by how much it grew.
fn grow(sockets: &mut ShardSockets, slot: u32, take: impl FnOnce(&mut Backlog, usize) -> bool) -> bool {
    let room = sockets.connections.backlog_room();
    let Some(connection) = sockets.connection_mut(slot) else { return false };
    let had = connection.backlog.capacity();
    let taken = take(&mut connection.backlog, room);
    let grown = connection.backlog.capacity() - had;
    sockets.connections.backlog_bytes += grown;
    taken
}

fn drop_backlog(sockets: &mut ShardSockets, slot: u32) {
    let Some(connection) = sockets.connection_mut(slot) else { return };
    let capacity = std::mem::take(&mut connection.backlog).capacity();
    sockets.connections.backlog_bytes -= capacity;
}

/// Asks the ring once for a connection with a backlog.
fn await_writable(sockets: &mut ShardSockets, slot: u32) -> io::Result<()> {
    let Some(generation) = sockets.slots.get(slot as usize).map(|entry| entry.generation) else {
        return Ok(());
    };
    let waits = |connection: &Connection| {
        !connection.backlog.is_empty()
            && !connection.waits_to_write
            && !connection.is_broken
            && !connection.is_closing
    };
    if let Some(connection) = sockets.connection_mut(slot)
        && waits(connection)
    {
        connection.waits_to_write = true;
        return sockets.ring.arm_writable(slot, generation);
    }
    Ok(())
}
