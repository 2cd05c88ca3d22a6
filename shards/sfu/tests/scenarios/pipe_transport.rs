//! Pipe transports: creation, connection, and media between two shards, whatever is between them.

use ringsoup_rtc::srtp::{CryptoSuite, InboundSession};
use ringsoup_sfu::command::{
    CommandError, ConsumerCommand, ErrorClass, ListenInfo, PipeConnect, PipeTransportOptions,
    ProducerCommand, Protocol, TransportCommand,
};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::piped::{PipeEnd, PipeKey, PipedKind};
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::rtp_parameters::RtpType;
use ringsoup_sfu::rules::Rules;

use crate::common::bridge::{
    Between, Bridge, FAR, FAR_KEY, NEAR, NEAR_KEY, address_of, pipe_options, produce_piped,
};
use crate::common::packets::{DELTA, KEY, heard, nack, pli, rtp};
use crate::common::parameters::{key, listen_info};
use crate::common::simulcast::{self, ROUTER_VIDEO, VIDEO};
use crate::common::{Passed, Peer, Sent, World, remote};
use crate::room::{assert_contiguous, seqs, told};

const H264: &str = "video/H264";
const SOURCE: [u32; 2] = [1_000, 2_000];
const MAPPED: [u32; 2] = [5_000, 5_001];
const PIPED: [u32; 2] = [9_000, 9_010];
const FAR_MAPPED: [u32; 2] = [6_000, 6_001];
/// What the last receiver gets of the two encodings.
const WATCHED: [u32; 2] = [12_000, 12_010];

fn connect_to(port: u16) -> PipeConnect {
    PipeConnect { ip: Ok(remote(1).ip()), port: Some(port), srtp_parameters: None }
}

#[test]
fn creation_refuses_what_it_cannot_do() {
    let mut world = World::new();
    let tcp = ListenInfo { protocol: Protocol::Tcp, ..listen_info() };
    let options = PipeTransportOptions { listen_info: tcp, ..pipe_options() };
    let error = world.create_pipe("p", PipeKey(1), options).expect_err("refused");
    assert_eq!((error.class, &error.reason[..]), (ErrorClass::TypeError, "unsupported listen protocol"));
    let mut options = pipe_options();
    options.listen_info.port = 7_000;
    world.create_pipe("p", PipeKey(2), options.clone()).expect("created");
    assert_eq!(world.create_pipe("q", PipeKey(3), options).expect_err("refused").class, ErrorClass::Error);
    assert_eq!((world.sockets.open_count(), world.report().transports), (1, 1));
    world.close_transport("p");
    assert_eq!((world.sockets.open_count(), world.report().transports), (0, 0));
}

#[test]
fn a_dump_tells_the_tuple_rtx_and_the_key() {
    let mut world = World::new();
    let mut options = pipe_options();
    options.enable_srtp = true;
    options.listen_info.announced_address = Some("pipe.example".into());
    let dump = world.create_pipe("p", PipeKey(1), options).expect("created");
    assert!(dump.rtx && dump.tuple.remote.is_none());
    assert_eq!(dump.tuple.local_address, "pipe.example");
    let srtp = dump.srtp_parameters.expect("SRTP is on");
    assert_eq!((srtp.crypto_suite, srtp.key_and_salt.len()), (CryptoSuite::AeadAes256Gcm, 44));
    let options = PipeTransportOptions { enable_rtx: false, ..pipe_options() };
    let dump = world.create_pipe("q", PipeKey(2), options).expect("created");
    assert!(!dump.rtx && dump.srtp_parameters.is_none());
}

/// What both ends have is their version's.
#[test]
fn pipes_are_encrypted_by_the_rules() {
    let suite = CryptoSuite::AesCm128HmacSha1_80;
    let mut world = World::with_rules(Rules { pipe_crypto_suite: suite, ..Rules::NEWEST });
    let options = PipeTransportOptions { enable_srtp: true, ..pipe_options() };
    let dump = world.create_pipe("p", PipeKey(1), options).expect("created");
    let srtp = dump.srtp_parameters.expect("SRTP is on");
    assert_eq!((srtp.crypto_suite, srtp.key_and_salt.len()), (suite, 30));
    let keyed = |suite| PipeConnect { srtp_parameters: Some(Ok(key(suite, 7))), ..connect_to(1) };
    let error = world.connect_pipe("p", keyed(CryptoSuite::AeadAes256Gcm)).expect_err("refused");
    assert_eq!(&error.reason[..], "invalid/unsupported srtpParameters.cryptoSuite");
    world.connect_pipe("p", keyed(suite)).expect("good");
}

