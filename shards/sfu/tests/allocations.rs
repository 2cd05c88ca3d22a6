//! Nothing is allocated per packet: not when it is forwarded, encrypted or sent again.

use std::cell::Cell;

use ringsoup_rtc::codec::dependency_descriptor::writer::{NewDescriptor, layered};
use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession};
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{
    ActiveSpeakerObserverOptions, AudioLevelObserverOptions, Command, Consume, Layers, ObserverCommand,
    PlainTransportOptions, TransportCommand,
};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::outbox::Route;
use ringsoup_sfu::piped::Piped;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::rtp_parameters::ExtensionUri;
use ringsoup_sfu::sfu::Datagram;
use ringsoup_sfu::sockets::SocketId;

mod common;
#[path = "common/counting.rs"]
mod counting;

use common::bridge::{Between, Bridge, FAR, NEAR, produce_piped};
use common::packets::{DELTA, KEY, SPEECH, nack, rtcp, rtp, rtx};
use common::parameters::{
    H264, H264_RTX, LEVEL_ID, OPUS, connect_to, consume_audio, consume_video, extension, feedback, key,
    plain, produce_audio, produce_video,
};
use common::simulcast;
use common::{Peer, ROUTER, World, remote};
use counting::{ALLOCATIONS, allocations_of};

const VIDEO: u32 = 1_000;
const VIDEO_RTX: u32 = 1_001;
const AUDIO: u32 = 2_000;
const CONSUMERS: u32 = 50;
/// Receivers of the encrypted rooms: unoptimised ciphers are slow.
const SRTP_CONSUMERS: u32 = 4;
/// Video payload, bytes.
const PAYLOAD_LEN: usize = 300;
/// Long enough for every ring to have its full size: packets are kept for two seconds.
const WARM_UP: u32 = 3_000;
const MEASURED: u32 = 2_000;
/// 500 packets per second.
const PACKET_NANOS: u64 = 2_000_000;

/// A sender and its receivers, driven without the harness's own allocations.
struct Room {
    world: World,
    sender: Peer,
    receivers: Vec<Peer>,
    /// The sender's end, where it encrypts.
    session: Option<OutboundSession>,
    buffer: [u8; 2_048],
    payload: [u8; PAYLOAD_LEN],
    sent: u64,
}

fn srtp_plain(suite: CryptoSuite) -> PlainTransportOptions {
    PlainTransportOptions { srtp_crypto_suite: Some(suite), ..plain() }
}

fn srtp_peer(world: &mut World, name: &str, suite: CryptoSuite, port: u16) -> Peer {
    let dump = world.create_plain(name, srtp_plain(suite)).expect("created");
    let mut request = connect_to(remote(port));
    request.srtp_parameters = Some(Ok(key(suite, 7)));
    world.connect(name, request).expect("connected");
    let socket = world.socket_of(dump.tuple.local_port);
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], dump.tuple.local_port));
    Peer { name: name.into(), socket, local, remote: remote(port) }
}

/// Negotiates the time of sending and transport-wide numbers.
fn stamp(request: &mut Consume) {
    for uri in [ExtensionUri::AbsSendTime, ExtensionUri::TransportWideCc01] {
        request.rtp_parameters.header_extensions.push(extension(uri, uri.router_id()));
    }
    request.rtp_parameters.codecs[0].rtcp_feedback.push(feedback("transport-cc", ""));
}

fn consumers_of(suite: Option<CryptoSuite>) -> u32 {
    suite.map_or(CONSUMERS, |_| SRTP_CONSUMERS)
}

