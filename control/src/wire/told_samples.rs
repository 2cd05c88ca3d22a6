//! Everything that the worker can tell a controller, once at least: answers and events, under names of their own.

use std::num::NonZeroU16;

use ringsoup_rtc::dtls::{self, Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_rtc::ice::{self, Candidate, CandidateProtocol, Credentials};
use ringsoup_sfu::command::{
    CommandError, ConsumerTraceEvent, Layers, NumSctpStreams, ProducerTraceEvent, TransportTraceEvent,
};
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::command::DataType;
use ringsoup_sfu::data::reply::{
    DataConsumerDump, DataConsumerStats, DataProducerDump, DataProducerStats, SctpDump,
    SctpNegotiatedCapabilities, SctpState,
};
use ringsoup_sfu::data::stream_parameters::StreamParameters;
use ringsoup_sfu::event::{
    ConsumerTrace, Direction, Event, ProducerScore, ProducerTrace, RtpPacketDump, TraceInfo,
};
use ringsoup_sfu::piped::PipeKey;
use ringsoup_sfu::reply::{
    ConsumerScore, PipeTransportStats, Reply, RouterDump, ServedTransport, TransportDump, TransportStats,
    WebRtcTransportDump, WebRtcTransportStats,
};
use ringsoup_sfu::rtp_parameters::RtpType;

use super::reply_samples as replies;
use crate::message::{ResourceUsage, ResponseBody, WebRtcServerDump};

/// What a request can be answered.
pub(super) type Answer = Result<ResponseBody, CommandError>;

pub(super) fn answers() -> Vec<(&'static str, Answer)> {
    let shard = |(name, reply)| (name, Ok(ResponseBody::Shard(reply)));
    let groups = [transports(), webrtc(), media(), data()];
    let mut answers = of_the_worker();
    answers.extend(groups.into_iter().flatten().map(shard));
    answers
}

fn of_the_worker() -> Vec<(&'static str, Answer)> {
    let usage = ResourceUsage {
        ru_utime: u64::MAX,
        ru_stime: 2,
        ru_maxrss: 3,
        ru_ixrss: 4,
        ru_idrss: 5,
        ru_isrss: 6,
        ru_minflt: 7,
        ru_majflt: 8,
        ru_nswap: 9,
        ru_inblock: 10,
        ru_oublock: 11,
        ru_msgsnd: 12,
        ru_msgrcv: 13,
        ru_nsignals: 14,
        ru_nvcsw: 15,
        ru_nivcsw: 16,
    };
    let server = WebRtcServerDump {
        server: "s".into(),
        udp_sockets: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
        tcp_servers: vec!["127.0.0.1:3".parse().unwrap()],
        transports: vec![
            ServedTransport { transport: "t".into(), username_fragments: vec!["new".into(), "old".into()] },
            ServedTransport { transport: "u".into(), username_fragments: Vec::new() },
        ],
    };
    vec![
        ("worker dump", Ok(ResponseBody::WorkerDump(Box::new(replies::worker_dump())))),
        ("worker dump of nothing", Ok(ResponseBody::WorkerDump(Box::default()))),
        ("resource usage", Ok(ResponseBody::ResourceUsage(Box::new(usage)))),
        ("server dump", Ok(ResponseBody::WebRtcServerDump(Box::new(server)))),
        ("error", Err(CommandError::error("a reason"))),
        ("type error", Err(CommandError::type_error("another"))),
        ("not found", Err(CommandError::not_found("a third"))),
    ]
}

fn transports() -> Vec<(&'static str, Reply)> {
    let router = RouterDump {
        data_consumers_of_data_producer: vec![("dp".into(), vec!["dc1".into(), "dc2".into()])],
        data_producer_of_data_consumer: vec![("dc1".into(), "dp".into())],
        ..replies::router_dump()
    };
    let pipe_stats =
        PipeTransportStats { base: replies::transport_stats(), tuple: replies::tuple(Some("[::1]:6000")) };
    let connected =
        Reply::PipeConnect { key: PipeKey(7), tuple: replies::tuple(Some("[::1]:6000")), peer_srtp: None };
    vec![
        ("done", Reply::Done),
        ("router dump", Reply::RouterDump(Box::new(router))),
        ("router dump of nothing", Reply::RouterDump(Box::default())),
        ("direct transport dump", Reply::DirectTransportDump(Box::new(with_sctp()))),
        ("direct transport dump of nothing", Reply::DirectTransportDump(Box::default())),
        ("plain transport dump", Reply::PlainTransportDump(Box::new(replies::plain_transport_dump()))),
        ("pipe transport dump", Reply::PipeTransportDump(Box::new(replies::pipe_transport_dump()))),
        ("direct transport stats", Reply::DirectTransportStats(Box::new(highest_stats()))),
        ("direct transport stats of nothing", Reply::DirectTransportStats(Box::default())),
        ("plain transport stats", Reply::PlainTransportStats(Box::new(replies::plain_transport_stats()))),
        ("pipe transport stats", Reply::PipeTransportStats(Box::new(pipe_stats))),
        ("plain transport connected", Reply::PlainConnect(Box::new(replies::plain_connected()))),
        ("pipe transport connected", connected),
    ]
}

fn with_sctp() -> TransportDump {
    let sctp = SctpDump {
        port: 5_000,
        max_send_message_size: 1,
        max_receive_message_size: 2,
        send_buffer_size: 3,
        per_stream_send_queue_limit: 4,
        max_receiver_window_buffer_size: 5,
        num_streams: Some(NumSctpStreams { os: 7, mis: 8 }),
        buffered_amount: 0,
        is_data_channel: true,
        state: SctpState::Connected,
        negotiated: SctpNegotiatedCapabilities { max_outbound_streams: 6, max_inbound_streams: 7 },
        data_producer_of_stream: vec![(8, "dp".into())],
    };
    TransportDump {
        data_producers: vec!["dp".into()],
        data_consumers: vec!["dc1".into(), "dc2".into()],
        sctp: Some(sctp),
        trace_events: vec![TransportTraceEvent::Bwe, TransportTraceEvent::Probation],
        ..replies::transport_dump()
    }
}

/// As high as its fields go.
fn highest_stats() -> TransportStats {
    TransportStats {
        bytes_received: u64::MAX,
        recv_bitrate: u64::MAX,
        bytes_sent: u64::MAX,
        send_bitrate: u64::MAX,
        sctp_state: Some(SctpState::Failed),
        available_outgoing_bitrate: Some(u64::MAX),
        available_incoming_bitrate: Some(u64::from(u32::MAX) + 1),
        max_incoming_bitrate: Some(u64::MAX),
        max_outgoing_bitrate: Some(1),
        min_outgoing_bitrate: Some(u64::MAX),
        rtp_packet_loss_sent: Some(1.0),
        ..replies::transport_stats()
    }
}

fn webrtc() -> Vec<(&'static str, Reply)> {
    let credentials = || Credentials { username_fragment: "fragment".into(), password: "password".into() };
    let candidate =
        |protocol| Candidate { protocol, priority: 4_000_000_000, address: "sfu.test".into(), port: 44_444 };
    let dump = WebRtcTransportDump {
        base: replies::transport_dump(),
        ice_parameters: credentials(),
        ice_candidates: vec![candidate(CandidateProtocol::Udp), candidate(CandidateProtocol::Tcp)],
        ice_state: ice::State::Completed,
        ice_selected_tuple: Some(replies::tuple(Some("[::1]:6000"))),
        dtls_role: Role::Server,
        dtls_fingerprints: FingerprintAlgorithm::ALL
            .into_iter()
            .map(|algorithm| Fingerprint::of(algorithm, b"x"))
            .collect(),
        dtls_state: dtls::State::Failed,
    };
    let stats = WebRtcTransportStats {
        base: replies::transport_stats(),
        ice_state: ice::State::Disconnected,
        ice_selected_tuple: None,
        dtls_state: dtls::State::Connecting,
    };
    vec![
        ("webrtc transport dump", Reply::WebRtcTransportDump(Box::new(dump))),
        ("webrtc transport stats", Reply::WebRtcTransportStats(Box::new(stats))),
        ("webrtc transport connected as client", Reply::WebRtcConnect { role: Role::Client }),
        ("webrtc transport connected as server", Reply::WebRtcConnect { role: Role::Server }),
        ("ice restarted", Reply::RestartIce(credentials())),
    ]
}

fn media() -> Vec<(&'static str, Reply)> {
    vec![
        ("produced simple", Reply::Produce { rtp_type: RtpType::Simple }),
        ("produced simulcast", Reply::Produce { rtp_type: RtpType::Simulcast }),
        ("produced svc", Reply::Produce { rtp_type: RtpType::Svc }),
        ("consumed", Reply::Consume(replies::consume_reply())),
        ("producer dump", Reply::ProducerDump(Box::new(replies::producer_dump()))),
        ("producer stats", Reply::ProducerStats(vec![replies::recv_stats()])),
        ("producer stats of nothing", Reply::ProducerStats(Vec::new())),
        ("consumer dump", Reply::ConsumerDump(Box::new(replies::consumer_dump()))),
        ("consumer stats", Reply::ConsumerStats(Box::new(replies::consumer_stats()))),
        ("layers", Reply::SetPreferredLayers(Some(Layers { spatial: 1, temporal: Some(0) }))),
        ("layers without temporal", Reply::SetPreferredLayers(Some(Layers { spatial: 0, temporal: None }))),
        ("no layers", Reply::SetPreferredLayers(None)),
        ("priority", Reply::SetPriority(255)),
    ]
}

fn data() -> Vec<(&'static str, Reply)> {
    let stream = StreamParameters {
        stream_id: 0,
        ordered: false,
        max_packet_life_time: NonZeroU16::new(5),
        max_retransmits: None,
    };
    let producer = DataProducerDump {
        id: "dp".to_owned(),
        data_type: DataType::Sctp,
        stream: Some(stream),
        label: "label".to_owned(),
        protocol: String::new(),
        paused: true,
    };
    let direct = DataProducerDump { data_type: DataType::Direct, stream: None, ..producer.clone() };
    let producer_stats = DataProducerStats {
        timestamp_ms: 77,
        label: "label".to_owned(),
        protocol: "protocol".to_owned(),
        messages_received: 5,
        bytes_received: 5_000_000_000,
    };
    let consumer = DataConsumerDump {
        id: "dc".to_owned(),
        data_producer: "dp".into(),
        data_type: DataType::Sctp,
        stream: Some(stream),
        label: String::new(),
        protocol: "protocol".to_owned(),
        buffered_amount: 1,
        buffered_amount_low_threshold: u32::MAX,
        paused: false,
        data_producer_paused: true,
        subchannels: vec![4, u16::MAX],
    };
    let consumer_stats = DataConsumerStats {
        timestamp_ms: u64::MAX,
        label: "label".to_owned(),
        protocol: "protocol".to_owned(),
        messages_sent: 6,
        bytes_sent: 7,
        buffered_amount: 8,
    };
    vec![
        ("data producer dump", Reply::DataProducerDump(Box::new(producer))),
        ("data producer dump, direct", Reply::DataProducerDump(Box::new(direct))),
        ("data producer stats", Reply::DataProducerStats(Box::new(producer_stats))),
        ("data consumer dump", Reply::DataConsumerDump(Box::new(consumer))),
        ("data consumer stats", Reply::DataConsumerStats(Box::new(consumer_stats))),
        ("buffered amount", Reply::BufferedAmount(9)),
        ("data sent", Reply::DataSent { buffered_amount: 10 }),
        ("subchannels", Reply::SetSubchannels(vec![2, 1])),
        ("subchannel added", Reply::AddSubchannel(vec![2, 1, 3])),
        ("subchannel removed", Reply::RemoveSubchannel(Vec::new())),
    ]
}

pub(super) fn events() -> Vec<(&'static str, Event)> {
    [of_transports(), of_producers(), of_consumers(), traces(), of_observers(), of_data()].concat()
}

fn of_transports() -> Vec<(&'static str, Event)> {
    let transport = || "t".into();
    let tuple = replies::tuple(Some("[::1]:6000"));
    vec![
        ("tuple", Event::PlainTransportTuple { transport: transport(), tuple: tuple.clone() }),
        ("rtcp tuple", Event::PlainTransportRtcpTuple { transport: transport(), tuple: tuple.clone() }),
        ("rtcp", Event::DirectTransportRtcp { transport: transport(), data: vec![1, 2] }),
        ("selected tuple", Event::WebRtcIceSelectedTuple { transport: transport(), tuple }),
        ("ice completed", Event::WebRtcIceState { transport: transport(), state: ice::State::Completed }),
        (
            "ice disconnected",
            Event::WebRtcIceState { transport: transport(), state: ice::State::Disconnected },
        ),
        (
            "dtls connected",
            Event::WebRtcDtlsState {
                transport: transport(),
                state: dtls::State::Connected,
                remote_certificate: Some("PEM".to_owned()),
            },
        ),
        (
            "dtls failed",
            Event::WebRtcDtlsState {
                transport: transport(),
                state: dtls::State::Failed,
                remote_certificate: None,
            },
        ),
        ("sctp connected", Event::TransportSctpState { transport: transport(), state: SctpState::Connected }),
        (
            "sctp negotiated",
            Event::TransportSctpNegotiated {
                transport: transport(),
                capabilities: SctpNegotiatedCapabilities { max_outbound_streams: 1, max_inbound_streams: 2 },
            },
        ),
    ]
}

fn of_producers() -> Vec<(&'static str, Event)> {
    let scores = vec![
        ProducerScore { encoding_idx: 0, ssrc: u32::MAX, rid: None, score: 10 },
        ProducerScore { encoding_idx: 1, ssrc: 2, rid: Some("r1".to_owned()), score: 0 },
    ];
    let (camera, flip, rotation) = (true, false, 270);
    vec![
        ("producer score", Event::ProducerScore { producer: "p".into(), scores }),
        (
            "video orientation",
            Event::ProducerVideoOrientation { producer: "p".into(), camera, flip, rotation },
        ),
    ]
}

fn of_consumers() -> Vec<(&'static str, Event)> {
    let consumer = || "c".into();
    let score = ConsumerScore { score: 1, producer_score: 2, producer_scores: vec![2, 3] };
    let layers = Some(Layers { spatial: 1, temporal: Some(2) });
    vec![
        ("consumer's producer paused", Event::ConsumerProducerPause { consumer: consumer() }),
        ("consumer's producer resumed", Event::ConsumerProducerResume { consumer: consumer() }),
        ("consumer's producer closed", Event::ConsumerProducerClose { consumer: consumer() }),
        ("rtp", Event::ConsumerRtp { consumer: consumer(), data: vec![3] }),
        ("consumer score", Event::ConsumerScore { consumer: consumer(), score }),
        ("layers changed", Event::ConsumerLayers { consumer: consumer(), layers }),
        ("layers gone", Event::ConsumerLayers { consumer: consumer(), layers: None }),
    ]
}

fn packet() -> TraceInfo {
    let packet = RtpPacketDump {
        payload_type: 96,
        sequence_number: 65_535,
        timestamp: u32::MAX,
        marker: true,
        ssrc: 1111,
        is_key_frame: true,
        size: 1200,
        payload_size: 1188,
        spatial_layer: 1,
        temporal_layer: 2,
        mid: Some("m".to_owned()),
        rid: None,
        rrid: Some(String::new()),
        wide_sequence_number: Some(0),
    };
    TraceInfo::Packet { packet: Box::new(packet), is_rtx: true }
}

fn traces() -> Vec<(&'static str, Event)> {
    use {ConsumerTraceEvent as C, ProducerTraceEvent as P};
    let report = TraceInfo::SenderReport {
        ssrc: 1,
        ntp_sec: 2,
        ntp_frac: 3,
        rtp_ts: 4,
        packet_count: 5,
        octet_count: 6,
    };
    let of_producer = |event, info| {
        let trace = ProducerTrace { event, timestamp_ms: 77, direction: Direction::In, info };
        Event::ProducerTrace { producer: "p".into(), trace }
    };
    let of_consumer = |event, info| {
        let trace = ConsumerTrace { event, timestamp_ms: 77, direction: Direction::Out, info };
        Event::ConsumerTrace { consumer: "c".into(), trace }
    };
    vec![
        ("producer trace of a packet", of_producer(P::Rtp, packet())),
        ("producer trace of a key frame", of_producer(P::KeyFrame, packet())),
        ("producer trace of a nack", of_producer(P::Nack, TraceInfo::None)),
        ("producer trace of a pli", of_producer(P::Pli, TraceInfo::Ssrc(1))),
        ("producer trace of a fir", of_producer(P::Fir, TraceInfo::Ssrc(1))),
        ("producer trace of a sender report", of_producer(P::SenderReport, report)),
        ("consumer trace of a packet", of_consumer(C::Rtp, packet())),
        ("consumer trace of a key frame", of_consumer(C::KeyFrame, packet())),
        ("consumer trace of a nack", of_consumer(C::Nack, TraceInfo::None)),
        ("consumer trace of a pli", of_consumer(C::Pli, TraceInfo::Ssrc(1))),
        ("consumer trace of a fir", of_consumer(C::Fir, TraceInfo::Ssrc(1))),
    ]
}

fn of_observers() -> Vec<(&'static str, Event)> {
    let observer = || "o".into();
    let volumes = vec![("p1".into(), -30), ("p2".into(), -127)];
    vec![
        (
            "dominant speaker",
            Event::ActiveSpeakerObserverDominantSpeaker { observer: observer(), producer: "p".into() },
        ),
        ("volumes", Event::AudioLevelObserverVolumes { observer: observer(), volumes }),
        ("silence", Event::AudioLevelObserverSilence { observer: observer() }),
    ]
}

fn of_data() -> Vec<(&'static str, Event)> {
    let data_consumer = || "dc".into();
    let message = |payload: &[u8]| Event::DataConsumerMessage {
        data_consumer: data_consumer(),
        message: Message { ppid: 51, payload: payload.into() },
    };
    vec![
        ("data producer paused", Event::DataConsumerDataProducerPause { data_consumer: data_consumer() }),
        ("data producer resumed", Event::DataConsumerDataProducerResume { data_consumer: data_consumer() }),
        ("data producer closed", Event::DataConsumerDataProducerClose { data_consumer: data_consumer() }),
        ("data", message(b"hi")),
        ("empty data", message(b"")),
        ("send buffer full", Event::DataConsumerSendBufferFull { data_consumer: data_consumer() }),
        (
            "buffered amount low",
            Event::DataConsumerBufferedAmountLow { data_consumer: data_consumer(), buffered_amount: 3 },
        ),
    ]
}
