//! WebRTC servers over the channel: what they hold, who uses them, and what their end means.

use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use ringsoup_fbs::fbs::notification::Event;
use ringsoup_fbs::fbs::request::Method;
use ringsoup_tests::channel::{Channel, Frame};
use ringsoup_tests::listen::{
    Listen, TCP, UDP, candidates, close_server, create_plain, create_served, create_server,
};
use ringsoup_tests::media::{self, Codec};
use ringsoup_tests::request;
use ringsoup_tests::worker::{Launch, Worker};

const V4: Ipv4Addr = Ipv4Addr::LOCALHOST;
const BOTH: (bool, bool) = (true, true);

/// Four shards with a router each.
fn start() -> Worker {
    let mut worker = Launch::default().env("RINGSOUP_SHARDS", "4").run();
    for index in 0..4 {
        worker.channel.accepted(&request::create_router(1 + index, &format!("r{index}")));
    }
    worker
}

/// Ports of its UDP sockets and TCP listeners, and its transports with their fragments.
type Server = (Vec<u16>, Vec<u16>, Vec<String>, Vec<(String, String)>);

fn dump(channel: &mut Channel, id: u32, server: &str) -> Server {
    let frame = channel.accepted(&request::plain(id, Method::WEBRTCSERVER_DUMP, server));
    let dump = frame.response().and_then(|response| response.body_as_web_rtc_server_dump_response());
    let dump = dump.expect("a server's dump");
    let mut transports: Vec<_> = dump.web_rtc_transport_ids().iter().map(str::to_owned).collect();
    transports.sort();
    let fragments = dump.local_ice_username_fragments();
    let mut fragments: Vec<_> = fragments
        .iter()
        .map(|one| (one.web_rtc_transport_id().to_owned(), one.local_ice_username_fragment().to_owned()))
        .collect();
    fragments.sort();
    let udp = dump.udp_sockets().iter().map(|one| one.port()).collect();
    (udp, dump.tcp_servers().iter().map(|one| one.port()).collect(), transports, fragments)
}

fn fragment(frame: &Frame) -> String {
    let dump = frame.response().and_then(|response| response.body_as_web_rtc_transport_dump_response());
    dump.expect("a WebRTC transport's dump").ice_parameters().username_fragment().to_owned()
}

#[test]
fn transports_of_all_shards_use_one_server() {
    let mut worker = start();
    let before = worker.descriptors();
    let channel = &mut worker.channel;
    channel.accepted(&create_server(10, "s", &[UDP, TCP, Listen { announced: Some("sfu.test"), ..UDP }]));
    let (udp, tcp, transports, _) = dump(channel, 11, "s");
    assert_eq!((udp.len(), tcp.len(), transports.len()), (2, 1, 0));
    let mut expected = Vec::new();
    for index in 0..4 {
        let (router, transport) = (format!("r{index}"), format!("t{index}"));
        let frame = channel.accepted(&create_served(20 + index, &router, &transport, "s", BOTH));
        let ports: Vec<u16> = candidates(&frame).iter().map(|one| one.2).collect();
        assert_eq!(ports, [udp[0], tcp[0], udp[1]]);
        assert_eq!(candidates(&frame)[2].1, "sfu.test");
        expected.push((transport, fragment(&frame)));
    }
    let (.., transports, fragments) = dump(channel, 30, "s");
    assert_eq!(transports, ["t0", "t1", "t2", "t3"]);
    assert_eq!(fragments, expected);
    // Both fragments are good after a restart, and both name the transport.
    channel.accepted(&request::plain(31, Method::TRANSPORT_RESTART_ICE, "t0"));
    assert_eq!(dump(channel, 32, "s").3.len(), 5);
    channel.accepted(&request::close_transport(33, "r0", "t0"));
    channel.accepted(&request::close_router(34, "r1"));
    assert_eq!(dump(channel, 35, "s").3, expected[2..]);
    // Two UDP sockets for each shard, and one listener: transports have none of their own.
    assert_eq!(worker.descriptors(), before + 4 * 2 + 1);
    worker.channel.accepted(&close_server(36, "s"));
    assert_eq!(worker.descriptors(), before);
    assert!(UdpSocket::bind((V4, udp[0])).is_ok() && TcpListener::bind((V4, tcp[0])).is_ok());
}

#[test]
fn requests_need_not_wait_for_each_other() {
    let mut worker = start();
    let channel = &mut worker.channel;
    let requests = [
        create_server(10, "s", &[UDP]),
        create_served(11, "r0", "t0", "s", BOTH),
        create_served(12, "r1", "t1", "s", BOTH),
        request::plain(13, Method::WEBRTCSERVER_DUMP, "s"),
        close_server(14, "s"),
        request::plain(15, Method::TRANSPORT_DUMP, "t1"),
        create_server(16, "s", &[UDP]),
    ];
    channel.send(&requests.concat());
    let answers: Vec<Frame> = (10..=16).map(|id| channel.response(id)).collect();
    let accepted: Vec<bool> = answers.iter().map(|frame| frame.response().unwrap().accepted()).collect();
    assert_eq!(accepted, [true, true, true, true, true, false, true]);
    let seen = answers[3].response().unwrap().body_as_web_rtc_server_dump_response().unwrap();
    assert_eq!(seen.web_rtc_transport_ids().len(), 2);
    assert_eq!(answers[5].response().unwrap().error(), Some("NotFoundError"));
}

