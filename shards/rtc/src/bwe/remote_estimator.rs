//! The bitrate a way takes, estimated where it ends, from the times at which its packets were sent (abs-send-time).
//!
//! ```text
//! packet ─► groups ─► is a queue growing? ─► bitrate up or down ─► told each 0.2 to 1 s, and when it must go down
//!        └► incoming bitrate ─────────────────┘
//! ```

use std::time::Duration;

use crate::rate::RateCalculator;
use crate::time::Time;

use super::aimd::Aimd;
use super::packet_groups::PacketGroups;
use super::trendline::{Trendline, Usage};

/// Window of the incoming bitrate.
const RATE_WINDOW: Duration = Duration::from_millis(1_000);
/// A stream that was silent for so long is not named any more.
const STREAM_TIMEOUT: Duration = Duration::from_secs(2);
/// Streams that are named: what comes beyond takes the place of the one silent for longest.
pub const ESTIMATE_STREAMS_MAX: usize = 64;
/// The estimate is told as often as a twentieth of it pays for, a message taken to be so long, within these bounds.
const MESSAGE_BITS: f64 = 80.0 * 8.0;
const MESSAGE_SHARE: f64 = 0.05;
const INTERVAL_MIN: Duration = Duration::from_millis(200);
const INTERVAL_MAX: Duration = Duration::from_millis(1_000);

/// The receiver's end of one transport.
#[derive(Debug)]
pub struct RemoteEstimator {
    groups: PacketGroups,
    trendline: Trendline,
    aimd: Aimd,
    incoming: RateCalculator,
    /// Since when packets come without a long pause.
    began: Option<Time>,
    latest: Time,
    updated_at: Option<Time>,
    streams: Streams,
    told: u64,
}

impl Default for RemoteEstimator {
    fn default() -> Self {
        Self {
            groups: PacketGroups::default(),
            trendline: Trendline::default(),
            aimd: Aimd::default(),
            incoming: RateCalculator::new(RATE_WINDOW),
            began: None,
            latest: Time::ZERO,
            updated_at: None,
            streams: Streams::default(),
            told: 0,
        }
    }
}

impl RemoteEstimator {
    /// Takes a packet in; the estimate in bits per second when it is time to tell it.
    pub fn handle_packet(
        &mut self,
        arrived: Time,
        abs_send_time: u32,
        bytes: usize,
        ssrc: u32,
    ) -> Option<u64> {
        self.begin_anew_after_silence(arrived);
        self.latest = self.latest.max(arrived);
        self.incoming.update(arrived, bytes);
        self.streams.note(ssrc, arrived);
        if let Some(spacing) = self.groups.add(abs_send_time, arrived) {
            self.trendline.update(spacing, arrived);
        }
        let usage = self.trendline.usage();
        let is_due = self.updated_at.is_none_or(|at| arrived.saturating_since(at) >= self.interval());
        if !is_due && usage != Usage::Over {
            return None;
        }
        let incoming = self.incoming_bitrate(arrived);
        if !is_due && !incoming.is_some_and(|incoming| self.aimd.may_decrease(arrived, incoming)) {
            return None;
        }
        self.updated_at = Some(arrived);
        self.aimd.update(usage, incoming, arrived);
        self.told = as_bits(self.aimd.bitrate()?);
        self.streams.forget_silent(arrived);
        Some(self.told)
    }

    /// What was told last, bits per second; 0 before anything was.
    pub fn available_bitrate(&self) -> u64 {
        self.told
    }

    /// The streams the estimate is about, as of when it was told.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + '_ {
        self.streams.ssrcs()
    }

    fn begin_anew_after_silence(&mut self, now: Time) {
        let silence = now.saturating_since(self.latest);
        if silence > STREAM_TIMEOUT {
            self.groups = PacketGroups::default();
            self.trendline = Trendline::default();
        }
        if silence > RATE_WINDOW || self.began.is_none() {
            self.began = Some(now);
        }
    }

    /// `None` before a whole window was seen.
    #[allow(clippy::cast_precision_loss, reason = "bitrates are far below 2^52")]
    fn incoming_bitrate(&self, now: Time) -> Option<f64> {
        let began = self.began?;
        (now.saturating_since(began) >= RATE_WINDOW).then(|| self.incoming.bitrate(now) as f64)
    }

    fn interval(&self) -> Duration {
        let Some(bitrate) = self.aimd.bitrate() else { return INTERVAL_MIN };
        let seconds = MESSAGE_BITS / (bitrate * MESSAGE_SHARE);
        Duration::try_from_secs_f64(seconds).unwrap_or(INTERVAL_MAX).clamp(INTERVAL_MIN, INTERVAL_MAX)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is never negative"
)]
fn as_bits(bitrate: f64) -> u64 {
    bitrate as u64
}

/// Streams that were heard lately.
#[derive(Debug)]
struct Streams {
    /// SSRC and when it was heard last; the first `len` are in use.
    entries: [(u32, Time); ESTIMATE_STREAMS_MAX],
    len: usize,
}

impl Default for Streams {
    fn default() -> Self {
        Self { entries: [(0, Time::ZERO); ESTIMATE_STREAMS_MAX], len: 0 }
    }
}

impl Streams {
    fn in_use(&mut self) -> &mut [(u32, Time)] {
        self.entries.get_mut(..self.len).unwrap_or_default()
    }

    fn note(&mut self, ssrc: u32, now: Time) {
        if let Some(entry) = self.in_use().iter_mut().find(|entry| entry.0 == ssrc) {
            entry.1 = now;
        } else if let Some(free) = self.entries.get_mut(self.len) {
            *free = (ssrc, now);
            self.len += 1;
        } else if let Some(oldest) = self.in_use().iter_mut().min_by_key(|entry| entry.1) {
            *oldest = (ssrc, now);
        }
    }

    fn forget_silent(&mut self, now: Time) {
        let mut index = 0;
        while let Some(&(_, heard)) = self.in_use().get(index) {
            if now.saturating_since(heard) <= STREAM_TIMEOUT {
                index += 1;
                continue;
            }
            let last = self.len - 1;
            self.in_use().swap(index, last);
            self.len = last;
        }
    }

    fn ssrcs(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().take(self.len).map(|entry| entry.0)
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod link_tests;
