//! Which port a transport gets, who may share it, and that nothing stays bound when it cannot be had.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use ringsoup_tests::channel::Channel;
use ringsoup_tests::listen::{
    Listen, Protocol, TCP, UDP, candidates, close_server, create_plain, create_server, create_webrtc,
    plain_local,
};
use ringsoup_tests::request;
use ringsoup_tests::worker::{Launch, PATIENCE, Worker};

const V4: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn start(launch: &Launch) -> Worker {
    let mut worker = launch.run();
    worker.channel.accepted(&request::create_router(1, "r"));
    worker
}

/// A port that is free, for UDP and TCP, and so are the `more` behind it. They lie below what workers and the kernel
/// choose from, and no two tests are given the same.
fn free_ports(more: u16) -> u16 {
    const FIRST: u16 = 3_000;
    const COUNT: u16 = 6_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(more + 1, Ordering::Relaxed);
        // Two runs at once begin at different places.
        let offset = u32::from(step) + std::process::id() * 64;
        let port = FIRST + u16::try_from(offset % u32::from(COUNT)).unwrap();
        if (port..=port + more).all(is_free) {
            return port;
        }
    }
    panic!("no {more} free ports in a row");
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind((V4, port)).is_ok() && TcpListener::bind((V4, port)).is_ok()
}

/// Asks for a transport that cannot be had and returns the error's class.
#[track_caller]
fn refused(channel: &mut Channel, request: &[u8], reason: &str) -> String {
    let refusal = channel.refused(request);
    assert!(refusal.reason.contains(reason), "{}", refusal.reason);
    refusal.class
}

#[test]
fn a_fixed_port_is_taken_once_and_free_after_its_close() {
    let mut worker = start(&Launch::default());
    let channel = &mut worker.channel;
    let port = free_ports(0);
    let (udp, tcp) = (Listen { port, ..UDP }, Listen { port, ..TCP });
    let dump = channel.accepted(&create_webrtc(2, "r", "t", &[udp, tcp]));
    assert_eq!(candidates(&dump).iter().map(|one| one.2).collect::<Vec<_>>(), [port, port]);
    for (id, listen) in [(3, udp), (4, tcp)] {
        let class =
            refused(channel, &create_webrtc(id, "r", "u", &[UDP, TCP, listen]), "() failed [protocol:");
        assert_eq!(class, "Error");
    }
    assert_eq!(refused(channel, &create_plain(5, "r", "u", udp, None), "() failed [protocol:"), "Error");
    assert_eq!(refused(channel, &create_plain(6, "r", "u", UDP, Some(udp)), "() failed [protocol:"), "Error");
    channel.accepted(&request::close_transport(7, "r", "t"));
    assert!(is_free(port));
    let dump = channel.accepted(&create_plain(8, "r", "u", udp, None));
    assert_eq!(plain_local(&dump).port(), port);
}

#[test]
fn a_port_is_closed_and_asked_for_in_one_breath() {
    const ROUNDS: u32 = 20;
    let mut worker = start(&Launch::default().env("RINGSOUP_SHARDS", "2"));
    let channel = &mut worker.channel;
    channel.accepted(&request::create_router(2, "r2"));
    let port = free_ports(0);
    let (udp, tcp) = (Listen { port, ..UDP }, Listen { port, ..TCP });
    let mut requests = create_server(10, "s0", &[udp, tcp]);
    for round in 0..ROUNDS {
        let id = 10 + round * 10;
        let ask = [
            // From server to server, to a transport, to one on another shard, and back.
            close_server(id + 1, &format!("s{round}")),
            create_server(id + 2, "s", &[udp, tcp]),
            close_server(id + 3, "s"),
            create_webrtc(id + 4, "r", "t", &[tcp, udp]),
            request::close_transport(id + 5, "r", "t"),
            create_webrtc(id + 6, "r2", "t", &[udp, tcp]),
            request::close_transport(id + 7, "r2", "t"),
            create_plain(id + 8, "r", "t", Listen { range: (port, port), ..UDP }, None),
            request::close_transport(id + 9, "r", "t"),
            create_server(id + 10, &format!("s{}", round + 1), &[udp, tcp]),
        ];
        requests.extend(ask.concat());
    }
    channel.send(&requests);
    for id in 10..=10 + ROUNDS * 10 {
        let answer = channel.response(id);
        let response = answer.response().unwrap();
        assert!(response.accepted(), "{id}: {:?}", response.reason());
    }
    assert!(!is_free(port), "the last server has it");
}

