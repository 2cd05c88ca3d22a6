//! NACK and RTX, towards senders and towards receivers.

use std::collections::HashMap;
use std::time::Duration;

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::ReportBlock;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::ConsumerCommand;
use ringsoup_sfu::drop_reason::DropReason;

use crate::common::UNIX_ORIGIN_US;
use crate::common::packets::{DELTA, KEY, empty_block, heard, nack, receiver_report, rtp, rtx};
use crate::common::parameters::{H264, H264_RTX, ROUTER_H264, ROUTER_H264_RTX, consume_video, produce_video};
use crate::room::{ALICE_RTX, ALICE_VIDEO, BOB_VIDEO, MAPPED_VIDEO, Room, VIDEO, VIDEO_RTX, seqs};

fn nacks(room: &mut Room) -> Vec<Vec<u16>> {
    heard(&room.rtcp_to_sender()).nacks.into_iter().map(|(_, seqs)| seqs).collect()
}

#[test]
fn a_gap_is_asked_for_after_a_moment_and_again_until_given_up() {
    let mut room = Room::new();
    room.video(1, KEY);
    room.video(4, DELTA);
    assert!(nacks(&mut room).is_empty());
    room.world.advance_ms(9);
    assert!(nacks(&mut room).is_empty(), "reordering is the usual cause");
    room.world.advance_ms(7);
    let sent = room.rtcp_to_sender();
    assert_eq!(heard(&sent).nacks, [(VIDEO, vec![2, 3])]);
    room.world.advance_ms(5_000);
    assert_eq!(nacks(&mut room).len(), 9);
    let stats = room.world.producer_stats("video");
    assert_eq!((stats[0].base.nack_count, stats[0].base.nack_packet_count), (10, 20));
}

#[test]
fn what_came_is_not_asked_for_again() {
    let mut room = Room::new();
    room.video(1, KEY);
    // The stream is known to have RTX, so a late packet is not taken for a repair.
    room.sender_says(&rtx(H264_RTX, 0, 90, VIDEO_RTX, 1, KEY));
    room.video(4, DELTA);
    room.video(2, DELTA);
    room.world.advance_ms(15);
    assert_eq!(nacks(&mut room), [[3]]);
    room.sender_says(&rtx(H264_RTX, 1, 270, VIDEO_RTX, 3, DELTA));
    room.world.advance_ms(1_000);
    assert!(nacks(&mut room).is_empty());
    let stats = room.world.producer_stats("video");
    assert_eq!((stats[0].base.packets_repaired, stats[0].base.packets_retransmitted), (1, 2));
}

#[test]
fn timers_do_not_multiply_on_a_lossy_stream() {
    let mut room = Room::new();
    room.video(0, KEY);
    let mut seq = 0_u16;
    let mut sent = 0;
    for _ in 0..2_000 {
        seq = seq.wrapping_add(2);
        room.video(seq, DELTA);
        room.world.advance_ms(10);
        sent += nacks(&mut room).len();
    }
    // Twenty seconds; the shard asks at most every ten milliseconds.
    assert!(sent <= 2_001, "{sent}");
    let timers = room.world.sfu.timer_count();
    assert!(timers <= 20, "{timers}");
}

/// A receiver of SRTP that misses the first packets of a stream must not miss its first wrap with them.
#[test]
fn streams_of_media_and_of_rtx_begin_far_from_a_wrap() {
    for seed in 0..30 {
        let mut room = Room::with_seed(seed);
        room.start_video(1..20);
        let seqs = seqs(&room.alice_gets());
        room.alice_says(&nack(ALICE_VIDEO, &[seqs[3]]));
        let rtx = room.alice_gets()[0].rtp().sequence_number();
        assert!(seqs[0] < 0x8000 && rtx <= 0x8000, "seed {seed}: {} and {rtx}", seqs[0]);
    }
}

