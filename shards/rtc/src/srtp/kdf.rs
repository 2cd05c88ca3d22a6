//! Session keys from a master key (RFC 3711 section 4.3), key derivation rate 0.

use aes::cipher::{Array, BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128Enc, Aes256Enc};
use ctr::{Ctr128BE, CtrCore};

/// What a derived key is for; the values are RFC 3711 section 4.3.2's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Bytes of master salt that enter the derivation. A shorter salt is padded with zeros on the
/// right (RFC 7714 section 11).
const SALT_LEN: usize = 14;

/// Where the label meets the salt: a byte of label over six bytes of (zero) index, right-aligned
/// in the salt's 14 bytes.
const LABEL_POSITION: usize = 7;

/// Fills `out` with the key for `label`. `false` when the master key is neither 128 nor 256 bits,
/// or the salt is longer than 112.
pub(super) fn derive(master_key: &[u8], master_salt: &[u8], label: Label, out: &mut [u8]) -> bool {
    let mut iv = [0; 16];
    let Some(salt) = iv.get_mut(..master_salt.len().min(SALT_LEN + 1)) else {
        return false;
    };
    if salt.len() != master_salt.len() || salt.len() > SALT_LEN {
        return false;
    }
    salt.copy_from_slice(master_salt);
    iv[LABEL_POSITION] ^= label as u8;
    match master_key.len() {
        16 => Aes128Enc::new_from_slice(master_key).is_ok_and(|aes| keystream(&aes, iv, out)),
        32 => Aes256Enc::new_from_slice(master_key).is_ok_and(|aes| keystream(&aes, iv, out)),
        _ => false,
    }
}

fn keystream<C>(aes: &C, iv: [u8; 16], out: &mut [u8]) -> bool
where
    C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>,
{
    out.fill(0);
    Ctr128BE::from_core(CtrCore::inner_iv_init(aes, &Array(iv))).try_apply_keystream(out).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::hex;
    use super::*;

    fn derived<const N: usize>(key: &str, salt: &str, label: Label) -> Vec<u8> {
        let mut out = [0; N];
        assert!(derive(&hex(key), &hex(salt), label, &mut out));
        out.to_vec()
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn aes_128_vectors() {
        const KEY: &str = "E1F97A0D3E018BE0D64FA32C06DE4139";
        const SALT: &str = "0EC675AD498AFEEBB6960B3AABE6";
        assert_eq!(derived::<16>(KEY, SALT, Label::RtpEncryption), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived::<14>(KEY, SALT, Label::RtpSalt), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            derived::<94>(KEY, SALT, Label::RtpAuthentication),
            hex("CEBE321F6FF7716B6FD4AB49AF256A15\
                 6D38BAA48F0A0ACF3C34E2359E6CDBCE\
                 E049646C43D9327AD175578EF7227098\
                 6371C10C9A369AC2F94A8C5FBCDDDC25\
                 6D6E919A48B610EF17C2041E47403576\
                 6B68642C59BBFC2F34DB60DBDFB2")
        );
    }

    /// RFC 6188 section 7.3.
    #[test]
    fn aes_256_vectors() {
        const KEY: &str = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
        const SALT: &str = "3b04803de51ee7c96423ab5b78d2";
        assert_eq!(
            derived::<32>(KEY, SALT, Label::RtpEncryption),
            hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
        );
        assert_eq!(derived::<14>(KEY, SALT, Label::RtpSalt), hex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(
            derived::<20>(KEY, SALT, Label::RtpAuthentication),
            hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
        );
    }

    /// RFC 7714 has no vector for its 96-bit salt; this is the value other implementations agree on.
    #[test]
    fn a_short_salt_is_padded_on_the_right() {
        assert_eq!(
            derived::<12>("000102030405060708090a0b0c0d0e0f", "404142434445464748494a4b", Label::RtpSalt),
            hex("1fcd5d561e66dc49ec1c3ccb")
        );
    }

    #[test]
    fn odd_lengths_are_refused() {
        let mut out = [0; 16];
        assert!(!derive(&[0; 24], &[0; 14], Label::RtpSalt, &mut out));
        assert!(!derive(&[0; 16], &[0; 15], Label::RtpSalt, &mut out));
        assert!(!derive(&[0; 16], &[0; 99], Label::RtpSalt, &mut out));
    }
}
