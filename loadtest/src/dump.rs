//! What the worker says of itself: the counters and histograms our worker appends to worker.dump.
//!
//! The original's dump has none of them; everything here is then absent.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use ringsoup_fbs::fbs::request::Method;
use ringsoup_fbs::fbs::ringsoup::ShardDump;
use ringsoup_fbs::flatbuffers::FlatBufferBuilder;
use serde::Serialize;

use crate::channel::Channel;
use crate::error::Error;
use crate::latency::Percentiles;

/// One shard's counters since the worker's start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shard {
    index: u16,
    started: bool,
    counters: Counters,
    /// In microseconds; absent when the shard sent none or in a form this harness cannot read.
    latency: Option<Histogram<u64>>,
    /// The worker's own percentiles, for when the histogram itself cannot be read.
    told: Option<Percentiles>,
}

/// What a shard counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counters {
    pub(crate) received: u64,
    pub(crate) forwarded: u64,
    pub(crate) consumed: u64,
    pub(crate) sent: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// One shard over a window.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShardWindow {
    pub(crate) index: u16,
    pub(crate) counters: Counters,
    pub(crate) latency: Option<Percentiles>,
}

/// All shards over a window.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkerWindow {
    pub(crate) shards: Vec<ShardWindow>,
    /// Kernel receive time to send, all shards together.
    pub(crate) latency: Option<Percentiles>,
}

/// Asks the worker; `None` when its dump has no shards, as the original's.
pub(crate) fn read(channel: &Channel) -> Result<Option<Vec<Shard>>, Error> {
    let reply = channel.request(Method::WORKER_DUMP, "", &mut FlatBufferBuilder::new(), None)?;
    let dump = reply.response()?.body_as_worker_dump_response();
    let dump = dump.ok_or_else(|| Error::new("a worker dump without a body"))?;
    Ok(dump.ringsoup_shards().map(|shards| shards.iter().map(Shard::read).collect()))
}

#[allow(clippy::cast_precision_loss, reason = "microseconds up to a minute")]
fn told(latency: ringsoup_fbs::fbs::ringsoup::LatencyHistogram<'_>) -> Percentiles {
    Percentiles {
        count: latency.count(),
        p50_us: latency.p50_us() as f64,
        p90_us: latency.p90_us() as f64,
        p99_us: latency.p99_us() as f64,
        p999_us: latency.p999_us() as f64,
        max_us: latency.max_us() as f64,
    }
}

/// What the worker holds at this moment of everything it can hold (`held_*`), all shards together.
pub(crate) fn held(channel: &Channel) -> Result<BTreeMap<String, u64>, Error> {
    let reply = channel.request(Method::WORKER_DUMP, "", &mut FlatBufferBuilder::new(), None)?;
    let dump = reply.response()?.body_as_worker_dump_response();
    let dump = dump.ok_or_else(|| Error::new("a worker dump without a body"))?;
    let mut held = BTreeMap::new();
    for counter in dump.ringsoup_shards().into_iter().flatten().filter_map(|shard| shard.io()).flatten() {
        if counter.name().starts_with("held_") {
            *held.entry(counter.name().to_owned()).or_insert(0) += counter.value();
        }
    }
    Ok(held)
}

impl Shard {
    fn read(dump: ShardDump<'_>) -> Self {
        let dropped = dump.dropped().map(|drops| {
            drops.iter().map(|drop| (drop.reason().to_owned(), drop.count())).collect::<BTreeMap<_, _>>()
        });
        let histogram = |encoded: &[u8]| Deserializer::new().deserialize(&mut &*encoded).ok();
        Self {
            index: dump.index(),
            started: dump.started(),
            counters: Counters {
                received: dump.received_packets(),
                forwarded: dump.forwarded_packets(),
                consumed: dump.consumed_packets(),
                sent: dump.sent_packets(),
                dropped: dropped.unwrap_or_default(),
            },
            latency: dump
                .latency()
                .and_then(|latency| latency.encoded())
                .and_then(|encoded| histogram(encoded.bytes())),
            told: dump.latency().map(told),
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    /// The latencies since `earlier`; all of them where either histogram is missing.
    fn latency_since(&self, earlier: Option<&Self>) -> Option<Histogram<u64>> {
        let mut latency = self.latency.clone()?;
        if let Some(earlier) = earlier.and_then(|earlier| earlier.latency.as_ref()) {
            latency.subtract(earlier).ok()?;
        }
        Some(latency)
    }
}

impl Counters {
    fn since(&self, earlier: &Self) -> Self {
        let dropped = self.dropped.iter().map(|(reason, count)| {
            (reason.clone(), count.saturating_sub(earlier.dropped.get(reason).copied().unwrap_or(0)))
        });
        Self {
            received: self.received.saturating_sub(earlier.received),
            forwarded: self.forwarded.saturating_sub(earlier.forwarded),
            consumed: self.consumed.saturating_sub(earlier.consumed),
            sent: self.sent.saturating_sub(earlier.sent),
            dropped: dropped.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl WorkerWindow {
    /// What the started shards did between two dumps.
    pub(crate) fn between(before: &[Shard], after: &[Shard]) -> Self {
        let mut merged: Option<Histogram<u64>> = None;
        let mut shards = Vec::new();
        for shard in after.iter().filter(|shard| shard.started) {
            let earlier = before.iter().find(|earlier| earlier.index == shard.index);
            let none = Counters::default();
            let counters = shard.counters.since(earlier.map_or(&none, |earlier| &earlier.counters));
            let latency = shard.latency_since(earlier);
            if let Some(latency) = &latency {
                match &mut merged {
                    // Shards of one worker share their bounds, so this holds.
                    Some(merged) => _ = merged.add(latency),
                    None => merged = Some(latency.clone()),
                }
            }
            let latency = latency.as_ref().map(Percentiles::of_micros).or(shard.told);
            shards.push(ShardWindow { index: shard.index, counters, latency });
        }
        Self { shards, latency: merged.as_ref().map(Percentiles::of_micros) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(index: u16, received: u64, latencies: &[u64]) -> Shard {
        let mut latency = Histogram::new_with_bounds(1, 60_000_000, 3).unwrap();
        for micros in latencies {
            latency.record(*micros).unwrap();
        }
        let dropped = BTreeMap::from([("unknown_ssrc".to_owned(), received / 10)]);
        let counters = Counters { received, dropped, ..Counters::default() };
        Shard { index, started: true, counters, latency: Some(latency), told: None }
    }

    #[test]
    fn a_window_is_the_difference_of_two_dumps() {
        let before = [shard(0, 10, &[5, 5])];
        let after = [shard(0, 30, &[5, 5, 900]), shard(1, 100, &[100]), Shard::default()];
        let window = WorkerWindow::between(&before, &after);
        assert_eq!(window.shards.len(), 2);
        assert_eq!(window.shards[0].counters.received, 20);
        assert_eq!(window.shards[0].counters.dropped.get("unknown_ssrc"), Some(&2));
        assert_eq!(window.shards[0].latency.unwrap().count, 1);
        let merged = window.latency.unwrap();
        assert_eq!((merged.count, merged.max_us), (2, 900.0));
    }
}
