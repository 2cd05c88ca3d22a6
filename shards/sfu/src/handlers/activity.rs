//! Whether a consumer takes packets, and where they go then: kept where the packet path looks.

use ringsoup_rtc::time::Time;

use crate::consumer::Consumer;
use crate::sfu::Sfu;
use crate::table::Id;

/// What a change of state meant for a consumer's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It begins: the next packet taken starts a new run.
    Activated,
    Deactivated,
    None,
}

impl Sfu {
    /// To be called after anything that decides whether and how a consumer takes packets has changed: pauses, its
    /// transport's connection, traces.
    pub(crate) fn refresh_egress(&mut self, now: Time, id: Id<Consumer>) -> Change {
        let consumer = &mut self.consumers[id];
        let transport = &self.transports[consumer.transport];
        let egress = &mut self.producers[consumer.producer].egresses[consumer.egress];
        let bare = transport.bare_destination();
        egress.bare = bare.filter(|_| consumer.takes_bare_headers());
        let (was_active, is_active) = (egress.is_active, consumer.is_active());
        egress.is_active = is_active;
        match (was_active, is_active) {
            (false, true) => {
                egress.begin();
                consumer.stream.begin(now, &egress.sent);
                Change::Activated
            }
            (true, false) => {
                consumer.stream.pause();
                Change::Deactivated
            }
            _ => Change::None,
        }
    }
}
