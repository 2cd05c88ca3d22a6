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

/// A parsed descriptor. Absent optional fields are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub is_non_reference: bool,
    /// S: the payload begins a partition.
    pub starts_partition: bool,
    /// PID, 0-7.
    pub partition: u8,
    /// 7 or 15 bits by `has_wide_picture_id`.
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

/// Whether `payload` begins a key frame: RFC 7741 §4.3, the P bit of the frame's first byte is
/// inverted, zero meaning key frame.
pub fn is_key_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_some_and(|descriptor| {
        descriptor.starts_partition
            && descriptor.partition == 0
            && payload.get(descriptor.len).is_some_and(|byte| byte & 0x01 == 0)
    })
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

    proptest! {
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
