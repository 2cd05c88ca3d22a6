//! The shard's loop: completions in, datagrams through the Sfu, one flush, one wait.
//!
//! ```text
//! ┌─► mesh ─► handle_piped* ─► completions ─► handle_datagram* ─► commands* ─► handle_timeout ─► flush ─┐
//! └── wait ◄── tell control ◄── flush ◄── one piece of a handshake ◄────────────────────────────────────┘
//! ```
//! Every step is bounded per turn, so neither packets nor commands starve the other. Nothing allocates per
//! packet. The loop is one glommio task and never yields: it is its executor's only task, its waiting is
//! done in its own ring, and a yield would buy only glommio's wake-ups (docs/decisions/0002-io-driver.md).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{Command, CommandError, ServerListener, ServerOpening};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::outbox::Outbox;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::served::{HandOver, HandedOver};
use ringsoup_sfu::sfu::{CameBy, Datagram, Sfu};
use ringsoup_sfu::sockets::{BindError, SocketId, Sockets as _};

use crate::buffers::{BUFFER_COUNT, ReceiveBuffers};
use crate::clock::{BatchClock, Clock};
use crate::containment::Containment;
use crate::handshake_pace::HandshakePace;
use crate::io_report::IoReport;
use crate::load::LoadGauge;
use crate::mailbox::{FromShard, ShardMailbox, ToShard};
use crate::mesh::{MeshPort, Passed};
use crate::ring::{Completion, Operation, RingPoller, Wait};
use crate::shard::{COALESCE_MAX, ShardConfig};
use crate::socket::ShardSockets;
use crate::socket::batch::Transmit;
use crate::socket::listen::{Listener, ServerSockets};
use crate::socket::receive;

/// Commands taken in one turn: packets wait for no more than these.
const COMMANDS_PER_TURN: usize = 32;
/// Completions taken in one turn: commands wait for no more than these.
const COMPLETIONS_PER_TURN: usize = BUFFER_COUNT as usize;
/// Batches of other shards taken in one turn: commands and sockets wait for no more than these.
const BATCHES_PER_TURN: usize = 32;
/// The longest sleep. Nothing depends on it: an idle shard is woken by packets, timers and commands.
const IDLE_WAIT: Duration = Duration::from_secs(60);
/// How often a shard looks again whether control or another shard reads, or a failing socket receives, while one of them waits.
const RETRY_WAIT: Duration = Duration::from_millis(10);

/// How a driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Stopped,
}

/// Everything a shard owns. Drop order matters: the ring in `sockets` goes before the buffers it writes to.
pub(crate) struct Driver {
    index: usize,
    clock: Clock,
    sfu: Sfu,
    out: Outbox,
    sockets: ShardSockets,
    transmit: Transmit,
    buffers: ReceiveBuffers,
    mailbox: ShardMailbox,
    mesh: MeshPort,
    completions: Vec<Completion>,
    /// Connections that are about to go to another shard. Bounded by the sockets.
    leaving: Vec<(SocketId, HandOver)>,
    containment: Containment,
    load: LoadGauge,
    pace: HandshakePace,
    gather: Duration,
    report: IoReport,
    stopping: bool,
}

impl Driver {
    /// Makes the ring; to be called on the shard's own thread, which is the ring's single issuer.
    pub(crate) fn new(config: &ShardConfig, sfu: Sfu, mailbox: ShardMailbox) -> io::Result<Self> {
        let buffers = ReceiveBuffers::new()?;
        let mut ring = RingPoller::new(&buffers)?;
        ring.arm_wake(mailbox.wake_fd())?;
        Ok(Self {
            index: config.index,
            clock: config.clock,
            sfu,
            out: Outbox::default(),
            sockets: ShardSockets::new(ring, config.ports.clone()),
            transmit: Transmit::default(),
            buffers,
            mailbox,
            mesh: MeshPort::new(Arc::clone(&config.mesh), config.index),
            completions: Vec::with_capacity(COMPLETIONS_PER_TURN),
            leaving: Vec::new(),
            containment: Containment::default(),
            load: LoadGauge::default(),
            pace: HandshakePace::default(),
            gather: config.coalesce.min(COALESCE_MAX),
            report: IoReport::default(),
            stopping: false,
        })
    }

