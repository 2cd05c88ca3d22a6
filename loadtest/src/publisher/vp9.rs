//! A synthetic VP9 camera, of one layer or of three spatial and three temporal ones: frames of realistic size behind the payload
//! descriptor of RFC 9628 section 4.2, non-flexible mode, whose pictures follow a pattern that key pictures tell.
//!
//! ```text
//! L3T3, a picture's layers:   key 0 ─► 1 ─► 2    other 0 ─► 1 ─► 2, each also from its own layer before
//! L3T3_KEY:                   key 0 ─► 1 ─► 2    other 0    1    2, each from its own layer before alone
//! temporal layers:            as VP8's: 0 2 1 2, where the second 2 needs the 1
//! ```

use super::encoder::{Encoder, FrameSize, LABEL_BYTES, Labels, Written, with_room};
use crate::rng::Rng;
use crate::scenario::{Svc, Video};

/// Flags, the picture id in two bytes, layer indices, TL0PICIDX.
const DESCRIPTOR_BYTES: usize = 5;
const PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const LAYER_INDICES: u8 = 0x20;
const BEGINS_FRAME: u8 = 0x08;
const ENDS_FRAME: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;
/// Z: no picture's upper layer refers to this frame.
const NO_UPPER_REFERENCE: u8 = 0x01;
const WIDE_PICTURE_ID: u16 = 0x8000;
/// U: all above may begin here.
const SWITCHING_UP_POINT: u8 = 0x10;
/// D: this frame needs the layer below.
const INTER_LAYER: u8 = 0x01;
const LAYERS_MAX: usize = 3;
/// The scalability structure: N_S, Y, G; a size for each spatial layer; the pictures of the pattern, two bytes each.
const SIZES: [[u16; 2]; LAYERS_MAX] = [[320, 180], [640, 360], [1280, 720]];
const STRUCTURE_BYTES_MAX: usize = 1 + 4 * LAYERS_MAX + 1 + 2 * 4;
/// What each layer takes of the whole rate: about what 320x180, 640x360 and 1280x720 need.
const SHARES: [f64; LAYERS_MAX] = [0.1, 0.25, 0.65];

/// Temporal layers of the pictures from a key picture on, and how far back the picture is that each refers to.
const PATTERN: [(u8, u8); 4] = [(0, 4), (2, 1), (1, 2), (2, 1)];
const ONE_LAYER: [(u8, u8); 1] = [(0, 1)];

/// The camera's state.
#[derive(Debug)]
pub(crate) struct Vp9 {
    pub(crate) encoder: Encoder,
    svc: Option<Svc>,
    pattern: &'static [(u8, u8)],
    /// Where in the pattern the current picture is.
    position: usize,
    picture_id: u16,
    tl0_picture_index: u8,
    is_key: bool,
    /// Bytes of each of the picture's layers.
    bodies: Vec<usize>,
    /// The layer that is written, and how much of it has been.
    layer: usize,
    offset: usize,
    /// The number of the last frame of each spatial and temporal layer.
    last: [[u32; LAYERS_MAX]; LAYERS_MAX],
}

impl Vp9 {
    pub(crate) fn new(video: Video, labels: Labels, rng: Rng) -> Self {
        let svc = video.svc;
        let mut encoder = Encoder::new(video, labels, rng);
        let picture_id = encoder.rng.next_u16() & !WIDE_PICTURE_ID;
        let tl0_picture_index = encoder.rng.next_u16().to_le_bytes()[0];
        Self {
            encoder,
            svc,
            pattern: if svc.is_some() { &PATTERN } else { &ONE_LAYER },
            position: 0,
            picture_id,
            tl0_picture_index,
            is_key: false,
            bodies: Vec::with_capacity(LAYERS_MAX),
            layer: 0,
            offset: 0,
            last: <[[u32; LAYERS_MAX]; LAYERS_MAX]>::default(),
        }
    }

    /// Plans the next picture, taken `elapsed_ns` after the stream's start, at `scale` times the
    /// configured rate. Returns how many packets it will be.
    pub(crate) fn start_frame(&mut self, elapsed_ns: u64, scale: f64) -> usize {
        self.is_key = self.encoder.begin_frame(elapsed_ns);
        self.position = if self.is_key { 0 } else { (self.position + 1) % self.pattern.len() };
        self.picture_id = self.picture_id.wrapping_add(1) & !WIDE_PICTURE_ID;
        if self.temporal() == 0 {
            self.tl0_picture_index = self.tl0_picture_index.wrapping_add(1);
        }
        let size = self.encoder.frame_size(scale, self.is_key);
        self.bodies.clear();
        let room = self.room();
        match (size, self.svc) {
            (FrameSize::Packets(packets), _) => self.bodies.push(packets * room),
            (FrameSize::Bytes(bytes), None) => self.bodies.push(with_room(bytes, room)),
            (FrameSize::Bytes(bytes), Some(_)) => {
                let bodies = SHARES.map(|share| with_room(part(bytes, share).max(LABEL_BYTES), room));
                self.bodies.extend(bodies);
            }
        }
        self.begin_layer(0);
        self.packets_left()
    }

    const fn temporal(&self) -> u8 {
        self.pattern[self.position].0
    }

