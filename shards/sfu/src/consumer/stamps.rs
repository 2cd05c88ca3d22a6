//! When, and as which packet of its transport, a consumer's packets say they were sent.
//!
//! A packet that is sent again in an RTX stream is a new packet with a stamp of its own. One that is sent again as it was
//! must say what it said the first time: under SRTP two packets with one index and different bytes would give their key
//! stream away. So where there is no RTX, stamps are kept, and what has none kept is not sent again (docs/decisions/0018).

use ringsoup_rtc::rtp::Stamp;
use ringsoup_rtc::rtx::guard::PACKETS_MAX;

use crate::rtp_parameters::{ExtensionUri, MediaKind, RtpParameters};

/// Stamps kept per stream: the power of two that holds what can be asked for again, 48 KiB.
const STAMPS: usize = 4_096;

const _: () = assert!(STAMPS as u64 >= PACKETS_MAX && STAMPS.is_power_of_two());

/// The ids by which a receiver knows the elements of a stamp; `None` where it did not negotiate one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StampIds {
    abs_send_time: Option<u8>,
    transport_wide_cc: Option<u8>,
}

impl StampIds {
    /// Audio is not stamped: it is too thin to estimate by, and each of its packets would grow by a tenth.
    pub(crate) fn new(kind: MediaKind, parameters: &RtpParameters) -> Self {
        let id_of = |uri| parameters.extension_id(uri).filter(|_| kind == MediaKind::Video);
        Self {
            abs_send_time: id_of(ExtensionUri::AbsSendTime),
            transport_wide_cc: id_of(ExtensionUri::TransportWideCc01),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a packet says that is sent at `sent_at` as its transport's packet `number`, if that counts its packets.
    #[inline]
    pub(crate) fn stamp(&self, sent_at: u32, number: Option<u16>) -> Stamp {
        Stamp {
            abs_send_time: self.abs_send_time.map(|id| (id, sent_at)),
            transport_wide_cc: self.transport_wide_cc.zip(number),
        }
    }
}

/// What the packets of a stream said, by sequence number.
#[derive(Debug)]
pub(crate) struct SentStamps {
    ids: StampIds,
    kept: Box<[Option<Kept>]>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    sequence_number: u16,
    number: Option<u16>,
    sent_at: u32,
}

impl SentStamps {
    pub(crate) fn new(ids: StampIds) -> Self {
        Self { ids, kept: vec![None; STAMPS].into_boxed_slice() }
    }

    pub(crate) fn insert(&mut self, sequence_number: u16, stamp: &Stamp) {
        self.kept[index(sequence_number)] = Some(Kept {
            sequence_number,
            number: stamp.transport_wide_cc.map(|(_, number)| number),
            sent_at: stamp.abs_send_time.map_or(0, |(_, sent_at)| sent_at),
        });
    }

    /// The stamp that a packet was sent with.
    pub(crate) fn get(&self, sequence_number: u16) -> Option<Stamp> {
        let kept = self.kept[index(sequence_number)]?;
        (kept.sequence_number == sequence_number).then(|| self.ids.stamp(kept.sent_at, kept.number))
    }
}

fn index(sequence_number: u16) -> usize {
    usize::from(sequence_number) & (STAMPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_parameters;

    fn ids(kind: MediaKind, uris: &[(ExtensionUri, u8)]) -> StampIds {
        let mut parameters = test_parameters::h264_with_rtx(1, 2);
        parameters.header_extensions =
            uris.iter().map(|&(uri, id)| test_parameters::extension(uri, id)).collect();
        StampIds::new(kind, &parameters)
    }

    const BOTH: [(ExtensionUri, u8); 2] =
        [(ExtensionUri::AbsSendTime, 4), (ExtensionUri::TransportWideCc01, 15)];

    #[test]
    fn only_video_that_negotiated_it_is_stamped() {
        assert!(ids(MediaKind::Audio, &BOTH).is_empty());
        assert!(ids(MediaKind::Video, &[(ExtensionUri::Mid, 1)]).is_empty());
        let both = ids(MediaKind::Video, &BOTH);
        let stamp = both.stamp(7, Some(8));
        assert_eq!((stamp.abs_send_time, stamp.transport_wide_cc), (Some((4, 7)), Some((15, 8))));
        assert_eq!(both.stamp(7, None).transport_wide_cc, None);
        assert_eq!(ids(MediaKind::Video, &BOTH[..1]).stamp(7, Some(8)).transport_wide_cc, None);
    }

    #[test]
    fn a_kept_stamp_is_of_its_packet_alone() {
        let ids = ids(MediaKind::Video, &BOTH);
        let mut stamps = SentStamps::new(ids);
        assert_eq!(stamps.get(0), None);
        let (first, second) = (ids.stamp(1, None), ids.stamp(2, Some(9)));
        stamps.insert(65_535, &first);
        stamps.insert(0, &second);
        assert_eq!((stamps.get(65_535), stamps.get(0), stamps.get(1)), (Some(first), Some(second), None));
        assert_eq!(stamps.get(4_096), None);
        stamps.insert(4_096, &first);
        assert_eq!((stamps.get(0), stamps.get(4_096)), (None, Some(first)));
    }
}
