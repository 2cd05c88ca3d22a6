//! What a viewer of a stream sees: which frames a decoder could decode, when each picture was there, and where the picture stood
//! still.
//!
//! A frame can be decoded when all its packets are there and all frames that its camera made it from have been decoded. A picture
//! is shown when its last frame, the one whose last packet has the marker, is decoded; of two pictures that change places the older
//! is not shown any more. There is no jitter buffer in between: a repaired picture is shown when it is whole.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use crate::counters::counters;
use crate::latency;
use crate::mark::{Mark, NUMBERS};

/// Frames that wait for packets or for other frames: about a second of a picture in three layers. The oldest makes room.
const WAITING_MAX: usize = 96;
/// Frames that are remembered as decoded: what a frame refers to is at most four pictures of three layers back.
const DECODED_MAX: usize = 64;
/// Gaps that their mean is taken of, as WebRTC's `freezeCount` does it.
const GAPS: usize = 30;
/// Before as many gaps are known there is no mean.
const GAPS_MIN: u32 = 5;
/// A gap this much longer than the mean, and three times as long, is a freeze (W3C webrtc-stats, `freezeCount`).
const FREEZE_BEYOND_NS: u64 = 150_000_000;
const FREEZE_TIMES: u64 = 3;

counters! {
    /// Sums over all consumers of video since the start.
    pub(crate) struct PictureTotals {
        /// Frames of which anything came; of a picture in layers, each is one.
        frames,
        /// Of these, what a decoder could decode.
        decodable,
        /// What it could not: packets are missing, or a frame that this one needs.
        undecodable,
        /// Pictures that were there in time to be shown.
        shown,
        /// Pictures that were decoded after a later one.
        late,
        freezes,
        /// What freezes took beyond the usual gap, microseconds.
        frozen_us,
    }
}

/// One packet of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Of the publisher: each size has its own numbers.
    pub(super) stream: u32,
    pub(super) mark: Mark,
    pub(super) marker: bool,
    pub(super) timestamp: u32,
    pub(super) received_at_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    stream: u32,
    mark: Mark,
    timestamp: u32,
    /// Packets that came; each comes here once.
    packets: u16,
    ends_picture: bool,
}

/// One consumer's picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Pictures {
    waiting: VecDeque<Frame>,
    decoded: VecDeque<(u32, u32)>,
    /// When the last picture was shown, and its time; the former not after a pause.
    shown_at_ns: Option<u64>,
    shown_timestamp: Option<u32>,
    gaps: VecDeque<u64>,
}

/// Where a consumer's pictures are counted.
#[derive(Debug)]
pub(super) struct Audience {
    pub(super) totals: PictureTotals,
    /// Between two pictures.
    pub(super) gaps: Histogram<u64>,
}

impl Audience {
    pub(super) fn new() -> Self {
        Self { totals: PictureTotals::default(), gaps: latency::new() }
    }
}

impl Pictures {
    /// Takes a packet in that was not there before, in whichever order.
    pub(super) fn receive(&mut self, part: &Part, audience: &mut Audience) {
        let is_same =
            |frame: &&mut Frame| frame.stream == part.stream && frame.mark.number == part.mark.number;
        match self.waiting.iter_mut().rev().find(is_same) {
            Some(frame) => {
                frame.packets += 1;
                frame.ends_picture |= part.marker;
            }
            None => self.begin(part, audience),
        }
        self.decode(part.received_at_ns, audience);
    }

    fn begin(&mut self, part: &Part, audience: &mut Audience) {
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
            audience.totals.undecodable += 1;
        }
        audience.totals.frames += 1;
        let Part { stream, mark, marker, timestamp, .. } = *part;
        self.waiting.push_back(Frame { stream, mark, timestamp, packets: 1, ends_picture: marker });
    }

    /// Decodes what can be, until nothing more can.
    fn decode(&mut self, now_ns: u64, audience: &mut Audience) {
        while let Some(index) = self.waiting.iter().position(|frame| self.is_decodable(frame)) {
            let Some(frame) = self.waiting.remove(index) else { return };
            if self.decoded.len() == DECODED_MAX {
                self.decoded.pop_front();
            }
            self.decoded.push_back((frame.stream, frame.mark.number));
            audience.totals.decodable += 1;
            if frame.ends_picture {
                self.show(frame.timestamp, now_ns, audience);
            }
        }
    }

    fn is_decodable(&self, frame: &Frame) -> bool {
        let number = frame.mark.number;
        let mut needed = frame.mark.references.into_iter().filter(|distance| *distance > 0);
        let is_there = |distance: u8| {
            let needed = (number + NUMBERS - u32::from(distance)) % NUMBERS;
            self.decoded.contains(&(frame.stream, needed))
        };
        frame.packets == frame.mark.packets && needed.all(is_there)
    }

    fn show(&mut self, timestamp: u32, now_ns: u64, audience: &mut Audience) {
        if self.shown_timestamp.is_some_and(|shown| timestamp.wrapping_sub(shown).cast_signed() <= 0) {
            audience.totals.late += 1;
            return;
        }
        self.shown_timestamp = Some(timestamp);
        audience.totals.shown += 1;
        if let Some(before_ns) = self.shown_at_ns.replace(now_ns) {
            self.note_gap(now_ns.saturating_sub(before_ns), audience);
        }
    }

    fn note_gap(&mut self, gap_ns: u64, audience: &mut Audience) {
        latency::record(&mut audience.gaps, gap_ns);
        self.judge(gap_ns, &mut audience.totals);
        if self.gaps.len() == GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap_ns);
    }

    fn judge(&self, gap_ns: u64, totals: &mut PictureTotals) {
        let count = u32::try_from(self.gaps.len()).unwrap_or(u32::MAX);
        if count < GAPS_MIN {
            return;
        }
        let mean_ns = self.gaps.iter().sum::<u64>() / u64::from(count);
        if gap_ns > (FREEZE_TIMES * mean_ns).max(mean_ns + FREEZE_BEYOND_NS) {
            totals.freezes += 1;
            totals.frozen_us += (gap_ns - mean_ns) / 1_000;
        }
    }

    /// The media pauses at `now_ns`, having stopped at `stopped_ns`: what stood still then was frozen, and the next gap is none.
    pub(super) fn pause(&mut self, stopped_ns: u64, totals: &mut PictureTotals) {
        if let Some(shown_ns) = self.shown_at_ns.take() {
            self.judge(stopped_ns.saturating_sub(shown_ns), totals);
        }
    }
}

#[cfg(test)]
#[path = "pictures_tests.rs"]
mod tests;
