//! One stream in, one stream out: everything from the first key frame on.

use ringsoup_rtc::codec::{Descriptor, MimeType, red};
use ringsoup_rtc::loss::DROPOUT_MAX;

use crate::consumer::decision::{Decision, LayerChange, Offer, Rewrite, Withheld};
use crate::consumer::seq_map::SeqMap;

/// Numbers left out where a stream begins anew behind a pipe: too many for a loss (RFC 3550 section A.1, `rtc/loss.rs`), and few enough for
/// SRTP to follow (RFC 3711 section 3.3.1: less than 2^15).
const RESTART_GAP: u64 = 1 << 14;

const _: () = assert!(RESTART_GAP > DROPOUT_MAX as u64 && RESTART_GAP < (1 << 15));

/// Packets of silence that are left out: by the router's payload types, of the sound and of redundancy around it.
#[derive(Debug, Clone, Copy)]
pub struct IgnoredDtx {
    pub sound: u8,
    pub redundant: Option<u8>,
}

impl IgnoredDtx {
    fn contains(self, offer: &Offer<'_>, mime_type: MimeType) -> bool {
        let payload = offer.arrived.payload;
        if offer.payload_type == self.sound {
            return mime_type.is_dtx(payload);
        }
        let is_redundant = self.redundant == Some(offer.payload_type);
        is_redundant && red::primary(payload).is_some_and(|primary| mime_type.is_dtx(primary))
    }
}

#[derive(Debug)]
pub struct SimpleLayers {
    mime_type: MimeType,
    /// `None` sends them too.
    ignored_dtx: Option<IgnoredDtx>,
    /// The next packet taken begins a new run of sequence numbers.
    needs_sync: bool,
    /// Whoever gets it forwards it in turn.
    is_piped: bool,
    /// The next run's numbers begin far from those before.
    begins_afar: bool,
    sequence: SeqMap,
}

impl SimpleLayers {
    pub fn new(mime_type: MimeType, ignored_dtx: Option<IgnoredDtx>, first_sequence_number: u16) -> Self {
        let sequence = SeqMap::new(first_sequence_number);
        Self { mime_type, ignored_dtx, needs_sync: true, is_piped: false, begins_afar: false, sequence }
    }

    pub fn piped(mime_type: MimeType, first_sequence_number: u16) -> Self {
        // What is silence is for the receivers behind the pipe to decide.
        Self { is_piped: true, ..Self::new(mime_type, None, first_sequence_number) }
    }

    /// The consumer starts anew: resumed or connected.
    pub fn sync(&mut self) {
        self.needs_sync = true;
    }

    /// The stream began anew: timestamps and picture ids are others. Who forwards it must learn that, and does by its numbers, as we did.
    pub fn restart(&mut self) {
        (self.needs_sync, self.begins_afar) = (true, self.is_piped);
    }

    /// Most packets of most receivers come through here: inlined, what is decided needs not be written down and read again.
    #[inline]
    pub fn decide(&mut self, offer: &Offer<'_>) -> Decision {
        let arrived = offer.arrived;
        if (self.needs_sync || self.ignored_dtx.is_some())
            && let Some(why) = self.withholds(offer)
        {
            return Decision::Withhold(why);
        }
        let begins = std::mem::take(&mut self.needs_sync);
        if begins {
            let gap = if std::mem::take(&mut self.begins_afar) { RESTART_GAP } else { 0 };
            self.sequence.sync_at(arrived.seq, self.sequence.max_output() + 1 + gap);
        }
        let Some(output) = self.sequence.map(arrived.seq) else {
            return Decision::Withhold(Withheld::BeforeStart);
        };
        #[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits")]
        let sequence_number = output as u16;
        Decision::Forward(Rewrite {
            sequence_number,
            timestamp: arrived.timestamp,
            marker: arrived.marker,
            prefix: None,
            active: None,
            begins,
            change: LayerChange::None,
        })
    }

    #[inline(never)]
    fn withholds(&mut self, offer: &Offer<'_>) -> Option<Withheld> {
        let arrived = offer.arrived;
        // Of AV1, dependency descriptors tell key frames, where there are any.
        let tells = self.mime_type.can_be_key_framed() || arrived.descriptor != Descriptor::None;
        if self.needs_sync && tells && !arrived.is_key_frame {
            return Some(Withheld::BeforeKeyFrame);
        }
        if self.ignored_dtx.is_some_and(|ignored| ignored.contains(offer, self.mime_type)) {
            if !self.needs_sync {
                self.sequence.drop_input(arrived.seq);
            }
            return Some(Withheld::Dtx);
        }
        None
    }

    /// The packet of the producer's stream that the receiver knows as `sequence_number`, with the whole number.
    pub fn source(&self, sequence_number: u16) -> Option<(u64, u64)> {
        if self.needs_sync { None } else { self.sequence.source(sequence_number) }
    }

    /// The newest sequence number sent, extended.
    pub fn newest(&self) -> u64 {
        self.sequence.max_output()
    }

    /// Leaves a packet out that another rule withheld, so that no gap is seen.
    pub fn skip(&mut self, seq: u64) {
        if !self.needs_sync {
            self.sequence.drop_input(seq);
        }
    }
}
