//! A synthetic H.264 camera: parameter sets, key frames and difference frames of realistic size, cut
//! into RTP payloads by RFC 6184 packetization mode 1 (single NAL units, STAP-A, FU-A).

use crate::rng::Rng;
use crate::rtp::{FIXED_HEADER_BYTES, Header};
use crate::scenario::Video;
use crate::stamp::{STAMP_BYTES, Stamp};

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
const SEI_BYTES: usize = SEI_OVERHEAD + SEI_UUID.len() + STAMP_BYTES;
/// Each unit of a STAP-A is preceded by its size.
const SIZE_BYTES: usize = 2;
/// The shortest filler unit: size, NAL header, trailing bits.
const FILLER_UNIT_MIN: usize = SIZE_BYTES + 2;

/// Clock of video timestamps, RFC 6184 8.2.1.
const CLOCK_HZ: u64 = 90_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Random bytes the slices are cut from; none of them is zero, so no start code can form.
const FILLER_BYTES: usize = 16_384;
/// Difference frames vary by a quarter around their mean.
const SIZE_SPREAD: f64 = 0.25;
/// Longest frame planned, in bytes: bounds what a scaled-up rate may ask for.
const FRAME_BYTES_MAX: f64 = 8e6;

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
    video: Video,
    pub(crate) ssrc: u32,
    payload_type: u8,
    stream: u32,
    sequence: u16,
    timestamp_base: u32,
    timestamp: u32,
    frames_to_key: u32,
    key_wanted: bool,
    packet_debt: f64,
    units: Vec<Unit>,
    cursor: Cursor,
    filler: Vec<u8>,
    rng: Rng,
    pub(crate) key_frames: u64,
    pub(crate) frames: u64,
}

/// One packet written by [`H264::write_packet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: usize,
    pub(crate) sequence: u16,
    pub(crate) last_of_frame: bool,
}

impl H264 {
    pub(crate) fn new(video: Video, ssrc: u32, payload_type: u8, stream: u32, mut rng: Rng) -> Self {
        let filler = (0..FILLER_BYTES).map(|_| rng.next_u32().to_le_bytes()[0] | 1).collect();
        Self {
            video,
            ssrc,
            payload_type,
            stream,
            sequence: rng.next_u16(),
            timestamp_base: rng.next_u32(),
            timestamp: 0,
            frames_to_key: 0,
            key_wanted: true,
            packet_debt: 0.0,
            // Parameters and one slice: reserved so that no frame allocates.
            units: Vec::with_capacity(2),
            cursor: Cursor::default(),
            filler,
            rng,
            key_frames: 0,
            frames: 0,
        }
    }

    /// The next frame will be a key frame.
    pub(crate) fn request_key_frame(&mut self) {
        self.key_wanted = true;
    }

    /// Plans the next frame, taken `elapsed_ns` after the stream's start, at `scale` times the
    /// configured rate. Returns how many packets it will be.
    pub(crate) fn start_frame(&mut self, elapsed_ns: u64, scale: f64) -> usize {
        self.timestamp = self.timestamp_at(elapsed_ns);
        let key = self.key_wanted || self.frames_to_key == 0;
        if key {
            self.key_wanted = false;
            self.frames_to_key = self.video.gop_frames;
            self.key_frames += 1;
        }
        self.frames_to_key -= 1;
        self.frames += 1;
        self.cursor = Cursor::default();
        self.units.clear();
        match self.video.packets_per_second {
            Some(rate) => self.plan_full_packets(rate * scale, key),
            None => self.plan_encoded(self.video.bitrate_kbps.unwrap_or(0.0) * scale, key),
        }
        self.packets_left()
    }

    /// RTP time of a moment, for frames and for sender reports.
    pub(crate) fn timestamp_at(&self, elapsed_ns: u64) -> u32 {
        let ticks = u128::from(elapsed_ns) * u128::from(CLOCK_HZ) / u128::from(NANOS_PER_SECOND);
        #[allow(clippy::cast_possible_truncation, reason = "RTP time wraps at 32 bits")]
        let ticks = ticks as u32;
        self.timestamp_base.wrapping_add(ticks)
    }

    /// Payload bytes of a full packet.
    fn payload_room(&self) -> usize {
        self.video.packet_bytes - FIXED_HEADER_BYTES
    }

    /// Slice bytes of one FU-A packet: indicator and header come off.
    fn fragment_room(&self) -> usize {
        self.payload_room() - 2
    }

    /// Every packet full: `rate` packets a second in whole packets per frame, the rest carried over.
    fn plan_full_packets(&mut self, rate: f64, key: bool) {
        self.packet_debt += rate / self.video.fps;
        let due = whole(self.packet_debt).max(1);
        #[allow(clippy::cast_precision_loss, reason = "packets per frame are far below 2^52")]
        let paid = due as f64;
        self.packet_debt -= paid;
        let mut packets = due;
        // A key frame of one packet would have no room for its parameter sets: it stays a slice.
        if key && packets > 1 {
            self.units.push(Unit::Parameters { bytes: self.payload_room() });
            packets -= 1;
        }
        let body = if packets == 1 { self.payload_room() - 1 } else { packets * self.fragment_room() };
        self.units.push(Unit::Slice { kind: if key { NAL_IDR } else { NAL_SLICE }, body });
    }

