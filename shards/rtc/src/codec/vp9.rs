//! The VP9 payload descriptor's leading fields (RFC 9628 §4.2): all a forwarder reads.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+
//! |I|P|L|F|B|E|V|Z|
//! |M| PictureID   |  when I, two bytes when M
//! | TID |U| SID |D|  when L
//! |   TL0PICIDX   |  when L and not F
//! ```

use super::read_picture_id;

/// A parsed descriptor. Reference indices and the scalability structure are left unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// P: the picture refers to earlier ones.
    pub is_inter_picture: bool,
    /// F: flexible mode, where references are told per picture.
    pub is_flexible: bool,
    /// B: first packet of a layer frame.
    pub starts_frame: bool,
    /// E: last packet of a layer frame.
    pub ends_frame: bool,
    /// V: a scalability structure follows.
    pub has_scalability_structure: bool,
    /// 7 or 15 bits by `has_wide_picture_id`.
    pub picture_id: Option<u16>,
    pub has_wide_picture_id: bool,
    /// Present when L was set.
    pub layers: Option<Layers>,
    pub tl0_picture_index: Option<u8>,
}

/// The layer indices byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// TID, 0-7.
    pub temporal: u8,
    /// SID, 0-7.
    pub spatial: u8,
    /// U: a receiver may switch up to this temporal layer here.
    pub is_switching_up_point: bool,
    /// D: depends on the spatial layer below in the same picture.
    pub has_inter_layer_dependency: bool,
}

impl Descriptor {
    /// `None` when the payload ends inside the fields read.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut bytes = payload.iter().copied();
        let first = bytes.next()?;
        let is_flexible = first & 0x10 != 0;
        let picture_id = if first & 0x80 != 0 { Some(read_picture_id(&mut bytes)?) } else { None };
        let layers = if first & 0x20 != 0 { Some(Layers::from_byte(bytes.next()?)) } else { None };
        let has_tl0_picture_index = layers.is_some() && !is_flexible;
        let tl0_picture_index = if has_tl0_picture_index { Some(bytes.next()?) } else { None };
        Some(Self {
            is_inter_picture: first & 0x40 != 0,
            is_flexible,
            starts_frame: first & 0x08 != 0,
            ends_frame: first & 0x04 != 0,
            has_scalability_structure: first & 0x02 != 0,
            picture_id: picture_id.map(|(id, _)| id),
            has_wide_picture_id: picture_id.is_some_and(|(_, is_wide)| is_wide),
            layers,
            tl0_picture_index,
        })
    }

    /// The base spatial layer's first packet of a picture that refers to nothing before it.
    pub fn is_key_frame(&self) -> bool {
        let spatial = self.layers.map_or(0, |layers| layers.spatial);
        !self.is_inter_picture && self.starts_frame && spatial == 0
    }
}

impl Layers {
    const fn from_byte(byte: u8) -> Self {
        Self {
            temporal: byte >> 5,
            spatial: (byte >> 1) & 0x07,
            is_switching_up_point: byte & 0x10 != 0,
            has_inter_layer_dependency: byte & 0x01 != 0,
        }
    }
}

/// Whether `payload` begins a key frame.
pub fn is_key_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_some_and(|descriptor| descriptor.is_key_frame())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn key_frames() {
        assert!(is_key_frame(&[0x08]));
        assert!(!is_key_frame(&[0x48]), "inter picture");
        assert!(!is_key_frame(&[0x00]), "middle of a frame");
        assert!(is_key_frame(&[0x28, 0x00, 0x00]), "base spatial layer");
        assert!(!is_key_frame(&[0x28, 0x02, 0x00]), "upper spatial layer");
        assert!(!is_key_frame(&[]));
    }

    #[test]
    fn every_field() {
        let payload = [0xae, 0x92, 0x34, 0b1011_0111, 0x55];
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert_eq!(descriptor.picture_id, Some(0x1234));
        assert!(descriptor.has_wide_picture_id && !descriptor.is_flexible);
        assert!(descriptor.ends_frame && descriptor.has_scalability_structure);
        let layers = descriptor.layers.unwrap();
        assert_eq!((layers.temporal, layers.spatial), (5, 3));
        assert!(layers.is_switching_up_point && layers.has_inter_layer_dependency);
        assert_eq!(descriptor.tl0_picture_index, Some(0x55));
        for len in 0..payload.len() {
            assert_eq!(Descriptor::parse(&payload[..len]), None, "cut to {len}");
        }
    }

    #[test]
    fn flexible_mode_has_no_tl0_picture_index() {
        let descriptor = Descriptor::parse(&[0x38, 0x00]).unwrap();
        assert_eq!(descriptor.tl0_picture_index, None);
    }

    proptest! {
        #[test]
        fn total(payload in proptest::collection::vec(any::<u8>(), 0..16)) {
            if let Some(descriptor) = Descriptor::parse(&payload) {
                prop_assert!(descriptor.picture_id.is_none_or(|id| id < 0x8000));
            }
        }
    }
}
