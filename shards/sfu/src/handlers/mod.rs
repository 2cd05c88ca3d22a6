//! What commands do to the shard's objects, one file per noun.

mod activity;
mod association;
mod consumer;
mod data_consumer;
mod data_producer;
mod layers;
mod observer;
mod pipe_transport;
mod producer;
mod router;
mod transport;
mod webrtc;
mod webrtc_server;

pub(crate) use activity::Change;
pub(crate) use layers::LayerNews;
