//! ICE-TCP for engines that speak UDP: a connection to the worker for each client, each packet behind its length (RFC 4571),
//! and a UDP socket that the client takes for the worker's.
//!
//! ```text
//! client ◄──UDP──► bridge ◄──TCP, RFC 4571──► worker
//! ```
//!
//! One thread serves all. What it costs is the harness's, and its way is part of the latencies that are told.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ringsoup_peer::framing::{Deframer, frame};

use crate::net;
use crate::sys::Epoll;

/// Bytes that wait for a connection that takes no more; beyond, datagrams are lost and counted.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// Datagrams, or reads, of one socket before another's turn.
const TURN_MAX: usize = 64;
const READ_BYTES: usize = 64 << 10;
const EVENTS: usize = 256;
/// How long new clients, or a connection that was full, may wait to be looked at.
const WAIT: Duration = Duration::from_millis(1);
/// The worker listens on loopback.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Clients that the thread has not seen.
    new: Mutex<Vec<Pair>>,
    lost: AtomicU64,
}

/// The running thread; stops and joins when dropped, and closes all connections.
#[derive(Debug)]
pub(crate) struct Bridge {
    shared: Arc<Shared>,
    /// To look for drops.
    sockets: Vec<UdpSocket>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Bridge {
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let thread = Thread { shared: Arc::clone(&shared), epoll: Epoll::new(EVENTS)?, pairs: Vec::new() };
        let thread = std::thread::Builder::new().name("tcp".to_owned()).spawn(move || thread.run())?;
        Ok(Self { shared, sockets: Vec::new(), thread: Some(thread) })
    }

    /// Connects to the worker at `to`; where the client is to send instead, which is known by its first datagram.
    pub(crate) fn connect(&mut self, to: SocketAddr) -> io::Result<SocketAddr> {
        let tcp = TcpStream::connect_timeout(&to, CONNECT_LIMIT)?;
        tcp.set_nodelay(true)?;
        tcp.set_nonblocking(true)?;
        let udp = net::bridging_socket()?;
        let address = udp.local_addr()?;
        self.sockets.push(udp.try_clone()?);
        self.shared.new.lock().unwrap_or_else(PoisonError::into_inner).push(Pair::new(udp, tcp));
        Ok(address)
    }

    /// Datagrams that did not come through: the kernel's drops, connections that were full, or closed.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed) + self.sockets.iter().map(net::drops).sum::<u64>()
    }

    /// True once the thread has ended, which before the drop means it failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => eprintln!("loadtest: the thread of TCP connections failed: {error}"),
            Some(Err(_)) => eprintln!("loadtest: the thread of TCP connections panicked"),
        }
    }
}

/// One client's two sockets.
#[derive(Debug)]
struct Pair {
    udp: UdpSocket,
    tcp: TcpStream,
    /// The client's address is known.
    has_peer: bool,
    is_open: bool,
    deframer: Deframer,
    /// Whole packets in their frames, from `sent` on not written yet.
    unsent: Vec<u8>,
    sent: usize,
}

impl Pair {
    fn new(udp: UdpSocket, tcp: TcpStream) -> Self {
        let deframer = Deframer::default();
        Self { udp, tcp, has_peer: false, is_open: true, deframer, unsent: Vec::new(), sent: 0 }
    }

