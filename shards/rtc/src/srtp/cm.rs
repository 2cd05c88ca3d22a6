//! AES in counter mode with HMAC-SHA1 (RFC 3711 sections 4.1.1 and 4.2.1).

use aes::Aes128Enc;
use aes::cipher::{Array, KeyInit};
use subtle::ConstantTimeEq as _;

use super::SrtpError;
use super::cipher::{E_FLAG, PacketId};
use super::counter_mode::apply_keystream;
use super::packet_mac::{PacketMac, SHA1_LEN};
use super::suite::SRTCP_INDEX_LEN;
use super::wire::RTCP_CLEAR_LEN;

/// A session's keys, both expanded once: AES round keys, and the HMAC after its key block.
pub(super) struct CmCipher {
    aes: Aes128Enc,
    mac: PacketMac,
    /// The 112-bit session salt as a number, over the 16 bits of block counter.
    salt: u128,
    tag_len: usize,
}

impl std::fmt::Debug for CmCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CmCipher").field("tag_len", &self.tag_len).finish_non_exhaustive()
    }
}

impl CmCipher {
    /// `None` if a tag of `tag_len` bytes cannot be cut from an HMAC-SHA1.
    pub(super) fn new(
        session_key: [u8; 16],
        session_salt: [u8; 14],
        auth_key: [u8; 20],
        tag_len: usize,
    ) -> Option<Self> {
        if tag_len > SHA1_LEN {
            return None;
        }
        let salt: u128 = session_salt.iter().fold(0, |salt, byte| salt << 8 | u128::from(*byte));
        Some(Self {
            aes: Aes128Enc::new(&Array(session_key)),
            mac: PacketMac::new(auth_key),
            salt: salt << 16,
            tag_len,
        })
    }

    fn apply_keystream(&self, id: PacketId, payload: &mut [u8]) {
        let first = self.salt ^ u128::from(id.ssrc) << 64 ^ u128::from(id.index) << 16;
        apply_keystream(&self.aes, first, payload);
    }

    fn write_tag(&self, tag: [u8; SHA1_LEN], out: &mut [u8]) -> Result<(), SrtpError> {
        let out = out.get_mut(..self.tag_len).ok_or(SrtpError::BufferTooSmall)?;
        out.copy_from_slice(tag.get(..self.tag_len).ok_or(SrtpError::BufferTooSmall)?);
        Ok(())
    }

    fn check_tag(&self, tag: [u8; SHA1_LEN], received: &[u8]) -> Result<(), SrtpError> {
        let expected = tag.get(..self.tag_len).ok_or(SrtpError::AuthenticationFailed)?;
        let is_equal = bool::from(expected.ct_eq(received));
        if is_equal { Ok(()) } else { Err(SrtpError::AuthenticationFailed) }
    }

