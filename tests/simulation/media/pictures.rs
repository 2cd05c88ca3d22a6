//! A source of pictures in layers: one stream, or the same pictures in several.

use std::time::Duration;

use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Produce;
use ringsoup_sfu::rtp_parameters::ExtensionUri;
use ringsoup_tests::rng::Rng;

use super::decoder::{Decoder, Kind};
use super::dependency::{self, Place};
use super::encoder::{Encoder, Frame, InterLayer, Mode};
use super::h264::{nal_units, obu_elements};
use super::stamp::{REFERENCES_MAX, Stamp};
use super::structure::Structure;
use super::vp8::{PictureIds, Vp8Payloads};
use super::vp9::Vp9Payloads;
use super::{Oracle, Source, Truth, far_number, first_numbers};
use crate::common::parameters::extension;
use crate::common::simulcast::{self, VIDEO};

const PICTURE: Duration = Duration::from_millis(33);
const CLOCK_RATE: u128 = 90_000;
/// The sender's id of the dependency descriptor.
pub(super) const DESCRIPTOR_ID: u8 = 4;
/// Of this many pictures, one is the last before the sender's network gets worse or better.
const PICTURES_PER_CONGESTION: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Vp8(PictureIds),
    /// References told by picture or by group, ids of 15 bits or of 7.
    Vp9 {
        is_flexible: bool,
        is_wide: bool,
    },
    /// With dependency descriptors or without.
    H264 {
        is_described: bool,
    },
    Av1,
}

impl Codec {
    pub(crate) fn mime_type(self) -> &'static str {
        match self {
            Self::Vp8(_) => "video/VP8",
            Self::Vp9 { .. } => "video/VP9",
            Self::H264 { .. } => "video/H264",
            Self::Av1 => "video/AV1",
        }
    }

    pub(crate) fn is_described(self) -> bool {
        matches!(self, Self::H264 { is_described: true } | Self::Av1)
    }

    /// How it is decoded; the dependency descriptor comes with this id.
    pub(super) fn kind(self, extension: u8) -> Kind {
        match self {
            Self::Vp8(_) => Kind::Vp8,
            Self::Vp9 { .. } => Kind::Vp9,
            Self::H264 { is_described: false } => Kind::H264,
            Self::H264 { is_described: true } | Self::Av1 => Kind::Dependency { extension },
        }
    }
}

/// What a publisher sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) codec: Codec,
    pub(crate) streams: u8,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    pub(crate) inter_layer: InterLayer,
    pub(crate) has_rtx: bool,
    /// Its network is congested now and then: upper layers stop and come back.
    pub(crate) is_congested: bool,
    pub(crate) packets_per_frame_max: usize,
    /// By how much a receiver's timestamps may be off the truth: after a switch a stream is shown up to 75 ms late, or as late as its key
    /// frame came when that took a second request.
    pub(crate) late_max_ms: i64,
}

/// What switching adds (75 ms), and the distance of pictures that arrivals are measured in until sender reports come.
pub(crate) const PROMPT_MS: i64 = 75 + 33;
/// A key frame that had to be repaired, several times, on the slowest links here.
pub(crate) const REPAIRED_MS: i64 = 1_500;

impl Shape {
    /// The same pictures in three sizes, each with temporal layers.
    pub(crate) fn vp8_simulcast(rng: &mut Rng) -> Self {
        let ids = [PictureIds::Wide, PictureIds::Wide, PictureIds::Narrow, PictureIds::None][rng.below(4)];
        let temporal = if ids == PictureIds::None { 1 } else { [1, 2, 3][rng.below(3)] };
        Self {
            codec: Codec::Vp8(ids),
            streams: 3,
            spatial: 1,
            temporal,
            inter_layer: InterLayer::Never,
            has_rtx: rng.below(3) > 0,
            is_congested: rng.below(2) == 0,
            packets_per_frame_max: 1 + rng.below(5),
            late_max_ms: REPAIRED_MS,
        }
    }

