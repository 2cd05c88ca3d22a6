//! One track of a publisher: when its next packets are due, and what was sent, to be sent again.

use super::camera::Camera;
use super::encoder::Written;
use super::opus::{FRAME_NS, Opus};
use crate::rtcp::SenderReport;
use crate::rtp::{FIXED_HEADER_BYTES, Header, parse};
use crate::scenario::{Pacing, Video};

/// Packets kept for retransmission: over a second of a high rate.
const HISTORY_PACKETS: usize = 512;
const NANOS_PER_SECOND: f64 = 1e9;

/// What a sender report tells of a track.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

impl Sent {
    pub(crate) fn add(&mut self, packet_bytes: usize, header_bytes: usize) {
        self.packets = self.packets.wrapping_add(1);
        let payload = u32::try_from(packet_bytes.saturating_sub(header_bytes)).unwrap_or(0);
        self.octets = self.octets.wrapping_add(payload);
    }
}

/// The stream retransmissions travel on (RFC 4588).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RtxStream {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
}

/// A camera with its schedule.
#[derive(Debug)]
pub(crate) struct VideoTrack {
    pub(crate) camera: Camera,
    pacing: Pacing,
    fixed_rate: Option<f64>,
    fps: f64,
    /// When the next packet, or with frame pacing the next frame, is due.
    due_ns: f64,
    frame_due_ns: f64,
    spacing_ns: f64,
    pub(crate) rtx: Option<RtxStream>,
    history: Vec<Vec<u8>>,
    pub(crate) sent: Sent,
}

impl VideoTrack {
    pub(crate) fn new(camera: Camera, video: &Video, rtx: Option<RtxStream>) -> Self {
        Self {
            camera,
            pacing: video.pacing,
            fixed_rate: video.packets_per_second,
            fps: video.fps,
            due_ns: 0.0,
            frame_due_ns: 0.0,
            spacing_ns: 0.0,
            rtx,
            history: vec![Vec::new(); HISTORY_PACKETS],
            sent: Sent::default(),
        }
    }

    /// Starts over: the next packet is due at `at_ns`. A frame cut short by a pause goes on.
    pub(crate) fn schedule(&mut self, at_ns: u64) {
        self.due_ns = to_f64(at_ns);
        self.frame_due_ns = self.due_ns;
    }

    pub(crate) fn due_ns(&self) -> u64 {
        to_u64(self.due_ns)
    }

    /// True when a packet is due at `now_ns`, or the rest of a frame that leaves together.
    pub(crate) fn is_due(&self, now_ns: u64) -> bool {
        self.due_ns() <= now_ns
    }

    /// Writes the packet that is due; the frame's time is `elapsed_ns`, the stamp's `now_ns`.
    pub(crate) fn write(
        &mut self,
        elapsed_ns: u64,
        now_ns: u64,
        scale: f64,
        out: &mut [u8],
    ) -> Option<Written> {
        if self.camera.packets_left() == 0 {
            let packets = self.camera.start_frame(elapsed_ns, scale);
            let frame_ns = NANOS_PER_SECOND / self.fps;
            self.frame_due_ns += frame_ns;
            self.spacing_ns = match self.fixed_rate {
                Some(rate) => NANOS_PER_SECOND / (rate * scale),
                None => frame_ns / to_f64(u64::try_from(packets.max(1)).unwrap_or(1)),
            };
        }
        let written = self.camera.write_packet(now_ns, out)?;
        match (self.pacing, self.fixed_rate) {
            (Pacing::Frame, _) if written.last_of_frame => self.due_ns = self.frame_due_ns,
            (Pacing::Frame, _) => {}
            (Pacing::Even, None) if written.last_of_frame => self.due_ns = self.frame_due_ns,
            // With a fixed rate the packets, not the frames, keep the time.
            (Pacing::Even, _) => self.due_ns += self.spacing_ns,
        }
        if let Some(packet) = out.get(..written.bytes) {
            let kept = &mut self.history[usize::from(written.sequence) % HISTORY_PACKETS];
            kept.clear();
            kept.extend_from_slice(packet);
        }
        self.sent.add(written.bytes, self.camera.encoder().header_bytes());
        Some(written)
    }

    /// Writes the packet `sequence` again, as RTX where the track has it. `None` when it is gone.
    pub(crate) fn rewrite(&mut self, sequence: u16, out: &mut [u8]) -> Option<usize> {
        let packet = &self.history[usize::from(sequence) % HISTORY_PACKETS];
        let view = parse(packet).filter(|view| view.sequence == sequence)?;
        let Some(rtx) = &mut self.rtx else {
            out.get_mut(..packet.len())?.copy_from_slice(packet);
            return Some(packet.len());
        };
        let header = Header {
            payload_type: rtx.payload_type,
            marker: packet[1] & 0x80 != 0,
            sequence: rtx.sequence,
            timestamp: view.timestamp,
            ssrc: rtx.ssrc,
        };
        let header_bytes = match self.camera.encoder().rid() {
            Some(rid) => header.write(&rid.of_repair(), out)?,
            None => header.write(&[], out)?,
        };
        let length = header_bytes + 2 + view.payload.len();
        let body = out.get_mut(header_bytes..length)?;
        body[..2].copy_from_slice(&sequence.to_be_bytes());
        body[2..].copy_from_slice(view.payload);
        rtx.sequence = rtx.sequence.wrapping_add(1);
        Some(length)
    }

