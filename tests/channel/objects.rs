//! Routers and transports over the channel: classes of errors, preconditions and what becomes of sockets.

use std::net::UdpSocket;

use ringsoup_fbs::fbs::notification::Event;
use ringsoup_fbs::fbs::request::Method;
use ringsoup_tests::channel::{Channel, Frame};
use ringsoup_tests::request;
use ringsoup_tests::worker::Launch;

/// Local address, local port and remote port (0 before it is known) of a plain transport's dump.
fn tuple(frame: &Frame) -> (String, u16, u16) {
    let dump = frame
        .response()
        .and_then(|response| response.body_as_plain_transport_dump_response())
        .expect("a plain transport's dump");
    let tuple = dump.tuple();
    (tuple.local_address().to_owned(), tuple.local_port(), tuple.remote_port())
}

fn router(channel: &mut Channel) {
    channel.accepted(&request::create_router(1, "r1"));
}

#[test]
fn an_unknown_handler_is_not_found() {
    let mut worker = Launch::default().run();
    for (id, method) in [
        (1, Method::ROUTER_DUMP),
        (2, Method::TRANSPORT_DUMP),
        (3, Method::PRODUCER_DUMP),
        (4, Method::CONSUMER_GET_STATS),
        (5, Method::RTPOBSERVER_PAUSE),
        (6, Method::DATACONSUMER_DUMP),
    ] {
        let refusal = worker.channel.refused(&request::plain(id, method, "nobody"));
        assert_eq!(refusal.class, "NotFoundError", "{method:?}");
        assert!(refusal.reason.contains("nobody"), "{}", refusal.reason);
    }
}

#[test]
fn a_method_of_another_kind_of_object_is_an_error() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    router(channel);
    channel.accepted(&request::create_direct_transport(2, "r1", "t1"));
    for (id, method, handler) in [
        (3, Method::CONSUMER_DUMP, "r1"),
        (4, Method::TRANSPORT_DUMP, "r1"),
        (5, Method::ROUTER_DUMP, "t1"),
        (6, Method::PRODUCER_PAUSE, "t1"),
        (7, Method::TRANSPORT_RESTART_ICE, "t1"),
        (8, Method::TRANSPORT_CONNECT, "t1"),
    ] {
        let refusal = channel.refused(&request::plain(id, method, handler));
        assert_eq!(refusal.class, "Error", "{method:?}: {}", refusal.reason);
    }
}

#[test]
fn ids_are_taken_worker_wide() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    router(channel);
    channel.accepted(&request::create_router(2, "r2"));
    channel.accepted(&request::create_direct_transport(3, "r1", "t1"));
    for (id, router, transport) in [(4, "r1", "t1"), (5, "r2", "t1"), (6, "r2", "r1")] {
        let refusal = channel.refused(&request::create_direct_transport(id, router, transport));
        assert_eq!(refusal.class, "Error", "{router} {transport}");
        assert!(refusal.reason.contains("already exists"), "{}", refusal.reason);
    }
}

#[test]
fn a_router_dump_lists_its_transports() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    router(channel);
    channel.accepted(&request::create_direct_transport(2, "r1", "t1"));
    channel.accepted(&request::create_plain_transport(3, "r1", "t2", "127.0.0.1", 0));
    let frame = channel.accepted(&request::plain(4, Method::ROUTER_DUMP, "r1"));
    let dump = frame
        .response()
        .and_then(|response| response.body_as_router_dump_response())
        .expect("a router's dump");
    assert_eq!(dump.id(), "r1");
    let mut transports: Vec<_> = dump.transport_ids().iter().collect();
    transports.sort_unstable();
    assert_eq!(transports, ["t1", "t2"]);
    assert!(dump.map_producer_id_consumer_ids().is_empty());
}

#[test]
fn closing_a_transport_frees_its_port() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    router(channel);
    let frame = channel.accepted(&request::create_plain_transport(2, "r1", "t1", "127.0.0.1", 0));
    let (address, port, remote) = tuple(&frame);
    assert_eq!((address.as_str(), remote), ("127.0.0.1", 0));
    assert!((10_000..=59_999).contains(&port), "{port} is outside the default range");
    assert!(UdpSocket::bind(("127.0.0.1", port)).is_err(), "the transport listens");

    let refusal = channel.refused(&request::create_plain_transport(3, "r1", "t2", "127.0.0.1", port));
    assert_eq!(refusal.class, "Error", "{}", refusal.reason);

    channel.accepted(&request::close_transport(4, "r1", "t1"));
    channel.accepted(&request::create_plain_transport(5, "r1", "t2", "127.0.0.1", port));
    channel.accepted(&request::close_router(6, "r1"));
    router_again_binds(channel, port);
}

