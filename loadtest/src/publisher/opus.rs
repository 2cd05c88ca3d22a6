//! A synthetic Opus talker: 20 ms frames of speech, and DTX's one-byte frames between talk spurts
//! (RFC 6716 3.1, RFC 7587).

use crate::rng::Rng;
use crate::rtp::Header;
use crate::stamp::Stamp;

/// RFC 7587 4.1: the RTP clock is 48 kHz whatever the coded bandwidth.
const CLOCK_HZ: u64 = 48_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// One frame.
pub(crate) const FRAME_NS: u64 = 20_000_000;
/// While silent, libopus repeats a frame each 400 ms: every twentieth.
const DTX_FRAMES: u32 = 20;
/// Hybrid fullband, 20 ms, mono, one frame (RFC 6716 table 2, configuration 15).
const TOC: u8 = 15 << 3;
/// RFC 6464: the top bit says voice, the rest is -dBov.
const VOICE_BIT: u8 = 0x80;
const SILENCE_LEVEL: u8 = 127;
/// Talk spurts last 1 to 4 s.
const SPURT_S: (f64, f64) = (1.0, 4.0);
const FRAMES_PER_SECOND: f64 = 50.0;
/// A talker that never speaks is silent this long at a time.
const SILENCE_S_MAX: f64 = 3600.0;
const FILLER_BYTES: usize = 2048;

/// The talker's state.
#[derive(Debug)]
pub(crate) struct Opus {
    pub(crate) ssrc: u32,
    payload_type: u8,
    stream: u32,
    level_extension_id: u8,
    frame_bytes: usize,
    speaking_share: f64,
    sequence: u16,
    timestamp_base: u32,
    /// Frames until the current spurt or silence ends.
    frames_left: u32,
    speaking: bool,
    spurt_starts: bool,
    silent_frames: u32,
    filler: Vec<u8>,
    rng: Rng,
}

impl Opus {
    pub(crate) fn new(
        audio: &crate::scenario::Audio,
        ssrc: u32,
        payload_type: u8,
        stream: u32,
        level_extension_id: u8,
        mut rng: Rng,
    ) -> Self {
        let filler = (0..FILLER_BYTES).map(|_| rng.next_u32().to_le_bytes()[0]).collect();
        let speaking = rng.next_f64() < audio.speaking_share;
        let mut talker = Self {
            ssrc,
            payload_type,
            stream,
            level_extension_id,
            frame_bytes: audio.frame_bytes,
            speaking_share: audio.speaking_share,
            sequence: rng.next_u16(),
            timestamp_base: rng.next_u32(),
            frames_left: 0,
            speaking: !speaking,
            spurt_starts: true,
            silent_frames: 0,
            filler,
            rng,
        };
        talker.turn();
        talker
    }

