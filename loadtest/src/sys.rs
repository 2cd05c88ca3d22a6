//! Every system call the standard library and socket2 have no safe form of; the only unsafe code here.
//!
//! The harness shares the machine with the worker it measures, so it must move datagrams in batches
//! (`recvmmsg`, `sendmmsg`, UDP_GRO, UDP_SEGMENT) and read precise clocks.

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::time::Duration;

const SOL_UDP: libc::c_int = 17;
const UDP_SEGMENT: libc::c_int = 103;
const UDP_GRO: libc::c_int = 104;
/// `getsockopt` index that fills an array of u32; the ninth is the drop counter (linux/sock_diag.h).
const SO_MEMINFO: libc::c_int = 55;
const SK_MEMINFO_VARS: usize = 9;
const SK_MEMINFO_DROPS: usize = 8;

/// Room for one timestamp and one GRO size control message.
const CONTROL_BYTES: usize = 64;
/// Control message room for one UDP_SEGMENT size.
const SEGMENT_CONTROL_BYTES: usize = 24;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

fn check(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A structure length as the kernel wants it; every structure passed here is tens of bytes.
#[allow(clippy::cast_possible_truncation, reason = "sizes of kernel structures are far below 4 GiB")]
const fn socklen(length: usize) -> libc::socklen_t {
    length as libc::socklen_t
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec and the clocks used here always exist on Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.unsigned_abs() * NANOS_PER_SECOND + time.tv_nsec.unsigned_abs()
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(crate) fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME in nanoseconds: the clock the kernel stamps datagrams with.
pub(crate) fn realtime_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME)
}

/// CPU time the calling thread has used, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Sleeps until CLOCK_MONOTONIC reaches `at_ns`; returns early when a signal arrives.
pub(crate) fn sleep_until(at_ns: u64) {
    let seconds = i64::try_from(at_ns / NANOS_PER_SECOND).unwrap_or(i64::MAX);
    let nanos = i64::try_from(at_ns % NANOS_PER_SECOND).unwrap_or(0);
    let time = libc::timespec { tv_sec: seconds, tv_nsec: nanos };
    // SAFETY: `time` outlives the call; no remaining time is asked for with an absolute deadline.
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const time, ptr::null_mut());
    }
}

/// Makes the calling thread's sleeps end on time instead of up to 50 µs late.
pub(crate) fn set_precise_timers() {
    // SAFETY: PR_SET_TIMERSLACK takes one integer and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
}

fn set_flag(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = socklen(size_of::<libc::c_int>());
    // SAFETY: the option value is a live c_int and its exact size is passed.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) })?;
    Ok(())
}

/// Asks for trains of datagrams in one buffer (UDP_GRO).
pub(crate) fn enable_gro(socket: &impl AsRawFd) -> io::Result<()> {
    set_flag(socket.as_raw_fd(), SOL_UDP, UDP_GRO, 1)
}

/// Asks for the kernel's receive time with every datagram.
pub(crate) fn enable_timestamps(socket: &impl AsRawFd) -> io::Result<()> {
    set_flag(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Sets the receive buffer past `net.core.rmem_max`; needs CAP_NET_ADMIN.
pub(crate) fn force_receive_buffer(socket: &impl AsRawFd, bytes: libc::c_int) -> io::Result<()> {
    set_flag(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
}

/// Datagrams this socket's full receive buffer made the kernel drop.
pub(crate) fn socket_drops(socket: &impl AsRawFd) -> io::Result<u64> {
    let mut info = [0_u32; SK_MEMINFO_VARS];
    let mut length = socklen(size_of::<[u32; SK_MEMINFO_VARS]>());
    // SAFETY: the kernel writes at most `length` bytes into `info`, which is exactly that long.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    Ok(u64::from(info[SK_MEMINFO_DROPS]))
}

/// A level-triggered readiness set; tokens are the caller's indices.
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
    ready: usize,
}

impl Epoll {
    /// `capacity` bounds the events one `poll` may report.
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        // SAFETY: takes only a flag.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: `fd` was just returned to us and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let empty = libc::epoll_event { events: 0, u64: 0 };
        Ok(Self { fd, events: vec![empty; capacity.max(1)], ready: 0 })
    }

    pub(crate) fn add(&self, socket: &impl AsRawFd, token: usize) -> io::Result<()> {
        #[allow(clippy::cast_sign_loss, reason = "EPOLLIN is the positive constant 1")]
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token as u64 };
        // SAFETY: both descriptors are open and `event` lives through the call.
        check(unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event)
        })?;
        Ok(())
    }

    /// Forgets a socket whose descriptor was added.
    pub(crate) fn remove(&self, socket: &impl AsRawFd) -> io::Result<()> {
        // SAFETY: both descriptors are open; since Linux 2.6.9 no event is needed.
        check(unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, socket.as_raw_fd(), ptr::null_mut())
        })?;
        Ok(())
    }

    /// Collects what is readable now, without waiting. Returns how many tokens are ready.
    pub(crate) fn poll(&mut self) -> io::Result<usize> {
        self.wait(Duration::ZERO)
    }

    /// The same, waiting for at most so many whole milliseconds until something is.
    pub(crate) fn wait(&mut self, limit: Duration) -> io::Result<usize> {
        let capacity = libc::c_int::try_from(self.events.len()).unwrap_or(libc::c_int::MAX);
        let limit = libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the kernel writes at most `capacity` events into the vector, which holds that many.
        let ready = check(unsafe {
            libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), capacity, limit)
        });
        self.ready = match ready {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            other => other?,
        };
        Ok(self.ready)
    }

    /// The token of the `index`-th ready socket of the last `poll`.
    pub(crate) fn token(&self, index: usize) -> Option<usize> {
        let event = self.events[..self.ready].get(index)?;
        usize::try_from(event.u64).ok()
    }
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control<const N: usize>([u8; N]);

