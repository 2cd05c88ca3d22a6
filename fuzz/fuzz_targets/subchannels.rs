//! A data message from another router's pipe: whatever it begins with, its audience is read, or all of it is payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringsoup_rtc::subchannels::{decode, encode};

fuzz_target!(|message: &[u8]| {
    let Some((audience, payload)) = decode(message) else { return };
    assert!(message.ends_with(payload), "the payload is what is left");
    match encode(&audience, payload) {
        Some(again) => assert_eq!(again, message, "what was read can be written"),
        None => assert!(audience.is_everybody(), "only a header that says nothing is not written"),
    }
});
