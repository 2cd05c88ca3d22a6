//! Handshakes of WebRTC transports with a real peer: when they begin, how they end, and what is left then.

use ringsoup_peer::Event as PeerEvent;
use ringsoup_rtc::dtls::{Role, State};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;

use crate::common::World;
use crate::common::browser::{Browser, DTLS, NOTHING, Setup, certificate, sha256};
use crate::common::dtls::identity;
use crate::common::packets::{SPEECH, rtp};
use crate::common::parameters::{OPUS, produce_audio};
use crate::webrtc_ice::webrtc_news;
use crate::webrtc_transport::{dump, stats};

fn setup(role: Role) -> Setup {
    Setup { role, ..Setup::from_port(1) }
}

fn offered(role: Role) -> (World, Browser) {
    let mut world = World::new();
    let browser = world.offer("t", &setup(role));
    (world, browser)
}

fn dtls_state(world: &mut World) -> State {
    let (dump, stats) = (dump(world, "t"), stats(world, "t"));
    assert_eq!(dump.dtls_state, stats.dtls_state);
    dump.dtls_state
}

fn failed(browser: &Browser) -> bool {
    browser.events.iter().any(|event| matches!(event, PeerEvent::Failed(_)))
}

/// An audio packet under keys that were good once, by the peer's own way.
fn late_packet(world: &mut World, browser: &mut Browser) {
    world.rtp_from(browser, &rtp(OPUS, 9, 9, 5, SPEECH));
}

#[test]
fn both_roles_lead_to_keys() {
    for (role, told) in [
        // We are the client: our hello waits for nothing but an address.
        (Role::Server, ["selected 1", "ice connected", "dtls connecting", "ice completed", "dtls connected"]),
        (Role::Client, ["selected 1", "ice connected", "dtls connecting", "ice completed", "dtls connected"]),
    ] {
        let (mut world, mut browser) = offered(role);
        world.introduce(&browser);
        world.live(&mut [&mut browser], 2_000);
        let events = world.take_events();
        assert_eq!(webrtc_news(&events), told, "{role:?}");
        assert_eq!(dtls_state(&mut world), State::Connected);
        let theirs = events.iter().find_map(|event| match event {
            Event::WebRtcDtlsState { remote_certificate, .. } => remote_certificate.clone(),
            _ => None,
        });
        assert!(theirs.expect("told").starts_with("-----BEGIN CERTIFICATE-----\n"));
        let ours = browser.events.iter().find_map(|event| match event {
            PeerEvent::Connected { remote_certificate, .. } => Some(remote_certificate.clone()),
            _ => None,
        });
        assert_eq!(ours.expect("connected"), identity().certificate.der());
        world.assert_accounted();
    }
}

#[test]
fn the_handshake_waits_for_the_fingerprint() {
    let (mut world, mut browser) = offered(Role::Client);
    world.live(&mut [&mut browser], 1_000);
    assert_eq!(webrtc_news(&world.take_events()), ["selected 1", "ice connected", "ice completed"]);
    assert!(world.dropped(DropReason::NoHandshake) > 0, "the peer spoke too early");
    assert_eq!(dtls_state(&mut world), State::New);
    world.introduce(&browser);
    assert_eq!(webrtc_news(&world.take_events()), ["dtls connecting"]);
    world.live(&mut [&mut browser], 10_000);
    assert_eq!(webrtc_news(&world.take_events()), ["dtls connected"]);
}

#[test]
fn a_peer_of_another_fingerprint_gets_no_keys() {
    for role in [Role::Client, Role::Server] {
        let (mut world, mut browser) = offered(role);
        world.produce("t", produce_audio("p", 5, 105));
        world.introduce_as(&browser, sha256(&identity().certificate));
        world.live(&mut [&mut browser], 2_000);
        let told = webrtc_news(&world.take_events());
        assert_eq!(told.last().map(String::as_str), Some("dtls failed"), "{role:?}: {told:?}");
        assert_eq!(dtls_state(&mut world), State::Failed);
        // Whatever the peer believes, nothing of it is read.
        if browser.peer.is_connected() {
            late_packet(&mut world, &mut browser);
            assert_eq!(world.dropped(DropReason::NoSrtpKeys), 1);
        }
        assert_eq!(world.report().forwarded_packets, 0);
        world.live(&mut [&mut browser], 40_000);
        assert_eq!(dtls_state(&mut world), State::Failed, "for good");
        world.assert_accounted();
    }
}

#[test]
fn a_browser_that_expects_another_is_refused_by_itself() {
    let mut world = World::new();
    let setup = Setup { fingerprint: sha256(certificate()), ..setup(Role::Client) };
    let mut browser = world.offer("t", &setup);
    world.introduce(&browser);
    world.live(&mut [&mut browser], 2_000);
    assert!(failed(&browser), "{:?}", browser.events);
    assert_ne!(dtls_state(&mut world), State::Connected);
}

