//! Where a WebRTC transport finds its peer: by the checks that come in, and by their absence.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ringsoup_rtc::ice::{Credentials, State};
use ringsoup_rtc::stun::{BINDING, Class, Writer};
use ringsoup_sfu::command::{ListenInfo, Protocol, TransportCommand, WebRtcListen};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::sockets::SocketId;

use crate::common::checks::{Answer, Check, NOMINATING, PLAIN, nomination};
use crate::common::packets::{SPEECH, rtp};
use crate::common::parameters::{OPUS, listen_info};
use crate::common::{PORT_MIN, World, remote};
use crate::webrtc_transport::{create, dump, options, stats};

/// A transport `t` and what its peer knows of it.
struct Offered {
    world: World,
    socket: SocketId,
    credentials: Credentials,
}

fn offered_on(infos: &[ListenInfo]) -> Offered {
    let mut world = World::new();
    let listen = options(WebRtcListen::Individual(Ok(infos.to_vec())));
    let credentials = create(&mut world, "t", listen).expect("created").ice_parameters;
    Offered { world, socket: SocketId(0), credentials }
}

fn offered() -> Offered {
    offered_on(&[listen_info()])
}

impl Offered {
    fn check(&mut self, peer: u16, check: Check) -> Answer {
        self.world.check(self.socket, remote(peer), check, &self.credentials)
    }

    /// A check that must be good, and what was told then.
    fn told(&mut self, peer: u16, check: Check) -> Vec<String> {
        assert_eq!(self.check(peer, check), Answer::Success(remote(peer)));
        self.news()
    }

    fn news(&mut self) -> Vec<String> {
        webrtc_news(&self.world.take_events())
    }

    /// State, and the port of the selected peer.
    fn shown(&mut self) -> (State, Option<u16>) {
        let (dump, stats) = (dump(&mut self.world, "t"), stats(&mut self.world, "t"));
        assert_eq!((dump.ice_state, &dump.ice_selected_tuple), (stats.ice_state, &stats.ice_selected_tuple));
        let port = dump.ice_selected_tuple.map(|tuple| tuple.remote.expect("known").port());
        (dump.ice_state, port)
    }

    fn held(&mut self, name: &str) -> u64 {
        self.world.held(name)
    }
}

/// One word per event of WebRTC transports.
pub(crate) fn webrtc_news(events: &[Event]) -> Vec<String> {
    let word = |event: &Event| {
        Some(match event {
            Event::WebRtcIceSelectedTuple { tuple, .. } => {
                format!("selected {}", tuple.remote.expect("known").port())
            }
            Event::WebRtcIceState { state, .. } => format!("ice {state:?}").to_lowercase(),
            Event::WebRtcDtlsState { state, .. } => format!("dtls {state:?}").to_lowercase(),
            _ => return None,
        })
    };
    events.iter().filter_map(word).collect()
}

#[test]
fn checks_lead_from_new_to_completed() {
    let mut t = offered();
    assert_eq!(t.shown(), (State::New, None));
    assert_eq!(t.told(1, PLAIN), ["selected 1", "ice connected"]);
    assert_eq!(t.shown(), (State::Connected, Some(1)));
    assert_eq!(t.told(1, NOMINATING), ["ice completed"]);
    assert_eq!(t.told(1, NOMINATING), [""; 0]);
    assert_eq!(t.shown(), (State::Completed, Some(1)));
    let tuple = dump(&mut t.world, "t").ice_selected_tuple.expect("selected");
    assert_eq!((&*tuple.local_address, tuple.local_port), ("127.0.0.1", PORT_MIN));
    assert_eq!((tuple.remote, tuple.protocol), (Some(remote(1)), Protocol::Udp));
    let sent = stats(&mut t.world, "t").base.bytes_sent;
    assert_eq!(sent, 3 * (20 + 12 + 24 + 8), "replies are counted");
    t.world.assert_accounted();
}

#[test]
fn the_tuple_is_the_bound_address_whatever_is_announced() {
    let announced = ListenInfo { announced_address: Some("9.9.9.1".into()), ..listen_info() };
    let mut t = offered_on(&[announced]);
    t.told(1, PLAIN);
    assert_eq!(dump(&mut t.world, "t").ice_selected_tuple.expect("selected").local_address, "127.0.0.1");
}

#[test]
fn nominations_move_the_selection() {
    let mut t = offered();
    t.told(1, PLAIN);
    // Another way alone changes nothing.
    assert_eq!(t.told(2, PLAIN), [""; 0]);
    assert_eq!(t.told(2, NOMINATING), ["selected 2", "ice completed"]);
    assert_eq!(t.told(1, nomination(7)), ["selected 1"]);
    assert_eq!(t.told(2, nomination(6)), [""; 0], "an older one");
    assert_eq!(t.told(2, nomination(8)), ["selected 2"]);
    assert_eq!(t.told(1, NOMINATING), ["selected 1"]);
    assert_eq!(t.shown(), (State::Completed, Some(1)));
}

