//! A worker without its threads: control's [`Controller`] and all shards in one, over sockets and under a clock of the caller's.
//!
//! What shards pass to each other and what goes out of sockets is not carried here: the caller takes it and says when it comes,
//! if it does.

use std::collections::VecDeque;
use std::net::SocketAddr;

use ringsoup_control::controller::{Controller, ControllerConfig, Effect, Join, Listening};
use ringsoup_control::error_words::ErrorWords;
use ringsoup_control::message::{DecodeError, Incoming, Response, ResponseBody};
use ringsoup_control::settings::{LogSettings, LogTags, Verbosity};
use ringsoup_rtc::ice::Sealer;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{Command, CommandError, ListenInfo, Protocol, ServerListener, ServerOpening};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::listen;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::outbox::{Outbox, Route};
use ringsoup_sfu::piped::{PipeEnd, Piped, PipedKind};
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::served::{HandOver, HandedOver, ServerKey, Word};
use ringsoup_sfu::sfu::{Datagram, KeySource, Sfu, SfuConfig};
use ringsoup_sfu::sockets::{BoundSocket, SocketId, Sockets};

/// The sockets of one shard, nothing real behind them.
pub trait VirtualSockets: Sockets {
    /// A datagram leaves, in two pieces.
    fn carry(&mut self, socket: SocketId, remote: Option<SocketAddr>, head: &[u8], tail: &[u8]);
}

/// What one shard has for another.
#[derive(Debug, Clone)]
pub struct Passed {
    pub from: u16,
    pub to: u16,
    pub what: PassedKind,
}

#[derive(Debug, Clone)]
pub enum PassedKind {
    Piped { end: PipeEnd, kind: PipedKind, bytes: Vec<u8>, at: Time },
    Datagram { hand_over: HandOver, remote: SocketAddr, bytes: Vec<u8>, received: Time },
    Word(Word),
}

/// What the controller on the other side of the channel would read.
#[derive(Debug)]
pub enum Told {
    Response(Response),
    Event(Event),
    Log(String),
    /// The worker closes.
    Closes,
}

/// What a shard is made of.
pub struct ShardParts<S> {
    pub config: SfuConfig,
    pub key_source: KeySource,
    pub sockets: S,
}

pub struct Shard<S> {
    pub sfu: Sfu,
    pub out: Outbox,
    pub sockets: S,
    rtc_ports: (u16, u16),
}

pub struct ThreadlessWorker<S> {
    pub controller: Controller,
    pub now: Time,
    /// In the order in which it is told.
    pub told: Vec<Told>,
    /// By sender in order.
    pub passed: VecDeque<Passed>,
    /// Made when they are first sent something.
    shards: Vec<Option<Shard<S>>>,
    make: Box<dyn FnMut(u16) -> ShardParts<S>>,
}

impl<S: VirtualSockets> ThreadlessWorker<S> {
    /// `make` is asked for what a shard is made of, by its index.
    pub fn new(shards: u16, now: Time, make: impl FnMut(u16) -> ShardParts<S> + 'static) -> Self {
        let log = LogSettings { verbosity: Verbosity::Error, tags: LogTags::default() };
        Self {
            controller: Controller::new(&ControllerConfig {
                pid: 1,
                shards,
                log,
                errors: ErrorWords::NEWEST,
            }),
            now,
            told: Vec::new(),
            passed: VecDeque::new(),
            shards: (0..shards).map(|_| None).collect(),
            make: Box::new(make),
        }
    }

    /// Those that were made, with their indexes.
    pub fn shards(&mut self) -> impl Iterator<Item = (u16, &mut Shard<S>)> {
        (0..).zip(&mut self.shards).filter_map(|(index, shard)| Some((index, shard.as_mut()?)))
    }

    /// # Panics
    /// When there is no shard of this index, or nothing was ever sent to it.
    pub fn shard(&mut self, index: u16) -> &mut Shard<S> {
        self.shards[usize::from(index)].as_mut().expect("a shard that was made")
    }

    fn made(&mut self, index: u16) -> &mut Shard<S> {
        let Self { shards, make, .. } = self;
        shards[usize::from(index)].get_or_insert_with(|| {
            let ShardParts { config, key_source, sockets } = make(index);
            let rtc_ports = config.rtc_ports;
            Shard { sfu: Sfu::new(config, key_source), out: Outbox::default(), sockets, rtc_ports }
        })
    }

    /// A request or a notification, and everything that follows from it at once.
    pub fn handle_incoming(&mut self, incoming: Incoming) {
        let mut effects = Vec::new();
        self.controller.handle_incoming(incoming, &mut effects);
        self.settle(effects);
    }

