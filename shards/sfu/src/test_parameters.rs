//! RTP parameters as controllers send them, for tests.

use crate::rtp_parameters::{
    ExtensionUri, Parameter, ParameterValue, RtcpFeedback, RtcpParameters, RtpCodecParameters,
    RtpEncodingParameters, RtpHeaderExtensionParameters, RtpParameters,
};

fn feedback(kind: &str, parameter: &str) -> RtcpFeedback {
    RtcpFeedback { kind: kind.into(), parameter: parameter.into() }
}

pub(crate) fn extension(uri: ExtensionUri, id: u8) -> RtpHeaderExtensionParameters {
    RtpHeaderExtensionParameters { uri, id, encrypt: false, parameters: Vec::new() }
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

/// Opus as payload type 100, audio level as extension 10.
pub(crate) fn opus(ssrc: u32) -> RtpParameters {
    RtpParameters {
        mid: None,
        codecs: vec![RtpCodecParameters { channels: Some(2), ..codec("audio/opus", 100, 48_000) }],
        header_extensions: vec![extension(ExtensionUri::SsrcAudioLevel, 10)],
        encodings: vec![RtpEncodingParameters { ssrc: Some(ssrc), ..RtpEncodingParameters::default() }],
        rtcp: RtcpParameters { cname: Some("audio".into()), reduced_size: true },
        msid: None,
    }
}

/// H264 as payload type 112 with RTX as 113, NACK, PLI and FIR; video orientation as extension 13.
pub(crate) fn h264_with_rtx(ssrc: u32, rtx_ssrc: u32) -> RtpParameters {
    let mut h264 = codec("video/H264", 112, 90_000);
    h264.rtcp_feedback = vec![feedback("nack", ""), feedback("nack", "pli"), feedback("ccm", "fir")];
    let mut rtx = codec("video/rtx", 113, 90_000);
    rtx.parameters = vec![Parameter { name: "apt".into(), value: ParameterValue::Integer(112) }];
    RtpParameters {
        mid: None,
        codecs: vec![h264, rtx],
        header_extensions: vec![extension(ExtensionUri::VideoOrientation, 13)],
        encodings: vec![RtpEncodingParameters {
            ssrc: Some(ssrc),
            rtx_ssrc: Some(rtx_ssrc),
            ..RtpEncodingParameters::default()
        }],
        rtcp: RtcpParameters { cname: Some("video".into()), reduced_size: true },
        msid: None,
    }
}
