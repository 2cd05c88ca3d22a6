//! What the receiving side tells senders about the way to it, so that they send what it takes.
//!
//! - [`TransportFeedback`] tells when each packet arrived, and leaves the estimate to the sender.
//! - [`RemoteEstimator`] estimates here, from send times, and tells the result.

pub mod aimd;
pub mod arrivals;
pub mod link_capacity;
pub mod packet_groups;
pub mod remote_estimator;
pub mod transport_feedback;
pub mod trendline;

pub use arrivals::Recorded;
pub use remote_estimator::{ESTIMATE_STREAMS_MAX, RemoteEstimator};
pub use transport_feedback::{FEEDBACK_INTERVAL, TransportFeedback};
