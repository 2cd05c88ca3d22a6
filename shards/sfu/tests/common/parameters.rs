//! What a controller says, in the shapes its library produces.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_sfu::command::{
    Consume, ListenInfo, PlainConnect, PlainTransportOptions, Produce, Protocol, SrtpParameters,
    TransportOptions,
};
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, ExtensionUri, MediaKind, Parameter, ParameterValue, RtcpFeedback,
    RtcpParameters, RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpMapping,
    RtpParameters, RtpType,
};

/// Payload types as senders use them.
pub(crate) const H264: u8 = 96;
pub(crate) const H264_RTX: u8 = 97;
pub(crate) const OPUS: u8 = 98;
/// Payload types inside the router, which receivers use.
pub(crate) const ROUTER_OPUS: u8 = 100;
pub(crate) const ROUTER_H264: u8 = 101;
pub(crate) const ROUTER_H264_RTX: u8 = 102;
/// Senders' extension ids; the router's own differ.
pub(crate) const MID_ID: u8 = 5;
pub(crate) const ORIENTATION_ID: u8 = 13;
pub(crate) const LEVEL_ID: u8 = 10;

pub(crate) fn listen_info() -> ListenInfo {
    ListenInfo {
        protocol: Protocol::Udp,
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
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

pub(crate) fn transport_options(direct: bool) -> TransportOptions {
    TransportOptions {
        direct,
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

/// rtcpMux, no comedia, no SRTP.
pub(crate) fn plain() -> PlainTransportOptions {
    PlainTransportOptions {
        base: transport_options(false),
        listen_info: listen_info(),
        rtcp_listen_info: None,
        rtcp_mux: true,
        comedia: false,
        srtp_crypto_suite: None,
    }
}

pub(crate) fn connect_to(remote: SocketAddr) -> PlainConnect {
    PlainConnect {
        ip: Some(Ok(remote.ip())),
        port: Some(remote.port()),
        rtcp_port: None,
        srtp_parameters: None,
    }
}

pub(crate) fn connect_to_nothing() -> PlainConnect {
    PlainConnect { ip: None, port: None, rtcp_port: None, srtp_parameters: None }
}

pub(crate) fn key(suite: CryptoSuite, fill: u8) -> SrtpParameters {
    SrtpParameters { crypto_suite: suite, key_and_salt: vec![fill; suite.key_and_salt_len()] }
}

pub(crate) fn feedback(kind: &str, parameter: &str) -> RtcpFeedback {
    RtcpFeedback { kind: kind.into(), parameter: parameter.into() }
}

pub(crate) fn extension(uri: ExtensionUri, id: u8) -> RtpHeaderExtensionParameters {
    RtpHeaderExtensionParameters { uri, id, encrypt: false, parameters: Vec::new() }
}

pub(crate) fn codec(mime_type: &str, payload_type: u8, clock_rate: u32) -> RtpCodecParameters {
    RtpCodecParameters {
        mime_type: mime_type.into(),
        payload_type,
        clock_rate,
        channels: None,
        parameters: Vec::new(),
        rtcp_feedback: Vec::new(),
    }
}

fn h264(payload_type: u8) -> RtpCodecParameters {
    let rtcp_feedback = vec![feedback("nack", ""), feedback("nack", "pli"), feedback("ccm", "fir")];
    RtpCodecParameters { rtcp_feedback, ..codec("video/H264", payload_type, 90_000) }
}

pub(crate) fn rtx(payload_type: u8, apt: u8) -> RtpCodecParameters {
    let apt = Parameter { name: "apt".into(), value: ParameterValue::Integer(apt.into()) };
    RtpCodecParameters { parameters: vec![apt], ..codec("video/rtx", payload_type, 90_000) }
}

fn opus(payload_type: u8) -> RtpCodecParameters {
    RtpCodecParameters { channels: Some(2), ..codec("audio/opus", payload_type, 48_000) }
}

fn parameters(codecs: Vec<RtpCodecParameters>, ssrc: u32, rtx_ssrc: Option<u32>) -> RtpParameters {
    RtpParameters {
        mid: None,
        codecs,
        header_extensions: Vec::new(),
        encodings: vec![RtpEncodingParameters {
            ssrc: Some(ssrc),
            rtx_ssrc,
            ..RtpEncodingParameters::default()
        }],
        rtcp: RtcpParameters { cname: Some("cname".into()), reduced_size: true },
        msid: None,
    }
}

/// H264 with NACK, PLI and FIR; with RTX where an SSRC for it is given.
pub(crate) fn produce_video(producer: &str, ssrc: u32, rtx_ssrc: Option<u32>, mapped_ssrc: u32) -> Produce {
    let mut codecs = vec![h264(H264)];
    let mut mapping = vec![CodecMapping { payload_type: H264, mapped_payload_type: ROUTER_H264 }];
    if rtx_ssrc.is_some() {
        codecs.push(rtx(H264_RTX, H264));
        mapping.push(CodecMapping { payload_type: H264_RTX, mapped_payload_type: ROUTER_H264_RTX });
    }
    let mut parameters = parameters(codecs, ssrc, rtx_ssrc);
    parameters.header_extensions =
        vec![extension(ExtensionUri::Mid, MID_ID), extension(ExtensionUri::VideoOrientation, ORIENTATION_ID)];
    produce(producer, MediaKind::Video, parameters, mapping, mapped_ssrc)
}

pub(crate) fn produce_audio(producer: &str, ssrc: u32, mapped_ssrc: u32) -> Produce {
    let mut parameters = parameters(vec![opus(OPUS)], ssrc, None);
    parameters.header_extensions = vec![extension(ExtensionUri::SsrcAudioLevel, LEVEL_ID)];
    let mapping = vec![CodecMapping { payload_type: OPUS, mapped_payload_type: ROUTER_OPUS }];
    produce(producer, MediaKind::Audio, parameters, mapping, mapped_ssrc)
}

fn produce(
    producer: &str,
    kind: MediaKind,
    rtp_parameters: RtpParameters,
    codecs: Vec<CodecMapping>,
    mapped_ssrc: u32,
) -> Produce {
    let ssrc = rtp_parameters.encodings[0].ssrc;
    Produce {
        producer: producer.into(),
        kind,
        rtp_parameters,
        rtp_mapping: RtpMapping { codecs, encodings: vec![EncodingMapping { rid: None, ssrc, mapped_ssrc }] },
        paused: false,
        key_frame_request_delay: 0,
        enable_packet_id: false,
    }
}

/// MID under id 1 as `mid`, video orientation under the router's id.
pub(crate) fn consume_video(
    consumer: &str,
    producer: &str,
    ssrc: u32,
    rtx_ssrc: Option<u32>,
    mapped_ssrc: u32,
) -> Consume {
    let mut codecs = vec![h264(ROUTER_H264)];
    if rtx_ssrc.is_some() {
        codecs.push(rtx(ROUTER_H264_RTX, ROUTER_H264));
    }
    let mut parameters = parameters(codecs, ssrc, rtx_ssrc);
    parameters.mid = Some("v".into());
    parameters.header_extensions = vec![
        extension(ExtensionUri::Mid, ExtensionUri::Mid.router_id()),
        extension(ExtensionUri::VideoOrientation, ExtensionUri::VideoOrientation.router_id()),
    ];
    consume(consumer, producer, MediaKind::Video, parameters, mapped_ssrc)
}

pub(crate) fn consume_audio(consumer: &str, producer: &str, ssrc: u32, mapped_ssrc: u32) -> Consume {
    let mut parameters = parameters(vec![opus(ROUTER_OPUS)], ssrc, None);
    parameters.mid = Some("a".into());
    parameters.header_extensions = vec![
        extension(ExtensionUri::Mid, ExtensionUri::Mid.router_id()),
        extension(ExtensionUri::SsrcAudioLevel, ExtensionUri::SsrcAudioLevel.router_id()),
    ];
    consume(consumer, producer, MediaKind::Audio, parameters, mapped_ssrc)
}

fn consume(
    consumer: &str,
    producer: &str,
    kind: MediaKind,
    rtp_parameters: RtpParameters,
    mapped_ssrc: u32,
) -> Consume {
    let consumable = RtpEncodingParameters { ssrc: Some(mapped_ssrc), ..RtpEncodingParameters::default() };
    Consume {
        consumer: consumer.into(),
        producer: producer.into(),
        kind,
        rtp_parameters,
        requested_type: RtpType::Simple,
        consumable_rtp_encodings: vec![consumable],
        paused: false,
        preferred_layers: None,
        ignore_dtx: false,
    }
}
