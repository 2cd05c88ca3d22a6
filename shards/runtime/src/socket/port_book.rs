//! Which ports of a range were given to sockets that let others share them.
//!
//! Who else has a port is the kernel's to know, except here: with `udpReusePort` it lets a second socket of this
//! process bind what the first one has, and transports of one range would get each other's packets. So the process
//! keeps a book of those, by range, as the original does. It is looked into while a socket is bound or closed, never
//! for a packet.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ports are told apart by the range they were taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RangeKey {
    pub(crate) ip: IpAddr,
    pub(crate) min: u16,
    pub(crate) max: u16,
}

/// The process's; clones are the same book. Bounded by the open sockets.
#[derive(Debug, Clone, Default)]
pub struct PortBook {
    taken: Arc<Mutex<HashMap<RangeKey, HashSet<u16>>>>,
}

/// A port that is this holder's, until it is dropped.
#[derive(Debug)]
pub(crate) struct PortClaim {
    book: PortBook,
    range: RangeKey,
    port: u16,
}

impl PortBook {
    /// `None` when another socket got the port from the same range.
    pub(super) fn claim(&self, range: RangeKey, port: u16) -> Option<PortClaim> {
        let is_new = self.lock().entry(range).or_default().insert(port);
        is_new.then(|| PortClaim { book: self.clone(), range, port })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RangeKey, HashSet<u16>>> {
        // Nothing that can panic is done under the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PortClaim {
    fn drop(&mut self) {
        let mut taken = self.book.lock();
        let Some(ports) = taken.get_mut(&self.range) else { return };
        ports.remove(&self.port);
        if ports.is_empty() {
            taken.remove(&self.range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_claimed_once_in_a_range_until_it_is_given_back() {
        let book = PortBook::default();
        let range = RangeKey { ip: "127.0.0.1".parse().unwrap(), min: 1, max: 9 };
        let first = book.claim(range, 5).unwrap();
        assert!(book.clone().claim(range, 5).is_none());
        assert!(book.claim(RangeKey { max: 8, ..range }, 5).is_some());
        drop(first);
        assert!(book.lock().is_empty());
        assert!(book.claim(range, 5).is_some());
    }
}
