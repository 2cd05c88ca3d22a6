//! One port of a WebRTC server, peers of transports on two shards: ICE, DTLS and media reach whom they are for.

use std::net::UdpSocket;

use ringsoup_fbs::fbs::request::Method;
use ringsoup_rtc::ice::Credentials;
use ringsoup_tests::listen::{Protocol, UDP, close_server, create_server};
use ringsoup_tests::request;
use ringsoup_tests::rooms::{PACKETS, rooms, ssrc};
use ringsoup_tests::webrtc_peer::run_until;

#[test]
fn media_flows_both_ways_for_routers_on_two_shards() {
    let mut rooms = rooms();
    rooms.join(12);
    rooms.pair_up();
    rooms.exchange();
    let counted = rooms.counted();
    // The kernel gives each peer to one of two sockets, and knows nothing of routers.
    assert!(counted["handed_over"] > 0, "{counted:?}");
    assert_eq!((counted["hand_over_refused"], counted.get("unknown_tuple")), (0, None), "{counted:?}");
    // Its own 12, and those of the other shard.
    assert_eq!((counted["held_served_tuples"], counted["held_served_fragments"]), (24, 12));
}

#[test]
fn connections_reach_the_shard_of_their_transport() {
    let mut rooms = rooms();
    let before = rooms.worker.descriptors();
    // Of each pair, one is on UDP and one on TCP, and the other way around.
    rooms.join_over(2, Protocol::UDP);
    rooms.join_over(4, Protocol::TCP);
    rooms.join_over(2, Protocol::UDP);
    rooms.pair_up();
    rooms.exchange();
    rooms.exchange();
    let counted = rooms.counted();
    // One shard accepts, and both have peers.
    assert_eq!((counted["connections_accepted"], counted["connections_handed_over"]), (4, 2), "{counted:?}");
    assert_eq!((counted["held_streams"], counted["held_connections"]), (4, 4));
    // Tuples of connections are known where they are alone.
    assert_eq!((counted["held_served_tuples"], counted["held_served_fragments"]), (2 * 4 + 4, 8));
    // A peer hangs up, a transport closes, and then the server.
    let gone = rooms.peers.remove(2);
    drop(gone);
    run_until(&mut rooms.peers, "the other peers go on", |_| true);
    while rooms.counted()["held_streams"] > 3 {
        rooms.turn();
    }
    assert_eq!(rooms.counted()["held_served_tuples"], 2 * 4 + 3);
    let id = rooms.next_id();
    rooms.worker.channel.accepted(&request::close_transport(id, "r1", "t3"));
    let counted = rooms.counted();
    assert_eq!((counted["held_connections"], counted["held_served_tuples"]), (2, 2 * 4 + 2), "{counted:?}");
    rooms.worker.channel.accepted(&close_server(50, "s"));
    for name in ["held_served_tuples", "held_served_fragments", "held_connections", "panics"] {
        assert_eq!(rooms.counted()[name], 0, "{name}");
    }
    // The server's own two, and that of the other shard.
    assert_eq!(rooms.worker.descriptors(), before - 2);
}

#[test]
fn a_restart_of_ice_keeps_media_flowing() {
    let mut rooms = rooms();
    rooms.join(4);
    rooms.pair_up();
    rooms.exchange();
    for index in 0..4 {
        let id = rooms.next_id();
        let restart = request::plain(id, Method::TRANSPORT_RESTART_ICE, &format!("t{index}"));
        let frame = rooms.worker.channel.accepted(&restart);
        let fresh = frame.response().and_then(|response| response.body_as_transport_restart_ice_response());
        let (fragment, password) = (fresh.unwrap().username_fragment(), fresh.unwrap().password());
        let credentials =
            Credentials { username_fragment: fragment.to_owned(), password: password.to_owned() };
        assert_eq!(fragment.len(), 32);
        let now = rooms.peers[index].now();
        rooms.peers[index].peer.restart_ice(now, credentials);
    }
    rooms.exchange();
    let mut ready = false;
    while !ready {
        // The old fragments are good until the new ones have been used.
        rooms.turn();
        ready = rooms.counted()["held_served_fragments"] == 4;
    }
    rooms.exchange();
}

#[test]
fn a_transport_of_either_shard_closes_while_media_flows() {
    let mut rooms = rooms();
    rooms.join(8);
    rooms.pair_up();
    rooms.exchange();
    for index in [0, 1, 2, 3] {
        let id = rooms.next_id();
        let close = request::close_transport(id, &format!("r{}", index % 2), &format!("t{index}"));
        rooms.peers.iter_mut().enumerate().for_each(|(index, peer)| peer.send_opus(60, ssrc(index)));
        rooms.worker.channel.accepted(&close);
    }
    // Their peers send on, to nobody.
    rooms.peers[..4].iter_mut().enumerate().for_each(|(index, peer)| peer.send_opus(61, ssrc(index)));
    rooms.peers.drain(..4);
    // The others are partners of each other.
    for number in 61..71 {
        rooms.peers.iter_mut().enumerate().for_each(|(index, peer)| peer.send_opus(number, ssrc(index + 4)));
    }
    run_until(&mut rooms.peers, "the others go on", |peers| {
        peers.iter().all(|peer| peer.rtp.len() == usize::from(PACKETS) + 11)
    });
    let counted = rooms.counted();
    assert_eq!((counted["held_served_tuples"], counted["held_served_fragments"]), (8, 4), "{counted:?}");
}

#[test]
fn a_server_closes_while_media_flows_and_its_port_is_free() {
    let mut rooms = rooms();
    rooms.join(8);
    rooms.pair_up();
    rooms.exchange();
    for number in 60..200 {
        rooms.peers.iter_mut().enumerate().for_each(|(index, peer)| peer.send_opus(number, ssrc(index)));
        if number == 100 {
            rooms.worker.channel.accepted(&close_server(50, "s"));
            assert!(UdpSocket::bind(("127.0.0.1", rooms.port)).is_ok());
        }
    }
    let counted = rooms.counted();
    for name in ["held_served_tuples", "held_served_fragments", "held_webrtc_servers", "panics"] {
        assert_eq!(counted[name], 0, "{name}");
    }
    // The next one begins from nothing.
    rooms.peers.clear();
    rooms.worker.channel.accepted(&create_server(51, "s", &[UDP]));
    rooms.join(4);
}

#[test]
fn more_than_a_hundred_peers_share_the_port() {
    let mut rooms = rooms();
    let before = rooms.worker.descriptors();
    rooms.join(120);
    // One socket more, for the shard that is not the server's own.
    assert_eq!(rooms.worker.descriptors(), before + 1);
    let frame = rooms.worker.channel.accepted(&request::plain(20, Method::WEBRTCSERVER_DUMP, "s"));
    let dump = frame.response().and_then(|response| response.body_as_web_rtc_server_dump_response()).unwrap();
    assert_eq!(dump.local_ice_username_fragments().len(), 120);
    let counted = rooms.counted();
    assert_eq!((counted["held_served_tuples"], counted["held_served_fragments"]), (240, 120));
    for router in ["r0", "r1"] {
        let id = rooms.next_id();
        rooms.worker.channel.accepted(&request::close_router(id, router));
    }
    let counted = rooms.counted();
    assert_eq!(counted["held_served_fragments"], 0);
}
