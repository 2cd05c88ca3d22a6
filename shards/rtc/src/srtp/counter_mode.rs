//! AES in counter mode, over blocks whose counter is in their low 16 bits (RFC 3711 section 4.1.1).
//!
//! The keystream is made in one call of the cipher per 64 blocks, which is its widest form. `ctr` does the same behind a buffer that
//! costs a short packet a third more than its blocks (docs/decisions/0021).

use aes::Aes128Enc;
use aes::cipher::{Array, BlockCipherEncrypt as _};

const BLOCK_LEN: usize = 16;
/// Blocks of one call: as many as the cipher's widest form takes at once.
const BLOCKS: usize = 64;

/// 0, 1, 2, ... as the last bytes of a block.
const STEPS: [u128; BLOCKS] = {
    let mut steps = [0; BLOCKS];
    let (mut step, mut value) = (0, 0_u128);
    while step < BLOCKS {
        steps[step] = value.to_be();
        step += 1;
        value += 1;
    }
    steps
};

/// Encrypts or decrypts in place. `first` is the first block, its low 16 bits clear: a packet has at most 2^12 blocks, so
/// nothing carries out of them.
pub(super) fn apply_keystream(aes: &Aes128Enc, first: u128, bytes: &mut [u8]) {
    let mut first = first;
    for part in bytes.chunks_mut(BLOCKS * BLOCK_LEN) {
        apply_part(aes, first, part);
        first = first.wrapping_add(BLOCKS as u128);
    }
}

/// At most [`BLOCKS`] blocks. They begin at a multiple of as many, so that a step is added by one operation per block.
fn apply_part(aes: &Aes128Enc, first: u128, part: &mut [u8]) {
    let mut keystream = [Array([0; BLOCK_LEN]); BLOCKS];
    let first = first.to_be();
    let Some(keystream) = keystream.get_mut(..part.len().div_ceil(BLOCK_LEN)) else { return };
    for (block, step) in keystream.iter_mut().zip(&STEPS) {
        block.0 = (first ^ step).to_ne_bytes();
    }
    aes.encrypt_blocks(keystream);
    let (blocks, rest) = part.as_chunks_mut::<BLOCK_LEN>();
    let (of_blocks, of_rest) = keystream.split_at(blocks.len());
    for (block, key) in blocks.iter_mut().zip(of_blocks) {
        *block = (u128::from_ne_bytes(*block) ^ u128::from_ne_bytes(key.0)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(of_rest.iter().flat_map(|block| block.0)) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use aes::cipher::{InnerIvInit as _, KeyInit as _, StreamCipher as _};
    use ctr::{Ctr128BE, CtrCore};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the crate for it, in any length an SRTP packet can have and beyond.
        #[test]
        fn agrees_with_ctr(key: [u8; 16], iv: u128, len in prop_oneof![0usize..1_300, 0usize..70_000]) {
            let aes = Aes128Enc::new(&Array(key));
            let first = iv & !0xffff;
            let mut own: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let mut theirs = own.clone();
            apply_keystream(&aes, first, &mut own);
            let mut other: Ctr128BE<&Aes128Enc> =
                Ctr128BE::from_core(CtrCore::inner_iv_init(&aes, &Array(first.to_be_bytes())));
            other.apply_keystream(&mut theirs);
            prop_assert_eq!(own, theirs);
        }
    }
}
