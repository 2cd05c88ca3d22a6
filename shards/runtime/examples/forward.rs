//! What forwarding costs through the shard's own sockets and ring, beside a bare `sendto`.
//!
//! `cargo run --release -p ringsoup-runtime --example forward -- [receivers] [rounds]`
//!
//! One paced sender, a forwarder that is the lower half of a shard (ring, receive, Outbox, flush; no Sfu), and
//! a sink that drains the receivers. Thread CPU of the forwarder per sent packet; variants take turns, medians
//! are printed. The floor sends the same number of packets in one tight loop of `sendto`. Over TCP the packets are frames of
//! kept connections; what those cost at rest is measured last.
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![allow(dead_code, unreachable_pub, reason = "the crate's private files are taken in as they are")]

#[path = "../src/buffers.rs"]
mod buffers;
#[path = "../src/clock.rs"]
mod clock;
#[path = "../src/io_report.rs"]
mod io_report;
#[path = "../src/mailbox.rs"]
mod mailbox;
#[path = "../src/payload_budget.rs"]
mod payload_budget;
#[path = "../src/ring.rs"]
mod ring;
#[path = "../src/socket/mod.rs"]
mod socket;
#[path = "../src/sys.rs"]
mod sys;
#[path = "../src/wake.rs"]
mod wake;

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringsoup_rtc::time::Time;
use ringsoup_sfu::outbox::{Destination, Lane, Outbox, Route, Shared};
use ringsoup_sfu::sockets::{BoundSocket, PortChoice, SocketId, Sockets as _, TcpListen, UdpBind};

use crate::buffers::ReceiveBuffers;
use crate::clock::Clock;
use crate::io_report::IoReport;
use crate::ring::{Completion, Operation, RingPoller, Wait};
use crate::socket::batch::Transmit;
use crate::socket::port_book::PortBook;
use crate::socket::{ShardSockets, receive};

const PACKET_BYTES: usize = 1200;
const HEADER_BYTES: usize = 12;
/// Packets a second that the sender paces.
const RATE: u64 = 500;
/// One turn of one variant.
const TURN: Duration = Duration::from_millis(2_000);
/// Connections whose memory is measured.
const KEPT: usize = 4_000;
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[derive(Debug, Clone, Copy)]
struct Variant {
    name: &'static str,
    /// Packets that arrive together; 0 sends without receiving.
    frame: u64,
    connected: bool,
    /// A header per receiver and a payload for all, or whole packets per receiver.
    shared: bool,
    /// One sending socket per receiver, or one for all.
    sockets: bool,
    tcp: bool,
    rate: u64,
    /// Receivers used, of those there are.
    fan_out: usize,
    gather: Duration,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let receivers = arguments.next().unwrap_or(50);
    let rounds = arguments.next().unwrap_or(9);
    let sink = Sink::start(receivers);
    let base = Variant {
        name: "paced, connected, shared payload",
        frame: 1,
        connected: true,
        shared: true,
        sockets: true,
        tcp: false,
        rate: RATE,
        fan_out: usize::MAX,
        gather: Duration::ZERO,
    };
    let variants = [
        base,
        Variant { name: "paced, TCP, shared payload", tcp: true, ..base },
        Variant { name: "flood, connected, shared payload", frame: 0, ..base },
        Variant { name: "flood, connected, whole packets", frame: 0, shared: false, ..base },
        Variant {
            name: "flood, unconnected, whole packets",
            frame: 0,
            shared: false,
            connected: false,
            ..base
        },
        Variant { name: "paced, connected, whole packets", shared: false, ..base },
        Variant { name: "paced, unconnected, shared payload", connected: false, ..base },
        Variant { name: "paced, one socket, shared payload", connected: false, sockets: false, ..base },
        Variant { name: "frames of 16, connected, shared payload", frame: 16, ..base },
        Variant { name: "frames of 16, TCP, shared payload", frame: 16, tcp: true, ..base },
        Variant { name: "frames of 16, connected, whole packets", frame: 16, shared: false, ..base },
        Variant { name: "frames of 16, unconnected, shared payload", frame: 16, connected: false, ..base },
        Variant { name: "12,000/s to 5, no gathering", rate: 12_000, fan_out: 5, ..base },
        Variant {
            name: "12,000/s to 5, gathering 0.5 ms",
            rate: 12_000,
            fan_out: 5,
            gather: Duration::from_micros(500),
            ..base
        },
        Variant {
            name: "12,000/s to 5, gathering 1 ms",
            rate: 12_000,
            fan_out: 5,
            gather: Duration::from_millis(1),
            ..base
        },
    ];
    let only = std::env::var("FORWARD_ONLY").unwrap_or_default();
    let variants: Vec<_> = variants.into_iter().filter(|variant| variant.name.contains(&only)).collect();
    let mut floors = Vec::new();
    let mut figures = vec![Vec::new(); variants.len()];
    for _ in 0..rounds {
        for (variant, figures) in variants.iter().zip(&mut figures) {
            // On threads of their own, named for profilers.
            floors.push(on_thread("floor", || floor(&sink.addresses)));
            figures.push(on_thread("forwarder", || forward(*variant, &sink.addresses)));
        }
    }
    let floor = median(&mut floors);
    println!("{receivers} receivers, {PACKET_BYTES} bytes, {RATE} packets/s in, medians of {rounds}");
    println!("{:>8.0} ns  1.00  sendto in a tight loop", floor);
    for (variant, figures) in variants.iter().zip(&mut figures) {
        let nanos = median(figures);
        println!("{nanos:>8.0} ns  {:.2}  {}", nanos / floor, variant.name);
    }
    println!("sink took {} packets", sink.stop());
    println!("{} bytes resident for each of {KEPT} kept connections", kept_bytes());
}

