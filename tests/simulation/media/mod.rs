//! What senders and decoders are to the simulation: the seam between media and the world that carries it.
//!
//! ```text
//! Source ─► packets ─► [sender: history, RTX, reports] ─► network ─► shards ─► network ─► [receiver: NACK, RTX, reports] ─► Oracle
//!    ▲ key frame, please                                                             key frame, please ▼
//! ```
//! The world keeps what has been sent, repairs it, drifts clocks, loses and delays. A [`Source`] only makes packets, an
//! [`Oracle`] only judges what a decoder gets.
//!
//! Layered media is made and judged in parts, written from the RFCs and sharing no code with the shard's parsers:
//!
//! ```text
//! encoder ──────► vp8, vp9, h264 ──────► …  ──► decoder ─────────────────► decoder/{vp8,vp9,dependency}
//! (frames, what   (descriptors, heads    (the   (frames out of packets,    (references by the wire alone)
//!  they refer to)  of the bitstream)     world)  true references by stamp)
//! ```
//! Every payload ends in a [`stamp`] with what the packet truly is. A decoder judges twice: what it would decode by the wire
//! alone must truly be decodable, and where nothing is missing, everything must be.

mod bits;
mod decoder;
mod dependency;
pub(crate) mod encoder;
mod h264;
pub(crate) mod pictures;
mod speech;
mod stamp;
mod structure;
mod temporal;
pub(crate) mod vp8;
mod vp9;

#[cfg(test)]
mod mutations;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{Layers, Produce};
use ringsoup_tests::rng::Rng;

pub(crate) use encoder::InterLayer;
pub(crate) use pictures::{Codec, Pictures, Shape};
pub(crate) use speech::Speech;
pub(crate) use vp8::PictureIds;

/// Makes the packets of one producer, all of its encodings.
///
/// Sequence numbers and timestamps begin anywhere, often right before a wrap. Times are of the sender's own clock, which need
/// not run as the world's does.
pub(crate) trait Source {
    /// What the controller is told: encodings with their SSRCs and those of RTX, and what they are called in the router.
    fn produce_request(&self, producer: &str) -> Produce;

    /// When it has something to send. Never later than a minute from what was sent last.
    fn due(&self) -> Time;

    /// What is due: RTP packets, in the order in which they leave. The same rng and times give the same packets.
    fn produce(&mut self, now: Time, rng: &mut Rng, out: &mut Vec<Vec<u8>>);

    /// It begins anew under its SSRCs: numbers, timestamps and whatever names pictures. False where it never does.
    fn restart(&mut self, rng: &mut Rng) -> bool;

    /// The shard asked for a key frame of an encoding, by its SSRC.
    fn wants_key_frame(&mut self, ssrc: u32);

    /// What an encoding's RTP clock shows, for sender reports.
    fn timestamp_at(&self, ssrc: u32, now: Time) -> u32;

    /// Whether it sends all of its layers all the time.
    fn keeps_layers(&self) -> bool;

    /// A decoder for one receiver of it, which was not sent anything yet.
    fn oracle(&self) -> Box<dyn Oracle>;
}

/// Judges what one receiver gets of one consumer. It panics when that cannot be right, whatever was lost on the way here.
pub(crate) trait Oracle {
    /// A packet of the media stream, in order of arrival. What came by RTX is the original again; what came twice comes once.
    fn receive(&mut self, now: Time, rtp: &[u8]);

    /// Everything with a sequence number below (16 bits, next to what came last) that has not come never will.
    fn gave_up(&mut self, now: Time, below: u16);

    /// A pause or a sender that began anew: what comes from here on may be decoded without what came before.
    fn interrupted(&mut self);

    /// What the consumer is allowed at most from now on. Packets sent before may still be under way.
    fn prefer(&mut self, layers: Layers);

    /// Whether the decoder cannot go on without a key frame. The receiver asks for one, and again after a while.
    fn wants_key_frame(&self) -> bool;

    /// Frames that could be shown or heard so far.
    fn decoded(&self) -> u64;

    /// When a frame of these layers, or of higher ones, was decoded last. What has no layers is of the lowest.
    fn last_decoded(&self, layers: Layers) -> Option<Time>;

    /// At the end of a run, when everything under way has come.
    fn finish(&self);
}

/// Where a stream's numbers begin, so that half of all streams soon wrap.
pub(crate) fn first_numbers(rng: &mut Rng) -> (u16, u32) {
    let is_near_wrap = rng.below(2) == 0;
    let spread = rng.below(if is_near_wrap { 200 } else { 60_000 });
    let spread = u16::try_from(spread).expect("below 2^16");
    (u16::MAX - spread, u32::MAX - u32::from(spread) * 100)
}

/// Far enough from the number that would be next for RFC 3550 (section A.1) to see a sender that began anew.
pub(crate) fn far_number(next: u16, rng: &mut Rng) -> u16 {
    let ahead = 4_000 + rng.below(58_000);
    next.wrapping_add(u16::try_from(ahead).expect("below 2^16"))
}

/// The end of a payload that has room for it: which packet it is, whatever is rewritten in front of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Truth {
    /// The encoding's SSRC at the sender.
    pub(crate) ssrc: u32,
    /// Packets of the encoding before it.
    pub(crate) index: u32,
}

impl Truth {
    pub(crate) const BYTES: usize = 8;

    pub(crate) fn append(self, payload: &mut Vec<u8>) {
        payload.extend(self.ssrc.to_be_bytes());
        payload.extend(self.index.to_be_bytes());
    }

    /// Of a payload that is known to have one. `None` when it is too short: padding, or silence.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let (_, tail) = payload.split_last_chunk::<{ Self::BYTES }>()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        Some(Self { ssrc: number(&tail[..4]), index: number(&tail[4..]) })
    }
}
