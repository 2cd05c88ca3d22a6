//! Dropped packets in words, for the controller's log: at most one line a second for each reason.

use std::time::Duration;

use ringsoup_rtc::time::Time;

use crate::drop_reason::DropReason;
use crate::event::{LogLevel, LogLine, LogTag};

/// Between two lines about the same reason: a flood of bad packets must not become a flood of log lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where the line comes from, in the form that all lines of a worker's log have.
const ORIGIN: &str = "Sfu::handle_datagram() | ";

#[derive(Debug, Default)]
pub struct DropLog {
    reasons: [Said; DropReason::ALL.len()],
}

#[derive(Debug, Clone, Copy, Default)]
struct Said {
    last: Option<Time>,
    unsaid: u64,
}

impl DropLog {
    /// A line about a packet that `transport` dropped, unless there was one lately or the reason is everyday.
    #[cold]
    pub fn line(&mut self, now: Time, reason: DropReason, transport: &str) -> Option<LogLine> {
        let (level, tag, text) = words(reason)?;
        let said = &mut self.reasons[reason as usize];
        if said.last.is_some_and(|last| now.saturating_since(last) < INTERVAL) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(now);
        let unsaid = std::mem::take(&mut said.unsaid);
        let text = match unsaid {
            0 => format!("{ORIGIN}{text} [transportId:{transport}]"),
            more => format!("{ORIGIN}{text} [transportId:{transport}, {more} more since the last line]"),
        };
        Some(LogLine { level, tag, text })
    }
}

/// `None` for what happens in every healthy session.
fn words(reason: DropReason) -> Option<(LogLevel, LogTag, &'static str)> {
    use LogLevel::{Debug, Warn};
    Some(match reason {
        DropReason::UnknownProducer => (Warn, LogTag::Rtp, "RTP packet belongs to no producer"),
        DropReason::UnknownStream => (Warn, LogTag::Rtp, "RTP packet belongs to no stream of its producer"),
        DropReason::UnknownPayloadType => (Warn, LogTag::Rtp, "RTP packet of a payload type without mapping"),
        DropReason::MalformedRtp => (Warn, LogTag::Rtp, "malformed RTP packet"),
        DropReason::MalformedRtcp => (Warn, LogTag::Rtcp, "malformed RTCP packet"),
        DropReason::MalformedRtx => (Debug, LogTag::Rtx, "RTX packet without an original"),
        DropReason::SrtpAuthentication => (Warn, LogTag::Srtp, "SRTP packet does not authenticate"),
        DropReason::SrtpReplay => (Debug, LogTag::Srtp, "SRTP packet came before"),
        DropReason::BadSequence => (Warn, LogTag::Rtp, "RTP packet too far out of sequence"),
        DropReason::NotConnected => (Debug, LogTag::Rtp, "packet before the transport is connected"),
        DropReason::ForeignTuple => (Debug, LogTag::Rtp, "packet from an address that is not the peer's"),
        DropReason::NoIce => (Debug, LogTag::Ice, "packet from an address that ICE has not let in"),
        DropReason::MalformedStun => (Warn, LogTag::Ice, "malformed STUN message"),
        DropReason::StunRefused => (Warn, LogTag::Ice, "STUN message that is no good connectivity check"),
        DropReason::NoHandshake => (Debug, LogTag::Dtls, "DTLS record without a handshake"),
        DropReason::HandshakePutOff => (Warn, LogTag::Dtls, "too many DTLS handshakes at once"),
        DropReason::NoSrtpKeys => (Debug, LogTag::Srtp, "SRTP packet before its keys are known"),
        DropReason::TooLong => (Warn, LogTag::Rtp, "given packet exceeds the maximum size"),
        DropReason::UnknownProtocol => (Debug, LogTag::Rtp, "packet of no known protocol"),
        DropReason::Sctp => (Debug, LogTag::Sctp, "SCTP packet, which is not spoken here"),
        DropReason::MessageRefused => (Warn, LogTag::Message, "message for no data producer, or too long"),
        DropReason::OutboxFull => (Warn, LogTag::Rtp, "cannot send as fast as packets come"),
        DropReason::UnknownSocket
        | DropReason::UnknownTuple
        | DropReason::UnknownFragment
        | DropReason::ChecksLimited
        | DropReason::UnknownPipe
        | DropReason::Duplicate
        | DropReason::PaddingOnly
        | DropReason::ProducerPaused
        | DropReason::NoTakers
        | DropReason::Panicked => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second() {
        let mut log = DropLog::default();
        let reason = DropReason::MalformedRtp;
        let first = log.line(Time::ZERO, reason, "t").expect("the first is told");
        assert_eq!(first.text, "Sfu::handle_datagram() | malformed RTP packet [transportId:t]");
        for millis in 1..1_000 {
            assert!(log.line(Time::from_millis(millis), reason, "t").is_none());
        }
        let next = log.line(Time::from_millis(1_000), reason, "t").expect("a second later");
        assert!(next.text.ends_with("999 more since the last line]"));
    }

    #[test]
    fn reasons_do_not_silence_each_other() {
        let mut log = DropLog::default();
        assert!(log.line(Time::ZERO, DropReason::MalformedRtp, "t").is_some());
        assert!(log.line(Time::ZERO, DropReason::SrtpAuthentication, "t").is_some());
        assert!(log.line(Time::ZERO, DropReason::NoTakers, "t").is_none());
    }
}
