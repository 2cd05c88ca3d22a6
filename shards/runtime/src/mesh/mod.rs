//! Shard ⇄ shard: a bounded queue of batches for each direction between two shards.
//!
//! ```text
//! flush ─► pass ─► open batch ══ batches ═══► take ─► handle_piped, …    wake: eventfd, skipped while awake
//!                      ▲                        │
//!                      └═══════ spent ══════════┘        the same few buffers go to and fro
//! ```
//! What pipe transports of one process have for each other, and what one shard receives for a WebRTC transport of another, is
//! copied once, into a batch that belongs to this direction, and read (and decrypted) where it lies. A batch costs two queue operations however many packets are in it, and its memory comes back by the
//! second queue: freeing on one thread what another allocated costs several times the copy (docs/decisions/0012-mesh.md).
//! A full queue never blocks the sender: packets are dropped and counted, as a full socket buffer would do; data messages wait.

mod backlog;
mod head;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_queue::ArrayQueue;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::outbox::{Outbox, Route};
use ringsoup_sfu::piped::{PipeEnd, PipedKind};
use ringsoup_sfu::served::{HandOver, ServerSocket};

use self::backlog::Backlog;
use self::head::Head;
pub(crate) use self::head::Passed;
use crate::clock::Clock;
use crate::io_report::IoReport;
use crate::socket::connections::HandedConnection;
use crate::wake::WakeFlag;

/// Bytes of a batch: any datagram fits, and a train of 50 ordinary packets.
const BATCH_BYTES: usize = 64 << 10;
/// Packets of a batch: audio ones are small.
const BATCH_PACKETS: usize = 512;
/// Batches waiting in one direction. At one packet per batch, what a shard that sleeps never lets happen under load, this is
/// half a second of a stream of 1,000 packets per second; 32 MiB when all are full.
pub const QUEUE_BATCHES: usize = 512;
/// Connections on their way to one shard, which takes all in a turn.
const QUEUE_CONNECTIONS: usize = 256;
/// Bytes of messages longer than a batch that may be under way in one direction. Each has a batch to itself, whose memory is
/// freed when it has been read: they are few, and no media.
const LARGE_BYTES_MAX: usize = 64 << 20;
/// What a direction may own: a full queue, the one being filled and the one being read.
const OWNED_BATCHES: usize = QUEUE_BATCHES + 2;

#[derive(Debug)]
struct Packet {
    head: Head,
    len: u32,
}

/// Packets of one flush for one shard, one behind the other.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    packets: Vec<Packet>,
    passed: Time,
}

impl Batch {
    fn new(passed: Time) -> Self {
        let (bytes, packets) = (Vec::with_capacity(BATCH_BYTES), Vec::with_capacity(BATCH_PACKETS));
        Self { bytes, packets, passed }
    }

    fn has_room(&self, len: usize) -> bool {
        self.bytes.len() + len <= BATCH_BYTES && self.packets.len() < BATCH_PACKETS
    }

    fn append(&mut self, head: Head, front: &[u8], back: &[u8]) {
        self.bytes.extend_from_slice(front);
        self.bytes.extend_from_slice(back);
        #[allow(clippy::cast_possible_truncation, reason = "an Outbox holds less than 2^32 bytes")]
        self.packets.push(Packet { head, len: (front.len() + back.len()) as u32 });
    }

    /// What is in it, in order. `from` is the shard that sent it.
    pub(crate) fn packets(&mut self, from: usize) -> impl Iterator<Item = Passed<'_>> {
        let mut rest = &mut self.bytes[..];
        let passed = self.passed;
        self.packets.iter().map(move |packet| {
            let (bytes, behind) = std::mem::take(&mut rest).split_at_mut(packet.len as usize);
            rest = behind;
            packet.head.with(from, bytes, passed)
        })
    }
}

/// From one shard to one shard.
#[derive(Debug)]
struct Direction {
    batches: ArrayQueue<Box<Batch>>,
    spent: ArrayQueue<Box<Batch>>,
    /// Bytes under way in batches of more than [`BATCH_BYTES`].
    large: AtomicUsize,
}

