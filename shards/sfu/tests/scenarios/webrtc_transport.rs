//! WebRTC transports as they are before a peer comes: created, listening, connected in words, closed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringsoup_rtc::dtls::{self, Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_rtc::ice::{CandidateProtocol, State};
use ringsoup_sfu::command::{
    Command, CommandError, ErrorClass, ListenInfo, Protocol, TransportCommand, WebRtcConnect, WebRtcListen,
    WebRtcTransportOptions,
};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::{Event, LogLevel};
use ringsoup_sfu::reply::{Reply, WebRtcTransportDump, WebRtcTransportStats};

use crate::common::packets::{SPEECH, rtp};
use crate::common::parameters::{
    OPUS, connect_to, consume_audio, listen_info, produce_audio, transport_options,
};
use crate::common::{PORT_MIN, ROUTER, World, remote};
use crate::room::told;

pub(crate) fn options(listen: WebRtcListen) -> WebRtcTransportOptions {
    WebRtcTransportOptions { base: transport_options(false), listen, prefer: None, ice_consent_timeout: 30 }
}

fn individual(infos: &[ListenInfo]) -> WebRtcTransportOptions {
    options(WebRtcListen::Individual(Ok(infos.to_vec())))
}

pub(crate) fn create(
    world: &mut World,
    transport: &str,
    options: WebRtcTransportOptions,
) -> Result<WebRtcTransportDump, CommandError> {
    let (router, transport) = (ROUTER.into(), transport.into());
    let command = Command::CreateWebRtcTransport { router, transport, options: Box::new(options) };
    match world.try_command(command)? {
        Reply::WebRtcTransportDump(dump) => Ok(*dump),
        other => panic!("not a dump: {other:?}"),
    }
}

pub(crate) fn dump(world: &mut World, transport: &str) -> WebRtcTransportDump {
    match world.transport(transport, TransportCommand::Dump) {
        Reply::WebRtcTransportDump(dump) => *dump,
        other => panic!("not a dump: {other:?}"),
    }
}

pub(crate) fn stats(world: &mut World, transport: &str) -> WebRtcTransportStats {
    match world.transport(transport, TransportCommand::Stats) {
        Reply::WebRtcTransportStats(stats) => *stats,
        other => panic!("not stats: {other:?}"),
    }
}

fn tcp() -> ListenInfo {
    ListenInfo { protocol: Protocol::Tcp, ..listen_info() }
}

fn announced(info: ListenInfo, address: &str) -> ListenInfo {
    ListenInfo { announced_address: Some(address.into()), ..info }
}

fn fingerprint(value: &str) -> Fingerprint {
    Fingerprint { algorithm: FingerprintAlgorithm::Sha256, value: value.into() }
}

fn connect(world: &mut World, transport: &str, role: Role) -> Result<Role, CommandError> {
    let request = WebRtcConnect { fingerprints: vec![fingerprint("AB:CD"), fingerprint("EF:01")], role };
    match world.try_transport(transport, TransportCommand::ConnectWebRtc(request))? {
        Reply::WebRtcConnect { role } => Ok(role),
        other => panic!("not an answer to connect: {other:?}"),
    }
}

#[test]
fn every_listening_address_is_offered_in_order() {
    let mut world = World::new();
    let exposed = ListenInfo { expose_internal_ip: true, ..announced(listen_info(), "9.9.9.1") };
    let infos = [exposed, announced(tcp(), "sfu.test"), listen_info()];
    let dump = create(&mut world, "t", individual(&infos)).expect("created");
    let offered: Vec<_> = dump
        .ice_candidates
        .iter()
        .map(|candidate| (candidate.protocol, &*candidate.address, candidate.port, candidate.priority))
        .collect();
    let (udp, tcp) = (CandidateProtocol::Udp, CandidateProtocol::Tcp);
    assert_eq!(
        offered,
        [
            (udp, "9.9.9.1", PORT_MIN, 1_076_302_079),
            (udp, "127.0.0.1", PORT_MIN, 1_076_301_079),
            (tcp, "sfu.test", PORT_MIN, 1_076_276_479),
            (udp, "127.0.0.1", PORT_MIN + 1, 1_076_250_879),
        ]
    );
    assert_eq!(world.sockets.open_count(), 3);
    let none = create(&mut world, "deaf", individual(&[])).expect("no address is no error");
    assert!(none.ice_candidates.is_empty());
}

