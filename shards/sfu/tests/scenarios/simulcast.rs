//! Simulcast consumers: one of several streams, as if it were one.

use ringsoup_rtc::codec::vp8::Descriptor;
use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtp::extension::AbsCaptureTime;
use ringsoup_rtc::rtp::{ExtensionUri, RtpWriter};
use ringsoup_sfu::command::{
    Command, Consume, ConsumerCommand, ErrorClass, Layers, Produce, ProducerCommand, TransportCommand,
};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::{ConsumeReply, ConsumerDump, ConsumerStats, Reply};
use ringsoup_sfu::rtp_parameters::RtpType;

use crate::common::packets::{empty_block, heard, nack, pli, receiver_report, rtp, sender_report};
use crate::common::parameters::extension;
use crate::common::simulcast::{self, ROUTER_RTX, VIDEO};
use crate::common::{Peer, Sent, UNIX_ORIGIN_US, World};
use crate::room::{assert_contiguous, seqs};

const VP8: &str = "video/VP8";
const SOURCE: [u32; 3] = [1_000, 2_000, 3_000];
const MAPPED: [u32; 3] = [5_000, 5_001, 5_002];
const SENT: u32 = 9_000;

/// A picture of one packet.
#[derive(Clone, Copy)]
struct Picture {
    id: u16,
    tl0: u8,
    temporal: u8,
    is_key: bool,
    is_sync: bool,
}

impl Picture {
    fn payload(self) -> Vec<u8> {
        let [high, low] = self.id.to_be_bytes();
        let layers = self.temporal << 6 | u8::from(self.is_sync) << 5;
        vec![0x90, 0xe0, 0x80 | high, low, self.tl0, layers, u8::from(!self.is_key), 7, 7]
    }
}

/// What a layer's encoder counts.
#[derive(Clone, Copy)]
struct Encoder {
    seq: u16,
    timestamp: u32,
    picture: Picture,
}

struct Scene {
    world: World,
    sender: Peer,
    receiver: Peer,
    encoders: [Encoder; 3],
    reply: ConsumeReply,
}

fn consume(mode: &str) -> Consume {
    simulcast::consume("c", "video", VP8, (Some(mode), Some("L1T3")), SENT, &MAPPED)
}

impl Scene {
    fn new() -> Self {
        Self::with(consume("L3T3"))
    }

    fn with(request: Consume) -> Self {
        Self::of(simulcast::produce("video", VP8, Some("L1T3"), &SOURCE, &MAPPED), request)
    }

    fn of(produce: Produce, request: Consume) -> Self {
        let mut world = World::new();
        let sender = world.plain("sender");
        let receiver = world.plain("receiver");
        world.produce("sender", produce);
        let Reply::Consume(reply) = world.consume("receiver", request) else { panic!("consumed") };
        let picture = |id| Picture { id, tl0: 100, temporal: 0, is_key: false, is_sync: false };
        let encoder = |seq, timestamp, id| Encoder { seq, timestamp, picture: picture(id) };
        let encoders = [
            encoder(100, 1_000_000, 300),
            encoder(60_000, 4_000_000_000, 0x7ffe),
            encoder(65_534, 5, 20_000),
        ];
        Self { world, sender, receiver, encoders, reply }
    }

    /// The next picture of a layer, as many ms after its last one.
    fn picture(&mut self, layer: usize, change: impl FnOnce(&mut Picture)) -> Picture {
        let encoder = &mut self.encoders[layer];
        encoder.seq = encoder.seq.wrapping_add(1);
        encoder.picture.id = (encoder.picture.id + 1) & 0x7fff;
        let mut picture = Picture { temporal: 0, is_key: false, is_sync: false, ..encoder.picture };
        change(&mut picture);
        if picture.temporal == 0 {
            picture.tl0 = picture.tl0.wrapping_add(1);
            encoder.picture.tl0 = picture.tl0;
        }
        let (seq, timestamp) = (encoder.seq, encoder.timestamp);
        let mut packet = rtp(VIDEO, seq, timestamp, SOURCE[layer], &picture.payload());
        packet[1] |= 0x80;
        let sender = self.sender.clone();
        self.world.from(&sender, &packet);
        picture
    }

    fn key(&mut self, layer: usize) {
        self.picture(layer, |picture| picture.is_key = true);
    }

