//! Latency histograms: 1 µs to 60 s in nanoseconds, three significant digits.

use hdrhistogram::Histogram;
use serde::Serialize;

const LOWEST_NS: u64 = 1_000;
const HIGHEST_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;
const NANOS_PER_MICRO: f64 = 1_000.0;

pub(crate) fn new() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS).expect("the bounds are constants that hold")
}

/// Records one value; what is out of range counts as the nearest bound.
pub(crate) fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.saturating_record(nanos.max(LOWEST_NS));
}

/// Adds `other`'s values.
pub(crate) fn merge(histogram: &mut Histogram<u64>, other: &Histogram<u64>) {
    histogram.add(other).expect("every histogram here has the same bounds");
}

/// The figures of a report, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Percentiles {
    /// The figures of a histogram of nanoseconds.
    pub(crate) fn of_nanos(histogram: &Histogram<u64>) -> Self {
        Self::of(histogram, NANOS_PER_MICRO)
    }

    /// The figures of a histogram of microseconds.
    pub(crate) fn of_micros(histogram: &Histogram<u64>) -> Self {
        Self::of(histogram, 1.0)
    }

    #[allow(clippy::cast_precision_loss, reason = "60 s of nanoseconds fit in an f64's 53 bits")]
    fn of(histogram: &Histogram<u64>, per_micro: f64) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / per_micro;
        Self {
            count: histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max() as f64 / per_micro,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut histogram = new();
        for micros in 1..=1000 {
            record(&mut histogram, micros * 1000);
        }
        record(&mut histogram, 0);
        record(&mut histogram, u64::MAX);
        let figures = Percentiles::of_nanos(&histogram);
        assert_eq!(figures.count, 1002);
        assert!((495.0..=505.0).contains(&figures.p50_us));
        assert!(figures.max_us >= 59e6);
    }
}