#[test]
fn a_range_is_used_up_and_given_back() {
    let mut worker = start(&Launch::default());
    let channel = &mut worker.channel;
    let min = free_ports(2);
    let range = (min, min + 2);
    let listen = Listen { range, port: min, ..UDP };
    let mut ports = Vec::new();
    for id in 0..3 {
        let dump = channel.accepted(&create_plain(10 + id, "r", &format!("t{id}"), listen, None));
        ports.push(plain_local(&dump).port());
    }
    ports.sort_unstable();
    assert_eq!(ports, [min, min + 1, min + 2]);
    // The range of TCP ports is another one.
    channel.accepted(&create_webrtc(20, "r", "tcp", &[Listen { range, ..TCP }]));
    assert_eq!(
        refused(channel, &create_plain(21, "r", "more", listen, None), "no more available ports"),
        "Error"
    );
    let two = [TCP, Listen { range, ..TCP }, listen];
    assert_eq!(refused(channel, &create_webrtc(22, "r", "more", &two), "no more available ports"), "Error");
    channel.accepted(&request::close_transport(23, "r", "t1"));
    channel.accepted(&create_plain(24, "r", "t3", listen, None));
    let backwards = Listen { range: (2_000, 1_999), ..UDP };
    for (id, request) in [
        (25, create_plain(25, "r", "x", backwards, None)),
        (26, create_webrtc(26, "r", "x", &[UDP, backwards])),
        (27, create_server(27, "x", &[UDP, backwards])),
    ] {
        assert_eq!(refused(channel, &request, "maxPort cannot be less than minPort"), "TypeError", "{id}");
    }
}

#[test]
fn the_workers_range_is_for_those_that_ask_for_no_port() {
    let port = free_ports(1);
    let arguments = [format!("--rtcMinPort={port}"), format!("--rtcMaxPort={}", port + 1)];
    let mut worker = start(&Launch::with_args(arguments));
    let channel = &mut worker.channel;
    let dump = channel.accepted(&create_webrtc(2, "r", "t", &[UDP, UDP, TCP]));
    let mut ports: Vec<u16> = candidates(&dump).iter().map(|one| one.2).collect();
    assert!((port..=port + 1).contains(&ports.pop().unwrap()));
    ports.sort_unstable();
    assert_eq!(ports, [port, port + 1]);
    assert_eq!(refused(channel, &create_webrtc(3, "r", "u", &[UDP]), "no more available ports"), "Error");
    // Half of a range is none.
    let half = Listen { range: (0, 9), ..UDP };
    assert_eq!(refused(channel, &create_webrtc(4, "r", "u", &[half]), "no more available ports"), "Error");
}

#[test]
fn udp_ports_are_shared_by_those_who_all_say_so() {
    let mut worker = start(&Launch::default());
    let mut other = start(&Launch::default());
    let port = free_ports(0);
    let shared = Listen { port, reuse_port: true, ..UDP };
    let again = |channel: &mut Channel, id, name: &str| {
        channel.accepted(&create_plain(id, "r", name, shared, None));
    };
    again(&mut worker.channel, 2, "t");
    again(&mut worker.channel, 3, "u");
    again(&mut other.channel, 2, "t");
    let alone = create_plain(4, "r", "v", Listen { port, ..UDP }, None);
    assert_eq!(refused(&mut worker.channel, &alone, "() failed [protocol:"), "Error");
    // TCP has no such thing: the option is not looked at.
    let tcp = Listen { port, reuse_port: true, ..TCP };
    worker.channel.accepted(&create_webrtc(5, "r", "w", &[tcp]));
    assert_eq!(
        refused(&mut other.channel, &create_webrtc(5, "r", "w", &[tcp]), "() failed [protocol:"),
        "Error"
    );
}

