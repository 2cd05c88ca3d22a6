//! SVC consumers: what is above a receiver's layers is left out of the one stream there is.

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_sfu::command::{ConsumerCommand, Layers};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::{ConsumerDump, Reply};
use ringsoup_sfu::rtp_parameters::RtpType;

use crate::common::packets::{heard, nack, rtp, sender_report};
use crate::common::simulcast::{self, VIDEO};
use crate::common::{Peer, Sent, World};
use crate::room::{assert_contiguous, seqs};

const VP9: &str = "video/VP9";
const SOURCE: u32 = 1_000;
const MAPPED: u32 = 5_000;
const SENT: u32 = 9_000;

/// A VP9 packet, in flexible mode: a layer frame of one packet.
fn vp9(spatial: u8, temporal: u8, is_inter: bool, is_up_point: bool) -> Vec<u8> {
    // I, P, L, F, B and E.
    let first = 0x80 | u8::from(is_inter) << 6 | 0x20 | 0x10 | 0x08 | 0x04;
    let layers = temporal << 5 | u8::from(is_up_point) << 4 | spatial << 1 | u8::from(spatial > 0);
    vec![first, 0x80, 1, layers, 0, spatial, temporal]
}

struct Scene {
    world: World,
    sender: Peer,
    receiver: Peer,
    seq: u16,
    pictures: u32,
}

impl Scene {
    fn new(mime_type: &str, mode: &str) -> Self {
        let mut world = World::new();
        let sender = world.plain("sender");
        let receiver = world.plain("receiver");
        world.produce("sender", simulcast::produce("video", mime_type, Some(mode), &[SOURCE], &[MAPPED]));
        let modes = (Some(mode), Some(mode));
        world.consume("receiver", simulcast::consume("c", "video", mime_type, modes, SENT, &[MAPPED]));
        Self { world, sender, receiver, seq: 65_530, pictures: 0 }
    }

    fn packet(&mut self, payload: &[u8], marker: bool) {
        self.seq = self.seq.wrapping_add(1);
        let mut packet = rtp(VIDEO, self.seq, self.pictures * 3_000, SOURCE, payload);
        packet[1] |= u8::from(marker) << 7;
        let sender = self.sender.clone();
        self.world.from(&sender, &packet);
    }

    /// A picture of three spatial layers, one packet each.
    fn picture(&mut self, temporal: u8, is_key: bool, is_up_point: bool) {
        self.pictures += 1;
        self.world.advance_ms(33);
        for spatial in 0..3 {
            // Upper layers of a key picture refer to the layer below only.
            self.packet(&vp9(spatial, temporal, !is_key, is_up_point), spatial == 2);
        }
    }

    /// Long enough for the shard to see which layers there are, and the key frame it asks for then.
    fn begin(&mut self) {
        self.picture(0, true, false);
        for _ in 0..50 {
            self.picture(0, false, false);
        }
        assert!(self.asked() > 0);
        self.picture(0, true, false);
        self.gets();
        self.told();
    }

    fn gets(&mut self) -> Vec<Sent> {
        let receiver = self.receiver.clone();
        self.world.take_rtp(&receiver)
    }

    fn asked(&mut self) -> usize {
        let sender = self.sender.clone();
        let rtcp = self.world.take_rtcp(&sender);
        heard(&rtcp).plis.len()
    }

    fn prefer(&mut self, spatial: u8, temporal: u8) {
        let layers = Layers { spatial, temporal: Some(temporal) };
        self.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    }

    fn dump(&mut self) -> ConsumerDump {
        match self.world.consumer("c", ConsumerCommand::Dump) {
            Reply::ConsumerDump(dump) => *dump,
            other => panic!("not a dump: {other:?}"),
        }
    }

    fn told(&mut self) -> Vec<(u8, u8)> {
        let told = |event: &Event| match event {
            Event::ConsumerLayers { layers: Some(layers), .. } => Some((layers.spatial, layers.temporal?)),
            _ => None,
        };
        self.world.take_events().iter().filter_map(told).collect()
    }
}

