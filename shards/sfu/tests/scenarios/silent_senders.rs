//! Layers of a sender that was silent for a while: whoever changed something meanwhile gets its picture all the same.

use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_sfu::command::{ConsumerCommand, Layers, ProducerCommand, TransportCommand};

use crate::common::packets::{DELTA, KEY, heard, rtp};
use crate::common::simulcast::{self, VIDEO};
use crate::common::{Peer, World};

const SOURCE: u32 = 1_000;
const MAPPED: u32 = 5_000;
const SENT: u32 = 9_000;

struct Scene {
    world: World,
    sender: Peer,
    receiver: Peer,
    mime_type: &'static str,
    mode: &'static str,
    seq: u16,
}

/// A key frame and a frame that refers to it.
type Frames = [Vec<u8>; 2];

fn vp9() -> Frames {
    [0, 0x40].map(|is_inter| vec![0xac | is_inter, 0x80, 1, 0, 0, 1, 2])
}

fn vp8() -> Frames {
    [0, 1].map(|is_inter| vec![0x90, 0xe0, 0x80, 1, 5, 0, is_inter])
}

fn h264() -> Frames {
    [KEY.to_vec(), DELTA.to_vec()]
}

impl Scene {
    fn new(mime_type: &'static str, mode: &'static str) -> Self {
        let mut world = World::new();
        let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
        world.produce("sender", simulcast::produce("video", mime_type, Some(mode), &[SOURCE], &[MAPPED]));
        let mut scene = Self { world, sender, receiver, mime_type, mode, seq: 0 };
        scene.consume();
        scene
    }

    fn consume(&mut self) {
        let modes = (Some(self.mode), Some(self.mode));
        let request = simulcast::consume("c", "video", self.mime_type, modes, SENT, &[MAPPED]);
        self.world.consume("receiver", request);
    }

    fn send(&mut self, payload: &[u8]) {
        self.seq += 1;
        let packet = rtp(VIDEO, self.seq, u32::from(self.seq) * 3_000, SOURCE, payload);
        self.say(&packet);
    }

    fn say(&mut self, packet: &[u8]) {
        let sender = self.sender.clone();
        self.world.from(&sender, packet);
    }

    /// Packets that the receiver got in so many milliseconds in which the sender sends thirty frames a second, and key frames
    /// when it is asked.
    fn gets_in(&mut self, millis: u64, [key, delta]: &Frames) -> usize {
        let mut got = 0;
        for _ in 0..millis / 33 {
            let sent = self.world.take_sent();
            got += sent.iter().filter(|sent| sent.remote == self.receiver.remote && !sent.is_rtcp()).count();
            let to_sender = sent.iter().filter(|sent| sent.remote == self.sender.remote);
            let is_asked = !heard(to_sender).plis.is_empty();
            self.send(if is_asked { key } else { delta });
            self.world.advance_ms(33);
        }
        got
    }
}

/// What may change while a sender says nothing.
const CHANGES: [fn(&mut Scene); 4] = [
    |scene| {
        scene.world.consumer("c", ConsumerCommand::Pause);
        scene.world.consumer("c", ConsumerCommand::Resume);
    },
    |scene| {
        scene.world.producer("video", ProducerCommand::Pause);
        scene.world.producer("video", ProducerCommand::Resume);
    },
    |scene| {
        let layers = Layers { spatial: 0, temporal: Some(1) };
        scene.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    },
    |scene| {
        let close = TransportCommand::CloseConsumer { consumer: "c".into() };
        scene.world.transport("receiver", close);
        scene.consume();
    },
];

#[test]
fn a_stream_of_one_spatial_layer_is_taken_up_again_after_a_silence() {
    for (mime_type, frames) in [("video/VP8", vp8()), ("video/H264", h264()), ("video/VP9", vp9())] {
        for (index, change) in CHANGES.into_iter().enumerate() {
            let mut scene = Scene::new(mime_type, "L1T3");
            scene.send(&frames[0]);
            assert!(scene.gets_in(1_000, &frames) > 0);
            scene.world.advance_ms(3_000);
            scene.world.take_sent();
            change(&mut scene);
            scene.world.advance_ms(1_000);
            assert!(scene.gets_in(2_000, &frames) > 20, "{mime_type} {index}");
        }
    }
}

#[test]
fn a_stream_of_several_spatial_layers_is_taken_up_again_after_a_silence() {
    let frames = vp9();
    for (silence, rest) in [(3_000, 1_000), (2_600, 70), (2_700, 10)] {
        let mut scene = Scene::new("video/VP9", "L3T3");
        scene.send(&frames[0]);
        scene.world.take_sent();
        scene.world.advance_ms(silence);
        scene.world.consumer("c", ConsumerCommand::Pause);
        scene.world.consumer("c", ConsumerCommand::Resume);
        scene.world.advance_ms(rest);
        assert!(scene.gets_in(3_000, &frames) > 30, "{silence} {rest}");
    }
}

#[test]
fn a_stream_that_begins_with_padding_is_taken_up_with_its_media() {
    let frames = vp9();
    for mode in ["L1T3", "L3T3"] {
        let mut scene = Scene::new("video/VP9", mode);
        scene.seq = 1;
        let padding = RtpWriter::new(VIDEO, 1, 3_000, SOURCE).padding(8).to_vec().expect("no CSRCs");
        scene.say(&padding);
        scene.world.advance_ms(10);
        scene.world.take_sent();
        assert!(scene.gets_in(3_000, &frames) > 30, "{mode}");
    }
}