    /// Datagrams of the client, to the connection; returns how many were lost.
    fn read_udp(&mut self, buffer: &mut [u8]) -> io::Result<u64> {
        let mut lost = 0;
        for _ in 0..TURN_MAX {
            let length = match self.udp.recv_from(buffer) {
                Ok((length, from)) => {
                    if !self.has_peer {
                        self.udp.connect(from)?;
                        self.has_peer = true;
                    }
                    length
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The client's socket is gone: so is the client.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
                Err(error) => return Err(error),
            };
            let has_room = self.is_open && self.unsent.len() - self.sent < UNSENT_BYTES_MAX;
            if !(has_room && frame(&buffer[..length], &mut self.unsent)) {
                lost += 1;
            }
        }
        self.write();
        Ok(lost)
    }

    /// Writes what waits, as far as the connection takes it.
    fn write(&mut self) {
        while self.is_open && self.sent < self.unsent.len() {
            match self.tcp.write(&self.unsent[self.sent..]) {
                Ok(written) if written > 0 => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => self.is_open = false,
            }
        }
        self.unsent.drain(..self.sent);
        self.sent = 0;
    }

    /// Packets of the worker, to the client; returns how many were lost.
    fn read_tcp(&mut self, buffer: &mut [u8]) -> u64 {
        let mut lost = 0;
        for _ in 0..TURN_MAX {
            match self.tcp.read(buffer) {
                Ok(length) if length > 0 => self.deframer.push(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => {
                    self.is_open = false;
                    break;
                }
            }
            while let Some(packet) = self.deframer.next_packet() {
                lost += u64::from(self.udp.send(packet).is_err());
            }
        }
        lost
    }
}

/// The thread's own state. A pair's UDP socket has the token twice its index, its connection the one after.
struct Thread {
    shared: Arc<Shared>,
    epoll: Epoll,
    pairs: Vec<Pair>,
}

impl Thread {
    fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        while !self.shared.stop.load(Ordering::Acquire) {
            let ready = self.epoll.wait(WAIT)?;
            for index in 0..ready {
                if let Some(token) = self.epoll.token(index) {
                    self.handle(token, &mut buffer)?;
                }
            }
            for pair in self.pairs.iter_mut().filter(|pair| !pair.unsent.is_empty()) {
                pair.write();
            }
            self.take_new()?;
        }
        Ok(())
    }

    fn handle(&mut self, token: usize, buffer: &mut [u8]) -> io::Result<()> {
        let Some(pair) = self.pairs.get_mut(token / 2) else { return Ok(()) };
        let was_open = pair.is_open;
        let lost = if token.is_multiple_of(2) { pair.read_udp(buffer)? } else { pair.read_tcp(buffer) };
        self.shared.lost.fetch_add(lost, Ordering::Relaxed);
        if was_open && !pair.is_open {
            // A closed connection is readable for ever.
            self.epoll.remove(&pair.tcp)?;
        }
        Ok(())
    }

    fn take_new(&mut self) -> io::Result<()> {
        let new = std::mem::take(&mut *self.shared.new.lock().unwrap_or_else(PoisonError::into_inner));
        for pair in new {
            let token = 2 * self.pairs.len();
            self.epoll.add(&pair.udp, token)?;
            self.epoll.add(&pair.tcp, token + 1)?;
            self.pairs.push(pair);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(10);

    struct Worker {
        stream: TcpStream,
        deframer: Deframer,
    }

    impl Worker {
        fn accept(listener: &TcpListener) -> Self {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            Self { stream, deframer: Deframer::default() }
        }

        fn packet(&mut self) -> Vec<u8> {
            let mut buffer = [0; 1_000];
            loop {
                if let Some(packet) = self.deframer.next_packet() {
                    return packet.to_vec();
                }
                let length = self.stream.read(&mut buffer).unwrap();
                assert!(length > 0, "the connection is closed");
                self.deframer.push(&buffer[..length]);
            }
        }
    }

    fn client(bridge: SocketAddr) -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.connect(bridge).unwrap();
        client
    }

    #[test]
    fn datagrams_of_two_clients_become_frames_and_come_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut bridge = Bridge::start().unwrap();
        for name in [b'a', b'b'] {
            let client = client(bridge.connect(listener.local_addr().unwrap()).unwrap());
            let mut worker = Worker::accept(&listener);
            for length in [1, 700, 1_400] {
                let sent = vec![name; length];
                client.send(&sent).unwrap();
                assert_eq!(worker.packet(), sent);
                let mut framed = Vec::new();
                assert!(frame(&sent, &mut framed));
                // Cut in the middle of the length.
                worker.stream.write_all(&framed[..1]).unwrap();
                worker.stream.write_all(&framed[1..]).unwrap();
                let mut received = [0; 2_000];
                assert_eq!(client.recv(&mut received).unwrap(), length);
                assert_eq!(received[..length], sent);
            }
        }
        assert_eq!(bridge.lost(), 0);
        assert!(!bridge.has_failed());
    }

    #[test]
    fn what_a_connection_does_not_take_is_bounded_and_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut bridge = Bridge::start().unwrap();
        let client = client(bridge.connect(listener.local_addr().unwrap()).unwrap());
        let worker = Worker::accept(&listener);
        let begin = std::time::Instant::now();
        while bridge.lost() == 0 {
            client.send(&[7; 1_400]).unwrap();
            assert!(begin.elapsed() < 6 * LIMIT, "nobody reads, and nothing is lost");
        }
        drop(worker);
        assert!(!bridge.has_failed());
    }

    #[test]
    fn a_connection_that_is_closed_ends_its_client_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut bridge = Bridge::start().unwrap();
        let to = listener.local_addr().unwrap();
        let gone = client(bridge.connect(to).unwrap());
        drop(Worker::accept(&listener));
        let other = client(bridge.connect(to).unwrap());
        let mut worker = Worker::accept(&listener);
        let begin = std::time::Instant::now();
        while bridge.lost() == 0 {
            gone.send(&[1]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
            assert!(begin.elapsed() < LIMIT);
        }
        other.send(&[2; 9]).unwrap();
        assert_eq!(worker.packet(), [2; 9]);
        assert!(!bridge.has_failed());
    }
}
