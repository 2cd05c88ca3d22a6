//! How the process ends, as controllers tell endings apart.

use std::process::ExitCode;

/// The numbers are the original's: Node turns 42 before the running notification into a `TypeError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Closed by the controller, a signal, or the end of the channel.
    Closed = 0,
    /// Anything that kept the worker from starting.
    StartFailed = 40,
    /// MEDIASOUP_VERSION is missing, unreadable or not served.
    Version = 41,
    /// Arguments or RINGSOUP_ variables.
    Settings = 42,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
