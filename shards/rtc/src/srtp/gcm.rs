//! AES-GCM packets (RFC 7714).

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use super::SrtpError;
use super::cipher::{E_FLAG, PacketId};
use super::suite::{GCM_TAG_LEN, SRTCP_INDEX_LEN};
use super::wire::RTCP_CLEAR_LEN;

/// A session key, expanded once, with its salt.
#[derive(Debug)]
pub(super) struct GcmCipher {
    key: LessSafeKey,
    /// The 96-bit session salt as a number.
    salt: u128,
}

impl GcmCipher {
    /// `None` unless the key is 128 or 256 bits.
    pub(super) fn new(session_key: &[u8], session_salt: [u8; 12]) -> Option<Self> {
        let algorithm = match session_key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return None,
        };
        let key = UnboundKey::new(algorithm, session_key).ok()?;
        let salt = session_salt.iter().fold(0, |salt, byte| salt << 8 | u128::from(*byte));
        Some(Self { key: LessSafeKey::new(key), salt })
    }

    /// RFC 7714 sections 8.1 and 9.1: the same formula, since an SRTCP index fills 31 of the 48 bits.
    fn nonce(&self, id: PacketId) -> Nonce {
        let nonce = self.salt ^ u128::from(id.ssrc) << 48 ^ u128::from(id.index);
        let [_, _, _, _, nonce @ ..] = nonce.to_be_bytes();
        Nonce::assume_unique_for_key(nonce)
    }

    pub(super) fn seal_rtp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        header_len: usize,
        len: usize,
    ) -> Result<usize, SrtpError> {
        let (body, rest) = packet.split_at_mut_checked(len).ok_or(SrtpError::BufferTooSmall)?;
        let (header, payload) = body.split_at_mut_checked(header_len).ok_or(SrtpError::TooShort)?;
        let tag_out = rest.first_chunk_mut().ok_or(SrtpError::BufferTooSmall)?;
        *tag_out = self.seal(id, header, payload)?;
        Ok(len + GCM_TAG_LEN)
    }

    pub(super) fn seal_rtp_into(
        &self,
        id: PacketId,
        out: &mut [u8],
        header_len: usize,
        prefix: &[u8],
        body: &[u8],
    ) -> Result<usize, SrtpError> {
        let len = prefix.len() + body.len();
        let (header, rest) = out.split_at_mut_checked(header_len).ok_or(SrtpError::BufferTooSmall)?;
        let (payload, rest) = rest.split_at_mut_checked(len).ok_or(SrtpError::BufferTooSmall)?;
        let tag_out = rest.first_chunk_mut().ok_or(SrtpError::BufferTooSmall)?;
        let (prefix_out, body_out) = payload.split_at_mut(prefix.len());
        prefix_out.copy_from_slice(prefix);
        body_out.copy_from_slice(body);
        *tag_out = self.seal(id, header, payload)?;
        Ok(header_len + len + GCM_TAG_LEN)
    }

    /// Encrypts `payload` where it is; returns its tag.
    fn seal(&self, id: PacketId, aad: &[u8], payload: &mut [u8]) -> Result<[u8; GCM_TAG_LEN], SrtpError> {
        let tag = self.key.seal_in_place_separate_tag(self.nonce(id), Aad::from(aad), payload);
        // Fails only for payloads of gigabytes.
        let tag = tag.map_err(|_| SrtpError::BufferTooSmall)?;
        tag.as_ref().try_into().map_err(|_| SrtpError::BufferTooSmall)
    }

    pub(super) fn open_rtp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<usize, SrtpError> {
        let len = packet.len().checked_sub(GCM_TAG_LEN).ok_or(SrtpError::TooShort)?;
        if len < header_len {
            return Err(SrtpError::TooShort);
        }
        let (header, sealed) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::TooShort)?;
        self.key
            .open_in_place(self.nonce(id), Aad::from(&*header), sealed)
            .map_err(|_| SrtpError::AuthenticationFailed)?;
        Ok(len)
    }

    /// Layout: clear header, ciphertext, tag, E flag and index (RFC 7714 section 9.2).
    pub(super) fn seal_rtcp(&self, id: PacketId, packet: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let (body, rest) = packet.split_at_mut_checked(len).ok_or(SrtpError::BufferTooSmall)?;
        let (clear, payload) = body.split_first_chunk_mut::<RTCP_CLEAR_LEN>().ok_or(SrtpError::TooShort)?;
        let (tag_out, rest) = rest.split_first_chunk_mut::<GCM_TAG_LEN>().ok_or(SrtpError::BufferTooSmall)?;
        let word_out = rest.first_chunk_mut::<SRTCP_INDEX_LEN>().ok_or(SrtpError::BufferTooSmall)?;
        let word = index_word(id, true)?;
        *tag_out = self.seal(id, &rtcp_aad(*clear, word), payload)?;
        *word_out = word;
        Ok(len + GCM_TAG_LEN + SRTCP_INDEX_LEN)
    }

    pub(super) fn rtcp_index_word(packet: &[u8]) -> Result<u32, SrtpError> {
        if packet.len() < RTCP_CLEAR_LEN + GCM_TAG_LEN + SRTCP_INDEX_LEN {
            return Err(SrtpError::TooShort);
        }
        packet.last_chunk().map(|word| u32::from_be_bytes(*word)).ok_or(SrtpError::TooShort)
    }

    pub(super) fn open_rtcp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        encrypted: bool,
    ) -> Result<usize, SrtpError> {
        const TRAILER_LEN: usize = GCM_TAG_LEN + SRTCP_INDEX_LEN;
        let len = packet.len().checked_sub(TRAILER_LEN).ok_or(SrtpError::TooShort)?;
        if len < RTCP_CLEAR_LEN {
            return Err(SrtpError::TooShort);
        }
        let word = index_word(id, encrypted)?;
        if encrypted {
            let sealed = packet.get_mut(..len + GCM_TAG_LEN).ok_or(SrtpError::TooShort)?;
            let (clear, sealed) =
                sealed.split_first_chunk_mut::<RTCP_CLEAR_LEN>().ok_or(SrtpError::TooShort)?;
            self.key
                .open_in_place(self.nonce(id), Aad::from(rtcp_aad(*clear, word)), sealed)
                .map_err(|_| SrtpError::AuthenticationFailed)?;
        } else {
            self.authenticate_clear_rtcp(id, packet, len, word)?;
        }
        Ok(len)
    }

    /// An unencrypted packet is all associated data, index word included (RFC 7714 section 9.3).
    /// On the wire the tag stands between the two, so the word is moved up for the check.
    fn authenticate_clear_rtcp(
        &self,
        id: PacketId,
        packet: &mut [u8],
        len: usize,
        word: [u8; SRTCP_INDEX_LEN],
    ) -> Result<(), SrtpError> {
        let rest = packet.get_mut(len..).ok_or(SrtpError::TooShort)?;
        let tag = *rest.first_chunk::<GCM_TAG_LEN>().ok_or(SrtpError::TooShort)?;
        *rest.first_chunk_mut().ok_or(SrtpError::TooShort)? = word;
        let clear = packet.get(..len + SRTCP_INDEX_LEN).ok_or(SrtpError::TooShort)?;
        let verdict = self
            .key
            .open_in_place_separate_tag(self.nonce(id), Aad::from(clear), Tag::from(tag), &mut [], 0..)
            .map(drop);
        if let Some(place) = packet.get_mut(len..).and_then(<[u8]>::first_chunk_mut) {
            *place = tag;
        }
        verdict.map_err(|_| SrtpError::AuthenticationFailed)
    }
}

