//! Operations as commands and datagrams.

use std::net::SocketAddr;

use ringsoup_rtc::srtp::{CryptoSuite, MAX_TRAILER_LEN, OutboundSession};
use ringsoup_sfu::command::{
    Command, Consume, ConsumerCommand, ConsumerTraceEvent, Layers, ListenInfo, PlainConnect,
    PlainTransportOptions, Produce, ProducerCommand, ProducerTraceEvent, Protocol, SrtpParameters,
    TransportCommand, TransportOptions, TransportTraceEvent,
};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::rtp_parameters::RtpType;
use ringsoup_sfu::sfu::Datagram;
use ringsoup_sfu::sockets::SocketId;

use super::network::{LOCALHOST, peer_address};
use super::{Kind, World};
use crate::operation::{ConsumeSetUp, Named, Operation, PlainSetUp, ProduceSetUp, Suite, Touch};
use crate::packet::{Content, Packet, Payload, Rtp, Step, compound, damage};
use crate::parameters::{self, Fault, second_ssrc};

fn crypto_suite(suite: Suite) -> CryptoSuite {
    match suite {
        Suite::Gcm256 => CryptoSuite::AeadAes256Gcm,
        Suite::Gcm128 => CryptoSuite::AeadAes128Gcm,
        Suite::Cm80 => CryptoSuite::AesCm128HmacSha1_80,
        Suite::Cm32 => CryptoSuite::AesCm128HmacSha1_32,
    }
}

/// Small enough to become full.
const SEND_BUFFER_BYTES: u32 = 100_000;

pub(super) fn transport_options(direct: bool, sctp: bool) -> TransportOptions {
    TransportOptions {
        direct,
        initial_available_outgoing_bitrate: Some(600_000),
        enable_sctp: sctp,
        max_send_message_size: 40_000,
        max_receive_message_size: 50_000,
        sctp_send_buffer_size: SEND_BUFFER_BYTES,
        sctp_per_stream_send_queue_limit: SEND_BUFFER_BYTES / 2,
        sctp_max_receiver_window_buffer_size: 0,
        sctp_default_stream_buffered_amount_low_threshold: 0,
        num_sctp_streams: None,
        is_data_channel: false,
    }
}

impl World {
    pub(super) fn perform(&mut self, operation: &Operation) {
        use Kind::{Consumer, Producer, Router, Transport};
        let name = Self::name;
        match *operation {
            Operation::CreateRouter { router } => {
                self.command(Command::CreateRouter { router: name(Router, router) });
            }
            Operation::CloseRouter { router } => {
                self.command(Command::CloseRouter { router: name(Router, router) });
            }
            Operation::DumpRouter { router } => {
                self.command(Command::DumpRouter { router: name(Router, router) });
            }
            Operation::CreatePlain { router, transport, set_up } => {
                self.create_plain(name(Router, router), name(Transport, transport), set_up);
            }
            Operation::CreateDirect { router, transport } => {
                let (router, transport) = (name(Router, router), name(Transport, transport));
                let options = transport_options(true, false);
                self.command(Command::CreateDirectTransport { router, transport, options });
            }
            Operation::CloseTransport { router, transport } => {
                let (router, transport) = (name(Router, router), name(Transport, transport));
                self.command(Command::CloseTransport { router, transport });
            }
            Operation::Connect { transport, suite, key, short_key, address, rtcp_port } => {
                let srtp = suite.map(|suite| peer_key(suite, key, short_key));
                self.connect(name(Transport, transport), srtp, address, rtcp_port);
            }
            Operation::Produce { transport, producer, set_up } => {
                self.produce(name(Transport, transport), name(Producer, producer), set_up);
            }
            Operation::Consume { transport, consumer, producer, set_up } => {
                let (consumer, producer) = (name(Consumer, consumer), name(Producer, producer));
                self.consume(name(Transport, transport), consumer, producer, set_up);
            }
            Operation::CloseProducer { transport, producer } => {
                let command = TransportCommand::CloseProducer { producer: name(Producer, producer) };
                self.command(Command::Transport { transport: name(Transport, transport), command });
            }
            Operation::CloseConsumer { transport, consumer } => {
                let command = TransportCommand::CloseConsumer { consumer: name(Consumer, consumer) };
                self.command(Command::Transport { transport: name(Transport, transport), command });
            }
            Operation::Datagram { socket, right_tuple, sealed, ref packet } => {
                let bytes = self.build(packet);
                self.datagram(socket, right_tuple, sealed, bytes);
            }
            Operation::Run { socket, stream, count, lost, first, payload } => {
                self.run_of_media(socket, stream, count, lost, (first, payload));
            }
            Operation::Send { producer, ref packet } => {
                let command = ProducerCommand::Send(self.build(packet));
                self.command(Command::Producer { producer: name(Producer, producer), command });
            }
            Operation::SendRtcp { transport, ref packet } => {
                let command = TransportCommand::SendRtcp(self.build(packet));
                self.command(Command::Transport { transport: name(Transport, transport), command });
            }
            Operation::TouchTransport { transport, touch } => self.touch_transport(transport, touch),
            Operation::TouchProducer { producer, touch } => self.touch_producer(producer, touch),
            Operation::TouchConsumer { consumer, touch } => self.touch_consumer(consumer, touch),
            Operation::Data(operation) => self.perform_data(operation),
            Operation::Endpoint(ref operation) => self.perform_endpoint(operation),
            Operation::Advance { millis } => self.advance(u64::from(millis)),
            Operation::Flush => self.flush(),
        }
    }

