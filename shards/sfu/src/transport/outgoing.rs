//! What a transport knows of the way to its receiver: what it sent, what came, what the receiver says it can take.
//!
//! The first video consumer that negotiated a means of estimation chooses it for good: transport-wide sequence numbers with
//! their feedback, else send times with REMB. Only with the former are packets numbered. There is no estimator of our own
//! yet, so what can be sent is what the receiver said, or what the controller began with.

use ringsoup_rtc::loss_history::LossHistory;
use ringsoup_rtc::rtcp::{Remb, TransportCc};
use ringsoup_rtc::sent_packets::SentPackets;
use ringsoup_rtc::time::Time;

use crate::reply::TransportStats;
use crate::rtp_parameters::{MediaKind, RtpParameters};

use super::congestion::Means;
use super::{BitrateLimits, OUTGOING_BITRATE_MIN};

/// Where an estimate of what can be sent begins unless the controller says, bits per second.
const INITIAL_BITRATE_DEFAULT: u64 = 600_000;

#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Bits per second.
    initial_bitrate: u64,
    feedback: Option<Feedback>,
}

/// By the means that was chosen.
#[derive(Debug)]
enum Feedback {
    TransportCc(Box<Numbered>),
    /// The receiver's last word, bits per second.
    Remb(Option<u64>),
}

#[derive(Debug, Default)]
struct Numbered {
    sent: SentPackets,
    loss: LossHistory,
}

impl Outgoing {
    pub(crate) fn new(initial_bitrate: Option<u64>) -> Self {
        let initial_bitrate = initial_bitrate.unwrap_or(INITIAL_BITRATE_DEFAULT).max(OUTGOING_BITRATE_MIN);
        Self { initial_bitrate, feedback: None }
    }

    /// Audio is too thin to estimate by.
    pub(crate) fn note_consumer(&mut self, kind: MediaKind, parameters: &RtpParameters) {
        if kind != MediaKind::Video || self.feedback.is_some() {
            return;
        }
        self.feedback = Means::of(parameters).map(|means| match means {
            Means::TransportCc => Feedback::TransportCc(Box::default()),
            Means::Remb => Feedback::Remb(None),
        });
    }

    /// Estimates are the receiver's own: what it loses says more.
    pub(crate) fn is_told_by_receiver(&self) -> bool {
        matches!(self.feedback, Some(Feedback::Remb(_)))
    }

    /// The number of the next packet, where packets are numbered.
    #[inline]
    pub(crate) fn next_number(&self) -> Option<u16> {
        match &self.feedback {
            Some(Feedback::TransportCc(numbered)) => Some(numbered.sent.next()),
            _ => None,
        }
    }

    /// A packet of this many bytes was sent with the next number.
    #[inline]
    pub(crate) fn note_sent(&mut self, now: Time, bytes: usize) {
        if let Some(Feedback::TransportCc(numbered)) = &mut self.feedback {
            numbered.sent.insert(now, bytes);
        }
    }

    /// The same packet was sent again.
    pub(crate) fn note_resent(&mut self, number: u16) {
        if let Some(Feedback::TransportCc(numbered)) = &mut self.feedback {
            numbered.sent.note_resent(number);
        }
    }

    /// Feedback that lies about its contents changes nothing, nor does one on packets that were never sent.
    pub(crate) fn receive_transport_cc(&mut self, feedback: &TransportCc<'_>) {
        let Some(Feedback::TransportCc(numbered)) = &mut self.feedback else { return };
        let (mut lost, mut told) = (0, 0);
        let resolved = numbered.sent.resolve(feedback, |result| {
            told += 1;
            lost += u32::from(result.arrived_us.is_none());
        });
        if resolved.is_ok() {
            numbered.loss.update(lost, told);
        }
    }

    pub(crate) fn receive_remb(&mut self, remb: &Remb<'_>) {
        if let Some(Feedback::Remb(bitrate)) = &mut self.feedback {
            *bitrate = Some(remb.bitrate_bps);
        }
    }

    /// Adds what is known to a transport's statistics; nothing while nobody negotiated a means.
    pub(crate) fn describe(&self, limits: BitrateLimits, is_connected: bool, stats: &mut TransportStats) {
        let Some(feedback) = &self.feedback else { return };
        let (told, loss) = match feedback {
            Feedback::TransportCc(numbered) => (None, numbered.loss.fraction()),
            Feedback::Remb(bitrate) => (*bitrate, 0.0),
        };
        let max = if limits.max_outgoing > 0 { limits.max_outgoing } else { u64::MAX };
        let bitrate = match told {
            // Whatever a receiver says, the controller's limits hold.
            Some(bitrate) => bitrate.max(limits.min_outgoing.max(OUTGOING_BITRATE_MIN)),
            None => self.initial_bitrate,
        };
        stats.available_outgoing_bitrate = Some(if is_connected { bitrate.min(max) } else { 0 });
        stats.rtp_packet_loss_sent = Some(loss);
    }
}

#[cfg(test)]
mod tests {
    use ringsoup_rtc::rtcp::{Compound, CompoundWriter, RtcpPacket};

    use super::*;
    use crate::rtp_parameters::ExtensionUri::{AbsSendTime, TransportWideCc01};
    use crate::transport::congestion::negotiating;

