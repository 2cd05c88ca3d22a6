//! Every reason for which a packet goes no further can come about, and is counted once.

use ringsoup_rtc::dtls::Role;
use ringsoup_rtc::ice::Credentials;
use ringsoup_rtc::srtp::{CryptoSuite, OutboundSession};
use ringsoup_sfu::command::{
    Command, PipeConnect, PlainTransportOptions, ProducerCommand, TransportCommand, WebRtcConnect,
    WebRtcListen,
};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::piped::{PipeEnd, PipeKey, PipedKind};
use ringsoup_sfu::sfu::CameBy;
use ringsoup_sfu::sockets::SocketId;

use crate::common::bridge::pipe_options;
use crate::common::browser::{certificate, sha256};
use crate::common::checks::PLAIN;
use crate::common::cluster::{bind, opening};
use crate::common::packets::{DELTA, KEY, SPEECH, rtp, rtx};
use crate::common::parameters::{H264, H264_RTX, OPUS, connect_to, key, listen_info, plain, produce_audio};
use crate::common::{Passed, Peer, World, remote};
use crate::room::{AUDIO, Room, VIDEO, VIDEO_RTX};
use crate::webrtc_transport;

/// How a reason comes about; returns how often.
type Cause = fn(&mut Room) -> u64;

/// The beginning of a DTLS record: a handshake of DTLS 1.2.
const RECORD: [u8; 13] = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A transport whose peer has not come yet.
fn webrtc(world: &mut World) -> (SocketId, Credentials) {
    let listen = WebRtcListen::Individual(Ok(vec![listen_info()]));
    let options = webrtc_transport::options(listen);
    let dump = webrtc_transport::create(world, "webrtc", options).expect("created");
    (world.socket_of(dump.ice_candidates[0].port), dump.ice_parameters)
}

