//! What one UDP port for many shards costs in the kernel: one socket or a group of them, connected or not.
//!
//! `cargo run --release -p ringsoup-runtime --example steering`
//!
//! CPU of the whole process per 1,200-byte packet over loopback. Rounds of all variants are interleaved; medians are shown.
//! Receivers of what the server sends have a full buffer, so that a send is measured and not their reading.

use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Barrier;
use std::time::Duration;

const PACKET: [u8; 1_200] = [7; 1_200];
/// Packets between two looks at the other side: a socket's default buffer holds them.
const BURST: usize = 64;
const ROUNDS: usize = 9;
/// Packets of one round of one variant.
const ROUND: usize = 64 * 400;
/// Peers that one thread sends to in turn.
const PEERS: usize = 64;

#[derive(Debug, Clone, Copy)]
enum Variant {
    /// Threads that send at the same time through descriptors of one socket.
    SendShared { threads: usize },
    /// The same, each through its own member of a SO_REUSEPORT group.
    SendMembers { threads: usize },
    /// The same, each through connected sockets on that port, one per peer.
    SendConnected { threads: usize },
    /// One sender, one reader of one socket.
    ReceiveOne,
    /// One sender to a group of two, read in turn.
    ReceiveGroup,
    /// One sender to the connected one of so many connected sockets on the port.
    ReceiveConnected { sockets: usize },
    /// One sender that none of so many connected sockets on the port is connected to, to the one that is not.
    ReceiveBeside { sockets: usize },
    /// Two senders at a time, one socket, one reader.
    CrowdOne,
    /// Two senders at a time, a group of two.
    CrowdGroup,
}

use Variant::{
    CrowdGroup, CrowdOne, ReceiveBeside, ReceiveConnected, ReceiveGroup, ReceiveOne, SendConnected,
    SendMembers, SendShared,
};

const VARIANTS: [Variant; 15] = [
    SendShared { threads: 1 },
    SendConnected { threads: 1 },
    SendShared { threads: 2 },
    SendMembers { threads: 2 },
    SendConnected { threads: 2 },
    ReceiveOne,
    ReceiveGroup,
    ReceiveConnected { sockets: 1 },
    ReceiveConnected { sockets: 100 },
    ReceiveConnected { sockets: 1_000 },
    ReceiveBeside { sockets: 1 },
    ReceiveBeside { sockets: 100 },
    ReceiveBeside { sockets: 1_000 },
    CrowdOne,
    CrowdGroup,
];

fn main() {
    let mut figures = vec![Vec::with_capacity(ROUNDS); VARIANTS.len()];
    for _ in 0..ROUNDS {
        for (variant, figures) in VARIANTS.into_iter().zip(&mut figures) {
            figures.push(run(variant).expect("loopback"));
        }
    }
    for (variant, mut figures) in VARIANTS.into_iter().zip(figures) {
        figures.sort_by(f64::total_cmp);
        println!("{:<36} {:>6.0} ns per packet", format!("{variant:?}"), figures[ROUNDS / 2]);
    }
}

fn run(variant: Variant) -> io::Result<f64> {
    match variant {
        SendShared { threads } => {
            let shared = member(0)?;
            let sockets: io::Result<Vec<_>> = (0..threads).map(|_| shared.try_clone()).collect();
            send(sockets?)
        }
        SendMembers { threads } => {
            let first = member(0)?;
            let port = first.local_addr()?.port();
            let mut sockets = vec![first];
            for _ in 1..threads {
                sockets.push(member(port)?);
            }
            send(sockets)
        }
        SendConnected { threads } => send_connected(threads),
        ReceiveOne => {
            let server = member(0)?;
            receive(&client(&server)?, &[&server])
        }
        ReceiveGroup => {
            let server = member(0)?;
            let second = member(server.local_addr()?.port())?;
            receive(&client(&server)?, &[&server, &second])
        }
        ReceiveConnected { sockets } => {
            let (_server, connected, clients) = connect(sockets)?;
            receive(&clients[sockets / 2], &[&connected[sockets / 2]])
        }
        ReceiveBeside { sockets } => {
            let (server, _connected, _clients) = connect(sockets)?;
            receive(&client(&server)?, &[&server])
        }
        CrowdOne => {
            let server = member(0)?;
            crowd(&[server])
        }
        CrowdGroup => {
            let server = member(0)?;
            let second = member(server.local_addr()?.port())?;
            crowd(&[server, second])
        }
    }
}

/// A socket of the group on this port; 0 begins one.
fn member(port: u16) -> io::Result<UdpSocket> {
    // SAFETY: makes a descriptor that nothing else owns.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    let socket = UdpSocket::from(unsafe { OwnedFd::from_raw_fd(fd) });
    set(&socket, libc::SO_REUSEPORT, 1)?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    // SAFETY: all zeroes is a valid address.
    let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    name.sin_family = u16::try_from(libc::AF_INET).expect("small");
    name.sin_port = address.port().to_be();
    name.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
    let len = libc::socklen_t::try_from(size_of::<libc::sockaddr_in>()).expect("small");
    // SAFETY: the name lives through the call and has that length.
    if unsafe { libc::bind(fd, (&raw const name).cast(), len) } < 0 {
        return Err(io::Error::last_os_error());
    }
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(socket)
}

