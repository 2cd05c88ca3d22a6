//! One stream as it is sent: numbers, repair, and what the receiver says of it.

use std::time::Duration;

use ringsoup_rtc::ntp::{self, NtpTime};
use ringsoup_rtc::rtcp::{Dlrr, ReportBlock, SenderInfo};
use ringsoup_rtc::rtx::ResendGuard;
use ringsoup_rtc::sampled_rate::SampledRate;
use ringsoup_rtc::score::{Score, ScoreChange, SentTotals};
use ringsoup_rtc::time::Time;

use crate::consumer::egress::Sent;
use crate::consumer::stamps::{SentStamps, StampIds};
use crate::reply::{BaseStats, RtpStreamDump, SendStats};
use crate::stream_params::StreamParams;

/// A stream silent for longer cannot tell where its timeline is, so it sends no report.
const SENDER_REPORT_AGE_MAX: Duration = Duration::from_millis(2_000);

#[derive(Debug)]
pub struct SendStream {
    pub(crate) params: StreamParams,
    /// Its place among the producer's egresses.
    pub(crate) egress: usize,
    /// `None` where the receiver does not send NACKs.
    pub(crate) guard: Option<ResendGuard>,
    /// `None` where a packet that is sent again is another packet, or there is nothing to remember.
    pub(crate) stamps: Option<SentStamps>,
    rtx_sequence_number: u16,
    rate: SampledRate,
    pub(crate) score: Score,
    rtt: Duration,
    packets_lost: i32,
    pub(crate) fraction_lost: u8,
    jitter: u32,
    /// Middle 32 bits of the receiver's reference time and when it came (RFC 3611 section 4.4).
    reference_time: Option<(u32, Time)>,
    pub(crate) counters: SendCounters,
    /// It has been sent with a score since then; `None` before it began.
    pub(crate) active_since: Option<Time>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct SendCounters {
    pub retransmitted: u64,
    pub repaired: u64,
    pub nacks: u64,
    pub nacked_packets: u64,
    pub plis: u64,
    pub firs: u64,
}

impl SendStream {
    pub(crate) fn new(params: StreamParams, rtx_sequence_number: u16, stamp_ids: StampIds) -> Self {
        let has_rtx = params.shown.rtx_payload_type.zip(params.shown.rtx_ssrc).is_some();
        let resends_as_it_was = params.shown.use_nack && !has_rtx;
        Self {
            stamps: (resends_as_it_was && !stamp_ids.is_empty()).then(|| SentStamps::new(stamp_ids)),
            guard: params.shown.use_nack.then(ResendGuard::default),
            params,
            egress: usize::MAX,
            rtx_sequence_number,
            rate: SampledRate::default(),
            score: Score::new(),
            rtt: Duration::ZERO,
            packets_lost: 0,
            fraction_lost: 0,
            jitter: 0,
            reference_time: None,
            counters: SendCounters::default(),
            active_since: None,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.params.shown.ssrc
    }

    /// Payload type and SSRC of the RTX stream.
    pub(crate) fn rtx(&self) -> Option<(u8, u32)> {
        self.params.shown.rtx_payload_type.zip(self.params.shown.rtx_ssrc)
    }

    /// The same of what repairs a payload type of the stream.
    pub(crate) fn rtx_of(&self, payload_type: u8) -> Option<(u8, u32)> {
        self.params.rtx_payload_type_of(payload_type).zip(self.params.shown.rtx_ssrc)
    }

    pub(crate) fn next_rtx_sequence_number(&mut self) -> u16 {
        self.rtx_sequence_number = self.rtx_sequence_number.wrapping_add(1);
        self.rtx_sequence_number
    }

    pub(crate) fn rtt(&self) -> Duration {
        self.rtt
    }

    /// RFC 3550 section 6.4.1: loss, jitter and the round trip as the receiver sees them.
    pub(crate) fn receive_report(
        &mut self,
        arrival: NtpTime,
        report: &ReportBlock,
        sent: &Sent,
    ) -> Option<ScoreChange> {
        let (last_sr, delay) = (report.last_sender_report, report.delay_since_last_sender_report);
        let rtt = ntp::round_trip(arrival, last_sr, delay);
        self.rtt = rtt.map_or(Duration::ZERO, ntp::middle_to_duration);
        self.packets_lost = report.cumulative_lost;
        self.fraction_lost = report.fraction_lost;
        self.jitter = report.jitter;
        self.score.update_sent(SentTotals {
            sent: sent.packets,
            lost: report.cumulative_lost,
            repaired: self.counters.repaired,
            retransmitted: self.counters.retransmitted,
        })
    }

    pub(crate) fn receive_reference_time(&mut self, received: Time, reference: NtpTime) {
        self.reference_time = Some((reference.middle(), received));
    }

    /// The report of this moment: the timestamp is the newest packet's, moved on from when its media was captured to now.
    pub(crate) fn sender_report(&mut self, now: Time, wall: NtpTime, sent: &Sent) -> Option<SenderInfo> {
        self.rate.sample(now, sent.bytes);
        let newest = sent.newest?;
        let age = now.saturating_since(newest.at);
        if age > SENDER_REPORT_AGE_MAX {
            return None;
        }
        let age_us = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        // A capture is estimated, and may seem to be still to come.
        let captured_us = age_us.saturating_add(newest.capture_age_us.into()).max(0).unsigned_abs();
        let ticks = u128::from(captured_us) * u128::from(self.params.shown.clock_rate) / 1_000_000;
        // All three are modulo 2^32 on the wire (RFC 3550 section 6.4.1).
        #[allow(clippy::cast_possible_truncation, reason = "modulo 2^32")]
        let (ticks, packet_count, octet_count) = (ticks as u32, sent.packets as u32, sent.bytes as u32);
        Some(SenderInfo {
            ssrc: self.ssrc(),
            ntp: wall,
            rtp_timestamp: newest.timestamp.wrapping_add(ticks),
            packet_count,
            octet_count,
        })
    }

    pub(crate) fn dlrr(&self, now: Time) -> Option<Dlrr> {
        let (last_rr, received) = self.reference_time?;
        let delay = ntp::duration_to_middle(now.saturating_since(received));
        Some(Dlrr {
            ssrc: self.ssrc(),
            last_receiver_report: last_rr,
            delay_since_last_receiver_report: delay,
        })
    }

    /// The rate of what is sent from now on starts here.
    pub(crate) fn begin(&mut self, now: Time, sent: &Sent) {
        self.rate.sample(now, sent.bytes);
        self.active_since = Some(now);
    }

    /// What was sent before a pause is of no use after it.
    pub(crate) fn pause(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.clear();
        }
        self.jitter = 0;
    }

