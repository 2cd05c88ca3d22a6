//! Which packets of a producer's streams a consumer gets, one strategy per type.

pub mod simple;
