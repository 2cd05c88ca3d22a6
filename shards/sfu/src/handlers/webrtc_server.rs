//! Commands about WebRTC servers.
//!
//! A server's sockets are read by one shard, its transports are wherever their routers are. So every shard may be asked
//! about a server, and answers for what it has of it.

use crate::command::CommandError;
use crate::demux::SocketOwner;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::reply::{Reply, ServedTransport};
use crate::sfu::{Entity, Sfu};
use crate::sockets::{SocketId, Sockets};
use crate::table::Id;
use crate::transport::webrtc_server::WebRtcServer;
use crate::transport::{Transport, TransportKind};

impl Sfu {
    pub(crate) fn open_webrtc_server(
        &mut self,
        name: Name,
        sockets: Vec<SocketId>,
    ) -> Result<Reply, CommandError> {
        self.check_name_is_free(&name)?;
        let id = self.webrtc_servers.insert(WebRtcServer { name: name.clone(), sockets: sockets.clone() });
        for socket in sockets {
            self.socket_owners.insert(socket, SocketOwner::WebRtcServer(id));
        }
        self.names.insert(name, Entity::WebRtcServer(id));
        Ok(Reply::Done)
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
        for transport in self.served_transports(name) {
            self.close_transport(transport, sockets, out);
        }
        if let Some(&Entity::WebRtcServer(id)) = self.names.get(name)
            && let Some(server) = self.webrtc_servers.remove(id)
        {
            self.names.remove(&server.name);
            self.close_connections(SocketOwner::WebRtcServer(id), sockets, out);
            for socket in server.sockets {
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
