//! What cameras of every codec share: when key frames come, how large frames are, and the numbers of their packets.

use super::naming::Rid;
use crate::mark::{MARK_BYTES, Mark, NUMBERS, REFERENCES};
use crate::rng::Rng;
use crate::rtp::Header;
use crate::scenario::Video;
use crate::stamp::{STAMP_BYTES, Stamp};

/// Clock of video timestamps (RFC 6184 8.2.1, RFC 7741 6.1).
const CLOCK_HZ: u64 = 90_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Random bytes the frames are cut from; none of them is zero, so no H.264 start code can form.
const FILLER_BYTES: usize = 16_384;
/// Difference frames vary by a quarter around their mean.
const SIZE_SPREAD: f64 = 0.25;
/// Longest frame planned, in bytes: bounds what a scaled-up rate may ask for.
const FRAME_BYTES_MAX: f64 = 8e6;
/// What each packet has room for: who sent it and when, and which part of which frame it is.
pub(super) const LABEL_BYTES: usize = STAMP_BYTES + MARK_BYTES;

/// What a camera's packets are named by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labels {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    /// In the stamps.
    pub(crate) stream: u32,
    /// Where its SSRC is nobody's to know.
    pub(crate) rid: Option<Rid>,
}

/// How much the next frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameSize {
    Bytes(usize),
    /// So many full packets.
    Packets(usize),
}

/// One packet a camera wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: usize,
    pub(crate) sequence: u16,
    pub(crate) last_of_frame: bool,
}

/// The state of an encoder.
#[derive(Debug)]
pub(crate) struct Encoder {
    video: Video,
    labels: Labels,
    header_bytes: usize,
    sequence: u16,
    timestamp_base: u32,
    timestamp: u32,
    frames_to_key: u32,
    key_wanted: bool,
    packet_debt: f64,
    mark: Mark,
    filler: Vec<u8>,
    pub(super) rng: Rng,
    pub(crate) key_frames: u64,
    pub(crate) frames: u64,
}

impl Encoder {
    pub(super) fn new(video: Video, labels: Labels, mut rng: Rng) -> Self {
        let filler = (0..FILLER_BYTES).map(|_| rng.next_u32().to_le_bytes()[0] | 1).collect();
        Self {
            header_bytes: header_bytes(&labels),
            video,
            labels,
            sequence: rng.next_u16(),
            timestamp_base: rng.next_u32(),
            timestamp: 0,
            frames_to_key: 0,
            key_wanted: true,
            packet_debt: 0.0,
            mark: Mark::default(),
            filler,
            rng,
            key_frames: 0,
            frames: 0,
        }
    }

    pub(crate) const fn ssrc(&self) -> u32 {
        self.labels.ssrc
    }

    /// The next frame will be a key frame.
    pub(crate) fn request_key_frame(&mut self) {
        self.key_wanted = true;
    }

    /// Begins the next frame, taken `elapsed_ns` after the stream's start; whether it is a key frame.
    pub(super) fn begin_frame(&mut self, elapsed_ns: u64) -> bool {
        self.timestamp = self.timestamp_at(elapsed_ns);
        let is_key = self.key_wanted || self.frames_to_key == 0;
        if is_key {
            self.key_wanted = false;
            self.frames_to_key = self.video.gop_frames;
            self.key_frames += 1;
        }
        self.frames_to_key -= 1;
        self.frames += 1;
        self.mark.is_key = is_key;
        is_key
    }

    /// Begins a frame of the picture, of as many packets, in a layer of either kind; it needs the frames at these distances.
    /// Returns its number.
    pub(super) fn begin_layer(
        &mut self,
        (spatial, temporal): (u8, u8),
        references: [u32; REFERENCES],
        packets: usize,
    ) -> u32 {
        self.mark.number = (self.mark.number + 1) % NUMBERS;
        let number = self.mark.number;
        let distance = |reference: u32| u8::try_from(reference).unwrap_or(0);
        self.mark = Mark {
            index: 0,
            packets: u16::try_from(packets).unwrap_or(u16::MAX),
            references: references.map(distance),
            spatial,
            temporal,
            ..self.mark
        };
        number
    }

    /// How far back frame `number` is from the one that begins next.
    pub(super) const fn distance_to(&self, number: u32) -> u32 {
        (self.mark.number + 1 + NUMBERS - number) % NUMBERS
    }

    /// How large the frame is at `scale` times the configured rate.
    pub(super) fn frame_size(&mut self, scale: f64, is_key: bool) -> FrameSize {
        match self.video.packets_per_second {
            Some(rate) => FrameSize::Packets(self.full_packets(rate * scale)),
            None => {
                FrameSize::Bytes(self.encoded_bytes(self.video.bitrate_kbps.unwrap_or(0.0) * scale, is_key))
            }
        }
    }

