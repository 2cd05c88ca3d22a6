//! The four protection profiles a worker offers, and their lengths.

/// Bytes of authentication tag of the GCM suites (RFC 7714 section 14.2: full tags only).
pub(super) const GCM_TAG_LEN: usize = 16;

/// Bytes of E flag and index that follow every SRTCP packet (RFC 3711 section 3.4).
pub(super) const SRTCP_INDEX_LEN: usize = 4;

/// The most bytes protection adds to any RTP or RTCP packet, whatever the suite.
pub const MAX_TRAILER_LEN: usize = GCM_TAG_LEN + SRTCP_INDEX_LEN;

/// A cipher and authentication pair. The order is the order of preference: GCM costs a quarter of
/// what AES-CM with HMAC-SHA1 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CryptoSuite {
    AeadAes256Gcm,
    AeadAes128Gcm,
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
}

impl CryptoSuite {
    /// All suites, most preferred first.
    pub const ALL: [Self; 4] =
        [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// Bytes of master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Bytes of master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
        }
    }

    /// Bytes of master key followed by master salt, the form keys are exchanged in.
    pub const fn key_and_salt_len(self) -> usize {
        self.key_len() + self.salt_len()
    }

    /// Bytes of tag at the end of an SRTP packet: all that protection adds to RTP.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => GCM_TAG_LEN,
            Self::AesCm128HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 => 4,
        }
    }

    /// Bytes of tag in an SRTCP packet. The short tag is for media only: RTCP changes what a
    /// session does, so it keeps 80 bits (RFC 4568 section 6.2.2, RFC 5764 section 4.1.2).
    pub const fn rtcp_tag_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => GCM_TAG_LEN,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 10,
        }
    }

    /// Bytes that protection adds to an RTCP packet.
    pub const fn rtcp_trailer_len(self) -> usize {
        self.rtcp_tag_len() + SRTCP_INDEX_LEN
    }

    /// The name in signalling (RFC 4568, RFC 7714).
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The suite of a signalled name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// The value in the DTLS `use_srtp` extension (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
    pub const fn dtls_profile(self) -> u16 {
        match self {
            Self::AesCm128HmacSha1_80 => 0x0001,
            Self::AesCm128HmacSha1_32 => 0x0002,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// The suite of a `use_srtp` value.
    pub fn from_dtls_profile(profile: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.dtls_profile() == profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_salt_lengths() {
        assert_eq!(CryptoSuite::ALL.map(CryptoSuite::key_and_salt_len), [44, 28, 30, 30]);
    }

    #[test]
    fn the_short_tag_is_for_rtp_only() {
        assert_eq!(CryptoSuite::AesCm128HmacSha1_32.rtp_tag_len(), 4);
        assert_eq!(CryptoSuite::AesCm128HmacSha1_32.rtcp_tag_len(), 10);
    }

    #[test]
    fn no_suite_exceeds_the_largest_trailer() {
        for suite in CryptoSuite::ALL {
            assert!(suite.rtp_tag_len() <= MAX_TRAILER_LEN);
            assert!(suite.rtcp_trailer_len() <= MAX_TRAILER_LEN);
        }
    }

    #[test]
    fn names_and_profiles_lead_back() {
        for suite in CryptoSuite::ALL {
            assert_eq!(CryptoSuite::from_name(suite.name()), Some(suite));
            assert_eq!(CryptoSuite::from_dtls_profile(suite.dtls_profile()), Some(suite));
        }
        assert_eq!(CryptoSuite::from_name("NULL_HMAC_SHA1_80"), None);
        assert_eq!(CryptoSuite::from_dtls_profile(0x0005), None);
    }
}
