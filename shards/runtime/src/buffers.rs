//! The memory that the kernel receives into: a provided-buffer ring.
//!
//! ```text
//! buffer:  | recvmsg_out 16 | name 32 | control 64 | payload up to 65,535 |
//! ```
//! With UDP_GRO one receive may carry 64 KiB, and what does not fit is cut off: a smaller buffer would lose
//! packets exactly when trains are long. So buffers are large and few. Their pages are touched only by
//! payload that really came: 256 buffers of ordinary packets are 1 MiB resident, of 16-packet trains 6 MiB.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

/// Buffers of one shard; a power of two. More datagrams than this in one turn wait in their sockets.
pub(crate) const BUFFER_COUNT: u16 = 256;
/// The name's room: `sockaddr_in6` is 28 bytes, rounded so that control data stays aligned.
pub(crate) const NAME_BYTES: usize = 32;
/// The control data's room: `CMSG_SPACE(timespec)` 32 + `CMSG_SPACE(int)` 24, and 8 to spare.
pub(crate) const CONTROL_BYTES: usize = 64;
/// `struct io_uring_recvmsg_out`.
pub(crate) const OUT_BYTES: usize = 16;
/// Where the payload starts.
pub(crate) const PAYLOAD_OFFSET: usize = OUT_BYTES + NAME_BYTES + CONTROL_BYTES;
/// One buffer: the largest UDP payload behind its headers, rounded to cache lines.
const BUFFER_BYTES: usize = (PAYLOAD_OFFSET + 65_535).next_multiple_of(64);

/// Anonymous memory that is unmapped on drop.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap at zero"))?;
        Ok(Self { start, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped; the borrows of it end with `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// The buffers and the ring through which the kernel is given them.
#[derive(Debug)]
pub(crate) struct ReceiveBuffers {
    entries: Mapping,
    memory: Mapping,
    tail: u16,
}

impl ReceiveBuffers {
    pub(crate) fn new() -> io::Result<Self> {
        let count = usize::from(BUFFER_COUNT);
        let entries = Mapping::new(count * size_of::<BufRingEntry>())?;
        let memory = Mapping::new(count * BUFFER_BYTES)?;
        let mut buffers = Self { entries, memory, tail: 0 };
        for id in 0..BUFFER_COUNT {
            buffers.recycle(id);
        }
        Ok(buffers)
    }

    /// The address to register; valid as long as `self`.
    pub(crate) fn ring_address(&self) -> u64 {
        self.entries.start.as_ptr() as u64
    }

    /// What the kernel wrote into a buffer; empty for an id or length that cannot be.
    pub(crate) fn bytes(&mut self, id: u16, len: usize) -> &mut [u8] {
        if id >= BUFFER_COUNT || len > BUFFER_BYTES {
            debug_assert!(false, "the kernel names a buffer that was never given");
            return &mut [];
        }
        // SAFETY: inside the mapping by the check above. The kernel owns a buffer from `recycle` until a
        // completion names it; callers pass ids of completions they have not recycled yet, and `&mut self`
        // keeps two slices from existing at once.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.memory.start.as_ptr().add(usize::from(id) * BUFFER_BYTES),
                len,
            )
        }
    }

    /// Gives a buffer (back) to the kernel.
    pub(crate) fn recycle(&mut self, id: u16) {
        if id >= BUFFER_COUNT {
            return;
        }
        let slot = usize::from(self.tail & (BUFFER_COUNT - 1));
        let base: *mut BufRingEntry = self.entries.start.as_ptr().cast();
        // SAFETY: `slot` is below BUFFER_COUNT, the mapping's length in entries, page aligned and zeroed; the
        // kernel reads an entry only after the tail below has passed it. The setters leave `resv` alone,
        // which in entry 0 is the tail.
        unsafe {
            let entry = &mut *base.add(slot);
            entry.set_addr(self.memory.start.as_ptr().add(usize::from(id) * BUFFER_BYTES) as u64);
            #[allow(clippy::cast_possible_truncation, reason = "a constant below 2^17")]
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is an aligned u16 inside entry 0, written by this side only and read by the kernel.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
