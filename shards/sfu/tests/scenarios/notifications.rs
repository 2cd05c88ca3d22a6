//! The order in which things are told, among themselves and around replies.

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_sfu::command::{
    ConsumerCommand, ConsumerTraceEvent, Layers, PipeConnect, ProducerCommand, ProducerTraceEvent,
    TransportCommand, TransportTraceEvent,
};
use ringsoup_sfu::event::{Event, TraceInfo};
use ringsoup_sfu::piped::PipeKey;

use crate::common::bridge::pipe_options;
use crate::common::packets::{DELTA, KEY, fir, nack, pli, rtp, rtx, sender_report};
use crate::common::parameters::{
    H264, H264_RTX, ROUTER_H264_RTX, connect_to, consume_audio, consume_video, plain, produce_video,
};
use crate::common::simulcast;
use crate::common::{World, remote};
use crate::room::{ALICE_RTX, ALICE_VIDEO, MAPPED_AUDIO, MAPPED_VIDEO, Room, VIDEO, VIDEO_RTX};

/// One word per event and whom it is about.
fn words(events: &[Event]) -> Vec<String> {
    let word = |event: &Event| match event {
        Event::ProducerScore { producer, .. } => format!("score of {producer}"),
        Event::ConsumerScore { consumer, .. } => format!("score of {consumer}"),
        Event::ProducerTrace { producer, trace } => format!("{:?} of {producer}", trace.event),
        Event::ConsumerTrace { consumer, trace } => format!("{:?} of {consumer}", trace.event),
        Event::ConsumerProducerPause { consumer } => format!("pause of {consumer}"),
        Event::ConsumerRtp { consumer, .. } => format!("packet for {consumer}"),
        Event::DirectTransportRtcp { transport, .. } => format!("RTCP for {transport}"),
        other => format!("{other:?}"),
    };
    events.iter().map(word).collect()
}

/// What was told since the last look: before the reply of the last command, and after it.
fn told(world: &mut World) -> (Vec<String>, Vec<String>) {
    let before = world.out.take_reply_at();
    let after = world.out.events.split_off(before);
    let before = std::mem::take(&mut world.out.events);
    (words(&before), words(&after))
}

fn trace_all(world: &mut World, producer: &str) {
    use ProducerTraceEvent as E;
    let events = vec![E::KeyFrame, E::Fir, E::Nack, E::Pli, E::Rtp, E::SenderReport];
    world.producer(producer, ProducerCommand::EnableTraceEvent(events));
    world.take_events();
}

#[test]
fn a_new_stream_has_a_score_then_asks_for_a_key_frame_then_is_its_consumers() {
    let mut room = Room::new();
    trace_all(&mut room.world, "video");
    room.video(1, DELTA);
    let expected =
        ["score of video", "Pli of video", "score of alice video", "score of bob video", "Rtp of video"];
    assert_eq!(words(&room.world.take_events()), expected);
}

#[test]
fn a_changed_score_is_told_to_consumers_first_and_its_report_last() {
    let mut room = Room::new();
    room.start_video(1..50);
    trace_all(&mut room.world, "video");
    room.video(90, DELTA);
    room.world.take_events();
    room.sender_says(&sender_report(VIDEO, NtpTime::from_unix_micros(1), 4_500));
    let expected = ["score of alice video", "score of bob video", "score of video", "SenderReport of video"];
    assert_eq!(words(&room.world.take_events()), expected);
}

#[test]
fn a_key_frame_is_asked_for_after_the_reply_to_consume() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.advance_ms(2_000);
    trace_all(&mut room.world, "video");
    room.world.consume("bob", consume_video("late", "video", 30_000, None, MAPPED_VIDEO));
    assert_eq!(told(&mut room.world), (vec![], vec!["Pli of video".to_owned()]));
}

#[test]
fn a_producers_pause_is_told_before_the_reply_to_consume() {
    let mut room = Room::new();
    room.world.producer("audio", ProducerCommand::Pause);
    room.world.take_events();
    room.world.consume("bob", consume_audio("late", "audio", 30_000, MAPPED_AUDIO));
    assert_eq!(told(&mut room.world), (vec!["pause of late".to_owned()], vec![]));
}

#[test]
fn a_key_frame_is_asked_for_after_the_reply_to_connect() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.advance_ms(2_000);
    room.world.create_plain("carol", plain()).expect("created");
    room.world.consume("carol", consume_video("carol video", "video", 30_000, None, MAPPED_VIDEO));
    trace_all(&mut room.world, "video");
    let connect = TransportCommand::ConnectPlain(connect_to(remote(9_999)));
    room.world.transport("carol", connect);
    assert_eq!(told(&mut room.world), (vec![], vec!["Pli of video".to_owned()]));
}