    /// Every packet full: `rate` packets a second in whole packets per frame, the rest carried over.
    fn full_packets(&mut self, rate: f64) -> usize {
        self.packet_debt += rate / self.video.fps;
        let due = whole(self.packet_debt).max(1);
        #[allow(clippy::cast_precision_loss, reason = "packets per frame are far below 2^52")]
        let paid = due as f64;
        self.packet_debt -= paid;
        due
    }

    /// Frames as an encoder makes them: difference frames around a mean, key frames a factor bigger,
    /// so that a whole group of pictures has the configured rate.
    fn encoded_bytes(&mut self, bitrate_kbps: f64, is_key: bool) -> usize {
        const BITS_PER_KBIT: f64 = 1000.0;
        let mean = bitrate_kbps * BITS_PER_KBIT / 8.0 / self.video.fps;
        let group = f64::from(self.video.gop_frames);
        let difference = mean * group / (group - 1.0 + self.video.key_frame_factor);
        let varied = difference * self.rng.between(1.0 - SIZE_SPREAD, 1.0 + SIZE_SPREAD);
        let size = if is_key { varied * self.video.key_frame_factor } else { varied };
        whole(size.min(FRAME_BYTES_MAX)).max(LABEL_BYTES)
    }

    /// RTP time of a moment, for frames and for sender reports.
    pub(crate) fn timestamp_at(&self, elapsed_ns: u64) -> u32 {
        let ticks = u128::from(elapsed_ns) * u128::from(CLOCK_HZ) / u128::from(NANOS_PER_SECOND);
        #[allow(clippy::cast_possible_truncation, reason = "RTP time wraps at 32 bits")]
        let ticks = ticks as u32;
        self.timestamp_base.wrapping_add(ticks)
    }

    /// Bytes of a full packet.
    pub(super) const fn packet_bytes(&self) -> usize {
        self.video.packet_bytes
    }

    /// Bytes of each packet's header.
    pub(super) const fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    /// Payload bytes of a full packet.
    pub(super) const fn payload_room(&self) -> usize {
        self.video.packet_bytes - self.header_bytes
    }

    pub(super) const fn rid(&self) -> Option<Rid> {
        self.labels.rid
    }

    pub(super) const fn stamp(&self, sent_at_ns: u64) -> Stamp {
        Stamp { stream: self.labels.stream, sent_at_ns }
    }

    /// Puts the next packet's header before its payload.
    pub(super) fn finish_packet(
        &mut self,
        payload_bytes: usize,
        last_of_frame: bool,
        out: &mut [u8],
    ) -> Option<Written> {
        let sequence = self.sequence;
        let header = Header {
            payload_type: self.labels.payload_type,
            marker: last_of_frame,
            sequence,
            timestamp: self.timestamp,
            ssrc: self.labels.ssrc,
        };
        match &self.labels.rid {
            Some(rid) => header.write(&rid.of_media(), out)?,
            None => header.write(&[], out)?,
        };
        self.sequence = sequence.wrapping_add(1);
        self.mark.index = self.mark.index.wrapping_add(1);
        Some(Written { bytes: self.header_bytes + payload_bytes, sequence, last_of_frame })
    }

    /// The frame's bytes from `offset` on, stamped and marked.
    pub(super) fn write_body(&self, offset: usize, stamp: Stamp, out: &mut [u8]) {
        let mut at = offset % self.filler.len();
        let mut rest = &mut *out;
        while !rest.is_empty() {
            let length = rest.len().min(self.filler.len() - at);
            let (front, back) = rest.split_at_mut(length);
            front.copy_from_slice(&self.filler[at..at + length]);
            rest = back;
            at = 0;
        }
        self.label(stamp, out);
    }

    /// Stamp and mark at the front of `out`, which [`with_room`] saw to be long enough.
    pub(super) fn label(&self, stamp: Stamp, out: &mut [u8]) {
        if stamp.write(out) {
            out.get_mut(STAMP_BYTES..).map(|rest| self.mark.write(rest));
        }
    }
}

fn header_bytes(labels: &Labels) -> usize {
    labels.rid.as_ref().map_or_else(|| Header::length(&[]), |rid| Header::length(&rid.of_media()))
}

/// A frame of at least `body` bytes that, cut into pieces of `room`, leaves none too short for stamp and mark.
pub(super) const fn with_room(body: usize, room: usize) -> usize {
    let rest = body % room;
    if rest > 0 && rest < LABEL_BYTES { body - rest + LABEL_BYTES } else { body }
}

/// Whole units of a rate; rates here are positive and bounded by the scenario's limits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and far below 2^52")]
fn whole(value: f64) -> usize {
    value.max(0.0) as usize
}
