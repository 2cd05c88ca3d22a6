//! A TCP listener.

use std::io;
use std::net::SocketAddr;

use ringsoup_sfu::sockets::TcpListen;
use socket2::{Domain, Protocol, Socket, Type};

use super::local_address;

/// Connections that the kernel keeps until the ring accepts them; what the original asks for.
const BACKLOG: i32 = 256;

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
    Ok(socket)
}

/// A port may be bound by several, and then the second to listen is refused.
pub(super) fn listen(socket: &Socket, address: SocketAddr) -> io::Result<SocketAddr> {
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    local_address(socket)
}
