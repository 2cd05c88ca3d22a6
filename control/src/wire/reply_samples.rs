//! Replies that the encoding tests share.

use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_sfu::command::{
    ConsumerTraceEvent, Layers, ProducerTraceEvent, Protocol, SrtpParameters, TransportTraceEvent,
};
use ringsoup_sfu::piped::PipeKey;
use ringsoup_sfu::reply::{
    BaseStats, ConsumeReply, ConsumerDump, ConsumerLayersDump, ConsumerScore, ConsumerStats,
    LatencyHistogram, PipeTransportDump, PlainConnected, PlainTransportDump, PlainTransportStats,
    ProducerDump, RecvRtpHeaderExtensions, RecvStats, RouterDump, RtpStreamDump, RtpStreamParams,
    RtxStreamParams, SendStats, ShardReport, TransportDump, TransportStats, Tuple,
};
use ringsoup_sfu::rtp_parameters::{MediaKind, RtpType};

use super::samples;
use crate::message::{ShardDump, WorkerDump};

fn latency() -> LatencyHistogram {
    LatencyHistogram { count: 5, p99_us: 99, encoded: vec![1, 2, 3], ..LatencyHistogram::default() }
}

pub(super) fn shard_report() -> ShardReport {
    ShardReport {
        routers: 1,
        transports: 2,
        received_packets: 10,
        forwarded_packets: 7,
        consumed_packets: 1,
        sent_packets: 20,
        dropped: vec![("duplicate", 2)],
        latency: latency(),
        io: vec![("sends", 5)],
        ..ShardReport::default()
    }
}

pub(super) fn worker_dump() -> WorkerDump {
    WorkerDump {
        pid: 42,
        web_rtc_servers: vec!["w".into()],
        routers: vec!["r1".into(), "r2".into()],
        request_handlers: vec!["r1".into()],
        notification_handlers: Vec::new(),
        payload_request_handlers: vec!["dc".into()],
        shards: vec![
            ShardDump { index: 0, report: Some(Box::new(shard_report())) },
            ShardDump { index: 1, report: None },
        ],
    }
}

pub(super) fn router_dump() -> RouterDump {
    RouterDump {
        router: "r".to_owned(),
        transports: vec!["t1".into(), "t2".into()],
        consumers_of_producer: vec![("p".into(), vec!["c1".into(), "c2".into()])],
        rtp_observers: vec!["o1".into(), "o2".into()],
        observers_of_producer: vec![("p".into(), vec!["o2".into()]), ("p2".into(), Vec::new())],
        producer_of_consumer: vec![("c1".into(), "p".into()), ("c2".into(), "p".into())],
        latency: latency(),
        shard: Some(3),
        ..RouterDump::default()
    }
}

pub(super) fn tuple(remote: Option<&str>) -> Tuple {
    Tuple {
        local_address: "9.9.9.1".to_owned(),
        local_port: 5000,
        remote: remote.map(|remote| remote.parse().unwrap()),
        protocol: Protocol::Udp,
    }
}

fn srtp_parameters() -> SrtpParameters {
    SrtpParameters { crypto_suite: CryptoSuite::AeadAes256Gcm, key_and_salt: vec![0, 1, 2, 3] }
}

pub(super) fn transport_dump() -> TransportDump {
    TransportDump {
        id: "t".to_owned(),
        direct: true,
        producers: vec!["p".into()],
        consumers: vec!["c".into()],
        consumer_of_ssrc: vec![(1, "c".into())],
        consumer_of_rtx_ssrc: vec![(2, "c".into())],
        recv_extensions: RecvRtpHeaderExtensions {
            mid: Some(1),
            transport_wide_cc: Some(5),
            ..RecvRtpHeaderExtensions::default()
        },
        producer_of_ssrc: vec![(3, "p".into())],
        producer_of_mid: vec![("m".to_owned(), "p".into())],
        max_send_message_size: 262_144,
        max_receive_message_size: 262_145,
        trace_events: vec![TransportTraceEvent::Bwe, TransportTraceEvent::Probation],
        ..TransportDump::default()
    }
}

pub(super) fn plain_transport_dump() -> PlainTransportDump {
    PlainTransportDump {
        base: transport_dump(),
        rtcp_mux: true,
        comedia: true,
        tuple: tuple(None),
        rtcp_tuple: Some(tuple(Some("[::1]:6000"))),
        srtp_parameters: Some(srtp_parameters()),
    }
}

pub(super) fn pipe_transport_dump() -> PipeTransportDump {
    PipeTransportDump {
        base: transport_dump(),
        key: PipeKey(7),
        bound: "127.0.0.1:5000".parse().unwrap(),
        tuple: tuple(Some("[::1]:6000")),
        rtx: true,
        srtp_parameters: Some(srtp_parameters()),
    }
}

