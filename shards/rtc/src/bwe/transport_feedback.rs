//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): each packet's arrival, told to the sender.

use std::time::Duration;

use crate::loss_history::LossHistory;
use crate::rtcp::{CompoundWriter, TransportCcWriter};
use crate::time::Time;

use super::arrivals::{Arrivals, Recorded};

/// Between two reports while packets come.
pub const FEEDBACK_INTERVAL: Duration = Duration::from_millis(100);
/// Feedback is about a transport and from nobody in particular.
const SENDER_SSRC: u32 = 0;

/// The receiver's end of one transport.
#[derive(Debug, Default)]
pub struct TransportFeedback {
    arrivals: Arrivals,
    losses: LossHistory,
    /// Of the feedback packet that is next.
    packet_count: u8,
    /// Of the newest packet: senders that look at it at all want one of theirs.
    media_ssrc: u32,
}

impl TransportFeedback {
    /// Notes a packet; [`Recorded::Crowded`] asks for [`write_next`](Self::write_next) until it is through, and then for
    /// the packet once more.
    pub fn handle_packet(&mut self, sequence_number: u16, ssrc: u32, arrival: Time) -> Recorded {
        let recorded = self.arrivals.record(sequence_number, arrival);
        if recorded == Recorded::Noted {
            self.media_ssrc = ssrc;
        }
        recorded
    }

    /// Appends one feedback packet; `None` when all has been reported.
    pub fn write_next(&mut self, now: Time, out: &mut CompoundWriter<'_>) -> Option<usize> {
        let (base, arrivals) = self.arrivals.unreported()?;
        let mut next = base;
        let mut writer: Option<TransportCcWriter> = None;
        for (number, arrival) in arrivals {
            let packet = writer
                .get_or_insert_with(|| TransportCcWriter::new(base.as_u16(), arrival, self.packet_count));
            if packet.push(number.as_u16(), arrival).is_err() {
                break;
            }
            next = number.next();
        }
        let writer = writer?;
        let (lost, statuses) = (writer.lost_count(), writer.status_count());
        let len = writer.write(out, SENDER_SSRC, self.media_ssrc)?;
        self.arrivals.set_reported(next);
        self.arrivals.forget_old(now);
        self.losses.update(lost.into(), statuses.into());
        self.packet_count = self.packet_count.wrapping_add(1);
        Some(len)
    }

    /// Lost of what was reported lately, between 0 and 1.
    pub fn packet_loss(&self) -> f64 {
        self.losses.fraction()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Compound, RTCP_BYTES_MAX, RtcpPacket};

    /// Base, status count and feedback count of each packet there is to send.
    fn reports(feedback: &mut TransportFeedback, now: Time) -> Vec<(u16, u16, u8, u32)> {
        let mut found = Vec::new();
        loop {
            let mut buffer = [0; RTCP_BYTES_MAX];
            let mut out = CompoundWriter::new(&mut buffer);
            let Some(_) = feedback.write_next(now, &mut out) else { return found };
            for packet in Compound::new(out.as_bytes()) {
                let Ok(RtcpPacket::TransportCc(packet)) = packet else { panic!("{packet:?}") };
                assert_eq!(packet.statuses().unwrap().count(), usize::from(packet.packet_status_count));
                let counts = (packet.base_sequence_number, packet.packet_status_count);
                found.push((counts.0, counts.1, packet.feedback_packet_count, packet.media_ssrc));
            }
        }
    }

    #[test]
    fn reports_follow_each_other_without_a_hole() {
        let mut feedback = TransportFeedback::default();
        let mut now = Time::from_millis(1_000);
        assert_eq!(reports(&mut feedback, now), []);
        for seq in [65_530, 65_531, 65_534] {
            assert_eq!(feedback.handle_packet(seq, 7, now), Recorded::Noted);
        }
        assert_eq!(reports(&mut feedback, now), [(65_530, 5, 0, 7)]);
        assert!((feedback.packet_loss() - 0.4).abs() < 1e-9);
        now += FEEDBACK_INTERVAL;
        feedback.handle_packet(0, 8, now);
        assert_eq!(reports(&mut feedback, now), [(65_535, 2, 1, 8)]);
        // 0.4 weighs one, 0.5 two.
        assert!((feedback.packet_loss() - 1.4 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn what_one_packet_cannot_hold_goes_into_the_next() {
        let mut feedback = TransportFeedback::default();
        let mut now = Time::from_millis(1_000);
        for seq in 0..2_000 {
            now += Duration::from_micros(500);
            feedback.handle_packet(seq, 7, now);
        }
        let told = reports(&mut feedback, now);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told.iter().map(|report| report.1).sum::<u16>(), 2_000);
        assert_eq!(told[1].0, told[0].1);
        assert!(feedback.packet_loss() < 1e-9);
        // A pause that no delta spans, within one report.
        feedback.handle_packet(2_000, 7, now);
        feedback.handle_packet(2_001, 7, now + Duration::from_secs(9));
        assert_eq!(reports(&mut feedback, now), [(2_000, 1, 2, 7), (2_001, 1, 3, 7)]);
    }

    #[test]
    fn the_count_wraps() {
        let mut feedback = TransportFeedback::default();
        for seq in 0..300 {
            feedback.handle_packet(seq, 7, Time::from_millis(u64::from(seq)));
            let [(_, 1, count, _)] = reports(&mut feedback, Time::ZERO)[..] else { panic!() };
            assert_eq!(u16::from(count), seq % 256);
        }
    }
}