    fn create_plain(&mut self, router: Name, transport: Name, set_up: PlainSetUp) {
        let listen_info = ListenInfo {
            protocol: if set_up.wrong_protocol { Protocol::Tcp } else { Protocol::Udp },
            ip: LOCALHOST,
            announced_address: None,
            expose_internal_ip: false,
            port: set_up.fixed_port.map_or(0, |port| 20_000 + u16::from(port)),
            port_range: (0, 0),
            ipv6_only: false,
            udp_reuse_port: false,
            send_buffer_size: 0,
            recv_buffer_size: 0,
        };
        let options = PlainTransportOptions {
            base: transport_options(false, set_up.sctp),
            listen_info,
            rtcp_listen_info: None,
            rtcp_mux: set_up.rtcp_mux,
            comedia: set_up.comedia,
            srtp_crypto_suite: set_up.suite.map(crypto_suite),
        };
        self.sockets.bound.clear();
        self.sockets.binds_before_failure = set_up.binds_before_failure;
        let name = transport.clone();
        let options = Box::new(options);
        if self.command(Command::CreatePlainTransport { router, transport, options }).is_some() {
            self.own_new_sockets(&name, set_up.suite.is_some());
        }
        self.sockets.binds_before_failure = None;
        assert_eq!(
            self.sockets.open_count(),
            self.owner_of_socket.len(),
            "a failed transport keeps no socket"
        );
    }

    fn connect(&mut self, transport: Name, srtp: Option<SrtpParameters>, address: bool, rtcp_port: bool) {
        let sockets = self.transports.get(&transport).map(|peer| peer.sockets.clone()).unwrap_or_default();
        let port = |index: usize| sockets.get(index).map(|&socket| peer_address(socket).port());
        let request = PlainConnect {
            ip: address.then_some(Ok(LOCALHOST)),
            port: port(0).filter(|_| address),
            rtcp_port: port(1).filter(|_| rtcp_port),
            srtp_parameters: srtp.clone().map(Ok),
        };
        let command = TransportCommand::ConnectPlain(request);
        let reply = self.command(Command::Transport { transport: transport.clone(), command });
        if let (Some(Reply::PlainConnect(connected)), Some(own)) = (reply, srtp)
            && let (Some(peer), Some(shard)) =
                (self.transports.get_mut(&transport), &connected.srtp_parameters)
        {
            peer.agree(&own, shard);
        }
    }

