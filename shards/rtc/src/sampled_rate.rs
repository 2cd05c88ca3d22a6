//! Bit rate of a counter that is looked at now and then.
//!
//! Where a rate per packet would cost more than the packet, the packet only adds to a counter; whoever comes by
//! (reports, stats) leaves a sample, and the rate is the slope over the last of them.

use std::time::Duration;

use crate::time::Time;

/// Samples at least this far apart.
const SPACING: Duration = Duration::from_millis(250);

/// A sample older than this no longer says anything about now, where there is a newer one.
const WINDOW: Duration = Duration::from_millis(2_500);

/// Enough for the window at the closest spacing.
const SAMPLES: usize = 11;

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Time,
    bytes: u64,
}

/// The last samples of one counter.
#[derive(Debug, Clone, Default)]
pub struct SampledRate {
    samples: [Option<Sample>; SAMPLES],
    newest: usize,
}

impl SampledRate {
    /// Notes that the counter stood at `bytes`.
    pub fn sample(&mut self, now: Time, bytes: u64) {
        let newest = self.samples.get(self.newest).copied().flatten();
        if newest.is_some_and(|newest| now.saturating_since(newest.at) < SPACING) {
            return;
        }
        self.newest = (self.newest + 1) % SAMPLES;
        if let Some(slot) = self.samples.get_mut(self.newest) {
            *slot = Some(Sample { at: now, bytes });
        }
    }

    /// Bits per second up to `now`, the counter standing at `bytes`: the slope from the oldest sample within the window,
    /// or from the newest one when all are older. Zero without samples.
    pub fn bitrate(&self, now: Time, bytes: u64) -> u64 {
        let age = |sample: &Sample| now.saturating_since(sample.at);
        let samples = || self.samples.iter().flatten();
        let within = samples().filter(|sample| age(sample) <= WINDOW).max_by_key(|sample| age(sample));
        let Some(base) = within.or_else(|| samples().min_by_key(|sample| age(sample))) else { return 0 };
        let micros = age(base).as_micros();
        let bits = u128::from(bytes.saturating_sub(base.bytes)) * 8;
        (bits * 1_000_000).checked_div(micros).map_or(0, |bitrate| u64::try_from(bitrate).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_has_its_rate_whoever_samples() {
        let mut rate = SampledRate::default();
        assert_eq!(rate.bitrate(Time::ZERO, 0), 0);
        // 1,000 bytes each 10 ms, sampled about once a second.
        for millis in 0..10_000 {
            let bytes = millis / 10 * 1_000;
            if millis % 1_100 == 0 {
                rate.sample(Time::from_millis(millis), bytes);
            }
        }
        let bitrate = rate.bitrate(Time::from_millis(10_000), 1_000_000);
        assert!((790_000..=810_000).contains(&bitrate), "{bitrate}");
    }

    #[test]
    fn silence_brings_it_to_zero() {
        let mut rate = SampledRate::default();
        rate.sample(Time::ZERO, 0);
        rate.sample(Time::from_millis(1_000), 125_000);
        assert_eq!(rate.bitrate(Time::from_millis(1_000), 125_000), 1_000_000);
        rate.sample(Time::from_millis(2_000), 125_000);
        rate.sample(Time::from_millis(4_000), 125_000);
        assert_eq!(rate.bitrate(Time::from_millis(4_100), 125_000), 0);
    }

    #[test]
    fn close_samples_are_one() {
        let mut rate = SampledRate::default();
        for millis in 0..1_000 {
            rate.sample(Time::from_millis(millis), millis);
        }
        assert!(rate.samples.iter().flatten().count() <= 5);
    }
}
