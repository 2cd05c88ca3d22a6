//! Which layer of a simulcast track, or up to which of an SVC track, a receiver gets: whether it is the one that was asked for, how long that took, and
//! whether the stream went on without a seam.

use hdrhistogram::Histogram;

use crate::counters::counters;
use crate::latency;

/// A spatial and a temporal layer, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerPair {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
}

counters! {
    /// Sums over all consumers of several layers since the start.
    pub(crate) struct LayerTotals {
        /// Sequence numbers of these consumers, to be subtracted from those of all.
        expected,
        /// Requests for another spatial layer.
        asked,
        /// Of these, how many were followed by that layer.
        performed,
        /// Another layer was asked for before this one came.
        superseded,
        /// The media paused before it came.
        cut_off,
        /// Changes to a layer that was not asked for, at a key frame.
        unasked,
        /// Packets of another layer than the one that is sent, where no key frame of it begins.
        wrong_layer,
        /// Frames of a higher temporal layer than asked for, sent after the worker had agreed.
        wrong_temporal,
        /// Packets with a later number and an earlier timestamp.
        timestamps_back,
        /// Sequence numbers left out at a change because the frame before it was cut short.
        left_out,
    }
}

/// What one packet in sequence tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) layer: u8,
    pub(super) begins_key_frame: bool,
    /// Of the frame that begins here.
    pub(super) temporal: Option<u8>,
    /// The packet with the number before has come.
    pub(super) follows: bool,
    pub(super) sent_at_ns: u64,
    pub(super) received_at_ns: u64,
}

/// What a packet's layer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Same,
    /// The first of another layer.
    Changed,
    /// The first after a pause, of whichever layer; the frame before may go on.
    Resumed,
    Wrong,
}

/// One consumer's layers.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    preferred: LayerPair,
    current: Option<u8>,
    /// Something came before the pause.
    has_paused: bool,
    /// A change that was asked for and has not come.
    pending_since_ns: Option<u64>,
    /// When the worker agreed to what is preferred; `None` while it has not.
    agreed_at_ns: Option<u64>,
}

impl Layers {
    pub(super) const fn new(preferred: LayerPair) -> Self {
        Self { preferred, current: None, has_paused: false, pending_since_ns: None, agreed_at_ns: Some(0) }
    }

    /// What came last, since the last pause.
    pub(super) const fn current(&self) -> Option<u8> {
        self.current
    }

    pub(super) const fn preferred(&self) -> LayerPair {
        self.preferred
    }

    /// Other layers are about to be asked for.
    pub(super) fn ask(&mut self, layers: LayerPair, now_ns: u64, totals: &mut LayerTotals) {
        if layers.spatial != self.preferred.spatial {
            totals.superseded += u64::from(self.pending_since_ns.take().is_some());
            // To stay with what is still sent is no change.
            if self.current != Some(layers.spatial) {
                totals.asked += 1;
                self.pending_since_ns = Some(now_ns);
            }
        }
        self.preferred = layers;
        self.agreed_at_ns = None;
    }

    /// The worker has agreed.
    pub(super) const fn agree(&mut self, now_ns: u64) {
        self.agreed_at_ns = Some(now_ns);
    }

    /// The media pauses: whatever comes next begins anew.
    pub(super) fn pause(&mut self, totals: &mut LayerTotals) {
        totals.cut_off += u64::from(self.pending_since_ns.take().is_some());
        self.has_paused |= self.current.take().is_some();
    }

    pub(super) fn see(&mut self, seen: &Seen, totals: &mut LayerTotals, times: &mut Histogram<u64>) -> Layer {
        if self.current == Some(seen.layer) {
            self.check_temporal(seen, totals);
            return Layer::Same;
        }
        // Where the packet before is missing, it may have been the key frame's first.
        if self.current.is_some() && !seen.begins_key_frame && seen.follows {
            totals.wrong_layer += 1;
            return Layer::Wrong;
        }
        let before = self.current.replace(seen.layer);
        if seen.layer == self.preferred.spatial {
            if let Some(since_ns) = self.pending_since_ns.take() {
                totals.performed += 1;
                latency::record(times, seen.received_at_ns.saturating_sub(since_ns));
            }
        } else if before.is_some() {
            totals.unasked += 1;
        }
        match (before, std::mem::take(&mut self.has_paused)) {
            (Some(_), _) => Layer::Changed,
            (None, true) => Layer::Resumed,
            (None, false) => Layer::Same,
        }
    }

