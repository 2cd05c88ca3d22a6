//! The ways to a peer: a lane for each of its tuples, so that nothing that is under way on one is lost when media moves to another.

use crate::outbox::{Destination, LaneAllocator, Outbox, Route};

use super::Tuple;

/// As many as the ICE agent has tuples, whose events are all that adds and removes here.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    ways: Vec<(Tuple, Destination)>,
    selected: Option<Destination>,
}

impl Ways {
    pub(crate) fn add(&mut self, tuple: Tuple, route: Route, lanes: &mut LaneAllocator) {
        self.ways.push((tuple, Destination { lane: lanes.allocate(), route }));
    }

    /// What was to go this way is not sent any more: the lane may be another's before the next flush.
    pub(crate) fn remove(&mut self, tuple: Tuple, lanes: &mut LaneAllocator, out: &mut Outbox) {
        let Some(at) = self.ways.iter().position(|(known, _)| *known == tuple) else { return };
        let (_, destination) = self.ways.remove(at);
        self.selected = self.selected.filter(|selected| *selected != destination);
        out.forget(destination);
        lanes.release(destination.lane);
    }

    pub(crate) fn select(&mut self, tuple: Tuple) {
        self.selected = self.of(tuple);
    }

    /// Where media and DTLS go.
    pub(crate) fn selected(&self) -> Option<Destination> {
        self.selected
    }

    /// `None` for strangers.
    pub(crate) fn of(&self, tuple: Tuple) -> Option<Destination> {
        self.ways.iter().find(|(known, _)| *known == tuple).map(|(_, destination)| *destination)
    }

    pub(crate) fn clear(&mut self, lanes: &mut LaneAllocator, out: &mut Outbox) {
        self.selected = None;
        for (_, destination) in self.ways.drain(..) {
            out.forget(destination);
            lanes.release(destination.lane);
        }
    }
}
