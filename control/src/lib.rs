//! The mediasoup channel and the control thread.

pub mod channel;
pub mod controller;
pub mod message;
pub mod method;
pub mod placement;
pub mod registry;
pub mod settings;
