//! Our protocols against independent implementations on random valid packets.
//!
//! What the others are known to get wrong is not generated, each time with the reason:
//! - one-byte header extensions with id 15: `rtp` and `rtc-rtp` recompute the header's length afterwards, and are off;
//! - a compound with a broken sub-packet: `rtc-rtcp` refuses all of it, we read the rest (RFC 3550 section 6.4 asks neither);
//! - SRTCP without encryption (E = 0) under AES-CM: `webrtc-srtp` and `rtc-srtp` skip its authentication.

#[path = "differential/rtcp.rs"]
mod rtcp;
#[path = "differential/rtp.rs"]
mod rtp;
#[path = "differential/srtp.rs"]
mod srtp;
