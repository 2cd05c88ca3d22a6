//! Packets of a key frame that overtake its first one: whoever waited for it gets them too.

use ringsoup_rtc::codec::dependency_descriptor::writer::{NewDescriptor, NewStructure, layered};
use ringsoup_rtc::codec::vp8::Descriptor;
use ringsoup_rtc::rtp::{ExtensionUri, RtpWriter};
use ringsoup_sfu::command::{ConsumerCommand, Layers};
use ringsoup_sfu::outbox::DATAGRAMS_FLUSH;

use crate::common::packets::{DELTA, KEY, nack, rtp};
use crate::common::parameters::{consume_video, extension};
use crate::common::simulcast::{self, VIDEO};
use crate::common::{Peer, Sent, World};
use crate::room::{ALICE_RTX, ALICE_VIDEO, BOB_VIDEO, MAPPED_VIDEO, Room, assert_contiguous, seqs};

const MAPPED: [u32; 2] = [5_000, 5_001];
const SOURCES: [u32; 2] = [1_000, 2_000];
const SENT: u32 = 9_000;

fn payloads(sent: &[Sent]) -> Vec<Vec<u8>> {
    sent.iter().map(|sent| sent.rtp().payload().to_vec()).collect()
}

/// What Alice and Bob got since the last look.
fn both_get(room: &mut Room) -> [Vec<Sent>; 2] {
    let sent = room.world.take_sent();
    [&room.alice, &room.bob].map(|peer| {
        sent.iter().filter(|sent| sent.remote == peer.remote && !sent.is_rtcp()).cloned().collect()
    })
}

/// A sender of one producer, and a receiver.
struct Scene {
    world: World,
    sender: Peer,
    receiver: Peer,
}

impl Scene {
    fn new(mime_type: &str, modes: (&str, &str), streams: usize) -> Self {
        let mut world = World::new();
        let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
        let (own, consumable) = modes;
        let (sources, mapped) = (&SOURCES[..streams], &MAPPED[..streams]);
        let mut request = simulcast::produce("video", mime_type, Some(consumable), sources, mapped);
        request.rtp_parameters.header_extensions = vec![extension(ExtensionUri::DependencyDescriptor, 4)];
        world.produce("sender", request);
        let modes = (Some(own), Some(consumable));
        world.consume("receiver", simulcast::consume("c", "video", mime_type, modes, SENT, mapped));
        Self { world, sender, receiver }
    }

    fn sends(&mut self, packet: &[u8]) {
        let sender = self.sender.clone();
        self.world.from(&sender, packet);
    }

    /// A frame of one packet, by a template of the structure, which comes with template 0.
    fn sends_frame(&mut self, structure: &NewStructure, seq: u16, template: u8) {
        let brought = Some(structure).filter(|_| template == 0);
        let whole = NewDescriptor { starts_frame: true, ends_frame: true, ..NewDescriptor::default() };
        let value = NewDescriptor { template, structure: brought, ..whole }.write(structure);
        let packet = RtpWriter::new(VIDEO, seq, u32::from(seq) * 3_000, SOURCES[0]).marker(true);
        let packet = packet.extension(4, &value).payload(&seq.to_be_bytes()).to_vec();
        self.sends(&packet.expect("no CSRCs"));
    }

    fn gets(&mut self) -> Vec<Sent> {
        let receiver = self.receiver.clone();
        self.world.take_rtp(&receiver)
    }
}

#[test]
fn they_follow_the_first_one_at_once_and_in_order() {
    let mut room = Room::new();
    for seq in [12, 14, 13] {
        room.video(seq, &[0x41, 9, u8::try_from(seq).expect("small")]);
    }
    assert!(both_get(&mut room).iter().all(Vec::is_empty));
    room.video(11, KEY);
    room.video(15, DELTA);
    let expected = [KEY, &[0x41, 9, 12], &[0x41, 9, 13], &[0x41, 9, 14]];
    for sent in both_get(&mut room) {
        assert_contiguous(&seqs(&sent));
        assert_eq!(payloads(&sent), [&expected[..], &[DELTA]].concat());
        let timestamps: Vec<_> = sent.iter().map(|sent| sent.rtp().timestamp()).collect();
        assert_eq!(timestamps, [11, 12, 13, 14, 15].map(|seq| seq * 90));
    }
    assert_eq!(room.world.consumer_stats("alice video").packet_count, 5);
    room.world.assert_accounted();
}