#[test]
fn connect_refuses_with_the_words_of_the_original() {
    let mut world = World::new();
    let mut refused = |transport: &str, request: PipeConnect| {
        let error = world.connect_pipe(transport, request).expect_err("refused");
        (error.class, error.reason)
    };
    let type_error = |reason: &str| (ErrorClass::TypeError, reason.to_owned());
    assert_eq!(refused("nobody", connect_to(1)).0, ErrorClass::NotFound);
    let mut world = World::new();
    world.create_pipe("bare", PipeKey(1), pipe_options()).expect("created");
    let options = PipeTransportOptions { enable_srtp: true, ..pipe_options() };
    world.create_pipe("srtp", PipeKey(2), options).expect("created");
    let mut refused = |transport: &str, request: PipeConnect| {
        let error = world.connect_pipe(transport, request).expect_err("refused");
        (error.class, error.reason)
    };
    let keyed = |suite| PipeConnect { srtp_parameters: Some(Ok(key(suite, 7))), ..connect_to(1) };
    let good = CryptoSuite::AeadAes256Gcm;
    assert_eq!(refused("bare", keyed(good)), type_error("invalid srtpParameters (SRTP not enabled)"));
    assert_eq!(refused("srtp", connect_to(1)), type_error("missing srtpParameters (SRTP enabled)"));
    let other = keyed(CryptoSuite::AesCm128HmacSha1_80);
    assert_eq!(refused("srtp", other), type_error("invalid/unsupported srtpParameters.cryptoSuite"));
    let mut short_key = key(good, 7);
    short_key.key_and_salt.pop();
    let short = PipeConnect { srtp_parameters: Some(Ok(short_key)), ..connect_to(1) };
    assert_eq!(refused("srtp", short), type_error("invalid decoded SRTP key length"));
    let portless = PipeConnect { port: None, ..connect_to(1) };
    assert_eq!(refused("bare", portless), type_error("missing port"));
    let nowhere = || PipeConnect { ip: Err(CommandError::type_error("nowhere")), ..connect_to(1) };
    assert_eq!(refused("bare", nowhere()), type_error("nowhere"));
    assert_eq!(refused("srtp", nowhere()), type_error("missing srtpParameters (SRTP enabled)"));
    let bad = Some(Err(CommandError::type_error("bad")));
    let keyless = PipeConnect { srtp_parameters: bad, ..connect_to(1) };
    assert_eq!(refused("srtp", keyless.clone()), type_error("bad"));
    let tuple = world.connect_pipe("bare", connect_to(9)).expect("good");
    assert_eq!(tuple.remote, Some(remote(9)));
    world.connect_pipe("srtp", keyed(good)).expect("good");
    for again in [connect_to(9), nowhere(), keyless] {
        let error = world.connect_pipe("bare", again).expect_err("refused");
        assert_eq!((error.class, &error.reason[..]), (ErrorClass::Error, "connect() already called"));
    }
}

#[test]
fn only_the_peers_packets_are_taken() {
    let mut world = World::new();
    let dump = world.create_pipe("p", PipeKey(1), pipe_options()).expect("created");
    let socket = world.socket_of(dump.tuple.local_port);
    let packet = rtp(ROUTER_VIDEO, 1, 1, 1, KEY);
    world.receive(socket, remote(9), &packet);
    assert_eq!(world.dropped(DropReason::NotConnected), 1);
    world.connect_pipe("p", connect_to(9)).expect("connected");
    world.receive(socket, remote(8), &packet);
    world.receive(socket, remote(8), &pli(1));
    assert_eq!(world.dropped(DropReason::ForeignTuple), 2);
    world.receive(socket, remote(9), &packet);
    assert_eq!(world.dropped(DropReason::UnknownProducer), 1);
    world.receive(socket, remote(9), &[1, 2, 3]);
    assert_eq!(world.dropped(DropReason::UnknownProtocol), 1);
    world.assert_accounted();
}

