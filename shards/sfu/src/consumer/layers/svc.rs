//! One stream that carries its layers itself: what is above the receiver's layers is left out of it.
//!
//! VP9 tells the layers of each packet, VP8 the temporal ones. H264 and AV1 tell them in the dependency descriptor; where they do not,
//! their streams pass whole, and the lowest layer is all that is known to be sent.

use std::collections::VecDeque;

use ringsoup_rtc::codec::dependency_descriptor::{Active, Frame, KeptFrame};
use ringsoup_rtc::codec::marking::Marking;
use ringsoup_rtc::codec::{Descriptor, Kept, MimeType, vp9};
use ringsoup_rtc::rtx::HistoryPacket;

use crate::consumer::decision::{Decision, LayerChange, Offer, Rewrite, Withheld};
use crate::consumer::layers::frames::{open_from, still_reached};
use crate::consumer::layers::marked;
use crate::consumer::layers::pictures::Pictures;
use crate::consumer::layers::{Again, Available, LayerPair, Retarget, choose};
use crate::consumer::seq_map::SeqMap;
use crate::producer::recv_stream::Arrived;
use crate::rules::TemporalRule;

/// Changes of the layers that are remembered, for packets that come late or are asked for again.
const CHANGES_MAX: usize = 16;

/// What is sent of a stream that does not tell.
const LOWEST: LayerPair = LayerPair { spatial: 0, temporal: 0 };

#[derive(Debug)]
pub struct SvcLayers {
    mime_type: MimeType,
    layers: LayerPair,
    /// Spatial layers depend on each other in key frames only (`_KEY` modes of W3C webrtc-svc).
    is_k_svc: bool,
    preferred: LayerPair,
    target: Option<LayerPair>,
    /// What is above is not sent.
    current: Option<LayerPair>,
    /// Of VP9, the highest temporal layer whose pictures refer to nothing that was left out.
    open: u8,
    /// The sender marks base pictures as switching points, as RFC 9628 means it.
    marks_base: bool,
    /// Of frames with dependency descriptors, the highest temporal layer that came since it may be sent.
    reached: u8,
    /// What the controller was told of it.
    told: Option<LayerPair>,
    needs_sync: bool,
    sequence: SeqMap,
    /// Oldest first.
    changes: VecDeque<Change>,
    /// The decode targets that the receiver is told, and what they were worked out of.
    active: Option<Active>,
    active_of: Option<(u32, LayerPair)>,
    pictures: Pictures,
}

/// From which number on what was sent.
#[derive(Debug, Clone, Copy)]
struct Change {
    from: u64,
    layers: LayerPair,
    active: Option<Active>,
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
            open: 0,
            marks_base: false,
            reached: 0,
            told: None,
            needs_sync: true,
            sequence: SeqMap::new(new.first_sequence_number),
            changes: VecDeque::with_capacity(CHANGES_MAX),
            active: None,
            active_of: None,
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

    /// What is sent: nothing that did not come.
    pub fn current(&self) -> Option<LayerPair> {
        let current = self.current?;
        Some(LayerPair { temporal: current.temporal.min(self.reached), ..current })
    }

    pub fn has_begun(&self) -> bool {
        !self.needs_sync && self.target.is_some()
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
        let begins = self.needs_sync;
        if begins {
            // AV1 without dependency descriptors tells no key frames. What begins above the target is none to begin with.
            let tells = self.mime_type.can_be_key_framed() || arrived.descriptor != Descriptor::None;
            let begins = arrived.is_key_frame && arrived.descriptor.spatial_layer() <= target.spatial;
            if tells && !begins {
                return Decision::Withhold(Withheld::BeforeKeyFrame);
            }
            self.begin(arrived);
        }
        let is_newest = arrived.seq >= self.sequence.max_input();
        let admitted = match &arrived.descriptor {
            Descriptor::Vp9(picture) => self.admit(picture, arrived.seq, is_newest, target),
            Descriptor::Vp8(picture) => {
                let current = self.current.map_or(0, |current| current.temporal);
                let admitted = self.pictures.admit(picture, current, target.temporal);
                let layers = LayerPair { spatial: 0, temporal: admitted.temporal };
                (self.current, self.reached) = (Some(layers), layers.temporal);
                admitted.passes.then_some(layers)
            }
            Descriptor::Dependency(frame) => self.admit_frame(frame, offer, is_newest, target),
            Descriptor::Marked(marking) => self.admit_marked(marking, arrived, is_newest, target),
            Descriptor::Early => return Decision::Withhold(Withheld::BeforeKeyFrame),
            Descriptor::Unresolved => self.current.or_else(|| arrived.is_key_frame.then_some(LOWEST)),
            Descriptor::None => Some(self.current.unwrap_or(LOWEST)),
        };
        // What was left out after it cannot be put between what was sent: another key frame has to come.
        let is_missed = arrived.is_key_frame && !is_newest && self.needs_key_frame(target);
        let Some(layers) = admitted else {
            self.sequence.drop_input(arrived.seq);
            let why = if is_missed { Withheld::OutOfTime } else { Withheld::Layer };
            return Decision::Withhold(why);
        };
        match self.send(offer, layers, is_newest) {
            Decision::Forward(rewrite) => {
                let change = if is_missed { LayerChange::Missed } else { rewrite.change };
                Decision::Forward(Rewrite { begins, change, ..rewrite })
            }
            withheld => withheld,
        }
    }

