//! The harness' ends of SRTP on plain transports, on top of the worker family's own protocol crate.

use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession};

/// Protects what a publisher sends, and checks the feedback it gets.
pub(crate) struct Protector {
    outbound: OutboundSession,
    inbound: InboundSession,
}

/// Room a packet needs behind its end.
pub(crate) const TRAILER_BYTES: usize = ringsoup_rtc::srtp::MAX_TRAILER_LEN;

/// Checks what a subscriber receives, and protects the reports it sends.
pub(crate) type Unprotector = Protector;

impl std::fmt::Debug for Protector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Protector").field("suite", &self.outbound.suite()).finish_non_exhaustive()
    }
}

impl Protector {
    /// `ours` is the key (and salt) we send with, `theirs` the worker's.
    pub(crate) fn new(suite: CryptoSuite, ours: &[u8], theirs: &[u8]) -> Result<Self, String> {
        Ok(Self {
            outbound: OutboundSession::new(suite, ours).map_err(|error| error.to_string())?,
            inbound: InboundSession::new(suite, theirs).map_err(|error| error.to_string())?,
        })
    }

    /// Of sessions that DTLS agreed on.
    pub(crate) const fn of(outbound: OutboundSession, inbound: InboundSession) -> Self {
        Self { outbound, inbound }
    }

    /// Protects the RTP packet in `buffer[..length]`; the new length, or `None` when it cannot be.
    pub(crate) fn protect_rtp(&mut self, buffer: &mut [u8], header: usize, length: usize) -> Option<usize> {
        self.outbound.protect_rtp(buffer, header, length).ok()
    }

    /// Protects an RTCP packet in place; false when it cannot be.
    pub(crate) fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        let length = packet.len();
        packet.resize(length + TRAILER_BYTES, 0);
        match self.outbound.protect_rtcp(packet, length) {
            Ok(length) => {
                packet.truncate(length);
                true
            }
            Err(_) => false,
        }
    }

    /// Checks and decrypts in place; the length of what is inside, or `None` when it does not verify.
    pub(crate) fn unprotect(&mut self, packet: &mut [u8], is_rtcp: bool) -> Option<usize> {
        if is_rtcp {
            self.inbound.unprotect_rtcp(packet).ok()
        } else {
            self.inbound.unprotect_rtp(packet).ok()
        }
    }
}
