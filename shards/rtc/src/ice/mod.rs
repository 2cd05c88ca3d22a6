//! ICE as an SFU needs it (RFC 8445, ICE-lite): what is offered to the peer, and what its checks must carry.

pub mod agent;
pub mod candidate;
pub mod credentials;

pub use agent::{Agent, State};
pub use candidate::{Candidate, CandidateProtocol};
pub use credentials::Credentials;