impl Room {
    /// `suite` is that of every transport.
    fn new(suite: Option<CryptoSuite>) -> Self {
        let mut world = World::new();
        let peer = |world: &mut World, name: &str, port: u16| match suite {
            Some(suite) => srtp_peer(world, name, suite, port),
            None => world.plain(name),
        };
        let sender = peer(&mut world, "sender", 9_000);
        world.produce("sender", produce_video("video", VIDEO, Some(VIDEO_RTX), 5_000));
        world.produce("sender", produce_audio("audio", AUDIO, 5_001));
        let mut receivers = Vec::new();
        for index in 0..consumers_of(suite) {
            let name = format!("receiver {index}");
            let port = u16::try_from(20_000 + index).expect("few receivers");
            receivers.push(peer(&mut world, &name, port));
            let ssrc = 10_000 + 10 * index;
            let rtx_ssrc = (index % 2 == 0).then_some(ssrc + 1);
            let mut video = consume_video(&format!("v{index}"), "video", ssrc, rtx_ssrc, 5_000);
            // Some with RTX and some without.
            if index % 4 < 2 {
                stamp(&mut video);
            }
            world.consume(&name, video);
            world.consume(&name, consume_audio(&format!("a{index}"), "audio", ssrc + 2, 5_001));
        }
        let session = suite.map(|suite| {
            let parameters = key(suite, 7);
            OutboundSession::new(suite, &parameters.key_and_salt).expect("a valid key")
        });
        let mut payload = [0xab; PAYLOAD_LEN];
        payload[..DELTA.len()].copy_from_slice(DELTA);
        Self { world, sender, receivers, session, buffer: [0; 2_048], payload, sent: 0 }
    }

    fn receive(&mut self, socket: SocketId, from: std::net::SocketAddr, len: usize) {
        let World { sfu, sockets, out, now, .. } = &mut self.world;
        let datagram = Datagram { socket, remote: from, bytes: &mut self.buffer[..len], received: *now };
        sfu.handle_datagram(*now, datagram, sockets, out);
    }

    fn send(&mut self, payload_type: u8, seq: u16, timestamp: u32, ssrc: u32, payload_len: usize) {
        let payload = &self.payload[..payload_len];
        let packet = RtpWriter::new(payload_type, seq, timestamp, ssrc).payload(payload);
        let mut len = packet.write(&mut self.buffer).expect("it fits");
        if let Some(session) = &mut self.session {
            len = session.protect_rtp(&mut self.buffer, 12, len).expect("it fits");
        }
        self.receive(self.sender.socket, self.sender.remote, len);
    }

    /// What the runtime does after a batch, without keeping anything.
    fn drain(&mut self) {
        let World { sfu, out, now, .. } = &mut self.world;
        for destination in out.destinations() {
            for (head, tail) in out.datagrams(destination.lane) {
                assert!(head.len() + tail.len() >= 12);
                self.sent += 1;
            }
        }
        out.clear_datagrams();
        sfu.handle_flushed(*now, out);
        assert!(out.events.len() < 10_000, "events pile up");
    }

    #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
    fn step(&mut self, index: u32) {
        self.world.now = Time::from_nanos(self.world.now.as_nanos() + PACKET_NANOS);
        let len = if index == 0 { KEY.len() } else { PAYLOAD_LEN };
        if index == 0 {
            self.payload[..KEY.len()].copy_from_slice(KEY);
        }
        self.send(H264, index as u16, index * 180, VIDEO, len);
        self.payload[..DELTA.len()].copy_from_slice(DELTA);
        self.send(OPUS, index as u16, index * 960, AUDIO, SPEECH.len());
        self.drain();
    }

    fn warm_up(&mut self) {
        for index in 0..WARM_UP {
            self.step(index);
        }
        self.world.events.clear();
        self.world.out.events.clear();
    }
}

fn forwarding_allocates_nothing(suite: Option<CryptoSuite>) {
    let mut room = Room::new(suite);
    room.warm_up();
    let before = room.sent;
    let allocations = allocations_of(|| {
        for index in WARM_UP..WARM_UP + MEASURED {
            room.step(index);
        }
    });
    assert_eq!(room.sent - before, u64::from(MEASURED) * 2 * u64::from(consumers_of(suite)));
    assert_eq!(allocations, 0);
}

#[test]
fn an_allocation_is_counted() {
    let allocations = allocations_of(|| {
        std::hint::black_box(Box::new(1_u8));
        std::hint::black_box(vec![0_u8; 100]);
        std::hint::black_box(Vec::<u8>::with_capacity(10));
    });
    assert_eq!(allocations, 3);
}

