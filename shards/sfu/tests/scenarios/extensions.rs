//! What a receiver's packets say beside their media: extensions under its own ids, and stamps of their sending.

use ringsoup_rtc::rtp::extension::abs_send_time_from_micros;
use ringsoup_rtc::rtp::{ExtensionUri, RtpWriter};
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession};
use ringsoup_sfu::command::{Consume, PlainTransportOptions, TransportCommand};
use ringsoup_sfu::reply::{Reply, TransportStats};

use crate::common::packets::{DELTA, KEY, SPEECH, nack, rtcp};
use crate::common::parameters::{
    H264, LEVEL_ID, OPUS, connect_to, consume_audio, consume_video, extension, feedback, key, plain,
    produce_video,
};
use crate::common::{Peer, Sent, remote};
use crate::room::{ALICE_AUDIO, AUDIO, MAPPED_AUDIO, MAPPED_VIDEO, Room};

/// Ids of this receiver, none of them the router's.
const MID: u8 = 9;
const TIME: u8 = 2;
const NUMBER: u8 = 3;

/// A consumer that negotiated both elements of a stamp under ids of its own.
fn stamped(consumer: &str, ssrc: u32, rtx_ssrc: Option<u32>) -> Consume {
    let mut request = consume_video(consumer, "video", ssrc, rtx_ssrc, MAPPED_VIDEO);
    request.rtp_parameters.header_extensions = vec![
        extension(ExtensionUri::Mid, MID),
        extension(ExtensionUri::AbsSendTime, TIME),
        extension(ExtensionUri::TransportWideCc01, NUMBER),
    ];
    request.rtp_parameters.codecs[0].rtcp_feedback.push(feedback("transport-cc", ""));
    request
}

/// The same with REMB as its means.
fn timed(consumer: &str, ssrc: u32) -> Consume {
    let mut request = stamped(consumer, ssrc, None);
    request.rtp_parameters.codecs[0].rtcp_feedback = vec![feedback("goog-remb", "")];
    request
}

/// A room in which Carol's packets are stamped.
struct Stamped {
    room: Room,
    carol: Peer,
}

impl Stamped {
    fn new(requests: Vec<Consume>) -> Self {
        let mut room = Room::new();
        let carol = room.world.plain("carol");
        for request in requests {
            room.world.consume("carol", request);
        }
        Self { room, carol }
    }

    fn gets(&mut self) -> Vec<Sent> {
        self.room.world.take_rtp(&self.carol)
    }

    fn says(&mut self, bytes: &[u8]) {
        self.room.world.from(&self.carol, bytes);
    }

    fn stats(&mut self) -> TransportStats {
        match self.room.world.transport("carol", TransportCommand::Stats) {
            Reply::PlainTransportStats(stats) => stats.base,
            other => panic!("not stats: {other:?}"),
        }
    }
}

fn number(sent: &Sent) -> Option<u16> {
    let value = sent.rtp().extension(NUMBER)?;
    Some(u16::from_be_bytes(value.try_into().expect("two bytes")))
}

fn sent_at(sent: &Sent) -> Option<u32> {
    let packet = sent.rtp();
    let [a, b, c] = *packet.extension(TIME)? else { panic!("three bytes") };
    Some(u32::from_be_bytes([0, a, b, c]))
}

fn now(room: &Room) -> u32 {
    abs_send_time_from_micros(room.world.now.as_micros())
}

#[test]
fn packets_are_numbered_by_transport_and_timed_as_they_are_sent() {
    let requests = vec![stamped("one", 70, Some(71)), stamped("two", 80, None)];
    let mut stamped = Stamped::new(requests);
    stamped.room.video(1, KEY);
    stamped.room.world.advance_ms(37);
    let then = now(&stamped.room);
    stamped.room.video(2, DELTA);
    let sent = stamped.gets();
    assert_eq!(sent.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4].map(Some));
    assert_eq!(sent.iter().map(|sent| sent.rtp().ssrc()).collect::<Vec<_>>(), [70, 80, 70, 80]);
    let first = abs_send_time_from_micros(1_000_000);
    assert_eq!(sent.iter().map(sent_at).collect::<Vec<_>>(), [first, first, then, then].map(Some));
    for sent in &sent {
        assert_eq!(sent.rtp().extension(MID), Some(&b"v"[..]));
        assert_eq!(sent.rtp().extensions().count(), 3);
    }
    // Alice and Bob negotiated nothing of it.
    stamped.room.video(3, DELTA);
    assert_eq!(stamped.room.alice_gets()[0].rtp().extensions().count(), 1);
}

