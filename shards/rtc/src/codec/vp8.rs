//! The VP8 payload descriptor (RFC 7741 §4.2).
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+
//! |X|R|N|S|R| PID |
//! |I|L|T|K| RSV   |  when X
//! |M| PictureID   |  when I, two bytes when M
//! |   TL0PICIDX   |  when L
//! |TID|Y| KEYIDX  |  when T or K
//! ```

use super::read_picture_id;

/// Longest descriptor: all fields, the picture id in two bytes.
pub const DESCRIPTOR_BYTES_MAX: usize = 6;

/// Picture ids of one byte, and of two.
const NARROW_ID_MAX: u16 = 0x7f;
const WIDE_ID_MAX: u16 = 0x7fff;

/// A parsed descriptor. Absent optional fields are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub is_non_reference: bool,
    /// S: the payload begins a partition.
    pub starts_partition: bool,
    /// PID, 0-7.
    pub partition: u8,
    /// 15 bits, of which the payload tells 7 unless `has_wide_picture_id`: see [`PictureIds`].
    pub picture_id: Option<u16>,
    /// M: the picture id takes two bytes on the wire.
    pub has_wide_picture_id: bool,
    pub tl0_picture_index: Option<u8>,
    /// TID, 0-3; meaningful when T was set, zero otherwise on the wire.
    pub temporal_layer: Option<u8>,
    /// Y: this frame depends only on the base layer.
    pub is_layer_sync: bool,
    /// KEYIDX, 0-31.
    pub key_index: Option<u8>,
    /// Bytes of the descriptor; the VP8 bitstream begins here.
    pub len: usize,
}

impl Descriptor {
    /// `None` when the payload ends inside the descriptor.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut bytes = payload.iter().copied();
        let first = bytes.next()?;
        let flags = if first & 0x80 != 0 { bytes.next()? } else { 0 };
        let picture_id = if flags & 0x80 != 0 { Some(read_picture_id(&mut bytes)?) } else { None };
        let tl0_picture_index = if flags & 0x40 != 0 { Some(bytes.next()?) } else { None };
        let layers = if flags & 0x30 != 0 { Some(bytes.next()?) } else { None };
        Some(Self {
            is_non_reference: first & 0x20 != 0,
            starts_partition: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id: picture_id.map(|(id, _)| id),
            has_wide_picture_id: picture_id.is_some_and(|(_, is_wide)| is_wide),
            tl0_picture_index,
            temporal_layer: layers.map(|byte| byte >> 6),
            is_layer_sync: layers.is_some_and(|byte| byte & 0x20 != 0),
            key_index: layers.map(|byte| byte & 0x1f),
            len: payload.len() - bytes.len(),
        })
    }
}

impl Descriptor {
    /// Whether the `payload` this was parsed of begins a key frame: RFC 7741 §4.3, the P bit of the
    /// frame's first byte is inverted, zero meaning key frame.
    pub fn is_key_frame(&self, payload: &[u8]) -> bool {
        self.starts_partition
            && self.partition == 0
            && payload.get(self.len).is_some_and(|byte| byte & 0x01 == 0)
    }

    /// The descriptor with other numbers, and its length: what stands before the bitstream instead of the `len` bytes of
    /// `payload` this was parsed of. The picture id is always written in two bytes, since a receiver
    /// counts on 15 bits; what the descriptor does not have stays out.
    pub fn renumbered(
        &self,
        payload: &[u8],
        picture_id: u16,
        tl0_picture_index: u8,
    ) -> Option<([u8; DESCRIPTOR_BYTES_MAX], usize)> {
        self.picture_id?;
        let mut bytes = [0; DESCRIPTOR_BYTES_MAX];
        let mut len = 0;
        let mut push = |byte: u8| {
            if let Some(place) = bytes.get_mut(len) {
                *place = byte;
                len += 1;
            }
        };
        // X and I are set where there is a picture id.
        push(*payload.first()?);
        push(*payload.get(1)?);
        let [high, low] = (picture_id & WIDE_ID_MAX).to_be_bytes();
        push(high | 0x80);
        push(low);
        if self.tl0_picture_index.is_some() {
            push(tl0_picture_index);
        }
        if self.temporal_layer.is_some() {
            push(*payload.get(self.len.checked_sub(1)?)?);
        }
        Some((bytes, len))
    }
}

/// The picture ids of one stream. Those of one byte come again every 128 pictures, two to four seconds: each is taken for the nearest to
/// the newest when it comes, and has 15 bits from then on, as a receiver needs them that is told of several streams.
#[derive(Debug, Clone, Default)]
pub struct PictureIds {
    newest: Option<u16>,
}

impl PictureIds {
    /// Completes a picture's id.
    pub fn widen(&mut self, picture: &mut Descriptor) {
        let Some(id) = picture.picture_id else { return };
        let newest = self.newest.unwrap_or(id);
        let wide = match picture.has_wide_picture_id {
            true => id,
            false => {
                let ahead = id.wrapping_sub(newest) & NARROW_ID_MAX;
                let behind = if ahead > NARROW_ID_MAX / 2 { NARROW_ID_MAX + 1 } else { 0 };
                newest.wrapping_add(ahead).wrapping_sub(behind) & WIDE_ID_MAX
            }
        };
        if picture.has_wide_picture_id || wide.wrapping_sub(newest) & WIDE_ID_MAX <= WIDE_ID_MAX / 2 {
            self.newest = Some(wide);
        }
        picture.picture_id = Some(wide);
    }

    /// The sender began anew.
    pub fn reset(&mut self) {
        self.newest = None;
    }
}

