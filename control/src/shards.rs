//! The worker's shards: started when first needed, spoken to through their mailboxes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use mio::Waker;
use ringsoup_rtc::dtls::{Certificate, Connector};
use ringsoup_rtc::ice::Sealer;
use ringsoup_runtime::mailbox::{TO_SHARD_BYTES_MAX, TO_SHARD_MAX};
use ringsoup_runtime::shard::{ShardConfig, ShardHandle};
use ringsoup_runtime::{Clock, FromShard, ListenSocket, Listener, Mesh, PortBook, ServerSockets, ToShard};
use ringsoup_sfu::command::{Command, CommandError, ListenInfo, Protocol};
use ringsoup_sfu::listen;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::served::ServerKey;
use ringsoup_sfu::sfu::SfuConfig;

use crate::controller::Listening;
use crate::placement::ShardIndex;

pub use ringsoup_runtime::shard::{COALESCE_DEFAULT, COALESCE_MAX};

#[derive(Debug, Clone)]
pub struct ShardSettings {
    /// At least 1.
    pub count: u16,
    /// Shard i is pinned to entry i modulo length; empty means no pinning.
    pub cpus: Vec<usize>,
    /// How long a loaded shard gathers packets; at most [`COALESCE_MAX`].
    pub coalesce: Duration,
    /// Inclusive.
    pub rtc_ports: (u16, u16),
}

/// Wakes the control thread out of its poll, once for any number of messages it has not looked at.
struct Doorbell {
    rung: AtomicBool,
    waker: Waker,
}

impl Doorbell {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // Fails only when the counter is about to overflow, and then control is awake anyway.
            let _ = self.waker.wake();
        }
    }
}

/// Commands that wait for their shards, all together, above which no further requests are read. The channel is one pipe:
/// what lies in it behind the request that does not fit waits too, so this is far more than a controller pipelines.
const BACKLOG_COMMANDS_MAX: usize = 65_536;
/// The same in bytes of the frames they came in.
const BACKLOG_BYTES_MAX: usize = 64 << 20;

#[derive(Default)]
struct Slot {
    handle: Option<ShardHandle>,
    /// Commands passed to the mailbox whose replies have not come, each with the bytes it counts for. Never more than
    /// its queue holds, so that a send cannot fail for want of room.
    outstanding: VecDeque<usize>,
    /// All together.
    outstanding_bytes: usize,
    backlog: Backlog,
}

/// Commands that wait for replies to make room. Bounded by the caller, who reads no further requests while
/// [`Shards::is_congested`].
#[derive(Default)]
struct Backlog {
    commands: VecDeque<(ToShard, usize)>,
    bytes: usize,
}

impl Backlog {
    fn push(&mut self, command: ToShard, bytes: usize) {
        self.commands.push_back((command, bytes));
        self.bytes += bytes;
    }

    fn pop(&mut self) -> Option<(ToShard, usize)> {
        let (command, bytes) = self.commands.pop_front()?;
        self.bytes -= bytes;
        Some((command, bytes))
    }
}

pub(crate) struct Shards {
    settings: ShardSettings,
    rules: Rules,
    /// What all DTLS peers are shown.
    certificate: Arc<Certificate>,
    dtls: Arc<dyn Connector>,
    clock: Clock,
    ports: PortBook,
    doorbell: Arc<Doorbell>,
    mesh: Arc<Mesh>,
    /// By which all shards know the fragments of all. Made for the first server.
    sealer: Option<Sealer>,
    slots: Vec<Slot>,
}

impl Shards {
    pub(crate) fn new(
        settings: ShardSettings,
        rules: Rules,
        certificate: Certificate,
        dtls: Arc<dyn Connector>,
        waker: Waker,
    ) -> Self {
        let slots: Vec<Slot> = (0..settings.count.max(1)).map(|_| Slot::default()).collect();
        let mesh = Mesh::new(slots.len());
        let doorbell = Arc::new(Doorbell { rung: AtomicBool::new(false), waker });
        Self {
            settings,
            rules,
            certificate: Arc::new(certificate),
            dtls,
            clock: Clock::start(),
            ports: PortBook::default(),
            doorbell,
            mesh,
            sealer: None,
            slots,
        }
    }

