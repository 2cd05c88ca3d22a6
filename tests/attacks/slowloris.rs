//! Connections that say nothing, half a length or half a check, to a shard on which others talk.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use ringsoup_tests::listen::{Protocol, TCP, UDP, candidates, create_webrtc};
use ringsoup_tests::media::{self, Codec};
use ringsoup_tests::request;
use ringsoup_tests::rooms::{counted, ssrc};
use ringsoup_tests::webrtc_peer::{WebRtcPeer, connect, run_until};
use ringsoup_tests::worker::{Launch, Worker};

const CROWD: usize = 10_000;
/// Less than any process has: where it may not have so many descriptors, those it has will do.
const CROWD_MIN: usize = 900;
const LISTENERS: u32 = 10;
/// A listener has 256 places for connections that nobody has accepted yet. Beyond them the kernel drops what a client says, and
/// it tries again after 1, 3, 7... seconds, so that both sides do nothing. Half of the places are taken at once.
const AT_ONCE: usize = LISTENERS as usize * 128;
const STRANGERS_MAX: u64 = 4_096;
const RSS_GROWTH_MAX: usize = 64 << 20;
/// The strangers' ten seconds, and what a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(5);

/// Peers of one shard that talk with each other, whatever else happens.
struct Talk {
    worker: Worker,
    peers: Vec<WebRtcPeer>,
    said: u16,
    request: u32,
}

impl Talk {
    /// One peer over UDP and one over TCP.
    fn begin(worker: Worker) -> Self {
        let mut talk = Self { worker, peers: Vec::new(), said: 0, request: 100 };
        talk.join("over-udp", Protocol::UDP);
        talk.join("over-tcp", Protocol::TCP);
        for (peer, transport) in ["over-udp", "over-tcp"].into_iter().enumerate() {
            let id = talk.next_id();
            let produce = media::produce(id, transport, &format!("p{peer}"), Codec::Opus, ssrc(peer));
            talk.worker.channel.accepted(&produce);
        }
        for (peer, transport) in ["over-udp", "over-tcp"].into_iter().enumerate() {
            let (id, other) = (talk.next_id(), 1 - peer);
            let (consumer, producer) = (format!("c{peer}"), format!("p{other}"));
            let of = (producer.as_str(), ssrc(other));
            let consume = media::consume(id, transport, &consumer, Codec::Opus, of, 1_000 + ssrc(other));
            talk.worker.channel.accepted(&consume);
        }
        talk
    }

    fn next_id(&mut self) -> u32 {
        self.request += 1;
        self.request
    }

    fn join(&mut self, transport: &str, protocol: Protocol) {
        let id = self.next_id();
        let listen = if protocol == Protocol::TCP { TCP } else { UDP };
        let created = self.worker.channel.accepted(&create_webrtc(id, "r", transport, &[listen]));
        let id = self.next_id();
        let channel = &mut self.worker.channel;
        self.peers.push(WebRtcPeer::begin(channel, id, transport, &created, protocol));
        connect(&mut self.peers);
    }

    /// The first two say something.
    fn go_on(&mut self) {
        for (index, peer) in self.peers.iter_mut().take(2).enumerate() {
            peer.send_opus(self.said, ssrc(index));
        }
        self.said += 1;
        for peer in &mut self.peers {
            peer.turn();
        }
    }

    fn counted(&mut self) -> HashMap<String, u64> {
        let id = self.next_id();
        counted(&mut self.worker.channel, id)
    }

    fn go_on_until(&mut self, name: &str, is_so: impl Fn(u64) -> bool) {
        let begun = Instant::now();
        loop {
            self.go_on();
            let value = self.counted()[name];
            if is_so(value) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} is {value}");
            std::thread::sleep(PAUSE);
        }
    }

    /// They have heard all that they said.
    fn have_heard_all(&mut self) {
        let said = usize::from(self.said);
        run_until(&mut self.peers, "all that was said", |peers| {
            peers.iter().take(2).all(|peer| peer.rtp.len() >= said)
        });
        assert!(self.peers.iter().take(2).all(|peer| peer.rtp.len() == said), "once");
        assert!(self.peers.iter().all(|peer| !peer.is_closed));
    }
}