#[test]
fn a_nack_is_answered_by_rtx_once_per_round_trip() {
    let mut room = Room::new();
    room.start_video(1..20);
    let seqs = seqs(&room.alice_gets());
    room.alice_says(&nack(ALICE_VIDEO, &[seqs[3], seqs[5]]));
    let sent = room.alice_gets();
    assert_eq!(sent.len(), 2);
    for (sent, (original, seq)) in sent.iter().zip([(seqs[3], 4_u32), (seqs[5], 6)]) {
        let packet = sent.rtp();
        assert_eq!((packet.ssrc(), packet.payload_type()), (ALICE_RTX, ROUTER_H264_RTX));
        assert_eq!(packet.payload(), [&original.to_be_bytes(), DELTA].concat());
        assert_eq!(packet.timestamp(), seq * 90);
        assert_eq!(packet.extension(1), Some(&b"v"[..]));
    }
    assert_eq!(sent[1].rtp().sequence_number(), sent[0].rtp().sequence_number().wrapping_add(1));
    room.world.advance_ms(50);
    room.world.take_sent();
    room.alice_says(&nack(ALICE_VIDEO, &[seqs[3]]));
    assert!(room.alice_gets().is_empty(), "the answer may be on its way");
    room.world.advance_ms(60);
    room.world.take_sent();
    room.alice_says(&nack(ALICE_VIDEO, &[seqs[3]]));
    assert_eq!(room.alice_gets().len(), 1);
    let stats = room.world.consumer_stats("alice video");
    assert_eq!((stats.base.packets_retransmitted, stats.base.packets_repaired), (3, 2));
    assert_eq!((stats.base.nack_count, stats.base.nack_packet_count), (3, 4));
}

#[test]
fn a_paused_consumer_is_sent_nothing_again() {
    let mut room = Room::new();
    room.start_video(1..20);
    let seqs = seqs(&room.alice_gets());
    room.world.consumer("alice video", ConsumerCommand::Pause);
    room.alice_says(&nack(ALICE_VIDEO, &[seqs[3]]));
    assert!(room.alice_gets().is_empty());
    assert_eq!(room.world.consumer_stats("alice video").base.nack_count, 0);
}

#[test]
fn without_rtx_the_same_packet_goes_out_again() {
    let mut room = Room::new();
    room.start_video(1..20);
    let first = room.bob_gets();
    let lost = first[7].clone();
    room.bob_says(&nack(BOB_VIDEO, &[lost.rtp().sequence_number()]));
    let again = room.bob_gets();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].bytes, lost.bytes);
    assert_eq!((again[0].rtp().payload_type(), again[0].rtp().ssrc()), (ROUTER_H264, BOB_VIDEO));
}

#[test]
fn nothing_older_than_two_seconds_or_unknown_is_sent_again() {
    let mut room = Room::new();
    room.start_video(1..10);
    let seqs = seqs(&room.bob_gets());
    room.bob_says(&nack(BOB_VIDEO, &[seqs[8].wrapping_add(1), seqs[0].wrapping_sub(1)]));
    assert!(room.bob_gets().is_empty());
    room.bob_says(&nack(999, &[seqs[8]]));
    assert!(room.bob_gets().is_empty());
    room.world.advance_ms(2_100);
    room.world.take_sent();
    room.bob_says(&nack(BOB_VIDEO, &[seqs[8]]));
    assert!(room.bob_gets().is_empty());
}

#[test]
fn a_sender_without_rtx_repairs_in_its_own_stream() {
    let mut room = Room::new();
    room.world.produce("sender", produce_video("plain", 3_000, None, 5_500));
    let sender = room.sender.clone();
    let request = consume_video("c", "plain", 95, None, 5_500);
    room.world.consume("bob", request);
    let send = |room: &mut Room, seq, payload: &[u8]| {
        let packet = rtp(H264, seq, 1, 3_000, payload);
        room.world.from(&sender, &packet);
    };
    send(&mut room, 1, KEY);
    send(&mut room, 3, DELTA);
    room.world.advance_ms(15);
    assert_eq!(nacks(&mut room), [[2]]);
    send(&mut room, 2, DELTA);
    assert_eq!(room.bob_gets().len(), 1);
    let stats = room.world.producer_stats("plain");
    assert_eq!(stats[0].base.packets_repaired, 1);
}

#[test]
fn the_second_of_two_repairs_is_a_duplicate() {
    let mut room = Room::new();
    room.video(1, KEY);
    room.video(3, DELTA);
    room.sender_says(&rtx(H264_RTX, 1, 180, VIDEO_RTX, 2, DELTA));
    room.video(2, DELTA);
    assert_eq!(room.world.dropped(DropReason::Duplicate), 1);
    assert_eq!(room.bob_gets().len(), 3);
    let _ = MAPPED_VIDEO;
}

