//! A TCP listener. The kernel gives its options to every connection that it accepts.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use ringsoup_sfu::sockets::TcpListen;
use socket2::{Domain, Protocol, Socket, Type};

use super::local_address;
use crate::sys;

/// Connections that the kernel keeps until the ring accepts them; what the original asks for.
const BACKLOG: i32 = 256;

/// Bytes that a connection takes before they can go onto the wire. The kernel's own send buffer grows to megabytes, seconds of
/// media that nobody could take back; what waits beyond this waits where its age is known (`backlog.rs`). A quarter of a
/// second of 2 Mbit/s; what is under way unacknowledged does not count, so it is no limit to the rate.
const UNSENT_BYTES_MAX: libc::c_int = 64 << 10;
/// A peer that acknowledges nothing for so long has gone, as it has for ICE when its consent is as old. Milliseconds.
const UNACKNOWLEDGED_MS: libc::c_int = 30_000;
/// A peer that says nothing for so long is asked whether it is still there, which matters where ICE consent is
/// switched off. Seconds.
const SILENCE_SECONDS: libc::c_int = 30;

/// A socket that is set up but not bound.
pub(super) fn open(request: &TcpListen) -> io::Result<Socket> {
    let domain = if request.ip.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if request.ip.is_ipv6() {
        socket.set_only_v6(request.ipv6_only)?;
    }
    // The remains of old connections must not keep a port from being listened on again; a listener still does.
    socket.set_reuse_address(true)?;
    // Inherited by the connections. Where nothing is asked, the kernel sizes each by what its path needs.
    if request.recv_buffer_size > 0 {
        socket.set_recv_buffer_size(request.recv_buffer_size as usize)?;
    }
    if request.send_buffer_size > 0 {
        socket.set_send_buffer_size(request.send_buffer_size as usize)?;
    }
    for (level, name, value) in [
        // A packet must not wait for the acknowledgement of the one before.
        (libc::IPPROTO_TCP, libc::TCP_NODELAY, 1),
        (libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, SILENCE_SECONDS),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
    ] {
        sys::set_option(socket.as_raw_fd(), level, name, value)?;
    }
    Ok(socket)
}

/// A port may be bound by several, and then the second to listen is refused.
pub(super) fn listen(socket: &Socket, address: SocketAddr) -> io::Result<SocketAddr> {
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    local_address(socket)
}
