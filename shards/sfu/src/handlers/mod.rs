//! What commands do to the shard's objects, one file per noun.

mod activity;
mod consumer;
mod observer;
mod pipe_transport;
mod producer;
mod router;
mod transport;

pub(crate) use activity::Change;
