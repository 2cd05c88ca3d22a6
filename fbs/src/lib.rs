//! The channel's schemas and the code generated from them: mediasoup 3.27.1's,
//! with what is ours appended to some tables, which are latency histograms and
//! what only older controllers ask for or read.
//!
//! `schemas/*.fbs` are the source; `src/generated` is what flatc makes of them
//! and is never edited. After a change to a schema:
//!
//! ```text
//! fbs/generate.sh           # rewrite src/generated; needs node and npm
//! fbs/generate.sh --check   # exit 1 when src/generated is stale
//! ```
//!
//! A field may only be appended at the end of its table, and an enum's or a
//! union's numbers never move: controllers read by slot, not by name (where a
//! newer mediasoup moves them, the step back goes into
//! `control/src/wire/generation/differences.rs`). A new
//! flatc means the same version of the `flatbuffers` crate, and the other way
//! round.
//!
//! The namespace `FBS.WebRtcTransport` is the module
//! [`fbs::web_rtc_transport`]; a table `DumpResponse` there comes with
//! `DumpResponseArgs` to write it. [`verify_message`] reads what arrived,
//! [`finish_message`] completes what is sent.

#[allow(
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::cast_possible_truncation,
    clippy::manual_let_else,
    clippy::too_many_lines,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "flatc's style is flatc's"
)]
#[rustfmt::skip]
mod generated;
mod message;

pub use flatbuffers;
pub use generated::fbs;
pub use message::{
    MESSAGE_BYTES_MAX, PREFIX_BYTES, VERIFY_APPARENT_BYTES_MAX, VERIFY_DEPTH_MAX, VERIFY_TABLES_MAX,
    finish_message, verify_message,
};