#[test]
fn what_gets_lost_is_sent_again() {
    for role in [Role::Client, Role::Server] {
        let (mut world, mut browser) = offered(role);
        world.introduce(&browser);
        browser.loses = DTLS;
        world.live(&mut [&mut browser], 700);
        assert_eq!(dtls_state(&mut world), State::Connecting, "{role:?}");
        browser.loses = NOTHING;
        world.live(&mut [&mut browser], 10_000);
        assert_eq!(dtls_state(&mut world), State::Connected, "{role:?}");
    }
}

#[test]
fn a_handshake_that_nobody_answers_fails_in_half_a_minute() {
    let (mut world, mut browser) = offered(Role::Server);
    world.introduce(&browser);
    browser.loses = DTLS;
    world.live(&mut [&mut browser], 20_000);
    assert_eq!(dtls_state(&mut world), State::Connecting);
    world.live(&mut [&mut browser], 15_000);
    assert_eq!(dtls_state(&mut world), State::Failed);
    let told = webrtc_news(&world.take_events());
    assert_eq!(told, ["selected 1", "ice connected", "dtls connecting", "ice completed", "dtls failed"]);
}

#[test]
fn a_good_bye_of_the_peer_ends_everything_but_ice() {
    let mut world = World::new();
    let mut browser = world.browser("t", 1);
    world.produce("t", produce_audio("p", 5, 105));
    let mut late = browser.sealed(&rtp(OPUS, 9, 9, 5, SPEECH));
    world.take_events();
    browser.peer.close();
    world.live(&mut [&mut browser], 100);
    assert_eq!(webrtc_news(&world.take_events()), ["dtls closed"]);
    assert_eq!(dtls_state(&mut world), State::Closed);
    let (socket, local) = browser.selected();
    world.receive(socket, local, &late);
    assert_eq!(world.dropped(DropReason::NoSrtpKeys), 1);
    late[0] = 22;
    world.receive(socket, local, &late);
    assert_eq!(world.dropped(DropReason::NoHandshake), 1);
    world.assert_accounted();
}

#[test]
fn a_closing_transport_says_good_bye() {
    let mut world = World::new();
    let mut browser = world.browser("t", 1);
    world.close_transport("t");
    let words = std::mem::take(&mut world.sockets.last_words);
    let [(to, word)] = &words[..] else { panic!("one last word: {words:?}") };
    assert_eq!(*to, browser.selected().1);
    let path = browser.peer.selected().expect("selected");
    browser.peer.handle(world.now, path, &mut word.clone());
    world.carry(&mut [&mut browser]);
    assert!(browser.events.iter().any(|event| matches!(event, PeerEvent::Closed)));
    assert_eq!(world.sockets.open_count(), 0);
    world.advance_ms(60_000);
    for name in ["held_lanes", "held_socket_owners", "held_timers"] {
        assert_eq!(world.held(name), 0, "{name}");
    }
}

#[test]
fn closing_in_the_middle_leaves_nothing() {
    let (mut world, mut browser) = offered(Role::Server);
    world.introduce(&browser);
    browser.loses = DTLS;
    world.live(&mut [&mut browser], 300);
    assert_eq!(dtls_state(&mut world), State::Connecting);
    world.close_transport("t");
    assert_eq!(world.sockets.open_count(), 0);
    world.advance_ms(60_000);
    for name in ["held_lanes", "held_socket_owners", "held_timers"] {
        assert_eq!(world.held(name), 0, "{name}");
    }
}

#[test]
fn application_data_is_a_counted_drop() {
    let mut world = World::new();
    let mut browser = world.browser("t", 1);
    browser.peer.send_application_data(b"an SCTP packet");
    world.live(&mut [&mut browser], 100);
    assert_eq!(world.dropped(DropReason::Sctp), 1);
    assert_eq!(dtls_state(&mut world), State::Connected);
    world.assert_accounted();
}

#[test]
fn noise_on_the_peers_way_does_no_harm() {
    let mut world = World::new();
    let mut browser = world.browser("t", 1);
    let (socket, local) = browser.selected();
    for first in 20..64 {
        for len in [13, 14, 100, 1_200] {
            let noise: Vec<u8> = (0..len).map(|at: usize| at.to_le_bytes()[0].wrapping_mul(37)).collect();
            world.receive(socket, local, &[&[first, 254, 253], &noise[..]].concat());
        }
    }
    world.live(&mut [&mut browser], 100);
    assert_eq!(dtls_state(&mut world), State::Connected);
    world.assert_accounted();
}