#[test]
fn whoever_got_them_before_gets_them_once() {
    let mut room = Room::new();
    room.start_video(1..5);
    assert_eq!(room.bob_gets().len(), 4);
    room.world.consume("alice", consume_video("late", "video", 81, None, MAPPED_VIDEO));
    room.video(7, DELTA);
    room.video(6, DELTA);
    room.video(5, KEY);
    let [alice, bob] = both_get(&mut room);
    let late: Vec<_> = alice.into_iter().filter(|sent| sent.rtp().ssrc() == 81).collect();
    assert_eq!(payloads(&late), [KEY, DELTA, DELTA]);
    assert_contiguous(&seqs(&late));
    let mut bob = seqs(&bob);
    bob.sort_unstable();
    assert_eq!(bob.len(), 3, "as they came");
    assert_contiguous(&bob);
}

#[test]
fn what_is_missing_among_them_stays_missing_until_it_comes() {
    let mut room = Room::new();
    room.video(14, DELTA);
    room.video(12, DELTA);
    room.video(11, KEY);
    let sent = room.alice_gets();
    let first = sent[0].rtp().sequence_number();
    assert_eq!(seqs(&sent), [0, 1, 3].map(|ahead| first.wrapping_add(ahead)));
    room.alice_says(&nack(ALICE_VIDEO, &[first.wrapping_add(2), first.wrapping_add(3)]));
    let again = room.alice_gets();
    assert_eq!(again.iter().map(|sent| sent.rtp().ssrc()).collect::<Vec<_>>(), [ALICE_RTX]);
    assert_eq!(&again[0].rtp().payload()[2..], DELTA);
    room.video(13, DELTA);
    assert_eq!(seqs(&room.alice_gets()), [first.wrapping_add(2)]);
}

#[test]
fn so_many_are_sent_and_the_rest_can_be_asked_for() {
    let mut room = Room::new();
    for seq in 12..312 {
        room.video(seq, DELTA);
    }
    room.video(11, KEY);
    let sent = seqs(&room.alice_gets());
    assert_eq!(sent.len(), 129);
    assert_contiguous(&sent);
    room.video(312, DELTA);
    let newest = seqs(&room.alice_gets());
    assert_eq!(newest, [sent[0].wrapping_add(301)]);
    room.alice_says(&nack(ALICE_VIDEO, &[sent[0].wrapping_add(129)]));
    assert_eq!(room.alice_gets().len(), 1);
}

/// Padding probes for bandwidth in the stream itself where there is no RTX; nobody gets it, and nobody must miss it.
#[test]
fn padding_among_them_leaves_no_gap() {
    for order in [&[12_u16, 13, 14, 11][..], &[13, 11, 12, 14], &[14, 13, 11, 12]] {
        let mut room = Room::new();
        for &seq in order {
            let payload: &[u8] = match seq {
                11 => KEY,
                13 => &[],
                _ => DELTA,
            };
            room.video(seq, payload);
        }
        room.video(15, DELTA);
        for sent in both_get(&mut room) {
            let mut seqs = seqs(&sent);
            seqs.sort_unstable();
            assert_eq!(seqs.len(), 4, "{order:?}");
            assert_contiguous(&seqs);
        }
    }
}

