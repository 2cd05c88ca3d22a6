//! Lost packets that come again: when they are taken, and that what is counted adds up.

use std::collections::{BTreeSet, VecDeque};

use ringsoup_sfu::drop_reason::DropReason;

use crate::common::packets::{DELTA, KEY, heard, rtx};
use crate::common::parameters::H264_RTX;
use crate::room::{Room, VIDEO_RTX, seqs};

/// Packets of the sender in the long run.
const SENT: u16 = 3_000;

/// The sender sends `original` again.
fn repair(room: &mut Room, rtx_seq: u16, original: u16) {
    let payload = if original == 1 { KEY } else { DELTA };
    room.sender_says(&rtx(H264_RTX, rtx_seq, u32::from(original) * 90, VIDEO_RTX, original, payload));
}

#[test]
fn a_repair_for_a_stream_that_was_never_heard_is_refused_and_the_next_one_is_taken() {
    let mut room = Room::new();
    repair(&mut room, 1, 1);
    assert_eq!(room.world.dropped(DropReason::UnknownStream), 1);
    assert!(room.world.producer_stats("video").is_empty());
    room.video(1, KEY);
    room.video(3, DELTA);
    repair(&mut room, 2, 2);
    assert_eq!(room.bob_gets().len(), 3);
    let stats = room.world.producer_stats("video").remove(0);
    assert_eq!((stats.base.packets_repaired, stats.base.packets_retransmitted), (1, 1));
    room.world.assert_accounted();
}

/// Senders probe with RTX of packets that are still under way.
#[test]
fn a_repair_of_what_was_never_seen_is_media_and_its_original_a_duplicate() {
    let mut room = Room::new();
    room.video(1, KEY);
    repair(&mut room, 1, 4);
    let first = seqs(&room.bob_gets());
    assert_eq!(first.last().map(|last| last - first[0]), Some(3), "the gap before it stays");
    room.world.advance_ms(20);
    assert_eq!(heard(&room.rtcp_to_sender()).nacks[0].1, [2, 3], "and is asked for");
    for seq in 2..6 {
        room.video(seq, DELTA);
    }
    assert_eq!(room.world.dropped(DropReason::Duplicate), 1);
    let stats = room.world.producer_stats("video").remove(0);
    assert_eq!((stats.packet_count, stats.base.packets_lost), (6, 0));
    assert_eq!((stats.base.packets_repaired, stats.base.packets_retransmitted), (1, 1));
}

#[test]
fn a_repair_out_of_reach_is_discarded_and_counts_as_nothing_else() {
    let mut room = Room::new();
    room.video(10_000, KEY);
    repair(&mut room, 1, 5_000);
    repair(&mut room, 2, 5_001);
    let stats = room.world.producer_stats("video").remove(0);
    assert_eq!((stats.base.packets_discarded, stats.packet_count), (2, 1));
    assert_eq!((stats.base.packets_repaired, stats.base.packets_retransmitted), (0, 0));
    assert_eq!(room.world.dropped(DropReason::BadSequence), 2);
}

/// A way to the shard that loses, repeats and delays, and a sender that answers what it is asked for.
struct Way {
    state: u64,
    /// Packets that were overtaken: when they come, and whether as a repair.
    late: VecDeque<(u16, u16, bool)>,
    rtx_seq: u16,
    /// What came: of the stream itself, and by RTX.
    media: u64,
    repairs: u64,
    seen: BTreeSet<u16>,
    /// What came by RTX before it came by itself.
    repaired: u64,
    /// What Bob got.
    got: u64,
}

impl Way {
    fn new(seed: u64) -> Self {
        let late = VecDeque::new();
        Self {
            state: seed,
            late,
            rtx_seq: 0,
            media: 0,
            repairs: 0,
            seen: BTreeSet::new(),
            repaired: 0,
            got: 0,
        }
    }

    /// True this many times of a hundred.
    fn happens(&mut self, percent: u64) -> bool {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % 100 < percent
    }