impl Direction {
    /// Takes a batch back to be filled again.
    fn spend(&self, mut batch: Box<Batch>) {
        self.release_large(batch.bytes.len());
        if batch.bytes.len() > BATCH_BYTES {
            batch.bytes = Vec::with_capacity(BATCH_BYTES);
        }
        batch.bytes.clear();
        batch.packets.clear();
        // Has room for all there are, but for those of a sender that ended and came back: they are freed here.
        let _ = self.spent.push(batch);
    }

    /// Whether a message that no ordinary batch holds may be under way too.
    fn admit_large(&self, len: usize) -> bool {
        let admits = self.large.load(Ordering::Relaxed) + len <= LARGE_BYTES_MAX;
        if admits {
            self.large.fetch_add(len, Ordering::Relaxed);
        }
        admits
    }

    fn release_large(&self, len: usize) {
        if len > BATCH_BYTES {
            self.large.fetch_sub(len, Ordering::Relaxed);
        }
    }
}

/// Where a shard is reached.
#[derive(Debug)]
struct Station {
    /// Made when the shard is first started, and kept for its successors.
    flag: OnceLock<Arc<WakeFlag>>,
    /// Batches on their way here, of all senders.
    waiting: AtomicUsize,
    /// By sender; made when it first has something to say.
    from: Box<[OnceLock<Direction>]>,
    /// Accepted elsewhere for a transport here.
    connections: ArrayQueue<(ServerSocket, HandedConnection)>,
}

/// What the shards of a process share: nothing but ways to each other.
#[derive(Debug)]
pub struct Mesh {
    stations: Box<[Station]>,
}

impl Mesh {
    /// For this many shards. Nothing large is allocated before two of them talk.
    pub fn new(shards: usize) -> Arc<Self> {
        let station = || Station {
            flag: OnceLock::new(),
            waiting: AtomicUsize::new(0),
            from: (0..shards).map(|_| OnceLock::new()).collect(),
            connections: ArrayQueue::new(QUEUE_CONNECTIONS),
        };
        Arc::new(Self { stations: (0..shards).map(|_| station()).collect() })
    }

    /// What wakes this shard; the same for all that ever have its index.
    pub(crate) fn flag(&self, shard: usize) -> io::Result<Arc<WakeFlag>> {
        let station = self.stations.get(shard).ok_or_else(|| io::Error::other("no such shard"))?;
        if station.flag.get().is_none() {
            // Only control starts shards; were there two at once, one of the flags would be dropped unused.
            let _ = station.flag.set(Arc::new(WakeFlag::new()?));
        }
        station.flag.get().cloned().ok_or_else(|| io::Error::other("no flag"))
    }
}

/// One shard's place in the mesh.
pub(crate) struct MeshPort {
    mesh: Arc<Mesh>,
    shard: usize,
    /// By receiver: the batch that is being filled.
    open: Vec<Option<Box<Batch>>>,
    /// By receiver: batches that were made for the direction.
    owned: Vec<usize>,
    /// Receivers with an open batch.
    touched: Vec<usize>,
    /// By receiver: messages that found no room.
    backlogs: Vec<Backlog>,
    /// Messages in them.
    held: usize,
    /// The sender whose turn it is.
    next: usize,
}

impl MeshPort {
    pub(crate) fn new(mesh: Arc<Mesh>, shard: usize) -> Self {
        let count = mesh.stations.len();
        Self {
            mesh,
            shard,
            open: (0..count).map(|_| None).collect(),
            owned: vec![0; count],
            touched: Vec::with_capacity(count),
            backlogs: (0..count).map(|_| Backlog::default()).collect(),
            held: 0,
            next: 0,
        }
    }

    /// Whether messages wait for another shard to catch up: somebody must call [`pass`](Self::pass) then.
    pub(crate) fn has_backlog(&self) -> bool {
        self.held > 0
    }

