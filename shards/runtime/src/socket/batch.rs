//! The flush: what a turn wants to send, as few sends as the kernel allows.
//!
//! ```text
//! Outbox, by destination:   A: 1200 1200 1200 700   B: 1200   C: 1200 80 80
//! sends:                    A: [1200 1200 1200 700] B: [1200] C: [1200] [80 80]
//! ```
//! Consecutive datagrams of one size to one destination, the last of which may be shorter, are one send with
//! UDP_SEGMENT: the kernel's stack, which is nearly all the cost, is then walked once for all of them. A train
//! is a list of slices into the Outbox; nothing is copied except a lone datagram in two parts, where
//! one contiguous slice is cheaper for the kernel than a message header (docs/decisions/0001-io-transmit.md).

use std::io;
use std::net::SocketAddr;
use std::ptr;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::outbox::{Outbox, Route};
use ringsoup_sfu::sockets::SocketId;

use super::ShardSockets;
use super::stream_send::StreamTransmit;
use crate::io_report::IoReport;
use crate::ring::{SUBMISSIONS_MAX, SendRequest};

/// Datagrams of one train: `UDP_MAX_SEGMENTS` of kernels before 6.10 (128 since).
const SEGMENTS_MAX: u32 = 64;
/// Bytes of one train: the largest UDP payload over IPv4.
const TRAIN_BYTES_MAX: usize = 65_507;
/// Slices of one flush's submission. One train has at most 2 × SEGMENTS_MAX, well below UIO_MAXIOV.
const SLICES_MAX: usize = 8192;
/// A lone datagram of two parts is copied into one up to this many bytes: anything of an ordinary MTU.
const COPY_BYTES_MAX: usize = 2048;
/// Room for such copies in one submission, bytes.
const SCRATCH_BYTES: usize = 512 << 10;

/// Not in every libc: the control message that names the segment size.
const UDP_SEGMENT: libc::c_int = 103;

/// `CMSG_LEN(u16)`.
const SEGMENT_CMSG_LEN: usize = 18;

/// A control message with a `u16`, laid out as `CMSG_SPACE(u16)` asks.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct SegmentCmsg {
    len: usize,
    level: libc::c_int,
    kind: libc::c_int,
    size: u16,
    padding: [u8; 6],
}

/// An address in the kernel's form.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// What one request's message header points to besides its slices.
#[derive(Clone, Copy)]
struct Header {
    message: libc::msghdr,
    segment: SegmentCmsg,
    name: Name,
}

/// One send: consecutive slices, cut into datagrams of `segment` bytes.
#[derive(Debug, Clone, Copy)]
struct Train {
    socket: SocketId,
    remote: Option<SocketAddr>,
    first_slice: usize,
    slices: usize,
    datagrams: u32,
    bytes: usize,
    /// Bytes of each datagram but the last.
    segment: usize,
    /// A shorter datagram has ended it.
    closed: bool,
}

impl Train {
    fn new(socket: SocketId, remote: Option<SocketAddr>, first_slice: usize) -> Self {
        Self { socket, remote, first_slice, slices: 0, datagrams: 0, bytes: 0, segment: 0, closed: false }
    }

    fn takes(&self, len: usize, segments: bool) -> bool {
        self.datagrams == 0
            || (segments
                && !self.closed
                && len <= self.segment
                && self.datagrams < SEGMENTS_MAX
                && self.bytes + len <= TRAIN_BYTES_MAX)
    }
}

/// The flush's memory, allocated once.
pub(crate) struct Transmit {
    headers: Box<[Header]>,
    slices: Vec<libc::iovec>,
    scratch: Box<[u8]>,
    scratch_used: usize,
    trains: Vec<Train>,
    failures: Vec<(u32, i32)>,
    /// One train, contiguous, for sockets whose way takes no segments.
    split: Vec<u8>,
    streams: StreamTransmit,
}

impl Default for Transmit {
    fn default() -> Self {
        // SAFETY: all zeroes is a valid msghdr, cmsg and address.
        let header: Header = unsafe { std::mem::zeroed() };
        Self {
            headers: vec![header; SUBMISSIONS_MAX as usize].into_boxed_slice(),
            slices: Vec::with_capacity(SLICES_MAX),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            scratch_used: 0,
            trains: Vec::with_capacity(SUBMISSIONS_MAX as usize),
            failures: Vec::with_capacity(SUBMISSIONS_MAX as usize),
            split: Vec::with_capacity(TRAIN_BYTES_MAX),
            streams: StreamTransmit::default(),
        }
    }
}