    pub(super) fn seal_rtp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        header_len: usize,
        len: usize,
    ) -> Result<usize, SrtpError> {
        let (packet, rest) = packet.split_at_mut_checked(len).ok_or(SrtpError::BufferTooSmall)?;
        if rest.len() < self.tag_len {
            return Err(SrtpError::BufferTooSmall);
        }
        let payload = packet.get_mut(header_len..).ok_or(SrtpError::TooShort)?;
        self.apply_keystream(id, payload);
        self.write_tag(self.mac.tag(packet, &rollover(id)), rest)?;
        Ok(len + self.tag_len)
    }

    /// Copies, then encrypts in place: measured 30 ns cheaper than encrypting from one buffer into
    /// the other with this cipher.
    pub(super) fn seal_rtp_into(
        &self,
        id: PacketId,
        out: &mut [u8],
        header_len: usize,
        prefix: &[u8],
        body: &[u8],
    ) -> Result<usize, SrtpError> {
        let len = header_len + prefix.len() + body.len();
        let payload = out.get_mut(header_len..len).ok_or(SrtpError::BufferTooSmall)?;
        let (prefix_out, body_out) =
            payload.split_at_mut_checked(prefix.len()).ok_or(SrtpError::BufferTooSmall)?;
        prefix_out.copy_from_slice(prefix);
        body_out.copy_from_slice(body);
        self.seal_rtp(id, out, header_len, len)
    }

    pub(super) fn open_rtp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<usize, SrtpError> {
        let len = packet.len().checked_sub(self.tag_len).ok_or(SrtpError::TooShort)?;
        let (packet, tag) = packet.split_at_mut_checked(len).ok_or(SrtpError::TooShort)?;
        if packet.len() < header_len {
            return Err(SrtpError::TooShort);
        }
        self.check_tag(self.mac.tag(packet, &rollover(id)), tag)?;
        let payload = packet.get_mut(header_len..).ok_or(SrtpError::TooShort)?;
        self.apply_keystream(id, payload);
        Ok(len)
    }

    /// Layout: clear header, ciphertext, E flag and index, tag (RFC 3711 section 3.4).
    pub(super) fn seal_rtcp(&self, id: PacketId, packet: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let (packet, rest) = packet
            .split_at_mut_checked(len + SRTCP_INDEX_LEN)
            .filter(|(_, rest)| rest.len() >= self.tag_len)
            .ok_or(SrtpError::BufferTooSmall)?;
        let (body, word) =
            packet.split_last_chunk_mut::<SRTCP_INDEX_LEN>().ok_or(SrtpError::BufferTooSmall)?;
        let payload = body.get_mut(RTCP_CLEAR_LEN..).ok_or(SrtpError::TooShort)?;
        let index = u32::try_from(id.index).ok().filter(|index| index & E_FLAG == 0);
        *word = (index.ok_or(SrtpError::IndexExhausted)? | E_FLAG).to_be_bytes();
        self.apply_keystream(id, payload);
        self.write_tag(self.mac.tag(packet, &[]), rest)?;
        Ok(len + SRTCP_INDEX_LEN + self.tag_len)
    }

    pub(super) fn rtcp_index_word(&self, packet: &[u8]) -> Result<u32, SrtpError> {
        if packet.len() < RTCP_CLEAR_LEN + SRTCP_INDEX_LEN + self.tag_len {
            return Err(SrtpError::TooShort);
        }
        packet
            .get(..packet.len() - self.tag_len)
            .and_then(<[u8]>::last_chunk)
            .map(|word| u32::from_be_bytes(*word))
            .ok_or(SrtpError::TooShort)
    }

    pub(super) fn open_rtcp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        encrypted: bool,
    ) -> Result<usize, SrtpError> {
        let authenticated_len = packet.len().checked_sub(self.tag_len).ok_or(SrtpError::TooShort)?;
        let (packet, tag) = packet.split_at_mut_checked(authenticated_len).ok_or(SrtpError::TooShort)?;
        let len = authenticated_len.checked_sub(SRTCP_INDEX_LEN).ok_or(SrtpError::TooShort)?;
        // Encrypted or not: SRTCP authentication is mandatory (RFC 3711 section 3.4).
        self.check_tag(self.mac.tag(packet, &[]), tag)?;
        if encrypted {
            let payload = packet.get_mut(RTCP_CLEAR_LEN..len).ok_or(SrtpError::TooShort)?;
            self.apply_keystream(id, payload);
        }
        Ok(len)
    }
}

/// The rollover counter, which is authenticated after the packet but not sent.
fn rollover(id: PacketId) -> [u8; 4] {
    let [_, _, r0, r1, r2, r3, _, _] = id.index.to_be_bytes();
    [r0, r1, r2, r3]
}

#[cfg(test)]
mod tests {
    use super::super::test_support::hex;
    use super::*;

    /// RFC 3711 appendix B.2: encrypting zeros yields the keystream.
    #[test]
    fn keystream_vector() {
        let cipher = CmCipher::new(
            hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().expect("16 bytes"),
            hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().expect("14 bytes"),
            [0; 20],
            10,
        )
        .expect("10 of 20 bytes");
        let mut packet = [0; 70];
        let id = PacketId { ssrc: 0, index: 0 };
        assert_eq!(cipher.seal_rtp(id, &mut packet, 12, 60), Ok(70));
        let keystream = hex("E03EAD0935C95E80E166B16DD92B4EB4\
                             D23513162B02D0F72A43A2FE4A5F97AB\
                             41E95B3BB0A2E8DD477901E4FCA894C0");
        assert_eq!(packet[12..60], keystream);
        let mut out = [0; 70];
        assert_eq!(cipher.seal_rtp_into(id, &mut out, 12, &[0; 2], &[0; 46]), Ok(70));
        assert_eq!(out, packet);
    }

    #[test]
    fn no_tag_longer_than_the_hash() {
        assert!(CmCipher::new([0; 16], [0; 14], [0; 20], 21).is_none());
    }
}
