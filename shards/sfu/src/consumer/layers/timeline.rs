//! One timeline of timestamps out of several streams, each with a clock of its own.
//!
//! ```text
//! stream A   … 9000 12000 15000            (its report: 12:00:00.100 is 12000)
//! stream B                     70000 …     (its report: 12:00:00.150 is 65500)
//! output     … 9000 12000 15000 21000 …    (B's packet is 50 ms + 4500 ticks after A's 12000)
//! ```
//! Where B lies in A's time is told by capture times that both carry, else by both senders' reports. Without them the time between
//! arrivals does, which is off by the jitter of one packet.

use std::time::Duration;

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::time::Time;

use crate::consumer::decision::Offer;
use crate::producer::sender_clock::SenderClock;

/// How much later than it belongs a stream may be shown after a switch, so that sound and picture still fit
/// (ITU-R BT.1359: sound may lead by 90 ms at most).
const EXTRA_MAX: Duration = Duration::from_millis(75);

/// A new stream's first frame is shown this long after the last one when it would come before it: a frame of 30 per second.
const FRAME: Duration = Duration::from_millis(33);

/// Clocks that would move a stream further than this from its arrival are not one clock, and not believed.
const CLOCK_ERROR_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Timeline {
    /// Ticks per second.
    clock_rate: u32,
    /// The newest output and when it was sent.
    newest: Option<(u32, Time)>,
    /// How much later than it belongs the current stream is shown: no stream after it inherits that.
    lag: u32,
    captured: Reference,
    reported: Reference,
    /// A key frame came too late to be shown without delay, and another one was asked for.
    waits_for_better: bool,
}

/// A wall clock time of the senders, and the output that belongs there.
type Reference = Option<(NtpTime, u32)>;

impl Timeline {
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate, newest: None, lag: 0, captured: None, reported: None, waits_for_better: false }
    }

    /// What is to be subtracted from the timestamps of a stream that begins with the packet offered. `None` when this packet is no
    /// good beginning and a later key frame may be.
    pub fn begin(&mut self, offer: &Offer<'_>) -> Option<u32> {
        let timestamp = offer.arrived.timestamp;
        let Some((newest, sent)) = self.newest else { return Some(0) };
        let elapsed = self.ticks(offer.now.saturating_since(sent)).max(1);
        let by_arrival = newest.wrapping_sub(self.lag).wrapping_add(elapsed);
        let is_near =
            |output: &u32| distance(*output, by_arrival).unsigned_abs() <= self.ticks(CLOCK_ERROR_MAX);
        let captured = self.by_clock(self.captured, offer.captured, timestamp).filter(is_near);
        let told = captured.or_else(|| self.by_clock(self.reported, offer.clock, timestamp).filter(is_near));
        let output = match told {
            Some(told) if distance(told, newest) <= 0 => self.delayed(newest, told)?,
            Some(told) => told,
            // A guess is no reason to do without a key frame.
            None if distance(by_arrival, newest) <= 0 => newest.wrapping_add(1),
            None => by_arrival,
        };
        self.lag = output.wrapping_sub(told.unwrap_or(by_arrival));
        self.waits_for_better = false;
        Some(timestamp.wrapping_sub(output))
    }

    /// The consumer begins anew.
    pub fn reset(&mut self) {
        self.waits_for_better = false;
    }

    /// Notes a packet that was sent, and what its stream tells of its clock.
    pub fn sent(&mut self, offer: &Offer<'_>, offset: u32) {
        let output = offer.arrived.timestamp.wrapping_sub(offset);
        if self.newest.is_none_or(|(newest, _)| distance(output, newest) > 0) {
            self.newest = Some((output, offer.now));
        }
        let belongs = offset.wrapping_add(self.lag);
        let reference = |clock: SenderClock| (clock.ntp, clock.rtp_timestamp.wrapping_sub(belongs));
        self.captured = offer.captured.map(reference).or(self.captured);
        self.reported = offer.clock.map(reference).or(self.reported);
    }

    fn by_clock(&self, reference: Reference, clock: Option<SenderClock>, timestamp: u32) -> Option<u32> {
        let ((ntp, output), clock) = reference.zip(clock)?;
        // A difference of 32.32 bits, either way, rounded to the nearest tick.
        let apart = clock.ntp.as_u64().wrapping_sub(ntp.as_u64()).cast_signed();
        let ticks = (i128::from(apart) * i128::from(self.clock_rate) + (1 << 31)) >> 32;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 2^32 on the wire")]
        let told = output.wrapping_add(ticks as u32);
        Some(told.wrapping_add(timestamp.wrapping_sub(clock.rtp_timestamp)))
    }

    /// A first frame from before the last one is shown a frame after it, when that is not too late.
    fn delayed(&mut self, newest: u32, output: u32) -> Option<u32> {
        let extra = newest.wrapping_sub(output).saturating_add(self.ticks(FRAME));
        if extra <= self.ticks(EXTRA_MAX) {
            return Some(newest.wrapping_add(self.ticks(FRAME)));
        }
        if self.waits_for_better {
            // The second one is no better: it is shown at once, and the delay stays until the next switch.
            return Some(newest.wrapping_add(1));
        }
        self.waits_for_better = true;
        None
    }

    #[allow(clippy::cast_possible_truncation, reason = "modulo 2^32 on the wire")]
    fn ticks(&self, duration: Duration) -> u32 {
        (duration.as_micros() * u128::from(self.clock_rate) / 1_000_000) as u32
    }
}

/// From `from` to `to`, the shorter way round (RFC 3550 section 5.1: timestamps wrap).
fn distance(to: u32, from: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}
