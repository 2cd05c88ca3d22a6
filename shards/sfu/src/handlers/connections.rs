//! TCP connections: each is a socket of its own, and belongs to whoever owns the listener that brought it.

use std::net::SocketAddr;

use ringsoup_rtc::time::Time;

use crate::demux::SocketOwner;
use crate::outbox::Outbox;
use crate::served::ServerSocket;
use crate::sfu::Sfu;
use crate::sockets::{SocketId, Sockets};

use super::webrtc_packets::webrtc;

impl Sfu {
    /// A listener has accepted a connection. From here on its frames come as datagrams of the socket `connection`, whose
    /// remote address is always the same.
    ///
    /// Until somebody says [`Sockets::keep`] it is a stranger's, and the runtime may hang it up.
    pub fn handle_accepted(
        &mut self,
        _now: Time,
        listener: SocketId,
        connection: SocketId,
        _remote: SocketAddr,
        sockets: &mut dyn Sockets,
        _out: &mut Outbox,
    ) {
        // The listener may have closed while the connection was being accepted.
        if !self.socket_owners.accept(listener, connection) {
            sockets.close(connection);
        }
    }

    /// A connection that another shard accepted and handed over for one of its frames, which comes next. False when its server
    /// has closed here: nothing is to come of it.
    pub fn handle_adopted(&mut self, socket: ServerSocket, connection: SocketId) -> bool {
        let server = self.served.by_key.get(&socket.server).copied();
        let listener = server.and_then(|id| {
            let listener = self.webrtc_servers[id].listeners.get(usize::from(socket.place))?;
            Some((id, listener.id(socket.place)))
        });
        if let Some((id, listener)) = listener {
            self.socket_owners.adopt(SocketOwner::WebRtcServer(id), listener, connection);
        }
        listener.is_some()
    }

    /// A connection has ended by its peer, by an error, or because it broke a rule; the runtime closes its socket. Nothing
    /// more comes of it, and it must not be closed again.
    pub fn handle_hung_up(
        &mut self,
        now: Time,
        connection: SocketId,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        if self.socket_owners.listener(connection).is_none() {
            return;
        }
        let owner = self.socket_owners.owner(connection);
        // First, so that nobody closes it again.
        self.socket_owners.hang_up(connection);
        out.forget_socket(connection);
        // A server's connection is its transport's as soon as it is a tuple.
        let Some(id) = owner.or_else(|| self.served.of_connection(connection)) else { return };
        let Self { transports, ice_events, .. } = self;
        let Ok(webrtc) = webrtc(&mut transports[id]) else { return };
        let tuple = webrtc.ice.tuples().find(|tuple| tuple.0 == connection);
        if let Some(tuple) = tuple {
            webrtc.ice.remove(now, tuple, &mut |event| ice_events.push(event));
            self.apply_ice_events(id, sockets, out);
            self.settle_webrtc(now, id, out);
        }
    }

    /// Closes a connection whose tuple its transport gave up. One that has hung up is closed already.
    pub(super) fn close_connection(
        &mut self,
        connection: SocketId,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        if self.socket_owners.listener(connection).is_some() {
            self.socket_owners.hang_up(connection);
            out.forget_socket(connection);
            sockets.close(connection);
        }
    }

    /// Closes what came in on the listeners of an owner that is about to close.
    pub(crate) fn close_connections(
        &mut self,
        owner: SocketOwner,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        for connection in self.socket_owners.take_connections(owner) {
            out.forget_socket(connection);
            sockets.close(connection);
        }
    }
}
