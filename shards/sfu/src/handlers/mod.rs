//! What commands do to the shard's objects, one file per noun.

mod activity;
mod association;
mod bitrates;
mod connections;
mod consumer;
mod data_consumer;
mod data_producer;
mod direct_transport;
mod layers;
mod observer;
mod pipe_transport;
mod plain_transport;
mod producer;
mod router;
pub(crate) mod stream_news;
mod transport;
mod webrtc;
mod webrtc_dtls;
mod webrtc_ice;
mod webrtc_packets;
mod webrtc_server;

pub(crate) use activity::Change;
pub(crate) use layers::LayerNews;