fn on_thread(name: &str, measure: impl FnOnce() -> f64 + Send) -> f64 {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, measure);
        thread.expect("a thread").join().expect("a figure")
    })
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[allow(clippy::cast_precision_loss, reason = "a figure to be read by people")]
fn per_packet(cpu: Duration, packets: u64) -> f64 {
    cpu.as_nanos() as f64 / packets.max(1) as f64
}

fn floor(receivers: &[SocketAddr]) -> f64 {
    let socket = UdpSocket::bind((LOCALHOST, 0)).expect("loopback");
    let packet = [0; PACKET_BYTES];
    let before = thread_cpu();
    let mut sent = 0;
    for _ in 0..200 {
        for receiver in receivers {
            sent += u64::from(socket.send_to(&packet, receiver).is_ok());
        }
    }
    per_packet(thread_cpu() - before, sent)
}

struct Forwarder {
    sockets: ShardSockets,
    transmit: Transmit,
    buffers: ReceiveBuffers,
    out: Outbox,
    report: IoReport,
    clock: Clock,
    completions: Vec<Completion>,
    destinations: Vec<Destination>,
    accepted: Vec<SocketId>,
    shared: bool,
    gather: Duration,
    turns: u64,
}

fn bind(sockets: &mut ShardSockets) -> BoundSocket {
    let request = UdpBind {
        ip: LOCALHOST,
        port: PortChoice::Fixed(0),
        ipv6_only: false,
        reuse_port: false,
        send_buffer_size: 0,
        recv_buffer_size: 0,
    };
    sockets.bind_udp(&request).expect("loopback")
}

fn forward(variant: Variant, receivers: &[SocketAddr]) -> f64 {
    let mut forwarder = Forwarder::new(variant.shared, variant.gather);
    let incoming = bind(&mut forwarder.sockets);
    let receivers = receivers.iter().take(variant.fan_out);
    let sink = variant.tcp.then(|| {
        let streams = forwarder.connect_streams(receivers.len());
        forwarder.destinations =
            (0..).zip(&forwarder.accepted).map(|(lane, &id)| to(lane, id, None)).collect();
        std::thread::spawn(move || drain_streams(streams))
    });
    if !variant.tcp {
        let common = bind(&mut forwarder.sockets);
        for (lane, &remote) in (0..).zip(receivers) {
            let socket = if variant.sockets { bind(&mut forwarder.sockets) } else { common };
            let connected = variant.connected && forwarder.sockets.connect(socket.id, remote);
            forwarder.destinations.push(to(lane, socket.id, (!connected).then_some(remote)));
        }
    }
    let figure = forward_with(&mut forwarder, variant, incoming);
    forwarder.sockets.close_all();
    drop(forwarder);
    if let Some(sink) = sink {
        drop(sink.join());
    }
    figure
}

fn to(lane: u32, socket: SocketId, remote: Option<SocketAddr>) -> Destination {
    Destination { lane: Lane(lane), route: Route::Socket { socket, remote } }
}

