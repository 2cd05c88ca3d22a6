//! The shard's only entries.

use std::net::SocketAddr;
use std::sync::Arc;

use ringsoup_rtc::dtls::{self, Certificate};
use ringsoup_rtc::ice;
use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::Compound;
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::sctp;
use ringsoup_rtc::time::Time;

use crate::command::{Command, CommandError};
use crate::consumer::Consumer;
use crate::data::data_consumer::DataConsumer;
use crate::data::data_producer::DataProducer;
use crate::demux::{Protocol, SocketOwners, protocol_of};
use crate::drop_log::DropLog;
use crate::drop_reason::DropReason;
use crate::event::Event;
use crate::handlers::LayerNews;
use crate::handshakes::Handshakes;
use crate::map::Map;
use crate::name::Name;
use crate::observer::Observer;
use crate::outbox::{LaneAllocator, Outbox};
use crate::piped::{PipeKey, Piped, PipedKind};
use crate::producer::Producer;
use crate::random::Random;
use crate::reply::{Reply, ShardReport};
use crate::resends::ResendCounters;
use crate::router::Router;
use crate::rules::Rules;
use crate::served::{HandOver, Served};
use crate::sockets::{SocketId, Sockets};
use crate::stats::{Latency, Outcome, ShardCounters};
use crate::table::{Id, Table};
use crate::timers::{Timer, Timers};
use crate::transport::flow::Origin;
use crate::transport::webrtc::Tuple;
use crate::transport::webrtc_server::WebRtcServer;
use crate::transport::{Transport, TransportKind};

/// What a shard is told once.
#[derive(Debug, Clone)]
pub struct SfuConfig {
    /// Seeds SSRCs, sequence numbers and port choice. The runtime takes it from the kernel, a simulation from its seed.
    pub seed: u64,
    /// Wall clock at [`Time::ZERO`], microseconds since 1970: NTP timestamps are this plus the monotonic
    /// time, so that a stepped clock never disturbs a running stream.
    pub unix_origin_us: u64,
    /// The worker's own port range, inclusive.
    pub rtc_ports: (u16, u16),
    /// The same on all shards: a peer may be told its fingerprint by one and meet another.
    pub certificate: Arc<Certificate>,
    /// Shows that certificate in handshakes.
    pub dtls: Arc<dyn dtls::Connector>,
    /// What the controller expects of media.
    pub rules: Rules,
}

/// A received datagram. The buffer is decrypted in place.
#[derive(Debug)]
pub struct Datagram<'a> {
    pub socket: SocketId,
    pub remote: SocketAddr,
    pub bytes: &'a mut [u8],
    /// When the kernel took it in.
    pub received: Time,
}

/// What brought a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameBy {
    Socket(SocketId),
    Pipe(PipeKey),
    /// Another shard, which reads a WebRTC server's port.
    Server,
    /// Nothing now: it came before, and waited for its handshake's turn.
    Handshake,
}

/// Fills a buffer with key material. A field of [`Sfu`] because a simulation must be able to repeat it.
pub type KeySource = Box<dyn FnMut(&mut [u8]) + Send>;

/// What a name stands for on this shard.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entity {
    Router(Id<Router>),
    Transport(Id<Transport>),
    Producer(Id<Producer>),
    Consumer(Id<Consumer>),
    Observer(Id<Observer>),
    DataProducer(Id<DataProducer>),
    DataConsumer(Id<DataConsumer>),
    WebRtcServer(Id<WebRtcServer>),
}

