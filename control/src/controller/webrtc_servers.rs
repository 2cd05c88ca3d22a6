//! WebRTC servers: bound by the control thread, read by one shard, used by transports on any.
//!
//! Control binds, because then a transport that is asked for right after its server can be told the server's
//! candidates without a word from another shard. The shards know which of their transports use which server; for
//! a dump each of them is asked, behind whatever it was sent before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use ringsoup_rtc::ice::Candidate;
use ringsoup_sfu::command::{
    Command, CommandError, ListenInfo, Protocol, WebRtcListen, WebRtcTransportOptions,
};
use ringsoup_sfu::listen;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::Reply;

use crate::message::{Method, Offer, Response, ResponseBody, ServedTransportRequest, WebRtcServerDump};
use crate::placement::ShardIndex;
use crate::ports::Wanted;
use crate::registry::{Birth, Found, Kind};

use super::plan::{not_found, unknown_method};
use super::{Controller, Effect, Pending, Purpose, handler_exists};

/// What servers listen on, by name.
#[derive(Debug, Default)]
pub(super) struct WebRtcServers {
    listening: HashMap<Name, Vec<Listening>>,
    /// Answers to creations of transports whose server is not confirmed yet, by the server's own request. Bounded by
    /// the commands under way.
    kept_back: HashMap<Birth, Vec<(Method, Response)>>,
}

#[derive(Debug)]
struct Listening {
    info: ListenInfo,
    local: SocketAddr,
}

