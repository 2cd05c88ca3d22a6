//! What a way was seen to take when queues grew on it.

/// Weight of a new sample.
const WEIGHT: f64 = 0.05;
/// The samples' variance, in parts of their mean (kbps), stays between these.
const VARIANCE_MIN: f64 = 0.4;
const VARIANCE_MAX: f64 = 2.5;
const VARIANCE_INITIAL: f64 = 0.4;
/// Samples further away than so many standard deviations are of another way.
const DEVIATIONS: f64 = 3.0;
const BITS_PER_KBIT: f64 = 1_000.0;

/// A mean and a variance of incoming bitrates, in kbps.
#[derive(Debug)]
pub struct LinkCapacity {
    mean: Option<f64>,
    variance: f64,
}

impl Default for LinkCapacity {
    fn default() -> Self {
        Self { mean: None, variance: VARIANCE_INITIAL }
    }
}

impl LinkCapacity {
    /// Bits per second; `None` while nothing is known of the way.
    pub fn estimate(&self) -> Option<f64> {
        self.mean.map(|mean| mean * BITS_PER_KBIT)
    }

    /// A queue grew while so much came in, bits per second.
    pub fn note_overuse(&mut self, incoming: f64) {
        let sample = incoming / BITS_PER_KBIT;
        if self.mean.is_some_and(|mean| sample < mean - self.margin(mean)) {
            self.mean = None;
        }
        let mean = self.mean.map_or(sample, |mean| mean + WEIGHT * (sample - mean));
        let error = mean - sample;
        let variance = (1.0 - WEIGHT) * self.variance + WEIGHT * error * error / mean.max(1.0);
        self.variance = variance.clamp(VARIANCE_MIN, VARIANCE_MAX);
        self.mean = Some(mean);
    }

    /// More comes in than the way was thought to take, and no queue grows: it is another.
    pub fn forget_below(&mut self, incoming: f64) {
        if self.mean.is_some_and(|mean| incoming / BITS_PER_KBIT > mean + self.margin(mean)) {
            self.mean = None;
        }
    }

    fn margin(&self, mean: f64) -> f64 {
        DEVIATIONS * (self.variance * mean).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_samples_are_averaged_and_far_ones_start_over() {
        let mut capacity = LinkCapacity::default();
        assert_eq!(capacity.estimate(), None);
        for sample in [1_000_000.0, 1_010_000.0, 990_000.0] {
            capacity.note_overuse(sample);
        }
        let estimate = capacity.estimate().unwrap();
        assert!((995_000.0..1_005_000.0).contains(&estimate), "{estimate}");
        capacity.forget_below(1_020_000.0);
        assert!(capacity.estimate().is_some(), "within what samples scatter");
        capacity.note_overuse(500_000.0);
        assert_eq!(capacity.estimate(), Some(500_000.0));
        capacity.forget_below(700_000.0);
        assert_eq!(capacity.estimate(), None);
    }
}