    fn carry(&mut self, room: &mut Room, at: u16, seq: u16, is_repair: bool) {
        if seq > 1 && self.happens(15) {
            return;
        }
        if seq > 1 && self.happens(10) {
            self.late.push_back((at + 3, seq, is_repair));
            return;
        }
        self.arrive(room, seq, is_repair);
        if self.happens(5) {
            self.arrive(room, seq, is_repair);
        }
    }

    fn arrive(&mut self, room: &mut Room, seq: u16, is_repair: bool) {
        let is_new = self.seen.insert(seq);
        if is_repair {
            self.rtx_seq += 1;
            self.repairs += 1;
            self.repaired += u64::from(is_new);
            repair(room, self.rtx_seq, seq);
        } else {
            self.media += 1;
            room.video(seq, if seq == 1 { KEY } else { DELTA });
        }
    }

    /// What is due by `at`, and what the shard asks for.
    fn pass(&mut self, room: &mut Room, at: u16) {
        while let Some((_, seq, is_repair)) = self.late.pop_front_if(|(due, ..)| *due <= at) {
            self.arrive(room, seq, is_repair);
        }
        let sent = room.world.take_sent();
        let (to_bob, to_sender) = (room.bob.remote, room.sender.remote);
        self.got += sent.iter().filter(|sent| sent.remote == to_bob && !sent.is_rtcp()).count() as u64;
        let asked = sent.iter().filter(|sent| sent.remote == to_sender);
        for (_, asked) in heard(asked).nacks {
            for seq in asked {
                self.carry(room, at, seq, true);
            }
        }
    }
}

#[test]
fn what_was_received_lost_repeated_and_repaired_adds_up() {
    for seed in 1..=5 {
        let mut room = Room::with_seed(seed);
        let mut way = Way::new(seed);
        way.arrive(&mut room, 1, false);
        // So that the stream is known to have RTX: a late packet is no repair then.
        way.arrive(&mut room, 1, true);
        for seq in 2..=SENT {
            way.carry(&mut room, seq, seq, false);
            room.world.advance_ms(5);
            way.pass(&mut room, seq);
        }
        way.pass(&mut room, SENT);
        let stats = room.world.producer_stats("video").remove(0);
        let (seen, highest) = (way.seen.len() as u64, u64::from(*way.seen.last().expect("some")));
        let repeated = way.media + way.repairs - seen;
        assert!(way.repaired > 200 && repeated > 200, "seed {seed}: too kind a way");
        assert_eq!(stats.packet_count, way.media + way.repaired, "seed {seed}");
        assert_eq!(stats.base.packets_retransmitted, way.repairs, "seed {seed}");
        assert_eq!(stats.base.packets_repaired, way.repaired, "seed {seed}");
        // RFC 3550 appendix A.3: expected less received, repeated packets included, repairs not.
        let lost = i32::try_from(highest.saturating_sub(way.media)).expect("few");
        assert_eq!((stats.base.packets_lost, stats.base.packets_discarded), (lost, 0), "seed {seed}");
        assert_eq!(room.world.dropped(DropReason::Duplicate), repeated, "seed {seed}");
        assert_eq!(way.got, seen, "seed {seed}: every packet once");
        assert_eq!(room.world.consumer_stats("bob video").packet_count, seen, "seed {seed}");
        room.world.assert_accounted();
    }
}

/// So much was lost before it that asking for each is of no use.
#[test]
fn a_repair_that_leaps_ahead_asks_for_a_key_frame_as_media_does() {
    let mut room = Room::new();
    room.video(100, KEY);
    room.rtcp_to_sender();
    repair(&mut room, 1, 1_500);
    assert_eq!(heard(&room.rtcp_to_sender()).plis.len(), 1);
    room.world.advance_ms(20);
    assert!(heard(&room.rtcp_to_sender()).nacks.is_empty());
}

/// The number of the original is of the repair (RFC 4588 section 4).
#[test]
fn a_repair_counts_as_many_bytes_as_its_original() {
    let mut room = Room::new();
    room.video(1, KEY);
    room.video(3, DELTA);
    let before = room.world.producer_stats("video").remove(0).byte_count;
    repair(&mut room, 1, 2);
    let after = room.world.producer_stats("video").remove(0).byte_count;
    assert_eq!(after - before, 12 + DELTA.len() as u64);
}
