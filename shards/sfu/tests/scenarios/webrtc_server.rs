//! WebRTC servers on one shard: transports that use its sockets, and how both end.

use ringsoup_rtc::ice::State;
use ringsoup_sfu::command::{Command, CommandError, TransportCommand};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::reply::{Reply, ServedTransport};
use ringsoup_sfu::sockets::Sockets as _;

use crate::common::checks::{Answer, NOMINATING, PLAIN};
use crate::common::cluster::{bind, candidate, opening, served_by};
use crate::common::packets::{SPEECH, rtp};
use crate::common::parameters::{OPUS, consume_audio, produce_audio};
use crate::common::{ROUTER, World, remote};
use crate::room::told;
use crate::webrtc_transport::{create, dump, options};

#[test]
fn transports_tell_the_servers_candidates_and_need_no_socket() {
    let mut world = World::new();
    world.open_server("s", 4_000);
    let dump = create(&mut world, "t", options(served_by("s", vec![candidate()]))).expect("created");
    assert_eq!(dump.ice_candidates, [candidate()]);
    assert_eq!(world.sockets.open_count(), 1);
    let mut refused = |listen| create(&mut world, "u", options(listen)).expect_err("refused");
    assert_eq!(refused(served_by("s", Vec::new())), CommandError::type_error("empty iceCandidates"));
    let reason = "wrong webRtcServerId (no associated WebRtcServer found)";
    assert_eq!(refused(served_by("nobody", vec![candidate()])), CommandError::error(reason));
    assert_eq!(world.report().transports, 1);
    world.close_transport("t");
    assert!(world.served("s").is_empty());
}

#[test]
fn a_report_names_transports_with_the_fragments_that_are_good() {
    let mut world = World::new();
    world.open_server("s", 4_000);
    world.open_server("other", 4_001);
    let of_s = create(&mut world, "t", options(served_by("s", vec![candidate()]))).expect("created");
    create(&mut world, "u", options(served_by("other", vec![candidate()]))).expect("created");
    let mut expected = vec![of_s.ice_parameters.username_fragment];
    let served = |fragments: &[String]| {
        vec![ServedTransport { transport: "t".into(), username_fragments: fragments.to_vec() }]
    };
    assert_eq!(world.served("s"), served(&expected));
    // The fragment before the restart is good until the peer has used the new one.
    let Reply::RestartIce(fresh) = world.transport("t", TransportCommand::RestartIce) else {
        panic!("not credentials")
    };
    expected.insert(0, fresh.username_fragment);
    assert_eq!(world.served("s"), served(&expected));
    assert!(world.served("nobody").is_empty());
}

#[test]
fn peers_find_their_transports_by_fragment_and_then_by_tuple() {
    let mut world = World::new();
    let socket = world.open_server("s", 4_000);
    let mut offered = ["a", "b"].map(|name| {
        create(&mut world, name, options(served_by("s", vec![candidate()]))).expect("created").ice_parameters
    });
    for (peer, credentials) in (1..).zip(&offered) {
        assert_eq!(world.check(socket, remote(peer), NOMINATING, credentials), Answer::Success(remote(peer)));
    }
    for (peer, name) in [(1, "a"), (2, "b")] {
        let dump = dump(&mut world, name);
        assert_eq!(dump.ice_state, State::Completed);
        let tuple = dump.ice_selected_tuple.expect("selected");
        assert_eq!((tuple.local_port, tuple.remote), (4_000, Some(remote(peer))));
    }
    // Media is its own from a known tuple alone.
    let media = rtp(OPUS, 1, 1, 1, SPEECH);
    world.receive(socket, remote(2), &media);
    world.receive(socket, remote(3), &media);
    assert_eq!((world.dropped(DropReason::NoSrtpKeys), world.dropped(DropReason::UnknownTuple)), (1, 1));
    // A restart brings a second way in; the first use of it ends the first.
    let Reply::RestartIce(fresh) = world.transport("a", TransportCommand::RestartIce) else {
        panic!("not credentials")
    };
    assert_eq!(world.held("held_served_fragments"), 3);
    assert_eq!(world.check(socket, remote(4), PLAIN, &offered[0]), Answer::Success(remote(4)));
    let before = std::mem::replace(&mut offered[0], fresh);
    assert_eq!(world.check(socket, remote(5), PLAIN, &offered[0]), Answer::Success(remote(5)));
    assert_eq!(world.check(socket, remote(6), PLAIN, &before), Answer::Nothing);
    assert_eq!(world.dropped(DropReason::UnknownFragment), 1);
    assert_eq!((world.held("held_served_fragments"), world.held("held_served_tuples")), (2, 4));
    world.close_transport("a");
    assert_eq!((world.held("held_served_fragments"), world.held("held_served_tuples")), (1, 1));
    world.assert_accounted();
}