#[test]
fn an_allocating_path_would_be_noticed() {
    // A consumer on a direct transport gets its packets as messages, which are allocated.
    let mut room = Room::new(None);
    room.world.direct("direct");
    room.world.consume("direct", consume_audio("to application", "audio", 77, 5_001));
    room.warm_up();
    let allocations = allocations_of(|| room.step(WARM_UP));
    assert!(allocations > 0);
}

#[test]
fn forwarding_plain_rtp_allocates_nothing() {
    forwarding_allocates_nothing(None);
}

#[test]
fn forwarding_srtp_gcm_allocates_nothing() {
    forwarding_allocates_nothing(Some(CryptoSuite::AeadAes128Gcm));
}

#[test]
fn forwarding_srtp_cm_allocates_nothing() {
    forwarding_allocates_nothing(Some(CryptoSuite::AesCm128HmacSha1_80));
}

/// Four seconds of media whose sender is told about the way: how many steps allocated, and how often it was told.
fn steps_that_allocate_while_telling(kind: &str, wide: bool) -> (u32, u64) {
    let mut world = World::new();
    let sender = world.plain("sender");
    let mut request = produce_video("video", VIDEO, None, 5_000);
    let uri = if wide { ExtensionUri::TransportWideCc01 } else { ExtensionUri::AbsSendTime };
    request.rtp_parameters.header_extensions.push(extension(uri, 3));
    request.rtp_parameters.codecs[0].rtcp_feedback.push(feedback(kind, ""));
    world.produce("sender", request);
    let payload = [0xab; PAYLOAD_LEN];
    let mut room =
        Room { world, sender, receivers: vec![], session: None, buffer: [0; 2_048], payload, sent: 0 };
    let step = |room: &mut Room, index: u32| {
        room.world.now = Time::from_nanos(room.world.now.as_nanos() + PACKET_NANOS);
        let [_, high, low, byte] = (index * 524).to_be_bytes();
        let [.., wide_high, wide_low] = index.to_be_bytes();
        let value = if wide { &[wide_high, wide_low][..] } else { &[high, low, byte] };
        let packet = RtpWriter::new(H264, u16::from_be_bytes([wide_high, wide_low]), index * 180, VIDEO);
        let len = packet.extension(3, value).payload(&payload).write(&mut room.buffer).expect("it fits");
        room.receive(room.sender.socket, room.sender.remote, len);
        let World { sfu, sockets, out, now, .. } = &mut room.world;
        sfu.handle_timeout(*now, sockets, out);
        room.drain();
    };
    // Until every slot of the timer wheel that this rhythm meets has been used once.
    let warm_up = 14_000;
    (0..warm_up).for_each(|index| step(&mut room, index));
    let told = room.sent;
    let allocating =
        (warm_up..warm_up + MEASURED).filter(|&index| allocations_of(|| step(&mut room, index)) > 0).count();
    (u32::try_from(allocating).expect("few"), room.sent - told)
}

/// Reports allocate, once a second; what is told in between does not.
#[test]
fn telling_senders_about_the_way_allocates_nothing() {
    for (kind, wide, told_min) in [("transport-cc", true, 39), ("goog-remb", false, 19)] {
        let (allocating, told) = steps_that_allocate_while_telling(kind, wide);
        assert!(allocating <= 5, "{allocating} of {kind} in four seconds");
        assert!(told >= told_min, "{told} of {kind}");
    }
}

/// Two observers of the audio producer, of either kind.
fn observe(world: &mut World) {
    let (router, observer) = (ROUTER.into(), "speaker".into());
    let options = ActiveSpeakerObserverOptions { interval_ms: 300 };
    world.command(Command::CreateActiveSpeakerObserver { router, observer, options });
    let (router, observer) = (ROUTER.into(), "levels".into());
    let options = AudioLevelObserverOptions { max_entries: 1, threshold: -127, interval_ms: 1_000 };
    world.command(Command::CreateAudioLevelObserver { router, observer, options });
    for observer in ["speaker", "levels"] {
        let command = ObserverCommand::AddProducer { producer: "audio".into() };
        world.command(Command::Observer { observer: observer.into(), command });
    }
}

