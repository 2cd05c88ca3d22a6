//! Several streams in, one of them out: the same picture in several sizes, each a stream with its own numbers and clock.
//!
//! ```text
//! large   ────────────────────K──────►  1:  run 0     (sent from its key frame on)
//! small   K──────────────────────────►  0:  run 1     (sent until then, kept for NACKs)
//! output  K────────────────────K──────►     sequence numbers, timestamps and picture numbers go on
//! ```
//! A run is the time during which one stream is sent. What is sent is the *current* layer, what shall be is the *target*,
//! chosen by the controller's preference among the streams that are alive. Between the two lies a key frame.

use ringsoup_rtc::codec::dependency_descriptor::Frame;
use ringsoup_rtc::codec::{Descriptor, Kept, MimeType};
use ringsoup_rtc::rtx::HistoryPacket;

use crate::consumer::decision::{Decision, LayerChange, Offer, Rewrite, Withheld};
use crate::consumer::layers::frames::{Opened, open_from, still_reached};
use crate::consumer::layers::marked;
use crate::consumer::layers::pictures::Pictures;
use crate::consumer::layers::timeline::Timeline;
use crate::consumer::layers::{Again, Available, LayerPair, Retarget, Source, choose};
use crate::consumer::seq_map::SeqMap;
use crate::rules::TemporalRule;

/// Runs whose packets are sent again when asked for: the one that is sent and those before it. A receiver asks within a second or
/// two, and switches are further apart.
const RUNS: usize = 3;

#[derive(Debug)]
pub struct SimulcastLayers {
    mime_type: MimeType,
    /// The router's SSRC of each layer, from the smallest on.
    mapped_ssrcs: Box<[u32]>,
    temporal_layers: u8,
    preferred: LayerPair,
    target: Option<LayerPair>,
    current: Option<LayerPair>,
    /// What the controller was told of it.
    told: Option<LayerPair>,
    /// The stream that is sent began anew.
    needs_sync: bool,
    /// The current run first.
    runs: [Run; RUNS],
    timeline: Timeline,
    /// The newest packet sent was a frame's last.
    frame_is_whole: bool,
    /// Of a stream with dependency descriptors, frames up to this temporal layer are sent.
    open: u8,
}

#[derive(Debug)]
struct Run {
    /// `None` when nothing of it may be sent again.
    layer: Option<u8>,
    sequence: SeqMap,
    timestamp_offset: u32,
    pictures: Pictures,
    opened: Opened,
}

impl Run {
    fn new(first_sequence_number: u16, has_frames: bool) -> Self {
        Self {
            layer: None,
            sequence: SeqMap::new(first_sequence_number),
            timestamp_offset: 0,
            pictures: Pictures::default(),
            opened: if has_frames { Opened::of_frames() } else { Opened::default() },
        }
    }
}

/// What a simulcast consumer is set up with.
#[derive(Debug)]
pub struct NewSimulcast {
    pub mime_type: MimeType,
    pub mapped_ssrcs: Box<[u32]>,
    pub temporal_layers: u8,
    pub preferred: LayerPair,
    /// Ticks per second of the timestamps.
    pub clock_rate: u32,
    pub first_sequence_number: u16,
}

