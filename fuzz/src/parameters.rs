//! RTP parameters as controllers send them, with the faults the input asks for.

use arbitrary::Arbitrary;
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, ExtensionUri, MediaKind, Parameter, ParameterValue, RtcpFeedback,
    RtcpParameters, RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpMapping,
    RtpParameters,
};

/// SSRCs are few, so that they collide.
const STREAMS: u32 = 4;
const CONSUMED: u32 = 6;
/// Payload types of publishers and, 100 lower, of the router.
pub const MEDIA_PAYLOAD_TYPE: u8 = 112;
pub const RTX_PAYLOAD_TYPE: u8 = 113;
const ROUTER_OFFSET: u8 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Media {
    Opus,
    H264,
    Vp8,
    Vp9,
    Av1,
}

impl Media {
    pub fn kind(self) -> MediaKind {
        if self == Self::Opus { MediaKind::Audio } else { MediaKind::Video }
    }

    fn mime_type(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::H264 => "video/H264",
            Self::Vp8 => "video/VP8",
            Self::Vp9 => "video/VP9",
            Self::Av1 => "video/AV1",
        }
    }
}

pub fn published_ssrc(stream: u8) -> u32 {
    1000 + u32::from(stream) % STREAMS * 10
}

pub fn published_rtx_ssrc(stream: u8) -> u32 {
    published_ssrc(stream) + 1
}

/// The SSRC of the same number that is given when the first is used up.
pub fn next_consumed_ssrc(ssrc: u32) -> u32 {
    ssrc + CONSUMED * 2
}

pub fn mapped_ssrc(stream: u8) -> u32 {
    2000 + u32::from(stream) % STREAMS
}

pub fn consumed_ssrc(stream: u8) -> u32 {
    3000 + u32::from(stream) % CONSUMED * 2
}

/// What is wrong, or unusual, with parameters.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Fault {
    None,
    None2,
    None3,
    NoCodecs,
    NoEncodings,
    NoSsrc,
    WrongCodec,
    ExtensionZero,
    ExtensionHigh,
    TwoEncodings,
    Layers,
    LongMid,
    PayloadTypeHigh,
    RtxOfRtx,
    /// Two streams, of two neighbours: no fault, and what the consumers of simulcast take.
    Simulcast,
    Svc,
    /// Of a producer of two streams.
    Pipe,
}

fn codec(mime_type: &str, payload_type: u8, clock_rate: u32) -> RtpCodecParameters {
    RtpCodecParameters {
        mime_type: mime_type.into(),
        payload_type,
        clock_rate,
        channels: None,
        parameters: Vec::new(),
        rtcp_feedback: Vec::new(),
    }
}

fn extension(uri: ExtensionUri, id: u8) -> RtpHeaderExtensionParameters {
    RtpHeaderExtensionParameters { uri, id, encrypt: false, parameters: Vec::new() }
}

/// One stream with the feedback of a browser; `offset` lowers payload types to the router's.
fn stream(media: Media, ssrc: u32, rtx_ssrc: Option<u32>, offset: u8) -> RtpParameters {
    let clock_rate = if media == Media::Opus { 48_000 } else { 90_000 };
    let payload_type = MEDIA_PAYLOAD_TYPE - offset;
    let mut main = codec(media.mime_type(), payload_type, clock_rate);
    let feedback =
        |kind: &str, parameter: &str| RtcpFeedback { kind: kind.into(), parameter: parameter.into() };
    main.rtcp_feedback = vec![
        feedback("nack", ""),
        feedback("nack", "pli"),
        feedback("ccm", "fir"),
        feedback("transport-cc", ""),
    ];
    let mut codecs = vec![main];
    if rtx_ssrc.is_some() {
        let mut rtx = codec("video/rtx", RTX_PAYLOAD_TYPE - offset, clock_rate);
        let value = ParameterValue::Integer(i32::from(payload_type));
        rtx.parameters.push(Parameter { name: "apt".into(), value });
        codecs.push(rtx);
    }
    RtpParameters {
        mid: None,
        codecs,
        header_extensions: vec![
            extension(ExtensionUri::Mid, 1),
            extension(ExtensionUri::AbsSendTime, 4),
            extension(ExtensionUri::TransportWideCc01, 5),
        ],
        encodings: vec![RtpEncodingParameters {
            ssrc: Some(ssrc),
            rtx_ssrc,
            ..RtpEncodingParameters::default()
        }],
        rtcp: RtcpParameters { cname: Some("cname".into()), reduced_size: true },
        msid: None,
    }
}