    fn delta(&mut self, layer: usize) {
        self.picture(layer, |_| {});
    }

    /// 33 ms of all layers, each with a picture.
    fn frame(&mut self) {
        self.pass(33);
        for layer in 0..3 {
            self.delta(layer);
        }
    }

    fn pass(&mut self, millis: u32) {
        self.world.advance_ms(millis.into());
        for encoder in &mut self.encoders {
            encoder.timestamp = encoder.timestamp.wrapping_add(millis * 90);
        }
    }

    /// All layers begin with key frames; the highest is sent then.
    fn begin(&mut self) {
        for layer in 0..3 {
            self.key(layer);
        }
        // The lowest was the only one when it began: it was switched to at once, then up.
        for layer in 0..3 {
            self.key(layer);
        }
    }

    fn says(&mut self, bytes: &[u8]) {
        let receiver = self.receiver.clone();
        self.world.from(&receiver, bytes);
    }

    /// Layers report that their next timestamp is `ahead_ms` after now.
    fn report(&mut self, layer: usize, ahead_ms: u64) {
        let wall = UNIX_ORIGIN_US + self.world.now.as_micros() + ahead_ms * 1_000;
        let bytes =
            sender_report(SOURCE[layer], NtpTime::from_unix_micros(wall), self.encoders[layer].timestamp);
        let sender = self.sender.clone();
        self.world.from(&sender, &bytes);
    }

    fn gets(&mut self) -> Vec<Sent> {
        let receiver = self.receiver.clone();
        self.world.take_rtp(&receiver)
    }

    fn asked(&mut self) -> Vec<u32> {
        let sender = self.sender.clone();
        let rtcp = self.world.take_rtcp(&sender);
        heard(&rtcp).plis.iter().map(|pli| pli.media_ssrc).collect()
    }

    fn prefer(&mut self, spatial: u8, temporal: Option<u8>) -> Option<Layers> {
        let layers = Layers { spatial, temporal };
        match self.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers)) {
            Reply::SetPreferredLayers(layers) => layers,
            other => panic!("not layers: {other:?}"),
        }
    }

    fn dump(&mut self) -> ConsumerDump {
        match self.world.consumer("c", ConsumerCommand::Dump) {
            Reply::ConsumerDump(dump) => *dump,
            other => panic!("not a dump: {other:?}"),
        }
    }

    fn stats(&mut self) -> ConsumerStats {
        match self.world.consumer("c", ConsumerCommand::Stats) {
            Reply::ConsumerStats(stats) => *stats,
            other => panic!("not stats: {other:?}"),
        }
    }

    /// The layers that were told since the last call, "-" for none.
    fn told(&mut self) -> Vec<String> {
        let told = |event: &Event| match event {
            Event::ConsumerLayers { layers, .. } => Some(layers.map_or("-".into(), |layers| {
                format!("{}.{}", layers.spatial, layers.temporal.expect("told with"))
            })),
            _ => None,
        };
        self.world.take_events().iter().filter_map(told).collect()
    }
}

/// Picture id and TL0PICIDX as the receiver sees them.
fn numbers(sent: &[Sent]) -> Vec<(u16, u8)> {
    let numbers = |sent: &Sent| {
        let descriptor = Descriptor::parse(sent.rtp().payload()).expect("VP8");
        (descriptor.picture_id.expect("an id"), descriptor.tl0_picture_index.expect("an index"))
    };
    sent.iter().map(numbers).collect()
}

fn timestamps(sent: &[Sent]) -> Vec<u32> {
    sent.iter().map(|sent| sent.rtp().timestamp()).collect()
}

