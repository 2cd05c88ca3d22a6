//! What the camera sends, read by the worker's own parser, and its frames as a decoder needs them.

use super::*;
use crate::mark::Mark;
use crate::payload::Kind;
use crate::publisher::tests::video;
use crate::rtp;
use ringsoup_rtc::codec::vp9::Descriptor;

fn camera(svc: Option<Svc>) -> Vp9 {
    let video = Video { svc, ..video(Some(2_000.0), None) };
    Vp9::new(video, Labels { ssrc: 7, payload_type: 112, stream: 3, rid: None }, Rng::new(1))
}

/// First packets of the layer frames of `pictures` pictures, each packet checked for its place.
fn frames(camera: &mut Vp9, pictures: u64) -> Vec<(Descriptor, Mark)> {
    let mut all = Vec::new();
    for index in 0..pictures {
        let planned = camera.start_frame(index * 33_333_333, 1.0);
        let mut out = [0; 1400];
        let mut packets = 0;
        while let Some(written) = camera.write_packet(1_000 + index, &mut out) {
            let view = rtp::parse(&out[..written.bytes]).unwrap();
            let descriptor = Descriptor::parse(view.payload).unwrap();
            let mark = Kind::Vp9.mark(view.payload).expect("each packet has room for its mark");
            assert_eq!(descriptor.starts_frame, mark.index == 0);
            assert_eq!(descriptor.ends_frame, mark.index + 1 == mark.packets);
            assert_eq!(descriptor.has_scalability_structure, descriptor.is_key_frame());
            assert_eq!(Kind::Vp9.begins_key_frame(view.payload), descriptor.is_key_frame());
            let layers = descriptor.layers.unwrap();
            assert_eq!((layers.spatial, layers.temporal), (mark.spatial, mark.temporal));
            assert_eq!(layers.has_inter_layer_dependency, mark.references[0] > 0);
            assert_eq!(descriptor.is_inter_picture, mark.references[1] > 0);
            let stamp = Kind::Vp9.stamp(view.payload).unwrap();
            assert_eq!((stamp.stream, stamp.sent_at_ns), (3, 1_000 + index));
            if mark.index == 0 {
                all.push((descriptor, mark));
            }
            packets += 1;
            assert_eq!(view.marker, packets == planned, "the marker ends the picture");
            assert_eq!(written.last_of_frame, packets == planned);
        }
        assert_eq!(packets, planned);
    }
    all
}

#[test]
fn a_picture_is_a_frame_of_each_spatial_layer() {
    for svc in [Svc::L3T3, Svc::L3T3Key] {
        let all = frames(&mut camera(Some(svc)), 130);
        assert_eq!(all.len(), 3 * 130);
        let temporal: Vec<u8> = all.iter().step_by(3).take(8).map(|(_, mark)| mark.temporal).collect();
        assert_eq!(temporal, [0, 2, 1, 2, 0, 2, 1, 2]);
        for (index, picture) in all.chunks(3).enumerate() {
            let spatial: Vec<u8> = picture.iter().map(|(_, mark)| mark.spatial).collect();
            assert_eq!(spatial, [0, 1, 2]);
            let ids: Vec<u16> = picture.iter().map(|(each, _)| each.picture_id.unwrap()).collect();
            assert!(ids.iter().all(|id| *id == ids[0]));
            let is_key = index % 60 == 0;
            let needs_below = [false, is_key || svc == Svc::L3T3, is_key || svc == Svc::L3T3];
            assert_eq!(
                picture.iter().map(|(_, mark)| mark.references[0] > 0).collect::<Vec<_>>(),
                needs_below
            );
        }
        for pair in all.chunks(3).collect::<Vec<_>>().windows(2) {
            let [(one, _), (other, mark)] = [pair[0][0], pair[1][0]];
            assert_eq!(other.picture_id.unwrap(), (one.picture_id.unwrap() + 1) & 0x7FFF);
            let step = other.tl0_picture_index.unwrap().wrapping_sub(one.tl0_picture_index.unwrap());
            assert_eq!(step, u8::from(mark.temporal == 0));
        }
    }
}

#[test]
fn frames_need_only_what_lower_layers_have() {
    for svc in [Svc::L3T3, Svc::L3T3Key] {
        let all = frames(&mut camera(Some(svc)), 130);
        for (_, mark) in &all {
            for distance in mark.references.into_iter().filter(|distance| *distance > 0) {
                let needed = mark.number - u32::from(distance);
                let (_, needed) = all.iter().find(|(_, other)| other.number == needed).expect("it was sent");
                assert!(needed.spatial <= mark.spatial && needed.temporal <= mark.temporal);
            }
        }
    }
}

#[test]
fn one_layer_needs_the_picture_before() {
    let all = frames(&mut camera(None), 70);
    assert_eq!(all.len(), 70);
    let keys = all.iter().map(|(_, mark)| mark.references == [0, 0]);
    assert_eq!(keys.filter(|is_key| *is_key).count(), 2);
    assert!(all.iter().all(|(_, mark)| mark.references[1] <= 1 && mark.spatial == 0));
}

#[test]
fn a_rate_is_that_of_all_layers() {
    let mut camera = camera(Some(Svc::L3T3));
    let (mut bytes, mut out) = (0, [0; 1400]);
    for index in 0..600 {
        camera.start_frame(index * 33_333_333, 1.0);
        while let Some(written) = camera.write_packet(index, &mut out) {
            bytes += written.bytes;
        }
    }
    let kbps = f64::from(u32::try_from(bytes).unwrap()) * 8.0 / 20.0 / 1000.0;
    assert!((1_900.0..2_250.0).contains(&kbps), "{kbps}");
}
