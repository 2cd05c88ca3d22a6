//! What of a peer is random comes from its seed, so that a test repeats.

use std::time::Duration;

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }

    /// Between 80 and 120 % of it.
    pub(crate) fn around(&mut self, duration: Duration) -> Duration {
        let percent = 80 + self.next_u64() % 41;
        duration * u32::try_from(percent).unwrap_or(100) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_repeats_and_another_differs() {
        let draw = |seed| {
            let mut bytes = [0; 11];
            Rng::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn around_is_never_far_off() {
        let mut rng = Rng::new(1);
        let drawn: Vec<_> = (0..1_000).map(|_| rng.around(Duration::from_secs(5))).collect();
        assert_eq!(drawn.iter().min(), Some(&Duration::from_secs(4)));
        assert_eq!(drawn.iter().max(), Some(&Duration::from_secs(6)));
    }
}