fn router_again_binds(channel: &mut Channel, port: u16) {
    channel.accepted(&request::create_router(10, "r2"));
    let frame = channel.accepted(&request::create_plain_transport(11, "r2", "t1", "127.0.0.1", port));
    assert_eq!(tuple(&frame).1, port);
}

#[test]
fn the_worker_range_bounds_ports_and_runs_out() {
    let mut worker = Launch::with_args(["--rtcMinPort=41234", "--rtcMaxPort=41237"]).run();
    let channel = &mut worker.channel;
    router(channel);
    let mut ports: Vec<u16> = (0..4)
        .map(|index| {
            let transport = format!("t{index}");
            let create = request::create_plain_transport(2 + index, "r1", &transport, "127.0.0.1", 0);
            tuple(&channel.accepted(&create)).1
        })
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, [41_234, 41_235, 41_236, 41_237]);
    let refusal = channel.refused(&request::create_plain_transport(6, "r1", "t4", "127.0.0.1", 0));
    assert_eq!(refusal.class, "Error", "{}", refusal.reason);
    channel.accepted(&request::close_transport(7, "r1", "t2"));
    channel.accepted(&request::create_plain_transport(8, "r1", "t4", "127.0.0.1", 0));
}

#[test]
fn a_wrong_address_is_a_type_error_and_an_absent_one_an_error() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    router(channel);
    let refusal = channel.refused(&request::create_plain_transport(2, "r1", "t1", "chicken", 0));
    assert_eq!(refusal.class, "TypeError", "{}", refusal.reason);
    // TEST-NET-3: nobody's own address.
    let refusal = channel.refused(&request::create_plain_transport(3, "r1", "t1", "203.0.113.1", 0));
    assert_eq!(refusal.class, "Error", "{}", refusal.reason);
    // Neither left anything behind.
    channel.accepted(&request::create_plain_transport(4, "r1", "t1", "127.0.0.1", 0));
}

/// A comedia transport needs no connect(), and learns its peer from the first packet.
#[test]
fn comedia_learns_the_peer_and_tells() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    router(channel);
    let frame = channel.accepted(&request::create_plain_transport(2, "r1", "t1", "127.0.0.1", 0));
    let (_, port, _) = tuple(&frame);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let rtp = [0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4];
    peer.send_to(&rtp, ("127.0.0.1", port)).unwrap();
    let frame = channel.event("t1", Event::PLAINTRANSPORT_TUPLE);
    let told = frame
        .notification()
        .and_then(|told| told.body_as_plain_transport_tuple_notification())
        .expect("a tuple");
    assert_eq!(told.tuple().remote_port(), peer.local_addr().unwrap().port());
    let frame = channel.accepted(&request::plain(3, Method::TRANSPORT_DUMP, "t1"));
    assert_eq!(tuple(&frame).2, peer.local_addr().unwrap().port());
    let frame = channel.accepted(&request::plain(4, Method::TRANSPORT_GET_STATS, "t1"));
    let stats = frame
        .response()
        .and_then(|response| response.body_as_plain_transport_get_stats_response())
        .expect("a plain transport's stats");
    assert_eq!(stats.base().bytes_received(), 16);
}

#[test]
fn notifications_to_nobody_are_ignored() {
    let mut worker = Launch::default().run();
    for event in [
        Event::TRANSPORT_SEND_RTCP,
        Event::PRODUCER_SEND,
        Event::DATAPRODUCER_SEND,
        Event::WORKER_RUNNING,
        Event(250),
    ] {
        worker.channel.send(&request::notification(event, "nobody"));
    }
    worker.channel.accepted(&request::worker_dump(1));
}

#[test]
fn what_waits_for_later_capabilities_is_refused_not_ignored() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    router(channel);
    channel.accepted(&request::create_direct_transport(2, "r1", "t1"));
    for (id, method, handler) in [
        (3, Method::ROUTER_CREATE_WEBRTCTRANSPORT, "r1"),
        (4, Method::ROUTER_CREATE_PIPETRANSPORT, "r1"),
        (5, Method::ROUTER_CREATE_AUDIOLEVELOBSERVER, "r1"),
        (6, Method::ROUTER_CREATE_ACTIVESPEAKEROBSERVER, "r1"),
        (7, Method::TRANSPORT_PRODUCE_DATA, "t1"),
        (8, Method::TRANSPORT_CONSUME_DATA, "t1"),
        (9, Method::WORKER_CREATE_WEBRTCSERVER, ""),
    ] {
        let refusal = channel.refused(&request::plain(id, method, handler));
        assert!(matches!(refusal.class.as_str(), "Error" | "TypeError"), "{method:?}: {refusal:?}");
    }
}
