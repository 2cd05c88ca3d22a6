//! What can be told of an SCTP packet without speaking the protocol (RFC 9260).

/// Bytes of the common header: ports, verification tag, checksum (section 3.1).
const HEADER_BYTES: usize = 12;
/// Where the checksum lies.
const CHECKSUM_AT: usize = 8;
/// The polynomial of CRC32c, bits reversed (appendix A).
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut remainder = byte;
        let mut bit = 0;
        while bit < 8 {
            remainder = if remainder & 1 == 1 { remainder >> 1 ^ POLYNOMIAL } else { remainder >> 1 };
            bit += 1;
        }
        table[byte as usize] = remainder;
        byte += 1;
    }
    table
}

/// Whether what is neither RTP nor RTCP has the shape of an SCTP packet: whole words, and a header.
pub fn may_be_sctp(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_BYTES && bytes.len().is_multiple_of(4)
}

/// Whether it is one: nothing else has its checksum but by one chance in four billion.
pub fn is_sctp(bytes: &[u8]) -> bool {
    let Some(checksum) = bytes.get(CHECKSUM_AT..HEADER_BYTES).and_then(|field| field.first_chunk()) else {
        return false;
    };
    may_be_sctp(bytes) && checksum_of(bytes) == u32::from_le_bytes(*checksum)
}

/// Over the packet with zeros where the checksum lies.
fn checksum_of(packet: &[u8]) -> u32 {
    let bytes = packet
        .iter()
        .enumerate()
        .map(|(at, &byte)| if (CHECKSUM_AT..HEADER_BYTES).contains(&at) { 0 } else { byte });
    crc32c(bytes)
}

fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc: u32, byte| {
        let [low, ..] = crc.to_le_bytes();
        crc >> 8 ^ TABLE[usize::from(low ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ABORT, sealed.
    fn packet() -> Vec<u8> {
        let mut packet = vec![0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4, 0, 0, 0, 0, 6, 0, 0, 4];
        let checksum = checksum_of(&packet);
        packet[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        packet
    }

    #[test]
    fn published_checksums() {
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
        // RFC 3720 appendix B.4: 32 bytes of zeros, and of ones.
        assert_eq!(crc32c([0; 32].into_iter()), 0x8a91_36aa);
        assert_eq!(crc32c([0xff; 32].into_iter()), 0x62a8_ab43);
    }

    #[test]
    fn a_packet_is_known_by_its_checksum() {
        let packet = packet();
        assert!(may_be_sctp(&packet) && is_sctp(&packet));
        for at in 0..packet.len() {
            let mut damaged = packet.clone();
            damaged[at] ^= 0x10;
            assert!(may_be_sctp(&damaged) && !is_sctp(&damaged), "{at}");
        }
        for len in 0..packet.len() {
            assert!(!is_sctp(&packet[..len]), "{len}");
            assert_eq!(may_be_sctp(&packet[..len]), len == 12);
        }
    }
}
