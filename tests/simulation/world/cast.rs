//! What is published: every kind of media that there is a source for.

use ringsoup_rtc::time::Time;
use ringsoup_tests::rng::Rng;

use crate::media::{Codec, InterLayer, PictureIds, Pictures, Shape, Source, Speech};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Speech,
    /// One stream without spatial layers.
    Plain,
    Vp8Simulcast,
    H264Simulcast,
    /// One stream with spatial layers.
    Vp9Svc,
    Av1Svc,
}

impl Media {
    pub(crate) const ALL: [Self; 6] =
        [Self::Speech, Self::Plain, Self::Vp8Simulcast, Self::H264Simulcast, Self::Vp9Svc, Self::Av1Svc];

    /// Its SSRCs are from `first_ssrc` on, its names in the router from `mapped_ssrc` on.
    pub(super) fn source(
        self,
        first_ssrc: u32,
        mapped_ssrc: u32,
        now: Time,
        rng: &mut Rng,
    ) -> Box<dyn Source> {
        let shape = match self {
            Self::Speech => return Box::new(Speech::new(first_ssrc, mapped_ssrc, now, rng)),
            Self::Plain => plain(rng),
            Self::Vp8Simulcast => Shape::vp8_simulcast(rng),
            // Without descriptors: senders that have them number the frames of all streams together.
            Self::H264Simulcast => {
                let codec = Codec::H264 { is_described: false };
                Shape { codec, temporal: 1, ..Shape::vp8_simulcast(rng) }
            }
            Self::Vp9Svc => {
                let is_flexible = rng.below(2) == 0;
                svc(Codec::Vp9 { is_flexible, is_wide: rng.below(4) > 0 }, rng)
            }
            Self::Av1Svc => svc(Codec::Av1, rng),
        };
        // RTX is under each SSRC plus one.
        let ssrcs: Vec<_> = (0..3).map(|place| (first_ssrc + 2 * place, mapped_ssrc + place)).collect();
        Box::new(Pictures::new(shape, &ssrcs, now, rng))
    }
}

/// Full SVC (`L3T3`), with layers that refer to each other in key pictures only (`L3T3_KEY`), or never (`S3T3`).
fn svc(codec: Codec, rng: &mut Rng) -> Shape {
    let inter_layer =
        [InterLayer::Always, InterLayer::Always, InterLayer::KeyPictures, InterLayer::Never][rng.below(4)];
    let spatial = [2, 3, 3][rng.below(3)];
    let temporal = [1, 3, 3][rng.below(3)];
    Shape::svc(codec, spatial, temporal, inter_layer, rng)
}

fn plain(rng: &mut Rng) -> Shape {
    let codec = match rng.below(4) {
        0 => Codec::H264 { is_described: false },
        1 => Codec::H264 { is_described: true },
        2 => Codec::Vp8(PictureIds::None),
        _ => Codec::Vp8(PictureIds::Wide),
    };
    let has_temporal = codec.is_described() || codec == Codec::Vp8(PictureIds::Wide);
    let temporal = if has_temporal { [1, 2, 3][rng.below(3)] } else { 1 };
    Shape::svc(codec, 1, temporal, InterLayer::Never, rng)
}