    /// H264 in three sizes, with or without temporal layers.
    pub(crate) fn h264_simulcast(rng: &mut Rng) -> Self {
        let is_described = rng.below(2) == 0;
        let temporal = if is_described { 3 } else { 1 };
        Self { codec: Codec::H264 { is_described }, temporal, ..Self::vp8_simulcast(rng) }
    }

    /// One stream with its layers inside.
    pub(crate) fn svc(
        codec: Codec,
        spatial: u8,
        temporal: u8,
        inter_layer: InterLayer,
        rng: &mut Rng,
    ) -> Self {
        Self { codec, streams: 1, spatial, temporal, inter_layer, ..Self::vp8_simulcast(rng) }
    }

    /// The scalability mode of each encoding.
    pub(crate) fn mode_name(&self) -> String {
        let letter = if self.inter_layer == InterLayer::Never && self.spatial > 1 { 'S' } else { 'L' };
        let suffix = if self.inter_layer == InterLayer::KeyPictures { "_KEY" } else { "" };
        format!("{letter}{}T{}{suffix}", self.spatial, self.temporal)
    }
}

enum Payloads {
    Vp8(Vp8Payloads),
    Vp9(Vp9Payloads),
    H264,
    Av1,
}

impl Payloads {
    fn new(shape: &Shape, mode: &Mode, rng: &mut Rng) -> Self {
        match shape.codec {
            Codec::Vp8(ids) => Self::Vp8(Vp8Payloads::new(mode, ids, rng)),
            Codec::Vp9 { is_flexible, is_wide } => Self::Vp9(Vp9Payloads::new(is_flexible, is_wide, rng)),
            Codec::H264 { .. } => Self::H264,
            Codec::Av1 => Self::Av1,
        }
    }
}

/// Half of the time shortly before 16 bits of them wrap.
fn first_frame(rng: &mut Rng) -> u32 {
    let spread = if rng.below(2) == 0 { 200 } else { 0x1_0000 };
    0x1_0000 - u32::try_from(rng.below(spread)).expect("16 bits")
}

struct Layered {
    ssrc: u32,
    mapped_ssrc: u32,
    seq: u16,
    first_timestamp: u32,
    index: u32,
    encoder: Encoder,
    payloads: Payloads,
    structure: Option<Structure>,
    /// The spatial layers that receivers know to be sent.
    told_layers: u8,
    is_stopped: bool,
}

pub(crate) struct Pictures {
    pub(crate) shape: Shape,
    streams: Vec<Layered>,
    /// Of all streams together, so that a receiver who is switched between them sees them go on.
    next_frame: u32,
    due: Time,
}

impl Pictures {
    /// SSRCs of the encodings from the lowest on, and their names in the router; RTX goes under each SSRC plus one.
    pub(crate) fn new(shape: Shape, ssrcs: &[(u32, u32)], now: Time, rng: &mut Rng) -> Self {
        let mut next_frame = 0;
        let stream = |(number, (ssrc, mapped_ssrc)): (u8, &(u32, u32))| {
            let mode = Mode::new(shape.spatial, shape.temporal, shape.inter_layer, rng);
            let payloads = Payloads::new(&shape, &mode, rng);
            let (seq, first_timestamp) = first_numbers(rng);
            let structure = shape.codec.is_described().then(|| Structure::new(mode, rng));
            next_frame = first_frame(rng);
            Layered {
                ssrc: *ssrc,
                mapped_ssrc: *mapped_ssrc,
                seq,
                first_timestamp,
                index: 0,
                encoder: Encoder::new(mode, number),
                payloads,
                structure,
                told_layers: shape.spatial,
                is_stopped: false,
            }
        };
        let streams = (0..).zip(&ssrcs[..shape.streams.into()]).map(stream).collect();
        Self { shape, streams, next_frame, due: now + PICTURE }
    }

