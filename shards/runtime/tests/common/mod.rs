//! Two shards on two threads with a pipe between them.

#![allow(dead_code, reason = "every test binary uses a part of it")]

#[path = "../../src/test_options.rs"]
mod test_options;

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ringsoup_rtc::dtls::{Certificate, NoHandshakes};
use ringsoup_rtc::rtp::{RtpPacket, RtpWriter};
use ringsoup_runtime::shard::COALESCE_DEFAULT;
use ringsoup_runtime::{Clock, FromShard, Mesh, PortBook, ShardConfig, ShardHandle, ToShard};
use ringsoup_sfu::command::{
    Command, Consume, ListenInfo, PipeConnect, PipeTransportOptions, PlainConnect, PlainTransportOptions,
    Produce, Protocol, TransportCommand, WebRtcListen, WebRtcTransportOptions,
};
use ringsoup_sfu::piped::{PipeEnd, PipeKey};
use ringsoup_sfu::reply::{Reply, ShardReport};
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, MediaKind, RtcpParameters, RtpCodecParameters, RtpEncodingParameters,
    RtpMapping, RtpParameters, RtpType,
};
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::sfu::SfuConfig;

use test_options::{listen_info, transport_options};

/// Nothing takes this long unless something is lost.
const PATIENCE: Duration = Duration::from_secs(5);
pub(crate) const OPUS: u8 = 100;
pub(crate) const SOURCE: u32 = 1_000;
const MAPPED: u32 = 2_000;
const PIPED: u32 = 3_000;
const FAR_MAPPED: u32 = 4_000;
const WATCHED: u32 = 5_000;

fn start(index: usize, mesh: &Arc<Mesh>, clock: Clock) -> ShardHandle {
    let sfu = SfuConfig {
        seed: index as u64,
        unix_origin_us: clock.unix_origin_us(),
        rtc_ports: (10_000, 59_999),
        certificate: Arc::new(Certificate::new(Vec::new(), Vec::new())),
        dtls: Arc::new(NoHandshakes),
        rules: Rules::NEWEST,
    };
    let mesh = Arc::clone(mesh);
    let config = ShardConfig {
        index,
        cpu: None,
        sfu,
        clock,
        coalesce: COALESCE_DEFAULT,
        mesh,
        ports: PortBook::default(),
    };
    ShardHandle::start(config, Box::new(|| ())).expect("works on loopback")
}

pub(crate) fn command(shard: &ShardHandle, command: Command) -> Reply {
    shard.mailbox().send(ToShard::Command { token: 99, command }).expect("works on loopback");
    loop {
        match shard.mailbox().receive_timeout(PATIENCE) {
            Some(FromShard::Reply { token: 99, result }) => break result.expect("works on loopback"),
            Some(FromShard::Event(_)) => {}
            other => panic!("no reply: {other:?}"),
        }
    }
}

pub(crate) fn transport(shard: &ShardHandle, transport: &str, request: TransportCommand) -> Reply {
    command(shard, Command::Transport { transport: transport.into(), command: request })
}

pub(crate) fn report(shard: &ShardHandle) -> ShardReport {
    match command(shard, Command::ReportShard) {
        Reply::ShardReport(report) => *report,
        other => panic!("not a report: {other:?}"),
    }
}

pub(crate) fn io(report: &ShardReport, name: &str) -> u64 {
    report.io.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value)
}

/// A plain transport whose peer is `socket`; returns its port.
pub(crate) fn plain(shard: &ShardHandle, name: &str, socket: &UdpSocket) -> u16 {
    let options = PlainTransportOptions {
        base: transport_options(),
        listen_info: listen_info(),
        rtcp_listen_info: None,
        rtcp_mux: true,
        comedia: false,
        srtp_crypto_suite: None,
    };
    let (router, options) = ("router".into(), Box::new(options));
    let create = Command::CreatePlainTransport { router, transport: name.into(), options };
    let Reply::PlainTransportDump(dump) = command(shard, create) else { panic!("not a dump") };
    let remote = socket.local_addr().expect("works on loopback");
    let (ip, port) = (Some(Ok(remote.ip())), Some(remote.port()));
    let request = PlainConnect { ip, port, rtcp_port: None, srtp_parameters: None };
    transport(shard, name, TransportCommand::ConnectPlain(request));
    dump.tuple.local_port
}

/// A WebRTC transport with a TCP listener; returns its port.
pub(crate) fn listen(shard: &ShardHandle) -> u16 {
    let info = ListenInfo { protocol: Protocol::Tcp, ..listen_info() };
    let listen = WebRtcListen::Individual(Ok(vec![info]));
    let options =
        WebRtcTransportOptions { base: transport_options(), listen, prefer: None, ice_consent_timeout: 30 };
    let (router, transport, options) = ("router".into(), "webrtc".into(), Box::new(options));
    let create = Command::CreateWebRtcTransport { router, transport, options };
    let Reply::WebRtcTransportDump(dump) = command(shard, create) else { panic!("not a dump") };
    dump.ice_candidates[0].port
}

fn pipe(shard: &ShardHandle, key: PipeKey) -> u16 {
    let options = PipeTransportOptions {
        base: transport_options(),
        listen_info: listen_info(),
        enable_rtx: false,
        enable_srtp: false,
    };
    let (router, options) = ("router".into(), Box::new(options));
    let create = Command::CreatePipeTransport { router, transport: "pipe".into(), key, options };
    let Reply::PipeTransportDump(dump) = command(shard, create) else { panic!("not a dump") };
    dump.tuple.local_port
}

