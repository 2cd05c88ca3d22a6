//! Waking a shard that sleeps in its ring, whoever has something for it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys;

/// Wakes a shard that sleeps in its ring, and only then.
#[derive(Debug)]
pub(crate) struct WakeFlag {
    asleep: AtomicBool,
    eventfd: File,
}

impl WakeFlag {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { asleep: AtomicBool::new(false), eventfd: sys::eventfd()? })
    }

    /// To be called after what it is woken for has been put where it looks.
    pub(crate) fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            // Fails only when the counter is about to overflow, and then the shard is awake anyway.
            let _ = (&self.eventfd).write_all(&1_u64.to_ne_bytes());
        }
    }

    /// Declares sleep. Whoever does must look once more before it sleeps.
    pub(crate) fn fall_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    pub(crate) fn wake_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}