    pub(crate) fn sender_report(&self, elapsed_ns: u64, ntp: u64) -> SenderReport {
        SenderReport {
            ssrc: self.camera.encoder().ssrc(),
            ntp,
            rtp_timestamp: self.camera.encoder().timestamp_at(elapsed_ns),
            packets: self.sent.packets,
            octets: self.sent.octets,
        }
    }
}

/// A talker with its schedule.
#[derive(Debug)]
pub(crate) struct AudioTrack {
    pub(crate) talker: Opus,
    pub(crate) due_ns: u64,
    pub(crate) sent: Sent,
}

impl AudioTrack {
    pub(crate) fn new(talker: Opus) -> Self {
        Self { talker, due_ns: 0, sent: Sent::default() }
    }

    /// The frame that is due; `None` when DTX sends nothing for it.
    pub(crate) fn write(
        &mut self,
        elapsed_ns: u64,
        now_ns: u64,
        scale: f64,
        out: &mut [u8],
    ) -> Option<usize> {
        self.due_ns += to_u64(to_f64(FRAME_NS) / scale).max(1);
        let length = self.talker.next_frame(elapsed_ns, now_ns, out)?;
        self.sent.add(length, FIXED_HEADER_BYTES);
        Some(length)
    }

    pub(crate) fn sender_report(&self, elapsed_ns: u64, ntp: u64) -> SenderReport {
        SenderReport {
            ssrc: self.talker.ssrc,
            ntp,
            rtp_timestamp: self.talker.timestamp_at(elapsed_ns),
            packets: self.sent.packets,
            octets: self.sent.octets,
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a boot's worth of nanoseconds is within 2^53 for 104 days")]
fn to_f64(nanos: u64) -> f64 {
    nanos as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "schedules are positive times")]
fn to_u64(nanos: f64) -> u64 {
    nanos.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::encoder::Labels;
    use crate::publisher::tests::video;
    use crate::rng::Rng;

    fn track(pacing: Pacing, fixed: Option<f64>, rtx: bool) -> VideoTrack {
        let bitrate_kbps = fixed.is_none().then_some(1500.0);
        let video = Video { pacing, rtx, ..video(bitrate_kbps, fixed) };
        let labels = Labels { ssrc: 1, payload_type: 112, stream: 0, rid: None };
        let camera = Camera::new(video.clone(), labels, Rng::new(1));
        let rtx = rtx.then_some(RtxStream { ssrc: 2, payload_type: 113, sequence: 9 });
        let mut track = VideoTrack::new(camera, &video, rtx);
        track.schedule(0);
        track
    }

    /// Due times of a second's packets.
    fn second(track: &mut VideoTrack) -> Vec<u64> {
        let mut out = [0; 1400];
        let mut times = Vec::new();
        while track.due_ns() < 1_000_000_000 {
            times.push(track.due_ns());
            let at = track.due_ns();
            track.write(at, at, 1.0, &mut out).unwrap();
        }
        times
    }

    #[test]
    fn a_fixed_rate_is_even_to_the_nanosecond() {
        let times = second(&mut track(Pacing::Even, Some(500.0), false));
        assert_eq!(times.len(), 500);
        assert!(times.windows(2).all(|pair| (1_999_999..=2_000_001).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn a_frame_leaves_together() {
        let times = second(&mut track(Pacing::Frame, Some(500.0), false));
        assert!((480..=520).contains(&times.len()), "{}", times.len());
        let mut moments = times.clone();
        moments.dedup();
        assert_eq!(moments.len(), 30);
    }

    #[test]
    fn encoded_frames_spread_over_their_interval() {
        let mut track = track(Pacing::Even, None, false);
        let times = second(&mut track);
        assert!(times.windows(2).all(|pair| pair[1] > pair[0]));
        assert_eq!(track.camera.encoder().frames, 30);
    }

    #[test]
    fn history_answers_with_the_packet_or_its_rtx_form() {
        for rtx in [false, true] {
            let mut track = track(Pacing::Frame, Some(500.0), rtx);
            let mut out = [0; 1400];
            let written = track.write(0, 0, 1.0, &mut out).unwrap();
            let original = out[..written.bytes].to_vec();
            let mut again = [0; 1400];
            let length = track.rewrite(written.sequence, &mut again).unwrap();
            let view = parse(&again[..length]).unwrap();
            if rtx {
                assert_eq!((view.ssrc, view.payload_type, view.sequence), (2, 113, 9));
                assert_eq!(view.payload[..2], written.sequence.to_be_bytes());
                assert_eq!(view.payload[2..], original[12..]);
            } else {
                assert_eq!(again[..length], original[..]);
            }
            assert_eq!(track.rewrite(written.sequence.wrapping_add(100), &mut again), None);
        }
    }
}