/// 500 receivers over SRTP, 128 packets each: more than the arena holds.
#[test]
fn a_large_audience_is_sent_no_more_at_once_than_is_flushed() {
    const RECEIVERS: u32 = 100;
    let mut room = Room::new();
    for index in 0..RECEIVERS - 2 {
        let request = consume_video(&format!("c{index}"), "video", 100 + index, None, MAPPED_VIDEO);
        room.world.consume("bob", request);
    }
    for seq in 12..312 {
        room.video(seq, DELTA);
    }
    room.video(11, KEY);
    let [alice, bob] = both_get(&mut room);
    assert!(alice.len() + bob.len() <= DATAGRAMS_FLUSH + RECEIVERS as usize, "{}", bob.len());
    let (share, mut first) = (DATAGRAMS_FLUSH / RECEIVERS as usize, None);
    for ssrc in (100..98 + RECEIVERS).chain([BOB_VIDEO]) {
        let of: Vec<_> = bob.iter().filter(|sent| sent.rtp().ssrc() == ssrc).cloned().collect();
        assert_eq!(of.len(), 1 + share);
        assert_contiguous(&seqs(&of));
        first = Some(seqs(&of)[0]);
    }
    room.video(312, DELTA);
    room.bob_gets();
    let (first, behind) = (first.expect("Bob"), u16::try_from(share).expect("few") + 1);
    room.bob_says(&nack(BOB_VIDEO, &[first.wrapping_add(behind)]));
    assert_eq!(room.bob_gets().len(), 1, "the rest is there for who asks");
}

/// As many receivers in layers that have begun: what was early goes to all of them.
#[test]
fn a_large_audience_is_sent_no_more_of_what_was_early_than_is_flushed() {
    const RECEIVERS: u32 = 100;
    let mut scene = Scene::new("video/AV1", ("L1T2", "L1T2"), 1);
    for index in 1..RECEIVERS {
        let modes = (Some("L1T2"), Some("L1T2"));
        let request = simulcast::consume(
            &format!("c{index}"),
            "video",
            "video/AV1",
            modes,
            SENT + 10 * index,
            &MAPPED[..1],
        );
        scene.world.consume("receiver", request);
    }
    let mut structure = layered(1, 2, false);
    scene.sends_frame(&structure, 10, 0);
    assert_eq!(scene.gets().len(), RECEIVERS as usize);
    structure.id_offset = 20;
    for seq in 12..112 {
        scene.sends_frame(&structure, seq, 1);
    }
    assert!(scene.gets().is_empty(), "nobody knows what they are");
    scene.sends_frame(&structure, 11, 0);
    let sent = scene.gets();
    assert!(
        sent.len() > RECEIVERS as usize && sent.len() <= DATAGRAMS_FLUSH + RECEIVERS as usize,
        "{}",
        sent.len()
    );
}

/// Without anybody who may ask for packets, none are kept but for this.
#[test]
fn a_receiver_that_may_not_ask_again_gets_them_too() {
    let mut world = World::new();
    let (sender, far) = (world.plain("sender"), world.plain("far"));
    let mut request = simulcast::produce("video", "video/H264", None, &SOURCES, &MAPPED);
    request.rtp_parameters.codecs[0].rtcp_feedback.retain(|feedback| feedback.kind != "nack");
    world.produce("sender", request);
    let mut request = simulcast::consume_pipe("pipe", "video", "video/H264", &[SENT, SENT + 10], &MAPPED);
    request.rtp_parameters.codecs.truncate(1);
    request.rtp_parameters.codecs[0].rtcp_feedback.retain(|feedback| feedback.kind != "nack");
    request.rtp_parameters.encodings.iter_mut().for_each(|encoding| encoding.rtx_ssrc = None);
    world.consume("far", request);
    for (seq, payload) in [(2, DELTA), (1, KEY), (3, DELTA)] {
        for source in SOURCES {
            world.from(&sender, &rtp(VIDEO, seq, 90, source, payload));
        }
    }
    let sent = world.take_rtp(&far);
    for ssrc in [SENT, SENT + 10] {
        let of: Vec<_> = sent.iter().filter(|sent| sent.rtp().ssrc() == ssrc).cloned().collect();
        assert_contiguous(&seqs(&of));
        assert_eq!(payloads(&of), [KEY, DELTA, DELTA]);
    }
}

fn vp8(id: u8, place: u8, is_key: bool) -> Vec<u8> {
    let first = 0x80 | u8::from(place == 0) << 4;
    vec![first, 0xe0, 0x80, id, id, 0x20, u8::from(!is_key), place]
}