#[test]
fn hearing_levels_allocates_nothing() {
    let mut room = Room::new(None);
    observe(&mut room.world);
    let packet = RtpWriter::new(OPUS, 0, 0, AUDIO).extension(LEVEL_ID, &[30]);
    let packet = packet.payload(SPEECH).to_vec().expect("no CSRCs");
    let say = |room: &mut Room, seq: u16| {
        room.world.now = Time::from_nanos(room.world.now.as_nanos() + PACKET_NANOS);
        room.buffer[..packet.len()].copy_from_slice(&packet);
        room.buffer[2..4].copy_from_slice(&seq.to_be_bytes());
        room.receive(room.sender.socket, room.sender.remote, packet.len());
        room.drain();
    };
    (0..100).for_each(|seq| say(&mut room, seq));
    let allocations = allocations_of(|| (100..1_000).for_each(|seq| say(&mut room, seq)));
    assert_eq!(allocations, 0);
    room.world.advance_ms(0);
    let heard = |event: &Event| match event {
        Event::AudioLevelObserverVolumes { volumes, .. } => volumes[0].1 == -30,
        _ => false,
    };
    assert!(room.world.take_events().iter().any(heard));
}

/// Loses every tenth packet for `range` and repairs it a little later.
fn lose_and_repair(
    room: &mut Room,
    range: std::ops::Range<u32>,
    repairs: &mut std::vec::IntoIter<Vec<u8>>,
) -> u64 {
    let mut nacks_sent = 0;
    for index in range {
        if index % 10 == 5 {
            room.world.now = Time::from_nanos(room.world.now.as_nanos() + PACKET_NANOS);
        } else {
            room.step(index);
        }
        nacks_sent += room.nack_timers();
        if index % 20 == 19 {
            for _ in 0..2 {
                let repair = repairs.next().expect("one per loss");
                room.buffer[..repair.len()].copy_from_slice(&repair);
                room.receive(room.sender.socket, room.sender.remote, repair.len());
            }
        }
        room.drain();
    }
    nacks_sent
}

#[test]
fn losing_and_repairing_allocates_nothing() {
    let mut room = Room::new(None);
    // Timers' places in the wheel take memory once each: the wheel goes around in five seconds.
    let (warm, end) = (WARM_UP, WARM_UP + MEASURED);
    let lost = (0..end).filter(|index| index % 10 == 5).zip(0..);
    let repairs: Vec<_> = lost
        .map(|(index, rtx_seq)| {
            let seq = u16::try_from(index).expect("fewer than 2^16 packets");
            rtx(H264_RTX, rtx_seq, index * 180, VIDEO_RTX, seq, DELTA)
        })
        .collect();
    let mut repairs = repairs.into_iter();
    lose_and_repair(&mut room, 0..warm, &mut repairs);
    let mut nacks_sent = 0;
    let allocations = allocations_of(|| nacks_sent = lose_and_repair(&mut room, warm..end, &mut repairs));
    let stats = room.world.producer_stats("video");
    assert_eq!(stats[0].base.packets_repaired, u64::from(end / 10));
    assert!(nacks_sent > 0);
    assert_eq!(allocations, 0);
}

impl Room {
    /// Runs timers, whose reports may allocate once a second, outside of the count.
    fn nack_timers(&mut self) -> u64 {
        let World { sfu, sockets, out, now, .. } = &mut self.world;
        if sfu.next_timeout().is_none_or(|next| next > *now) {
            return 0;
        }
        let before = ALLOCATIONS.with(Cell::get);
        let waiting = out.datagram_count();
        sfu.handle_timeout(*now, sockets, out);
        ALLOCATIONS.with(|count| count.set(before));
        (out.datagram_count() - waiting) as u64
    }
}

