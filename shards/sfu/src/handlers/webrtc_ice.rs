//! What a peer's connectivity checks bring about.

use ringsoup_rtc::ice::agent::{REPLY_LEN_MAX, Request};
use ringsoup_rtc::ice::{self, Ignored, Outcome as Checked};
use ringsoup_rtc::stun::Message;
use ringsoup_rtc::time::Time;

use crate::demux::SocketOwners;
use crate::drop_reason::DropReason;
use crate::event::Event;
use crate::outbox::{Outbox, Route};
use crate::reply;
use crate::sfu::Sfu;
use crate::sockets::Sockets;
use crate::stats::Outcome;
use crate::table::Id;
use crate::transport::Transport;
use crate::transport::webrtc::{Tuple, WebRtcTransport};

use super::webrtc_packets::{take_due, webrtc};

impl Sfu {
    pub(super) fn receive_stun(
        &mut self,
        now: Time,
        id: Id<Transport>,
        tuple: Tuple,
        bytes: &[u8],
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        let message = Message::parse(bytes).map_err(|_| DropReason::MalformedStun)?;
        let mut reply = [0; REPLY_LEN_MAX];
        let Self { transports, ice_events, .. } = self;
        let webrtc = webrtc(&mut transports[id])?;
        let request = Request { tuple, remote: tuple.1, message: &message };
        let checked =
            webrtc.ice.handle_request(now, &request, &mut reply, &mut |event| ice_events.push(event));
        self.apply_ice_events(id, sockets, out);
        let (len, result) = match checked {
            Checked::Answered { len } => (len, Ok(Outcome::Consumed)),
            Checked::Refused { len, .. } => (len, Err(DropReason::StunRefused)),
            // A peer that holds the way open asks for nothing.
            Checked::Ignored(Ignored::Indication) => (0, Ok(Outcome::Consumed)),
            Checked::Ignored(_) => (0, Err(DropReason::StunRefused)),
        };
        if len > 0 {
            // Ahead of a handshake that begins with this check.
            self.reply_to(now, id, tuple, &reply[..len], out);
        }
        self.may_start_dtls(now, id);
        self.settle_webrtc(now, id, out);
        result
    }

    /// Sends to where a packet came from, whether that is a tuple or not.
    fn reply_to(&mut self, now: Time, id: Id<Transport>, tuple: Tuple, bytes: &[u8], out: &mut Outbox) {
        let route = self.route_of(tuple);
        let transport = &mut self.transports[id];
        let Ok(webrtc) = webrtc(transport) else { return };
        let is_sent = match webrtc.ways.of(tuple) {
            Some(destination) => out.push_bytes(destination, bytes),
            None => out.push_reply(route, bytes),
        };
        if is_sent {
            transport.traffic.other_sent.update(now, bytes.len());
        }
    }

    fn route_of(&self, (socket, remote): Tuple) -> Route {
        let is_connection = self.socket_owners.listener(socket).is_some();
        Route::Socket { socket, remote: (!is_connection).then_some(remote) }
    }

    /// What is authentic came by another tuple than the selected one: media goes there from now on.
    pub(super) fn follow_peer(
        &mut self,
        now: Time,
        id: Id<Transport>,
        tuple: Tuple,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        let Self { transports, ice_events, .. } = self;
        let Ok(webrtc) = webrtc(&mut transports[id]) else { return };
        if webrtc.ice.selected() != Some(tuple) {
            webrtc.ice.follow(tuple, &mut |event| ice_events.push(event));
            self.apply_ice_events(id, sockets, out);
            self.settle_webrtc(now, id, out);
        }
    }

    /// Timers come early, or for a former owner of the id: only the agent knows.
    pub(crate) fn handle_ice_timeout(
        &mut self,
        now: Time,
        id: Id<Transport>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        let Self { transports, ice_events, .. } = self;
        let Some(Ok(webrtc)) = transports.get_mut(id).map(webrtc) else { return };
        if take_due(now, &mut webrtc.ice_timer) {
            webrtc.ice.handle_timeout(now, &mut |event| ice_events.push(event));
            self.apply_ice_events(id, sockets, out);
            self.settle_webrtc(now, id, out);
        }
    }

    /// Does what the agent has told. The caller settles what follows from it.
    pub(super) fn apply_ice_events(
        &mut self,
        id: Id<Transport>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        // Taken out so that each can use the whole shard; its memory is kept.
        let mut events = std::mem::take(&mut self.ice_events);
        for event in events.drain(..) {
            match event {
                ice::Event::Added(tuple) => self.add_tuple(id, tuple, sockets, out),
                ice::Event::Dropped(tuple) => self.drop_tuple(id, tuple, sockets, out),
                ice::Event::Selected(tuple) => self.select_tuple(id, tuple, out),
                ice::Event::State(state) => {
                    let transport = self.transports[id].name.clone();
                    out.events.push(Event::WebRtcIceState { transport, state });
                }
                ice::Event::Retired(credentials) => {
                    self.served.remove_fragment(&credentials.username_fragment);
                }
            }
        }
        self.ice_events = events;
    }

    fn add_tuple(&mut self, id: Id<Transport>, tuple: Tuple, sockets: &mut dyn Sockets, out: &mut Outbox) {
        if self.socket_owners.listener(tuple.0).is_some() {
            sockets.keep(tuple.0);
        }
        let route = self.route_of(tuple);
        let Self { transports, lanes, .. } = self;
        if let Ok(webrtc) = webrtc(&mut transports[id]) {
            webrtc.ways.add(tuple, route, lanes);
        }
        if let Some(server) = self.server_of_transport(id) {
            self.served.add_tuple(&self.webrtc_servers[server], tuple, id, out);
        }
    }

    /// A connection goes with its tuple.
    fn drop_tuple(&mut self, id: Id<Transport>, tuple: Tuple, sockets: &mut dyn Sockets, out: &mut Outbox) {
        let Self { transports, lanes, .. } = self;
        let Ok(webrtc) = webrtc(&mut transports[id]) else { return };
        webrtc.ways.remove(tuple, lanes, out);
        if let Some(server) = self.server_of_transport(id) {
            self.served.remove_tuple(&self.webrtc_servers[server], tuple, id, out);
        }
        self.close_connection(tuple.0, sockets, out);
    }

    fn select_tuple(&mut self, id: Id<Transport>, tuple: Tuple, out: &mut Outbox) {
        let Ok(webrtc) = webrtc(&mut self.transports[id]) else { return };
        webrtc.ways.select(tuple);
        let described = describe(webrtc, tuple, &self.socket_owners);
        let transport = self.transports[id].name.clone();
        out.events.extend(described.map(|tuple| Event::WebRtcIceSelectedTuple { transport, tuple }));
    }
}

/// The selected tuple as dumps and statistics show it.
pub(super) fn selected_tuple(webrtc: &WebRtcTransport, owners: &SocketOwners) -> Option<reply::Tuple> {
    webrtc.ice.selected().and_then(|tuple| describe(webrtc, tuple, owners))
}

fn describe(webrtc: &WebRtcTransport, tuple: Tuple, owners: &SocketOwners) -> Option<reply::Tuple> {
    webrtc.describe(tuple, owners.listener(tuple.0).unwrap_or(tuple.0))
}
