//! What the receiving side tells senders about the way to it, so that they send what it takes.
//!
//! - [`TransportFeedback`] tells when each packet arrived, and leaves the estimate to the sender.
//! - [`RemoteEstimator`] estimates here, from send times, and tells the result.

pub mod arrivals;
pub mod transport_feedback;

pub use arrivals::Recorded;
pub use transport_feedback::{FEEDBACK_INTERVAL, TransportFeedback};
