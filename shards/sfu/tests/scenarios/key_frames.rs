//! Waiting for key frames, and asking for them.

use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{ConsumerCommand, ProducerCommand};

use crate::common::Peer;
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
fn many_requests_become_one_that_is_repeated_until_nobody_answers() {
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
    assert_eq!(plis(&mut room), 1, "the first retry");
    room.world.advance_ms(10_000);
    assert_eq!(plis(&mut room), 4, "five retries in all");
    room.bob_says(&pli(BOB_VIDEO));
    assert_eq!(plis(&mut room), 1);
    room.video(5, KEY);
    room.bob_says(&pli(BOB_VIDEO));
    assert_eq!(plis(&mut room), 1, "after a key frame a new one may be wanted at once");
    let stats = room.world.consumer_stats("bob video");
    assert_eq!((stats.base.pli_count, stats.base.fir_count), (22, 20));
}

/// Browsers ignore a request right behind a key frame, and a lossy network takes others: who has no picture yet asks for none.
#[test]
fn a_receiver_gets_its_picture_though_most_requests_are_lost() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.consume("bob", consume_video("late", "video", 81, None, MAPPED_VIDEO));
    for _ in 0..4 {
        room.world.advance_ms(1_000);
    }
    assert!(plis(&mut room) >= 4);
    room.video(5, KEY);
    assert!(room.bob_gets().iter().any(|sent| sent.rtp().ssrc() == 81));
    room.world.advance_ms(5_000);
    assert_eq!(plis(&mut room), 0, "it has come");
}

/// A browser ignores what it is asked within 300 ms of the request that it answered: a room fills faster than that.
#[test]
fn who_joins_right_behind_a_key_frame_does_not_wait_a_second_for_the_next() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.rtcp_to_sender();
    let (mut seq, mut heard_at, mut answers) = (5, None::<Time>, 0);
    let mut joins = (0..10_u32).map(|number| (20 * u64::from(number), number)).peekable();
    for millis in 0..600 {
        while let Some((_, number)) = joins.next_if(|(at, _)| *at <= millis) {
            let (name, ssrc) = (format!("late {number}"), 100 + number);
            room.world.consume("bob", consume_video(&name, "video", ssrc, None, MAPPED_VIDEO));
        }
        let is_deaf = |at: Time| room.world.now.saturating_since(at) < Duration::from_millis(300);
        let is_heard = heard_at.is_none_or(|at| !is_deaf(at));
        if plis(&mut room) > 0 && is_heard {
            heard_at = Some(room.world.now);
            room.video(seq, KEY);
            (seq, answers) = (seq + 1, answers + 1);
        }
        room.world.advance_ms(1);
    }
    assert_eq!(answers, 2, "one for the first, one for the others");
    for number in 0..10 {
        assert!(room.world.consumer_stats(&format!("late {number}")).packet_count > 0, "{number}");
    }
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

/// Three thousand receivers on a few transports, each asking ten times a second, of a sender that answers at once.
struct Storm {
    room: Room,
    receivers: Vec<(Peer, Vec<u32>)>,
    seq: u16,
    /// When the sender was asked.
    asked: Vec<Time>,
}

const STORM_RECEIVERS: u32 = 3_000;
const STORM_TRANSPORTS: u32 = 30;

impl Storm {
    fn new(key_frame_request_delay: u32) -> Self {
        let mut room = Room::new();
        let mut request = produce_video("storm", 3_000, None, 5_300);
        request.key_frame_request_delay = key_frame_request_delay;
        room.world.produce("sender", request);
        room.sender_says(&rtp(H264, 1, 1, 3_000, KEY));
        let mut receivers = Vec::new();
        for transport in 0..STORM_TRANSPORTS {
            let name = format!("transport {transport}");
            let peer = room.world.plain(&name);
            let first = 100_000 * (transport + 1);
            let ssrcs: Vec<u32> = (first..first + STORM_RECEIVERS / STORM_TRANSPORTS).collect();
            for ssrc in &ssrcs {
                let request = consume_video(&format!("receiver {ssrc}"), "storm", *ssrc, None, 5_300);
                room.world.consume(&name, request);
            }
            receivers.push((peer, ssrcs));
        }
        room.sender_says(&rtp(H264, 2, 1, 3_000, KEY));
        room.world.advance_ms(10_000);
        room.world.take_sent();
        Self { room, receivers, seq: 2, asked: Vec::new() }
    }

    /// A tenth of a second, in which everybody asks once, evenly spread.
    fn pass(&mut self, use_fir: bool) {
        for turn in 0..self.receivers.len() {
            let (peer, ssrcs) = self.receivers[turn].clone();
            for ssrc in ssrcs {
                let asking = if use_fir { fir(ssrc, 1) } else { pli(ssrc) };
                self.room.world.receive_unflushed(peer.socket, peer.remote, &asking);
            }
            self.answer();
            if turn % 10 == 9 {
                self.room.world.advance_ms(33);
                self.answer();
            }
        }
        self.room.world.advance_ms(1);
        self.answer();
    }

    fn answer(&mut self) {
        let now = self.room.world.now;
        let plis = heard(&self.room.rtcp_to_sender()).plis.len();
        self.asked.extend(std::iter::repeat_n(now, plis));
        if plis > 0 {
            self.seq += 1;
            self.room.sender_says(&rtp(H264, self.seq, 1, 3_000, KEY));
            self.room.world.take_sent();
        }
    }
}

/// A14: the storm downstream is a request a second upstream, though the sender answers each at once.
#[test]
fn a_storm_of_requests_is_one_a_second_upstream() {
    let mut storm = Storm::new(0);
    for tenth in 0..50 {
        storm.pass(tenth % 2 == 1);
    }
    // Three may follow each other, for key frames that are lost.
    let (first, rest) = storm.asked.split_at(3);
    assert!((3..=5).contains(&rest.len()), "{:?}", storm.asked);
    for pair in [&first[2..], rest].concat().windows(2) {
        assert!(pair[1].saturating_since(pair[0]) >= Duration::from_millis(1_000), "{:?}", storm.asked);
    }
    // A new receiver gets its key frame at once all the same.
    storm.room.world.consume("bob", consume_video("late", "storm", 77, None, 5_300));
    assert_eq!(heard(&storm.room.rtcp_to_sender()).plis.len(), 1);
    let stats = storm.room.world.consumer_stats("receiver 100000").base;
    assert_eq!((stats.pli_count, stats.fir_count), (25, 25));
}

#[test]
fn a_storm_keeps_to_the_delay_that_the_controller_set() {
    let mut storm = Storm::new(2_000);
    for _ in 0..50 {
        storm.pass(false);
    }
    assert_eq!(storm.asked.len(), 3, "{:?}", storm.asked);
    for pair in storm.asked.windows(2) {
        assert!(pair[1].saturating_since(pair[0]) >= Duration::from_millis(2_000), "{:?}", storm.asked);
    }
}
