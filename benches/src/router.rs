//! A shard with one publisher and some receivers, and sockets that are none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ringsoup_rtc::codec::dependency_descriptor::writer::{NewDescriptor, layered};
use ringsoup_rtc::dtls::{Certificate, NoHandshakes};
use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{
    Command, Consume, ConsumerCommand, Layers, ListenInfo, PlainConnect, PlainTransportOptions, Produce,
    Protocol, SrtpParameters, TransportCommand, TransportOptions,
};
use ringsoup_sfu::outbox::Outbox;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, ExtensionUri, MediaKind, Parameter, ParameterValue, RtcpFeedback,
    RtcpParameters, RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpMapping,
    RtpParameters, RtpType,
};
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::sfu::{Datagram, Sfu, SfuConfig};
use ringsoup_sfu::sockets::{BindError, BoundSocket, SocketId, Sockets, TcpListen, UdpBind};

use crate::key_and_salt;

/// Between two packets of the publisher: 500 a second.
pub const PACKET_INTERVAL: Duration = Duration::from_millis(2);

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PUBLISHED_SSRC: u32 = 0x1000_0000;
const MAPPED_SSRC: u32 = 0x2000_0000;
const CONSUMED_SSRC: u32 = 0x3000_0000;
const PEER: SocketAddr = SocketAddr::new(LOCALHOST, 40_000);

/// Sockets by number; what is sent is looked at in the Outbox.
#[derive(Debug, Default)]
struct NoSockets {
    next: u16,
}

impl Sockets for NoSockets {
    fn bind_udp(&mut self, _: &UdpBind) -> Result<BoundSocket, BindError> {
        self.next += 1;
        let local = SocketAddr::new(LOCALHOST, 10_000 + self.next);
        Ok(BoundSocket { id: SocketId(u32::from(self.next)), local })
    }

    fn listen_tcp(&mut self, request: &TcpListen) -> Result<BoundSocket, BindError> {
        Err(BindError::SetUp { cause: format!("no TCP on {} here", request.ip) })
    }

    fn connect(&mut self, _: SocketId, _: SocketAddr) -> bool {
        true
    }

    fn keep(&mut self, _: SocketId) {}

    fn send_last(&mut self, _: SocketId, _: Option<SocketAddr>, _: &[u8]) {}

    fn close(&mut self, _: SocketId) {}
}

/// What the publisher sends, and how receivers take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Media {
    /// One stream for simple consumers.
    #[default]
    H264,
    /// One of three streams, the highest, for simulcast consumers, who rewrite its picture numbers.
    Vp8Simulcast,
    /// One stream in layers told in the payload.
    Vp9Svc,
    /// The same, told in dependency descriptors.
    Av1Svc,
    /// The same for receivers of the lowest layer, who are told so in each packet.
    Av1Lowest,
}

