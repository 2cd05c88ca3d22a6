//! What a transport counts of its bytes, as its stats show them.

use std::time::Duration;

use ringsoup_rtc::rate::RateCalculator;
use ringsoup_rtc::time::Time;

use crate::forward::SentLen;
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
    pub rtp_received: RateCalculator,
    pub rtx_received: RateCalculator,
    pub rtx_sent: RateCalculator,
    /// RTCP, and what SRTP adds.
    pub other_sent: RateCalculator,
    /// Media sent by consumers that are gone, bytes.
    pub departed: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            received: RateCalculator::new(WINDOW),
            rtp_received: RateCalculator::new(WINDOW),
            rtx_received: RateCalculator::new(RTX_WINDOW),
            rtx_sent: RateCalculator::new(RTX_WINDOW),
            other_sent: RateCalculator::new(WINDOW),
            departed: 0,
        }
    }
}

/// Media sent by the consumers that are there: each counts its own, so that a packet touches nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct MediaSent {
    pub bytes: u64,
    /// Bits per second.
    pub bitrate: u64,
}

impl Traffic {
    /// Counts what SRTP added to a packet.
    #[inline]
    pub(crate) fn count_overhead(&mut self, now: Time, len: SentLen) {
        if len.wire > len.rtp {
            self.other_sent.update(now, len.wire - len.rtp);
        }
    }

    pub fn stats(&self, now: Time, media: MediaSent) -> TransportStats {
        let rtp_bytes_sent = self.departed + media.bytes;
        let (rtx, other) = (&self.rtx_sent, &self.other_sent);
        TransportStats {
            timestamp_ms: now.as_millis(),
            bytes_received: self.received.bytes(),
            recv_bitrate: self.received.bitrate(now),
            bytes_sent: rtp_bytes_sent + rtx.bytes() + other.bytes(),
            send_bitrate: media.bitrate + rtx.bitrate(now) + other.bitrate(now),
            rtp_bytes_received: self.rtp_received.bytes(),
            rtp_recv_bitrate: self.rtp_received.bitrate(now),
            rtp_bytes_sent,
            rtp_send_bitrate: media.bitrate,
            rtx_bytes_received: self.rtx_received.bytes(),
            rtx_recv_bitrate: self.rtx_received.bitrate(now),
            rtx_bytes_sent: rtx.bytes(),
            rtx_send_bitrate: rtx.bitrate(now),
            ..TransportStats::default()
        }
    }
}
