//! Interarrival jitter (RFC 3550 §6.4.1, A.8).

use crate::time::Time;

/// Weight of one packet in the running mean: "the gain parameter 1/16 gives a good noise
/// reduction ratio" (RFC 3550 §6.4.1).
const GAIN: f64 = 1.0 / 16.0;

/// Smoothed difference between packets' spacing at the sender and here, in timestamp units.
#[derive(Debug, Clone)]
pub struct Jitter {
    clock_rate_hz: u32,
    /// Arrival minus timestamp of the last packet, modulo 2^32.
    transit: Option<u32>,
    mean: f64,
}

impl Jitter {
    /// A zero clock rate makes a jitter that stays zero.
    pub fn new(clock_rate_hz: u32) -> Self {
        Self { clock_rate_hz, transit: None, mean: 0.0 }
    }

    pub fn update(&mut self, received_at: Time, timestamp: u32) {
        if self.clock_rate_hz == 0 {
            return;
        }
        let transit = self.arrival(received_at).wrapping_sub(timestamp);
        if let Some(previous) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(previous).cast_signed().unsigned_abs();
            self.mean += GAIN * (f64::from(difference) - self.mean);
        }
    }

    /// Timestamp units, fraction kept.
    pub fn value(&self) -> f64 {
        self.mean
    }

    /// Timestamp units as a receiver report carries them.
    #[allow(clippy::cast_possible_truncation, reason = "the mean of 31 bit values is below 2^31")]
    #[allow(clippy::cast_sign_loss, reason = "a mean of absolute values")]
    pub fn timestamp_units(&self) -> u32 {
        self.mean as u32
    }

    /// Forgets the past, as a pause must: the gap would be taken for jitter.
    pub fn reset(&mut self) {
        self.transit = None;
        self.mean = 0.0;
    }

    /// The arrival on the stream's own clock, modulo 2^32.
    #[allow(clippy::cast_possible_truncation, reason = "only differences modulo 2^32 matter")]
    fn arrival(&self, received_at: Time) -> u32 {
        (u128::from(received_at.as_nanos()) * u128::from(self.clock_rate_hz) / 1_000_000_000) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_even_stream_has_none() {
        let mut jitter = Jitter::new(48_000);
        for packet in 0..100u32 {
            jitter.update(
                Time::from_millis(u64::from(packet) * 20 + 7),
                packet.wrapping_mul(960).wrapping_sub(5_000),
            );
        }
        assert_eq!(jitter.timestamp_units(), 0);
    }

    #[test]
    fn each_packet_moves_the_mean_by_a_sixteenth() {
        let mut jitter = Jitter::new(90_000);
        jitter.update(Time::from_millis(0), 0);
        jitter.update(Time::from_millis(10), 0);
        assert!((jitter.value() - 900.0 / 16.0).abs() < 1e-9);
        jitter.update(Time::from_millis(10), 900);
        assert!((jitter.value() - (56.25 + (900.0 - 56.25) / 16.0)).abs() < 1e-9);
        jitter.reset();
        jitter.update(Time::from_millis(99_000), 77);
        assert_eq!(jitter.timestamp_units(), 0);
    }

    proptest! {
        #[test]
        fn stays_within_the_largest_difference(
            clock_rate_hz in any::<u32>(),
            packets in proptest::collection::vec(any::<(u64, u32)>(), 0..50),
        ) {
            let mut jitter = Jitter::new(clock_rate_hz);
            for (nanos, timestamp) in packets {
                jitter.update(Time::from_nanos(nanos), timestamp);
                prop_assert!((0.0..=2_147_483_648.0).contains(&jitter.value()));
            }
        }
    }
}
