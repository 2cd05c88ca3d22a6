use std::net::{IpAddr, Ipv4Addr};

use ringsoup_rtc::dtls::{Certificate, NoHandshakes};
use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_sfu::command::{
    Consume, PipeConnect, PipeTransportOptions, PlainConnect, PlainTransportOptions, Produce,
    TransportCommand,
};
use ringsoup_sfu::outbox::{DATAGRAMS_FLUSH, Destination, Lane, Route, Shared};
use ringsoup_sfu::piped::{PipeEnd, PipeKey, PipedKind};
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, MediaKind, RtcpParameters, RtpCodecParameters, RtpEncodingParameters,
    RtpMapping, RtpParameters, RtpType,
};
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::sfu::SfuConfig;

use super::*;
use crate::mailbox::mailbox;
use crate::mesh::Mesh;
use crate::socket::port_book::PortBook;
use crate::test_options::{listen_info, transport_options};

const KEY: PipeKey = PipeKey(7);
const OPUS: u8 = 100;
const SOURCE: u32 = 1;
const MAPPED: u32 = 2;
/// Enough that a batch is several times what one flush should have.
const RECEIVERS: u32 = 100;
const PACKETS: u16 = 300;

fn driver(mesh: &Arc<Mesh>, clock: Clock) -> Driver {
    let sfu = SfuConfig {
        seed: 1,
        unix_origin_us: clock.unix_origin_us(),
        rtc_ports: (10_000, 59_999),
        certificate: Arc::new(Certificate::new(Vec::new(), Vec::new())),
        dtls: Arc::new(NoHandshakes),
        rules: Rules::NEWEST,
    };
    let (_, end) = mailbox(Box::new(|| ()), mesh.flag(0).unwrap());
    let config = ShardConfig {
        index: 0,
        cpu: None,
        sfu: sfu.clone(),
        clock,
        coalesce: Duration::ZERO,
        mesh: Arc::clone(mesh),
        ports: PortBook::default(),
    };
    Driver::new(&config, Sfu::new(sfu, Box::new(|key| key.fill(1))), end).unwrap()
}

fn encoding(ssrc: u32) -> RtpEncodingParameters {
    RtpEncodingParameters { ssrc: Some(ssrc), ..RtpEncodingParameters::default() }
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
        encodings: vec![encoding(ssrc)],
        rtcp: RtcpParameters { cname: Some("cname".into()), reduced_size: true },
        msid: None,
    }
}

/// A producer on a pipe, and its receivers on a plain transport.
fn set_up(driver: &mut Driver) {
    let on = |transport: &str, command| Command::Transport { transport: transport.into(), command };
    let (ip, port) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Some(9));
    let options = PipeTransportOptions {
        base: transport_options(),
        listen_info: listen_info(),
        enable_rtx: false,
        enable_srtp: false,
    };
    let plain = PlainTransportOptions {
        base: transport_options(),
        listen_info: listen_info(),
        rtcp_listen_info: None,
        rtcp_mux: true,
        comedia: false,
        srtp_crypto_suite: None,
    };
    let codec = CodecMapping { payload_type: OPUS, mapped_payload_type: OPUS };
    let stream = EncodingMapping { rid: None, ssrc: Some(SOURCE), mapped_ssrc: MAPPED };
    let produce = Produce {
        producer: "producer".into(),
        kind: MediaKind::Audio,
        rtp_parameters: parameters(SOURCE),
        rtp_mapping: RtpMapping { codecs: vec![codec], encodings: vec![stream] },
        paused: false,
        key_frame_request_delay: 0,
        enable_packet_id: false,
    };
    let consume = |number: u32| Consume {
        consumer: number.to_string().into(),
        producer: "producer".into(),
        kind: MediaKind::Audio,
        rtp_parameters: parameters(1_000 + number),
        requested_type: RtpType::Simple,
        consumable_rtp_encodings: vec![encoding(MAPPED)],
        paused: false,
        preferred_layers: None,
        ignore_dtx: false,
    };
    let router = || "router".into();
    let to_pipe = PipeConnect { ip: Ok(ip), port, srtp_parameters: None };
    let to_plain = PlainConnect { ip: Some(Ok(ip)), port, rtcp_port: None, srtp_parameters: None };
    let (pipe, options) = ("pipe".into(), Box::new(options));
    let mut commands = vec![
        Command::CreateRouter { router: router() },
        Command::CreatePipeTransport { router: router(), transport: pipe, key: KEY, options },
        Command::CreatePlainTransport {
            router: router(),
            transport: "plain".into(),
            options: Box::new(plain),
        },
        on("pipe", TransportCommand::ConnectPipe(to_pipe)),
        on("plain", TransportCommand::ConnectPlain(to_plain)),
        on("pipe", TransportCommand::Produce(Box::new(produce))),
    ];
    let consumers =
        (0..RECEIVERS).map(|number| on("plain", TransportCommand::Consume(Box::new(consume(number)))));
    commands.extend(consumers);
    for command in commands {
        driver.handle_command(command).unwrap();
    }
}

#[test]
fn a_batch_for_many_receivers_leaves_in_parts() {
    let (mesh, clock) = (Mesh::new(2), Clock::start());
    let mut driver = driver(&mesh, clock);
    set_up(&mut driver);
    driver.flush().unwrap();
    let (mut other, mut out) = (MeshPort::new(Arc::clone(&mesh), 1), Outbox::default());
    let route = Route::Pipe { end: PipeEnd { key: KEY, shard: 0 }, kind: PipedKind::Packet };
    for seq in 0..PACKETS {
        let write =
            |slot: &mut [u8]| RtpWriter::new(OPUS, seq, u32::from(seq), SOURCE).payload(&[1]).write(slot);
        assert!(out.push(Destination { lane: Lane(0), route }, 64, Shared::EMPTY, write));
    }
    let mut passed = IoReport::default();
    other.pass(&out, clock, &mut passed);
    assert_eq!((passed.passed_packets, passed.passed_batches), (u64::from(PACKETS), 1));
    driver.take_passed(clock.batch()).unwrap();
    driver.flush().unwrap();
    let largest = usize::try_from(driver.report.flush_max).unwrap();
    // One packet's copies may come on top, and no more.
    assert!(largest >= DATAGRAMS_FLUSH && largest < DATAGRAMS_FLUSH + RECEIVERS as usize, "{largest}");
    assert_eq!(driver.out.refused(), 0);
}
