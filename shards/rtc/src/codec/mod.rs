//! What a media payload says about itself: its MIME type, whether it starts a key frame.
//!
//! The set of codecs is closed and is what mediasoup's workers accept or did; a MIME type outside
//! it is the controller's error and is answered with the same words.

pub mod dependency_descriptor;
pub mod h264;
pub mod h265;
pub mod marking;
pub mod opus;
pub mod red;
pub mod vp8;
pub mod vp9;

use std::fmt;
use std::str::FromStr;

/// First half of a codec's MIME type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Audio,
    Video,
}

impl MediaKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// Second half of a codec's MIME type: real codecs, then what rides beside or around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    MultiOpus,
    Pcma,
    Pcmu,
    Isac,
    G722,
    Ilbc,
    Silk,
    Vp8,
    Vp9,
    H264,
    /// Of controllers before 3.16.6.
    H264Svc,
    /// Of controllers before 3.16.6.
    H265,
    Av1,
    ComfortNoise,
    TelephoneEvent,
    Rtx,
    Ulpfec,
    XUlpfecuc,
    Flexfec,
    Red,
}

impl Codec {
    const ALL: [Self; 21] = [
        Self::Opus,
        Self::MultiOpus,
        Self::Pcma,
        Self::Pcmu,
        Self::Isac,
        Self::G722,
        Self::Ilbc,
        Self::Silk,
        Self::Vp8,
        Self::Vp9,
        Self::H264,
        Self::H264Svc,
        Self::H265,
        Self::Av1,
        Self::ComfortNoise,
        Self::TelephoneEvent,
        Self::Rtx,
        Self::Ulpfec,
        Self::XUlpfecuc,
        Self::Flexfec,
        Self::Red,
    ];

    /// The spelling dumps and statistics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::MultiOpus => "multiopus",
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
            Self::Isac => "ISAC",
            Self::G722 => "G722",
            Self::Ilbc => "iLBC",
            Self::Silk => "SILK",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::H264Svc => "H264-SVC",
            Self::H265 => "H265",
            Self::Av1 => "AV1",
            Self::ComfortNoise => "CN",
            Self::TelephoneEvent => "telephone-event",
            Self::Rtx => "rtx",
            Self::Ulpfec => "ulpfec",
            Self::XUlpfecuc => "x-ulpfecuc",
            Self::Flexfec => "flexfec",
            Self::Red => "red",
        }
    }

    /// Carries sound or pictures of its own, so it can be produced and consumed.
    pub const fn is_media(self) -> bool {
        !self.is_complementary() && !self.is_feature()
    }

    /// Replaces an audio codec's packets in the same stream now and then.
    pub const fn is_complementary(self) -> bool {
        matches!(self, Self::ComfortNoise | Self::TelephoneEvent)
    }

    /// Repairs or wraps another codec's stream.
    pub const fn is_feature(self) -> bool {
        matches!(self, Self::Rtx | Self::Ulpfec | Self::XUlpfecuc | Self::Flexfec | Self::Red)
    }

    /// Whether the layers are told in the dependency descriptor, the payload having none of its own.
    pub const fn needs_dependency_descriptor(self) -> bool {
        matches!(self, Self::H264 | Self::Av1)
    }

    /// Whether frame marking is read: it tells the layers of H264, whose slices do not.
    pub const fn reads_frame_marking(self) -> bool {
        matches!(self, Self::H264 | Self::H264Svc)
    }

    /// Reads the payload descriptor, for the codecs that have one.
    pub fn describe(self, payload: &[u8]) -> Descriptor {
        let described = match self {
            Self::Vp8 => vp8::Descriptor::parse(payload).map(Descriptor::Vp8),
            Self::Vp9 => vp9::Descriptor::parse(payload).map(Descriptor::Vp9),
            Self::H264Svc => marking::Marking::of_scalable_payload(payload).map(Descriptor::Marked),
            _ => None,
        };
        described.unwrap_or(Descriptor::None)
    }

    /// Reads the payload descriptor of a packet that was received before.
    pub fn describe_again(self, payload: &[u8], kept: Kept) -> Descriptor {
        match (self.describe(payload), kept) {
            (Descriptor::Vp8(picture), Kept::Picture(id)) => {
                Descriptor::Vp8(vp8::Descriptor { picture_id: Some(id), ..picture })
            }
            (_, Kept::Marked(marking)) => Descriptor::Marked(marking),
            (descriptor, _) => descriptor,
        }
    }

    /// Whether `payload` starts a key frame; `None` where the payload alone cannot tell
    /// (audio, and AV1, whose dependency descriptor tells it).
    pub fn is_key_frame(self, payload: &[u8]) -> Option<bool> {
        match self {
            Self::Vp8 => Some(vp8::is_key_frame(payload)),
            Self::Vp9 => Some(vp9::is_key_frame(payload)),
            Self::H264 | Self::H264Svc => Some(h264::is_key_frame(payload)),
            Self::H265 => Some(h265::is_key_frame(payload)),
            _ => None,
        }
    }
}

