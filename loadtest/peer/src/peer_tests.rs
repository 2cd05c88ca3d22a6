//! A peer against a lite agent, over a network in memory.

use std::time::Duration;

use ringsoup_rtc::dtls::Role;
use ringsoup_rtc::ice::{Event as IceEvent, State as ServerState};
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_rtc::stun::{Message, is_stun};
use ringsoup_rtc::time::Time;

use crate::test_support::{Network, Setup, credentials, path};
use crate::{Datagram, Event, IceState, Ignored, Nomination, Path, Received, Unread};

/// Header, then payload.
const RTP: [u8; 20] = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8];
/// An empty receiver report.
const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 3];

fn with_room(packet: &[u8]) -> Vec<u8> {
    [packet, &[0; 32]].concat()
}

fn connected_at(network: &Network) -> Option<CryptoSuite> {
    network.events.iter().find_map(|event| match event {
        Event::Connected { suite, .. } => Some(*suite),
        _ => None,
    })
}

fn selected(network: &Network) -> Vec<Path> {
    let selected = |event: &Event| if let Event::Selected(path) = event { Some(*path) } else { None };
    network.events.iter().filter_map(selected).collect()
}

fn exchange_media(network: &mut Network) {
    let (outbound, inbound) = network.server.out.sessions.as_mut().unwrap();
    for (packet, is_rtcp) in [(&RTP[..], false), (&RTCP[..], true)] {
        let mut ours = with_room(packet);
        let length = if is_rtcp {
            network.peer.protect_rtcp(&mut ours, packet.len())
        } else {
            network.peer.protect_rtp(&mut ours, 12, packet.len())
        };
        let protected = &mut ours[..length.unwrap().unwrap()];
        assert_eq!(protected.len(), packet.len() + if is_rtcp { 20 } else { 16 });
        let length =
            if is_rtcp { inbound.unprotect_rtcp(protected) } else { inbound.unprotect_rtp(protected) };
        assert_eq!(&protected[..length.unwrap()], packet);
        let mut theirs = with_room(packet);
        let length = if is_rtcp {
            outbound.protect_rtcp(&mut theirs, packet.len())
        } else {
            outbound.protect_rtp(&mut theirs, 12, packet.len())
        };
        let received = network.peer.handle(network.now, path(1), &mut theirs[..length.unwrap()]);
        let expected = &mut packet.to_vec()[..];
        assert_eq!(received, if is_rtcp { Received::Rtcp(expected) } else { Received::Rtp(expected) });
    }
}

#[test]
fn media_flows_both_ways_in_either_dtls_role() {
    for role in [Role::Client, Role::Server] {
        let mut network = Network::new(Setup { role, ..Setup::default() });
        assert_eq!(network.peer.local_parameters().role, role);
        assert!(network.peer.protect_rtp(&mut with_room(&RTP), 12, RTP.len()).is_none());
        network.connect();
        assert_eq!(connected_at(&network), Some(CryptoSuite::AeadAes256Gcm), "{role:?}");
        assert_eq!(network.peer.ice_state(), IceState::Completed);
        assert_eq!(network.server.agent.state(), ServerState::Completed);
        exchange_media(&mut network);
    }
}

#[test]
fn the_seed_decides_what_is_sent_first() {
    let first = || Network::new(Setup::default()).peer.poll_datagram();
    assert!(first().is_some());
    assert_eq!(first(), first());
}

#[test]
fn each_way_to_nominate_selects_on_both_sides() {
    for (nomination, checks) in
        [(Nomination::Aggressive, 1), (Nomination::Regular, 2), (Nomination::Renomination, 2)]
    {
        let mut network = Network::new(Setup { nomination, ..Setup::default() });
        network.run_for(Duration::from_secs(1));
        assert_eq!(network.server.checks.len(), checks, "{nomination:?}");
        assert_eq!(network.server.agent.state(), ServerState::Completed);
        assert_eq!(selected(&network), [path(1)]);
    }
}

#[test]
fn every_loss_at_the_beginning_is_made_up_for() {
    for role in [Role::Client, Role::Server] {
        for first in 0..10 {
            for second in first..12 {
                let mut network = Network::new(Setup { role, ..Setup::default() });
                network.loses = Box::new(move |count, _| count == first || count == second);
                network.connect();
            }
        }
    }
}

#[test]
fn a_certificate_that_was_not_signalled_is_refused() {
    for role in [Role::Client, Role::Server] {
        let mut network = Network::new(Setup { role, wrong_fingerprint: true, ..Setup::default() });
        network.run_for(Duration::from_secs(2));
        assert!(!network.peer.is_connected());
        let failed = |event: &Event| matches!(event, Event::Failed(why) if why.contains("certificate"));
        assert!(network.events.iter().any(failed), "{:?}", network.events);
    }
}

#[test]
fn the_first_path_that_works_is_nominated_and_another_can_be() {
    for nomination in [Nomination::Regular, Nomination::Renomination] {
        let paths = vec![path(1), path(2), path(3)];
        let mut network = Network::new(Setup { nomination, paths, ..Setup::default() });
        network.loses = Box::new(|_, datagram| datagram.path == path(1));
        network.run_for(Duration::from_millis(500));
        assert_eq!(selected(&network), [path(2)]);
        assert!(network.server.agent.is_valid(path(3)), "checked too");
        network.peer.nominate(network.now, path(3));
        network.run_for(Duration::from_millis(500));
        assert_eq!(selected(&network), [path(2), path(3)]);
        assert_eq!(network.server.agent.selected(), Some(path(3)));
        network.peer.remove_path(network.now, path(3));
        network.run_for(Duration::from_millis(500));
        assert_eq!(network.peer.selected(), Some(path(2)));
        assert_eq!(network.server.agent.selected(), Some(path(2)));
    }
}

