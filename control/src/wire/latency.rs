//! Latency histograms, the fields appended to two published dumps.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::ringsoup as wire;
use ringsoup_sfu::reply::LatencyHistogram;

use super::Builder;

/// `shard` is the one that recorded it.
pub(super) fn encode(
    builder: &mut Builder,
    histogram: &LatencyHistogram,
    shard: u16,
) -> WIPOffset<wire::LatencyHistogram<'static>> {
    let encoded = (!histogram.encoded.is_empty()).then(|| builder.create_vector(&histogram.encoded));
    let args = wire::LatencyHistogramArgs {
        shard,
        count: histogram.count,
        min_us: histogram.min_us,
        max_us: histogram.max_us,
        mean_us: histogram.mean_us,
        p50_us: histogram.p50_us,
        p90_us: histogram.p90_us,
        p99_us: histogram.p99_us,
        p999_us: histogram.p999_us,
        encoded,
        ..wire::LatencyHistogramArgs::default()
    };
    wire::LatencyHistogram::create(builder, &args)
}
