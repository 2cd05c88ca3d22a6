//! One stream that carries its layers itself: what is above the receiver's layers is left out of it.
//!
//! VP9 tells the layers of each packet, VP8 the temporal ones. H264 and AV1 tell them in the dependency descriptor, which is not
//! read here: their streams pass whole.

use std::collections::VecDeque;

use ringsoup_rtc::codec::{Codec, Descriptor, MimeType, vp9};
use ringsoup_rtc::rtx::HistoryPacket;

use crate::consumer::decision::{Decision, LayerChange, Offer, Rewrite, Withheld};
use crate::consumer::layers::pictures::Pictures;
use crate::consumer::layers::{Again, Available, LayerPair, Retarget, choose};
use crate::consumer::seq_map::SeqMap;

/// Changes of the layers that are remembered, for packets that come late or are asked for again.
const CHANGES_MAX: usize = 16;

#[derive(Debug)]
pub struct SvcLayers {
    mime_type: MimeType,
    layers: LayerPair,
    /// Spatial layers depend on each other in key frames only (`_KEY` modes of W3C webrtc-svc).
    is_k_svc: bool,
    preferred: LayerPair,
    target: Option<LayerPair>,
    current: Option<LayerPair>,
    /// What the controller was told of it.
    told: Option<LayerPair>,
    needs_sync: bool,
    sequence: SeqMap,
    /// From which number on which layers were sent, oldest first.
    changes: VecDeque<(u64, LayerPair)>,
    pictures: Pictures,
}

/// What an SVC consumer is set up with.
#[derive(Debug)]
pub struct NewSvc {
    pub mime_type: MimeType,
    /// How many layers there are.
    pub layers: LayerPair,
    pub is_k_svc: bool,
    pub preferred: LayerPair,
    pub first_sequence_number: u16,
}

impl SvcLayers {
    pub fn new(new: NewSvc) -> Self {
        Self {
            mime_type: new.mime_type,
            layers: new.layers,
            is_k_svc: new.is_k_svc,
            preferred: new.preferred,
            target: None,
            current: None,
            told: None,
            needs_sync: true,
            sequence: SeqMap::new(new.first_sequence_number),
            changes: VecDeque::with_capacity(CHANGES_MAX),
            pictures: Pictures::default(),
        }
    }

    pub fn preferred(&self) -> LayerPair {
        self.preferred
    }

    pub fn prefer(&mut self, layers: LayerPair) {
        self.preferred = layers;
    }

    pub fn target(&self) -> Option<LayerPair> {
        self.target
    }

    pub fn current(&self) -> Option<LayerPair> {
        self.current
    }

    pub fn sync(&mut self) {
        self.needs_sync = true;
    }

    pub fn decide(&mut self, offer: &Offer<'_>) -> Decision {
        let arrived = offer.arrived;
        let Some(target) = self.target else {
            self.skip(arrived.seq);
            return Decision::Withhold(Withheld::Layer);
        };
        if self.needs_sync {
            if self.mime_type.can_be_key_framed() && !arrived.is_key_frame {
                return Decision::Withhold(Withheld::BeforeKeyFrame);
            }
            self.begin(arrived.seq);
        }
        let is_newest = arrived.seq >= self.sequence.max_input();
        let admitted = match &arrived.descriptor {
            Descriptor::Vp9(picture) => self.admit(picture, arrived.seq, is_newest, target),
            Descriptor::Vp8(picture) => {
                let current = self.current.map_or(0, |current| current.temporal);
                let admitted = self.pictures.admit(picture, current, target.temporal);
                let layers = LayerPair { spatial: 0, temporal: admitted.temporal };
                self.current = Some(layers);
                admitted.passes.then_some(layers)
            }
            Descriptor::None if self.mime_type.codec == Codec::Av1 => Some(target),
            Descriptor::None => Some(LayerPair { spatial: 0, temporal: 0 }),
        };
        let Some(layers) = admitted else {
            self.sequence.drop_input(arrived.seq);
            return Decision::Withhold(Withheld::Layer);
        };
        self.send(offer, layers, is_newest)
    }

    fn begin(&mut self, seq: u64) {
        self.needs_sync = false;
        self.sequence.sync(seq);
        self.changes.clear();
        let newest = self.pictures.newest();
        self.pictures.follow(newest);
    }

    /// The layers that are sent from this VP9 packet on; `None` leaves it out. What is late is measured by the layers of its time.
    fn admit(
        &self,
        picture: &vp9::Descriptor,
        seq: u64,
        is_newest: bool,
        target: LayerPair,
    ) -> Option<LayerPair> {
        let own = layers_of(picture);
        if own.spatial >= self.layers.spatial || own.temporal >= self.layers.temporal {
            return None;
        }
        let layers = match (is_newest, self.current) {
            (true, current) => self.next_layers(picture, own, current, target),
            (false, _) => Some(self.layers_at(seq)?),
        }?;
        let is_of_another = self.is_k_svc && picture.is_inter_picture && own.spatial != layers.spatial;
        let is_above = own.spatial > layers.spatial || own.temporal > layers.temporal;
        (!is_above && !is_of_another).then_some(layers)
    }

