//! From a producer's numbers to the router's: payload types, SSRCs, header-extension ids.

use ringsoup_rtc::rtp::{ExtensionMap, RtpPacket};

use crate::command::CommandError;
use crate::rtp_parameters::{ExtensionUri, MediaKind, RtpMapping, RtpParameters};

/// Marks a payload type without a mapping; payload types are 7 bits.
const UNMAPPED: u8 = 0xff;

#[derive(Debug)]
pub struct Mapping {
    payload_types: [u8; 128],
    ssrcs: Vec<u32>,
    /// The extensions that travel through the router.
    pub(crate) extensions: ExtensionMap,
    pub(crate) ids: ExtensionIds,
    /// Packets without a packet id get one.
    pub(crate) adds_packet_id: bool,
}

/// The producer's own ids of the extensions that are read here.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtensionIds {
    pub mid: Option<u8>,
    pub rid: Option<u8>,
    pub rrid: Option<u8>,
    pub audio_level: Option<u8>,
    pub video_orientation: Option<u8>,
    pub dependency_descriptor: Option<u8>,
    pub packet_id: Option<u8>,
    pub transport_wide_cc: Option<u8>,
    pub abs_capture_time: Option<u8>,
    pub frame_marking: Option<u8>,
}

/// # Errors
/// `TypeError`, as the original words it.
pub fn check(mapping: &RtpMapping, parameters: &RtpParameters) -> Result<(), CommandError> {
    let wrong =
        |what: &str| Err(CommandError::type_error(format!("wrong entry in rtpMapping.encodings ({what})")));
    let several = mapping.encodings.len() > 1;
    let has_mid = parameters.mid.as_ref().is_some_and(|mid| !mid.is_empty());
    for encoding in &mapping.encodings {
        let is_named = encoding.ssrc.is_some() || encoding.rid.is_some();
        if several && !is_named {
            return wrong("missing ssrc or rid");
        }
        if !several && !is_named && !has_mid {
            return wrong("missing ssrc or rid, or rtpParameters.mid");
        }
        if encoding.mapped_ssrc == 0 {
            return wrong("missing mappedSsrc");
        }
    }
    if mapping.encodings.len() != parameters.encodings.len() {
        return Err(CommandError::type_error(
            "rtpParameters.encodings size does not match rtpMapping.encodings size",
        ));
    }
    if mapping.codecs.iter().any(|codec| codec.payload_type > 127 || codec.mapped_payload_type > 127) {
        return Err(CommandError::type_error("wrong entry in rtpMapping.codecs (payload type above 127)"));
    }
    Ok(())
}

impl Mapping {
    /// Of a mapping that was [checked](check).
    pub fn new(
        mapping: &RtpMapping,
        parameters: &RtpParameters,
        kind: MediaKind,
        adds_packet_id: bool,
    ) -> Self {
        let mut payload_types = [UNMAPPED; 128];
        for codec in &mapping.codecs {
            if let Some(slot) = payload_types.get_mut(usize::from(codec.payload_type)) {
                *slot = codec.mapped_payload_type;
            }
        }
        let mut extensions = ExtensionMap::new();
        for uri in ExtensionUri::ALL.into_iter().filter(|uri| travels(*uri, kind)) {
            // Of several ids for one extension the first counts.
            if let Some(id) = parameters.extension_id(uri) {
                extensions.set(id, uri.router_id());
            }
        }
        Self {
            payload_types,
            ssrcs: mapping.encodings.iter().map(|encoding| encoding.mapped_ssrc).collect(),
            extensions,
            ids: ExtensionIds {
                mid: parameters.extension_id(ExtensionUri::Mid),
                rid: parameters.extension_id(ExtensionUri::RtpStreamId),
                rrid: parameters.extension_id(ExtensionUri::RepairRtpStreamId),
                audio_level: parameters.extension_id(ExtensionUri::SsrcAudioLevel),
                video_orientation: parameters.extension_id(ExtensionUri::VideoOrientation),
                dependency_descriptor: parameters.extension_id(ExtensionUri::DependencyDescriptor),
                packet_id: parameters.extension_id(ExtensionUri::MediasoupPacketId),
                transport_wide_cc: parameters.extension_id(ExtensionUri::TransportWideCc01),
                abs_capture_time: parameters.extension_id(ExtensionUri::AbsCaptureTime),
                frame_marking: parameters
                    .extension_id(ExtensionUri::FrameMarking)
                    .or_else(|| parameters.extension_id(ExtensionUri::FrameMarkingDraft07)),
            },
            adds_packet_id,
        }
    }

    #[inline]
    pub fn payload_type(&self, payload_type: u8) -> Option<u8> {
        self.payload_types.get(usize::from(payload_type)).copied().filter(|&mapped| mapped != UNMAPPED)
    }

    pub fn mapped_ssrc(&self, encoding: usize) -> u32 {
        self.ssrcs.get(encoding).copied().unwrap_or_default()
    }

    /// The RID a packet carries, its own or the one it repairs.
    pub fn rid_of<'a>(&self, packet: &RtpPacket<'a>) -> Option<&'a [u8]> {
        let value = |id: Option<u8>| id.and_then(|id| packet.extension(id));
        value(self.ids.rid).or_else(|| value(self.ids.rrid))
    }
}

/// Extensions that belong to the media, not to the hop they came over, and make sense for the kind. The capture time is both, and is
/// written anew ([`capture`](super::capture)).
fn travels(uri: ExtensionUri, kind: MediaKind) -> bool {
    match uri {
        ExtensionUri::PlayoutDelay | ExtensionUri::MediasoupPacketId => true,
        ExtensionUri::SsrcAudioLevel => kind == MediaKind::Audio,
        ExtensionUri::DependencyDescriptor
        | ExtensionUri::VideoOrientation
        | ExtensionUri::TimeOffset
        | ExtensionUri::FrameMarkingDraft07
        | ExtensionUri::FrameMarking => kind == MediaKind::Video,
        ExtensionUri::Mid
        | ExtensionUri::RtpStreamId
        | ExtensionUri::RepairRtpStreamId
        | ExtensionUri::AbsSendTime
        | ExtensionUri::AbsCaptureTime
        | ExtensionUri::TransportWideCc01 => false,
    }
}