const CAUSES: [(DropReason, Cause); 32] = [
    (DropReason::UnknownSocket, |room| {
        room.world.receive(SocketId(77), remote(1), &rtp(OPUS, 1, 1, AUDIO, SPEECH));
        1
    }),
    (DropReason::UnknownPipe, |room| {
        let end = PipeEnd { key: PipeKey(7), shard: 0 };
        let bytes = rtp(OPUS, 1, 1, AUDIO, SPEECH);
        room.world.take_in(vec![Passed { end, kind: PipedKind::Packet, bytes }]);
        1
    }),
    (DropReason::MessageRefused, |room| {
        let end = PipeEnd { key: PipeKey(7), shard: 0 };
        room.world.create_pipe("pipe", end.key, pipe_options()).expect("created");
        let request = PipeConnect { ip: Ok(remote(1).ip()), port: Some(1), srtp_parameters: None };
        room.world.connect_pipe("pipe", request).expect("connected");
        let message = |bytes: &[u8]| Passed { end, kind: PipedKind::Message, bytes: bytes.to_vec() };
        room.world.take_in(vec![message(&[0, 1, 0, 0, 0, 51, b'x']), message(&[0])]);
        2
    }),
    (DropReason::UnknownProtocol, |room| {
        for bytes in [&[0, 1, 2, 3][..], &[], &[0x80], &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            room.sender_says(bytes);
        }
        4
    }),
    (DropReason::TooLong, |room| {
        room.world.direct("direct");
        room.world.produce("direct", produce_audio("sent", 9, 9));
        room.world.producer("sent", ProducerCommand::Send(vec![0x80; 65_537]));
        room.world.transport("direct", TransportCommand::SendRtcp(vec![0x80; 1_601]));
        2
    }),
    (DropReason::Sctp, |room| {
        // Ports, verification tag and checksum.
        let header = [0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 1, 2, 3, 4];
        for bytes in [&header[..], &[&header[..], &[3, 0, 0, 16]].concat()] {
            room.sender_says(bytes);
        }
        2
    }),
    (DropReason::NotConnected, |room| {
        let dump = room.world.create_plain("alone", plain()).expect("created");
        let socket = room.world.socket_of(dump.tuple.local_port);
        room.world.receive(socket, remote(1), &rtp(OPUS, 1, 1, 1, SPEECH));
        1
    }),
    (DropReason::NoIce, |room| {
        let (socket, _) = webrtc(&mut room.world);
        for bytes in [&rtp(OPUS, 1, 1, 1, SPEECH)[..], &RECORD] {
            room.world.receive(socket, remote(1), bytes);
        }
        2
    }),
    (DropReason::MalformedStun, |room| {
        let (socket, credentials) = webrtc(&mut room.world);
        let mut check = PLAIN.bytes(&credentials);
        check.pop();
        room.world.receive(socket, remote(1), &check);
        1
    }),
    (DropReason::StunRefused, |room| {
        let (socket, mut credentials) = webrtc(&mut room.world);
        credentials.password.push('!');
        room.world.receive(socket, remote(1), &PLAIN.bytes(&credentials));
        1
    }),
    (DropReason::NoHandshake, |room| {
        let (socket, credentials) = webrtc(&mut room.world);
        room.world.receive(socket, remote(1), &PLAIN.bytes(&credentials));
        room.world.receive(socket, remote(1), &RECORD);
        1
    }),
    (DropReason::HandshakePutOff, |room| {
        let (socket, credentials) = webrtc(&mut room.world);
        let request = WebRtcConnect { fingerprints: vec![sha256(certificate())], role: Role::Client };
        room.world.transport("webrtc", TransportCommand::ConnectWebRtc(request));
        // Its turn has not come.
        room.world.is_busy = true;
        room.world.receive(socket, remote(1), &PLAIN.bytes(&credentials));
        room.world.receive(socket, remote(1), &RECORD);
        1
    }),
    (DropReason::NoSrtpKeys, |room| {
        let (socket, credentials) = webrtc(&mut room.world);
        room.world.receive(socket, remote(1), &PLAIN.bytes(&credentials));
        for bytes in [&rtp(OPUS, 1, 1, 1, SPEECH)[..], &[0x80, 200, 0, 0]] {
            room.world.receive(socket, remote(1), bytes);
        }
        2
    }),
    (DropReason::UnknownTuple, |room| {
        let socket = room.world.open_server("server", 4_000);
        room.world.receive(socket, remote(1), &rtp(OPUS, 1, 1, 1, SPEECH));
        1
    }),
    (DropReason::UnknownFragment, |room| {
        let socket = room.world.open_server("server", 4_000);
        let (_, credentials) = webrtc(&mut room.world);
        room.world.receive(socket, remote(1), &PLAIN.bytes(&credentials));
        1
    }),
    (DropReason::ChecksLimited, |room| {
        let socket = bind(&mut room.world, 4_000);
        let opening = opening(1, socket, 4_000, 0, vec![1]);
        let sealer = opening.sealer.clone();
        let command = Command::OpenWebRtcServer { server: "server".into(), opening: Box::new(opening) };
        room.world.command(command);
        let credentials = Credentials::generate_sealed(1, &sealer, &mut |bytes| bytes.fill(1));
        for peer in 0..17 {
            room.world.receive(socket, remote(peer), &PLAIN.bytes(&credentials));
        }
        1
    }),
    (DropReason::ForeignTuple, |room| {
        let socket = room.sender.socket;
        room.world.receive(socket, remote(1), &rtp(OPUS, 1, 1, AUDIO, SPEECH));
        1
    }),
    (DropReason::MalformedRtp, |room| {
        let mut csrcs = rtp(OPUS, 1, 1, AUDIO, SPEECH);
        csrcs[0] |= 15;
        let mut extension = rtp(OPUS, 1, 1, AUDIO, &[0xbe, 0xde, 0xff, 0xff]);
        extension[0] |= 0x10;
        let mut padding = rtp(OPUS, 1, 1, AUDIO, &[1, 200]);
        padding[0] |= 0x20;
        for bytes in [csrcs, extension, padding] {
            room.sender_says(&bytes);
        }
        3
    }),
    (DropReason::MalformedRtcp, |room| {
        for bytes in [&[0x80, 200, 0, 9][..], &[0x81, 201, 0, 0], &[0x80, 205, 0, 1, 0, 0, 0, 0]] {
            room.sender_says(bytes);
        }
        3
    }),
    (DropReason::SrtpAuthentication, |room| {
        let (peer, _) = srtp_peer(&mut room.world);
        room.world.from(&peer, &rtp(OPUS, 1, 1, 9, SPEECH));
        1
    }),
    (DropReason::SrtpReplay, |room| {
        let (peer, mut session) = srtp_peer(&mut room.world);
        room.world.produce(&peer.name, produce_audio("encrypted", 9, 60));
        let mut packet = rtp(OPUS, 1, 1, 9, SPEECH);
        let len = packet.len();
        packet.resize(len + 32, 0);
        let len = session.protect_rtp(&mut packet, 12, len).expect("it fits");
        room.world.from(&peer, &packet[..len]);
        room.world.from(&peer, &packet[..len]);
        1
    }),
    (DropReason::UnknownProducer, |room| {
        room.sender_says(&rtp(OPUS, 1, 1, 99, SPEECH));
        1
    }),
    (DropReason::UnknownStream, |room| {
        // The encoding's SSRC with a payload type that is neither its codec nor its RTX.
        room.sender_says(&rtp(50, 1, 1, VIDEO, KEY));
        1
    }),
    (DropReason::UnknownPayloadType, |room| {
        room.start_video(1..2);
        room.sender_says(&rtp(50, 2, 1, VIDEO, DELTA));
        1
    }),
    (DropReason::BadSequence, |room| {
        room.start_video(1..2);
        room.video(30_000, DELTA);
        1
    }),
    (DropReason::Duplicate, |room| {
        room.start_video(1..3);
        room.video(2, DELTA);
        room.sender_says(&rtx(H264_RTX, 1, 180, VIDEO_RTX, 2, DELTA));
        2
    }),
    (DropReason::MalformedRtx, |room| {
        room.start_video(1..2);
        room.sender_says(&rtp(H264_RTX, 1, 180, VIDEO_RTX, &[]));
        room.sender_says(&rtp(H264_RTX, 2, 180, VIDEO_RTX, &[1]));
        2
    }),
    (DropReason::PaddingOnly, |room| {
        room.start_video(1..2);
        room.video(2, &[]);
        1
    }),
    (DropReason::ProducerPaused, |room| {
        room.world.producer("video", ProducerCommand::Pause);
        room.video(1, KEY);
        1
    }),
    (DropReason::NoTakers, |room| {
        room.video(1, DELTA);
        1
    }),
    (DropReason::OutboxFull, fill_the_outbox),
    (DropReason::Panicked, |room| {
        let alice = CameBy::Socket(room.alice.socket);
        room.world.sfu.handle_panic(alice, &mut room.world.sockets, &mut room.world.out);
        1
    }),
];

