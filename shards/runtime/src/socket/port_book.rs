//! Which ports of ranges this process has.
//!
//! Who else has a port is the kernel's to know. Two things are not to be left to it: with `udpReusePort` it lets a second socket
//! of this process bind what the first one has, and transports of one range would get each other's packets; and a range that
//! is used up would cost a system call for each of its ports, on a thread that forwards media. The book is looked into while
//! a socket is bound or closed, never for a packet.

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

/// A port as the kernel tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) protocol: &'static str,
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

/// The process's; clones are the same book. Bounded by the open sockets.
#[derive(Debug, Clone, Default)]
pub struct PortBook {
    pages: Arc<Mutex<Pages>>,
}

#[derive(Debug, Default)]
struct Pages {
    /// Ports that let others share them, by range: each is given once.
    shared: HashMap<RangeKey, HashSet<u16>>,
    /// How many sockets of the process have a port out of some range: nobody gets it for itself.
    held: HashMap<Place, usize>,
}

/// A port that is this holder's, until it is dropped.
#[derive(Debug)]
pub(crate) struct PortClaim {
    book: PortBook,
    place: Place,
    /// Where the port may be shared, the range out of which nobody else gets it.
    range: Option<RangeKey>,
}

impl PortBook {
    /// For a UDP port that others may share. `None` when another socket got it from the same range.
    pub(super) fn share(&self, range: RangeKey, port: u16) -> Option<PortClaim> {
        let place = Place { protocol: "udp", ip: range.ip, port };
        let mut pages = self.lock();
        let is_new = pages.shared.entry(range).or_default().insert(port);
        is_new.then(|| self.enter(&mut pages, place, Some(range)))
    }

    /// For a port that was bound for one alone.
    pub(super) fn hold(&self, place: Place) -> PortClaim {
        self.enter(&mut self.lock(), place, None)
    }

    /// Whether a socket of the process has the port, so that asking the kernel for it is in vain.
    pub(super) fn is_held(&self, place: Place) -> bool {
        self.lock().held.contains_key(&place)
    }

    fn enter(&self, pages: &mut Pages, place: Place, range: Option<RangeKey>) -> PortClaim {
        *pages.held.entry(place).or_default() += 1;
        PortClaim { book: self.clone(), place, range }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        // Nothing that can panic is done under the lock.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PortClaim {
    fn drop(&mut self) {
        let Self { book, place, range } = self;
        let mut pages = book.lock();
        if let Some(count) = pages.held.get_mut(place) {
            *count -= 1;
            if *count == 0 {
                pages.held.remove(place);
            }
        }
        let Some(range) = range else { return };
        let Some(ports) = pages.shared.get_mut(range) else { return };
        ports.remove(&place.port);
        if ports.is_empty() {
            pages.shared.remove(range);
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
        let first = book.share(range, 5).unwrap();
        assert!(book.clone().share(range, 5).is_none());
        assert!(book.share(RangeKey { max: 8, ..range }, 5).is_some());
        drop(first);
        assert!(book.lock().shared.is_empty());
        assert!(book.lock().held.is_empty());
        assert!(book.share(range, 5).is_some());
    }

    #[test]
    fn a_port_is_held_until_the_last_that_has_it_gives_it_back() {
        let book = PortBook::default();
        let range = RangeKey { ip: "127.0.0.1".parse().unwrap(), min: 1, max: 9 };
        let place = Place { protocol: "udp", ip: range.ip, port: 5 };
        let claims =
            [book.share(range, 5), book.share(RangeKey { max: 8, ..range }, 5), Some(book.hold(place))];
        for claim in claims {
            assert!(book.is_held(place));
            assert!(
                !book.is_held(Place { protocol: "tcp", ..place })
                    && !book.is_held(Place { port: 6, ..place })
            );
            drop(claim);
        }
        assert!(!book.is_held(place) && book.lock().held.is_empty());
    }
}