    /// Hands over what waited and what the Outbox has for pipes, and wakes who sleeps.
    ///
    /// The clock is read once, and only if there is anything.
    pub(crate) fn pass(&mut self, out: &Outbox, clock: Clock, report: &mut IoReport) {
        let mut now = None;
        if self.has_backlog() {
            self.pass_backlogs(*now.get_or_insert_with(|| clock.now()), report);
        }
        for &(shard, word) in &out.words {
            let now = *now.get_or_insert_with(|| clock.now());
            let passed = self.append_waiting(now, shard, Head::Word(word), (&[], &[]), report);
            report.pass_refused += u64::from(!passed);
        }
        for destination in out.destinations() {
            let Route::Pipe { end, kind } = destination.route else { continue };
            let now = *now.get_or_insert_with(|| clock.now());
            for (head, tail) in out.datagrams(destination.lane) {
                let (PipeEnd { key, shard }, bytes) = (end, (head, tail));
                let head = Head::Piped { to: key, kind };
                let passed = match kind {
                    PipedKind::Packet => self.append(now, shard, head, bytes, report),
                    PipedKind::Message => self.append_waiting(now, shard, head, bytes, report),
                };
                report.pass_refused += u64::from(!passed);
            }
        }
        for index in 0..self.touched.len() {
            let receiver = self.touched[index];
            self.push(receiver, report);
            if receiver != self.shard
                && let Some(flag) = self.mesh.stations[receiver].flag.get()
            {
                flag.wake();
            }
        }
        self.touched.clear();
    }

    /// Hands a received datagram over, at the next [`pass`](Self::pass).
    pub(crate) fn hand_over(
        &mut self,
        now: Time,
        hand_over: HandOver,
        remote: SocketAddr,
        (bytes, received): (&[u8], Time),
        report: &mut IoReport,
    ) {
        let HandOver { to, socket, is_known } = hand_over;
        let head = Head::Datagram { socket, is_known, remote, received };
        let passed = self.append(now, to, head, (bytes, &[]), report);
        report.handed_over += u64::from(passed);
        report.hand_over_refused += u64::from(!passed);
    }

    /// Whether something waits for [`pass`](Self::pass).
    pub(crate) fn has_open(&self) -> bool {
        !self.touched.is_empty()
    }

    /// For what must not be lost. What waits goes first, so that its order is kept. False when there is no room to wait either.
    fn append_waiting(
        &mut self,
        now: Time,
        shard: u16,
        head: Head,
        bytes: (&[u8], &[u8]),
        report: &mut IoReport,
    ) -> bool {
        let receiver = usize::from(shard);
        let is_free = self.backlogs.get(receiver).is_some_and(Backlog::is_empty);
        if is_free && self.append(now, shard, head, bytes, report) {
            return true;
        }
        let backlog = self.backlogs.get_mut(receiver);
        let is_held = backlog.is_some_and(|backlog| backlog.hold(now, head, bytes.0, bytes.1));
        self.held += usize::from(is_held);
        is_held
    }

    #[cold]
    fn pass_backlogs(&mut self, now: Time, report: &mut IoReport) {
        for receiver in 0..self.backlogs.len() {
            while let Some(held) = self.backlogs[receiver].take() {
                if held.is_hopeless(now) {
                    report.pass_refused += 1;
                    self.held -= 1;
                    continue;
                }
                #[allow(clippy::cast_possible_truncation, reason = "shards are counted by 16 bits")]
                let shard = receiver as u16;
                if !self.append(now, shard, held.head, (&held.bytes, &[]), report) {
                    self.backlogs[receiver].put_back(held);
                    break;
                }
                self.held -= 1;
            }
        }
    }

    /// False when there is no room.
    fn append(
        &mut self,
        now: Time,
        shard: u16,
        head: Head,
        (front, back): (&[u8], &[u8]),
        report: &mut IoReport,
    ) -> bool {
        let (receiver, len) = (usize::from(shard), front.len() + back.len());
        if receiver >= self.open.len() || (len > BATCH_BYTES && !self.direction(receiver).admit_large(len)) {
            return false;
        }
        if self.open[receiver].as_ref().is_some_and(|batch| !batch.has_room(len)) {
            self.push(receiver, report);
        }
        if self.open[receiver].is_none() {
            self.open[receiver] = self.blank(receiver, now);
            if self.open[receiver].is_some() && !self.touched.contains(&receiver) {
                self.touched.push(receiver);
            }
        }
        let Some(batch) = &mut self.open[receiver] else {
            self.direction(receiver).release_large(len);
            return false;
        };
        batch.append(head, front, back);
        report.passed_packets += 1;
        true
    }

