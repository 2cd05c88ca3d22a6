//! One session cipher: AES-GCM or AES-CM with HMAC-SHA1, behind the same six operations.

use super::cm::CmCipher;
use super::gcm::GcmCipher;
use super::kdf::{Label, derive};
use super::{CryptoSuite, SrtpError};

/// The E flag of the SRTCP index word: the packet is encrypted (RFC 3711 section 3.4).
pub(super) const E_FLAG: u32 = 1 << 31;

/// What makes a packet's nonce unique under one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct PacketId {
    pub(super) ssrc: u32,
    /// 48 bits of RTP index, or 31 of SRTCP index.
    pub(super) index: u64,
}

/// The cipher for one direction's RTP, or its RTCP: the two have different keys.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "GCM is what nearly every session has: its key lies here, not behind a pointer"
)]
pub(super) enum Cipher {
    Gcm(GcmCipher),
    Cm(Box<CmCipher>),
}

/// Which of a direction's two ciphers to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rtp,
    Rtcp,
}

/// Both ciphers of a direction from its master key followed by its master salt.
pub(super) fn ciphers(suite: CryptoSuite, key_and_salt: &[u8]) -> Result<(Cipher, Cipher), SrtpError> {
    let wrong_length =
        SrtpError::KeyLength { expected: suite.key_and_salt_len(), actual: key_and_salt.len() };
    if key_and_salt.len() != suite.key_and_salt_len() {
        return Err(wrong_length);
    }
    let (key, salt) = key_and_salt.split_at_checked(suite.key_len()).ok_or(wrong_length)?;
    let rtp = Cipher::derived(suite, key, salt, Kind::Rtp).ok_or(wrong_length)?;
    let rtcp = Cipher::derived(suite, key, salt, Kind::Rtcp).ok_or(wrong_length)?;
    Ok((rtp, rtcp))
}

impl Cipher {
    fn derived(suite: CryptoSuite, key: &[u8], salt: &[u8], kind: Kind) -> Option<Self> {
        let (encryption, authentication, salting, tag_len) = match kind {
            Kind::Rtp => {
                (Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt, suite.rtp_tag_len())
            }
            Kind::Rtcp => {
                (Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt, suite.rtcp_tag_len())
            }
        };
        match suite {
            CryptoSuite::AeadAes256Gcm | CryptoSuite::AeadAes128Gcm => {
                let mut session_key = [0; 32];
                let mut session_salt = [0; 12];
                let session_key = session_key.get_mut(..suite.key_len())?;
                (derive(key, salt, encryption, session_key) && derive(key, salt, salting, &mut session_salt))
                    .then(|| GcmCipher::new(session_key, session_salt).map(Self::Gcm))?
            }
            CryptoSuite::AesCm128HmacSha1_80 | CryptoSuite::AesCm128HmacSha1_32 => {
                let mut session_key = [0; 16];
                let mut session_salt = [0; 14];
                let mut auth_key = [0; 20];
                (derive(key, salt, encryption, &mut session_key)
                    && derive(key, salt, salting, &mut session_salt)
                    && derive(key, salt, authentication, &mut auth_key))
                .then(|| {
                    let cm = CmCipher::new(session_key, session_salt, auth_key, tag_len)?;
                    Some(Self::Cm(Box::new(cm)))
                })?
            }
        }
    }

    /// Encrypts the payload in `packet[header_len..len]` and appends the tag. Returns the new length.
    pub(super) fn seal_rtp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        header_len: usize,
        len: usize,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(id, packet, header_len, len),
            Self::Cm(cm) => cm.seal_rtp(id, packet, header_len, len),
        }
    }

    /// Encrypts `prefix` and `body` to follow the header in `out[..header_len]`, and appends the
    /// tag. Returns the packet's length.
    pub(super) fn seal_rtp_into(
        &self,
        id: PacketId,
        out: &mut [u8],
        header_len: usize,
        prefix: &[u8],
        body: &[u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp_into(id, out, header_len, prefix, body),
            Self::Cm(cm) => cm.seal_rtp_into(id, out, header_len, prefix, body),
        }
    }

    /// Authenticates a packet and decrypts its payload. Returns its length without the tag.
    pub(super) fn open_rtp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtp(id, packet, header_len),
            Self::Cm(cm) => cm.open_rtp(id, packet, header_len),
        }
    }

    /// Encrypts `packet[..len]` after the sender SSRC and appends index and tag. Returns the new
    /// length.
    pub(super) fn seal_rtcp(&self, id: PacketId, packet: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtcp(id, packet, len),
            Self::Cm(cm) => cm.seal_rtcp(id, packet, len),
        }
    }

    /// E flag and index of a packet long enough to hold its clear header and whole trailer.
    pub(super) fn rtcp_index_word(&self, packet: &[u8]) -> Result<u32, SrtpError> {
        match self {
            Self::Gcm(_) => GcmCipher::rtcp_index_word(packet),
            Self::Cm(cm) => cm.rtcp_index_word(packet),
        }
    }

    /// Authenticates a packet, whether encrypted or not, and decrypts it if it is. Returns its
    /// length without the trailer.
    pub(super) fn open_rtcp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        encrypted: bool,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtcp(id, packet, encrypted),
            Self::Cm(cm) => cm.open_rtcp(id, packet, encrypted),
        }
    }
}
