//! One stream in, one stream out: everything from the first key frame on.

use ringsoup_rtc::codec::{Descriptor, MimeType};

use crate::consumer::decision::{Decision, LayerChange, Offer, Rewrite, Withheld};
use crate::consumer::seq_map::SeqMap;

#[derive(Debug)]
pub struct SimpleLayers {
    mime_type: MimeType,
    ignores_dtx: bool,
    /// The next packet taken begins a new run of sequence numbers.
    needs_sync: bool,
    sequence: SeqMap,
}

impl SimpleLayers {
    pub fn new(mime_type: MimeType, ignores_dtx: bool, first_sequence_number: u16) -> Self {
        Self { mime_type, ignores_dtx, needs_sync: true, sequence: SeqMap::new(first_sequence_number) }
    }

    /// The consumer starts anew: resumed or connected.
    pub fn sync(&mut self) {
        self.needs_sync = true;
    }

    pub fn decide(&mut self, offer: &Offer<'_>) -> Decision {
        let arrived = offer.arrived;
        // Of AV1, dependency descriptors tell key frames, where there are any.
        let tells = self.mime_type.can_be_key_framed() || arrived.descriptor != Descriptor::None;
        if self.needs_sync && tells && !arrived.is_key_frame {
            return Decision::Withhold(Withheld::BeforeKeyFrame);
        }
        if self.ignores_dtx && self.mime_type.is_dtx(arrived.payload) {
            if !self.needs_sync {
                self.sequence.drop_input(arrived.seq);
            }
            return Decision::Withhold(Withheld::Dtx);
        }
        let begins = std::mem::take(&mut self.needs_sync);
        if begins {
            self.sequence.sync(arrived.seq);
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