    fn outgoing(initial: Option<u64>, means: Means) -> Outgoing {
        let mut outgoing = Outgoing::new(initial);
        let parameters = match means {
            Means::TransportCc => negotiating(TransportWideCc01, "transport-cc"),
            Means::Remb => negotiating(AbsSendTime, "goog-remb"),
        };
        outgoing.note_consumer(MediaKind::Video, &parameters);
        outgoing
    }

    /// What is available, and what is lost.
    fn told(outgoing: &Outgoing, limits: BitrateLimits) -> (Option<u64>, Option<f64>) {
        let mut stats = TransportStats::default();
        outgoing.describe(limits, true, &mut stats);
        (stats.available_outgoing_bitrate, stats.rtp_packet_loss_sent)
    }

    fn receive(outgoing: &mut Outgoing, write: impl Fn(&mut CompoundWriter<'_>) -> Option<usize>) {
        let mut buffer = [0; 1_000];
        let mut writer = CompoundWriter::new(&mut buffer);
        write(&mut writer).unwrap();
        for packet in Compound::new(writer.as_bytes()) {
            match packet.unwrap() {
                RtcpPacket::Remb(remb) => outgoing.receive_remb(&remb),
                RtcpPacket::TransportCc(feedback) => outgoing.receive_transport_cc(&feedback),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_first_video_consumer_chooses() {
        let mut outgoing = Outgoing::new(None);
        assert_eq!(told(&outgoing, BitrateLimits::default()), (None, None));
        let (numbers, times) =
            (negotiating(TransportWideCc01, "transport-cc"), negotiating(AbsSendTime, "goog-remb"));
        outgoing.note_consumer(MediaKind::Audio, &numbers);
        assert_eq!(told(&outgoing, BitrateLimits::default()), (None, None));
        outgoing.note_consumer(MediaKind::Video, &times);
        outgoing.note_consumer(MediaKind::Video, &numbers);
        assert_eq!((outgoing.next_number(), told(&outgoing, BitrateLimits::default()).1), (None, Some(0.0)));
        assert_eq!(self::outgoing(None, Means::TransportCc).next_number(), Some(1));
        let mut stats = TransportStats::default();
        outgoing.describe(BitrateLimits::default(), false, &mut stats);
        assert_eq!(stats.available_outgoing_bitrate, Some(0), "nobody to send to");
    }

    #[test]
    fn the_first_estimate_is_the_controllers_within_the_limits() {
        for (initial, max_outgoing, available) in
            [(None, 0, 600_000), (Some(1_000), 0, 30_000), (Some(1_000_000), 500_000, 500_000)]
        {
            let limits = BitrateLimits { max_outgoing, ..BitrateLimits::default() };
            assert_eq!(told(&outgoing(initial, Means::TransportCc), limits).0, Some(available));
        }
    }

    #[test]
    fn remb_is_believed_within_the_limits() {
        let mut outgoing = outgoing(None, Means::Remb);
        let limits =
            |min_outgoing, max_outgoing| BitrateLimits { min_outgoing, max_outgoing, max_incoming: 0 };
        assert_eq!(told(&outgoing, limits(0, 0)).0, Some(600_000));
        receive(&mut outgoing, |writer| writer.remb(1, 2_000_000, &[5]));
        for (min, max, available) in [
            (0, 0, 2_000_000),
            (0, 1_000_000, 1_000_000),
            (3_000_000, 0, 3_000_000),
            (30_000, 40_000, 40_000),
        ] {
            assert_eq!(told(&outgoing, limits(min, max)).0, Some(available));
        }
        receive(&mut outgoing, |writer| writer.remb(1, 0, &[5]));
        assert_eq!(told(&outgoing, limits(0, 0)).0, Some(30_000));
        receive(&mut outgoing, |writer| writer.remb(1, u64::MAX, &[5]));
        assert!(told(&outgoing, limits(0, 0)).0.unwrap() > u64::MAX >> 1);
        let mut numbered = self::outgoing(None, Means::TransportCc);
        receive(&mut numbered, |writer| writer.remb(1, 2_000_000, &[5]));
        assert_eq!(told(&numbered, limits(0, 0)).0, Some(600_000), "not the means");
    }

    #[test]
    fn loss_is_of_what_was_sent() {
        let mut outgoing = outgoing(None, Means::TransportCc);
        (0..4).for_each(|_| outgoing.note_sent(Time::ZERO, 1_000));
        // Numbers 1 to 4 as vector 1010, from base 1, then of ten that were never sent.
        let fci = [0, 1, 0, 4, 0, 0, 1, 0, 0b1010_1000, 0, 4, 4];
        receive(&mut outgoing, |writer| writer.transport_cc(1, 2, &fci));
        assert_eq!(told(&outgoing, BitrateLimits::default()).1, Some(0.5));
        receive(&mut outgoing, |writer| writer.transport_cc(1, 2, &[0, 5, 0, 10, 0, 0, 1, 1, 0, 10, 0, 0]));
        assert_eq!(told(&outgoing, BitrateLimits::default()).1, Some(0.5));
        receive(&mut outgoing, |writer| {
            writer.transport_cc(1, 2, &[0, 1, 0xff, 0xff, 0, 0, 1, 1, 0, 10, 0, 0])
        });
        assert_eq!(told(&outgoing, BitrateLimits::default()).1, Some(0.5), "a lie changes nothing");
    }
}
