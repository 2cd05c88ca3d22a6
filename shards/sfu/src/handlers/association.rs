//! When associations open and close: those between ends of a pipe inside the process, with the pipe.
//!
//! ```text
//! first data producer or consumer ─► open ── call ──► the other end opens too, used or not
//! the other end goes ─► closed, for good
//! ```
//! There is nothing to shake hands about, but a controller is told what it would be told if there were.

use crate::data::reply::{SctpNegotiatedCapabilities, SctpState};
use crate::drop_reason::DropReason;
use crate::event::Event;
use crate::outbox::{Outbox, Shared};
use crate::sfu::Sfu;
use crate::stats::Outcome;
use crate::table::Id;
use crate::transport::Transport;
use ringsoup_rtc::time::Time;

/// Streams that two ends of ours agree on, each way: all there are (RFC 8831 section 6.2).
const STREAMS: u16 = 65_535;

impl Sfu {
    /// To be called when an association may have got its way to the other end, something to carry, or the other end's call:
    /// it opens with the way and one of the others, as the original's does.
    pub(crate) fn may_open_association(&mut self, id: Id<Transport>, out: &mut Outbox) {
        let transport = &mut self.transports[id];
        let is_used = !transport.data_producers.is_empty() || !transport.data_consumers.is_empty();
        let Some(other_end) = transport.other_end() else { return };
        let name = transport.name.clone();
        let association = transport.association.as_mut();
        let Some(association) = association.filter(|it| it.state == SctpState::New) else { return };
        if !association.is_called {
            // Nothing is a message of no length, so nothing is needed to tell it from others. It goes before all of them.
            if !is_used || !out.push(other_end, 0, Shared::EMPTY, |_| Some(0)) {
                return;
            }
        }
        let capabilities =
            SctpNegotiatedCapabilities { max_outbound_streams: STREAMS, max_inbound_streams: STREAMS };
        association.negotiated = capabilities;
        association.state = SctpState::Connected;
        out.events.extend([
            Event::TransportSctpState { transport: name.clone(), state: SctpState::Connecting },
            Event::TransportSctpNegotiated { transport: name.clone(), capabilities },
            Event::TransportSctpState { transport: name, state: SctpState::Connected },
        ]);
    }

    /// The other end's association has opened.
    pub(crate) fn receive_call(
        &mut self,
        now: Time,
        id: Id<Transport>,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        let association = self.transports[id].association.as_mut().ok_or(DropReason::MessageRefused)?;
        association.is_called = true;
        self.may_open_association(id, out);
        self.pass_waiting_messages(now, id, out);
        Ok(Outcome::Consumed)
    }

    /// The other end has gone: an open association is closed for good, and what used it sends no more.
    pub(crate) fn close_association(&mut self, id: Id<Transport>, out: &mut Outbox) {
        let transport = &mut self.transports[id];
        let name = transport.name.clone();
        let Some(association) = transport.association.as_mut() else { return };
        association.is_called = false;
        if association.state != SctpState::Connected {
            return;
        }
        association.state = SctpState::Closed;
        association.negotiated = SctpNegotiatedCapabilities::default();
        for consumer in association.consumers.values() {
            self.data_consumers[*consumer].association_closed = true;
        }
        out.events.push(Event::TransportSctpState { transport: name, state: SctpState::Closed });
    }
}
