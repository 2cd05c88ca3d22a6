//! Taking the channel's descriptors from the process that started us.
//!
//! Node gives AF_UNIX stream sockets; other controllers give pipes. Both are read and written as files here.
//! Must run before anything else opens a descriptor: a missing fd 3 would otherwise be somebody else's.

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

/// The channel's reading end.
pub const READ_FD: RawFd = 3;
/// The channel's writing end.
pub const WRITE_FD: RawFd = 4;
/// The payload channel's ends, which only controllers before 3.13.0 have.
pub const PAYLOAD_READ_FD: RawFd = 5;
pub const PAYLOAD_WRITE_FD: RawFd = 6;

/// Both ends, not yet non-blocking.
#[derive(Debug)]
pub struct ChannelFds {
    pub read: File,
    pub write: File,
}

#[derive(Debug, thiserror::Error)]
#[error("channel descriptor {fd} cannot be used: {cause}")]
pub struct FdError {
    pub fd: RawFd,
    pub cause: io::Error,
}

/// The channel, and the payload channel where there is one.
#[derive(Debug)]
pub struct ControllerFds {
    pub channel: ChannelFds,
    pub payload: Option<ChannelFds>,
}

/// Takes fd 3 and fd 4, and 5 and 6 if the controller has a payload channel. Called once, first thing in the process.
///
/// # Errors
/// Names the descriptor that is not open.
pub fn take(has_payload_channel: bool) -> Result<ControllerFds, FdError> {
    let both = |read, write| Ok(ChannelFds { read: take_one(read)?, write: take_one(write)? });
    let channel = both(READ_FD, WRITE_FD)?;
    let payload = has_payload_channel.then(|| both(PAYLOAD_READ_FD, PAYLOAD_WRITE_FD)).transpose()?;
    Ok(ControllerFds { channel, payload })
}

fn take_one(fd: RawFd) -> Result<File, FdError> {
    let fail = |cause: Errno| FdError { fd, cause: cause.into() };
    // SAFETY: the descriptor was inherited, nobody else in this process owns it, and the caller takes it
    // once. Whether it is open at all is checked before it is used.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    if let Err(cause) = fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        // Not open: nothing to close, and closing would complain.
        std::mem::forget(owned);
        return Err(fail(cause));
    }
    let flags = OFlag::from_bits_retain(fcntl(&owned, FcntlArg::F_GETFL).map_err(fail)?);
    fcntl(&owned, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map_err(fail)?;
    Ok(File::from(owned))
}
