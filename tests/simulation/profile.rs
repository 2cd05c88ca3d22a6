//! What a seed decides before anything runs.

use ringsoup_tests::rng::Rng;

use crate::network::{Link, Path};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    VideoWithRtx,
    VideoWithoutRtx,
    Audio,
}

#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) seed: u64,
    pub(crate) publishers: Vec<Media>,
    /// Uplink of each publisher.
    pub(crate) uplinks: Vec<Path>,
    /// Downlink of each subscriber.
    pub(crate) downlinks: Vec<Path>,
    /// Between two frames.
    pub(crate) frame_ms: u64,
    pub(crate) packets_per_frame_max: usize,
    pub(crate) duration_ms: u64,
    /// Between two operations of the controller (pauses, new consumers) or restarts of a sender.
    pub(crate) operation_ms: u64,
}

impl Profile {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let media = [Media::VideoWithRtx, Media::VideoWithoutRtx, Media::Audio];
        let publishers: Vec<_> = (0..=rng.below(2)).map(|_| media[rng.below(3)]).collect();
        Self {
            seed,
            uplinks: publishers.iter().map(|_| Link::random(&mut rng).into()).collect(),
            downlinks: (0..=rng.below(3)).map(|_| Link::random(&mut rng).into()).collect(),
            publishers,
            frame_ms: 33,
            packets_per_frame_max: 1 + rng.below(6),
            duration_ms: 15_000,
            operation_ms: [1_700, 4_000, 60_000][rng.below(3)],
        }
    }

    /// Hours in which little happens: clocks and counters go far.
    pub(crate) fn slow(seed: u64, hours: u64) -> Self {
        let link = Link { loss: 20, duplication: 5, delay_ms: 20, jitter_ms: 5, ..Link::default() };
        Self {
            publishers: vec![Media::VideoWithRtx],
            uplinks: vec![link.into()],
            downlinks: vec![link.into()],
            frame_ms: 2_000,
            packets_per_frame_max: 2,
            duration_ms: hours * 3_600_000,
            operation_ms: 600_000,
            ..Self::from_seed(seed)
        }
    }

    /// Two thousand packets a second.
    pub(crate) fn fast(seed: u64) -> Self {
        let link = Link { loss: 3, duplication: 1, delay_ms: 10, jitter_ms: 1, ..Link::default() };
        Self {
            publishers: vec![Media::VideoWithRtx],
            uplinks: vec![link.into()],
            downlinks: vec![link.into()],
            frame_ms: 10,
            packets_per_frame_max: 40,
            duration_ms: 70_000,
            operation_ms: 20_000,
            ..Self::from_seed(seed)
        }
    }
}
