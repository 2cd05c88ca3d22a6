//! The shard's own io_uring, and the place where another way to poll would join.
//!
//! [`RingPoller`]'s methods are what a driver needs of a poller: sockets come and go, receives are armed,
//! sends are queued and submitted, and there is one place to wait. A form on epoll with recvmmsg and
//! sendmmsg, for hosts that deny io_uring, would offer the same methods.
//!
//! The ring is DEFER_TASKRUN: completions are made only while the driver is inside `wait` or `submit`, on
//! its own thread. Sends carry MSG_DONTWAIT, so a send is over when `submit` returns: the kernel never keeps
//! a pointer into the Outbox, and never hands a send to a worker thread.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::squeue::Flags;
use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::buffers::{BUFFER_COUNT, CONTROL_BYTES, NAME_BYTES, ReceiveBuffers};
use crate::sys;

/// Submission queue entries: a flush of this many sends is one enter.
pub(crate) const SUBMISSIONS_MAX: u32 = 1024;
/// Completion queue entries: every buffer, every failed send of a flush and every closed socket, with room.
const COMPLETIONS_MAX: u32 = 8192;
/// Sockets of one shard; the kernel also holds the table below RLIMIT_NOFILE.
const SOCKETS_MAX: u64 = 65_536;
/// The only group of provided buffers.
const BUFFER_GROUP: u16 = 0;
/// A wait that gathers ends early when this many completions are there: half of the buffers.
const GATHER_MAX: usize = BUFFER_COUNT as usize / 2;
/// Times that a submit is tried again while the kernel asks to have completions taken first.
const SUBMIT_ATTEMPTS: u32 = 64;

/// Looks after which a closed socket is left to the next turns: peers may make new work as fast as it is done.
const SETTLE_LOOKS: u32 = 1024;

/// `IORING_ENTER_GETEVENTS`: run what the kernel deferred to this thread.
const ENTER_GETEVENTS: u32 = 1;

/// What a completion belongs to; kept in `user_data`.
///
/// ```text
/// | kind 8 | generation 24 | index 32 |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A socket's multishot receive. The generation tells apart sockets that had the same slot.
    Receive {
        slot: u32,
        generation: u32,
    },
    /// A listener's multishot accept; generations as for receives.
    Accept {
        slot: u32,
        generation: u32,
    },
    /// A connection's multishot receive; generations as for receives.
    Stream {
        slot: u32,
        generation: u32,
    },
    /// A connection takes more; generations as for receives.
    Writable {
        slot: u32,
        generation: u32,
    },
    /// A send of the present flush, by its place there.
    Send {
        index: u32,
    },
    /// A send on a connection, by its place among those of the present submission.
    StreamSend {
        index: u32,
    },
    /// Control has written to the eventfd.
    Wake,
    Cancel,
}

/// Generations wrap at 24 bits.
pub(crate) const GENERATION_MASK: u32 = 0x00ff_ffff;

impl Operation {
    fn encode(self) -> u64 {
        let of_slot = |kind: u64, slot: u32, generation: u32| {
            (kind << 56) | (u64::from(generation & GENERATION_MASK) << 32) | u64::from(slot)
        };
        match self {
            Self::Receive { slot, generation } => of_slot(1, slot, generation),
            Self::Send { index } => of_slot(2, index, 0),
            Self::Wake => of_slot(3, 0, 0),
            Self::Cancel => of_slot(4, 0, 0),
            Self::Accept { slot, generation } => of_slot(5, slot, generation),
            Self::Stream { slot, generation } => of_slot(6, slot, generation),
            Self::Writable { slot, generation } => of_slot(7, slot, generation),
            Self::StreamSend { index } => of_slot(8, index, 0),
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "taking the fields apart is the purpose")]
    fn decode(user_data: u64) -> Option<Self> {
        let index = user_data as u32;
        let generation = (user_data >> 32) as u32 & GENERATION_MASK;
        match user_data >> 56 {
            1 => Some(Self::Receive { slot: index, generation }),
            2 => Some(Self::Send { index }),
            3 => Some(Self::Wake),
            4 => Some(Self::Cancel),
            5 => Some(Self::Accept { slot: index, generation }),
            6 => Some(Self::Stream { slot: index, generation }),
            7 => Some(Self::Writable { slot: index, generation }),
            8 => Some(Self::StreamSend { index }),
            _ => None,
        }
    }
}

/// A completion, copied out of the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    pub(crate) operation: Operation,
    /// Bytes, a descriptor of an accepted connection, or a negated errno.
    pub(crate) result: i32,
    /// The provided buffer that was used, to be recycled.
    pub(crate) buffer: Option<u16>,
    /// False when a multishot request has ended.
    pub(crate) more: bool,
}

