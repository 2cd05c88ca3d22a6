//! Whether a transport's bandwidth is to be estimated, and what its statistics say of it.
//!
//! A way is estimated from the first producer (towards us) or video consumer (from us) on that negotiates the means:
//! transport-wide sequence numbers with their feedback, or send times with REMB. There is no estimator yet, so what is
//! told is what an estimator knows before it has heard anything; the statistics of a transport whose media negotiate
//! nothing say nothing.

use crate::reply::TransportStats;
use crate::rtp_parameters::{ExtensionUri, MediaKind, RtpParameters};

use super::{BitrateLimits, OUTGOING_BITRATE_MIN};

/// Where an estimate of what can be sent begins unless the controller says, bits per second.
const INITIAL_OUTGOING_DEFAULT: u64 = 600_000;

#[derive(Debug)]
pub struct Congestion {
    /// Bits per second.
    initial_outgoing: u64,
    estimates_outgoing: bool,
    estimates_incoming: bool,
}

/// Whether both ends have agreed on a means to estimate by.
fn negotiates(parameters: &RtpParameters) -> bool {
    let gives_feedback = |kind: &str| {
        let feedback = parameters.codecs.iter().flat_map(|codec| &codec.rtcp_feedback);
        feedback.into_iter().any(|feedback| feedback.kind == kind)
    };
    [(ExtensionUri::TransportWideCc01, "transport-cc"), (ExtensionUri::AbsSendTime, "goog-remb")]
        .into_iter()
        .any(|(uri, feedback)| parameters.extension_id(uri).is_some() && gives_feedback(feedback))
}

impl Congestion {
    pub(crate) fn new(initial_outgoing: Option<u64>) -> Self {
        Self {
            initial_outgoing: initial_outgoing.unwrap_or(INITIAL_OUTGOING_DEFAULT).max(OUTGOING_BITRATE_MIN),
            estimates_outgoing: false,
            estimates_incoming: false,
        }
    }

    pub(crate) fn note_producer(&mut self, parameters: &RtpParameters) {
        self.estimates_incoming |= negotiates(parameters);
    }

    /// Audio is too thin to estimate by.
    pub(crate) fn note_consumer(&mut self, kind: MediaKind, parameters: &RtpParameters) {
        self.estimates_outgoing |= kind == MediaKind::Video && negotiates(parameters);
    }

    /// Adds what is known to a transport's statistics.
    pub(crate) fn describe(&self, limits: BitrateLimits, is_connected: bool, stats: &mut TransportStats) {
        if self.estimates_outgoing {
            let limit = if limits.max_outgoing > 0 { limits.max_outgoing } else { u64::MAX };
            let available = if is_connected { self.initial_outgoing.min(limit) } else { 0 };
            stats.available_outgoing_bitrate = Some(available);
            stats.rtp_packet_loss_sent = Some(0.0);
        }
        if self.estimates_incoming {
            stats.available_incoming_bitrate = Some(0);
            stats.rtp_packet_loss_received = Some(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp_parameters::RtcpFeedback;
    use crate::test_parameters;

    fn parameters(uri: ExtensionUri, feedback: &str) -> RtpParameters {
        let mut parameters = test_parameters::h264_with_rtx(1, 2);
        parameters.header_extensions = vec![test_parameters::extension(uri, 5)];
        parameters.codecs[0].rtcp_feedback =
            vec![RtcpFeedback { kind: feedback.to_owned(), parameter: String::new() }];
        parameters
    }

    fn stats(congestion: &Congestion, limits: BitrateLimits, is_connected: bool) -> TransportStats {
        let mut stats = TransportStats::default();
        congestion.describe(limits, is_connected, &mut stats);
        stats
    }

    #[test]
    fn the_means_are_the_extension_and_its_feedback_together() {
        use ExtensionUri::{AbsSendTime, TransportWideCc01};
        for (uri, feedback, negotiated) in [
            (TransportWideCc01, "transport-cc", true),
            (AbsSendTime, "goog-remb", true),
            (TransportWideCc01, "goog-remb", false),
            (AbsSendTime, "transport-cc", false),
            (ExtensionUri::Mid, "transport-cc", false),
        ] {
            assert_eq!(negotiates(&parameters(uri, feedback)), negotiated, "{uri:?} {feedback}");
        }
    }

    #[test]
    fn each_way_is_told_of_when_its_media_negotiate() {
        let (mut congestion, none) = (Congestion::new(None), BitrateLimits::default());
        let means = parameters(ExtensionUri::TransportWideCc01, "transport-cc");
        congestion.note_consumer(MediaKind::Audio, &means);
        let nothing = stats(&congestion, none, true);
        assert_eq!((nothing.available_outgoing_bitrate, nothing.available_incoming_bitrate), (None, None));
        congestion.note_producer(&means);
        let incoming = stats(&congestion, none, true);
        assert_eq!(incoming.available_incoming_bitrate, Some(0));
        assert_eq!((incoming.rtp_packet_loss_received, incoming.rtp_packet_loss_sent), (Some(0.0), None));
        congestion.note_consumer(MediaKind::Video, &means);
        assert_eq!(stats(&congestion, none, false).available_outgoing_bitrate, Some(0), "nobody to send to");
        assert_eq!(stats(&congestion, none, true).available_outgoing_bitrate, Some(600_000));
    }

    #[test]
    fn the_first_estimate_is_the_controllers_within_the_limits() {
        let means = parameters(ExtensionUri::TransportWideCc01, "transport-cc");
        for (initial, max_outgoing, available) in
            [(1_000_000, 0, 1_000_000), (1_000, 0, 30_000), (1_000_000, 500_000, 500_000)]
        {
            let mut congestion = Congestion::new(Some(initial));
            congestion.note_consumer(MediaKind::Video, &means);
            let limits = BitrateLimits { max_outgoing, ..BitrateLimits::default() };
            assert_eq!(stats(&congestion, limits, true).available_outgoing_bitrate, Some(available));
        }
    }
}
