//! The rules of well-formed messages, one by one.

use super::*;
use crate::stun::{BINDING, MAGIC_COOKIE, Writer};

const TRANSACTION: [u8; TRANSACTION_LEN] = *b"transaction.";

/// A binding request of raw attributes, its length right.
fn raw(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0];
    bytes.extend(MAGIC_COOKIE);
    bytes.extend(TRANSACTION);
    for (kind, value) in attributes {
        bytes.extend(kind.to_be_bytes());
        bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0xaa);
    }
    set_length(&mut bytes);
    bytes
}

fn set_length(bytes: &mut [u8]) {
    let length = u16::try_from(bytes.len() - HEADER_LEN).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

/// Adds what the rules allow at the end.
fn with_fingerprint(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend([0x80, 0x28, 0, 4, 0, 0, 0, 0]);
    set_length(&mut bytes);
    let at = bytes.len() - 8;
    let sum = fingerprint(&bytes[..at]);
    bytes[at + 4..].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn error(bytes: &[u8]) -> ParseError {
    Message::parse(bytes).expect_err("malformed")
}

#[test]
fn rfc_8489_section_5_length_is_that_of_the_bytes_in_whole_words() {
    let bytes = raw(&[(kind::PRIORITY, &[0, 0, 0, 1])]);
    assert!(Message::parse(&bytes).is_ok());
    for cut in 0..HEADER_LEN {
        assert_eq!(error(&bytes[..cut]), ParseError::Header);
    }
    for cut in HEADER_LEN..bytes.len() {
        assert_eq!(error(&bytes[..cut]), ParseError::Length);
    }
    assert_eq!(error(&[&bytes[..], &[0; 4]].concat()), ParseError::Length);
    let mut odd = [&bytes[..], &[0; 2]].concat();
    set_length(&mut odd);
    assert_eq!(error(&odd), ParseError::Length);
}

#[test]
fn rfc_8489_section_5_class_and_method_share_a_field() {
    let classes = [Class::Request, Class::Indication, Class::SuccessResponse, Class::ErrorResponse];
    for class in classes {
        for method in 0..0x1000 {
            let field = type_field(class, method);
            assert!(field < 0x4000, "the first two bits are zero");
            assert_eq!(class_and_method(field), (class, method));
        }
    }
    assert_eq!(type_field(Class::SuccessResponse, BINDING), 0x0101);
    assert_eq!(type_field(Class::ErrorResponse, BINDING), 0x0111);
}

#[test]
fn rfc_8489_section_14_padding_may_be_anything_and_is_no_value() {
    let bytes = raw(&[(kind::USERNAME, b"a:b"), (kind::SOFTWARE, b"x"), (kind::PRIORITY, &[0, 0, 0, 9])]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username, Some(&b"a:b"[..]));
    assert_eq!(message.software, Some(&b"x"[..]));
    assert_eq!(message.priority, Some(9));
}

#[test]
fn an_attribute_ends_within_the_message() {
    let mut bytes = raw(&[(kind::USERNAME, b"abcd")]);
    bytes[23] = 5;
    assert_eq!(error(&bytes), ParseError::Truncated);
    bytes[22..24].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(error(&bytes), ParseError::Truncated);
}

#[test]
fn attributes_have_their_lengths() {
    let lengths: [(u16, &[usize]); 12] = [
        (kind::PRIORITY, &[4]),
        (kind::USE_CANDIDATE, &[0]),
        (kind::ICE_CONTROLLING, &[8]),
        (kind::ICE_CONTROLLED, &[8]),
        (kind::NOMINATION, &[4]),
        (kind::NOMINATION_OLD, &[4]),
        (kind::MESSAGE_INTEGRITY, &[20]),
        (kind::USERNAME, &[0, 1, 513]),
        (kind::SOFTWARE, &[0, 1, 763]),
        (kind::UNKNOWN_ATTRIBUTES, &[0, 2, 400]),
        (kind::ERROR_CODE, &[4, 5, 767]),
        (kind::XOR_MAPPED_ADDRESS, &[8]),
    ];
    // A valid family of addresses, and a valid code of errors.
    let mut value = [0; 800];
    value[1] = 1;
    value[2] = 4;
    for (kind, good) in lengths {
        let parse = |length: usize| Message::parse(&raw(&[(kind, &value[..length])])).err();
        for length in good {
            assert_eq!(parse(*length), None, "{kind:#x} {length}");
        }
        let last = good.last().unwrap();
        for bad in [last + 1, last.wrapping_sub(1)].into_iter().filter(|bad| *bad < 800) {
            let is_range = good.len() > 1 && bad < *last;
            if !is_range {
                assert_eq!(parse(bad), Some(ParseError::AttributeLength(kind)), "{kind:#x} {bad}");
            }
        }
    }
}

#[test]
fn rfc_8489_section_14_8_codes_are_300_to_699() {
    let code = |class, number| {
        let bytes = raw(&[(kind::ERROR_CODE, &[0xff, 0xff, class, number, b'r'])]);
        Message::parse(&bytes).map(|message| message.error_code.map(|error| error.code))
    };
    assert_eq!(code(3, 0), Ok(Some(300)));
    // Reserved bits are ignored.
    assert_eq!(code(0b1111_1110, 99), Ok(Some(699)));
    for (class, number) in [(2, 0), (7, 0), (4, 100)] {
        assert_eq!(code(class, number), Err(ParseError::AttributeValue(kind::ERROR_CODE)));
    }
}

#[test]
fn an_attribute_that_comes_twice_is_not_trusted() {
    for kind in [kind::USERNAME, kind::PRIORITY, kind::USE_CANDIDATE, kind::NOMINATION] {
        let value: &[u8] = if kind == kind::USE_CANDIDATE { &[] } else { &[0, 0, 0, 1] };
        assert_eq!(error(&raw(&[(kind, value), (kind, value)])), ParseError::Duplicate(kind));
    }
    // Of those nobody knows, any number.
    assert!(Message::parse(&raw(&[(0x7777, b"x"), (0x7777, b"y")])).is_ok());
    // The two numbers of a nomination are two attributes; the registered one counts.
    let both = raw(&[(kind::NOMINATION_OLD, &[0, 0, 0, 1]), (kind::NOMINATION, &[0, 0, 0, 2])]);
    assert_eq!(Message::parse(&both).unwrap().nomination(), Some(2));
    let old = raw(&[(kind::NOMINATION_OLD, &[0, 0, 0, 1])]);
    assert_eq!(Message::parse(&old).unwrap().nomination(), Some(1));
}

#[test]
fn rfc_8489_section_14_5_what_follows_the_integrity_is_as_if_it_were_not_there() {
    let key = IntegrityKey::new(b"secret");
    let mut bytes = raw(&[(kind::PRIORITY, &[0, 0, 0, 1])]);
    let code = key.code(&bytes, bytes.len()).unwrap();
    let attributes: [(u16, &[u8]); 5] = [
        (kind::PRIORITY, &[0, 0, 0, 1]),
        (kind::MESSAGE_INTEGRITY, &code),
        // Would be a duplicate, a wrong length and a forged nomination before it.
        (kind::PRIORITY, &[1]),
        (kind::USE_CANDIDATE, &[]),
        (kind::MESSAGE_INTEGRITY, &[0; 20]),
    ];
    bytes = with_fingerprint(raw(&attributes));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.priority, Some(1));
    assert!(!message.use_candidate);
    assert!(message.is_authentic(&key) && message.has_fingerprint);
}

#[test]
fn rfc_8489_section_14_7_nothing_follows_the_fingerprint() {
    let bytes = with_fingerprint(raw(&[]));
    assert!(Message::parse(&bytes).unwrap().has_fingerprint);
    let mut more = [&bytes[..], &[0x77, 0x77, 0, 0]].concat();
    set_length(&mut more);
    let at = HEADER_LEN;
    let sum = fingerprint(&more[..at]);
    more[at + 4..at + 8].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(error(&more), ParseError::AfterFingerprint(0x7777));
    let mut wrong = bytes;
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(error(&wrong), ParseError::Fingerprint);
}

#[test]
fn rfc_8445_section_7_2_2_the_receivers_fragment_comes_first() {
    let fragment = |username: &[u8]| {
        Message::parse(&raw(&[(kind::USERNAME, username)])).unwrap().receiver_fragment().map(<[u8]>::to_vec)
    };
    assert_eq!(fragment(b"ours:theirs"), Some(b"ours".to_vec()));
    assert_eq!(fragment(b"ours:"), Some(b"ours".to_vec()));
    assert_eq!(fragment(b":theirs"), Some(vec![]));
    assert_eq!(fragment(b"a:b:c"), Some(b"a".to_vec()));
    assert_eq!(fragment(b"ours"), None);
    assert_eq!(Message::parse(&raw(&[])).unwrap().receiver_fragment(), None);
}

#[test]
fn an_error_tells_what_was_not_understood() {
    let mut buffer = [0; 100];
    let bytes = Writer::new(&mut buffer, Class::ErrorResponse, BINDING, &TRANSACTION)
        .error_code(420, b"Unknown Attribute")
        .unknown_attributes(&[0x7777, 0x0001, 0x7fff])
        .finish(None)
        .unwrap();
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.class, Class::ErrorResponse);
    assert_eq!(message.error_code, Some(ErrorCode { code: 420, reason: b"Unknown Attribute" }));
    assert_eq!(message.unknown_attributes().collect::<Vec<_>>(), [0x7777, 0x0001, 0x7fff]);
    assert!(!message.has_integrity() && !message.is_authentic(&IntegrityKey::new(b"")));
}
