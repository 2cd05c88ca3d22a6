//! Waiting for key frames, and asking for them.

use ringsoup_sfu::command::{ConsumerCommand, ProducerCommand};

use crate::common::packets::{DELTA, KEY, fir, heard, pli, rtp};
use crate::common::parameters::{H264, consume_video, produce_video};
use crate::room::{ALICE_VIDEO, BOB_VIDEO, MAPPED_VIDEO, Room, VIDEO, assert_contiguous, seqs};

fn plis(room: &mut Room) -> usize {
    heard(&room.rtcp_to_sender()).plis.iter().filter(|pli| pli.media_ssrc == VIDEO).count()
}

#[test]
fn nothing_is_forwarded_before_a_key_frame_and_one_is_asked_for() {
    let mut room = Room::new();
    room.video(1, DELTA);
    room.video(2, DELTA);
    let sent = room.world.take_sent();
    assert!(sent.iter().all(|sent| sent.remote == room.sender.remote));
    assert_eq!(heard(&sent).plis.len(), 1);
    room.video(3, KEY);
    room.video(4, DELTA);
    let sent = room.bob_gets();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].rtp().payload(), KEY);
}

#[test]
fn a_stream_that_begins_with_a_key_frame_is_not_asked_for_one() {
    let mut room = Room::new();
    room.video(1, KEY);
    assert_eq!(plis(&mut room), 0);
}

#[test]
fn a_resumed_consumer_waits_for_a_key_frame_and_asks_for_it() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.consumer("bob video", ConsumerCommand::Pause);
    room.video(5, DELTA);
    let before = seqs(&room.bob_gets());
    assert_eq!(before.len(), 4);
    room.world.consumer("bob video", ConsumerCommand::Resume);
    assert_eq!(plis(&mut room), 1);
    room.video(6, DELTA);
    assert!(room.bob_gets().is_empty());
    room.video(7, KEY);
    room.video(8, DELTA);
    assert_contiguous(&[before, seqs(&room.bob_gets())].concat());
}

#[test]
fn a_new_consumer_asks_and_waits() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.rtcp_to_sender();
    room.world.consume("bob", consume_video("late", "video", 81, None, MAPPED_VIDEO));
    assert_eq!(plis(&mut room), 1);
    room.video(5, DELTA);
    assert!(room.bob_gets().iter().all(|sent| sent.rtp().ssrc() != 81));
    room.video(6, KEY);
    assert!(room.bob_gets().iter().any(|sent| sent.rtp().ssrc() == 81));
}

#[test]
fn many_requests_become_one_with_one_retry() {
    let mut room = Room::new();
    room.start_video(1..5);
    for _ in 0..20 {
        room.alice_says(&pli(ALICE_VIDEO));
        room.bob_says(&pli(BOB_VIDEO));
        room.bob_says(&fir(BOB_VIDEO, 1));
    }
    assert_eq!(plis(&mut room), 1);
    room.world.advance_ms(995);
    assert_eq!(plis(&mut room), 0);
    room.world.advance_ms(15);
    assert_eq!(plis(&mut room), 1, "the retry");
    room.world.advance_ms(5_000);
    assert_eq!(plis(&mut room), 0, "one retry only");
    room.bob_says(&pli(BOB_VIDEO));
    assert_eq!(plis(&mut room), 1);
    room.video(5, KEY);
    room.bob_says(&pli(BOB_VIDEO));
    assert_eq!(plis(&mut room), 1, "after a key frame a new one may be wanted at once");
    let stats = room.world.consumer_stats("bob video");
    assert_eq!((stats.base.pli_count, stats.base.fir_count), (22, 20));
}

#[test]
fn a_delay_spaces_requests() {
    let mut room = Room::new();
    let mut request = produce_video("slow", 3_000, None, 5_300);
    request.key_frame_request_delay = 3_000;
    room.world.produce("sender", request);
    room.world.consume("bob", consume_video("c", "slow", 82, None, 5_300));
    room.sender_says(&rtp(H264, 1, 1, 3_000, KEY));
    let slow = |room: &mut Room| {
        let heard = heard(&room.rtcp_to_sender());
        heard.plis.iter().filter(|pli| pli.media_ssrc == 3_000).count()
    };
    room.bob_says(&pli(82));
    assert_eq!(slow(&mut room), 1);
    room.sender_says(&rtp(H264, 2, 1, 3_000, KEY));
    room.bob_says(&pli(82));
    room.world.advance_ms(2_900);
    assert_eq!(slow(&mut room), 0);
    room.world.advance_ms(200);
    assert_eq!(slow(&mut room), 1);
}

#[test]
fn a_sender_without_pli_is_asked_by_fir() {
    let mut room = Room::new();
    let mut request = produce_video("fir", 3_001, None, 5_301);
    request.rtp_parameters.codecs[0].rtcp_feedback.retain(|feedback| feedback.kind == "ccm");
    room.world.produce("sender", request);
    room.world.consume("bob", consume_video("c", "fir", 83, None, 5_301));
    room.sender_says(&rtp(H264, 1, 1, 3_001, KEY));
    for expected in 1..3_u8 {
        room.world.consumer("c", ConsumerCommand::RequestKeyFrame);
        assert_eq!(heard(&room.rtcp_to_sender()).firs, [(3_001, expected)]);
        room.sender_says(&rtp(H264, 1 + u16::from(expected), 1, 3_001, KEY));
    }
}

#[test]
fn a_paused_consumer_and_a_paused_producer_ask_for_nothing() {
    let mut room = Room::new();
    room.start_video(1..3);
    room.rtcp_to_sender();
    room.world.consumer("bob video", ConsumerCommand::Pause);
    room.bob_says(&pli(BOB_VIDEO));
    room.world.consumer("bob video", ConsumerCommand::RequestKeyFrame);
    assert_eq!(plis(&mut room), 0);
    room.world.producer("video", ProducerCommand::Pause);
    room.alice_says(&pli(ALICE_VIDEO));
    assert_eq!(plis(&mut room), 0);
}
