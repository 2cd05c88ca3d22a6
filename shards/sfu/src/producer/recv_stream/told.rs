//! What is told of a received stream: to its sender in reports, to controllers in dumps and stats.

use ringsoup_rtc::loss::LossReport;
use ringsoup_rtc::ntp;
use ringsoup_rtc::rtcp::ReportBlock;
use ringsoup_rtc::time::Time;

use crate::reply::{BaseStats, RecvStats, RtpStreamDump};

use super::RecvStream;

impl RecvStream {
    pub(crate) fn report(&mut self, now: Time, worst_remote_fraction_lost: u8) -> ReportBlock {
        let worst = if self.params.shown.use_in_band_fec { worst_remote_fraction_lost } else { 0 };
        self.last_report = self.sequence.report(worst);
        block(self.ssrc(), self.last_report, self.jitter.timestamp_units(), self.last_sender_report, now)
    }

    pub(crate) fn rtx_report(&mut self, now: Time) -> Option<ReportBlock> {
        let ssrc = self.rtx_ssrc()?;
        let report = self.rtx_sequence.report(0);
        Some(block(ssrc, report, 0, self.last_rtx_sender_report, now))
    }

    pub(crate) fn dump(&self) -> RtpStreamDump {
        RtpStreamDump {
            params: self.params.shown.clone(),
            score: self.score.value(),
            rtx_stream: self.params.rtx(),
        }
    }

    pub(crate) fn stats(&self, now: Time) -> RecvStats {
        let shown = &self.params.shown;
        RecvStats {
            base: BaseStats {
                timestamp_ms: now.as_millis(),
                ssrc: shown.ssrc,
                kind: self.params.mime_type.kind,
                mime_type: shown.mime_type.clone(),
                packets_lost: i32::try_from(self.sequence.lost()).unwrap_or(i32::MAX),
                fraction_lost: self.sequence.fraction_lost(),
                jitter: self.jitter.timestamp_units(),
                packets_discarded: self.sequence.discarded(),
                packets_retransmitted: self.counters.retransmitted,
                packets_repaired: self.counters.repaired,
                nack_count: self.counters.nacks,
                nack_packet_count: self.counters.nacked_packets,
                pli_count: self.counters.plis,
                fir_count: self.counters.firs,
                rid: shown.rid.clone(),
                rtx_ssrc: shown.rtx_ssrc,
                rtx_packets_discarded: self.counters.rtx_discarded,
                round_trip_time: self.rtt.as_secs_f32() * 1_000.0,
                score: self.score.value(),
            },
            packet_count: self.traffic.packets(),
            byte_count: self.traffic.bytes(),
            bitrate: self.traffic.bitrate(now),
            bitrate_by_layer: self.layers.as_ref().map_or_else(Vec::new, |layers| layers.shown(now)),
        }
    }
}

fn block(
    ssrc: u32,
    loss: LossReport,
    jitter: u32,
    sender_report: Option<(u32, Time)>,
    now: Time,
) -> ReportBlock {
    let (last_sr, delay) = sender_report.map_or((0, 0), |(middle, received)| {
        (middle, ntp::duration_to_middle(now.saturating_since(received)))
    });
    ReportBlock {
        ssrc,
        fraction_lost: loss.fraction_lost,
        cumulative_lost: loss.cumulative_lost,
        highest_sequence_number: loss.highest_sequence,
        jitter,
        last_sender_report: last_sr,
        delay_since_last_sender_report: delay,
    }
}
