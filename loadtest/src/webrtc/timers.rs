//! When each of many clients wants to be called next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A heap in which a client's newest wish counts: what it wished before is passed over when its time comes.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    /// By token: what counts.
    wishes: Vec<Option<u64>>,
}

impl Timers {
    pub(crate) fn set(&mut self, token: usize, at_ns: Option<u64>) {
        if self.wishes.len() <= token {
            self.wishes.resize(token + 1, None);
        }
        if self.wishes[token] != at_ns {
            self.wishes[token] = at_ns;
            self.heap.extend(at_ns.map(|at_ns| Reverse((at_ns, token))));
        }
    }

    /// One whose time has come; it has no wish any more.
    pub(crate) fn pop(&mut self, now_ns: u64) -> Option<usize> {
        while let Some(Reverse((at_ns, token))) = self.heap.peek().copied() {
            let counts = self.wishes.get(token) == Some(&Some(at_ns));
            if counts && at_ns > now_ns {
                return None;
            }
            self.heap.pop();
            if counts {
                self.wishes[token] = None;
                return Some(token);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wish_counts() {
        let mut timers = Timers::default();
        timers.set(0, Some(10));
        timers.set(1, Some(20));
        timers.set(0, Some(30));
        timers.set(2, Some(5));
        timers.set(2, None);
        assert_eq!(timers.pop(9), None);
        assert_eq!(timers.pop(25), Some(1));
        assert_eq!(timers.pop(25), None);
        assert_eq!(timers.pop(30), Some(0));
        assert_eq!(timers.pop(u64::MAX), None);
        timers.set(0, Some(30));
        assert_eq!(timers.pop(30), Some(0));
    }
}
