//! One server's port on several shards: whoever receives a packet, the shard of its transport has it.

use ringsoup_rtc::ice::{Credentials, State};
use ringsoup_sfu::command::{Command, TransportCommand};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::reply::Reply;

use crate::common::checks::{NOMINATING, PLAIN};
use crate::common::cluster::{Cluster, SERVER, Way};
use crate::common::packets::{SPEECH, rtp};
use crate::common::parameters::OPUS;
use crate::common::{ROUTER, remote};
use crate::webrtc_transport::dump;

fn media() -> Vec<u8> {
    rtp(OPUS, 1, 1, 1, SPEECH)
}

fn check(credentials: &Credentials) -> Vec<u8> {
    NOMINATING.bytes(credentials)
}

fn accounted(cluster: &mut Cluster) {
    cluster.shards.iter_mut().for_each(|world| world.assert_accounted());
}

#[test]
fn a_check_is_handed_to_the_shard_that_its_fragment_names_and_answered_there() {
    let mut cluster = Cluster::new(3);
    let credentials = [0, 1, 2].map(|shard| cluster.create(shard, "t"));
    for (owner, credentials) in (0..).zip(&credentials) {
        for at in 0..3 {
            let peer = remote(10 * owner + at);
            let expected = if at == owner { Way::Stayed } else { Way::HandedTo(owner) };
            assert_eq!(cluster.receive(at, peer, &check(credentials)), expected);
            let sent = std::mem::take(&mut cluster.at(owner).sent);
            assert_eq!(sent.len(), 1, "the owner answers, by its own socket");
            assert_eq!((sent[0].remote, sent[0].local.port()), (peer, 4_000));
        }
        assert_eq!(dump(cluster.at(owner), "t").ice_state, State::Completed);
    }
    assert!(cluster.shards.iter().all(|world| world.sent.is_empty()));
    assert_eq!(cluster.known(), [9, 9, 9]);
    accounted(&mut cluster);
}

#[test]
fn what_follows_is_handed_over_by_its_tuple_whoever_receives_it() {
    let mut cluster = Cluster::new(3);
    let credentials = cluster.create(2, "t");
    cluster.receive(0, remote(1), &check(&credentials));
    // The kernel may give the peer to another reader at any time.
    for at in [0, 1] {
        assert_eq!(cluster.receive(at, remote(1), &media()), Way::HandedTo(2));
    }
    assert_eq!(cluster.receive(2, remote(1), &media()), Way::Stayed);
    assert_eq!(cluster.at(2).dropped(DropReason::NoSrtpKeys), 3, "it was read there");
    assert_eq!(cluster.receive(1, remote(2), &media()), Way::Stayed);
    assert_eq!(cluster.at(1).dropped(DropReason::UnknownTuple), 1);
    accounted(&mut cluster);
}

#[test]
fn what_ends_is_forgotten_everywhere() {
    let mut cluster = Cluster::new(2);
    let credentials = cluster.create(0, "t");
    let served = |cluster: &mut Cluster| cluster.at(0).held("held_served_fragments");
    for peer in 0..20 {
        cluster.receive(1, remote(peer), &PLAIN.bytes(&credentials));
    }
    assert_eq!(cluster.known(), [8, 8], "an agent lets in so many");
    // The peer's silence.
    for world in &mut cluster.shards {
        world.advance_ms(31_000);
    }
    cluster.carry();
    assert_eq!((cluster.known(), served(&mut cluster)), (vec![0, 0], 1));
    cluster.receive(1, remote(1), &check(&credentials));
    cluster.at(0).close_transport("t");
    cluster.carry();
    assert_eq!((cluster.known(), served(&mut cluster)), (vec![0, 0], 0));
    assert_eq!(cluster.receive(1, remote(1), &media()), Way::Stayed);
    // Fragments are known by their seal: that the transport is gone is only known where it was.
    assert_eq!(cluster.receive(1, remote(1), &check(&credentials)), Way::HandedTo(0));
    assert_eq!(cluster.at(0).dropped(DropReason::UnknownFragment), 1);
    // With its router.
    let credentials = cluster.create(0, "t");
    cluster.receive(1, remote(1), &check(&credentials));
    cluster.at(0).command(Command::CloseRouter { router: ROUTER.into() });
    cluster.at(0).flush();
    cluster.carry();
    assert_eq!((cluster.known(), served(&mut cluster)), (vec![0, 0], 0));
    accounted(&mut cluster);
}

