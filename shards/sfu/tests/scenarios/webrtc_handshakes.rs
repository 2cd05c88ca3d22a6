//! More handshakes than a shard takes on at once.

use ringsoup_rtc::dtls::{Role, State};
use ringsoup_sfu::command::Command;
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;

use crate::common::browser::{Browser, DTLS, NOTHING, Setup};
use crate::common::{ROUTER, World, remote};
use crate::webrtc_transport::dump;

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

/// When handshakes began, in milliseconds.
fn begun(world: &mut World) -> usize {
    let began = |event: &Event| matches!(event, Event::WebRtcDtlsState { state: State::Connecting, .. });
    world.take_events().iter().filter(|event| began(event)).count()
}

#[test]
fn a_crowd_is_let_in_little_by_little_and_nobody_is_forgotten() {
    for role in [Role::Client, Role::Server] {
        let mut world = World::new();
        let mut browsers = crowd(&mut world, role, 30);
        live(&mut world, &mut browsers, 1);
        let at_once = begun(&mut world);
        assert!((8..=10).contains(&at_once), "{role:?}: {at_once}");
        live(&mut world, &mut browsers, 10_000);
        assert!(browsers.iter().all(|browser| browser.peer.is_connected()), "{role:?}");
        assert_eq!(at_once + begun(&mut world), 30);
        world.assert_accounted();
    }
}

#[test]
fn those_that_have_begun_are_not_held_up_by_those_that_come() {
    let mut world = World::new();
    let mut browsers = crowd(&mut world, Role::Client, 8);
    // They have begun, and their peers' answers are on the way.
    browsers.iter_mut().for_each(|browser| browser.loses = DTLS);
    live(&mut world, &mut browsers, 1);
    assert_eq!(begun(&mut world), 8);
    browsers.iter_mut().for_each(|browser| browser.loses = NOTHING);
    let offer = |port| world.offer(&format!("t{port}"), &Setup::from_port(port));
    let late: Vec<_> = (100..200).map(offer).collect();
    late.iter().for_each(|browser| world.introduce(browser));
    browsers.extend(late);
    live(&mut world, &mut browsers, 150);
    assert!(browsers[..8].iter().all(|browser| browser.peer.is_connected()));
    assert!(browsers[8..].iter().any(|browser| !browser.peer.is_connected()));
}

#[test]
fn who_goes_makes_room() {
    let mut world = World::new();
    let mut left = 0;
    // Far more than may be under way, none of which ever ends by itself.
    for round in 0..12 {
        let mut browsers: Vec<_> = (0..100)
            .map(|index| world.offer(&format!("{round} {index}"), &Setup::from_port(1 + round * 100 + index)))
            .collect();
        for browser in &mut browsers {
            world.introduce(browser);
            browser.loses = DTLS;
        }
        live(&mut world, &mut browsers, 1_500);
        left += browsers.iter().filter(|one| dump(&mut world, &one.name).dtls_state == State::New).count();
        for browser in &browsers {
            world.command(Command::CloseTransport {
                router: ROUTER.into(),
                transport: browser.name.as_str().into(),
            });
        }
    }
    assert_eq!(left, 0);
}

/// CVE-2023-49786 and its kin: half a ClientHello and fatal alerts, from somebody else, ahead of the peer's own.
#[test]
fn hellos_of_strangers_neither_end_a_handshake_nor_are_answered() {
    let hello =
        [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2][..], &[254, 253]];
    let (hello, alert) = (hello.concat(), [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40]);
    let mut world = World::new();
    let mut browsers = crowd(&mut world, Role::Client, 4);
    let mut said = 0;
    for _ in 0..200 {
        for browser in &browsers {
            let (_, socket) = browser.paths[0];
            for stranger in 1_000..1_004 {
                for bytes in [&hello[..], &alert] {
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
