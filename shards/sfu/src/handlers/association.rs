//! When associations open and close: those between ends of a pipe inside the process, with the pipe.
//!
//! There is nothing to shake hands about, but a controller is told what it would be told if there were.

use crate::data::reply::{SctpNegotiatedCapabilities, SctpState};
use crate::event::Event;
use crate::outbox::Outbox;
use crate::sfu::Sfu;
use crate::table::Id;
use crate::transport::Transport;

/// Streams that two ends of ours agree on, each way: all there are (RFC 8831 section 6.2).
const STREAMS: u16 = 65_535;

impl Sfu {
    /// To be called when an association may have got its way to the other end, or something to carry: it opens with both,
    /// as the original's does.
    pub(crate) fn may_open_association(&mut self, id: Id<Transport>, out: &mut Outbox) {
        let transport = &mut self.transports[id];
        let is_used = !transport.data_producers.is_empty() || !transport.data_consumers.is_empty();
        if !is_used || transport.message_destination().is_none() {
            return;
        }
        let name = transport.name.clone();
        let Some(association) = transport.association.as_mut().filter(|it| it.state == SctpState::New) else {
            return;
        };
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

    /// The other end has gone: an open association is closed for good, and what used it sends no more.
    pub(crate) fn close_association(&mut self, id: Id<Transport>, out: &mut Outbox) {
        let transport = &mut self.transports[id];
        let name = transport.name.clone();
        let Some(association) = transport.association.as_mut().filter(|it| it.state == SctpState::Connected)
        else {
            return;
        };
        association.state = SctpState::Closed;
        association.negotiated = SctpNegotiatedCapabilities::default();
        for consumer in association.consumers.values() {
            self.data_consumers[*consumer].association_closed = true;
        }
        out.events.push(Event::TransportSctpState { transport: name, state: SctpState::Closed });
    }
}