    fn next_layers(
        &self,
        picture: &vp9::Descriptor,
        own: LayerPair,
        current: Option<LayerPair>,
        target: LayerPair,
    ) -> Option<LayerPair> {
        let is_key_frame = picture.is_key_frame();
        let Some(current) = current else {
            // Nothing was sent yet: the base layers of a key frame begin.
            return is_key_frame.then_some(LayerPair { spatial: target.spatial, temporal: 0 });
        };
        let switches = match target.spatial.cmp(&current.spatial) {
            std::cmp::Ordering::Greater => is_key_frame,
            std::cmp::Ordering::Less if self.is_k_svc => is_key_frame,
            // Layers below do not depend on those above: down after any whole frame.
            std::cmp::Ordering::Less => own.spatial == target.spatial && picture.ends_frame,
            std::cmp::Ordering::Equal => false,
        };
        if switches && own.temporal <= target.temporal.min(current.temporal) {
            // Upper temporal layers have to be switched up to anew; this frame is finished first.
            return Some(LayerPair { spatial: target.spatial, temporal: own.temporal });
        }
        let is_up_point = picture.layers.is_some_and(|layers| layers.is_switching_up_point);
        let goes_up = own.temporal > current.temporal && own.temporal <= target.temporal;
        let goes_down = target.temporal < current.temporal && own.temporal <= target.temporal;
        let temporal = if goes_up && is_up_point && picture.starts_frame && own.spatial <= current.spatial {
            own.temporal
        } else if goes_down && picture.ends_frame {
            target.temporal
        } else {
            current.temporal
        };
        Some(LayerPair { temporal, ..current })
    }

    fn layers_at(&self, seq: u64) -> Option<LayerPair> {
        let change = self.changes.iter().rev().find(|(from, _)| *from <= seq)?;
        Some(change.1)
    }

    fn send(&mut self, offer: &Offer<'_>, layers: LayerPair, is_newest: bool) -> Decision {
        let arrived = offer.arrived;
        let Some(output) = self.sequence.map(arrived.seq) else {
            return Decision::Withhold(Withheld::BeforeStart);
        };
        if is_newest {
            self.current = Some(layers);
        }
        let change = LayerChange::between(self.told, self.current);
        if change != LayerChange::None {
            self.told = self.current;
            if self.changes.len() == CHANGES_MAX {
                self.changes.pop_front();
            }
            self.changes.push_back((arrived.seq, layers));
        }
        let prefix = match &arrived.descriptor {
            Descriptor::Vp8(picture) => self.pictures.prefix(picture, arrived.payload),
            _ => None,
        };
        #[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits")]
        let sequence_number = output as u16;
        Decision::Forward(Rewrite {
            sequence_number,
            timestamp: arrived.timestamp,
            marker: marker(arrived.marker, &arrived.descriptor, layers),
            prefix,
            // One stream: whatever changes does so within it.
            change: change.min(LayerChange::Within),
        })
    }

    pub fn skip(&mut self, seq: u64) {
        if !self.needs_sync {
            self.sequence.drop_input(seq);
        }
    }

    pub fn newest(&self) -> u64 {
        self.sequence.max_output()
    }

    pub fn source(&self, sequence_number: u16) -> Option<(u64, u64)> {
        if self.needs_sync { None } else { self.sequence.source(sequence_number) }
    }

    pub fn again(&self, input: u64, packet: &HistoryPacket<'_>) -> Option<Again> {
        let descriptor = self.mime_type.codec.describe(packet.payload);
        let prefix = match &descriptor {
            Descriptor::Vp8(picture) => self.pictures.prefix_again(picture, packet.payload)?,
            _ => None,
        };
        let layers = self.layers_at(input)?;
        if let Descriptor::Vp9(picture) = &descriptor {
            let own = layers_of(picture);
            let is_of_another = self.is_k_svc && picture.is_inter_picture && own.spatial != layers.spatial;
            if own.spatial > layers.spatial || own.temporal > layers.temporal || is_of_another {
                return None;
            }
        }
        Some(Again {
            timestamp: packet.timestamp,
            marker: marker(packet.marker, &descriptor, layers),
            prefix,
        })
    }

    pub fn clear(&mut self) {
        self.target = None;
        self.current = None;
        self.told = None;
    }

    /// Chooses the target among the spatial layers that the stream carries.
    pub fn retarget(&mut self, spatial_layers: &[Option<Available>]) -> Retarget {
        let is_alive =
            |layer: &Option<Available>| layer.is_some_and(|layer| layer.score > 0 && layer.has_bitrate);
        let alive = (0_u8..).zip(spatial_layers).filter(|(_, layer)| is_alive(layer)).map(|(index, _)| index);
        let target = choose(self.preferred, self.layers.temporal, alive);
        if target == self.target {
            return Retarget::Nothing;
        }
        let Some(wanted) = target else {
            self.clear();
            return Retarget::Cleared;
        };
        self.target = target;
        let needs_key_frame = match self.current {
            None => true,
            Some(current) if self.is_k_svc => wanted.spatial != current.spatial,
            Some(current) => wanted.spatial > current.spatial,
        };
        if needs_key_frame { Retarget::NeedsKeyFrame(0) } else { Retarget::Nothing }
    }
}

/// A stream without layer indices has one layer.
fn layers_of(picture: &vp9::Descriptor) -> LayerPair {
    picture.layers.map_or(LayerPair { spatial: 0, temporal: 0 }, |layers| LayerPair {
        spatial: layers.spatial,
        temporal: layers.temporal,
    })
}

/// The last packet of the highest layer sent ends the picture for the receiver (RFC 9628 section 4.1).
fn marker(marker: bool, descriptor: &Descriptor, sent: LayerPair) -> bool {
    match descriptor {
        Descriptor::Vp9(picture) => {
            marker || (picture.ends_frame && layers_of(picture).spatial == sent.spatial)
        }
        _ => marker,
    }
}
