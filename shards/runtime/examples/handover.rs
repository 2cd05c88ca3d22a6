//! What handing packets to another thread costs: by the mesh, and by UDP over loopback.
//!
//! `cargo run --release -p ringsoup-runtime --example handover`
//!
//! CPU of both sides per 1,200-byte packet, in bursts after each of which the sender waits until all was read, so that nothing
//! is lost and nobody spins. Rounds of all variants are interleaved; medians are shown.

#![allow(dead_code, unreachable_pub, reason = "the crate's private files are taken in as they are")]

#[path = "../src/clock.rs"]
mod clock;
#[path = "../src/io_report.rs"]
mod io_report;
#[path = "../src/mesh/mod.rs"]
mod mesh;
/// No connection is handed over here.
mod socket {
    pub(crate) mod connections {
        #[derive(Debug)]
        pub(crate) struct HandedConnection;
    }
}
#[path = "../src/sys.rs"]
mod sys;
#[path = "../src/wake.rs"]
mod wake;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use ringsoup_sfu::outbox::{Destination, Lane, Outbox, Route};
use ringsoup_sfu::piped::{PipeEnd, PipeKey, PipedKind};
use ringsoup_sfu::served::{HandOver, ServerKey, ServerSocket};

use clock::Clock;
use io_report::IoReport;
use mesh::{Mesh, MeshPort, Passed};

const PACKET_BYTES: usize = 1_200;
/// Packets of a burst: a socket's default buffer holds them.
const BURST: usize = 64;
const ROUNDS: usize = 7;
/// Packets of one round of one variant.
const ROUND: usize = 200_000;

#[derive(Debug, Clone, Copy)]
enum By {
    /// Packets per batch.
    Mesh(usize),
    /// The same of received datagrams, for a WebRTC transport of another shard.
    Datagrams(usize),
    /// One `send` and one `recv` per packet on connected sockets.
    Udp,
    /// Trains of so many packets, cut and put together by the kernel.
    UdpTrains(usize),
}

const VARIANTS: [By; 9] = [
    By::Mesh(1),
    By::Mesh(4),
    By::Mesh(16),
    By::Mesh(64),
    By::Datagrams(1),
    By::Datagrams(4),
    By::Datagrams(16),
    By::Udp,
    By::UdpTrains(16),
];

/// One thread's end of a run: what it may do next, and what it has done.
struct Turns {
    go: Receiver<()>,
    done: SyncSender<()>,
}

fn main() {
    let mut figures = vec![Vec::with_capacity(ROUNDS); VARIANTS.len()];
    for _ in 0..ROUNDS {
        for (variant, figures) in VARIANTS.into_iter().zip(&mut figures) {
            figures.push(match variant {
                By::Mesh(batch) => mesh(batch),
                By::Datagrams(batch) => datagrams(batch),
                By::Udp => udp(1),
                By::UdpTrains(train) => udp(train),
            });
        }
    }
    for (variant, mut figures) in VARIANTS.into_iter().zip(figures) {
        figures.sort_by(f64::total_cmp);
        println!("{:<14} {:>6.0} ns per packet", format!("{variant:?}"), figures[ROUNDS / 2]);
    }
}

/// Runs both sides, burst by burst; returns CPU nanoseconds per packet.
fn measure(mut send: impl FnMut() + Send, mut receive: impl FnMut() + Send) -> f64 {
    let (go, turn) = sync_channel(1);
    let (done, finished) = sync_channel(1);
    let turns = Turns { go: turn, done };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while turns.go.recv().is_ok() {
                receive();
                let _ = turns.done.send(());
            }
        });
        let mut burst = || {
            send();
            go.send(()).expect("the receiver is there");
            finished.recv().expect("the receiver is there");
        };
        (0..100).for_each(|_| burst());
        let before = cpu();
        (0..ROUND / BURST).for_each(|_| burst());
        let used = cpu() - before;
        drop(go);
        used.as_secs_f64() * 1e9 / (ROUND / BURST * BURST) as f64
    })
}