fn answering_nacks_allocates_nothing(suite: Option<CryptoSuite>) {
    let mut room = Room::new(suite);
    room.warm_up();
    let requests = room.nack_requests(suite);
    let mut sent = 0;
    // The first answers are the warm-up of the RTX streams' SRTP state.
    for (index, (socket, from, bytes)) in requests.into_iter().enumerate() {
        let before = room.sent;
        room.buffer[..bytes.len()].copy_from_slice(&bytes);
        let allocations = allocations_of(|| {
            room.receive(socket, from, bytes.len());
            room.drain();
        });
        sent += room.sent - before;
        assert_eq!(room.sent - before, 17, "request {index}");
        if index >= room.receivers.len() {
            assert_eq!(allocations, 0, "request {index}");
        }
    }
    assert_eq!(sent, 17 * 4 * u64::from(consumers_of(suite)));
}

impl Room {
    /// Four NACKs per receiver, each for 17 other packets.
    fn nack_requests(
        &mut self,
        suite: Option<CryptoSuite>,
    ) -> Vec<(SocketId, std::net::SocketAddr, Vec<u8>)> {
        let mut sessions: Vec<_> = self.receivers.iter().map(|_| suite.map(outbound)).collect();
        let mut requests = Vec::new();
        for round in 0..4_u16 {
            for (index, session) in sessions.iter_mut().enumerate() {
                let ssrc = 10_000 + 10 * u32::try_from(index).expect("few receivers");
                let newest = self.newest_seq_of(&format!("v{index}"));
                let first = newest.wrapping_sub(100 + 17 * round);
                let seqs: Vec<_> = (0..17).map(|offset| first.wrapping_add(offset)).collect();
                let mut bytes = nack(ssrc, &seqs);
                if let Some(session) = session {
                    let len = bytes.len();
                    bytes.resize(len + 32, 0);
                    let len = session.protect_rtcp(&mut bytes, len).expect("it fits");
                    bytes.truncate(len);
                }
                let receiver = &self.receivers[index];
                requests.push((receiver.socket, receiver.remote, bytes));
            }
        }
        requests
    }

    /// Read from the wire: the next packet shows it.
    fn newest_seq_of(&mut self, consumer: &str) -> u16 {
        let index: usize = consumer[1..].parse().expect("v and a number");
        self.first_seqs()[index].wrapping_add(u16::try_from(WARM_UP).expect("fits"))
    }

    /// Every receiver's first sequence number: they follow from the seed, so a second room shows them.
    fn first_seqs(&self) -> Vec<u16> {
        static FIRST: std::sync::OnceLock<Vec<u16>> = std::sync::OnceLock::new();
        FIRST
            .get_or_init(|| {
                let mut room = Self::new(None);
                let sender = room.sender.clone();
                room.world.from(&sender, &rtp(H264, 0, 0, VIDEO, KEY));
                let sent = room.world.take_sent();
                let seq_to = |peer: &Peer| {
                    let sent = sent.iter().find(|sent| sent.remote == peer.remote && !sent.is_rtcp());
                    sent.expect("everybody gets it").rtp().sequence_number()
                };
                room.receivers.iter().map(seq_to).collect()
            })
            .clone()
    }
}

fn outbound(suite: CryptoSuite) -> OutboundSession {
    OutboundSession::new(suite, &key(suite, 7).key_and_salt).expect("a valid key")
}

#[test]
fn answering_nacks_in_the_clear_allocates_nothing() {
    answering_nacks_allocates_nothing(None);
}

#[test]
fn answering_nacks_with_srtp_allocates_nothing() {
    answering_nacks_allocates_nothing(Some(CryptoSuite::AeadAes128Gcm));
}

#[test]
fn hearing_what_came_allocates_nothing() {
    let mut room = Room::new(None);
    room.warm_up();
    let receiver = room.receivers[0].clone();
    // Packets 2,000 to 2,013 of the transport: every second one came.
    let fci = [0x07, 0xd0, 0, 14, 0, 0, 1, 0, 0b1010_1010, 0b1010_1010, 4, 4, 4, 4, 4, 4, 4, 0, 0, 0];
    let bytes = rtcp(|writer| writer.transport_cc(1, 10_000, &fci));
    room.buffer[..bytes.len()].copy_from_slice(&bytes);
    let allocations = allocations_of(|| room.receive(receiver.socket, receiver.remote, bytes.len()));
    assert_eq!(allocations, 0);
    let stats = room.world.transport("receiver 0", TransportCommand::Stats);
    let Reply::PlainTransportStats(stats) = stats else { panic!("{stats:?}") };
    assert_eq!(stats.base.rtp_packet_loss_sent, Some(0.5));
}

