//! WebRTC servers: bound by the control thread, read by one shard and by every other that has transports of it.
//!
//! Control binds, because then a transport that is asked for right after its server can be told the server's
//! candidates without a word from another shard. The shards know which of their transports use which server; for
//! a dump each of them is asked, behind whatever it was sent before.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use ringsoup_rtc::ice::Candidate;
use ringsoup_sfu::command::{
    Command, CommandError, ListenInfo, Protocol, WebRtcListen, WebRtcTransportOptions,
};
use ringsoup_sfu::event::{LogLevel, LogTag};
use ringsoup_sfu::listen;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::served::ServerKey;

use crate::message::{
    Method, Offer, RequestId, Response, ResponseBody, ServedTransportRequest, WebRtcServerDump,
};
use crate::placement::ShardIndex;
use crate::ports::Wanted;
use crate::registry::{Birth, Found, Kind};

use super::plan::{not_found, unknown_method};
use super::{Controller, Effect, Pending, Purpose, handler_exists};

/// What servers listen on, by name.
#[derive(Debug, Default)]
pub(super) struct WebRtcServers {
    servers: HashMap<Name, Server>,
    /// Answers to creations of transports whose server is not confirmed yet, by the server's own request. Bounded by
    /// the commands under way.
    kept_back: HashMap<Birth, Vec<(Method, Response)>>,
}

#[derive(Debug)]
struct Server {
    key: ServerKey,
    /// Where it was opened.
    home: ShardIndex,
    listening: Vec<Listening>,
    /// Shards that read the port, or soon will: the server's own and those that have had transports of it. A shard that loses
    /// its last keeps its sockets, for the next.
    readers: BTreeSet<ShardIndex>,
}

/// What was asked for and what it came to.
#[derive(Debug, Clone)]
pub struct Listening {
    pub info: ListenInfo,
    pub local: SocketAddr,
}

/// A shard's first transport of a server that is another's.
#[derive(Debug)]
pub struct Join {
    pub server: Name,
    pub key: ServerKey,
    pub listening: Vec<Listening>,
    /// Who reads there already.
    pub readers: Vec<u16>,
}

/// A request about a server that waits for shards.
#[derive(Debug)]
pub(super) struct ServerGather {
    request_id: RequestId,
    /// Shards that have not answered yet.
    outstanding: usize,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Dump(Box<WebRtcServerDump>),
    Closed,
}

impl Offer {
    fn takes(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Udp => self.enable_udp,
            Protocol::Tcp => self.enable_tcp,
        }
    }

    fn prefers(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Udp => self.prefer_udp,
            Protocol::Tcp => self.prefer_tcp,
        }
    }
}

impl WebRtcServers {
    pub(super) fn count(&self) -> usize {
        self.servers.len()
    }

    fn candidates(&self, server: &str, offer: Offer) -> Vec<Candidate> {
        let listening = self.listening(server).enumerate();
        let offered = listening.filter(|(_, one)| offer.takes(one.info.protocol));
        let candidates = offered.flat_map(|(index, one)| {
            listen::candidates(index, &one.info, one.local, offer.prefers(one.info.protocol))
        });
        candidates.collect()
    }

    fn locals(&self, server: &str, protocol: Protocol) -> Vec<SocketAddr> {
        self.listening(server).filter(|one| one.info.protocol == protocol).map(|one| one.local).collect()
    }

    fn listening(&self, server: &str) -> impl Iterator<Item = &Listening> {
        self.servers.get(server).into_iter().flat_map(|server| &server.listening)
    }
}

impl WebRtcServers {
    pub(super) fn keep_back(&mut self, server: Birth, method: Method, response: Response) {
        self.kept_back.entry(server).or_default().push((method, response));
    }
}

fn no_server() -> CommandError {
    CommandError::error("wrong webRtcServerId (no associated WebRtcServer found)")
}

