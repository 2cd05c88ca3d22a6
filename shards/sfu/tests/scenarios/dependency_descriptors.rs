//! AV1 and H264 in layers: what a packet is, is told in its dependency descriptor.

use ringsoup_rtc::codec::dependency_descriptor::writer::{NewDescriptor, NewStructure, layered};
use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_sfu::command::{ConsumerCommand, Layers, ProducerCommand, ProducerTraceEvent};
use ringsoup_sfu::event::{Event, TraceInfo};
use ringsoup_sfu::reply::{ConsumerDump, Reply};
use ringsoup_sfu::rtp_parameters::ExtensionUri;

use crate::common::packets::{heard, nack};
use crate::common::parameters::extension;
use crate::common::simulcast::{self, VIDEO};
use crate::common::{Peer, Sent, World};
use crate::room::{assert_contiguous, seqs};

const AV1: &str = "video/AV1";
const H264: &str = "video/H264";
const SOURCES: [u32; 2] = [1_000, 2_000];
const MAPPED: [u32; 2] = [5_000, 5_001];
const SENT: u32 = 9_000;
/// The sender's id of the extension.
const DESCRIPTOR_ID: u8 = 4;
/// First bytes of a sequence parameter set and of a slice; AV1 does not care.
const KEY_NAL: u8 = 0x67;
const DELTA_NAL: u8 = 0x41;

struct Scene {
    world: World,
    sender: Peer,
    receiver: Peer,
    structure: NewStructure,
    spatial: u8,
    temporal: u8,
    /// By stream.
    seqs: [u16; 2],
    frames: u16,
    pictures: u32,
}

impl Scene {
    /// One stream in the layers of an SVC mode.
    fn svc(mime_type: &str, layers: (u8, u8), keyed: bool) -> Self {
        let mode = format!("L{}T{}{}", layers.0, layers.1, if keyed { "_KEY" } else { "" });
        Self::new(mime_type, (&mode, &mode), layers, keyed, 1)
    }

    fn new(mime_type: &str, modes: (&str, &str), layers: (u8, u8), keyed: bool, streams: usize) -> Self {
        let mut world = World::new();
        let sender = world.plain("sender");
        let receiver = world.plain("receiver");
        let (own, consumable) = modes;
        let (sources, mapped) = (&SOURCES[..streams], &MAPPED[..streams]);
        let mut request = simulcast::produce("video", mime_type, Some(consumable), sources, mapped);
        request.rtp_parameters.header_extensions =
            vec![extension(ExtensionUri::DependencyDescriptor, DESCRIPTOR_ID)];
        world.produce("sender", request);
        let modes = (Some(own), Some(consumable));
        world.consume("receiver", simulcast::consume("c", "video", mime_type, modes, SENT, mapped));
        Self {
            world,
            sender,
            receiver,
            structure: layered(layers.0, layers.1, keyed),
            spatial: layers.0,
            temporal: layers.1,
            seqs: [65_530, 100],
            frames: 65_500,
            pictures: 0,
        }
    }

    fn packet(&mut self, stream: usize, payload: &[u8], marker: bool, descriptor: &[u8]) -> Vec<u8> {
        self.seqs[stream] = self.seqs[stream].wrapping_add(1);
        let packet = RtpWriter::new(VIDEO, self.seqs[stream], self.pictures * 3_000, SOURCES[stream]);
        let packet = packet.marker(marker).extension(DESCRIPTOR_ID, descriptor).payload(payload);
        packet.to_vec().expect("no CSRCs")
    }

    fn sends(&mut self, packet: &[u8]) {
        let sender = self.sender.clone();
        self.world.from(&sender, packet);
    }

    fn frame(&mut self, stream: usize, spatial: u8, temporal: u8, is_key: bool) {
        let packets = self.write_frame(stream, spatial, temporal, is_key);
        packets.iter().for_each(|packet| self.sends(packet));
    }

    /// A frame of two packets. The first one of a key picture brings the structure.
    fn write_frame(&mut self, stream: usize, spatial: u8, temporal: u8, is_key: bool) -> [Vec<u8>; 2] {
        self.frames = self.frames.wrapping_add(1);
        let structure = self.structure.clone();
        [true, false].map(|is_first| {
            let begins = is_first && is_key && spatial == 0;
            let descriptor = NewDescriptor {
                starts_frame: is_first,
                ends_frame: !is_first,
                template: 2 * (spatial * self.temporal + temporal) + u8::from(!is_key),
                number: self.frames,
                structure: begins.then_some(&structure),
                ..NewDescriptor::default()
            };
            let nal = if begins { KEY_NAL } else { DELTA_NAL };
            let marker = !is_first && spatial + 1 == self.spatial;
            self.packet(stream, &[nal, spatial, temporal, 9], marker, &descriptor.write(&structure))
        })
    }

