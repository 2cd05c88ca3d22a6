//! The control thread: one poll over the channel (and the payload channel of old controllers, `run/payload.rs`), the
//! shards' doorbell and the signals.
//!
//! ```text
//! fd 3 ─► channel ─► wire::Decoder ► controller ─► effects ─┬─► shards ─► … ─► doorbell ─┐
//!   ▲                                    ▲                  └─► wire::Encoder ─► fd 4    │
//!   └─ not read while anything is full   └────────────────── replies, events ◄───────────┘
//!                                                            not taken while fd 4 is full
//! ```
//! A request for a port that an earlier one is still giving back waits, and all that is behind it on the channel too
//! (`ports.rs`): not longer than `HOLD_PATIENCE`, then it is tried as things are.
//! A shard that is slow otherwise keeps its own commands waiting, in a backlog of its own, and nobody else's. A controller that
//! does not read keeps everything waiting but the media: nothing is taken from shards then, which go on forwarding
//! and in turn take no commands once their own queue is half full (`mailbox.rs`).

mod payload;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use ringsoup_dtls::OpenSsl;
use ringsoup_runtime::{FromShard, ServerSockets};
use ringsoup_sfu::command::{CommandError, ListenInfo};
use ringsoup_sfu::event::{Event, LogLevel, LogTag, Weight};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::served::ServerKey;

use crate::behaviour::Behaviour;
use crate::channel::fds::ControllerFds;
use crate::channel::framing::Framing;
use crate::channel::io::{Channel, Incoming};
use crate::channel::payload::PayloadChannel;
use crate::channel::writer::{Importance, QueueError};
use crate::controller::{Controller, ControllerConfig, Effect, Join};
use crate::dtls_certificate::{self, CertificateError};
use crate::message::{self, DecodeError, Lane, Response, ResponseBody};
use crate::placement::ShardIndex;
use crate::resource_usage;
use crate::settings::{LogSettings, Verbosity};
use crate::shards::{ShardSettings, Shards};
use crate::signals::Signals;
use crate::version::Version;
use crate::wire::{self, Dialect, Generation};

const READ: Token = Token(0);
const WRITE: Token = Token(1);
const DOORBELL: Token = Token(2);
const SIGNALS: Token = Token(3);
const PAYLOAD_READ: Token = Token(4);
const PAYLOAD_WRITE: Token = Token(5);

/// Frames read before shards and the writer get their turn.
const FRAMES_PER_TURN: usize = 256;
/// Messages taken from one shard before the others get their turn.
const MESSAGES_PER_TURN: usize = 1024;
/// While replies are awaited: how soon the death of a shard that said nothing is noticed.
const DEATH_WATCH: Duration = Duration::from_secs(1);
/// How long a request waits for a port that a shard does not give back. Nothing is read meanwhile, the end of the channel
/// included, so a shard that hangs must not keep it longer.
const HOLD_PATIENCE: Duration = Duration::from_millis(500);
/// How long closing waits for the shards, and then for the controller to take what is queued. Libraries give
/// a worker 2 s to close.
const STOP_PATIENCE: Duration = Duration::from_millis(500);
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);

/// What the worker is started with.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// As the library told it.
    pub controller_version: String,
    pub log: LogSettings,
    /// Certificate and private key in PEM; without them the worker makes its own.
    pub dtls_files: Option<(PathBuf, PathBuf)>,
    /// Options that were given and change nothing here.
    pub without_effect: Vec<&'static str>,
    pub shards: ShardSettings,
}

/// Why the worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("signals cannot be blocked: {0}")]
    Signals(nix::Error),
    #[error("channel cannot be polled: {0}")]
    Poll(io::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("{0}")]
    Dtls(String),
}

/// Runs the worker on this thread until it is closed.
///
/// # Errors
/// It did not start; nothing was told to the controller then.
pub fn run(fds: ControllerFds, config: &WorkerConfig) -> Result<(), RunError> {
    let mut control = ControlThread::new(fds, config)?;
    control.announce(config);
    control.serve();
    control.close();
    Ok(())
}