#[test]
fn a_stranger_gets_nothing_and_leaves_nothing() {
    let mut world = World::new();
    let socket = world.open_server("s", 4_000);
    let listen = options(served_by("s", vec![candidate()]));
    let mut credentials = create(&mut world, "t", listen).expect("created").ice_parameters;
    let other = if credentials.username_fragment.ends_with('0') { "1" } else { "0" };
    credentials.username_fragment.replace_range(31.., other);
    let mut cut = PLAIN.bytes(&credentials);
    cut.pop();
    for bytes in [&PLAIN.bytes(&credentials)[..], &cut, &[0, 1, 0, 0], &[], &[22; 20], &[0x80; 20]] {
        world.receive(socket, remote(1), bytes);
    }
    assert!(world.sent.is_empty());
    assert_eq!((world.dropped(DropReason::UnknownFragment), world.dropped(DropReason::UnknownTuple)), (1, 5));
    assert_eq!(world.held("held_served_tuples"), 0);
    world.assert_accounted();
}

#[test]
fn closing_a_server_closes_its_transports_and_its_sockets() {
    let mut world = World::new();
    world.plain("plain");
    let socket = world.open_server("s", 4_000);
    world.open_server("other", 4_001);
    let t = create(&mut world, "t", options(served_by("s", vec![candidate()]))).expect("created");
    create(&mut world, "u", options(served_by("other", vec![candidate()]))).expect("created");
    world.check(socket, remote(1), NOMINATING, &t.ice_parameters);
    world.take_events();
    world.produce("t", produce_audio("p", 5, 105));
    world.consume("plain", consume_audio("c", "p", 6, 105));
    assert_eq!(world.sockets.open_count(), 3);
    world.command(Command::CloseWebRtcServer { server: "s".into() });
    assert_eq!(told(&world.take_events()), ["close c"]);
    assert_eq!(world.sockets.open_count(), 2);
    assert_eq!(world.report().transports, 2);
    assert_eq!((world.held("held_served_fragments"), world.held("held_served_tuples")), (1, 0));
    // Its name and its port are free.
    world.open_server("s", 4_000);
    // A shard that has nothing of a server has nothing to close.
    world.command(Command::CloseWebRtcServer { server: "nobody".into() });
    world.command(Command::CloseRouter { router: ROUTER.into() });
    assert!(world.served("other").is_empty());
    assert_eq!(world.sockets.open_count(), 2, "a router's end is not its server's");
}

#[test]
fn a_name_is_given_once() {
    let mut world = World::new();
    let socket = bind(&mut world, 4_000);
    let opening = Box::new(opening(1, socket, 4_000, 0, Vec::new()));
    let command = Command::OpenWebRtcServer { server: ROUTER.into(), opening };
    world.try_command(command).expect_err("the router's name");
    // The sockets are still their opener's, and nobody's packets come in.
    world.receive(socket, remote(1), &[0, 1, 0, 0]);
    assert_eq!(world.dropped(DropReason::UnknownSocket), 1);
    world.sockets.close(socket);
}