    fn begin(&mut self, first: &Arrived<'_>) {
        self.needs_sync = false;
        self.sequence.sync(first.seq);
        self.changes.clear();
        if first.descriptor == Descriptor::None {
            // Nothing more is known of it.
            self.current = None;
        }
        let newest = self.pictures.newest();
        self.pictures.follow(newest);
    }

    /// The layers that are sent from this VP9 packet on; `None` leaves it out. What is late is measured by the layers of its time.
    fn admit(
        &mut self,
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
        if own.temporal > layers.temporal && !is_of_another {
            // Later pictures of its layer may refer to it; in K-SVC, those of its own spatial layer only.
            self.open = self.open.min(own.temporal - 1);
        }
        (!is_above && !is_of_another).then_some(layers)
    }

    fn next_layers(
        &mut self,
        picture: &vp9::Descriptor,
        own: LayerPair,
        current: Option<LayerPair>,
        target: LayerPair,
    ) -> Option<LayerPair> {
        let is_key_frame = picture.is_key_frame();
        let Some(current) = current else {
            // Nothing was sent yet: the base layers of a key frame begin.
            let first = LayerPair { spatial: target.spatial, temporal: 0 };
            return is_key_frame.then(|| self.switch(picture, first, target));
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
            let layers = LayerPair { spatial: target.spatial, temporal: own.temporal };
            return Some(self.switch(picture, layers, target));
        }
        // What K-SVC takes of a picture between key frames begins with the layer itself.
        let is_keyed = self.is_k_svc && picture.is_inter_picture;
        let begins = picture.starts_frame && own.spatial == if is_keyed { current.spatial } else { 0 };
        if begins {
            self.note_switching_point(picture, current, target);
        }
        self.open = self.open.min(target.temporal);
        let goes_up = own.temporal > current.temporal && own.temporal <= self.open;
        let goes_down = target.temporal < current.temporal && own.temporal <= target.temporal;
        let temporal = if goes_up && begins {
            own.temporal
        } else if goes_down && picture.ends_frame {
            target.temporal
        } else {
            current.temporal
        };
        Some(LayerPair { temporal, ..current })
    }

    fn switch(&mut self, picture: &vp9::Descriptor, layers: LayerPair, target: LayerPair) -> LayerPair {
        self.open = layers.temporal;
        if picture.starts_frame {
            self.note_switching_point(picture, layers, target);
        }
        layers
    }

    /// RFC 9628 section 4.2: after a picture with U, those of higher temporal layers refer to none of higher layers before it. libwebrtc
    /// means by it that this picture refers to none of its own layer, so that it can be gone up to by one; its base pictures, which
    /// refer to each other, never have it.
    fn note_switching_point(&mut self, picture: &vp9::Descriptor, current: LayerPair, target: LayerPair) {
        let own = layers_of(picture);
        if !picture.layers.is_some_and(|layers| layers.is_switching_up_point) {
            return;
        }
        self.marks_base |= own.temporal == 0;
        if own.temporal <= current.temporal {
            self.open = target.temporal;
        } else if own.temporal == current.temporal + 1 && !self.marks_base {
            self.open = self.open.max(own.temporal);
        }
    }