/// Spatial and temporal layer of each packet, with its marker.
fn layers(sent: &[Sent]) -> Vec<(u8, u8, bool)> {
    let layers = |sent: &Sent| (sent.rtp().payload()[5], sent.rtp().payload()[6], sent.rtp().marker());
    sent.iter().map(layers).collect()
}

#[test]
fn layers_are_found_out_and_the_highest_is_sent_from_a_key_frame_on() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.picture(0, true, false);
    assert_eq!(layers(&scene.gets()), [(0, 0, true)], "the only layer there was at the first packet");
    assert_eq!(scene.told(), [(0, 0)]);
    for _ in 0..60 {
        scene.picture(0, false, false);
    }
    assert_eq!(scene.dump().layers.target_spatial, 2);
    assert_eq!(scene.dump().layers.current_spatial, 0);
    scene.gets();
    scene.picture(0, true, false);
    assert_eq!(layers(&scene.gets()), [(0, 0, false), (1, 0, false), (2, 0, true)]);
    assert_eq!(scene.told(), [(2, 0)]);
    let dump = scene.dump();
    assert_eq!(dump.rtp_type, RtpType::Svc);
    assert_eq!((dump.layers.preferred_spatial, dump.layers.preferred_temporal), (2, 2));
}

#[test]
fn down_goes_without_a_key_frame_and_up_with_one() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    scene.prefer(1, 0);
    assert_eq!(scene.asked(), 0);
    scene.picture(0, false, false);
    scene.picture(0, false, false);
    let down = scene.gets();
    let pair = [(0, 0, false), (1, 0, true)];
    assert_eq!(layers(&down), [pair, pair].concat(), "the marker moves to the last packet that is sent");
    scene.prefer(2, 0);
    assert_eq!(scene.asked(), 1);
    scene.picture(0, false, false);
    scene.picture(0, true, false);
    let up = scene.gets();
    assert_eq!(layers(&up)[2..], [(0, 0, false), (1, 0, false), (2, 0, true)]);
    assert_contiguous(&seqs(&[down, up].concat()));
}

#[test]
fn a_key_frame_that_came_too_late_to_go_up_is_asked_for_again() {
    for mode in ["L3T3", "L3T3_KEY"] {
        let mut scene = Scene::new(VP9, mode);
        scene.begin();
        scene.prefer(0, 0);
        scene.picture(0, mode == "L3T3_KEY", false);
        scene.prefer(2, 0);
        scene.asked();
        scene.gets();
        // The first packet of the key picture comes last.
        scene.pictures += 1;
        scene.world.advance_ms(33);
        let first = scene.seq.wrapping_add(1);
        scene.seq = first;
        scene.packet(&vp9(1, 0, false, false), false);
        scene.packet(&vp9(2, 0, false, false), true);
        scene.pictures += 1;
        scene.packet(&vp9(0, 0, true, false), false);
        scene.pictures -= 1;
        let last = std::mem::replace(&mut scene.seq, first.wrapping_sub(1));
        scene.packet(&vp9(0, 0, false, false), false);
        scene.seq = last;
        scene.pictures += 1;
        assert_eq!(scene.asked(), 1, "the wait goes on, and the sender knows");
        let sent = scene.gets();
        assert!(layers(&sent).iter().all(|(spatial, ..)| *spatial == 0), "{mode}");
        scene.picture(0, true, false);
        assert_eq!(layers(&scene.gets()), [(0, 0, false), (1, 0, false), (2, 0, true)]);
        assert_eq!(scene.told(), [(0, 0), (2, 0)]);
        scene.world.assert_accounted();
    }
}

#[test]
fn temporal_layers_go_up_at_switching_points_only_and_down_at_a_frames_end() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    scene.picture(2, false, false);
    assert!(scene.gets().is_empty());
    scene.picture(1, false, true);
    scene.picture(2, false, true);
    scene.picture(2, false, false);
    assert_eq!(scene.gets().len(), 9);
    scene.prefer(2, 1);
    scene.picture(2, false, true);
    scene.picture(1, false, true);
    scene.picture(2, false, true);
    let sent = scene.gets();
    assert!(layers(&sent[sent.len() - 3..]).iter().all(|(_, temporal, _)| *temporal == 1));
    assert_eq!(scene.told(), [(2, 1), (2, 2), (2, 1)]);
    assert_contiguous(&seqs(&sent));
}

