//! SRTP on plain transports, both ways, with all suites.

use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession};
use ringsoup_sfu::command::{PlainTransportOptions, TransportCommand};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::sockets::SocketId;

use crate::common::packets::{SPEECH, heard, pli, rtp};
use crate::common::parameters::{OPUS, connect_to, consume_audio, key, plain, produce_audio};
use crate::common::{World, remote};

struct Encrypted {
    world: World,
    socket: SocketId,
    outbound: OutboundSession,
    inbound: Option<InboundSession>,
}

impl Encrypted {
    /// A transport that both produces and consumes the same audio.
    fn new(created: CryptoSuite) -> Self {
        let mut world = World::new();
        let options = PlainTransportOptions { srtp_crypto_suite: Some(created), ..plain() };
        let dump = world.create_plain("t", options).expect("created");
        assert_eq!(dump.srtp_parameters.expect("SRTP is on").crypto_suite, created);
        world.produce("t", produce_audio("audio", 1, 50));
        world.consume("t", consume_audio("echo", "audio", 2, 50));
        let socket = world.socket_of(dump.tuple.local_port);
        let outbound = OutboundSession::new(created, &key(created, 7).key_and_salt).expect("a valid key");
        Self { world, socket, outbound, inbound: None }
    }

    fn connect(&mut self, suite: CryptoSuite) {
        let mut request = connect_to(remote(1));
        request.srtp_parameters = Some(Ok(key(suite, 7)));
        let connected = self.world.connect("t", request).expect("connected");
        let local = connected.srtp_parameters.expect("SRTP is on");
        assert_eq!(local.crypto_suite, suite);
        self.inbound = Some(InboundSession::new(suite, &local.key_and_salt).expect("a valid key"));
        self.outbound = OutboundSession::new(suite, &key(suite, 7).key_and_salt).expect("a valid key");
    }

    fn protected(&mut self, seq: u16) -> Vec<u8> {
        let mut packet = rtp(OPUS, seq, 3, 1, SPEECH);
        let len = packet.len();
        packet.resize(len + 32, 0);
        let len = self.outbound.protect_rtp(&mut packet, 12, len).expect("it fits");
        packet.truncate(len);
        packet
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.world.receive(self.socket, remote(1), bytes);
    }
}

#[test]
fn every_suite_works_both_ways() {
    for suite in CryptoSuite::ALL {
        let mut room = Encrypted::new(suite);
        room.connect(suite);
        let packet = room.protected(1);
        room.receive(&packet);
        let mut sent = room.world.take_sent().remove(0);
        let inbound = room.inbound.as_mut().expect("connected");
        let len = inbound.unprotect_rtp(&mut sent.bytes).expect("authentic");
        sent.bytes.truncate(len);
        assert_eq!((sent.rtp().payload(), sent.rtp().ssrc()), (SPEECH, 2));
        room.world.advance_ms(600);
        let mut reports = room.world.take_sent();
        for report in &mut reports {
            let inbound = room.inbound.as_mut().expect("connected");
            let len = inbound.unprotect_rtcp(&mut report.bytes).expect("authentic");
            report.bytes.truncate(len);
        }
        assert_eq!(heard(&reports).sender_reports.len(), 1);
    }
}

#[test]
fn nothing_is_taken_or_sent_before_connect() {
    let suite = CryptoSuite::AesCm128HmacSha1_80;
    let mut room = Encrypted::new(suite);
    let packet = room.protected(1);
    room.receive(&packet);
    assert_eq!(room.world.dropped(DropReason::NotConnected), 1);
    let mut comedia = World::new();
    let options = PlainTransportOptions { srtp_crypto_suite: Some(suite), comedia: true, ..plain() };
    let dump = comedia.create_plain("t", options).expect("created");
    let socket = comedia.socket_of(dump.tuple.local_port);
    comedia.receive(socket, remote(1), &packet);
    comedia.receive(socket, remote(1), &pli(1));
    assert_eq!(comedia.dropped(DropReason::NotConnected), 2);
    assert!(comedia.take_events().is_empty() && comedia.take_sent().is_empty());
}

#[test]
fn forgeries_and_replays_are_refused_and_teach_no_address() {
    let suite = CryptoSuite::AeadAes256Gcm;
    let mut room = Encrypted::new(suite);
    room.connect(suite);
    let packet = room.protected(1);
    room.receive(&packet);
    room.receive(&packet);
    assert_eq!(room.world.dropped(DropReason::SrtpReplay), 1);
    let mut forged = room.protected(2);
    *forged.last_mut().expect("not empty") ^= 1;
    room.receive(&forged);
    room.receive(&rtp(OPUS, 3, 3, 1, &[]));
    assert_eq!(room.world.dropped(DropReason::SrtpAuthentication), 2);
    room.world.assert_accounted();
    let mut comedia = World::new();
    let options = PlainTransportOptions { srtp_crypto_suite: Some(suite), comedia: true, ..plain() };
    let dump = comedia.create_plain("t", options).expect("created");
    let mut request = connect_to(remote(1));
    request.srtp_parameters = Some(Ok(key(suite, 7)));
    comedia.connect("t", request).expect("connected");
    let socket = comedia.socket_of(dump.tuple.local_port);
    comedia.receive(socket, remote(66), &forged);
    assert!(comedia.take_events().is_empty(), "an attacker's address is not learned");
}

#[test]
fn the_peers_suite_wins() {
    let mut room = Encrypted::new(CryptoSuite::AesCm128HmacSha1_80);
    room.connect(CryptoSuite::AeadAes256Gcm);
    let packet = room.protected(9);
    room.receive(&packet);
    assert_eq!(room.world.take_sent().len(), 1);
}

#[test]
fn an_ssrc_never_begins_anew_under_the_same_key() {
    let suite = CryptoSuite::AeadAes256Gcm;
    let mut room = Encrypted::new(suite);
    room.connect(suite);
    let consume = |room: &mut Encrypted, consumer: &str, ssrc: u32| {
        let request = Box::new(consume_audio(consumer, "audio", ssrc, 50));
        room.world
            .try_transport("t", TransportCommand::Consume(request))
            .map(drop)
            .map_err(|error| error.reason)
    };
    let refused = || Err("ssrc already used in the transport [ssrc:2]".to_owned());
    assert_eq!(consume(&mut room, "twin", 2), refused());
    let packet = room.protected(1);
    room.receive(&packet);
    room.world.transport("t", TransportCommand::CloseConsumer { consumer: "echo".into() });
    assert_eq!(consume(&mut room, "heir", 2), refused());
    assert_eq!(consume(&mut room, "other", 3), Ok(()));
    room.world.transport("t", TransportCommand::CloseConsumer { consumer: "other".into() });
    assert_eq!(consume(&mut room, "again", 3), Ok(()), "nothing was sent with it");
}
