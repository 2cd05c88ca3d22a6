//! What the packet path needs of one consumer, and nothing else.
//!
//! ```text
//! producer.egresses:  [ Egress | Egress | Egress | … ]     one line of memory after the other
//!                         │ consumer
//! consumers (slab):       └──► Consumer: parameters, stats, feedback: touched when somebody asks
//! ```
//! A fan-out walks this array from end to end. A packet that arrives after a pause finds the caches cold, and then the
//! lines it must fetch per receiver are what it costs: a consumer has a dozen, an egress three in a row.
//!
//! An egress is one stream that is sent. A consumer has one, a pipe consumer one per encoding of its producer.

use std::num::NonZeroU32;

use ringsoup_rtc::time::Time;

use crate::consumer::Consumer;
use crate::consumer::decision::{Decision, Offer, Rewrite, Withheld};
use crate::consumer::layers::Layers;
use crate::outbox::Destination;
use crate::table::Id;

#[derive(Debug)]
#[repr(align(64))]
pub struct Egress {
    pub(crate) consumer: Id<Consumer>,
    /// Which of the consumer's streams is sent from here: pipe consumers have one per encoding, all others one.
    pub(crate) stream: u8,
    pub(crate) ssrc: u32,
    /// The router's SSRC of the only producer stream that is taken; `None` takes what the layers take.
    wants: Option<NonZeroU32>,
    /// Connected, and paused on neither side.
    pub(crate) is_active: bool,
    /// Where packets go when nothing but the common header and the payload has to be written: plain RTP, no MID, no
    /// extension ids of its own, no traces. `None` sends the packet the long way.
    pub(crate) bare: Option<Destination>,
    /// One bit per payload type.
    pub(crate) payload_types: u128,
    pub(crate) layers: Layers,
    pub(crate) sent: Sent,
}

/// What an egress is set up with.
#[derive(Debug)]
pub struct NewEgress {
    pub(crate) ssrc: u32,
    pub(crate) wants: Option<NonZeroU32>,
    pub(crate) payload_types: u128,
    pub(crate) layers: Layers,
}

/// Three cache lines: what a fan-out fetches per receiver.
const _: () = assert!(size_of::<Egress>() == 192);

/// What has been sent, as reports and stats need it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    pub packets: u64,
    /// RTP packets with their headers, without what SRTP adds.
    pub bytes: u64,
    /// The packet with the highest sequence number, for the sender report's timeline. Its timestamp counts even when it
    /// steps back: senders restart their clocks.
    pub newest: Option<Newest>,
}

#[derive(Debug, Clone, Copy)]
pub struct Newest {
    pub timestamp: u32,
    /// How long before its media was captured, microseconds.
    pub capture_age_us: i32,
    /// The first packet of this timestamp.
    pub at: Time,
}

impl Egress {
    pub(crate) fn new(consumer: Id<Consumer>, stream: u8, new: NewEgress) -> Self {
        Self {
            consumer,
            stream,
            ssrc: new.ssrc,
            wants: new.wants,
            is_active: false,
            bare: None,
            payload_types: new.payload_types,
            layers: new.layers,
            sent: Sent::default(),
        }
    }

    /// Whether packets of a producer's stream, by its mapped SSRC, may be sent from here.
    #[inline]
    pub(crate) fn takes(&self, mapped_ssrc: u32) -> bool {
        self.wants.is_none_or(|wants| wants.get() == mapped_ssrc)
    }

    /// Whether a stream's packets are sent from here, or would be after a key frame.
    pub(crate) fn uses(&self, mapped_ssrc: u32) -> bool {
        self.is_active && self.takes(mapped_ssrc) && self.layers.uses(mapped_ssrc)
    }

    /// It takes packets, and chose none of the layers there were.
    pub(crate) fn is_without_layers(&self) -> bool {
        self.is_active && self.layers.preferred().is_some() && self.layers.target().is_none()
    }

    /// Leaves a packet of a stream out without a gap.
    pub(crate) fn skip(&mut self, mapped_ssrc: u32, seq: u64) {
        if self.takes(mapped_ssrc) {
            self.layers.skip(mapped_ssrc, seq);
        }
    }

    /// What to do with a packet of the producer.
    #[inline]
    pub(crate) fn decide(&mut self, offer: &Offer<'_>) -> Decision {
        if !self.is_active || !self.takes(offer.mapped_ssrc) {
            return Decision::Withhold(Withheld::Inactive);
        }
        if self.payload_types & (1 << (offer.payload_type & 0x7f)) == 0 {
            self.layers.skip(offer.mapped_ssrc, offer.arrived.seq);
            return Decision::Withhold(Withheld::PayloadType);
        }
        self.layers.decide(offer)
    }

    /// Whether packets are not sent from here before their frames are known.
    pub(crate) fn withholds_early(&self) -> bool {
        !matches!(self.layers, Layers::Simple(_))
    }

    /// Whether packets of a producer's stream are sent from here, in layers, and no key frame is waited for first.
    pub(crate) fn has_begun(&self, mapped_ssrc: u32) -> bool {
        self.is_active && self.takes(mapped_ssrc) && self.layers.has_begun(mapped_ssrc)
    }

    /// Counts a packet that was put into the Outbox.
    #[inline]
    pub(crate) fn count(&mut self, now: Time, capture_age_us: i32, rewrite: &Rewrite, bytes: usize) {
        self.sent.packets += 1;
        self.sent.bytes += bytes as u64;
        #[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits")]
        let newest = self.layers.newest() as u16;
        let timestamp = rewrite.timestamp;
        if rewrite.sequence_number == newest
            && self.sent.newest.is_none_or(|newest| newest.timestamp != timestamp)
        {
            self.sent.newest = Some(Newest { timestamp, capture_age_us, at: now });
        }
    }

    /// A stream of the producer began anew. True when it is sent from here.
    pub(crate) fn restart(&mut self, mapped_ssrc: u32) -> bool {
        let is_sent = self.takes(mapped_ssrc) && self.layers.restart(mapped_ssrc);
        if is_sent {
            self.sent.newest = None;
        }
        is_sent
    }

    /// The next packet taken begins a new run, on a timeline of its own.
    pub(crate) fn begin(&mut self) {
        self.layers.sync();
        self.sent.newest = None;
    }
}
