//! Signals as something to poll for: INT and TERM close, the rest must not kill a worker.
//!
//! All are blocked before the first shard's thread exists, so every thread has them blocked and no system
//! call of a shard is ever interrupted by one. A blocked signal whose descriptor nobody reads stays pending,
//! which is what "ignored" needs. SIGPIPE is ignored by Rust's runtime already.

use std::os::fd::{AsRawFd as _, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const CLOSING: [Signal; 2] = [Signal::SIGINT, Signal::SIGTERM];
const IGNORED: [Signal; 4] = [Signal::SIGHUP, Signal::SIGALRM, Signal::SIGUSR1, Signal::SIGUSR2];

#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
}

impl Signals {
    /// Called on the main thread before any other thread is started.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn block() -> nix::Result<Self> {
        let closing: SigSet = CLOSING.into_iter().collect();
        let mut all: SigSet = IGNORED.into_iter().collect();
        all.extend(&closing);
        all.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self { descriptor: SignalFd::with_flags(&closing, flags)? })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// The closing signal that came, if one did.
    pub(crate) fn take(&mut self) -> Option<Signal> {
        loop {
            match self.descriptor.read_signal() {
                Ok(info) => {
                    return info.and_then(|info| Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok());
                }
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
    }
}
