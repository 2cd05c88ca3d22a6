//! Key frames in H.265 over RTP (RFC 7798).
//!
//! A video, sequence or picture parameter set, or a picture that can be accessed at random, begins one: encoders for real-time
//! media send the sets before each such picture.

/// RFC 7798 §1.1.4: the two bytes of a NAL unit's header, and where its type is in the first.
const HEADER_BYTES: usize = 2;
const TYPE_SHIFT: u8 = 1;
const TYPE_MASK: u8 = 0x3f;

/// H.265 table 7-1: BLA, IDR and CRA pictures, and what is reserved beside them.
const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
/// The sets: VPS, SPS and PPS.
const PARAMETER_SETS: std::ops::RangeInclusive<u8> = 32..=34;
/// RFC 7798 §4.4.2 and §4.4.3.
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
/// RFC 7798 §4.4.3: S bit of the FU header, set in a unit's first fragment.
const FU_START: u8 = 0x80;

/// Whether `payload` holds the beginning of a key frame.
pub fn is_key_frame(payload: &[u8]) -> bool {
    let Some((header, rest)) = payload.split_first_chunk::<HEADER_BYTES>() else {
        return false;
    };
    match nal_type(header[0]) {
        AGGREGATION => aggregate_begins_one(rest),
        FRAGMENTATION => {
            rest.first().is_some_and(|fu| fu & FU_START != 0 && begins_key_frame(fu & TYPE_MASK))
        }
        single => !rest.is_empty() && begins_key_frame(single),
    }
}

fn nal_type(first: u8) -> u8 {
    first >> TYPE_SHIFT & TYPE_MASK
}

fn begins_key_frame(nal_type: u8) -> bool {
    IRAP.contains(&nal_type) || PARAMETER_SETS.contains(&nal_type)
}

/// RFC 7798 §4.4.2: 16 bits of size before each unit. A unit cut short by the packet's end still counts.
fn aggregate_begins_one(mut units: &[u8]) -> bool {
    while let [high, low, rest @ ..] = units {
        let Some(first) = rest.first() else {
            return false;
        };
        if begins_key_frame(nal_type(*first)) {
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

    /// A NAL unit's first header byte.
    const fn first(nal_type: u8) -> u8 {
        nal_type << 1
    }

    #[test]
    fn single_units() {
        for (nal_type, begins) in
            [(19, true), (21, true), (32, true), (33, true), (34, true), (1, false), (39, false)]
        {
            assert_eq!(is_key_frame(&[first(nal_type), 1, 0]), begins, "{nal_type}");
        }
        assert!(!is_key_frame(&[first(19), 1]) && !is_key_frame(&[first(19)]) && !is_key_frame(&[]));
    }

    #[test]
    fn aggregates_are_searched() {
        let aggregate = |types: [u8; 2]| {
            let [one, other] = types.map(first);
            [first(AGGREGATION), 1, 0, 3, one, 1, 0, 0, 3, other, 1, 0]
        };
        assert!(is_key_frame(&aggregate([35, 32])));
        assert!(!is_key_frame(&aggregate([35, 1])));
        assert!(
            !is_key_frame(&[first(AGGREGATION), 1, 0, 9, first(1), 1, 0, 3, first(32)]),
            "size runs past the end"
        );
    }

    #[test]
    fn fragments_count_once() {
        assert!(is_key_frame(&[first(FRAGMENTATION), 1, FU_START | 19]));
        assert!(!is_key_frame(&[first(FRAGMENTATION), 1, 19]), "a later fragment");
        assert!(!is_key_frame(&[first(FRAGMENTATION), 1, FU_START | 1]), "another type");
    }

    proptest! {
        #[test]
        fn total(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            is_key_frame(&payload);
        }
    }
}