impl Controller {
    /// The server of a transport that was just created, while its shard may still refuse it. A transport that goes with
    /// it must not have been said to be there.
    pub(super) fn unconfirmed_server(&self, transport: &str, birth: Birth) -> Option<Birth> {
        let server = self.registry.server_of(transport, birth)?;
        self.registry.birth(&server).filter(|server| self.pending.contains_key(&server.0))
    }

    /// What was kept back until this request was accepted, if anything, is answered.
    pub(super) fn server_confirmed(&mut self, token: u64, out: &mut Vec<Effect>) {
        let kept_back = self.webrtc_servers.kept_back.remove(&Birth(token)).into_iter().flatten();
        out.extend(kept_back.map(|(_, response)| Effect::Respond(response)));
    }

    /// The same when it was refused.
    pub(super) fn server_refused(&mut self, token: u64, out: &mut Vec<Effect>) {
        for (method, response) in self.webrtc_servers.kept_back.remove(&Birth(token)).into_iter().flatten() {
            self.refuse(response.id, method, no_server(), out);
        }
    }

    pub(super) fn create_webrtc_server(
        &mut self,
        id: RequestId,
        server: Name,
        listen_infos: Result<Vec<ListenInfo>, CommandError>,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let method = Method::WorkerCreateWebRtcServer;
        let holder = self.registry.find(&server).map(|found| found.kind);
        if holder == Some(Kind::WebRtcServer) {
            return Err(CommandError::error(format!(
                "a WebRtcServer with same webRtcServerId already exists [method:{}]",
                method.name()
            )));
        }
        let listen_infos = listen_infos?;
        if listen_infos.is_empty() {
            return Err(CommandError::type_error("wrong listenInfos (empty array)"));
        }
        if holder.is_some() {
            return Err(handler_exists(&server));
        }
        let shard = self.placement.place(self.registry.loads());
        let token = self.next_token;
        self.next_token += 1;
        self.registry.insert_webrtc_server(&server, shard, Birth(token));
        self.ports.open(&server, Wanted::all(&listen_infos));
        let purpose = Purpose::Request { id, method, created: Some(server.clone()) };
        self.pending.insert(token, Pending { shard, purpose });
        out.push(Effect::OpenWebRtcServer { shard, token, server, listen_infos });
        Ok(())
    }

    /// The server's sockets are bound: what was asked for, and what it came to.
    pub fn handle_bound(&mut self, server: Name, infos: Vec<ListenInfo>, locals: Vec<SocketAddr>) {
        let (Some(found), Some(birth)) = (self.registry.find(&server), self.registry.birth(&server)) else {
            return;
        };
        self.started[usize::from(found.shard.0)] = true;
        let listening = infos.into_iter().zip(locals).map(|(info, local)| Listening { info, local });
        let (key, readers) = (ServerKey(birth.0), BTreeSet::from([found.shard]));
        let listening = listening.collect();
        let opened = Server { key, home: found.shard, listening, readers };
        self.webrtc_servers.servers.insert(server, opened);
    }

    /// Has a shard read a server's port, unless it does: it is about to have its first transport there.
    fn join(&mut self, shard: ShardIndex, name: &Name, out: &mut Vec<Effect>) {
        let Some(server) = self.webrtc_servers.servers.get_mut(name) else { return };
        let readers = server.readers.iter().map(|reader| reader.0).collect();
        if !server.readers.insert(shard) {
            return;
        }
        let (key, listening) = (server.key, server.listening.clone());
        let token = self.next_token;
        self.next_token += 1;
        self.started[usize::from(shard.0)] = true;
        let purpose = Purpose::Join { server: name.clone(), key };
        self.pending.insert(token, Pending { shard, purpose });
        let join = Join { server: name.clone(), key, listening, readers };
        out.push(Effect::JoinWebRtcServer { shard, token, join });
    }