/// Half as many at once as listeners have places for.
fn gather(talk: &mut Talk, ports: &[u16]) -> Vec<TcpStream> {
    let before = talk.counted()["connections_accepted"];
    let mut crowd = Vec::with_capacity(CROWD);
    for (number, &port) in (0..CROWD).zip(ports.iter().cycle()) {
        let Ok(mut stranger) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { break };
        let half_a_check = [0, 100, 0, 1, 0, 80, 0x21, 0x12, 0xa4, 0x42];
        let said = stranger.write_all(&half_a_check[..[0, 1, 10][number % 3]]);
        // Where the others are too many it may have been shown out by now.
        assert!(said.is_ok() || crowd.len() as u64 > STRANGERS_MAX, "{said:?}");
        crowd.push(stranger);
        if crowd.len().is_multiple_of(AT_ONCE) {
            let came = before + crowd.len() as u64;
            talk.go_on_until("connections_accepted", |count| count == came);
        }
    }
    let came = before + crowd.len() as u64;
    talk.go_on_until("connections_accepted", |count| count == came);
    crowd
}

/// Of the original a stranger gets 64 KiB, for as long as it likes.
#[test]
fn ten_thousand_strangers_cost_little_and_stay_for_a_while_only() {
    let mut worker = Launch::default().env("RINGSOUP_SHARDS", "1").run();
    worker.channel.accepted(&request::create_router(1, "r"));
    let descriptors = worker.descriptors();
    let listener = |number| create_webrtc(10 + number, "r", &format!("t{number}"), &[TCP]);
    let ports: Vec<u16> =
        (0..LISTENERS).map(|number| candidates(&worker.channel.accepted(&listener(number)))[0].2).collect();
    let mut talk = Talk::begin(worker);
    let known = talk.counted()["held_streams"];
    let (resident, begun) = (talk.worker.resident_bytes(), Instant::now());
    let crowd = gather(&mut talk, &ports);
    assert!(crowd.len() >= CROWD_MIN, "{} came", crowd.len());
    let held = talk.counted()["held_streams"] - known;
    let grown = talk.worker.resident_bytes().saturating_sub(resident);
    assert!(held > 0 && held <= STRANGERS_MAX && grown <= RSS_GROWTH_MAX, "{held} strangers, {grown} bytes");
    println!(
        "{} strangers came within {:?}, {held} stayed, {grown} bytes more",
        crowd.len(),
        begun.elapsed()
    );
    println!("{} bytes for each that stayed", grown / usize::try_from(held).expect("few"));
    // Among them somebody with a reason to come gets in, and stays.
    talk.join("late", Protocol::TCP);
    talk.go_on_until("held_strangers", |count| count == 0);
    println!("the last one went {:?} after the first one came", begun.elapsed());
    talk.have_heard_all();
    let counted = talk.counted();
    assert_eq!((counted["held_streams"], counted["held_partial_bytes"]), (known + 1, 0));
    let shown_out = ["connections_overdue", "connections_crowded"].map(|name| counted[name]);
    assert_eq!(shown_out.iter().sum::<u64>(), crowd.len() as u64, "{shown_out:?}");
    println!("{shown_out:?} were shown out, late and crowded; peers heard {} packets each", talk.said);
    crowd.into_iter().for_each(has_ended);
    let id = talk.next_id();
    talk.worker.channel.accepted(&request::close_router(id, "r"));
    let begun = Instant::now();
    while talk.counted()["held_sockets"] > 0 {
        assert!(begun.elapsed() < PATIENCE, "sockets are left");
        std::thread::sleep(PAUSE);
    }
    assert_eq!(talk.worker.descriptors(), descriptors);
}

/// Nothing is said to a stranger; its connection is reset.
fn has_ended(mut stranger: TcpStream) {
    stranger.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let error = stranger.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(error, Err(ErrorKind::ConnectionReset));
}
