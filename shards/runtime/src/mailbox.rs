//! Control ⇄ shard: one bounded FIFO each way.
//!
//! ```text
//!            ToShard, full → SendError                     wake: eventfd, skipped while the shard is awake
//! control ═══════════════════════════════════════► shard
//!         ◄═══════════════════════════════════════
//!            FromShard, full → droppable events are lost and counted, the rest waits in the shard
//! ```
//! Replies and events share one FIFO, so what a command caused is told before its reply and nothing else
//! orders them. A full queue never blocks a shard: it goes on forwarding.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use ringsoup_sfu::command::{Command, CommandError};
use ringsoup_sfu::event::{Event, LogLevel, LogLine, LogTag, Weight};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::Reply;

use crate::payload_budget::PayloadBudget;
use crate::socket::listen::ServerSockets;
use crate::wake::WakeFlag;

/// Commands waiting for one shard. A controller that has this many outstanding is not waiting for replies.
pub const TO_SHARD_MAX: usize = 4096;
/// Bytes of the frames in which commands came that wait for one shard; exceeded by less than one of them. With the
/// channel's own queue this is what is under way when a controller that sends does not read.
pub const TO_SHARD_BYTES_MAX: usize = 4 << 20;
/// Replies and events waiting for control.
pub const FROM_SHARD_MAX: usize = 8192;
/// What a shard keeps back while control does not read. Events beyond it are lost and counted, except for ends: there are
/// no more of these than there were objects, and none are made while commands wait.
pub const OVERFLOW_MAX: usize = 65_536;

/// Kept back beyond this, events that a peer can cause as often as it likes are lost too: they leave the rest to those
/// that only commands cause.
const REPEATED_MAX: usize = OVERFLOW_MAX / 4;

/// Kept back beyond this, no command is taken: replies always find room, and so does what the application's own messages
/// come to.
const COMMANDS_KEPT_MAX: usize = REPEATED_MAX / 2;

/// What control tells a shard.
#[derive(Debug)]
pub enum ToShard {
    /// `token` comes back with the reply.
    Command {
        token: u64,
        command: Command,
    },
    /// Sockets that were bound for a WebRTC server, to be read from now on. Answered like a command.
    OpenWebRtcServer {
        token: u64,
        server: Name,
        sockets: Box<ServerSockets>,
    },
    Stop,
}

/// What a shard tells control.
#[derive(Debug)]
pub enum FromShard {
    Reply {
        token: u64,
        result: Result<Reply, CommandError>,
    },
    Event(Event),
    /// The last word of a shard that was told to stop.
    Stopped,
    /// The last word of a shard that could not go on: the ring itself failed. Its sockets are closed.
    Failed {
        reason: String,
    },
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// [`TO_SHARD_MAX`] messages are waiting.
    Full,
    /// The shard's thread has ended.
    Gone,
}

impl std::fmt::Display for SendError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Full => "shard queue full",
            Self::Gone => "shard not running",
        })
    }
}

impl std::error::Error for SendError {}

/// Control's end.
#[derive(Debug)]
pub struct Mailbox {
    to_shard: flume::Sender<ToShard>,
    from_shard: flume::Receiver<FromShard>,
    flag: Arc<WakeFlag>,
    budget: PayloadBudget,
}

impl Mailbox {
    /// # Errors
    /// The message was not taken; see [`SendError`].
    pub fn send(&self, message: ToShard) -> Result<(), SendError> {
        self.to_shard.try_send(message).map_err(|error| match error {
            flume::TrySendError::Full(_) => SendError::Full,
            flume::TrySendError::Disconnected(_) => SendError::Gone,
        })?;
        self.flag.wake();
        Ok(())
    }

    /// The next message, if there is one now.
    pub fn try_receive(&self) -> Option<FromShard> {
        self.from_shard.try_recv().ok().inspect(|message| self.received(message))
    }

    /// Blocks until a message comes; `None` when the shard is gone and everything it said was read.
    pub fn receive(&self) -> Option<FromShard> {
        self.from_shard.recv().ok().inspect(|message| self.received(message))
    }

    /// Blocks until a message comes or `timeout` is over.
    pub fn receive_timeout(&self, timeout: Duration) -> Option<FromShard> {
        self.from_shard.recv_timeout(timeout).ok().inspect(|message| self.received(message))
    }

    fn received(&self, message: &FromShard) {
        self.budget.give_back(waiting_bytes(message));
    }

    /// Keeps on delivering after the shard's thread has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.to_shard.is_disconnected()
    }

    /// Waits for room, for the one message that must arrive.
    pub(crate) fn send_stop(&self) {
        // The shard drains its queue unless control stopped reading too, and then no reply is awaited.
        let _ = self.to_shard.send_timeout(ToShard::Stop, STOP_SEND_TIMEOUT);
        self.flag.wake();
    }
}