fn srtp_peer(world: &mut World) -> (Peer, OutboundSession) {
    let suite = CryptoSuite::AeadAes128Gcm;
    let options = PlainTransportOptions { srtp_crypto_suite: Some(suite), ..plain() };
    let dump = world.create_plain("srtp", options).expect("created");
    let mut request = connect_to(remote(1));
    request.srtp_parameters = Some(Ok(key(suite, 7)));
    world.connect("srtp", request).expect("connected");
    let socket = world.socket_of(dump.tuple.local_port);
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], dump.tuple.local_port));
    let session = OutboundSession::new(suite, &key(suite, 7).key_and_salt).expect("a valid key");
    (Peer { name: "srtp".into(), socket, local, remote: remote(1) }, session)
}

fn fill_the_outbox(room: &mut Room) -> u64 {
    room.start_video(0..1);
    let mut payload = vec![0; 60_000];
    payload[..DELTA.len()].copy_from_slice(DELTA);
    let (socket, from) = (room.sender.socket, room.sender.remote);
    for seq in 1..=1_200 {
        room.world.receive_unflushed(socket, from, &rtp(H264, seq, 1, VIDEO, &payload));
    }
    let refused = room.world.dropped(DropReason::OutboxFull);
    assert!(refused > 50, "64 MiB take no more than 1,118 of these: {refused}");
    refused
}

#[test]
fn every_reason_can_come_about_and_is_counted_once() {
    for (reason, cause) in CAUSES {
        let mut room = Room::new();
        let expected = cause(&mut room);
        assert_eq!(room.world.dropped(reason), expected, "{reason:?}");
        room.world.assert_accounted();
    }
}

#[test]
fn no_reason_is_left_out() {
    for reason in DropReason::ALL {
        assert!(CAUSES.iter().any(|(caused, _)| caused == reason), "{reason:?} is caused by no test");
    }
}

#[test]
fn a_panic_closes_its_transport_and_nothing_else() {
    let mut room = Room::new();
    room.start_video(1..2);
    room.bob_gets();
    room.world.take_events();
    let World { sfu, sockets, out, .. } = &mut room.world;
    sfu.handle_panic(CameBy::Socket(room.alice.socket), sockets, out);
    assert_eq!(crate::room::told(&room.world.take_events()), ["failed alice"]);
    room.video(2, DELTA);
    assert_eq!(room.bob_gets().len(), 1);
    assert_eq!(room.world.report().transports, 2);
}
