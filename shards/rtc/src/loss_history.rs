//! How much of what a transport carries gets lost, over the last feedbacks on it.

/// Feedbacks remembered: at ten a second, the last 2.4 s.
const SAMPLES: usize = 24;

/// Fractions of packets lost, one per feedback, and their average, in which a sample weighs as many
/// times as much as the oldest as it came after it.
#[derive(Debug, Clone, Default)]
pub struct LossHistory {
    /// A ring of fractions; `next` is where the oldest is once it is full.
    samples: [f64; SAMPLES],
    next: usize,
    count: usize,
}

impl LossHistory {
    /// What one feedback said of `expected` packets; nothing when it said nothing of any.
    pub fn update(&mut self, lost: u32, expected: u32) {
        if expected == 0 {
            return;
        }
        if let Some(slot) = self.samples.get_mut(self.next) {
            *slot = f64::from(lost.min(expected)) / f64::from(expected);
        }
        self.next = (self.next + 1) % SAMPLES;
        self.count = (self.count + 1).min(SAMPLES);
    }

    /// 0 to 1; 0 while nothing was said.
    pub fn fraction(&self) -> f64 {
        let oldest = if self.count < SAMPLES { 0 } else { self.next };
        let (newer, older) = self.samples.split_at(oldest);
        let in_order = older.iter().chain(newer).take(self.count);
        let (mut weight, mut weights, mut sum) = (0.0, 0.0, 0.0);
        for sample in in_order {
            weight += 1.0;
            weights += weight;
            sum += weight * sample;
        }
        if weights > 0.0 { sum / weights } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction_of(samples: &[(u32, u32)]) -> f64 {
        let mut history = LossHistory::default();
        samples.iter().for_each(|(lost, expected)| history.update(*lost, *expected));
        history.fraction()
    }

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn the_newest_weighs_most() {
        assert_near(fraction_of(&[]), 0.0);
        assert_near(fraction_of(&[(1, 2)]), 0.5);
        assert_near(fraction_of(&[(0, 10), (10, 10)]), 2.0 / 3.0);
        assert_near(fraction_of(&[(10, 10), (0, 10)]), 1.0 / 3.0);
        assert_near(fraction_of(&[(10, 10), (5, 0), (0, 10)]), 1.0 / 3.0);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut history = LossHistory::default();
        history.update(1, 1);
        for _ in 0..SAMPLES - 1 {
            history.update(0, 1);
        }
        assert_near(history.fraction(), 1.0 / 300.0);
        history.update(0, 1);
        assert_near(history.fraction(), 0.0);
        // The weights follow age, not places in the ring.
        history.update(1, 1);
        assert_near(history.fraction(), 24.0 / 300.0);
    }
}