#[test]
fn a_restart_brings_a_fragment_that_is_steered_too() {
    let mut cluster = Cluster::new(2);
    let before = cluster.create(0, "t");
    cluster.receive(1, remote(1), &check(&before));
    let Reply::RestartIce(fresh) = cluster.at(0).transport("t", TransportCommand::RestartIce) else {
        panic!("not credentials")
    };
    cluster.receive(1, remote(2), &check(&fresh));
    assert_eq!(dump(cluster.at(0), "t").ice_selected_tuple.expect("selected").remote, Some(remote(2)));
    assert_eq!(cluster.known(), [2, 2]);
}

#[test]
fn a_tuple_moves_with_its_peer_to_a_transport_of_another_shard() {
    let mut cluster = Cluster::new(3);
    let (first, second) = (cluster.create(0, "t"), cluster.create(1, "t"));
    cluster.receive(2, remote(1), &check(&first));
    cluster.at(0).close_transport("t");
    // Before anybody heard of it, the peer came again: to the shard that had it, which does not pass it on.
    assert_eq!(cluster.receive_unheard(2, remote(1), &check(&second)), Way::HandedTo(0));
    assert_eq!(cluster.at(0).dropped(DropReason::UnknownTuple), 1);
    cluster.carry();
    assert_eq!(cluster.receive(2, remote(1), &check(&second)), Way::HandedTo(1));
    assert_eq!(cluster.receive(0, remote(1), &media()), Way::HandedTo(1));
    assert_eq!(cluster.known(), [1, 1, 1]);
    accounted(&mut cluster);
}

#[test]
fn a_word_that_was_lost_is_said_again() {
    let mut cluster = Cluster::new(2);
    let credentials = cluster.create(0, "t");
    cluster.receive_unheard(1, remote(1), &check(&credentials));
    cluster.at(0).words.clear();
    assert_eq!(cluster.receive(1, remote(1), &media()), Way::Stayed);
    // The next check comes by its fragment once more.
    assert_eq!(cluster.receive(1, remote(1), &check(&credentials)), Way::HandedTo(0));
    assert_eq!(cluster.receive(1, remote(1), &media()), Way::HandedTo(0));
    assert_eq!(cluster.receive(1, remote(1), &check(&credentials)), Way::HandedTo(0));
    assert!(cluster.at(0).words.is_empty(), "who knows is not told again");
}

/// Else the address would be the old transport's for ever, whoever has it now.
#[test]
fn a_good_bye_that_was_lost_is_said_again() {
    let mut cluster = Cluster::new(2);
    let credentials = cluster.create(0, "t");
    cluster.receive(1, remote(1), &check(&credentials));
    cluster.at(0).command(Command::CloseTransport { router: ROUTER.into(), transport: "t".into() });
    cluster.at(0).flush();
    cluster.at(0).words.clear();
    // Another's peer has the address now; its first check still goes where the old one was.
    let own = cluster.create(1, "own");
    assert_eq!(cluster.receive(1, remote(1), &check(&own)), Way::HandedTo(0));
    assert_eq!(cluster.known(), [0, 0]);
    assert_eq!(cluster.receive(1, remote(1), &check(&own)), Way::Stayed);
    assert_eq!(cluster.known(), [1, 1]);
    accounted(&mut cluster);
}

