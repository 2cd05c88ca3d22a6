//! What receivers get of what senders send.

use ringsoup_rtc::rtp::extension::parse_packet_id;
use ringsoup_rtc::rtp::{ExtensionUri, RtpWriter};
use ringsoup_sfu::command::{Consume, ConsumerCommand, Produce};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::rtp_parameters::{CodecMapping, RtpCodecParameters};

use crate::common::packets::{DELTA, KEY, SILENCE, SPEECH, heard, nack, rtp, rtx};
use crate::common::parameters::{
    H264, H264_RTX, MID_ID, OPUS, ORIENTATION_ID, ROUTER_H264, ROUTER_OPUS, codec, consume_audio,
    consume_video, extension, feedback, produce_audio, produce_video, rtx as rtx_codec,
};
use crate::common::{Peer, Sent, World};
use crate::room::{
    ALICE_AUDIO, ALICE_VIDEO, BOB_VIDEO, MAPPED_AUDIO, MAPPED_VIDEO, Room, VIDEO, VIDEO_RTX,
    assert_contiguous, seqs, told,
};

#[test]
fn headers_are_the_receivers_own_and_payloads_the_senders() {
    let mut room = Room::new();
    let packet = RtpWriter::new(H264, 65_535, 123_456, VIDEO)
        .marker(true)
        .extension(MID_ID, b"sender")
        .extension(ORIENTATION_ID, &[1])
        .extension(9, b"unknown")
        .payload(KEY);
    room.sender_says(&packet.to_vec().expect("no CSRCs"));
    let sent = room.world.take_sent();
    assert_eq!(sent.len(), 2);
    for (sent, peer, ssrc) in [(&sent[0], &room.alice, ALICE_VIDEO), (&sent[1], &room.bob, BOB_VIDEO)] {
        assert_eq!((sent.local, sent.remote), (peer.local, peer.remote));
        let packet = sent.rtp();
        assert_eq!((packet.ssrc(), packet.payload_type()), (ssrc, ROUTER_H264));
        assert_eq!((packet.timestamp(), packet.marker(), packet.payload()), (123_456, true, KEY));
        assert!((1_000..=32_767).contains(&packet.sequence_number()));
        let elements: Vec<_> = packet.extensions().collect();
        assert!(elements.contains(&(ExtensionUri::Mid.router_id(), &b"v"[..])), "{elements:?}");
        assert!(elements.contains(&(ExtensionUri::VideoOrientation.router_id(), &[1][..])), "{elements:?}");
        assert_eq!(elements.len(), 2);
    }
    assert!(told(&room.world.take_events()).contains(&"orientation video 90".to_owned()));
}

#[test]
fn a_receivers_own_extension_ids_are_used() {
    let mut room = Room::new();
    let mut request = consume_video("own ids", "video", 77, None, MAPPED_VIDEO);
    request.rtp_parameters.header_extensions =
        vec![extension(ExtensionUri::Mid, 3), extension(ExtensionUri::VideoOrientation, 11)];
    room.world.consume("bob", request);
    let packet = RtpWriter::new(H264, 1, 1, VIDEO).extension(ORIENTATION_ID, &[2]).payload(KEY);
    room.sender_says(&packet.to_vec().expect("no CSRCs"));
    let sent = room.bob_gets();
    let own = sent.iter().find(|sent| sent.rtp().ssrc() == 77).expect("forwarded").rtp();
    assert_eq!((own.extension(3), own.extension(11)), (Some(&b"v"[..]), Some(&[2][..])));
}

fn request_with_ids() -> Produce {
    Produce { enable_packet_id: true, ..produce_video("ids", 3_000, None, 5_100) }
}

#[test]
fn packet_ids_are_added_where_asked_for() {
    let mut room = Room::new();
    room.world.produce("sender", request_with_ids());
    room.world.consume("bob", consume_video("c", "ids", 78, None, 5_100));
    room.sender_says(&rtp(H264, 1, 1, 3_000, KEY));
    room.sender_says(&rtp(H264, 2, 1, 3_000, DELTA));
    let id = ExtensionUri::MediasoupPacketId.router_id();
    let value = |sent: &Sent| parse_packet_id(sent.rtp().extension(id)?);
    let ids: Vec<_> = room.bob_gets().iter().map(|sent| value(sent).expect("four bytes")).collect();
    assert_eq!(ids[1], ids[0] + 1);
    let mut other = Room::with_seed(2);
    other.world.produce("sender", request_with_ids());
    other.world.consume("bob", consume_video("c", "ids", 78, None, 5_100));
    other.sender_says(&rtp(H264, 1, 1, 3_000, KEY));
    assert_ne!(value(&other.bob_gets()[0]), Some(ids[0]), "shards begin elsewhere");
}