#[test]
fn the_highest_layer_is_sent_as_one_stream_whatever_came_before() {
    let mut scene = Scene::new();
    scene.begin();
    for _ in 0..5 {
        scene.frame();
    }
    let sent = scene.gets();
    assert!(sent.iter().all(|sent| sent.rtp().ssrc() == SENT));
    assert_contiguous(&seqs(&sent));
    let numbers = numbers(&sent);
    for pair in numbers.windows(2) {
        assert_eq!(pair[1], (pair[0].0 + 1, pair[0].1 + 1), "{numbers:?}");
    }
    let timestamps = timestamps(&sent);
    assert!(timestamps.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) < 90_000), "{timestamps:?}");
    assert_eq!(timestamps[timestamps.len() - 1] - timestamps[timestamps.len() - 2], 33 * 90);
    assert_eq!(scene.told(), ["0.0", "1.0", "2.0"]);
    let dump = scene.dump();
    assert_eq!(dump.rtp_type, RtpType::Simulcast);
    let layers = dump.layers;
    assert_eq!((layers.preferred_spatial, layers.preferred_temporal), (2, 2));
    assert_eq!((layers.target_spatial, layers.target_temporal), (2, 2));
    assert_eq!((layers.current_spatial, layers.current_temporal), (2, 0));
    assert_eq!((dump.rtp_streams[0].params.spatial_layers, dump.rtp_streams.len()), (3, 1));
    assert_eq!(scene.reply.preferred_layers, Some(Layers { spatial: 2, temporal: Some(2) }));
    scene.world.assert_accounted();
}

#[test]
fn a_switch_waits_for_a_key_frame_and_the_old_stream_goes_on_until_then() {
    let mut scene = Scene::new();
    scene.begin();
    scene.gets();
    scene.asked();
    assert_eq!(scene.prefer(0, Some(1)), Some(Layers { spatial: 0, temporal: Some(1) }));
    assert_eq!(scene.asked(), [SOURCE[0]]);
    assert_eq!(scene.dump().layers.target_spatial, 0);
    scene.frame();
    let until_then = scene.gets();
    assert_eq!(until_then.len(), 1);
    scene.pass(33);
    for layer in 0..3 {
        scene.key(layer);
    }
    scene.frame();
    let then = scene.gets();
    assert_eq!(then.len(), 2);
    assert_contiguous(&[seqs(&until_then), seqs(&then)].concat());
    assert_eq!(scene.told(), ["0.0", "1.0", "2.0", "0.0"]);
    assert_eq!(scene.dump().layers.current_spatial, 0);
    let gap = timestamps(&then)[0].wrapping_sub(timestamps(&until_then)[0]);
    assert_eq!(gap, 33 * 90, "by arrival");
}

#[test]
fn wishes_are_clamped_and_the_same_wish_asks_for_nothing() {
    let mut scene = Scene::new();
    scene.begin();
    scene.asked();
    assert_eq!(scene.prefer(9, Some(9)), Some(Layers { spatial: 2, temporal: Some(2) }));
    assert_eq!(scene.prefer(2, None), Some(Layers { spatial: 2, temporal: Some(2) }));
    assert_eq!(scene.asked(), []);
    assert_eq!(scene.prefer(1, None), Some(Layers { spatial: 1, temporal: Some(2) }));
    assert_eq!(scene.asked(), [SOURCE[1]]);
}

#[test]
fn sender_reports_align_streams_whatever_the_network_does() {
    let mut scene = Scene::new();
    scene.begin();
    scene.frame();
    // The lowest stream's pictures arrive 40 ms late: its timestamps say when they were taken.
    scene.report(2, 0);
    scene.encoders[0].timestamp = scene.encoders[0].timestamp.wrapping_sub(40 * 90);
    scene.encoders[0].timestamp = scene.encoders[0].timestamp.wrapping_add(777_000_000);
    let late = scene.encoders[0].timestamp;
    let wall = UNIX_ORIGIN_US + scene.world.now.as_micros() - 40_000;
    let sender = scene.sender.clone();
    scene.world.from(&sender, &sender_report(SOURCE[0], NtpTime::from_unix_micros(wall), late));
    scene.frame();
    let before = scene.gets();
    let before = before.last().expect("sent").rtp().timestamp();
    scene.prefer(0, None);
    scene.pass(100);
    scene.key(0);
    let sent = scene.gets();
    assert_eq!(
        timestamps(&sent)[0].wrapping_sub(before),
        60 * 90,
        "100 ms later, taken 40 ms before it came"
    );
}