    pub fn handle_undecodable(&mut self, error: DecodeError) {
        let mut effects = Vec::new();
        self.controller.handle_undecodable(error, &mut effects);
        self.settle(effects);
    }

    /// A datagram comes in on a socket of a shard.
    pub fn handle_datagram(&mut self, index: u16, socket: SocketId, remote: SocketAddr, bytes: &mut [u8]) {
        let now = self.now;
        let shard = self.made(index);
        let datagram = Datagram { socket, remote, bytes, received: now };
        let hand_over = shard.sfu.handle_datagram(now, datagram, &mut shard.sockets, &mut shard.out);
        if let Some(hand_over) = hand_over {
            let bytes = bytes.to_vec();
            let what = PassedKind::Datagram { hand_over, remote, bytes, received: now };
            self.passed.push_back(Passed { from: index, to: hand_over.to, what });
        }
        self.hear(index);
    }

    /// What was [passed](Self::passed) comes to the shard that it is for. One that never was made has nobody for it.
    pub fn handle_passed(&mut self, passed: Passed) {
        let Passed { from, to, what } = passed;
        let now = self.now;
        let Some(shard) = self.shards.get_mut(usize::from(to)).and_then(Option::as_mut) else { return };
        match what {
            PassedKind::Piped { end, kind, bytes, at } => {
                let piped = Piped { to: end.key, kind, bytes: &bytes, passed: at };
                shard.sfu.handle_piped(now, piped, &mut shard.out);
            }
            PassedKind::Datagram { hand_over, remote, mut bytes, received } => {
                let HandOver { socket, is_known, .. } = hand_over;
                let handed = HandedOver { from, socket, is_known, remote, bytes: &mut bytes, received };
                shard.sfu.handle_handed_over(now, handed, &mut shard.sockets, &mut shard.out);
            }
            PassedKind::Word(word) => shard.sfu.handle_word(from, &word),
        }
        self.hear(to);
    }

    /// When to call [`handle_timeouts`](Self::handle_timeouts) next.
    pub fn next_timeout(&self) -> Option<Time> {
        self.shards.iter().flatten().filter_map(|shard| shard.sfu.next_timeout()).min()
    }

    /// Every shard whose timers are due by now has its turn.
    pub fn handle_timeouts(&mut self) {
        let now = self.now;
        for index in 0..self.shards.len() {
            let Some(shard) = &mut self.shards[index] else { continue };
            if shard.sfu.next_timeout().is_some_and(|timeout| timeout <= now) {
                shard.sfu.handle_timeout(now, &mut shard.sockets, &mut shard.out);
                self.hear(u16::try_from(index).expect("shards are counted by 16 bits"));
            }
        }
    }

    /// What handshakes have to do between two flushes: there is time for all of it.
    pub fn advance_handshakes(&mut self) {
        let now = self.now;
        for index in 0..u16::try_from(self.shards.len()).expect("shards are counted by 16 bits") {
            while let Some(shard) = &mut self.shards[usize::from(index)]
                && shard.sfu.has_handshake_work()
            {
                shard.sfu.advance_handshake(now, &mut shard.out);
                self.hear(index);
            }
        }
    }

    fn hear(&mut self, index: u16) {
        let effects = self.tell(index, None);
        self.settle(effects);
    }

