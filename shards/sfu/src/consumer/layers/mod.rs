//! Which packets of a producer's streams a consumer gets: one strategy per type.
//!
//! A pipe consumer needs none of its own: it is as many simple streams as its producer has encodings.

mod frames;
mod marked;
pub mod pictures;
pub mod simple;
pub mod simulcast;
pub mod svc;
pub mod timeline;

use ringsoup_rtc::codec::dependency_descriptor::Active;
use ringsoup_rtc::rtx::HistoryPacket;

use crate::consumer::decision::{Decision, Offer, Prefix};
use crate::reply::ConsumerLayersDump;
use crate::rules::TemporalRule;

use simple::SimpleLayers;
use simulcast::SimulcastLayers;
use svc::SvcLayers;

/// The simple case lies flat in its egress, what needs more state behind a pointer.
#[derive(Debug)]
pub enum Layers {
    Simple(SimpleLayers),
    Simulcast(Box<SimulcastLayers>),
    Svc(Box<SvcLayers>),
}

/// A spatial and a temporal layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerPair {
    pub spatial: u8,
    pub temporal: u8,
}

/// One of a producer's streams, or of an SVC stream's spatial layers, as the choice of layers sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Available {
    /// Zero is not to be sent.
    pub score: u8,
    pub has_bitrate: bool,
}

/// What a new choice of layers asks of the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retarget {
    Nothing,
    /// The receiver gets no layer any more.
    Cleared,
    /// The encoding that must send a key frame first.
    NeedsKeyFrame(usize),
}

/// A packet that was sent, by the number it was sent under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The encoding it came from.
    pub encoding: usize,
    /// Its number in the producer's stream.
    pub input: u64,
    /// Its whole number in the consumer's stream.
    pub output: u64,
    /// Which run of the consumer's stream, where it has several.
    run: usize,
}

/// The rest of what makes a packet the same bytes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    pub timestamp: u32,
    pub marker: bool,
    pub prefix: Option<Prefix>,
    pub active: Option<Active>,
}

/// Whose key frames somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFrameOf {
    /// The receiver cannot go on decoding.
    Sent,
    /// The controller asks.
    SentAndWanted,
}

impl Layers {
    #[inline]
    pub fn decide(&mut self, offer: &Offer<'_>) -> Decision {
        match self {
            Self::Simple(simple) => simple.decide(offer),
            Self::Simulcast(simulcast) => simulcast.decide(offer),
            Self::Svc(svc) => svc.decide(offer),
        }
    }

    /// The consumer starts anew: resumed or connected.
    pub fn sync(&mut self) {
        match self {
            Self::Simple(simple) => simple.sync(),
            Self::Simulcast(simulcast) => simulcast.sync(),
            Self::Svc(svc) => svc.sync(),
        }
    }

    /// A stream of the producer began anew. True when it is the one that is sent.
    pub fn restart(&mut self, mapped_ssrc: u32) -> bool {
        match self {
            Self::Simple(simple) => simple.restart(),
            Self::Simulcast(simulcast) => return simulcast.restart(mapped_ssrc),
            Self::Svc(svc) => svc.sync(),
        }
        true
    }

    /// Whether layers of a stream are sent now.
    pub fn has_begun(&self, mapped_ssrc: u32) -> bool {
        match self {
            Self::Simple(_) => false,
            Self::Simulcast(simulcast) => simulcast.has_begun(mapped_ssrc),
            Self::Svc(svc) => svc.has_begun(),
        }
    }

    /// Whether this stream's packets are sent, or are to be.
    pub fn uses(&self, mapped_ssrc: u32) -> bool {
        match self {
            Self::Simple(_) => true,
            Self::Simulcast(simulcast) => simulcast.uses(mapped_ssrc),
            Self::Svc(svc) => svc.target().is_some(),
        }
    }

    /// Leaves a packet out that another rule withheld, so that no gap is seen.
    pub fn skip(&mut self, mapped_ssrc: u32, seq: u64) {
        match self {
            Self::Simple(simple) => simple.skip(seq),
            Self::Simulcast(simulcast) => simulcast.skip(mapped_ssrc, seq),
            Self::Svc(svc) => svc.skip(seq),
        }
    }

    /// The packet that the receiver knows as `sequence_number`.
    pub fn source(&self, sequence_number: u16) -> Option<Source> {
        match self {
            Self::Simple(simple) => {
                let (input, output) = simple.source(sequence_number)?;
                Some(Source { encoding: 0, input, output, run: 0 })
            }
            Self::Simulcast(simulcast) => simulcast.source(sequence_number),
            Self::Svc(svc) => {
                let (input, output) = svc.source(sequence_number)?;
                Some(Source { encoding: 0, input, output, run: 0 })
            }
        }
    }

    /// What a kept packet was sent as; `None` when that cannot be told any more.
    pub fn again(&self, source: &Source, packet: &HistoryPacket<'_>) -> Option<Again> {
        match self {
            Self::Simple(_) => {
                Some(Again { timestamp: packet.timestamp, marker: packet.marker, prefix: None, active: None })
            }
            Self::Simulcast(simulcast) => simulcast.again(source, packet),
            Self::Svc(svc) => svc.again(source.input, packet),
        }
    }

    /// The newest sequence number sent, extended.
    #[inline]
    pub fn newest(&self) -> u64 {
        match self {
            Self::Simple(simple) => simple.newest(),
            Self::Simulcast(simulcast) => simulcast.newest(),
            Self::Svc(svc) => svc.newest(),
        }
    }

    /// The encoding that is sent now.
    pub fn sent_encoding(&self) -> Option<usize> {
        match self {
            Self::Simple(_) => Some(0),
            Self::Simulcast(simulcast) => simulcast.current().map(|layers| layers.spatial.into()),
            Self::Svc(svc) => svc.current().map(|_| 0),
        }
    }

