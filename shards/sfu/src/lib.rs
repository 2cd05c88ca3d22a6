//! One shard's routers, transports, producers, consumers and observers, without I/O.
//!
//! Inputs are `handle_*` calls on [`Sfu`](sfu::Sfu) with the time as an argument; outputs are appended to an
//! [`Outbox`](outbox::Outbox) the caller owns and flushes. Nothing here reads a clock, opens a socket
//! (see [`sockets::Sockets`]), starts a thread or knows the channel's encoding.

pub mod command;
mod congestion_feedback;
pub mod consumer;
pub mod data;
pub mod demux;
pub mod drop_log;
pub mod drop_reason;
pub mod event;
mod feedback;
mod forward;
mod handlers;
mod handshakes;
mod held;
pub mod listen;
pub mod map;
pub mod name;
pub mod observer;
pub mod outbox;
mod overtaken;
pub mod parameter_check;
pub mod piped;
pub mod producer;
pub mod random;
pub mod reply;
mod reply_bytes;
mod reports;
mod resends;
pub mod router;
pub mod rtp_parameters;
pub mod rules;
pub mod served;
pub mod sfu;
pub mod sockets;
pub mod stats;
pub mod stream_params;
pub mod table;
#[cfg(test)]
mod test_parameters;
pub mod timers;
mod trace;
pub mod transport;