#[test]
fn in_k_svc_only_the_layers_own_pictures_are_sent_between_key_frames() {
    let mut scene = Scene::new(VP9, "L3T3_KEY");
    scene.begin();
    scene.picture(0, false, false);
    assert_eq!(layers(&scene.gets()), [(2, 0, true)]);
    scene.prefer(0, 0);
    assert_eq!(scene.asked(), 1, "down needs a key frame too");
    scene.picture(0, false, false);
    scene.picture(0, true, false);
    scene.picture(0, false, false);
    assert_eq!(layers(&scene.gets()), [(2, 0, true), (0, 0, true), (0, 0, true)]);
}

#[test]
fn in_k_svc_a_switching_point_holds_though_lower_spatial_layers_are_left_out() {
    let mut scene = Scene::new(VP9, "L3T3_KEY");
    scene.begin();
    for (temporal, is_up_point) in [(0, true), (2, false), (1, false), (2, false)] {
        scene.picture(temporal, false, is_up_point);
    }
    assert_eq!(layers(&scene.gets()), [(2, 0, true), (2, 2, true), (2, 1, true), (2, 2, true)]);
}

#[test]
fn a_lost_packet_comes_again_with_the_marker_it_had() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    scene.prefer(1, 0);
    scene.picture(0, false, false);
    scene.prefer(0, 0);
    scene.picture(0, false, false);
    let sent = scene.gets();
    assert_eq!(layers(&sent), [(0, 0, false), (1, 0, true), (0, 0, true)]);
    for lost in &sent {
        let receiver = scene.receiver.clone();
        scene.world.from(&receiver, &nack(SENT, &[lost.rtp().sequence_number()]));
        let again = scene.gets();
        assert_eq!(again.len(), 1);
        assert_eq!(&again[0].rtp().payload()[2..], lost.rtp().payload());
        assert_eq!(again[0].rtp().marker(), lost.rtp().marker());
    }
}

#[test]
fn what_is_kept_can_be_asked_for_however_much_was_left_out_since() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    scene.prefer(0, 0);
    scene.picture(0, false, false);
    scene.picture(0, false, false);
    let lost = scene.gets().pop().expect("sent");
    for _ in 0..50 {
        scene.pictures += 1;
        scene.world.advance_ms(33);
        scene.packet(&vp9(0, 0, true, false), false);
        (0..40).for_each(|_| scene.packet(&vp9(1, 0, true, false), false));
    }
    assert_eq!(scene.gets().len(), 50);
    let receiver = scene.receiver.clone();
    scene.world.from(&receiver, &nack(SENT, &[lost.rtp().sequence_number()]));
    let again = scene.gets();
    assert_eq!(again.len(), 1, "of less than two seconds ago");
    assert_eq!(&again[0].rtp().payload()[2..], lost.rtp().payload());
}

#[test]
fn a_spatial_layer_that_stops_is_not_wanted_any_more() {
    let mut scene = Scene::new(VP9, "L3T1");
    scene.begin();
    for _ in 0..200 {
        scene.pictures += 1;
        scene.world.advance_ms(33);
        scene.packet(&vp9(0, 0, true, false), true);
    }
    assert_eq!(scene.dump().layers.target_spatial, 0);
    assert_eq!(scene.told(), [(0, 0)]);
}

