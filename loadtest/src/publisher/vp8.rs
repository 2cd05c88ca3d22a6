//! A synthetic VP8 camera with temporal layers: frames of realistic size behind the payload descriptor of RFC 7741 4.2.
//!
//! ```text
//! layer 2    1       3       5       7     1 depends on 0 alone, 3 on 2
//! layer 1        2               6
//! layer 0  0               4               one TL0PICIDX each
//! ```

use super::encoder::{Encoder, FrameSize, LABEL_BYTES, Labels, Written, with_room};
use crate::rng::Rng;
use crate::scenario::Video;

/// X and what follows it: flags, the picture id in two bytes, TL0PICIDX, TID with Y.
const DESCRIPTOR_BYTES: usize = 6;
const EXTENDED: u8 = 0x80;
const NON_REFERENCE: u8 = 0x20;
const STARTS_PARTITION: u8 = 0x10;
/// I, L and T.
const FIELDS: u8 = 0xE0;
const WIDE_PICTURE_ID: u16 = 0x8000;
const LAYER_SYNC: u8 = 0x20;
/// RFC 7741 4.3: version 0, shown; P tells key frames (0) from others. RFC 6386 9.1: a key frame's start code and size follow.
const INTER_FRAME: u8 = 0x11;
const KEY_FRAME: u8 = 0x10;
/// 1280x720.
const KEY_FRAME_HEADER: [u8; 10] = [KEY_FRAME, 0, 0, 0x9D, 0x01, 0x2A, 0x00, 0x05, 0xD0, 0x02];

const TEMPORAL_LAYERS_MAX: usize = 3;
/// Temporal layers of the pictures from a key frame on, by how many there are, and whether they depend on layer 0 alone.
const PATTERNS: [&[(u8, bool)]; TEMPORAL_LAYERS_MAX] =
    [&[(0, false)], &[(0, false), (1, true)], &[(0, false), (2, true), (1, true), (2, false)]];

/// The camera's state.
#[derive(Debug)]
pub(crate) struct Vp8 {
    pub(crate) encoder: Encoder,
    pattern: &'static [(u8, bool)],
    /// Where in the pattern the current picture is.
    position: usize,
    picture_id: u16,
    tl0_picture_index: u8,
    is_key: bool,
    /// The number of the last frame of each temporal layer.
    last: [u32; TEMPORAL_LAYERS_MAX],
    body: usize,
    offset: usize,
}

impl Vp8 {
    pub(crate) fn new(video: Video, labels: Labels, rng: Rng) -> Self {
        let pattern = PATTERNS[usize::from(video.temporal_layers.clamp(1, 3)) - 1];
        let mut encoder = Encoder::new(video, labels, rng);
        let picture_id = encoder.rng.next_u16() & !WIDE_PICTURE_ID;
        let tl0_picture_index = encoder.rng.next_u16().to_le_bytes()[0];
        Self {
            encoder,
            pattern,
            position: 0,
            picture_id,
            tl0_picture_index,
            is_key: false,
            last: [0; TEMPORAL_LAYERS_MAX],
            body: 0,
            offset: 0,
        }
    }

    /// Plans the next frame, taken `elapsed_ns` after the stream's start, at `scale` times the
    /// configured rate. Returns how many packets it will be.
    pub(crate) fn start_frame(&mut self, elapsed_ns: u64, scale: f64) -> usize {
        self.is_key = self.encoder.begin_frame(elapsed_ns);
        self.position = if self.is_key { 0 } else { (self.position + 1) % self.pattern.len() };
        self.picture_id = self.picture_id.wrapping_add(1) & !WIDE_PICTURE_ID;
        if self.layer().0 == 0 {
            self.tl0_picture_index = self.tl0_picture_index.wrapping_add(1);
        }
        self.offset = 0;
        self.body = match self.encoder.frame_size(scale, self.is_key) {
            FrameSize::Packets(packets) => packets * self.room(),
            FrameSize::Bytes(bytes) => {
                with_room(bytes.max(KEY_FRAME_HEADER.len() + LABEL_BYTES), self.room())
            }
        };
        let packets = self.packets_left();
        self.mark(packets);
        packets
    }

    fn mark(&mut self, packets: usize) {
        let (layer, is_sync) = self.layer();
        let needed = if is_sync { 0 } else { usize::from(layer).saturating_sub(1) };
        let back = if self.is_key { 0 } else { self.encoder.distance_to(self.last[needed]) };
        self.last[usize::from(layer)] = self.encoder.begin_layer((0, layer), [back, 0], packets);
    }

    fn layer(&self) -> (u8, bool) {
        self.pattern[self.position]
    }

    /// Bytes of the bitstream in a full packet.
    const fn room(&self) -> usize {
        self.encoder.payload_room() - DESCRIPTOR_BYTES
    }

    /// Packets of the current frame still to be written.
    pub(crate) fn packets_left(&self) -> usize {
        (self.body - self.offset).div_ceil(self.room())
    }

