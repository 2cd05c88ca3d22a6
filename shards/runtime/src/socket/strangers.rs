//! Connections whose peers have not shown yet that they may speak to a transport.
//!
//! Anybody can connect and say nothing, or a byte a minute. A stranger has a socket, a place in the ring and at most one
//! buffer of ours, and it has them for a while only.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::sockets::SocketId;

/// From accept to the first authentic connectivity check. A client sends it right after it connected and has signalling to be
/// quicker than this; one that still waits for the other side's answer connects later, not earlier.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Strangers of a shard. What they can hold is 2 KiB each, 8 MiB.
const STRANGERS_MAX: usize = 4_096;
/// Strangers of one listener: a thousand clients that come back within one round trip. One listener's attacker leaves
/// the others of the shard their share.
const STRANGERS_OF_ONE_MAX: usize = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stranger {
    connection: SocketId,
    /// `None` came from another shard.
    listener: Option<SocketId>,
    accepted: Time,
}

/// In the order in which they came. Nothing here walks through them: a crowd would pay for each newcomer once per stranger.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    next: u64,
    all: BTreeMap<u64, Stranger>,
    /// Tickets, by listener; none without.
    of_listener: HashMap<Option<SocketId>, BTreeSet<u64>>,
}

/// A stranger's place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Strangers {
    pub(super) fn add(&mut self, connection: SocketId, listener: Option<SocketId>, now: Time) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.all.insert(ticket, Stranger { connection, listener, accepted: now });
        self.of_listener.entry(listener).or_default().insert(ticket);
        Ticket(ticket)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) {
        let Some(Stranger { listener, .. }) = self.all.remove(&ticket.0) else { return };
        if let Some(others) = self.of_listener.get_mut(&listener) {
            others.remove(&ticket.0);
            if others.is_empty() {
                self.of_listener.remove(&listener);
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Who has to go because there are too many, counting one that was added just now: the oldest.
    pub(super) fn excess(&self, listener: Option<SocketId>) -> Option<SocketId> {
        let crowd = self.of_listener.get(&listener).filter(|crowd| crowd.len() > STRANGERS_OF_ONE_MAX);
        if let Some(oldest) = crowd.and_then(BTreeSet::first) {
            return self.all.get(oldest).map(|stranger| stranger.connection);
        }
        let oldest = self.all.values().next().filter(|_| self.all.len() > STRANGERS_MAX);
        oldest.map(|stranger| stranger.connection)
    }

    /// Who has been one for too long.
    pub(super) fn overdue(&self, now: Time) -> Option<SocketId> {
        let oldest = self.all.values().next()?;
        (oldest.accepted + PATIENCE <= now).then_some(oldest.connection)
    }

    /// When to ask again.
    pub(super) fn next_overdue(&self) -> Option<Time> {
        self.all.values().next().map(|oldest| oldest.accepted + PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(1_000 * seconds)
    }

    #[test]
    fn patience_ends_in_order() {
        let mut strangers = Strangers::default();
        assert_eq!(strangers.next_overdue(), None);
        let first = strangers.add(SocketId(5), None, at(1));
        let second = strangers.add(SocketId(6), None, at(2));
        assert_eq!(strangers.next_overdue(), Some(at(11)));
        assert_eq!((strangers.overdue(at(10)), strangers.overdue(at(11))), (None, Some(SocketId(5))));
        strangers.remove(first);
        assert_eq!((strangers.overdue(at(11)), strangers.overdue(at(12))), (None, Some(SocketId(6))));
        strangers.remove(second);
        strangers.remove(second);
        assert_eq!((strangers.count(), strangers.overdue(at(99))), (0, None));
        assert!(strangers.of_listener.is_empty(), "nothing is kept of listeners that have none");
    }

    #[test]
    fn the_oldest_of_a_crowded_listener_goes() {
        let mut strangers = Strangers::default();
        let (crowded, other) = (Some(SocketId(1)), Some(SocketId(2)));
        strangers.add(SocketId(10), other, at(0));
        let mut first = None;
        for number in 0..STRANGERS_OF_ONE_MAX {
            assert_eq!(strangers.excess(crowded), None);
            let ticket = strangers.add(SocketId(100 + u32::try_from(number).unwrap()), crowded, at(1));
            first.get_or_insert(ticket);
        }
        assert_eq!(strangers.excess(crowded), None);
        strangers.add(SocketId(99), crowded, at(2));
        assert_eq!((strangers.excess(crowded), strangers.excess(other)), (Some(SocketId(100)), None));
        strangers.remove(first.unwrap());
        assert_eq!(strangers.excess(crowded), None);
        strangers.add(SocketId(98), crowded, at(3));
        assert_eq!(strangers.excess(crowded), Some(SocketId(101)));
    }

    #[test]
    fn the_oldest_of_a_crowded_shard_goes() {
        let mut strangers = Strangers::default();
        for number in 0..STRANGERS_MAX {
            let number = u32::try_from(number).unwrap();
            strangers.add(SocketId(100 + number), Some(SocketId(number % 50)), at(1));
            assert_eq!(strangers.excess(Some(SocketId(number % 50))), None);
        }
        strangers.add(SocketId(7), Some(SocketId(51)), at(1));
        assert_eq!(strangers.excess(Some(SocketId(51))), Some(SocketId(100)));
    }
}