    /// The layers that are sent from this frame on; `None` leaves it out.
    fn admit_frame(
        &mut self,
        frame: &Frame,
        offer: &Offer<'_>,
        is_newest: bool,
        target: LayerPair,
    ) -> Option<LayerPair> {
        let arrived = offer.arrived;
        if frame.spatial >= self.layers.spatial || frame.temporal >= self.layers.temporal {
            return None;
        }
        let layers = match is_newest {
            true => self.layers_from(frame, arrived.is_key_frame, target)?,
            false => self.layers_at(arrived.seq)?,
        };
        if is_newest {
            if arrived.is_key_frame {
                let goes_on = self.current.is_some_and(|current| current.spatial == layers.spatial);
                let before = if goes_on { self.reached } else { 0 };
                self.reached = still_reached(frame, layers.spatial, before);
            }
            self.note_targets(offer, layers, frame.is_key_frame);
            // Also with a frame that is left out: the rest of it is too.
            self.move_to(arrived.seq, layers);
        }
        let is_sent = self.has(&frame.kept(), layers);
        if is_newest && is_sent {
            self.reached = self.reached.max(frame.temporal).min(layers.temporal);
        }
        is_sent.then_some(layers)
    }

    fn layers_from(&self, frame: &Frame, is_key_frame: bool, target: LayerPair) -> Option<LayerPair> {
        if is_key_frame {
            // Whatever follows refers to nothing before it.
            return Some(target);
        }
        let current = self.current?;
        // Layers below do not depend on those above: down after any whole frame.
        let ends_target = frame.spatial == target.spatial && frame.ends_frame;
        let goes_down = target.spatial < current.spatial && !self.is_k_svc && ends_target;
        let spatial = if goes_down { target.spatial } else { current.spatial };
        let open = open_from(frame, spatial, current.temporal, target.temporal);
        // A frame that is not sent opens nothing.
        let temporal = if self.has(&frame.kept(), current) { open } else { open.min(current.temporal) };
        Some(LayerPair { spatial, temporal })
    }

    /// The layers that are sent from this marked packet on; `None` leaves it out.
    fn admit_marked(
        &mut self,
        marking: &Marking,
        arrived: &Arrived<'_>,
        is_newest: bool,
        target: LayerPair,
    ) -> Option<LayerPair> {
        if marking.spatial >= self.layers.spatial || marking.temporal >= self.layers.temporal {
            return None;
        }
        let layers = match is_newest {
            true => marked::next_layers(marking, arrived.is_key_frame, self.is_k_svc, self.current, target)?,
            false => self.layers_at(arrived.seq)?,
        };
        (marking.spatial <= layers.spatial && marking.temporal <= layers.temporal).then_some(layers)
    }

    /// Whether a frame is sent to a receiver of these layers.
    fn has(&self, frame: &KeptFrame, layers: LayerPair) -> bool {
        let is_of_another = self.is_k_svc && frame.spatial != layers.spatial;
        let is_needed = !is_of_another || frame.is_for_higher || frame.is_key_frame;
        frame.spatial <= layers.spatial && frame.temporal <= layers.temporal && is_needed
    }

    /// These layers are sent from this number on.
    fn move_to(&mut self, seq: u64, layers: LayerPair) {
        self.current = Some(layers);
        let change = Change { from: seq, layers, active: self.active };
        if self.changes.back().is_none_or(|last| (last.layers, last.active) != (layers, self.active)) {
            if self.changes.len() == CHANGES_MAX {
                self.changes.pop_front();
            }
            self.changes.push_back(change);
        }
    }

    /// What a receiver of these layers is told of decode targets: nothing while all are alive for it, and since the structure that said
    /// so.
    fn note_targets(&mut self, offer: &Offer<'_>, layers: LayerPair, brings_structure: bool) {
        let Some(targets) = &offer.targets else { return };
        let of = Some((targets.generation(), layers));
        if self.active_of != of {
            self.active_of = of;
            let own = targets.within(layers.spatial, layers.temporal, self.is_k_svc);
            let is_told = !targets.are_all(&own) || (self.active.is_some() && !brings_structure);
            // A layer that the sender has left out of its structure has no target: nothing true could be said.
            self.active = (is_told && !own.is_empty()).then_some(own);
        }
    }

    fn change_at(&self, seq: u64) -> Option<&Change> {
        self.changes.iter().rev().find(|change| change.from <= seq)
    }

    fn layers_at(&self, seq: u64) -> Option<LayerPair> {
        self.change_at(seq).map(|change| change.layers)
    }

