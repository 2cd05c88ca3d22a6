//! What a decoder makes of a stream: frames out of packets, references by what the wire says, and whether that is the truth.
//!
//! Packets are taken in the order of their numbers. One that is missing is waited for until it is given up; then whatever
//! refers to its frame cannot be decoded until a key frame comes, and nothing is said against that. But what looks decodable
//! must be, and where no number is missing, everything must.

mod dependency;
mod frames;
mod limits;
mod reached;
mod vp8;
mod vp9;

use std::collections::BTreeMap;

use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Layers;

use super::Oracle;
use super::h264;
use frames::Frames;

/// Why a stream cannot be right.
pub(crate) type Fault = String;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Vp8,
    Vp9,
    H264,
    /// Told in this header extension.
    Dependency {
        extension: u8,
    },
}

/// Whether a frame can be decoded, as far as the wire tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    Decodable,
    /// Something it refers to did not come, or may not have.
    Waits,
}

/// A packet's place in its frame, and what it says of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece<F> {
    pub(crate) starts: bool,
    pub(crate) ends: bool,
    pub(crate) is_key: bool,
    pub(crate) facts: F,
}

impl<F> Piece<F> {
    fn map<G>(self, wrap: impl FnOnce(F) -> G) -> Piece<G> {
        Piece { starts: self.starts, ends: self.ends, is_key: self.is_key, facts: wrap(self.facts) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Facts {
    Vp8(vp8::Picture),
    Vp9(vp9::LayerFrame),
    Dependency(dependency::Descriptor),
    H264,
}

#[derive(Debug)]
enum Wire {
    Vp8(vp8::Pictures),
    Vp9(vp9::LayerFrames),
    Dependency(dependency::Frames),
    /// Nothing tells references: whatever comes refers to the frame before. True while all came.
    Sequence(bool),
}

impl Wire {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Vp8 => Self::Vp8(vp8::Pictures::default()),
            Kind::Vp9 => Self::Vp9(vp9::LayerFrames::default()),
            Kind::H264 => Self::Sequence(false),
            Kind::Dependency { .. } => Self::Dependency(dependency::Frames::default()),
        }
    }

    /// `is_next` when nothing is missing since the frame before.
    fn take(&mut self, facts: &Facts, is_key: bool, is_next: bool) -> Result<Outlook, Fault> {
        match (self, facts) {
            (Self::Vp8(pictures), Facts::Vp8(picture)) => pictures.take(picture, is_next),
            (Self::Vp9(frames), Facts::Vp9(frame)) => frames.take(frame, is_next),
            (Self::Dependency(frames), Facts::Dependency(descriptor)) => frames.take(descriptor, is_next),
            (Self::Sequence(is_whole), Facts::H264) => {
                *is_whole = is_key || (*is_whole && is_next);
                Ok(if *is_whole { Outlook::Decodable } else { Outlook::Waits })
            }
            (wire, facts) => unreachable!("{wire:?} reads {facts:?}"),
        }
    }
}

/// Reads what a packet says of itself; `None` when that is not well-formed.
fn read(kind: Kind, packet: &RtpPacket<'_>) -> Option<Piece<Facts>> {
    let (payload, marker) = (packet.payload(), packet.marker());
    match kind {
        Kind::Vp8 => Some(vp8::Picture::read(payload, marker)?.map(Facts::Vp8)),
        Kind::Vp9 => Some(vp9::LayerFrame::read(payload)?.map(Facts::Vp9)),
        Kind::H264 => {
            let (starts, is_key) = h264::begins(payload)?;
            Some(Piece { starts, ends: marker, is_key, facts: Facts::H264 })
        }
        Kind::Dependency { extension } => {
            Some(dependency::Descriptor::read(packet.extension(extension)?)?.map(Facts::Dependency))
        }
    }
}

/// The distance from `newest` to the nearest number with these low bits.
fn ahead(low: u64, newest: u64, bits: u32) -> i64 {
    let cycle = 1_u64 << bits;
    let passed = low.wrapping_sub(newest) & (cycle - 1);
    let passed = i64::try_from(passed).expect("few bits");
    if passed < 1 << (bits - 1) { passed } else { passed - (1 << bits) }
}

pub(crate) struct Decoder {
    kind: Kind,
    /// The number that comes next, in full.
    next: Option<u64>,
    /// By full number: when they came.
    waiting: BTreeMap<u64, (Time, Vec<u8>)>,
    now: Time,
    frames: Frames,
}

impl Decoder {
    /// Timestamps may be off the truth by so much, over all switches.
    pub(crate) fn new(kind: Kind, spread_max_ms: i64) -> Self {
        Self {
            kind,
            next: None,
            waiting: BTreeMap::new(),
            now: Time::from_millis(0),
            frames: Frames::new(kind, spread_max_ms),
        }
    }

