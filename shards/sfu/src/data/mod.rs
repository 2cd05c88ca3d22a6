//! Data channels: what data producers take in goes to the data consumers of the same router, whatever carries it.
//!
//! ```text
//! dataProducer.send ──┐                                                        ┌─► MESSAGE   (direct)
//! a pipe's other end ─┴► receive_message ─► audience, pauses ─► send_message ──┴─► association's send queue (SCTP)
//! ```

pub mod association;
pub mod command;
pub mod data_consumer;
pub mod data_producer;
pub mod reply;
pub mod send_queue;
pub mod stream_parameters;
pub mod subscriptions;

use std::sync::Arc;

/// What a data channel carries. The payload is shared: a message to many consumers is in memory once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Payload protocol identifier (RFC 4960 section 3.3.1), as its sender gave it.
    pub ppid: u32,
    pub payload: Arc<[u8]>,
}