    /// The next picture's, not sent yet.
    fn write_picture(&mut self, temporal: u8, is_key: bool) -> [Vec<u8>; 2] {
        self.pictures += 1;
        self.world.advance_ms(33);
        self.write_frame(0, 0, temporal, is_key)
    }

    /// Temporal layers of the packets that came.
    fn temporals(&mut self) -> Vec<u8> {
        self.gets_packets().iter().map(|sent| sent.rtp().payload()[2]).collect()
    }

    /// How many of these numbers come again.
    fn come_again(&mut self, seqs: &[u16]) -> usize {
        let receiver = self.receiver.clone();
        self.world.from(&receiver, &nack(SENT, seqs));
        self.gets_packets().len()
    }

    /// A picture of all spatial layers.
    fn picture(&mut self, temporal: u8, is_key: bool) {
        self.pictures += 1;
        self.world.advance_ms(33);
        for spatial in 0..self.spatial {
            self.frame(0, spatial, temporal, is_key);
        }
    }

    fn pictures(&mut self, temporals: &[u8]) {
        for temporal in temporals {
            self.picture(*temporal, false);
        }
    }

    /// Long enough for the shard to see which layers there are, and the key frame it asks for then.
    fn begin(&mut self) {
        self.picture(0, true);
        self.pictures(&[0; 50]);
        assert!(self.asked() > 0);
        self.picture(0, true);
        self.gets();
        self.told();
    }

    /// The layers of each frame, each of two packets of which the last has the picture's marker when it ends in one.
    fn gets(&mut self) -> Vec<(u8, u8, bool)> {
        let sent = self.gets_packets();
        assert_contiguous(&seqs(&sent));
        let frames = sent.chunks(2).map(|frame| {
            let [first, last] = frame else { panic!("half a frame") };
            let (layers, marker) = (first.rtp().payload(), last.rtp().marker());
            assert_eq!(layers[1..3], last.rtp().payload()[1..3]);
            assert!(!first.rtp().marker());
            (layers[1], layers[2], marker)
        });
        frames.collect()
    }

