//! The calls that neither std nor socket2 has, each behind a safe function.

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// A counter that can be read through a ring. Blocking: a read waits in the ring, a write never waits.
pub(crate) fn eventfd() -> io::Result<File> {
    // SAFETY: takes no pointers; the result is checked before use.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Descriptors that this process may have open (RLIMIT_NOFILE).
pub(crate) fn files_max() -> u64 {
    /// What POSIX systems start with; for the case that the kernel does not say.
    const FILES_DEFAULT: u64 = 1024;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    if known { limit.rlim_cur } else { FILES_DEFAULT }
}

/// Bytes that the process has allocated, as its allocator counts them (modulo 2^32 per kind of block). 0 where that is not
/// glibc's. Walks the allocator's free lists: not for a thread that forwards media.
pub fn heap_bytes() -> u64 {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: takes and returns plain values.
        let info = unsafe { libc::mallinfo() };
        // What the fields cannot hold wraps; they count no less than nothing. mallinfo2 has wider ones, but glibc has it
        // since 2.33 only.
        u64::from(info.uordblks.cast_unsigned()) + u64::from(info.hblkhd.cast_unsigned())
    }
    #[cfg(not(target_env = "gnu"))]
    0
}

/// Sets a socket option whose value is an int.
pub(crate) fn set_option(
    fd: RawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    #[allow(clippy::cast_possible_truncation, reason = "the size of an int")]
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: a pointer to an int of the given size; a wrong descriptor is an error of the call.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