#[test]
fn an_rtx_packet_is_a_packet_of_its_own() {
    let mut stamped = Stamped::new(vec![stamped("one", 70, Some(71))]);
    stamped.room.start_video(1..4);
    let first = stamped.gets();
    stamped.room.world.advance_ms(20);
    let lost = first[1].rtp().sequence_number();
    stamped.says(&nack(70, &[lost]));
    let then = now(&stamped.room);
    stamped.room.video(4, DELTA);
    let sent = stamped.gets();
    assert_eq!(sent.iter().map(|sent| sent.rtp().ssrc()).collect::<Vec<_>>(), [71, 70]);
    assert_eq!(sent.iter().map(number).collect::<Vec<_>>(), [Some(4), Some(5)]);
    assert_eq!(sent_at(&sent[0]), Some(then));
    assert_eq!(sent[0].rtp().payload()[..2], lost.to_be_bytes());
}

/// Under SRTP another stamp under the same index would give the key stream away; it is the same rule without.
#[test]
fn a_packet_sent_again_as_it_was_says_what_it_said() {
    let mut stamped = Stamped::new(vec![stamped("one", 70, None)]);
    stamped.room.start_video(1..6);
    let first = stamped.gets();
    stamped.room.world.advance_ms(150);
    stamped.says(&nack(70, &[first[1].rtp().sequence_number(), first[3].rtp().sequence_number()]));
    let again = stamped.gets();
    assert_eq!(again.len(), 2);
    assert_eq!((&again[0].bytes, &again[1].bytes), (&first[1].bytes, &first[3].bytes));
    stamped.room.video(6, DELTA);
    assert_eq!(number(&stamped.gets()[0]), Some(6), "the number was not used up");
}

#[test]
fn under_srtp_an_index_has_one_content() {
    for suite in CryptoSuite::ALL {
        let mut room = Room::new();
        let options = PlainTransportOptions { srtp_crypto_suite: Some(suite), ..plain() };
        let dump = room.world.create_plain("carol", options).expect("created");
        let mut request = connect_to(remote(1));
        request.srtp_parameters = Some(Ok(key(suite, 7)));
        let connected = room.world.connect("carol", request).expect("connected");
        let local_key = connected.srtp_parameters.expect("SRTP is on").key_and_salt;
        room.world.consume("carol", stamped("one", 70, None));
        let socket = room.world.socket_of(dump.tuple.local_port);
        let carol = Peer { name: "carol".into(), socket, local: remote(9), remote: remote(1) };
        room.start_video(1..5);
        let first = room.world.take_rtp(&carol);
        let mut inbound = InboundSession::new(suite, &local_key).expect("a valid key");
        let mut plain = first[2].clone();
        let len = inbound.unprotect_rtp(&mut plain.bytes).expect("authentic");
        plain.bytes.truncate(len);
        assert_eq!(number(&plain), Some(3));
        room.world.advance_ms(150);
        let mut outbound = ringsoup_rtc::srtp::OutboundSession::new(suite, &key(suite, 7).key_and_salt)
            .expect("a valid key");
        let mut ask = nack(70, &[plain.rtp().sequence_number()]);
        let len = ask.len();
        ask.resize(len + 64, 0);
        let len = outbound.protect_rtcp(&mut ask, len).expect("it fits");
        room.world.from(&carol, &ask[..len]);
        let again = room.world.take_rtp(&carol);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].bytes, first[2].bytes);
    }
}

#[test]
fn without_feedback_packets_are_timed_but_not_numbered() {
    let mut stamped = Stamped::new(vec![timed("one", 70)]);
    stamped.room.video(1, KEY);
    let sent = stamped.gets();
    assert_eq!((number(&sent[0]), sent_at(&sent[0])), (None, Some(now(&stamped.room))));
}

