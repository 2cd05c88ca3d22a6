//! Commands about WebRTC servers.
//!
//! A server's transports are wherever their routers are, and every shard that has some reads its port. Each of them is asked
//! about a server, and answers for what it has of it.

use crate::command::{CommandError, ServerListener, ServerOpening};
use crate::demux::SocketOwner;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::reply::{Reply, ServedTransport};
use crate::served::ServerKey;
use crate::sfu::{Entity, Sfu};
use crate::sockets::{BoundSocket, Sockets};
use crate::table::Id;
use crate::transport::webrtc::{Listener, Listening, WebRtcTransport};
use crate::transport::webrtc_server::WebRtcServer;
use crate::transport::{Transport, TransportKind};

impl Sfu {
    pub(crate) fn open_webrtc_server(
        &mut self,
        name: Name,
        opening: ServerOpening,
    ) -> Result<Reply, CommandError> {
        self.check_name_is_free(&name)?;
        let ServerOpening { key, listeners, sealer, here, readers } = opening;
        let server = WebRtcServer { name: name.clone(), key, listeners, sealer, here, readers };
        let id = self.webrtc_servers.next_id();
        for socket in server.sockets() {
            self.socket_owners.insert(socket, SocketOwner::WebRtcServer(id));
        }
        self.served.open(id, &server);
        self.webrtc_servers.insert(server);
        self.names.insert(name, Entity::WebRtcServer(id));
        Ok(Reply::Done)
    }

    pub(crate) fn set_server_reader(
        &mut self,
        key: ServerKey,
        shard: u16,
        reads: bool,
        out: &mut Outbox,
    ) -> Reply {
        let id = self.served.by_key.get(&key).copied();
        if let Some(server) = id.and_then(|id| self.webrtc_servers.get_mut(id)) {
            if reads {
                self.served.add_reader(server, shard, out);
            } else {
                self.served.remove_reader(server, shard);
            }
        }
        Reply::Done
    }

    /// What a transport is to listen on that uses the server.
    pub(super) fn listen_through(&self, server: Name) -> Result<Listening, CommandError> {
        let id = self
            .webrtc_server(&server)
            .ok_or_else(|| CommandError::error("wrong webRtcServerId (no associated WebRtcServer found)"))?;
        let listener = |(place, listener): (u16, &ServerListener)| {
            let socket = BoundSocket { id: listener.id(place), local: listener.local };
            Listener { socket, protocol: listener.protocol }
        };
        let listeners = (0..).zip(&self.webrtc_servers[id].listeners).map(listener).collect();
        Ok(Listening::Server(server, listeners))
    }

    /// `None` for a transport with sockets of its own.
    pub(super) fn server_of(&self, listening: &Listening) -> Option<Id<WebRtcServer>> {
        match listening {
            Listening::Server(name, _) => self.webrtc_server(name),
            Listening::Own(_) => None,
        }
    }

    pub(super) fn server_of_transport(&self, id: Id<Transport>) -> Option<Id<WebRtcServer>> {
        match &self.transports[id].kind {
            TransportKind::WebRtc(webrtc) => self.server_of(&webrtc.listening),
            _ => None,
        }
    }

    /// Nothing that leads to a transport outlives it.
    pub(super) fn leave_server(&mut self, id: Id<Transport>, webrtc: &WebRtcTransport, out: &mut Outbox) {
        let Some(server) = self.server_of(&webrtc.listening) else { return };
        for fragment in webrtc.ice.username_fragments() {
            self.served.remove_fragment(fragment);
        }
        for tuple in webrtc.ice.tuples() {
            self.served.remove_tuple(&self.webrtc_servers[server], tuple, id, out);
        }
    }

    fn webrtc_server(&self, name: &str) -> Option<Id<WebRtcServer>> {
        match self.names.get(name) {
            Some(&Entity::WebRtcServer(id)) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn report_webrtc_server(&self, name: &str) -> Reply {
        let served = self.transports.iter().filter_map(|(_, transport)| match &transport.kind {
            TransportKind::WebRtc(webrtc) if webrtc.is_served_by(name) => Some(ServedTransport {
                transport: transport.name.clone(),
                username_fragments: webrtc.ice.username_fragments().map(str::to_owned).collect(),
            }),
            _ => None,
        });
        Reply::WebRtcServerReport(served.collect())
    }

    /// Closes the server's transports that are here, as if each had been closed by itself, then its sockets if they are.
    pub(crate) fn close_webrtc_server(
        &mut self,
        name: &str,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Reply {
        let id = self.webrtc_server(name);
        // The others close it too: they need not hear of its tuples.
        if let Some(server) = id.and_then(|id| self.webrtc_servers.get_mut(id)) {
            server.readers.clear();
        }
        for transport in self.served_transports(name) {
            self.close_transport(transport, sockets, out);
        }
        if let Some(id) = id
            && let Some(server) = self.webrtc_servers.remove(id)
        {
            self.served.close(&server);
            self.names.remove(&server.name);
            self.close_connections(SocketOwner::WebRtcServer(id), sockets, out);
            for socket in server.sockets() {
                out.forget_socket(socket);
                self.socket_owners.remove(socket);
                sockets.close(socket);
            }
        }
        Reply::Done
    }

    fn served_transports(&self, name: &str) -> Vec<Id<Transport>> {
        let served =
            |kind: &TransportKind| matches!(kind, TransportKind::WebRtc(webrtc) if webrtc.is_served_by(name));
        let transports = self.transports.iter().filter(|(_, transport)| served(&transport.kind));
        transports.map(|(id, _)| id).collect()
    }
}