#[test]
fn receivers_can_decrypt_what_was_measured() {
    let suite = CryptoSuite::AeadAes128Gcm;
    let mut world = World::new();
    let dump = world.create_plain("t", srtp_plain(suite)).expect("created");
    let local = dump.srtp_parameters.expect("SRTP is on");
    let mut request = connect_to(remote(1));
    request.srtp_parameters = Some(Ok(key(suite, 7)));
    let Reply::PlainConnect(_) = world.transport("t", TransportCommand::ConnectPlain(request)) else {
        panic!("not connected")
    };
    let sender = world.plain("sender");
    world.produce("sender", produce_audio("audio", AUDIO, 5_001));
    world.consume("t", consume_audio("a", "audio", 9, 5_001));
    world.from(&sender, &rtp(OPUS, 1, 2, AUDIO, SPEECH));
    let mut sent = world.take_sent().remove(0);
    let mut inbound = InboundSession::new(suite, &local.key_and_salt).expect("a valid key");
    let len = inbound.unprotect_rtp(&mut sent.bytes).expect("authentic");
    assert!(sent.bytes[..len].ends_with(SPEECH));
}

/// Two shards with a pipe between them, driven without the harness's own allocations.
struct Span {
    bridge: Bridge,
    sender: Peer,
    payload: [u8; PAYLOAD_LEN],
    buffer: [u8; 2_048],
    sent: u64,
}

impl Span {
    fn new() -> Self {
        let mut bridge = Bridge::new(Between::Mesh);
        let sender = bridge.near.plain("sender");
        bridge.near.produce("sender", simulcast::produce("video", "video/H264", None, &[VIDEO], &[5_000]));
        let piped = simulcast::consume_pipe("pipe consumer", "video", "video/H264", &[9_000], &[5_000]);
        bridge.far.produce(FAR, produce_piped("pipe producer", &piped, &[6_000]));
        bridge.near.consume(NEAR, piped);
        for index in 0..CONSUMERS {
            let name = format!("watcher {index}");
            bridge.far.plain(&name);
            let request =
                consume_video(&format!("v{index}"), "pipe producer", 10_000 + 10 * index, None, 6_000);
            bridge.far.consume(&name, request);
        }
        let mut payload = [0xab; PAYLOAD_LEN];
        payload[..DELTA.len()].copy_from_slice(DELTA);
        Self { bridge, sender, payload, buffer: [0; 2_048], sent: 0 }
    }

    #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
    fn step(&mut self, index: u32) {
        let Self { bridge, sender, payload, buffer, sent } = self;
        let Bridge { near, far, .. } = bridge;
        near.now = Time::from_nanos(near.now.as_nanos() + PACKET_NANOS);
        far.now = near.now;
        let payload = if index == 0 { KEY } else { &payload[..] };
        let packet = RtpWriter::new(simulcast::VIDEO, index as u16, index * 180, VIDEO);
        let len = packet.payload(payload).write(&mut buffer[..]).expect("it fits");
        let (socket, remote) = (sender.socket, sender.remote);
        let datagram = Datagram { socket, remote, bytes: &mut buffer[..len], received: near.now };
        near.sfu.handle_datagram(near.now, datagram, &mut near.sockets, &mut near.out);
        for destination in near.out.destinations() {
            let Route::Pipe { end, kind } = destination.route else { continue };
            for (head, tail) in near.out.datagrams(destination.lane) {
                let len = head.len() + tail.len();
                buffer[..head.len()].copy_from_slice(head);
                buffer[head.len()..len].copy_from_slice(tail);
                let piped = Piped { to: end.key, kind, bytes: &buffer[..len], passed: near.now };
                far.sfu.handle_piped(far.now, piped, &mut far.out);
            }
        }
        *sent += far.out.datagram_count() as u64;
        for world in [near, far] {
            world.out.clear_datagrams();
            world.sfu.handle_flushed(world.now, &mut world.out);
            assert!(world.out.events.len() < 10_000, "events pile up");
        }
    }
}