    fn stream(&self, ssrc: u32) -> &Layered {
        self.streams.iter().find(|stream| stream.ssrc == ssrc).expect("an encoding's SSRC")
    }

    /// What a congested sender does: fewer streams, or fewer spatial layers in the only one.
    pub(crate) fn set_layers(&mut self, count: u8) {
        if let [only] = &mut self.streams[..] {
            only.encoder.set_layers(count);
            return;
        }
        for (number, stream) in (0..).zip(&mut self.streams) {
            let stops = number >= count;
            if stream.is_stopped && !stops {
                stream.encoder.want_key();
            }
            stream.is_stopped = stops;
        }
    }

    fn layers(&self) -> u8 {
        self.shape.streams.max(self.shape.spatial)
    }
}

impl Source for Pictures {
    fn produce_request(&self, producer: &str) -> Produce {
        let ssrcs: Vec<_> = self.streams.iter().map(|stream| stream.ssrc).collect();
        let mapped: Vec<_> = self.streams.iter().map(|stream| stream.mapped_ssrc).collect();
        let mode = self.shape.mode_name();
        let mut request =
            simulcast::produce(producer, self.shape.codec.mime_type(), Some(&mode), &ssrcs, &mapped);
        for encoding in &mut request.rtp_parameters.encodings {
            encoding.rtx_ssrc = encoding.ssrc.filter(|_| self.shape.has_rtx).map(|ssrc| ssrc + 1);
        }
        if self.shape.codec.is_described() {
            request.rtp_parameters.header_extensions =
                vec![extension(ExtensionUri::DependencyDescriptor, DESCRIPTOR_ID)];
        }
        request
    }

    fn due(&self) -> Time {
        self.due
    }

    fn produce(&mut self, now: Time, rng: &mut Rng, out: &mut Vec<Vec<u8>>) {
        self.due = now + PICTURE;
        if self.shape.is_congested && self.layers() > 1 && rng.below(PICTURES_PER_CONGESTION) == 0 {
            let count = 1 + rng.below(self.layers().into());
            self.set_layers(u8::try_from(count).expect("few"));
        }
        for stream in self.streams.iter_mut().filter(|stream| !stream.is_stopped) {
            for frame in stream.encoder.picture(&mut self.next_frame) {
                // A key frame is larger than others.
                let more = if frame.is_key { rng.below(3) } else { 0 };
                let count = 1 + rng.below(self.shape.packets_per_frame_max) + more;
                stream.publish(&frame, now, count, rng, out);
            }
        }
    }

    fn restart(&mut self, rng: &mut Rng) -> bool {
        for stream in &mut self.streams {
            stream.restart(&self.shape, rng);
        }
        self.next_frame = first_frame(rng);
        true
    }

    fn wants_key_frame(&mut self, ssrc: u32) {
        let stream = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc);
        stream.expect("an encoding's SSRC").encoder.want_key();
    }

    fn timestamp_at(&self, ssrc: u32, now: Time) -> u32 {
        self.stream(ssrc).timestamp(now)
    }

    fn keeps_layers(&self) -> bool {
        !self.shape.is_congested
    }

    fn oracle(&self) -> Box<dyn Oracle> {
        let kind = self.shape.codec.kind(ExtensionUri::DependencyDescriptor.router_id());
        Box::new(Decoder::new(kind, self.shape.late_max_ms))
    }
}

impl Layered {
    /// Another process under the same SSRC: nothing goes on but the layers that the network allows.
    fn restart(&mut self, shape: &Shape, rng: &mut Rng) {
        let mode = Mode::new(shape.spatial, shape.temporal, shape.inter_layer, rng);
        let (_, first_timestamp) = first_numbers(rng);
        let layers = self.encoder.active();
        self.seq = far_number(self.seq, rng);
        self.first_timestamp = first_timestamp;
        self.payloads = Payloads::new(shape, &mode, rng);
        self.structure = self.structure.is_some().then(|| Structure::new(mode, rng));
        self.encoder = Encoder::new(mode, self.encoder.stream());
        self.encoder.set_layers(layers);
        self.told_layers = shape.spatial;
    }