/// One received buffer: a datagram, or a train of them when `segment_bytes` is set.
pub(crate) struct Received<'a> {
    pub(crate) bytes: &'a mut [u8],
    /// Length of each datagram of the train but the last.
    pub(crate) segment_bytes: Option<usize>,
    /// Kernel receive time, CLOCK_REALTIME nanoseconds.
    pub(crate) received_at_ns: Option<u64>,
}

/// Buffers for `recvmmsg`, allocated once.
pub(crate) struct ReceiveBatch {
    buffers: Vec<Vec<u8>>,
    controls: Vec<Control<CONTROL_BYTES>>,
    headers: Vec<libc::mmsghdr>,
    iovecs: Vec<libc::iovec>,
}

impl ReceiveBatch {
    pub(crate) fn new(datagrams: usize, buffer_bytes: usize) -> Self {
        let buffers = vec![vec![0; buffer_bytes]; datagrams];
        // SAFETY: mmsghdr and iovec are plain C structures for which all zeroes is a valid value.
        let (headers, iovecs) = unsafe { (vec![zeroed(); datagrams], vec![zeroed(); datagrams]) };
        Self { buffers, controls: vec![Control([0; CONTROL_BYTES]); datagrams], headers, iovecs }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.buffers.len()
    }

    /// Receives what is queued, up to the capacity; 0 when nothing is.
    pub(crate) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        for (index, header) in self.headers.iter_mut().enumerate() {
            let buffer = &mut self.buffers[index];
            self.iovecs[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            header.msg_hdr.msg_iov = &raw mut self.iovecs[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        let count = libc::c_uint::try_from(self.headers.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: every header points at a buffer, an iovec and a control block owned by `self`,
        // which outlive the call and are not otherwise borrowed; `count` is the number of headers.
        let received = check(unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        });
        match received {
            Err(error)
                if matches!(
                    error.kind(),
                    // A peer that closed its port answers ICMP, which a connected socket reports here.
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(0)
            }
            other => other,
        }
    }

    /// The `index`-th buffer of the last `receive`; `index` must be below what it returned.
    pub(crate) fn get(&mut self, index: usize) -> Received<'_> {
        let (segment_bytes, received_at_ns) = parse_control(&self.headers[index].msg_hdr);
        let length = usize::try_from(self.headers[index].msg_len).unwrap_or(0);
        let buffer = &mut self.buffers[index];
        let length = length.min(buffer.len());
        Received { bytes: &mut buffer[..length], segment_bytes, received_at_ns }
    }
}

fn parse_control(header: &libc::msghdr) -> (Option<usize>, Option<u64>) {
    let mut segment_bytes = None;
    let mut received_at_ns = None;
    // SAFETY: the control block is owned by the batch and the kernel set `msg_controllen` to what it
    // wrote, which is what the CMSG walk stays within; values are read unaligned with their own types.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (SOL_UDP, UDP_GRO) => {
                    let size: libc::c_int = ptr::read_unaligned(data.cast());
                    segment_bytes = usize::try_from(size).ok().filter(|size| *size > 0);
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time: libc::timespec = ptr::read_unaligned(data.cast());
                    let nanos = time.tv_sec.unsigned_abs() * NANOS_PER_SECOND;
                    received_at_ns = Some(nanos + time.tv_nsec.unsigned_abs());
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    (segment_bytes, received_at_ns)
}

fn socket_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(2),
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    }
}