#[test]
fn vp8_and_h264_in_temporal_layers_are_svc_of_one_spatial_layer() {
    let mut scene = Scene::new("video/VP8", "L1T3");
    let vp8 = |id: u8, temporal: u8, is_sync: bool, is_key: bool| {
        vec![0x90, 0xe0, 0x80, id, 5, temporal << 6 | u8::from(is_sync) << 5, u8::from(!is_key)]
    };
    scene.packet(&vp8(1, 0, false, true), true);
    scene.packet(&vp8(2, 2, true, false), true);
    scene.prefer(0, 0);
    scene.packet(&vp8(3, 2, false, false), true);
    scene.packet(&vp8(4, 0, false, false), true);
    let sent = scene.gets();
    assert_contiguous(&seqs(&sent));
    assert_eq!(sent.iter().map(|sent| sent.rtp().payload()[3]).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(scene.told(), [(0, 0), (0, 2), (0, 0)]);
    let mut scene = Scene::new("video/H264", "L1T2");
    scene.packet(crate::common::packets::DELTA, true);
    scene.packet(crate::common::packets::KEY, false);
    scene.packet(crate::common::packets::DELTA, true);
    assert_eq!(scene.gets().len(), 2);
    assert_eq!(scene.told(), [(0, 0)]);
}

#[test]
fn av1_that_does_not_tell_its_layers_passes_whole() {
    let mut scene = Scene::new("video/AV1", "L3T3");
    scene.packet(&[1, 2, 3], false);
    scene.packet(&[4, 5, 6], true);
    assert_eq!(scene.gets().len(), 2);
    assert_eq!(scene.told(), [(0, 0)], "no more is known");
    assert_eq!((scene.dump().layers.target_spatial, scene.dump().layers.current_temporal), (0, 0));
}

#[test]
fn stats_show_what_each_layer_brings() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    let stats = scene.world.producer_stats("video");
    let by_layer = &stats[0].bitrate_by_layer;
    assert_eq!(by_layer.len(), 9);
    let rate = |name: &str| by_layer.iter().find(|(layer, _)| layer == name).expect("a layer").1;
    assert!(rate("0.0") > 0 && rate("1.0") > rate("0.0") && rate("2.0") > rate("1.0"));
    assert_eq!(rate("2.1"), 0);
    assert!(rate("2.0").abs_diff(stats[0].bitrate) <= 9, "each is rounded by itself");
}

#[test]
fn pauses_clear_the_layers_and_a_key_frame_brings_them_back() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    scene.world.consumer("c", ConsumerCommand::Pause);
    scene.picture(0, false, false);
    assert!(scene.gets().is_empty());
    assert_eq!(scene.dump().layers.current_spatial, -1);
    scene.world.consumer("c", ConsumerCommand::Resume);
    assert_eq!(scene.asked(), 1);
    scene.picture(0, false, false);
    assert!(scene.gets().is_empty());
    scene.picture(0, true, false);
    assert_eq!(scene.gets().len(), 3);
    assert_eq!(scene.told(), [(2, 0)]);
    scene.world.assert_accounted();
}

/// What a packet says of itself behind its descriptor.
fn content(payload: &[u8]) -> (u16, u8, u8, u8, u8) {
    (u16::from_be_bytes([payload[5], payload[6]]), payload[7], payload[8], payload[9], payload[10])
}

/// A layer frame of `count` packets as libwebrtc's three temporal layers make them: 0 2 1 2, up at the first two.
fn layer_frame(
    picture: u16,
    spatial: u8,
    temporal: u8,
    is_key: bool,
    is_up: bool,
    count: u8,
) -> Vec<Vec<u8>> {
    let packet = |place: u8| {
        let first =
            0xb0 | u8::from(!is_key) << 6 | u8::from(place == 0) << 3 | u8::from(place + 1 == count) << 2;
        let [high, low] = (picture & 0x7fff).to_be_bytes();
        let layers = temporal << 5 | u8::from(is_up) << 4 | spatial << 1 | u8::from(spatial > 0);
        let [own_high, own_low] = picture.to_be_bytes();
        vec![first, 0x80 | high, low, layers, 0, own_high, own_low, spatial, temporal, place, count]
    };
    (0..count).map(packet).collect()
}

/// What a receiver has, by whole number: marker and payload.
#[derive(Default)]
struct Received {
    packets: std::collections::BTreeMap<u64, (bool, Vec<u8>)>,
    newest: Option<u64>,
}

