//! The controller's channel: fd 3 in, fd 4 out, frames of the kind its version has. Before 3.13.0 there is a second one
//! for payloads, fd 5 in, fd 6 out.

pub mod fds;
pub mod framing;
pub mod io;
pub mod payload;
pub mod reader;
pub mod writer;

/// Longest message of any controller, prefix included, bytes: the original's since 3.21.0. Which limit a controller has
/// is told by its [`Behaviour`](crate::behaviour::Behaviour).
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Length of the size prefix, bytes.
pub const PREFIX_BYTES: usize = 4;
