//! The mediasoup channel and the control thread.
//!
//! `channel` moves frames, `wire` turns them into plain types, `controller` gives those a meaning, `shards`
//! carries commands to where media is; `run` is the thread that owns all of it.

pub mod behaviour;
pub mod channel;
pub mod controller;
pub mod dtls_certificate;
pub mod error_words;
pub mod local_pipes;
pub mod message;
pub mod method;
pub mod placement;
pub mod ports;
pub mod registry;
pub mod resource_usage;
pub mod run;
pub mod settings;
pub mod shards;
mod signals;
pub mod version;
pub mod wire;