impl Completion {
    /// The connection that an accept brought. To be called once; whoever drops it closes it.
    pub(crate) fn connection(&self) -> Option<OwnedFd> {
        let accepted = matches!(self.operation, Operation::Accept { .. }) && self.result >= 0;
        // SAFETY: a successful accept's result is a fresh descriptor of this process that nothing else owns.
        accepted.then(|| unsafe { OwnedFd::from_raw_fd(self.result) })
    }
}

/// How to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// At most this long.
    pub(crate) timeout: Duration,
    /// When completions come, take this long to gather more.
    pub(crate) gather: Duration,
}

/// One send request. The pointers must stay valid until the next [`RingPoller::submit`] returns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SendRequest {
    /// One slice; `address` is null on a connected socket.
    Plain { bytes: *const u8, len: u32, address: *const libc::sockaddr, address_len: libc::socklen_t },
    /// Address, slices and control data as the header says.
    Message(*const libc::msghdr),
}

pub(crate) struct RingPoller {
    ring: IoUring,
    /// The template that all multishot receives share: room for name and control data, no payload.
    receive_header: Box<libc::msghdr>,
    /// The eventfd's counter goes here; nobody looks at it.
    wake_counter: Box<u64>,
    sockets_max: u32,
    gathers_in_kernel: bool,
    /// Completions taken while the kernel refused a submit.
    backlog: Vec<Completion>,
}

impl RingPoller {
    /// The buffers must outlive the poller.
    pub(crate) fn new(buffers: &ReceiveBuffers) -> io::Result<Self> {
        let ring = build_ring()?;
        let sockets_max = sockets_max();
        let mut submitter = ring.submitter();
        submitter.register_files_sparse(sockets_max)?;
        // SAFETY: the address is a mapping of BUFFER_COUNT entries that outlives the ring, by the contract above.
        unsafe {
            submitter.register_buf_ring_with_flags(buffers.ring_address(), BUFFER_COUNT, BUFFER_GROUP, 0)?;
        }
        // Saves a descriptor look-up per enter; older kernels lack it and work all the same.
        let _ = submitter.register_ring_fd();
        let gathers_in_kernel = ring.params().is_feature_min_timeout();
        Ok(Self {
            ring,
            receive_header: Box::new(receive_header()),
            wake_counter: Box::new(0),
            sockets_max,
            gathers_in_kernel,
            backlog: Vec::with_capacity(COMPLETIONS_MAX as usize),
        })
    }

    /// Sockets that fit.
    pub(crate) fn sockets_max(&self) -> u32 {
        self.sockets_max
    }

    /// Puts a socket into the table of registered files.
    pub(crate) fn add_socket(&mut self, slot: u32, fd: RawFd) -> io::Result<()> {
        self.ring.submitter().register_files_update(slot, &[fd]).map(drop)
    }

    /// Ends a socket's receive or accept and takes it out of the table. The port is free once the caller has closed
    /// its descriptor: the request's own reference is gone when this returns.
    pub(crate) fn remove_socket(&mut self, slot: u32, operation: Operation) -> io::Result<()> {
        self.cancel(operation)?;
        self.settle()?;
        self.forget_socket(slot)
    }

    /// Ends a request, at the latest with the next [`settle`](Self::settle).
    pub(crate) fn cancel(&mut self, operation: Operation) -> io::Result<()> {
        let cancel = opcode::AsyncCancel::new(operation.encode()).build();
        self.push(&cancel.user_data(Operation::Cancel.encode()).flags(Flags::SKIP_SUCCESS))
    }

    /// Takes a socket without requests out of the table.
    pub(crate) fn forget_socket(&mut self, slot: u32) -> io::Result<()> {
        self.ring.submitter().register_files_update(slot, &[-1]).map(drop)
    }

    /// Starts (again) a socket's receive. Submitted with whatever is submitted next.
    pub(crate) fn arm_receive(&mut self, slot: u32, generation: u32) -> io::Result<()> {
        let operation = Operation::Receive { slot, generation };
        let entry = opcode::RecvMsgMulti::new(Fixed(slot), &raw const *self.receive_header, BUFFER_GROUP);
        self.push(&entry.build().user_data(operation.encode()))
    }

    /// Starts (again) to accept a listener's connections. Each completion is a descriptor, to be closed by whoever takes it.
    pub(crate) fn arm_accept(&mut self, slot: u32, generation: u32) -> io::Result<()> {
        let operation = Operation::Accept { slot, generation };
        let entry = opcode::AcceptMulti::new(Fixed(slot)).flags(libc::SOCK_CLOEXEC).build();
        self.push(&entry.user_data(operation.encode()))
    }

