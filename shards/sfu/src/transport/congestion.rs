//! By what means a transport's bandwidth is to be estimated.
//!
//! A way is estimated from the first producer (towards us) or video consumer (from us) on that negotiates a means. The
//! statistics of a transport whose media negotiate nothing say nothing.

use crate::rtp_parameters::{ExtensionUri, RtpParameters};

/// How the two ends of a way find out what it can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// Transport-wide sequence numbers, and feedback on them.
    TransportCc,
    /// Send times, and what the receiver makes of them.
    Remb,
}

impl Means {
    /// The better one on which both ends have agreed: its extension and its feedback together.
    pub(crate) fn of(parameters: &RtpParameters) -> Option<Self> {
        let gives_feedback = |kind: &str| {
            let feedback = parameters.codecs.iter().flat_map(|codec| &codec.rtcp_feedback);
            feedback.into_iter().any(|feedback| feedback.kind == kind)
        };
        let both = |uri, feedback| parameters.extension_id(uri).is_some() && gives_feedback(feedback);
        if both(ExtensionUri::TransportWideCc01, "transport-cc") {
            Some(Self::TransportCc)
        } else if both(ExtensionUri::AbsSendTime, "goog-remb") {
            Some(Self::Remb)
        } else {
            None
        }
    }
}

/// Parameters with one extension and one feedback.
#[cfg(test)]
pub(crate) fn negotiating(uri: ExtensionUri, feedback: &str) -> RtpParameters {
    use crate::rtp_parameters::RtcpFeedback;
    use crate::test_parameters;

    let mut parameters = test_parameters::h264_with_rtx(1, 2);
    parameters.header_extensions = vec![test_parameters::extension(uri, 5)];
    parameters.codecs[0].rtcp_feedback =
        vec![RtcpFeedback { kind: feedback.to_owned(), parameter: String::new() }];
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_means_is_the_extension_and_its_feedback_together() {
        use ExtensionUri::{AbsSendTime, TransportWideCc01};
        for (uri, feedback, means) in [
            (TransportWideCc01, "transport-cc", Some(Means::TransportCc)),
            (AbsSendTime, "goog-remb", Some(Means::Remb)),
            (TransportWideCc01, "goog-remb", None),
            (AbsSendTime, "transport-cc", None),
            (ExtensionUri::Mid, "transport-cc", None),
        ] {
            assert_eq!(Means::of(&negotiating(uri, feedback)), means, "{uri:?} {feedback}");
        }
        let mut both = negotiating(AbsSendTime, "goog-remb");
        let numbers = negotiating(TransportWideCc01, "transport-cc");
        both.header_extensions.extend(numbers.header_extensions);
        both.codecs.extend(numbers.codecs);
        assert_eq!(Means::of(&both), Some(Means::TransportCc));
    }
}