pub(super) fn transport_stats() -> TransportStats {
    TransportStats {
        transport: "t".to_owned(),
        timestamp_ms: 77,
        bytes_received: 1,
        recv_bitrate: 2,
        probation_bytes_sent: 13,
        probation_send_bitrate: 14,
        available_outgoing_bitrate: Some(600_000),
        max_incoming_bitrate: Some(5_000_000_000),
        max_outgoing_bitrate: Some(0),
        rtp_packet_loss_received: Some(0.5),
        ..TransportStats::default()
    }
}

pub(super) fn plain_transport_stats() -> PlainTransportStats {
    PlainTransportStats {
        base: transport_stats(),
        rtcp_mux: true,
        comedia: true,
        tuple: tuple(Some("[::1]:6000")),
        rtcp_tuple: None,
    }
}

pub(super) fn plain_connected() -> PlainConnected {
    PlainConnected { tuple: None, rtcp_tuple: Some(tuple(None)), srtp_parameters: Some(srtp_parameters()) }
}

pub(super) fn consume_reply() -> ConsumeReply {
    ConsumeReply {
        paused: true,
        producer_paused: false,
        score: ConsumerScore { score: 10, producer_score: 9, producer_scores: vec![9, 0] },
        preferred_layers: Some(Layers { spatial: 0, temporal: Some(2) }),
    }
}

fn rtp_stream() -> RtpStreamDump {
    RtpStreamDump {
        params: RtpStreamParams {
            ssrc: 1111,
            payload_type: 96,
            mime_type: "video/VP8".to_owned(),
            clock_rate: 90_000,
            cname: "c".to_owned(),
            rtx_ssrc: Some(1112),
            rtx_payload_type: Some(97),
            use_nack: true,
            spatial_layers: 1,
            temporal_layers: 1,
            ..RtpStreamParams::default()
        },
        score: 10,
        rtx_stream: Some(RtxStreamParams {
            ssrc: 1112,
            payload_type: 97,
            mime_type: "video/rtx".to_owned(),
            clock_rate: 90_000,
            rrid: None,
            cname: "c".to_owned(),
        }),
    }
}

pub(super) fn producer_dump() -> ProducerDump {
    use ProducerTraceEvent as T;
    ProducerDump {
        id: "p".to_owned(),
        kind: MediaKind::Video,
        rtp_type: RtpType::Simulcast,
        rtp_parameters: samples::rich_parameters(),
        rtp_mapping: samples::rich_mapping(),
        rtp_streams: vec![rtp_stream()],
        trace_events: vec![T::SenderReport, T::KeyFrame, T::Fir, T::Nack, T::Pli, T::Rtp],
        paused: true,
    }
}

pub(super) fn consumer_dump() -> ConsumerDump {
    ConsumerDump {
        id: "c".to_owned(),
        rtp_type: RtpType::Simple,
        producer: "p".into(),
        kind: MediaKind::Video,
        rtp_parameters: samples::rich_parameters(),
        consumable_rtp_encodings: samples::rich_parameters().encodings,
        supported_codec_payload_types: vec![100],
        trace_events: vec![ConsumerTraceEvent::Fir, ConsumerTraceEvent::Rtp],
        paused: false,
        producer_paused: true,
        priority: 1,
        rtp_streams: vec![rtp_stream()],
        layers: ConsumerLayersDump::default(),
    }
}

fn base_stats() -> BaseStats {
    BaseStats {
        timestamp_ms: 77,
        ssrc: 1111,
        kind: MediaKind::Video,
        mime_type: "video/VP8".to_owned(),
        packets_lost: -3,
        fraction_lost: 12,
        jitter: 1,
        packets_discarded: 2,
        packets_retransmitted: 3,
        packets_repaired: 4,
        nack_count: 5,
        nack_packet_count: 6,
        pli_count: 7,
        fir_count: 8,
        rid: None,
        rtx_ssrc: Some(1112),
        rtx_packets_discarded: 9,
        round_trip_time: 1.5,
        score: 10,
    }
}

pub(super) fn recv_stats() -> RecvStats {
    RecvStats {
        base: base_stats(),
        packet_count: 1,
        byte_count: 2,
        bitrate: 3,
        bitrate_by_layer: vec![("0.1".to_owned(), 4)],
    }
}

pub(super) fn consumer_stats() -> ConsumerStats {
    let sent = SendStats { base: base_stats(), packet_count: 5, byte_count: 6, bitrate: 7 };
    ConsumerStats { sent: vec![sent], received: Some(recv_stats()) }
}