/// One shard.
pub struct Sfu {
    pub(crate) config: SfuConfig,
    pub(crate) random: Random,
    pub(crate) key_source: KeySource,
    pub(crate) names: Map<Name, Entity>,
    pub(crate) routers: Table<Router>,
    pub(crate) transports: Table<Transport>,
    pub(crate) producers: Table<Producer>,
    pub(crate) consumers: Table<Consumer>,
    pub(crate) observers: Table<Observer>,
    pub(crate) data_producers: Table<DataProducer>,
    pub(crate) data_consumers: Table<DataConsumer>,
    pub(crate) webrtc_servers: Table<WebRtcServer>,
    pub(crate) served: Served,
    pub(crate) socket_owners: SocketOwners,
    pub(crate) pipes: Map<PipeKey, Id<Transport>>,
    pub(crate) lanes: LaneAllocator,
    pub(crate) timers: Timers,
    pub(crate) next_packet_id: u32,
    /// What the packet that is being forwarded changed for its receivers.
    pub(crate) layer_news: Vec<(Id<Consumer>, LayerNews)>,
    /// Whose run began with the packet that is handled, by their place among the producer's egresses.
    pub(crate) begun: Vec<usize>,
    /// What an ICE agent told, until it is acted upon.
    pub(crate) ice_events: Vec<ice::Event<Tuple>>,
    /// What a DTLS connection wants done, until it is.
    pub(crate) dtls_output: dtls::Output,
    pub(crate) handshakes: Handshakes,
    pub(crate) resends: ResendCounters,
    counters: ShardCounters,
    drop_log: DropLog,
    latency: Box<Latency>,
    due: Vec<Timer>,
}

/// A transport is not given to whoever sends noise first.
fn check_first_packet(protocol: Protocol, bytes: &[u8]) -> Result<(), DropReason> {
    match protocol {
        Protocol::Rtp => RtpPacket::parse(bytes).map(drop).map_err(|_| DropReason::MalformedRtp),
        Protocol::Rtcp if Compound::new(bytes).any(|packet| packet.is_ok()) => Ok(()),
        Protocol::Rtcp => Err(DropReason::MalformedRtcp),
    }
}

impl std::fmt::Debug for Sfu {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sfu")
            .field("routers", &self.routers.len())
            .field("transports", &self.transports.len())
            .field("producers", &self.producers.len())
            .field("consumers", &self.consumers.len())
            .finish_non_exhaustive()
    }
}

impl Sfu {
    /// `key_source` must be cryptographically strong outside of simulations.
    #[allow(clippy::cast_possible_truncation, reason = "31 bits are left")]
    pub fn new(config: SfuConfig, key_source: KeySource) -> Self {
        let mut random = Random::new(config.seed);
        // Other shards and workers number packets too; a random beginning tells them apart.
        let next_packet_id = (random.next_u64() >> 33) as u32;
        Self {
            random,
            config,
            key_source,
            names: Map::default(),
            routers: Table::default(),
            transports: Table::default(),
            producers: Table::default(),
            consumers: Table::default(),
            observers: Table::default(),
            data_producers: Table::default(),
            data_consumers: Table::default(),
            webrtc_servers: Table::default(),
            served: Served::default(),
            socket_owners: SocketOwners::default(),
            pipes: Map::default(),
            lanes: LaneAllocator::default(),
            timers: Timers::default(),
            next_packet_id,
            layer_news: Vec::new(),
            begun: Vec::new(),
            ice_events: Vec::new(),
            dtls_output: dtls::Output::default(),
            handshakes: Handshakes::default(),
            resends: ResendCounters::default(),
            counters: ShardCounters::default(),
            drop_log: DropLog::default(),
            latency: Box::default(),
            due: Vec::new(),
        }
    }