#[test]
fn shared_ports_of_a_range_are_shared_with_other_processes_only() {
    // Two shards: the book is the process's.
    let mut worker = start(&Launch::default().env("RINGSOUP_SHARDS", "2"));
    worker.channel.accepted(&request::create_router(2, "r2"));
    let mut other = start(&Launch::default());
    let min = free_ports(1);
    let shared = Listen { range: (min, min + 1), reuse_port: true, ..UDP };
    let mut ports = Vec::new();
    for (id, router) in [(3, "r"), (4, "r2")] {
        let dump = worker.channel.accepted(&create_plain(id, router, &format!("t{id}"), shared, None));
        ports.push(plain_local(&dump).port());
    }
    ports.sort_unstable();
    assert_eq!(ports, [min, min + 1]);
    for (id, router) in [(5, "r"), (6, "r2")] {
        let request = create_plain(id, router, "more", shared, None);
        assert_eq!(refused(&mut worker.channel, &request, "no more available ports"), "Error");
    }
    other.channel.accepted(&create_plain(3, "r", "t", shared, None));
    worker.channel.accepted(&request::close_router(7, "r2"));
    worker.channel.accepted(&create_plain(8, "r", "more", shared, None));
}

#[test]
fn ipv6_takes_ipv4_along_unless_told_otherwise() {
    let mut worker = start(&Launch::default());
    let channel = &mut worker.channel;
    let (both, only) = (free_ports(0), free_ports(0));
    let any = |port, ipv6_only, of: Listen<'static>| Listen { ip: "::", port, ipv6_only, ..of };
    channel.accepted(&create_webrtc(2, "r", "both", &[any(both, false, UDP), any(both, false, TCP)]));
    channel.accepted(&create_webrtc(3, "r", "only", &[any(only, true, UDP), any(only, true, TCP)]));
    TcpStream::connect((V4, both)).unwrap();
    TcpStream::connect((Ipv6Addr::LOCALHOST, both)).unwrap();
    TcpStream::connect((Ipv6Addr::LOCALHOST, only)).unwrap();
    assert!(TcpStream::connect((V4, only)).is_err());
    assert!(UdpSocket::bind((V4, both)).is_err());
    assert!(UdpSocket::bind((V4, only)).is_ok());
    // IPv4 does not know the option.
    channel.accepted(&create_webrtc(4, "r", "v4", &[Listen { ipv6_only: true, ..UDP }]));
    let long = Listen { ip: "0:0:0:0:0:0:0:1", ..UDP };
    let dump = channel.accepted(&create_webrtc(5, "r", "v6", &[long]));
    assert_eq!(candidates(&dump)[0].1, "::1");
}

#[test]
fn announced_addresses_are_told_and_internal_ones_on_demand() {
    let mut worker = start(&Launch::default());
    let announced = Listen { announced: Some("sfu.test"), ..UDP };
    let exposed = Listen { expose_internal_ip: true, announced: Some("2001:db8::1"), ..TCP };
    let dump = worker.channel.accepted(&create_webrtc(2, "r", "t", &[announced, exposed]));
    let told: Vec<_> = candidates(&dump).into_iter().map(|one| (one.0, one.1)).collect();
    let expected = [
        (Protocol::UDP, "sfu.test".to_owned()),
        (Protocol::TCP, "2001:db8::1".to_owned()),
        (Protocol::TCP, "127.0.0.1".to_owned()),
    ];
    assert_eq!(told, expected);
}

#[test]
fn addresses_that_are_not_ours_are_errors() {
    let mut worker = start(&Launch::default());
    let channel = &mut worker.channel;
    let port = free_ports(0);
    let foreign = Listen { ip: "192.0.2.1", ..UDP };
    let kept = Listen { port, ..UDP };
    for (id, listen) in [(2, foreign), (3, Listen { port: 7_000, ..foreign }), (4, Listen { ..foreign })] {
        let request =
            create_webrtc(id, "r", "t", &[kept, listen, Listen { protocol: Protocol::TCP, ..listen }]);
        assert_eq!(refused(channel, &request, "192.0.2.1"), "Error");
        assert!(is_free(port));
    }
    for (id, ip) in [(5, "chicken"), (6, "127.0.0.256"), (7, "")] {
        let request = create_webrtc(id, "r", "t", &[kept, Listen { ip, ..TCP }]);
        assert_eq!(refused(channel, &request, "invalid IP"), "TypeError");
        let request = create_server(id, "s", &[kept, Listen { ip, ..TCP }]);
        assert_eq!(refused(channel, &request, "invalid IP"), "TypeError");
        assert!(is_free(port));
    }
}

