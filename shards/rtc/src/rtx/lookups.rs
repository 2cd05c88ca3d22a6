//! How many packets one receiver may have looked for, whatever it asks for and of how many streams.

use crate::rtx::guard::{PACKETS_MAX, RTT_MIN};
use crate::time::Time;

/// Numbers looked up in `RTT_MIN` for all streams of a receiver: as many as one stream has to ask for, and none is sent
/// twice in that time.
pub const LOOKUPS_MAX: u64 = PACKETS_MAX;

/// Numbers that were looked up lately.
#[derive(Debug, Clone, Default)]
pub struct ResendLookups {
    since: Time,
    count: u64,
}

impl ResendLookups {
    /// Asks for leave to look for a packet that the receiver asks for.
    pub fn admit(&mut self, now: Time) -> bool {
        if now.saturating_since(self.since) >= RTT_MIN {
            *self = Self { since: now, count: 0 };
        }
        self.count += 1;
        self.count <= LOOKUPS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_looked_for_in_the_shortest_round_trip() {
        let mut lookups = ResendLookups::default();
        let mut admitted = |at| (0..10_000).filter(|_| lookups.admit(Time::from_millis(at))).count() as u64;
        assert_eq!(admitted(0), LOOKUPS_MAX);
        assert_eq!(admitted(9), 0);
        assert_eq!(admitted(10), LOOKUPS_MAX);
    }
}