#[test]
fn sequence_numbers_are_contiguous_across_both_wraps() {
    let mut room = Room::new();
    room.video(65_530, KEY);
    for index in 1..60_000_u16 {
        room.video(65_530_u16.wrapping_add(index), DELTA);
    }
    let sent = room.bob_gets();
    assert_eq!(sent.len(), 60_000);
    assert_contiguous(&seqs(&sent));
}

#[test]
fn a_real_gap_stays_a_gap_and_a_late_packet_fills_it() {
    let mut room = Room::new();
    for (seq, payload) in [(10, KEY), (11, DELTA), (14, DELTA), (12, DELTA)] {
        room.video(seq, payload);
    }
    let seqs = seqs(&room.bob_gets());
    let first = seqs[0];
    assert_eq!(seqs, [first, first + 1, first + 4, first + 2]);
}

#[test]
fn padding_leaves_no_gap() {
    let mut room = Room::new();
    room.start_video(1..4);
    room.video(4, &[]);
    let padded = RtpWriter::new(H264, 5, 1, VIDEO).padding(200).to_vec().expect("no CSRCs");
    room.sender_says(&padded);
    room.start_video(6..8);
    let sent = room.bob_gets();
    assert_eq!(sent.len(), 5);
    assert_contiguous(&seqs(&sent));
    assert_eq!(room.world.dropped(DropReason::PaddingOnly), 2);
}

#[test]
fn an_unmapped_payload_type_leaves_no_gap() {
    let mut room = Room::new();
    room.start_video(1..3);
    room.sender_says(&rtp(50, 3, 1, VIDEO, DELTA));
    room.video(4, DELTA);
    assert_contiguous(&seqs(&room.bob_gets()));
}

#[test]
fn ignored_dtx_leaves_no_gap() {
    let mut room = Room::new();
    let request = Consume { ignore_dtx: true, ..consume_audio("no dtx", "audio", 79, MAPPED_AUDIO) };
    room.world.consume("bob", request);
    for seq in 1..100_u16 {
        room.audio(seq, if seq % 3 == 0 { SILENCE } else { SPEECH });
    }
    let sent = room.world.take_sent();
    let of = |ssrc| sent.iter().filter(move |sent| sent.rtp().ssrc() == ssrc).cloned().collect::<Vec<_>>();
    let (all, spoken) = (of(ALICE_AUDIO), of(79));
    assert_eq!((all.len(), spoken.len()), (99, 66));
    assert_contiguous(&seqs(&all));
    assert_contiguous(&seqs(&spoken));
    assert!(spoken.iter().all(|sent| sent.rtp().payload() == SPEECH));
}

/// Comfort noise of one byte is no silence of Opus; redundancy around such silence is.
#[test]
fn ignored_dtx_is_that_of_the_sound_itself() {
    let mut world = World::new();
    let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
    let (red, noise) = (63, 13);
    let beside = [codec("audio/red", red, 48_000), codec("audio/CN", noise, 8_000)];
    let mut request = produce_audio("audio", 2_000, 5_001);
    request.rtp_parameters.codecs.extend(beside.clone());
    let mapping = |payload_type| CodecMapping { payload_type, mapped_payload_type: payload_type };
    request.rtp_mapping.codecs.extend([mapping(red), mapping(noise)]);
    world.produce("sender", request);
    let mut request = Consume { ignore_dtx: true, ..consume_audio("c", "audio", 9_000, 5_001) };
    request.rtp_parameters.codecs.extend(beside);
    world.consume("receiver", request);
    // RFC 2198 section 3: a block of before with its length, then the one of now.
    let redundant = |before: &[u8], primary: &[u8]| {
        let length = u8::try_from(before.len()).expect("short");
        [&[0x80 | OPUS, 3, 0xc0, length, OPUS], before, primary].concat()
    };
    let alone = |primary: &[u8]| [&[OPUS], primary].concat();
    let packets = [
        (OPUS, SPEECH.to_vec(), true),
        (OPUS, SILENCE.to_vec(), false),
        (noise, vec![40], true),
        (red, redundant(SILENCE, SPEECH), true),
        (red, redundant(SPEECH, SILENCE), false),
        (red, alone(SPEECH), true),
        (red, alone(SILENCE), false),
        (red, vec![0x80 | OPUS, 3], true),
    ];
    for (seq, (payload_type, payload, passes)) in (1_u16..).zip(packets) {
        world.from(&sender, &rtp(payload_type, seq, u32::from(seq) * 960, 2_000, &payload));
        assert_eq!(world.take_rtp(&receiver).len(), usize::from(passes), "{seq}");
    }
}

