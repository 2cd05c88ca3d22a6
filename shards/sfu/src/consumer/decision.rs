//! Decide, then act: what a consumer wants done with a packet. `forward.rs` does it.

use ringsoup_rtc::codec::dependency_descriptor::{Active, Targets};
use ringsoup_rtc::codec::vp8::DESCRIPTOR_BYTES_MAX;
use ringsoup_rtc::time::Time;

use crate::consumer::layers::LayerPair;
use crate::producer::recv_stream::Arrived;
use crate::producer::sender_clock::SenderClock;

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
    /// What its payload begins with instead.
    pub prefix: Option<Prefix>,
    /// The decode targets that are alive for this receiver, where it has to be told.
    pub active: Option<Active>,
    /// The first packet of a run: nothing from before it was sent, what follows it may have come before it.
    pub begins: bool,
    /// What this packet changes, beside itself.
    pub change: LayerChange,
}

/// The layers a receiver gets changed with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerChange {
    None,
    /// Within a stream.
    Within,
    /// Another of the producer's streams is sent now.
    Switched,
    /// Nothing, but the layers that are wanted should have begun here: the key frame's beginning came after packets that were sent
    /// without them.
    Missed,
}

impl LayerChange {
    pub fn between(before: Option<LayerPair>, now: Option<LayerPair>) -> Self {
        let spatial = |layers: Option<LayerPair>| layers.map(|layers| layers.spatial);
        if before == now {
            Self::None
        } else if spatial(before) == spatial(now) {
            Self::Within
        } else {
            Self::Switched
        }
    }
}

/// Other bytes for a payload's beginning: the payload itself is shared by all receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    pub bytes: [u8; DESCRIPTOR_BYTES_MAX],
    pub len: u8,
    /// Bytes of the payload that are left out for it.
    pub skips: u8,
}

impl Prefix {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
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
    /// Of a layer that this receiver does not get.
    Layer,
    /// A key frame that cannot be fitted into the receiver's timeline: another one may.
    OutOfTime,
}

/// The packet a decision is about, after mapping.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub now: Time,
    pub arrived: &'a Arrived<'a>,
    pub payload_type: u8,
    /// The mapped SSRC of the stream.
    pub mapped_ssrc: u32,
    /// The stream's newest report: which wall clock time is which timestamp.
    pub clock: Option<SenderClock>,
    /// The newest moment of capture that the stream's packets carried, by the capturer's clock.
    pub captured: Option<SenderClock>,
    /// The decode targets of a stream that tells them.
    pub targets: Option<Targets<'a>>,
}
