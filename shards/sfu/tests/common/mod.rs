//! A shard in a test: fake sockets, a virtual clock, and everything it says kept for reading.

#![allow(dead_code, reason = "every test binary uses a part of it")]

pub(crate) mod bridge;
pub(crate) mod browser;
pub(crate) mod checks;
pub(crate) mod cluster;
pub(crate) mod data;
pub(crate) mod dtls;
pub(crate) mod packets;
pub(crate) mod parameters;
pub(crate) mod simulcast;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ringsoup_rtc::dtls::Connector;
use ringsoup_rtc::ice::CandidateProtocol;
use ringsoup_rtc::rtp::{RtpPacket, is_rtcp};
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{
    Command, CommandError, Consume, ConsumerCommand, PlainConnect, PlainTransportOptions, Produce,
    ProducerCommand, TransportCommand,
};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;
use ringsoup_sfu::outbox::{Outbox, Route};
use ringsoup_sfu::piped::{PipeEnd, PipedKind};
use ringsoup_sfu::reply::{PlainTransportDump, RecvStats, Reply, SendStats, ShardReport};
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::served::Word;
use ringsoup_sfu::sfu::{Datagram, Sfu, SfuConfig};
use ringsoup_sfu::sockets::{BindError, BoundSocket, PortChoice, SocketId, Sockets, TcpListen, UdpBind};

pub(crate) const ROUTER: &str = "router";
/// 2026-01-01, so that NTP times are of this era.
pub(crate) const UNIX_ORIGIN_US: u64 = 1_767_225_600_000_000;
/// First port of the worker's range here.
pub(crate) const PORT_MIN: u16 = 40_000;
pub(crate) const PORT_MAX: u16 = 49_999;

/// Sockets that only remember what was asked of them. Ids are given again, as the runtime does.
#[derive(Debug, Default)]
pub(crate) struct FakeSockets {
    slots: Vec<Option<FakeSocket>>,
    /// What closing transports sent, with where it went.
    pub(crate) last_words: Vec<(SocketAddr, Vec<u8>)>,
    /// Where sockets carry what a shard sends by themselves: from, to, and what.
    pub(crate) left: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// A port is not given again while there are others: what is under way to it must not reach a successor.
    pub(crate) spares_ports: bool,
    ports_given: u16,
}

#[derive(Debug, Clone, Copy)]
struct FakeSocket {
    protocol: &'static str,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    is_kept: bool,
}

impl FakeSockets {
    pub(crate) fn open_count(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    pub(crate) fn is_open(&self, id: SocketId) -> bool {
        self.socket(id).is_some()
    }

    /// Whether the runtime was told to keep this connection.
    pub(crate) fn is_kept(&self, connection: SocketId) -> bool {
        self.socket(connection).is_some_and(|socket| socket.is_kept)
    }

    pub(crate) fn listener_of(&self, protocol: CandidateProtocol, local: SocketAddr) -> Option<SocketId> {
        let protocol = if protocol == CandidateProtocol::Udp { "udp" } else { "tcp" };
        let is_it = |socket: FakeSocket| (socket.protocol, socket.local) == (protocol, local);
        let index = self.slots.iter().position(|slot| slot.is_some_and(is_it))?;
        u32::try_from(index).ok().map(SocketId)
    }

    pub(crate) fn local_of(&self, id: SocketId) -> SocketAddr {
        self.socket(id).expect("open").local
    }

    pub(crate) fn id_of(&self, local: SocketAddr) -> Option<SocketId> {
        let is_it = |socket: FakeSocket| (socket.protocol, socket.local) == ("udp", local);
        let index = self.slots.iter().position(|slot| slot.is_some_and(is_it))?;
        u32::try_from(index).ok().map(SocketId)
    }

    /// From where to where a datagram goes.
    pub(crate) fn way(&self, id: SocketId, remote: Option<SocketAddr>) -> (SocketAddr, SocketAddr) {
        let socket = self.socket(id).expect("datagrams leave by open sockets");
        (socket.local, remote.or(socket.peer).expect("a destination"))
    }

    fn socket(&self, id: SocketId) -> Option<FakeSocket> {
        self.slots.get(id.0 as usize).copied().flatten()
    }

    fn is_taken(&self, protocol: &str, local: SocketAddr) -> bool {
        self.slots.iter().flatten().any(|socket| (socket.protocol, socket.local) == (protocol, local))
    }

    fn free_port(&self, protocol: &'static str, ip: IpAddr, port: PortChoice) -> Result<u16, BindError> {
        let is_free = |port: &u16| !self.is_taken(protocol, SocketAddr::new(ip, *port));
        match port {
            PortChoice::Fixed(port) if is_free(&port) => Ok(port),
            PortChoice::Fixed(port) => {
                Err(BindError::Fixed { call: "bind", protocol, ip, port, cause: "address in use".into() })
            }
            PortChoice::Range { min, max } => {
                let attempts = u32::from(max - min) + 1;
                let spared = if self.spares_ports { self.ports_given.min(max - min) } else { 0 };
                (min + spared..=max).chain(min..min + spared).find(is_free).ok_or(BindError::NoMorePorts {
                    protocol,
                    ip,
                    attempts,
                })
            }
        }
    }

    fn open(
        &mut self,
        protocol: &'static str,
        ip: IpAddr,
        port: PortChoice,
    ) -> Result<BoundSocket, BindError> {
        let local = SocketAddr::new(ip, self.free_port(protocol, ip, port)?);
        self.ports_given += 1;
        Ok(BoundSocket { id: self.add(FakeSocket { protocol, local, peer: None, is_kept: false }), local })
    }

    fn add(&mut self, socket: FakeSocket) -> SocketId {
        let index = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(socket);
        SocketId(u32::try_from(index).expect("few sockets"))
    }
}

impl Sockets for FakeSockets {
    fn bind_udp(&mut self, request: &UdpBind) -> Result<BoundSocket, BindError> {
        self.open("udp", request.ip, request.port)
    }