#[test]
fn a_key_frame_is_asked_for_after_the_reply_to_a_pipes_connect() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.advance_ms(2_000);
    room.world.create_pipe("pipe", PipeKey(1), pipe_options()).expect("created");
    room.world.consume("pipe", consume_video("piped", "video", 30_000, None, MAPPED_VIDEO));
    trace_all(&mut room.world, "video");
    let remote = remote(9_999);
    let request = PipeConnect { ip: Ok(remote.ip()), port: Some(remote.port()), srtp_parameters: None };
    room.world.connect_pipe("pipe", request).expect("connected");
    assert_eq!(told(&mut room.world), (vec![], vec!["Pli of video".to_owned()]));
}

#[test]
fn a_wish_for_other_layers_is_followed_after_its_reply() {
    const SOURCE: [u32; 2] = [1_000, 2_000];
    const MAPPED: [u32; 2] = [5_000, 5_001];
    /// A VP8 key frame with a picture id.
    const PICTURE: &[u8] = &[0x90, 0x80, 1, 0, 7, 7];
    let mut world = World::new();
    let sender = world.plain("sender");
    world.plain("receiver");
    world.produce("sender", simulcast::produce("video", "video/VP8", Some("L1T1"), &SOURCE, &MAPPED));
    let layers = (Some("L2T1"), Some("L1T1"));
    let request = simulcast::consume("c", "video", "video/VP8", layers, 9_000, &MAPPED);
    world.consume("receiver", request);
    for seq in 1..100 {
        for ssrc in SOURCE {
            world.from(&sender, &rtp(simulcast::VIDEO, seq, u32::from(seq) * 3_000, ssrc, PICTURE));
        }
        world.advance_ms(33);
    }
    trace_all(&mut world, "video");
    let wish = Layers { spatial: 0, temporal: None };
    world.consumer("c", ConsumerCommand::SetPreferredLayers(wish));
    let (before, after) = told(&mut world);
    assert!(before.is_empty(), "{before:?}");
    assert_eq!(after, ["Pli of video"]);
}

#[test]
fn a_producers_consumers_are_closed_before_the_reply() {
    let mut room = Room::new();
    room.world.take_events();
    let producer = "video".into();
    room.world.transport("sender", TransportCommand::CloseProducer { producer });
    let (before, after) = told(&mut room.world);
    assert_eq!((before.len(), after.len()), (2, 0), "{before:?} {after:?}");
}

#[test]
fn a_trace_comes_before_the_feedback_it_is_of() {
    let mut world = World::new();
    world.direct("direct");
    world.produce("direct", produce_video("video", VIDEO, None, MAPPED_VIDEO));
    trace_all(&mut world, "video");
    let send = |world: &mut World, seq: u16, payload: &[u8]| {
        world.producer("video", ProducerCommand::Send(rtp(H264, seq, 1, VIDEO, payload)));
        words(&world.take_events())
    };
    let first = send(&mut world, 1, DELTA);
    assert_eq!(first, ["score of video", "Pli of video", "RTCP for direct", "Rtp of video"]);
    assert_eq!(send(&mut world, 2, KEY), ["KeyFrame of video"]);
    send(&mut world, 5, DELTA);
    world.advance_ms(100);
    let asked = words(&world.take_events());
    assert_eq!(asked[..2], ["Nack of video", "RTCP for direct"]);
}

#[test]
fn a_packet_for_the_application_comes_before_its_trace() {
    let mut room = Room::new();
    room.world.direct("direct");
    room.world.consume("direct", consume_video("app", "video", 30_000, None, MAPPED_VIDEO));
    let events = vec![ConsumerTraceEvent::Rtp, ConsumerTraceEvent::KeyFrame];
    room.world.consumer("app", ConsumerCommand::EnableTraceEvent(events));
    room.video(1, KEY);
    room.world.take_events();
    room.video(2, DELTA);
    assert_eq!(words(&room.world.take_events()), ["packet for app", "Rtp of app"]);
    room.video(3, KEY);
    assert_eq!(words(&room.world.take_events()), ["packet for app", "KeyFrame of app"]);
}

#[test]
fn a_receivers_request_is_traced_before_the_one_it_leads_to() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.advance_ms(2_000);
    trace_all(&mut room.world, "video");
    let events = vec![ConsumerTraceEvent::Pli];
    room.world.consumer("alice video", ConsumerCommand::EnableTraceEvent(events));
    room.world.take_events();
    room.alice_says(&pli(ALICE_VIDEO));
    assert_eq!(words(&room.world.take_events()), ["Pli of alice video", "Pli of video"]);
}

