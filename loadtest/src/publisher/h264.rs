//! A synthetic H.264 camera: parameter sets, key frames and difference frames of realistic size, cut
//! into RTP payloads by RFC 6184 packetization mode 1 (single NAL units, STAP-A, FU-A).

use super::encoder::{Encoder, FrameSize, LABEL_BYTES, Labels, Written, with_room};
use crate::rng::Rng;
use crate::scenario::Video;

const NAL_SLICE: u8 = 1;
const NAL_IDR: u8 = 5;
const NAL_SEI: u8 = 6;
const NAL_FILLER: u8 = 12;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// nal_ref_idc 3: every NAL unit here is needed by what follows.
const REFERENCE: u8 = 0x60;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

/// Constrained baseline, level 3.1, 1280x720: the sets an encoder of such a stream would send.
const SPS: [u8; 15] =
    [0x67, 0x42, 0xC0, 0x1F, 0xDA, 0x01, 0x40, 0x16, 0xEC, 0x04, 0x40, 0x7A, 0x82, 0x50, 0xA8];
const PPS: [u8; 5] = [0x68, 0xCE, 0x3C, 0x80, 0x11];
/// SEI user_data_unregistered begins with a UUID; ours marks the harness.
const SEI_UUID: [u8; 16] = *b"ringsoup-loadtst";
const SEI_USER_DATA_UNREGISTERED: u8 = 5;
const RBSP_TRAILING: u8 = 0x80;
/// NAL header, payload type, payload size, trailing bits.
const SEI_OVERHEAD: usize = 4;
const SEI_BYTES: usize = SEI_OVERHEAD + SEI_UUID.len() + LABEL_BYTES;
/// Each unit of a STAP-A is preceded by its size.
const SIZE_BYTES: usize = 2;
/// The shortest filler unit: size, NAL header, trailing bits.
const FILLER_UNIT_MIN: usize = SIZE_BYTES + 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// STAP-A of SPS, PPS and an SEI that carries the stamp; `bytes` long in total.
    Parameters { bytes: usize },
    /// One coded slice of `body` bytes after its NAL header.
    Slice { kind: u8, body: usize },
}

/// Where in the current frame the next packet is cut.
#[derive(Debug, Default)]
struct Cursor {
    unit: usize,
    offset: usize,
}

/// The camera's state.
#[derive(Debug)]
pub(crate) struct H264 {
    pub(crate) encoder: Encoder,
    units: Vec<Unit>,
    cursor: Cursor,
}

impl H264 {
    pub(crate) fn new(video: Video, labels: Labels, rng: Rng) -> Self {
        // Parameters and one slice: reserved so that no frame allocates.
        let units = Vec::with_capacity(2);
        Self { encoder: Encoder::new(video, labels, rng), units, cursor: Cursor::default() }
    }

    /// Plans the next frame, taken `elapsed_ns` after the stream's start, at `scale` times the
    /// configured rate. Returns how many packets it will be.
    pub(crate) fn start_frame(&mut self, elapsed_ns: u64, scale: f64) -> usize {
        let is_key = self.encoder.begin_frame(elapsed_ns);
        self.cursor = Cursor::default();
        self.units.clear();
        match self.encoder.frame_size(scale, is_key) {
            FrameSize::Packets(packets) => self.plan_full_packets(packets, is_key),
            FrameSize::Bytes(body) => self.plan_encoded(body, is_key),
        }
        let packets = self.packets_left();
        self.encoder.begin_layer((0, 0), [u32::from(!is_key), 0], packets);
        packets
    }

    /// Slice bytes of one FU-A packet: indicator and header come off.
    fn fragment_room(&self) -> usize {
        self.encoder.payload_room() - 2
    }

    fn plan_full_packets(&mut self, due: usize, key: bool) {
        let room = self.encoder.payload_room();
        let mut packets = due;
        // A key frame of one packet would have no room for its parameter sets: it stays a slice.
        if key && packets > 1 {
            self.units.push(Unit::Parameters { bytes: room });
            packets -= 1;
        }
        let body = if packets == 1 { room - 1 } else { packets * self.fragment_room() };
        self.units.push(Unit::Slice { kind: if key { NAL_IDR } else { NAL_SLICE }, body });
    }

    fn plan_encoded(&mut self, body: usize, key: bool) {
        if key {
            self.units.push(Unit::Parameters { bytes: 0 });
        }
        let body =
            if body < self.encoder.payload_room() { body } else { with_room(body, self.fragment_room()) };
        self.units.push(Unit::Slice { kind: if key { NAL_IDR } else { NAL_SLICE }, body });
    }