    fn produce(&mut self, transport: Name, producer: Name, set_up: ProduceSetUp) {
        let (rtp_parameters, rtp_mapping) =
            parameters::produced(set_up.media, set_up.stream, set_up.rtx, set_up.addressing, set_up.fault);
        let request = Produce {
            producer,
            kind: set_up.media.kind(),
            rtp_parameters,
            rtp_mapping,
            paused: set_up.paused,
            key_frame_request_delay: u32::from(set_up.key_frame_request_delay),
            enable_packet_id: set_up.packet_id,
        };
        let command = TransportCommand::Produce(Box::new(request));
        self.command(Command::Transport { transport, command });
    }

    fn consume(&mut self, transport: Name, consumer: Name, producer: Name, set_up: ConsumeSetUp) {
        let mut ssrc = parameters::consumed_ssrc(set_up.ssrc);
        if let Some(peer) = self.transports.get_mut(&transport) {
            // Libraries draw SSRCs at random. Under SRTP one that came back would begin with indexes its receiver has seen.
            while peer.has_srtp && peer.ssrcs.contains(&ssrc) {
                ssrc = parameters::next_consumed_ssrc(ssrc);
            }
            peer.ssrcs.extend([ssrc, ssrc + 1]);
            if matches!(set_up.fault, Fault::Pipe) {
                peer.ssrcs.extend([second_ssrc(ssrc), second_ssrc(ssrc + 1)]);
            }
        }
        let rtp_parameters =
            parameters::consumed(set_up.media, ssrc, set_up.rtx, set_up.own_ids, set_up.fault);
        let request = Consume {
            consumer,
            producer,
            kind: set_up.media.kind(),
            rtp_parameters,
            requested_type: match set_up.fault {
                Fault::Pipe => RtpType::Pipe,
                _ => RtpType::Simple,
            },
            consumable_rtp_encodings: parameters::consumable(set_up.stream, set_up.fault),
            paused: set_up.paused,
            preferred_layers: None,
            ignore_dtx: set_up.ignore_dtx,
        };
        let command = TransportCommand::Consume(Box::new(request));
        self.command(Command::Transport { transport, command });
    }

    fn touch_transport(&mut self, transport: Named, touch: Touch) {
        let transport = Self::name(Kind::Transport, transport);
        let commands = match touch {
            Touch::Stats | Touch::KeyFrame => vec![TransportCommand::Stats],
            Touch::Trace { on } => {
                let events = [TransportTraceEvent::Bwe, TransportTraceEvent::Probation];
                vec![TransportCommand::EnableTraceEvent(events[..2 * usize::from(on)].to_vec())]
            }
            Touch::Bitrates { incoming, outgoing_max, outgoing_min } => vec![
                TransportCommand::SetMaxIncomingBitrate(incoming.into()),
                TransportCommand::SetMaxOutgoingBitrate(outgoing_max.into()),
                TransportCommand::SetMinOutgoingBitrate(outgoing_min.into()),
            ],
            _ => vec![TransportCommand::Dump],
        };
        for command in commands {
            self.command(Command::Transport { transport: transport.clone(), command });
        }
    }

    fn touch_producer(&mut self, producer: Named, touch: Touch) {
        use ProducerTraceEvent::{Fir, KeyFrame, Nack, Pli, Rtp, SenderReport};
        let command = match touch {
            Touch::Stats => ProducerCommand::Stats,
            Touch::Pause => ProducerCommand::Pause,
            Touch::Resume => ProducerCommand::Resume,
            Touch::Trace { on } => {
                let events = [Fir, KeyFrame, Nack, Pli, Rtp, SenderReport];
                ProducerCommand::EnableTraceEvent(events[..6 * usize::from(on)].to_vec())
            }
            _ => ProducerCommand::Dump,
        };
        self.command(Command::Producer { producer: Self::name(Kind::Producer, producer), command });
    }