    pub(crate) fn dump(&self) -> RtpStreamDump {
        RtpStreamDump {
            params: self.params.shown.clone(),
            score: self.score.value(),
            rtx_stream: self.params.rtx(),
        }
    }

    /// Bits per second, RTP packets with their headers.
    pub(crate) fn bitrate(&mut self, now: Time, sent: &Sent) -> u64 {
        let bitrate = self.rate.bitrate(now, sent.bytes);
        self.rate.sample(now, sent.bytes);
        bitrate
    }

    pub(crate) fn stats(&mut self, now: Time, sent: &Sent) -> SendStats {
        let shown = &self.params.shown;
        SendStats {
            base: BaseStats {
                timestamp_ms: now.as_millis(),
                ssrc: shown.ssrc,
                kind: self.params.mime_type.kind,
                mime_type: shown.mime_type.clone(),
                packets_lost: self.packets_lost,
                fraction_lost: self.fraction_lost,
                jitter: self.jitter,
                packets_discarded: 0,
                packets_retransmitted: self.counters.retransmitted,
                packets_repaired: self.counters.repaired,
                nack_count: self.counters.nacks,
                nack_packet_count: self.counters.nacked_packets,
                pli_count: self.counters.plis,
                fir_count: self.counters.firs,
                rid: shown.rid.clone(),
                rtx_ssrc: shown.rtx_ssrc,
                rtx_packets_discarded: 0,
                round_trip_time: self.rtt.as_secs_f32() * 1_000.0,
                score: self.score.value(),
            },
            packet_count: sent.packets,
            byte_count: sent.bytes,
            bitrate: self.bitrate(now, sent),
        }
    }
}