impl Received {
    /// Takes a packet, or one that was sent again and must be the same; returns its number.
    fn take(&mut self, sent: &Sent) -> u16 {
        let packet = sent.rtp();
        let is_media = packet.ssrc() == SENT;
        let (seq, payload) = match is_media {
            true => (packet.sequence_number(), packet.payload()),
            false => {
                let original = ringsoup_rtc::rtx::decapsulate(packet.payload()).expect("a number");
                (original.sequence_number, original.payload)
            }
        };
        let last = self.newest.unwrap_or_else(|| 0x10_0000 + u64::from(seq));
        let ahead = seq.wrapping_sub(u16::try_from(last & 0xffff).expect("16 bits")).cast_signed();
        let number = last.wrapping_add_signed(ahead.into());
        self.newest = Some(last.max(number));
        let what = (packet.marker(), payload.to_vec());
        if let Some(known) = self.packets.insert(number, what.clone()) {
            assert!(!is_media && known == what, "{number}: {known:?} then {what:?}");
        }
        seq
    }
}

/// Layers change at random while packets are reordered and lost: what goes out is whole pictures, the marker on the last packet of
/// each, and nothing that depends on what was left out.
#[test]
fn whole_pictures_go_out_whatever_the_network_does() {
    let mut state = std::env::var("SVC_SEED").map_or(1_u64, |seed| seed.parse().expect("a number"));
    let mut below = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let small = |number: u64| u8::try_from(number).expect("small");
    for mode in ["L3T3", "L3T3_KEY"] {
        let mut scene = Scene::new(VP9, mode);
        let mut received = Received::default();
        let mut under_way: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut wants_key = true;
        let mut step = 0_usize;
        for picture in 0..6_000_u16 {
            let is_key = std::mem::take(&mut wants_key);
            step = if is_key { 0 } else { step + 1 };
            let (temporal, is_up) = [(0, false), (2, true), (1, true), (2, false)][step % 4];
            scene.pictures += 1;
            for spatial in 0..3 {
                for payload in layer_frame(picture, spatial, temporal, is_key, is_up, small(1 + below(3))) {
                    scene.seq = scene.seq.wrapping_add(1);
                    let mut packet = rtp(VIDEO, scene.seq, scene.pictures * 3_000, SOURCE, &payload);
                    let is_last = spatial == 2 && payload[9] + 1 == payload[10];
                    packet[1] |= u8::from(is_last) << 7;
                    if below(50) > 0 {
                        let late = if below(10) == 0 { below(40) } else { below(3) };
                        under_way.push((scene.world.now.as_millis() + late, packet));
                    }
                }
            }
            for _ in 0..10 {
                scene.world.advance_ms(1);
                let now = scene.world.now.as_millis();
                let sender = scene.sender.clone();
                under_way.retain(|(at, packet)| {
                    if *at <= now {
                        scene.world.from(&sender, packet);
                    }
                    *at > now
                });
            }
            let sent = scene.world.take_sent();
            let (to_sender, to_receiver): (Vec<_>, Vec<_>) =
                sent.into_iter().partition(|sent| sent.remote == scene.sender.remote);
            wants_key |= !heard(&to_sender).plis.is_empty();
            for sent in to_receiver.iter().filter(|sent| !sent.is_rtcp()) {
                let seq = received.take(sent);
                if below(8) == 0 {
                    let receiver = scene.receiver.clone();
                    let behind = u16::try_from(below(30)).expect("small");
                    scene.world.from(&receiver, &nack(SENT, &[seq.wrapping_sub(behind)]));
                }
            }
            if below(60) == 0 {
                scene.prefer(small(below(3)), small(below(3)));
            }
        }
        check_pictures(&received.packets, mode == "L3T3_KEY");
    }
}

