//! The harness' UDP sockets: all on loopback, ports by the kernel, receive buffers as large as allowed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::sys;

/// Asked for each receiving socket, so that the harness is not what drops.
const RECEIVE_BUFFER_BYTES: i32 = 8 << 20;
/// Enough for a key frame of a high rate in one go.
const SEND_BUFFER_BYTES: usize = 4 << 20;

fn bound_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket)
}

fn enlarge_receive_buffer(socket: &Socket) {
    // Past the sysctl's limit where we may, up to it where we may not; SO_MEMINFO tells whether it held.
    if sys::force_receive_buffer(socket, RECEIVE_BUFFER_BYTES).is_err() {
        let bytes = usize::try_from(RECEIVE_BUFFER_BYTES).unwrap_or(0);
        let _ = SockRef::from(socket).set_recv_buffer_size(bytes);
    }
}

/// A subscriber's socket: kernel timestamps, and trains in one piece when `gro`.
pub(crate) fn receiving_socket(gro: bool) -> io::Result<UdpSocket> {
    let socket = bound_socket()?;
    enlarge_receive_buffer(&socket);
    sys::enable_timestamps(&socket)?;
    if gro {
        sys::enable_gro(&socket)?;
    }
    Ok(socket.into())
}

/// A publisher's socket, connected to the worker's transport.
pub(crate) fn publishing_socket(worker: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bound_socket()?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.connect(&worker.into())?;
    Ok(socket.into())
}

/// A socket between a client and a connection to the worker: what either sends may come in bursts.
pub(crate) fn bridging_socket() -> io::Result<UdpSocket> {
    let socket = bound_socket()?;
    enlarge_receive_buffer(&socket);
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// An unconnected sender, like the one an SFU of one `sendto` per packet uses.
pub(crate) fn sending_socket() -> io::Result<UdpSocket> {
    let socket = bound_socket()?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    Ok(socket.into())
}

/// Datagrams dropped at this socket; 0 where the kernel does not tell.
pub(crate) fn drops(socket: &UdpSocket) -> u64 {
    sys::socket_drops(socket).unwrap_or(0)
}