    /// The others tell a new reader what they have. Had they been asked before, it would not have listened.
    pub(super) fn reader_joined(
        &mut self,
        name: &str,
        key: ServerKey,
        shard: ShardIndex,
        result: Result<Reply, CommandError>,
        out: &mut Vec<Effect>,
    ) {
        let server = self.webrtc_servers.servers.get_mut(name).filter(|server| server.key == key);
        let Some(server) = server else { return };
        if let Err(error) = result {
            // Its transports are refused by the shard itself.
            server.readers.remove(&shard);
            let text =
                format!("Controller::reader_joined() | shard {} cannot join: {}", shard.0, error.reason);
            return self.log(LogLevel::Error, LogTag::Info, &text, out);
        }
        let others = server.readers.clone();
        self.tell_readers(others, key, shard, true, out);
    }

    /// A lost shard reads nothing, and nothing is to be handed to it. Servers of its own are lost with it.
    pub(super) fn reader_lost(&mut self, shard: ShardIndex, out: &mut Vec<Effect>) {
        let servers = self.webrtc_servers.servers.values_mut();
        let left = servers
            .filter_map(|server| server.readers.remove(&shard).then(|| (server.key, server.readers.clone())));
        let mut left: Vec<_> = left.collect();
        left.sort_unstable_by_key(|(key, _)| key.0);
        for (key, others) in left {
            self.tell_readers(others, key, shard, false, out);
        }
    }

    fn tell_readers(
        &mut self,
        readers: BTreeSet<ShardIndex>,
        server: ServerKey,
        shard: ShardIndex,
        reads: bool,
        out: &mut Vec<Effect>,
    ) {
        for reader in readers {
            if reader != shard {
                let command = Command::SetServerReader { server, shard: shard.0, reads };
                self.send(reader, Purpose::Introduction, command, out);
            }
        }
    }

    pub(super) fn close_webrtc_server(
        &mut self,
        id: RequestId,
        server: &Name,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let found = self.registry.find(server).filter(|found| found.kind == Kind::WebRtcServer);
        let found = found.ok_or_else(|| not_found("WebRtcServer", Method::WorkerCloseWebRtcServer))?;
        let ports = self.ports.take(std::slice::from_ref(server));
        let mut shards = self.forget_webrtc_server(server, out);
        shards.insert(found.shard);
        let gather = self.gather_of(id, shards.len(), Answer::Closed);
        for shard in shards {
            let command = Command::CloseWebRtcServer { server: server.clone() };
            let token = self.send(shard, Purpose::ServerPart { gather }, command, out);
            // Each has sockets on them.
            self.ports.close(token, shard, ports.clone());
        }
        Ok(())
    }

    /// Takes a server and its transports out of the books, and returns the shards that have some of these, or sockets of
    /// its.
    fn forget_webrtc_server(&mut self, server: &str, out: &mut Vec<Effect>) -> BTreeSet<ShardIndex> {
        let forgotten = self.webrtc_servers.servers.remove(server);
        let mut shards = forgotten.map_or_else(BTreeSet::new, |server| server.readers);
        let served = self.registry.served_by(server);
        shards.extend(served.iter().map(|found| found.shard));
        for transport in served {
            self.forget(&transport.name, out);
        }
        self.forget(server, out);
        shards
    }

    /// A server ended without having been closed: its creation failed after all, or its shard is lost. Nobody else
    /// closes its transports.
    pub(super) fn webrtc_server_lost(&mut self, server: &Name, out: &mut Vec<Effect>) {
        let Some(lost) = self.webrtc_servers.servers.get_mut(server) else { return };
        // Where it was opened there is nothing to close.
        lost.readers.remove(&lost.home);
        for transport in self.registry.served_by(server) {
            self.refuse_pending(&transport.name, out);
        }
        for shard in self.forget_webrtc_server(server, out) {
            let command = Command::CloseWebRtcServer { server: server.clone() };
            self.send(shard, Purpose::Cleanup, command, out);
        }
    }

