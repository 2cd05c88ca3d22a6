//! Which port a socket gets.
//!
//! A range is tried from a random start upwards and around once; the kernel is the register of what is
//! taken, by other processes too. What sockets of this one have is passed over without asking it ([`PortBook`]).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};

use ringsoup_sfu::sockets::{BindError, ListenRequest, PortChoice, UdpBind};
use socket2::Socket;

use super::port_book::{Place, PortBook, PortClaim, RangeKey};
use super::{tcp, udp};

/// A socket that has its port.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) socket: Socket,
    pub(crate) local: SocketAddr,
    /// Held as long as the socket is open.
    pub(crate) claim: Option<PortClaim>,
}

/// Binds as asked, TCP sockets to listen. Nothing stays open after an error.
pub(crate) fn bind(request: &ListenRequest, book: &PortBook) -> Result<Bound, BindError> {
    let (ip, port) = match request {
        ListenRequest::Udp(udp) => (udp.ip, udp.port),
        ListenRequest::Tcp(tcp) => (tcp.ip, tcp.port),
    };
    match (port, request) {
        (PortChoice::Fixed(port), _) => bind_fixed(request, ip, port),
        (PortChoice::Range { min, max }, ListenRequest::Udp(udp)) if udp.reuse_port => {
            bind_range_shared(udp, RangeKey { ip, min, max }, book)
        }
        (PortChoice::Range { min, max }, _) => {
            let bound = bind_range(request, RangeKey { ip, min, max }, book)?;
            let claim = book.hold(Place { protocol: protocol(request), ip, port: bound.local.port() });
            Ok(Bound { claim: Some(claim), ..bound })
        }
    }
}

fn bind_fixed(request: &ListenRequest, ip: IpAddr, port: u16) -> Result<Bound, BindError> {
    let bound = open(request).and_then(|socket| {
        let local = take(request, &socket, SocketAddr::new(ip, port))?;
        Ok(Bound { socket, local, claim: None })
    });
    bound.map_err(|error| {
        let (protocol, call) = match request {
            ListenRequest::Udp(_) => ("udp", "uv_udp_bind"),
            // There a port may be bound by several, and only one can listen.
            ListenRequest::Tcp(_) if error.kind() == io::ErrorKind::AddrInUse => ("tcp", "uv_listen"),
            ListenRequest::Tcp(_) => ("tcp", "uv_tcp_bind"),
        };
        BindError::Fixed { call, protocol, ip, port, cause: words(&error) }
    })
}

/// A further socket on a port whose socket was made to [`share`] it.
pub(crate) fn bind_member(request: &ListenRequest, local: SocketAddr) -> Result<Bound, BindError> {
    let (ip, port) = (local.ip(), local.port());
    let bound = open(request).and_then(|socket| {
        socket.set_reuse_port(true)?;
        let local = take(request, &socket, local)?;
        // The port is in the book already, by the first.
        Ok(Bound { socket, local, claim: None })
    });
    bound.map_err(|error| BindError::Fixed {
        call: "uv_udp_bind",
        protocol: protocol(request),
        ip,
        port,
        cause: words(&error),
    })
}

/// From here on sockets of this user that say so too may have the same port, and the kernel spreads what comes over all.
pub(crate) fn share(socket: &Socket) -> Result<(), BindError> {
    socket.set_reuse_port(true).map_err(|error| BindError::SetUp { cause: words(&error) })
}

fn bind_range(request: &ListenRequest, range: RangeKey, book: &PortBook) -> Result<Bound, BindError> {
    let mut opened: Option<Socket> = None;
    let protocol = protocol(request);
    try_ports(protocol, range, |port| {
        if book.is_held(Place { protocol, ip: range.ip, port }) {
            return Ok(None);
        }
        let socket = match opened.take() {
            Some(socket) => socket,
            None => open(request)?,
        };
        match take(request, &socket, SocketAddr::new(range.ip, port)) {
            Ok(local) => Ok(Some(Bound { socket, local, claim: None })),
            Err(error) => {
                // A refused bind leaves the socket as it was, a refused listen does not.
                let bound = socket.local_addr().ok().and_then(|local| local.as_socket());
                opened = Some(socket).filter(|_| bound.is_some_and(|local| local.port() == 0));
                Err(error)
            }
        }
    })
}

