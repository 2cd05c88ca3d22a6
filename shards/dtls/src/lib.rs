//! DTLS by OpenSSL, behind the seam of `ringsoup_rtc::dtls`.
//!
//! A crate of its own because OpenSSL draws randomness and reads a clock, which the protocols of `ringsoup-rtc` do not.

/// OpenSSL's name and version, for the log.
pub fn library() -> &'static str {
    openssl::version::version()
}
