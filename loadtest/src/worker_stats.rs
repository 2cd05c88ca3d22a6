//! What the worker says of repair in getStats: of its video producers what came in, of their consumers what went out.

use ringsoup_fbs::fbs::request::Method;
use ringsoup_fbs::fbs::rtp_stream::{BaseStats, Stats};
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector};
use serde::Serialize;

use crate::channel::{Channel, Reply};
use crate::counters::counters;
use crate::error::Error;
use crate::report::median;

/// Consumers asked, at most: the rest are like them.
const CONSUMERS_MAX: usize = 1_000;

counters! {
    /// Sums over streams of one direction since their start.
    pub(crate) struct RepairTotals {
        /// Packets the other side was asked for, or asked for.
        nacked,
        retransmitted,
        repaired,
        /// PLI and FIR.
        key_frame_requests,
    }
}

/// Both directions at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerStats {
    received: RepairTotals,
    sent: RepairTotals,
    /// Of each consumer that has one, in milliseconds.
    round_trips_ms: Vec<f64>,
}

/// What was added between two moments.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct WorkerRepair {
    /// What the worker asked publishers for, and got.
    pub(crate) received: RepairTotals,
    /// What receivers asked the worker for, and got.
    pub(crate) sent: RepairTotals,
    /// By the receivers' reports, at the end.
    pub(crate) round_trip_p50_ms: Option<f64>,
    pub(crate) round_trip_max_ms: Option<f64>,
}

/// Asks the worker.
pub(crate) fn read(
    channel: &Channel,
    producer_ids: &[String],
    consumer_ids: &[String],
) -> Result<WorkerStats, Error> {
    let mut stats = WorkerStats::default();
    let ask = |method, id: &String| channel.request(method, id, &mut FlatBufferBuilder::new(), None);
    for id in producer_ids {
        let reply = ask(Method::PRODUCER_GET_STATS, id)?;
        stats.add_producer(&reply)?;
    }
    for id in consumer_ids.iter().take(CONSUMERS_MAX) {
        let reply = ask(Method::CONSUMER_GET_STATS, id)?;
        stats.add_consumer(&reply)?;
    }
    Ok(stats)
}

type StatsOf<'a> = Vector<'a, ForwardsUOffset<Stats<'a>>>;

impl WorkerStats {
    fn add_producer(&mut self, reply: &Reply) -> Result<(), Error> {
        let body = reply.response()?.body_as_producer_get_stats_response();
        let entries = body.ok_or_else(|| Error::new("a producer's stats without a body"))?.stats();
        for base in entries.iter().filter_map(received) {
            self.received.add(&RepairTotals::of(&base));
        }
        Ok(())
    }

    fn add_consumer(&mut self, reply: &Reply) -> Result<(), Error> {
        let body = reply.response()?.body_as_consumer_get_stats_response();
        let entries: StatsOf<'_> =
            body.ok_or_else(|| Error::new("a consumer's stats without a body"))?.stats();
        for base in entries.iter().filter_map(sent) {
            self.sent.add(&RepairTotals::of(&base));
            self.round_trips_ms.extend(Some(f64::from(base.round_trip_time())).filter(|rtt| *rtt > 0.0));
        }
        Ok(())
    }

    /// What was added since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> WorkerRepair {
        WorkerRepair {
            received: self.received.since(&earlier.received),
            sent: self.sent.since(&earlier.sent),
            round_trip_p50_ms: median(&self.round_trips_ms),
            round_trip_max_ms: self.round_trips_ms.iter().copied().max_by(f64::total_cmp),
        }
    }
}

fn received(entry: Stats<'_>) -> Option<BaseStats<'_>> {
    entry.data_as_recv_stats()?.base().data_as_base_stats()
}

fn sent(entry: Stats<'_>) -> Option<BaseStats<'_>> {
    entry.data_as_send_stats()?.base().data_as_base_stats()
}

impl RepairTotals {
    fn of(base: &BaseStats<'_>) -> Self {
        Self {
            nacked: base.nack_packet_count(),
            retransmitted: base.packets_retransmitted(),
            repaired: base.packets_repaired(),
            key_frame_requests: base.pli_count() + base.fir_count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_the_differences_and_the_last_round_trips() {
        let sent = |nacked| RepairTotals { nacked, ..RepairTotals::default() };
        let before = WorkerStats { sent: sent(3), round_trips_ms: vec![900.0], ..WorkerStats::default() };
        let after =
            WorkerStats { sent: sent(10), round_trips_ms: vec![20.0, 60.0, 40.0], ..WorkerStats::default() };
        let window = after.since(&before);
        assert_eq!((window.sent.nacked, window.received), (7, RepairTotals::default()));
        assert_eq!((window.round_trip_p50_ms, window.round_trip_max_ms), (Some(40.0), Some(60.0)));
    }
}
