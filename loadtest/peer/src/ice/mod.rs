//! The full, controlling side of ICE (RFC 8445) as it is needed against a lite agent: it checks every path it is given,
//! nominates one, and keeps asking for consent on that (RFC 7675).

mod agent;
mod pair;

pub(crate) use agent::{Agent, Event, Sink};
pub use agent::{Ignored, State};