#[test]
fn a_duplicate_is_forwarded_once() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.video(3, DELTA);
    room.video(4, DELTA);
    assert_eq!(room.bob_gets().len(), 4);
    assert_eq!(room.world.dropped(DropReason::Duplicate), 2);
}

#[test]
fn a_restarted_sender_goes_on_contiguously_from_its_next_key_frame() {
    let mut room = Room::new();
    room.start_video(10_000..10_010);
    room.world.advance_ms(1_500);
    let before = seqs(&room.bob_gets());
    room.rtcp_to_sender();
    // The first packet of the restart is not believed, and it was the key frame.
    room.video(40_000, KEY);
    room.video(40_001, DELTA);
    assert_eq!(room.world.dropped(DropReason::BadSequence), 1);
    let sent = room.world.take_sent();
    let to_sender: Vec<_> = sent.iter().filter(|sent| sent.remote == room.sender.remote).collect();
    assert_eq!(heard(to_sender).plis.len(), 1);
    assert!(sent.iter().all(|sent| sent.remote != room.bob.remote), "nothing to decode yet");
    room.video(40_002, KEY);
    room.video(40_003, DELTA);
    let after = seqs(&room.bob_gets());
    assert_contiguous(&[before, after].concat());
    room.world.assert_accounted();
}

#[test]
fn a_restarted_sender_with_an_older_clock_still_gets_reports_sent() {
    let mut room = Room::new();
    room.sender_says(&rtp(H264, 1, 3_000_000_000, VIDEO, KEY));
    room.sender_says(&rtp(H264, 40_000, 1_000_000_000, VIDEO, KEY));
    room.sender_says(&rtp(H264, 40_001, 1_000_000_000, VIDEO, KEY));
    room.world.advance_ms(600);
    let bob = room.bob.clone();
    let heard = heard(&room.world.take_rtcp(&bob));
    let timestamp = heard.sender_reports[0].rtp_timestamp;
    assert!((1_000_000_000..1_000_100_000).contains(&timestamp), "{timestamp}");
}

#[test]
fn what_rtx_brings_is_forwarded_as_if_never_lost() {
    let mut room = Room::new();
    room.video(10, KEY);
    room.video(12, DELTA);
    room.sender_says(&rtx(H264_RTX, 500, 11 * 90, VIDEO_RTX, 11, b"\x41repaired"));
    let sent = room.bob_gets();
    let first = seqs(&sent)[0];
    assert_eq!(seqs(&sent), [first, first + 2, first + 1]);
    let repaired = sent[2].rtp();
    assert_eq!((repaired.payload(), repaired.timestamp()), (&b"\x41repaired"[..], 990));
    assert_eq!((repaired.payload_type(), repaired.ssrc()), (ROUTER_H264, BOB_VIDEO));
    // It can be asked for again, too.
    room.bob_says(&nack(BOB_VIDEO, &[first + 1]));
    assert_eq!(room.bob_gets()[0].rtp().payload(), b"\x41repaired");
}

#[test]
fn a_stream_is_found_by_mid_and_remembered_by_ssrc() {
    let mut room = Room::new();
    let mut request = produce_video("by mid", 0, None, 5_200);
    request.rtp_parameters.mid = Some("m".into());
    request.rtp_parameters.encodings[0].ssrc = None;
    request.rtp_mapping.encodings[0].ssrc = None;
    room.world.produce("sender", request);
    room.world.consume("bob", consume_video("c", "by mid", 80, None, 5_200));
    let named = RtpWriter::new(H264, 1, 1, 0xabc).extension(MID_ID, b"m").payload(KEY);
    room.sender_says(&named.to_vec().expect("no CSRCs"));
    room.sender_says(&rtp(H264, 2, 1, 0xabc, DELTA));
    assert_eq!(room.bob_gets().len(), 2);
    room.world.consumer("c", ConsumerCommand::Dump);
}