impl Transmit {
    /// Sends everything. On return the kernel holds no reference to the Outbox.
    pub(crate) fn flush(
        &mut self,
        out: &Outbox,
        sockets: &mut ShardSockets,
        report: &mut IoReport,
    ) -> io::Result<()> {
        for destination in out.destinations() {
            let Route::Socket { socket, remote } = destination.route else { continue };
            let Some(segments) = sockets.get_mut(socket).map(|socket| socket.segments) else {
                continue;
            };
            let mut train = Train::new(socket, remote, self.slices.len());
            for (head, tail) in out.datagrams(destination.lane) {
                let len = head.len() + tail.len();
                let full = self.slices.len() + 2 > SLICES_MAX;
                if full || !train.takes(len, segments) {
                    self.finish(train);
                    if full || self.is_full(sockets) {
                        self.submit(sockets, report)?;
                    }
                    train = Train::new(socket, remote, self.slices.len());
                }
                self.append(&mut train, head, tail);
            }
            self.finish(train);
            if self.is_full(sockets) {
                self.submit(sockets, report)?;
            }
        }
        self.submit(sockets, report)
    }

    /// Sends what goes to connections, and what their peers were too slow for before. As [`flush`](Self::flush) otherwise.
    pub(crate) fn flush_streams(
        &mut self,
        out: &Outbox,
        sockets: &mut ShardSockets,
        now: Time,
        report: &mut IoReport,
    ) -> io::Result<()> {
        self.streams.flush(out, sockets, now, report)
    }

    fn is_full(&self, sockets: &mut ShardSockets) -> bool {
        self.trains.len() >= self.headers.len().min(sockets.ring.send_room())
            || self.scratch_used + COPY_BYTES_MAX > SCRATCH_BYTES
    }

    fn append(&mut self, train: &mut Train, head: &[u8], tail: &[u8]) {
        let len = head.len() + tail.len();
        if len == 0 {
            return;
        }
        for part in [head, tail] {
            if !part.is_empty() {
                self.push_slice(train, part);
            }
        }
        if train.datagrams == 0 {
            train.segment = len;
        }
        train.closed = len < train.segment;
        train.datagrams += 1;
        train.bytes += len;
    }

