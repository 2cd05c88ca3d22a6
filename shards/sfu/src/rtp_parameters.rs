//! RTP parameters in the ORTC sense, as plain types: what a controller says about a stream.

use ringsoup_rtc::codec::MimeType;

pub use ringsoup_rtc::codec::MediaKind;

/// How a producer's or consumer's encodings relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RtpType {
    Simple,
    Simulcast,
    Svc,
    Pipe,
}

pub use ringsoup_rtc::rtp::ExtensionUri;

#[derive(Debug, Clone, PartialEq)]
pub enum ParameterValue {
    Boolean(bool),
    Integer(i32),
    Double(f64),
    Text(String),
    IntegerArray(Vec<i32>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub value: ParameterValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtcpFeedback {
    pub kind: String,
    /// Empty when there is none.
    pub parameter: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RtpCodecParameters {
    pub mime_type: String,
    pub payload_type: u8,
    /// Hz.
    pub clock_rate: u32,
    pub channels: Option<u8>,
    pub parameters: Vec<Parameter>,
    pub rtcp_feedback: Vec<RtcpFeedback>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RtpHeaderExtensionParameters {
    pub uri: ExtensionUri,
    pub id: u8,
    pub encrypt: bool,
    pub parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RtpEncodingParameters {
    pub ssrc: Option<u32>,
    pub rid: Option<String>,
    pub codec_payload_type: Option<u8>,
    pub rtx_ssrc: Option<u32>,
    pub dtx: bool,
    pub scalability_mode: Option<String>,
    /// Bits per second.
    pub max_bitrate: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtcpParameters {
    pub cname: Option<String>,
    pub reduced_size: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RtpParameters {
    pub mid: Option<String>,
    pub codecs: Vec<RtpCodecParameters>,
    pub header_extensions: Vec<RtpHeaderExtensionParameters>,
    pub encodings: Vec<RtpEncodingParameters>,
    pub rtcp: RtcpParameters,
    pub msid: Option<String>,
}

/// A producer's payload type and the router's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecMapping {
    pub payload_type: u8,
    pub mapped_payload_type: u8,
}

/// A producer's encoding and the router's SSRC for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodingMapping {
    pub rid: Option<String>,
    pub ssrc: Option<u32>,
    pub mapped_ssrc: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpMapping {
    pub codecs: Vec<CodecMapping>,
    pub encodings: Vec<EncodingMapping>,
}

impl RtpCodecParameters {
    /// The integer parameter called `name`, where there is one.
    pub fn integer(&self, name: &str) -> Option<i32> {
        self.parameters.iter().find(|parameter| parameter.name == name).and_then(|parameter| match parameter
            .value
        {
            ParameterValue::Integer(value) => Some(value),
            _ => None,
        })
    }

    /// Whether the codec offers RTCP feedback of this kind and parameter (`""` for none).
    pub fn has_feedback(&self, kind: &str, parameter: &str) -> bool {
        self.rtcp_feedback.iter().any(|feedback| feedback.kind == kind && feedback.parameter == parameter)
    }
}

impl RtpParameters {
    /// The codec an encoding is sent with. `None` only for parameters that were not
    /// [checked](crate::parameter_check).
    pub fn codec_of(&self, encoding: &RtpEncodingParameters) -> Option<&RtpCodecParameters> {
        self.codecs.iter().find(|codec| Some(codec.payload_type) == encoding.codec_payload_type)
    }

    /// The RTX codec that repairs an encoding (RFC 4588 section 8.1, `apt`).
    pub fn rtx_codec_of(&self, encoding: &RtpEncodingParameters) -> Option<&RtpCodecParameters> {
        let payload_type = i32::from(encoding.codec_payload_type?);
        self.codecs.iter().find(|codec| {
            let repairs =
                codec.mime_type.parse::<MimeType>().is_ok_and(|mime_type| mime_type.codec.is_feature());
            repairs && codec.integer("apt") == Some(payload_type)
        })
    }

    /// The id under which an extension travels, where it was negotiated.
    pub fn extension_id(&self, uri: ExtensionUri) -> Option<u8> {
        self.header_extensions.iter().find(|extension| extension.uri == uri).map(|extension| extension.id)
    }
}

/// Spatial and temporal layers that a scalability mode names (W3C webrtc-svc section 6). What does not match is one
/// by one, as in the original.
pub fn layers_of_scalability_mode(mode: Option<&str>) -> (u8, u8) {
    parse_scalability_mode(mode).map_or((1, 1), |(spatial, temporal, _)| (spatial, temporal))
}

/// Whether the mode's spatial layers depend on each other in key frames only (`L3T3_KEY` and the like).
pub fn is_k_svc(mode: Option<&str>) -> bool {
    parse_scalability_mode(mode).is_some_and(|(_, _, rest)| rest.starts_with("_KEY"))
}

/// Whether a text is a scalability mode at all.
pub fn is_scalability_mode(mode: &str) -> bool {
    parse_scalability_mode(Some(mode)).is_some()
}

fn parse_scalability_mode(mode: Option<&str>) -> Option<(u8, u8, &str)> {
    fn count(digits: &str) -> Option<(u8, &str)> {
        let end = digits.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (number, rest) = digits.split_at_checked(end)?;
        let number: u8 = number.parse().ok()?;
        (number > 0 && !digits.starts_with('0')).then_some((number, rest))
    }
    let rest = mode?.strip_prefix(['L', 'S'])?;
    let (spatial, rest) = count(rest)?;
    let (temporal, rest) = count(rest.strip_prefix('T')?)?;
    Some((spatial, temporal, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalability_modes() {
        for (mode, layers) in [
            (Some("L3T3"), (3, 3)),
            (Some("S2T1h"), (2, 1)),
            (Some("L10T2_KEY"), (10, 2)),
            (Some("L0T1"), (1, 1)),
            (Some("nonsense"), (1, 1)),
            (Some("L"), (1, 1)),
            (None, (1, 1)),
        ] {
            assert_eq!(layers_of_scalability_mode(mode), layers, "{mode:?}");
        }
        assert!(is_k_svc(Some("L3T3_KEY")) && is_k_svc(Some("S2T1_KEY_SHIFT")));
        assert!(!is_k_svc(Some("L3T3")) && !is_k_svc(Some("nonsense_KEY")) && !is_k_svc(None));
    }
}