fn spoil(parameters: &mut RtpParameters, fault: Fault) {
    let Some(first) = parameters.encodings.first_mut() else { return };
    match fault {
        Fault::None | Fault::None2 | Fault::None3 | Fault::Simulcast | Fault::Svc | Fault::Pipe => {}
        Fault::NoCodecs => parameters.codecs.clear(),
        Fault::NoEncodings => parameters.encodings.clear(),
        Fault::NoSsrc => first.ssrc = None,
        Fault::WrongCodec => parameters.codecs[0].mime_type = "video/ulpfec".into(),
        Fault::ExtensionZero => parameters.header_extensions[0].id = 0,
        Fault::ExtensionHigh => parameters.header_extensions[0].id = 200,
        Fault::TwoEncodings => {
            let second = RtpEncodingParameters { ssrc: Some(1), ..first.clone() };
            parameters.encodings.push(second);
        }
        Fault::Layers => first.scalability_mode = Some("L3T3".into()),
        Fault::LongMid => parameters.mid = Some("m".repeat(300)),
        Fault::PayloadTypeHigh => parameters.codecs[0].payload_type = 255,
        Fault::RtxOfRtx => {
            let payload_type = i32::from(RTX_PAYLOAD_TYPE);
            let value = ParameterValue::Integer(payload_type);
            for codec in &mut parameters.codecs[1..] {
                codec.parameters = vec![Parameter { name: "apt".into(), value: value.clone() }];
            }
        }
    }
}

/// How a producer's packets find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Addressing {
    Ssrc,
    Mid,
    MidAndRid,
}

pub fn produced(
    media: Media,
    index: u8,
    rtx: bool,
    addressing: Addressing,
    fault: Fault,
) -> (RtpParameters, RtpMapping) {
    let rtx_ssrc = rtx.then(|| published_rtx_ssrc(index));
    let mut parameters = stream(media, published_ssrc(index), rtx_ssrc, 0);
    parameters.header_extensions.extend([
        extension(ExtensionUri::RtpStreamId, 2),
        extension(ExtensionUri::RepairRtpStreamId, 3),
        extension(ExtensionUri::SsrcAudioLevel, 10),
        extension(ExtensionUri::VideoOrientation, 13),
        extension(ExtensionUri::PlayoutDelay, 14),
    ]);
    if addressing != Addressing::Ssrc {
        parameters.mid = Some("0".into());
        parameters.encodings[0].ssrc = None;
    }
    if addressing == Addressing::MidAndRid {
        parameters.encodings[0].rid = Some("r0".into());
    }
    let codecs = parameters.codecs.iter().map(|codec| CodecMapping {
        payload_type: codec.payload_type,
        mapped_payload_type: codec.payload_type - ROUTER_OFFSET,
    });
    match fault {
        Fault::Simulcast | Fault::Pipe => {
            let next = index.wrapping_add(1);
            let mut second = parameters.encodings[0].clone();
            second.ssrc = second.ssrc.map(|_| published_ssrc(next));
            second.rtx_ssrc = second.rtx_ssrc.map(|_| published_rtx_ssrc(next));
            second.rid = second.rid.map(|_| "r1".into());
            parameters.encodings.push(second);
        }
        Fault::Svc => parameters.encodings[0].scalability_mode = Some("L3T3".into()),
        _ => {}
    }
    let encodings = (index..=u8::MAX).zip(&parameters.encodings).map(|(index, encoding)| EncodingMapping {
        rid: encoding.rid.clone(),
        ssrc: encoding.ssrc,
        mapped_ssrc: mapped_ssrc(index),
    });
    let mapping = RtpMapping { codecs: codecs.collect(), encodings: encodings.collect() };
    spoil(&mut parameters, fault);
    (parameters, mapping)
}

pub fn consumed(media: Media, ssrc: u32, rtx: bool, own_ids: bool, fault: Fault) -> RtpParameters {
    let mut parameters = stream(media, ssrc, rtx.then_some(ssrc + 1), ROUTER_OFFSET);
    parameters.mid = Some("c".into());
    if own_ids {
        parameters.header_extensions.push(extension(ExtensionUri::VideoOrientation, 14));
        parameters.header_extensions.push(extension(ExtensionUri::SsrcAudioLevel, 40));
    }
    let mode = |mode: &str| Some(mode.to_owned());
    match fault {
        Fault::Simulcast => parameters.encodings[0].scalability_mode = mode("L2T3"),
        Fault::Svc => parameters.encodings[0].scalability_mode = mode("L3T3"),
        Fault::Pipe => {
            let mut second = parameters.encodings[0].clone();
            second.ssrc = second.ssrc.map(second_ssrc);
            second.rtx_ssrc = second.rtx_ssrc.map(second_ssrc);
            parameters.encodings.push(second);
        }
        _ => {}
    }
    spoil(&mut parameters, fault);
    parameters
}

/// The SSRC of a pipe's second stream.
pub fn second_ssrc(ssrc: u32) -> u32 {
    ssrc + 100_000
}

pub fn consumable(index: u8, fault: Fault) -> Vec<RtpEncodingParameters> {
    let ssrc = (!matches!(fault, Fault::NoSsrc)).then(|| mapped_ssrc(index));
    let mut first = RtpEncodingParameters { ssrc, ..RtpEncodingParameters::default() };
    match fault {
        Fault::Simulcast | Fault::Pipe => {
            let second =
                RtpEncodingParameters { ssrc: Some(mapped_ssrc(index.wrapping_add(1))), ..first.clone() };
            return vec![first, second];
        }
        Fault::Svc => first.scalability_mode = Some("L3T3".into()),
        _ => {}
    }
    vec![first]
}
