//! MESSAGE-INTEGRITY (RFC 8489 section 14.5): an HMAC-SHA1 of all before it, under the password.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

use super::attribute::MESSAGE_INTEGRITY_LEN;
use super::{ATTRIBUTE_HEADER_LEN, HEADER_LEN, LENGTH_AT};

/// Bytes that SHA-1 takes at a time, and so an HMAC's key (RFC 2104 section 2).
const BLOCK_LEN: usize = 64;

/// A password, hashed into an HMAC once so that no message pays for it again.
#[derive(Clone)]
pub struct IntegrityKey(Hmac<Sha1>);

impl IntegrityKey {
    /// A short-term credential's password. OpaqueString preparation leaves ICE's letters as they are.
    pub fn new(password: &[u8]) -> Self {
        let mut block = [0; BLOCK_LEN];
        if password.len() <= BLOCK_LEN {
            block[..password.len()].copy_from_slice(password);
        } else {
            block[..MESSAGE_INTEGRITY_LEN].copy_from_slice(&Sha1::digest(password));
        }
        Self(Hmac::new(&block.into()))
    }

    /// Of the message's first `end` bytes, its length taken as if it ended with the attribute that follows them: what
    /// comes later (a FINGERPRINT) does not change it. `None` if that is no message.
    pub(super) fn code(&self, message: &[u8], end: usize) -> Option<[u8; MESSAGE_INTEGRITY_LEN]> {
        let length = end.checked_sub(HEADER_LEN)? + ATTRIBUTE_HEADER_LEN + MESSAGE_INTEGRITY_LEN;
        let mut hmac = self.0.clone();
        hmac.update(message.get(..LENGTH_AT)?);
        hmac.update(&u16::try_from(length).ok()?.to_be_bytes());
        hmac.update(message.get(LENGTH_AT + 2..end)?);
        Some(hmac.finalize().into_bytes().0)
    }

    /// Takes the same time wherever a forged code differs.
    pub(super) fn verify(&self, message: &[u8], end: usize, code: &[u8; MESSAGE_INTEGRITY_LEN]) -> bool {
        self.code(message, end).is_some_and(|expected| expected.ct_eq(code).into())
    }
}

impl std::fmt::Debug for IntegrityKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("IntegrityKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(key: &[u8], message: &[u8]) -> [u8; MESSAGE_INTEGRITY_LEN] {
        let mut hmac = IntegrityKey::new(key).0;
        hmac.update(message);
        hmac.finalize().into_bytes().0
    }

    #[test]
    fn keys_of_all_lengths_are_those_of_rfc_2202() {
        // Test case 1, a short key.
        let case_1 = [
            0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b, 0xc0, 0xb6, 0xfb, 0x37, 0x8c, 0x8e,
            0xf1, 0x46, 0xbe, 0x00,
        ];
        assert_eq!(mac(&[0x0b; 20], b"Hi There"), case_1);
        // Test case 6, a key longer than a block.
        let case_6 = [
            0xaa, 0x4a, 0xe5, 0xe1, 0x52, 0x72, 0xd0, 0x0e, 0x95, 0x70, 0x56, 0x37, 0xce, 0x8a, 0x3b, 0x55,
            0xed, 0x40, 0x21, 0x12,
        ];
        assert_eq!(mac(&[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First"), case_6);
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", IntegrityKey::new(b"secret")), "IntegrityKey(..)");
    }
}
