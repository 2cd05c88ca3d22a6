//! A UDP socket with the options that a shard's sockets share.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use ringsoup_sfu::sockets::UdpBind;
use socket2::{Domain, Protocol, Socket, Type};

use super::local_address;
use crate::sys;

/// Bytes asked for where the request leaves the size open. The kernel's own 208 KiB hold about 90 packets,
/// less than one key frame of several producers; this holds some 450. Where the process may not exceed
/// `net.core.{r,w}mem_max`, it is cut to that.
const BUFFER_BYTES_DEFAULT: usize = 1 << 20;

/// Not in libc for this target: segments of a receive are told in a control message.
const UDP_GRO: libc::c_int = 104;

/// A socket that is set up but not bound.
pub(super) fn open(request: &UdpBind) -> io::Result<Socket> {
    let domain = if request.ip.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    // The ring does its own waiting: a non-blocking socket would end a receive instead of arming it.
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if request.ip.is_ipv6() {
        socket.set_only_v6(request.ipv6_only)?;
    }
    if request.reuse_port {
        // The original's reading of the option, and so the one under which both can share: all that have the port
        // must say so, a multicast goes to each of them, a unicast to the last.
        socket.set_reuse_address(true)?;
    }
    set_buffer(&socket, libc::SO_RCVBUFFORCE, request.recv_buffer_size, Socket::set_recv_buffer_size)?;
    set_buffer(&socket, libc::SO_SNDBUFFORCE, request.send_buffer_size, Socket::set_send_buffer_size)?;
    sys::set_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // Kernels without it deliver datagrams one by one.
    let _ = sys::set_option(socket.as_raw_fd(), libc::SOL_UDP, UDP_GRO, 1);
    Ok(socket)
}

pub(super) fn bind(socket: &Socket, address: SocketAddr) -> io::Result<SocketAddr> {
    socket.bind(&address.into())?;
    local_address(socket)
}

/// A size that was asked for is set as asked; the default also goes beyond the system's limit where allowed.
fn set_buffer(
    socket: &Socket,
    force: libc::c_int,
    requested: u32,
    set: fn(&Socket, usize) -> io::Result<()>,
) -> io::Result<()> {
    if requested > 0 {
        return set(socket, requested as usize);
    }
    let bytes = libc::c_int::try_from(BUFFER_BYTES_DEFAULT).unwrap_or(libc::c_int::MAX);
    sys::set_option(socket.as_raw_fd(), libc::SOL_SOCKET, force, bytes)
        .or_else(|_| set(socket, BUFFER_BYTES_DEFAULT))
}
