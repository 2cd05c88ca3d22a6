//! Key frames in H.264 over RTP (RFC 6184).
//!
//! A sequence parameter set, not an IDR slice, marks the key frame: encoders for real-time media
//! send one before every IDR, and a receiver that starts at the slice has nothing to decode it
//! with.

/// RFC 6184 §5.4: the packet types that can hold the start of a sequence parameter set.
const NAL_SPS: u8 = 7;
const NAL_STAP_A: u8 = 24;
const NAL_FU_A: u8 = 28;
const NAL_FU_B: u8 = 29;

const NAL_TYPE_MASK: u8 = 0x1f;
/// RFC 6184 §5.8: S bit of the FU header, set in a unit's first fragment.
const FU_START: u8 = 0x80;

/// Whether `payload` holds the beginning of a sequence parameter set.
pub fn is_key_frame(payload: &[u8]) -> bool {
    let [indicator, rest @ ..] = payload else {
        return false;
    };
    let Some(second) = rest.first() else {
        return false;
    };
    match indicator & NAL_TYPE_MASK {
        NAL_SPS => true,
        NAL_STAP_A => aggregate_has_sps(rest),
        NAL_FU_A | NAL_FU_B => second & NAL_TYPE_MASK == NAL_SPS && second & FU_START != 0,
        _ => false,
    }
}

/// RFC 6184 §5.7.1: 16 bits of size before each unit. A unit cut short by the packet's end still
/// counts: its type is there to read.
fn aggregate_has_sps(mut units: &[u8]) -> bool {
    while let [high, low, rest @ ..] = units {
        let Some(header) = rest.first() else {
            return false;
        };
        if header & NAL_TYPE_MASK == NAL_SPS {
            return true;
        }
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(next) = rest.get(size..) else {
            return false;
        };
        units = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_units() {
        assert!(is_key_frame(&[0x67, 0x42]));
        assert!(!is_key_frame(&[0x65, 0x88]), "an IDR slice alone");
        assert!(!is_key_frame(&[0x67]), "too short to be a unit");
        assert!(!is_key_frame(&[]));
    }

    #[test]
    fn aggregates_are_searched() {
        assert!(is_key_frame(&[0x78, 0, 2, 0x09, 0xf0, 0, 2, 0x67, 0x42]));
        assert!(!is_key_frame(&[0x78, 0, 2, 0x09, 0xf0, 0, 2, 0x65, 0x88]));
        assert!(!is_key_frame(&[0x78, 0, 9, 0x09, 0xf0, 0, 2, 0x67]), "size runs past the end");
        assert!(!is_key_frame(&[0x78, 0, 1, 0x09, 0, 2]), "no room for a type");
        assert!(is_key_frame(&[0x78, 0, 0, 0x67]), "an empty unit does not stop the search");
    }

    #[test]
    fn fragments_count_once() {
        assert!(is_key_frame(&[0x7c, 0x87]));
        assert!(is_key_frame(&[0x7d, 0x87]));
        assert!(!is_key_frame(&[0x7c, 0x07]), "a later fragment");
        assert!(!is_key_frame(&[0x7c, 0x85]), "another type");
    }

    proptest! {
        #[test]
        fn an_aggregate_is_a_key_frame_exactly_when_a_unit_is(
            types in proptest::collection::vec((1u8..24, 1usize..40), 1..8),
        ) {
            let mut payload = vec![NAL_STAP_A];
            for (nal_type, size) in &types {
                payload.extend_from_slice(&u16::try_from(*size).unwrap().to_be_bytes());
                payload.push(*nal_type);
                payload.resize(payload.len() + size - 1, NAL_SPS);
            }
            let expected = types.iter().any(|(nal_type, _)| *nal_type == NAL_SPS);
            prop_assert_eq!(is_key_frame(&payload), expected);
        }

        #[test]
        fn total(payload in proptest::collection::vec(any::<u8>(), 0..128)) {
            is_key_frame(&payload);
        }
    }
}