#[test]
fn sound_is_not_stamped() {
    let mut audio = consume_audio("sound", "audio", 90, MAPPED_AUDIO);
    audio.rtp_parameters.header_extensions.extend([
        extension(ExtensionUri::AbsSendTime, TIME),
        extension(ExtensionUri::TransportWideCc01, NUMBER),
    ]);
    let mut stamped = Stamped::new(vec![stamped("one", 70, None), audio]);
    stamped.room.start_audio(1..3);
    let sent = stamped.gets();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| number(sent).is_none() && sent_at(sent).is_none()));
}

/// What a sender says of its own hop ends there, whatever ids it uses.
#[test]
fn stamps_of_senders_are_not_forwarded() {
    let mut room = Room::new();
    let mut request = produce_video("stamps", 3_000, None, 5_100);
    request.rtp_parameters.header_extensions = vec![
        extension(ExtensionUri::AbsSendTime, 12),
        extension(ExtensionUri::TransportWideCc01, 13),
        extension(ExtensionUri::RtpStreamId, 10),
        extension(ExtensionUri::RepairRtpStreamId, 11),
    ];
    room.world.produce("sender", request);
    room.world.consume("bob", consume_video("c", "stamps", 78, None, 5_100));
    let packet = RtpWriter::new(H264, 1, 1, 3_000)
        .extension(12, &[1, 2, 3])
        .extension(13, &[4, 5])
        .extension(10, b"hi")
        .extension(11, b"ho")
        .payload(KEY);
    room.sender_says(&packet.to_vec().expect("no CSRCs"));
    let sent = room.bob_gets();
    let elements: Vec<_> = sent[0].rtp().extensions().map(|(id, value)| (id, value.to_vec())).collect();
    assert_eq!(elements, [(ExtensionUri::Mid.router_id(), b"v".to_vec())]);
}

#[test]
fn what_travels_with_the_media_arrives_under_the_receivers_ids() {
    use ExtensionUri::{AbsCaptureTime, DependencyDescriptor, PlayoutDelay, TimeOffset, VideoOrientation};
    let mut room = Room::new();
    let travels = [(VideoOrientation, 1), (TimeOffset, 2), (PlayoutDelay, 3), (DependencyDescriptor, 4)];
    let mut request = produce_video("all", 3_000, None, 5_100);
    let ids = travels.iter().chain(&[(AbsCaptureTime, 5)]);
    request.rtp_parameters.header_extensions = ids.map(|&(uri, id)| extension(uri, id)).collect();
    room.world.produce("sender", request);
    let mut request = consume_video("c", "all", 78, None, 5_100);
    request.rtp_parameters.header_extensions = travels.map(|(uri, id)| extension(uri, 14 - id)).to_vec();
    room.world.consume("bob", request);
    let packet = RtpWriter::new(H264, 1, 1, 3_000)
        .extension(1, &[2])
        .extension(2, &[0, 0, 9])
        .extension(3, &[1, 2, 3])
        .extension(4, &[0x80, 0, 1])
        .extension(5, &[8; 8])
        .payload(KEY);
    room.sender_says(&packet.to_vec().expect("no CSRCs"));
    let sent = room.bob_gets();
    let elements: Vec<_> = sent[0].rtp().extensions().map(|(id, value)| (id, value.to_vec())).collect();
    // The capture time was not negotiated, and its router's id means something else to this receiver.
    assert_eq!(elements, [(13, vec![2]), (12, vec![0, 0, 9]), (11, vec![1, 2, 3]), (10, vec![0x80, 0, 1])]);
}

/// RFC 8285 section 4.3: ids above 14 need the two-byte form, for all elements of the packet.
#[test]
fn ids_of_any_height_are_the_receivers_to_choose() {
    let mut request = stamped("one", 70, None);
    for (extension, id) in request.rtp_parameters.header_extensions.iter_mut().zip([200, 2, 3]) {
        extension.id = id;
    }
    let mut stamped = Stamped::new(vec![request]);
    stamped.room.start_video(1..3);
    let sent = stamped.gets();
    assert_eq!(sent[0].rtp().extension(200), Some(&b"v"[..]));
    assert_eq!(sent.iter().map(number).collect::<Vec<_>>(), [Some(1), Some(2)]);
    stamped.says(&nack(70, &[sent[1].rtp().sequence_number()]));
    assert_eq!(stamped.gets()[0].bytes, sent[1].bytes);
}

