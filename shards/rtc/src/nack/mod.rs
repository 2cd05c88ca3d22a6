//! Negative acknowledgements (RFC 4585 §6.2.1): which packets of a received stream to ask for.

pub mod generator;

pub use generator::{NackBatch, NackGenerator, Received};