/// A sender on the near shard, two encodings of which go through the pipe to a receiver on the far one.
struct Span {
    bridge: Bridge,
    sender: Peer,
    watcher: Peer,
}

impl Span {
    fn new(between: Between) -> Self {
        Self::over(Bridge::new(between))
    }

    fn over(mut bridge: Bridge) -> Self {
        let sender = bridge.near.plain("sender");
        let watcher = bridge.far.plain("watcher");
        bridge.near.produce("sender", simulcast::produce("video", H264, None, &SOURCE, &MAPPED));
        let piped = simulcast::consume_pipe("pipe consumer", "video", H264, &PIPED, &MAPPED);
        bridge.far.produce(FAR, produce_piped("pipe producer", &piped, &FAR_MAPPED));
        bridge.near.consume(NEAR, piped);
        let watched = simulcast::consume_pipe("watched", "pipe producer", H264, &WATCHED, &FAR_MAPPED);
        bridge.far.consume("watcher", watched);
        bridge.carry();
        Self { bridge, sender, watcher }
    }

    fn sends(&mut self, layer: usize, seq: u16, payload: &[u8]) {
        let sender = self.sender.clone();
        self.bridge.near.from(&sender, &rtp(VIDEO, seq, u32::from(seq) * 90, SOURCE[layer], payload));
        self.bridge.carry();
    }

    fn watcher_gets(&mut self) -> Vec<Sent> {
        let watcher = self.watcher.clone();
        self.bridge.far.take_rtp(&watcher)
    }

    fn watcher_says(&mut self, bytes: &[u8]) {
        let watcher = self.watcher.clone();
        self.bridge.far.from(&watcher, bytes);
        self.bridge.carry();
    }

    fn asked_of_sender(&mut self) -> Vec<u32> {
        let sender = self.sender.clone();
        let rtcp = self.bridge.near.take_rtcp(&sender);
        heard(&rtcp).plis.iter().map(|pli| pli.media_ssrc).collect()
    }

    fn assert_accounted(&mut self) {
        self.bridge.near.assert_accounted();
        self.bridge.far.assert_accounted();
    }
}

#[test]
fn every_stream_reaches_the_far_shard() {
    for between in Between::ALL {
        let mut span = Span::new(between);
        for seq in 1..=5 {
            span.sends(0, seq, if seq == 1 { KEY } else { DELTA });
            span.sends(1, 700 + seq, if seq == 1 { KEY } else { DELTA });
        }
        let sent = span.watcher_gets();
        for ssrc in WATCHED {
            let of: Vec<_> = sent.iter().filter(|sent| sent.rtp().ssrc() == ssrc).cloned().collect();
            assert_eq!(of.len(), 5, "{between:?}");
            assert_contiguous(&seqs(&of));
        }
        let is_readable = |bytes: &Vec<u8>| bytes.windows(DELTA.len()).any(|part| part == DELTA);
        assert_eq!(span.bridge.seen.iter().any(is_readable), between != Between::Srtp, "{between:?}");
        span.assert_accounted();
        let far = span.bridge.far.report();
        assert_eq!(far.received_packets, far.forwarded_packets + far.consumed_packets, "{between:?}");
    }
}

#[test]
fn joined_ends_use_no_sockets_and_both_count_the_same_bytes() {
    for between in Between::ALL {
        let mut span = Span::new(between);
        span.bridge.near.sent.clear();
        for seq in 1..=50 {
            span.sends(0, seq, if seq == 1 { KEY } else { DELTA });
        }
        span.bridge.advance_ms(3_000);
        let far_address = span.bridge.far_address;
        assert!(span.bridge.near.sent.iter().all(|sent| sent.remote != far_address), "all was carried");
        let (near, far) = (span.bridge.near.pipe_stats(NEAR), span.bridge.far.pipe_stats(FAR));
        assert_eq!(near.rtp_bytes_sent, far.rtp_bytes_received, "{between:?}");
        assert_eq!(near.bytes_sent, far.bytes_received, "{between:?}");
        assert_eq!(near.bytes_received, far.bytes_sent, "{between:?}");
        assert!(near.rtp_bytes_sent > 0 && near.bytes_received > 0);
    }
}