#[test]
fn a_path_that_is_nominated_before_it_works_is_selected_once_it_does() {
    let mut network = Network::new(Setup::default());
    network.run_for(Duration::from_secs(1));
    network.peer.nominate(network.now, path(2));
    network.run_for(Duration::from_secs(1));
    assert_eq!(selected(&network), [path(1)]);
    network.peer.add_path(network.now, path(2));
    network.run_for(Duration::from_secs(1));
    assert_eq!(selected(&network), [path(1), path(2)]);
}

#[test]
fn consent_is_asked_for_and_its_end_is_told() {
    let mut network = Network::new(Setup::default());
    network.run_for(Duration::from_secs(60));
    let asked = network.server.checks.len() - 2;
    assert!((10..=15).contains(&asked), "{asked} checks in a minute");
    network.loses = Box::new(|_, _| true);
    // The last answer came at most 6 s ago.
    network.run_for(Duration::from_secs(23));
    assert_eq!(network.peer.ice_state(), IceState::Completed);
    network.run_for(Duration::from_secs(8));
    assert_eq!(network.peer.ice_state(), IceState::Disconnected);
    assert_eq!((network.peer.selected(), network.peer.next_timeout().is_none()), (None, false));
}

#[test]
fn a_restart_takes_new_credentials_and_leaves_media_alone() {
    let mut network = Network::new(Setup::default());
    network.connect();
    let before = network.peer.local_parameters().credentials;
    let events = &mut network.server.ice_events;
    network.server.agent.restart(network.now, credentials(1), &mut |event| events.push(event));
    network.peer.restart_ice(network.now, credentials(1));
    assert_ne!(network.peer.local_parameters().credentials, before);
    assert_eq!(network.peer.selected(), Some(path(1)));
    exchange_media(&mut network);
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.peer.ice_state(), IceState::Completed);
    assert!(network.server.ice_events.contains(&IceEvent::Retired(credentials(0))));
}

#[test]
fn nobody_there_is_a_failure_and_a_further_path_mends_it() {
    let mut network = Network::new(Setup::default());
    network.loses = Box::new(|_, datagram| datagram.path == path(1));
    network.run_for(Duration::from_secs(10));
    assert_eq!(network.peer.ice_state(), IceState::Failed);
    network.peer.add_path(network.now, path(2));
    network.connect();
    assert_eq!(network.peer.ice_state(), IceState::Completed);
}

#[test]
fn messages_and_the_good_bye_go_over_dtls() {
    let mut network = Network::new(Setup::default());
    network.connect();
    network.peer.send_application_data(b"sctp");
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.server.out.messages, [b"sctp"]);
    network.server.dtls.send(b"back", &mut network.server.out);
    network.run_for(Duration::from_secs(1));
    assert!(
        network.events.iter().any(|event| matches!(event, Event::ApplicationData(data) if data == b"back"))
    );
    network.peer.close();
    network.run_for(Duration::from_secs(1));
    assert!(network.server.out.is_closed);
}

#[test]
fn what_is_not_meant_for_it_is_named() {
    let mut network = Network::new(Setup::default());
    let check = network.peer.poll_datagram().unwrap().bytes;
    let unread = |network: &mut Network, bytes: &[u8]| match network.peer.handle(
        network.now,
        path(1),
        &mut bytes.to_vec(),
    ) {
        Received::Unread(unread) => Some(unread),
        _ => None,
    };
    assert_eq!(unread(&mut network, &check), Some(Unread::Stun(Ignored::NotAResponse)));
    assert_eq!(unread(&mut network, &with_room(&RTP)), Some(Unread::NoKeys));
    assert_eq!(unread(&mut network, &[255; 9]), Some(Unread::Unknown));
    assert_eq!(unread(&mut network, &[]), Some(Unread::Unknown));
    let mut record = [22; 30];
    let stranger = network.peer.handle(network.now, path(9), &mut record);
    assert_eq!(stranger, Received::Unread(Unread::Path));
}

/// Whatever bits fall over under way, a check's answer is believed only if it is the server's.
#[test]
fn answers_that_were_tampered_with_are_not_believed() {
    let mut network = Network::new(Setup::default());
    network.loses = Box::new(|_, _: &Datagram| false);
    let check = network.peer.poll_datagram().unwrap();
    let mut answer = [0; 200];
    let message = Message::parse(&check.bytes).unwrap();
    let writer = ringsoup_rtc::stun::Writer::new(
        &mut answer,
        ringsoup_rtc::stun::Class::SuccessResponse,
        ringsoup_rtc::stun::BINDING,
        message.transaction(),
    );
    let key = ringsoup_rtc::stun::IntegrityKey::new(b"somebody else's");
    let mut answer = writer.xor_mapped_address(path(1).local).finish(Some(&key)).unwrap().to_vec();
    assert!(is_stun(&answer));
    let received = network.peer.handle(Time::from_millis(1_001), path(1), &mut answer);
    assert_eq!(received, Received::Unread(Unread::Stun(Ignored::Unauthentic)));
    assert_eq!(network.peer.ice_state(), IceState::Checking);
}
