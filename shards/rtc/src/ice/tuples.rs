//! The tuples that a peer's checks proved, and the one that media goes to.

/// Tuples of a peer: as the original. A browser with two networks, both families and TCP beside UDP has as many.
pub const TUPLES_MAX: usize = 8;

/// Oldest first, without gaps. What is selected is always one of them.
#[derive(Debug)]
pub(super) struct Tuples<T> {
    slots: [Option<T>; TUPLES_MAX],
    selected: Option<T>,
}

/// What became of a tuple that was added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added<T> {
    Known,
    New,
    /// In the place of this one.
    Instead(T),
}

impl<T: Copy + Eq> Tuples<T> {
    pub(super) const fn new() -> Self {
        Self { slots: [None; TUPLES_MAX], selected: None }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = T> + '_ {
        self.slots.iter().copied().flatten()
    }

    pub(super) fn contains(&self, tuple: T) -> bool {
        self.selected == Some(tuple) || self.iter().any(|known| known == tuple)
    }

    pub(super) const fn selected(&self) -> Option<T> {
        self.selected
    }

    pub(super) fn newest(&self) -> Option<T> {
        self.iter().next_back()
    }

    /// A full house loses the oldest that is not selected.
    pub(super) fn add(&mut self, tuple: T) -> Added<T> {
        if self.contains(tuple) {
            return Added::Known;
        }
        if let Some(free) = self.slots.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(tuple);
            return Added::New;
        }
        // Eight tuples of which one is selected: there is another.
        let Some(oldest) = self.iter().find(|known| self.selected != Some(*known)) else {
            return Added::Known;
        };
        self.remove(oldest);
        self.slots[TUPLES_MAX - 1] = Some(tuple);
        Added::Instead(oldest)
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, tuple: T) -> bool {
        let Some(at) = self.slots.iter().position(|slot| *slot == Some(tuple)) else { return false };
        self.slots.copy_within(at + 1.., at);
        self.slots[TUPLES_MAX - 1] = None;
        self.selected = self.selected.filter(|selected| *selected != tuple);
        true
    }

    /// Whether that is a change. A stranger is not selected.
    pub(super) fn select(&mut self, tuple: T) -> bool {
        let is_change = self.selected != Some(tuple) && self.contains(tuple);
        if is_change {
            self.selected = Some(tuple);
        }
        is_change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_house_loses_the_oldest_that_is_not_selected() {
        let mut tuples = Tuples::new();
        for tuple in 0..8 {
            assert_eq!(tuples.add(tuple), Added::New);
        }
        assert!(tuples.select(0) && !tuples.select(0) && !tuples.select(99));
        assert_eq!(tuples.add(3), Added::Known);
        assert_eq!(tuples.add(8), Added::Instead(1));
        assert_eq!(tuples.add(9), Added::Instead(2));
        assert!(tuples.iter().eq([0, 3, 4, 5, 6, 7, 8, 9]));
        assert_eq!((tuples.selected(), tuples.newest()), (Some(0), Some(9)));
    }

    #[test]
    fn what_is_removed_is_selected_no_more() {
        let mut tuples = Tuples::new();
        tuples.add(1);
        tuples.add(2);
        tuples.select(1);
        assert!(tuples.remove(1) && !tuples.remove(1));
        assert_eq!((tuples.selected(), tuples.newest()), (None, Some(2)));
        assert_eq!(tuples.add(1), Added::New);
        assert!(tuples.iter().eq([2, 1]));
    }
}
