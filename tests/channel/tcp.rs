//! WebRTC transports over TCP alone: media both ways. What strangers can do is in `tests/attacks/slowloris.rs`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringsoup_peer::framing::{Deframer, frame};
use ringsoup_peer::{Config, Path, Peer, Received, generate_certificate};
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::srtp::MAX_TRAILER_LEN;
use ringsoup_rtc::time::Time;
use ringsoup_tests::channel::Channel;
use ringsoup_tests::connected::connect_dtls_client;
use ringsoup_tests::listen::{TCP, candidates, create_webrtc};
use ringsoup_tests::media::{self, Codec, opus_packet};
use ringsoup_tests::request;
use ringsoup_tests::webrtc_peer::offered;
use ringsoup_tests::worker::{Launch, PATIENCE, Worker};

/// A peer on one connection.
struct TcpPeer {
    stream: TcpStream,
    path: Path,
    peer: Peer,
    deframer: Deframer,
    origin: Instant,
    rtp: Vec<Vec<u8>>,
}

impl TcpPeer {
    /// Connected to a transport of its own that listens on TCP only.
    fn join(channel: &mut Channel, id: u32, transport: &str) -> Self {
        let created = channel.accepted(&create_webrtc(id, "r", transport, &[TCP]));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, candidates(&created)[0].2));
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let path = Path::tcp(stream.local_addr().unwrap(), address);
        let certificate = Arc::new(generate_certificate().unwrap());
        let config = Config::new(u64::from(id), certificate, offered(&created), vec![path]);
        let peer = Peer::new(config, Time::ZERO).unwrap();
        let fingerprint = peer.local_parameters().fingerprint.value;
        channel.accepted(&connect_dtls_client(id + 1, transport, &fingerprint));
        let (deframer, origin, rtp) = (Deframer::default(), Instant::now(), Vec::new());
        let mut joined = Self { stream, path, peer, deframer, origin, rtp };
        joined.live_until("DTLS", |joined| joined.peer.is_connected());
        joined
    }

    fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    fn live_until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "{what} did not happen");
            self.turn();
        }
    }

    fn turn(&mut self) {
        let now = self.now();
        self.peer.handle_timeout(now);
        while let Some(datagram) = self.peer.poll_datagram() {
            assert_eq!(datagram.path, self.path);
            self.say(&datagram.bytes);
        }
        while self.peer.poll_event().is_some() {}
        self.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        // Small, so that frames come in parts.
        let mut bytes = [0; 100];
        match self.stream.read(&mut bytes) {
            Ok(len) => self.deframer.push(&bytes[..len]),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        }
        let now = self.now();
        while let Some(packet) = self.deframer.next_packet() {
            if let Received::Rtp(packet) = self.peer.handle(now, self.path, packet) {
                self.rtp.push(packet.to_vec());
            }
        }
    }

    /// In parts, as a network cuts it.
    fn say(&mut self, packet: &[u8]) {
        let mut framed = Vec::new();
        assert!(frame(packet, &mut framed));
        let (first, second) = framed.split_at(framed.len() / 2);
        self.stream.write_all(first).unwrap();
        self.stream.write_all(second).unwrap();
    }

    fn send_rtp(&mut self, packet: &[u8]) {
        let mut bytes = packet.to_vec();
        bytes.resize(packet.len() + MAX_TRAILER_LEN, 0);
        let len = self.peer.protect_rtp(&mut bytes, 12, packet.len()).expect("connected").unwrap();
        self.say(&bytes[..len]);
    }
}

fn start() -> Worker {
    let mut worker = Launch::default().env("RINGSOUP_SHARDS", "1").run();
    worker.channel.accepted(&request::create_router(1, "r"));
    worker
}

fn counted(channel: &mut Channel, name: &str) -> u64 {
    let dump = channel.accepted(&request::worker_dump(1_000));
    let dump = dump.response().unwrap().body_as_worker_dump_response().unwrap();
    let shards = dump.ringsoup_shards().unwrap();
    let io = shards.iter().flat_map(|shard| shard.io().into_iter().flatten());
    io.filter(|one| one.name() == name).map(|one| one.value()).sum()
}

fn wait_for(channel: &mut Channel, name: &str, is_so: impl Fn(u64) -> bool) {
    let deadline = Instant::now() + PATIENCE.max(Duration::from_secs(25));
    while !is_so(counted(channel, name)) {
        assert!(Instant::now() < deadline, "{name} is {}", counted(channel, name));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn media_goes_both_ways_over_tcp_alone() {
    let mut worker = start();
    let before = worker.descriptors();
    let channel = &mut worker.channel;
    let mut alice = TcpPeer::join(channel, 10, "alice");
    let mut bob = TcpPeer::join(channel, 20, "bob");
    channel.accepted(&media::produce(40, "alice", "of-alice", Codec::Opus, 5));
    channel.accepted(&media::produce(41, "bob", "of-bob", Codec::Opus, 6));
    channel.accepted(&media::consume(42, "bob", "to-bob", Codec::Opus, ("of-alice", 5), 77));
    channel.accepted(&media::consume(43, "alice", "to-alice", Codec::Opus, ("of-bob", 6), 88));
    for seq in 1..=200 {
        alice.send_rtp(&opus_packet(seq, 5));
        bob.send_rtp(&opus_packet(seq, 6));
        alice.turn();
        bob.turn();
    }
    bob.live_until("media for Bob", |bob| bob.rtp.len() == 200);
    alice.live_until("media for Alice", |alice| alice.rtp.len() == 200);
    for (heard, ssrc) in [(&bob.rtp, 77), (&alice.rtp, 88)] {
        assert!(heard.iter().all(|packet| RtpPacket::parse(packet).unwrap().ssrc() == ssrc));
    }
    assert_eq!(counted(channel, "held_strangers"), 0, "both have shown who they are");
    assert_eq!(counted(channel, "held_streams"), 2);
    // One leaves by itself, the other is sent away.
    drop(alice);
    wait_for(channel, "held_streams", |count| count == 1);
    channel.accepted(&request::close_transport(50, "r", "alice"));
    channel.accepted(&request::close_transport(51, "r", "bob"));
    wait_for(channel, "held_sockets", |count| count == 0);
    let mut rest = Vec::new();
    bob.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    bob.stream.read_to_end(&mut rest).unwrap();
    assert_eq!(worker.descriptors(), before);
}