    /// Writes the frame's next packet, stamped with `now_ns`; `None` when the frame is finished.
    pub(crate) fn write_packet(&mut self, now_ns: u64, out: &mut [u8]) -> Option<Written> {
        let length = (self.body - self.offset).min(self.room());
        if length == 0 {
            return None;
        }
        let payload = out.get_mut(self.encoder.header_bytes()..)?.get_mut(..DESCRIPTOR_BYTES + length)?;
        let (descriptor, bitstream) = payload.split_at_mut(DESCRIPTOR_BYTES);
        descriptor.copy_from_slice(&self.descriptor());
        let header: &[u8] = match (self.offset, self.is_key) {
            (0, true) => &KEY_FRAME_HEADER,
            (0, false) => &[INTER_FRAME],
            _ => &[],
        };
        let (front, body) = bitstream.split_at_mut_checked(header.len())?;
        front.copy_from_slice(header);
        self.encoder.write_body(self.offset, self.encoder.stamp(now_ns), body);
        self.offset += length;
        self.encoder.finish_packet(DESCRIPTOR_BYTES + length, self.offset == self.body, out)
    }

    fn descriptor(&self) -> [u8; DESCRIPTOR_BYTES] {
        let (layer, is_sync) = self.layer();
        // Nothing depends on the topmost of several layers.
        let is_top = self.pattern.len() > 1 && self.pattern.iter().all(|(other, _)| *other <= layer);
        let first = EXTENDED
            | if is_top && !self.is_key { NON_REFERENCE } else { 0 }
            | if self.offset == 0 { STARTS_PARTITION } else { 0 };
        let [high, low] = (self.picture_id | WIDE_PICTURE_ID).to_be_bytes();
        [first, FIELDS, high, low, self.tl0_picture_index, layer << 6 | if is_sync { LAYER_SYNC } else { 0 }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Kind;
    use crate::publisher::tests::video;
    use crate::rtp;
    use ringsoup_rtc::codec::vp8::Descriptor;

    fn camera(temporal_layers: u8) -> Vp8 {
        let video = Video { temporal_layers, ..video(Some(500.0), None) };
        Vp8::new(video, Labels { ssrc: 7, payload_type: 112, stream: 3, rid: None }, Rng::new(1))
    }

    /// The descriptors of `frames` frames, each checked for its packets.
    fn descriptors(camera: &mut Vp8, frames: u64) -> Vec<Descriptor> {
        let mut all = Vec::new();
        for index in 0..frames {
            let planned = camera.start_frame(index * 33_333_333, 1.0);
            let mut out = [0; 1400];
            let mut packets = 0;
            while let Some(written) = camera.write_packet(1_000 + index, &mut out) {
                let payload = rtp::parse(&out[..written.bytes]).unwrap().payload;
                let descriptor = Descriptor::parse(payload).unwrap();
                assert_eq!(descriptor.starts_partition, packets == 0);
                assert_eq!(written.last_of_frame, camera.packets_left() == 0);
                let starts_key = Kind::Vp8.begins_key_frame(payload);
                assert_eq!(starts_key, descriptor.is_key_frame(payload));
                assert_eq!(starts_key, packets == 0 && index % 60 == 0);
                let stamp = Kind::Vp8.stamp(payload).expect("each packet has room for its stamp");
                assert_eq!((stamp.stream, stamp.sent_at_ns), (3, 1_000 + index));
                let mark = Kind::Vp8.mark(payload).expect("and for its mark");
                assert_eq!((usize::from(mark.index), usize::from(mark.packets)), (packets, planned));
                assert_eq!(mark.is_key, index % 60 == 0);
                if packets == 0 {
                    all.push(descriptor);
                }
                packets += 1;
            }
            assert_eq!(packets, planned);
        }
        all
    }

    #[test]
    fn pictures_are_numbered_and_layered() {
        let all = descriptors(&mut camera(3), 130);
        let layers: Vec<u8> = all[..8].iter().map(|each| each.temporal_layer.unwrap()).collect();
        assert_eq!(layers, [0, 2, 1, 2, 0, 2, 1, 2]);
        for pair in all.windows(2) {
            let ids = [pair[0].picture_id.unwrap(), pair[1].picture_id.unwrap()];
            assert_eq!(ids[1], (ids[0] + 1) & 0x7FFF);
            let step = pair[1].tl0_picture_index.unwrap().wrapping_sub(pair[0].tl0_picture_index.unwrap());
            assert_eq!(step, u8::from(pair[1].temporal_layer == Some(0)));
        }
        let syncs: Vec<bool> = all[..4].iter().map(|each| each.is_layer_sync).collect();
        assert_eq!(syncs, [false, true, true, false]);
        assert!(all.iter().all(|each| each.is_non_reference == (each.temporal_layer == Some(2))));
    }

    #[test]
    fn one_layer_is_all_references() {
        let all = descriptors(&mut camera(1), 10);
        assert!(all.iter().all(|each| each.temporal_layer == Some(0) && !each.is_non_reference));
    }
}
