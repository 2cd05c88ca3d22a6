//! WebRTC servers as a shard sees them: sockets that it reads for others, and transports that listen elsewhere.

use ringsoup_rtc::ice::{Candidate, CandidateProtocol};
use ringsoup_sfu::command::{Command, CommandError, TransportCommand, WebRtcListen};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::reply::{Reply, ServedTransport};
use ringsoup_sfu::sockets::{PortChoice, SocketId, Sockets as _, UdpBind};

use crate::common::parameters::{consume_audio, listen_info, produce_audio};
use crate::common::{ROUTER, World, remote};
use crate::room::told;
use crate::webrtc_transport::{create, options};

fn bind(world: &mut World, port: u16) -> SocketId {
    let request = UdpBind {
        ip: listen_info().ip,
        port: PortChoice::Fixed(port),
        ipv6_only: false,
        reuse_port: false,
        send_buffer_size: 0,
        recv_buffer_size: 0,
    };
    world.sockets.bind_udp(&request).expect("free").id
}

fn open(world: &mut World, server: &str, port: u16) -> SocketId {
    let socket = bind(world, port);
    world.command(Command::OpenWebRtcServer { server: server.into(), sockets: vec![socket] });
    socket
}

fn served_by(server: &str, candidates: Vec<Candidate>) -> WebRtcListen {
    WebRtcListen::Server { server: server.into(), candidates }
}

fn candidate() -> Candidate {
    let protocol = CandidateProtocol::Udp;
    Candidate { protocol, priority: 1, address: "198.51.100.1".into(), port: 4_000 }
}

fn report(world: &mut World, server: &str) -> Vec<ServedTransport> {
    match world.command(Command::ReportWebRtcServer { server: server.into() }) {
        Reply::WebRtcServerReport(served) => served,
        other => panic!("not a report: {other:?}"),
    }
}

#[test]
fn transports_tell_the_servers_candidates_and_need_no_socket() {
    let mut world = World::new();
    let dump = create(&mut world, "t", options(served_by("s", vec![candidate()]))).expect("created");
    assert_eq!(dump.ice_candidates, [candidate()]);
    assert_eq!(world.sockets.open_count(), 0);
    let error = create(&mut world, "u", options(served_by("s", Vec::new()))).expect_err("refused");
    assert_eq!(error, CommandError::type_error("empty iceCandidates"));
    assert_eq!(world.report().transports, 1);
    world.close_transport("t");
    assert!(report(&mut world, "s").is_empty());
}

#[test]
fn a_report_names_transports_with_the_fragments_that_are_good() {
    let mut world = World::new();
    let of_s = create(&mut world, "t", options(served_by("s", vec![candidate()]))).expect("created");
    create(&mut world, "u", options(served_by("other", vec![candidate()]))).expect("created");
    let mut expected = vec![of_s.ice_parameters.username_fragment];
    let served = |fragments: &[String]| {
        vec![ServedTransport { transport: "t".into(), username_fragments: fragments.to_vec() }]
    };
    assert_eq!(report(&mut world, "s"), served(&expected));
    // The fragment before the restart is good until the peer has used the new one.
    let Reply::RestartIce(fresh) = world.transport("t", TransportCommand::RestartIce) else {
        panic!("not credentials")
    };
    expected.insert(0, fresh.username_fragment);
    assert_eq!(report(&mut world, "s"), served(&expected));
    assert!(report(&mut world, "nobody").is_empty());
}

#[test]
fn closing_a_server_closes_its_transports_and_its_sockets() {
    let mut world = World::new();
    world.plain("plain");
    let socket = open(&mut world, "s", 4_000);
    open(&mut world, "other", 4_001);
    create(&mut world, "t", options(served_by("s", vec![candidate()]))).expect("created");
    create(&mut world, "u", options(served_by("other", vec![candidate()]))).expect("created");
    world.produce("t", produce_audio("p", 5, 105));
    world.consume("plain", consume_audio("c", "p", 6, 105));
    world.receive(socket, remote(1), &[0, 1, 0, 0]);
    assert_eq!(world.dropped(DropReason::NoIce), 1);
    assert_eq!(world.sockets.open_count(), 3);
    world.command(Command::CloseWebRtcServer { server: "s".into() });
    assert_eq!(told(&world.take_events()), ["close c"]);
    assert_eq!(world.sockets.open_count(), 2);
    assert_eq!(world.report().transports, 2);
    // Its name and its port are free.
    open(&mut world, "s", 4_000);
    // A shard that has nothing of a server has nothing to close.
    world.command(Command::CloseWebRtcServer { server: "nobody".into() });
    world.command(Command::CloseRouter { router: ROUTER.into() });
    assert!(report(&mut world, "other").is_empty());
    assert_eq!(world.sockets.open_count(), 2, "a router's end is not its server's");
}

#[test]
fn a_name_is_given_once() {
    let mut world = World::new();
    let socket = bind(&mut world, 4_000);
    let command = Command::OpenWebRtcServer { server: ROUTER.into(), sockets: vec![socket] };
    world.try_command(command).expect_err("the router's name");
    // The sockets are still their opener's, and nobody's packets come in.
    world.receive(socket, remote(1), &[0, 1, 0, 0]);
    assert_eq!(world.dropped(DropReason::UnknownSocket), 1);
    world.sockets.close(socket);
}
