//! The few header fields SRTP itself needs, read from bytes nobody has authenticated yet.

use super::SrtpError;

/// Bytes of RTP header before CSRCs and extension (RFC 3550 section 5.1).
const RTP_FIXED_HEADER_LEN: usize = 12;

/// Bytes of RTCP header and sender SSRC, sent in the clear by SRTCP (RFC 3711 section 3.4).
pub(super) const RTCP_CLEAR_LEN: usize = 8;

const VERSION: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RtpFields {
    pub(super) ssrc: u32,
    pub(super) seq: u16,
    /// Bytes before the payload, as the packet itself states them: CSRC count and extension
    /// length, never recomputed from the extension's elements.
    pub(super) header_len: usize,
}

pub(super) fn rtp_fields(packet: &[u8]) -> Result<RtpFields, SrtpError> {
    let &[first, _, s0, s1, _, _, _, _, c0, c1, c2, c3] =
        packet.first_chunk::<RTP_FIXED_HEADER_LEN>().ok_or(SrtpError::TooShort)?;
    if first >> 6 != VERSION {
        return Err(SrtpError::Malformed);
    }
    let mut header_len = RTP_FIXED_HEADER_LEN + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let extension = packet.get(header_len..).and_then(<[u8]>::first_chunk::<4>);
        let &[_, _, l0, l1] = extension.ok_or(SrtpError::TooShort)?;
        header_len += 4 + 4 * usize::from(u16::from_be_bytes([l0, l1]));
    }
    if packet.len() < header_len {
        return Err(SrtpError::TooShort);
    }
    let ssrc = u32::from_be_bytes([c0, c1, c2, c3]);
    Ok(RtpFields { ssrc, seq: u16::from_be_bytes([s0, s1]), header_len })
}

/// The sender SSRC of the first RTCP packet of a compound.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let &[first, _, _, _, c0, c1, c2, c3] =
        packet.first_chunk::<RTCP_CLEAR_LEN>().ok_or(SrtpError::TooShort)?;
    if first >> 6 != VERSION {
        return Err(SrtpError::Malformed);
    }
    Ok(u32::from_be_bytes([c0, c1, c2, c3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_length_counts_csrcs_and_extension() {
        let mut packet = [0; 64];
        packet[0] = 0x80;
        assert_eq!(rtp_fields(&packet).expect("plain").header_len, 12);
        packet[0] = 0x82;
        assert_eq!(rtp_fields(&packet).expect("two CSRCs").header_len, 20);
        packet[0] = 0x92;
        packet[20..24].copy_from_slice(&[0xbe, 0xde, 0, 3]);
        // Element id 15 ends one-byte parsing early; the stated length still rules.
        packet[24] = 0xf0;
        assert_eq!(rtp_fields(&packet).expect("extension").header_len, 36);
        packet[23] = 200;
        assert_eq!(rtp_fields(&packet), Err(SrtpError::TooShort));
    }

    #[test]
    fn only_version_two() {
        let mut packet = [0; 32];
        for version in [0_u8, 1, 3] {
            packet[0] = version << 6;
            assert_eq!(rtp_fields(&packet), Err(SrtpError::Malformed));
            assert_eq!(rtcp_ssrc(&packet), Err(SrtpError::Malformed));
        }
    }
}