    /// Starts (again) a connection's receive: bytes of the stream as they come, each time in a buffer that may be full or not.
    pub(crate) fn arm_stream(&mut self, slot: u32, generation: u32) -> io::Result<()> {
        let operation = Operation::Stream { slot, generation };
        let entry = opcode::RecvMulti::new(Fixed(slot), BUFFER_GROUP).build();
        self.push(&entry.user_data(operation.encode()))
    }

    /// Waits until a connection takes more, once.
    pub(crate) fn arm_writable(&mut self, slot: u32, generation: u32) -> io::Result<()> {
        let operation = Operation::Writable { slot, generation };
        #[allow(clippy::cast_sign_loss, reason = "a small positive flag")]
        let entry = opcode::PollAdd::new(Fixed(slot), libc::POLLOUT as u32).build();
        self.push(&entry.user_data(operation.encode()))
    }

    /// Waits (again) for control's eventfd.
    pub(crate) fn arm_wake(&mut self, fd: RawFd) -> io::Result<()> {
        let entry = opcode::Read::new(Fd(fd), (&raw mut *self.wake_counter).cast(), 8).build();
        self.push(&entry.user_data(Operation::Wake.encode()))
    }

    /// Queues one send. Successful sends make no completion.
    ///
    /// # Safety
    /// Everything `request` points to stays valid and unchanged until the next [`submit`](Self::submit) returns.
    pub(crate) unsafe fn push_send(&mut self, slot: u32, index: u32, request: SendRequest) -> io::Result<()> {
        let entry = match request {
            SendRequest::Plain { bytes, len, address, address_len } => {
                opcode::Send::new(Fixed(slot), bytes, len)
                    .flags(libc::MSG_DONTWAIT)
                    .dest_addr(address)
                    .dest_addr_len(address_len)
                    .build()
            }
            #[allow(clippy::cast_sign_loss, reason = "a small positive flag")]
            SendRequest::Message(header) => {
                opcode::SendMsg::new(Fixed(slot), header).flags(libc::MSG_DONTWAIT as u32).build()
            }
        };
        self.push(&entry.user_data(Operation::Send { index }.encode()).flags(Flags::SKIP_SUCCESS))
    }

    /// Queues a send on a connection. It completes in any case: the kernel may take a part.
    ///
    /// # Safety
    /// As for [`push_send`](Self::push_send).
    pub(crate) unsafe fn push_stream_send(
        &mut self,
        slot: u32,
        index: u32,
        header: *const libc::msghdr,
    ) -> io::Result<()> {
        #[allow(clippy::cast_sign_loss, reason = "small positive flags")]
        let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as u32;
        let entry = opcode::SendMsg::new(Fixed(slot), header).flags(flags).build();
        self.push(&entry.user_data(Operation::StreamSend { index }.encode()))
    }

    /// Room for this many more sends before a submit.
    pub(crate) fn send_room(&mut self) -> usize {
        let submissions = self.ring.submission();
        submissions.capacity() - submissions.len()
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: the entries built in this file point to boxed memory that lives as long as the ring, or to
        // what `push_send`'s caller vouches for.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        self.submit()?;
        // SAFETY: as above.
        unsafe { self.ring.submission().push(entry) }.map_err(|_| io::Error::other("submission queue stuck"))
    }

