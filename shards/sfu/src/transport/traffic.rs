//! What a transport counts of its bytes, as its stats show them.

use std::time::Duration;

use ringsoup_rtc::rate::RateCalculator;
use ringsoup_rtc::time::Time;

use crate::reply::TransportStats;

/// Window of everything, and of media.
const WINDOW: Duration = Duration::from_millis(2_500);
/// Window of retransmissions: they come in bursts and should fade sooner.
const RTX_WINDOW: Duration = Duration::from_millis(1_000);

/// Bytes and rates, both directions. Everything includes RTCP and SRTP overhead; RTP and RTX count whole packets
/// without it.
#[derive(Debug)]
pub struct Traffic {
    pub received: RateCalculator,
    pub sent: RateCalculator,
    pub rtp_received: RateCalculator,
    pub rtp_sent: RateCalculator,
    pub rtx_received: RateCalculator,
    pub rtx_sent: RateCalculator,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            received: RateCalculator::new(WINDOW),
            sent: RateCalculator::new(WINDOW),
            rtp_received: RateCalculator::new(WINDOW),
            rtp_sent: RateCalculator::new(WINDOW),
            rtx_received: RateCalculator::new(RTX_WINDOW),
            rtx_sent: RateCalculator::new(RTX_WINDOW),
        }
    }
}

impl Traffic {
    pub fn stats(&self, now: Time) -> TransportStats {
        TransportStats {
            timestamp_ms: now.as_millis(),
            bytes_received: self.received.bytes(),
            recv_bitrate: self.received.bitrate(now),
            bytes_sent: self.sent.bytes(),
            send_bitrate: self.sent.bitrate(now),
            rtp_bytes_received: self.rtp_received.bytes(),
            rtp_recv_bitrate: self.rtp_received.bitrate(now),
            rtp_bytes_sent: self.rtp_sent.bytes(),
            rtp_send_bitrate: self.rtp_sent.bitrate(now),
            rtx_bytes_received: self.rtx_received.bytes(),
            rtx_recv_bitrate: self.rtx_received.bitrate(now),
            rtx_bytes_sent: self.rtx_sent.bytes(),
            rtx_send_bitrate: self.rtx_sent.bitrate(now),
            ..TransportStats::default()
        }
    }
}