/// A destination kept in the kernel's form, so that a send costs the system call and nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination(libc::sockaddr_in);

impl Destination {
    /// Only IPv4: the harness stays on 127.0.0.1.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        match address {
            SocketAddr::V4(address) => Ok(Self(socket_address(address))),
            SocketAddr::V6(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "only IPv4 is driven")),
        }
    }
}

/// One `sendto`.
pub(crate) fn send_to(socket: &impl AsRawFd, bytes: &[u8], to: &Destination) -> io::Result<()> {
    let length = socklen(size_of::<libc::sockaddr_in>());
    // SAFETY: the buffer and the address outlive the call and their exact lengths are passed.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const to.0).cast(),
            length,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One `sendmsg` of a train: the kernel cuts `bytes` into datagrams of `segment_bytes` (UDP_SEGMENT).
pub(crate) fn send_train(
    socket: &impl AsRawFd,
    bytes: &[u8],
    segment_bytes: u16,
    to: &Destination,
) -> io::Result<()> {
    let mut control = Control([0_u8; SEGMENT_CONTROL_BYTES]);
    let mut iovec = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut address = to.0;
    // SAFETY: a msghdr of zeroes is valid; the fields set next point at locals that outlive the call,
    // the kernel only reads through them, and the control block holds exactly one u16 message.
    let sent = unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_name = (&raw mut address).cast();
        header.msg_namelen = socklen(size_of::<libc::sockaddr_in>());
        header.msg_iov = &raw mut iovec;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = SEGMENT_CONTROL_BYTES;
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = SOL_UDP;
        (*message).cmsg_type = UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(socklen(size_of::<u16>())) as usize;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), segment_bytes);
        libc::sendmsg(socket.as_raw_fd(), &raw const header, 0)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Most datagrams one `sendmmsg` takes here; longer lists go in several calls.
pub(crate) const SEND_BATCH: usize = 64;

/// `sendmmsg` of `buffers`, each to its own destination, or all to the peer of a connected socket when
/// `to` is empty. Returns how many the kernel took of the first [`SEND_BATCH`].
pub(crate) fn send_batch(socket: &impl AsRawFd, buffers: &[&[u8]], to: &[Destination]) -> io::Result<usize> {
    let count = buffers.len().min(SEND_BATCH);
    let mut iovecs: [MaybeUninit<libc::iovec>; SEND_BATCH] = [const { MaybeUninit::uninit() }; SEND_BATCH];
    let mut headers: [MaybeUninit<libc::mmsghdr>; SEND_BATCH] = [const { MaybeUninit::uninit() }; SEND_BATCH];
    for (index, bytes) in buffers[..count].iter().enumerate() {
        let iovec = iovecs[index]
            .write(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
        // SAFETY: an mmsghdr of zeroes is valid: no name, no control, no flags.
        let header = headers[index].write(unsafe { zeroed() });
        header.msg_hdr.msg_iov = iovec;
        header.msg_hdr.msg_iovlen = 1;
        if let Some(address) = to.get(index) {
            header.msg_hdr.msg_name = (&raw const address.0).cast_mut().cast();
            header.msg_hdr.msg_namelen = socklen(size_of::<libc::sockaddr_in>());
        }
    }
    let length = libc::c_uint::try_from(count).unwrap_or(0);
    // SAFETY: the first `count` headers are initialised and point at initialised iovecs and at buffers
    // and addresses borrowed for this call; the kernel writes only `msg_len` inside the headers.
    check(unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr().cast(), length, 0) })
}

/// File descriptors the controller's end of the channel occupies in a worker (channel contract).
const WORKER_READS_FD: RawFd = 3;
const WORKER_WRITES_FD: RawFd = 4;
/// Where our copies live between fork and exec: above anything `dup2` onto 3 and 4 could hit.
const SAFE_FD: libc::c_int = 10;

/// Descriptors that keep numbers 3 and 4 taken in this process, so that nothing the standard library
/// opens around a fork (its exec-status pipe) sits where the channel goes.
pub(crate) fn occupy_low_descriptors() -> io::Result<Vec<std::fs::File>> {
    let mut guards = Vec::new();
    loop {
        let file = std::fs::File::open("/dev/null")?;
        let number = file.as_raw_fd();
        if number > WORKER_WRITES_FD {
            return Ok(guards);
        }
        guards.push(file);
    }
}