/// A request that waits for a port.
struct Held {
    incoming: message::Incoming,
    /// Bytes of its frame.
    bytes: usize,
    until: Instant,
}

struct ControlThread {
    poll: Poll,
    channel: Channel,
    /// Of controllers before 3.13.0.
    payload_channel: Option<PayloadChannel>,
    signals: Signals,
    shards: Shards,
    controller: Controller,
    decoder: wire::Decoder,
    encoder: wire::Encoder,
    effects: Vec<Effect>,
    /// Whether channel failures are told on stderr.
    tell_failures: bool,
    /// A shard may have more to say than was taken.
    shards_have_more: bool,
    /// Bytes of the frame being handled: what its commands count for while they wait.
    frame_bytes: usize,
    /// A request that has to wait, with the bytes of its frame. Nothing is read behind it.
    held: Option<Held>,
    closing: bool,
}

impl ControlThread {
    fn new(fds: ControllerFds, config: &WorkerConfig) -> Result<Self, RunError> {
        let signals = Signals::block().map_err(RunError::Signals)?;
        let certificate = match &config.dtls_files {
            Some((certificate, private_key)) => dtls_certificate::from_pem_files(certificate, private_key)?,
            None => dtls_certificate::generate()?,
        };
        let dtls = Arc::new(OpenSsl::new(&certificate).map_err(RunError::Dtls)?);
        // What cannot be read as a version is refused before; nothing else than the newest could be meant.
        let version = Version::parse(&config.controller_version);
        let behaviour = version.map(Behaviour::of).unwrap_or_default();
        let dialect = version.and_then(Dialect::of);
        let (framing, payload_bytes_max) = (framing(dialect), behaviour.payload_bytes_max);
        let channel = Channel::new(fds.channel, framing, payload_bytes_max);
        let payload_channel = fds.payload.map(|fds| PayloadChannel::new(fds, framing, payload_bytes_max));
        let poll = Poll::new().map_err(RunError::Poll)?;
        let watch = |fd, token, interest| {
            poll.registry().register(&mut SourceFd(&fd), token, interest).map_err(RunError::Poll)
        };
        watch(channel.read_fd(), READ, Interest::READABLE)?;
        watch(channel.write_fd(), WRITE, Interest::WRITABLE)?;
        if let Some(channel) = &payload_channel {
            watch(channel.read_fd(), PAYLOAD_READ, Interest::READABLE)?;
            watch(channel.write_fd(), PAYLOAD_WRITE, Interest::WRITABLE)?;
        }
        watch(signals.fd(), SIGNALS, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), DOORBELL).map_err(RunError::Poll)?;
        let (decoder, encoder) = tongue(version);
        let controller = Controller::new(&ControllerConfig {
            pid: std::process::id(),
            shards: config.shards.count,
            log: config.log,
            errors: behaviour.errors,
        });
        Ok(Self {
            poll,
            channel,
            payload_channel,
            signals,
            shards: Shards::new(config.shards.clone(), behaviour.rules, certificate, dtls, waker),
            controller,
            decoder,
            encoder,
            effects: Vec::new(),
            tell_failures: config.log.verbosity >= Verbosity::Error,
            shards_have_more: false,
            frame_bytes: 0,
            held: None,
            closing: false,
        })
    }

    /// The settings as log lines, then the one notification that makes the library trust the worker.
    fn announce(&mut self, config: &WorkerConfig) {
        let version = &config.controller_version;
        let mut lines = vec![format!(
            "starting [version:{}, controller:{version}, shards:{}]",
            env!("CARGO_PKG_VERSION"),
            config.shards.count
        )];
        let (min, max) = config.shards.rtc_ports;
        lines.push(format!("rtcMinPort: {min}, rtcMaxPort: {max}"));
        lines.extend(config.without_effect.iter().map(|name| format!("option --{name} has no effect")));
        for line in lines {
            let text = format!("ControlThread::announce() | {line}");
            self.controller.log(LogLevel::Debug, LogTag::Info, &text, &mut self.effects);
        }
        self.controller.log_settings(&mut self.effects);
        self.act();
        let pushed = self.channel.push(self.encoder.running(std::process::id()), Importance::Required);
        self.check_pushed(pushed);
    }

    fn serve(&mut self) {
        let mut events = Events::with_capacity(16);
        loop {
            self.listen_to_shards();
            self.read_channel();
            self.read_payload_channel();
            self.act();
            self.flush();
            if self.report_dropped() {
                self.act();
                self.flush();
            }
            if self.closing {
                return;
            }
            if let Err(error) = self.poll.poll(&mut events, self.timeout()) {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.fail_channel(&format!("poll failed: {error}"));
                }
                continue;
            }
            for event in &events {
                match event.token() {
                    READ => self.channel.set_readable(),
                    WRITE => self.channel.set_writable(),
                    PAYLOAD_READ | PAYLOAD_WRITE => self.wake_payload_channel(event.token()),
                    SIGNALS if self.signals.take().is_some() => self.closing = true,
                    _ => {}
                }
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let has_more = self.shards_have_more && !self.controller_is_slow();
        let may_have_input = self.channel.may_have_input() || self.payloads_may_have_come();
        if has_more || (may_have_input && !self.is_congested()) {
            Some(Duration::ZERO)
        } else {
            let patience = if self.held.is_some() { HOLD_PATIENCE } else { DEATH_WATCH };
            self.shards.awaits_replies().then_some(patience)
        }
    }

    /// True while reading further requests would only make queues longer.
    fn is_congested(&self) -> bool {
        self.held.is_some() || self.controller_is_slow() || self.shards.is_congested()
    }

    /// True while the controller leaves so much unread that nothing should be added.
    fn controller_is_slow(&self) -> bool {
        self.channel.is_congested() || self.payload_channel.as_ref().is_some_and(PayloadChannel::is_congested)
    }

    /// Goes on with the request that had to wait, if it need no more.
    fn retry_held(&mut self) {
        let now = Instant::now();
        let ready = self.held.take_if(|held| held.until <= now || !self.controller.must_wait(&held.incoming));
        if let Some(Held { incoming, bytes, .. }) = ready {
            self.frame_bytes = bytes;
            self.controller.handle_incoming(incoming, &mut self.effects);
            self.act();
        }
    }

    fn read_channel(&mut self) {
        self.retry_held();
        for _ in 0..FRAMES_PER_TURN {
            if self.closing || self.is_congested() {
                return;
            }
            match self.channel.receive() {
                Incoming::Frame(frame) => {
                    self.frame_bytes = frame.len();
                    let controller = &self.controller;
                    let read = self.decoder.decode_of(frame, &|name| controller.kind_of(name));
                    self.handle(read);
                }
                Incoming::TooLong(bytes) => self.tell_failure(&too_long(bytes)),
                Incoming::Nonsense(reason) => self.tell_failure(&nonsense(reason)),
                Incoming::Nothing => return,
                Incoming::Closed(None) => {
                    return self.fail_channel("channel remotely closed, closing myself");
                }
                Incoming::Closed(Some(error)) => {
                    return self.fail_channel(&format!("channel read failed: {error}, closing myself"));
                }
            }
            self.act();
        }
    }

    /// Does what was said, or puts it by when it has to wait.
    fn handle(&mut self, read: Result<message::Incoming, DecodeError>) {
        match read {
            Ok(incoming) if self.controller.must_wait(&incoming) => {
                let until = Instant::now() + HOLD_PATIENCE;
                self.held = Some(Held { incoming, bytes: self.frame_bytes, until });
            }
            Ok(incoming) => self.controller.handle_incoming(incoming, &mut self.effects),
            Err(error) => self.controller.handle_undecodable(error, &mut self.effects),
        }
    }

    fn listen_to_shards(&mut self) {
        self.shards.answer_doorbell();
        self.shards_have_more = false;
        self.frame_bytes = 0;
        for shard in self.shards.indexes() {
            self.listen_to(shard);
        }
    }

    fn listen_to(&mut self, shard: ShardIndex) {
        for _ in 0..MESSAGES_PER_TURN {
            if self.controller_is_slow() {
                break;
            }
            match self.shards.receive(shard) {
                Ok(Some(FromShard::Reply { token, result })) => {
                    self.controller.handle_reply(token, result, &mut self.effects);
                }
                Ok(Some(FromShard::Event(event))) => self.controller.handle_event(event, &mut self.effects),
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(reason) => {
                    self.controller.handle_shard_lost(shard, &reason, &mut self.effects);
                    return self.act();
                }
            }
            self.act();
        }
        self.shards_have_more = true;
    }

    /// Does what the controller decided, and what that leads to.
    fn act(&mut self) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                self.act_on(effect);
            }
        }
    }

    fn act_on(&mut self, effect: Effect) {
        match effect {
            Effect::Command { shard, token, command } => {
                if let Err(reason) = self.shards.send(shard, token, command, self.frame_bytes) {
                    self.controller.handle_shard_lost(shard, &reason, &mut self.effects);
                }
            }
            Effect::OpenWebRtcServer { shard, token, server, listen_infos } => {
                self.open_webrtc_server(shard, token, server, listen_infos);
            }
            Effect::JoinWebRtcServer { shard, token, join } => self.join_webrtc_server(shard, token, join),
            Effect::Respond(mut response) => {
                complete(&mut response);
                self.respond(&response);
            }
            Effect::Notify(event) => {
                let importance = importance(&event);
                let Some(told) = self.encoder.event(&event) else { return };
                let pushed = match (told.payload, &mut self.payload_channel) {
                    (Some(payload), Some(channel)) => channel.notify(told.message, payload, importance),
                    _ => self.channel.push(told.message, importance),
                };
                self.check_pushed(pushed);
            }
            Effect::Log(line) => {
                let pushed = self.channel.push(self.encoder.log(&line), Importance::Droppable);
                self.check_pushed(pushed);
            }
            Effect::MeasureUsage { request_id } => {
                let result = resource_usage::measure()
                    .map(|usage| ResponseBody::ResourceUsage(Box::new(usage)))
                    .map_err(|error| CommandError::error(format!("getrusage() failed: {error}")));
                self.respond(&Response { id: request_id, result });
            }
            Effect::Close => self.closing = true,
        }
    }

    fn open_webrtc_server(&mut self, shard: ShardIndex, token: u64, server: Name, infos: Vec<ListenInfo>) {
        let sockets = match self.shards.bind(ServerKey(token), &infos) {
            Ok(sockets) => sockets,
            Err(error) => return self.controller.handle_reply(token, Err(error), &mut self.effects),
        };
        let locals = sockets.listeners.iter().map(|(_, listener)| listener.local()).collect();
        self.controller.handle_bound(server.clone(), infos, locals);
        self.pass_sockets(shard, token, server, sockets);
    }

    fn join_webrtc_server(&mut self, shard: ShardIndex, token: u64, join: Join) {
        let Join { server, key, listening, readers } = join;
        match self.shards.bind_members(key, &listening, readers) {
            Ok(sockets) => self.pass_sockets(shard, token, server, sockets),
            Err(error) => self.controller.handle_reply(token, Err(error), &mut self.effects),
        }
    }

    fn pass_sockets(&mut self, shard: ShardIndex, token: u64, server: Name, sockets: ServerSockets) {
        if let Err(reason) = self.shards.open_webrtc_server(shard, token, server, sockets, self.frame_bytes) {
            self.controller.handle_shard_lost(shard, &reason, &mut self.effects);
        }
    }

    fn respond(&mut self, response: &Response) {
        let mut pushed = self.push_response(response);
        if let Err(QueueError::MessageTooBig(bytes)) = pushed {
            // The request must not hang: its failure is short.
            let error = CommandError::error(format!("response too big ({bytes} bytes)"));
            pushed = self.push_response(&Response { id: response.id, result: Err(error) });
        }
        self.check_pushed(pushed);
    }

    /// To where the request came from.
    fn push_response(&mut self, response: &Response) -> Result<(), QueueError> {
        let message = self.encoder.response(response);
        match (response.id.lane, &mut self.payload_channel) {
            (Lane::PayloadChannel, Some(channel)) => channel.respond(message),
            _ => self.channel.push(message, Importance::Required),
        }
    }

    fn check_pushed(&mut self, pushed: Result<(), QueueError>) {
        match pushed {
            Ok(()) => {}
            Err(error @ QueueError::MessageTooBig(_)) => self.tell_failure(&error.to_string()),
            Err(error @ QueueError::ControllerStuck) => self.fail_channel(&error.to_string()),
        }
    }

    /// Says what was dropped, once there is room for saying it; true when there was something to say.
    fn report_dropped(&mut self) -> bool {
        let payloads = self.payload_channel.as_mut().map_or(0, PayloadChannel::take_dropped);
        let dropped = self.channel.take_dropped() + payloads;
        if dropped > 0 {
            let text = format!(
                "ControlThread::report_dropped() | {dropped} log lines and samples dropped: the controller \
                 reads too slowly"
            );
            self.controller.log(LogLevel::Error, LogTag::Info, &text, &mut self.effects);
        }
        dropped > 0
    }

    fn flush(&mut self) {
        let payloads = self.payload_channel.as_mut().map_or(Ok(()), PayloadChannel::flush);
        if let Err(error) = self.channel.flush().and(payloads) {
            self.fail_channel(&format!("channel write failed: {error}, closing myself"));
        }
    }

    fn fail_channel(&mut self, text: &str) {
        if !self.closing {
            self.tell_failure(text);
        }
        self.closing = true;
    }

    fn tell_failure(&self, text: &str) {
        if self.tell_failures {
            // A closed stderr is nobody's problem.
            let _ = writeln!(io::stderr(), "ControlThread::run() | {text}");
        }
    }

    /// Ends everything silently: the controller knows that what it had is gone.
    fn close(mut self) {
        let text = "ControlThread::close() | closing";
        self.controller.log(LogLevel::Debug, LogTag::Info, text, &mut self.effects);
        self.act();
        self.shards.stop(STOP_PATIENCE);
        self.channel.drain(DRAIN_PATIENCE);
        if let Some(channel) = &mut self.payload_channel {
            channel.drain(DRAIN_PATIENCE);
        }
    }
}

