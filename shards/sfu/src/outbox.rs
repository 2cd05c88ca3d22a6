//! Everything a shard wants to say, gathered during a batch and flushed by the runtime.
//!
//! ```text
//! handle_datagram ─┐                     ┌─ lane 3: [head|shared] [head|shared] …   one GSO train
//! handle_datagram ─┼─► Outbox ─► flush ──┼─ lane 7: [head|shared] …
//! handle_timeout  ─┘                     └─ events (in order)
//! ```
//! A lane is one destination. Packets of a lane form a list through the arena, so the flush walks
//! destination by destination although packets arrive packet by packet. A packet is a head, written for
//! this receiver alone, and an optional tail, a payload shared by all receivers: with SRTP the head is the
//! whole packet and there is no tail.

use std::net::SocketAddr;

use ringsoup_rtc::time::Time;

use crate::event::Event;
use crate::piped::{PipeEnd, PipedKind};
use crate::router::Router;
use crate::served::Word;
use crate::sockets::SocketId;
use crate::table::Id;

/// Largest arena, bytes. A shard that is this far behind its own sockets drops instead of growing.
pub const ARENA_BYTES_MAX: usize = 64 << 20;
/// First arena, bytes: a frame of 16 packets of 1,300 bytes encrypted for 50 receivers fits.
pub const ARENA_BYTES_INITIAL: usize = 1 << 20;
/// Above this the runtime flushes before it takes the next datagram, bytes: a key frame encrypted for 100 receivers fits, so that
/// its trains leave whole (cut at 512 KiB, a frame for 50 cost a sixth more).
pub const ARENA_BYTES_FLUSH: usize = 2 << 20;
/// Above this many packets the runtime flushes before it takes the next datagram.
pub const DATAGRAMS_FLUSH: usize = 4096;

/// Datagrams of one flush to addresses that have no lane: error replies to strangers, whom ICE agents answer rarely. Beyond them
/// none is sent.
pub const REPLIES_MAX: u32 = 64;

const NONE: u32 = u32::MAX;

/// A place in the Outbox's lane table. The [`LaneAllocator`] hands them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane(pub u32);

/// Where packets of a lane go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    pub lane: Lane,
    pub route: Route,
}

/// What carries them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `remote` is `None` on a connected socket.
    Socket { socket: SocketId, remote: Option<SocketAddr> },
    /// The other end of a pipe, in this process.
    Pipe { end: PipeEnd, kind: PipedKind },
}

/// Gives every destination of a shard a small number of its own. The first are for replies.
#[derive(Debug)]
pub struct LaneAllocator {
    next: u32,
    free: Vec<u32>,
}

impl Default for LaneAllocator {
    fn default() -> Self {
        Self { next: REPLIES_MAX, free: Vec::new() }
    }
}

impl LaneAllocator {
    pub fn allocate(&mut self) -> Lane {
        Lane(self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        }))
    }

    pub fn release(&mut self, lane: Lane) {
        self.free.push(lane.0);
    }

    /// Lanes that were given out and not released.
    pub fn allocated(&self) -> usize {
        (self.next - REPLIES_MAX) as usize - self.free.len()
    }
}

/// A payload written once and sent to many receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    offset: u32,
    len: u32,
}

impl Shared {
    pub const EMPTY: Self = Self { offset: 0, len: 0 };