/// Whether `payload` begins a key frame.
pub fn is_key_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_some_and(|descriptor| descriptor.is_key_frame(payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bare_descriptor() {
        assert!(is_key_frame(&[0x10, 0x50]));
        assert!(!is_key_frame(&[0x10, 0x51]), "inter frame");
        assert!(!is_key_frame(&[0x00, 0x50]), "middle of a partition");
        assert!(!is_key_frame(&[0x11, 0x50]), "another partition");
        assert!(!is_key_frame(&[0x10]), "no bitstream");
        assert!(!is_key_frame(&[]));
    }

    #[test]
    fn every_optional_field() {
        let payload = [0xb0, 0xf0, 0x92, 0x34, 0x77, 0xa5, 0x50];
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert!(descriptor.is_non_reference && descriptor.starts_partition);
        assert_eq!(descriptor.picture_id, Some(0x1234));
        assert!(descriptor.has_wide_picture_id);
        assert_eq!(descriptor.tl0_picture_index, Some(0x77));
        assert_eq!(descriptor.temporal_layer, Some(2));
        assert!(descriptor.is_layer_sync);
        assert_eq!(descriptor.key_index, Some(5));
        assert_eq!(descriptor.len, 6);
        assert!(is_key_frame(&payload));
        for len in 0..6 {
            assert_eq!(Descriptor::parse(&payload[..len]), None, "cut to {len}");
        }
    }

    #[test]
    fn narrow_picture_id() {
        let descriptor = Descriptor::parse(&[0x90, 0x80, 0x7f, 0x00]).unwrap();
        assert_eq!((descriptor.picture_id, descriptor.len), (Some(0x7f), 3));
        assert!(!descriptor.has_wide_picture_id);
    }

    #[test]
    fn renumbering_keeps_what_is_not_a_number_and_widens_the_picture_id() {
        let payload = [0xb0, 0xf0, 0x12, 0x77, 0xa5, 0x50];
        let descriptor = Descriptor::parse(&payload).unwrap();
        let (bytes, len) = descriptor.renumbered(&payload, 0x1234, 9).unwrap();
        assert_eq!(bytes[..len], [0xb0, 0xf0, 0x92, 0x34, 9, 0xa5]);
        let plain = [0x10, 0x50];
        assert_eq!(Descriptor::parse(&plain).unwrap().renumbered(&plain, 1, 1), None);
    }

    #[test]
    fn narrow_ids_are_completed_from_the_newest() {
        let mut ids = PictureIds::default();
        let mut widened = |id: u16, is_wide: bool| {
            let mut picture = Descriptor::parse(&[0x90, 0x80, 0x00, 0x00]).unwrap();
            (picture.picture_id, picture.has_wide_picture_id) = (Some(id), is_wide);
            ids.widen(&mut picture);
            picture.picture_id.unwrap()
        };
        assert_eq!(
            [0x7e, 0x7f, 0x00, 0x7f, 0x3f].map(|id| widened(id, false)),
            [0x7e, 0x7f, 0x80, 0x7f, 0xbf]
        );
        assert_eq!(widened(0x7ffe, true), 0x7ffe, "a stream may go over to wide ids");
        assert_eq!([0x00, 0x7f].map(|id| widened(id, false)), [0x00, 0x7fff]);
        let bare = Descriptor::parse(&[0x10, 0x50]).unwrap();
        let mut widened = bare;
        ids.widen(&mut widened);
        assert_eq!(widened, bare, "what has no id gets none");
    }

    proptest! {
        /// However long a stream is, and a little out of order: the low bits are enough.
        #[test]
        fn widened_ids_follow_the_true_ones(first in 0_u16..0x80, steps in proptest::collection::vec(0_u16..60, 1..400)) {
            let mut ids = PictureIds::default();
            let mut newest = first;
            for (index, step) in (0_u16..).zip(steps) {
                let id = if index == 0 { first } else { newest.wrapping_add(step).wrapping_sub(20) & WIDE_ID_MAX };
                let mut picture = Descriptor::parse(&[0x90, 0x80, (id & 0x7f).to_le_bytes()[0], 0]).unwrap();
                ids.widen(&mut picture);
                prop_assert_eq!(picture.picture_id, Some(id));
                if id.wrapping_sub(newest) & WIDE_ID_MAX < 0x4000 {
                    newest = id;
                }
            }
        }

        #[test]
        fn what_is_renumbered_reads_back(payload in proptest::collection::vec(any::<u8>(), 0..16), id in 0_u16..0x8000, index: u8) {
            if let Some(descriptor) = Descriptor::parse(&payload)
                && let Some((bytes, len)) = descriptor.renumbered(&payload, id, index)
            {
                let rewritten = [&bytes[..len], &payload[descriptor.len..]].concat();
                let expected = Descriptor {
                    picture_id: Some(id),
                    has_wide_picture_id: true,
                    tl0_picture_index: descriptor.tl0_picture_index.map(|_| index),
                    len,
                    ..descriptor
                };
                prop_assert_eq!(Descriptor::parse(&rewritten), Some(expected));
                prop_assert_eq!(is_key_frame(&rewritten), is_key_frame(&payload));
            }
        }

        #[test]
        fn total_and_within_the_payload(payload in proptest::collection::vec(any::<u8>(), 0..16)) {
            if let Some(descriptor) = Descriptor::parse(&payload) {
                prop_assert!(descriptor.len <= payload.len());
                prop_assert!(descriptor.picture_id.is_none_or(|id| id < 0x8000));
            }
            is_key_frame(&payload);
        }
    }
}