#[test]
fn a_key_frame_from_the_past_is_moved_or_another_one_asked_for() {
    let mut scene = Scene::new();
    scene.begin();
    scene.report(2, 0);
    scene.report(0, 0);
    scene.frame();
    let before = timestamps(&scene.gets()).pop().expect("sent");
    scene.prefer(0, None);
    scene.asked();
    // Taken 20 ms before what was sent last: shown a frame after it.
    scene.encoders[0].timestamp = scene.encoders[0].timestamp.wrapping_sub(20 * 90);
    scene.key(0);
    assert_eq!(timestamps(&scene.gets()), [before.wrapping_add(33 * 90)]);
    // Taken 500 ms before: not shown, another one is asked for; that one is shown at once.
    scene.prefer(2, None);
    scene.encoders[2].timestamp = scene.encoders[2].timestamp.wrapping_sub(500 * 90);
    scene.asked();
    scene.key(2);
    assert_eq!(scene.asked(), [SOURCE[2]]);
    assert_eq!(scene.stats().sent[0].packet_count, 6, "not sent");
    scene.key(2);
    assert_eq!(timestamps(&scene.gets()), [before.wrapping_add(33 * 90 + 1)]);
}

#[test]
fn a_delay_that_one_switch_needed_is_not_inherited_by_the_next() {
    let mut scene = Scene::new();
    scene.begin();
    for layer in 0..3 {
        scene.report(layer, 0);
    }
    scene.frame();
    let first = timestamps(&scene.gets()).pop().expect("sent");
    let mut passed = 0;
    for _ in 0..20 {
        // Down with the next picture, up within the same picture: the second one of one moment has to wait for a frame's time.
        scene.prefer(0, None);
        scene.pass(500);
        scene.key(0);
        let down = timestamps(&scene.gets());
        passed += 500 * 90;
        assert_eq!(down, [first.wrapping_add(passed)]);
        scene.prefer(2, None);
        scene.key(2);
        assert_eq!(timestamps(&scene.gets()), [down[0].wrapping_add(33 * 90)]);
    }
}

/// Ticks by which the timestamps of a stream that begins anew are others: near enough for a clock to be believed.
const ELSEWHERE: u32 = 3 * 90_000;

impl Scene {
    /// All layers are sent and reported, the highest to the receiver; returns the timestamp that it got last.
    fn begin_reported(&mut self) -> u32 {
        self.begin();
        for layer in 0..3 {
            self.report(layer, 0);
        }
        self.frame();
        timestamps(&self.gets()).pop().expect("sent")
    }

    /// The timestamp of the lowest layer's key frame, to which the receiver switches 100 ms from now.
    fn switch_down(&mut self) -> u32 {
        self.prefer(0, None);
        self.pass(100);
        self.key(0);
        timestamps(&self.gets()).pop().expect("sent")
    }
}

#[test]
fn a_report_of_before_a_restart_that_comes_late_aligns_nothing() {
    let mut scene = Scene::new();
    let before = scene.begin_reported();
    let old = scene.encoders[0].timestamp;
    scene.encoders[0].seq = scene.encoders[0].seq.wrapping_add(20_000);
    // The first packet is not believed.
    for _ in 0..2 {
        scene.encoders[0].timestamp = old.wrapping_add(ELSEWHERE);
        scene.key(0);
    }
    scene.encoders[0].timestamp = old;
    scene.report(0, 0);
    scene.encoders[0].timestamp = old.wrapping_add(ELSEWHERE);
    assert_eq!(scene.switch_down().wrapping_sub(before), 100 * 90);
}

#[test]
fn a_report_that_comes_before_the_restart_of_its_stream_aligns_nothing() {
    let mut scene = Scene::new();
    let before = scene.begin_reported();
    let old = scene.encoders[2].timestamp;
    scene.pass(10);
    scene.encoders[2].timestamp = old.wrapping_add(ELSEWHERE);
    scene.report(2, 0);
    // One of the old stream's packets that the report has overtaken.
    scene.encoders[2].timestamp = old.wrapping_add(10 * 90);
    scene.delta(2);
    assert_eq!(scene.switch_down().wrapping_sub(before), 110 * 90);
}

#[test]
fn a_stream_that_began_anew_is_aligned_by_its_next_reports() {
    let mut scene = Scene::new();
    scene.begin_reported();
    scene.encoders[0].seq = scene.encoders[0].seq.wrapping_add(20_000);
    scene.encoders[0].timestamp = scene.encoders[0].timestamp.wrapping_add(ELSEWHERE);
    scene.key(0);
    scene.key(0);
    for _ in 0..40 {
        scene.frame();
    }
    let before = timestamps(&scene.gets()).pop().expect("sent");
    // Its pictures come 40 ms late now.
    scene.encoders[0].timestamp = scene.encoders[0].timestamp.wrapping_sub(40 * 90);
    scene.report(2, 0);
    scene.encoders[0].timestamp = scene.encoders[0].timestamp.wrapping_add(40 * 90);
    scene.report(0, 0);
    scene.encoders[0].timestamp = scene.encoders[0].timestamp.wrapping_sub(40 * 90);
    scene.delta(2);
    assert_eq!(scene.switch_down().wrapping_sub(before), 60 * 90);
}

