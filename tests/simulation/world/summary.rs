//! What a run came to.

use std::ops::AddAssign;

macro_rules! summary {
    ($($(#[doc = $doc:literal])? $field:ident,)+) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(crate) struct Summary {
            $($(#[doc = $doc])? pub(crate) $field: u64,)+
        }

        impl AddAssign for Summary {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

summary! {
    simulated_ms,
    /// Packets of all sources.
    published,
    /// Packets that came to receivers.
    delivered,
    /// Frames that oracles could show.
    decoded,
    /// Since the scenario's milestone, by the receiver who decoded the fewest.
    least_decoded_since,
    repaired_upstream,
    repaired_downstream,
    /// Packets that never came, however often they were asked for.
    given_up,
    key_frames_asked,
    sequence_wraps,
    /// Packets from shard to shard.
    passed,
    operations,
    /// Senders that began anew.
    restarts,
    /// Requests that were answered well, and that were refused.
    accepted,
    refused,
    /// Datagrams for sockets that had closed.
    undeliverable,
    /// Streams whose reports were held against what the network did.
    reports_checked,
    receivers,
}

impl Summary {
    /// A set of seeds in which nothing interesting happened proves nothing.
    pub(crate) fn assert_rich(&self) {
        let counts = [self.decoded, self.passed, self.operations, self.reports_checked, self.sequence_wraps];
        assert!(counts.iter().all(|count| *count > 10) && self.restarts > 0, "{self:?}");
    }
}