/// The first port that needs no privilege; 0 where none does.
fn unprivileged_from() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .map_or(1024, |text| text.trim().parse().unwrap())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn privileged_ports_are_errors_alone_and_passed_over_in_a_range() {
    let from = unprivileged_from();
    if from < 10 {
        eprintln!("no port is privileged here: nothing to test");
        return;
    }
    let launch = if is_root() {
        Launch::default().through(&["setpriv", "--bounding-set=-net_bind_service"])
    } else {
        Launch::default()
    };
    let mut worker = start(&launch);
    let channel = &mut worker.channel;
    let privileged = from - 1;
    for (id, listen) in [(2, UDP), (3, TCP)] {
        let alone = Listen { port: privileged, ..listen };
        let class = refused(channel, &create_webrtc(id, "r", "t", &[UDP, alone]), "() failed [protocol:");
        assert_eq!(class, "Error");
        let range = Listen { range: (privileged - 5, privileged), ..listen };
        let class = refused(channel, &create_webrtc(id, "r", "t", &[range]), "no more available ports");
        assert_eq!(class, "Error");
        let range = Listen { range: (privileged - 5, from + 20), ..listen };
        let dump = channel.accepted(&create_webrtc(id + 10, "r", &format!("t{id}"), &[range]));
        assert!(candidates(&dump)[0].2 >= from);
    }
}

#[test]
fn running_out_of_descriptors_is_an_error_and_no_more() {
    let mut worker = start(&Launch::default().through(&["prlimit", "--nofile=64:64"]));
    // Until nothing is left; the shard and its ring are there from the first on.
    let mut held = 0;
    let reason = loop {
        let answer = worker.channel.ask(&create_plain(10 + held, "r", &format!("t{held}"), UDP, None));
        let response = answer.response().unwrap();
        if !response.accepted() {
            assert_eq!(response.error(), Some("Error"));
            break response.reason().unwrap_or_default().to_owned();
        }
        held += 1;
        assert!(held < 64, "the limit is met");
    };
    assert!(reason.contains("too many open files"), "{reason}");
    // With none to three descriptors left, the first to the last of four sockets is the one that fails.
    for left in 0..4 {
        let id = 100 + 10 * left;
        let before = worker.descriptors();
        let four = [UDP, TCP, UDP, TCP];
        assert_eq!(worker.channel.refused(&create_webrtc(id, "r", "x", &four)).class, "Error");
        assert_eq!(worker.descriptors(), before, "{left}: a transport that failed keeps nothing");
        assert_eq!(worker.channel.refused(&create_server(id + 1, "x", &four)).class, "Error");
        assert_eq!(worker.descriptors(), before, "{left}: a server that failed keeps nothing");
        if left < 2 {
            let with_rtcp = create_plain(id + 2, "r", "x", UDP, Some(UDP));
            assert_eq!(worker.channel.refused(&with_rtcp).class, "Error");
            assert_eq!(worker.descriptors(), before, "{left}: RTP's socket is not kept for RTCP's failure");
        }
        worker.channel.accepted(&request::close_transport(id + 3, "r", &format!("t{left}")));
        assert_eq!(worker.descriptors(), before - 1);
    }
    worker.channel.accepted(&create_webrtc(200, "r", "x", &[UDP, TCP, UDP, TCP]));
    assert!(worker.is_alive());
}