#[test]
fn key_frame_requests_cross_the_pipe() {
    for between in Between::ALL {
        let mut span = Span::new(between);
        span.sends(0, 1, KEY);
        span.sends(1, 1, KEY);
        span.bridge.advance_ms(3_000);
        span.asked_of_sender();
        span.watcher_says(&pli(WATCHED[1]));
        // A pipe consumer asks for all of its streams, as the original does.
        assert!(span.asked_of_sender().contains(&SOURCE[1]), "{between:?}");
    }
}

/// What another shard's receivers ask for was spaced out there: a viewer who joined there must not wait for that here. Who is at the
/// other end of a network is anybody.
#[test]
fn wishes_of_another_shard_never_wait_and_those_of_another_process_do() {
    for between in Between::ALL {
        let mut span = Span::new(between);
        span.sends(0, 1, KEY);
        span.bridge.advance_ms(3_000);
        span.asked_of_sender();
        let mut asked = 0;
        for seq in 2..12 {
            span.bridge.far.consumer("watched", ConsumerCommand::RequestKeyFrame);
            span.bridge.carry();
            asked += span.asked_of_sender().len();
            span.sends(0, seq, KEY);
        }
        assert_eq!(asked, if between.is_joined() { 10 } else { 3 }, "{between:?}");
        // The last wish waits, and is met.
        span.bridge.advance_ms(1_000);
        assert_eq!(span.asked_of_sender().len(), 0, "{between:?}: by the key frame that came");
    }
}

#[test]
fn a_loss_before_the_pipe_is_repaired_for_those_behind_it() {
    for between in Between::ALL {
        let mut span = Span::new(between);
        for seq in [1, 2, 4, 5] {
            span.sends(0, seq, if seq == 1 { KEY } else { DELTA });
        }
        let sent = span.watcher_gets();
        assert_eq!(sent.len(), 4);
        span.sends(0, 3, DELTA);
        let late = span.watcher_gets();
        assert_eq!(late.len(), 1, "{between:?}");
        let lost = late[0].rtp().sequence_number();
        span.watcher_says(&nack(WATCHED[0], &[lost]));
        assert_eq!(span.watcher_gets().len(), 1, "repaired out of the far shard's own history");
    }
}

#[test]
fn a_loss_inside_the_pipe_is_repaired_by_rtx() {
    for between in [Between::Udp, Between::Mesh] {
        let mut span = Span::new(between);
        for seq in 1..=6 {
            let sender = span.sender.clone();
            let payload = if seq == 1 { KEY } else { DELTA };
            span.bridge.near.from(&sender, &rtp(VIDEO, seq, u32::from(seq) * 90, SOURCE[0], payload));
            if seq == 4 {
                // The queue was full, or the network lost it.
                span.bridge.near.flush();
                span.bridge.near.passed.clear();
                span.bridge.near.sent.clear();
            }
            span.bridge.carry();
        }
        assert_eq!(span.watcher_gets().len(), 5);
        span.bridge.advance_ms(200);
        assert_eq!(span.watcher_gets().len(), 1, "{between:?}");
        assert!(span.bridge.near.pipe_stats(NEAR).rtx_bytes_sent > 0);
        assert!(span.bridge.far.pipe_stats(FAR).rtx_bytes_received > 0);
        span.assert_accounted();
    }
}

#[test]
fn reports_cross_the_pipe_both_ways() {
    for between in Between::ALL {
        let mut span = Span::new(between);
        for seq in 1..200 {
            span.sends(0, seq, if seq == 1 { KEY } else { DELTA });
            span.bridge.advance_ms(20);
        }
        let Reply::ConsumerStats(stats) = span.bridge.near.consumer("pipe consumer", ConsumerCommand::Stats)
        else {
            panic!("not stats")
        };
        // Nothing takes time here: what shows that reports came is that the score is the receiver's word.
        assert_eq!((stats.sent[0].base.packets_lost, stats.sent[0].base.score), (0, 10), "{between:?}");
        let far = span.bridge.far.producer_stats("pipe producer");
        assert_eq!(far[0].base.packets_lost, 0);
        let heard = heard_between(&span.bridge);
        assert!(heard.sender_reports.iter().any(|info| info.ssrc == PIPED[0]) || between == Between::Srtp);
        assert!(heard.blocks.iter().any(|block| block.ssrc == PIPED[0]) || between == Between::Srtp);
        span.assert_accounted();
    }
}

