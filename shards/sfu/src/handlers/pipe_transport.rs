//! Commands of pipe transports.

use ringsoup_rtc::time::Time;

use crate::command::{CommandError, PipeConnect, PipeTransportOptions};
use crate::demux::SocketOwner;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::piped::{PipeEnd, PipeKey};
use crate::reply::Reply;
use crate::sfu::Sfu;
use crate::sockets::Sockets;
use crate::table::Id;
use crate::transport::pipe::PipeTransport;
use crate::transport::{Transport, TransportKind};

use super::transport::new_key;

impl Sfu {
    pub(crate) fn create_pipe_transport(
        &mut self,
        now: Time,
        router: &str,
        name: Name,
        key: PipeKey,
        options: &PipeTransportOptions,
        sockets: &mut dyn Sockets,
    ) -> Result<Reply, CommandError> {
        let router = self.check_new_transport(router, &name, &options.base)?;
        let keys = &mut self.key_source;
        let ports = self.config.rtc_ports;
        let suite = self.config.rules.pipe_crypto_suite;
        let new_key = &mut |suite| new_key(keys, suite);
        let pipe = PipeTransport::open(key, options, ports, suite, new_key, sockets)?;
        let socket = pipe.flow.socket();
        let kind = TransportKind::Pipe(Box::new(pipe));
        let id = self.insert_transport(Transport::new(name, router, kind, &options.base));
        self.socket_owners.insert(socket, SocketOwner::Transport(id));
        self.pipes.insert(key, id);
        self.dump_transport(now, id)
    }

    pub(crate) fn connect_pipe(
        &mut self,
        now: Time,
        id: Id<Transport>,
        request: &PipeConnect,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let TransportKind::Pipe(pipe) = &mut self.transports[id].kind else {
            return Err(CommandError::error("unknown method 'pipeTransport.connect'"));
        };
        pipe.connect(request, &mut self.lanes, sockets)?;
        let (key, tuple) = (pipe.key, pipe.flow.tuple());
        let peer_srtp = request.srtp_parameters.clone().and_then(Result::ok);
        out.reply_here();
        self.transport_connected(now, id, out);
        Ok(Reply::PipeConnect { key, tuple, peer_srtp })
    }

    /// The other end turned out to be in this process (`Some`), or has gone.
    pub(crate) fn join_pipe(
        &mut self,
        now: Time,
        id: Id<Transport>,
        end: Option<PipeEnd>,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let Self { transports, lanes, key_source, .. } = self;
        let TransportKind::Pipe(pipe) = &mut transports[id].kind else {
            return Err(CommandError::error("only pipe transports can be joined"));
        };
        match end {
            Some(end) => pipe.join(end, lanes, out),
            None => pipe.leave(&mut |suite| new_key(key_source, suite), lanes, out)?,
        }
        for consumer in self.transports[id].consumers.clone() {
            self.refresh_egress(now, consumer);
        }
        if end.is_some() {
            self.may_open_association(id, out);
            self.pass_waiting_messages(now, id, out);
        } else {
            self.close_association(id, out);
        }
        Ok(Reply::Done)
    }
}
