//! Links that lose, repeat, delay and reorder.

use std::time::Duration;

use ringsoup_tests::rng::Rng;

/// One direction between a peer and the shard.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    /// Of 1,000 datagrams.
    pub(crate) loss: usize,
    /// Of 1,000 datagrams.
    pub(crate) duplication: usize,
    pub(crate) delay_ms: usize,
    /// Added to the delay, up to this much: later datagrams overtake earlier ones.
    pub(crate) jitter_ms: usize,
}

impl Link {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let quality = rng.below(4);
        Self {
            loss: [0, 5, 30, 100][quality],
            duplication: [0, 0, 10, 30][rng.below(4)],
            delay_ms: 1 + rng.below(60),
            jitter_ms: [0, 2, 10, 30][rng.below(4)],
        }
    }

    /// After how long the datagram arrives: not at all, once or twice.
    pub(crate) fn carry(&self, rng: &mut Rng) -> Vec<Duration> {
        if rng.below(1_000) < self.loss {
            return Vec::new();
        }
        let copies = if rng.below(1_000) < self.duplication { 2 } else { 1 };
        (0..copies).map(|_| self.delay(rng)).collect()
    }

    fn delay(&self, rng: &mut Rng) -> Duration {
        let micros = self.delay_ms * 1_000 + rng.below(self.jitter_ms * 1_000 + 1);
        Duration::from_micros(u64::try_from(micros).expect("at most seconds"))
    }
}
