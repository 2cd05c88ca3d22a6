//! The published messages of RFC 5769.

use super::*;

const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae
    802200105354554e207465737420636c69656e74 002400046e0001ff 80290008932ff9b151263b36
    000600096576746a3a68367659202020 000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf";
const RESPONSE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae
    8022000b7465737420766563746f7220 002000080001a147e112a643
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96";
const RESPONSE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae
    8022000b7465737420766563746f7220 002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9
    00080014a382954e4be67bf11784c97c8292c275bfe3ed41 80280004c8fb0b4c";
const LONG_TERM_REQUEST: &str = "000100602112a44278ad3433c6ad72c029da412e
    00060012e3839ee38388e383aae38383e382afe382b90000
    0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473 41
    0014000b6578616d706c652e6f726700 00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
/// MD5 of user name, realm and password (RFC 8489 section 9.2.2).
const LONG_TERM_KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// Every bit counts, for the password's holder and for anybody.
fn no_bit_may_change(bytes: &[u8], key: &IntegrityKey) {
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let accepted = Message::parse(&changed)
            .is_ok_and(|message| message.is_authentic(key) && message.has_fingerprint);
        assert!(!accepted, "bit {bit}");
    }
}

#[test]
fn section_2_1_request() {
    let bytes = bytes(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class, message.method), (Class::Request, BINDING));
    assert_eq!(message.transaction()[..], bytes[8..20]);
    assert_eq!(message.software, Some(&b"STUN test client"[..]));
    assert_eq!(message.priority, Some(0x6e00_01ff));
    assert_eq!(message.ice_controlled, Some(0x932f_f9b1_5126_3b36));
    assert_eq!((message.ice_controlling, message.use_candidate, message.nomination()), (None, false, None));
    assert_eq!(message.username, Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.receiver_fragment(), Some(&b"evtj"[..]));
    assert!(message.has_fingerprint && message.has_integrity());
    let key = IntegrityKey::new(PASSWORD);
    assert!(message.is_authentic(&key));
    assert!(!message.is_authentic(&IntegrityKey::new(b"VOkJxbRl1RmTxUk/WvJxBT")));
    no_bit_may_change(&bytes, &key);
}

#[test]
fn section_2_2_and_2_3_responses() {
    for (hex, address) in
        [(RESPONSE_V4, "192.0.2.1:32853"), (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let bytes = bytes(hex);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.class, Class::SuccessResponse);
        assert_eq!(message.software, Some(&b"test vector"[..]));
        assert_eq!(message.xor_mapped_address, Some(address.parse().unwrap()));
        let key = IntegrityKey::new(PASSWORD);
        assert!(message.is_authentic(&key));
        no_bit_may_change(&bytes, &key);
        // Written again it is the same but for the padding, which they fill with spaces, and what is made of it.
        let mut buffer = [0; 100];
        let again = Writer::new(&mut buffer, message.class, message.method, message.transaction())
            .software(b"test vector")
            .xor_mapped_address(address.parse().unwrap())
            .finish(Some(&key))
            .unwrap();
        assert_eq!(again.len(), bytes.len());
        let addresses = 36..bytes.len() - 32;
        assert_eq!(again[..35], bytes[..35]);
        assert_eq!(again[addresses.clone()], bytes[addresses]);
    }
}

#[test]
fn section_2_4_long_term_request() {
    let bytes = bytes(LONG_TERM_REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username, Some("マトリックス".as_bytes()));
    assert!(!message.has_fingerprint);
    assert!(message.is_authentic(&IntegrityKey::new(&self::bytes(LONG_TERM_KEY))));
}
