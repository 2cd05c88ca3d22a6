//! One port of a WebRTC server, peers of transports on two shards: ICE, DTLS and media reach whom they are for.

use std::collections::HashMap;
use std::net::UdpSocket;

use ringsoup_fbs::fbs::request::Method;
use ringsoup_rtc::ice::Credentials;
use ringsoup_tests::listen::{Protocol, UDP, candidates, close_server, create_served, create_server};
use ringsoup_tests::media::{self, Codec};
use ringsoup_tests::request;
use ringsoup_tests::webrtc_peer::{WebRtcPeer, connect, run_until};
use ringsoup_tests::worker::{Launch, Worker};

const UDP_ONLY: (bool, bool) = (true, false);
/// Packets that each peer publishes.
const PACKETS: u16 = 50;

struct Rooms {
    worker: Worker,
    peers: Vec<WebRtcPeer>,
    port: u16,
    request: u32,
}

/// Two routers, `r0` and `r1`, on a shard each, and a server for the peers of both.
fn rooms() -> Rooms {
    let mut worker = Launch::default().env("RINGSOUP_SHARDS", "2").run();
    for index in 0..2 {
        worker.channel.accepted(&request::create_router(1 + index, &format!("r{index}")));
    }
    worker.channel.accepted(&create_server(3, "s", &[UDP]));
    Rooms { worker, peers: Vec::new(), port: 0, request: 100 }
}

impl Rooms {
    fn next(&mut self) -> u32 {
        self.request += 1;
        self.request
    }

    /// Peer `n` is of transport `t<n>` in router `r<n % 2>`.
    fn join(&mut self, peers: usize) {
        for index in self.peers.len()..self.peers.len() + peers {
            let (router, transport) = (format!("r{}", index % 2), format!("t{index}"));
            let id = self.next();
            let created =
                self.worker.channel.accepted(&create_served(id, &router, &transport, "s", UDP_ONLY));
            self.port = candidates(&created)[0].2;
            let id = self.next();
            let channel = &mut self.worker.channel;
            self.peers.push(WebRtcPeer::begin(channel, id, &transport, &created, Protocol::UDP));
        }
        connect(&mut self.peers);
    }

    /// Each peer publishes, and the next of its router consumes that: peers 0 and 2 each other, and so on.
    fn pair_up(&mut self) {
        for index in 0..self.peers.len() {
            let id = self.next();
            let produce =
                media::produce(id, &format!("t{index}"), &format!("p{index}"), Codec::Opus, ssrc(index));
            self.worker.channel.accepted(&produce);
        }
        for index in 0..self.peers.len() {
            let (id, of) = (self.next(), partner(index));
            let producer = format!("p{of}");
            let consume = media::consume(
                id,
                &format!("t{index}"),
                &format!("c{index}"),
                Codec::Opus,
                (&producer, ssrc(of)),
                1_000 + ssrc(of),
            );
            self.worker.channel.accepted(&consume);
        }
    }

    /// Every peer gets all that its partner sends from here on.
    fn exchange(&mut self, first: u16) {
        self.peers.iter_mut().for_each(|peer| peer.rtp.clear());
        for number in first..first + PACKETS {
            for (index, peer) in self.peers.iter_mut().enumerate() {
                peer.send_opus(number, ssrc(index));
            }
            self.turn();
        }
        run_until(&mut self.peers, "all that was sent has come", |peers| {
            peers.iter().all(|peer| peer.rtp.len() >= usize::from(PACKETS))
        });
        for (index, peer) in self.peers.iter().enumerate() {
            assert_eq!(peer.rtp.len(), usize::from(PACKETS), "once");
            let of = (1_000 + ssrc(partner(index))).to_be_bytes();
            assert!(peer.rtp.iter().all(|packet| packet[8..12] == of), "of whom it consumes");
        }
    }

    fn turn(&mut self) {
        for peer in &mut self.peers {
            peer.turn();
        }
    }

    /// What the shards count, all together.
    fn counted(&mut self) -> HashMap<String, u64> {
        let id = self.next();
        let frame = self.worker.channel.accepted(&request::worker_dump(id));
        let dump = frame.response().and_then(|response| response.body_as_worker_dump_response()).unwrap();
        let mut counted = HashMap::new();
        for shard in dump.ringsoup_shards().unwrap().iter().filter(|shard| shard.started()) {
            let counters = shard.io().into_iter().flatten().map(|one| (one.name(), one.value()));
            let dropped = shard.dropped().into_iter().flatten().map(|one| (one.reason(), one.count()));
            for (name, value) in counters.chain(dropped) {
                *counted.entry(name.to_owned()).or_default() += value;
            }
        }
        counted
    }
}

fn ssrc(peer: usize) -> u32 {
    u32::try_from(peer).expect("few") + 1
}

/// Two apart, so of the same router.
fn partner(peer: usize) -> usize {
    if peer % 4 < 2 { peer + 2 } else { peer - 2 }
}

#[test]
fn media_flows_both_ways_for_routers_on_two_shards() {
    let mut rooms = rooms();
    rooms.join(12);
    rooms.pair_up();
    rooms.exchange(0);
    let counted = rooms.counted();
    // The kernel gives each peer to one of two sockets, and knows nothing of routers.
    assert!(counted["handed_over"] > 0, "{counted:?}");
    assert_eq!((counted["hand_over_refused"], counted.get("unknown_tuple")), (0, None), "{counted:?}");
    // Its own 12, and those of the other shard.
    assert_eq!((counted["held_served_tuples"], counted["held_served_fragments"]), (24, 12));
}

#[test]
fn a_restart_of_ice_keeps_media_flowing() {
    let mut rooms = rooms();
    rooms.join(4);
    rooms.pair_up();
    rooms.exchange(0);
    for index in 0..4 {
        let id = rooms.next();
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
    rooms.exchange(100);
    let mut ready = false;
    while !ready {
        // The old fragments are good until the new ones have been used.
        rooms.turn();
        ready = rooms.counted()["held_served_fragments"] == 4;
    }
    rooms.exchange(200);
}

#[test]
fn a_transport_of_either_shard_closes_while_media_flows() {
    let mut rooms = rooms();
    rooms.join(8);
    rooms.pair_up();
    rooms.exchange(0);
    for index in [0, 1, 2, 3] {
        let id = rooms.next();
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
    rooms.exchange(0);
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
        let id = rooms.next();
        rooms.worker.channel.accepted(&request::close_router(id, router));
    }
    let counted = rooms.counted();
    assert_eq!(counted["held_served_fragments"], 0);
}