fn set(socket: &UdpSocket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("small");
    // SAFETY: the value lives through the call and has that length.
    let done = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const value).cast(), len)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn client(server: &UdpSocket) -> io::Result<UdpSocket> {
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    client.connect(server.local_addr()?)?;
    Ok(client)
}

/// A server's socket, and as many connected ones beside it with their peers.
fn connect(count: usize) -> io::Result<(UdpSocket, Vec<UdpSocket>, Vec<UdpSocket>)> {
    let server = member(0)?;
    let (mut connected, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let client = client(&server)?;
        let socket = member(server.local_addr()?.port())?;
        socket.connect(client.local_addr()?)?;
        connected.push(socket);
        clients.push(client);
    }
    Ok((server, connected, clients))
}

/// Peers that read nothing.
fn peers() -> io::Result<Vec<UdpSocket>> {
    let peer = || {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        set(&peer, libc::SO_RCVBUF, 0)?;
        Ok(peer)
    };
    (0..PEERS).map(|_| peer()).collect()
}

fn send(sockets: Vec<UdpSocket>) -> io::Result<f64> {
    let peers = peers()?;
    let addresses: io::Result<Vec<SocketAddr>> = peers.iter().map(UdpSocket::local_addr).collect();
    let addresses = &addresses?;
    Ok(at_once(sockets.len(), |thread, count| {
        let to = addresses[count % PEERS];
        sockets[thread].send_to(&PACKET, to).expect("loopback takes it");
    }))
}

fn send_connected(threads: usize) -> io::Result<f64> {
    let peers = peers()?;
    let first = member(0)?;
    let port = first.local_addr()?.port();
    let mut sockets = Vec::new();
    for _ in 0..threads {
        let mut connected = Vec::new();
        for peer in &peers {
            let socket = member(port)?;
            socket.connect(peer.local_addr()?)?;
            connected.push(socket);
        }
        sockets.push(connected);
    }
    Ok(at_once(threads, |thread, count| {
        sockets[thread][count % PEERS].send(&PACKET).expect("loopback takes it");
    }))
}

/// CPU nanoseconds per packet of threads that all send.
fn at_once(threads: usize, send: impl Fn(usize, usize) + Sync) -> f64 {
    let (start, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (start, end, send) = (&start, &end, &send);
            scope.spawn(move || {
                (0..BURST).for_each(|count| send(thread, count));
                start.wait();
                (0..ROUND / threads).for_each(|count| send(thread, count));
                end.wait();
            });
        }
        start.wait();
        let before = cpu();
        end.wait();
        per_packet(cpu() - before, ROUND)
    })
}

/// Bursts, and then they are read by this very thread.
fn receive(client: &UdpSocket, servers: &[&UdpSocket]) -> io::Result<f64> {
    servers.iter().try_for_each(|server| server.set_nonblocking(true))?;
    let mut buffer = [0; 2_048];
    let mut burst = || {
        (0..BURST).for_each(|_| drop(client.send(&PACKET)));
        let mut count = 0;
        for server in servers {
            while server.recv_from(&mut buffer).is_ok() {
                count += 1;
            }
        }
        assert_eq!(count, BURST, "nothing goes elsewhere");
    };
    burst();
    let before = cpu();
    (0..ROUND / BURST).for_each(|_| burst());
    Ok(per_packet(cpu() - before, ROUND))
}

/// Two senders of 32 flows each, one reader per socket.
fn crowd(servers: &[UdpSocket]) -> io::Result<f64> {
    let to = servers[0].local_addr()?;
    for server in servers {
        server.set_read_timeout(Some(Duration::from_millis(50)))?;
        set(server, libc::SO_RCVBUFFORCE, 8 << 20).or_else(|_| set(server, libc::SO_RCVBUF, 8 << 20))?;
    }
    let mut received = 0_usize;
    let before = cpu();
    std::thread::scope(|scope| {
        let readers: Vec<_> = servers
            .iter()
            .map(|server| {
                scope.spawn(move || {
                    let (mut buffer, mut count) = ([0; 2_048], 0_usize);
                    while server.recv_from(&mut buffer).is_ok() {
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(move || {
                let flows: Vec<UdpSocket> = (0..32)
                    .map(|_| {
                        let flow = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
                        flow.connect(to).expect("loopback");
                        flow
                    })
                    .collect();
                for count in 0..ROUND / 2 {
                    let _ = flows[count % 32].send(&PACKET);
                }
            });
        }
        received = readers.into_iter().map(|reader| reader.join().expect("reads")).sum();
    });
    Ok(per_packet(cpu() - before, received))
}

#[allow(clippy::cast_precision_loss, reason = "small")]
fn per_packet(used: Duration, packets: usize) -> f64 {
    used.as_secs_f64() * 1e9 / packets as f64
}

/// CPU time of the process.
fn cpu() -> Duration {
    // SAFETY: all zeroes is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live rusage.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}
