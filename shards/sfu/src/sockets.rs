//! The seam to the runtime's sockets: what a transport asks for, never how it is done.
//!
//! Two implementations: the runtime's (io_uring) and the simulation's (a virtual network).

use std::net::{IpAddr, SocketAddr};

/// A socket of this shard. An index that the runtime may give again after [`Sockets::close`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId(pub u32);

/// Which port a socket wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    Fixed(u16),
    /// Any free port of the inclusive range; a random start, then upwards.
    Range {
        min: u16,
        max: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpBind {
    pub ip: IpAddr,
    pub port: PortChoice,
    pub ipv6_only: bool,
    pub reuse_port: bool,
    /// Bytes; 0 leaves the kernel's default.
    pub send_buffer_size: u32,
    /// Bytes; 0 leaves the kernel's default.
    pub recv_buffer_size: u32,
}

/// A TCP listener. Its options are those of UDP sockets but for sharing the port, which TCP has no use for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpListen {
    pub ip: IpAddr,
    pub port: PortChoice,
    pub ipv6_only: bool,
    /// Bytes of the connections to come; 0 leaves the kernel's default.
    pub send_buffer_size: u32,
    /// Bytes of the connections to come; 0 leaves the kernel's default.
    pub recv_buffer_size: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenRequest {
    Udp(UdpBind),
    Tcp(TcpListen),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundSocket {
    pub id: SocketId,
    pub local: SocketAddr,
}

/// Why a socket could not be had. The text goes to the controller as an `Error`, in the shape that the original's has,
/// calls by name included: people and programs look for its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    #[error("no more available ports [protocol:{protocol}, ip:'{ip}', numAttempt:{attempts}]")]
    NoMorePorts { protocol: &'static str, ip: IpAddr, attempts: u32 },
    /// No other port of the range would do better.
    #[error(
        "port bind failed due to {cause} [protocol:{protocol}, ip:'{ip}', port:{port}, attempt:{attempt}/{attempts}]"
    )]
    Range { protocol: &'static str, ip: IpAddr, port: u16, attempt: u32, attempts: u32, cause: String },
    #[error("{call}() failed [protocol:{protocol}, ip:'{ip}', port:{port}]: {cause}")]
    Fixed { call: &'static str, protocol: &'static str, ip: IpAddr, port: u16, cause: String },
    #[error("socket set-up failed: {cause}")]
    SetUp { cause: String },
}

pub trait Sockets {
    /// Binds and starts receiving.
    ///
    /// # Errors
    /// Nothing stays bound after an error.
    fn bind_udp(&mut self, request: &UdpBind) -> Result<BoundSocket, BindError>;

    /// Binds and starts to accept connections.
    ///
    /// # Errors
    /// Nothing stays bound after an error.
    fn listen_tcp(&mut self, request: &TcpListen) -> Result<BoundSocket, BindError>;

    /// # Errors
    /// As [`bind_udp`](Self::bind_udp) and [`listen_tcp`](Self::listen_tcp).
    fn listen(&mut self, request: &ListenRequest) -> Result<BoundSocket, BindError> {
        match request {
            ListenRequest::Udp(request) => self.bind_udp(request),
            ListenRequest::Tcp(request) => self.listen_tcp(request),
        }
    }

    /// Ties the socket to its only peer, so that the kernel looks its route up once. From here on
    /// datagrams from other addresses may be dropped by the kernel. A failure is not an error: the
    /// destination then keeps naming its address. True when the socket is connected.
    fn connect(&mut self, socket: SocketId, remote: SocketAddr) -> bool;

    /// A connection's peer has shown that it may speak to a transport: its connectivity check was authentic and its address
    /// is a tuple. Until then the connection is a stranger's: it is hung up after a while, or when strangers are too many, and
    /// its frames may be no longer than a check. Nothing happens to what is no connection.
    fn keep(&mut self, connection: SocketId);

    /// Sends a datagram at once instead of with the next flush, as far as the kernel takes it: the last word of a transport, whose
    /// sockets close before that. `remote` is as in a [`Route`](crate::outbox::Route).
    fn send_last(&mut self, socket: SocketId, remote: Option<SocketAddr>, bytes: &[u8]);

    /// Frees the socket. What was sent on a connection before goes out first, as far as the kernel takes it.
    fn close(&mut self, socket: SocketId);
}