fn index_word(id: PacketId, encrypted: bool) -> Result<[u8; SRTCP_INDEX_LEN], SrtpError> {
    let index = u32::try_from(id.index).ok().filter(|index| index & E_FLAG == 0);
    let index = index.ok_or(SrtpError::IndexExhausted)?;
    Ok((if encrypted { index | E_FLAG } else { index }).to_be_bytes())
}

fn rtcp_aad(
    clear: [u8; RTCP_CLEAR_LEN],
    word: [u8; SRTCP_INDEX_LEN],
) -> [u8; RTCP_CLEAR_LEN + SRTCP_INDEX_LEN] {
    let mut aad = [0; RTCP_CLEAR_LEN + SRTCP_INDEX_LEN];
    let (first, second) = aad.split_at_mut(RTCP_CLEAR_LEN);
    first.copy_from_slice(&clear);
    second.copy_from_slice(&word);
    aad
}

#[cfg(test)]
mod tests {
    use super::super::test_support::hex;
    use super::*;

    const SALT: &str = "517569642070726f2071756f";
    const RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976\
                       69736120696e207061727465732074726573";
    const RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                        deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    const RTP_ID: PacketId = PacketId { ssrc: 0x5501_a0b2, index: 0xf17b };
    const RTCP_ID: PacketId = PacketId { ssrc: 0x4d61_7273, index: 0x5d4 };

