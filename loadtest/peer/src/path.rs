//! Where a datagram goes or comes from.

use std::net::SocketAddr;

use ringsoup_rtc::ice::CandidateProtocol;

/// A local and a remote end: a candidate pair. Over TCP `local` is the connection's own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    pub protocol: CandidateProtocol,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

impl Path {
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { protocol: CandidateProtocol::Udp, local, remote }
    }

    pub const fn tcp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { protocol: CandidateProtocol::Tcp, local, remote }
    }
}