    fn listen_tcp(&mut self, request: &TcpListen) -> Result<BoundSocket, BindError> {
        self.open("tcp", request.ip, request.port)
    }

    fn connect(&mut self, socket: SocketId, remote: SocketAddr) -> bool {
        let slot = self.slots[socket.0 as usize].as_mut().expect("connected while open");
        slot.peer = Some(remote);
        true
    }

    fn keep(&mut self, connection: SocketId) {
        let slot = self.slots[connection.0 as usize].as_mut().expect("kept while open");
        assert!(slot.peer.is_some(), "only a connection is kept");
        slot.is_kept = true;
    }

    fn send_last(&mut self, socket: SocketId, remote: Option<SocketAddr>, bytes: &[u8]) {
        let peer = self.slots[socket.0 as usize].expect("still open").peer;
        self.last_words.push((remote.or(peer).expect("a destination"), bytes.to_vec()));
    }

    fn close(&mut self, socket: SocketId) {
        assert!(self.slots[socket.0 as usize].take().is_some(), "closed twice");
    }
}

/// A datagram as it left.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Time,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn is_rtcp(&self) -> bool {
        is_rtcp(&self.bytes)
    }

    pub(crate) fn rtp(&self) -> RtpPacket<'_> {
        RtpPacket::parse(&self.bytes).expect("well-formed RTP leaves")
    }
}

/// What was given to another end of a pipe in this process.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) end: PipeEnd,
    pub(crate) kind: PipedKind,
    pub(crate) bytes: Vec<u8>,
}

/// A connected plain transport and the address behind it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) socket: SocketId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

pub(crate) struct World {
    pub(crate) sfu: Sfu,
    pub(crate) sockets: FakeSockets,
    pub(crate) out: Outbox,
    pub(crate) now: Time,
    pub(crate) sent: Vec<Sent>,
    /// For pipes of this process.
    pub(crate) passed: Vec<Passed>,
    /// For other shards.
    pub(crate) words: Vec<(u16, Word)>,
    pub(crate) events: Vec<Event>,
    /// The runtime has no time for handshakes.
    pub(crate) is_busy: bool,
    next_remote: u16,
}

pub(crate) fn remote(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port)
}

impl World {
    /// A shard with one router.
    pub(crate) fn new() -> Self {
        Self::with_seed(1)
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        Self::with(seed, Arc::clone(&dtls::identity().connector), Rules::NEWEST)
    }

    /// For another controller than the newest.
    pub(crate) fn with_rules(rules: Rules) -> Self {
        Self::with(1, Arc::clone(&dtls::identity().connector), rules)
    }

    /// Handshakes are the connector's, whatever certificate the shard tells of.
    pub(crate) fn with(seed: u64, connector: Arc<dyn Connector>, rules: Rules) -> Self {
        let config = SfuConfig {
            seed,
            unix_origin_us: UNIX_ORIGIN_US,
            rtc_ports: (PORT_MIN, PORT_MAX),
            certificate: Arc::clone(&dtls::identity().certificate),
            dtls: connector,
            rules,
        };
        let mut fill = 0_u8;
        let key_source = move |key: &mut [u8]| {
            fill = fill.wrapping_add(1);
            key.fill(fill);
        };
        let mut world = Self {
            sfu: Sfu::new(config, Box::new(key_source)),
            sockets: FakeSockets::default(),
            out: Outbox::default(),
            now: Time::from_millis(1_000),
            sent: Vec::new(),
            passed: Vec::new(),
            words: Vec::new(),
            events: Vec::new(),
            is_busy: false,
            next_remote: 10_000,
        };
        world.command(Command::CreateRouter { router: ROUTER.into() });
        world
    }

