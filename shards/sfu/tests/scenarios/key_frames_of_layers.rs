//! Whom a receiver of layers lets be asked for key frames, and how often.

use ringsoup_sfu::command::{ConsumerCommand, Layers, TransportCommand};

use crate::common::packets::{heard, rtp};
use crate::common::simulcast::{self, VIDEO};
use crate::common::{Peer, World};

const SOURCE: [u32; 3] = [1_000, 2_000, 3_000];
const MAPPED: [u32; 3] = [5_000, 5_001, 5_002];
const SENT: u32 = 9_000;

struct Scene {
    world: World,
    sender: Peer,
    receiver: Peer,
    seq: u16,
}

impl Scene {
    /// A producer of three encodings.
    fn simulcast(key_frame_request_delay: u32) -> Self {
        Self::new("video/VP8", "L1T3", &SOURCE, &MAPPED, key_frame_request_delay)
    }

    /// A producer of one encoding with three spatial layers.
    fn svc(key_frame_request_delay: u32) -> Self {
        Self::new("video/VP9", "L3T3", &SOURCE[..1], &MAPPED[..1], key_frame_request_delay)
    }

    fn new(mime_type: &str, mode: &str, ssrcs: &[u32], mapped: &[u32], delay: u32) -> Self {
        let mut world = World::new();
        let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
        let mut request = simulcast::produce("video", mime_type, Some(mode), ssrcs, mapped);
        request.key_frame_request_delay = delay;
        world.produce("sender", request);
        Self { world, sender, receiver, seq: 0 }
    }

    fn consume_simulcast(&mut self) {
        let modes = (Some("L3T3"), Some("L1T3"));
        self.world.consume("receiver", simulcast::consume("c", "video", "video/VP8", modes, SENT, &MAPPED));
    }

    fn consume_svc(&mut self) {
        let modes = (Some("L3T3"), Some("L3T3"));
        self.world
            .consume("receiver", simulcast::consume("c", "video", "video/VP9", modes, SENT, &MAPPED[..1]));
    }

    fn vp8(&mut self, encoding: usize, is_key: bool) {
        self.send(encoding, &[0x90, 0xe0, 0x80, 1, 5, 0, u8::from(!is_key)]);
    }

    fn vp9(&mut self, is_key: bool) {
        self.send(0, &[0xac | u8::from(!is_key) << 6, 0x80, 1, 0, 0, 1, 2]);
    }

    fn send(&mut self, encoding: usize, payload: &[u8]) {
        self.seq += 1;
        let sender = self.sender.clone();
        let packet = rtp(VIDEO, self.seq, u32::from(self.seq) * 3_000, SOURCE[encoding], payload);
        self.world.from(&sender, &packet);
    }

    /// Of whom key frames were asked for since the last call.
    fn asked(&mut self) -> Vec<u32> {
        let sender = self.sender.clone();
        let rtcp = self.world.take_rtcp(&sender);
        heard(&rtcp).plis.iter().map(|pli| pli.media_ssrc).collect()
    }

    /// Milliseconds from now on at which the sender is asked, in tenths of a second.
    fn asked_within(&mut self, millis: u64) -> Vec<u64> {
        let mut moments = Vec::new();
        for tenth in 1..=millis / 100 {
            self.world.advance_ms(100);
            moments.extend(self.asked().iter().map(|_| tenth * 100));
        }
        moments
    }

    fn prefer(&mut self, spatial: u8) {
        let layers = Layers { spatial, temporal: Some(2) };
        self.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    }

    /// All encodings are there, and the highest is sent.
    fn begin(&mut self) {
        self.consume_simulcast();
        for encoding in 0..3 {
            self.vp8(encoding, true);
        }
        self.vp8(2, true);
        self.asked();
    }
}

#[test]
fn streams_that_begin_with_key_frames_are_not_asked_for_more() {
    let mut scene = Scene::simulcast(5_000);
    scene.consume_simulcast();
    for encoding in 0..3 {
        scene.vp8(encoding, true);
    }
    assert_eq!(scene.asked(), []);
    let receiver = scene.receiver.clone();
    assert_eq!(scene.world.take_rtp(&receiver).len(), 0, "taken with what was asked");
    // The delay has not begun either.
    scene.world.consumer("c", ConsumerCommand::Pause);
    scene.world.consumer("c", ConsumerCommand::Resume);
    assert_eq!(scene.asked(), [SOURCE[2]]);
    let mut scene = Scene::svc(0);
    scene.consume_svc();
    scene.vp9(true);
    assert_eq!(scene.asked(), []);
}

#[test]
fn a_stream_that_comes_back_with_a_key_frame_is_not_asked_for_one() {
    let mut scene = Scene::simulcast(0);
    scene.begin();
    for _ in 0..30 {
        scene.world.advance_ms(100);
        scene.vp8(0, false);
        scene.vp8(1, false);
    }
    assert_eq!(scene.asked()[0], SOURCE[1], "the highest has stopped");
    scene.vp8(1, true);
    scene.vp8(2, true);
    assert_eq!(scene.asked(), []);
}

#[test]
fn a_receiver_of_svc_asks_once_when_it_begins() {
    let mut scene = Scene::svc(3_000);
    scene.vp9(true);
    assert_eq!(scene.asked(), []);
    for begin in [Scene::consume_svc, |scene: &mut Scene| {
        scene.world.consumer("c", ConsumerCommand::Pause);
        scene.world.consumer("c", ConsumerCommand::Resume);
    }] {
        scene.vp9(false);
        begin(&mut scene);
        assert_eq!(scene.asked(), [SOURCE[0]]);
        scene.vp9(true);
        assert_eq!(scene.asked_within(900), [] as [u64; 0]);
        scene.vp9(false);
        assert_eq!(scene.asked_within(900), [] as [u64; 0]);
        scene.vp9(false);
        assert_eq!(scene.asked_within(1_500), [] as [u64; 0]);
    }
}

#[test]
fn a_silent_sender_is_not_asked_more_often_than_the_delay_allows() {
    let mode = Some("L1T3");
    let mut scene = Scene::new("video/VP9", "L1T3", &SOURCE[..1], &MAPPED[..1], 10_000);
    scene.vp9(true);
    let request = simulcast::consume("c", "video", "video/VP9", (mode, mode), SENT, &MAPPED[..1]);
    scene.world.consume("receiver", request);
    assert_eq!(scene.asked(), [SOURCE[0]]);
    // Once more at once, since the first may have been lost.
    assert_eq!(scene.asked_within(20_000), [1_000, 11_000]);
}

#[test]
fn what_nobody_wants_any_more_is_not_asked_for_again() {
    let leaving: [fn(&mut Scene); 3] = [
        |scene| scene.prefer(2),
        |scene| {
            scene.world.consumer("c", ConsumerCommand::Pause);
        },
        |scene| {
            let close = TransportCommand::CloseConsumer { consumer: "c".into() };
            scene.world.transport("receiver", close);
        },
    ];
    for leave in leaving {
        let mut scene = Scene::simulcast(0);
        scene.begin();
        scene.prefer(0);
        assert_eq!(scene.asked(), [SOURCE[0]]);
        leave(&mut scene);
        scene.vp8(2, true);
        scene.asked();
        for _ in 0..30 {
            scene.world.advance_ms(100);
            (0..3).for_each(|encoding| scene.vp8(encoding, false));
        }
        assert_eq!(scene.asked(), []);
    }
}
