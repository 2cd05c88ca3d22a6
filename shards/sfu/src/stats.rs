//! What a shard counts about itself: every packet once, and how long the forwarded ones took.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use ringsoup_rtc::time::Time;

use crate::drop_reason::{DropCounters, DropReason};
use crate::reply::LatencyHistogram;

/// Longest latency that is told apart, microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;
/// Significant decimal digits of a latency.
const LATENCY_DIGITS: u8 = 3;

/// Time from the kernel's receive timestamp to the end of the flush that sent the packet, microseconds.
#[derive(Debug, Clone)]
pub struct Latency {
    histogram: Histogram<u32>,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, LATENCY_DIGITS);
        Self { histogram: histogram.expect("the bounds are valid constants") }
    }
}

impl Latency {
    /// One received packet that was sent to `count` receivers. Does not allocate: the histogram has its full size.
    pub fn record(&mut self, received: Time, sent: Time, count: u32) {
        let micros = sent.saturating_since(received).as_nanos() / 1_000;
        let micros = u64::try_from(micros).unwrap_or(LATENCY_MAX_US);
        self.histogram.saturating_record_n(micros.clamp(1, LATENCY_MAX_US), count);
    }

    pub fn report(&self) -> LatencyHistogram {
        let histogram = &self.histogram;
        if histogram.is_empty() {
            return LatencyHistogram::default();
        }
        let mut encoded = Vec::new();
        // Writing to memory cannot fail; an empty encoding would still be a valid report.
        let _ = V2Serializer::new().serialize(histogram, &mut encoded);
        LatencyHistogram {
            count: histogram.len(),
            min_us: histogram.min(),
            max_us: histogram.max(),
            mean_us: histogram.mean(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            encoded,
        }
    }
}

/// `received = forwarded + consumed + dropped`, always.
#[derive(Debug, Clone, Default)]
pub struct ShardCounters {
    pub received: u64,
    pub forwarded: u64,
    pub consumed: u64,
    /// Packets put into the Outbox, one per receiver.
    pub sent: u64,
    pub dropped: DropCounters,
}

/// What became of a received packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It went to this many receivers, at least one.
    Forwarded(u32),
    /// It was for us.
    Consumed,
}

impl ShardCounters {
    pub fn count(&mut self, result: Result<Outcome, DropReason>) {
        self.received += 1;
        match result {
            Ok(Outcome::Forwarded(receivers)) => {
                self.forwarded += 1;
                self.sent += u64::from(receivers);
            }
            Ok(Outcome::Consumed) => self.consumed += 1,
            Err(reason) => self.dropped.count(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;

    #[test]
    fn a_report_can_be_read_back() {
        let mut latency = Latency::default();
        latency.record(Time::ZERO, Time::from_nanos(150_000), 50);
        latency.record(Time::ZERO, Time::from_nanos(3_000_000_000), 1);
        let report = latency.report();
        assert_eq!((report.count, report.min_us, report.p50_us), (51, 150, 150));
        let histogram: Histogram<u64> =
            Deserializer::new().deserialize(&mut report.encoded.as_slice()).expect("V2");
        assert_eq!(histogram.len(), 51);
    }

    #[test]
    fn every_packet_is_counted_once() {
        let mut counters = ShardCounters::default();
        counters.count(Ok(Outcome::Forwarded(3)));
        counters.count(Ok(Outcome::Consumed));
        counters.count(Err(DropReason::MalformedRtp));
        let accounted = counters.forwarded + counters.consumed + counters.dropped.total();
        assert_eq!((counters.received, accounted, counters.sent), (3, 3, 3));
    }
}