fn framing(dialect: Option<Dialect>) -> Framing {
    match dialect {
        None => Framing::SizePrefix,
        Some(Dialect::Netstring) => Framing::Netstring,
        Some(Dialect::LengthPrefixed | Dialect::Text) => Framing::Length,
    }
}

/// What reads and what writes the messages of this version's controllers.
fn tongue(version: Option<Version>) -> (wire::Decoder, wire::Encoder) {
    match version {
        Some(version) if Dialect::of(version).is_some() => {
            (wire::Decoder::speaking_json(version), wire::Encoder::speaking_json(version))
        }
        _ => {
            let generation = version.and_then(Generation::of).map(Arc::new);
            (wire::Decoder::speaking(generation.clone()), wire::Encoder::speaking(generation))
        }
    }
}

fn too_long(bytes: usize) -> String {
    format!("no available space in the buffer for a message of {bytes} bytes, skipping it")
}

fn nonsense(reason: &str) -> String {
    format!("wrong framing: {reason}, forgetting what was read")
}

/// Nor is a message that came this far missed: shards keep back what there is no room for.
fn importance(event: &Event) -> Importance {
    match event.weight() {
        Weight::Missable => Importance::Droppable,
        Weight::Repeated | Weight::Change | Weight::End => Importance::Required,
    }
}

/// Adds what only the process knows to a worker's dump. Once, with the first shard that reported, as what control holds.
fn complete(response: &mut Response) {
    let Ok(ResponseBody::WorkerDump(dump)) = &mut response.result else { return };
    if let Some(report) = dump.shards.iter_mut().find_map(|shard| shard.report.as_mut()) {
        report.io.push(("process_heap_bytes", ringsoup_runtime::heap_bytes()));
    }
}