fn join(shard: &ShardHandle, port: u16, end: PipeEnd) {
    let ip = Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let request = PipeConnect { ip, port: Some(port), srtp_parameters: None };
    transport(shard, "pipe", TransportCommand::ConnectPipe(request));
    transport(shard, "pipe", TransportCommand::JoinPipe(Some(end)));
}

fn parameters(ssrc: u32) -> RtpParameters {
    RtpParameters {
        mid: None,
        codecs: vec![RtpCodecParameters {
            mime_type: "audio/opus".into(),
            payload_type: OPUS,
            clock_rate: 48_000,
            channels: Some(2),
            parameters: Vec::new(),
            rtcp_feedback: Vec::new(),
        }],
        header_extensions: Vec::new(),
        encodings: vec![RtpEncodingParameters { ssrc: Some(ssrc), ..RtpEncodingParameters::default() }],
        rtcp: RtcpParameters { cname: Some("cname".into()), reduced_size: true },
        msid: None,
    }
}

fn produce(shard: &ShardHandle, on: &str, producer: &str, ssrc: u32, mapped_ssrc: u32) {
    let request = Produce {
        producer: producer.into(),
        kind: MediaKind::Audio,
        rtp_parameters: parameters(ssrc),
        rtp_mapping: RtpMapping {
            codecs: vec![CodecMapping { payload_type: OPUS, mapped_payload_type: OPUS }],
            encodings: vec![EncodingMapping { rid: None, ssrc: Some(ssrc), mapped_ssrc }],
        },
        paused: false,
        key_frame_request_delay: 0,
        enable_packet_id: false,
    };
    transport(shard, on, TransportCommand::Produce(Box::new(request)));
}

fn consume(shard: &ShardHandle, on: &str, requested_type: RtpType, ssrc: u32, mapped_ssrc: u32) {
    let consumable = RtpEncodingParameters { ssrc: Some(mapped_ssrc), ..RtpEncodingParameters::default() };
    let request = Consume {
        consumer: "consumer".into(),
        producer: "producer".into(),
        kind: MediaKind::Audio,
        rtp_parameters: parameters(ssrc),
        requested_type,
        consumable_rtp_encodings: vec![consumable],
        paused: false,
        preferred_layers: None,
        ignore_dtx: false,
    };
    transport(shard, on, TransportCommand::Consume(Box::new(request)));
}

/// A sender at the near shard and a watcher at the far one, with a joined pipe in between.
pub(crate) struct Span {
    pub(crate) near: ShardHandle,
    pub(crate) far: ShardHandle,
    pub(crate) sender: UdpSocket,
    pub(crate) watcher: UdpSocket,
}

impl Span {
    pub(crate) fn new() -> Self {
        let (mesh, clock) = (Mesh::new(2), Clock::start());
        let (near, far) = (start(0, &mesh, clock), start(1, &mesh, clock));
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("works on loopback");
            socket.set_read_timeout(Some(PATIENCE)).expect("works on loopback");
            socket
        };
        let (sender, watcher) = (socket(), socket());
        for shard in [&near, &far] {
            command(shard, Command::CreateRouter { router: "router".into() });
        }
        let port = plain(&near, "plain", &sender);
        sender.connect((Ipv4Addr::LOCALHOST, port)).expect("works on loopback");
        plain(&far, "plain", &watcher);
        produce(&near, "plain", "producer", SOURCE, MAPPED);
        let span = Self { near, far, sender, watcher };
        span.build_pipe(1);
        consume(&span.far, "plain", RtpType::Simple, WATCHED, FAR_MAPPED);
        span
    }

    /// Both ends, joined, with what goes through. `number` was never used before.
    pub(crate) fn build_pipe(&self, number: u64) {
        let Self { near, far, .. } = self;
        let (near_key, far_key) = (PipeKey(2 * number), PipeKey(2 * number + 1));
        let (near_port, far_port) = (pipe(near, near_key), pipe(far, far_key));
        join(near, far_port, PipeEnd { key: far_key, shard: 1 });
        join(far, near_port, PipeEnd { key: near_key, shard: 0 });
        consume(near, "pipe", RtpType::Pipe, PIPED, MAPPED);
        produce(far, "pipe", "producer", PIPED, FAR_MAPPED);
    }

    pub(crate) fn send(&self, seq: u16) {
        let mut packet = [0; 64];
        let writer = RtpWriter::new(OPUS, seq, u32::from(seq) * 960, SOURCE);
        let len = writer.payload(&[1, 2, 3, 4]).write(&mut packet).expect("works on loopback");
        self.sender.send(&packet[..len]).expect("works on loopback");
    }

    /// RTCP comes along and is passed over.
    pub(crate) fn expect(&self) {
        let mut buffer = [0; 2_048];
        loop {
            let len = self.watcher.recv(&mut buffer).expect("it arrives");
            if ringsoup_rtc::rtp::is_rtcp(&buffer[..len]) {
                continue;
            }
            let packet = RtpPacket::parse(&buffer[..len]).expect("works on loopback");
            assert_eq!((packet.ssrc(), packet.payload()), (WATCHED, &[1, 2, 3, 4][..]));
            return;
        }
    }
}