fn forward_with(forwarder: &mut Forwarder, variant: Variant, incoming: BoundSocket) -> f64 {
    if variant.frame == 0 {
        return flood(forwarder);
    }
    let sender = send_paced(incoming.local, variant);
    let end = Instant::now() + TURN;
    // Warm-up: arming receives and growing the Outbox are not forwarding.
    for _ in 0..4 {
        forwarder.turn();
    }
    let before = thread_cpu();
    let sent_before = forwarder.sent();
    while Instant::now() < end {
        forwarder.turn();
    }
    let cpu = thread_cpu() - before;
    let figure = per_packet(cpu, forwarder.sent() - sent_before);
    let report = &forwarder.report;
    assert_eq!((report.send_failed, report.stream_failed, report.stream_waited), (0, 0, 0));
    if std::env::var_os("FORWARD_VERBOSE").is_some() {
        println!("{} turns, {:?}, {}", forwarder.turns, forwarder.report, variant.name);
    }
    drop(sender.join());
    figure
}

/// Sends alone, one flush after the other.
fn flood(forwarder: &mut Forwarder) -> f64 {
    let packet = [0; PACKET_BYTES];
    let mut cpu = Duration::ZERO;
    for turn in 0..220 {
        let before = thread_cpu();
        forward_one(&mut forwarder.out, &forwarder.destinations, &packet, forwarder.shared);
        forwarder
            .transmit
            .flush(&forwarder.out, &mut forwarder.sockets, &mut forwarder.report)
            .expect("ring");
        forwarder.out.clear_datagrams();
        if turn >= 20 {
            cpu += thread_cpu() - before;
        }
    }
    per_packet(cpu, 200 * forwarder.destinations.len() as u64)
}

impl Forwarder {
    fn new(shared: bool, gather: Duration) -> Self {
        let buffers = ReceiveBuffers::new().expect("memory");
        let ring = RingPoller::new(&buffers).expect("io_uring");
        Self {
            sockets: ShardSockets::new(ring, PortBook::default()),
            transmit: Transmit::default(),
            buffers,
            out: Outbox::default(),
            report: IoReport::default(),
            clock: Clock::start(),
            completions: Vec::with_capacity(256),
            destinations: Vec::new(),
            accepted: Vec::new(),
            shared,
            gather,
            turns: 0,
        }
    }

    fn sent(&self) -> u64 {
        self.report.sent_datagrams + self.report.sent_frames
    }

    /// Connections that peers have shown to be theirs.
    fn connect_streams(&mut self, count: usize) -> Vec<TcpStream> {
        let port = PortChoice::Fixed(0);
        let request =
            TcpListen { ip: LOCALHOST, port, ipv6_only: false, send_buffer_size: 0, recv_buffer_size: 0 };
        let listener = self.sockets.listen_tcp(&request).expect("loopback");
        let mut streams = Vec::with_capacity(count);
        let first = self.accepted.len();
        while streams.len() < count {
            // Fewer than a listener has places for.
            let more = (count - streams.len()).min(100);
            streams.extend((0..more).map(|_| TcpStream::connect(listener.local).expect("loopback")));
            while self.accepted.len() < first + streams.len() {
                self.turn();
            }
        }
        for &connection in &self.accepted[first..] {
            self.sockets.keep(connection);
        }
        streams
    }

    fn turn(&mut self) {
        self.turns += 1;
        let batch = self.clock.batch();
        self.sockets.ring.drain(&mut self.completions);
        let mut completions = std::mem::take(&mut self.completions);
        for completion in completions.drain(..) {
            if let (Operation::Accept { slot, .. }, Some(connection)) =
                (completion.operation, completion.connection())
            {
                let accepted = self.sockets.accept(SocketId(slot), connection, Time::ZERO);
                self.accepted.push(accepted.expect("room").0);
            }
            let Operation::Receive { slot, generation } = completion.operation else {
                continue;
            };
            if let Some(id) = completion.buffer {
                let bytes = self.buffers.bytes(id, usize::try_from(completion.result).unwrap_or(0));
                if let Some(train) = receive::parse(bytes) {
                    std::hint::black_box(train.stamp.map(|stamp| batch.place(stamp)));
                    for datagram in train.payload.chunks(train.stride) {
                        forward_one(&mut self.out, &self.destinations, datagram, self.shared);
                    }
                }
                self.buffers.recycle(id);
            }
            if !completion.more {
                self.sockets.rearm(slot, generation, false).expect("ring");
            }
        }
        self.completions = completions;
        self.transmit.flush(&self.out, &mut self.sockets, &mut self.report).expect("ring");
        if self.sockets.has_connections() {
            let (sockets, report) = (&mut self.sockets, &mut self.report);
            self.transmit.flush_streams(&self.out, sockets, self.clock.now(), report).expect("ring");
        }
        self.out.clear_datagrams();
        std::hint::black_box(self.clock.now());
        let wait = Wait { timeout: Duration::from_millis(100), gather: self.gather };
        self.sockets.ring.wait(wait).expect("ring");
    }
}