    pub(crate) fn frames(&self) -> &Frames {
        &self.frames
    }

    fn extend(&self, number: u16) -> u64 {
        let near = self.waiting.keys().next_back().copied().or(self.next).unwrap_or(1 << 20);
        near.wrapping_add_signed(ahead(number.into(), near, 16))
    }

    pub(crate) fn take(&mut self, now: Time, rtp: &[u8]) -> Result<(), Fault> {
        self.now = now;
        let packet = RtpPacket::parse(rtp).map_err(|error| error.to_string())?;
        let number = self.extend(packet.sequence_number());
        let next = *self.next.get_or_insert(number);
        if number < next {
            // Given up already, or from before the first one that came.
            return Ok(());
        }
        if self.waiting.insert(number, (now, rtp.to_vec())).is_some() {
            return Err(format!("number {} twice", packet.sequence_number()));
        }
        self.go_on(None)
    }

    pub(crate) fn give_up(&mut self, now: Time, below: u16) -> Result<(), Fault> {
        self.now = now;
        if self.next.is_none() {
            return Ok(());
        }
        let below = self.extend(below);
        self.go_on(Some(below))
    }

    /// Takes what is next, and what comes after gaps below a number.
    fn go_on(&mut self, below: Option<u64>) -> Result<(), Fault> {
        while let Some(first) = self.waiting.first_entry() {
            let number = *first.key();
            let next = self.next.unwrap_or(number);
            if number != next && below.is_none_or(|below| next >= below) {
                return Ok(());
            }
            if number != next {
                let upto = below.map_or(number, |below| below.min(number));
                self.frames.miss(upto - next);
                self.next = Some(upto);
                continue;
            }
            let (_, bytes) = first.remove();
            self.next = Some(number + 1);
            let packet = RtpPacket::parse(&bytes).map_err(|error| error.to_string())?;
            let piece = read(self.kind, &packet)
                .ok_or_else(|| format!("number {number} cannot be read: {:02x?}", packet.payload()))?;
            let said =
                format!("{:?} {:02x?}", piece.facts, &packet.payload()[..packet.payload().len().min(8)]);
            let fault = self.frames.packet(self.now, &packet, piece);
            fault.map_err(|fault| format!("number {number}: {fault}\n  it says {said}"))?;
        }
        Ok(())
    }

    /// Everything is there that ever will be.
    #[cfg(test)]
    pub(crate) fn flush(&mut self) -> Result<(), Fault> {
        let end = self.waiting.keys().next_back().map(|newest| newest + 1);
        self.go_on(end)
    }
}

impl Oracle for Decoder {
    fn receive(&mut self, now: Time, rtp: &[u8]) {
        self.take(now, rtp).unwrap_or_else(|fault| panic!("{now:?}: {fault}\n{}", self.frames.describe()));
    }

    fn gave_up(&mut self, now: Time, below: u16) {
        self.give_up(now, below)
            .unwrap_or_else(|fault| panic!("{now:?}: {fault}\n{}", self.frames.describe()));
    }

    fn interrupted(&mut self) {
        self.frames.interrupted();
    }

    fn prefer(&mut self, layers: Layers) {
        self.frames.limits.prefer(self.now, layers);
    }

    fn wants_key_frame(&self) -> bool {
        self.frames.wants_key()
    }

    fn decoded(&self) -> u64 {
        self.frames.count()
    }

    fn last_decoded(&self, layers: Layers) -> Option<Time> {
        self.frames.reached.last(layers.spatial, layers.temporal.unwrap_or(0))
    }

    fn finish(&self) {}
}