    #[allow(clippy::cast_possible_truncation, reason = "timestamps are modulo 2^32 (RFC 3550 section 5.1)")]
    fn timestamp(&self, now: Time) -> u32 {
        let ticks = u128::from(now.as_micros()) * CLOCK_RATE / 1_000_000;
        self.first_timestamp.wrapping_add(ticks as u32)
    }

    fn publish(&mut self, frame: &Frame, now: Time, count: usize, rng: &mut Rng, out: &mut Vec<Vec<u8>>) {
        let mut references = [None; REFERENCES_MAX];
        references.iter_mut().zip(frame.references()).for_each(|(place, reference)| *place = Some(reference));
        let mut body = |place: usize| {
            let stamp = Stamp {
                stream: frame.stream,
                spatial: frame.spatial,
                temporal: frame.temporal,
                is_key: frame.is_key,
                place: u8::try_from(place).expect("few"),
                count: u8::try_from(count).expect("few"),
                frame: frame.number,
                captured_us: now.as_micros(),
                references,
            };
            let mut body = [vec![rng.byte(); rng.below(30)], stamp.write()].concat();
            Truth { ssrc: self.ssrc, index: self.index }.append(&mut body);
            self.index += 1;
            body
        };
        let bodies: Vec<_> = (0..count).map(&mut body).collect();
        let payloads = self.payloads(frame, &bodies);
        let descriptors = self.descriptors(frame, count);
        for (place, (payload, descriptor)) in payloads.iter().zip(descriptors).enumerate() {
            let marker = frame.is_top && place + 1 == count;
            let writer = RtpWriter::new(VIDEO, self.seq, self.timestamp(now), self.ssrc).marker(marker);
            let writer = match &descriptor {
                Some(descriptor) => writer.extension(DESCRIPTOR_ID, descriptor),
                None => writer,
            };
            out.push(writer.payload(payload).to_vec().expect("extensions fit"));
            self.seq = self.seq.wrapping_add(1);
        }
    }

    fn payloads(&mut self, frame: &Frame, bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let (mode, active) = (self.encoder.mode, self.encoder.active());
        let heads = match &mut self.payloads {
            Payloads::Vp8(payloads) => payloads.heads(frame, &mode, bodies.len()),
            Payloads::Vp9(payloads) => payloads.heads(frame, &mode, active, bodies.len()),
            Payloads::H264 => return nal_units(frame, bodies),
            Payloads::Av1 => return obu_elements(frame, bodies),
        };
        heads.into_iter().zip(bodies).map(|(head, body)| [head, body.clone()].concat()).collect()
    }

    fn descriptors(&mut self, frame: &Frame, count: usize) -> Vec<Option<Vec<u8>>> {
        let Some(structure) = &mut self.structure else { return vec![None; count] };
        let (mode, layers) = (&self.encoder.mode, self.encoder.active());
        let brings_structure = frame.is_key && frame.spatial == 0;
        if brings_structure {
            structure.renumber();
            // A structure means all of its decode targets.
            self.told_layers = mode.spatial;
        }
        let active = (layers != self.told_layers).then(|| structure.active_mask(layers));
        self.told_layers = layers;
        let definition = structure.define(frame);
        let descriptor = |place: usize| {
            let place = Place {
                starts: place == 0,
                ends: place + 1 == count,
                #[allow(clippy::cast_possible_truncation, reason = "16 bits of it are told")]
                number: frame.number as u16,
                brings_structure: brings_structure && place == 0,
                active: active.filter(|_| place == 0),
            };
            Some(dependency::write(place, &definition, structure))
        };
        (0..count).map(descriptor).collect()
    }
}