    fn check_temporal(&self, seen: &Seen, totals: &mut LayerTotals) {
        let is_settled = self.pending_since_ns.is_none() && seen.layer == self.preferred.spatial;
        let was_told = self.agreed_at_ns.is_some_and(|agreed_at_ns| seen.sent_at_ns > agreed_at_ns);
        if is_settled && was_told && seen.temporal.is_some_and(|layer| layer > self.preferred.temporal) {
            totals.wrong_temporal += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Receiver {
        layers: Layers,
        totals: LayerTotals,
        times: Histogram<u64>,
    }

    impl Receiver {
        fn new() -> Self {
            let layers = Layers::new(LayerPair { spatial: 2, temporal: 2 });
            Self { layers, totals: LayerTotals::default(), times: latency::new() }
        }

        fn see(&mut self, layer: u8, begins_key_frame: bool, at_ns: u64) -> Layer {
            self.see_more(layer, begins_key_frame, at_ns, true, None)
        }

        fn see_more(
            &mut self,
            layer: u8,
            key: bool,
            at_ns: u64,
            follows: bool,
            temporal: Option<u8>,
        ) -> Layer {
            let seen = Seen {
                layer,
                begins_key_frame: key,
                temporal,
                follows,
                sent_at_ns: at_ns,
                received_at_ns: at_ns,
            };
            self.layers.see(&seen, &mut self.totals, &mut self.times)
        }

        fn ask(&mut self, spatial: u8, temporal: u8, now_ns: u64) {
            self.layers.ask(LayerPair { spatial, temporal }, now_ns, &mut self.totals);
        }
    }

    #[test]
    fn a_change_takes_from_the_request_to_the_first_packet() {
        let mut receiver = Receiver::new();
        assert_eq!(receiver.see(0, true, 1), Layer::Same);
        assert_eq!(receiver.see(2, true, 2), Layer::Changed);
        receiver.ask(1, 2, 1_000_000);
        assert_eq!(receiver.see(2, false, 2_000_000), Layer::Same);
        assert_eq!(receiver.see(1, true, 5_000_000), Layer::Changed);
        assert_eq!((receiver.totals.asked, receiver.totals.performed, receiver.totals.unasked), (1, 1, 0));
        assert!((3_990_000..=4_010_000).contains(&receiver.times.max()));
    }

    #[test]
    fn another_layer_in_the_middle_is_wrong_and_one_not_asked_for_is_told() {
        let mut receiver = Receiver::new();
        receiver.see(2, true, 1);
        assert_eq!(receiver.see(1, false, 2), Layer::Wrong);
        assert_eq!(receiver.see_more(1, false, 3, false, None), Layer::Changed, "its first packet was lost");
        assert_eq!(receiver.see(0, true, 4), Layer::Changed);
        assert_eq!((receiver.totals.wrong_layer, receiver.totals.unasked), (1, 2));
    }

    #[test]
    fn requests_end_in_one_of_three_ways() {
        let mut receiver = Receiver::new();
        receiver.see(2, true, 1);
        receiver.ask(1, 2, 10);
        receiver.ask(0, 2, 20);
        receiver.see(0, true, 30);
        receiver.ask(1, 2, 40);
        receiver.layers.pause(&mut receiver.totals);
        let totals = receiver.totals;
        assert_eq!((totals.asked, totals.superseded, totals.performed, totals.cut_off), (3, 1, 1, 1));
        assert_eq!(receiver.see(0, true, 45), Layer::Resumed, "a pause may leave a seam");
        receiver.ask(2, 2, 46);
        receiver.ask(0, 2, 47);
        assert_eq!((receiver.totals.asked, receiver.totals.superseded), (4, 2), "back to what is still sent");
        receiver.see(0, true, 50);
        assert_eq!(receiver.totals.unasked, 0, "after a pause anything may come first");
    }

    #[test]
    fn a_temporal_layer_above_the_preferred_is_wrong_once_the_worker_agreed() {
        let mut receiver = Receiver::new();
        receiver.see(2, true, 1);
        receiver.ask(2, 0, 10);
        receiver.see_more(2, false, 20, true, Some(2));
        receiver.layers.agree(30);
        receiver.see_more(2, false, 25, true, Some(2));
        assert_eq!((receiver.totals.wrong_temporal, receiver.totals.asked), (0, 0));
        receiver.see_more(2, false, 31, true, Some(2));
        receiver.see_more(2, false, 32, true, Some(0));
        assert_eq!(receiver.totals.wrong_temporal, 1);
    }
}