/// How long a stop may wait behind commands.
const STOP_SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stopped shard waits for control to read what it said before.
const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(1);

/// Called by the shard once per batch of messages, from its own thread.
pub type Notify = Box<dyn Fn() + Send>;

/// The shard's end.
pub(crate) struct ShardMailbox {
    incoming: flume::Receiver<ToShard>,
    outgoing: flume::Sender<FromShard>,
    flag: Arc<WakeFlag>,
    overflow: VecDeque<FromShard>,
    notify: Notify,
    told: bool,
    lost: u64,
    budget: PayloadBudget,
}

/// Both ends of a shard's mailbox.
pub(crate) fn mailbox(notify: Notify, flag: Arc<WakeFlag>) -> (Mailbox, ShardMailbox) {
    let (to_shard, incoming) = flume::bounded(TO_SHARD_MAX);
    let (outgoing, from_shard) = flume::bounded(FROM_SHARD_MAX);
    let budget = PayloadBudget::default();
    let control_budget = budget.for_control();
    let shard = ShardMailbox {
        incoming,
        outgoing,
        flag: Arc::clone(&flag),
        overflow: VecDeque::new(),
        notify,
        told: false,
        lost: 0,
        budget,
    };
    (Mailbox { to_shard, from_shard, flag, budget: control_budget }, shard)
}

impl ShardMailbox {
    pub(crate) fn wake_fd(&self) -> RawFd {
        self.flag.fd()
    }

    /// False while control is so far behind with reading that what more commands cause might not fit.
    fn takes_commands(&self) -> bool {
        self.overflow.len() <= COMMANDS_KEPT_MAX && !self.budget.is_half_taken()
    }

    /// The next message, if commands are taken now.
    pub(crate) fn next(&mut self) -> Option<ToShard> {
        if !self.takes_commands() {
            return None;
        }
        self.incoming.try_recv().ok()
    }