/// A port that nobody has, shared from then on; when there is none, one that others share and that no socket of ours
/// got from this range.
fn bind_range_shared(request: &UdpBind, range: RangeKey, book: &PortBook) -> Result<Bound, BindError> {
    let alone = ListenRequest::Udp(UdpBind { reuse_port: false, ..request.clone() });
    match bind_range(&alone, range, book) {
        Ok(bound) => {
            let claim = book.share(range, bound.local.port());
            bound
                .socket
                .set_reuse_address(true)
                .map_err(|error| BindError::SetUp { cause: words(&error) })?;
            return Ok(Bound { claim, ..bound });
        }
        Err(BindError::NoMorePorts { .. }) => {}
        Err(error) => return Err(error),
    }
    try_ports("udp", range, |port| {
        let Some(claim) = book.share(range, port) else { return Ok(None) };
        let socket = udp::open(request)?;
        let local = udp::bind(&socket, SocketAddr::new(range.ip, port))?;
        Ok(Some(Bound { socket, local, claim: Some(claim) }))
    })
}

/// Goes through a range's ports, each once, until one can be had. `None` passes one over.
fn try_ports(
    protocol: &'static str,
    range: RangeKey,
    mut try_port: impl FnMut(u16) -> io::Result<Option<Bound>>,
) -> Result<Bound, BindError> {
    let ip = range.ip;
    let attempts = range.max.checked_sub(range.min).map_or(0, |span| u32::from(span) + 1);
    for (attempt, port) in (1..).zip(ports(range.min, attempts)) {
        match try_port(port) {
            Ok(Some(bound)) => return Ok(bound),
            Ok(None) => {}
            Err(error) if is_taken(&error) => {}
            Err(error) => {
                return Err(BindError::Range { protocol, ip, port, attempt, attempts, cause: words(&error) });
            }
        }
    }
    Err(BindError::NoMorePorts { protocol, ip, attempts })
}

fn open(request: &ListenRequest) -> io::Result<Socket> {
    match request {
        ListenRequest::Udp(request) => udp::open(request),
        ListenRequest::Tcp(request) => tcp::open(request),
    }
}

fn take(request: &ListenRequest, socket: &Socket, address: SocketAddr) -> io::Result<SocketAddr> {
    match request {
        ListenRequest::Udp(_) => udp::bind(socket, address),
        ListenRequest::Tcp(_) => tcp::listen(socket, address),
    }
}

fn protocol(request: &ListenRequest) -> &'static str {
    match request {
        ListenRequest::Udp(_) => "udp",
        ListenRequest::Tcp(_) => "tcp",
    }
}

/// `count` ports from `min` on, from a random one upwards and around. Port 0 would mean any port at all.
fn ports(min: u16, count: u32) -> impl Iterator<Item = u16> {
    let start = random_below(count);
    let port = move |step| u16::try_from(u32::from(min) + (start + step) % count).ok();
    (0..count).filter_map(port).filter(|port| *port != 0)
}

/// Another port may do: this one is somebody's, or a privileged one.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// `RandomState` is seeded by the kernel and differs from call to call; ports need no more than that.
fn random_below(count: u32) -> u32 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(count);
    u32::try_from(hasher.finish() % u64::from(count.max(1))).unwrap_or(0)
}