/// A13: with many streams a receiver would have many times as much looked for.
#[test]
fn a_receiver_of_several_streams_has_no_more_looked_for() {
    let mut room = Room::new();
    room.world.consume("alice", consume_video("second", "video", 300, None, MAPPED_VIDEO));
    room.start_video(1..5);
    let newest = seqs(&room.alice_gets())[6];
    let asked: Vec<u16> = (0..ASKED_AT_ONCE).map(|behind| newest.wrapping_sub(behind)).rev().collect();
    for ssrc in [ALICE_VIDEO, 300] {
        for seqs in asked.chunks(64 * 17) {
            room.alice_says(&nack(ssrc, seqs));
        }
    }
    assert_eq!(room.world.held("resends_too_many"), 2 * u64::from(ASKED_AT_ONCE) - 2_500);
}

/// Whether the answer may be on its way is known at once, whether there is one takes a look at what is kept.
#[test]
fn what_is_asked_for_too_soon_is_not_looked_for_any_further() {
    let mut room = Room::new();
    room.start_video(1..3);
    let seqs = seqs(&room.alice_gets());
    for _ in 0..2 {
        room.alice_says(&nack(ALICE_VIDEO, &seqs));
    }
    assert_eq!(room.world.held("resends_sent"), 2);
    assert_eq!((room.world.held("resends_too_soon"), room.world.held("resends_too_much")), (2, 0));
}

#[test]
fn what_the_outbox_had_no_room_for_may_be_asked_for_at_once() {
    let mut room = Room::new();
    room.start_video(0..1);
    let first = seqs(&room.alice_gets())[0];
    let (sender, alice) = (room.sender.clone(), room.alice.clone());
    for seq in 1..1_500 {
        let mut payload = vec![0; if seq < 1_200 { 60_000 } else { 500 }];
        payload[..DELTA.len()].copy_from_slice(DELTA);
        let packet = rtp(H264, seq, 1, VIDEO, &payload);
        room.world.receive_unflushed(sender.socket, sender.remote, &packet);
    }
    let asked = nack(ALICE_VIDEO, &[first.wrapping_add(1_499)]);
    room.world.receive_unflushed(alice.socket, alice.remote, &asked);
    assert_eq!((room.world.held("resends_outbox_full"), room.world.held("resends_sent")), (1, 0));
    room.world.take_sent();
    room.alice_says(&asked);
    assert_eq!(room.alice_gets().len(), 1);
    let stats = room.world.consumer_stats("alice video");
    assert_eq!((stats.base.packets_retransmitted, stats.base.packets_repaired), (1, 1));
}

/// A receiver that asks for all it was ever sent, again and again, whatever it says of its round trip.
struct Flood {
    room: Room,
    payload_len: usize,
    seq: u16,
    media_bytes: usize,
    /// When each packet left again.
    resent: Vec<(u16, Time)>,
    resent_bytes: usize,
}

/// Bytes of each packet of the flooded stream.
const FLOODED_PAYLOAD: usize = 1_000;
/// Numbers asked for, all of them each time.
const ASKED_AT_ONCE: u16 = 128 * 17;
const ASKED_EACH_MS: u64 = 4;
/// Milliseconds that the flood lasts.
const FLOOD_MS: u64 = 600;

impl Flood {
    fn new(payload_len: usize) -> Self {
        Self { room: Room::new(), payload_len, seq: 0, media_bytes: 0, resent: Vec::new(), resent_bytes: 0 }
    }

    /// A millisecond in which a packet is sent and all that may be kept is asked for `ASKED_EACH_MS` times.
    fn pass(&mut self) {
        self.seq += 1;
        let mut payload = vec![7; self.payload_len];
        payload[..KEY.len()].copy_from_slice(if self.seq == 1 { KEY } else { &[0x41, 9, 8, 7, 6, 5, 4] });
        self.room.video(self.seq, &payload);
        let sent = self.room.alice_gets();
        self.media_bytes += sent.iter().map(|sent| sent.bytes.len()).sum::<usize>();
        let newest = sent.last().expect("forwarded").rtp().sequence_number();
        for _ in 0..ASKED_EACH_MS {
            let seqs: Vec<u16> = (0..ASKED_AT_ONCE).map(|behind| newest.wrapping_sub(behind)).rev().collect();
            for seqs in seqs.chunks(64 * 17) {
                self.room.alice_says(&nack(ALICE_VIDEO, seqs));
            }
        }
        let sent = self.room.alice_gets();
        let resent = sent.iter().filter(|sent| sent.rtp().ssrc() == ALICE_RTX);
        for sent in resent {
            let original = sent.rtp().payload()[..2].try_into().expect("an original");
            self.resent.push((u16::from_be_bytes(original), sent.at));
            self.resent_bytes += sent.bytes.len();
        }
        self.room.world.advance_ms(1);
    }

