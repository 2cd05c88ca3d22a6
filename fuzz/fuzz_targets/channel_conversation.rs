//! Requests of every method in any order, any field of them changed: see `conversation`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringsoup_fuzz::conversation::Conversation;

fuzz_target!(|conversation: Conversation| {
    ringsoup_fuzz::conversation::run(&conversation);
});