/// A request about a server that waits for shards.
#[derive(Debug)]
pub(super) struct ServerGather {
    request_id: u32,
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
        self.listening.len()
    }

    fn candidates(&self, server: &str, offer: Offer) -> Vec<Candidate> {
        let listening = self.listening.get(server).into_iter().flatten().enumerate();
        let offered = listening.filter(|(_, one)| offer.takes(one.info.protocol));
        let candidates = offered.flat_map(|(index, one)| {
            listen::candidates(index, &one.info, one.local, offer.prefers(one.info.protocol))
        });
        candidates.collect()
    }

    fn locals(&self, server: &str, protocol: Protocol) -> Vec<SocketAddr> {
        let listening = self.listening.get(server).into_iter().flatten();
        listening.filter(|one| one.info.protocol == protocol).map(|one| one.local).collect()
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
        id: u32,
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
        if let Some(found) = self.registry.find(&server) {
            self.started[usize::from(found.shard.0)] = true;
        }
        let listening = infos.into_iter().zip(locals).map(|(info, local)| Listening { info, local });
        self.webrtc_servers.listening.insert(server, listening.collect());
    }

    pub(super) fn close_webrtc_server(
        &mut self,
        id: u32,
        server: &Name,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let found = self.registry.find(server).filter(|found| found.kind == Kind::WebRtcServer);
        let found = found.ok_or_else(|| not_found("WebRtcServer", Method::WorkerCloseWebRtcServer))?;
        let ports = self.ports.take(std::slice::from_ref(server));
        let mut shards = self.forget_webrtc_server(server, out);
        shards.insert(found.shard);
        let gather = self.gather_of(id, shards.len(), Answer::Closed);
        let mut tokens = BTreeMap::new();
        for shard in shards {
            let command = Command::CloseWebRtcServer { server: server.clone() };
            tokens.insert(shard, self.send(shard, Purpose::ServerPart { gather }, command, out));
        }
        if let Some(&token) = tokens.get(&found.shard) {
            self.ports.close(token, found.shard, ports);
        }
        Ok(())
    }

    /// Takes a server and its transports out of the books, and returns the shards that have some of these.
    fn forget_webrtc_server(&mut self, server: &str, out: &mut Vec<Effect>) -> BTreeSet<ShardIndex> {
        self.webrtc_servers.listening.remove(server);
        let served = self.registry.served_by(server);
        let shards = served.iter().map(|found| found.shard).collect();
        for transport in served {
            self.forget(&transport.name, out);
        }
        self.forget(server, out);
        shards
    }

    /// A server ended without having been closed: its creation failed after all, or its shard is lost. Nobody else
    /// closes its transports.
    pub(super) fn webrtc_server_lost(&mut self, server: &Name, out: &mut Vec<Effect>) {
        if !self.webrtc_servers.listening.contains_key(server) {
            return;
        }
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
        id: u32,
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
    fn gather_of(&mut self, request_id: u32, outstanding: usize, answer: Answer) -> u64 {
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
        id: u32,
        method: Method,
        router: &Found,
        request: ServedTransportRequest,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let ServedTransportRequest { transport, server, base, offer, ice_consent_timeout } = request;
        self.check_new(router, &transport, Kind::WebRtcTransport, method)?;
        let found = self.registry.find(&server).filter(|found| found.kind == Kind::WebRtcServer);
        if found.is_none() {
            return Err(no_server());
        }
        let candidates = self.webrtc_servers.candidates(&server, offer);
        let birth = Birth(self.next_token);
        self.registry.insert_child(&transport, Kind::WebRtcTransport, &router.name, birth);
        self.registry.tie_to_server(&transport, &server);
        let listen = WebRtcListen::Server { server, candidates };
        let options = Box::new(WebRtcTransportOptions { base, listen, ice_consent_timeout });
        let (router_name, name) = (router.name.clone(), transport.clone());
        let command = Command::CreateWebRtcTransport { router: router_name, transport: name, options };
        self.ask(router.shard, id, method, Some(transport), command, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, Sent, base_options, bench, one, router};
    use super::*;
    use crate::message::{Incoming, Request, RequestBody};
    use ringsoup_sfu::command::ErrorClass;
    use ringsoup_sfu::reply::ServedTransport;

    fn info(protocol: Protocol) -> ListenInfo {
        ListenInfo {
            protocol,
            ip: [127, 0, 0, 1].into(),
            announced_address: None,
            expose_internal_ip: false,
            port: 0,
            port_range: (0, 0),
            ipv6_only: false,
            udp_reuse_port: false,
            send_buffer_size: 0,
            recv_buffer_size: 0,
        }
    }

    fn create(server: &str, infos: Vec<ListenInfo>) -> RequestBody {
        RequestBody::CreateWebRtcServer { server: server.into(), listen_infos: Ok(infos) }
    }

    fn close(server: &str) -> RequestBody {
        RequestBody::CloseWebRtcServer { server: server.into() }
    }

    const BOTH: Offer = Offer { enable_udp: true, enable_tcp: true, prefer_udp: false, prefer_tcp: false };

    fn served(transport: &str, server: &str, offer: Offer) -> RequestBody {
        RequestBody::CreateServedTransport(Box::new(ServedTransportRequest {
            transport: transport.into(),
            server: server.into(),
            base: base_options(),
            offer,
            ice_consent_timeout: 30,
        }))
    }

    /// Asks for a server on UDP and TCP, and has it bound. Returns its shard and its token.
    fn open(bench: &mut Bench, server: &str) -> (ShardIndex, u64) {
        let infos = vec![info(Protocol::Udp), info(Protocol::Tcp)];
        match one(bench.request(Method::WorkerCreateWebRtcServer, "", create(server, infos))) {
            Effect::OpenWebRtcServer { shard, token, server, listen_infos } => {
                let locals = vec!["127.0.0.1:4000".parse().unwrap(), "127.0.0.1:4001".parse().unwrap()];
                bench.controller.handle_bound(server, listen_infos, locals);
                (shard, token)
            }
            other => panic!("{other:?}"),
        }
    }

    fn create_served(bench: &mut Bench, router: &str, transport: &str) -> Sent {
        let method = Method::RouterCreateWebRtcTransportWithServer;
        bench.sent(method, router, served(transport, "s", BOTH))
    }

    fn candidates(sent: &Sent) -> Vec<(u16, u32)> {
        let Command::CreateWebRtcTransport { options, .. } = &sent.command else {
            panic!("{:?}", sent.command)
        };
        let WebRtcListen::Server { candidates, .. } = &options.listen else { panic!("{:?}", options.listen) };
        candidates.iter().map(|one| (one.port, one.priority)).collect()
    }

    fn sent_to(effects: Vec<Effect>) -> Vec<(u16, u64)> {
        let sent = effects.into_iter().map(|effect| match effect {
            Effect::Command { shard, token, .. } => (shard.0, token),
            other => panic!("{other:?}"),
        });
        sent.collect()
    }

    #[test]
    fn what_makes_no_server_is_refused_in_order() {
        let mut bench = bench(1);
        bench.done(Method::WorkerCreateRouter, "", router("r"));
        open(&mut bench, "s");
        let method = Method::WorkerCreateWebRtcServer;
        let mut refused = |body| bench.refused(method, "", body);
        let reason =
            "a WebRtcServer with same webRtcServerId already exists [method:worker.createWebRtcServer]";
        assert_eq!(refused(create("s", Vec::new())), (ErrorClass::Error, reason.into()));
        let reason = "wrong listenInfos (empty array)";
        assert_eq!(refused(create("r", Vec::new())), (ErrorClass::TypeError, reason.into()));
        let reason = "Channel request handler with ID r already exists";
        assert_eq!(refused(create("r", vec![info(Protocol::Udp)])), (ErrorClass::Error, reason.into()));
        let bad = Err(CommandError::type_error("invalid IP"));
        let bad = RequestBody::CreateWebRtcServer { server: "x".into(), listen_infos: bad };
        assert_eq!(refused(bad), (ErrorClass::TypeError, "invalid IP".into()));
        assert_eq!(bench.controller.registry.webrtc_servers(), [Name::from("s")]);
    }

    #[test]
    fn a_server_that_cannot_be_bound_leaves_nothing() {
        let mut bench = bench(1);
        let infos = vec![info(Protocol::Udp)];
        let effect = one(bench.request(Method::WorkerCreateWebRtcServer, "", create("s", infos)));
        let Effect::OpenWebRtcServer { token, .. } = effect else { panic!("{effect:?}") };
        let effect = one(bench.reply(token, Err(CommandError::error("no more available ports"))));
        assert!(matches!(effect, Effect::Respond(Response { result: Err(_), .. })));
        assert!(bench.controller.registry.request_handlers().is_empty());
        let dump = one(bench.request(Method::WorkerDump, "", RequestBody::None));
        assert!(matches!(dump, Effect::Respond(_)), "no shard is started for it");
        open(&mut bench, "s");
    }

    #[test]
    fn a_port_is_waited_for_where_another_place_gives_it_back() {
        let fixed = |port| vec![ListenInfo { port, ..info(Protocol::Udp) }];
        let asks = |server: &str, port| {
            Incoming::Request(Request {
                id: 1_000,
                method: Method::WorkerCreateWebRtcServer,
                handler_id: String::new(),
                body: Ok(create(server, fixed(port))),
            })
        };
        let mut bench = bench(1);
        let created = bench.request(Method::WorkerCreateWebRtcServer, "", create("s", fixed(4_000)));
        let Effect::OpenWebRtcServer { token, .. } = one(created) else { panic!("no server") };
        let locals = vec!["127.0.0.1:4000".parse().unwrap()];
        bench.controller.handle_bound("s".into(), fixed(4_000), locals);
        bench.reply(token, Ok(Reply::Done));
        assert!(!bench.controller.must_wait(&asks("s2", 4_000)), "it is taken, and that is to be said");
        let closing = one(sent_to(bench.request(Method::WorkerCloseWebRtcServer, "", close("s"))));
        assert!(bench.controller.must_wait(&asks("s2", 4_000)));
        assert!(!bench.controller.must_wait(&asks("s2", 4_001)));
        bench.reply(closing.1, Ok(Reply::Done));
        assert!(!bench.controller.must_wait(&asks("s2", 4_000)));
    }

    #[test]
    fn transports_asked_for_right_after_their_server_know_its_candidates() {
        let mut bench = bench(1);
        bench.done(Method::WorkerCreateRouter, "", router("r"));
        open(&mut bench, "s");
        let (udp, tcp) = ((4000, 1_076_302_079), (4001, 1_076_276_479));
        let sent = create_served(&mut bench, "r", "t");
        assert_eq!(candidates(&sent), [udp, tcp]);
        let method = Method::RouterCreateWebRtcTransportWithServer;
        for (index, (offer, expected)) in [
            (Offer { enable_udp: false, ..BOTH }, vec![tcp]),
            (Offer { enable_tcp: false, prefer_udp: true, ..BOTH }, vec![(4000, udp.1 + (1_000 << 8))]),
            (Offer { prefer_tcp: true, ..BOTH }, vec![udp, (4001, tcp.1 + (1_000 << 8))]),
            (Offer { enable_udp: false, enable_tcp: false, ..BOTH }, vec![]),
        ]
        .into_iter()
        .enumerate()
        {
            let sent = bench.sent(method, "r", served(&format!("t{index}"), "s", offer));
            assert_eq!(candidates(&sent), expected);
        }
        let reason = "wrong webRtcServerId (no associated WebRtcServer found)";
        for stranger in ["nobody", "r"] {
            let refused = bench.refused(method, "r", served("x", stranger, BOTH));
            assert_eq!(refused, (ErrorClass::Error, reason.into()));
        }
        let reason = format!("a Transport with same id already exists [method:{}]", method.name());
        assert_eq!(bench.refused(method, "r", served("t", "nobody", BOTH)), (ErrorClass::Error, reason));
    }

    #[test]
    fn a_dump_asks_the_shards_that_have_transports() {
        let mut bench = bench(3);
        for name in ["r1", "r2", "r3"] {
            bench.done(Method::WorkerCreateRouter, "", router(name));
        }
        open(&mut bench, "s");
        let effect = one(bench.request(Method::WebRtcServerDump, "s", RequestBody::None));
        let Effect::Respond(Response { result: Ok(ResponseBody::WebRtcServerDump(dump)), .. }) = effect
        else {
            panic!("{effect:?}")
        };
        assert_eq!(dump.udp_sockets, ["127.0.0.1:4000".parse().unwrap()]);
        assert_eq!(dump.tcp_servers, ["127.0.0.1:4001".parse().unwrap()]);
        let first = create_served(&mut bench, "r1", "t1").shard;
        let second = create_served(&mut bench, "r2", "t2").shard;
        let asked = sent_to(bench.request(Method::WebRtcServerDump, "s", RequestBody::None));
        assert_eq!(asked.iter().map(|one| one.0).collect::<BTreeSet<_>>(), BTreeSet::from([first, second]));
        let report = ServedTransport { transport: "t1".into(), username_fragments: vec!["f".into()] };
        assert!(bench.reply(asked[0].1, Ok(Reply::WebRtcServerReport(vec![report.clone()]))).is_empty());
        // A shard that is lost has nothing to add, and is not waited for.
        let mut out = Vec::new();
        bench.controller.handle_shard_lost(ShardIndex(asked[1].0), "test", &mut out);
        let dump = out.into_iter().find_map(|effect| match effect {
            Effect::Respond(Response { result: Ok(ResponseBody::WebRtcServerDump(dump)), .. }) => Some(dump),
            _ => None,
        });
        assert_eq!(dump.expect("answered").transports, [report]);
        let (class, reason) = bench.refused(Method::RouterDump, "s", RequestBody::None);
        assert_eq!((class, &*reason), (ErrorClass::Error, "unknown method 'router.dump'"));
    }

    #[test]
    fn closing_is_answered_when_every_shard_has_closed_its_part() {
        let mut bench = bench(2);
        for name in ["r1", "r2"] {
            bench.done(Method::WorkerCreateRouter, "", router(name));
        }
        open(&mut bench, "s");
        create_served(&mut bench, "r1", "t1");
        create_served(&mut bench, "r2", "t2");
        let asked = sent_to(bench.request(Method::WorkerCloseWebRtcServer, "", close("s")));
        assert_eq!(asked.len(), 2);
        let mut left = bench.controller.registry.request_handlers();
        left.sort();
        assert_eq!(left, [Name::from("r1"), Name::from("r2")]);
        assert!(bench.reply(asked[0].1, Ok(Reply::Done)).is_empty());
        let effect = one(bench.reply(asked[1].1, Ok(Reply::Done)));
        assert!(matches!(
            effect,
            Effect::Respond(Response { result: Ok(ResponseBody::Shard(Reply::Done)), .. })
        ));
        let refused = bench.refused(Method::WorkerCloseWebRtcServer, "", close("s"));
        assert_eq!(refused.0, ErrorClass::NotFound);
        assert!(bench.controller.server_gathers.is_empty());
    }

    #[test]
    fn no_transport_is_said_to_be_there_before_its_server_is() {
        for refused in [false, true] {
            let mut bench = bench(2);
            bench.done(Method::WorkerCreateRouter, "", router("r1"));
            bench.done(Method::WorkerCreateRouter, "", router("r2"));
            let server = open(&mut bench, "s").1;
            let first = create_served(&mut bench, "r1", "t1");
            let second = create_served(&mut bench, "r2", "t2");
            assert!(bench.reply(first.token, Ok(Reply::Done)).is_empty());
            let answer = if refused { Err(CommandError::error("no room")) } else { Ok(Reply::Done) };
            let effects = bench.reply(server, answer);
            let accepted: Vec<bool> = (effects.iter())
                .filter_map(|effect| match effect {
                    Effect::Respond(response) => Some(response.result.is_ok()),
                    _ => None,
                })
                .collect();
            let late = bench.reply(second.token, Ok(Reply::Done));
            if refused {
                assert_eq!(accepted, [false; 3], "the server, what its shards have made and will make");
                assert!(late.is_empty());
                let closed = effects.iter().filter(|effect| match effect {
                    Effect::Command { command, .. } => matches!(command, Command::CloseWebRtcServer { .. }),
                    _ => false,
                });
                assert_eq!(closed.count(), 2);
                assert_eq!(bench.controller.registry.request_handlers().len(), 2);
            } else {
                assert_eq!(accepted, [true; 2]);
                assert!(matches!(one(late), Effect::Respond(Response { result: Ok(_), .. })));
            }
            assert!(bench.controller.webrtc_servers.kept_back.is_empty());
        }
    }

    #[test]
    fn a_server_whose_shard_is_lost_takes_its_transports_along() {
        let mut bench = bench(2);
        let home = open(&mut bench, "s").0;
        bench.done(Method::WorkerCreateRouter, "", router("r1"));
        bench.done(Method::WorkerCreateRouter, "", router("r2"));
        create_served(&mut bench, "r1", "t1");
        create_served(&mut bench, "r2", "t2");
        let mut out = Vec::new();
        bench.controller.handle_shard_lost(home, "test", &mut out);
        let closed = out.iter().filter(|effect| match effect {
            Effect::Command { shard, command: Command::CloseWebRtcServer { .. }, .. } => *shard != home,
            _ => false,
        });
        assert_eq!(closed.count(), 1, "{out:?}");
        assert_eq!(bench.controller.registry.request_handlers().len(), 1, "the router on the other shard");
    }
}
