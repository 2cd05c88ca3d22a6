//! The real binary over its descriptors: what a controller other than Node
//! would see. Each test starts its own worker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod by_version;
mod churn;
mod closing;
mod data;
mod framing;
mod hostile;
mod json;
mod logs;
mod malformed;
mod notifications;
mod objects;
mod options;
mod pipelining;
mod ports;
mod served_media;
mod startup;
mod tcp;
mod webrtc_leaving;
mod webrtc_media;
mod webrtc_servers;
mod worker_requests;
