//! Where a new router goes.
//!
//! The least loaded shard, counted in what costs CPU. Ties are resolved from a start that differs between
//! workers: applications of today start one worker per core, and if each of those put its first router on
//! its shard 0, pinned to the same core, that core would carry them all.

use crate::registry::Kind;

/// A shard's place in the worker, 0 to count − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardIndex(pub u16);

/// An empty router weighs as much as this many streams: a promise of load to come, so that routers created
/// in a row, before anybody joins, spread evenly.
const ROUTER_WEIGHT: u64 = 8;

/// What lives on a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    pub routers: u32,
    pub transports: u32,
    pub producers: u32,
    pub consumers: u32,
    /// They weigh nothing: one sum per interval.
    pub observers: u32,
    /// Data producers and data consumers.
    pub data_channels: u32,
    pub webrtc_servers: u32,
}

impl Load {
    fn count(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Router => &mut self.routers,
            Kind::PlainTransport | Kind::PipeTransport | Kind::WebRtcTransport | Kind::DirectTransport => {
                &mut self.transports
            }
            Kind::Producer => &mut self.producers,
            Kind::Consumer => &mut self.consumers,
            Kind::RtpObserver => &mut self.observers,
            Kind::DataProducer | Kind::DataConsumer => &mut self.data_channels,
            Kind::WebRtcServer => &mut self.webrtc_servers,
        }
    }

    pub(crate) fn add(&mut self, kind: Kind) {
        *self.count(kind) += 1;
    }

    pub(crate) fn remove(&mut self, kind: Kind) {
        let count = self.count(kind);
        *count = count.saturating_sub(1);
    }

    /// Streams and data channels are what a shard works for; transports cost timers only.
    fn weight(&self) -> u64 {
        let streams = u64::from(self.producers) + u64::from(self.consumers);
        u64::from(self.routers) * ROUTER_WEIGHT + streams + u64::from(self.data_channels)
    }
}

#[derive(Debug)]
pub struct Placement {
    /// Where ties are searched from; moves on with every router.
    start: usize,
    /// Shards that could not be started or died.
    failed: Vec<bool>,
}

impl Placement {
    /// `seed` differs between the workers of a host; the process id does.
    pub fn new(shards: usize, seed: u32) -> Self {
        Self { start: seed as usize % shards.max(1), failed: vec![false; shards] }
    }

    /// A shard that could not be had is avoided from now on.
    pub fn mark_failed(&mut self, shard: ShardIndex) {
        if let Some(failed) = self.failed.get_mut(usize::from(shard.0)) {
            *failed = true;
        }
    }

    /// The shard for the next router; `loads` is by shard index. When every shard has failed they are all
    /// tried again: what was lacking (memory, descriptors) may be there by now.
    pub fn place(&mut self, loads: &[Load]) -> ShardIndex {
        let shards = self.failed.len();
        if self.failed.iter().all(|failed| *failed) {
            self.failed.fill(false);
        }
        let best = (0..shards)
            .map(|step| (self.start + step) % shards)
            .filter(|index| !self.failed[*index])
            .min_by_key(|index| loads.get(*index).map_or(0, Load::weight))
            .unwrap_or(0);
        self.start = (best + 1) % shards.max(1);
        ShardIndex(u16::try_from(best).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routers_in_a_row_spread_from_a_start_of_their_own() {
        let mut loads = [Load::default(); 4];
        let mut placement = Placement::new(4, 4242 + 1);
        let mut order = Vec::new();
        for _ in 0..8 {
            let shard = placement.place(&loads);
            loads[usize::from(shard.0)].add(Kind::Router);
            order.push(shard.0);
        }
        assert_eq!(order, vec![3, 0, 1, 2, 3, 0, 1, 2]);
    }

    #[test]
    fn a_busy_shard_is_avoided() {
        let busy = Load { routers: 1, transports: 101, producers: 1, consumers: 100, ..Load::default() };
        let many_empty = Load { routers: 3, ..Load::default() };
        let mut placement = Placement::new(2, 0);
        assert_eq!(placement.place(&[busy, many_empty]), ShardIndex(1));
        assert_eq!(placement.place(&[many_empty, busy]), ShardIndex(0));
    }

    #[test]
    fn failed_shards_are_avoided_until_all_have_failed() {
        let loads = [Load::default(); 2];
        let mut placement = Placement::new(2, 0);
        placement.mark_failed(ShardIndex(0));
        assert_eq!(placement.place(&loads), ShardIndex(1));
        assert_eq!(placement.place(&loads), ShardIndex(1));
        placement.mark_failed(ShardIndex(1));
        assert_eq!(placement.place(&loads), ShardIndex(0));
    }

    #[test]
    fn one_shard_is_enough() {
        let mut placement = Placement::new(1, 77);
        assert_eq!(placement.place(&[Load::default()]), ShardIndex(0));
    }
}