/// Makes the child of `command` find the channel on descriptors 3 and 4 and die with this thread.
/// Returns our high-numbered copies, to be dropped once the child is spawned.
pub(crate) fn pass_channel(
    command: &mut Command,
    reads: BorrowedFd<'_>,
    writes: BorrowedFd<'_>,
) -> io::Result<[OwnedFd; 2]> {
    let reads = duplicate_high(reads)?;
    let writes = duplicate_high(writes)?;
    let (read_fd, write_fd) = (reads.as_raw_fd(), writes.as_raw_fd());
    // SAFETY: the closure runs in the forked child and calls only async-signal-safe functions (dup2,
    // prctl) on descriptors that stay open because they are returned to the caller.
    unsafe {
        command.pre_exec(move || {
            check(libc::dup2(read_fd, WORKER_READS_FD))?;
            check(libc::dup2(write_fd, WORKER_WRITES_FD))?;
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            Ok(())
        });
    }
    Ok([reads, writes])
}

fn duplicate_high(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: `fd` is open for the call; F_DUPFD_CLOEXEC returns a new descriptor that only we own.
    unsafe {
        let copy = check(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, SAFE_FD))?;
        let copy = RawFd::try_from(copy).map_err(io::Error::other)?;
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        (sender, receiver)
    }

    fn receive_all(socket: &UdpSocket, want: usize) -> Vec<(Vec<u8>, Option<usize>, Option<u64>)> {
        let mut batch = ReceiveBatch::new(8, 65_536);
        let mut all = Vec::new();
        // Loopback delivers before send returns, so a bounded number of turns is enough.
        for _ in 0..want {
            let count = batch.receive(socket).unwrap();
            for index in 0..count {
                let received = batch.get(index);
                all.push((received.bytes.to_vec(), received.segment_bytes, received.received_at_ns));
            }
        }
        all
    }

    #[test]
    fn batches_carry_bytes_and_kernel_times() {
        let (sender, receiver) = pair();
        enable_timestamps(&receiver).unwrap();
        let to = Destination::new(receiver.local_addr().unwrap()).unwrap();
        let before = realtime_ns();
        let sent = send_batch(&sender, &[b"one", b"three"], &[to, to]).unwrap();
        assert_eq!(sent, 2);
        send_to(&sender, b"last", &to).unwrap();
        let all = receive_all(&receiver, 3);
        let bytes: Vec<&[u8]> = all.iter().map(|(bytes, ..)| bytes.as_slice()).collect();
        assert_eq!(bytes, [b"one".as_slice(), b"three", b"last"]);
        for (_, segment, time) in &all {
            assert_eq!(*segment, None);
            assert!(time.is_some_and(|time| time >= before.saturating_sub(NANOS_PER_SECOND)));
        }
    }

    #[test]
    fn trains_arrive_whole_with_gro_and_cut_without() {
        let (sender, receiver) = pair();
        let to = Destination::new(receiver.local_addr().unwrap()).unwrap();
        send_train(&sender, &[7; 250], 100, &to).unwrap();
        let lengths: Vec<usize> = receive_all(&receiver, 3).iter().map(|(bytes, ..)| bytes.len()).collect();
        assert_eq!(lengths, [100, 100, 50]);

        enable_gro(&receiver).unwrap();
        send_train(&sender, &[7; 250], 100, &to).unwrap();
        let all = receive_all(&receiver, 1);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].0.len(), all[0].1), (250, Some(100)));
    }

    #[test]
    fn epoll_reports_the_readable_socket() {
        let (sender, receiver) = pair();
        let (_, idle) = pair();
        let mut epoll = Epoll::new(4).unwrap();
        epoll.add(&idle, 1).unwrap();
        epoll.add(&receiver, 2).unwrap();
        assert_eq!(epoll.poll().unwrap(), 0);
        sender.send_to(b"x", receiver.local_addr().unwrap()).unwrap();
        assert_eq!(epoll.poll().unwrap(), 1);
        assert_eq!(epoll.token(0), Some(2));
        assert_eq!(epoll.token(1), None);
    }

    #[test]
    fn full_receive_buffers_are_counted() {
        let (sender, receiver) = pair();
        socket2::SockRef::from(&receiver).set_recv_buffer_size(4096).unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1200], receiver.local_addr().unwrap()).unwrap();
        }
        assert!(socket_drops(&receiver).unwrap() > 0);
    }
}
