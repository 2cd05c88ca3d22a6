//! What a receiver reads of a payload, by its codec. Written apart from the worker's own parsers on purpose, as `rtp` is.

use crate::stamp::Stamp;

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    H264,
    Vp8,
    Opus,
}

/// RFC 7741 4.2, as far as a receiver counts by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Vp8Descriptor {
    /// S with partition 0.
    begins_frame: bool,
    temporal_layer: u8,
    bytes: usize,
}

impl Kind {
    pub(crate) const fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::Vp8)
    }

    /// The publisher's mark, where the packet has room for one.
    pub(crate) fn stamp(self, payload: &[u8]) -> Option<Stamp> {
        match self {
            Self::H264 => Stamp::find_h264(payload),
            Self::Opus => Stamp::find_opus(payload),
            Self::Vp8 => {
                let descriptor = vp8_descriptor(payload)?;
                let bitstream = payload.get(descriptor.bytes..)?;
                Stamp::read(bitstream.get(vp8_header_bytes(descriptor, bitstream)..)?)
            }
        }
    }

    /// Whether a decoder can start with this packet: the parameter sets of a synthetic H.264 camera, a VP8 key frame's first.
    pub(crate) fn begins_key_frame(self, payload: &[u8]) -> bool {
        const STAP_A: u8 = 24;
        const NAL_TYPE_MASK: u8 = 0x1F;
        match self {
            Self::H264 => payload.first().is_some_and(|first| first & NAL_TYPE_MASK == STAP_A),
            Self::Vp8 => vp8_descriptor(payload).is_some_and(|descriptor| {
                descriptor.begins_frame && payload.get(descriptor.bytes).is_some_and(|byte| byte & 1 == 0)
            }),
            Self::Opus => true,
        }
    }

    /// The temporal layer of the frame that begins here; `None` inside of one, or where a codec tells none.
    pub(crate) fn beginning_temporal_layer(self, payload: &[u8]) -> Option<u8> {
        match self {
            Self::Vp8 => vp8_descriptor(payload)
                .filter(|descriptor| descriptor.begins_frame)
                .map(|descriptor| descriptor.temporal_layer),
            Self::H264 | Self::Opus => None,
        }
    }
}

/// What the synthetic camera puts before the stamp: a key frame's tag, start code and size (RFC 6386 9.1), else the tag's first byte.
fn vp8_header_bytes(descriptor: Vp8Descriptor, bitstream: &[u8]) -> usize {
    const KEY_FRAME_HEADER_BYTES: usize = 10;
    match (descriptor.begins_frame, bitstream.first()) {
        (true, Some(first)) if first & 1 == 0 => KEY_FRAME_HEADER_BYTES,
        (true, _) => 1,
        (false, _) => 0,
    }
}

fn vp8_descriptor(payload: &[u8]) -> Option<Vp8Descriptor> {
    let first = *payload.first()?;
    let mut at = 1;
    let mut temporal_layer = 0;
    if first & 0x80 != 0 {
        let fields = *payload.get(at)?;
        at += 1;
        if fields & 0x80 != 0 {
            at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
        }
        at += usize::from(fields & 0x40 != 0);
        if fields & 0x30 != 0 {
            temporal_layer = payload.get(at)? >> 6;
            at += 1;
        }
    }
    (at <= payload.len()).then_some(Vp8Descriptor {
        begins_frame: first & 0x17 == 0x10,
        temporal_layer,
        bytes: at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ringsoup_rtc::codec::vp8::Descriptor;

    proptest! {
        #[test]
        fn both_readers_of_vp8_agree(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
            let (ours, theirs) = (vp8_descriptor(&payload), Descriptor::parse(&payload));
            prop_assert_eq!(ours.is_some(), theirs.is_some());
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours.bytes, theirs.len);
                prop_assert_eq!(ours.temporal_layer, theirs.temporal_layer.unwrap_or(0));
                prop_assert_eq!(Kind::Vp8.begins_key_frame(&payload), theirs.is_key_frame(&payload));
            }
            for kind in [Kind::H264, Kind::Vp8, Kind::Opus] {
                let _ = (kind.stamp(&payload), kind.beginning_temporal_layer(&payload));
            }
        }
    }
}
