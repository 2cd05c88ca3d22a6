//! STUN messages as ICE uses them (RFC 8489): a view of received bytes, and a writer into a caller's buffer.

pub mod address;
pub mod attribute;
pub mod fingerprint;
pub mod integrity;
pub mod message;
pub mod writer;

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod rfc5769_tests;

pub use attribute::ErrorCode;
pub use integrity::IntegrityKey;
pub use message::{Class, Message, ParseError};
pub use writer::Writer;

/// Bytes before the attributes: type, length, magic cookie, transaction.
pub const HEADER_LEN: usize = 20;
/// Bytes that tie a response to its request.
pub const TRANSACTION_LEN: usize = 12;
/// What tells STUN from what shares its port (RFC 8489 section 5).
pub const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// The only method of ICE.
pub const BINDING: u16 = 0x001;

/// Where the length field lies.
const LENGTH_AT: usize = 2;
/// Type and length before each attribute's value.
const ATTRIBUTE_HEADER_LEN: usize = 4;
/// Values begin and end on boundaries of so many bytes.
const ALIGNMENT: usize = 4;
/// First bytes of other protocols on the port begin here (RFC 7983 section 7).
const FIRST_BYTE_END: u8 = 4;

/// Whether these bytes are to be read as STUN rather than as DTLS, RTP or RTCP. They may still be malformed.
pub fn is_stun(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_LEN
        && bytes.first().is_some_and(|first| *first < FIRST_BYTE_END)
        && bytes.get(4..8) == Some(&MAGIC_COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stun_is_told_from_what_shares_its_port() {
        let mut bytes = [0; HEADER_LEN];
        bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
        assert!(is_stun(&bytes));
        assert!(!is_stun(&bytes[..HEADER_LEN - 1]));
        for first in [4, 20, 63, 64, 128, 191, 255] {
            assert!(!is_stun(&[&[first], &bytes[1..]].concat()), "{first}");
        }
        bytes[7] ^= 1;
        assert!(!is_stun(&bytes));
    }
}
