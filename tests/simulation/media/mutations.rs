//! Decoders accept what encoders make, and refuse what is wrong: an oracle that cannot fail is worth nothing.

use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Layers;
use ringsoup_tests::rng::Rng;

use super::decoder::Decoder;
use super::encoder::InterLayer;
use super::pictures::{Codec, DESCRIPTOR_ID, Pictures, Shape};
use super::stamp::Stamp;
use super::vp8::PictureIds;
use super::{Oracle, Source, Truth};

fn shapes() -> Vec<Shape> {
    let mut rng = Rng::new(5);
    let mut shapes = Vec::new();
    let vp9 = |is_flexible| Codec::Vp9 { is_flexible, is_wide: is_flexible };
    for inter_layer in [InterLayer::Always, InterLayer::KeyPictures, InterLayer::Never] {
        for (spatial, temporal) in [(1, 1), (1, 2), (1, 3), (2, 1), (3, 3)] {
            for codec in [vp9(true), vp9(false), Codec::Av1] {
                shapes.push(Shape::svc(codec, spatial, temporal, inter_layer, &mut rng));
            }
        }
    }
    for temporal in [1, 2, 3] {
        for ids in [PictureIds::Wide, PictureIds::Narrow] {
            shapes.push(Shape::svc(Codec::Vp8(ids), 1, temporal, InterLayer::Never, &mut rng));
        }
        let h264 = Codec::H264 { is_described: true };
        shapes.push(Shape::svc(h264, 1, temporal, InterLayer::Never, &mut rng));
    }
    shapes.push(Shape::svc(Codec::Vp8(PictureIds::None), 1, 1, InterLayer::Never, &mut rng));
    shapes.push(Shape::svc(Codec::H264 { is_described: false }, 1, 1, InterLayer::Never, &mut rng));
    shapes
}

struct Recording {
    shape: Shape,
    packets: Vec<(Time, Vec<u8>)>,
}

impl Recording {
    /// One stream, with a key frame asked for now and then.
    fn new(shape: Shape, pictures: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut source = Pictures::new(shape, &[(1, 2)], Time::from_millis(1_000), &mut rng);
        let mut packets = Vec::new();
        for _ in 0..pictures {
            let now = source.due();
            let mut out = Vec::new();
            source.produce(now, &mut rng, &mut out);
            packets.extend(out.into_iter().map(|bytes| (now, bytes)));
            if rng.below(60) == 0 {
                source.wants_key_frame(1);
            }
        }
        Self { shape, packets }
    }

    fn stamp(&self, index: usize) -> Stamp {
        let bytes = &self.packets[index].1;
        Stamp::read(&bytes[..bytes.len() - Truth::BYTES]).expect("published")
    }

    /// The first packet that this is true of, from the middle on.
    fn find(&self, is_it: impl Fn(&Stamp) -> bool) -> usize {
        let middle = self.packets.len() / 2;
        (middle..self.packets.len()).find(|index| is_it(&self.stamp(*index))).expect("there is one")
    }

    /// A frame that another one refers to.
    fn referred_to(&self, temporal: u8) -> Option<u32> {
        let middle = self.packets.len() / 2;
        let stamps: Vec<_> = (middle..self.packets.len()).map(|index| self.stamp(index)).collect();
        let refers = |frame: u32| stamps.iter().any(|stamp| stamp.references.contains(&Some(frame)));
        let is_it = |stamp: &&Stamp| stamp.temporal == temporal && !stamp.is_key && refers(stamp.frame);
        stamps.iter().find(is_it).map(|stamp| stamp.frame)
    }

    /// Leaves out packets, on purpose: numbers close up.
    fn leave_out(&mut self, is_it: impl Fn(&Stamp) -> bool) {
        let kept = (0..self.packets.len()).filter(|index| !is_it(&self.stamp(*index)));
        self.packets = kept.map(|index| self.packets[index].clone()).collect::<Vec<_>>();
        self.renumber();
    }

    fn renumber(&mut self) {
        let first = u16::from_be_bytes([self.packets[0].1[2], self.packets[0].1[3]]);
        for (place, (_, bytes)) in (0_u16..).zip(&mut self.packets) {
            bytes[2..4].copy_from_slice(&first.wrapping_add(place).to_be_bytes());
        }
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.packets[index].1);
    }

    fn decoder(&self) -> Decoder {
        Decoder::new(self.shape.codec.kind(DESCRIPTOR_ID), self.shape.late_max_ms)
    }

    fn play(&self) -> Result<Decoder, String> {
        let mut decoder = self.decoder();
        for (at, bytes) in &self.packets {
            decoder.take(*at, bytes)?;
        }
        decoder.flush()?;
        Ok(decoder)
    }

    fn refused(&self) -> String {
        match self.play() {
            Ok(_) => panic!("{:?} passes", self.shape),
            Err(fault) => fault,
        }
    }
}

