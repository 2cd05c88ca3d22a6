//! Pauses on either side, and what is told of them.

use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_sfu::command::{Consume, ConsumerCommand, Produce, ProducerCommand};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::rtp_parameters::{Parameter, ParameterValue, RtpEncodingParameters};

use crate::common::packets::{DELTA, KEY, heard, rtp};
use crate::common::parameters::{H264, consume_audio, produce_video};
use crate::room::{MAPPED_AUDIO, Room, assert_contiguous, seqs, told};

#[test]
fn a_paused_producer_is_silent_and_goes_on_contiguously_from_a_key_frame() {
    let mut room = Room::new();
    room.start_video(1..5);
    let before = seqs(&room.bob_gets());
    room.world.take_events();
    room.world.producer("video", ProducerCommand::Pause);
    room.world.producer("video", ProducerCommand::Pause);
    assert_eq!(told(&room.world.take_events()), ["pause alice video", "pause bob video"]);
    room.start_video(5..10);
    assert!(room.bob_gets().is_empty());
    room.world.producer("video", ProducerCommand::Resume);
    room.world.producer("video", ProducerCommand::Resume);
    assert_eq!(told(&room.world.take_events()), ["resume alice video", "resume bob video"]);
    assert_eq!(heard(&room.rtcp_to_sender()).plis.len(), 1);
    room.video(10, DELTA);
    assert!(room.bob_gets().is_empty());
    room.video(11, KEY);
    assert_contiguous(&[before, seqs(&room.bob_gets())].concat());
    room.world.assert_accounted();
}

#[test]
fn a_consumer_of_a_paused_producer_is_told_before_the_reply() {
    let mut room = Room::new();
    room.world.producer("audio", ProducerCommand::Pause);
    room.world.take_events();
    let request = consume_audio("late", "audio", 90, MAPPED_AUDIO);
    let Reply::Consume(reply) = room.world.consume("bob", request) else { panic!("not consumed") };
    assert!(reply.producer_paused && !reply.paused);
    assert_eq!(told(&room.world.out.events), ["pause late"]);
}

#[test]
fn both_pauses_must_end_before_packets_flow() {
    let mut room = Room::new();
    room.start_audio(1..3);
    room.world.take_sent();
    room.world.consumer("alice audio", ConsumerCommand::Pause);
    room.world.producer("audio", ProducerCommand::Pause);
    room.world.consumer("alice audio", ConsumerCommand::Resume);
    room.start_audio(3..5);
    assert!(room.alice_gets().is_empty());
    room.world.producer("audio", ProducerCommand::Resume);
    room.start_audio(5..7);
    assert_eq!(room.alice_gets().len(), 2);
}

#[test]
fn a_consumer_that_begins_paused_gets_nothing() {
    let mut room = Room::new();
    let request = Consume { paused: true, ..consume_audio("paused", "audio", 91, MAPPED_AUDIO) };
    room.world.consume("bob", request);
    room.start_audio(1..3);
    assert!(room.bob_gets().is_empty());
    room.world.consumer("paused", ConsumerCommand::Resume);
    room.start_audio(3..5);
    assert_eq!(room.bob_gets().len(), 2);
}

/// Scores told of a producer since the last look.
fn scores(room: &mut Room) -> Vec<Vec<u8>> {
    let told = |event: &Event| match event {
        Event::ProducerScore { producer, scores } if &**producer == "simulcast" => {
            Some(scores.iter().map(|score| score.score).collect())
        }
        _ => None,
    };
    room.world.take_events().iter().filter_map(told).collect()
}

fn produce_simulcast(room: &mut Room) {
    room.world.produce("sender", simulcast_request());
}

fn simulcast_request() -> Produce {
    let mut request = produce_video("simulcast", 3_000, None, 5_400);
    let second = RtpEncodingParameters { ssrc: Some(3_001), ..RtpEncodingParameters::default() };
    request.rtp_parameters.encodings.push(second);
    let mut mapping = request.rtp_mapping.encodings[0].clone();
    (mapping.ssrc, mapping.mapped_ssrc) = (Some(3_001), 5_401);
    request.rtp_mapping.encodings.push(mapping);
    request
}

#[test]
fn a_silent_simulcast_stream_is_inactive_until_it_is_heard_again() {
    let mut room = Room::new();
    produce_simulcast(&mut room);
    room.sender_says(&rtp(H264, 1, 1, 3_000, KEY));
    scores(&mut room);
    room.world.advance_ms(1_400);
    assert!(scores(&mut room).is_empty());
    room.world.advance_ms(200);
    assert_eq!(scores(&mut room), [[0]]);
    room.sender_says(&rtp(H264, 2, 1, 3_000, DELTA));
    assert_eq!(scores(&mut room), [[10]]);
    room.world.advance_ms(1_600);
    assert_eq!(scores(&mut room), [[0]], "and is looked after again");
}

#[test]
fn a_resumed_simulcast_stream_is_still_checked_for_silence() {
    let mut room = Room::new();
    produce_simulcast(&mut room);
    room.sender_says(&rtp(H264, 1, 1, 3_000, KEY));
    room.world.producer("simulcast", ProducerCommand::Pause);
    room.world.advance_ms(10_000);
    scores(&mut room);
    room.world.producer("simulcast", ProducerCommand::Resume);
    room.world.advance_ms(1_600);
    assert_eq!(scores(&mut room), [[0]]);
}

/// Senders probe with padding in streams that they have stopped.
#[test]
fn padding_does_not_wake_a_silent_stream() {
    let mut room = Room::new();
    produce_simulcast(&mut room);
    room.sender_says(&rtp(H264, 1, 1, 3_000, KEY));
    for seq in 2..20 {
        room.world.advance_ms(100);
        room.sender_says(&RtpWriter::new(H264, seq, 1, 3_000).padding(200).to_vec().expect("no CSRCs"));
    }
    assert_eq!(scores(&mut room).last(), Some(&vec![0]), "silent since its last media");
    room.sender_says(&RtpWriter::new(H264, 20, 1, 3_000).padding(200).to_vec().expect("no CSRCs"));
    assert!(scores(&mut room).is_empty());
    room.sender_says(&rtp(H264, 21, 1, 3_000, DELTA));
    assert_eq!(scores(&mut room), [[10]]);
}

#[test]
fn a_stream_with_dtx_may_be_silent_for_longer() {
    let mut room = Room::new();
    let mut request = simulcast_request();
    let codec = &mut request.rtp_parameters.codecs[0];
    codec.parameters.push(Parameter { name: "usedtx".into(), value: ParameterValue::Integer(1) });
    room.world.produce("sender", request);
    room.sender_says(&rtp(H264, 1, 1, 3_000, KEY));
    scores(&mut room);
    room.world.advance_ms(4_990);
    assert!(scores(&mut room).is_empty());
    room.world.advance_ms(20);
    assert_eq!(scores(&mut room), [[0]]);
}

/// Of a stream that is alone nobody expects another one to take over.
#[test]
fn a_stream_that_is_the_only_one_is_never_inactive() {
    let mut room = Room::new();
    room.video(1, KEY);
    room.world.take_events();
    room.world.advance_ms(20_000);
    assert!(!room.world.take_events().iter().any(|event| matches!(event, Event::ProducerScore { .. })));
}