    /// Carries out effects and what follows from them.
    fn settle(&mut self, effects: Vec<Effect>) {
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Command { shard, token, command } => {
                    queue.extend(self.command(shard.0, token, command));
                }
                Effect::OpenWebRtcServer { shard, token, server, listen_infos } => {
                    queue.extend(self.open_server(shard.0, token, server, listen_infos));
                }
                Effect::JoinWebRtcServer { shard, token, join } => {
                    queue.extend(self.join_server(shard.0, token, join));
                }
                Effect::Respond(response) => self.told.push(Told::Response(response)),
                Effect::MeasureUsage { request_id } => {
                    let result = Ok(ResponseBody::ResourceUsage(Box::default()));
                    self.told.push(Told::Response(Response { id: request_id, result }));
                }
                Effect::Notify(event) => self.told.push(Told::Event(event)),
                Effect::Log(text) => self.told.push(Told::Log(text)),
                Effect::Close => self.told.push(Told::Closes),
            }
        }
    }

    fn command(&mut self, index: u16, token: u64, command: Command) -> Vec<Effect> {
        let now = self.now;
        let shard = self.made(index);
        let result = shard.sfu.handle_command(now, command, &mut shard.sockets, &mut shard.out);
        self.tell(index, Some((token, result)))
    }

    /// As the control thread binds a server's sockets and the runtime hands them to a shard.
    fn open_server(&mut self, index: u16, token: u64, server: Name, infos: Vec<ListenInfo>) -> Vec<Effect> {
        let now = self.now;
        let shard = self.made(index);
        let rtc_ports = shard.rtc_ports;
        let mut bound: Vec<BoundSocket> = Vec::new();
        let result = infos.iter().try_for_each(|info| {
            bound.push(shard.sockets.listen(&listen::request(info, rtc_ports)?)?);
            Ok::<(), CommandError>(())
        });
        let protocols: Vec<_> = infos.iter().map(|info| info.protocol).collect();
        let result = result.and_then(|()| {
            let locals = bound.iter().map(|socket| socket.local).collect();
            self.controller.handle_bound(server.clone(), infos, locals);
            let listeners = protocols.into_iter().zip(&bound);
            let listeners = listeners.map(|(protocol, &BoundSocket { id, local })| ServerListener {
                protocol,
                local,
                socket: Some(id),
            });
            let opening = opening(ServerKey(token), listeners.collect(), index, Vec::new());
            let command = Command::OpenWebRtcServer { server, opening };
            let shard = self.made(index);
            shard.sfu.handle_command(now, command, &mut shard.sockets, &mut shard.out)
        });
        if result.is_err() {
            let shard = self.made(index);
            bound.iter().for_each(|socket| shard.sockets.close(socket.id));
        }
        self.tell(index, Some((token, result)))
    }

    /// The same for a further shard.
    fn join_server(&mut self, index: u16, token: u64, join: Join) -> Vec<Effect> {
        let Join { server, key, listening, readers } = join;
        let now = self.now;
        let shard = self.made(index);
        let rtc_ports = shard.rtc_ports;
        let mut bound: Vec<SocketId> = Vec::new();
        let listeners = listening.into_iter().map(|Listening { info, local }| {
            let protocol = info.protocol;
            let own = ListenInfo { port: local.port(), ..info };
            let socket = match protocol {
                Protocol::Udp => Some(shard.sockets.listen(&listen::request(&own, rtc_ports)?)?.id),
                Protocol::Tcp => None,
            };
            bound.extend(socket);
            Ok(ServerListener { protocol, local, socket })
        });
        let listeners: Result<Vec<_>, CommandError> = listeners.collect();
        let result = listeners.and_then(|listeners| {
            let opening = opening(key, listeners, index, readers);
            let command = Command::OpenWebRtcServer { server, opening };
            shard.sfu.handle_command(now, command, &mut shard.sockets, &mut shard.out)
        });
        if result.is_err() {
            bound.iter().for_each(|socket| shard.sockets.close(*socket));
        }
        self.tell(index, Some((token, result)))
    }

    /// Passes on what a shard has to say, the reply in its place among the events.
    fn tell(&mut self, index: u16, reply: Option<(u64, Result<Reply, CommandError>)>) -> Vec<Effect> {
        self.flush(index);
        let Some(shard) = &mut self.shards[usize::from(index)] else { return Vec::new() };
        let reply_at = shard.out.take_reply_at();
        let mut events = std::mem::take(&mut shard.out.events).into_iter();
        let mut effects = Vec::new();
        for event in events.by_ref().take(if reply.is_some() { reply_at } else { usize::MAX }) {
            self.controller.handle_event(event, &mut effects);
        }
        if let Some((token, result)) = reply {
            self.controller.handle_reply(token, result, &mut effects);
        }
        for event in events {
            self.controller.handle_event(event, &mut effects);
        }
        effects
    }

    fn flush(&mut self, from: u16) {
        let now = self.now;
        let Some(Shard { sfu, out, sockets, .. }) = &mut self.shards[usize::from(from)] else { return };
        for &destination in out.destinations() {
            for (head, tail) in out.datagrams(destination.lane) {
                match destination.route {
                    Route::Socket { socket, remote } => sockets.carry(socket, remote, head, tail),
                    Route::Pipe { end, kind } => {
                        let what = PassedKind::Piped { end, kind, bytes: [head, tail].concat(), at: now };
                        self.passed.push_back(Passed { from, to: end.shard, what });
                    }
                }
            }
        }
        out.clear_datagrams();
        for (to, word) in out.words.drain(..) {
            self.passed.push_back(Passed { from, to, what: PassedKind::Word(word) });
        }
        sfu.handle_flushed(now, out);
    }
}

fn opening(
    key: ServerKey,
    listeners: Vec<ServerListener>,
    here: u16,
    readers: Vec<u16>,
) -> Box<ServerOpening> {
    Box::new(ServerOpening { key, listeners, sealer: Sealer::new([1; 16]), here, readers })
}
