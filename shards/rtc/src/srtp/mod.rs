//! SRTP and SRTCP (RFC 3711, RFC 7714) over keys that somebody else agreed on.
//!
//! One [`OutboundSession`] protects everything a transport sends, one [`InboundSession`] checks and
//! decrypts everything it receives; both cover every SSRC of their direction. Keys come from the
//! DTLS exporter or from signalling (RFC 4568) and are expanded once, when a session is made.
//!
//! The ciphers are other people's: ring for GCM, RustCrypto for AES-CM and HMAC-SHA1. What lives
//! here is what surrounds them: packet layout, nonces, rollover counters and replay windows.

mod cipher;
mod cm;
mod counter_mode;
mod error;
mod gcm;
mod inbound;
mod index;
mod kdf;
mod outbound;
mod packet_mac;
mod replay;
#[cfg(test)]
mod session_properties;
#[cfg(test)]
mod session_tests;
mod streams;
mod suite;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod test_vectors;
#[cfg(test)]
mod threat_tests;
mod wire;

pub use error::SrtpError;
pub use inbound::InboundSession;
pub use outbound::OutboundSession;
pub use suite::{CryptoSuite, MAX_TRAILER_LEN};

/// SSRCs of each kind (RTP, RTCP) one session follows unless told otherwise.
///
/// A peer that holds the keys can invent SSRCs for free; this bounds the state it can make us keep
/// to about 150 KiB. It is far above what one browser sends.
pub const DEFAULT_MAX_SSRCS: usize = 1024;
