//! What a shard does, seen from outside: commands and datagrams in, datagrams and events out.

#[path = "../common/mod.rs"]
mod common;

mod bitrate_allocation;
mod capture;
mod closing;
mod congestion_feedback;
mod connections;
mod data;
mod data_refusals;
mod dependency_descriptors;
mod direct_data;
mod direct_transport;
mod drop_reasons;
mod extensions;
mod feedback;
mod forwarding;
mod key_frames;
mod layers_in_the_wild;
mod lying_feedback;
mod notifications;
mod observers;
mod overtaken;

mod pausing;
mod pipe_consumer;
mod pipe_data;
mod pipe_operations;
mod pipe_transport;
mod plain_transport;
mod refusals;
mod repair;
mod reports;
mod room;
mod simulcast;
mod srtp;
mod srtp_attacks;
mod stats;
mod svc;
mod webrtc_dtls;
mod webrtc_handshakes;
mod webrtc_ice;
mod webrtc_media;
mod webrtc_paths;
mod webrtc_server;
mod webrtc_shards;
mod webrtc_transport;