#[test]
fn duplicates_are_received_and_only_bad_numbers_are_discarded() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.video(4, DELTA);
    let counted = |room: &mut Room| {
        let stats = room.world.producer_stats("video").remove(0);
        (stats.packet_count, stats.base.packets_discarded, stats.base.rtx_packets_discarded)
    };
    assert_eq!(counted(&mut room), (5, 0, 0));
    // A far jump, which might be a restart: not before the next one.
    room.video(40_000, DELTA);
    assert_eq!(counted(&mut room), (5, 1, 0));
    room.sender_says(&rtx(H264_RTX, 1, 1, VIDEO_RTX, 6, DELTA));
    // Too short for an original sequence number.
    room.sender_says(&rtp(H264_RTX, 2, 1, VIDEO_RTX, &[0]));
    room.sender_says(&rtx(H264_RTX, 30_000, 1, VIDEO_RTX, 7, DELTA));
    assert_eq!(counted(&mut room), (6, 1, 1));
}

#[test]
fn every_kind_of_trace_comes_about() {
    use ConsumerTraceEvent as E;
    let mut room = Room::new();
    let mut request = produce_video("old", 3_000, None, 5_300);
    request.rtp_parameters.codecs[0].rtcp_feedback.retain(|feedback| feedback.kind == "ccm");
    room.world.produce("sender", request);
    room.world.consume("bob", consume_video("of old", "old", 30_001, None, 5_300));
    trace_all(&mut room.world, "video");
    trace_all(&mut room.world, "old");
    let events = vec![E::KeyFrame, E::Fir, E::Nack, E::Pli, E::Rtp];
    room.world.consumer("alice video", ConsumerCommand::EnableTraceEvent(events));
    room.sender_says(&rtp(H264, 1, 1, 3_000, DELTA));
    room.video(1, KEY);
    room.video(4, DELTA);
    room.sender_says(&rtx(H264_RTX, 1, 180, VIDEO_RTX, 2, DELTA));
    room.world.advance_ms(20);
    room.sender_says(&sender_report(VIDEO, NtpTime::from_unix_micros(1), 4_500));
    let sent = crate::room::seqs(&room.alice_gets());
    room.alice_says(&nack(ALICE_VIDEO, &sent[1..2]));
    room.alice_says(&pli(ALICE_VIDEO));
    room.alice_says(&fir(ALICE_VIDEO, 1));
    let events = room.world.take_events();
    let told: std::collections::HashSet<String> = words(&events).into_iter().collect();
    for kind in ["KeyFrame", "Rtp", "Nack", "Pli", "SenderReport"] {
        assert!(told.contains(&format!("{kind} of video")), "{kind}: {told:?}");
    }
    assert!(told.contains("Fir of old"), "{told:?}");
    for kind in ["KeyFrame", "Rtp", "Nack", "Pli", "Fir"] {
        assert!(told.contains(&format!("{kind} of alice video")), "{kind}: {told:?}");
    }
    // RTX is told as such: coming in as the packet that it brought, going out as it is.
    let repair = |event: &Event| {
        let info = match event {
            Event::ProducerTrace { trace, .. } => &trace.info,
            Event::ConsumerTrace { trace, .. } => &trace.info,
            _ => return None,
        };
        let TraceInfo::Packet { packet, is_rtx: true } = info else { return None };
        let numbers = (packet.ssrc, packet.payload_type, packet.sequence_number, packet.timestamp);
        Some((numbers, packet.payload_size, packet.size))
    };
    let repairs: Vec<_> = events.iter().filter_map(repair).collect();
    let (payload, header) = (DELTA.len() as u64, 12);
    assert_eq!(repairs[0], ((VIDEO, H264, 2, 180), payload, header + payload));
    let again = room.alice_gets();
    let again = again.last().expect("sent again").rtp();
    let numbers = (ALICE_RTX, ROUTER_H264_RTX, again.sequence_number(), again.timestamp());
    let size = again.wire().len() as u64;
    assert_eq!(repairs[1], (numbers, 2 + payload, size));
    assert_eq!(repairs.len(), 2);
    // What waits for an estimator is taken all the same.
    let events = vec![TransportTraceEvent::Probation, TransportTraceEvent::Bwe];
    room.world.transport("alice", TransportCommand::EnableTraceEvent(events));
}