    /// Declares sleep; false when something came in meanwhile and the shard must look first.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.flag.fall_asleep();
        if self.incoming.is_empty() || !self.takes_commands() {
            return true;
        }
        self.wake_up();
        false
    }

    pub(crate) fn wake_up(&self) {
        self.flag.wake_up();
    }

    /// Appends to the FIFO, never blocks.
    pub(crate) fn tell(&mut self, message: FromShard) {
        if self.budget.may_tell_losses() {
            self.tell_losses();
        }
        let bytes = waiting_bytes(&message);
        if let FromShard::Event(_) = message {
            if !self.budget.take(bytes) {
                self.lost += 1;
                return;
            }
        } else {
            self.budget.charge(bytes);
        }
        self.pass(message);
    }

    fn pass(&mut self, message: FromShard) {
        if self.overflow.is_empty() {
            match self.outgoing.try_send(message) {
                Ok(()) => self.told = true,
                Err(flume::TrySendError::Full(message)) => self.keep(message),
                // Control is gone: nobody is left to tell.
                Err(flume::TrySendError::Disconnected(_)) => {}
            }
        } else {
            self.keep(message);
        }
    }

    #[cold]
    fn tell_losses(&mut self) {
        let refused = self.budget.take_refused();
        let text = format!(
            "ShardMailbox::tell() | {refused} packets and messages for the application dropped: the controller reads \
             too slowly"
        );
        let line = LogLine { level: LogLevel::Error, tag: LogTag::Message, text };
        self.pass(FromShard::Event(Event::Log(line)));
    }

    fn keep(&mut self, message: FromShard) {
        let kept = self.overflow.len();
        let room = match &message {
            FromShard::Event(event) => match event.weight() {
                Weight::Missable => 0,
                Weight::Repeated => REPEATED_MAX,
                Weight::Change => OVERFLOW_MAX,
                Weight::End => usize::MAX,
            },
            _ => usize::MAX,
        };
        if kept >= room {
            self.budget.give_back(waiting_bytes(&message));
            self.lost += 1;
        } else {
            self.overflow.push_back(message);
        }
    }

    /// Delivers what waited, then wakes control once if anything was told.
    pub(crate) fn finish_batch(&mut self) {
        while let Some(message) = self.overflow.pop_front() {
            match self.outgoing.try_send(message) {
                Ok(()) => self.told = true,
                Err(flume::TrySendError::Full(message)) => {
                    self.overflow.push_front(message);
                    break;
                }
                Err(flume::TrySendError::Disconnected(_)) => {}
            }
        }
        if self.told {
            self.told = false;
            (self.notify)();
        }
    }

    /// Delivers everything with the last word behind it. The only place that waits for control, and not long:
    /// there is no packet to forward any more.
    pub(crate) fn tell_last(&mut self, message: FromShard) {
        self.overflow.push_back(message);
        while let Some(message) = self.overflow.pop_front() {
            if self.outgoing.send_timeout(message, LAST_WORD_TIMEOUT).is_err() {
                break;
            }
        }
        (self.notify)();
    }

    /// True while something waits for control to read: whether it does has to be looked at again and again.
    pub(crate) fn waits_for_control(&self) -> bool {
        !self.overflow.is_empty() || !self.takes_commands()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

/// What a message counts for while it waits.
fn waiting_bytes(message: &FromShard) -> usize {
    match message {
        FromShard::Event(event) => event.payload_bytes(),
        FromShard::Reply { result: Ok(reply), .. } => reply.bytes(),
        FromShard::Reply { result: Err(error), .. } => error.reason.len(),
        FromShard::Stopped | FromShard::Failed { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ringsoup_sfu::data::Message;

    use super::*;
    use crate::payload_budget::FROM_SHARD_PAYLOAD_BYTES_MAX;

    fn ends(notify: Notify) -> (Mailbox, ShardMailbox) {
        mailbox(notify, Arc::new(WakeFlag::new().unwrap()))
    }

    fn pause(name: &str) -> FromShard {
        FromShard::Event(Event::ConsumerProducerPause { consumer: name.into() })
    }

    fn rtp() -> FromShard {
        FromShard::Event(Event::ConsumerRtp { consumer: "c".into(), data: Vec::new() })
    }

    #[test]
    fn control_is_woken_once_per_batch() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&wakes);
        let (control, mut shard) = ends(Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        shard.finish_batch();
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
        shard.tell(rtp());
        shard.tell(pause("c"));
        shard.finish_batch();
        shard.finish_batch();
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        assert!(matches!(control.try_receive(), Some(FromShard::Event(Event::ConsumerRtp { .. }))));
        assert!(matches!(control.try_receive(), Some(FromShard::Event(Event::ConsumerProducerPause { .. }))));
        assert!(control.try_receive().is_none());
    }

    #[test]
    fn a_full_queue_loses_samples_and_keeps_state_in_order() {
        let (control, mut shard) = ends(Box::new(|| ()));
        for _ in 0..FROM_SHARD_MAX {
            shard.tell(rtp());
        }
        shard.tell(rtp());
        shard.tell(pause("a"));
        shard.tell(rtp());
        shard.tell(FromShard::Reply { token: 7, result: Ok(Reply::Done) });
        assert_eq!(shard.lost(), 2);
        assert!(shard.waits_for_control());
        for _ in 0..FROM_SHARD_MAX {
            assert!(matches!(control.try_receive(), Some(FromShard::Event(Event::ConsumerRtp { .. }))));
        }
        shard.finish_batch();
        assert!(matches!(control.try_receive(), Some(FromShard::Event(Event::ConsumerProducerPause { .. }))));
        assert!(matches!(control.try_receive(), Some(FromShard::Reply { token: 7, .. })));
        assert!(!shard.waits_for_control());
    }

    fn data(bytes: usize) -> FromShard {
        let message = Message { ppid: 53, payload: vec![0; bytes].into() };
        FromShard::Event(Event::DataConsumerMessage { data_consumer: "d".into(), message })
    }

    #[test]
    fn payloads_that_wait_are_bounded_in_bytes() {
        const HALF: usize = FROM_SHARD_PAYLOAD_BYTES_MAX / 2;
        let (control, mut shard) = ends(Box::new(|| ()));
        for bytes in [HALF, HALF, 1] {
            shard.tell(data(bytes));
        }
        shard.tell(pause("a"));
        assert_eq!(shard.lost(), 1);
        let read = |message: Option<FromShard>| match message {
            Some(FromShard::Event(event)) => event.payload_bytes(),
            other => panic!("{other:?}"),
        };
        assert_eq!(read(control.try_receive()), HALF);
        // What was read makes room.
        shard.tell(data(HALF));
        assert_eq!((read(control.receive()), read(control.try_receive())), (HALF, 0));
        // There was room again, so what was lost is said, once.
        assert!(matches!(control.try_receive(), Some(FromShard::Event(Event::Log(_)))));
        assert_eq!((read(control.try_receive()), shard.lost()), (HALF, 1));
        shard.tell(pause("a"));
        assert!(matches!(control.try_receive(), Some(FromShard::Event(Event::ConsumerProducerPause { .. }))));
    }

    #[test]
    fn commands_wait_while_control_does_not_read_what_they_cause() {
        let (control, mut shard) = ends(Box::new(|| ()));
        control.send(ToShard::Stop).unwrap();
        shard.tell(data(FROM_SHARD_PAYLOAD_BYTES_MAX / 2 + 1));
        assert!(shard.next().is_none() && shard.fall_asleep() && shard.waits_for_control());
        assert!(control.try_receive().is_some());
        assert!(!shard.waits_for_control() && !shard.fall_asleep());
        assert!(matches!(shard.next(), Some(ToShard::Stop)));
    }

    #[test]
    fn what_is_lost_for_other_reasons_takes_no_room() {
        let (control, mut shard) = ends(Box::new(|| ()));
        for _ in 0..FROM_SHARD_MAX + REPEATED_MAX {
            shard.tell(pause("a"));
        }
        shard.tell(data(FROM_SHARD_PAYLOAD_BYTES_MAX));
        assert_eq!(shard.lost(), 1);
        while control.try_receive().is_some() {
            shard.finish_batch();
        }
        shard.tell(data(FROM_SHARD_PAYLOAD_BYTES_MAX));
        assert_eq!(shard.lost(), 1);
    }

    #[test]
    fn what_peers_repeat_leaves_room_for_what_commands_cause() {
        let (_control, mut shard) = ends(Box::new(|| ()));
        let turned = || {
            let (producer, rotation) = ("p".into(), 90);
            let event = Event::ProducerVideoOrientation { producer, camera: false, flip: false, rotation };
            FromShard::Event(event)
        };
        for _ in 0..FROM_SHARD_MAX + REPEATED_MAX {
            shard.tell(turned());
        }
        assert_eq!(shard.lost(), 0);
        shard.tell(turned());
        assert_eq!(shard.lost(), 1);
        for _ in 0..OVERFLOW_MAX - REPEATED_MAX {
            shard.tell(pause("c"));
        }
        assert_eq!(shard.lost(), 1);
        shard.tell(pause("c"));
        assert_eq!(shard.lost(), 2);
    }

    #[test]
    fn what_is_gone_is_told_however_much_waits() {
        let (control, mut shard) = ends(Box::new(|| ()));
        for _ in 0..FROM_SHARD_MAX + OVERFLOW_MAX + 1 {
            shard.tell(pause("c"));
        }
        assert_eq!(shard.lost(), 1);
        let (transport, router) = ("t".into(), "r".into());
        for event in [
            Event::ConsumerProducerClose { consumer: "c".into() },
            Event::DataConsumerDataProducerClose { data_consumer: "d".into() },
            Event::TransportFailed { transport, router },
        ] {
            shard.tell(FromShard::Event(event));
        }
        assert_eq!(shard.lost(), 1);
        let mut ended = 0;
        while let Some(message) = control.try_receive() {
            ended += u32::from(matches!(&message, FromShard::Event(event) if event.weight() == Weight::End));
            shard.finish_batch();
        }
        assert_eq!(ended, 3);
    }

    #[test]
    fn replies_that_nobody_reads_keep_further_commands_waiting() {
        const LONG: usize = FROM_SHARD_PAYLOAD_BYTES_MAX / 8;
        let (control, mut shard) = ends(Box::new(|| ()));
        let mut answered = 0;
        for token in 0..100 {
            control.send(ToShard::Command { token, command: Command::ReportShard }).unwrap();
        }
        while shard.next().is_some() {
            let result = Err(CommandError::error("x".repeat(LONG)));
            shard.tell(FromShard::Reply { token: answered, result });
            answered += 1;
        }
        assert_eq!(answered, 5, "half of the bound, and one more");
        assert!(control.try_receive().is_some() && shard.next().is_some());
        while control.try_receive().is_some() {}
        assert!(!shard.waits_for_control());
    }

    #[test]
    fn a_full_command_queue_is_an_error_value() {
        let (control, mut shard) = ends(Box::new(|| ()));
        for token in 0..TO_SHARD_MAX as u64 {
            control.send(ToShard::Command { token, command: Command::ReportShard }).unwrap();
        }
        let one_more = ToShard::Command { token: 0, command: Command::ReportShard };
        assert_eq!(control.send(one_more), Err(SendError::Full));
        assert!(matches!(shard.next(), Some(ToShard::Command { token: 0, .. })));
        drop(shard);
        assert_eq!(control.send(ToShard::Stop), Err(SendError::Gone));
    }

    #[test]
    fn a_shard_does_not_sleep_over_a_waiting_command() {
        let (control, mut shard) = ends(Box::new(|| ()));
        assert!(shard.fall_asleep());
        shard.wake_up();
        control.send(ToShard::Stop).unwrap();
        assert!(!shard.fall_asleep());
        assert!(shard.next().is_some());
        assert!(shard.fall_asleep());
    }
}
