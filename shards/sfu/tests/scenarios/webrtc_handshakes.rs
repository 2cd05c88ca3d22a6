//! More handshakes than a shard takes on at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ringsoup_rtc::dtls::{Connection, Connector, Fingerprint, Output, Role, State};
use ringsoup_rtc::ice::Credentials;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{Command, TransportCommand, WebRtcConnect, WebRtcTransportOptions};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::sfu::CameBy;
use ringsoup_sfu::sockets::SocketId;

use crate::common::browser::{Browser, DTLS, EVERYTHING, NOTHING, Setup, certificate, sha256};
use crate::common::checks::PLAIN;
use crate::common::cluster::{PORT, SERVER, candidate, served_by};
use crate::common::parameters::transport_options;
use crate::common::{ROUTER, World, remote};
use crate::webrtc_transport::dump;

/// A ClientHello of which the greater part is missing.
const HALF_A_HELLO: [u8; 27] =
    [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14, 1, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 2, 254, 253];

/// Browsers that are told of the shard, and the shard of them, in one instant.
fn crowd(world: &mut World, role: Role, count: u16) -> Vec<Browser> {
    let offer = |port| world.offer(&format!("t{port}"), &Setup { role, ..Setup::from_port(port) });
    let browsers: Vec<_> = (1..=count).map(offer).collect();
    browsers.iter().for_each(|browser| world.introduce(browser));
    browsers
}

fn live(world: &mut World, browsers: &mut [Browser], millis: u64) {
    let mut all: Vec<_> = browsers.iter_mut().collect();
    world.live(&mut all, millis);
}

/// The same on a shard that has time for one piece of a handshake each millisecond.
fn live_busily(world: &mut World, browsers: &mut [Browser], millis: u64) {
    world.is_busy = true;
    for _ in 0..millis {
        live(world, browsers, 1);
        world.advance_handshake();
    }
    live(world, browsers, 0);
}

/// Whose handshakes began since the last call, in that order.
fn begun(world: &mut World) -> Vec<String> {
    let began = |event: &Event| match event {
        Event::WebRtcDtlsState { transport, state: State::Connecting, .. } => Some(transport.to_string()),
        _ => None,
    };
    world.take_events().iter().filter_map(began).collect()
}

fn connected(browsers: &[Browser]) -> usize {
    browsers.iter().filter(|browser| browser.peer.is_connected()).count()
}

#[test]
fn a_crowd_is_let_in_little_by_little_and_nobody_is_forgotten() {
    for role in [Role::Client, Role::Server] {
        let mut world = World::new();
        world.is_busy = true;
        let mut browsers = crowd(&mut world, role, 30);
        live(&mut world, &mut browsers, 1);
        assert_eq!(begun(&mut world), [""; 0], "{role:?}: nothing begins ahead of its turn");
        live_busily(&mut world, &mut browsers, 10);
        let mut order = begun(&mut world);
        assert!((1..=10).contains(&order.len()), "{role:?}: {order:?}");
        live_busily(&mut world, &mut browsers, 10_000);
        assert_eq!(connected(&browsers), 30, "{role:?}");
        order.extend(begun(&mut world));
        let asked: Vec<_> = browsers.iter().map(|browser| browser.name.clone()).collect();
        assert_eq!(order, asked, "{role:?}");
        assert_eq!((world.held("held_handshakes_queued"), world.held("held_handshakes")), (0, 0));
        world.assert_accounted();
    }
}

/// What many peers say in one instant is public-key work for milliseconds, and media is behind it.
#[test]
fn one_flight_is_answered_at_a_time() {
    let mut world = World::new();
    let mut browsers = crowd(&mut world, Role::Client, 20);
    browsers.iter_mut().for_each(|browser| browser.loses = DTLS);
    live(&mut world, &mut browsers, 50);
    assert_eq!(begun(&mut world).len(), 20);
    world.is_busy = true;
    browsers.iter_mut().for_each(|browser| browser.loses = NOTHING);
    live(&mut world, &mut browsers, 2_000);
    // They have said hello, some of them again and again.
    assert_eq!(world.held("held_handshakes_queued"), 20);
    assert_eq!(world.held("held_handshakes"), 20);
    browsers.iter_mut().for_each(|browser| browser.loses = EVERYTHING);
    for _ in 0..20 {
        assert!(world.take_sent().is_empty());
        world.advance_handshake();
        let remotes: Vec<_> = world.take_sent().iter().map(|sent| sent.remote).collect();
        assert!(!remotes.is_empty() && remotes.iter().all(|other| *other == remotes[0]), "{remotes:?}");
    }
    assert_eq!(world.held("held_handshakes_queued"), 0);
    world.assert_accounted();
}