#[test]
fn capture_times_align_streams_before_any_report() {
    let mut request = simulcast::produce("video", VP8, Some("L1T3"), &SOURCE, &MAPPED);
    request.rtp_parameters.header_extensions = vec![extension(ExtensionUri::AbsCaptureTime, 7)];
    let mut scene = Scene::of(request, consume("L3T3"));
    // Taken at these milliseconds by the capturer's clock, which is nobody else's.
    let send = |scene: &mut Scene, layer: usize, captured_ms: u64, is_key: bool| {
        let timestamp =
            scene.encoders[layer].timestamp.wrapping_add(u32::try_from(captured_ms).unwrap() * 90);
        let encoder = &mut scene.encoders[layer];
        encoder.seq = encoder.seq.wrapping_add(1);
        encoder.picture.id = (encoder.picture.id + 1) & 0x7fff;
        let picture = Picture { is_key, ..encoder.picture };
        let taken = NtpTime::from_unix_micros(77_000_000 + captured_ms * 1_000).as_u64();
        let value = AbsCaptureTime { timestamp: taken, clock_offset: None }.encode();
        let packet = RtpWriter::new(VIDEO, encoder.seq, timestamp, SOURCE[layer])
            .marker(true)
            .extension(7, &value)
            .payload(&picture.payload())
            .to_vec()
            .expect("no CSRCs");
        let sender = scene.sender.clone();
        scene.world.from(&sender, &packet);
    };
    send(&mut scene, 0, 0, true);
    scene.prefer(1, None);
    scene.world.advance_ms(100);
    send(&mut scene, 0, 100, false);
    scene.world.advance_ms(90);
    // Under way for 50 ms longer than the others.
    send(&mut scene, 1, 140, true);
    let sent = timestamps(&scene.gets());
    assert_eq!([sent[1] - sent[0], sent[2] - sent[1]], [100 * 90, 40 * 90]);
}

#[test]
fn temporal_layers_are_left_out_without_a_gap() {
    let mut scene = Scene::new();
    scene.begin();
    let pictures = |scene: &mut Scene| {
        for (temporal, is_sync) in [(0, false), (2, true), (1, true), (2, false)] {
            scene.pass(20);
            scene.picture(2, |picture| {
                picture.temporal = temporal;
                picture.is_sync = is_sync;
            });
        }
    };
    scene.gets();
    pictures(&mut scene);
    let all = scene.gets();
    assert_eq!(all.len(), 4, "the first sync picture of the wanted layer is also the way up");
    scene.prefer(2, Some(0));
    pictures(&mut scene);
    pictures(&mut scene);
    let base = scene.gets();
    assert_eq!(base.len(), 2);
    scene.prefer(2, Some(1));
    pictures(&mut scene);
    let two = scene.gets();
    assert_eq!(two.len(), 2);
    let sent = [all, base, two].concat();
    assert_contiguous(&seqs(&sent));
    let ids: Vec<_> = numbers(&sent).iter().map(|(id, _)| *id).collect();
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    assert_eq!(scene.told(), ["0.0", "1.0", "2.0", "2.2", "2.0", "2.1"]);
}

#[test]
fn a_lost_packet_comes_again_as_it_was_from_either_side_of_a_switch() {
    let mut scene = Scene::new();
    scene.begin();
    for _ in 0..3 {
        scene.frame();
    }
    scene.prefer(1, None);
    scene.pass(33);
    scene.key(1);
    for _ in 0..3 {
        scene.frame();
    }
    let sent = scene.gets();
    scene.world.advance_ms(30);
    // The stream that was switched to first is three switches ago.
    for lost in &sent[1..] {
        let lost = lost.rtp();
        scene.says(&nack(SENT, &[lost.sequence_number()]));
        let again = scene.gets();
        assert_eq!(again.len(), 1, "{}", lost.sequence_number());
        let again = again[0].rtp();
        assert_eq!((again.ssrc(), again.payload_type()), (SENT + 1, ROUTER_RTX));
        assert_eq!(&again.payload()[..2], lost.sequence_number().to_be_bytes());
        assert_eq!(&again.payload()[2..], lost.payload());
        assert_eq!((again.timestamp(), again.marker()), (lost.timestamp(), lost.marker()));
    }
    let stats = scene.stats();
    assert_eq!(stats.sent[0].base.packets_repaired, sent.len() as u64 - 1);
}