impl Media {
    const fn mime_type(self) -> &'static str {
        match self {
            Self::H264 => "video/H264",
            Self::Vp8Simulcast => "video/VP8",
            Self::Vp9Svc => "video/VP9",
            Self::Av1Svc | Self::Av1Lowest => "video/AV1",
        }
    }

    /// Streams of the publisher.
    const fn streams(self) -> u32 {
        if matches!(self, Self::Vp8Simulcast) { 3 } else { 1 }
    }

    /// Scalability modes of the publisher's encodings and of a receiver's.
    const fn modes(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::H264 => (None, None),
            Self::Vp8Simulcast => (Some("L1T3"), Some("L3T3")),
            Self::Vp9Svc => (Some("L3T3"), Some("L3T3")),
            Self::Av1Svc | Self::Av1Lowest => (Some("L1T3"), Some("L1T3")),
        }
    }

    /// How the payload of a packet begins: a picture of the lowest temporal layer, as the first of a key frame or not.
    fn begin_payload(self, payload: &mut [u8], number: u16, is_key: bool) {
        let [high, low] = number.to_be_bytes();
        let inter = u8::from(!is_key);
        match self {
            Self::H264 => payload[0] = if is_key { 0x67 } else { 0x41 },
            Self::Vp8Simulcast => {
                payload[..7].copy_from_slice(&[0x90, 0xe0, 0x80 | high, low, low, 0x20, inter]);
            }
            Self::Vp9Svc => payload[..4].copy_from_slice(&[0xbc | inter << 6, 0x80 | high, low, 0]),
            Self::Av1Svc | Self::Av1Lowest => {}
        }
    }

    /// A packet of this many bytes, and where its payload begins.
    fn packet(self, bytes: usize, is_key: bool) -> (Vec<u8>, usize) {
        let ssrc = PUBLISHED_SSRC + STREAM_STEP * (self.streams() - 1);
        let structure = layered(1, 3, false);
        let descriptor = NewDescriptor {
            starts_frame: true,
            ends_frame: true,
            template: u8::from(!is_key),
            structure: is_key.then_some(&structure),
            ..NewDescriptor::default()
        };
        let value = descriptor.write(&structure);
        let write = |payload: &[u8]| {
            let mut writer = RtpWriter::new(112, 0, 90_000, ssrc).payload(payload);
            if matches!(self, Self::Av1Svc | Self::Av1Lowest) {
                writer = writer.extension(ExtensionUri::DependencyDescriptor.router_id(), &value);
            }
            writer.to_vec().expect("there is no CSRC list")
        };
        let head = write(&[]).len();
        (write(&vec![0x41; bytes - head]), head)
    }
}

/// Between the SSRCs of two of the publisher's streams.
const STREAM_STEP: u32 = 0x100;

/// What to build.
#[derive(Debug, Clone, Copy)]
pub struct RouterSetUp {
    pub media: Media,
    pub receivers: u32,
    /// Receivers that may ask for packets again: the publisher's packets are kept.
    pub rtx: bool,
    /// Of the receivers; the publisher is plain.
    pub srtp: Option<CryptoSuite>,
    /// Receivers that negotiated the time of sending and transport-wide numbers.
    pub stamps: bool,
}

/// A shard with a publisher.
#[derive(Debug)]
pub struct Router {
    sfu: Sfu,
    out: Outbox,
    sockets: NoSockets,
    now: Time,
    sequence_number: u16,
    packet: Vec<u8>,
    payload_at: usize,
    media: Media,
}

impl Router {
    /// # Panics
    /// When the shard refuses any of it.
    pub fn new(set_up: RouterSetUp, packet_bytes: usize) -> Self {
        let config = SfuConfig {
            seed: 1,
            unix_origin_us: 1_700_000_000_000_000,
            rtc_ports: (10_000, 59_999),
            certificate: Arc::new(Certificate::new(Vec::new(), Vec::new())),
            dtls: Arc::new(NoHandshakes),
            rules: Rules::NEWEST,
        };
        let (packet, payload_at) = set_up.media.packet(packet_bytes, true);
        let mut router = Self {
            sfu: Sfu::new(config, Box::new(|key| key.fill(7))),
            out: Outbox::default(),
            sockets: NoSockets::default(),
            now: Time::from_millis(1_000),
            sequence_number: 0,
            packet,
            payload_at,
            media: set_up.media,
        };
        router.command(Command::CreateRouter { router: "router".into() });
        router.transport("publisher", None);
        router.connect("publisher", None);
        router.produce(set_up);
        for index in 0..set_up.receivers {
            let name = format!("receiver-{index}");
            router.transport(&name, set_up.srtp);
            router.connect(&name, set_up.srtp);
            router.consume(&name, index, set_up);
        }
        assert_eq!(router.pass(true), set_up.receivers, "every receiver takes the key frame");
        (router.packet, router.payload_at) = set_up.media.packet(packet_bytes, false);
        router
    }

    fn command(&mut self, command: Command) -> Reply {
        self.sfu
            .handle_command(self.now, command, &mut self.sockets, &mut self.out)
            .expect("the parameters are valid")
    }