    /// # Errors
    /// The command's own; the shard is as before it.
    pub fn handle_command(
        &mut self,
        now: Time,
        command: Command,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        out.begin_command();
        match command {
            Command::ReportShard => Ok(Reply::ShardReport(Box::new(self.report()))),
            Command::CreateRouter { router } => self.create_router(router),
            Command::CloseRouter { router } => self.close_router(&router, sockets, out),
            Command::DumpRouter { router } => self.dump_router(&router),
            Command::CreatePlainTransport { router, transport, options } => {
                self.create_plain_transport(now, &router, transport, &options, sockets)
            }
            Command::CreatePipeTransport { router, transport, key, options } => {
                self.create_pipe_transport(now, &router, transport, key, &options, sockets)
            }
            Command::CreateDirectTransport { router, transport, options } => {
                self.create_direct_transport(now, &router, transport, &options)
            }
            Command::CreateWebRtcTransport { router, transport, options } => {
                self.create_webrtc_transport(now, &router, transport, *options, sockets, out)
            }
            Command::OpenWebRtcServer { server, opening } => self.open_webrtc_server(server, *opening),
            Command::SetServerReader { server, shard, reads } => {
                Ok(self.set_server_reader(server, shard, reads, out))
            }
            Command::ReportWebRtcServer { server } => Ok(self.report_webrtc_server(&server)),
            Command::CloseWebRtcServer { server } => Ok(self.close_webrtc_server(&server, sockets, out)),
            Command::CloseTransport { router, transport } => {
                self.close_transport_of(&router, &transport, sockets, out)
            }
            Command::CreateActiveSpeakerObserver { router, observer, options } => {
                self.create_active_speaker_observer(now, &router, observer, options)
            }
            Command::CreateAudioLevelObserver { router, observer, options } => {
                self.create_audio_level_observer(now, &router, observer, &options)
            }
            Command::CloseObserver { router, observer } => self.close_observer_of(&router, &observer),
            Command::Transport { transport, command } => {
                self.handle_transport_command(now, &transport, command, sockets, out)
            }
            Command::Producer { producer, command } => {
                self.handle_producer_command(now, &producer, command, out)
            }
            Command::Consumer { consumer, command } => {
                self.handle_consumer_command(now, &consumer, command, out)
            }
            Command::Observer { observer, command } => {
                self.handle_observer_command(now, &observer, &command, out)
            }
            Command::DataProducer { data_producer, command } => {
                self.handle_data_producer_command(now, &data_producer, command, out)
            }
            Command::DataConsumer { data_consumer, command } => {
                self.handle_data_consumer_command(now, &data_consumer, command, out)
            }
        }
    }

