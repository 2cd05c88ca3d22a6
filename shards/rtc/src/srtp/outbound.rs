//! Protecting what a transport sends.

use super::cipher::{Cipher, E_FLAG, PacketId, ciphers};
use super::streams::Streams;
use super::wire::{RtpFields, rtcp_ssrc, rtp_fields};
use super::{CryptoSuite, DEFAULT_MAX_SSRCS, SrtpError, index};

/// The sending half of an SRTP session: every SSRC a transport sends, RTP and RTCP.
///
/// Sending one sequence number again is allowed, for retransmission without RTX: the packet must
/// then be the same bytes, as a different payload under the same index would give away both.
#[derive(Debug)]
pub struct OutboundSession {
    suite: CryptoSuite,
    rtp: Cipher,
    rtcp: Cipher,
    /// Highest index sent per RTP SSRC.
    rtp_streams: Streams<u64>,
    /// Next SRTCP index per sender SSRC.
    rtcp_streams: Streams<u32>,
    /// Where a new sender SSRC's index starts: past every index of a forgotten one, so that an
    /// SSRC that comes back cannot repeat a nonce.
    rtcp_start: u32,
}

impl OutboundSession {
    /// `key_and_salt` is the master key followed by the master salt.
    pub fn new(suite: CryptoSuite, key_and_salt: &[u8]) -> Result<Self, SrtpError> {
        let (rtp, rtcp) = ciphers(suite, key_and_salt)?;
        Ok(Self {
            suite,
            rtp,
            rtcp,
            rtp_streams: Streams::new(DEFAULT_MAX_SSRCS),
            rtcp_streams: Streams::new(DEFAULT_MAX_SSRCS),
            rtcp_start: 0,
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

    /// Protects the RTP packet in `buf[..packet_len]` in place; `header_len` bytes of it are header.
    /// Returns the new length, [`CryptoSuite::rtp_tag_len`] more, for which `buf` must have room.
    pub fn protect_rtp(
        &mut self,
        buf: &mut [u8],
        header_len: usize,
        packet_len: usize,
    ) -> Result<usize, SrtpError> {
        let packet = buf.get(..packet_len).ok_or(SrtpError::BufferTooSmall)?;
        let fields = checked_fields(packet, header_len)?;
        let id = self.rtp_id(fields)?;
        let len = self.rtp.seal_rtp(id, buf, header_len, packet_len)?;
        self.rtp_sent(id)?;
        Ok(len)
    }

    /// Protects an RTP packet whose header is in `out[..header_len]` and whose payload is `prefix`
    /// followed by `payload`, which are read where they are and written encrypted behind the header.
    ///
    /// `prefix` is the original sequence number of an RTX packet, else empty. Returns the length of
    /// the packet: header, payload and [`CryptoSuite::rtp_tag_len`].
    pub fn protect_rtp_into(
        &mut self,
        out: &mut [u8],
        header_len: usize,
        prefix: &[u8],
        payload: &[u8],
    ) -> Result<usize, SrtpError> {
        let header = out.get(..header_len).ok_or(SrtpError::BufferTooSmall)?;
        let fields = checked_fields(header, header_len)?;
        let id = self.rtp_id(fields)?;
        let len = self.rtp.seal_rtp_into(id, out, header_len, prefix, payload)?;
        self.rtp_sent(id)?;
        Ok(len)
    }

    /// Protects the (compound) RTCP packet in `buf[..packet_len]` in place, always encrypted.
    /// Returns the new length, [`CryptoSuite::rtcp_trailer_len`] more, for which `buf` must have room.
    pub fn protect_rtcp(&mut self, buf: &mut [u8], packet_len: usize) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(buf.get(..packet_len).ok_or(SrtpError::BufferTooSmall)?)?;
        let index = match self.rtcp_streams.get_mut(ssrc) {
            Some(next) => *next,
            None => {
                self.rtcp_streams.has_room()?;
                self.rtcp_start
            }
        };
        if index & E_FLAG != 0 {
            return Err(SrtpError::IndexExhausted);
        }
        let id = PacketId { ssrc, index: u64::from(index) };
        let len = self.rtcp.seal_rtcp(id, buf, packet_len)?;
        match self.rtcp_streams.get_mut(ssrc) {
            Some(next) => *next = index + 1,
            None => self.rtcp_streams.insert(ssrc, index + 1)?,
        }
        Ok(len)
    }

    /// Forgets an SSRC that will send no more. If it is used again its rollover counter starts at
    /// zero, so the caller must not reuse sequence numbers with other payloads. Returns whether there
    /// are any: whether RTP was ever sent under the SSRC.
    pub fn remove_ssrc(&mut self, ssrc: u32) -> bool {
        if let Some(next) = self.rtcp_streams.remove(ssrc) {
            self.rtcp_start = self.rtcp_start.max(next);
        }
        self.rtp_streams.remove(ssrc).is_some()
    }

    fn rtp_id(&mut self, fields: RtpFields) -> Result<PacketId, SrtpError> {
        let highest = self.rtp_streams.get_mut(fields.ssrc).copied();
        if highest.is_none() {
            self.rtp_streams.has_room()?;
        }
        Ok(PacketId { ssrc: fields.ssrc, index: index::outbound(highest, fields.seq)? })
    }

    fn rtp_sent(&mut self, id: PacketId) -> Result<(), SrtpError> {
        match self.rtp_streams.get_mut(id.ssrc) {
            Some(highest) => *highest = id.index.max(*highest),
            None => self.rtp_streams.insert(id.ssrc, id.index)?,
        }
        Ok(())
    }
}

/// The caller's idea of the header must be the packet's own, or receivers decrypt from elsewhere.
fn checked_fields(packet: &[u8], header_len: usize) -> Result<RtpFields, SrtpError> {
    let fields = rtp_fields(packet)?;
    if fields.header_len == header_len { Ok(fields) } else { Err(SrtpError::Malformed) }
}