    fn transport(&mut self, name: &str, srtp: Option<CryptoSuite>) {
        let options = PlainTransportOptions {
            base: transport_options(),
            listen_info: listen_info(),
            rtcp_listen_info: None,
            rtcp_mux: true,
            comedia: false,
            srtp_crypto_suite: srtp,
        };
        self.command(Command::CreatePlainTransport {
            router: "router".into(),
            transport: name.into(),
            options: Box::new(options),
        });
    }

    fn connect(&mut self, name: &str, srtp: Option<CryptoSuite>) {
        let key = |suite| SrtpParameters { crypto_suite: suite, key_and_salt: key_and_salt(suite) };
        let connect = PlainConnect {
            ip: Some(Ok(PEER.ip())),
            port: Some(PEER.port()),
            rtcp_port: None,
            srtp_parameters: srtp.map(key).map(Ok),
        };
        let command = TransportCommand::ConnectPlain(connect);
        self.command(Command::Transport { transport: name.into(), command });
    }

    fn produce(&mut self, set_up: RouterSetUp) {
        let (mode, _) = set_up.media.modes();
        let ssrcs: Vec<_> =
            (0..set_up.media.streams()).map(|index| PUBLISHED_SSRC + STREAM_STEP * index).collect();
        let mut rtp_parameters = video(set_up.media, 112, &ssrcs, mode, set_up.rtx);
        if let Media::Av1Svc | Media::Av1Lowest = set_up.media {
            rtp_parameters.header_extensions.push(extension(ExtensionUri::DependencyDescriptor));
        }
        let codecs = rtp_parameters.codecs.iter();
        let codecs = codecs
            .map(|codec| CodecMapping {
                payload_type: codec.payload_type,
                mapped_payload_type: codec.payload_type - 11,
            })
            .collect();
        let encoding = |(index, ssrc): (u32, &u32)| EncodingMapping {
            rid: None,
            ssrc: Some(*ssrc),
            mapped_ssrc: MAPPED_SSRC + index,
        };
        let encodings = (0..).zip(&ssrcs).map(encoding).collect();
        let produce = Produce {
            producer: "producer".into(),
            kind: MediaKind::Video,
            rtp_parameters,
            rtp_mapping: RtpMapping { codecs, encodings },
            paused: false,
            key_frame_request_delay: 0,
            enable_packet_id: false,
        };
        let command = TransportCommand::Produce(Box::new(produce));
        self.command(Command::Transport { transport: "publisher".into(), command });
    }

    fn consume(&mut self, transport: &str, index: u32, set_up: RouterSetUp) {
        let (consumable_mode, mode) = set_up.media.modes();
        let ssrc = CONSUMED_SSRC + 2 * index;
        let mut rtp_parameters = video(set_up.media, 101, &[ssrc], mode, set_up.rtx);
        rtp_parameters.mid = Some("0".into());
        if set_up.stamps {
            let uris = [ExtensionUri::AbsSendTime, ExtensionUri::TransportWideCc01];
            rtp_parameters.header_extensions.extend(uris.map(extension));
            let feedback = RtcpFeedback { kind: "transport-cc".into(), parameter: String::new() };
            rtp_parameters.codecs[0].rtcp_feedback.push(feedback);
        }
        let consumable = |index| RtpEncodingParameters {
            ssrc: Some(MAPPED_SSRC + index),
            scalability_mode: consumable_mode.map(str::to_owned),
            ..RtpEncodingParameters::default()
        };
        let lowest = Layers { spatial: 0, temporal: Some(0) };
        let consume = Consume {
            consumer: format!("consumer-{index}").into(),
            producer: "producer".into(),
            kind: MediaKind::Video,
            rtp_parameters,
            requested_type: RtpType::Simple,
            consumable_rtp_encodings: (0..set_up.media.streams()).map(consumable).collect(),
            paused: false,
            preferred_layers: (set_up.media == Media::Av1Lowest).then_some(lowest),
            ignore_dtx: false,
        };
        let command = TransportCommand::Consume(Box::new(consume));
        self.command(Command::Transport { transport: transport.into(), command });
    }

