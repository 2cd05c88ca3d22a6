//! What a seed decides before anything runs.

use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_tests::rng::Rng;

use super::cast::Media;
use crate::network::{Bursts, Capacity, Link};

/// What happens beside media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// Nothing: who is there from the beginning stays.
    Nothing,
    /// Layers, key frames, questions.
    Choices,
    /// Those, pauses, and senders that begin anew.
    Calm,
    /// Everything, closing of whatever there is too.
    Wild,
}

#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) shards: u16,
    /// Routers of each worker.
    pub(crate) routers: usize,
    pub(crate) publishers: Vec<Media>,
    /// Each consumes everything.
    pub(crate) subscribers: usize,
    pub(crate) network: Network,
    pub(crate) between_workers: Link,
    pub(crate) pipe_rtx: bool,
    pub(crate) pipe_srtp: bool,
    /// What passes from shard to shard takes up to this long.
    pub(crate) mesh_delay_us: usize,
    /// The workers' clocks begin anywhere, near the ends of 32 bits of milliseconds and microseconds too.
    pub(crate) begins: Time,
    pub(crate) lasts: Duration,
    pub(crate) operation_pause: Duration,
    pub(crate) disturbance: Disturbance,
    /// How far senders' clocks are off at most.
    pub(crate) drift_ppm: usize,
    /// Of clients, how many in a hundred have SRTP, and how many are the application itself.
    pub(crate) srtp: usize,
    pub(crate) direct: usize,
    /// Sources send a picture in so long only, and everybody else does what he does as seldom; zero for their own pace.
    pub(crate) pause: Duration,
    /// After so long whatever shards send to clients is thrown away, to see that somebody notices.
    pub(crate) freezes: Option<Duration>,
    /// From then on frames are counted apart.
    pub(crate) milestone: Option<Time>,
    /// Keeps everything that receivers get.
    pub(crate) keeps: bool,
    /// Prints every request, to see what led to a failure.
    pub(crate) tells: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Nothing is lost, everything takes the same time.
    Perfect,
    /// Each link is as bad as the seed says.
    Real,
}

impl Network {
    pub(crate) fn link(self, rng: &mut Rng) -> Link {
        if self == Self::Perfect {
            return Link::perfect(10);
        }
        // A queue that is seldom full, and a link too narrow for all of a video's layers in a row.
        let capacity = Capacity { bits_per_ms: 2_000 + rng.below(20_000) as u64, queue_ms: 60 };
        let has_capacity = rng.below(4) == 0;
        Link { capacity: has_capacity.then_some(capacity), ..Link::random(rng) }
    }
}

/// Where clocks begin: where they do, and shortly before a counter of 32 bits would be full.
fn begins(rng: &mut Rng) -> Time {
    let wraps_ms = [1_u64 << 31, 1 << 32, 1 << 33];
    let before = rng.below(20_000) as u64;
    match rng.below(6) {
        0 => Time::from_millis(wraps_ms[rng.below(3)] - before),
        1 => Time::from_nanos(((1_u64 << 32) * 1_000) - before * 1_000_000),
        2 => Time::from_nanos((1_u64 << (42 + rng.below(20))).saturating_sub(before * 1_000_000)),
        _ => Time::from_millis(1_000 + before),
    }
}

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d);
        let media = |rng: &mut Rng| Media::ALL[rng.below(Media::ALL.len())];
        let bursts = Bursts { begin: 10, end: 2_000, loss: 600 };
        let between = Link {
            loss: [0, 2, 20][rng.below(3)],
            bursts: (rng.below(4) == 0).then_some(bursts),
            delay_ms: 1 + rng.below(30),
            jitter_ms: [0, 1, 5][rng.below(3)],
            ..Link::default()
        };
        Self {
            seed,
            workers: 1 + rng.below(3) / 2,
            shards: [1, 2, 3, 3][rng.below(4)],
            routers: 1 + rng.below(3),
            publishers: (0..=rng.below(3)).map(|_| media(&mut rng)).collect(),
            subscribers: 1 + rng.below(3),
            network: Network::Real,
            between_workers: between,
            pipe_rtx: rng.below(3) > 0,
            pipe_srtp: rng.below(2) == 0,
            mesh_delay_us: [0, 200, 3_000][rng.below(3)],
            begins: begins(&mut rng),
            lasts: Duration::from_secs(12),
            operation_pause: Duration::from_millis([300, 900, 2_500][rng.below(3)]),
            disturbance: [Disturbance::Nothing, Disturbance::Calm, Disturbance::Wild][rng.below(3)],
            drift_ppm: [0, 50, 500][rng.below(3)],
            srtp: [0, 40][rng.below(2)],
            direct: [0, 20][rng.below(2)],
            pause: Duration::ZERO,
            freezes: None,
            milestone: None,
            keeps: false,
            tells: std::env::var("SIM_TELLS").is_ok(),
        }
    }

    /// A seed on a network where nothing is lost, for runs that are compared.
    pub(crate) fn steady(seed: u64, shards: u16) -> Self {
        Self {
            shards,
            workers: 1,
            routers: 3,
            subscribers: 3,
            network: Network::Perfect,
            mesh_delay_us: 0,
            disturbance: [Disturbance::Nothing, Disturbance::Calm][usize::from(seed % 2 == 1)],
            direct: 0,
            keeps: true,
            ..Self::from_seed(seed)
        }
    }

    /// Days in which little happens, across the moment when milliseconds since the beginning no longer fit 32 bits.
    pub(crate) fn long(seed: u64, lasts: Duration) -> Self {
        let full = Time::from_millis(1 << 32);
        Self {
            workers: 1,
            shards: 2,
            routers: 2,
            publishers: vec![Media::Plain, Media::Plain],
            subscribers: 2,
            // Days run through it from the start; minutes lie around it.
            begins: if lasts > Duration::from_secs(40 * 86_400) {
                Time::from_millis(1_000)
            } else {
                full - lasts / 2
            },
            lasts,
            operation_pause: Duration::from_secs(600),
            // A pause of more than 13 hours, half of what 32 bits of 90 kHz tell, would leave oracles guessing.
            disturbance: Disturbance::Choices,
            direct: 0,
            pause: Duration::from_secs(20),
            milestone: Some(full),
            ..Self::from_seed(seed)
        }
    }
}
