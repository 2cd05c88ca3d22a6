//! RTP parameters in the ORTC sense, as plain types: what a controller says about a stream.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Audio,
    Video,
}

/// How a producer's or consumer's encodings relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RtpType {
    Simple,
    Simulcast,
    Svc,
    Pipe,
}

pub use ringsoup_rtc::rtp::extension::ExtensionUri;

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