fn forward_one(out: &mut Outbox, destinations: &[Destination], datagram: &[u8], shared: bool) {
    let (header, payload) = datagram.split_at(HEADER_BYTES.min(datagram.len()));
    let tail = if shared { out.share(payload).expect("room") } else { Shared::EMPTY };
    for &destination in destinations {
        out.push(destination, datagram.len(), tail, |slot| {
            slot[..header.len()].copy_from_slice(header);
            if shared {
                return Some(header.len());
            }
            slot[header.len()..].copy_from_slice(payload);
            Some(datagram.len())
        });
    }
}

fn send_paced(to: SocketAddr, variant: Variant) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let socket = UdpSocket::bind((LOCALHOST, 0)).expect("loopback");
        let packet = [0; PACKET_BYTES];
        let start = Instant::now();
        let gap = Duration::from_nanos(1_000_000_000 * variant.frame / variant.rate);
        for frame in 1.. {
            for _ in 0..variant.frame {
                let _ = socket.send_to(&packet, to);
            }
            let next = gap * frame;
            if next > TURN {
                break;
            }
            std::thread::sleep(next.saturating_sub(start.elapsed()));
        }
    })
}

/// Drains all receivers on one thread, as one browser full of tracks would.
struct Sink {
    addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Sink {
    fn start(receivers: usize) -> Self {
        let sockets: Vec<_> =
            (0..receivers).map(|_| UdpSocket::bind((LOCALHOST, 0)).expect("loopback")).collect();
        let addresses = sockets.iter().map(|socket| socket.local_addr().expect("bound")).collect();
        let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (stop, taken) = (Arc::clone(&stop), Arc::clone(&taken));
            move || drain(&sockets, &stop, &taken)
        });
        Self { addresses, stop, taken, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.join());
        self.taken.load(Ordering::Relaxed)
    }
}

fn drain(sockets: &[UdpSocket], stop: &AtomicBool, taken: &AtomicU64) {
    let mut polled: Vec<_> = sockets
        .iter()
        .map(|socket| {
            socket.set_nonblocking(true).expect("a socket");
            libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 }
        })
        .collect();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let count = libc::nfds_t::try_from(polled.len()).unwrap_or(0);
        // SAFETY: the pointer and count describe the vector.
        unsafe { libc::poll(polled.as_mut_ptr(), count, 100) };
        for (socket, _) in sockets.iter().zip(&polled).filter(|(_, polled)| polled.revents != 0) {
            while socket.recv(&mut buffer).is_ok() {
                taken.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Drains connections until they end.
fn drain_streams(mut streams: Vec<TcpStream>) {
    let mut buffer = vec![0; 64 << 10];
    while !streams.is_empty() {
        let mut polled: Vec<_> = streams
            .iter()
            .map(|stream| libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 })
            .collect();
        let count = libc::nfds_t::try_from(polled.len()).unwrap_or(0);
        // SAFETY: the pointer and count describe the vector.
        unsafe { libc::poll(polled.as_mut_ptr(), count, 100) };
        let mut ready = polled.iter().map(|polled| polled.revents != 0);
        streams.retain_mut(|stream| {
            ready.next() != Some(true) || stream.read(&mut buffer).is_ok_and(|taken| taken > 0)
        });
    }
}

/// Resident memory of a connection that has sent and received nothing lately: this process's own, none of the kernel's.
fn kept_bytes() -> usize {
    let mut forwarder = Forwarder::new(true, Duration::ZERO);
    // What any number of them needs.
    let first = forwarder.connect_streams(10);
    let before = resident_bytes();
    let streams = forwarder.connect_streams(KEPT);
    let grown = resident_bytes().saturating_sub(before);
    forwarder.sockets.close_all();
    drop((first, streams));
    grown / KEPT
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4_096
}