    /// Frames as an encoder makes them: difference frames around a mean, key frames a factor bigger,
    /// so that a whole group of pictures has the configured rate.
    fn plan_encoded(&mut self, bitrate_kbps: f64, key: bool) {
        const BITS_PER_KBIT: f64 = 1000.0;
        let mean = bitrate_kbps * BITS_PER_KBIT / 8.0 / self.video.fps;
        let group = f64::from(self.video.gop_frames);
        let difference = mean * group / (group - 1.0 + self.video.key_frame_factor);
        let varied = difference * self.rng.between(1.0 - SIZE_SPREAD, 1.0 + SIZE_SPREAD);
        let size = if key { varied * self.video.key_frame_factor } else { varied };
        let body = whole(size.min(FRAME_BYTES_MAX)).max(STAMP_BYTES);
        if key {
            self.units.push(Unit::Parameters { bytes: 0 });
        }
        self.units.push(Unit::Slice { kind: if key { NAL_IDR } else { NAL_SLICE }, body });
    }

    /// Packets of the current frame still to be written.
    pub(crate) fn packets_left(&self) -> usize {
        let left = self.units.get(self.cursor.unit..).unwrap_or_default().iter().enumerate();
        left.map(|(index, unit)| match unit {
            Unit::Parameters { .. } => 1,
            Unit::Slice { body, .. } if *body < self.payload_room() => 1,
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
        let stamp = Stamp { stream: self.stream, sent_at_ns: now_ns };
        let payload = out.get_mut(FIXED_HEADER_BYTES..self.video.packet_bytes)?;
        let payload_bytes = match unit {
            Unit::Parameters { bytes } => {
                self.cursor.unit += 1;
                write_parameters(bytes, stamp, payload)
            }
            Unit::Slice { kind, body } if body < payload.len() => {
                self.cursor.unit += 1;
                payload[0] = REFERENCE | kind;
                self.write_body(0, stamp, &mut payload[1..=body]);
                1 + body
            }
            Unit::Slice { kind, body } => {
                let offset = self.cursor.offset;
                let length = (body - offset).min(payload.len() - 2);
                let end = offset + length == body;
                payload[0] = REFERENCE | FU_A;
                payload[1] = kind | if offset == 0 { FU_START } else { 0 } | if end { FU_END } else { 0 };
                self.write_body(offset, stamp, &mut payload[2..2 + length]);
                self.cursor = if end {
                    Cursor { unit: self.cursor.unit + 1, offset: 0 }
                } else {
                    Cursor { unit: self.cursor.unit, offset: offset + length }
                };
                2 + length
            }
        };
        let last_of_frame = self.cursor.unit == self.units.len();
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let header = Header {
            payload_type: self.payload_type,
            marker: last_of_frame,
            sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        header.write(&[], out)?;
        Some(Written { bytes: FIXED_HEADER_BYTES + payload_bytes, sequence, last_of_frame })
    }

    fn write_body(&self, offset: usize, stamp: Stamp, out: &mut [u8]) {
        let mut at = offset % self.filler.len();
        let mut rest = &mut *out;
        while !rest.is_empty() {
            let length = rest.len().min(self.filler.len() - at);
            let (front, back) = rest.split_at_mut(length);
            front.copy_from_slice(&self.filler[at..at + length]);
            rest = back;
            at = 0;
        }
        // A last fragment shorter than a stamp goes without one.
        stamp.write(out);
    }
}

/// Whole units of a rate; rates here are positive and bounded by the scenario's limits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and far below 2^52")]
fn whole(value: f64) -> usize {
    value.max(0.0) as usize
}

/// STAP-A of SPS, PPS and the stamped SEI, padded to `bytes`, where that is longer, by a filler unit.
fn write_parameters(bytes: usize, stamp: Stamp, out: &mut [u8]) -> usize {
    let mut sei = [0; SEI_BYTES + FILLER_UNIT_MIN];
    let unpadded = 1 + [SPS.len(), PPS.len(), SEI_BYTES].iter().map(|unit| SIZE_BYTES + unit).sum::<usize>();
    let padding = bytes.min(out.len()).saturating_sub(unpadded);
    // What is too short for a unit of its own makes the SEI longer.
    let sei_bytes = SEI_BYTES + if padding < FILLER_UNIT_MIN { padding } else { 0 };
    write_sei(stamp, &mut sei[..sei_bytes]);
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
fn write_sei(stamp: Stamp, unit: &mut [u8]) {
    let last = unit.len() - 1;
    unit.fill(0xFF);
    unit[0] = NAL_SEI;
    unit[1] = SEI_USER_DATA_UNREGISTERED;
    unit[2] = u8::try_from(last - SEI_OVERHEAD + 1).unwrap_or(0);
    unit[3..3 + SEI_UUID.len()].copy_from_slice(&SEI_UUID);
    stamp.write(&mut unit[3 + SEI_UUID.len()..last]);
    unit[last] = RBSP_TRAILING;
}

fn unit_size(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
#[path = "h264_tests.rs"]
mod tests;
