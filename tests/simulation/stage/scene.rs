//! What a seed decides before anything runs.

use std::time::Duration;

use ringsoup_sfu::command::Layers;
use ringsoup_tests::rng::Rng;

use crate::media::encoder::InterLayer;
use crate::media::pictures::{Codec, PROMPT_MS, Shape};
use crate::media::vp8::PictureIds;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    /// Of 1,000 datagrams.
    loss: usize,
    /// Of 1,000 datagrams.
    duplication: usize,
    delay_ms: usize,
    jitter_ms: usize,
}

impl Link {
    fn random(rng: &mut Rng) -> Self {
        Self {
            loss: [0, 5, 30, 100][rng.below(4)],
            duplication: [0, 0, 10, 30][rng.below(4)],
            delay_ms: 1 + rng.below(40),
            jitter_ms: [0, 2, 10, 30][rng.below(4)],
        }
    }

    /// After how long the datagram arrives: not at all, once or twice.
    pub(super) fn carry(&self, rng: &mut Rng) -> Vec<Duration> {
        if rng.below(1_000) < self.loss {
            return Vec::new();
        }
        let copies = if rng.below(1_000) < self.duplication { 2 } else { 1 };
        let micros = |rng: &mut Rng| self.delay_ms * 1_000 + rng.below(self.jitter_ms * 1_000 + 1);
        (0..copies).map(|_| Duration::from_micros(micros(rng) as u64)).collect()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(super) shape: Shape,
    pub(super) receivers: usize,
    pub(super) up: Link,
    pub(super) down: Link,
    /// Nothing is lost nor stops: what is wished has to happen, and soon.
    pub(super) is_clean: bool,
    pub(super) pauses: bool,
    pub(super) first_report: Duration,
    pub(super) operation_pause: Duration,
    pub(super) lasts: Duration,
}

fn shape(cast: &str, rng: &mut Rng) -> Shape {
    let inter_layer = [InterLayer::Always, InterLayer::KeyPictures, InterLayer::Never][rng.below(3)];
    let temporal = 1 + u8::try_from(rng.below(3)).expect("small");
    let spatial = [1, 2, 3, 3][rng.below(4)];
    let is_flexible = rng.below(2) == 0;
    match cast {
        "vp8" => {
            let ids = [PictureIds::Wide, PictureIds::Narrow][rng.below(2)];
            Shape::svc(Codec::Vp8(ids), 1, temporal.max(2), InterLayer::Never, rng)
        }
        "vp9" => {
            let codec = Codec::Vp9 { is_flexible, is_wide: rng.below(4) > 0 };
            Shape::svc(codec, spatial, temporal, inter_layer, rng)
        }
        "av1" => Shape::svc(Codec::Av1, spatial, temporal, inter_layer, rng),
        "h264" => Shape::svc(Codec::H264 { is_described: true }, 1, temporal, InterLayer::Never, rng),
        "vp8 simulcast" => Shape::vp8_simulcast(rng),
        "h264 simulcast" => Shape::h264_simulcast(rng),
        other => panic!("nobody publishes {other}"),
    }
}

impl Scene {
    pub(crate) fn from_seed(cast: &str, seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ cast.len() as u64);
        let is_clean = rng.below(3) == 0;
        let delay_ms = 1 + rng.below(40);
        let clean = Link { delay_ms, ..Link::default() };
        let mut shape = shape(cast, &mut rng);
        shape.is_congested &= !is_clean;
        if is_clean {
            shape.late_max_ms = PROMPT_MS;
        }
        Self {
            seed,
            shape,
            receivers: 1 + rng.below(2),
            up: if is_clean { clean } else { Link::random(&mut rng) },
            down: if is_clean { clean } else { Link::random(&mut rng) },
            is_clean,
            pauses: !is_clean,
            first_report: Duration::from_millis([20, 300, 1_000][rng.below(3)]),
            operation_pause: Duration::from_millis(if is_clean {
                5_000
            } else {
                [200, 700, 2_000][rng.below(3)]
            }),
            lasts: Duration::from_secs(25),
        }
    }

    /// The highest layers there are.
    pub(super) fn most(&self) -> Layers {
        let spatial = self.shape.streams.max(self.shape.spatial) - 1;
        Layers { spatial, temporal: Some(self.shape.temporal - 1) }
    }
}
