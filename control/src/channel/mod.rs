//! The controller's channel: fd 3 in, fd 4 out, size-prefixed frames.

pub mod fds;
pub mod io;
pub mod reader;
pub mod writer;

/// Longest message, prefix included, bytes: the original's since 3.20 (reference: 8 MiB).
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Length of the size prefix, bytes.
pub const PREFIX_BYTES: usize = 4;
