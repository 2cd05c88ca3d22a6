//! What a receiver can take is given out to its consumers, by whoever will know it.

use ringsoup_sfu::command::{ConsumerCommand, ErrorClass, Layers};
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::transport::bitrate_allocator::Budget;

use crate::common::packets::rtp;
use crate::common::parameters::{H264, consume_video, produce_video};
use crate::common::{Peer, World, simulcast};

/// Source and mapped SSRCs of the lower layer; those of the upper follow.
const ALICE: (u32, u32) = (1_000, 5_000);
const BOB: (u32, u32) = (2_000, 6_000);
/// Bytes of a layer's packets, thirty of them a second: 120 and 480 kbit/s.
const SIZES: [usize; 2] = [500, 2_000];

/// Two simulcast senders, and a receiver of both.
struct Scene {
    world: World,
    sender: Peer,
    seq: u16,
    /// Does not send.
    silent: Option<u32>,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new();
        let sender = world.plain("sender");
        world.plain("receiver");
        let mut scene = Self { world, sender, seq: 0, silent: None };
        for (name, (ssrc, mapped)) in [("alice", ALICE), ("bob", BOB)] {
            let (ssrcs, mapped) = ([ssrc, ssrc + 1], [mapped, mapped + 1]);
            let request = simulcast::produce(name, "video/VP8", Some("L1T1"), &ssrcs, &mapped);
            scene.world.produce("sender", request);
            let layers = (Some("L2T1"), Some("L1T1"));
            let consumer = format!("of {name}");
            let request = simulcast::consume(&consumer, name, "video/VP8", layers, ssrc + 7_000, &mapped);
            scene.world.consume("receiver", request);
        }
        scene
    }

    /// Lets them send, key frames only.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis * 30 / 1_000 {
            self.seq += 1;
            for (first, _) in [ALICE, BOB] {
                for (ssrc, size) in (first..).zip(SIZES).filter(|(ssrc, _)| self.silent != Some(*ssrc)) {
                    let mut payload = vec![7; size - 12];
                    payload[..6].copy_from_slice(&[0x90, 0x80, 1, 0, 7, 7]);
                    let packet = rtp(simulcast::VIDEO, self.seq, u32::from(self.seq) * 3_000, ssrc, &payload);
                    self.world.from(&self.sender.clone(), &packet);
                }
            }
            self.world.advance_ms(33);
        }
        self.world.take_sent();
    }

    fn give(&mut self, budget: Budget) {
        let World { sfu, now, out, .. } = &mut self.world;
        sfu.handle_budget(*now, "receiver", budget, out).expect("there");
        self.world.flush();
    }

    fn give_kbps(&mut self, kbps: u64) {
        self.give(Budget::Limited(kbps * 1_000));
    }

    /// Spatial layers that Alice's and Bob's consumers aim for, -1 for none.
    fn targets(&mut self) -> (i16, i16) {
        let mut target = |consumer: &str| match self.world.consumer(consumer, ConsumerCommand::Dump) {
            Reply::ConsumerDump(dump) => dump.layers.target_spatial,
            other => panic!("not a dump: {other:?}"),
        };
        (target("of alice"), target("of bob"))
    }
}

#[test]
fn without_an_estimate_everybody_gets_what_is_preferred() {
    let mut scene = Scene::new();
    scene.pass(3_000);
    assert_eq!(scene.targets(), (1, 1));
    let desired = scene.world.sfu.desired_bitrate(scene.world.now, "receiver").expect("there");
    assert!((900_000..1_000_000).contains(&desired), "{desired}");
}

#[test]
fn a_budget_is_given_out_layer_by_layer_and_by_priority() {
    let mut scene = Scene::new();
    scene.pass(3_000);
    scene.give_kbps(50);
    assert_eq!(scene.targets(), (-1, -1));
    scene.give_kbps(200);
    assert_eq!(scene.targets(), (0, -1), "who was there first");
    scene.world.consumer("of bob", ConsumerCommand::SetPriority(2));
    scene.give_kbps(200);
    assert_eq!(scene.targets(), (-1, 0));
    scene.give_kbps(300);
    assert_eq!(scene.targets(), (0, 0));
    scene.give_kbps(700);
    assert_eq!(scene.targets(), (0, 1));
    scene.give_kbps(1_100);
    assert_eq!(scene.targets(), (1, 1));
    scene.give_kbps(300);
    scene.give(Budget::Unlimited);
    assert_eq!(scene.targets(), (1, 1));
}

#[test]
fn what_one_does_without_is_given_to_the_others() {
    let mut scene = Scene::new();
    scene.pass(3_000);
    scene.give_kbps(700);
    assert_eq!(scene.targets(), (1, 0));
    scene.world.consumer("of alice", ConsumerCommand::Pause);
    assert_eq!(scene.targets(), (-1, 1));
    scene.world.consumer("of alice", ConsumerCommand::Resume);
    assert_eq!(scene.targets(), (1, 0));
    let wish = Layers { spatial: 0, temporal: None };
    scene.world.consumer("of alice", ConsumerCommand::SetPreferredLayers(wish));
    assert_eq!(scene.targets(), (0, 1));
}

#[test]
fn a_stream_without_layers_has_its_share() {
    let mut scene = Scene::new();
    scene.world.produce("sender", produce_video("plain", 3_000, None, 7_000));
    scene.world.consume("receiver", consume_video("of plain", "plain", 11_000, None, 7_000));
    scene.world.consumer("of plain", ConsumerCommand::SetPriority(9));
    let sender = scene.sender.clone();
    for seq in 0..30 {
        scene.pass(100);
        // Some 400 kbit/s.
        for part in 0..5 {
            let packet = rtp(H264, seq * 5 + part, 1, 3_000, &[0x67; 1_000]);
            scene.world.from(&sender, &packet);
        }
    }
    scene.give_kbps(700);
    assert_eq!(scene.targets(), (0, 0));
    scene.world.consumer("of plain", ConsumerCommand::Pause);
    scene.give_kbps(700);
    assert_eq!(scene.targets(), (1, 0));
}

#[test]
fn a_step_down_for_want_of_bits_is_not_taken_back_at_once() {
    let mut scene = Scene::new();
    scene.pass(12_000);
    scene.give_kbps(300);
    assert_eq!(scene.targets(), (0, 0));
    scene.pass(2_000);
    scene.give_kbps(2_000);
    assert_eq!(scene.targets(), (0, 0), "it went down two seconds ago");
    scene.pass(9_000);
    scene.give_kbps(2_000);
    assert_eq!(scene.targets(), (1, 1));
}

#[test]
fn a_stream_that_comes_back_waits_until_it_lasts() {
    let mut scene = Scene::new();
    scene.pass(3_000);
    scene.give_kbps(2_000);
    scene.silent = Some(ALICE.0 + 1);
    scene.pass(2_000);
    assert_eq!(scene.targets(), (0, 1));
    scene.silent = None;
    scene.pass(1_000);
    scene.give_kbps(2_000);
    assert_eq!(scene.targets(), (0, 1));
    scene.pass(1_500);
    scene.give_kbps(2_000);
    assert_eq!(scene.targets(), (1, 1));
}

#[test]
fn a_budget_for_nobody_is_refused() {
    let mut world = World::new();
    let World { sfu, now, out, .. } = &mut world;
    let refused = sfu.handle_budget(*now, "nobody", Budget::Unlimited, out).expect_err("refused");
    assert_eq!(refused.class, ErrorClass::NotFound);
    assert_eq!(sfu.desired_bitrate(*now, "nobody").expect_err("refused").class, ErrorClass::NotFound);
}
