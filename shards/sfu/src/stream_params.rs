//! What a receiving and a sending stream are set up with: read out of checked RTP parameters once.

use ringsoup_rtc::codec::{Codec, MimeType};

use crate::reply::{RtpStreamParams, RtxStreamParams};
use crate::rtp_parameters::{RtpCodecParameters, RtpParameters, is_k_svc, layers_of_scalability_mode};

/// A stream's constants.
#[derive(Debug, Clone)]
pub struct StreamParams {
    pub shown: RtpStreamParams,
    pub mime_type: MimeType,
    /// The mode's spatial layers depend on each other in key frames only.
    pub is_k_svc: bool,
    /// Each stands for one other (RFC 4588 section 8.1): the codecs of a stream have one each, or none.
    rtx_payload_types: Vec<RtxPayloadType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RtxPayloadType {
    own: u8,
    /// `apt`: what is repaired.
    repairs: u8,
}

impl StreamParams {
    /// Of encoding `index` of `parameters`, which were [checked](crate::parameter_check).
    pub fn of_encoding(parameters: &RtpParameters, index: usize, ssrc: u32) -> Self {
        let encoding = &parameters.encodings[index];
        let codec = parameters.codec_of(encoding).expect("check() gives every encoding a codec");
        let mime_type: MimeType = codec.mime_type.parse().expect("check() parsed every MIME type");
        let (spatial_layers, temporal_layers) =
            layers_of_scalability_mode(encoding.scalability_mode.as_deref());
        let shown = RtpStreamParams {
            encoding_idx: u32::try_from(index).unwrap_or(u32::MAX),
            ssrc,
            payload_type: codec.payload_type,
            mime_type: mime_type.to_string(),
            clock_rate: codec.clock_rate,
            rid: encoding.rid.clone().filter(|rid| !rid.is_empty()),
            cname: parameters.rtcp.cname.clone().unwrap_or_default(),
            rtx_ssrc: None,
            rtx_payload_type: None,
            use_nack: codec.has_feedback("nack", ""),
            use_pli: codec.has_feedback("nack", "pli"),
            use_fir: codec.has_feedback("ccm", "fir"),
            use_in_band_fec: codec.integer("useinbandfec") == Some(1),
            use_dtx: codec.integer("usedtx") == Some(1) || encoding.dtx,
            spatial_layers,
            temporal_layers,
        };
        Self {
            shown,
            mime_type,
            is_k_svc: is_k_svc(encoding.scalability_mode.as_deref()),
            rtx_payload_types: rtx_payload_types(parameters),
        }
    }

    /// What a payload type is sent as in the RTX stream.
    pub fn rtx_payload_type_of(&self, payload_type: u8) -> Option<u8> {
        self.rtx_payload_types.iter().find(|rtx| rtx.repairs == payload_type).map(|rtx| rtx.own)
    }

    /// What comes under a payload type of the RTX stream.
    pub fn repaired_by(&self, rtx_payload_type: u8) -> Option<u8> {
        self.rtx_payload_types.iter().find(|rtx| rtx.own == rtx_payload_type).map(|rtx| rtx.repairs)
    }

    pub fn set_rtx(&mut self, ssrc: u32, payload_type: u8) {
        self.shown.rtx_ssrc = Some(ssrc);
        self.shown.rtx_payload_type = Some(payload_type);
    }

    /// The RTX stream beside this one, where there is one.
    pub fn rtx(&self) -> Option<RtxStreamParams> {
        Some(RtxStreamParams {
            ssrc: self.shown.rtx_ssrc?,
            payload_type: self.shown.rtx_payload_type?,
            mime_type: format!("{}/rtx", self.mime_type.kind.as_str()),
            clock_rate: self.shown.clock_rate,
            rrid: self.shown.rid.clone(),
            cname: self.shown.cname.clone(),
        })
    }
}

fn rtx_payload_types(parameters: &RtpParameters) -> Vec<RtxPayloadType> {
    let is_rtx = |codec: &&RtpCodecParameters| {
        codec.mime_type.parse::<MimeType>().is_ok_and(|mime_type| mime_type.codec == Codec::Rtx)
    };
    let of = |codec: &RtpCodecParameters| {
        let repairs = u8::try_from(codec.integer("apt")?).ok()?;
        Some(RtxPayloadType { own: codec.payload_type, repairs })
    };
    parameters.codecs.iter().filter(is_rtx).filter_map(of).collect()
}