fn heard_between(bridge: &Bridge) -> crate::common::packets::Heard {
    let mut heard = crate::common::packets::Heard::default();
    for bytes in bridge.seen.iter().filter(|bytes| ringsoup_rtc::rtp::is_rtcp(bytes)) {
        // Encrypted ones cannot be read here.
        if ringsoup_rtc::rtcp::Compound::new(bytes).all(|packet| packet.is_ok()) && bytes[1] != 0 {
            heard.compound(bytes);
        }
    }
    heard
}

#[test]
fn pausing_before_the_pipe_stops_it_and_asks_anew_afterwards() {
    for between in Between::ALL {
        let mut span = Span::new(between);
        span.sends(0, 1, KEY);
        assert_eq!(span.watcher_gets().len(), 1);
        span.bridge.near.producer("video", ProducerCommand::Pause);
        assert_eq!(
            told(&span.bridge.near.take_events()).last().map(String::as_str),
            Some("pause pipe consumer")
        );
        span.sends(0, 2, KEY);
        assert!(span.watcher_gets().is_empty());
        span.bridge.near.producer("video", ProducerCommand::Resume);
        span.sends(0, 3, KEY);
        assert_eq!(span.watcher_gets().len(), 1, "{between:?}");
    }
}

#[test]
fn a_closed_end_turns_the_other_back_to_its_socket() {
    for between in [Between::Mesh, Between::SrtpMesh] {
        let mut span = Span::new(between);
        span.sends(0, 1, KEY);
        span.bridge.near.sent.clear();
        span.bridge.far.close_transport(FAR);
        // On its way when the far end closed.
        let sender = span.sender.clone();
        span.bridge.near.from(&sender, &rtp(VIDEO, 2, 180, SOURCE[0], DELTA));
        let passed = std::mem::take(&mut span.bridge.near.passed);
        assert_eq!(passed.len(), 1);
        span.bridge.far.take_in(passed);
        assert_eq!(span.bridge.far.dropped(DropReason::UnknownPipe), 1);
        span.bridge.near.transport(NEAR, TransportCommand::JoinPipe(None));
        span.bridge.near.from(&sender, &rtp(VIDEO, 3, 270, SOURCE[0], DELTA));
        let far_address = span.bridge.far_address;
        let sent = &span.bridge.near.sent;
        let to_far: Vec<_> = sent.iter().filter(|sent| sent.remote == far_address).collect();
        assert!(span.bridge.near.passed.is_empty() && to_far.len() == 1, "{between:?}");
        let is_plain = to_far[0].bytes.ends_with(DELTA);
        assert_eq!(is_plain, between == Between::Mesh, "what was agreed to be encrypted is");
        span.bridge.near.close_transport(NEAR);
        span.bridge.far.assert_accounted();
    }
}

#[test]
fn ends_on_one_shard_reach_each_other() {
    let mut world = World::new();
    let near = world.create_pipe(NEAR, NEAR_KEY, pipe_options()).expect("created");
    let far = world.create_pipe(FAR, FAR_KEY, pipe_options()).expect("created");
    let to = |port| PipeConnect { ip: Ok(listen_info().ip), port: Some(port), srtp_parameters: None };
    world.connect_pipe(NEAR, to(far.tuple.local_port)).expect("connected");
    world.connect_pipe(FAR, to(near.tuple.local_port)).expect("connected");
    assert_ne!(address_of(&near.tuple), address_of(&far.tuple));
    for (transport, key) in [(NEAR, FAR_KEY), (FAR, NEAR_KEY)] {
        world.transport(transport, TransportCommand::JoinPipe(Some(PipeEnd { key, shard: 0 })));
    }
    let sender = world.plain("sender");
    let watcher = world.plain("watcher");
    world.produce("sender", simulcast::produce("video", H264, None, &SOURCE, &MAPPED));
    let piped = simulcast::consume_pipe("pipe consumer", "video", H264, &PIPED, &MAPPED);
    let Reply::Produce { rtp_type } = world.produce(FAR, produce_piped("again", &piped, &FAR_MAPPED)) else {
        panic!("not produced")
    };
    assert_eq!(rtp_type, RtpType::Simulcast);
    world.consume(NEAR, piped);
    world.consume("watcher", simulcast::consume_pipe("watched", "again", H264, &WATCHED, &FAR_MAPPED));
    world.from(&sender, &rtp(VIDEO, 1, 90, SOURCE[0], KEY));
    let passed = std::mem::take(&mut world.passed);
    world.take_in(passed);
    assert_eq!(world.take_rtp(&watcher).len(), 1);
    world.assert_accounted();
}

