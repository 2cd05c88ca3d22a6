//! Decide, then act: what a consumer wants done with a packet. `forward.rs` does it.

use crate::producer::recv_stream::Arrived;

/// A consumer's word on a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Forward(Rewrite),
    /// Not this packet.
    Withhold(Withheld),
}

/// What this receiver's copy says instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrite {
    pub sequence_number: u16,
    pub timestamp: u32,
    pub marker: bool,
}

/// Why a consumer does not take a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// Paused on either side, not connected, or of a stream that is not taken.
    Inactive,
    /// The producer has several codecs and this consumer does not know this one.
    PayloadType,
    /// Nothing can be decoded before the next key frame.
    BeforeKeyFrame,
    /// Sent before the consumer's stream began, arrived after.
    BeforeStart,
    /// Silence that the controller asked not to forward.
    Dtx,
}

/// The packet a decision is about, after mapping.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub arrived: &'a Arrived<'a>,
    pub payload_type: u8,
    /// The mapped SSRC of the stream.
    pub mapped_ssrc: u32,
}
