//! How short an encrypted record can be.
//!
//! OpenSSL throws a record away whose tag is wrong, but for good ends a connection on one that has no room for a tag: with
//! 14 bytes from the peer's address, anybody could.

use openssl::ssl::{SslCipherRef, SslRef};

/// Bytes of an authentication tag of GCM and of ChaCha20-Poly1305.
const TAG_LEN: usize = 16;
/// Bytes of the part of the nonce that GCM has in each record (RFC 5288 section 3).
const GCM_NONCE_LEN: usize = 8;
/// With CBC: an initialization vector and a block.
const CBC_MIN: usize = 32;

/// Bytes of body of the shortest record of this connection.
pub(crate) fn shortest_body(ssl: &SslRef) -> usize {
    ssl.current_cipher().map(SslCipherRef::name).map_or(CBC_MIN, shortest_body_of)
}

fn shortest_body_of(cipher: &str) -> usize {
    if cipher.contains("CHACHA20") {
        TAG_LEN
    } else if cipher.contains("GCM") {
        GCM_NONCE_LEN + TAG_LEN
    } else {
        CBC_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_an_empty_record() {
        for (cipher, len) in [
            ("ECDHE-ECDSA-CHACHA20-POLY1305", 16),
            ("ECDHE-RSA-AES128-GCM-SHA256", 24),
            ("ECDHE-ECDSA-AES256-SHA", 32),
        ] {
            assert_eq!(shortest_body_of(cipher), len);
        }
    }
}