impl SimulcastLayers {
    pub fn new(new: NewSimulcast) -> Self {
        let has_frames = new.mime_type.codec.needs_dependency_descriptor();
        Self {
            mime_type: new.mime_type,
            mapped_ssrcs: new.mapped_ssrcs,
            temporal_layers: new.temporal_layers,
            preferred: new.preferred,
            target: None,
            current: None,
            told: None,
            needs_sync: false,
            runs: std::array::from_fn(|_| Run::new(new.first_sequence_number, has_frames)),
            timeline: Timeline::new(new.clock_rate),
            frame_is_whole: true,
            open: 0,
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

    /// The consumer starts anew.
    pub fn sync(&mut self) {
        self.timeline.reset();
        self.forget_runs(|_| true);
    }

    /// A stream began anew: its packets from before cannot be told from the new ones. True when it is the one sent.
    pub fn restart(&mut self, mapped_ssrc: u32) -> bool {
        let Some(layer) = self.layer_of(mapped_ssrc) else { return false };
        self.forget_runs(|of| of == layer);
        let is_sent = self.is_current(layer);
        self.needs_sync |= is_sent;
        is_sent
    }

    fn forget_runs(&mut self, which: impl Fn(u8) -> bool) {
        for run in &mut self.runs {
            run.layer = run.layer.filter(|layer| !which(*layer));
        }
    }

    fn layer_of(&self, mapped_ssrc: u32) -> Option<u8> {
        let layer = self.mapped_ssrcs.iter().position(|ssrc| *ssrc == mapped_ssrc)?;
        u8::try_from(layer).ok()
    }

    pub fn uses(&self, mapped_ssrc: u32) -> bool {
        let is_wanted = |layer| self.target.is_some_and(|target| target.spatial == layer);
        self.layer_of(mapped_ssrc).is_some_and(|layer| self.is_current(layer) || is_wanted(layer))
    }

    fn is_current(&self, layer: u8) -> bool {
        self.current.is_some_and(|current| current.spatial == layer)
    }

    pub fn has_begun(&self, mapped_ssrc: u32) -> bool {
        !self.needs_sync && self.layer_of(mapped_ssrc).is_some_and(|layer| self.is_current(layer))
    }

    pub fn decide(&mut self, offer: &Offer<'_>) -> Decision {
        let Some(layer) = self.layer_of(offer.mapped_ssrc) else {
            return Decision::Withhold(Withheld::Layer);
        };
        let Some(target) = self.target else { return Decision::Withhold(Withheld::Layer) };
        let is_current = self.is_current(layer);
        let switches = !is_current && layer == target.spatial;
        if !switches && !is_current {
            return Decision::Withhold(Withheld::Layer);
        }
        if switches || self.needs_sync {
            // Of AV1, dependency descriptors tell key frames, where there are any.
            let tells = self.mime_type.can_be_key_framed() || offer.arrived.descriptor != Descriptor::None;
            if tells && !offer.arrived.is_key_frame {
                return Decision::Withhold(Withheld::BeforeKeyFrame);
            }
            return self.begin_run(offer, layer, target);
        }
        self.go_on(offer, target)
    }

    /// From this key frame on the layer is sent.
    fn begin_run(&mut self, offer: &Offer<'_>, layer: u8, target: LayerPair) -> Decision {
        let Some(timestamp_offset) = self.timeline.begin(offer) else {
            return Decision::Withhold(Withheld::OutOfTime);
        };
        let (newest, pictures) = (self.newest(), self.runs[0].pictures.newest());
        self.runs.rotate_right(1);
        let run = &mut self.runs[0];
        // A number left out tells the receiver that the frame before is not whole, and will not be.
        let first = newest + if self.frame_is_whole { 1 } else { 2 };
        run.sequence.sync_at(offer.arrived.seq, first);
        run.layer = Some(layer);
        run.timestamp_offset = timestamp_offset;
        run.pictures.follow(pictures);
        run.opened.begin();
        let descriptor = &offer.arrived.descriptor;
        self.needs_sync = false;
        self.open = target.temporal;
        let temporal = descriptor.temporal_layer().min(target.temporal);
        self.current = Some(LayerPair { spatial: layer, temporal });
        match descriptor {
            Descriptor::Vp8(picture) => {
                run.pictures.begin(picture, temporal);
                run.pictures.take(picture);
            }
            Descriptor::Dependency(_) | Descriptor::Unresolved => {
                run.opened.note(offer.arrived.seq, target.temporal);
            }
            _ => {}
        }
        self.send(offer, true)
    }

    /// One more packet of the layer that is sent.
    fn go_on(&mut self, offer: &Offer<'_>, target: LayerPair) -> Decision {
        let Some(current) = self.current else { return Decision::Withhold(Withheld::Layer) };
        // On the way to another layer, the temporal layers stay.
        let wanted = if target.spatial == current.spatial { target.temporal } else { current.temporal };
        let temporal = match &offer.arrived.descriptor {
            Descriptor::Vp8(picture) => {
                let admitted = self.runs[0].pictures.admit(picture, current.temporal, wanted);
                if !admitted.passes {
                    self.current = Some(LayerPair { temporal: admitted.temporal, ..current });
                    self.runs[0].sequence.drop_input(offer.arrived.seq);
                    return Decision::Withhold(Withheld::Layer);
                }
                admitted.temporal
            }
            Descriptor::Dependency(frame) => {
                let Some(temporal) = self.admit(frame, offer, current.temporal, wanted) else {
                    self.runs[0].sequence.drop_input(offer.arrived.seq);
                    return Decision::Withhold(Withheld::Layer);
                };
                temporal
            }
            Descriptor::Marked(marking) => {
                let is_newest = offer.arrived.seq >= self.runs[0].sequence.max_input();
                let next = if is_newest {
                    marked::next_temporal(marking, current.temporal, wanted)
                } else {
                    current.temporal
                };
                if marking.temporal > next {
                    self.runs[0].sequence.drop_input(offer.arrived.seq);
                    return Decision::Withhold(Withheld::Layer);
                }
                next
            }
            Descriptor::Early => return Decision::Withhold(Withheld::BeforeKeyFrame),
            Descriptor::Unresolved => current.temporal,
            _ => 0,
        };
        self.current = Some(LayerPair { temporal, ..current });
        self.send(offer, false)
    }

    /// The temporal layer that is sent with this frame; `None` leaves it out.
    fn admit(&mut self, frame: &Frame, offer: &Offer<'_>, current: u8, wanted: u8) -> Option<u8> {
        let arrived = offer.arrived;
        let run = &mut self.runs[0];
        let is_newest = arrived.seq >= run.sequence.max_input();
        if !is_newest {
            return (frame.temporal <= run.opened.at(arrived.seq)?).then_some(current);
        }
        self.open = match arrived.is_key_frame {
            true => wanted,
            false => open_from(frame, frame.spatial, self.open, wanted),
        };
        run.opened.note(arrived.seq, self.open);
        let reached = match arrived.is_key_frame {
            true => still_reached(frame, frame.spatial, current),
            false => current.max(frame.temporal),
        };
        (frame.temporal <= self.open).then_some(reached.min(self.open))
    }

    fn send(&mut self, offer: &Offer<'_>, begins: bool) -> Decision {
        let arrived = offer.arrived;
        let run = &mut self.runs[0];
        let Some(output) = run.sequence.map(arrived.seq) else {
            return Decision::Withhold(Withheld::BeforeStart);
        };
        let prefix = match &arrived.descriptor {
            Descriptor::Vp8(picture) => run.pictures.prefix(picture, arrived.payload),
            _ => None,
        };
        if output == run.sequence.max_output() {
            self.frame_is_whole = arrived.marker;
        }
        self.timeline.sent(offer, run.timestamp_offset);
        let change = LayerChange::between(self.told, self.current);
        self.told = self.current;
        #[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits")]
        let sequence_number = output as u16;
        let timestamp = arrived.timestamp.wrapping_sub(run.timestamp_offset);
        Decision::Forward(Rewrite {
            sequence_number,
            timestamp,
            marker: arrived.marker,
            prefix,
            active: None,
            begins,
            change,
        })
    }

    pub fn skip(&mut self, mapped_ssrc: u32, seq: u64) {
        if self.layer_of(mapped_ssrc).is_some_and(|layer| self.is_current(layer)) && !self.needs_sync {
            self.runs[0].sequence.drop_input(seq);
        }
    }

    pub fn newest(&self) -> u64 {
        self.runs[0].sequence.max_output()
    }

    pub fn source(&self, sequence_number: u16) -> Option<Source> {
        self.runs.iter().enumerate().find_map(|(index, run)| {
            let encoding = usize::from(run.layer?);
            let (input, output) = run.sequence.source(sequence_number)?;
            Some(Source { encoding, input, output, run: index })
        })
    }

    pub fn again(&self, source: &Source, packet: &HistoryPacket<'_>) -> Option<Again> {
        let run = self.runs.get(source.run)?;
        let is_of_layers = match packet.kept {
            Kept::Early => false,
            Kept::Frame(frame) => frame.temporal <= run.opened.at(source.input)?,
            _ => true,
        };
        if !is_of_layers {
            return None;
        }
        let prefix = match self.mime_type.codec.describe_again(packet.payload, packet.kept) {
            Descriptor::Vp8(picture) => run.pictures.prefix_again(&picture, packet.payload)?,
            _ => None,
        };
        let timestamp = packet.timestamp.wrapping_sub(run.timestamp_offset);
        Some(Again { timestamp, marker: packet.marker, prefix, active: None })
    }

    pub fn clear(&mut self) {
        self.target = None;
        self.current = None;
        self.told = None;
        self.needs_sync = false;
    }

    /// Chooses the target among the streams that exist, by layer.
    pub fn retarget(&mut self, streams: &[Option<Available>], rule: TemporalRule) -> Retarget {
        let is_alive = |stream: &Option<Available>| stream.is_some_and(|stream| stream.score > 0);
        let alive = (0_u8..).zip(streams).filter(|(_, stream)| is_alive(stream)).map(|(layer, _)| layer);
        let target = choose(self.preferred, rule, self.temporal_layers, alive);
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
        if self.is_current(wanted.spatial) {
            return Retarget::Nothing;
        }
        Retarget::NeedsKeyFrame(wanted.spatial.into())
    }
}