#[test]
fn those_that_have_begun_are_not_held_up_by_those_that_come() {
    let mut world = World::new();
    let mut browsers = crowd(&mut world, Role::Client, 8);
    // They have begun, and their peers' hellos are on the way.
    browsers.iter_mut().for_each(|browser| browser.loses = DTLS);
    live(&mut world, &mut browsers, 1);
    assert_eq!(begun(&mut world).len(), 8);
    browsers.iter_mut().for_each(|browser| browser.loses = NOTHING);
    world.is_busy = true;
    let offer = |port| world.offer(&format!("t{port}"), &Setup::from_port(port));
    let late: Vec<_> = (100..200).map(offer).collect();
    late.iter().for_each(|browser| world.introduce(browser));
    browsers.extend(late);
    // The hellos come again within a second.
    live(&mut world, &mut browsers, 1_500);
    // Two answers each, and now and then somebody else begins.
    live_busily(&mut world, &mut browsers, 8 * 2 * 4 / 3 + 2);
    assert_eq!(connected(&browsers[..8]), 8);
    // As many begin as there were pieces between, and the last ones may be somebody's two answers.
    assert!(connected(&browsers[8..]) <= 1);
}

/// A transport of a server, named to the shard by `connect()`, and let in by a check: no more is heard of its peer.
fn let_in(world: &mut World, server: SocketId, number: u16) -> Credentials {
    let (base, listen) = (transport_options(false), served_by(SERVER, vec![candidate()]));
    let options = Box::new(WebRtcTransportOptions { base, listen, prefer: None, ice_consent_timeout: 30 });
    let name = format!("served {number}");
    let (router, transport) = (ROUTER.into(), name.as_str().into());
    let reply = world.command(Command::CreateWebRtcTransport { router, transport, options });
    let Reply::WebRtcTransportDump(dump) = reply else { panic!("not a dump: {reply:?}") };
    let request = WebRtcConnect { fingerprints: vec![sha256(certificate())], role: Role::Client };
    world.transport(&name, TransportCommand::ConnectWebRtc(request));
    world.receive(server, remote(number), &PLAIN.bytes(&dump.ice_parameters));
    dump.ice_parameters
}

#[test]
fn who_is_silent_takes_no_place_and_who_has_spoken_gives_it_back() {
    /// As many as there are.
    const PLACES: u16 = 1_024;
    let mut world = World::new();
    let server = world.open_server(SERVER, PORT);
    // Far more than there are places for, none of which ever says a word of DTLS.
    for number in 1..=1_200 {
        let_in(&mut world, server, number);
    }
    assert_eq!((begun(&mut world).len(), world.held("held_handshakes")), (1_200, 0));
    // And as many as there are places for whose first word is all that is heard of them.
    (1..=PLACES).for_each(|number| world.receive(server, remote(number), &HALF_A_HELLO));
    assert_eq!((world.held("held_handshakes"), world.dropped(DropReason::HandshakePutOff)), (1_024, 0));
    let mut late = crowd(&mut world, Role::Client, 1);
    live(&mut world, &mut late, 2_000);
    assert_eq!(connected(&late), 0, "no place is free");
    assert!(world.dropped(DropReason::HandshakePutOff) > 0);
    assert_eq!(dump(&mut world, "t1").dtls_state, State::Connecting, "yet it has not failed");
    world.close_transport("served 7");
    live(&mut world, &mut late, 2_000);
    assert_eq!(connected(&late), 1, "it said it again");
    assert_eq!(world.held("held_handshakes"), 1_023);
    world.assert_accounted();
}

/// All that looks like DTLS by its first byte, from peers that a check let in.
#[test]
fn who_says_nothing_that_is_kept_takes_no_place() {
    let mut world = World::new();
    let server = world.open_server(SERVER, PORT);
    let_in(&mut world, server, 1);
    for first in 20..64 {
        for len in [0, 1, 12, 60, 1_200] {
            world.receive(server, remote(1), &[&[first, 254, 253][..], &vec![0; len]].concat());
        }
        // A record of the right kind and length whose message is beyond all bounds, and one that is encrypted already.
        let absurd = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0];
        let sealed = [&[first, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 60][..], &[7; 60]].concat();
        world.receive(server, remote(1), &absurd);
        world.receive(server, remote(1), &sealed);
    }
    assert_eq!((world.held("held_handshakes"), world.dropped(DropReason::HandshakePutOff)), (0, 0));
    world.receive(server, remote(1), &HALF_A_HELLO);
    assert_eq!(world.held("held_handshakes"), 1);
    world.assert_accounted();
}

