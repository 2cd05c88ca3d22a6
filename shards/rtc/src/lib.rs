//! RTP, RTCP, SRTP and their repair, as pure functions of bytes and time.
//!
//! No I/O, no clock, no randomness: all three are arguments. Nothing here knows a router.

pub mod ntp;
pub mod rtp;
pub mod seq;
pub mod srtp;
pub mod time;
