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
use ringsoup_sfu::event::Event;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::Reply;

use crate::socket::listen::ListenSocket;
use crate::wake::WakeFlag;

/// Commands waiting for one shard. A controller that has this many outstanding is not waiting for replies.
pub const TO_SHARD_MAX: usize = 4096;
/// Replies and events waiting for control.
pub const FROM_SHARD_MAX: usize = 8192;
/// What a shard keeps back while control does not read. Above half of it no command is taken, so replies
/// always find room; events beyond it are lost and counted.
pub const OVERFLOW_MAX: usize = 65_536;

/// Kept back beyond this, events that a peer can cause as often as it likes are lost too: they leave the rest to those
/// that only commands cause.
const REPEATED_MAX: usize = OVERFLOW_MAX / 4;

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
        sockets: Vec<ListenSocket>,
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
        self.from_shard.try_recv().ok()
    }

    /// Blocks until a message comes; `None` when the shard is gone and everything it said was read.
    pub fn receive(&self) -> Option<FromShard> {
        self.from_shard.recv().ok()
    }

    /// Blocks until a message comes or `timeout` is over.
    pub fn receive_timeout(&self, timeout: Duration) -> Option<FromShard> {
        self.from_shard.recv_timeout(timeout).ok()
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
}

/// Both ends of a shard's mailbox.
pub(crate) fn mailbox(notify: Notify, flag: Arc<WakeFlag>) -> (Mailbox, ShardMailbox) {
    let (to_shard, incoming) = flume::bounded(TO_SHARD_MAX);
    let (outgoing, from_shard) = flume::bounded(FROM_SHARD_MAX);
    let shard = ShardMailbox {
        incoming,
        outgoing,
        flag: Arc::clone(&flag),
        overflow: VecDeque::new(),
        notify,
        told: false,
        lost: 0,
    };
    (Mailbox { to_shard, from_shard, flag }, shard)
}

impl ShardMailbox {
    pub(crate) fn wake_fd(&self) -> RawFd {
        self.flag.fd()
    }

    /// The next message, unless control is so far behind with reading that more replies would not fit.
    pub(crate) fn next(&mut self) -> Option<ToShard> {
        if self.overflow.len() > OVERFLOW_MAX / 2 {
            return None;
        }
        self.incoming.try_recv().ok()
    }

    /// Declares sleep; false when something came in meanwhile and the shard must look first.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.flag.fall_asleep();
        if self.incoming.is_empty() || self.overflow.len() > OVERFLOW_MAX / 2 {
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

    fn keep(&mut self, message: FromShard) {
        let kept = self.overflow.len();
        let lose = match &message {
            FromShard::Event(event) => {
                may_be_lost(event) || kept >= OVERFLOW_MAX || kept >= REPEATED_MAX && is_repeatable(event)
            }
            _ => false,
        };
        if lose {
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

    /// True while messages wait for control to read.
    pub(crate) fn has_overflow(&self) -> bool {
        !self.overflow.is_empty()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

/// Events that the next one of their kind replaces, or that are samples anyway. State changes are not.
fn may_be_lost(event: &Event) -> bool {
    matches!(
        event,
        Event::ProducerScore { .. }
            | Event::ConsumerScore { .. }
            | Event::ProducerTrace { .. }
            | Event::ConsumerTrace { .. }
            | Event::ConsumerRtp { .. }
            | Event::DirectTransportRtcp { .. }
            | Event::AudioLevelObserverVolumes { .. }
            | Event::DataConsumerMessage { .. }
            | Event::DataConsumerSendBufferFull { .. }
            | Event::Log(_)
    )
}

/// State changes that a peer causes with single packets.
fn is_repeatable(event: &Event) -> bool {
    matches!(event, Event::ProducerVideoOrientation { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

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
        assert!(shard.has_overflow());
        for _ in 0..FROM_SHARD_MAX {
            assert!(matches!(control.try_receive(), Some(FromShard::Event(Event::ConsumerRtp { .. }))));
        }
        shard.finish_batch();
        assert!(matches!(control.try_receive(), Some(FromShard::Event(Event::ConsumerProducerPause { .. }))));
        assert!(matches!(control.try_receive(), Some(FromShard::Reply { token: 7, .. })));
        assert!(!shard.has_overflow());
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