#[test]
fn who_goes_while_it_waits_leaves_its_turn_to_nobody() {
    let mut world = World::new();
    world.is_busy = true;
    let mut browsers = crowd(&mut world, Role::Client, 3);
    live(&mut world, &mut browsers, 1);
    world.close_transport("t2");
    // It has the place in the shard's tables that the other had.
    let other = world.offer("t9", &Setup::from_port(9));
    world.introduce(&other);
    world.is_busy = false;
    world.flush();
    assert_eq!(begun(&mut world), ["t1", "t3"]);
    assert_eq!(dump(&mut world, "t9").dtls_state, State::New);
}

#[test]
fn who_was_not_there_at_its_turn_begins_when_it_is_back() {
    let mut world = World::new();
    world.is_busy = true;
    let server = world.open_server(SERVER, PORT);
    let credentials = let_in(&mut world, server, 1);
    // Longer than its consent lasts.
    world.advance_ms(40_000);
    let_in(&mut world, server, 2);
    world.is_busy = false;
    world.flush();
    assert_eq!(begun(&mut world), ["served 2"]);
    world.receive(server, remote(1), &PLAIN.bytes(&credentials));
    assert_eq!(begun(&mut world), ["served 1"]);
}

#[test]
fn beyond_what_may_wait_they_ask_again() {
    /// As many as may wait.
    const WAITING: u16 = 4_096;
    let mut world = World::new();
    world.is_busy = true;
    let server = world.open_server(SERVER, PORT);
    for number in 1..=WAITING + 1 {
        let_in(&mut world, server, number);
    }
    assert_eq!(world.held("held_handshakes_queued"), WAITING.into());
    world.advance_handshake();
    assert_eq!(world.held("held_handshakes_queued"), u64::from(WAITING) - 1);
    world.advance_ms(1_100);
    assert_eq!(world.held("held_handshakes_queued"), WAITING.into(), "without another check");
    world.is_busy = false;
    world.flush();
    assert_eq!(begun(&mut world).len(), usize::from(WAITING) + 1);
}

/// Of a library that has a fault.
#[derive(Debug)]
struct Faulty;

impl Connector for Faulty {
    fn connect(
        &self,
        _: Time,
        _: Role,
        _: &Fingerprint,
        _: &mut Output,
    ) -> Result<Box<dyn Connection>, String> {
        panic!("a fault")
    }
}

#[test]
fn a_panic_closes_the_transport_whose_handshake_it_was() {
    let mut world = World::with(1, Arc::new(Faulty), Rules::NEWEST);
    world.is_busy = true;
    let server = world.open_server(SERVER, PORT);
    let_in(&mut world, server, 1);
    let_in(&mut world, server, 2);
    assert!(catch_unwind(AssertUnwindSafe(|| world.advance_handshake())).is_err());
    world.sfu.handle_panic(CameBy::Handshake, &mut world.sockets, &mut world.out);
    let failed = |event: &Event| match event {
        Event::TransportFailed { transport, .. } => Some(transport.to_string()),
        _ => None,
    };
    assert_eq!(world.take_events().iter().find_map(failed).as_deref(), Some("served 1"));
    assert_eq!((world.report().transports, world.held("held_handshakes_queued")), (1, 1));
    world.assert_accounted();
}

/// CVE-2023-49786 and its kin: half a ClientHello and fatal alerts, from somebody else, ahead of the peer's own.
#[test]
fn hellos_of_strangers_neither_end_a_handshake_nor_are_answered() {
    let alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40];
    let mut world = World::new();
    let mut browsers = crowd(&mut world, Role::Client, 4);
    let mut said = 0;
    for _ in 0..200 {
        for browser in &browsers {
            let (_, socket) = browser.paths[0];
            for stranger in 1_000..1_004 {
                for bytes in [&HALF_A_HELLO[..], &alert] {
                    world.receive(socket, remote(stranger), bytes);
                    said += 1;
                }
            }
        }
        assert!(world.take_sent().is_empty(), "nobody is answered");
        live(&mut world, &mut browsers, 1);
    }
    live(&mut world, &mut browsers, 1_000);
    assert!(browsers.iter().all(|browser| browser.peer.is_connected()));
    // All of it was dropped where it came in, before a handshake, during and after it.
    assert_eq!(world.dropped(DropReason::NoIce), said);
    world.assert_accounted();
}
