//! What payloads and dependency descriptors say, and what is written instead: a stream of them, as one sender sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringsoup_rtc::codec::dependency_descriptor::{
    REWRITTEN_BYTES_MAX, Reader, SPATIAL_LAYERS_MAX, TEMPORAL_LAYERS_MAX,
};
use ringsoup_rtc::codec::{Codec, Descriptor, Kept, vp8};

/// Bytes of a packet's payload or descriptor at most: the length is told in a byte.
type Packets<'a> = &'a [u8];

fuzz_target!(|packets: Packets<'_>| {
    let mut pictures = vp8::PictureIds::default();
    let mut reader = Reader::default();
    let mut rest = packets;
    // A length, what follows of its bytes, and a number out of order now and then.
    for seq in 100_u64.. {
        let Some((&len, after)) = rest.split_first() else { break };
        let (packet, after) = after.split_at(after.len().min(len.into()));
        rest = after;
        let is_late = len & 7 == 0;
        read_vp8(&mut pictures, packet);
        read_dependency(&mut reader, if is_late { seq - 5 } else { seq }, packet, is_late);
        for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            let descriptor = codec.describe(packet);
            let again = codec.describe_again(packet, descriptor.kept());
            assert_eq!(again, descriptor);
            assert!(descriptor.spatial_layer() < 8 && descriptor.temporal_layer() < 8);
            let _ = codec.is_key_frame(packet);
        }
    }
});

/// A picture with other numbers is the same picture.
fn read_vp8(pictures: &mut vp8::PictureIds, payload: &[u8]) {
    let Some(read) = vp8::Descriptor::parse(payload) else { return };
    let mut picture = read;
    pictures.widen(&mut picture);
    assert_eq!(picture.picture_id.map(|id| id & 0x7f), read.picture_id.map(|id| id & 0x7f));
    let kept = Descriptor::Vp8(picture).kept();
    assert_eq!(Codec::Vp8.describe_again(payload, kept), Descriptor::Vp8(picture));
    let Some((bytes, len)) = picture.renumbered(payload, 0x1234, 0x56) else { return };
    let rewritten = [&bytes[..len], &payload[picture.len..]].concat();
    let expected = vp8::Descriptor {
        picture_id: Some(0x1234),
        has_wide_picture_id: true,
        tl0_picture_index: picture.tl0_picture_index.map(|_| 0x56),
        len,
        ..picture
    };
    assert_eq!(vp8::Descriptor::parse(&rewritten), Some(expected));
    assert_eq!(vp8::is_key_frame(&rewritten), vp8::is_key_frame(payload));
    assert_eq!(Descriptor::Vp8(expected).kept(), Kept::Nothing);
}

/// A frame of which a receiver is told which decode targets are alive is the same frame, and telling it twice changes nothing.
/// What is late may be of an older structure, whose targets are others: it is told what it was told in its time.
fn read_dependency(reader: &mut Reader, seq: u64, value: &[u8], is_late: bool) {
    let frame = reader.read(seq, value);
    if let Some(frame) = &frame {
        assert!(frame.spatial < SPATIAL_LAYERS_MAX && frame.temporal < TEMPORAL_LAYERS_MAX);
        assert_eq!(frame.kept().is_for_higher, frame.is_for_higher());
    }
    let Some(targets) = reader.targets() else { return };
    for (spatial, temporal, stands_alone) in [(0, 0, false), (0, 1, true), (1, 2, false), (3, 7, false)] {
        let active = targets.within(spatial, temporal, stands_alone);
        let mut rewritten = [0xff; REWRITTEN_BYTES_MAX];
        let Some(len) = active.rewrite(value, &mut rewritten) else { continue };
        let rewritten = &rewritten[..len];
        // What could not be read for want of room may be, once zeros fill it: only what was read is compared.
        if frame.is_some() && !is_late {
            assert_eq!(reader.clone().read(seq, rewritten), frame);
        }
        let mut twice = [0; REWRITTEN_BYTES_MAX];
        if let Some(len) = active.rewrite(rewritten, &mut twice) {
            assert_eq!(&twice[..len], rewritten);
        }
    }
}