/// As the original's library words it, where it can be expected.
fn words(error: &io::Error) -> String {
    let known = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => "address already in use",
        Some(libc::EADDRNOTAVAIL) => "address not available",
        Some(libc::EACCES) => "permission denied",
        Some(libc::EMFILE) => "too many open files",
        Some(libc::ENFILE) => "file table overflow",
        Some(libc::EAFNOSUPPORT) => "address family not supported",
        _ => return error.to_string(),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};

    use ringsoup_sfu::sockets::TcpListen;

    use super::*;

    fn udp(port: PortChoice) -> UdpBind {
        UdpBind {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
            ipv6_only: false,
            reuse_port: false,
            send_buffer_size: 0,
            recv_buffer_size: 0,
        }
    }

    fn tcp(port: PortChoice) -> ListenRequest {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        ListenRequest::Tcp(TcpListen { ip, port, ipv6_only: false, send_buffer_size: 0, recv_buffer_size: 0 })
    }

    fn try_bind(request: UdpBind) -> Result<Bound, BindError> {
        bind(&ListenRequest::Udp(request), &PortBook::default())
    }

    fn try_listen(port: PortChoice) -> Result<Bound, BindError> {
        bind(&tcp(port), &PortBook::default())
    }

    /// The first of `count` ports of which the kernel just gave one.
    fn some_range(port: u16, count: u16) -> (u16, u16) {
        let min = port.min(u16::MAX - count);
        (min, min + count - 1)
    }

    #[test]
    fn a_fixed_port_that_is_taken_is_an_error() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let result = try_bind(udp(PortChoice::Fixed(port)));
        assert!(matches!(result, Err(BindError::Fixed { port: named, .. }) if named == port));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let result = try_listen(PortChoice::Fixed(port));
        assert!(
            matches!(result, Err(BindError::Fixed { call: "uv_listen", port: named, .. }) if named == port)
        );
    }

    #[test]
    fn a_range_skips_taken_ports_and_ends_after_one_turn() {
        // Ports that the kernel just gave are free neighbours by luck only: take a range around one and count.
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (min, max) = some_range(first.local_addr().unwrap().port(), 4);
        let mut held = Vec::new();
        let error = loop {
            match try_bind(udp(PortChoice::Range { min, max })) {
                Ok(bound) => {
                    assert!((min..=max).contains(&bound.local.port()));
                    held.push(bound);
                }
                Err(error) => break error,
            }
            assert!(held.len() <= 3, "the range has four ports and one was taken");
        };
        let ip = "127.0.0.1".parse().unwrap();
        assert_eq!(error, BindError::NoMorePorts { protocol: "udp", ip, attempts: 4 });
    }

    #[test]
    fn listeners_share_no_port_even_when_both_could_bind_it() {
        // Bound and not listening: the port can be bound by another that reuses addresses, too.
        let silent = tcp::open(match &tcp(PortChoice::Fixed(0)) {
            ListenRequest::Tcp(request) => request,
            ListenRequest::Udp(_) => unreachable!(),
        })
        .unwrap();
        silent.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let (min, max) = some_range(silent.local_addr().unwrap().as_socket().unwrap().port(), 3);
        let held: Vec<_> = std::iter::from_fn(|| try_listen(PortChoice::Range { min, max }).ok()).collect();
        let mut ports: Vec<u16> = held.iter().map(|bound| bound.local.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert!(!ports.is_empty() && ports.len() == held.len() && ports.len() <= 3, "{ports:?}");
        for bound in &held {
            std::net::TcpStream::connect(bound.local).unwrap();
        }
    }

    #[test]
    fn a_used_up_range_asks_the_kernel_nothing() {
        // Whoever asks for an address of another host is told so at the first port.
        let ip = "192.0.2.1".parse().unwrap();
        let request = |port| ListenRequest::Udp(UdpBind { ip, ..udp(port) });
        let (book, range) = (PortBook::default(), PortChoice::Range { min: 40_000, max: 40_009 });
        let place = |port| Place { protocol: "udp", ip, port };
        let mut claims: Vec<_> = (40_000..=40_009).map(|port| book.hold(place(port))).collect();
        let error = bind(&request(range), &book).unwrap_err();
        assert_eq!(error, BindError::NoMorePorts { protocol: "udp", ip, attempts: 10 });
        claims.pop();
        assert!(matches!(bind(&request(range), &book), Err(BindError::Range { port: 40_009, .. })));
    }

    #[test]
    fn an_empty_range_has_no_ports() {
        let result = try_bind(udp(PortChoice::Range { min: 2, max: 1 }));
        assert!(matches!(result, Err(BindError::NoMorePorts { .. })));
    }

    #[test]
    fn an_address_of_another_host_is_a_bind_error() {
        let mut foreign = udp(PortChoice::Range { min: 40_000, max: 40_010 });
        foreign.ip = "192.0.2.1".parse().unwrap();
        assert!(matches!(try_bind(foreign), Err(BindError::Range { attempt: 1, .. })));
    }

    #[test]
    fn reuse_port_shares_a_fixed_port() {
        let shared = |port| UdpBind { reuse_port: true, ..udp(PortChoice::Fixed(port)) };
        let first = try_bind(shared(0)).unwrap();
        let second = try_bind(shared(first.local.port())).unwrap();
        assert_eq!(second.local, first.local);
        assert!(try_bind(udp(PortChoice::Fixed(first.local.port()))).is_err());
    }

    #[test]
    fn reuse_port_shares_the_ports_of_a_range_with_others_only() {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (min, max) = some_range(first.local_addr().unwrap().port(), 2);
        drop(first);
        let (ours, others) = (PortBook::default(), PortBook::default());
        let shared = ListenRequest::Udp(UdpBind { reuse_port: true, ..udp(PortChoice::Range { min, max }) });
        let mut held: Vec<_> = std::iter::from_fn(|| bind(&shared, &ours).ok()).collect();
        assert_eq!(held.len(), 2, "two ports, each once");
        assert_ne!(held[0].local, held[1].local);
        // Another process has a book of its own.
        let theirs: Vec<_> = std::iter::from_fn(|| bind(&shared, &others).ok()).collect();
        assert_eq!(theirs.len(), 2);
        held.pop();
        assert!(bind(&shared, &ours).is_ok(), "a port that was given back");
    }
}
