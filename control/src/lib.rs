//! The mediasoup channel and the control thread.

pub mod message;
pub mod method;