fn check_pictures(received: &std::collections::BTreeMap<u64, (bool, Vec<u8>)>, is_k_svc: bool) {
    assert!(received.len() > 5_000);
    let mut ups = 0;
    for ((number, (marker, payload)), (next, (_, after))) in received.iter().zip(received.iter().skip(1)) {
        let (picture, spatial, temporal, place, count) = content(payload);
        let (other, other_spatial, other_temporal, other_place, _) = content(after);
        let context = format!("{number} {:?}, {next} {:?}", content(payload), content(after));
        assert!(other >= picture, "in order: {context}");
        assert!(!marker || picture != other, "the marker ends a picture: {context}");
        if *next != number + 1 {
            continue;
        }
        assert_eq!(picture != other, *marker, "and every picture has one: {context}");
        if place + 1 < count {
            assert_eq!((other, other_spatial, other_place), (picture, spatial, place + 1), "{context}");
        } else if picture == other {
            assert_eq!((other_spatial, other_place), (spatial + 1, 0), "{context}");
        } else {
            assert_eq!(other_place, 0, "{context}");
            let is_inter = after[0] & 0x40 != 0;
            assert!(other_spatial == 0 || (is_k_svc && is_inter), "{context}");
            let is_up = after[3] & 0x10 != 0;
            // The second picture of the top layer refers to the one before it.
            assert!(other_temporal < 2 || is_up || other == picture + 1, "{context}");
            ups += u32::from(other_temporal > temporal);
        }
    }
    assert!(ups > 100, "{ups}");
}

#[test]
fn a_vp8_picture_passes_whole_or_not_at_all() {
    let mut scene = Scene::new("video/VP8", "L1T2");
    let vp8 = |id: u8, begins: bool, temporal: u8, is_sync: bool, is_key: bool| {
        let layers = temporal << 6 | u8::from(is_sync) << 5;
        vec![0x80 | u8::from(begins) << 4, 0xe0, 0x80, id, 5, layers, u8::from(!is_key)]
    };
    scene.packet(&vp8(1, true, 0, false, true), true);
    scene.packet(&vp8(2, true, 1, true, false), false);
    scene.prefer(0, 0);
    scene.packet(&vp8(2, false, 1, true, false), true);
    assert_eq!(scene.gets().len(), 3, "what has begun is sent to its end");
    scene.packet(&vp8(3, true, 1, true, false), false);
    scene.prefer(0, 1);
    scene.packet(&vp8(3, false, 1, true, false), true);
    assert!(scene.gets().is_empty(), "what has begun to be left out is left out");
    scene.packet(&vp8(4, true, 1, false, false), true);
    assert!(scene.gets().is_empty(), "and with it what refers to it");
    scene.packet(&vp8(5, true, 1, true, false), true);
    assert_eq!(scene.gets().len(), 1);
}

#[test]
fn a_switching_point_opens_what_comes_after_it() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    scene.prefer(2, 0);
    scene.picture(0, false, true);
    assert_eq!(scene.gets().len(), 3);
    scene.picture(2, false, true);
    scene.picture(1, false, true);
    scene.prefer(2, 2);
    // It refers to the picture before it, of the middle layer, which was left out.
    scene.picture(2, false, true);
    assert!(scene.gets().is_empty());
    scene.picture(0, false, true);
    scene.picture(2, false, true);
    assert_eq!(scene.gets().len(), 6, "nothing after the point refers to upper layers before it");
}

#[test]
fn a_picture_that_comes_late_and_is_left_out_closes_its_layer_as_any_other() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    scene.picture(0, false, true);
    // A picture of the middle layer is late: the next base picture comes before it.
    let before_late = scene.seq;
    scene.seq = scene.seq.wrapping_add(3);
    scene.picture(0, false, false);
    let newest = std::mem::replace(&mut scene.seq, before_late);
    scene.gets();
    scene.picture(1, false, false);
    assert!(scene.gets().is_empty(), "nothing of its layer was sent in its time");
    scene.seq = newest;
    scene.picture(1, false, false);
    assert!(scene.gets().is_empty(), "and this one refers to it");
    scene.picture(0, false, true);
    scene.picture(1, false, false);
    assert_eq!(scene.gets().len(), 6);
}

#[test]
fn where_base_pictures_are_no_switching_points_layers_are_gone_up_to_one_by_one() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    // As libwebrtc marks pictures: those that refer to lower layers only.
    scene.picture(2, false, true);
    assert!(scene.gets().is_empty(), "it may refer to the middle layer");
    scene.picture(1, false, true);
    scene.picture(2, false, true);
    assert_eq!(scene.gets().len(), 6);
}

