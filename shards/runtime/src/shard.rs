//! A shard: one thread, one glommio executor, one driver.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use ringsoup_sfu::sfu::{Sfu, SfuConfig};

use crate::clock::Clock;
use crate::driver::Driver;
use crate::mailbox::{Mailbox, Notify, ShardMailbox, mailbox};
use crate::mesh::Mesh;
use crate::socket::port_book::PortBook;

/// What glommio pins per ring, of which it has three: no file I/O is done through it, so next to nothing.
const IO_MEMORY_BYTES: usize = 64 << 10;
/// Entries of glommio's own rings, which carry nothing but its timer.
const RING_DEPTH: usize = 16;
/// Preemption of the only task is pointless, and below 10 ms glommio can park for ever with work to do.
const PREEMPT_TIMER: Duration = Duration::from_millis(100);
/// How long the shards gather under load unless told otherwise.
pub const COALESCE_DEFAULT: Duration = Duration::from_micros(500);
/// And at most: more would be heard.
pub const COALESCE_MAX: Duration = Duration::from_millis(5);

/// What a shard is started with.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// Names the thread: `shard-<index>`.
    pub index: usize,
    /// The CPU to pin to; any when `None`.
    pub cpu: Option<usize>,
    pub sfu: SfuConfig,
    pub clock: Clock,
    /// How long a loaded shard gathers packets before it acts, so that trains grow; zero switches it off.
    /// Taken down to [`COALESCE_MAX`].
    pub coalesce: Duration,
    /// The ways to the other shards of the process, of which this is one.
    pub mesh: Arc<Mesh>,
    /// The process's.
    pub ports: PortBook,
}

