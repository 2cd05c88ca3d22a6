//! State per SSRC, bounded.

use super::SrtpError;

/// A small map from SSRC to `S`.
///
/// Sorted keys instead of a hash table: a session has a handful of SSRCs, consecutive packets
/// mostly share one, and an order cannot be flooded with collisions.
#[derive(Debug)]
pub(super) struct Streams<S> {
    /// SSRC and position in `slots`, ascending by SSRC.
    order: Vec<(u32, usize)>,
    slots: Vec<(u32, S)>,
    /// Position of the last hit.
    recent: usize,
    limit: usize,
}

impl<S> Streams<S> {
    pub(super) fn new(limit: usize) -> Self {
        Self { order: Vec::new(), slots: Vec::new(), recent: 0, limit }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get_mut(&mut self, ssrc: u32) -> Option<&mut S> {
        if self.slots.get(self.recent).is_none_or(|(recent, _)| *recent != ssrc) {
            let position = self.search(ssrc).ok()?;
            self.recent = self.order.get(position)?.1;
        }
        self.slots.get_mut(self.recent).map(|(_, state)| state)
    }

    /// Whether a new SSRC may be added.
    pub(super) fn has_room(&self) -> Result<(), SrtpError> {
        if self.slots.len() < self.limit { Ok(()) } else { Err(SrtpError::TooManySsrcs) }
    }

    /// Adds `ssrc`, or replaces its state.
    pub(super) fn insert(&mut self, ssrc: u32, state: S) -> Result<(), SrtpError> {
        match self.search(ssrc) {
            Ok(_) => {
                if let Some(present) = self.get_mut(ssrc) {
                    *present = state;
                }
            }
            Err(position) => {
                self.has_room()?;
                self.order.insert(position, (ssrc, self.slots.len()));
                self.slots.push((ssrc, state));
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, ssrc: u32) -> Option<S> {
        let position = self.search(ssrc).ok()?;
        let (_, slot) = self.order.remove(position);
        let (_, state) = self.slots.swap_remove(slot);
        // The last slot moved into the gap.
        if let Some(moved) = self.slots.get(slot).map(|(moved, _)| *moved)
            && let Ok(position) = self.search(moved)
            && let Some(entry) = self.order.get_mut(position)
        {
            entry.1 = slot;
        }
        Some(state)
    }

    fn search(&self, ssrc: u32) -> Result<usize, usize> {
        self.order.binary_search_by_key(&ssrc, |(known, _)| *known)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn holds_no_more_than_its_limit() {
        let mut streams = Streams::new(2);
        assert_eq!(streams.insert(9, 'a'), Ok(()));
        assert_eq!(streams.insert(3, 'b'), Ok(()));
        assert_eq!(streams.insert(5, 'c'), Err(SrtpError::TooManySsrcs));
        assert_eq!(streams.insert(9, 'd'), Ok(()));
        assert_eq!(streams.remove(3), Some('b'));
        assert_eq!(streams.insert(5, 'c'), Ok(()));
        assert_eq!(streams.get_mut(9), Some(&mut 'd'));
        assert_eq!(streams.len(), 2);
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((0_u32..12, 0_u8..3, any::<u16>()), 0..200)) {
            let mut streams = Streams::new(usize::MAX);
            let mut map = BTreeMap::new();
            for (ssrc, step, value) in steps {
                match step {
                    0 => {
                        prop_assert_eq!(streams.insert(ssrc, value), Ok(()));
                        map.insert(ssrc, value);
                    }
                    1 => prop_assert_eq!(streams.remove(ssrc), map.remove(&ssrc)),
                    _ => prop_assert_eq!(streams.get_mut(ssrc), map.get_mut(&ssrc)),
                }
                prop_assert_eq!(streams.len(), map.len());
            }
        }
    }
}