#[test]
fn a_peer_has_eight_tuples_and_a_lane_for_each() {
    let mut t = offered();
    for peer in 1..=20 {
        assert_eq!(t.check(peer, PLAIN), Answer::Success(remote(peer)));
        assert_eq!(t.held("held_lanes"), u64::from(peer.min(8)));
    }
    assert_eq!(t.news(), ["selected 1", "ice connected"]);
    // The oldest are gone, but for the selected one: what comes from them is a stranger's.
    let packet = rtp(OPUS, 1, 1, 5, SPEECH);
    for (peer, no_ice) in [(1, 0), (2, 1), (13, 2), (14, 2), (20, 2)] {
        t.world.receive(t.socket, remote(peer), &packet);
        assert_eq!(t.world.dropped(DropReason::NoIce), no_ice, "{peer}");
    }
    assert_eq!(t.world.dropped(DropReason::NoSrtpKeys), 3);
    t.world.assert_accounted();
}

#[test]
fn silence_ends_consent_and_a_check_renews_it() {
    let mut t = offered();
    t.told(1, NOMINATING);
    t.told(2, PLAIN);
    for _ in 0..10 {
        t.world.advance_ms(29_000);
        assert_eq!(t.told(2, PLAIN), [""; 0]);
    }
    assert_eq!(t.world.sfu.timer_count(), 1, "however many checks there were");
    t.world.advance_ms(29_990);
    assert_eq!(t.shown(), (State::Completed, Some(1)));
    t.world.advance_ms(20);
    assert_eq!(t.news(), ["ice disconnected"]);
    assert_eq!(t.shown(), (State::Disconnected, None));
    assert_eq!((t.held("held_lanes"), t.world.sfu.timer_count()), (0, 0));
    assert_eq!(t.told(2, NOMINATING), ["selected 2", "ice completed"]);
}

#[test]
fn without_a_consent_timeout_silence_means_nothing() {
    let mut world = World::new();
    let mut listen = options(WebRtcListen::Individual(Ok(vec![listen_info()])));
    listen.ice_consent_timeout = 0;
    let credentials = create(&mut world, "t", listen).expect("created").ice_parameters;
    let mut t = Offered { world, socket: SocketId(0), credentials };
    t.told(1, PLAIN);
    t.world.advance_ms(3_600_000);
    assert_eq!(t.shown(), (State::Connected, Some(1)));
}

#[test]
fn a_restart_keeps_the_peer_until_it_has_the_new_credentials() {
    let mut t = offered();
    t.told(1, NOMINATING);
    let before = t.credentials.clone();
    t.world.advance_ms(20_000);
    let Reply::RestartIce(after) = t.world.transport("t", TransportCommand::RestartIce) else {
        panic!("not credentials")
    };
    assert_eq!(t.told(1, PLAIN), [""; 0], "the old ones are still good");
    t.credentials = after;
    assert_eq!(t.told(2, NOMINATING), ["selected 2"]);
    t.credentials = before;
    assert_eq!(t.check(1, PLAIN), Answer::Error(401));
    assert_eq!(t.shown(), (State::Completed, Some(2)));
    // The restart gave the peer its time anew.
    t.world.advance_ms(29_000);
    assert_eq!(t.news(), [""; 0]);
}

#[test]
fn every_address_is_checked_for_itself() {
    let v6 = ListenInfo { ip: IpAddr::V6(Ipv6Addr::LOCALHOST), ..listen_info() };
    let mut t = offered_on(&[listen_info(), v6]);
    let peer = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9));
    t.told(1, PLAIN);
    let answer = t.world.check(SocketId(1), peer, NOMINATING, &t.credentials);
    assert_eq!(answer, Answer::Success(peer));
    assert_eq!(t.news(), ["selected 9", "ice completed"]);
    let tuple = dump(&mut t.world, "t").ice_selected_tuple.expect("selected");
    assert_eq!((&*tuple.local_address, tuple.remote), ("::1", Some(peer)));
}

#[test]
fn strangers_learn_little_and_leave_nothing() {
    let mut t = offered();
    let wrong = Credentials { password: "guessed".into(), ..t.credentials.clone() };
    let (lanes, timers) = (t.held("held_lanes"), t.world.sfu.timer_count());
    let answers: Vec<_> =
        (0..1_000).map(|peer| t.world.check(t.socket, remote(peer), NOMINATING, &wrong)).collect();
    let replied = answers.iter().filter(|answer| **answer == Answer::Error(401)).count();
    assert_eq!(replied, 8, "all at one moment");
    assert!(answers[8..].iter().all(|answer| *answer == Answer::Nothing));
    assert_eq!(t.check(1, Check { is_controlled: true, ..PLAIN }), Answer::Nothing);
    t.world.advance_ms(1_000);
    assert_eq!(t.check(1, Check { is_controlled: true, ..PLAIN }), Answer::Error(487));
    assert_eq!(t.shown(), (State::New, None));
    assert_eq!((t.held("held_lanes"), t.world.sfu.timer_count()), (lanes, timers));
    assert_eq!(t.world.dropped(DropReason::StunRefused), 1_002);
    t.world.assert_accounted();
}