    /// Slices that touch become one: encrypted packets lie in a row where one receiver got several.
    fn push_slice(&mut self, train: &mut Train, part: &[u8]) {
        if train.slices > 0
            && let Some(last) = self.slices.last_mut()
            && ptr::eq(last.iov_base.cast::<u8>().wrapping_add(last.iov_len), part.as_ptr())
        {
            last.iov_len += part.len();
            return;
        }
        self.slices.push(libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
        train.slices += 1;
    }

    fn finish(&mut self, mut train: Train) {
        if train.datagrams == 0 {
            return;
        }
        if train.datagrams == 1 && train.slices > 1 && train.bytes <= COPY_BYTES_MAX {
            let start = self.scratch_used;
            self.scratch_used += copy(&self.slices[train.first_slice..], &mut self.scratch[start..]);
            self.slices.truncate(train.first_slice);
            let copied = &self.scratch[start..self.scratch_used];
            self.slices
                .push(libc::iovec { iov_base: copied.as_ptr().cast_mut().cast(), iov_len: copied.len() });
            train.slices = 1;
        }
        self.trains.push(train);
    }

    fn submit(&mut self, sockets: &mut ShardSockets, report: &mut IoReport) -> io::Result<()> {
        for index in 0..self.trains.len() {
            self.push(index, sockets)?;
            let train = &self.trains[index];
            report.sends += 1;
            report.trains += u64::from(train.datagrams > 1);
            report.sent_datagrams += u64::from(train.datagrams);
        }
        sockets.ring.submit()?;
        self.failures.clear();
        sockets.ring.take_failures(&mut self.failures);
        if !self.failures.is_empty() {
            self.recover(sockets, report)?;
        }
        self.trains.clear();
        self.slices.clear();
        self.scratch_used = 0;
        Ok(())
    }

    fn push(&mut self, index: usize, sockets: &mut ShardSockets) -> io::Result<()> {
        let train = &self.trains[index];
        let header = &mut self.headers[index];
        let (address, address_len) = header.set_name(train.remote);
        let slices = &self.slices[train.first_slice..train.first_slice + train.slices];
        let request = if let [only] = slices
            && train.datagrams == 1
        {
            #[allow(clippy::cast_possible_truncation, reason = "at most TRAIN_BYTES_MAX")]
            let len = only.iov_len as u32;
            SendRequest::Plain { bytes: only.iov_base.cast(), len, address, address_len }
        } else {
            header.set_message(train, slices, address, address_len);
            SendRequest::Message(&raw const header.message)
        };
        #[allow(clippy::cast_possible_truncation, reason = "at most SUBMISSIONS_MAX")]
        let index = index as u32;
        // SAFETY: slices point into the Outbox, which `flush` borrows, and into `scratch`; headers and slices
        // are not touched before `submit` has returned: no vector grows beyond its capacity.
        unsafe { sockets.ring.push_send(train.socket.0, index, request) }
    }

    /// Sends again what deserves it, and counts the rest.
    fn recover(&mut self, sockets: &mut ShardSockets, report: &mut IoReport) -> io::Result<()> {
        let failures = std::mem::take(&mut self.failures);
        for &(index, errno) in &failures {
            let Some(&train) = self.trains.get(index as usize) else {
                continue;
            };
            match errno {
                libc::EINVAL | libc::EIO | libc::EMSGSIZE if train.datagrams > 1 => {
                    // EMSGSIZE: one segment exceeds the path's MTU, which fragments can cross. The others: no
                    // checksum offload on the way, now and for good.
                    if errno != libc::EMSGSIZE
                        && let Some(socket) = sockets.get_mut(train.socket)
                    {
                        socket.segments = false;
                    }
                    self.send_singly(&train, sockets, report)?;
                }
                // An earlier datagram's ICMP error was waiting and took this one's place.
                libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH => {
                    report.send_retried += 1;
                    self.push(index as usize, sockets)?;
                    sockets.ring.submit()?;
                    self.failures.clear();
                    sockets.ring.take_failures(&mut self.failures);
                    if let Some(&(_, errno)) = self.failures.first() {
                        count_failure(&train, errno, report);
                    }
                }
                _ => count_failure(&train, errno, report),
            }
        }
        self.failures = failures;
        Ok(())
    }

    fn send_singly(
        &mut self,
        train: &Train,
        sockets: &mut ShardSockets,
        report: &mut IoReport,
    ) -> io::Result<()> {
        report.send_retried += 1;
        self.split.resize(train.bytes, 0);
        copy(&self.slices[train.first_slice..train.first_slice + train.slices], &mut self.split);
        let mut name = Name::ZERO;
        let (address, address_len) = name.set(train.remote);
        for (index, datagram) in self.split.chunks(train.segment).enumerate() {
            #[allow(clippy::cast_possible_truncation, reason = "at most SEGMENTS_MAX and TRAIN_BYTES_MAX")]
            let (index, len) = (index as u32, datagram.len() as u32);
            let request = SendRequest::Plain { bytes: datagram.as_ptr(), len, address, address_len };
            // SAFETY: `split` and `name` stay untouched until `submit` below has returned.
            unsafe { sockets.ring.push_send(train.socket.0, index, request)? };
        }
        sockets.ring.submit()?;
        self.failures.clear();
        sockets.ring.take_failures(&mut self.failures);
        for &(_, errno) in &self.failures {
            count_failure(&Train { datagrams: 1, ..*train }, errno, report);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Transmit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Transmit").field("trains", &self.trains.len()).finish_non_exhaustive()
    }
}

fn count_failure(train: &Train, errno: i32, report: &mut IoReport) {
    let datagrams = u64::from(train.datagrams);
    report.sent_datagrams = report.sent_datagrams.saturating_sub(datagrams);
    match errno {
        libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => report.send_blocked += datagrams,
        _ => {
            report.send_failed += datagrams;
            report.send_errno = errno;
        }
    }
}

/// Gathers slices; returns how many bytes. `into` must have room.
fn copy(slices: &[libc::iovec], into: &mut [u8]) -> usize {
    let mut used = 0;
    for slice in slices {
        // SAFETY: made from a slice of the Outbox or of `scratch` that is borrowed for the whole flush.
        let bytes = unsafe { std::slice::from_raw_parts(slice.iov_base.cast::<u8>(), slice.iov_len) };
        into[used..used + bytes.len()].copy_from_slice(bytes);
        used += bytes.len();
    }
    used
}

impl Header {
    fn set_name(&mut self, remote: Option<SocketAddr>) -> (*const libc::sockaddr, libc::socklen_t) {
        self.name.set(remote)
    }

    fn set_message(
        &mut self,
        train: &Train,
        slices: &[libc::iovec],
        address: *const libc::sockaddr,
        address_len: libc::socklen_t,
    ) {
        self.message.msg_name = address.cast_mut().cast();
        self.message.msg_namelen = address_len;
        self.message.msg_iov = slices.as_ptr().cast_mut();
        self.message.msg_iovlen = slices.len();
        self.message.msg_control = ptr::null_mut();
        self.message.msg_controllen = 0;
        if train.datagrams > 1 {
            self.segment = SegmentCmsg {
                len: SEGMENT_CMSG_LEN,
                level: libc::SOL_UDP,
                kind: UDP_SEGMENT,
                size: u16::try_from(train.segment).unwrap_or(u16::MAX),
                padding: [0; 6],
            };
            self.message.msg_control = (&raw mut self.segment).cast();
            self.message.msg_controllen = size_of::<SegmentCmsg>();
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "sizes and families of socket addresses are small constants"
)]
impl Name {
    const ZERO: Self = Self {
        v6: libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    /// The address for the kernel: null for the peer of a connected socket.
    fn set(&mut self, remote: Option<SocketAddr>) -> (*const libc::sockaddr, libc::socklen_t) {
        match remote {
            None => (ptr::null(), 0),
            Some(SocketAddr::V4(remote)) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: remote.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(remote.ip().octets()) },
                    sin_zero: [0; 8],
                };
                ((&raw const *self).cast(), size_of::<libc::sockaddr_in>() as libc::socklen_t)
            }
            Some(SocketAddr::V6(remote)) => {
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: remote.port().to_be(),
                    sin6_flowinfo: remote.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: remote.ip().octets() },
                    sin6_scope_id: remote.scope_id(),
                };
                ((&raw const *self).cast(), size_of::<libc::sockaddr_in6>() as libc::socklen_t)
            }
        }
    }
}