    fn touch_consumer(&mut self, consumer: Named, touch: Touch) {
        use ConsumerTraceEvent::{Fir, KeyFrame, Nack, Pli, Rtp};
        let command = match touch {
            Touch::Dump | Touch::Bitrates { .. } => ConsumerCommand::Dump,
            Touch::Stats => ConsumerCommand::Stats,
            Touch::Pause => ConsumerCommand::Pause,
            Touch::Resume => ConsumerCommand::Resume,
            Touch::Trace { on } => {
                let events = [Fir, KeyFrame, Nack, Pli, Rtp];
                ConsumerCommand::EnableTraceEvent(events[..5 * usize::from(on)].to_vec())
            }
            Touch::KeyFrame => ConsumerCommand::RequestKeyFrame,
            Touch::Priority(priority) => ConsumerCommand::SetPriority(priority),
            Touch::Layers(spatial) => {
                let temporal = spatial.is_multiple_of(2).then_some(spatial >> 4);
                ConsumerCommand::SetPreferredLayers(Layers { spatial: spatial & 0x0f, temporal })
            }
        };
        self.command(Command::Consumer { consumer: Self::name(Kind::Consumer, consumer), command });
    }

    fn build(&mut self, packet: &Packet) -> Vec<u8> {
        let mut bytes = match &packet.content {
            Content::Rtp(rtp) => {
                let numbers = self.numbers.entry(parameters::published_ssrc(rtp.stream)).or_default();
                rtp.build(numbers)
            }
            Content::Rtcp { parts } => {
                let newest = |ssrc: u32| self.newest_sent.get(&ssrc).copied().unwrap_or_default();
                compound(parts, &newest)
            }
            Content::Raw { bytes } => bytes.clone(),
        };
        if let Some(what) = packet.damage {
            damage(&mut bytes, what);
        }
        bytes
    }

    fn run_of_media(&mut self, socket: u8, stream: u8, count: u8, lost: u64, payloads: (Payload, Payload)) {
        for index in 0..count {
            let rtp = Rtp {
                stream,
                step: Step::Next,
                payload: if index == 0 { payloads.0 } else { payloads.1 },
                marker: index % 4 == 3,
                rtx_of: None,
                foreign_payload_type: None,
                csrcs: 0,
                padding: 0,
                mid: index == 0,
                rid: false,
                extensions: Vec::new(),
            };
            let bytes = self.build(&Packet { content: Content::Rtp(rtp), damage: None });
            if lost >> (index % 64) & 1 == 0 {
                self.datagram(socket, true, true, bytes);
            }
        }
    }

    fn datagram(&mut self, socket: u8, right_tuple: bool, sealed: bool, bytes: Vec<u8>) {
        // One more than there ever were: nobody's socket.
        let count = self.sockets.id_count() + 1;
        let socket = SocketId(u32::try_from(usize::from(socket) % count).expect("few sockets"));
        let mut remote = peer_address(socket);
        if !right_tuple {
            remote = SocketAddr::new(remote.ip(), 1 + u16::from(bytes.first().copied().unwrap_or_default()));
        }
        let owner = self.owner_of_socket.get(&socket);
        let seal = owner.and_then(|name| self.transports.get_mut(name)).and_then(|peer| peer.seal.as_mut());
        let mut bytes = match seal.filter(|_| sealed) {
            Some(session) => protect(session, bytes),
            None => bytes,
        };
        self.datagrams += 1;
        let datagram = Datagram { socket, remote, bytes: &mut bytes, received: self.now };
        self.sfu.handle_datagram(self.now, datagram, &mut self.sockets, &mut self.out);
        if self.out.wants_flush() {
            self.flush();
        }
    }
}

pub(super) fn peer_key(suite: Suite, key: u8, short: bool) -> SrtpParameters {
    let crypto_suite = crypto_suite(suite);
    let len = crypto_suite.key_and_salt_len() - usize::from(short);
    SrtpParameters { crypto_suite, key_and_salt: vec![key; len] }
}

/// The packet as the holder of the key sends it; as it is when it is no packet.
fn protect(session: &mut OutboundSession, bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len();
    let mut buffer = bytes.clone();
    buffer.resize(len + MAX_TRAILER_LEN, 0);
    let sealed = if ringsoup_rtc::rtp::is_rtcp(&bytes) {
        session.protect_rtcp(&mut buffer, len)
    } else {
        let header_len = ringsoup_rtc::rtp::packet::header_len(&bytes).unwrap_or_default();
        session.protect_rtp(&mut buffer, header_len, len)
    };
    match sealed {
        Ok(len) => {
            buffer.truncate(len);
            buffer
        }
        Err(_) => bytes,
    }
}