#[test]
fn only_checks_are_answered() {
    let mut t = offered();
    let mut buffer = [0; 100];
    let mut send = |class, world: &mut World| {
        let bytes = Writer::new(&mut buffer, class, BINDING, b"transaction.").finish(None).expect("it fits");
        world.receive(SocketId(0), remote(1), bytes);
        assert!(world.take_sent().is_empty());
    };
    send(Class::Indication, &mut t.world);
    assert_eq!(t.world.report().consumed_packets, 1, "it holds a way open");
    send(Class::SuccessResponse, &mut t.world);
    send(Class::Request, &mut t.world);
    assert_eq!(t.world.dropped(DropReason::StunRefused), 2);
    let mut altered = NOMINATING.bytes(&t.credentials);
    let last = altered.len() - 1;
    altered[last] ^= 1;
    t.world.receive(t.socket, remote(1), &altered);
    assert_eq!(t.world.dropped(DropReason::MalformedStun), 1);
    assert_eq!(t.shown(), (State::New, None));
    t.world.assert_accounted();
}

#[test]
fn closing_frees_everything() {
    let mut t = offered_on(&[listen_info(), listen_info()]);
    for peer in 1..=8 {
        t.told(peer, NOMINATING);
    }
    // Replies that have not left go with the socket.
    let wrong = Credentials { password: "guessed".into(), ..t.credentials.clone() };
    for (peer, credentials) in [(3, t.credentials.clone()), (99, wrong)] {
        t.world.receive_unflushed(t.socket, remote(peer), &PLAIN.bytes(&credentials));
    }
    t.world.close_transport("t");
    assert!(t.world.take_sent().is_empty());
    assert_eq!(t.world.sockets.open_count(), 0);
    for name in ["held_lanes", "held_socket_owners", "held_connections"] {
        assert_eq!(t.held(name), 0, "{name}");
    }
    t.world.advance_ms(60_000);
    assert_eq!(t.held("held_timers"), 0);
}

mod tcp {
    use super::*;

    fn tcp() -> ListenInfo {
        ListenInfo { protocol: Protocol::Tcp, ..listen_info() }
    }

    #[test]
    fn a_connection_is_a_tuple_once_a_check_came_by_it() {
        let mut t = offered_on(&[tcp()]);
        let connection = t.world.accept(t.socket, remote(1));
        assert!(!t.world.sockets.is_kept(connection));
        t.socket = connection;
        assert_eq!(t.told(1, NOMINATING), ["selected 1", "ice completed"]);
        assert!(t.world.sockets.is_kept(connection));
        let tuple = dump(&mut t.world, "t").ice_selected_tuple.expect("selected");
        assert_eq!((tuple.protocol, tuple.local_port), (Protocol::Tcp, PORT_MIN));
        assert_eq!(tuple.remote, Some(remote(1)));
    }

    #[test]
    fn a_stranger_is_answered_on_its_connection() {
        let mut t = offered_on(&[tcp()]);
        t.socket = t.world.accept(t.socket, remote(1));
        t.credentials.password = "guessed".into();
        assert_eq!(t.check(1, PLAIN), Answer::Error(401));
        assert!(!t.world.sockets.is_kept(t.socket));
    }

    #[test]
    fn a_hang_up_moves_the_selection_and_the_last_one_disconnects() {
        let mut t = offered_on(&[tcp(), listen_info()]);
        let first = t.world.accept(SocketId(0), remote(1));
        let second = t.world.accept(SocketId(0), remote(2));
        (t.socket, _) = (second, t.socket);
        t.told(2, PLAIN);
        t.socket = first;
        assert_eq!(t.told(1, NOMINATING), ["selected 1", "ice completed"]);
        t.world.hang_up(first);
        assert_eq!(t.news(), ["selected 2"]);
        assert_eq!(t.shown(), (State::Completed, Some(2)));
        t.world.hang_up(second);
        assert_eq!(t.news(), ["ice disconnected"]);
        assert_eq!((t.held("held_connections"), t.held("held_lanes")), (0, 0));
        t.world.close_transport("t");
        assert_eq!(t.world.sockets.open_count(), 0);
    }

    #[test]
    fn a_connection_goes_with_its_tuple() {
        let mut t = offered_on(&[tcp(), listen_info()]);
        let connection = t.world.accept(SocketId(0), remote(1));
        t.socket = connection;
        t.told(1, PLAIN);
        t.socket = SocketId(1);
        t.told(2, NOMINATING);
        // Eight others: the oldest that is not selected goes.
        for peer in 3..=9 {
            t.told(peer, PLAIN);
        }
        assert!(!t.world.sockets.is_open(connection));
        assert_eq!(t.held("held_connections"), 0);
        // And by silence.
        let connection = t.world.accept(SocketId(0), remote(1));
        t.socket = connection;
        t.told(1, NOMINATING);
        t.world.advance_ms(30_100);
        assert_eq!(t.news().last().map(String::as_str), Some("ice disconnected"));
        assert!(!t.world.sockets.is_open(connection));
        t.world.close_transport("t");
        assert_eq!(t.world.sockets.open_count(), 0);
    }
}
