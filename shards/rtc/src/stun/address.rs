//! XOR-MAPPED-ADDRESS (RFC 8489 section 14.2): an address that no middlebox takes for one and rewrites.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::attribute::kind;
use super::message::ParseError;

/// Family, port and address of IPv4.
pub const V4_LEN: usize = 8;
/// And of IPv6.
pub const V6_LEN: usize = 20;
const FAMILY_V4: u8 = 1;
const FAMILY_V6: u8 = 2;

/// Cookie and transaction: what addresses are hidden under.
pub(super) type Mask = [u8; 16];

pub(super) fn read(value: &[u8], mask: &Mask) -> Result<SocketAddr, ParseError> {
    let Some((&[_, family, high, low], rest)) = value.split_first_chunk() else {
        return Err(ParseError::AttributeLength(kind::XOR_MAPPED_ADDRESS));
    };
    let wrong_length = |_| ParseError::AttributeLength(kind::XOR_MAPPED_ADDRESS);
    let ip = match family {
        FAMILY_V4 => IpAddr::V4(hidden_v4(rest.try_into().map_err(wrong_length)?, mask)),
        FAMILY_V6 => IpAddr::V6(hidden_v6(rest.try_into().map_err(wrong_length)?, mask)),
        _ => return Err(ParseError::AttributeValue(kind::XOR_MAPPED_ADDRESS)),
    };
    Ok(SocketAddr::new(ip, u16::from_be_bytes([high, low]) ^ port_mask(mask)))
}

/// The value's bytes, of which the first returned number count. An IPv4 address in IPv6 clothes is told as IPv4: that
/// is what the peer sent from.
pub(super) fn write(address: SocketAddr, mask: &Mask) -> ([u8; V6_LEN], usize) {
    let mut value = [0; V6_LEN];
    value[2..4].copy_from_slice(&(address.port() ^ port_mask(mask)).to_be_bytes());
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = FAMILY_V4;
            value[4..V4_LEN].copy_from_slice(&hidden_v4(ip.octets(), mask).octets());
            (value, V4_LEN)
        }
        IpAddr::V6(ip) => {
            value[1] = FAMILY_V6;
            value[4..].copy_from_slice(&hidden_v6(ip.octets(), mask).octets());
            (value, V6_LEN)
        }
    }
}

const fn port_mask(mask: &Mask) -> u16 {
    u16::from_be_bytes([mask[0], mask[1]])
}

/// Hides and reveals alike.
const fn hidden_v4(ip: [u8; 4], mask: &Mask) -> Ipv4Addr {
    let [a, b, c, d, ..] = *mask;
    Ipv4Addr::from_bits(u32::from_be_bytes(ip) ^ u32::from_be_bytes([a, b, c, d]))
}

/// Hides and reveals alike.
const fn hidden_v6(ip: [u8; 16], mask: &Mask) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::from_be_bytes(ip) ^ u128::from_be_bytes(*mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: Mask = *b"\x21\x12\xa4\x42transaction.";

    fn round_trip(address: &str) -> (String, usize) {
        let (value, len) = write(address.parse().expect("an address"), &MASK);
        (read(&value[..len], &MASK).expect("what was written can be read").to_string(), len)
    }

    #[test]
    fn both_families_are_read_as_they_were_written() {
        assert_eq!(round_trip("192.0.2.1:32853"), ("192.0.2.1:32853".into(), V4_LEN));
        assert_eq!(round_trip("[2001:db8::1]:1"), ("[2001:db8::1]:1".into(), V6_LEN));
        assert_eq!(round_trip("[::ffff:192.0.2.1]:9"), ("192.0.2.1:9".into(), V4_LEN));
    }

    #[test]
    fn a_family_has_its_length() {
        let (value, _) = write("[2001:db8::1]:1".parse().expect("an address"), &MASK);
        for len in 0..V6_LEN {
            assert_eq!(
                read(&value[..len], &MASK),
                Err(ParseError::AttributeLength(kind::XOR_MAPPED_ADDRESS)),
                "{len}"
            );
        }
        assert_eq!(
            read(&[0, 3, 0, 0, 1, 2, 3, 4], &MASK),
            Err(ParseError::AttributeValue(kind::XOR_MAPPED_ADDRESS))
        );
    }
}
