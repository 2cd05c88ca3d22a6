//! Which port a socket gets.
//!
//! A range is tried from a random start upwards and around once; the kernel is the register of what is
//! taken, so shards and other processes need no book of their own.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};

use ringsoup_sfu::sockets::{BindError, PortChoice, UdpBind};
use socket2::Socket;

use super::udp;

/// Binds as asked. Nothing stays open after an error.
pub(super) fn bind(request: &UdpBind) -> Result<(Socket, SocketAddr), BindError> {
    match request.port {
        PortChoice::Fixed(port) => bind_fixed(request, port),
        PortChoice::Range { min, max } => bind_range(request, min, max),
    }
}

fn bind_fixed(request: &UdpBind, port: u16) -> Result<(Socket, SocketAddr), BindError> {
    let socket = udp::open(request, request.reuse_port).map_err(set_up_error)?;
    match udp::bind(&socket, SocketAddr::new(request.ip, port)) {
        Ok(local) => Ok((socket, local)),
        Err(error) => Err(bind_error(request.ip, port, &error)),
    }
}

/// A port of a range is the socket's own: SO_REUSEPORT would let two transports be given the same one.
fn bind_range(request: &UdpBind, min: u16, max: u16) -> Result<(Socket, SocketAddr), BindError> {
    let no_more_ports = BindError::NoMorePorts { ip: request.ip, min, max };
    let Some(span) = max.checked_sub(min) else {
        return Err(no_more_ports);
    };
    let count = u32::from(span) + 1;
    // Opened once: a refused bind leaves the socket as it was.
    let socket = udp::open(request, false).map_err(set_up_error)?;
    let start = random_below(count);
    for step in 0..count {
        let offset = u16::try_from((start + step) % count).unwrap_or(span);
        // min + offset is at most max; port 0 would mean any port at all.
        let port = min + offset;
        if port == 0 {
            continue;
        }
        match udp::bind(&socket, SocketAddr::new(request.ip, port)) {
            Ok(local) => return Ok((socket, local)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(bind_error(request.ip, port, &error)),
        }
    }
    Err(no_more_ports)
}

/// `RandomState` is seeded by the kernel and differs from call to call; ports need no more than that.
fn random_below(count: u32) -> u32 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(count);
    u32::try_from(hasher.finish() % u64::from(count)).unwrap_or(0)
}

fn set_up_error(error: io::Error) -> BindError {
    BindError::SetUp { cause: error.to_string() }
}

fn bind_error(ip: IpAddr, port: u16, error: &io::Error) -> BindError {
    BindError::Bind { ip, port, cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    fn request(port: PortChoice) -> UdpBind {
        UdpBind {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
            ipv6_only: false,
            reuse_port: false,
            send_buffer_size: 0,
            recv_buffer_size: 0,
        }
    }

    #[test]
    fn a_fixed_port_that_is_taken_is_an_error() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let result = bind(&request(PortChoice::Fixed(port)));
        assert!(matches!(result, Err(BindError::Bind { port: named, .. }) if named == port));
    }

    #[test]
    fn a_range_skips_taken_ports_and_ends_after_one_turn() {
        // Ports that the kernel just gave are free neighbours by luck only: take a range around one and count.
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port().min(65_530);
        let (min, max) = (port, port + 3);
        let mut held = Vec::new();
        let error = loop {
            match bind(&request(PortChoice::Range { min, max })) {
                Ok((socket, local)) => {
                    assert!((min..=max).contains(&local.port()));
                    held.push(socket);
                }
                Err(error) => break error,
            }
            assert!(held.len() <= 3, "the range has four ports and one was taken");
        };
        assert_eq!(error, BindError::NoMorePorts { ip: "127.0.0.1".parse().unwrap(), min, max });
    }

    #[test]
    fn an_empty_range_has_no_ports() {
        let result = bind(&request(PortChoice::Range { min: 2, max: 1 }));
        assert!(matches!(result, Err(BindError::NoMorePorts { .. })));
    }

    #[test]
    fn an_address_of_another_host_is_a_bind_error() {
        let mut foreign = request(PortChoice::Range { min: 40_000, max: 40_010 });
        foreign.ip = "192.0.2.1".parse().unwrap();
        assert!(matches!(bind(&foreign), Err(BindError::Bind { .. })));
    }

    #[test]
    fn reuse_port_shares_a_fixed_port() {
        let mut shared = request(PortChoice::Fixed(0));
        shared.reuse_port = true;
        let (_first, local) = bind(&shared).unwrap();
        shared.port = PortChoice::Fixed(local.port());
        assert_eq!(bind(&shared).unwrap().1, local);
    }
}