#[test]
fn what_makes_no_server_or_no_transport_is_refused() {
    let mut worker = start();
    let channel = &mut worker.channel;
    let mut refused = |request: &[u8]| channel.refused(request).class;
    assert_eq!(refused(&create_server(10, "s", &[])), "TypeError");
    assert_eq!(refused(&create_server(11, "r0", &[UDP])), "Error");
    assert_eq!(refused(&close_server(12, "s")), "NotFoundError");
    assert_eq!(refused(&close_server(13, "r0")), "NotFoundError");
    assert_eq!(refused(&create_served(14, "r0", "t", "s", BOTH)), "Error");
    assert_eq!(refused(&request::plain(15, Method::WEBRTCSERVER_DUMP, "s")), "NotFoundError");
    channel.accepted(&create_server(16, "s", &[UDP]));
    let mut refused = |request: &[u8]| channel.refused(request).class;
    assert_eq!(refused(&create_server(17, "s", &[UDP])), "Error");
    assert_eq!(refused(&create_served(18, "r0", "t", "s", (false, true))), "TypeError");
    assert_eq!(refused(&request::plain(19, Method::ROUTER_DUMP, "s")), "Error");
    let (.., transports, _) = dump(channel, 20, "s");
    assert!(transports.is_empty());
}

/// Free for UDP and for TCP: what is free for one may be another test's connection.
fn free_port() -> u16 {
    let mut udp = std::iter::repeat_with(|| UdpSocket::bind((V4, 0)).unwrap().local_addr().unwrap().port());
    udp.find(|port| TcpListener::bind((V4, *port)).is_ok()).expect("a free port")
}

#[test]
fn a_failed_creation_leaves_nothing_bound() {
    let mut worker = start();
    let taken = UdpSocket::bind((V4, 0)).unwrap();
    let (taken_port, port) = (taken.local_addr().unwrap().port(), free_port());
    let before = worker.descriptors();
    let infos = [Listen { port, ..UDP }, Listen { port, ..TCP }, Listen { port: taken_port, ..UDP }];
    let refusal = worker.channel.refused(&create_server(10, "s", &infos));
    assert_eq!(refusal.class, "Error");
    assert_eq!(worker.descriptors(), before);
    assert!(UdpSocket::bind((V4, port)).is_ok());
    drop(taken);
    // Neither its name nor its ports were kept.
    worker.channel.accepted(&create_server(11, "s", &infos));
    TcpStream::connect((V4, port)).unwrap();
}

#[test]
fn closing_a_server_closes_its_transports_and_tells_whom_it_concerns() {
    let mut worker = start();
    let channel = &mut worker.channel;
    channel.accepted(&create_server(10, "s", &[UDP]));
    channel.accepted(&create_served(11, "r2", "t", "s", BOTH));
    channel.accepted(&create_plain(12, "r2", "plain", UDP, None));
    channel.accepted(&media::produce(13, "t", "p", Codec::Opus, 1));
    channel.accepted(&media::consume(14, "plain", "c", Codec::Opus, ("p", 1), 2));
    channel.send(&close_server(15, "s"));
    channel.event("c", Event::CONSUMER_PRODUCER_CLOSE);
    assert!(channel.response(15).response().unwrap().accepted());
    for (id, gone) in [(16, "t"), (17, "p"), (18, "c"), (19, "s")] {
        let refusal = channel.refused(&request::plain(id, Method::TRANSPORT_DUMP, gone));
        assert_eq!(refusal.class, "NotFoundError", "{gone}");
    }
    channel.accepted(&request::plain(20, Method::TRANSPORT_DUMP, "plain"));
    let dump = channel.accepted(&request::worker_dump(21));
    let dump = dump.response().unwrap().body_as_worker_dump_response().unwrap();
    assert!(dump.web_rtc_server_ids().is_empty());
}

#[test]
fn a_port_is_one_workers_however_many_of_its_shards_read_it() {
    let (mut first, mut second) = (start(), start());
    first.channel.accepted(&create_server(10, "s", &[UDP]));
    let port = dump(&mut first.channel, 11, "s").0[0];
    let same = [Listen { port, ..UDP }];
    for index in 0..4 {
        let (router, transport) = (format!("r{index}"), format!("t{index}"));
        first.channel.accepted(&create_served(20 + index, &router, &transport, "s", BOTH));
        let refusal = second.channel.refused(&create_server(30 + index, "s", &same));
        assert!(refusal.reason.contains("address already in use"), "{refusal:?}");
        assert!(UdpSocket::bind((V4, port)).is_err());
    }
    first.channel.accepted(&close_server(40, "s"));
    second.channel.accepted(&create_server(41, "s", &same));
}
