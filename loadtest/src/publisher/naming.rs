//! How a stream says which it is whose SSRC nobody was told: by the m-line it belongs to and its name there, in each packet
//! (RFC 9143, RFC 8852), as a browser's simulcast does.

use crate::parameters::{PUBLISHED_MID, PUBLISHED_MID_ID, PUBLISHED_REPAIRED_RID_ID, PUBLISHED_RID_ID};
use crate::rtp::Extension;

/// The name of one of several encodings: r0, r1 and so on, the smallest picture first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rid([u8; 2]);

impl Rid {
    /// Of the encoding with this index, of which there are at most ten.
    pub(crate) fn of(index: usize) -> Option<Self> {
        let digit = u8::try_from(index).ok().filter(|index| *index < 10)?;
        Some(Self([b'r', b'0' + digit]))
    }

    pub(crate) fn name(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// What media packets carry.
    pub(super) const fn of_media(&self) -> [Extension<'_>; 2] {
        [(PUBLISHED_MID_ID, PUBLISHED_MID.as_bytes()), (PUBLISHED_RID_ID, &self.0)]
    }

    /// What retransmissions of them carry.
    pub(super) const fn of_repair(&self) -> [Extension<'_>; 2] {
        [(PUBLISHED_MID_ID, PUBLISHED_MID.as_bytes()), (PUBLISHED_REPAIRED_RID_ID, &self.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::tests::video;
    use crate::publisher::{Camera, Labels, RtxStream, VideoTrack};
    use crate::rng::Rng;
    use crate::scenario::Codec;
    use ringsoup_rtc::rtp::RtpPacket;

    #[test]
    fn media_and_repair_of_every_codec_are_named() {
        for codec in [Codec::H264, Codec::Vp8, Codec::Vp9] {
            let video = crate::scenario::Video { codec, rtx: true, ..video(Some(1_500.0), None) };
            let labels = Labels { ssrc: 1, payload_type: 112, stream: 0, rid: Rid::of(2) };
            let camera = Camera::new(video.clone(), labels, Rng::new(1));
            let rtx = RtxStream { ssrc: 2, payload_type: 113, sequence: 9 };
            let mut track = VideoTrack::new(camera, &video, Some(rtx));
            track.schedule(0);
            let mut out = [0; 1400];
            for at_ns in (0..500_000_000).step_by(1_000_000) {
                while track.is_due(at_ns) {
                    let written = track.write(at_ns, at_ns, 1.0, &mut out).unwrap();
                    assert!(written.bytes <= 1200);
                    let named = |bytes: &[u8], id: u8| {
                        let packet = RtpPacket::parse(bytes).expect("the worker reads it");
                        let mid = packet.extension(PUBLISHED_MID_ID).map(<[u8]>::to_vec);
                        assert_eq!(mid.as_deref(), Some(PUBLISHED_MID.as_bytes()));
                        packet.extension(id).map(<[u8]>::to_vec)
                    };
                    assert_eq!(named(&out[..written.bytes], PUBLISHED_RID_ID).as_deref(), Some(&b"r2"[..]));
                    assert_eq!(named(&out[..written.bytes], PUBLISHED_REPAIRED_RID_ID), None);
                    let length = track.rewrite(written.sequence, &mut out).unwrap();
                    assert_eq!(named(&out[..length], PUBLISHED_REPAIRED_RID_ID).as_deref(), Some(&b"r2"[..]));
                    assert_eq!(named(&out[..length], PUBLISHED_RID_ID), None);
                }
            }
        }
    }

    #[test]
    fn names_are_short() {
        assert_eq!(Rid::of(0).unwrap().name(), "r0");
        assert_eq!(Rid::of(10), None);
    }
}
