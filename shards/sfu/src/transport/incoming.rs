//! What a transport tells its peer about the way from there to here, so that the peer sends what the way takes.
//!
//! The means is that of the first producer which negotiates one: transport-wide sequence numbers, of which each is told with
//! its arrival, or send times, by which the bitrate is estimated here and told (REMB). A transport whose media negotiate
//! neither has none of this.

use std::time::Duration;

use ringsoup_rtc::bwe::{RemoteEstimator, TransportFeedback};
use ringsoup_rtc::time::Time;

use crate::reply::TransportStats;

use super::congestion::Means;

/// Between two times that a sender is reminded of a limit.
const LIMIT_INTERVAL: Duration = Duration::from_millis(1_500);
/// How often a sender is told that a limit is gone: any of these may be lost.
const LIMIT_GONE_TIMES: u8 = 4;

#[derive(Debug)]
pub struct Incoming {
    pub(crate) meter: Meter,
    /// When the next feedback is due; `None` while all arrivals have been told.
    pub(crate) feedback_deadline: Option<Time>,
    /// When feedback was due last.
    pub(crate) feedback_at: Time,
    pub(crate) limit: Limit,
}

/// What is kept of the packets that come.
#[derive(Debug)]
pub enum Meter {
    TransportCc(Box<TransportFeedback>),
    Remb(Box<RemoteEstimator>),
}

/// The controller's maxIncomingBitrate, told by REMB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limit {
    /// Bits per second, 0 for none.
    bitrate: u64,
    told_at: Option<Time>,
    /// How often it is still to be told that there is none any more.
    gone_left: u8,
}

impl Incoming {
    pub(crate) fn new(means: Means, max_bitrate: u64) -> Self {
        let meter = match means {
            Means::TransportCc => Meter::TransportCc(Box::default()),
            Means::Remb => Meter::Remb(Box::default()),
        };
        let limit = Limit { bitrate: max_bitrate, ..Limit::default() };
        Self { meter, feedback_deadline: None, feedback_at: Time::ZERO, limit }
    }

    pub(crate) fn describe(&self, stats: &mut TransportStats) {
        let (available, loss) = match &self.meter {
            // The estimate is the sender's.
            Meter::TransportCc(feedback) => (0, feedback.packet_loss()),
            // Estimates are told of what came, and losses in receiver reports.
            Meter::Remb(estimator) => (estimator.available_bitrate(), 0.0),
        };
        stats.available_incoming_bitrate = Some(available);
        stats.rtp_packet_loss_received = Some(loss);
    }
}

impl Limit {
    pub(crate) fn is_set(&self) -> bool {
        self.bitrate > 0
    }

    pub(crate) fn set(&mut self, bitrate: u64) {
        let is_lifted = self.bitrate > 0 && bitrate == 0;
        self.gone_left = if is_lifted {
            LIMIT_GONE_TIMES
        } else if bitrate > 0 {
            0
        } else {
            self.gone_left
        };
        self.bitrate = bitrate;
    }

    /// As much of an estimate as the controller allows, bits per second.
    pub(crate) fn apply(&self, bitrate: u64) -> u64 {
        if self.bitrate > 0 { bitrate.min(self.bitrate) } else { bitrate }
    }

    /// What is to be told now, if anything, bits per second; 0 for no limit. That it is gone is told at once, and then as
    /// seldom as that there is one.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<u64> {
        let is_to_tell = self.bitrate > 0 || self.gone_left > 0;
        let is_time = self.told_at.is_none_or(|told| now.saturating_since(told) > LIMIT_INTERVAL);
        if !is_to_tell || !(is_time || self.gone_left == LIMIT_GONE_TIMES) {
            return None;
        }
        self.told_at = Some(now);
        self.gone_left = self.gone_left.saturating_sub(1);
        Some(self.bitrate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_again_and_again_and_its_end_four_times() {
        let mut limit = Limit::default();
        let at = |millis: u64| Time::from_millis(10_000 + millis);
        assert_eq!(limit.take_due(at(0)), None);
        limit.set(500_000);
        assert_eq!(limit.take_due(at(0)), Some(500_000));
        assert_eq!(limit.take_due(at(1_500)), None);
        assert_eq!(limit.take_due(at(1_501)), Some(500_000));
        limit.set(0);
        assert_eq!(limit.take_due(at(1_502)), Some(0), "at once");
        let later = (1..100).filter_map(|step| limit.take_due(at(1_502 + step * 100)).map(|_| step * 100));
        assert_eq!(later.collect::<Vec<_>>(), [1_600, 3_200, 4_800]);
        limit.set(0);
        assert_eq!(limit.take_due(at(90_000)), None, "there was none");
    }
}