/// What rides in the stream of sound, for receivers that negotiated it; others get the rest without a gap.
#[test]
fn redundant_sound_and_keys_pass_to_who_asked_for_them() {
    let mut world = World::new();
    let (sender, all, plain) = (world.plain("sender"), world.plain("all"), world.plain("plain"));
    let (red, tones) = (63, 110);
    let beside = [codec("audio/red", red, 48_000), codec("audio/telephone-event", tones, 48_000)];
    let mut request = produce_audio("audio", 2_000, 5_001);
    request.rtp_parameters.codecs.extend(beside.clone());
    let mapping = |payload_type| CodecMapping { payload_type, mapped_payload_type: payload_type };
    request.rtp_mapping.codecs.extend([mapping(red), mapping(tones)]);
    world.produce("sender", request);
    let mut request = consume_audio("c", "audio", 9_000, 5_001);
    request.rtp_parameters.codecs.extend(beside);
    world.consume("all", request);
    world.consume("plain", consume_audio("d", "audio", 9_001, 5_001));
    for (seq, payload_type) in (1..).zip([OPUS, red, tones, OPUS]) {
        world.from(&sender, &rtp(payload_type, seq, u32::from(seq) * 960, 2_000, &[0x78, 1, 2, 3]));
    }
    let sent = world.take_sent();
    let to = |peer: &Peer| -> Vec<_> {
        sent.iter().filter(|sent| sent.remote == peer.remote && !sent.is_rtcp()).cloned().collect()
    };
    let types = |sent: &[Sent]| sent.iter().map(|sent| sent.rtp().payload_type()).collect::<Vec<_>>();
    let (all, plain) = (to(&all), to(&plain));
    assert_eq!(types(&all)[1..3], [red, tones]);
    assert_eq!((all.len(), plain.len()), (4, 2));
    assert_contiguous(&seqs(&all));
    assert_contiguous(&seqs(&plain));
    let Reply::ConsumerDump(dump) = world.consumer("c", ConsumerCommand::Dump) else { panic!("a dump") };
    assert_eq!(dump.supported_codec_payload_types, [types(&plain)[0]], "as the original shows it");
}

/// Browsers that negotiated redundancy send nothing else, and a tone may be the first that is heard.
#[test]
fn a_stream_of_sound_may_begin_with_what_rides_beside_it() {
    for first in ["audio/red", "audio/telephone-event", "audio/CN"] {
        let mut world = World::new();
        let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
        let (beside, unmapped) = (63, 64);
        let mut request = produce_audio("audio", 2_000, 5_001);
        request
            .rtp_parameters
            .codecs
            .extend([codec(first, beside, 48_000), codec("audio/red", unmapped, 48_000)]);
        request.rtp_mapping.codecs.push(CodecMapping { payload_type: beside, mapped_payload_type: beside });
        world.produce("sender", request);
        let mut request = consume_audio("c", "audio", 9_000, 5_001);
        request.rtp_parameters.codecs.push(codec(first, beside, 48_000));
        world.consume("receiver", request);
        for (seq, payload_type) in (1..).zip([unmapped, beside, beside, OPUS]) {
            world.from(&sender, &rtp(payload_type, seq, u32::from(seq) * 960, 2_000, &[0x78, 1, 2, 3]));
        }
        assert_eq!(world.take_rtp(&receiver).len(), 3, "{first}");
        assert_eq!(world.dropped(DropReason::UnknownStream), 1, "{first}");
    }
}

/// The RTX payload type is of the speech: by it a tone would come back as speech.
#[test]
fn what_rides_beside_the_sound_is_sent_again_as_what_it_is() {
    let mut world = World::new();
    let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
    let (red, again, ssrc, rtx_ssrc) = (63, 99, 9_000, 9_001);
    let beside = codec("audio/red", red, 48_000);
    let mut request = produce_audio("audio", 2_000, 5_001);
    request.rtp_parameters.codecs.push(beside.clone());
    request.rtp_mapping.codecs.push(CodecMapping { payload_type: red, mapped_payload_type: red });
    world.produce("sender", request);
    let mut request = consume_audio("c", "audio", ssrc, 5_001);
    let codecs = &mut request.rtp_parameters.codecs;
    codecs[0].rtcp_feedback = vec![feedback("nack", "")];
    codecs.extend([
        beside,
        RtpCodecParameters { mime_type: "audio/rtx".into(), ..rtx_codec(again, ROUTER_OPUS) },
    ]);
    request.rtp_parameters.encodings[0].rtx_ssrc = Some(rtx_ssrc);
    world.consume("receiver", request);
    for (seq, payload_type) in (1..).zip([OPUS, red]) {
        world.from(&sender, &rtp(payload_type, seq, u32::from(seq) * 960, 2_000, &[0x78, 1, 2, 3]));
    }
    let sent = world.take_rtp(&receiver);
    world.from(&receiver, &nack(ssrc, &seqs(&sent)));
    let resent = world.take_rtp(&receiver);
    let kinds: Vec<_> = resent.iter().map(|sent| (sent.rtp().payload_type(), sent.rtp().ssrc())).collect();
    assert_eq!(kinds, [(again, rtx_ssrc), (red, ssrc)]);
    assert_eq!(resent[1].bytes, sent[1].bytes, "to the byte");
}
