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
    join_and_create(bench, router, transport).1
}

/// The same, with what its shard is told before, if it is the first there.
fn join_and_create(bench: &mut Bench, router: &str, transport: &str) -> (Option<(u16, u64, Join)>, Sent) {
    let method = Method::RouterCreateWebRtcTransportWithServer;
    let mut effects = bench.request(method, router, served(transport, "s", BOTH));
    let create = match effects.pop() {
        Some(Effect::Command { shard, token, command }) => Sent { shard: shard.0, token, command },
        other => panic!("{other:?}"),
    };
    let join = effects.pop().map(|effect| match effect {
        Effect::JoinWebRtcServer { shard, token, join } => (shard.0, token, join),
        other => panic!("{other:?}"),
    });
    assert!(effects.is_empty());
    (join, create)
}

/// Who is told about readers: to whom, about whom, whether it reads.
fn told(effects: &[Effect]) -> Vec<(u16, u16, bool)> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Command { shard, command: Command::SetServerReader { shard: reader, reads, .. }, .. } => {
            Some((shard.0, *reader, *reads))
        }
        _ => None,
    });
    told.collect()
}

/// Three shards with a router each, `r0` to `r2`; the server is on the first.
fn cluster() -> Bench {
    let mut bench = bench(3);
    let (home, token) = open(&mut bench, "s");
    assert_eq!(home, ShardIndex(0));
    bench.reply(token, Ok(Reply::Done));
    // The next after the server's shard gets the first.
    for name in ["r1", "r2", "r0"] {
        bench.done(Method::WorkerCreateRouter, "", router(name));
    }
    bench
}

#[test]
fn a_shard_reads_the_port_from_its_first_transport_on_and_the_others_hear_of_it() {
    let mut bench = cluster();
    assert!(join_and_create(&mut bench, "r0", "t").0.is_none(), "it is the server's own");
    let (join, create) = join_and_create(&mut bench, "r1", "u");
    let (shard, first, join) = join.expect("the first on its shard");
    assert_eq!((shard, create.shard, &join.readers[..]), (1, 1, &[0][..]));
    assert_eq!(join.listening.len(), 2);
    assert!(join_and_create(&mut bench, "r1", "v").0.is_none(), "it is about to read");
    let (second, _) = join_and_create(&mut bench, "r2", "w");
    let (shard, second, join) = second.expect("the first on its shard");
    assert_eq!((shard, &join.readers[..]), (2, &[0, 1][..]));
    assert_eq!(told(&bench.reply(first, Ok(Reply::Done))), [(0, 1, true), (2, 1, true)]);
    assert_eq!(told(&bench.reply(second, Ok(Reply::Done))), [(0, 2, true), (1, 2, true)]);
    // Without transports it reads on, and has to be told when the server closes.
    for (router, transport) in [("r0", "t"), ("r1", "u"), ("r1", "v"), ("r2", "w")] {
        let body = RequestBody::CloseTransport { transport: transport.into() };
        bench.request(Method::RouterCloseTransport, router, body);
    }
    assert!(join_and_create(&mut bench, "r1", "x").0.is_none());
    assert_eq!(sent_to(bench.request(Method::WorkerCloseWebRtcServer, "", close("s"))).len(), 3);
}

#[test]
fn a_shard_that_cannot_join_may_try_again() {
    let mut bench = cluster();
    let (join, _) = join_and_create(&mut bench, "r1", "t");
    let token = join.expect("the first on its shard").1;
    assert!(told(&bench.reply(token, Err(CommandError::error("too many open files")))).is_empty());
    assert!(join_and_create(&mut bench, "r1", "u").0.is_some());
    // What is answered after the server has closed, or to a namesake of it, is nobody's business.
    let (join, _) = join_and_create(&mut bench, "r2", "v");
    bench.request(Method::WorkerCloseWebRtcServer, "", close("s"));
    open(&mut bench, "s");
    assert!(bench.reply(join.expect("the first on its shard").1, Ok(Reply::Done)).is_empty());
}

#[test]
fn a_lost_shard_reads_nothing_and_the_others_hear_of_it() {
    let mut bench = cluster();
    for (router, transport) in [("r1", "t"), ("r2", "u")] {
        let (join, _) = join_and_create(&mut bench, router, transport);
        bench.reply(join.expect("the first on its shard").1, Ok(Reply::Done));
    }
    let mut out = Vec::new();
    bench.controller.handle_shard_lost(ShardIndex(1), "test", &mut out);
    assert_eq!(told(&out), [(0, 1, false), (2, 1, false)]);
    bench.done(Method::WorkerCreateRouter, "", router("r3"));
    let shards: Vec<u16> = (0..3).filter(|shard| *shard != 1).collect();
    assert_eq!(sent_to(bench.request(Method::WorkerCloseWebRtcServer, "", close("s"))).len(), shards.len());
}

fn candidates(sent: &Sent) -> Vec<(u16, u32)> {
    let Command::CreateWebRtcTransport { options, .. } = &sent.command else { panic!("{:?}", sent.command) };
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
    let reason = "a WebRtcServer with same webRtcServerId already exists [method:worker.createWebRtcServer]";
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
            id: 1_000.into(),
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
    let handler = bench.refused(method, "r", served("s", "s", BOTH)).1;
    assert_eq!(handler, "Channel request handler with ID s already exists");
    // Who has the name elsewhere is looked at when the server is found.
    assert_eq!(bench.refused(method, "r", served("s", "nobody", BOTH)).1, reason);
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
    let Effect::Respond(Response { result: Ok(ResponseBody::WebRtcServerDump(dump)), .. }) = effect else {
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
    assert!(matches!(effect, Effect::Respond(Response { result: Ok(ResponseBody::Shard(Reply::Done)), .. })));
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