    fn gets_packets(&mut self) -> Vec<Sent> {
        let receiver = self.receiver.clone();
        let sent = self.world.take_rtp(&receiver);
        let router_id = ExtensionUri::DependencyDescriptor.router_id();
        assert!(sent.iter().all(|sent| sent.rtp().extension(router_id).is_some()), "it travels on");
        sent
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

    /// Target and current layers.
    fn dump(&mut self) -> [(i16, i16); 2] {
        let Reply::ConsumerDump(dump) = self.world.consumer("c", ConsumerCommand::Dump) else {
            panic!("not a dump")
        };
        let ConsumerDump { layers, .. } = *dump;
        [(layers.target_spatial, layers.target_temporal), (layers.current_spatial, layers.current_temporal)]
    }

    fn told(&mut self) -> Vec<(u8, u8)> {
        let told = |event: &Event| match event {
            Event::ConsumerLayers { layers: Some(layers), .. } => Some((layers.spatial, layers.temporal?)),
            _ => None,
        };
        self.world.take_events().iter().filter_map(told).collect()
    }
}

#[test]
fn only_the_preferred_layers_of_av1_are_sent() {
    let mut scene = Scene::svc(AV1, (3, 3), false);
    scene.begin();
    assert_eq!(scene.dump(), [(2, 2), (2, 0)], "no upper temporal layer came yet");
    scene.pictures(&[2, 1]);
    let whole = |temporal| [(0, temporal, false), (1, temporal, false), (2, temporal, true)];
    assert_eq!(scene.gets(), [whole(2), whole(1)].concat());
    assert_eq!(scene.told(), [(2, 2)]);
    scene.prefer(0, 0);
    assert_eq!(scene.asked(), 0, "down goes without a key frame");
    scene.pictures(&[2, 0, 2, 1, 2, 0]);
    assert_eq!(
        scene.gets(),
        [(0, 0, true), (0, 0, true)],
        "the marker moves to the last packet that is sent"
    );
    assert_eq!((scene.told(), scene.dump()), (vec![(0, 0)], [(0, 0), (0, 0)]));
    scene.world.assert_accounted();
}

#[test]
fn up_goes_with_a_key_frame_in_space_and_where_a_frame_allows_it_in_time() {
    let mut scene = Scene::svc(AV1, (3, 3), false);
    scene.begin();
    scene.prefer(0, 0);
    scene.pictures(&[0, 0]);
    scene.gets();
    scene.told();
    scene.prefer(2, 2);
    assert_eq!(scene.asked(), 1);
    scene.pictures(&[2, 0, 2, 1]);
    assert_eq!(scene.gets(), [(0, 0, true), (0, 2, true), (0, 1, true)], "the first one allows nothing");
    assert_eq!((scene.told(), scene.dump()), (vec![(0, 2)], [(2, 2), (0, 2)]));
    scene.picture(0, true);
    assert_eq!(scene.gets(), [(0, 0, false), (1, 0, false), (2, 0, true)]);
    assert_eq!((scene.told(), scene.dump()), (vec![(2, 0)], [(2, 2), (2, 0)]));
}

#[test]
fn in_keyed_modes_pictures_between_key_frames_are_of_one_layer() {
    let mut scene = Scene::svc(AV1, (3, 2), true);
    scene.begin();
    scene.pictures(&[1, 0]);
    assert_eq!(scene.gets(), [(2, 1, true), (2, 0, true)]);
    scene.prefer(1, 0);
    assert_eq!(scene.asked(), 1, "down needs a key frame too");
    scene.pictures(&[0, 1]);
    assert_eq!(scene.gets(), [(2, 0, true)]);
    scene.picture(0, true);
    scene.pictures(&[1, 0]);
    assert_eq!(scene.gets(), [(0, 0, false), (1, 0, true), (1, 0, true)]);
}

#[test]
fn nothing_is_sent_before_a_key_frame() {
    let mut scene = Scene::svc(AV1, (1, 3), false);
    scene.pictures(&[0]);
    assert_eq!(scene.asked(), 1);
    scene.pictures(&[1]);
    assert!(scene.gets().is_empty(), "of no structure");
    scene.picture(0, true);
    scene.pictures(&[2]);
    assert_eq!(scene.gets(), [(0, 0, true), (0, 2, true)]);
    scene.world.consumer("c", ConsumerCommand::Pause);
    scene.world.consumer("c", ConsumerCommand::Resume);
    assert_eq!(scene.asked(), 1);
    scene.pictures(&[0]);
    assert!(scene.gets().is_empty());
    scene.picture(0, true);
    assert_eq!(scene.gets(), [(0, 0, true)]);
}

#[test]
fn frames_of_a_structure_that_did_not_come_are_not_sent() {
    let mut scene = Scene::svc(AV1, (1, 2), false);
    scene.picture(0, true);
    scene.prefer(0, 0);
    scene.pictures(&[0, 1]);
    assert_eq!(scene.gets().len(), 2);
    // The key frame that would have told is lost.
    scene.structure.id_offset = 20;
    scene.write_picture(0, true);
    scene.asked();
    scene.pictures(&[0; 3]);
    assert!(scene.gets_packets().is_empty());
    scene.pictures(&[1; 60]);
    assert_eq!(scene.asked(), 0);
    scene.picture(1, false);
    assert_eq!(scene.asked(), 1, "it will not come any more");
    assert_eq!(scene.dump(), [(0, 0), (0, 0)]);
    scene.picture(0, true);
    scene.pictures(&[1, 0]);
    let sent = scene.gets_packets();
    assert_contiguous(&seqs(&sent));
    assert_eq!(sent.iter().map(|sent| sent.rtp().payload()[2]).collect::<Vec<_>>(), [0; 4]);
    let before = seqs(&sent)[0].wrapping_sub(3);
    assert_eq!(scene.come_again(&[before]), 0, "nor what nobody can tell");
}

/// Without any structure nothing can be told apart, and H264 tells key frames itself.
#[test]
fn a_stream_whose_structures_cannot_be_read_passes() {
    let mut scene = Scene::svc(H264, (1, 2), false);
    // One more than can be named.
    let template = scene.structure.templates[0].clone();
    scene.structure.templates.splice(0..0, vec![template; 64]);
    scene.picture(0, true);
    scene.pictures(&[1, 0]);
    assert_eq!(scene.temporals(), [0, 0, 1, 1, 0, 0]);
}

#[test]
fn what_comes_late_is_told_by_the_structure_of_its_time() {
    for mime_type in [AV1, H264] {
        let mut scene = Scene::svc(mime_type, (1, 2), false);
        scene.picture(0, true);
        scene.prefer(0, 0);
        scene.pictures(&[0, 1]);
        assert_eq!(scene.temporals(), [0; 4]);
        let late = [scene.write_picture(0, false), scene.write_picture(1, false)];
        scene.structure.id_offset = 20;
        scene.picture(0, true);
        let key = scene.gets_packets();
        late.iter().flatten().for_each(|packet| scene.sends(packet));
        let sent = scene.gets_packets();
        assert_eq!(sent.iter().map(|sent| sent.rtp().payload()[2]).collect::<Vec<_>>(), [0; 2]);
        let first = seqs(&sent)[0];
        assert_eq!(seqs(&key)[0], first.wrapping_add(4));
        let asked: Vec<_> = (0..4).map(|ahead| first.wrapping_add(ahead)).collect();
        assert_eq!(scene.come_again(&asked), 2);
    }
}

#[test]
fn a_receiver_without_layers_waits_for_the_key_frames_that_descriptors_tell() {
    let mut scene = Scene::svc(AV1, (1, 1), false);
    scene.pictures(&[0]);
    scene.picture(0, true);
    scene.pictures(&[0]);
    assert_eq!(scene.gets().len(), 2);
    scene.world.consumer("c", ConsumerCommand::Pause);
    scene.world.consumer("c", ConsumerCommand::Resume);
    scene.pictures(&[0]);
    assert_eq!(scene.gets().len(), 0);
    scene.picture(0, true);
    assert_eq!(scene.gets().len(), 1);
}

#[test]
fn temporal_layers_of_h264_are_left_out_without_gaps() {
    let mut scene = Scene::svc(H264, (1, 3), false);
    scene.picture(0, true);
    scene.pictures(&[2, 1, 2, 0]);
    assert_eq!(scene.gets().len(), 5);
    assert_eq!((scene.told(), scene.dump()), (vec![(0, 0), (0, 2)], [(0, 2), (0, 2)]));
    scene.prefer(0, 1);
    scene.pictures(&[2, 1, 2, 0]);
    assert_eq!(scene.gets(), [(0, 1, true), (0, 0, true)]);
    assert_eq!((scene.told(), scene.dump()), (vec![(0, 1)], [(0, 1), (0, 1)]));
    scene.prefer(0, 0);
    scene.pictures(&[1, 0]);
    assert_eq!(scene.gets(), [(0, 0, true)]);
    scene.prefer(0, 2);
    assert_eq!(scene.asked(), 0);
    scene.pictures(&[2, 0, 2]);
    assert_eq!(scene.gets(), [(0, 0, true), (0, 2, true)]);
}

#[test]
fn temporal_layers_are_left_out_of_simulcast_too() {
    let mut scene = Scene::new(H264, ("L2T3", "L1T3"), (1, 3), false, 2);
    let streams = |scene: &mut Scene, temporal, is_key| {
        scene.pictures += 1;
        scene.world.advance_ms(33);
        (0..2).for_each(|stream| scene.frame(stream, 0, temporal, is_key));
    };
    streams(&mut scene, 0, true);
    streams(&mut scene, 0, true);
    scene.gets();
    scene.told();
    streams(&mut scene, 2, false);
    streams(&mut scene, 1, false);
    assert_eq!(scene.gets(), [(0, 2, true), (0, 1, true)]);
    assert_eq!((scene.told(), scene.dump()), (vec![(1, 2)], [(1, 2), (1, 2)]));
    scene.prefer(1, 0);
    for temporal in [2, 0, 1, 0] {
        streams(&mut scene, temporal, false);
    }
    assert_eq!(scene.gets(), [(0, 0, true), (0, 0, true)]);
    assert_eq!((scene.told(), scene.dump()), (vec![(1, 0)], [(1, 0), (1, 0)]));
}

#[test]
fn what_comes_late_of_simulcast_is_of_the_layers_of_its_time() {
    let mut scene = Scene::new(H264, ("L2T3", "L1T3"), (1, 3), false, 2);
    scene.prefer(0, 2);
    scene.picture(0, true);
    scene.pictures(&[2]);
    let [first, last] = scene.write_picture(2, false);
    scene.sends(&first);
    scene.prefer(0, 0);
    scene.picture(0, false);
    assert_eq!(scene.temporals(), [0, 0, 2, 2, 2, 0, 0]);
    scene.sends(&last);
    assert_eq!(scene.temporals(), [2], "the rest of a frame that was begun");
    // Of a frame that was left out, which looks like a gap.
    let left_out = scene.write_picture(2, false);
    scene.picture(0, false);
    let after = seqs(&scene.gets_packets());
    left_out.iter().for_each(|packet| scene.sends(packet));
    assert_eq!(scene.temporals(), []);
    assert_eq!(scene.come_again(&[after[0].wrapping_sub(1), after[0].wrapping_sub(2)]), 0);
    assert_eq!(scene.come_again(&after), 2);
    scene.prefer(0, 2);
    scene.pictures(&[0, 2]);
    assert_eq!(scene.temporals(), [0, 0, 2, 2]);
    assert_eq!(scene.come_again(&[after[0].wrapping_sub(1)]), 0, "now it would be of its layers");
}

#[test]
fn a_lost_packet_comes_again_with_the_marker_it_had() {
    let mut scene = Scene::svc(AV1, (2, 1), false);
    scene.begin();
    scene.prefer(0, 0);
    scene.pictures(&[0, 0]);
    let sent = scene.gets_packets();
    assert_eq!(sent.len(), 4);
    // A structure that says otherwise changes nothing of what was sent.
    scene.structure.templates.truncate(2);
    scene.picture(0, true);
    scene.gets_packets();
    for lost in &sent {
        let receiver = scene.receiver.clone();
        scene.world.from(&receiver, &nack(SENT, &[lost.rtp().sequence_number()]));
        let again = scene.gets_packets();
        assert_eq!(again.len(), 1);
        assert_eq!(&again[0].rtp().payload()[2..], lost.rtp().payload());
        assert_eq!(again[0].rtp().marker(), lost.rtp().marker());
    }
}

#[test]
fn stats_and_traces_tell_layers_and_key_frames() {
    let mut scene = Scene::svc(AV1, (3, 3), false);
    scene.begin();
    scene.pictures(&[2]);
    let stats = scene.world.producer_stats("video");
    let rate =
        |name: &str| stats[0].bitrate_by_layer.iter().find(|(layer, _)| layer == name).expect("a layer").1;
    assert!(rate("0.0") > 0 && rate("1.0") > rate("0.0") && rate("2.2") > rate("2.0"));
    assert_eq!(rate("2.1"), 0);
    let events = vec![ProducerTraceEvent::KeyFrame, ProducerTraceEvent::Rtp];
    scene.world.producer("video", ProducerCommand::EnableTraceEvent(events));
    scene.told();
    scene.picture(0, true);
    let traced: Vec<_> = scene
        .world
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::ProducerTrace { trace, .. } => match trace.info {
                TraceInfo::Packet { packet, .. } => {
                    Some((trace.event, packet.spatial_layer, packet.is_key_frame))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(traced.len(), 6);
    assert_eq!(traced[0], (ProducerTraceEvent::KeyFrame, 0, true));
    assert_eq!(traced[5], (ProducerTraceEvent::Rtp, 2, false));
}

/// The mask of active decode targets that each packet carries.
fn told_active(sent: &[Sent]) -> Vec<Option<u8>> {
    let id = ExtensionUri::DependencyDescriptor.router_id();
    let mask = |sent: &Sent| {
        let packet = sent.rtp();
        let value = packet.extension(id).expect("a descriptor");
        // Behind the five flags, of which the second tells that it is there; a structure is not read here.
        let flags = value.get(3).copied().filter(|flags| flags & 0x80 == 0).unwrap_or_default();
        (flags & 0x40 != 0).then(|| (u16::from_be_bytes([flags, value[4]]) >> 7 & 0xf).to_le_bytes()[0])
    };
    sent.iter().map(mask).collect()
}

#[test]
fn a_receiver_of_fewer_layers_is_told_which_decode_targets_are_alive() {
    let mut scene = Scene::svc(AV1, (2, 2), false);
    scene.begin();
    scene.picture(0, false);
    assert_eq!(told_active(&scene.gets_packets()), [None; 4], "who gets all is told nothing");
    let layers = Layers { spatial: 0, temporal: Some(1) };
    scene.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    scene.picture(0, false);
    scene.gets_packets();
    scene.pictures(&[1, 0]);
    let down = scene.gets_packets();
    assert_eq!(told_active(&down), [Some(0b0011); 4]);
    // As it was, byte by byte, also when asked for after the layers have changed.
    let layers = Layers { spatial: 1, temporal: Some(0) };
    scene.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    scene.picture(0, true);
    scene.picture(0, false);
    let up = scene.gets_packets();
    assert_eq!(told_active(&up), [&[None], &[Some(0b0101); 7][..]].concat(), "a structure tells by itself");
    for lost in [down, up].concat() {
        let lost = lost.rtp();
        let receiver = scene.receiver.clone();
        scene.world.from(&receiver, &nack(SENT, &[lost.sequence_number()]));
        let again = scene.gets_packets();
        let again = again[0].rtp();
        assert_eq!(&again.payload()[2..], lost.payload());
        assert!(again.extensions().eq(lost.extensions()));
    }
    let layers = Layers { spatial: 1, temporal: Some(1) };
    scene.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    scene.pictures(&[0, 1]);
    let all = told_active(&scene.gets_packets());
    assert_eq!(all[all.len() - 4..], [Some(0b1111); 4], "it is told until a structure says so");
    scene.picture(0, true);
    scene.picture(1, false);
    assert_eq!(told_active(&scene.gets_packets()), [None; 8]);
}

/// A base frame of one packet with the sender's mask, not sent yet.
fn masked(scene: &mut Scene, mask: u32, number: u16) -> Vec<u8> {
    scene.pictures += 1;
    let descriptor = NewDescriptor {
        starts_frame: true,
        ends_frame: true,
        template: 1,
        number,
        active: Some(mask),
        ..NewDescriptor::default()
    };
    let value = descriptor.write(&scene.structure);
    scene.packet(0, &[DELTA_NAL, 0, 0, 9], true, &value)
}

/// The sender's mask that revives a layer may come behind the first frame of it, or never.
#[test]
fn a_frame_of_a_layer_that_was_dead_is_told_as_alive() {
    let mut scene = Scene::svc(AV1, (2, 2), false);
    scene.begin();
    scene.prefer(1, 0);
    scene.picture(0, true);
    scene.gets_packets();
    let down = masked(&mut scene, 0b0011, 1);
    scene.sends(&down);
    assert_eq!(told_active(&scene.gets_packets()), [Some(0b0001)]);
    let up = masked(&mut scene, 0b1111, 2);
    scene.frame(0, 1, 0, false);
    assert_eq!(told_active(&scene.gets_packets()), [Some(0b0101); 2]);
    scene.sends(&up);
    assert_eq!(told_active(&scene.gets_packets()), [Some(0b0001)], "as it was then");
    scene.frame(0, 0, 0, false);
    assert_eq!(told_active(&scene.gets_packets()), [Some(0b0101); 2]);
}

/// Whatever the mask of its time was: a frame that is sent is for somebody. And so it is sent again.
#[test]
fn late_packets_of_a_layer_that_was_dead_are_told_as_alive() {
    let mut scene = Scene::svc(AV1, (2, 2), false);
    scene.begin();
    scene.prefer(1, 0);
    scene.picture(0, true);
    let down = masked(&mut scene, 0b0011, 1);
    scene.sends(&down);
    scene.gets_packets();
    let [first, second] = scene.write_frame(0, 1, 0, false);
    let [base, _] = scene.write_picture(0, false);
    scene.sends(&base);
    assert_eq!(told_active(&scene.gets_packets()), [Some(0b0001)]);
    scene.sends(&second);
    scene.sends(&first);
    let late = scene.gets_packets();
    assert_eq!(told_active(&late), [Some(0b0101); 2], "behind the next picture");
    for lost in &late {
        let lost = lost.rtp();
        let receiver = scene.receiver.clone();
        scene.world.from(&receiver, &nack(SENT, &[lost.sequence_number()]));
        let again = scene.gets_packets();
        assert!(again[0].rtp().extensions().eq(lost.extensions()));
    }
}

/// The last packet of the frame that revives a layer comes first.
#[test]
fn a_frame_that_revives_a_layer_out_of_order_is_told_as_alive_from_its_first_packet_on() {
    let mut scene = Scene::svc(AV1, (2, 2), false);
    scene.begin();
    scene.prefer(1, 0);
    scene.picture(0, true);
    let down = masked(&mut scene, 0b0011, 1);
    scene.sends(&down);
    scene.gets_packets();
    let [first, second] = scene.write_frame(0, 1, 0, false);
    scene.sends(&second);
    scene.sends(&first);
    assert_eq!(told_active(&scene.gets_packets()), [Some(0b0101); 2]);
}
