//! Discontinuous transmission in Opus (RFC 6716 §3): a DTX packet is a table-of-contents byte and
//! frames of no bytes.

/// Whether `payload` is a DTX packet. Malformed payloads are not: they are the receiver's to judge.
pub fn is_dtx(payload: &[u8]) -> bool {
    let Some(table_of_contents) = payload.first() else {
        return false;
    };
    // RFC 6716 §3.1: the low two bits say how frames are packed.
    match table_of_contents & 0x03 {
        // One frame, or two of the same size: nothing after the table of contents.
        0 | 1 => payload.len() == 1,
        // Two frames of different sizes: the first one's size must be there, and be zero.
        2 => payload.len() == 2,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_packing_has_its_own_empty_length() {
        for (code, dtx_len) in [(0u8, Some(1)), (1, Some(1)), (2, Some(2)), (3, None)] {
            for len in 1..6usize {
                let mut payload = vec![0u8; len];
                payload[0] = 0xf8 | code;
                assert_eq!(is_dtx(&payload), dtx_len == Some(len), "code {code}, {len} bytes");
            }
        }
        assert!(!is_dtx(&[]));
    }

    proptest! {
        #[test]
        fn speech_is_never_dtx(payload in proptest::collection::vec(any::<u8>(), 3..64)) {
            prop_assert!(!is_dtx(&payload));
        }
    }
}
