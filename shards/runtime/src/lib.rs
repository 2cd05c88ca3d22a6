//! Threads, rings, sockets and queues: everything a shard needs from the machine.
//!
//! ```text
//! control ──ToShard──► mailbox ──► driver ──► Sfu ──► Outbox ──► socket/batch ──► ring ──► kernel
//!         ◄─FromShard─                ▲                                            │
//!                                     ├── socket/receive ◄── buffers ◄─────────────┘
//!                                     └── mesh ◄──► the other shards
//! ```
//! One thread per shard, one glommio executor per thread, one never-ending driver task per executor. The
//! driver waits in its own io_uring, which only this crate knows. Nothing here knows a request: values of
//! `Command`, `Reply` and `Event` are moved, never looked into, except for the events that may be lost.

mod buffers;
pub mod clock;
mod containment;
mod driver;
mod handshake_pace;
mod io_report;
mod load;
pub mod mailbox;
pub mod mesh;
mod payload_budget;
mod ring;
pub mod shard;
mod socket;
mod sys;
#[cfg(test)]
mod test_allocations;
#[cfg(test)]
mod test_options;
mod wake;

pub use clock::Clock;
pub use mailbox::{FromShard, Mailbox, SendError, ToShard};
pub use mesh::Mesh;
pub use shard::{ShardConfig, ShardHandle, StartError};
pub use socket::listen::{ListenSocket, Listener, ServerSockets};
pub use socket::port_book::PortBook;
pub use sys::heap_bytes;