fn vp8() -> Recording {
    let mut rng = Rng::new(1);
    let shape = Shape::svc(Codec::Vp8(PictureIds::Wide), 1, 3, InterLayer::Never, &mut rng);
    Recording::new(Shape { packets_per_frame_max: 4, ..shape }, 200, 3)
}

/// Where a payload begins that no extension precedes.
const PAYLOAD: usize = 12;

#[test]
fn what_encoders_make_is_decoded_whole() {
    for (seed, shape) in (0..).zip(shapes()) {
        let recording = Recording::new(shape, 120, seed);
        let frames = (0..recording.packets.len()).filter(|index| recording.stamp(*index).place == 0).count();
        let decoder = recording.play().unwrap_or_else(|fault| panic!("{shape:?}: {fault}"));
        assert_eq!((decoder.decoded(), decoder.frames().undecodable), (frames as u64, 0), "{shape:?}");
        assert!(decoder.frames().keys >= 1 && !decoder.wants_key_frame());
    }
}

#[test]
fn upper_layers_may_be_left_out() {
    for (seed, shape) in (0..).zip(shapes()) {
        let needs_ids = matches!(shape.codec, Codec::Vp8(_)) || shape.inter_layer == InterLayer::KeyPictures;
        if shape.temporal == 1 || needs_ids {
            continue;
        }
        let mut recording = Recording::new(shape, 120, seed);
        recording.leave_out(|stamp| stamp.temporal > 0);
        recording.play().unwrap_or_else(|fault| panic!("{shape:?}: {fault}"));
    }
}

#[test]
fn what_others_refer_to_may_not_be_left_out() {
    for (seed, shape) in (0..).zip(shapes()) {
        for temporal in 0..shape.temporal {
            let mut recording = Recording::new(shape, 120, seed);
            let Some(frame) = recording.referred_to(temporal) else { continue };
            recording.leave_out(|stamp| stamp.frame == frame);
            let fault = recording.refused();
            let is_found = ["refers to", "was not decoded", "after the one before", "does not fit"];
            assert!(is_found.iter().any(|text| fault.contains(text)), "{shape:?}: {fault}");
        }
    }
}

#[test]
fn what_was_lost_is_forgiven_until_a_key_frame() {
    for (seed, shape) in (0..).zip(shapes()) {
        let mut recording = Recording::new(shape, 160, seed);
        let Some(frame) = recording.referred_to(0) else { continue };
        let lost = recording.find(|stamp| stamp.frame == frame);
        recording.packets.remove(lost);
        let decoder = recording.play().unwrap_or_else(|fault| panic!("{shape:?}: {fault}"));
        assert!(decoder.frames().undecodable > 0, "{shape:?}");
        // With the same loss, and nothing said of it, it is refused.
        recording.renumber();
        recording.refused();
    }
}

#[test]
fn late_packets_are_waited_for() {
    for (seed, shape) in (0..).zip(shapes()) {
        let mut recording = Recording::new(shape, 120, seed);
        let count = recording.play().expect("as sent").decoded();
        for place in (3..recording.packets.len() - 3).step_by(7) {
            recording.packets.swap(place, place + 3);
        }
        let decoder = recording.play().unwrap_or_else(|fault| panic!("{shape:?}: {fault}"));
        assert_eq!(decoder.decoded(), count);
    }
}

#[test]
fn wrong_markers_are_refused() {
    for (seed, shape) in (0..).zip(shapes()) {
        let mut recording = Recording::new(shape, 120, seed);
        let has_marker = |packet: &(Time, Vec<u8>)| packet.1[1] & 0x80 != 0;
        let last = (60..recording.packets.len()).find(|index| has_marker(&recording.packets[*index]));
        let mut without = Recording { packets: recording.packets.clone(), ..recording };
        without.change(last.expect("a marker"), |bytes| bytes[1] &= 0x7f);
        without.refused();
        let inside = (60..recording.packets.len()).find(|index| !has_marker(&recording.packets[*index]));
        let Some(inside) = inside else { continue };
        recording.change(inside, |bytes| bytes[1] |= 0x80);
        recording.refused();
    }
}

#[test]
fn picture_ids_may_not_repeat_nor_skip() {
    for step in [-1_i8, 1] {
        let mut recording = vp8();
        let first = recording.find(|stamp| stamp.place == 0 && stamp.count == 1 && !stamp.is_key);
        recording.change(first, |bytes| bytes[PAYLOAD + 3] = bytes[PAYLOAD + 3].wrapping_add_signed(step));
        assert!(recording.refused().contains("picture id"));
    }
}

#[test]
fn base_indices_may_not_jump() {
    for step in [-1_i8, 1] {
        let mut recording = vp8();
        let first = recording.find(|stamp| stamp.place == 0 && stamp.temporal == 1);
        recording.change(first, |bytes| bytes[PAYLOAD + 4] = bytes[PAYLOAD + 4].wrapping_add_signed(step));
        assert!(recording.refused().contains("TL0PICIDX"));
    }
}