    pub fn len(self) -> usize {
        self.len as usize
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Without its first bytes.
    #[must_use]
    pub fn skip(self, bytes: u32) -> Self {
        let bytes = bytes.min(self.len);
        Self { offset: self.offset + bytes, len: self.len - bytes }
    }
}

#[derive(Debug, Clone, Copy)]
struct Record {
    head: Shared,
    tail: Shared,
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct LaneState {
    first: u32,
    last: u32,
}

/// One received packet that went to `count` receivers; timed when the flush is submitted.
#[derive(Debug, Clone, Copy)]
pub struct Forwarded {
    pub router: Id<Router>,
    pub received: Time,
    pub count: u32,
}

#[derive(Debug)]
pub struct Outbox {
    arena: Vec<u8>,
    used: usize,
    records: Vec<Record>,
    lanes: Vec<LaneState>,
    active: Vec<Destination>,
    /// Lanes taken by replies.
    replies: u32,
    /// Datagrams that found the arena full.
    refused: u64,
    /// For other shards, by index. Taken by the runtime before it sends anything, so that who is answered finds the way prepared.
    pub words: Vec<(u16, Word)>,
    /// In the order in which they happened.
    pub events: Vec<Event>,
    /// How many of the events precede the reply to the command under way; all of them unless said.
    reply_at: Option<usize>,
    /// Taken by `Sfu::handle_flushed`.
    pub forwarded: Vec<Forwarded>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            arena: vec![0; ARENA_BYTES_INITIAL],
            used: 0,
            records: Vec::with_capacity(DATAGRAMS_FLUSH),
            lanes: Vec::new(),
            active: Vec::with_capacity(1024),
            replies: 0,
            refused: 0,
            words: Vec::with_capacity(64),
            events: Vec::with_capacity(64),
            reply_at: None,
            forwarded: Vec::with_capacity(1024),
        }
    }
}

