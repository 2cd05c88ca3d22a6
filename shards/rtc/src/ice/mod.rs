//! ICE as an SFU needs it (RFC 8445, ICE-lite): what is offered to the peer, what its checks must carry, and where its
//! media goes by them.

pub mod agent;
pub mod candidate;
pub mod credentials;
pub mod refusal;
pub mod seal;
mod tuples;

#[cfg(test)]
mod agent_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod test_support;

pub use agent::{Agent, Event, Ignored, Outcome, Request, State};
pub use candidate::{Candidate, CandidateProtocol};
pub use credentials::Credentials;
pub use refusal::Refusal;
pub use seal::{Sealed, Sealer};
pub use tuples::TUPLES_MAX;