    /// Runs until control says stop or the ring fails; the last word in the mailbox says which.
    pub(crate) fn run(mut self) {
        let last_word = match self.turns() {
            Ok(Ended::Stopped) => FromShard::Stopped,
            Err(error) => FromShard::Failed { reason: format!("io_uring failed: {error}") },
        };
        self.sockets.close_all();
        self.mailbox.tell_last(last_word);
    }

    fn turns(&mut self) -> io::Result<Ended> {
        let mut woke = self.clock.now();
        loop {
            self.report.turns += 1;
            let batch = self.clock.batch();
            // In this order: what is completed by now came before the last wait ended, so whatever another shard said of its
            // sender before that is known when it is looked at.
            self.take_passed(batch)?;
            self.take_connections(batch)?;
            self.take_completions(batch)?;
            self.take_commands()?;
            self.hang_up_overdue(batch.now);
            if self.sfu.next_timeout().is_some_and(|at| at <= batch.now) {
                self.handle_timeout();
            }
            self.flush()?;
            let on_handshakes = self.advance_handshake()?;
            self.pass_connections();
            self.tell_events(usize::MAX);
            self.mailbox.finish_batch();
            if self.stopping {
                return Ok(Ended::Stopped);
            }
            let rests = self.clock.now();
            self.wait(rests)?;
            let now = self.clock.now();
            // Handshakes come in what packets leave, and do not count as load.
            let on_packets = rests.saturating_since(woke).saturating_sub(on_handshakes);
            self.load.record(on_packets, now.saturating_since(rests) + on_handshakes);
            woke = now;
        }
    }

    fn take_completions(&mut self, batch: BatchClock) -> io::Result<()> {
        let mut completions = std::mem::take(&mut self.completions);
        self.sockets.ring.drain(&mut completions);
        for completion in completions.drain(..) {
            match completion.operation {
                Operation::Receive { slot, generation } => {
                    self.take_receive(batch, completion, slot, generation)?;
                }
                Operation::Accept { slot, generation } => {
                    self.take_connection(batch, completion, slot, generation)?;
                }
                Operation::Stream { slot, generation } => {
                    self.take_stream(batch, completion, slot, generation)?;
                }
                Operation::Writable { slot, generation } => self.sockets.note_writable(slot, generation),
                Operation::Wake => self.sockets.ring.arm_wake(self.mailbox.wake_fd())?,
                // Failed sends are taken by the flush that made them.
                Operation::Send { .. } | Operation::StreamSend { .. } | Operation::Cancel => {}
            }
        }
        self.completions = completions;
        Ok(())
    }

    fn take_receive(
        &mut self,
        batch: BatchClock,
        completion: Completion,
        slot: u32,
        generation: u32,
    ) -> io::Result<()> {
        let current = self.sockets.is_current(slot, generation);
        if let Some(id) = completion.buffer {
            if current {
                self.take_datagrams(batch, slot, id, completion.result)?;
            } else {
                self.report.receive_stale += 1;
            }
            self.buffers.recycle(id);
        }
        // A handler may have closed the socket just now.
        if !completion.more && self.sockets.is_current(slot, generation) {
            self.report.receive_rearmed += 1;
            let failed = completion.result < 0 && completion.result != -libc::ENOBUFS;
            self.sockets.rearm(slot, generation, failed)?;
        }
        Ok(())
    }

