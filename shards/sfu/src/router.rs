//! A router: which consumers a producer feeds.

/// Filled in by the router's own commit.
#[derive(Debug)]
pub struct Router;