    pub(crate) fn try_command(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.sfu.handle_command(self.now, command, &mut self.sockets, &mut self.out)
    }

    pub(crate) fn command(&mut self, command: Command) -> Reply {
        self.try_command(command).expect("accepted")
    }

    pub(crate) fn try_transport(
        &mut self,
        transport: &str,
        command: TransportCommand,
    ) -> Result<Reply, CommandError> {
        self.try_command(Command::Transport { transport: transport.into(), command })
    }

    pub(crate) fn transport(&mut self, transport: &str, command: TransportCommand) -> Reply {
        self.try_transport(transport, command).expect("accepted")
    }

    pub(crate) fn producer(&mut self, producer: &str, command: ProducerCommand) -> Reply {
        self.command(Command::Producer { producer: producer.into(), command })
    }

    pub(crate) fn consumer(&mut self, consumer: &str, command: ConsumerCommand) -> Reply {
        self.command(Command::Consumer { consumer: consumer.into(), command })
    }

    /// Creates a plain transport and returns what it says of itself.
    pub(crate) fn create_plain(
        &mut self,
        transport: &str,
        options: PlainTransportOptions,
    ) -> Result<PlainTransportDump, CommandError> {
        let options = Box::new(options);
        let (router, transport) = (ROUTER.into(), transport.into());
        match self.try_command(Command::CreatePlainTransport { router, transport, options })? {
            Reply::PlainTransportDump(dump) => Ok(*dump),
            other => panic!("not a dump: {other:?}"),
        }
    }

    pub(crate) fn socket_of(&self, port: u16) -> SocketId {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.sockets.id_of(SocketAddr::new(ip, port)).expect("a bound port")
    }

