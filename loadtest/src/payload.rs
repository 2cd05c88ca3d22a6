//! What a receiver reads of a payload, by its codec. Written apart from the worker's own parsers on purpose, as `rtp` is.

use crate::mark::Mark;
use crate::stamp::{STAMP_BYTES, Stamp, stamped_h264};

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    H264,
    Vp8,
    Vp9,
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

/// RFC 9628 4.2, as far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Vp9Descriptor {
    begins_key_frame: bool,
    begins_frame: bool,
    temporal_layer: u8,
    bytes: usize,
}

impl Kind {
    pub(crate) const fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::Vp8 | Self::Vp9)
    }

    /// The publisher's mark, where the packet has room for one.
    pub(crate) fn stamp(self, payload: &[u8]) -> Option<Stamp> {
        match self {
            Self::Opus => Stamp::find_opus(payload),
            _ => Stamp::read(self.stamped(payload)?),
        }
    }

    /// Which part of which frame this is.
    pub(crate) fn mark(self, payload: &[u8]) -> Option<Mark> {
        let stamped = self.stamped(payload)?;
        Stamp::read(stamped).and_then(|_| Mark::read(stamped.get(STAMP_BYTES..)?))
    }

    /// A payload of video from its stamp on.
    fn stamped(self, payload: &[u8]) -> Option<&[u8]> {
        match self {
            Self::H264 => stamped_h264(payload),
            Self::Vp8 => {
                let descriptor = vp8_descriptor(payload)?;
                let bitstream = payload.get(descriptor.bytes..)?;
                bitstream.get(vp8_header_bytes(descriptor, bitstream)..)
            }
            Self::Vp9 => payload.get(vp9_descriptor(payload)?.bytes..),
            Self::Opus => None,
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
            Self::Vp9 => vp9_descriptor(payload).is_some_and(|descriptor| descriptor.begins_key_frame),
            Self::Opus => true,
        }
    }

    /// The temporal layer of the frame that begins here; `None` inside of one, or where a codec tells none.
    pub(crate) fn beginning_temporal_layer(self, payload: &[u8]) -> Option<u8> {
        match self {
            Self::Vp8 => vp8_descriptor(payload)
                .filter(|descriptor| descriptor.begins_frame)
                .map(|descriptor| descriptor.temporal_layer),
            Self::Vp9 => vp9_descriptor(payload)
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

/// Non-flexible mode and the flexible one alike, the scalability structure with them.
fn vp9_descriptor(payload: &[u8]) -> Option<Vp9Descriptor> {
    let first = *payload.first()?;
    let has = |flag: u8| first & flag != 0;
    let (is_inter, is_flexible) = (has(0x40), has(0x10));
    let mut at = 1;
    if has(0x80) {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let (mut temporal_layer, mut spatial_layer) = (0, 0);
    if has(0x20) {
        let layers = *payload.get(at)?;
        (temporal_layer, spatial_layer) = (layers >> 5, layers >> 1 & 7);
        at += if is_flexible { 1 } else { 2 };
    }
    if is_flexible && is_inter {
        // Up to three references, each of which says whether another follows.
        for _ in 0..3 {
            at += 1;
            if payload.get(at - 1)? & 1 == 0 {
                break;
            }
        }
    }
    if has(0x02) {
        at += vp9_structure_bytes(payload.get(at..)?)?;
    }
    (at <= payload.len()).then_some(Vp9Descriptor {
        begins_key_frame: !is_inter && has(0x08) && spatial_layer == 0,
        begins_frame: has(0x08),
        temporal_layer,
        bytes: at,
    })
}

/// RFC 9628 4.2.1.
fn vp9_structure_bytes(structure: &[u8]) -> Option<usize> {
    let first = *structure.first()?;
    let mut at = 1;
    if first & 0x10 != 0 {
        at += 4 * (usize::from(first >> 5) + 1);
    }
    if first & 0x08 != 0 {
        let pictures = *structure.get(at)?;
        at += 1;
        for _ in 0..pictures {
            at += 1 + usize::from(structure.get(at)? >> 2 & 3);
        }
    }
    Some(at)
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
            for kind in [Kind::H264, Kind::Vp8, Kind::Vp9, Kind::Opus] {
                let _ = (kind.stamp(&payload), kind.mark(&payload), kind.beginning_temporal_layer(&payload));
                let _ = kind.begins_key_frame(&payload);
            }
        }
    }
}
