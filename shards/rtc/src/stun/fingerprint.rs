//! The checksum at a message's end (RFC 8489 section 14.7): CRC-32 of all before it, made unlike any other protocol's.

/// "STUN".
const XOR: u32 = 0x5354_554e;
/// The polynomial of ISO 3309, lowest power first.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// A message has some hundred bytes: a table of a byte's 256 remainders is fast enough beside the HMAC over the same.
const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    let mut byte: u32 = 0;
    while index < table.len() {
        let mut remainder = byte;
        let mut bit = 0;
        while bit < 8 {
            let carry = if remainder & 1 == 1 { POLYNOMIAL } else { 0 };
            remainder = remainder >> 1 ^ carry;
            bit += 1;
        }
        table[index] = remainder;
        index += 1;
        byte += 1;
    }
    table
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        let [low, ..] = crc.to_le_bytes();
        crc >> 8 ^ TABLE[usize::from(low ^ byte)]
    })
}

/// Of the bytes before the attribute, whose header's length counts the attribute in already.
pub fn fingerprint(before: &[u8]) -> u32 {
    crc32(before) ^ XOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_checksums() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }
}
