//! ICE as an SFU needs it (RFC 8445, ICE-lite): what is offered to the peer.

pub mod candidate;
pub mod credentials;

pub use candidate::{Candidate, CandidateProtocol};
pub use credentials::Credentials;
