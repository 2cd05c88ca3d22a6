//! Rooms of WebRTC peers on two shards, all on one port of one server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::channel::{Channel, Frame};
use crate::listen::{Protocol, TCP, UDP, candidates, create_served, create_server};
use crate::media::{self, Codec};
use crate::request;
use crate::webrtc_peer::{WebRtcPeer, connect, run_until};
use crate::worker::{Launch, PATIENCE, Worker};

const BOTH: (bool, bool) = (true, true);
/// Packets that each peer publishes.
pub const PACKETS: u16 = 50;

/// Between two looks at what was read, and what peers by themselves send in that time at most.
const SETTLING: Duration = Duration::from_millis(20);
const SETTLED_MAX: u64 = 50;

pub struct Rooms {
    pub worker: Worker,
    pub peers: Vec<WebRtcPeer>,
    pub port: u16,
    /// What the answer to the creation of the last transport was.
    pub created: Option<Frame>,
    /// The next sequence number, of all streams.
    pub said: u16,
    request: u32,
}

/// Two routers, `r0` and `r1`, on a shard each, and a server for the peers of both.
pub fn rooms() -> Rooms {
    // Its log is part of what strangers must not be able to fill.
    let mut worker = Launch::with_args(["--logLevel=warn"]).env("RINGSOUP_SHARDS", "2").run();
    for index in 0..2 {
        worker.channel.accepted(&request::create_router(1 + index, &format!("r{index}")));
    }
    worker.channel.accepted(&create_server(3, "s", &[UDP, TCP]));
    Rooms { worker, peers: Vec::new(), port: 0, created: None, said: 0, request: 100 }
}

impl Rooms {
    pub fn next_id(&mut self) -> u32 {
        self.request += 1;
        self.request
    }

    pub fn join(&mut self, peers: usize) {
        self.join_over(peers, Protocol::UDP);
    }

    /// Peer `n` is of transport `t<n>` in router `r<n % 2>`.
    pub fn join_over(&mut self, peers: usize, protocol: Protocol) {
        for index in self.peers.len()..self.peers.len() + peers {
            let (router, transport) = (format!("r{}", index % 2), format!("t{index}"));
            let id = self.next_id();
            let created = self.worker.channel.accepted(&create_served(id, &router, &transport, "s", BOTH));
            self.port = candidates(&created)[0].2;
            let id = self.next_id();
            let channel = &mut self.worker.channel;
            self.peers.push(WebRtcPeer::begin(channel, id, &transport, &created, protocol));
            self.created = Some(created);
        }
        connect(&mut self.peers);
    }

    /// Each peer publishes, and the next of its router consumes that: peers 0 and 2 each other, and so on.
    pub fn pair_up(&mut self) {
        for index in 0..self.peers.len() {
            let id = self.next_id();
            let produce =
                media::produce(id, &format!("t{index}"), &format!("p{index}"), Codec::Opus, ssrc(index));
            self.worker.channel.accepted(&produce);
        }
        for index in 0..self.peers.len() {
            let (id, of) = (self.next_id(), partner(index));
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

    /// Waits until the worker has read what was sent to it before. The kernel keeps some hundred datagrams for a socket and
    /// throws away what comes beyond, which is no matter of the worker's.
    fn settle(&mut self) {
        let begun = Instant::now();
        let mut read = self.received();
        loop {
            std::thread::sleep(SETTLING);
            self.turn();
            let now = self.received();
            if now - read < SETTLED_MAX {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the worker goes on reading");
            read = now;
        }
    }

    /// Datagrams that the shards have read.
    fn received(&mut self) -> u64 {
        let id = self.next_id();
        let frame = self.worker.channel.accepted(&request::worker_dump(id));
        let dump = frame.response().and_then(|response| response.body_as_worker_dump_response());
        let shards = dump.and_then(|dump| dump.ringsoup_shards()).expect("a worker's dump");
        shards.iter().map(|shard| shard.received_packets()).sum()
    }

    /// Every peer gets all that its partner sends from here on.
    pub fn exchange(&mut self) {
        self.settle();
        let first = self.said;
        self.said += PACKETS;
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

    pub fn turn(&mut self) {
        for peer in &mut self.peers {
            peer.turn();
        }
    }

    /// What the shards count, all together.
    pub fn counted(&mut self) -> HashMap<String, u64> {
        let id = self.next_id();
        counted(&mut self.worker.channel, id)
    }
}

/// What the shards of a worker count, all together.
pub fn counted(channel: &mut Channel, request: u32) -> HashMap<String, u64> {
    let frame = channel.accepted(&request::worker_dump(request));
    let dump = frame.response().and_then(|response| response.body_as_worker_dump_response());
    let dump = dump.expect("a worker's dump");
    let mut counted = HashMap::new();
    for shard in dump.ringsoup_shards().expect("shards").iter().filter(|shard| shard.started()) {
        let counters = shard.io().into_iter().flatten().map(|one| (one.name(), one.value()));
        let dropped = shard.dropped().into_iter().flatten().map(|one| (one.reason(), one.count()));
        for (name, value) in counters.chain(dropped) {
            *counted.entry(name.to_owned()).or_default() += value;
        }
    }
    counted
}

pub fn ssrc(peer: usize) -> u32 {
    u32::try_from(peer).expect("few") + 1
}

/// Two apart, so of the same router.
pub fn partner(peer: usize) -> usize {
    if peer % 4 < 2 { peer + 2 } else { peer - 2 }
}
