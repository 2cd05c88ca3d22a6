//! Typed ids over slabs: objects name each other by `Id<T>`, never by reference.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use slab::Slab;

/// The place of a `T` in its [`Table`]. Valid until the entry is removed; the owner of the relation
/// removes both ends, so no generation is carried.
pub struct Id<T> {
    index: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index: u32::try_from(index).expect("a table holds fewer than 2^32 entries"),
            kind: PhantomData,
        }
    }

    pub fn index(self) -> usize {
        self.index as usize
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl<T> Eq for Id<T> {}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.index)
    }
}

/// Removes an id from an unordered list in which entries know their places. Returns the one that has the place now, and has to be
/// told: searching the list would make closing many of them quadratic.
pub(crate) fn take_out<T>(list: &mut Vec<Id<T>>, place: usize) -> Option<Id<T>> {
    list.swap_remove(place);
    list.get(place).copied()
}

/// A slab whose keys are typed.
#[derive(Debug)]
pub struct Table<T> {
    entries: Slab<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Slab::new() }
    }
}

impl<T> Table<T> {
    pub fn insert(&mut self, entry: T) -> Id<T> {
        Id::new(self.entries.insert(entry))
    }

    /// The id that the next [`insert`](Self::insert) will return.
    pub fn next_id(&self) -> Id<T> {
        Id::new(self.entries.vacant_key())
    }

    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        self.entries.try_remove(id.index())
    }

    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.entries.get(id.index())
    }

    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        self.entries.get_mut(id.index())
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.entries.iter().map(|(index, entry)| (Id::new(index), entry))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<T>, &mut T)> {
        self.entries.iter_mut().map(|(index, entry)| (Id::new(index), entry))
    }
}

impl<T> std::ops::Index<Id<T>> for Table<T> {
    type Output = T;

    fn index(&self, id: Id<T>) -> &T {
        &self.entries[id.index()]
    }
}

impl<T> std::ops::IndexMut<Id<T>> for Table<T> {
    fn index_mut(&mut self, id: Id<T>) -> &mut T {
        &mut self.entries[id.index()]
    }
}