/// Why a shard did not start.
#[derive(Debug)]
pub enum StartError {
    /// io_uring is denied (seccomp, `kernel.io_uring_disabled`) or too old (Linux 6.1 is needed).
    Ring(io::Error),
    /// glommio refused: most often RLIMIT_MEMLOCK below 512 KiB, or a CPU that is not there.
    Executor(String),
    /// No thread or no eventfd.
    Thread(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ring(error) => write!(formatter, "io_uring cannot be used: {error}"),
            Self::Executor(reason) => write!(formatter, "executor cannot start: {reason}"),
            Self::Thread(error) => write!(formatter, "thread cannot start: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running shard. Dropping it stops the shard and joins its thread.
#[derive(Debug)]
pub struct ShardHandle {
    index: usize,
    mailbox: Mailbox,
    thread: Option<JoinHandle<()>>,
}

impl ShardHandle {
    /// Starts the thread and waits until the shard is ready or has failed.
    ///
    /// `notify` is called on the shard's thread once per batch of messages for control.
    ///
    /// # Errors
    /// Nothing is left behind.
    pub fn start(config: ShardConfig, notify: Notify) -> Result<Self, StartError> {
        let index = config.index;
        let flag = config.mesh.flag(index).map_err(StartError::Thread)?;
        let (control_end, shard_end) = mailbox(notify, flag);
        let (ready, started) = flume::bounded(1);
        let thread = std::thread::Builder::new()
            .name(format!("shard-{index}"))
            .spawn(move || run(config, shard_end, &ready))
            .map_err(StartError::Thread)?;
        match started.recv() {
            Ok(Ok(())) => Ok(Self { index, mailbox: control_end, thread: Some(thread) }),
            Ok(Err(error)) => {
                let _ = thread.join();
                Err(error)
            }
            Err(_) => {
                let reason = thread.join().err().map_or_else(|| "ended".to_owned(), |panic| message(&*panic));
                Err(StartError::Executor(reason))
            }
        }
    }

    pub fn index(&self) -> usize {
        self.index
    }

    /// The queues to and from the shard.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// True when the thread has ended or is about to.
    pub fn is_gone(&self) -> bool {
        self.mailbox.is_gone()
    }

    /// Stops the shard and joins its thread. Sockets are closed on return. What it said last can still be
    /// read from the returned mailbox.
    pub fn stop(mut self) -> StoppedShard {
        self.join();
        StoppedShard { handle: self }
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.mailbox.send_stop();
            // A panic outside the contained calls was reported by the panic hook; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Drop for ShardHandle {
    fn drop(&mut self) {
        self.join();
    }
}

/// A shard whose thread has ended.
#[derive(Debug)]
pub struct StoppedShard {
    handle: ShardHandle,
}

impl StoppedShard {
    /// What is left to read.
    pub fn mailbox(&self) -> &Mailbox {
        &self.handle.mailbox
    }
}

fn run(config: ShardConfig, mailbox: ShardMailbox, ready: &flume::Sender<Result<(), StartError>>) {
    let executor = match executor(config.cpu) {
        Ok(executor) => executor,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let sfu = Sfu::new(config.sfu.clone(), Box::new(fill_random));
    let driver = Driver::new(&config, sfu, mailbox);
    match driver {
        Ok(driver) => {
            let _ = ready.send(Ok(()));
            executor.run(async move { driver.run() });
        }
        Err(error) => {
            let _ = ready.send(Err(StartError::Ring(error)));
        }
    }
}

/// Key material from the kernel. A kernel without randomness cannot serve SRTP: the panic answers the command.
fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("getrandom(2) works on every kernel that has io_uring");
}

/// glommio panics where a ring cannot be had, so that is caught here too.
fn executor(cpu: Option<usize>) -> Result<LocalExecutor, StartError> {
    let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
    let made = catch_unwind(AssertUnwindSafe(|| {
        LocalExecutorBuilder::new(placement)
            .io_memory(IO_MEMORY_BYTES)
            .ring_depth(RING_DEPTH)
            .preempt_timer(PREEMPT_TIMER)
            .make()
    }));
    match made {
        Ok(Ok(executor)) => Ok(executor),
        Ok(Err(error)) => Err(StartError::Executor(error.to_string())),
        Err(panic) => Err(StartError::Executor(message(&*panic))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use ringsoup_rtc::dtls::{Certificate, NoHandshakes};
    use ringsoup_rtc::ice::Sealer;
    use ringsoup_sfu::command::{Command, PlainTransportOptions, Protocol};
    use ringsoup_sfu::listen;
    use ringsoup_sfu::reply::Reply;
    use ringsoup_sfu::served::ServerKey;

    use super::*;
    use crate::mailbox::{FromShard, ToShard};
    use crate::socket::listen::{ListenSocket, Listener, ServerSockets};
    use crate::test_options::{listen_info, transport_options};
    use ringsoup_sfu::rules::Rules;

    /// No answer takes this long unless the shard hangs.
    const PATIENCE: Duration = Duration::from_secs(1);
    /// glommio's park bug showed within 2 s; a little longer.
    const HANG_TEST: u64 = 3_000;

    fn config(index: usize) -> ShardConfig {
        let clock = Clock::start();
        let sfu = SfuConfig {
            seed: 1,
            unix_origin_us: clock.unix_origin_us(),
            rtc_ports: (10_000, 59_999),
            certificate: Arc::new(Certificate::new(Vec::new(), Vec::new())),
            dtls: Arc::new(NoHandshakes),
            rules: Rules::NEWEST,
        };
        ShardConfig {
            index,
            cpu: None,
            sfu,
            clock,
            coalesce: COALESCE_DEFAULT,
            mesh: Mesh::new(index + 1),
            ports: PortBook::default(),
        }
    }

    fn start(index: usize) -> ShardHandle {
        ShardHandle::start(config(index), Box::new(|| ())).unwrap()
    }

    fn ask(shard: &ShardHandle, token: u64) {
        shard.mailbox().send(ToShard::Command { token, command: Command::ReportShard }).unwrap();
    }

    fn expect_reply(shard: &ShardHandle, token: u64) {
        match shard.mailbox().receive_timeout(PATIENCE) {
            Some(FromShard::Reply { token: answered, .. }) => assert_eq!(answered, token),
            other => panic!("no reply to {token}: {other:?}"),
        }
    }

    #[test]
    fn a_stopped_shard_answers_what_was_asked_before_and_says_so_last() {
        let shard = start(0);
        ask(&shard, 1);
        ask(&shard, 2);
        let stopped = shard.stop();
        let words: Vec<_> = std::iter::from_fn(|| stopped.mailbox().receive()).collect();
        assert!(
            matches!(
                words[..],
                [FromShard::Reply { token: 1, .. }, FromShard::Reply { token: 2, .. }, FromShard::Stopped]
            ),
            "{words:?}"
        );
    }

    #[test]
    fn the_notifier_runs_on_the_shards_own_thread() {
        let (names, told) = flume::unbounded();
        let notify = Box::new(move || {
            let _ = names.send(std::thread::current().name().map(str::to_owned));
        });
        let shard = ShardHandle::start(config(7), notify).unwrap();
        ask(&shard, 1);
        expect_reply(&shard, 1);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap().as_deref(), Some("shard-7"));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error_value() {
        let pinned = ShardConfig { cpu: Some(1_000_000), ..config(0) };
        assert!(matches!(ShardHandle::start(pinned, Box::new(|| ())), Err(StartError::Executor(_))));
    }

    #[test]
    fn a_shard_never_sleeps_through_a_command() {
        let shard = start(0);
        let clock = Clock::start();
        let mut token = 0;
        // A small generator: pauses from none to 20 ms, so that sleep is met at every stage.
        let mut random = 12_345_u64;
        while clock.now().as_millis() < HANG_TEST {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pause_us = match (random >> 33) % 4 {
                0 => 0,
                1 => (random >> 40) % 100,
                _ => (random >> 40) % 20_000,
            };
            std::thread::sleep(Duration::from_micros(pause_us));
            token += 1;
            ask(&shard, token);
            expect_reply(&shard, token);
        }
        shard.mailbox().send(ToShard::Command { token: 0, command: Command::ReportShard }).unwrap();
        let Some(FromShard::Reply { result: Ok(Reply::ShardReport(report)), .. }) =
            shard.mailbox().receive_timeout(PATIENCE)
        else {
            panic!("no report");
        };
        assert!(report.io.iter().any(|&(name, turns)| name == "turns" && turns > 0));
    }

    fn plain_transport() -> PlainTransportOptions {
        PlainTransportOptions {
            base: transport_options(),
            listen_info: listen_info(),
            rtcp_listen_info: None,
            rtcp_mux: true,
            comedia: true,
            srtp_crypto_suite: None,
        }
    }

    /// Sends a command and returns its answer; events in between are ignored.
    fn command(shard: &ShardHandle, command: Command) -> Reply {
        shard.mailbox().send(ToShard::Command { token: 99, command }).unwrap();
        loop {
            match shard.mailbox().receive_timeout(PATIENCE) {
                Some(FromShard::Reply { token: 99, result }) => break result.unwrap(),
                Some(FromShard::Event(_)) => {}
                other => panic!("no reply: {other:?}"),
            }
        }
    }

    fn create_transport(shard: &ShardHandle) -> u16 {
        command(shard, Command::CreateRouter { router: "router".into() });
        let create = Command::CreatePlainTransport {
            router: "router".into(),
            transport: "transport".into(),
            options: Box::new(plain_transport()),
        };
        let Reply::PlainTransportDump(dump) = command(shard, create) else { panic!("not a dump") };
        dump.tuple.local_port
    }

    #[test]
    fn commands_are_answered_under_packet_load() {
        let shard = start(0);
        let port = create_transport(&shard);
        let flooding = AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let packet = [0x80; 1200];
                while flooding.load(Ordering::Relaxed) {
                    let _ = socket.send_to(&packet, (Ipv4Addr::LOCALHOST, port));
                }
            });
            for _ in 0..200 {
                command(&shard, Command::DumpRouter { router: "router".into() });
                std::thread::sleep(Duration::from_millis(2));
            }
            flooding.store(false, Ordering::Relaxed);
        });
        let Reply::ShardReport(report) = command(&shard, Command::ReportShard) else {
            panic!("not a report")
        };
        assert!(report.received_packets > 0);
    }

    #[test]
    fn sockets_of_a_stopped_shard_are_free() {
        let shard = start(0);
        let port = create_transport(&shard);
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_err());
        shard.stop();
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    #[test]
    fn a_servers_sockets_are_read_or_given_back() {
        let shard = start(0);
        command(&shard, Command::CreateRouter { router: "taken".into() });
        let open = |server: &str| {
            let request = listen::request(&listen_info(), (20_000, 29_999)).unwrap();
            let socket = ListenSocket::open(&request, &PortBook::default()).unwrap();
            let port = socket.local().port();
            let listeners = vec![(Protocol::Udp, Listener::Here(socket))];
            let sealer = Sealer::new([1; 16]);
            let sockets = ServerSockets { key: ServerKey(1), listeners, sealer, readers: Vec::new() };
            let (token, sockets) = (77, Box::new(sockets));
            shard
                .mailbox()
                .send(ToShard::OpenWebRtcServer { token, server: server.into(), sockets })
                .unwrap();
            match shard.mailbox().receive_timeout(PATIENCE) {
                Some(FromShard::Reply { token: 77, result }) => (port, result.is_ok()),
                other => panic!("no reply: {other:?}"),
            }
        };
        let (refused, accepted) = open("taken");
        assert!(!accepted);
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, refused)).is_ok());
        let (port, accepted) = open("server");
        assert!(accepted);
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        peer.send_to(&[0, 1, 0, 0], (Ipv4Addr::LOCALHOST, port)).unwrap();
        let started = Clock::start();
        loop {
            let Reply::ShardReport(report) = command(&shard, Command::ReportShard) else {
                panic!("not a report")
            };
            if report.dropped.contains(&("unknown_tuple", 1)) {
                break;
            }
            assert!(started.now().as_millis() < 1_000, "{report:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        command(&shard, Command::CloseWebRtcServer { server: "server".into() });
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    #[test]
    fn many_commands_at_once_are_answered_in_order() {
        let shard = start(0);
        for token in 0..1000 {
            ask(&shard, token);
        }
        for token in 0..1000 {
            expect_reply(&shard, token);
        }
    }
}