    /// Hands over everything queued. Sends are over when this returns.
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        for _ in 0..SUBMIT_ATTEMPTS {
            if self.ring.submission().is_empty() {
                return Ok(());
            }
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // The completion queue overflowed: take what is there, then go on.
                    Some(libc::EBUSY | libc::EAGAIN) => self.take_completions(),
                    _ => return Err(error),
                },
            }
        }
        if self.ring.submission().is_empty() {
            Ok(())
        } else {
            Err(io::Error::other("submission queue stuck"))
        }
    }

    /// Submits what is queued and makes the completions that are due, without waiting.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        self.submit()?;
        // SAFETY: submits nothing, waits for nothing, passes no argument: only deferred work is run.
        outcome(unsafe { self.ring.submitter().enter::<libc::sigset_t>(0, 0, ENTER_GETEVENTS, None) })
    }

    /// [`look`](Self::look), until the kernel has nothing left that it deferred to this thread: what was cancelled has ended.
    /// One look runs 20 pieces of deferred work (since 6.13), and every open connection may have one.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        for _ in 0..SETTLE_LOOKS {
            self.look()?;
            if !self.ring.submission().taskrun() {
                break;
            }
            // Room for what comes next: a full queue would leave it where it is.
            self.take_completions();
        }
        Ok(())
    }

    /// Submits what is queued and sleeps until completions come or the time is over.
    pub(crate) fn wait(&mut self, wait: Wait) -> io::Result<()> {
        if !self.backlog.is_empty() {
            return self.submit();
        }
        let timeout = timespec(wait.timeout);
        if wait.gather.is_zero() {
            return outcome(self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)));
        }
        if self.gathers_in_kernel {
            let gather_us = u32::try_from(wait.gather.as_micros()).unwrap_or(u32::MAX);
            let args = SubmitArgs::new().min_wait_usec(gather_us).timespec(&timeout);
            return outcome(self.ring.submitter().submit_with_args(GATHER_MAX, &args));
        }
        let gather = timespec(wait.gather.min(wait.timeout));
        outcome(self.ring.submitter().submit_with_args(GATHER_MAX, &SubmitArgs::new().timespec(&gather)))?;
        if !self.ring.completion().is_empty() {
            return Ok(());
        }
        outcome(self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)))
    }

    /// Moves completions, oldest first, until `into` is full or none is left.
    pub(crate) fn drain(&mut self, into: &mut Vec<Completion>) {
        if !self.backlog.is_empty() {
            let room = (into.capacity() - into.len()).min(self.backlog.len());
            into.extend(self.backlog.drain(..room));
        }
        let mut completions = self.ring.completion();
        while into.len() < into.capacity() {
            let Some(entry) = completions.next() else { break };
            into.extend(read(&entry));
        }
    }

    /// Takes the failed sends of what was submitted, as (index, errno). Other completions are kept for `drain`.
    pub(crate) fn take_failures(&mut self, failures: &mut Vec<(u32, i32)>) {
        self.take_completions();
        self.backlog.retain(|completion| match completion.operation {
            Operation::Send { index } => {
                failures.push((index, -completion.result));
                false
            }
            _ => true,
        });
    }

    /// Takes the outcomes of the sends on connections that were submitted, as (index, bytes or negated errno). Other
    /// completions are kept for `drain`.
    pub(crate) fn take_stream_sends(&mut self, outcomes: &mut Vec<(u32, i32)>) {
        self.take_completions();
        self.backlog.retain(|completion| match completion.operation {
            Operation::StreamSend { index } => {
                outcomes.push((index, completion.result));
                false
            }
            _ => true,
        });
    }

    fn take_completions(&mut self) {
        self.backlog.extend(self.ring.completion().filter_map(|entry| read(&entry)));
    }
}

impl std::fmt::Debug for RingPoller {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RingPoller").field("sockets_max", &self.sockets_max).finish_non_exhaustive()
    }
}

fn build_ring() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(COMPLETIONS_MAX)
        .dontfork();
    let plain = builder.clone();
    // NO_SQARRAY came with 6.6 and saves an indirection; the rest is needed (6.1).
    builder.setup_no_sqarray().build(SUBMISSIONS_MAX).or_else(|_| plain.build(SUBMISSIONS_MAX))
}

fn sockets_max() -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "at most SOCKETS_MAX")]
    let count = sys::files_max().clamp(1, SOCKETS_MAX) as u32;
    count
}

fn receive_header() -> libc::msghdr {
    // SAFETY: all zeroes is a valid msghdr: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    #[allow(clippy::cast_possible_truncation, reason = "a constant of 32")]
    {
        header.msg_namelen = NAME_BYTES as libc::socklen_t;
    }
    header.msg_controllen = CONTROL_BYTES;
    header
}

fn read(entry: &cqueue::Entry) -> Option<Completion> {
    Some(Completion {
        operation: Operation::decode(entry.user_data())?,
        result: entry.result(),
        buffer: cqueue::buffer_select(entry.flags()),
        more: cqueue::more(entry.flags()),
    })
}

fn timespec(duration: Duration) -> Timespec {
    Timespec::from(duration)
}

/// Time over and interruption are ordinary ends of a wait; EBUSY asks to take completions, which follows.
fn outcome(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_survive_user_data() {
        for operation in [
            Operation::Receive { slot: u32::MAX, generation: GENERATION_MASK },
            Operation::Receive { slot: 0, generation: 0 },
            Operation::Accept { slot: u32::MAX, generation: GENERATION_MASK },
            Operation::Accept { slot: 7, generation: 0 },
            Operation::Stream { slot: u32::MAX, generation: GENERATION_MASK },
            Operation::Writable { slot: 1, generation: 2 },
            Operation::Send { index: 1023 },
            Operation::StreamSend { index: 1023 },
            Operation::Wake,
            Operation::Cancel,
        ] {
            assert_eq!(Operation::decode(operation.encode()), Some(operation));
        }
        assert_eq!(Operation::decode(0), None);
    }
}