    /// Bytes of the bitstream in a full packet: each could carry the structure.
    const fn room(&self) -> usize {
        self.encoder.payload_room() - DESCRIPTOR_BYTES - STRUCTURE_BYTES_MAX
    }

    /// Whether frames of spatial layer `layer` need the one below.
    fn is_inter_layer(&self, layer: usize) -> bool {
        layer > 0 && (self.is_key || self.svc == Some(Svc::L3T3))
    }

    fn begin_layer(&mut self, layer: usize) {
        (self.layer, self.offset) = (layer, 0);
        let Some(body) = self.bodies.get(layer) else { return };
        let (packets, temporal) = (body.div_ceil(self.room()), usize::from(self.temporal()));
        let below = u32::from(self.is_inter_layer(layer));
        // As the pattern says: the second picture of layer 2 needs the 1 before it, all others the last of layer 0.
        let needed = if temporal == 2 && self.position == 3 { 1 } else { 0 };
        let before = if self.is_key { 0 } else { self.encoder.distance_to(self.last[layer][needed]) };
        #[allow(clippy::cast_possible_truncation, reason = "one of three")]
        let layers = (layer as u8, self.temporal());
        self.last[layer][temporal] = self.encoder.begin_layer(layers, [below, before], packets);
    }

    /// Packets of the current picture still to be written.
    pub(crate) fn packets_left(&self) -> usize {
        let left = self.bodies.iter().enumerate().skip(self.layer);
        left.map(|(layer, body)| {
            let written = if layer == self.layer { self.offset } else { 0 };
            (body - written).div_ceil(self.room())
        })
        .sum()
    }

    /// Writes the picture's next packet, stamped with `now_ns`; `None` when the picture is finished.
    pub(crate) fn write_packet(&mut self, now_ns: u64, out: &mut [u8]) -> Option<Written> {
        let body = *self.bodies.get(self.layer)?;
        let length = (body - self.offset).min(self.room());
        let ends_frame = self.offset + length == body;
        let payload = out.get_mut(self.encoder.header_bytes()..)?;
        let descriptor_bytes = self.write_descriptor(ends_frame, payload)?;
        let bitstream = payload.get_mut(descriptor_bytes..descriptor_bytes + length)?;
        self.encoder.write_body(self.offset, self.encoder.stamp(now_ns), bitstream);
        let ends_picture = ends_frame && self.layer + 1 == self.bodies.len();
        let written = self.encoder.finish_packet(descriptor_bytes + length, ends_picture, out)?;
        self.offset += length;
        if ends_frame {
            self.begin_layer(self.layer + 1);
        }
        Some(written)
    }

    fn write_descriptor(&self, ends_frame: bool, out: &mut [u8]) -> Option<usize> {
        let begins_frame = self.offset == 0;
        let has_structure = self.is_key && self.layer == 0 && begins_frame;
        let is_top = self.layer + 1 == self.bodies.len();
        let has_no_upper = is_top || !self.is_inter_layer(self.layer + 1);
        let flag = |condition: bool, flag: u8| if condition { flag } else { 0 };
        let [high, low] = (self.picture_id | WIDE_PICTURE_ID).to_be_bytes();
        #[allow(clippy::cast_possible_truncation, reason = "one of three")]
        let spatial = self.layer as u8;
        let inter_layer = flag(self.is_inter_layer(self.layer), INTER_LAYER);
        let descriptor = [
            PICTURE_ID
                | LAYER_INDICES
                | flag(!self.is_key, INTER_PREDICTED)
                | flag(begins_frame, BEGINS_FRAME)
                | flag(ends_frame, ENDS_FRAME)
                | flag(has_structure, HAS_STRUCTURE)
                | flag(has_no_upper, NO_UPPER_REFERENCE),
            high,
            low,
            self.temporal() << 5 | SWITCHING_UP_POINT | spatial << 1 | inter_layer,
            self.tl0_picture_index,
        ];
        out.get_mut(..DESCRIPTOR_BYTES)?.copy_from_slice(&descriptor);
        let structure =
            if has_structure { self.write_structure(out.get_mut(DESCRIPTOR_BYTES..)?)? } else { 0 };
        Some(DESCRIPTOR_BYTES + structure)
    }

    /// Sizes and pattern.
    fn write_structure(&self, out: &mut [u8]) -> Option<usize> {
        const HAS_SIZES_AND_PATTERN: u8 = 0x18;
        let layers = self.bodies.len();
        let sizes = SIZES.get(LAYERS_MAX - layers..)?.iter().flatten().flat_map(|size| size.to_be_bytes());
        #[allow(clippy::cast_possible_truncation, reason = "three layers, four pictures")]
        let (above, pictures) = (layers as u8 - 1, self.pattern.len() as u8);
        let described = self
            .pattern
            .iter()
            .flat_map(|(temporal, back)| [temporal << 5 | SWITCHING_UP_POINT | 1 << 2, *back]);
        let bytes =
            [above << 5 | HAS_SIZES_AND_PATTERN].into_iter().chain(sizes).chain([pictures]).chain(described);
        let mut written = 0;
        for (byte, out) in bytes.zip(out) {
            *out = byte;
            written += 1;
        }
        Some(written)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "bytes of a frame"
)]
fn part(bytes: usize, share: f64) -> usize {
    (bytes as f64 * share) as usize
}

#[cfg(test)]
#[path = "vp9_tests.rs"]
mod tests;