#[test]
fn picture_ids_of_seven_bits_are_widened_and_come_again_as_they_were() {
    let mut scene = Scene::new();
    let narrow = |id: u8, is_key: bool| vec![0x90, 0xe0, id & 0x7f, id, 0x20, u8::from(!is_key), 7, 7];
    let send = |scene: &mut Scene, id: u8, is_key: bool| {
        scene.pass(16);
        let encoder = &mut scene.encoders[0];
        encoder.seq = encoder.seq.wrapping_add(1);
        let mut packet = rtp(VIDEO, encoder.seq, encoder.timestamp, SOURCE[0], &narrow(id, is_key));
        packet[1] |= 0x80;
        let sender = scene.sender.clone();
        scene.world.from(&sender, &packet);
    };
    send(&mut scene, 120, true);
    // More of them within the time that packets are kept than seven bits can tell apart.
    for step in 1..=110 {
        send(&mut scene, 120_u8.wrapping_add(step), false);
    }
    let sent = scene.gets();
    let numbers = numbers(&sent);
    assert_eq!((numbers.len(), numbers[0].0, numbers[110].0), (111, 1, 111));
    assert_contiguous(&seqs(&sent));
    for lost in sent[1..].iter().step_by(9) {
        let lost = lost.rtp();
        scene.says(&nack(SENT, &[lost.sequence_number()]));
        let again = scene.gets();
        assert_eq!(again.len(), 1, "{}", lost.sequence_number());
        assert_eq!(&again[0].rtp().payload()[2..], lost.payload());
    }
}

#[test]
fn a_stream_that_falls_silent_gives_way_to_the_next_lower_one_and_comes_back() {
    let mut scene = Scene::new();
    scene.begin();
    scene.told();
    for _ in 0..60 {
        scene.pass(33);
        scene.delta(0);
        scene.delta(1);
    }
    assert_eq!(scene.dump().layers.target_spatial, 1);
    assert!(scene.asked().contains(&SOURCE[1]));
    scene.key(1);
    scene.pass(33);
    scene.delta(2);
    assert!(scene.asked().contains(&SOURCE[2]), "it is alive again");
    scene.pass(10);
    scene.key(2);
    assert_eq!(scene.told(), ["1.0", "2.0"]);
    assert_contiguous(&seqs(&scene.gets()));
}

#[test]
fn when_all_streams_die_no_layer_is_sent_and_the_controller_is_told() {
    let mut scene = Scene::new();
    scene.begin();
    scene.told();
    scene.pass(5_000);
    assert_eq!(scene.told(), ["-"]);
    let layers = scene.dump().layers;
    assert_eq!((layers.target_spatial, layers.current_spatial, layers.preferred_spatial), (-1, -1, 2));
    assert!(scene.stats().received.is_none());
    scene.delta(0);
    scene.key(0);
    assert_eq!(scene.told(), ["0.0"]);
}

#[test]
fn pauses_clear_the_layers_and_resuming_goes_on_in_the_same_stream() {
    let mut scene = Scene::new();
    scene.begin();
    let before = scene.gets();
    scene.told();
    scene.world.consumer("c", ConsumerCommand::Pause);
    assert_eq!(scene.told(), ["-"]);
    scene.frame();
    assert!(scene.gets().is_empty());
    scene.asked();
    scene.world.consumer("c", ConsumerCommand::Resume);
    assert_eq!(scene.asked(), [SOURCE[2]]);
    scene.frame();
    scene.key(2);
    scene.frame();
    let after = scene.gets();
    assert_eq!(after.len(), 2);
    assert_contiguous(&[seqs(&before), seqs(&after)].concat());
    assert_eq!(scene.told(), ["2.0"]);
    scene.world.producer("video", ProducerCommand::Pause);
    let events = scene.world.take_events();
    let order: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ConsumerLayers { layers: None, .. } => Some("none"),
            Event::ConsumerProducerPause { .. } => Some("pause"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["none", "pause"]);
}

