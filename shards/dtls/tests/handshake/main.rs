//! Whole handshakes in memory, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod certificates;
mod command_line;
mod ends;
mod hostile;
mod interop;
mod loss;
mod network;
mod openssl_peer;
mod profiles;
mod turns;