#[test]
fn long_elements_and_stamps_share_a_packet() {
    let mut room = Room::new();
    let mut request = produce_video("long", 3_000, None, 5_100);
    request.rtp_parameters.header_extensions = vec![extension(ExtensionUri::DependencyDescriptor, 8)];
    room.world.produce("sender", request);
    let carol = room.world.plain("carol");
    let mut request = stamped("c", 78, None);
    request.producer = "long".into();
    request.consumable_rtp_encodings[0].ssrc = Some(5_100);
    request.rtp_parameters.header_extensions.push(extension(ExtensionUri::DependencyDescriptor, 8));
    room.world.consume("carol", request);
    let packet = RtpWriter::new(H264, 1, 1, 3_000).extension(8, &[0x80; 40]).payload(KEY);
    room.sender_says(&packet.to_vec().expect("no CSRCs"));
    let sent = room.world.take_rtp(&carol);
    assert_eq!(sent[0].rtp().extension(8), Some(&[0x80; 40][..]));
    assert_eq!((number(&sent[0]), sent[0].rtp().extension(MID)), (Some(1), Some(&b"v"[..])));
}

#[test]
fn the_loss_of_what_was_sent_is_told() {
    let mut stamped = Stamped::new(vec![stamped("one", 70, None)]);
    stamped.room.start_video(1..5);
    assert_eq!(stamped.stats().rtp_packet_loss_sent, Some(0.0));
    // Packets 1 to 4, of which 1 and 3 came; then a hundred that were never sent.
    let half = [0, 1, 0, 4, 0, 0, 1, 0, 0b1010_1000, 0, 4, 4];
    stamped.says(&rtcp(|writer| writer.transport_cc(1, 70, &half)));
    assert_eq!(stamped.stats().rtp_packet_loss_sent, Some(0.5));
    stamped.says(&rtcp(|writer| writer.transport_cc(1, 70, &[0, 5, 0, 100, 0, 0, 1, 1, 0, 100, 0, 0])));
    assert_eq!(stamped.stats().rtp_packet_loss_sent, Some(0.5));
    assert_eq!(stamped.stats().available_outgoing_bitrate, Some(600_000));
}

#[test]
fn what_the_receiver_says_it_can_take_is_told() {
    let mut stamped = Stamped::new(vec![timed("one", 70)]);
    assert_eq!(stamped.stats().available_outgoing_bitrate, Some(600_000));
    stamped.says(&rtcp(|writer| writer.remb(1, 1_500_000, &[70])));
    assert_eq!(stamped.stats().available_outgoing_bitrate, Some(1_500_000));
    stamped.room.world.transport("carol", TransportCommand::SetMaxOutgoingBitrate(1_000_000));
    assert_eq!(stamped.stats().available_outgoing_bitrate, Some(1_000_000));
    assert_eq!(stamped.stats().rtp_packet_loss_sent, Some(0.0));
}

/// RFC 6464: the level is the media's, so it goes on; it is not there for who did not ask, under an id with a meaning.
#[test]
fn audio_levels_travel() {
    let mut room = Room::new();
    let packet = RtpWriter::new(OPUS, 1, 960, AUDIO).extension(LEVEL_ID, &[0x9e]).payload(SPEECH);
    room.sender_says(&packet.to_vec().expect("no CSRCs"));
    let sent = room.alice_gets();
    assert_eq!(sent[0].rtp().ssrc(), ALICE_AUDIO);
    assert_eq!(sent[0].rtp().extension(ExtensionUri::SsrcAudioLevel.router_id()), Some(&[0x9e][..]));
}

#[test]
fn numbers_go_on_across_their_wrap() {
    let mut stamped = Stamped::new(vec![stamped("one", 70, None)]);
    stamped.room.video(1, KEY);
    for seq in 2..=65_535_u16 {
        stamped.room.video(seq, DELTA);
    }
    stamped.room.video(0, DELTA);
    let sent = stamped.gets();
    let last: Vec<_> = sent[sent.len() - 2..].iter().map(number).collect();
    assert_eq!(last, [Some(65_535), Some(0)]);
}