    /// Hands each datagram of a received train to the Sfu.
    fn take_datagrams(&mut self, batch: BatchClock, slot: u32, buffer: u16, result: i32) -> io::Result<()> {
        self.report.receives += 1;
        let bytes = self.buffers.bytes(buffer, usize::try_from(result).unwrap_or(0));
        let Some(train) = receive::parse(bytes) else {
            self.report.receive_malformed += 1;
            return Ok(());
        };
        self.sockets.received(slot);
        let socket = SocketId(slot);
        let received = train.stamp.map_or(batch.now, |stamp| batch.place(stamp));
        for bytes in train.payload.chunks_mut(train.stride) {
            self.report.received_datagrams += 1;
            let (sfu, sockets, out) = (&mut self.sfu, &mut self.sockets, &mut self.out);
            let handled = self.containment.contain(|| {
                let datagram = Datagram { socket, remote: train.remote, bytes: &mut *bytes, received };
                sfu.handle_datagram(batch.now, datagram, sockets, out)
            });
            match handled {
                Ok(None) => {}
                Ok(Some(hand_over)) => {
                    let (bytes, report) = ((&*bytes, received), &mut self.report);
                    self.mesh.hand_over(batch.now, hand_over, train.remote, bytes, report);
                }
                Err(message) => {
                    self.out.events.extend(self.containment.report(batch.now, "a datagram", &message, bytes));
                    // The rest of the train was for the transport that is closed now.
                    return self.close_faulty(batch.now, CameBy::Socket(socket));
                }
            }
            // A train for many receivers is more than the Outbox holds.
            if self.out.wants_flush() {
                flush_parts(
                    (&mut self.sfu, &mut self.out),
                    (&mut self.sockets, &mut self.transmit, &mut self.mesh),
                    self.clock,
                    &mut self.report,
                )?;
            }
        }
        Ok(())
    }

    /// Hands what other shards passed on to the Sfu.
    fn take_passed(&mut self, clock: BatchClock) -> io::Result<()> {
        for _ in 0..BATCHES_PER_TURN {
            let Some((sender, mut batch)) = self.mesh.take() else { break };
            for passed in batch.packets(sender) {
                self.take_one_passed(clock.now, passed)?;
                // A batch for many receivers is more than the Outbox holds.
                if self.out.wants_flush() {
                    self.flush()?;
                }
            }
            self.mesh.give_back(sender, batch);
        }
        Ok(())
    }

    fn take_one_passed(&mut self, now: Time, passed: Passed<'_>) -> io::Result<()> {
        let (sfu, sockets, out) = (&mut self.sfu, &mut self.sockets, &mut self.out);
        match passed {
            Passed::Piped(mut piped) => {
                // The other shard's clock is this one's, read later than this turn's.
                piped.passed = piped.passed.min(now);
                let handled = self.containment.contain(|| sfu.handle_piped(now, piped, out));
                let Err(message) = handled else { return Ok(()) };
                let line = self.containment.report(now, "a piped packet", &message, piped.bytes);
                self.out.events.extend(line);
                self.close_faulty(now, CameBy::Pipe(piped.to))
            }
            Passed::Datagram(mut handed) => {
                handed.received = handed.received.min(now);
                let bytes = &mut *handed.bytes;
                let handed = HandedOver { bytes: &mut *bytes, ..handed };
                let handled = self.containment.contain(|| sfu.handle_handed_over(now, handed, sockets, out));
                let Err(message) = handled else { return Ok(()) };
                self.out.events.extend(self.containment.report(now, "a datagram", &message, bytes));
                self.close_faulty(now, CameBy::Server)
            }
            Passed::Word { from, word } => {
                sfu.handle_word(from, &word);
                Ok(())
            }
        }
    }

    /// Has the Sfu close what it was handling when it panicked.
    ///
    /// Its sockets and lanes may be given again from here on, so what they still had to send goes first.
    fn close_faulty(&mut self, now: Time, came_by: CameBy) -> io::Result<()> {
        self.flush()?;
        let (sfu, sockets, out) = (&mut self.sfu, &mut self.sockets, &mut self.out);
        if let Err(message) = self.containment.contain(|| sfu.handle_panic(came_by, sockets, out)) {
            self.out.events.extend(self.containment.report(now, "a panic", &message, &[]));
            // It could not be closed in order; at least nothing more comes of it.
            if let CameBy::Socket(socket) = came_by {
                self.sockets.close(socket);
            }
        }
        Ok(())
    }