    /// The RFC's key of `len` bytes: 00, 01, 02, ...
    fn cipher(len: u8) -> GcmCipher {
        let key: Vec<u8> = (0..len).collect();
        GcmCipher::new(&key, hex(SALT).try_into().expect("12 bytes")).expect("a valid key")
    }

    fn rtp_vector(key_len: u8, protected: &str) {
        let (cipher, plain, protected) = (cipher(key_len), hex(RTP), hex(protected));
        let mut packet = [0; 128];
        packet[..plain.len()].copy_from_slice(&plain);
        let len = cipher.seal_rtp(RTP_ID, &mut packet, 12, plain.len()).expect("room");
        assert_eq!(&packet[..len], protected);
        for prefix in [0, 2, 17] {
            let (prefix, body) = plain[12..].split_at(prefix);
            let mut out = [0xee; 128];
            out[..12].copy_from_slice(&plain[..12]);
            let len = cipher.seal_rtp_into(RTP_ID, &mut out, 12, prefix, body).expect("room");
            assert_eq!(&out[..len], protected);
        }
        let len = cipher.open_rtp(RTP_ID, &mut packet[..len], 12).expect("authentic");
        assert_eq!(&packet[..len], plain);
    }

    /// RFC 7714 sections 16.1.1 and 16.1.2.
    #[test]
    fn rtp_aes_128() {
        rtp_vector(
            16,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de\
             3adf8833899d7f27beb16a9152cf765ee4390cce",
        );
    }

    /// RFC 7714 sections 16.2.1 and 16.2.2.
    #[test]
    fn rtp_aes_256() {
        rtp_vector(
            32,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba6\
             3799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        );
    }

    fn rtcp_vector(key_len: u8, protected: &str) {
        let (cipher, plain, protected) = (cipher(key_len), hex(RTCP), hex(protected));
        let mut packet = [0; 128];
        packet[..plain.len()].copy_from_slice(&plain);
        let len = cipher.seal_rtcp(RTCP_ID, &mut packet, plain.len()).expect("room");
        assert_eq!(&packet[..len], protected);
        assert_eq!(GcmCipher::rtcp_index_word(&packet[..len]), Ok(0x8000_05d4));
        let len = cipher.open_rtcp(RTCP_ID, &mut packet[..len], true).expect("authentic");
        assert_eq!(&packet[..len], plain);
    }

    /// RFC 7714 section 17.1, and its decryption.
    #[test]
    fn rtcp_aes_128_encrypted() {
        rtcp_vector(
            16,
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303d\
             ed0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        );
    }

    /// RFC 7714 section 17.2, and its encryption.
    #[test]
    fn rtcp_aes_256_encrypted() {
        rtcp_vector(
            32,
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0\
             476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        );
    }

    /// RFC 7714 sections 17.3 and 17.4: not encrypted, only tagged.
    #[test]
    fn clear_rtcp_is_still_authenticated() {
        for (key_len, tag) in
            [(16, "841dd9683dd78ec92ae58790125f62b3"), (32, "91db4afbfeee5a978fab4393ed2615fe")]
        {
            let (cipher, plain) = (cipher(key_len), hex(RTCP));
            let wire = [plain.clone(), hex(tag), hex("000005d4")].concat();
            let mut packet = wire.clone();
            assert_eq!(GcmCipher::rtcp_index_word(&packet), Ok(0x5d4));
            assert_eq!(cipher.open_rtcp(RTCP_ID, &mut packet, false), Ok(plain.len()));
            assert_eq!(packet, wire);
            for position in 0..wire.len() - SRTCP_INDEX_LEN {
                let mut forged = wire.clone();
                forged[position] ^= 1;
                let before = forged.clone();
                let verdict = cipher.open_rtcp(RTCP_ID, &mut forged, false);
                assert_eq!(verdict, Err(SrtpError::AuthenticationFailed));
                assert_eq!(forged, before);
            }
        }
    }
}
