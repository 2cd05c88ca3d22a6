//! What the calling thread used of a CPU: what others do on a busy machine is no part of it.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread since it began.
///
/// # Panics
/// Never on Linux, where each thread has that clock.
pub fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock of every thread").into()
}