/// What the shards counted under this name, all together.
fn counted(channel: &mut Channel, name: &str) -> u64 {
    let dump = channel.accepted(&request::worker_dump(1_000));
    let dump = dump.response().unwrap().body_as_worker_dump_response().unwrap();
    let shards = dump.ringsoup_shards().unwrap();
    let io = shards.iter().flat_map(|shard| shard.io().into_iter().flatten());
    io.filter(|one| one.name() == name).map(|one| one.value()).sum()
}

#[test]
fn a_connection_waits_without_spinning_while_there_is_no_descriptor_for_it() {
    let mut worker = start(&Launch::default().through(&["prlimit", "--nofile=64:64"]));
    let channel = &mut worker.channel;
    let dump = channel.accepted(&create_webrtc(2, "r", "t", &[TCP]));
    let address = SocketAddr::from((V4, candidates(&dump)[0].2));
    let is_held = |held: &u32| {
        let answer = channel.ask(&create_plain(10 + held, "r", &format!("t{held}"), UDP, None));
        answer.response().unwrap().accepted()
    };
    assert!((0..64).take_while(is_held).count() < 64, "the limit is met");
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let turns = counted(channel, "turns");
    let waited = std::io::Read::read(&mut connection, &mut [0; 1]);
    assert!(waited.is_err(), "nobody could accept it: {waited:?}");
    // Half a second of ticks, not of a loop without rest.
    assert!(counted(channel, "turns") - turns < 1_000);
    channel.accepted(&request::close_transport(3, "r", "t0"));
    wait_for(channel, "connections_accepted", 1);
    assert_eq!(counted(channel, "connections_refused"), 0);
    channel.accepted(&request::close_transport(4, "r", "t"));
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(std::io::Read::read(&mut connection, &mut [0; 1]), Ok(0)));
}

/// Until the shards have counted so many.
fn wait_for(channel: &mut Channel, name: &str, count: u64) {
    let deadline = Instant::now() + PATIENCE;
    while counted(channel, name) != count && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(counted(channel, name), count, "{name}");
}

#[test]
fn datagrams_and_connections_that_nobody_expects_do_no_harm() {
    let mut worker = start(&Launch::default());
    let channel = &mut worker.channel;
    let dump = channel.accepted(&create_webrtc(2, "r", "t", &[UDP, TCP]));
    let told = candidates(&dump);
    let (udp, tcp) = (SocketAddr::from((V4, told[0].2)), SocketAddr::from((V4, told[1].2)));
    let peer = UdpSocket::bind((V4, 0)).unwrap();
    for _ in 0..3 {
        peer.send_to(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], udp).unwrap();
    }
    // More than the backlog holds: they are taken off it. One says something, one half of it, one nothing.
    let mut connections: Vec<_> = (0..300).map(|_| TcpStream::connect(tcp).unwrap()).collect();
    for (number, connection) in connections.iter_mut().enumerate() {
        std::io::Write::write_all(connection, &[0, 3, 1, 2, 3][..[5, 3, 0][number % 3]]).unwrap();
    }
    wait_for(channel, "connections_accepted", 300);
    wait_for(channel, "received_frames", 100);
    let mut drops = 0;
    let deadline = Instant::now() + PATIENCE;
    while drops < 3 && Instant::now() < deadline {
        let dump = channel.accepted(&request::worker_dump(3));
        let dump = dump.response().unwrap().body_as_worker_dump_response().unwrap();
        for shard in dump.ringsoup_shards().unwrap() {
            let dropped = shard.dropped().into_iter().flatten();
            drops = drops
                .max(dropped.filter(|one| one.reason() == "unknown_protocol").map(|one| one.count()).sum());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(drops >= 3, "{drops}");
    // Half of them go by themselves.
    connections.drain(150..);
    wait_for(channel, "held_streams", 150);
    let before = worker.descriptors();
    worker.channel.accepted(&request::close_transport(4, "r", "t"));
    wait_for(&mut worker.channel, "held_streams", 0);
    assert_eq!(worker.descriptors(), before - 152);
    assert!(TcpStream::connect(tcp).is_err());
    for connection in &mut connections {
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let read = std::io::Read::read(connection, &mut [0; 1]);
        assert!(
            matches!(&read, Ok(0)) || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
        );
    }
}