/// What is remembered of a packet that its payload does not tell again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kept {
    #[default]
    Nothing,
    /// What its dependency descriptor said when it came: the structure that it refers to may have gone.
    Frame(dependency_descriptor::KeptFrame),
    /// Nothing yet: see [`Descriptor::Early`].
    Early,
    /// The number of a picture whose payload tells only the low seven bits of it.
    Picture(u16),
    /// What its frame marking said.
    Marked(marking::Marking),
}

impl Kept {
    pub const fn frame(&self) -> Option<dependency_descriptor::KeptFrame> {
        match self {
            Self::Frame(frame) => Some(*frame),
            _ => None,
        }
    }
}

/// What a packet says of its place in the stream: in front of the bitstream in its payload, or in its dependency descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Descriptor {
    /// There is none, or it could not be read.
    #[default]
    None,
    Vp8(vp8::Descriptor),
    Vp9(vp9::Descriptor),
    Dependency(dependency_descriptor::Frame),
    Marked(marking::Marking),
    /// A dependency descriptor that says nothing, in a stream of which no structure is known.
    Unresolved,
    /// One that the known structures do not tell: that of its sequence comes behind it, or did not come.
    Early,
}

impl Descriptor {
    /// What a retransmission needs of it, where it cannot be read from the payload again.
    pub fn kept(&self) -> Kept {
        match self {
            Self::Dependency(frame) => Kept::Frame(frame.kept()),
            Self::Early => Kept::Early,
            Self::Marked(marking) => Kept::Marked(*marking),
            Self::Vp8(picture) if !picture.has_wide_picture_id => {
                picture.picture_id.map_or(Kept::Nothing, Kept::Picture)
            }
            _ => Kept::Nothing,
        }
    }

    /// Whether it is the first packet of a layer's frame; false where spatial layers are not told.
    pub fn starts_frame(&self) -> bool {
        match self {
            Self::Vp9(descriptor) => descriptor.starts_frame,
            Self::Dependency(frame) => frame.starts_frame,
            Self::Vp8(_) | Self::Marked(_) | Self::None | Self::Unresolved | Self::Early => false,
        }
    }

    /// Zero where the packet does not tell.
    pub fn spatial_layer(&self) -> u8 {
        match self {
            Self::Vp9(descriptor) => descriptor.layers.map_or(0, |layers| layers.spatial),
            Self::Dependency(frame) => frame.spatial,
            Self::Marked(marking) => marking.spatial,
            Self::Vp8(_) | Self::None | Self::Unresolved | Self::Early => 0,
        }
    }

    /// Zero where the packet does not tell.
    pub fn temporal_layer(&self) -> u8 {
        match self {
            Self::Vp8(descriptor) => descriptor.temporal_layer.unwrap_or(0),
            Self::Vp9(descriptor) => descriptor.layers.map_or(0, |layers| layers.temporal),
            Self::Dependency(frame) => frame.temporal,
            Self::Marked(marking) => marking.temporal,
            Self::None | Self::Unresolved | Self::Early => 0,
        }
    }
}

/// A codec's MIME type. Any kind goes with any codec, as in the original: `audio/red` and
/// `video/red` are both real, and which pairs make sense is the controller's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MimeType {
    pub kind: MediaKind,
    pub codec: Codec,
}

impl MimeType {
    pub const fn new(kind: MediaKind, codec: Codec) -> Self {
        Self { kind, codec }
    }

    /// Whether a consumer must wait for a key frame before it can show anything.
    pub const fn can_be_key_framed(self) -> bool {
        matches!(self.kind, MediaKind::Video)
            && matches!(self.codec, Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::H264Svc | Codec::H265)
    }

    /// Whether it comes in the stream of sound instead of the sound: keys, comfort noise, redundancy (RFC 2198). Redundant video hides its
    /// key frames.
    pub fn is_beside_sound(self) -> bool {
        let is_beside = self.codec.is_complementary() || self.codec == Codec::Red;
        is_beside && self.kind == MediaKind::Audio
    }

    /// Whether `payload` is silence kept alive by Opus DTX; false for any other codec.
    pub fn is_dtx(self, payload: &[u8]) -> bool {
        matches!(self.codec, Codec::Opus | Codec::MultiOpus) && opus::is_dtx(payload)
    }
}

impl fmt::Display for MimeType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind.as_str(), self.codec.as_str())
    }
}

/// The picture id VP8 and VP9 share: 7 bits, or 15 when its first bit says so (the second value).
fn read_picture_id(bytes: &mut impl Iterator<Item = u8>) -> Option<(u16, bool)> {
    let high = bytes.next()?;
    if high & 0x80 == 0 {
        return Some((u16::from(high), false));
    }
    Some((u16::from_be_bytes([high & 0x7f, bytes.next()?]), true))
}

