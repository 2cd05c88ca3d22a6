//! Packets of WebRTC servers: whose they are, on this shard and on others.
//!
//! ```text
//!                       ┌─ a tuple of ours ─────────────► receive_webrtc
//! a server's socket ────┼─ a tuple of another shard ────► handed over by the mesh ─► handle_handed_over there
//!  (one per shard)      ├─ a check: its fragment's seal ─► ours, or handed over within a budget
//!                       └─ anything else ───────────────► dropped, nothing kept, nothing sent
//! ```
//! All shards that have transports of a server read its port, each through a socket of its own, and the kernel spreads the
//! peers over them (docs/decisions/0015). So each of them is told by the others which tuples their agents have let in:
//! [`Word`]s say so, never a packet.

mod budget;
mod steer;
mod tuples;
mod word;

pub use steer::{HandOver, HandedOver};
pub use word::{ServerKey, ServerSocket, Word, WordKind};

pub(crate) use tuples::Served;
