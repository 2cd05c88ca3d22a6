//! What commands do to the shard's objects, one file per noun.

mod consumer;
mod producer;
mod router;
mod transport;