    /// Packets of the current frame still to be written.
    pub(crate) fn packets_left(&self) -> usize {
        let left = self.units.get(self.cursor.unit..).unwrap_or_default().iter().enumerate();
        left.map(|(index, unit)| match unit {
            Unit::Parameters { .. } => 1,
            Unit::Slice { body, .. } if *body < self.encoder.payload_room() => 1,
            Unit::Slice { body, .. } => {
                let offset = if index == 0 { self.cursor.offset } else { 0 };
                (body - offset).div_ceil(self.fragment_room())
            }
        })
        .sum()
    }

    /// Writes the frame's next packet, stamped with `now_ns`; `None` when the frame is finished.
    pub(crate) fn write_packet(&mut self, now_ns: u64, out: &mut [u8]) -> Option<Written> {
        let unit = *self.units.get(self.cursor.unit)?;
        let stamp = self.encoder.stamp(now_ns);
        let payload = out.get_mut(self.encoder.header_bytes()..self.encoder.packet_bytes())?;
        let payload_bytes = match unit {
            Unit::Parameters { bytes } => {
                self.cursor.unit += 1;
                write_parameters(bytes, |sei| self.encoder.label(stamp, sei), payload)
            }
            Unit::Slice { kind, body } if body < payload.len() => {
                self.cursor.unit += 1;
                payload[0] = REFERENCE | kind;
                self.encoder.write_body(0, stamp, &mut payload[1..=body]);
                1 + body
            }
            Unit::Slice { kind, body } => {
                let offset = self.cursor.offset;
                let length = (body - offset).min(payload.len() - 2);
                let end = offset + length == body;
                payload[0] = REFERENCE | FU_A;
                payload[1] = kind | if offset == 0 { FU_START } else { 0 } | if end { FU_END } else { 0 };
                self.encoder.write_body(offset, stamp, &mut payload[2..2 + length]);
                self.cursor = if end {
                    Cursor { unit: self.cursor.unit + 1, offset: 0 }
                } else {
                    Cursor { unit: self.cursor.unit, offset: offset + length }
                };
                2 + length
            }
        };
        let last_of_frame = self.cursor.unit == self.units.len();
        self.encoder.finish_packet(payload_bytes, last_of_frame, out)
    }
}

/// STAP-A of SPS, PPS and the stamped SEI, padded to `bytes`, where that is longer, by a filler unit.
fn write_parameters(bytes: usize, label: impl Fn(&mut [u8]), out: &mut [u8]) -> usize {
    let mut sei = [0; SEI_BYTES + FILLER_UNIT_MIN];
    let unpadded = 1 + [SPS.len(), PPS.len(), SEI_BYTES].iter().map(|unit| SIZE_BYTES + unit).sum::<usize>();
    let padding = bytes.min(out.len()).saturating_sub(unpadded);
    // What is too short for a unit of its own makes the SEI longer.
    let sei_bytes = SEI_BYTES + if padding < FILLER_UNIT_MIN { padding } else { 0 };
    write_sei(label, &mut sei[..sei_bytes]);
    out[0] = REFERENCE | STAP_A;
    let mut at = 1;
    for unit in [SPS.as_slice(), &PPS, &sei[..sei_bytes]] {
        out[at..at + SIZE_BYTES].copy_from_slice(&unit_size(unit.len()));
        out[at + SIZE_BYTES..at + SIZE_BYTES + unit.len()].copy_from_slice(unit);
        at += SIZE_BYTES + unit.len();
    }
    if padding >= FILLER_UNIT_MIN {
        let unit = &mut out[at..at + padding];
        unit[..SIZE_BYTES].copy_from_slice(&unit_size(padding - SIZE_BYTES));
        unit[SIZE_BYTES..].fill(0xFF);
        unit[SIZE_BYTES] = NAL_FILLER;
        unit[padding - 1] = RBSP_TRAILING;
        at += padding;
    }
    at
}

/// An SEI of one user_data_unregistered message that fills `unit`, which is shorter than 255 bytes.
fn write_sei(label: impl Fn(&mut [u8]), unit: &mut [u8]) {
    let last = unit.len() - 1;
    unit.fill(0xFF);
    unit[0] = NAL_SEI;
    unit[1] = SEI_USER_DATA_UNREGISTERED;
    unit[2] = u8::try_from(last - SEI_OVERHEAD + 1).unwrap_or(0);
    unit[3..3 + SEI_UUID.len()].copy_from_slice(&SEI_UUID);
    label(&mut unit[3 + SEI_UUID.len()..last]);
    unit[last] = RBSP_TRAILING;
}

fn unit_size(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
#[path = "h264_tests.rs"]
mod tests;