    /// The encodings whose key frames a wish means.
    pub fn key_frame_encodings(&self, wish: KeyFrameOf) -> [Option<usize>; 2] {
        match (self, wish) {
            // One stream: whoever asks gets the only one there is.
            (Self::Simple(_) | Self::Svc(_), _) => [Some(0), None],
            (Self::Simulcast(_), KeyFrameOf::Sent) => [self.sent_encoding(), None],
            (Self::Simulcast(simulcast), KeyFrameOf::SentAndWanted) => {
                let wanted = simulcast.target().map(|layers| usize::from(layers.spatial));
                [wanted, self.sent_encoding().filter(|sent| Some(*sent) != wanted)]
            }
        }
    }

    /// Chooses anew among what the producer sends; `None` where there is nothing to choose.
    pub fn retarget(&mut self, available: &[Option<Available>], rule: TemporalRule) -> Option<Retarget> {
        match self {
            Self::Simple(_) => None,
            Self::Simulcast(simulcast) => Some(simulcast.retarget(available, rule)),
            Self::Svc(svc) => Some(svc.retarget(available, rule)),
        }
    }

    /// Takes a choice that was made elsewhere, where there is one to take.
    pub fn aim(&mut self, target: Option<LayerPair>) -> Option<Retarget> {
        match self {
            Self::Simple(_) => None,
            Self::Simulcast(simulcast) => Some(simulcast.aim(target)),
            Self::Svc(svc) => Some(svc.aim(target)),
        }
    }

    /// Sends no layer any more. True where there are layers.
    pub fn clear(&mut self) -> bool {
        match self {
            Self::Simple(_) => return false,
            Self::Simulcast(simulcast) => simulcast.clear(),
            Self::Svc(svc) => svc.clear(),
        }
        true
    }

    /// The layers that are to be sent where they can be; absent where there are none to choose.
    pub fn preferred(&self) -> Option<LayerPair> {
        match self {
            Self::Simple(_) => None,
            Self::Simulcast(simulcast) => Some(simulcast.preferred()),
            Self::Svc(svc) => Some(svc.preferred()),
        }
    }

    pub fn prefer(&mut self, layers: LayerPair) {
        match self {
            Self::Simple(_) => {}
            Self::Simulcast(simulcast) => simulcast.prefer(layers),
            Self::Svc(svc) => svc.prefer(layers),
        }
    }

    pub fn current(&self) -> Option<LayerPair> {
        match self {
            Self::Simple(_) => None,
            Self::Simulcast(simulcast) => simulcast.current(),
            Self::Svc(svc) => svc.current(),
        }
    }

    pub fn target(&self) -> Option<LayerPair> {
        match self {
            Self::Simple(_) => None,
            Self::Simulcast(simulcast) => simulcast.target(),
            Self::Svc(svc) => svc.target(),
        }
    }

    pub fn dump(&self) -> ConsumerLayersDump {
        let spatial = |layers: Option<LayerPair>| layers.map_or(-1, |layers| layers.spatial.into());
        let temporal = |layers: Option<LayerPair>| layers.map_or(-1, |layers| layers.temporal.into());
        let (preferred, target, current) = (self.preferred(), self.target(), self.current());
        ConsumerLayersDump {
            preferred_spatial: spatial(preferred),
            target_spatial: spatial(target),
            current_spatial: spatial(current),
            preferred_temporal: temporal(preferred),
            target_temporal: temporal(target),
            current_temporal: temporal(current),
        }
    }
}

/// The highest usable layer up to the preferred one, or the lowest above it.
fn choose(
    preferred: LayerPair,
    rule: TemporalRule,
    temporal_layers: u8,
    usable: impl Iterator<Item = u8>,
) -> Option<LayerPair> {
    let mut chosen = None;
    for spatial in usable {
        if spatial <= preferred.spatial || chosen.is_none() {
            chosen = Some(spatial);
        }
    }
    let top = temporal_layers.saturating_sub(1);
    chosen.map(|spatial| LayerPair { spatial, temporal: rule.temporal_max(preferred, spatial).min(top) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_an_egress_is_small() {
        // The figures of the decision record.
        assert_eq!((size_of::<SimulcastLayers>(), size_of::<SvcLayers>()), (944, 320));
    }

    #[test]
    fn the_highest_usable_layer_up_to_the_preferred_one_is_chosen() {
        let chosen = |preferred: u8, usable: &[u8]| {
            let preferred = LayerPair { spatial: preferred, temporal: 2 };
            let rule = TemporalRule::UpToPreferred;
            choose(preferred, rule, 2, usable.iter().copied()).map(|layers| layers.spatial)
        };
        assert_eq!(chosen(1, &[0, 1, 2]), Some(1));
        assert_eq!(chosen(1, &[0, 2]), Some(0), "never above while there is one below");
        assert_eq!(chosen(1, &[2]), Some(2), "but rather above than nothing");
        assert_eq!(chosen(0, &[1, 2]), Some(1));
        assert_eq!(chosen(2, &[]), None);
        let temporal = |rule, temporal, usable: u8| {
            let layers = choose(LayerPair { spatial: 1, temporal }, rule, 3, [usable].into_iter());
            layers.map(|layers| layers.temporal)
        };
        assert_eq!(temporal(TemporalRule::UpToPreferred, 7, 1), Some(2), "of those there are");
        for (rule, of_layers) in
            [(TemporalRule::UpToPreferred, [1, 1, 1]), (TemporalRule::AllBelow, [2, 1, 0])]
        {
            assert_eq!([0, 1, 2].map(|usable| temporal(rule, 1, usable)), of_layers.map(Some), "{rule:?}");
        }
    }
}
