//! Commands of plain transports, and what their peers decide.

use std::net::SocketAddr;

use ringsoup_rtc::time::Time;

use crate::command::{CommandError, PlainConnect, PlainTransportOptions};
use crate::demux::{Protocol, SocketOwner};
use crate::event::Event;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::reply::Reply;
use crate::sfu::Sfu;
use crate::sockets::Sockets;
use crate::table::Id;
use crate::transport::flow::Flow;
use crate::transport::plain::PlainTransport;
use crate::transport::{Transport, TransportKind};

use super::transport::new_key;

impl Sfu {
    pub(crate) fn create_plain_transport(
        &mut self,
        now: Time,
        router: &str,
        name: Name,
        options: &PlainTransportOptions,
        sockets: &mut dyn Sockets,
    ) -> Result<Reply, CommandError> {
        let router = self.check_new_transport(router, &name, &options.base)?;
        let keys = &mut self.key_source;
        let plain =
            PlainTransport::open(options, self.config.rtc_ports, &mut |suite| new_key(keys, suite), sockets)?;
        let flows = [Some(plain.rtp.socket()), plain.rtcp.as_ref().map(Flow::socket)];
        let kind = TransportKind::Plain(Box::new(plain));
        let id = self.insert_transport(Transport::new(name, router, kind, &options.base));
        for socket in flows.into_iter().flatten() {
            self.socket_owners.insert(socket, SocketOwner::Transport(id));
        }
        self.dump_transport(now, id)
    }

    pub(crate) fn connect_plain(
        &mut self,
        now: Time,
        id: Id<Transport>,
        request: &PlainConnect,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let TransportKind::Plain(plain) = &mut self.transports[id].kind else {
            return Err(CommandError::error("unknown method 'plainTransport.connect'"));
        };
        let was_connected = plain.is_connected();
        let keys = &mut self.key_source;
        let connected =
            plain.connect(request, &mut |suite| new_key(keys, suite), &mut self.lanes, sockets)?;
        let is_connected = plain.is_connected();
        out.reply_here();
        if is_connected && !was_connected {
            self.transport_connected(now, id, out);
        }
        Ok(Reply::PlainConnect(Box::new(connected)))
    }

    /// Comedia: the peer is whoever sends first.
    #[cold]
    pub(crate) fn learn_peer(
        &mut self,
        now: Time,
        id: Id<Transport>,
        protocol: Protocol,
        remote: SocketAddr,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        let transport = &mut self.transports[id];
        let TransportKind::Plain(plain) = &mut transport.kind else { return };
        let is_rtcp = plain.rtcp.is_some() && protocol == Protocol::Rtcp;
        let flow = plain.flow_mut(protocol);
        flow.set_remote(remote, &mut self.lanes, sockets);
        let (name, tuple) = (transport.name.clone(), flow.tuple());
        if is_rtcp {
            out.events.push(Event::PlainTransportRtcpTuple { transport: name, tuple });
        } else {
            out.events.push(Event::PlainTransportTuple { transport: name, tuple });
            self.transport_connected(now, id, out);
        }
    }
}