#[test]
fn piping_allocates_nothing_at_either_end() {
    let mut span = Span::new();
    for index in 0..WARM_UP {
        span.step(index);
    }
    span.bridge.near.out.events.clear();
    span.bridge.far.out.events.clear();
    let before = span.sent;
    let allocations = allocations_of(|| {
        for index in WARM_UP..WARM_UP + MEASURED {
            span.step(index);
        }
    });
    assert_eq!(span.sent - before, u64::from(MEASURED) * u64::from(CONSUMERS));
    assert_eq!(allocations, 0);
}

/// Simulcast in two layers, sent with temporal layers left out, and piped; each to a few receivers.
struct Layered {
    world: World,
    sender: Peer,
    buffer: [u8; 2_048],
    sent: u64,
}

const LAYERS: [u32; 2] = [1_000, 2_000];
const MAPPED_LAYERS: [u32; 2] = [5_000, 5_001];
const LAYERED_CONSUMERS: u32 = 4;

impl Layered {
    fn new() -> Self {
        let mut world = World::new();
        let sender = world.plain("sender");
        let request = simulcast::produce("video", "video/VP8", Some("L1T2"), &LAYERS, &MAPPED_LAYERS);
        world.produce("sender", request);
        for index in 0..LAYERED_CONSUMERS {
            let name = format!("receiver {index}");
            world.plain(&name);
            let (mode, consumable) = (Some("L2T2"), Some("L1T2"));
            let (ssrc, mapped) = (10_000 + 10 * index, &MAPPED_LAYERS);
            let modes = (mode, consumable);
            let mut request =
                simulcast::consume(&format!("c{index}"), "video", "video/VP8", modes, ssrc, mapped);
            // Half of them get the base pictures of the lower layer only.
            request.preferred_layers = (index % 2 == 0).then_some(Layers { spatial: 0, temporal: Some(0) });
            world.consume(&name, request);
            let piped = [20_000 + 10 * index, 30_000 + 10 * index];
            let request = simulcast::consume_pipe(&format!("p{index}"), "video", "video/VP8", &piped, mapped);
            world.consume(&name, request);
        }
        Self { world, sender, buffer: [0; 2_048], sent: 0 }
    }

    /// A picture of either layer, every other one of the upper temporal layer.
    #[allow(clippy::cast_possible_truncation, reason = "numbers wrap")]
    fn step(&mut self, index: u32) {
        self.world.now = Time::from_nanos(self.world.now.as_nanos() + PACKET_NANOS);
        let temporal = (index % 2) as u8;
        let [high, low] = ((index & 0x7fff) as u16).to_be_bytes();
        let is_key = u8::from(index != 0);
        let mut payload = [0; PAYLOAD_LEN];
        payload[..7].copy_from_slice(&[
            0x90,
            0xe0,
            0x80 | high,
            low,
            (index / 2) as u8,
            temporal << 6 | 0x20,
            is_key,
        ]);
        for ssrc in LAYERS {
            let packet = RtpWriter::new(simulcast::VIDEO, index as u16, index * 180, ssrc).payload(&payload);
            let len = packet.write(&mut self.buffer).expect("it fits");
            let World { sfu, sockets, out, now, .. } = &mut self.world;
            let datagram = Datagram {
                socket: self.sender.socket,
                remote: self.sender.remote,
                bytes: &mut self.buffer[..len],
                received: *now,
            };
            sfu.handle_datagram(*now, datagram, sockets, out);
        }
        let World { sfu, out, now, .. } = &mut self.world;
        for destination in out.destinations() {
            self.sent += out.datagrams(destination.lane).count() as u64;
        }
        out.clear_datagrams();
        sfu.handle_flushed(*now, out);
    }
}