#[test]
fn a_shard_that_joins_is_told_what_there_is() {
    let mut cluster = Cluster::new(2);
    let credentials = cluster.create(0, "t");
    cluster.receive(1, remote(1), &check(&credentials));
    cluster.open(2, vec![0, 1]);
    assert_eq!(cluster.receive(2, remote(1), &media()), Way::Stayed, "it has not heard yet");
    cluster.set_reader(0, 2, true);
    cluster.set_reader(1, 2, true);
    assert_eq!(cluster.receive(2, remote(1), &media()), Way::HandedTo(0));
    // And is handed what is its own.
    let own = cluster.create(2, "own");
    assert_eq!(cluster.receive(1, remote(2), &check(&own)), Way::HandedTo(2));
    assert_eq!(cluster.known(), [2, 2, 2]);
    // Said twice, nothing changes.
    cluster.set_reader(0, 2, true);
    assert_eq!(cluster.known(), [2, 2, 2]);
    accounted(&mut cluster);
}

#[test]
fn a_lost_shard_is_handed_nothing_and_nothing_of_its_stays() {
    let mut cluster = Cluster::new(2);
    let credentials = cluster.create(1, "t");
    cluster.receive(0, remote(1), &check(&credentials));
    assert_eq!(cluster.known(), [1, 1]);
    cluster.set_reader(0, 1, false);
    assert_eq!(cluster.at(0).held("held_served_tuples"), 0);
    for bytes in [check(&credentials), media()] {
        assert_eq!(cluster.receive(0, remote(1), &bytes), Way::Stayed);
    }
    let world = cluster.at(0);
    assert_eq!((world.dropped(DropReason::UnknownFragment), world.dropped(DropReason::UnknownTuple)), (1, 1));
}

#[test]
fn a_closed_server_is_deaf_to_what_is_still_under_way() {
    let mut cluster = Cluster::new(2);
    let credentials = cluster.create(0, "t");
    cluster.receive(1, remote(1), &check(&credentials));
    cluster.at(0).command(Command::CloseWebRtcServer { server: SERVER.into() });
    cluster.at(0).flush();
    assert!(cluster.at(0).words.is_empty(), "the others close it too");
    assert_eq!(cluster.receive(1, remote(1), &media()), Way::HandedTo(0));
    assert_eq!(cluster.at(0).dropped(DropReason::UnknownSocket), 1);
    cluster.at(1).command(Command::CloseWebRtcServer { server: SERVER.into() });
    assert_eq!(cluster.known(), [0, 0]);
    accounted(&mut cluster);
}

/// As in a flood of checks for one transport, from everywhere.
#[test]
fn checks_that_nobody_vouched_for_are_handed_over_within_bounds() {
    let mut cluster = Cluster::new(2);
    let (known, flooded) = (cluster.create(0, "known"), cluster.create(0, "flooded"));
    let wrong = Credentials { password: "wrong".into(), ..flooded };
    let mut handed = 0;
    let (mut received, mut sent) = (0, 0);
    for peer in 0..10_000 {
        let bytes = check(&wrong);
        received += bytes.len();
        handed += usize::from(cluster.receive(1, remote(peer), &bytes) == Way::HandedTo(0));
        sent += cluster.at(0).sent.drain(..).map(|sent| sent.bytes.len()).sum::<usize>();
    }
    assert_eq!(handed, 16, "of one fragment in a tenth of a second");
    assert!(sent < received / 1_000);
    assert_eq!(cluster.at(1).dropped(DropReason::ChecksLimited), 10_000 - 16);
    assert_eq!(cluster.known(), [0, 0]);
    // Whoever else comes meanwhile gets through.
    assert_eq!(cluster.receive(1, remote(10_001), &check(&known)), Way::HandedTo(0));
    assert_eq!(cluster.known(), [1, 1]);
    // And so do the checks of a peer that was let in, of which there is no limit here.
    for _ in 0..100 {
        assert_eq!(cluster.receive(1, remote(10_001), &check(&known)), Way::HandedTo(0));
    }
    accounted(&mut cluster);
}