#[test]
fn candidates_of_a_preferred_protocol_are_worth_more_wherever_they_stand() {
    let mut world = World::new();
    let infos = [listen_info(), tcp(), listen_info(), tcp()];
    for prefer in [Protocol::Udp, Protocol::Tcp] {
        let name = format!("{prefer:?}");
        let options = WebRtcTransportOptions { prefer: Some(prefer), ..individual(&infos) };
        let dump = create(&mut world, &name, options).expect("created");
        let mut priorities = dump.ice_candidates.iter().map(|candidate| candidate.priority);
        let [first, second, third, fourth] = [(); 4].map(|()| priorities.next().expect("four candidates"));
        assert!(first > third && second > fourth, "{name}: in their order among themselves");
        let by_protocol = [[first, third], [second, fourth]];
        let [preferred, other] =
            if prefer == Protocol::Udp { by_protocol } else { [by_protocol[1], by_protocol[0]] };
        assert!(preferred[1] > other[0], "{name}");
    }
}

#[test]
fn a_new_transport_waits_for_everything() {
    let mut world = World::new();
    let created = create(&mut world, "t", individual(&[listen_info()])).expect("created");
    assert_eq!((created.ice_state, created.dtls_state), (State::New, dtls::State::New));
    assert_eq!((created.dtls_role, created.ice_selected_tuple.clone()), (Role::Auto, None));
    let algorithms: Vec<_> = created.dtls_fingerprints.iter().map(|one| one.algorithm).collect();
    assert_eq!(algorithms, FingerprintAlgorithm::ALL);
    let again = dump(&mut world, "t");
    assert_eq!(again.ice_parameters, created.ice_parameters);
    assert_eq!(again.ice_candidates, created.ice_candidates);
    let stats = stats(&mut world, "t");
    assert_eq!((stats.ice_state, stats.dtls_state), (State::New, dtls::State::New));
    assert_eq!((stats.base.bytes_received, stats.base.bytes_sent), (0, 0));
}

#[test]
fn a_failed_creation_leaves_nothing_bound() {
    let mut world = World::new();
    let fixed = |info: ListenInfo, port| ListenInfo { port, ..info };
    create(&mut world, "first", individual(&[fixed(listen_info(), 7_000), fixed(tcp(), 7_001)]))
        .expect("free");
    let refusal = |world: &mut World, options: WebRtcTransportOptions| {
        let error = create(world, "refused", options).expect_err("refused");
        assert_eq!(world.sockets.open_count(), 2, "{error}");
        error.class
    };
    // UDP and TCP ports are apart, and the last of several listeners fails.
    for last in [fixed(listen_info(), 7_000), fixed(tcp(), 7_001)] {
        let infos = [listen_info(), fixed(listen_info(), 7_001), tcp(), last];
        assert_eq!(refusal(&mut world, individual(&infos)), ErrorClass::Error);
    }
    let backwards = ListenInfo { port_range: (4_000, 3_000), ..tcp() };
    assert_eq!(refusal(&mut world, individual(&[listen_info(), backwards])), ErrorClass::TypeError);
    let bad_ip = options(WebRtcListen::Individual(Err(CommandError::type_error("invalid IP"))));
    assert_eq!(refusal(&mut world, bad_ip.clone()), ErrorClass::TypeError);
    // What is wrong with the transport itself is told before what is wrong with its addresses.
    let error = create(&mut world, "first", bad_ip).expect_err("the name is taken");
    assert_eq!(error.class, ErrorClass::Error);
    let mut generous = individual(&[listen_info()]);
    generous.base.initial_available_outgoing_bitrate = Some(u64::MAX);
    assert_eq!(refusal(&mut world, generous), ErrorClass::TypeError);
    assert_eq!(world.report().transports, 1);
    world.close_transport("first");
    assert_eq!(world.sockets.open_count(), 0);
    create(&mut world, "second", individual(&[fixed(listen_info(), 7_000), fixed(tcp(), 7_001)]))
        .expect("free again");
}

