//! What differs about media between controllers, as plain values: given to a shard when it starts, which knows no controllers.

use std::cmp::Ordering;

use ringsoup_rtc::codec::Codec;
use ringsoup_rtc::srtp::CryptoSuite;

use crate::consumer::layers::LayerPair;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Codecs of no use to this controller: unknown to it.
    pub unknown_codecs: &'static [Codec],
    /// Codecs whose single stream may carry layers of its own.
    pub svc_codecs: &'static [Codec],
    /// A single stream with temporal layers, of a codec that has no SVC but simulcast, is simulcast; otherwise it is refused.
    pub has_simulcast_of_one: bool,
    pub consumer_type: ConsumerType,
    pub temporal: TemporalRule,
    /// What pipes between routers are encrypted with, where they are: the other end may be a worker of the same version.
    pub pipe_crypto_suite: CryptoSuite,
}

/// How a consumer's type comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumerType {
    /// By what it can be sent, unless it is a pipe's.
    Derived,
    AsRequested,
}

/// Which temporal layers go with spatial ones that are not the preferred one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemporalRule {
    /// Those up to the preferred one.
    UpToPreferred,
    /// All with spatial layers below the preferred one, the lowest alone with those above it.
    AllBelow,
}

impl Rules {
    pub const NEWEST: Self = Self {
        unknown_codecs: &[Codec::H265, Codec::H264Svc],
        svc_codecs: &[Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1],
        has_simulcast_of_one: true,
        consumer_type: ConsumerType::Derived,
        temporal: TemporalRule::UpToPreferred,
        pipe_crypto_suite: CryptoSuite::AeadAes256Gcm,
    };
}

impl Default for Rules {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl TemporalRule {
    /// The highest temporal layer to be sent with a spatial one, however many there are.
    pub fn temporal_max(self, preferred: LayerPair, spatial: u8) -> u8 {
        match (self, spatial.cmp(&preferred.spatial)) {
            (Self::UpToPreferred, _) | (Self::AllBelow, Ordering::Equal) => preferred.temporal,
            (Self::AllBelow, Ordering::Less) => u8::MAX,
            (Self::AllBelow, Ordering::Greater) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_temporal_layer_is_of_one_spatial_layer_or_of_all() {
        let preferred = LayerPair { spatial: 1, temporal: 1 };
        let of = |rule: TemporalRule| [0, 1, 2].map(|spatial| rule.temporal_max(preferred, spatial));
        assert_eq!(of(TemporalRule::UpToPreferred), [1, 1, 1]);
        assert_eq!(of(TemporalRule::AllBelow), [u8::MAX, 1, 0]);
    }
}