impl Outbox {
    /// A writable slot of `len` bytes at the arena's end, or `None` when the arena may not grow further.
    /// What is written there counts only after [`push`](Self::push) or [`share`](Self::share).
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        let end = self.used + len;
        if end > self.arena.len() {
            if end > ARENA_BYTES_MAX {
                self.refused += 1;
                return None;
            }
            let grown = end.next_power_of_two().clamp(ARENA_BYTES_INITIAL, ARENA_BYTES_MAX);
            self.arena.resize(grown, 0);
        }
        Some(&mut self.arena[self.used..end])
    }

    fn take(&mut self, len: usize) -> Shared {
        #[allow(clippy::cast_possible_truncation, reason = "the arena is smaller than 2^32 bytes")]
        let taken = Shared { offset: self.used as u32, len: len as u32 };
        self.used += len;
        taken
    }

    /// Copies a payload that several receivers will share. `None` when the arena is full.
    pub fn share(&mut self, payload: &[u8]) -> Option<Shared> {
        self.reserve(payload.len())?.copy_from_slice(payload);
        Some(self.take(payload.len()))
    }

    /// Appends one datagram: `write` fills a slot of `capacity` bytes and returns how many it used, or `None`
    /// to send nothing. `tail` follows on the wire. False when nothing was appended.
    pub fn push(
        &mut self,
        destination: Destination,
        capacity: usize,
        tail: Shared,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        let Some(slot) = self.reserve(capacity) else { return false };
        let Some(len) = write(slot) else { return false };
        debug_assert!(len <= capacity);
        let head = self.take(len.min(capacity));
        self.append(destination, head, tail);
        true
    }

    /// Appends a datagram to an address without a lane. False when there were too many in this flush.
    pub fn push_reply(&mut self, route: Route, bytes: &[u8]) -> bool {
        if self.replies == REPLIES_MAX {
            return false;
        }
        let destination = Destination { lane: Lane(self.replies), route };
        self.replies += 1;
        self.push_bytes(destination, bytes)
    }

    /// Appends a datagram as it is. False when the arena is full.
    pub fn push_bytes(&mut self, destination: Destination, bytes: &[u8]) -> bool {
        self.push(destination, bytes.len(), Shared::EMPTY, |slot| {
            slot.copy_from_slice(bytes);
            Some(bytes.len())
        })
    }

    /// Like [`push`](Self::push), with the shared payload readable while the slot is written: SRTP encrypts
    /// from the one into the other.
    pub fn push_sealed(
        &mut self,
        destination: Destination,
        capacity: usize,
        payload: Shared,
        write: impl FnOnce(&mut [u8], &[u8]) -> Option<usize>,
    ) -> bool {
        if self.reserve(capacity).is_none() {
            return false;
        }
        let (written, free) = self.arena.split_at_mut(self.used);
        let start = payload.offset as usize;
        let payload = &written[start..start + payload.len()];
        let Some(len) = write(&mut free[..capacity], payload) else { return false };
        let head = self.take(len.min(capacity));
        self.append(destination, head, Shared::EMPTY);
        true
    }

    fn append(&mut self, destination: Destination, head: Shared, tail: Shared) {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "records take arena bytes, which are bounded, but for a pipe's calls, of which a flush has few"
        )]
        let index = self.records.len() as u32;
        self.records.push(Record { head, tail, next: NONE });
        let lane = destination.lane.0 as usize;
        if lane >= self.lanes.len() {
            self.lanes.resize((lane + 1).next_power_of_two(), LaneState { first: NONE, last: NONE });
        }
        let state = &mut self.lanes[lane];
        if state.first == NONE {
            state.first = index;
            self.active.push(destination);
        } else {
            self.records[state.last as usize].next = index;
        }
        state.last = index;
    }

    /// Datagrams waiting.
    pub fn datagram_count(&self) -> usize {
        self.records.len()
    }

    /// True when the runtime should flush before it takes the next datagram.
    pub fn wants_flush(&self) -> bool {
        self.used >= ARENA_BYTES_FLUSH || self.records.len() >= DATAGRAMS_FLUSH
    }

    pub fn has_datagrams(&self) -> bool {
        !self.records.is_empty()
    }

    /// The destinations that have datagrams, in the order of their first one.
    pub fn destinations(&self) -> &[Destination] {
        &self.active
    }

    /// The datagrams of one destination in order, each as head and tail (either may be empty).
    pub fn datagrams(&self, lane: Lane) -> Datagrams<'_> {
        let next = self.lanes.get(lane.0 as usize).map_or(NONE, |state| state.first);
        Datagrams { outbox: self, next }
    }

    fn bytes(&self, range: Shared) -> &[u8] {
        let start = range.offset as usize;
        &self.arena[start..start + range.len()]
    }

    /// Datagrams and payloads refused so far because the arena was full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Forgets the datagrams of one destination, which is about to close: its lane and its socket may be given to another
    /// before the next flush.
    pub fn forget(&mut self, destination: Destination) {
        let lane = destination.lane;
        if let Some(state) = self.lanes.get_mut(lane.0 as usize) {
            *state = LaneState { first: NONE, last: NONE };
            self.active.retain(|other| other.lane != lane);
        }
    }

    /// Forgets what was to leave by a socket that is about to close.
    pub fn forget_socket(&mut self, closing: SocketId) {
        let lanes = &mut self.lanes;
        self.active.retain(|destination| {
            let is_closing = matches!(destination.route, Route::Socket { socket, .. } if socket == closing);
            if is_closing {
                lanes[destination.lane.0 as usize] = LaneState { first: NONE, last: NONE };
            }
            !is_closing
        });
    }

    /// A command begins: everything it causes is told before its reply, unless it says otherwise.
    pub(crate) fn begin_command(&mut self) {
        self.reply_at = None;
    }

    /// What the command under way causes from here on is told after its reply, as controllers know it.
    pub(crate) fn reply_here(&mut self) {
        self.reply_at = Some(self.events.len());
    }

    /// How many of the events are to be told before the reply to the command just handled.
    pub fn take_reply_at(&mut self) -> usize {
        self.reply_at.take().unwrap_or(usize::MAX).min(self.events.len())
    }

    /// Forgets all datagrams; events and forwarded marks stay.
    pub fn clear_datagrams(&mut self) {
        for destination in self.active.drain(..) {
            self.lanes[destination.lane.0 as usize] = LaneState { first: NONE, last: NONE };
        }
        self.records.clear();
        self.replies = 0;
        self.used = 0;
    }
}

