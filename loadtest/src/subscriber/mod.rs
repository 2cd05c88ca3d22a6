//! The receiving side: one thread drains every subscriber's socket in ticks and keeps the accounts.
//!
//! It polls each millisecond instead of sleeping in the kernel: nobody who sends to it then pays for
//! waking it, neither the worker nor the floor, and latency is still exact because the kernel stamps
//! each datagram on arrival.

mod account;
mod layers;
mod nack;
mod pictures;
mod report;
mod sequence;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use account::is_floor;
use report::REPORTER_SSRC;

pub(crate) use account::{Account, Consumer, FLOOR_SSRC, Totals};
pub(crate) use layers::{LayerPair, LayerTotals};
pub(crate) use pictures::PictureTotals;

use crate::impair::{Line, Network};
use crate::srtp::Unprotector;
use crate::sys::{Epoll, ReceiveBatch, monotonic_ns, realtime_ns, set_precise_timers, sleep_until};
use crate::webrtc::{Client, Timers};
use crate::{net, rtcp};

/// How often the sockets are drained.
const TICK_NS: u64 = 1_000_000;
/// Receiver reports go out about once a second (RFC 3550 6.2 leaves the interval to the session).
const REPORT_INTERVAL_NS: u64 = 1_000_000_000;
/// Sockets one poll reports; the rest are reported by the next.
const EVENTS: usize = 256;
/// Without trains a buffer holds one datagram of an Ethernet's size.
const DATAGRAM_BUFFERS: (usize, usize) = (32, 2048);
/// A train may be as long as a UDP datagram.
const TRAIN_BUFFERS: (usize, usize) = (8, 65_536);

/// The subscribers' losses are not the publishers'.
const NETWORK_SALT: u64 = 2 << 48;

/// One receiving socket.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) socket: UdpSocket,
    /// Where its receiver reports go: the worker's transport.
    pub(crate) worker: Option<SocketAddr>,
    pub(crate) srtp: Option<Unprotector>,
    /// Of a WebRTC transport: keeps the worker's consent.
    pub(crate) client: Option<Client>,
}

impl Subscriber {
    /// Protects RTCP; false when it cannot be sent.
    fn protect(&mut self, packet: &mut Vec<u8>) -> bool {
        self.srtp.as_mut().is_none_or(|srtp| srtp.protect_rtcp(packet))
    }

    /// Sends RTCP to the worker. What cannot be sent now is lost, as RTCP may be.
    fn send(&self, packet: &[u8]) {
        if let Some(worker) = self.worker {
            let _ = self.socket.send_to(packet, worker);
        }
    }
}

/// The accounts, for whoever else needs a look.
#[derive(Clone, Debug)]
pub(crate) struct SharedAccount(Arc<Mutex<Account>>);

impl SharedAccount {
    /// Only short critical sections hold it; a panic elsewhere must not hide the figures.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The running receive thread; stops and joins when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    account: SharedAccount,
    sockets: Vec<UdpSocket>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Receiver {
    /// Starts draining `subscribers`, accounting for `consumers`. Where the network is impaired, missing video is asked for
    /// again.
    pub(crate) fn start(
        subscribers: Vec<Subscriber>,
        consumers: Vec<Consumer>,
        gro: bool,
        network: &Network,
    ) -> io::Result<Self> {
        let sockets = subscribers.iter().map(|each| each.socket.try_clone()).collect::<Result<_, _>>()?;
        let account =
            SharedAccount(Arc::new(Mutex::new(Account::new(consumers, network.nack_interval_ns()))));
        let stop = Arc::new(AtomicBool::new(false));
        let drain = Drain::new(subscribers, account.clone(), Arc::clone(&stop), gro, network)?;
        let thread = std::thread::Builder::new().name("subscribers".to_owned()).spawn(move || drain.run())?;
        Ok(Self { account, sockets, stop, thread: Some(thread) })
    }

    /// The accounts, for a moment.
    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock()
    }

    pub(crate) fn shared_account(&self) -> SharedAccount {
        self.account.clone()
    }

