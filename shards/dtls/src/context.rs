//! What all connections have in common: certificate, ciphers, options.

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslVerifyMode,
    SslVersion,
};
use openssl::x509::X509;
use ringsoup_rtc::dtls::Certificate;
use ringsoup_rtc::srtp::CryptoSuite;

use crate::ffi;

/// mediasoup's own list (nothing without authentication, AES-256-GCM left out, ChaCha20 first) without DHE: there a server
/// chooses the group, of up to 10,000 bits, and a client takes a second to answer. Browsers offer none of it.
const CIPHERS: &str = "DEFAULT:!NULL:!aNULL:!SHA256:!SHA384:!aECDH:!AESGCM+AES256:!aPSK:!kDHE";

/// For ECDHE. The library's own list also has curves that take a shard's time and that no browser asks for.
const GROUPS: &str = "X25519:P-256:P-384";

/// `SSL_OP_NO_ENCRYPT_THEN_MAC`, which the crate does not name. With encrypt-then-MAC (RFC 7366) OpenSSL ends a connection on
/// a record whose MAC is wrong, which anybody can send; without it the record is thrown away.
const NO_ENCRYPT_THEN_MAC: SslOptions = SslOptions::from_bits_retain(1 << 19);

/// OpenSSL's level 1: 80 bits. At its default of 2, RSA certificates of 1,024 bits and signatures with SHA-1 are refused,
/// which mediasoup takes.
const SECURITY_LEVEL: u32 = 1;

/// OpenSSL's name of a protection profile.
const fn profile_name(suite: CryptoSuite) -> &'static str {
    match suite {
        CryptoSuite::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        CryptoSuite::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
        CryptoSuite::AesCm128HmacSha1_80 => "SRTP_AES128_CM_SHA1_80",
        CryptoSuite::AesCm128HmacSha1_32 => "SRTP_AES128_CM_SHA1_32",
    }
}

pub(crate) fn suite_of_profile(name: &str) -> Option<CryptoSuite> {
    CryptoSuite::ALL.into_iter().find(|&suite| profile_name(suite) == name)
}

/// Both versions that DTLS has are spoken by `SslMethod::dtls()`, but below level 0 OpenSSL 3 has no DTLS 1.0, so that
/// mediasoup does not take it either.
pub(crate) fn build(certificate: &Certificate) -> Result<SslContext, ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::dtls())?;
    context.set_security_level(SECURITY_LEVEL);
    context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    let own = X509::from_der(certificate.der())?;
    let key = PKey::private_key_from_der(certificate.private_key())?;
    context.set_certificate(&own)?;
    context.set_private_key(&key)?;
    context.check_private_key()?;
    context.set_options(
        SslOptions::CIPHER_SERVER_PREFERENCE
            | SslOptions::NO_COMPRESSION
            | SslOptions::NO_QUERY_MTU
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_TICKET
            | NO_ENCRYPT_THEN_MAC,
    );
    context.set_mode(SslMode::RELEASE_BUFFERS);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    // Any certificate will do here, but one must be shown: certificates sign themselves, and what makes one the peer's is
    // its fingerprint. What it shows beside that is not looked at: keys of its making, each a signature to verify, would take
    // a shard's time for nothing.
    context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    ffi::verify_no_chain(&mut context);
    context.set_cipher_list(CIPHERS)?;
    context.set_groups_list(GROUPS)?;
    let profiles = CryptoSuite::ALL.map(profile_name);
    context.set_tlsext_use_srtp(&profiles.join(":"))?;
    Ok(context.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_a_profile() {
        for suite in CryptoSuite::ALL {
            assert_eq!(suite_of_profile(profile_name(suite)), Some(suite));
        }
        assert_eq!(suite_of_profile("SRTP_NULL_SHA1_80"), None);
    }
}
