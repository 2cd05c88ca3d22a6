//! Authenticating and decrypting what a transport receives.

use super::cipher::{Cipher, E_FLAG, PacketId, ciphers};
use super::replay::{RtcpReplay, RtpReplay};
use super::streams::Streams;
use super::wire::{rtcp_ssrc, rtp_fields};
use super::{CryptoSuite, DEFAULT_MAX_SSRCS, SrtpError, index};

/// The receiving half of an SRTP session: every SSRC the peer sends, RTP and RTCP.
///
/// No packet changes any state before its tag has been verified, and replays are refused before
/// any cryptography is spent on them.
#[derive(Debug)]
pub struct InboundSession {
    suite: CryptoSuite,
    rtp: Cipher,
    rtcp: Cipher,
    rtp_streams: Streams<RtpReplay>,
    rtcp_streams: Streams<RtcpReplay>,
}

impl InboundSession {
    /// `key_and_salt` is the peer's master key followed by its master salt.
    pub fn new(suite: CryptoSuite, key_and_salt: &[u8]) -> Result<Self, SrtpError> {
        let (rtp, rtcp) = ciphers(suite, key_and_salt)?;
        Ok(Self {
            suite,
            rtp,
            rtcp,
            rtp_streams: Streams::new(DEFAULT_MAX_SSRCS),
            rtcp_streams: Streams::new(DEFAULT_MAX_SSRCS),
        })
    }

    /// Follows up to `max` SSRCs of each kind instead of [`DEFAULT_MAX_SSRCS`].
    #[must_use]
    pub fn with_max_ssrcs(mut self, max: usize) -> Self {
        self.rtp_streams.set_limit(max);
        self.rtcp_streams.set_limit(max);
        self
    }

    pub fn suite(&self) -> CryptoSuite {
        self.suite
    }

    /// RTP SSRCs this session follows.
    pub fn rtp_ssrc_count(&self) -> usize {
        self.rtp_streams.len()
    }

    /// RTCP sender SSRCs this session follows.
    pub fn rtcp_ssrc_count(&self) -> usize {
        self.rtcp_streams.len()
    }

    /// Checks and decrypts an SRTP packet in place. Returns its length without the tag.
    ///
    /// After [`SrtpError::AuthenticationFailed`] the bytes behind the header are unspecified; after
    /// any other error the packet is untouched.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let fields = rtp_fields(packet)?;
        if packet.len() - fields.header_len < self.suite.rtp_tag_len() {
            return Err(SrtpError::TooShort);
        }
        let window = self.rtp_streams.get_mut(fields.ssrc);
        let index = index::inbound(window.as_ref().map(|window| window.newest()), fields.seq)?;
        let id = PacketId { ssrc: fields.ssrc, index };
        match window {
            Some(window) => {
                window.check(index)?;
                let len = self.rtp.open_rtp(id, packet, fields.header_len)?;
                window.accept(index);
                Ok(len)
            }
            None => {
                self.rtp_streams.has_room()?;
                let len = self.rtp.open_rtp(id, packet, fields.header_len)?;
                self.rtp_streams.insert(fields.ssrc, RtpReplay::starting_at(index))?;
                Ok(len)
            }
        }
    }

    /// Checks an SRTCP packet and, if its E flag is set, decrypts it in place. Returns its length
    /// without index and tag.
    ///
    /// After [`SrtpError::AuthenticationFailed`] the bytes behind the sender SSRC are unspecified;
    /// after any other error the packet is untouched.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let word = self.rtcp.rtcp_index_word(packet)?;
        let encrypted = word & E_FLAG != 0;
        let index = u64::from(word & !E_FLAG);
        let id = PacketId { ssrc, index };
        match self.rtcp_streams.get_mut(ssrc) {
            Some(window) => {
                window.check(index)?;
                let len = self.rtcp.open_rtcp(id, packet, encrypted)?;
                window.accept(index);
                Ok(len)
            }
            None => {
                self.rtcp_streams.has_room()?;
                let len = self.rtcp.open_rtcp(id, packet, encrypted)?;
                self.rtcp_streams.insert(ssrc, RtcpReplay::starting_at(index))?;
                Ok(len)
            }
        }
    }

    /// Forgets an SSRC whose stream has ended. Its packets would be accepted again, from rollover
    /// counter zero, so nothing should be listening to it any more.
    pub fn remove_ssrc(&mut self, ssrc: u32) {
        self.rtp_streams.remove(ssrc);
        self.rtcp_streams.remove(ssrc);
    }
}