    /// The decode targets that a packet tells. One whose frame is not known stays as it is.
    fn active_at(&self, seq: u64, frame: Option<KeptFrame>) -> Option<Active> {
        Some(self.change_at(seq)?.active?.told_with(&frame?))
    }

    fn send(&mut self, offer: &Offer<'_>, layers: LayerPair, is_newest: bool) -> Decision {
        let arrived = offer.arrived;
        let Some(output) = self.sequence.map(arrived.seq) else {
            return Decision::Withhold(Withheld::BeforeStart);
        };
        if is_newest {
            self.move_to(arrived.seq, layers);
            if !matches!(arrived.descriptor, Descriptor::Dependency(_) | Descriptor::Unresolved) {
                self.reached = layers.temporal;
            }
        }
        let change = LayerChange::between(self.told, self.current());
        self.told = self.current();
        let prefix = match &arrived.descriptor {
            Descriptor::Vp8(picture) => self.pictures.prefix(picture, arrived.payload),
            _ => None,
        };
        #[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits")]
        let sequence_number = output as u16;
        Decision::Forward(Rewrite {
            sequence_number,
            timestamp: arrived.timestamp,
            marker: marker(arrived.marker, &arrived.descriptor, arrived.descriptor.kept().frame(), layers),
            prefix,
            active: self.active_at(arrived.seq, arrived.descriptor.kept().frame()),
            begins: false,
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
        if packet.kept == Kept::Early {
            return None;
        }
        let descriptor = self.mime_type.codec.describe_again(packet.payload, packet.kept);
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
        if packet.kept.frame().is_some_and(|frame| !self.has(&frame, layers)) {
            return None;
        }
        Some(Again {
            timestamp: packet.timestamp,
            marker: marker(packet.marker, &descriptor, packet.kept.frame(), layers),
            prefix,
            active: self.active_at(input, packet.kept.frame()),
        })
    }

    pub fn clear(&mut self) {
        // What is sent next begins anew, with whatever key frame comes then, be it out of order.
        self.needs_sync = true;
        self.target = None;
        self.current = None;
        self.reached = 0;
        self.told = None;
        (self.active, self.active_of) = (None, None);
    }

    /// Chooses the target among the spatial layers that the stream carries.
    pub fn retarget(&mut self, spatial_layers: &[Option<Available>], rule: TemporalRule) -> Retarget {
        let is_alive =
            |layer: &Option<Available>| layer.is_some_and(|layer| layer.score > 0 && layer.has_bitrate);
        let alive = (0_u8..).zip(spatial_layers).filter(|(_, layer)| is_alive(layer)).map(|(index, _)| index);
        let target = choose(self.preferred, rule, self.layers.temporal, alive);
        self.aim(target)
    }

    /// From now on these layers are wanted.
    pub fn aim(&mut self, target: Option<LayerPair>) -> Retarget {
        if target == self.target {
            return Retarget::Nothing;
        }
        let Some(wanted) = target else {
            self.clear();
            return Retarget::Cleared;
        };
        self.target = target;
        if self.needs_key_frame(wanted) { Retarget::NeedsKeyFrame(0) } else { Retarget::Nothing }
    }

    fn needs_key_frame(&self, wanted: LayerPair) -> bool {
        match self.current {
            None => true,
            Some(current) if self.is_k_svc => wanted.spatial != current.spatial,
            Some(current) => wanted.spatial > current.spatial,
        }
    }
}

/// A stream without layer indices has one layer.
fn layers_of(picture: &vp9::Descriptor) -> LayerPair {
    picture.layers.map_or(LayerPair { spatial: 0, temporal: 0 }, |layers| LayerPair {
        spatial: layers.spatial,
        temporal: layers.temporal,
    })
}

/// The last packet of the highest layer sent ends the picture for the receiver (RFC 9628 section 4.1, and AV1's likewise).
fn marker(marker: bool, descriptor: &Descriptor, frame: Option<KeptFrame>, sent: LayerPair) -> bool {
    let ends_top = match (descriptor, frame) {
        (Descriptor::Vp9(picture), _) => picture.ends_frame && layers_of(picture).spatial == sent.spatial,
        (Descriptor::Marked(marking), _) => marking.ends_frame && marking.spatial == sent.spatial,
        (_, Some(frame)) => frame.ends_frame && frame.spatial == sent.spatial,
        _ => false,
    };
    marker || ends_top
}