#[test]
fn connect_takes_the_role_that_is_left() {
    let mut world = World::new();
    for (theirs, ours) in
        [(Role::Client, Role::Server), (Role::Server, Role::Client), (Role::Auto, Role::Client)]
    {
        let name = format!("{theirs:?}");
        create(&mut world, &name, individual(&[])).expect("created");
        let nothing = WebRtcConnect { fingerprints: Vec::new(), role: theirs };
        let error =
            world.try_transport(&name, TransportCommand::ConnectWebRtc(nothing)).expect_err("refused");
        assert_eq!(error, CommandError::type_error("empty dtlsParameters.fingerprints array"));
        assert_eq!(dump(&mut world, &name).dtls_role, Role::Auto);
        assert_eq!(connect(&mut world, &name, theirs), Ok(ours));
        let again = connect(&mut world, &name, theirs).expect_err("once only");
        assert_eq!(again, CommandError::error("connect() already called"));
        // Without a selected address there is nobody to shake hands with, and so nothing to tell.
        let connected = dump(&mut world, &name);
        assert_eq!((connected.dtls_role, connected.dtls_state), (ours, dtls::State::New));
    }
    assert!(world.take_events().is_empty());
    let plain = TransportCommand::ConnectPlain(connect_to(remote(1)));
    assert_eq!(world.try_transport("Auto", plain).expect_err("refused").class, ErrorClass::Error);
}

#[test]
fn restarting_ice_changes_the_credentials() {
    let mut world = World::new();
    let before = create(&mut world, "t", individual(&[])).expect("created").ice_parameters;
    let Reply::RestartIce(after) = world.transport("t", TransportCommand::RestartIce) else {
        panic!("not credentials")
    };
    assert_ne!(before.username_fragment, after.username_fragment);
    assert_ne!(before.password, after.password);
    assert_eq!(dump(&mut world, "t").ice_parameters, after);
    world.plain("plain");
    let error = world.try_transport("plain", TransportCommand::RestartIce).expect_err("refused");
    assert_eq!(error, CommandError::error("unknown method 'transport.restartIce'"));
}

#[test]
fn an_odd_consent_timeout_is_mended_aloud() {
    let mut world = World::new();
    for (asked, lines) in [(0, 0), (1, 1), (10, 0), (30, 0), (60, 0), (61, 1)] {
        let options = WebRtcTransportOptions { ice_consent_timeout: asked, ..individual(&[]) };
        create(&mut world, &format!("t{asked}"), options).expect("created");
        let told = world.out.events.drain(..);
        let warnings = told.filter(|event| matches!(event, Event::Log(line) if line.level == LogLevel::Warn));
        assert_eq!(warnings.count(), lines, "{asked}");
    }
}

#[test]
fn datagrams_are_counted_drops() {
    let mut world = World::new();
    create(&mut world, "t", individual(&[listen_info()])).expect("created");
    let socket = world.socket_of(PORT_MIN);
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let audio = rtp(OPUS, 1, 1, 5, SPEECH);
    for bytes in [&stun[..], &audio, &[]] {
        world.receive(socket, remote(1), bytes);
    }
    for reason in [DropReason::StunRefused, DropReason::NoIce, DropReason::UnknownProtocol] {
        assert_eq!(world.dropped(reason), 1, "{reason:?}");
    }
    assert_eq!(stats(&mut world, "t").base.bytes_received, (stun.len() + audio.len()) as u64);
    world.assert_accounted();
}

#[test]
fn media_objects_live_on_it_and_end_with_it() {
    let mut world = World::new();
    let sender = world.plain("sender");
    create(&mut world, "t", individual(&[listen_info(), tcp()])).expect("created");
    world.produce("t", produce_audio("p", 5, 105));
    world.produce("sender", produce_audio("other", 6, 106));
    world.consume("t", consume_audio("c", "other", 7, 106));
    world.consume("sender", consume_audio("d", "p", 8, 105));
    world.from(&sender, &rtp(OPUS, 1, 1, 6, SPEECH));
    assert_eq!(world.consumer_stats("c").packet_count, 0);
    assert!(world.take_sent().is_empty());
    let shown = dump(&mut world, "t").base;
    assert_eq!((shown.producers.len(), shown.consumers.len()), (1, 1));
    world.advance_ms(10_000);
    world.take_events();
    world.close_transport("t");
    // The consumer that was fed from it is gone, and told so.
    assert_eq!(told(&world.take_events()), ["close d"]);
    assert_eq!(world.sockets.open_count(), 1);
    assert_eq!(world.report().consumers, 0);
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert_eq!(world.sockets.id_of(SocketAddr::new(ip, PORT_MIN + 1)), None);
}