    /// Datagrams the kernel dropped because the harness did not drain in time.
    pub(crate) fn socket_drops(&self) -> u64 {
        self.sockets.iter().map(net::drops).sum()
    }

    /// True once the receive thread has ended, which before `stop` means it failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Receiver {
    /// Ends the thread; nothing is received or reported any more.
    pub(crate) fn shut_down(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("loadtest: the receive thread failed: {error}"),
                Err(_) => eprintln!("loadtest: the receive thread panicked"),
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// The thread's own state.
struct Drain {
    subscribers: Vec<Subscriber>,
    account: SharedAccount,
    stop: Arc<AtomicBool>,
    epoll: Epoll,
    gro: bool,
    report_at_ns: u64,
    report_cursor: usize,
    /// Of the clients of WebRTC transports.
    timers: Timers,
    /// What the network does on the way to the worker, and from it.
    up: Option<Line>,
    down: Option<Line>,
}

impl Drain {
    fn new(
        subscribers: Vec<Subscriber>,
        account: SharedAccount,
        stop: Arc<AtomicBool>,
        gro: bool,
        network: &Network,
    ) -> io::Result<Self> {
        let (up, down) = network.lines(subscribers.len(), NETWORK_SALT);
        let epoll = Epoll::new(EVENTS)?;
        let mut timers = Timers::default();
        for (index, subscriber) in subscribers.iter().enumerate() {
            epoll.add(&subscriber.socket, index)?;
            timers.set(index, subscriber.client.as_ref().and_then(Client::next_timeout_ns));
        }
        Ok(Self {
            subscribers,
            account,
            stop,
            epoll,
            gro,
            report_at_ns: 0,
            report_cursor: 0,
            timers,
            up,
            down,
        })
    }

    fn run(mut self) -> io::Result<()> {
        set_precise_timers();
        let (buffers, bytes) = if self.gro { TRAIN_BUFFERS } else { DATAGRAM_BUFFERS };
        let mut batch = ReceiveBatch::new(buffers, bytes);
        let mut next_ns = monotonic_ns();
        while !self.stop.load(Ordering::Relaxed) {
            let more = self.turn(&mut batch)?;
            self.keep_consent();
            self.deliver();
            self.ask_again();
            self.send_reports();
            let now_ns = monotonic_ns();
            next_ns += TICK_NS;
            if more || next_ns < now_ns {
                next_ns = now_ns;
            } else {
                sleep_until(next_ns);
            }
        }
        Ok(())
    }

    /// Drains every ready socket once. True when something was surely left behind.
    fn turn(&mut self, batch: &mut ReceiveBatch) -> io::Result<bool> {
        let ready = self.epoll.poll()?;
        if ready == 0 {
            return Ok(false);
        }
        let mut more = ready == EVENTS;
        let mut account = self.account.lock();
        // Kernel stamps are wall-clock time, the publishers' monotonic: one difference per turn.
        let now_ns = monotonic_ns();
        account.set_clock(realtime_ns(), now_ns);
        for index in 0..ready {
            let Some(token) = self.epoll.token(index) else {
                continue;
            };
            let Some(subscriber) = self.subscribers.get_mut(token) else {
                continue;
            };
            let count = batch.receive(&subscriber.socket)?;
            more |= count == batch.capacity();
            for datagram in 0..count {
                let received = batch.get(datagram);
                let segment = received.segment_bytes.unwrap_or(received.bytes.len()).max(1);
                for packet in received.bytes.chunks_mut(segment) {
                    if let Some(client) = &mut subscriber.client
                        && Client::is_signalling(packet)
                    {
                        client.handle(now_ns, packet);
                        self.timers.set(token, client.next_timeout_ns());
                        continue;
                    }
                    let received_at_ns = received.received_at_ns;
                    let down = self.down.as_mut().filter(|_| !is_floor(packet));
                    if down.is_none_or(|down| down.passes(now_ns, token, packet, received_at_ns)) {
                        account.receive(token, packet, received_at_ns, subscriber.srtp.as_mut());
                    }
                }
            }
        }
        Ok(more)
    }

    /// What clients of WebRTC transports send by themselves.
    fn keep_consent(&mut self) {
        let now_ns = monotonic_ns();
        while let Some(index) = self.timers.pop(now_ns) {
            if let Some(client) =
                self.subscribers.get_mut(index).and_then(|subscriber| subscriber.client.as_mut())
            {
                client.handle_timeout(now_ns);
                self.timers.set(index, client.next_timeout_ns());
            }
        }
    }

    /// What was on its way and has arrived, from the worker and at it.
    fn deliver(&mut self) {
        if self.up.is_none() && self.down.is_none() {
            return;
        }
        let now_ns = monotonic_ns();
        let mut account = self.account.lock();
        account.set_clock(realtime_ns(), now_ns);
        while let Some(mut arrived) = self.down.as_mut().and_then(|down| down.pop(now_ns)) {
            if let Some(subscriber) = self.subscribers.get_mut(arrived.client) {
                let srtp = subscriber.srtp.as_mut();
                account.receive(arrived.client, &mut arrived.bytes, arrived.received_at_ns, srtp);
            }
        }
        while let Some(arrived) = self.up.as_mut().and_then(|up| up.pop(now_ns)) {
            if let Some(subscriber) = self.subscribers.get(arrived.client) {
                subscriber.send(&arrived.bytes);
            }
        }
        let totals = |line: &Option<Line>| line.as_ref().map(Line::totals).unwrap_or_default();
        account.set_lines(totals(&self.up), totals(&self.down));
    }

    /// Hands RTCP of a subscriber to the network.
    fn send(&mut self, index: usize, mut packet: Vec<u8>) {
        let Some(subscriber) = self.subscribers.get_mut(index) else { return };
        if !subscriber.protect(&mut packet) {
            return;
        }
        let up = self.up.as_mut();
        if up.is_none_or(|up| up.passes(monotonic_ns(), index, &packet, None)) {
            subscriber.send(&packet);
        }
    }

    /// NACKs for what is missing.
    fn ask_again(&mut self) {
        let wanted = self.account.lock().take_wanted(monotonic_ns());
        for wanted in wanted {
            let mut packet = Vec::new();
            rtcp::write_nack(REPORTER_SSRC, wanted.ssrc, &wanted.sequences, &mut packet);
            self.send(wanted.subscriber, packet);
        }
    }

    /// A receiver report from each subscriber about once a second, a few of them per tick so that they
    /// do not come in a burst.
    fn send_reports(&mut self) {
        let now_ns = monotonic_ns();
        if now_ns < self.report_at_ns || self.subscribers.is_empty() {
            return;
        }
        let step_ns = REPORT_INTERVAL_NS / u64::try_from(self.subscribers.len()).unwrap_or(1);
        self.report_at_ns = if self.report_at_ns == 0 { now_ns } else { self.report_at_ns } + step_ns.max(1);
        if self.report_at_ns + REPORT_INTERVAL_NS < now_ns {
            self.report_at_ns = now_ns;
        }
        self.report_cursor = (self.report_cursor + 1) % self.subscribers.len();
        let index = self.report_cursor;
        let reports = self.account.lock().receiver_reports(index, now_ns);
        for packet in reports {
            self.send(index, packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Kind;
    use crate::rtp::Header;
    use std::time::{Duration, Instant};

    #[test]
    fn datagrams_reach_the_account() {
        let socket = net::receiving_socket(false).unwrap();
        let to = socket.local_addr().unwrap();
        let consumer = Consumer::new(0, 0, 77, None, Kind::Opus);
        let subscriber = Subscriber { socket, worker: None, srtp: None, client: None };
        let receiver = Receiver::start(vec![subscriber], vec![consumer], false, &Network::default()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for sequence in [1, 2, 4] {
            let mut packet = [0; 40];
            let header = Header { payload_type: 100, marker: false, sequence, timestamp: 0, ssrc: 77 };
            header.write(&[], &mut packet).unwrap();
            sender.send_to(&packet, to).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while receiver.account().totals().packets < 3 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let totals = receiver.account().totals();
        assert_eq!((totals.packets, totals.unique, totals.expected), (3, 3, 4));
        assert_eq!(receiver.socket_drops(), 0);
        assert!(!receiver.has_failed());
    }
}