    /// Ends the current spurt or silence and draws the length of the next.
    fn turn(&mut self) {
        self.speaking = !self.speaking;
        // Nobody turns to what its share rules out.
        if self.speaking_share <= 0.0 || self.speaking_share >= 1.0 {
            self.speaking = self.speaking_share >= 1.0;
        }
        let spurt = self.rng.between(SPURT_S.0, SPURT_S.1);
        let seconds = if self.speaking {
            spurt
        } else {
            (spurt * (1.0 - self.speaking_share) / self.speaking_share.max(f64::EPSILON)).min(SILENCE_S_MAX)
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..180000 frames")]
        let frames = (seconds * FRAMES_PER_SECOND) as u32;
        self.frames_left = frames.max(1);
        self.spurt_starts = self.speaking;
        self.silent_frames = 0;
    }

    /// RTP time of a moment.
    pub(crate) fn timestamp_at(&self, elapsed_ns: u64) -> u32 {
        let ticks = u128::from(elapsed_ns) * u128::from(CLOCK_HZ) / u128::from(NANOS_PER_SECOND);
        #[allow(clippy::cast_possible_truncation, reason = "RTP time wraps at 32 bits")]
        let ticks = ticks as u32;
        self.timestamp_base.wrapping_add(ticks)
    }

    /// Writes the next frame's packet and returns its length; `None` when DTX sends nothing for it.
    pub(crate) fn next_frame(&mut self, elapsed_ns: u64, now_ns: u64, out: &mut [u8]) -> Option<usize> {
        if self.frames_left == 0 {
            self.turn();
        }
        self.frames_left -= 1;
        let level;
        let payload_bytes;
        if self.speaking {
            level = VOICE_BIT | (20 + self.rng.next_u32().to_le_bytes()[0] % 20);
            payload_bytes = self.frame_bytes;
        } else {
            let sends = self.silent_frames.is_multiple_of(DTX_FRAMES);
            self.silent_frames += 1;
            if !sends {
                return None;
            }
            level = SILENCE_LEVEL;
            payload_bytes = 1;
        }
        let header = Header {
            payload_type: self.payload_type,
            // RFC 3551 4.1: the first packet of a talk spurt is marked.
            marker: std::mem::take(&mut self.spurt_starts),
            sequence: self.sequence,
            timestamp: self.timestamp_at(elapsed_ns),
            ssrc: self.ssrc,
        };
        let header_bytes = header.write(&[(self.level_extension_id, &[level])], out)?;
        let payload = out.get_mut(header_bytes..header_bytes + payload_bytes)?;
        payload.copy_from_slice(self.filler.get(..payload_bytes)?);
        payload[0] = TOC;
        if payload_bytes > 1 {
            Stamp { stream: self.stream, sent_at_ns: now_ns }.write(&mut payload[1..]);
        }
        self.sequence = self.sequence.wrapping_add(1);
        Some(header_bytes + payload_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp;
    use crate::scenario::Audio;

    fn run(share: f64, frames: u64) -> Vec<(u64, Vec<u8>)> {
        let audio = Audio { frame_bytes: 80, speaking_share: share };
        let mut talker = Opus::new(&audio, 9, 111, 4, 2, Rng::new(3));
        let mut packets = Vec::new();
        for index in 0..frames {
            let mut out = [0; 200];
            if let Some(length) = talker.next_frame(index * FRAME_NS, index, &mut out) {
                packets.push((index, out[..length].to_vec()));
            }
        }
        packets
    }

    #[test]
    fn speech_is_continuous_and_stamped() {
        let packets = run(1.0, 500);
        assert_eq!(packets.len(), 500);
        for ((index, packet), (_, next)) in packets.iter().zip(&packets[1..]) {
            let (view, next) = (rtp::parse(packet).unwrap(), rtp::parse(next).unwrap());
            assert_eq!(next.timestamp.wrapping_sub(view.timestamp), 960);
            assert_eq!(next.sequence, view.sequence.wrapping_add(1));
            assert_eq!(view.payload.len(), 80);
            assert_eq!(Stamp::find_opus(view.payload), Some(Stamp { stream: 4, sent_at_ns: *index }));
            assert_eq!(packet[16] & 0xF0, 2 << 4, "audio level extension");
        }
    }

    #[test]
    fn silence_is_one_byte_each_400_ms() {
        let packets = run(0.0, 200);
        assert_eq!(packets.len(), 10);
        for (_, packet) in &packets {
            assert_eq!(rtp::parse(packet).unwrap().payload, [TOC]);
        }
    }

    #[test]
    fn spurts_and_silences_alternate_by_share() {
        let packets = run(0.5, 50 * 600);
        let speech = packets.iter().filter(|(_, packet)| packet.len() > 50).count();
        assert!((10_000..20_000).contains(&speech), "{speech}");
        let marked = packets.iter().filter(|(_, packet)| packet[1] & 0x80 != 0).count();
        assert!((60..240).contains(&marked), "{marked}");
        let sequences: Vec<u16> =
            packets.iter().map(|(_, packet)| rtp::parse(packet).unwrap().sequence).collect();
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    }
}
