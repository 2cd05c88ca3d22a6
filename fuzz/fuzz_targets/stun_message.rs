//! A datagram as a STUN message: read to its end, and what was read written again.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use ringsoup_rtc::stun::{IntegrityKey, Message, Writer};

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = Message::parse(datagram) else { return };
    let key = IntegrityKey::new(b"nobody else has this password");
    assert!(!message.is_authentic(&key), "a forged message was accepted");
    black_box((message.receiver_fragment(), message.unknown_attributes().count()));
    // The largest message there is, its texts at their longest, is far below a datagram's end.
    let mut buffer = vec![0; 80_000];
    let mut writer = Writer::new(&mut buffer, message.class, message.method, message.transaction());
    if let Some(username) = message.username {
        writer = writer.username(username);
    }
    if let Some(priority) = message.priority {
        writer = writer.priority(priority);
    }
    if message.use_candidate {
        writer = writer.use_candidate();
    }
    if let Some(nomination) = message.nomination() {
        writer = writer.nomination(nomination);
    }
    if let Some(address) = message.xor_mapped_address {
        writer = writer.xor_mapped_address(address);
    }
    if let Some(error) = message.error_code {
        writer = writer.error_code(error.code, error.reason);
    }
    let written = writer.finish(Some(&key)).expect("what was read can be written");
    let again = Message::parse(written).expect("what was written can be read");
    assert!(again.is_authentic(&key) && again.has_fingerprint);
    assert_eq!((again.class, again.method), (message.class, message.method));
    assert_eq!((again.username, again.priority), (message.username, message.priority));
    assert_eq!((again.use_candidate, again.nomination()), (message.use_candidate, message.nomination()));
    // Compared as addresses of hosts: IPv4 in IPv6 clothes loses them.
    let canonical =
        |message: &Message<'_>| message.xor_mapped_address.map(|at| (at.ip().to_canonical(), at.port()));
    assert_eq!(canonical(&again), canonical(&message));
    assert_eq!(again.error_code, message.error_code);
});