#[test]
fn choosing_layers_and_piping_allocates_nothing() {
    let mut layered = Layered::new();
    for index in 0..WARM_UP {
        layered.step(index);
    }
    let before = layered.sent;
    let allocations = allocations_of(|| {
        for index in WARM_UP..WARM_UP + MEASURED {
            layered.step(index);
        }
    });
    // Pipes send both layers, half of the others the upper one, half every other picture of the lower one.
    let (all, half) = (u64::from(MEASURED), u64::from(LAYERED_CONSUMERS / 2));
    let expected = 2 * half * 2 * all + half * all + half * all / 2;
    assert_eq!(layered.sent - before, expected);
    assert_eq!(allocations, 0);
}

/// An AV1 stream in layers that its dependency descriptors tell, for receivers of all and of the lowest.
struct Described {
    world: World,
    sender: Peer,
    buffer: [u8; 2_048],
    sent: u64,
    /// A key picture's, then one per temporal layer.
    descriptors: Vec<Vec<u8>>,
}

impl Described {
    const ID: u8 = 9;
    const KEY_INTERVAL: u32 = 100;

    fn new() -> Self {
        let mut world = World::new();
        let sender = world.plain("sender");
        let mode = Some("L1T2");
        let mut request = simulcast::produce("video", "video/AV1", mode, &LAYERS[..1], &MAPPED_LAYERS[..1]);
        request.rtp_parameters.header_extensions =
            vec![extension(ExtensionUri::DependencyDescriptor, Self::ID)];
        world.produce("sender", request);
        for index in 0..LAYERED_CONSUMERS {
            let name = format!("receiver {index}");
            world.plain(&name);
            let (ssrc, mapped) = (10_000 + 10 * index, &MAPPED_LAYERS[..1]);
            let mut request =
                simulcast::consume(&format!("c{index}"), "video", "video/AV1", (mode, mode), ssrc, mapped);
            request.preferred_layers = (index % 2 == 0).then_some(Layers { spatial: 0, temporal: Some(0) });
            world.consume(&name, request);
        }
        let structure = layered(1, 2, false);
        let frame = NewDescriptor { starts_frame: true, ends_frame: true, ..NewDescriptor::default() };
        let descriptors = vec![
            NewDescriptor { structure: Some(&structure), ..frame.clone() }.write(&structure),
            NewDescriptor { template: 1, ..frame.clone() }.write(&structure),
            NewDescriptor { template: 3, ..frame }.write(&structure),
        ];
        Self { world, sender, buffer: [0; 2_048], sent: 0, descriptors }
    }

    #[allow(clippy::cast_possible_truncation, reason = "numbers wrap")]
    fn step(&mut self, index: u32) {
        self.world.now = Time::from_nanos(self.world.now.as_nanos() + PACKET_NANOS);
        let is_key = index.is_multiple_of(Self::KEY_INTERVAL);
        let descriptor = &self.descriptors[if is_key { 0 } else { 1 + index as usize % 2 }];
        let packet = RtpWriter::new(simulcast::VIDEO, index as u16, index * 180, LAYERS[0])
            .extension(Self::ID, descriptor)
            .payload(&[7; PAYLOAD_LEN]);
        let len = packet.write(&mut self.buffer).expect("it fits");
        let World { sfu, sockets, out, now, .. } = &mut self.world;
        let bytes = &mut self.buffer[..len];
        let (socket, remote) = (self.sender.socket, self.sender.remote);
        sfu.handle_datagram(*now, Datagram { socket, remote, bytes, received: *now }, sockets, out);
        for destination in out.destinations() {
            self.sent += out.datagrams(destination.lane).count() as u64;
        }
        out.clear_datagrams();
        sfu.handle_flushed(*now, out);
    }
}

#[test]
fn reading_dependency_descriptors_allocates_nothing() {
    let mut described = Described::new();
    for index in 0..WARM_UP {
        described.step(index);
    }
    described.world.out.events.clear();
    let before = described.sent;
    let allocations = allocations_of(|| {
        for index in WARM_UP..WARM_UP + MEASURED {
            described.step(index);
        }
    });
    let (all, half) = (u64::from(MEASURED), u64::from(LAYERED_CONSUMERS / 2));
    assert_eq!(described.sent - before, half * all + half * all / 2);
    assert!(described.world.out.events.is_empty(), "key frames change no layers");
    assert_eq!(allocations, 0);
}
