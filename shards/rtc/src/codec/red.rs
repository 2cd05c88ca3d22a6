//! Redundant sound (RFC 2198): blocks of before, and last the one of now.
//!
//! ```text
//! 1 type time length │ 1 type time length │ 0 type │ block │ block │ primary block
//! └──── four bytes ──┘                    └ one ───┘
//! ```

/// Bytes of the header of a block of before.
const REDUNDANT_HEADER_LEN: usize = 4;

/// The block of now. `None` where the headers promise more than there is.
pub fn primary(payload: &[u8]) -> Option<&[u8]> {
    let mut headers = payload;
    let mut redundant_len = 0;
    while headers.first()? & 0x80 != 0 {
        let (header, rest) = headers.split_first_chunk::<REDUNDANT_HEADER_LEN>()?;
        // RFC 2198 section 3: the last ten bits.
        redundant_len += usize::from(u16::from_be_bytes([header[2] & 0x03, header[3]]));
        headers = rest;
    }
    headers.get(1 + redundant_len..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_block_is_the_primary_one() {
        assert_eq!(primary(&[111, 1, 2, 3]), Some(&[1, 2, 3][..]));
        assert_eq!(primary(&[0x80 | 111, 3, 0xc0, 2, 111, 8, 9, 1]), Some(&[1][..]));
        assert_eq!(primary(&[0x80 | 111, 3, 0xc0, 1, 0x80 | 111, 1, 0xc0, 1, 111, 8, 9]), Some(&[][..]));
    }

    #[test]
    fn what_is_cut_short_has_none() {
        for payload in
            [&[][..], &[0x80 | 111, 3, 0xc0], &[0x80 | 111, 3, 0xc0, 1], &[0x80 | 111, 3, 0xc3, 0xff, 111, 1]]
        {
            assert_eq!(primary(payload), None, "{payload:?}");
        }
    }

    proptest! {
        #[test]
        fn blocks_of_before_are_passed_over(
            blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5),
            now in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut payload = Vec::new();
            for block in &blocks {
                payload.extend([0x80 | 111, 3, 0xc0, u8::try_from(block.len()).unwrap()]);
            }
            payload.push(111);
            payload.extend(blocks.concat());
            payload.extend(&now);
            prop_assert_eq!(primary(&payload), Some(&now[..]));
        }

        #[test]
        fn any_bytes_are_taken(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = primary(&payload);
        }
    }
}