/// Without RTX a repair looks like the packet itself, but what was not asked for yet is none: it costs the stream no score, and nobody a
/// picture.
#[test]
fn packets_out_of_order_are_no_repairs() {
    let mut scene = Scene::new(VP9, "L3T3");
    scene.begin();
    let sender = scene.sender.clone();
    for second in 0..20 {
        for _ in 0..30 {
            scene.pictures += 1;
            scene.world.advance_ms(33);
            for (place, spatial) in [(3, 2), (1, 0), (2, 1)] {
                let payload = vp9(spatial, 0, true, false);
                let seq = scene.seq.wrapping_add(place);
                scene.world.from(&sender, &rtp(VIDEO, seq, scene.pictures * 3_000, SOURCE, &payload));
            }
            scene.seq = scene.seq.wrapping_add(3);
        }
        let report = sender_report(SOURCE, NtpTime::from_parts(100 + second, 0), scene.pictures * 3_000);
        scene.world.from(&sender, &report);
        assert_eq!(scene.gets().len(), 90);
    }
    let scores = |event: &Event| matches!(event, Event::ProducerScore { .. } | Event::ConsumerScore { .. });
    assert!(!scene.world.take_events().iter().any(scores));
    let stats = scene.world.producer_stats("video").remove(0);
    assert_eq!((stats.base.packets_repaired, stats.base.packets_retransmitted, stats.base.score), (0, 0, 10));
}

/// In K-SVC whoever gets the upper layer gets nothing else: it must not wait until rates tell.
#[test]
fn when_a_layer_stops_its_receivers_get_the_one_below_within_a_second() {
    let mut scene = Scene::new(VP9, "L3T3_KEY");
    scene.begin();
    scene.picture(0, false, false);
    assert_eq!(layers(&scene.gets()), [(2, 0, true)]);
    let (mut pictures, mut is_key, mut is_sent) = (0, false, false);
    while !is_sent {
        pictures += 1;
        assert!(pictures < 30, "a second");
        scene.pictures += 1;
        scene.world.advance_ms(33);
        for spatial in 0..2 {
            scene.packet(&vp9(spatial, 0, !is_key, false), spatial == 1);
        }
        let said = scene.world.take_sent();
        let to_sender = said.iter().filter(|sent| sent.is_rtcp() && sent.remote == scene.sender.remote);
        is_key = !heard(to_sender).plis.is_empty();
        is_sent = said.iter().any(|sent| !sent.is_rtcp());
    }
    assert!(pictures > 14, "half a second of losses is no end of a layer");
    assert_eq!(scene.told(), [(1, 0)]);
}

/// What nothing was heard of for longer than rates remember is nothing to choose among; whoever is resumed meanwhile chooses with the first
/// packet, and by the next look again.
#[test]
fn a_stream_that_was_silent_is_sent_again_from_its_next_key_frame_on() {
    for (mode, highest) in [("L1T3", 0), ("L3T3", 2)] {
        let mut scene = Scene::new(VP9, mode);
        let picture = |scene: &mut Scene, is_key: bool| {
            scene.pictures += 1;
            scene.world.advance_ms(33);
            (0..=highest)
                .for_each(|spatial| scene.packet(&vp9(spatial, 0, !is_key, true), spatial == highest));
        };
        let play = |scene: &mut Scene| {
            picture(scene, true);
            for _ in 0..60 {
                let is_key = scene.asked() > 0;
                picture(scene, is_key);
            }
        };
        play(&mut scene);
        scene.world.consumer("c", ConsumerCommand::Pause);
        scene.world.advance_ms(2_700);
        scene.world.consumer("c", ConsumerCommand::Resume);
        scene.gets();
        picture(&mut scene, true);
        assert!(!scene.gets().is_empty(), "{mode}: the first packet is of a key frame");
        play(&mut scene);
        let sent = layers(&scene.gets());
        assert_eq!(sent.last(), Some(&(highest, 0, true)), "{mode}");
    }
}