    /// Every received datagram comes in here and is counted here, once; but one that is for another shard, which is said and
    /// counted there.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        datagram: Datagram<'_>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Option<HandOver> {
        let socket = datagram.socket;
        if let Some(server) = self.socket_owners.server(socket) {
            return self.handle_shared(now, server, datagram, sockets, out);
        }
        let result = self.receive_datagram(now, datagram, sockets, out);
        self.account(now, self.socket_owners.owner(socket), result, out);
        None
    }

    /// What another pipe transport of the process passed on comes in here, and is counted like a datagram.
    pub fn handle_piped(&mut self, now: Time, piped: Piped<'_>, out: &mut Outbox) {
        let transport = self.pipes.get(&piped.to).copied();
        let result = match transport {
            Some(transport) => self.receive_piped(now, transport, &piped, out),
            None => Err(DropReason::UnknownPipe),
        };
        self.account(now, transport, result, out);
    }

    fn receive_piped(
        &mut self,
        now: Time,
        id: Id<Transport>,
        piped: &Piped<'_>,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        let transport = &mut self.transports[id];
        transport.traffic.received.update(now, piped.bytes.len());
        // Its own connect() may still be on its way, as it may be before a datagram.
        if !transport.is_connected() {
            return Err(DropReason::NotConnected);
        }
        if piped.kind == PipedKind::Message {
            return self.receive_piped_message(now, id, piped.bytes, out);
        }
        match protocol_of(piped.bytes).ok_or(DropReason::UnknownProtocol)? {
            Protocol::Rtp => self.forward_rtp(now, id, piped.bytes, piped.passed, out),
            Protocol::Rtcp => self.handle_rtcp(now, id, piped.bytes, piped.passed, out),
        }
    }

    #[cold]
    fn log_drop(
        &mut self,
        now: Time,
        transport: Option<Id<Transport>>,
        reason: DropReason,
        out: &mut Outbox,
    ) {
        let Some(transport) = transport else { return };
        let line = self.drop_log.line(now, reason, &self.transports[transport].name);
        out.events.extend(line.map(Event::Log));
    }

    fn receive_datagram(
        &mut self,
        now: Time,
        datagram: Datagram<'_>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        let transport_id = self.socket_owners.owner(datagram.socket).ok_or(DropReason::UnknownSocket)?;
        let transport = &mut self.transports[transport_id];
        transport.traffic.received.update(now, datagram.bytes.len());
        if let TransportKind::WebRtc(_) = transport.kind {
            return self.receive_webrtc(now, transport_id, datagram, sockets, out);
        }
        let Some(protocol) = protocol_of(datagram.bytes) else {
            return Err(self.refuse_unspoken(now, transport_id, &datagram, sockets, out));
        };
        let origin = transport.origin(protocol, datagram.remote)?;
        let len = transport.unprotect(datagram.bytes, protocol == Protocol::Rtcp)?;
        let bytes = &datagram.bytes[..len];
        if origin == Origin::NewPeer {
            check_first_packet(protocol, bytes)?;
            self.learn_peer(now, transport_id, protocol, datagram.remote, sockets, out);
        }
        match protocol {
            Protocol::Rtp => self.forward_rtp(now, transport_id, bytes, datagram.received, out),
            Protocol::Rtcp => self.handle_rtcp(now, transport_id, bytes, datagram.received, out),
        }
    }

    /// What is neither RTP nor RTCP goes no further. Yet an SCTP packet shows who the peer of a comedia transport is.
    #[cold]
    fn refuse_unspoken(
        &mut self,
        now: Time,
        id: Id<Transport>,
        datagram: &Datagram<'_>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> DropReason {
        if !sctp::may_be_sctp(datagram.bytes) {
            return DropReason::UnknownProtocol;
        }
        let transport = &mut self.transports[id];
        if transport.association.is_some()
            && transport.origin(Protocol::Rtp, datagram.remote) == Ok(Origin::NewPeer)
            && sctp::is_sctp(datagram.bytes)
        {
            self.learn_peer(now, id, Protocol::Rtp, datagram.remote, sockets, out);
        }
        DropReason::Sctp
    }

    /// Called when [`next_timeout`](Self::next_timeout) has come.
    pub fn handle_timeout(&mut self, now: Time, sockets: &mut dyn Sockets, out: &mut Outbox) {
        self.timers.expire(now, &mut self.due);
        // One by one out of `self`: should one of them panic, the others are still there at the next call.
        while let Some(timer) = self.due.pop() {
            match timer {
                Timer::TransportRtcp(transport) => self.send_reports(now, transport, out),
                Timer::TransportFeedback(transport) => self.handle_feedback_timeout(now, transport, out),
                Timer::TransportIce(transport) => self.handle_ice_timeout(now, transport, sockets, out),
                Timer::TransportDtls(transport) => self.handle_dtls_timeout(now, transport, out),
                Timer::ProducerNack(producer, stream) => self.send_nacks(now, producer, stream.into(), out),
                Timer::ProducerKeyFrame(producer, stream) => {
                    self.handle_key_frame_timeout(now, producer, stream.into(), out);
                }
                Timer::ProducerInactivity(producer, stream) => {
                    self.check_inactivity(now, producer, stream.into(), out);
                }
                Timer::Observer(observer) => self.handle_observer_timeout(now, observer, out),
                Timer::ProducerLayers(producer, stream) => {
                    self.check_layers(now, producer, stream.into(), out);
                }
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while nothing waits.
    pub fn next_timeout(&self) -> Option<Time> {
        if !self.due.is_empty() {
            return Some(Time::ZERO);
        }
        self.timers.next_timeout()
    }

    /// Timers that wait; bounded by a few per stream and transport.
    pub fn timer_count(&self) -> usize {
        self.timers.count()
    }

    /// Records the latency of what was just submitted and forgets it.
    pub fn handle_flushed(&mut self, now: Time, out: &mut Outbox) {
        for forwarded in out.forwarded.drain(..) {
            self.latency.record(forwarded.received, now, forwarded.count);
            let router = self.routers.get_mut(forwarded.router);
            if let Some(latency) = router.and_then(|router| router.latency.as_mut()) {
                latency.record(forwarded.received, now, forwarded.count);
            }
        }
    }

    /// After a panic while a packet was handled: the state of the transport it came to cannot be trusted, so it is closed
    /// and reported; everything else goes on.
    pub fn handle_panic(&mut self, came_by: CameBy, sockets: &mut dyn Sockets, out: &mut Outbox) {
        if came_by != CameBy::Handshake {
            self.counters.count(Err(DropReason::Panicked));
        }
        // What was under way is not another transport's.
        self.ice_events.clear();
        self.dtls_output.clear();
        self.layer_news.clear();
        self.begun.clear();
        let transport = match came_by {
            CameBy::Socket(socket) => {
                self.socket_owners.owner(socket).or_else(|| self.served.under_way.take())
            }
            CameBy::Server => self.served.under_way.take(),
            CameBy::Pipe(key) => self.pipes.get(&key).copied(),
            CameBy::Handshake => self.handshakes.at_work.take(),
        };
        let Some(transport_id) = transport else { return };
        let transport = &self.transports[transport_id];
        let event = Event::TransportFailed {
            transport: transport.name.clone(),
            router: self.routers[transport.router].name.clone(),
        };
        self.close_transport(transport_id, sockets, out);
        out.events.push(event);
    }

    pub(crate) fn wall(&self, time: Time) -> NtpTime {
        NtpTime::from_unix_micros(self.config.unix_origin_us + time.as_micros())
    }

    /// Every packet is accounted for once, wherever it comes from.
    pub(crate) fn account(
        &mut self,
        now: Time,
        transport: Option<Id<Transport>>,
        result: Result<Outcome, DropReason>,
        out: &mut Outbox,
    ) {
        if let Err(reason) = result {
            self.log_drop(now, transport, reason, out);
        }
        self.counters.count(result);
    }

    fn report(&self) -> ShardReport {
        let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let dropped = self.counters.dropped.iter().filter(|&(_, count)| count > 0);
        ShardReport {
            routers: len(self.routers.len()),
            transports: len(self.transports.len()),
            producers: len(self.producers.len()),
            consumers: len(self.consumers.len()),
            received_packets: self.counters.received,
            forwarded_packets: self.counters.forwarded,
            consumed_packets: self.counters.consumed,
            sent_packets: self.counters.sent,
            dropped: dropped.map(|(reason, count)| (reason.as_str(), count)).collect(),
            latency: self.latency.report(),
            io: self.held().into_iter().chain(self.resends.named()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::decision::LayerChange;
    use crate::sockets::{BindError, BoundSocket, TcpListen, UdpBind};

    /// A shard without transports binds nothing.
    struct NoSockets;

    impl Sockets for NoSockets {
        fn bind_udp(&mut self, _: &UdpBind) -> Result<BoundSocket, BindError> {
            unreachable!()
        }

        fn listen_tcp(&mut self, _: &TcpListen) -> Result<BoundSocket, BindError> {
            unreachable!()
        }

        fn connect(&mut self, _: SocketId, _: SocketAddr) -> bool {
            unreachable!()
        }

        fn keep(&mut self, _: SocketId) {}

        fn send_last(&mut self, _: SocketId, _: Option<SocketAddr>, _: &[u8]) {}

        fn close(&mut self, _: SocketId) {}
    }

    fn shard() -> Sfu {
        let made = rcgen::generate_simple_self_signed([]).expect("a certificate");
        let certificate = Certificate::new(made.cert.der().to_vec(), made.signing_key.serialize_der());
        let connector = ringsoup_dtls::OpenSsl::new(&certificate).expect("OpenSSL takes it");
        let config = SfuConfig {
            seed: 1,
            unix_origin_us: 0,
            rtc_ports: (40_000, 40_001),
            certificate: Arc::new(certificate),
            dtls: Arc::new(connector),
            rules: Rules::NEWEST,
        };
        Sfu::new(config, Box::new(|key| key.fill(1)))
    }

    /// What a fan-out had noted when it broke off names places among its own producer's egresses: the next packet of another would
    /// read them, and its transport would be closed as well.
    #[test]
    fn what_a_panic_interrupted_is_not_the_next_packets() {
        let mut sfu = shard();
        sfu.begun.push(7);
        sfu.layer_news.push((Id::new(3), LayerNews::Changed(LayerChange::Switched)));
        sfu.handle_panic(CameBy::Socket(SocketId(0)), &mut NoSockets, &mut Outbox::default());
        assert!(sfu.begun.is_empty() && sfu.layer_news.is_empty());
    }
}
