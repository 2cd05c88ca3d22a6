//! RTP, RTCP, SRTP and their repair, as pure functions of bytes and time.
//!
//! No I/O, no clock, no randomness: all three are arguments. Nothing here knows a router.

pub mod bwe;
pub mod clock_offset;
pub mod codec;
pub mod dtls;
pub mod ice;
pub mod jitter;
pub mod loss;
pub mod loss_history;
pub mod nack;
pub mod ntp;
pub mod rate;
pub mod rtcp;
pub mod rtp;
pub mod rtx;
pub mod sampled_rate;
pub mod score;
pub mod sctp;
pub mod sent_packets;
pub mod seq;
pub mod srtp;
pub mod stream_framing;
pub mod stun;
pub mod subchannels;
pub mod time;
