//! The harness' ends of WebRTC transports: a peer and a socket each, by the thousand on one thread.

mod bridge;
mod client;
mod dialer;
mod remote;
mod timers;

pub(crate) use bridge::Bridge;
pub(crate) use client::{Client, Identity, Progress};
pub(crate) use dialer::Dialer;
pub(crate) use remote::Remote;
pub(crate) use timers::Timers;
