//! What holds for any bytes, and for any message of ours.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;

/// Bytes with a header, a length and attributes that are often right.
fn near_message() -> impl Strategy<Value = Vec<u8>> {
    let kinds =
        [0x6_u16, 0x8, 0x9, 0xa, 0x20, 0x24, 0x25, 0x30, 0x8022, 0x8028, 0x8029, 0x802a, 0xc001, 0x7777];
    let attribute =
        (prop::sample::select(kinds.to_vec()), prop::collection::vec(any::<u8>(), 0..24), -1..2_i8);
    (any::<[u8; 2]>(), any::<[u8; 12]>(), prop::collection::vec(attribute, 0..6)).prop_map(
        |([high, low], transaction, attributes)| {
            let mut bytes = vec![high & 3, low, 0, 0];
            bytes.extend(MAGIC_COOKIE);
            bytes.extend(transaction);
            for (kind, value, off) in attributes {
                bytes.extend(kind.to_be_bytes());
                let length = u16::try_from(value.len()).unwrap();
                // Mostly right.
                bytes.extend(length.saturating_add_signed(i16::from(off) / 2).to_be_bytes());
                bytes.extend(value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            let length = u16::try_from(bytes.len() - HEADER_LEN).unwrap();
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes
        },
    )
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), near_message()]) {
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert_eq!(message.bytes(), &bytes[..]);
            prop_assert!(!message.is_authentic(&IntegrityKey::new(b"nobody has this")));
            let unknown = message.unknown_attributes().count();
            prop_assert!(unknown <= bytes.len() / 2);
        }
    }

    #[test]
    fn what_was_written_is_read(
        transaction: [u8; 12],
        // A port shared with others has no room for more (RFC 7983 section 7).
        method in 0_u16..0x100,
        username in prop::collection::vec(any::<u8>(), 0..40),
        password in prop::collection::vec(any::<u8>(), 0..100),
        address in address(),
        (priority, nomination) in any::<(u32, u32)>(),
        tie_breaker: u64,
        code in 300_u16..700,
        reason in "[ -~]{0,20}",
        is_sealed: bool,
    ) {
        let key = IntegrityKey::new(&password);
        let mut buffer = [0xee; 400];
        let bytes = Writer::new(&mut buffer, Class::Indication, method, &transaction)
            .username(&username)
            .priority(priority)
            .use_candidate()
            .ice_controlling(tie_breaker)
            .ice_controlled(!tie_breaker)
            .nomination(nomination)
            .nomination_old(!nomination)
            .xor_mapped_address(address)
            .error_code(code, reason.as_bytes())
            .finish(is_sealed.then_some(&key))
            .expect("it fits");
        let message = Message::parse(bytes).expect("well-formed");
        prop_assert_eq!((message.class, message.method), (Class::Indication, method));
        prop_assert_eq!(message.transaction(), &transaction);
        prop_assert_eq!(message.username, Some(&username[..]));
        prop_assert_eq!(message.priority, Some(priority));
        prop_assert!(message.use_candidate && message.has_fingerprint);
        prop_assert_eq!(message.ice_controlling, Some(tie_breaker));
        prop_assert_eq!(message.ice_controlled, Some(!tie_breaker));
        prop_assert_eq!(message.nomination(), Some(nomination));
        prop_assert_eq!(message.xor_mapped_address, Some(address));
        prop_assert_eq!(message.error_code, Some(ErrorCode { code, reason: reason.as_bytes() }));
        prop_assert_eq!(message.is_authentic(&key), is_sealed);
    }
}
