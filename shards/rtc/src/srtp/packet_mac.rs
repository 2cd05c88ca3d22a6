//! HMAC-SHA1 (RFC 2104) of a packet and what is authenticated behind it, in two calls of the compression function and one
//! for the outer hash: whole blocks are read where they are.
//!
//! `hmac` computes the same through a buffer and a copy of its state, which costs 50 ns a packet (docs/decisions/0021).

use sha1::block_api::compress;

const BLOCK_LEN: usize = 64;
/// Bytes of the message's length in bits, at the end of its last block.
const LENGTH_LEN: usize = 8;
/// Ends the message's bytes.
const END_MARK: u8 = 0x80;
/// Bytes of a SHA-1.
pub(super) const SHA1_LEN: usize = 20;
/// Bytes behind a packet that are authenticated with it, at most: the rollover counter.
const SUFFIX_MAX: usize = 4;
/// The state SHA-1 begins with (FIPS 180-4 section 5.3.1).
const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The states of the inner and outer hash behind their key blocks.
pub(super) struct PacketMac {
    inner: [u32; 5],
    outer: [u32; 5],
}

/// SHA-1's state behind the key, each byte combined with `pad`.
fn keyed(key: [u8; SHA1_LEN], pad: u8) -> [u32; 5] {
    let mut block = [pad; BLOCK_LEN];
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut state = INITIAL;
    compress(&mut state, &[block]);
    state
}

fn to_bytes(state: [u32; 5]) -> [u8; SHA1_LEN] {
    let mut bytes = [0; SHA1_LEN];
    for (out, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *out = word.to_be_bytes();
    }
    bytes
}

/// Hashes the end of a message that began with a key block and is `len` bytes long without it: `rest` is what is left of its
/// whole blocks, `suffix` what follows.
fn finish(mut state: [u32; 5], rest: &[u8], suffix: &[u8], len: usize) -> [u32; 5] {
    let mut blocks = [[0; BLOCK_LEN]; 2];
    let bytes = blocks.as_flattened_mut();
    if let Some((place, behind)) = bytes.split_at_mut_checked(rest.len()) {
        place.copy_from_slice(rest);
        if let Some((place, behind)) = behind.split_at_mut_checked(suffix.len()) {
            place.copy_from_slice(suffix);
            if let Some(mark) = behind.first_mut() {
                *mark = END_MARK;
            }
        }
    }
    let used = rest.len() + suffix.len() + 1;
    let count = if used + LENGTH_LEN <= BLOCK_LEN { 1 } else { 2 };
    let blocks = blocks.get_mut(..count).unwrap_or_default();
    if let Some(length) = blocks.as_flattened_mut().last_chunk_mut::<LENGTH_LEN>() {
        *length = ((BLOCK_LEN + len) as u64 * 8).to_be_bytes();
    }
    compress(&mut state, blocks);
    state
}

impl PacketMac {
    pub(super) fn new(key: [u8; SHA1_LEN]) -> Self {
        Self { inner: keyed(key, 0x36), outer: keyed(key, 0x5c) }
    }

    /// Of `packet` and at most four bytes behind it.
    pub(super) fn tag(&self, packet: &[u8], suffix: &[u8]) -> [u8; SHA1_LEN] {
        debug_assert!(suffix.len() <= SUFFIX_MAX, "an end of two blocks");
        let (blocks, rest) = packet.as_chunks::<BLOCK_LEN>();
        let mut state = self.inner;
        compress(&mut state, blocks);
        let inner = finish(state, rest, suffix, packet.len() + suffix.len());
        to_bytes(finish(self.outer, &to_bytes(inner), &[], SHA1_LEN))
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use proptest::prelude::*;
    use sha1::Sha1;

    use super::*;

    /// RFC 2202 section 3, the first case: the key has our length.
    #[test]
    fn vector() {
        let tag = PacketMac::new([0x0b; SHA1_LEN]).tag(b"Hi There", &[]);
        let expected = super::super::test_support::hex("b617318655057264e28bc0b6fb378c8ef146be00");
        assert_eq!(tag.to_vec(), expected);
    }

    proptest! {
        #[test]
        fn agrees_with_hmac(
            key: [u8; SHA1_LEN],
            packet in prop::collection::vec(any::<u8>(), 0..1_600),
            suffix in prop::collection::vec(any::<u8>(), 0..=SUFFIX_MAX),
        ) {
            let mut other = Hmac::<Sha1>::new_from_slice(&key).expect("any length");
            other.update(&packet);
            other.update(&suffix);
            prop_assert_eq!(PacketMac::new(key).tag(&packet, &suffix), other.finalize().into_bytes().0);
        }
    }

    /// Every length around a block's end, with and without a suffix.
    #[test]
    fn ends_of_blocks() {
        let key = [7; SHA1_LEN];
        for len in 0..200 {
            for suffix in [&[][..], &[1, 2, 3, 4]] {
                let packet = vec![5; len];
                let mut other = Hmac::<Sha1>::new_from_slice(&key).expect("any length");
                other.update(&packet);
                other.update(suffix);
                assert_eq!(PacketMac::new(key).tag(&packet, suffix), other.finalize().into_bytes().0);
            }
        }
    }
}