#[test]
fn whatever_comes_out_of_a_pipe_is_counted_and_breaks_nothing() {
    for seed in 1..=20_u64 {
        let mut span = Span::new(Between::Mesh);
        let mut state = seed;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for seq in 1..=300 {
            let payload = if seq % 50 == 1 { KEY } else { DELTA };
            span.sends(usize::from(seq % 2 == 0), seq, payload);
            // What passes between shards is trusted to have left one, not to make sense.
            let mut bytes = match random(3) {
                0 => rtp(ROUTER_VIDEO, seq, 1, PIPED[0], DELTA),
                1 => nack(PIPED[1], &[seq, seq.wrapping_sub(9)]),
                _ => vec![0x80; usize::try_from(random(80)).expect("small")],
            };
            for _ in 0..random(4) {
                let (at, byte) = (random(bytes.len().max(1) as u64), random(256));
                if let Some(place) = bytes.get_mut(usize::try_from(at).expect("small")) {
                    *place = u8::try_from(byte).expect("below 256");
                }
            }
            let kind = if random(5) == 0 { PipedKind::Message } else { PipedKind::Packet };
            let (world, key) = if random(2) == 0 {
                (&mut span.bridge.near, NEAR_KEY)
            } else {
                (&mut span.bridge.far, FAR_KEY)
            };
            world.take_in(vec![Passed { end: PipeEnd { key, shard: 0 }, kind, bytes }]);
            span.bridge.advance_ms(random(30));
        }
        span.assert_accounted();
    }
}

#[test]
fn a_stream_goes_on_when_the_ends_are_joined_and_parted() {
    for between in [Between::Mesh, Between::SrtpMesh] {
        let mut span = Span::over(Bridge::apart(between, &pipe_options()));
        let is_readable = |bytes: &Vec<u8>| bytes.ends_with(DELTA);
        for seq in 1..=10 {
            span.sends(0, seq, if seq == 1 { KEY } else { DELTA });
        }
        let on_sockets = span.bridge.seen.iter().filter(|bytes| is_readable(bytes)).count();
        assert_eq!(on_sockets, if between == Between::Mesh { 9 } else { 0 });
        span.bridge.join();
        for seq in 11..=20 {
            span.sends(0, seq, DELTA);
        }
        let readable = span.bridge.seen.iter().filter(|bytes| is_readable(bytes)).count();
        assert_eq!(readable, on_sockets + 10, "nothing is encrypted any more");
        let sent = span.watcher_gets();
        assert_eq!(sent.len(), 20, "{between:?}");
        assert_contiguous(&seqs(&sent));
        // Both are still there: only one is told that the other is not.
        span.bridge.near.transport(NEAR, TransportCommand::JoinPipe(None));
        span.sends(0, 21, DELTA);
        let authentic = usize::from(between == Between::Mesh);
        let Reply::PipeTransportDump(dump) = span.bridge.near.transport(NEAR, TransportCommand::Dump) else {
            panic!("not a dump")
        };
        if let Some(shown) = dump.srtp_parameters {
            let sent = span.bridge.seen.iter().rfind(|bytes| !ringsoup_rtc::rtp::is_rtcp(bytes));
            let mut sent = sent.expect("it was sent").clone();
            let mut reader = InboundSession::new(shown.crypto_suite, &shown.key_and_salt).expect("a key");
            let len = reader.unprotect_rtp(&mut sent).expect("the key that is shown is the one in use");
            assert!(sent[..len].ends_with(DELTA));
        }
        assert_eq!(span.watcher_gets().len(), authentic, "under SRTP nobody has the new key");
        assert_eq!(span.bridge.far.dropped(DropReason::SrtpAuthentication), 1 - authentic as u64);
        span.assert_accounted();
    }
}
