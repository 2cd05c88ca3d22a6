//! What the tests above the unit share: the worker as a process, its channel,
//! and requests to send over it.
//!
//! docs/TESTING.md says which test goes where. Everything here is bounded in
//! time and kills what it started, by its pid, when it is dropped.

pub mod binary;
pub mod channel;
pub mod connected;
pub mod data;
pub mod data_channel;
pub mod json_worker;
pub mod listen;
pub mod media;
pub mod request;
pub mod rng;
pub mod rooms;
pub mod script;
pub mod threadless;
pub mod transports;
pub mod webrtc_peer;
pub mod wire;
pub mod worker;
