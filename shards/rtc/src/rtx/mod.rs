//! Retransmission: what is kept to answer NACKs, and RFC 4588's packet format.
//!
//! ```text
//! producer stream ──insert──▶ PacketHistory      one copy of each packet, whoever consumes it
//!                                  ▲ get(source)
//! consumer: sequence map, reversed ┘             nothing per packet and consumer
//!           ResendGuard                          marks of what was sent again
//! receiver: ResendLookups                        how much it may ask for, of all its streams
//! ```

pub mod decapsulate;
pub mod guard;
pub mod history;
pub mod lookups;

pub use decapsulate::{OSN_LEN, Original, decapsulate, original_len};
pub use guard::{Refused, ResendGuard, requested_seqs};
pub use history::{HistoryPacket, Inserted, PacketHistory};
pub use lookups::ResendLookups;
