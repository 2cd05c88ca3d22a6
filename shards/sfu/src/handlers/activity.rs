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
        let bare = self.transports[consumer.transport].bare_destination();
        let bare = bare.filter(|_| consumer.takes_bare_headers());
        let is_active = consumer.is_active();
        let egresses = &mut self.producers[consumer.producer].egresses;
        let mut change = Change::None;
        // All streams of a consumer change together.
        for stream in &mut consumer.streams {
            let egress = &mut egresses[stream.egress];
            egress.bare = bare;
            change = match (egress.is_active, is_active) {
                (false, true) => {
                    egress.begin();
                    stream.begin(now, &egress.sent);
                    Change::Activated
                }
                (true, false) => {
                    stream.pause();
                    Change::Deactivated
                }
                _ => Change::None,
            };
            egress.is_active = is_active;
        }
        change
    }
}
