//! Layers of H.264 that are told beside its slices: by frame marking (draft-ietf-avtext-framemarking-07), or, for scalable
//! streams, in the extended header of NAL units (H.264 annex G.7.3.1.1, RFC 6190 section 1.1.3).

use super::h264;

/// RFC 6184 section 5.4 and RFC 6190 section 1.1.3: types of NAL units that are looked at.
const NAL_PREFIX: u8 = 14;
const NAL_SCALABLE_SLICE: u8 = 20;
const NAL_STAP_A: u8 = 24;
const NAL_FU_A: u8 = 28;
const NAL_TYPE_MASK: u8 = 0x1f;
const FU_START: u8 = 0x80;

/// The layers of a packet's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marking {
    pub spatial: u8,
    pub temporal: u8,
    /// The packet is the last of its layer's frame, as far as anybody tells.
    pub ends_frame: bool,
    /// Nothing but the base layer is needed before this frame; `None` where only NAL units are looked at, which do not tell.
    pub is_sync: Option<bool>,
    /// The packet begins a frame that needs no other.
    pub begins_key_frame: bool,
}

impl Marking {
    /// A frame marking element: flags and temporal layer, then the layers of the codec, then what is not looked at.
    pub fn parse_element(value: &[u8]) -> Option<Self> {
        let (&flags, rest) = value.split_first()?;
        let has = |bit: u8| flags & bit != 0;
        Some(Self {
            spatial: rest.first().map_or(0, |layers| layers >> 4 & 0x07),
            temporal: flags & 0x07,
            ends_frame: has(0x40),
            is_sync: Some(has(0x08)),
            begins_key_frame: has(0x80) && has(0x20),
        })
    }

    /// What the first unit of a payload that has an extended header tells. A key frame begins with the base layer.
    pub fn of_scalable_payload(payload: &[u8]) -> Option<Self> {
        if h264::is_key_frame(payload) {
            let told = Self::of_extended_unit(payload).unwrap_or_default();
            return Some(Self { begins_key_frame: true, ..told });
        }
        Self::of_extended_unit(payload)
    }

    fn of_extended_unit(payload: &[u8]) -> Option<Self> {
        let (&first, rest) = payload.split_first()?;
        match first & NAL_TYPE_MASK {
            NAL_PREFIX | NAL_SCALABLE_SLICE => Self::of_extension(rest),
            NAL_STAP_A => aggregated(rest).find_map(|unit| {
                let (&first, rest) = unit.split_first()?;
                is_extended(first).then(|| Self::of_extension(rest))?
            }),
            NAL_FU_A => {
                let (&header, rest) = rest.split_first()?;
                let begins = header & FU_START != 0 && is_extended(header);
                begins.then(|| Self::of_extension(rest))?
            }
            _ => None,
        }
    }

    /// Three bytes behind the type: dependency_id in the second, temporal_id in the third.
    fn of_extension(bytes: &[u8]) -> Option<Self> {
        let [_, second, third, ..] = *bytes else { return None };
        Some(Self {
            spatial: second >> 4 & 0x07,
            temporal: third >> 5 & 0x07,
            ends_frame: false,
            is_sync: None,
            begins_key_frame: false,
        })
    }
}

/// Whether a payload goes on with a unit whose extended header was in the packet before.
pub fn continues_scalable_unit(payload: &[u8]) -> bool {
    let [first, header, ..] = *payload else { return false };
    first & NAL_TYPE_MASK == NAL_FU_A && header & FU_START == 0 && is_extended(header)
}

fn is_extended(first: u8) -> bool {
    matches!(first & NAL_TYPE_MASK, NAL_PREFIX | NAL_SCALABLE_SLICE)
}

/// RFC 6184 section 5.7.1: 16 bits of size before each unit.
fn aggregated(mut units: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (size, rest) = units.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(u16::from_be_bytes(*size).into())?;
        units = rest;
        Some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_of_every_length() {
        let marking = Marking::parse_element(&[0b1010_1010]).unwrap();
        let expected =
            Marking { temporal: 2, is_sync: Some(true), begins_key_frame: true, ..Marking::default() };
        assert_eq!(marking, expected);
        let marking = Marking::parse_element(&[0b0101_0001, 0b0010_0000]).unwrap();
        let expected = Marking {
            spatial: 2,
            temporal: 1,
            ends_frame: true,
            is_sync: Some(false),
            begins_key_frame: false,
        };
        assert_eq!(marking, expected);
        assert_eq!(Marking::parse_element(&[0b0101_0001, 0b0010_0000, 9]), Some(expected));
        assert_eq!(Marking::parse_element(&[]), None);
    }

    #[test]
    fn extended_headers_alone_and_within() {
        let unit = [0x6e, 0x40, 0x20, 0x40, 0xff];
        let told = Marking { spatial: 2, temporal: 2, ..Marking::default() };
        assert_eq!(Marking::of_scalable_payload(&unit), Some(told));
        let base = Marking { begins_key_frame: true, ..Marking::default() };
        assert_eq!(Marking::of_scalable_payload(&[0x67, 0x42]), Some(base), "a parameter set");
        let mut aggregate = vec![0x78, 0, 2, 0x67, 1, 0, 5];
        aggregate.extend_from_slice(&unit);
        assert_eq!(
            Marking::of_scalable_payload(&aggregate),
            Some(Marking { begins_key_frame: true, ..told })
        );
        let fragment = |header| Marking::of_scalable_payload(&[0x7c, header, 0x40, 0x20, 0x40]);
        assert_eq!(fragment(FU_START | 20), Some(told));
        assert_eq!(fragment(20), None, "a later fragment");
        assert!(continues_scalable_unit(&[0x7c, 20]) && !continues_scalable_unit(&[0x7c, FU_START | 20]));
        assert!(!continues_scalable_unit(&[0x7c, 5]) && !continues_scalable_unit(&[0x7c]));
        assert_eq!(fragment(FU_START | 5), None, "another type");
        assert_eq!(
            Marking::of_scalable_payload(&[0x65, 0x40, 0x20, 0x40]),
            None,
            "a slice of the base layer"
        );
        assert_eq!(Marking::of_scalable_payload(&unit[..3]), None, "cut short");
    }

    proptest! {
        #[test]
        fn total(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            Marking::parse_element(&bytes);
            Marking::of_scalable_payload(&bytes);
            continues_scalable_unit(&bytes);
        }
    }
}
