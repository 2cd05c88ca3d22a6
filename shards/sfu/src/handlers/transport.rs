//! Commands of transports.

use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_rtc::time::Time;

use crate::command::{CommandError, SrtpParameters, TransportCommand, TransportOptions};
use crate::demux::SocketOwner;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::reply::{
    PipeTransportDump, PipeTransportStats, PlainTransportDump, PlainTransportStats, Reply, TransportDump,
};
use crate::router::Router;
use crate::sfu::{Entity, KeySource, Sfu};
use crate::sockets::Sockets;
use crate::table::Id;
use crate::transport::flow::Flow;
use crate::transport::traffic::MediaSent;
use crate::transport::{Transport, TransportKind};

use super::webrtc::webrtc_stats;

impl Sfu {
    pub(crate) fn check_new_transport(
        &self,
        router: &str,
        name: &str,
        options: &TransportOptions,
    ) -> Result<Id<Router>, CommandError> {
        let router = self.router(router)?;
        self.check_name_is_free(name)?;
        Transport::check_options(options)?;
        Ok(router)
    }

    pub(crate) fn insert_transport(&mut self, transport: Transport) -> Id<Transport> {
        let (name, router) = (transport.name.clone(), transport.router);
        let id = self.transports.insert(transport);
        self.names.insert(name, Entity::Transport(id));
        self.routers[router].transports.push(id);
        id
    }

    pub(crate) fn close_transport_of(
        &mut self,
        router: &str,
        name: &str,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let not_found = || CommandError::not_found("Transport not found [method:router.closeTransport]");
        let router = self.router(router)?;
        let id = self.transport(name).map_err(|_| not_found())?;
        if self.transports[id].router != router {
            return Err(not_found());
        }
        self.close_transport(id, sockets, out);
        Ok(Reply::Done)
    }

    /// Closes a transport with all that is on it. Consumers elsewhere are told when they lose their producer.
    pub(crate) fn close_transport(&mut self, id: Id<Transport>, sockets: &mut dyn Sockets, out: &mut Outbox) {
        for producer in self.transports[id].producers.clone() {
            self.close_producer(producer, out);
        }
        for consumer in self.transports[id].consumers.clone() {
            self.close_consumer(consumer);
        }
        for producer in self.transports[id].data_producers.clone() {
            self.close_data_producer(producer, out);
        }
        for consumer in self.transports[id].data_consumers.clone() {
            self.close_data_consumer(consumer);
        }
        let Some(mut transport) = self.transports.remove(id) else { return };
        self.close_dtls(id, &mut transport, sockets);
        self.names.remove(&transport.name);
        self.routers[transport.router].transports.retain(|&other| other != id);
        match &mut transport.kind {
            TransportKind::Plain(plain) => {
                self.socket_owners.remove(plain.rtp.socket());
                if let Some(rtcp) = &plain.rtcp {
                    self.socket_owners.remove(rtcp.socket());
                }
                plain.close(&mut self.lanes, sockets, out);
            }
            TransportKind::Pipe(pipe) => {
                self.socket_owners.remove(pipe.flow.socket());
                self.pipes.remove(&pipe.key);
                pipe.close(&mut self.lanes, sockets, out);
            }
            TransportKind::WebRtc(webrtc) => {
                self.close_connections(SocketOwner::Transport(id), sockets, out);
                self.leave_server(id, webrtc, out);
                // Of a server's connections, those of the peer.
                for (socket, _) in webrtc.ice.tuples() {
                    self.close_connection(socket, sockets, out);
                }
                webrtc.ways.clear(&mut self.lanes, out);
                for listener in webrtc.own_listeners() {
                    let socket = listener.socket.id;
                    out.forget_socket(socket);
                    self.socket_owners.remove(socket);
                    sockets.close(socket);
                }
            }
            TransportKind::Direct => {}
        }
    }

    pub(crate) fn handle_transport_command(
        &mut self,
        now: Time,
        name: &str,
        command: TransportCommand,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let id = self.transport(name)?;
        let transport = &mut self.transports[id];
        match command {
            TransportCommand::Dump => self.dump_transport(now, id),
            TransportCommand::Stats => Ok(self.transport_stats(now, id)),
            TransportCommand::ConnectPlain(request) => self.connect_plain(now, id, &request, sockets, out),
            TransportCommand::ConnectPipe(request) => self.connect_pipe(now, id, &request, sockets, out),
            TransportCommand::JoinPipe(end) => self.join_pipe(now, id, end, out),
            TransportCommand::ConnectWebRtc(request) => self.connect_webrtc(now, id, request, out),
            TransportCommand::RestartIce => self.restart_ice(now, id),
            TransportCommand::SetMaxIncomingBitrate(bitrate) => {
                transport.set_max_incoming_bitrate(bitrate)?;
                self.limit_incoming(now, id, bitrate, out);
                Ok(Reply::Done)
            }
            TransportCommand::SetMaxOutgoingBitrate(bitrate) => {
                transport.set_max_outgoing_bitrate(bitrate).map(|()| Reply::Done)
            }
            TransportCommand::SetMinOutgoingBitrate(bitrate) => {
                transport.set_min_outgoing_bitrate(bitrate).map(|()| Reply::Done)
            }
            TransportCommand::EnableTraceEvent(events) => {
                transport.trace_events = events;
                Ok(Reply::Done)
            }
            TransportCommand::Produce(request) => self.produce(id, *request),
            TransportCommand::Consume(request) => self.consume(now, id, *request, out),
            TransportCommand::CloseProducer { producer } => self.close_producer_of(id, &producer, out),
            TransportCommand::CloseConsumer { consumer } => self.close_consumer_of(id, &consumer),
            TransportCommand::ProduceData(request) => self.produce_data(id, *request, out),
            TransportCommand::ConsumeData(request) => self.consume_data(id, *request, out),
            TransportCommand::CloseDataProducer { data_producer } => {
                self.close_data_producer_of(id, &data_producer, out)
            }
            TransportCommand::CloseDataConsumer { data_consumer } => {
                self.close_data_consumer_of(id, &data_consumer)
            }
            TransportCommand::SendRtcp(data) => self.receive_application_rtcp(now, id, &data, out),
        }
    }