/// Iterator over the datagrams of one lane.
#[derive(Debug)]
pub struct Datagrams<'a> {
    outbox: &'a Outbox,
    next: u32,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.outbox.records.get(self.next as usize)?;
        self.next = record.next;
        Some((self.outbox.bytes(record.head), self.outbox.bytes(record.tail)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(lane: u32) -> Destination {
        Destination { lane: Lane(lane), route: Route::Socket { socket: SocketId(lane), remote: None } }
    }

    fn write(bytes: &'static [u8]) -> impl FnOnce(&mut [u8]) -> Option<usize> {
        move |slot| {
            slot[..bytes.len()].copy_from_slice(bytes);
            Some(bytes.len())
        }
    }

    #[test]
    fn datagrams_come_out_by_destination_in_order() {
        let mut outbox = Outbox::default();
        let payload = outbox.share(b"payload").unwrap();
        assert!(outbox.push(destination(5), 8, payload, write(b"a")));
        assert!(outbox.push(destination(2), 8, payload, write(b"b")));
        assert!(outbox.push(destination(5), 8, Shared::EMPTY, write(b"c")));
        let lanes: Vec<u32> = outbox.destinations().iter().map(|destination| destination.lane.0).collect();
        assert_eq!(lanes, [5, 2]);
        let of_five: Vec<_> = outbox.datagrams(Lane(5)).collect();
        assert_eq!(of_five, [(&b"a"[..], &b"payload"[..]), (&b"c"[..], &b""[..])]);
        outbox.clear_datagrams();
        assert!(outbox.destinations().is_empty());
        assert_eq!(outbox.datagrams(Lane(5)).count(), 0);
    }

    #[test]
    fn sealed_packets_read_the_payload_and_have_no_tail() {
        let mut outbox = Outbox::default();
        let payload = outbox.share(b"abc").unwrap();
        let sealed = outbox.push_sealed(destination(0), 16, payload, |slot, payload| {
            slot[..payload.len()].copy_from_slice(payload);
            slot[..payload.len()].reverse();
            Some(payload.len())
        });
        assert!(sealed);
        assert_eq!(outbox.datagrams(Lane(0)).next(), Some((&b"cba"[..], &b""[..])));
    }

    #[test]
    fn a_writer_that_declines_appends_nothing() {
        let mut outbox = Outbox::default();
        assert!(!outbox.push(destination(0), 8, Shared::EMPTY, |_| None));
        assert!(!outbox.has_datagrams());
    }

    #[test]
    fn replies_are_few_in_a_flush() {
        let mut outbox = Outbox::default();
        let to = |port| Route::Socket { socket: SocketId(1), remote: Some(([127, 0, 0, 1], port).into()) };
        for port in 1..=64 {
            assert!(outbox.push_reply(to(port), b"no"));
        }
        assert!(!outbox.push_reply(to(65), b"no"));
        assert_eq!(outbox.destinations().len(), 64, "one of its own each");
        outbox.clear_datagrams();
        assert!(outbox.push_reply(to(1), b"no"));
        let lane = LaneAllocator::default().allocate();
        assert!(outbox.destinations().iter().all(|destination| destination.lane != lane));
    }

    #[test]
    fn a_closing_socket_sends_nothing_more() {
        let mut outbox = Outbox::default();
        assert!(outbox.push_bytes(destination(70), b"a") && outbox.push_bytes(destination(71), b"b"));
        let reply = Route::Socket { socket: SocketId(70), remote: None };
        assert!(outbox.push_reply(reply, b"c"));
        outbox.forget_socket(SocketId(70));
        assert_eq!(outbox.destinations(), [destination(71)]);
        assert!(outbox.push_bytes(destination(70), b"d"));
        assert_eq!(outbox.datagrams(Lane(70)).collect::<Vec<_>>(), [(&b"d"[..], &b""[..])]);
    }

    #[test]
    fn a_full_arena_refuses_instead_of_growing() {
        let mut outbox = Outbox::default();
        assert!(outbox.share(&vec![0; ARENA_BYTES_MAX]).is_some());
        assert!(outbox.share(&[0]).is_none());
        assert!(!outbox.push(destination(0), 1, Shared::EMPTY, |_| Some(1)));
    }
}