    /// A command may close a socket or free a lane that the next one takes. What is in the Outbox goes first,
    /// or it would leave through the successor.
    fn take_commands(&mut self) -> io::Result<()> {
        for _ in 0..COMMANDS_PER_TURN {
            let Some(message) = self.mailbox.next() else { break };
            match message {
                ToShard::Command { token, command } => {
                    self.flush()?;
                    let mut result = self.handle_command(command);
                    self.complete(&mut result);
                    let before = self.out.take_reply_at();
                    self.tell_events(before);
                    self.mailbox.tell(FromShard::Reply { token, result });
                    self.tell_events(usize::MAX);
                }
                ToShard::OpenWebRtcServer { token, server, sockets } => {
                    let result = self.open_webrtc_server(server, *sockets);
                    self.mailbox.tell(FromShard::Reply { token, result });
                }
                ToShard::Stop => {
                    self.stopping = true;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Adds what the Sfu cannot know about itself.
    fn complete(&self, result: &mut Result<Reply, CommandError>) {
        match result {
            Ok(Reply::ShardReport(report)) => {
                report.io.extend(self.io_report().named());
                report.io.extend(self.sockets.held());
                report.io.push(("stream_skipped", self.sockets.connections.memory.skipped()));
                // Copies for single receivers: their packet may have reached others, and then is no drop.
                report.io.push(("outbox_refused", self.out.refused()));
            }
            Ok(Reply::RouterDump(dump)) => dump.shard = u16::try_from(self.index).ok(),
            _ => {}
        }
    }

    fn handle_command(&mut self, command: Command) -> Result<Reply, CommandError> {
        let now = self.clock.now();
        let (sfu, sockets, out) = (&mut self.sfu, &mut self.sockets, &mut self.out);
        let handled = self.containment.contain(|| sfu.handle_command(now, command, sockets, out));
        handled.unwrap_or_else(|message| {
            self.out.events.extend(self.containment.report(now, "a command", &message, &[]));
            Err(CommandError::error(format!("internal error: {message}")))
        })
    }

    /// All of the sockets or none.
    fn open_webrtc_server(&mut self, server: Name, opened: ServerSockets) -> Result<Reply, CommandError> {
        let ServerSockets { key, listeners, sealer, readers } = opened;
        let mut adopted = Vec::with_capacity(listeners.len());
        let listeners: Result<Vec<_>, BindError> = listeners
            .into_iter()
            .map(|(protocol, listener)| {
                let local = listener.local();
                let socket = match listener {
                    Listener::Here(socket) => Some(self.sockets.adopt(socket)?.id),
                    Listener::Elsewhere(_) => None,
                };
                adopted.extend(socket);
                Ok(ServerListener { protocol, local, socket })
            })
            .collect();
        let here = u16::try_from(self.index).unwrap_or(u16::MAX);
        let result = listeners.map_err(CommandError::from).and_then(|listeners| {
            let opening = Box::new(ServerOpening { key, listeners, sealer, here, readers });
            self.handle_command(Command::OpenWebRtcServer { server, opening })
        });
        if result.is_err() {
            adopted.into_iter().for_each(|socket| self.sockets.close(socket));
        }
        result
    }

    fn handle_timeout(&mut self) {
        let now = self.clock.now();
        let (sfu, sockets, out) = (&mut self.sfu, &mut self.sockets, &mut self.out);
        if let Err(message) = self.containment.contain(|| sfu.handle_timeout(now, sockets, out)) {
            self.out.events.extend(self.containment.report(now, "a timer", &message, &[]));
        }
    }

    /// Does a piece of a handshake if there is one and time for it, and sends what comes of it. Returns how long that took.
    fn advance_handshake(&mut self) -> io::Result<Duration> {
        if !self.sfu.has_handshake_work() {
            return Ok(Duration::ZERO);
        }
        let began = self.clock.now();
        if began < self.pace.next() {
            return Ok(Duration::ZERO);
        }
        let (sfu, out) = (&mut self.sfu, &mut self.out);
        if let Err(message) = self.containment.contain(|| sfu.advance_handshake(began, out)) {
            self.out.events.extend(self.containment.report(began, "a handshake", &message, &[]));
            self.close_faulty(began, CameBy::Handshake)?;
        }
        self.flush()?;
        let ended = self.clock.now();
        self.pace.record(began, ended, self.load.busy());
        self.report.handshake_pieces += 1;
        let took = ended.saturating_since(began);
        self.report.handshake_time += took;
        Ok(took)
    }

    /// Sends what the turn produced, then lets the Sfu note when it left.
    fn flush(&mut self) -> io::Result<()> {
        let Self { sfu, out, sockets, transmit, mesh, clock, report, .. } = self;
        flush_parts((sfu, out), (sockets, transmit, mesh), *clock, report)
    }

    /// Tells the first of the events that wait, at most `count`.
    fn tell_events(&mut self, count: usize) {
        let count = count.min(self.out.events.len());
        for event in self.out.events.drain(..count) {
            self.mailbox.tell(FromShard::Event(event));
        }
    }

    fn wait(&mut self, now: Time) -> io::Result<()> {
        if !self.mailbox.fall_asleep() || self.mesh.has_waiting() {
            self.mailbox.wake_up();
            // Commands or other shards wait already; packets must not starve behind a stream of them.
            return self.sockets.ring.look();
        }
        let mut timeout = IDLE_WAIT;
        if let Some(at) = self.sfu.next_timeout() {
            timeout = timeout.min(at.saturating_since(now));
        }
        if self.sfu.has_handshake_work() {
            timeout = timeout.min(self.pace.next().saturating_since(now));
        }
        if let Some(at) = self.sockets.next_overdue() {
            timeout = timeout.min(at.saturating_since(now));
        }
        if self.mailbox.waits_for_control() || self.sockets.has_resting() || self.mesh.has_backlog() {
            timeout = timeout.min(RETRY_WAIT);
        }
        let gather = if self.load.is_coalescing() { self.gather.min(timeout) } else { Duration::ZERO };
        let waited = self.sockets.ring.wait(Wait { timeout, gather });
        self.mailbox.wake_up();
        self.sockets.rearm_resting()?;
        waited
    }

    fn io_report(&self) -> IoReport {
        IoReport { events_lost: self.mailbox.lost(), panics: self.containment.panics(), ..self.report }
    }
}

/// [`Driver::flush`] while a received datagram still lies in its buffer.
fn flush_parts(
    (sfu, out): (&mut Sfu, &mut Outbox),
    (sockets, transmit, mesh): (&mut ShardSockets, &mut Transmit, &mut MeshPort),
    clock: Clock,
    report: &mut IoReport,
) -> io::Result<()> {
    if out.has_datagrams() || !out.words.is_empty() || mesh.has_open() || mesh.has_backlog() {
        mesh.pass(out, clock, report);
        out.words.clear();
    }
    if out.has_datagrams() {
        report.flush_max = report.flush_max.max(out.datagram_count() as u64);
        transmit.flush(out, sockets, report)?;
    }
    if sockets.has_connections() {
        transmit.flush_streams(out, sockets, clock.now(), report)?;
    }
    out.clear_datagrams();
    sockets.release_closed()?;
    if !out.forwarded.is_empty() {
        sfu.handle_flushed(clock.now(), out);
    }
    Ok(())
}

mod streams;
#[cfg(test)]
mod tests;
