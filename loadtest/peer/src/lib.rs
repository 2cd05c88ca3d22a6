//! A WebRTC peer as an SFU meets one, without sockets, threads or a clock: for tests and for the load test.
//!
//! It is the full, controlling side of ICE against a lite agent, DTLS 1.2 in either role by `dimpl`, and SRTP both ways.
//! Datagrams go in by [`Peer::handle`] and come out by [`Peer::poll_datagram`]; time is an argument. The seed decides
//! what ICE sends; for DTLS the library draws randomness of its own.
//!
//! ```text
//! Peer::new ──► checks ──► a pair is nominated ──► DTLS ──► Event::Connected ──► protect_rtp, handle
//! ```

mod certificate;
mod config;
mod dtls;
pub mod framing;
mod ice;
mod path;
mod peer;
mod rng;

pub use certificate::generate_certificate;
pub use config::{Config, LocalParameters, Nomination, RemoteParameters};
pub use ice::{Ignored, State as IceState};
pub use path::Path;
pub use peer::{Datagram, Event, Peer, Received, Unread};

#[cfg(test)]
mod peer_tests;
#[cfg(test)]
mod test_support;