#[test]
fn a_consumer_that_begins_paused_and_one_that_comes_late_get_their_layer() {
    let mut request = consume("L3T3");
    request.paused = true;
    request.preferred_layers = Some(Layers { spatial: 1, temporal: None });
    let mut scene = Scene::with(request);
    scene.begin();
    assert_eq!(scene.told(), Vec::<String>::new());
    assert_eq!(scene.dump().layers.target_spatial, -1);
    scene.asked();
    scene.world.consumer("c", ConsumerCommand::Resume);
    assert_eq!(scene.asked(), [SOURCE[1]]);
    let layers = scene.dump().layers;
    assert_eq!((layers.preferred_spatial, layers.preferred_temporal, layers.target_spatial), (1, 2, 1));
    scene.key(1);
    assert_eq!(scene.told(), ["1.0"]);
}

#[test]
fn key_frames_are_asked_of_the_stream_that_is_sent_and_by_the_controller_of_the_wanted_too() {
    let mut scene = Scene::new();
    scene.begin();
    scene.asked();
    scene.says(&pli(SENT));
    assert_eq!(scene.asked(), [SOURCE[2]]);
    scene.key(2);
    scene.prefer(0, None);
    assert_eq!(scene.asked(), [SOURCE[0]]);
    for _ in 0..200 {
        scene.frame();
    }
    assert_eq!(scene.asked(), [SOURCE[0]; 5], "a retry a second");
    scene.world.consumer("c", ConsumerCommand::RequestKeyFrame);
    assert_eq!(scene.asked(), [SOURCE[0], SOURCE[2]]);
}

#[test]
fn stats_and_scores_are_of_the_stream_that_is_sent() {
    let mut scene = Scene::new();
    assert!(scene.stats().received.is_none());
    scene.begin();
    scene.frame();
    let stats = scene.stats();
    assert_eq!(stats.sent.len(), 1);
    assert_eq!(stats.received.map(|received| received.base.ssrc), Some(SOURCE[2]));
    scene.world.take_events();
    let block = ringsoup_rtc::rtcp::ReportBlock { cumulative_lost: 3, ..empty_block(SENT) };
    scene.says(&receiver_report(block));
    let scores: Vec<_> = scene
        .world
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::ConsumerScore { score, .. } => Some(score),
            _ => None,
        })
        .collect();
    assert_eq!(scores.len(), 1);
    assert!(scores[0].score < 10);
    assert_eq!((scores[0].producer_score, &scores[0].producer_scores[..]), (10, &[10, 10, 10][..]));
    scene.prefer(0, None);
    scene.pass(33);
    scene.key(0);
    let reset = scene.world.take_events().into_iter().rev().find_map(|event| match event {
        Event::ConsumerScore { score, .. } => Some(score.score),
        _ => None,
    });
    assert_eq!(reset, Some(10), "the new stream begins at the best");
}

#[test]
fn a_consumer_of_one_encoding_gets_that_one_only() {
    let mut request = simulcast::consume("c", "video", VP8, (None, None), SENT, &MAPPED[1..2]);
    request.requested_type = RtpType::Simple;
    let mut scene = Scene::with(request);
    scene.begin();
    scene.frame();
    let sent = scene.gets();
    assert_eq!(sent.len(), 3);
    assert_contiguous(&seqs(&sent));
    assert_eq!(scene.dump().rtp_type, RtpType::Simple);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut scene = Scene::new();
    let mut refusal = |request: Consume| {
        let command = TransportCommand::Consume(Box::new(request));
        let error = scene.world.try_command(Command::Transport { transport: "receiver".into(), command });
        let error = error.expect_err("refused");
        (error.class, error.reason)
    };
    let mut request = consume("L2T3");
    request.consumer = "d".into();
    request.rtp_parameters.encodings[0].ssrc = Some(70);
    let (class, reason) = refusal(request.clone());
    assert_eq!(class, ErrorClass::TypeError);
    assert_eq!(reason, "encoding.spatialLayers does not match number of consumableRtpEncodings");
    request.rtp_parameters.encodings[0].scalability_mode = Some("L3T3".into());
    request.rtp_parameters.codecs[0].mime_type = "video/VP9".into();
    let (class, reason) = refusal(request);
    assert_eq!(class, ErrorClass::TypeError);
    assert_eq!(reason, "video/VP9 codec not supported for simulcast");
}