#[test]
fn a_simulcast_switch_has_the_whole_key_frame_with_its_own_numbers() {
    let mut scene = Scene::new("video/VP8", ("L2T3", "L1T3"), 2);
    let layers = Layers { spatial: 0, temporal: None };
    scene.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    scene.sends(&rtp(VIDEO, 50, 1_000, SOURCES[0], &vp8(9, 0, true)));
    scene.sends(&rtp(VIDEO, 90, 7_000, SOURCES[1], &vp8(70, 0, false)));
    let before = scene.gets();
    let layers = Layers { spatial: 1, temporal: None };
    scene.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    scene.world.advance_ms(100);
    for place in [2, 1, 0] {
        scene.sends(&rtp(VIDEO, 91 + u16::from(place), 17_000, SOURCES[1], &vp8(71, place, true)));
    }
    let sent = scene.gets();
    assert_eq!(sent.iter().map(|sent| sent.rtp().payload()[7]).collect::<Vec<_>>(), [0, 1, 2]);
    let ids = |sent: &[Sent]| {
        sent.iter()
            .map(|sent| Descriptor::parse(sent.rtp().payload()).expect("VP8").picture_id)
            .collect::<Vec<_>>()
    };
    assert_eq!((ids(&before), ids(&sent)), (vec![Some(1)], vec![Some(2); 3]));
    // The picture before had no marker: a number is left out.
    assert_eq!(seqs(&sent)[0], seqs(&before)[0].wrapping_add(2));
    assert_contiguous(&seqs(&sent));
    let receiver = scene.receiver.clone();
    for lost in &sent {
        scene.world.from(&receiver, &nack(SENT, &[lost.rtp().sequence_number()]));
        assert_eq!(&scene.gets()[0].rtp().payload()[2..], lost.rtp().payload());
    }
}

#[test]
fn an_svc_receiver_gets_of_them_what_its_layers_have() {
    let vp9 =
        |spatial: u8, is_inter: bool| vec![0xac | u8::from(is_inter) << 6, 0x80, 1, spatial << 1, 0, spatial];
    let mut scene = Scene::new("video/VP9", ("L3T1", "L3T1"), 1);
    for (seq, spatial) in [(11, 1), (12, 2), (10, 0)] {
        scene.sends(&rtp(VIDEO, seq, 1_000, SOURCES[0], &vp9(spatial, false)));
    }
    assert_eq!(scene.gets().len(), 2, "the layer that was heard when the target was chosen, and below");
    let layers = Layers { spatial: 1, temporal: None };
    scene.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    scene.world.consumer("c", ConsumerCommand::Pause);
    scene.world.consumer("c", ConsumerCommand::Resume);
    for (seq, spatial) in [(21, 1), (22, 2), (20, 0)] {
        scene.sends(&rtp(VIDEO, seq, 4_000, SOURCES[0], &vp9(spatial, false)));
    }
    let sent = scene.gets();
    let shown: Vec<_> = sent.iter().map(|sent| (sent.rtp().payload()[5], sent.rtp().marker())).collect();
    assert_eq!(shown, [(0, false), (1, true)]);
    scene.sends(&rtp(VIDEO, 23, 7_000, SOURCES[0], &vp9(0, true)));
    assert_contiguous(&seqs(&[sent, scene.gets()].concat()));
}

/// The structure that tells what they are comes with the first one.
#[test]
fn they_may_refer_to_a_structure_that_came_after_them() {
    let mut scene = Scene::new("video/AV1", ("L1T2", "L1T2"), 1);
    let structure = layered(1, 2, false);
    let send = |scene: &mut Scene, seq: u16, descriptor: &NewDescriptor<'_>| {
        let packet = RtpWriter::new(VIDEO, seq, 1_000, SOURCES[0]).marker(descriptor.ends_frame);
        let value = descriptor.write(&structure);
        let payload = seq.to_be_bytes();
        let packet = packet.extension(4, &value).payload(&payload).to_vec();
        scene.sends(&packet.expect("no CSRCs"));
    };
    let last = NewDescriptor { ends_frame: true, ..NewDescriptor::default() };
    let first = NewDescriptor { starts_frame: true, structure: Some(&structure), ..NewDescriptor::default() };
    send(&mut scene, 11, &last);
    assert!(scene.gets().is_empty());
    send(&mut scene, 10, &first);
    send(&mut scene, 12, &NewDescriptor { starts_frame: true, template: 1, ..last });
    let sent = scene.gets();
    assert_eq!(payloads(&sent), [[0, 10], [0, 11], [0, 12]]);
    assert_contiguous(&seqs(&sent));
    let receiver = scene.receiver.clone();
    for lost in &sent {
        scene.world.from(&receiver, &nack(SENT, &[lost.rtp().sequence_number()]));
        let again = scene.gets();
        assert_eq!(&again[0].rtp().payload()[2..], lost.rtp().payload());
        assert_eq!(again[0].rtp().marker(), lost.rtp().marker());
    }
}