/// Why a MIME type was refused. The texts are part of the channel's protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MimeTypeError {
    #[error("wrong codec MIME")]
    Malformed,
    #[error("unknown codec MIME type '{0}'")]
    UnknownKind(String),
    #[error("unknown codec MIME subtype '{0}'")]
    UnknownCodec(String),
}

impl FromStr for MimeType {
    type Err = MimeTypeError;

    /// Reads `kind/codec`, ASCII case ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, codec) = text.split_once('/').ok_or(MimeTypeError::Malformed)?;
        if kind.is_empty() || codec.is_empty() {
            return Err(MimeTypeError::Malformed);
        }
        let kind = [MediaKind::Audio, MediaKind::Video]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(kind))
            .ok_or_else(|| MimeTypeError::UnknownKind(kind.to_ascii_lowercase()))?;
        let codec = Codec::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(codec))
            .ok_or_else(|| MimeTypeError::UnknownCodec(codec.to_ascii_lowercase()))?;
        Ok(Self { kind, codec })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_codec_reads_back_in_any_case() {
        for kind in [MediaKind::Audio, MediaKind::Video] {
            for codec in Codec::ALL {
                let mime_type = MimeType::new(kind, codec);
                let text = mime_type.to_string();
                for spelling in [text.clone(), text.to_uppercase(), text.to_lowercase()] {
                    assert_eq!(spelling.parse(), Ok(mime_type));
                }
            }
        }
    }

    #[test]
    fn refusals_use_the_channel_s_words() {
        let refusal = |text: &str| text.parse::<MimeType>().unwrap_err().to_string();
        for text in ["", "audio", "/opus", "audio/", "/"] {
            assert_eq!(refusal(text), "wrong codec MIME");
        }
        assert_eq!(refusal("TEXT/opus"), "unknown codec MIME type 'text'");
        assert_eq!(refusal("video/H266"), "unknown codec MIME subtype 'h266'");
        assert_eq!(refusal("video/VP8/x"), "unknown codec MIME subtype 'vp8/x'");
    }

    #[test]
    fn every_codec_is_of_exactly_one_class() {
        for codec in Codec::ALL {
            let classes = [codec.is_media(), codec.is_complementary(), codec.is_feature()];
            assert_eq!(classes.iter().filter(|class| **class).count(), 1, "{codec:?}");
        }
        assert!(Codec::Av1.is_media() && Codec::Red.is_feature());
    }

    #[test]
    fn layers_are_read_where_the_payload_tells_them() {
        let vp8 = Codec::Vp8.describe(&[0x90, 0x20, 0x80, 0x00]);
        assert_eq!((vp8.spatial_layer(), vp8.temporal_layer()), (0, 2));
        let vp9 = Codec::Vp9.describe(&[0x28, 0b0100_0010, 0]);
        assert_eq!((vp9.spatial_layer(), vp9.temporal_layer()), (1, 2));
        assert_eq!(Codec::H264.describe(&[0x67, 1]), Descriptor::None);
        assert_eq!(Codec::Vp8.describe(&[]), Descriptor::None);
    }

    #[test]
    fn a_kept_picture_keeps_the_number_it_was_given() {
        let payload = [0x90, 0x80, 0x05, 0x00];
        let mut ids = vp8::PictureIds::default();
        let mut describe = |payload: &[u8]| {
            let Descriptor::Vp8(mut picture) = Codec::Vp8.describe(payload) else { panic!("VP8") };
            ids.widen(&mut picture);
            Descriptor::Vp8(picture)
        };
        describe(&[0x90, 0x80, 0x83, 0x7f, 0x00]);
        let descriptor = describe(&payload);
        assert_eq!(descriptor.kept(), Kept::Picture(0x385));
        assert_eq!(Codec::Vp8.describe_again(&payload, descriptor.kept()), descriptor);
        assert_eq!(describe(&[0x90, 0x80, 0x83, 0x7f, 0x00]).kept(), Kept::Nothing, "the payload tells it");
    }

    #[test]
    fn only_video_with_a_readable_payload_waits_for_key_frames() {
        let waits = |text: &str| text.parse::<MimeType>().unwrap().can_be_key_framed();
        assert!(waits("video/VP8") && waits("video/VP9") && waits("video/H264"));
        assert!(!waits("video/AV1") && !waits("audio/opus") && !waits("audio/VP8"));
    }

    proptest! {
        #[test]
        fn any_payload_is_answered(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            for codec in Codec::ALL {
                let readable =
                    matches!(codec, Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::H264Svc | Codec::H265);
                prop_assert_eq!(codec.is_key_frame(&payload).is_some(), readable);
                MimeType::new(MediaKind::Audio, codec).is_dtx(&payload);
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,24}") {
            if let Ok(mime_type) = text.parse::<MimeType>() {
                prop_assert!(mime_type.to_string().eq_ignore_ascii_case(&text));
            }
        }
    }
}
