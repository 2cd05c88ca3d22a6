//! Opus that never falls silent: the simplest source there is, and its receiver.

use std::time::Duration;

use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{Layers, Produce};
use ringsoup_tests::rng::Rng;

use super::{Oracle, Source, Truth, first_numbers};
use crate::common::packets::rtp;
use crate::common::parameters::{OPUS, produce_audio};

const FRAME: Duration = Duration::from_millis(20);
/// Opus' clock rate in a frame.
const FRAME_TICKS: u32 = 960;

pub(crate) struct Speech {
    ssrc: u32,
    mapped_ssrc: u32,
    seq: u16,
    timestamp: u32,
    index: u32,
    due: Time,
}

impl Speech {
    pub(crate) fn new(first_ssrc: u32, mapped_ssrc: u32, now: Time, rng: &mut Rng) -> Self {
        let (seq, timestamp) = first_numbers(rng);
        Self { ssrc: first_ssrc, mapped_ssrc, seq, timestamp, index: 0, due: now + FRAME }
    }
}

impl Source for Speech {
    fn produce_request(&self, producer: &str) -> Produce {
        produce_audio(producer, self.ssrc, self.mapped_ssrc)
    }

    fn due(&self) -> Time {
        self.due
    }

    fn produce(&mut self, _: Time, rng: &mut Rng, out: &mut Vec<Vec<u8>>) {
        let mut payload = vec![0x78, rng.byte(), rng.byte()];
        Truth { ssrc: self.ssrc, index: self.index }.append(&mut payload);
        out.push(rtp(OPUS, self.seq, self.timestamp, self.ssrc, &payload));
        self.seq = self.seq.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME_TICKS);
        self.index += 1;
        self.due += FRAME;
    }

    fn restart(&mut self, _: &mut Rng) -> bool {
        false
    }

    fn wants_key_frame(&mut self, _: u32) {}

    fn timestamp_at(&self, _: u32, now: Time) -> u32 {
        let ahead = self.due.saturating_since(now).as_millis() * 48;
        self.timestamp.wrapping_sub(u32::try_from(ahead).expect("a frame at most"))
    }

    fn keeps_layers(&self) -> bool {
        true
    }

    fn oracle(&self) -> Box<dyn Oracle> {
        Box::new(Listener { heard: 0, last: None, offset: None })
    }
}

/// Every packet is a frame of its own; they keep their distances.
struct Listener {
    heard: u64,
    last: Option<Time>,
    /// Between the sender's count of packets and numbers here.
    offset: Option<u16>,
}

impl Oracle for Listener {
    fn receive(&mut self, now: Time, bytes: &[u8]) {
        let packet = RtpPacket::parse(bytes).expect("well-formed RTP comes");
        let truth = Truth::read(packet.payload()).expect("speech tells which packet it is");
        #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
        let offset = packet.sequence_number().wrapping_sub(truth.index as u16);
        let known = *self.offset.get_or_insert(offset);
        assert_eq!(offset, known, "numbers keep their distances: {truth:?}");
        self.heard += 1;
        self.last = Some(now);
    }

    fn gave_up(&mut self, _: Time, _: u16) {}

    fn interrupted(&mut self) {
        self.offset = None;
    }

    fn prefer(&mut self, _: Layers) {
        unreachable!("audio has no layers");
    }

    fn wants_key_frame(&self) -> bool {
        false
    }

    fn decoded(&self) -> u64 {
        self.heard
    }

    fn last_decoded(&self, _: Layers) -> Option<Time> {
        self.last
    }

    fn finish(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_and_its_oracle_agree() {
        let mut rng = Rng::new(7);
        let mut source: Box<dyn Source> = Box::new(Speech::new(1, 2, Time::from_millis(1_000), &mut rng));
        let mut oracle = source.oracle();
        let mut out = Vec::new();
        for _ in 0..300 {
            let now = source.due();
            source.produce(now, &mut rng, &mut out);
            oracle.receive(now, out.last().expect("a packet"));
        }
        oracle.finish();
        assert_eq!((oracle.decoded(), oracle.wants_key_frame()), (300, false));
    }
}