    pub(crate) fn transport(&self, name: &str) -> Result<Id<Transport>, CommandError> {
        match self.names.get(name) {
            Some(&Entity::Transport(id)) => Ok(id),
            _ => Err(CommandError::not_found(format!("Transport not found [transportId:{name}]"))),
        }
    }

    fn transport_stats(&mut self, now: Time, id: Id<Transport>) -> Reply {
        let media = self.media_sent(now, id);
        let transport = &self.transports[id];
        let base = transport.stats(now, media);
        match &transport.kind {
            TransportKind::Direct => Reply::DirectTransportStats(Box::new(base)),
            TransportKind::Pipe(pipe) => {
                Reply::PipeTransportStats(Box::new(PipeTransportStats { base, tuple: pipe.flow.tuple() }))
            }
            TransportKind::WebRtc(webrtc) => {
                Reply::WebRtcTransportStats(Box::new(webrtc_stats(base, webrtc, &self.socket_owners)))
            }
            TransportKind::Plain(plain) => Reply::PlainTransportStats(Box::new(PlainTransportStats {
                base,
                rtcp_mux: plain.rtcp_mux,
                comedia: plain.comedia,
                tuple: plain.rtp.tuple(),
                rtcp_tuple: plain.rtcp.as_ref().map(Flow::tuple).filter(|tuple| tuple.remote.is_some()),
            })),
        }
    }

    fn media_sent(&mut self, now: Time, id: Id<Transport>) -> MediaSent {
        let mut media = MediaSent::default();
        for &consumer in &self.transports[id].consumers {
            let consumer = &mut self.consumers[consumer];
            for stream in &mut consumer.streams {
                let sent = &self.producers[consumer.producer].egresses[stream.egress].sent;
                media.bytes += sent.bytes;
                media.bitrate += stream.bitrate(now, sent);
            }
        }
        media
    }

    pub(crate) fn dump_transport(&self, _now: Time, id: Id<Transport>) -> Result<Reply, CommandError> {
        let transport = &self.transports[id];
        let base = self.transport_dump(transport);
        Ok(match &transport.kind {
            TransportKind::Direct => Reply::DirectTransportDump(Box::new(base)),
            TransportKind::Pipe(pipe) => Reply::PipeTransportDump(Box::new(PipeTransportDump {
                base,
                key: pipe.key,
                bound: pipe.flow.local(),
                tuple: pipe.flow.tuple(),
                rtx: pipe.rtx,
                srtp_parameters: pipe.srtp.as_ref().map(|srtp| srtp.local().clone()),
            })),
            TransportKind::WebRtc(webrtc) => {
                Reply::WebRtcTransportDump(Box::new(self.webrtc_dump(base, webrtc)))
            }
            TransportKind::Plain(plain) => Reply::PlainTransportDump(Box::new(PlainTransportDump {
                base,
                rtcp_mux: plain.rtcp_mux,
                comedia: plain.comedia,
                tuple: plain.rtp.tuple(),
                rtcp_tuple: plain.rtcp.as_ref().map(Flow::tuple),
                srtp_parameters: plain.local_srtp_parameters().cloned(),
            })),
        })
    }

    fn transport_dump(&self, transport: &Transport) -> TransportDump {
        let producer = |id| self.producers[id].name.clone();
        let consumer = |id| self.consumers[id].name.clone();
        TransportDump {
            id: transport.name.to_string(),
            direct: matches!(transport.kind, TransportKind::Direct),
            producers: transport.producers.iter().map(|&id| producer(id)).collect(),
            consumers: transport.consumers.iter().map(|&id| consumer(id)).collect(),
            data_producers: names(&transport.data_producers, |id| &self.data_producers[id].name),
            data_consumers: names(&transport.data_consumers, |id| &self.data_consumers[id].name),
            consumer_of_ssrc: transport.media_ssrcs.iter().map(|(&ssrc, &id)| (ssrc, consumer(id))).collect(),
            consumer_of_rtx_ssrc: transport
                .rtx_ssrcs
                .iter()
                .map(|(&ssrc, &id)| (ssrc, consumer(id)))
                .collect(),
            recv_extensions: transport.recv_extensions,
            producer_of_ssrc: transport.listener.ssrcs().map(|(ssrc, id)| (ssrc, producer(id))).collect(),
            producer_of_mid: transport.listener.mids().map(|(mid, id)| (mid, producer(id))).collect(),
            producer_of_rid: transport.listener.rids().map(|(rid, id)| (rid, producer(id))).collect(),
            max_send_message_size: transport.max_send_message_size,
            max_receive_message_size: transport.max_receive_message_size,
            sctp: transport
                .association
                .as_ref()
                .map(|association| association.dump(transport, |id| self.data_producers[id].name.clone())),
            trace_events: transport.trace_events.clone(),
        }
    }
}

fn names<'a, T>(ids: &[Id<T>], name: impl Fn(Id<T>) -> &'a Name) -> Vec<Name> {
    ids.iter().map(|&id| name(id).clone()).collect()
}

pub(super) fn new_key(keys: &mut KeySource, suite: CryptoSuite) -> SrtpParameters {
    let mut key_and_salt = vec![0; suite.key_and_salt_len()];
    keys(&mut key_and_salt);
    SrtpParameters { crypto_suite: suite, key_and_salt }
}