    /// Refuses the creation of a transport, whatever its shard is about to say.
    fn refuse_pending(&mut self, transport: &str, out: &mut Vec<Effect>) {
        let Some(birth) = self.registry.birth(transport) else { return };
        let Some(pending) = self.pending.get_mut(&birth.0) else { return };
        if let Purpose::Request { id, method, .. } = std::mem::replace(&mut pending.purpose, Purpose::Cleanup)
        {
            self.refuse(id, method, no_server(), out);
        }
    }

    pub(super) fn handle_webrtc_server_request(
        &mut self,
        id: RequestId,
        method: Method,
        server: &Found,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        if method != Method::WebRtcServerDump {
            return Err(unknown_method(method));
        }
        let dump = Box::new(WebRtcServerDump {
            server: server.name.clone(),
            udp_sockets: self.webrtc_servers.locals(&server.name, Protocol::Udp),
            tcp_servers: self.webrtc_servers.locals(&server.name, Protocol::Tcp),
            transports: Vec::new(),
        });
        let served = self.registry.served_by(&server.name);
        let shards: BTreeSet<ShardIndex> = served.iter().map(|found| found.shard).collect();
        if shards.is_empty() {
            let result = Ok(ResponseBody::WebRtcServerDump(dump));
            out.push(Effect::Respond(Response { id, result }));
            return Ok(());
        }
        let gather = self.gather_of(id, shards.len(), Answer::Dump(dump));
        for shard in shards {
            let command = Command::ReportWebRtcServer { server: server.name.clone() };
            self.send(shard, Purpose::ServerPart { gather }, command, out);
        }
        Ok(())
    }

    /// Returns the key of a gather that waits for this many shards.
    fn gather_of(&mut self, request_id: RequestId, outstanding: usize, answer: Answer) -> u64 {
        let key = self.next_token;
        self.server_gathers.insert(key, ServerGather { request_id, outstanding, answer });
        key
    }

    /// One shard's part of a request about a server has come, or will not come any more.
    pub(super) fn server_part(
        &mut self,
        key: u64,
        result: Result<Reply, CommandError>,
        out: &mut Vec<Effect>,
    ) {
        let Some(gather) = self.server_gathers.get_mut(&key) else { return };
        if let (Answer::Dump(dump), Ok(Reply::WebRtcServerReport(served))) = (&mut gather.answer, result) {
            dump.transports.extend(served);
        }
        gather.outstanding -= 1;
        if gather.outstanding > 0 {
            return;
        }
        let Some(gather) = self.server_gathers.remove(&key) else { return };
        let body = match gather.answer {
            Answer::Dump(dump) => ResponseBody::WebRtcServerDump(dump),
            Answer::Closed => ResponseBody::Shard(Reply::Done),
        };
        out.push(Effect::Respond(Response { id: gather.request_id, result: Ok(body) }));
    }

    /// A transport that listens through a server.
    pub(super) fn create_served_transport(
        &mut self,
        id: RequestId,
        method: Method,
        router: &Found,
        request: ServedTransportRequest,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let ServedTransportRequest { transport, server, base, offer, ice_consent_timeout } = request;
        self.check_no_sibling(router, &transport, Kind::WebRtcTransport, method)?;
        let found = self.registry.find(&server).filter(|found| found.kind == Kind::WebRtcServer);
        if found.is_none() {
            return Err(no_server());
        }
        if self.registry.contains(&transport) {
            return Err(handler_exists(&transport));
        }
        self.join(router.shard, &server, out);
        let candidates = self.webrtc_servers.candidates(&server, offer);
        let birth = Birth(self.next_token);
        self.registry.insert_child(&transport, Kind::WebRtcTransport, &router.name, birth);
        self.registry.tie_to_server(&transport, &server);
        let listen = WebRtcListen::Server { server, candidates };
        let options = Box::new(WebRtcTransportOptions { base, listen, prefer: None, ice_consent_timeout });
        let (router_name, name) = (router.name.clone(), transport.clone());
        let command = Command::CreateWebRtcTransport { router: router_name, transport: name, options };
        self.ask(router.shard, id, method, Some(transport), command, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