fn mesh(batch: usize) -> f64 {
    let mesh = Mesh::new(2);
    let mut sender = MeshPort::new(Arc::clone(&mesh), 0);
    let mut receiver = MeshPort::new(Arc::clone(&mesh), 1);
    let (clock, mut report) = (Clock::start(), IoReport::default());
    let route = Route::Pipe { end: PipeEnd { key: PipeKey(1), shard: 1 }, kind: PipedKind::Packet };
    let payload = [7; PACKET_BYTES - 12];
    let mut out = Outbox::default();
    measure(
        move || {
            for _ in 0..BURST / batch {
                for _ in 0..batch {
                    let shared = out.share(&payload).expect("room");
                    assert!(out.push(Destination { lane: Lane(0), route }, 12, shared, |_| Some(12)));
                }
                sender.pass(&out, clock, &mut report);
                out.clear_datagrams();
            }
            assert_eq!(report.pass_refused, 0);
        },
        move || {
            let mut count = 0;
            while count < BURST {
                count += take(&mut receiver);
            }
        },
    )
}

/// As the mesh, of datagrams as they lie in a receive buffer.
fn datagrams(batch: usize) -> f64 {
    let mesh = Mesh::new(2);
    let mut sender = MeshPort::new(Arc::clone(&mesh), 0);
    let mut receiver = MeshPort::new(Arc::clone(&mesh), 1);
    let (clock, mut report) = (Clock::start(), IoReport::default());
    let socket = ServerSocket { server: ServerKey(1), place: 0 };
    let hand_over = HandOver { to: 1, socket, is_known: true };
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let (bytes, out) = ([7; PACKET_BYTES], Outbox::default());
    measure(
        move || {
            for _ in 0..BURST / batch {
                let now = clock.now();
                for _ in 0..batch {
                    sender.hand_over(now, hand_over, remote, (&bytes, now), &mut report);
                }
                sender.pass(&out, clock, &mut report);
            }
            assert_eq!(report.hand_over_refused, 0);
        },
        move || {
            let mut count = 0;
            while count < BURST {
                count += take(&mut receiver);
            }
        },
    )
}

/// Reads a batch if there is one.
fn take(receiver: &mut MeshPort) -> usize {
    let Some((from, mut batch)) = receiver.take() else { return 0 };
    let last = |passed: Passed<'_>| match passed {
        Passed::Piped(piped) => piped.bytes[PACKET_BYTES - 1],
        Passed::Datagram(handed) => handed.bytes[PACKET_BYTES - 1],
        Passed::Word { .. } => 0,
    };
    let count = batch.packets(from).map(last).filter(|last| *last == 7).count();
    receiver.give_back(from, batch);
    count
}

fn udp(train: usize) -> f64 {
    let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let (sender, receiver) = (socket(), socket());
    sender.connect(receiver.local_addr().expect("bound")).expect("loopback");
    receiver.connect(sender.local_addr().expect("bound")).expect("loopback");
    receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    if train > 1 {
        option(&sender, libc::UDP_SEGMENT, i32::try_from(PACKET_BYTES).expect("small"));
        option(&receiver, libc::UDP_GRO, 1);
    }
    let payload = [7; PACKET_BYTES - 12];
    let mut out = Outbox::default();
    let route = Route::Socket { socket: ringsoup_sfu::sockets::SocketId(0), remote: None };
    let mut buffer = vec![0; 65_536];
    let mut packet = vec![0; PACKET_BYTES * train];
    measure(
        move || {
            // The same way through the Outbox, so that only the carrying differs.
            for _ in 0..BURST {
                let shared = out.share(&payload).expect("room");
                assert!(out.push(Destination { lane: Lane(0), route }, 12, shared, |_| Some(12)));
            }
            let mut filled = 0;
            for (head, tail) in out.datagrams(Lane(0)) {
                packet[filled..filled + head.len()].copy_from_slice(head);
                filled += head.len();
                packet[filled..filled + tail.len()].copy_from_slice(tail);
                filled += tail.len();
                if filled == packet.len() {
                    sender.send(&packet).expect("loopback takes it");
                    filled = 0;
                }
            }
            out.clear_datagrams();
        },
        move || {
            let mut count = 0;
            while count < BURST {
                let len = receiver.recv(&mut buffer).expect("nothing is lost");
                for packet in buffer[..len].chunks(PACKET_BYTES) {
                    assert_eq!(packet[PACKET_BYTES - 1], 7);
                    count += 1;
                }
            }
        },
    )
}

fn option(socket: &UdpSocket, name: libc::c_int, value: i32) {
    // SAFETY: the pointer is to a live i32 of the length given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            name,
            (&raw const value).cast(),
            libc::socklen_t::try_from(size_of::<i32>()).expect("small"),
        )
    };
    assert_eq!(set, 0, "UDP option {name}: {}", std::io::Error::last_os_error());
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