#[test]
fn a_picture_that_hides_what_it_refers_to_is_refused() {
    let mut recording = vp8();
    // Says that it refers to the base layer only; the middle layer's picture is lost.
    let is_middle = |frame: u32| {
        (0..recording.packets.len())
            .any(|at| recording.stamp(at).frame == frame && recording.stamp(at).temporal == 1)
    };
    let middle = |stamp: &Stamp| stamp.references.iter().flatten().copied().find(|frame| is_middle(*frame));
    let upper = recording.find(|stamp| stamp.place == 0 && stamp.temporal == 2 && middle(stamp).is_some());
    let lost = middle(&recording.stamp(upper));
    let lost = (0..recording.packets.len()).find(|at| Some(recording.stamp(*at).frame) == lost);
    recording.change(upper, |bytes| bytes[PAYLOAD + 5] |= 0x20);
    recording.packets.remove(lost.expect("it was sent"));
    assert!(recording.refused().contains("looks decodable"));
}

#[test]
fn packets_of_a_frame_keep_their_order_and_their_time() {
    let mut recording = vp8();
    let second = recording.find(|stamp| stamp.count > 2 && stamp.place == 1);
    recording.packets.swap(second, second + 1);
    recording.renumber();
    recording.refused();
    let mut recording = vp8();
    let second = recording.find(|stamp| stamp.count > 2 && stamp.place == 1);
    recording.change(second, |bytes| bytes[7] ^= 1);
    assert!(recording.refused().contains("timestamp"));
}

#[test]
fn timestamps_keep_to_the_truth() {
    let mut recording = vp8();
    let from = recording.find(|stamp| stamp.place == 0);
    for (_, bytes) in &mut recording.packets[from..] {
        let late = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]).wrapping_add(90 * 2_000);
        bytes[4..8].copy_from_slice(&late.to_be_bytes());
    }
    assert!(recording.refused().contains("off the truth"));
}

#[test]
fn numbers_and_packets_come_once() {
    let mut recording = vp8();
    let again = recording.packets[20].clone();
    recording.packets.insert(21, again);
    recording.renumber();
    recording.refused();
    let mut recording = vp8();
    let middle = recording.find(|stamp| stamp.place == 0);
    for (_, bytes) in &mut recording.packets[middle..] {
        let seq = u16::from_be_bytes([bytes[2], bytes[3]]).wrapping_add(2);
        bytes[2..4].copy_from_slice(&seq.to_be_bytes());
    }
    assert!(recording.refused().contains("numbers are missing"));
}

#[test]
fn damage_is_refused() {
    for (seed, shape) in (0..).zip(shapes()) {
        let mut recording = Recording::new(shape, 100, seed);
        let last = recording.packets.len() - 1;
        recording.change(last, |bytes| {
            let at = bytes.len() - Truth::BYTES - 2;
            bytes[at] ^= 1;
        });
        recording.refused();
    }
}

#[test]
fn more_than_was_preferred_is_refused() {
    let recording = vp8();
    let mut decoder = recording.decoder();
    decoder.prefer(Layers { spatial: 0, temporal: Some(2) });
    let mut faults = Vec::new();
    for (place, (at, bytes)) in recording.packets.iter().enumerate() {
        if place == 40 {
            decoder.prefer(Layers { spatial: 0, temporal: Some(1) });
        }
        faults.extend(decoder.take(*at, bytes).err());
    }
    assert!(faults.first().is_some_and(|fault| fault.contains("temporal layer 2")), "{faults:?}");
}

#[test]
fn a_decoder_asks_for_a_key_frame_when_it_cannot_go_on() {
    let mut rng = Rng::new(1);
    let shape = Shape::svc(Codec::H264 { is_described: false }, 1, 1, InterLayer::Never, &mut rng);
    let is_one_group = |recording: &Recording| {
        recording.packets.len() > 40 && (10..recording.packets.len()).all(|at| !recording.stamp(at).is_key)
    };
    let mut recordings = (0..).map(|seed| Recording::new(shape, 25, seed));
    let mut recording = recordings.find(is_one_group).expect("chance is fair");
    recording.packets.remove(10);
    let decoder = recording.play().expect("a loss is no fault");
    assert!(decoder.wants_key_frame());
}

#[test]
fn what_begins_without_a_key_frame_is_refused_only_where_nothing_is_missing() {
    for (seed, shape) in (0..).zip(shapes()) {
        let mut recording = Recording::new(shape, 60, seed);
        let second = (0..recording.packets.len()).find(|index| !recording.stamp(*index).is_key);
        recording.packets.drain(..second.expect("there are others"));
        let decoder = recording.play().unwrap_or_else(|fault| panic!("{shape:?}: {fault}"));
        let keys = (0..recording.packets.len()).filter(|index| recording.stamp(*index).is_key).count();
        assert!(decoder.decoded() == 0 || keys > 0);
    }
}