    /// What the controller is told of the first consumer: its dump and its statistics.
    pub fn describe_consumer(&mut self) -> [Reply; 2] {
        [ConsumerCommand::Dump, ConsumerCommand::Stats]
            .map(|command| self.command(Command::Consumer { consumer: "consumer-0".into(), command }))
    }

    /// One packet of the publisher through the shard into the Outbox and out of it; returns to how many receivers.
    pub fn forward(&mut self) -> u32 {
        self.pass(false)
    }

    fn pass(&mut self, is_key: bool) -> u32 {
        self.now += PACKET_INTERVAL;
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.packet[2..4].copy_from_slice(&self.sequence_number.to_be_bytes());
        self.media.begin_payload(&mut self.packet[self.payload_at..], self.sequence_number & 0x7fff, is_key);
        let datagram =
            Datagram { socket: SocketId(1), remote: PEER, bytes: &mut self.packet, received: self.now };
        self.sfu.handle_datagram(self.now, datagram, &mut self.sockets, &mut self.out);
        let sent = self.out.forwarded.iter().map(|forwarded| forwarded.count).sum();
        self.out.clear_datagrams();
        self.sfu.handle_flushed(self.now, &mut self.out);
        self.out.events.clear();
        sent
    }
}

fn transport_options() -> TransportOptions {
    TransportOptions {
        direct: false,
        initial_available_outgoing_bitrate: None,
        enable_sctp: false,
        max_send_message_size: 262_144,
        max_receive_message_size: 262_144,
        sctp_send_buffer_size: 0,
        sctp_per_stream_send_queue_limit: 0,
        sctp_max_receiver_window_buffer_size: 0,
        sctp_default_stream_buffered_amount_low_threshold: 0,
        num_sctp_streams: None,
        is_data_channel: false,
    }
}

fn listen_info() -> ListenInfo {
    ListenInfo {
        protocol: Protocol::Udp,
        ip: LOCALHOST,
        announced_address: None,
        expose_internal_ip: false,
        port: 0,
        port_range: (0, 0),
        ipv6_only: false,
        udp_reuse_port: false,
        send_buffer_size: 0,
        recv_buffer_size: 0,
    }
}

/// Under the router's id.
fn extension(uri: ExtensionUri) -> RtpHeaderExtensionParameters {
    RtpHeaderExtensionParameters { uri, id: uri.router_id(), encrypt: false, parameters: Vec::new() }
}

fn video(media: Media, payload_type: u8, ssrcs: &[u32], mode: Option<&str>, rtx: bool) -> RtpParameters {
    let feedback =
        |kind: &str, parameter: &str| RtcpFeedback { kind: kind.into(), parameter: parameter.into() };
    let codec = |mime_type: &str, payload_type: u8| RtpCodecParameters {
        mime_type: mime_type.into(),
        payload_type,
        clock_rate: 90_000,
        channels: None,
        parameters: Vec::new(),
        rtcp_feedback: Vec::new(),
    };
    let mut main = codec(media.mime_type(), payload_type);
    main.rtcp_feedback = vec![feedback("nack", "pli"), feedback("ccm", "fir")];
    let mut codecs = vec![main];
    if rtx {
        codecs[0].rtcp_feedback.push(feedback("nack", ""));
        let mut repair = codec("video/rtx", payload_type + 1);
        let value = ParameterValue::Integer(i32::from(payload_type));
        repair.parameters = vec![Parameter { name: "apt".into(), value }];
        codecs.push(repair);
    }
    let encoding = |ssrc: &u32| RtpEncodingParameters {
        ssrc: Some(*ssrc),
        rtx_ssrc: rtx.then_some(ssrc + 1),
        scalability_mode: mode.map(str::to_owned),
        ..RtpEncodingParameters::default()
    };
    RtpParameters {
        mid: None,
        codecs,
        header_extensions: vec![extension(ExtensionUri::Mid)],
        encodings: ssrcs.iter().map(encoding).collect(),
        rtcp: RtcpParameters { cname: Some("cname".into()), reduced_size: true },
        msid: None,
    }
}