    /// Passes a command on, starting its shard if need be. It counts for `bytes` while it waits.
    ///
    /// # Errors
    /// The shard could not be started or has ended; the command is lost with everything on it.
    pub(crate) fn send(
        &mut self,
        shard: ShardIndex,
        token: u64,
        command: Command,
        bytes: usize,
    ) -> Result<(), String> {
        self.pass(shard, ToShard::Command { token, command }, bytes)
    }

    /// Binds what a WebRTC server listens on, in order.
    ///
    /// # Errors
    /// The first that cannot be had; nothing stays bound then.
    pub(crate) fn bind(
        &mut self,
        key: ServerKey,
        infos: &[ListenInfo],
    ) -> Result<ServerSockets, CommandError> {
        let sealer = self.sealer()?;
        let bind = |info: &ListenInfo| {
            let request = listen::request(info, self.settings.rtc_ports)?;
            let socket = ListenSocket::open_group(&request, &self.ports)?;
            Ok((info.protocol, Listener::Here(socket)))
        };
        let listeners: Result<Vec<_>, CommandError> = infos.iter().map(bind).collect();
        Ok(ServerSockets { key, listeners: listeners?, sealer, readers: Vec::new() })
    }

    /// The same for a further shard, where others have them bound. Connections are accepted by the first alone.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub(crate) fn bind_members(
        &mut self,
        key: ServerKey,
        listening: &[Listening],
        readers: Vec<u16>,
    ) -> Result<ServerSockets, CommandError> {
        let sealer = self.sealer()?;
        let bind = |Listening { info, local }: &Listening| {
            let listener = match info.protocol {
                Protocol::Udp => {
                    let request = listen::request(info, self.settings.rtc_ports)?;
                    Listener::Here(ListenSocket::member(&request, *local)?)
                }
                Protocol::Tcp => Listener::Elsewhere(*local),
            };
            Ok((info.protocol, listener))
        };
        let listeners: Result<Vec<_>, CommandError> = listening.iter().map(bind).collect();
        Ok(ServerSockets { key, listeners: listeners?, sealer, readers })
    }

    fn sealer(&mut self) -> Result<Sealer, CommandError> {
        if self.sealer.is_none() {
            let secret =
                random().map_err(|error| CommandError::error(format!("no random numbers: {error}")))?;
            self.sealer = Some(Sealer::new(secret));
        }
        self.sealer.clone().ok_or_else(|| CommandError::error("no random numbers"))
    }

    /// Has a shard read a server's sockets.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn open_webrtc_server(
        &mut self,
        shard: ShardIndex,
        token: u64,
        server: Name,
        sockets: ServerSockets,
        bytes: usize,
    ) -> Result<(), String> {
        let sockets = Box::new(sockets);
        self.pass(shard, ToShard::OpenWebRtcServer { token, server, sockets }, bytes)
    }

    fn pass(&mut self, shard: ShardIndex, message: ToShard, bytes: usize) -> Result<(), String> {
        let index = usize::from(shard.0);
        if self.slots[index].handle.is_none() {
            self.slots[index].handle = Some(self.start(index)?);
        }
        let slot = &mut self.slots[index];
        slot.backlog.push(message, bytes);
        let passed = slot.pass_on();
        if passed.is_err() {
            *slot = Slot::default();
        }
        passed
    }

    fn start(&self, index: usize) -> Result<ShardHandle, String> {
        let cpus = &self.settings.cpus;
        let sfu = SfuConfig {
            seed: seed().map_err(|error| format!("no random numbers: {error}"))?,
            unix_origin_us: self.clock.unix_origin_us(),
            rtc_ports: self.settings.rtc_ports,
            certificate: Arc::clone(&self.certificate),
            dtls: Arc::clone(&self.dtls),
            rules: self.rules,
        };
        let config = ShardConfig {
            index,
            cpu: cpus.get(index % cpus.len().max(1)).copied(),
            sfu,
            clock: self.clock,
            coalesce: self.settings.coalesce,
            mesh: Arc::clone(&self.mesh),
            ports: self.ports.clone(),
        };
        let doorbell = Arc::clone(&self.doorbell);
        ShardHandle::start(config, Box::new(move || doorbell.ring())).map_err(|error| error.to_string())
    }

    /// The next thing a shard says. Call until `None` for every shard after a wake.
    ///
    /// # Errors
    /// The shard ended; it can be started anew.
    pub(crate) fn receive(&mut self, shard: ShardIndex) -> Result<Option<FromShard>, String> {
        let slot = &mut self.slots[usize::from(shard.0)];
        let Some(handle) = &slot.handle else { return Ok(None) };
        let message = match handle.mailbox().try_receive() {
            Some(FromShard::Failed { reason }) => Err(reason),
            Some(FromShard::Stopped) => Err("stopped".into()),
            Some(reply @ FromShard::Reply { .. }) => {
                // Replies come in the order of the commands.
                slot.outstanding_bytes -= slot.outstanding.pop_front().unwrap_or(0);
                slot.pass_on().map(|()| Some(reply))
            }
            None if handle.is_gone() => Err("its thread ended".into()),
            message => Ok(message),
        };
        if message.is_err() {
            *slot = Slot::default();
        }
        message
    }

    /// Called before the shards are listened to: what is said from here on rings again.
    pub(crate) fn answer_doorbell(&self) {
        self.doorbell.rung.store(false, Ordering::SeqCst);
    }

    pub(crate) fn indexes(&self) -> impl Iterator<Item = ShardIndex> + use<> {
        (0..u16::try_from(self.slots.len()).unwrap_or(u16::MAX)).map(ShardIndex)
    }

    /// True while so many commands wait that no more should come. One shard's do not hinder another's before.
    pub(crate) fn is_congested(&self) -> bool {
        let backlogs = || self.slots.iter().map(|slot| &slot.backlog);
        let commands: usize = backlogs().map(|backlog| backlog.commands.len()).sum();
        let bytes: usize = backlogs().map(|backlog| backlog.bytes).sum();
        commands >= BACKLOG_COMMANDS_MAX || bytes >= BACKLOG_BYTES_MAX
    }

    /// True while any reply is awaited.
    pub(crate) fn awaits_replies(&self) -> bool {
        self.slots.iter().any(|slot| !slot.outstanding.is_empty())
    }

    /// Stops all shards and waits for their threads, at most `patience`.
    pub(crate) fn stop(self, patience: Duration) {
        let handles: Vec<ShardHandle> = self.slots.into_iter().filter_map(|slot| slot.handle).collect();
        if handles.is_empty() {
            return;
        }
        let (done, wait) = mpsc::channel::<()>();
        let spawned = std::thread::Builder::new().name("stop-shards".into()).spawn(move || {
            for handle in &handles {
                // So that they all wind up at once; a full queue is dealt with by the drop.
                let _ = handle.mailbox().send(ToShard::Stop);
            }
            drop(handles);
            drop(done);
        });
        if spawned.is_ok() {
            // Ends early when the thread is through. What hangs longer ends with the process.
            let _ = wait.recv_timeout(patience);
        }
    }
}

impl Slot {
    fn pass_on(&mut self) -> Result<(), String> {
        let Some(handle) = &self.handle else { return Ok(()) };
        while self.outstanding.len() < TO_SHARD_MAX && self.outstanding_bytes < TO_SHARD_BYTES_MAX {
            let Some((message, bytes)) = self.backlog.pop() else { break };
            handle.mailbox().send(message).map_err(|error| error.to_string())?;
            self.outstanding.push_back(bytes);
            self.outstanding_bytes += bytes;
        }
        Ok(())
    }
}

/// From the kernel, once per shard.
fn seed() -> io::Result<u64> {
    random().map(u64::from_ne_bytes)
}

fn random<const LEN: usize>() -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