    fn counted(&mut self, name: &str) -> u64 {
        self.room.world.held(name)
    }

    /// The shortest time between two resends of one packet.
    fn closest(&self) -> Duration {
        let mut last = HashMap::new();
        let again =
            |(seq, at): &(u16, Time)| last.insert(*seq, *at).map(|before: Time| at.saturating_since(before));
        self.resent.iter().filter_map(again).min().expect("some were sent twice")
    }
}

/// A13: what is asked for costs no more than what is sent, whoever asks and however often.
#[test]
fn a_nack_flood_is_answered_with_as_much_as_is_sent() {
    let mut flood = Flood::new(FLOODED_PAYLOAD);
    for _ in 0..FLOOD_MS {
        flood.pass();
    }
    assert!(flood.closest() > Duration::from_millis(100), "the round trip that is assumed");
    let (media, resent) = (flood.media_bytes, flood.resent_bytes);
    assert!(resent <= media + media / 10, "{resent} bytes again of {media}");
    assert!(resent >= media / 2, "who loses half is served: {resent} of {media}");
    let asked = FLOOD_MS * ASKED_EACH_MS * u64::from(ASKED_AT_ONCE);
    let looked_up = asked - flood.counted("resends_too_many");
    assert!(looked_up <= (FLOOD_MS / 10 + 1) * 2_500, "{looked_up} looked up of {asked}");
    let counted: u64 = ["sent", "unknown", "too_soon", "too_many", "too_much", "outbox_full"]
        .iter()
        .map(|name| flood.counted(&format!("resends_{name}")))
        .sum();
    assert_eq!(counted, asked);
    assert_eq!(flood.counted("resends_sent"), flood.resent.len() as u64);
}

/// Of small packets the header's extensions are a large part; what is earned by them is charged for them.
#[test]
fn a_nack_flood_of_small_packets_is_answered_with_as_much_as_is_sent() {
    let mut flood = Flood::new(20);
    for _ in 0..FLOOD_MS / 2 {
        flood.pass();
    }
    let (media, resent) = (flood.media_bytes, flood.resent_bytes);
    assert!(resent <= media + media / 10, "{resent} bytes again of {media}");
    assert!(resent >= media / 2, "who loses half is served: {resent} of {media}");
}

#[test]
fn a_round_trip_that_cannot_be_does_not_hurry_answers() {
    let mut flood = Flood::new(FLOODED_PAYLOAD);
    flood.pass();
    flood.room.world.advance_ms(520);
    let alice = flood.room.alice.clone();
    let told = heard(&flood.room.world.take_rtcp(&alice)).sender_reports[0];
    let block = |delay| ReportBlock {
        last_sender_report: told.ntp.middle(),
        delay_since_last_sender_report: delay,
        ..empty_block(ALICE_VIDEO)
    };
    for at in 0..100_u64 {
        // It took no time at all to come here and back.
        let wall = NtpTime::from_unix_micros(UNIX_ORIGIN_US + flood.room.world.now.as_micros());
        let delay = wall.middle().wrapping_sub(told.ntp.middle()) - 1;
        flood.room.alice_says(&receiver_report(block(delay)));
        let rtt = flood.room.world.consumer_stats("alice video").base.round_trip_time;
        assert!(rtt > 0.0 && rtt < 0.1, "{rtt} at {at}");
        flood.pass();
    }
    assert!(flood.closest() > Duration::from_millis(10), "{:?}", flood.closest());
}

/// What is not answered was asked for all the same.
#[test]
fn every_packet_that_a_receiver_asks_for_is_counted() {
    let mut room = Room::new();
    let mut request = consume_video("deaf", "video", 30_000, None, MAPPED_VIDEO);
    request.rtp_parameters.codecs[0].rtcp_feedback.retain(|feedback| feedback.parameter == "pli");
    room.world.consume("bob", request);
    room.start_video(1..5);
    let asked = [1, 100, 101, 200];
    room.bob_says(&nack(30_000, &asked));
    room.bob_says(&nack(BOB_VIDEO, &asked));
    // Each in an item of its own.
    let many: Vec<u16> = (0..300).map(|seq| seq * 20).collect();
    room.bob_says(&nack(BOB_VIDEO, &many));
    let counted = |room: &mut Room, consumer| {
        let stats = room.world.consumer_stats(consumer).base;
        (stats.nack_count, stats.nack_packet_count)
    };
    assert_eq!(counted(&mut room, "deaf"), (1, 4));
    assert_eq!(counted(&mut room, "bob video"), (2, 304));
}