/// Nobody knew what they were when they came, so that they are kept as what they turned out to be.
#[test]
fn what_came_before_any_structure_comes_again_as_it_was_sent() {
    let mut scene = Scene::new("video/AV1", ("L2T1", "L2T1"), 1);
    let structure = layered(2, 1, false);
    let send = |scene: &mut Scene, seq: u16, descriptor: &NewDescriptor<'_>| {
        let packet = RtpWriter::new(VIDEO, seq, 1_000, SOURCES[0]);
        let value = descriptor.write(&structure);
        let payload = seq.to_be_bytes();
        scene.sends(&packet.extension(4, &value).payload(&payload).to_vec().expect("no CSRCs"));
    };
    let first = NewDescriptor { starts_frame: true, structure: Some(&structure), ..NewDescriptor::default() };
    let last = NewDescriptor { ends_frame: true, ..NewDescriptor::default() };
    send(&mut scene, 12, &NewDescriptor { template: 2, starts_frame: true, ..last.clone() });
    send(&mut scene, 11, &last);
    send(&mut scene, 10, &first);
    let sent = scene.gets();
    assert_eq!(payloads(&sent), [[0, 10], [0, 11]], "the lower layer is all that was known to be sent");
    assert!(sent[1].rtp().marker());
    let receiver = scene.receiver.clone();
    for lost in &sent {
        scene.world.from(&receiver, &nack(SENT, &[lost.rtp().sequence_number()]));
        let again = scene.gets();
        let (again, lost) = (again[0].rtp(), lost.rtp());
        assert_eq!((&again.payload()[2..], again.marker()), (lost.payload(), lost.marker()));
        assert!(again.extensions().eq(lost.extensions()), "with the mask it had");
    }
}

/// Also to whoever has begun they are sent when the first one has told what they are.
#[test]
fn who_has_begun_gets_of_them_what_its_layers_have() {
    let mut scene = Scene::new("video/AV1", ("L1T2", "L1T2"), 1);
    let (mut structure, id_offset) = (layered(1, 2, false), 20);
    let layers = Layers { spatial: 0, temporal: Some(0) };
    scene.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
    // Templates of delta frames: 1 of the lower temporal layer, 3 of the upper one.
    scene.sends_frame(&structure, 10, 0);
    scene.sends_frame(&structure, 11, 3);
    structure.id_offset = id_offset;
    for (seq, template) in [(14, 1), (13, 3), (15, 3), (16, 1)] {
        scene.sends_frame(&structure, seq, template);
    }
    let before = scene.gets();
    assert_eq!(payloads(&before), [[0, 10]]);
    let receiver = scene.receiver.clone();
    scene.sends_frame(&structure, 12, 0);
    let sent = scene.gets();
    assert_eq!(payloads(&sent), [[0, 12], [0, 14], [0, 16]]);
    assert_contiguous(&seqs(&[before, sent.clone()].concat()));
    scene.sends_frame(&structure, 17, 1);
    assert_contiguous(&seqs(&[sent.clone(), scene.gets()].concat()));
    for lost in &sent {
        scene.world.from(&receiver, &nack(SENT, &[lost.rtp().sequence_number()]));
        assert_eq!(&scene.gets()[0].rtp().payload()[2..], lost.rtp().payload());
    }
    scene.world.assert_accounted();
}