    /// A plain transport connected to an address of its own.
    pub(crate) fn plain(&mut self, transport: &str) -> Peer {
        let dump = self.create_plain(transport, parameters::plain()).expect("created");
        self.next_remote += 1;
        let remote = remote(self.next_remote);
        let request = parameters::connect_to(remote);
        self.transport(transport, TransportCommand::ConnectPlain(request));
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), dump.tuple.local_port);
        Peer { name: transport.into(), socket: self.socket_of(local.port()), local, remote }
    }

    pub(crate) fn connect(
        &mut self,
        transport: &str,
        request: PlainConnect,
    ) -> Result<ringsoup_sfu::reply::PlainConnected, CommandError> {
        match self.try_transport(transport, TransportCommand::ConnectPlain(request))? {
            Reply::PlainConnect(connected) => Ok(*connected),
            other => panic!("not an answer to connect: {other:?}"),
        }
    }

    pub(crate) fn direct(&mut self, transport: &str) {
        let (router, transport) = (ROUTER.into(), transport.into());
        let options = parameters::transport_options(true);
        self.command(Command::CreateDirectTransport { router, transport, options });
    }

    pub(crate) fn produce(&mut self, transport: &str, request: Produce) -> Reply {
        self.transport(transport, TransportCommand::Produce(Box::new(request)))
    }

    pub(crate) fn consume(&mut self, transport: &str, request: Consume) -> Reply {
        self.transport(transport, TransportCommand::Consume(Box::new(request)))
    }

    pub(crate) fn close_transport(&mut self, transport: &str) {
        self.command(Command::CloseTransport { router: ROUTER.into(), transport: transport.into() });
    }

    /// A datagram, handled but not flushed.
    pub(crate) fn receive_unflushed(&mut self, socket: SocketId, remote: SocketAddr, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let datagram = Datagram { socket, remote, bytes: &mut bytes, received: self.now };
        self.sfu.handle_datagram(self.now, datagram, &mut self.sockets, &mut self.out);
    }

    /// A connection to a listener, as the runtime hands it over.
    pub(crate) fn accept(&mut self, listener: SocketId, remote: SocketAddr) -> SocketId {
        let local = self.sockets.socket(listener).expect("listening").local;
        let connection = self.sockets.add(FakeSocket {
            protocol: "connection",
            local,
            peer: Some(remote),
            is_kept: false,
        });
        self.sfu.handle_accepted(self.now, listener, connection, remote, &mut self.sockets, &mut self.out);
        connection
    }

    /// The connection ends: by its peer, or by the runtime's rules.
    pub(crate) fn hang_up(&mut self, connection: SocketId) {
        self.sfu.handle_hung_up(self.now, connection, &mut self.sockets, &mut self.out);
        self.sockets.close(connection);
        self.flush();
    }

    pub(crate) fn receive(&mut self, socket: SocketId, remote: SocketAddr, bytes: &[u8]) {
        self.receive_unflushed(socket, remote, bytes);
        self.flush();
    }

    /// A datagram from a peer's own address.
    pub(crate) fn from(&mut self, peer: &Peer, bytes: &[u8]) {
        self.receive(peer.socket, peer.remote, bytes);
    }

    /// What the runtime does after a batch. For handshakes there is always time here.
    pub(crate) fn flush(&mut self) {
        self.submit();
        while self.sfu.has_handshake_work() && !self.is_busy {
            self.advance_handshake();
        }
    }

    /// One piece of a handshake.
    pub(crate) fn advance_handshake(&mut self) {
        self.sfu.advance_handshake(self.now, &mut self.out);
        self.submit();
    }

    fn submit(&mut self) {
        for &destination in self.out.destinations() {
            for (head, tail) in self.out.datagrams(destination.lane) {
                let bytes = [head, tail].concat();
                let (socket, remote) = match destination.route {
                    Route::Socket { socket, remote } => (socket, remote),
                    Route::Pipe { end, kind } => {
                        self.passed.push(Passed { end, kind, bytes });
                        continue;
                    }
                };
                let (local, remote) = self.sockets.way(socket, remote);
                self.sent.push(Sent { at: self.now, local, remote, bytes });
            }
        }
        self.out.clear_datagrams();
        self.words.append(&mut self.out.words);
        self.sfu.handle_flushed(self.now, &mut self.out);
        // Log lines are for people; what they report is counted elsewhere.
        let told = self.out.events.drain(..).filter(|event| !matches!(event, Event::Log(_)));
        self.events.extend(told);
    }

    /// Lets time pass, timers included.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.sfu.next_timeout().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.sfu.handle_timeout(self.now, &mut self.sockets, &mut self.out);
            self.flush();
        }
        self.now = end;
    }

    pub(crate) fn advance_ms(&mut self, millis: u64) {
        self.advance(Duration::from_millis(millis));
    }

    /// Everything sent since the last call.
    pub(crate) fn take_sent(&mut self) -> Vec<Sent> {
        self.flush();
        std::mem::take(&mut self.sent)
    }

    /// RTP sent to a peer since the last call; everything else is forgotten.
    pub(crate) fn take_rtp(&mut self, peer: &Peer) -> Vec<Sent> {
        let sent = self.take_sent().into_iter();
        sent.filter(|sent| sent.remote == peer.remote && !sent.is_rtcp()).collect()
    }

    /// RTCP sent to a peer since the last call; everything else is forgotten.
    pub(crate) fn take_rtcp(&mut self, peer: &Peer) -> Vec<Sent> {
        let sent = self.take_sent().into_iter();
        sent.filter(|sent| sent.remote == peer.remote && sent.is_rtcp()).collect()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.flush();
        std::mem::take(&mut self.events)
    }

    pub(crate) fn report(&mut self) -> ShardReport {
        match self.command(Command::ReportShard) {
            Reply::ShardReport(report) => *report,
            other => panic!("not a report: {other:?}"),
        }
    }

    /// What the shard says it holds under this name.
    pub(crate) fn held(&mut self, name: &str) -> u64 {
        let report = self.report();
        report.io.iter().find(|(known, _)| *known == name).expect("held").1
    }

    pub(crate) fn dropped(&mut self, reason: DropReason) -> u64 {
        let report = self.report();
        let found = report.dropped.iter().find(|(name, _)| *name == reason.as_str());
        found.map_or(0, |(_, count)| *count)
    }

    /// `received = forwarded + consumed + dropped`.
    pub(crate) fn assert_accounted(&mut self) {
        let report = self.report();
        let dropped: u64 = report.dropped.iter().map(|(_, count)| count).sum();
        let accounted = report.forwarded_packets + report.consumed_packets + dropped;
        assert_eq!(report.received_packets, accounted, "{report:?}");
    }

    pub(crate) fn producer_stats(&mut self, producer: &str) -> Vec<RecvStats> {
        match self.producer(producer, ProducerCommand::Stats) {
            Reply::ProducerStats(stats) => stats,
            other => panic!("not stats: {other:?}"),
        }
    }

    pub(crate) fn consumer_stats(&mut self, consumer: &str) -> SendStats {
        match self.consumer(consumer, ConsumerCommand::Stats) {
            Reply::ConsumerStats(stats) => stats.sent[0].clone(),
            other => panic!("not stats: {other:?}"),
        }
    }
}