    /// One that came back, or a new one while the direction owns few; none while it could not be sent on its way.
    fn blank(&mut self, receiver: usize, now: Time) -> Option<Box<Batch>> {
        let direction = self.direction(receiver);
        // Nobody else puts batches there, so there is still room when this one is full.
        if direction.batches.is_full() {
            return None;
        }
        if let Some(mut batch) = direction.spent.pop() {
            batch.passed = now;
            return Some(batch);
        }
        if self.owned[receiver] >= OWNED_BATCHES {
            return None;
        }
        self.owned[receiver] += 1;
        Some(Box::new(Batch::new(now)))
    }

    /// Sends an open batch on its way.
    fn push(&mut self, receiver: usize, report: &mut IoReport) {
        let Some(batch) = self.open[receiver].take() else { return };
        let waiting = &self.mesh.stations[receiver].waiting;
        // Counted first: a receiver that sees the batch must not count it off before.
        waiting.fetch_add(1, Ordering::SeqCst);
        match self.direction(receiver).batches.push(batch) {
            Ok(()) => report.passed_batches += 1,
            Err(batch) => {
                waiting.fetch_sub(1, Ordering::SeqCst);
                let refused = batch.packets.len() as u64;
                report.passed_packets -= refused;
                report.pass_refused += refused;
                debug_assert!(false, "a batch is begun only while there is room for it");
                self.direction(receiver).spend(batch);
            }
        }
    }

    fn direction(&self, receiver: usize) -> &Direction {
        self.mesh.stations[receiver].from[self.shard].get_or_init(|| Direction {
            batches: ArrayQueue::new(QUEUE_BATCHES),
            spent: ArrayQueue::new(OWNED_BATCHES),
            large: AtomicUsize::new(0),
        })
    }

    /// Whether something may be there to take.
    pub(crate) fn has_waiting(&self) -> bool {
        let station = &self.mesh.stations[self.shard];
        station.waiting.load(Ordering::SeqCst) > 0 || !station.connections.is_empty()
    }

    /// Hands a connection to the shard of its transport. When that has no room it is closed, and false.
    pub(crate) fn pass_connection(
        &self,
        shard: u16,
        socket: ServerSocket,
        connection: HandedConnection,
    ) -> bool {
        let Some(station) = self.mesh.stations.get(usize::from(shard)) else { return false };
        let is_passed = station.connections.push((socket, connection)).is_ok();
        if let Some(flag) = station.flag.get().filter(|_| is_passed) {
            flag.wake();
        }
        is_passed
    }

    /// The next connection for this shard.
    pub(crate) fn take_connection(&self) -> Option<(ServerSocket, HandedConnection)> {
        self.mesh.stations[self.shard].connections.pop()
    }

    /// The next batch for this shard and who sent it, senders in turn.
    pub(crate) fn take(&mut self) -> Option<(usize, Box<Batch>)> {
        if self.mesh.stations[self.shard].waiting.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let station = &self.mesh.stations[self.shard];
        let count = station.from.len();
        for step in 0..count {
            let sender = (self.next + step) % count;
            let Some(batch) = station.from[sender].get().and_then(|direction| direction.batches.pop()) else {
                continue;
            };
            station.waiting.fetch_sub(1, Ordering::SeqCst);
            self.next = (sender + 1) % count;
            return Some((sender, batch));
        }
        None
    }

    /// Returns a batch that was read to who may fill it again.
    pub(crate) fn give_back(&self, sender: usize, batch: Box<Batch>) {
        let direction = self.mesh.stations[self.shard].from.get(sender).and_then(OnceLock::get);
        if let Some(direction) = direction {
            direction.spend(batch);
        }
    }
}

#[cfg(test)]
mod tests;
