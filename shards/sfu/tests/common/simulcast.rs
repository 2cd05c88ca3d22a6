//! Producers of several encodings, and who consumes them.

use ringsoup_sfu::command::{Consume, Produce};
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, MediaKind, RtcpParameters, RtpCodecParameters, RtpEncodingParameters,
    RtpMapping, RtpParameters, RtpType,
};

use super::parameters::{codec, feedback, rtx};

/// Payload types as the sender uses them, and inside the router.
pub(crate) const VIDEO: u8 = 96;
pub(crate) const VIDEO_RTX: u8 = 97;
pub(crate) const ROUTER_VIDEO: u8 = 101;
pub(crate) const ROUTER_RTX: u8 = 102;

fn video(mime_type: &str, payload_type: u8) -> RtpCodecParameters {
    let rtcp_feedback = vec![feedback("nack", ""), feedback("nack", "pli"), feedback("ccm", "fir")];
    RtpCodecParameters { rtcp_feedback, ..codec(mime_type, payload_type, 90_000) }
}

fn parameters(codecs: Vec<RtpCodecParameters>, encodings: Vec<RtpEncodingParameters>) -> RtpParameters {
    RtpParameters {
        mid: None,
        codecs,
        header_extensions: Vec::new(),
        encodings,
        rtcp: RtcpParameters { cname: Some("cname".into()), reduced_size: true },
        msid: None,
    }
}

fn encodings(ssrcs: &[u32], mode: Option<&str>) -> Vec<RtpEncodingParameters> {
    let encoding = |&ssrc: &u32| RtpEncodingParameters {
        ssrc: Some(ssrc),
        scalability_mode: mode.map(str::to_owned),
        ..RtpEncodingParameters::default()
    };
    ssrcs.iter().map(encoding).collect()
}

/// One encoding per SSRC; `mapped` names them in the router.
pub(crate) fn produce(
    producer: &str,
    mime_type: &str,
    mode: Option<&str>,
    ssrcs: &[u32],
    mapped: &[u32],
) -> Produce {
    let encoding = |(&ssrc, &mapped_ssrc)| EncodingMapping { rid: None, ssrc: Some(ssrc), mapped_ssrc };
    Produce {
        producer: producer.into(),
        kind: MediaKind::Video,
        rtp_parameters: parameters(
            vec![video(mime_type, VIDEO), rtx(VIDEO_RTX, VIDEO)],
            encodings(ssrcs, mode),
        ),
        rtp_mapping: RtpMapping {
            codecs: vec![
                CodecMapping { payload_type: VIDEO, mapped_payload_type: ROUTER_VIDEO },
                CodecMapping { payload_type: VIDEO_RTX, mapped_payload_type: ROUTER_RTX },
            ],
            encodings: ssrcs.iter().zip(mapped).map(encoding).collect(),
        },
        paused: false,
        key_frame_request_delay: 0,
        enable_packet_id: false,
    }
}

/// What is not a pipe sends one stream, whose encoding tells all layers; RTX goes under `ssrc + 1`.
pub(crate) fn consume(
    consumer: &str,
    producer: &str,
    mime_type: &str,
    mode: (Option<&str>, Option<&str>),
    ssrc: u32,
    mapped: &[u32],
) -> Consume {
    let (own, consumable) = mode;
    let mut request = consume_pipe(consumer, producer, mime_type, &[ssrc], mapped);
    request.requested_type = RtpType::Simple;
    request.rtp_parameters.encodings[0].scalability_mode = own.map(str::to_owned);
    request.consumable_rtp_encodings = encodings(mapped, consumable);
    request
}

/// A stream per encoding, each with RTX under its SSRC plus one.
pub(crate) fn consume_pipe(
    consumer: &str,
    producer: &str,
    mime_type: &str,
    ssrcs: &[u32],
    mapped: &[u32],
) -> Consume {
    let mut own = encodings(ssrcs, None);
    for encoding in &mut own {
        encoding.rtx_ssrc = encoding.ssrc.map(|ssrc| ssrc + 1);
    }
    Consume {
        consumer: consumer.into(),
        producer: producer.into(),
        kind: MediaKind::Video,
        rtp_parameters: parameters(vec![video(mime_type, ROUTER_VIDEO), rtx(ROUTER_RTX, ROUTER_VIDEO)], own),
        requested_type: RtpType::Pipe,
        consumable_rtp_encodings: encodings(mapped, None),
        paused: false,
        preferred_layers: None,
        ignore_dtx: false,
    }
}
