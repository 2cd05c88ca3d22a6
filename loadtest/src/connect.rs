//! What a connected WebRTC transport costs before any media: CPU per handshake, how long one takes, and memory.
//!
//! Transports are created and told of their peers first, then come the handshakes, as fast as they go or at a rate, and
//! then all sit idle but for their consent checks; each part is accounted for by itself.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ringsoup_fbs::fbs::request::Method;
use ringsoup_fbs::flatbuffers::FlatBufferBuilder;
use serde::Serialize;

use crate::channel::Channel;
use crate::cli::Cli;
use crate::cpu::{self, ThreadTimes};
use crate::error::Error;
use crate::harness::{await_running, explain};
use crate::latency::{self, Percentiles};
use crate::net;
use crate::progress::Progress;
use crate::report::{float, percent_of_core};
use crate::rng::Rng;
use crate::session::WebRtc;
use crate::sys::{monotonic_ns, set_precise_timers};
use crate::transport_bodies::{Listening, close_router, connect_webrtc, create_router, create_webrtc_server};
use crate::webrtc::{Client, Dialer, Identity, Remote};
use crate::worker::{Launch, Worker, find_binary};

/// Clients the mode makes unless told otherwise.
pub(crate) const CLIENTS: u32 = 1_000;
/// Seconds everybody sits idle unless told otherwise.
const IDLE_S: f64 = 10.0;
/// Handshakes at a time unless a rate is asked for.
const AT_ONCE: usize = 16;
/// At a rate, what a worker that does not keep up may leave under way.
const UNDER_WAY_MAX: usize = 1_024;
/// How long a look for what arrived may wait.
const TURN: Duration = Duration::from_millis(1);
/// Memory is looked at when the last timers of a handshake have run out.
const SETTLE: Duration = Duration::from_secs(1);
const BYTES_PER_KIB: f64 = 1024.0;
const NANOS_PER_MICRO: f64 = 1_000.0;
const NANOS_PER_SECOND: f64 = 1e9;
/// Routers, so that all shards of the worker have their part.
const CLIENTS_PER_ROUTER: u32 = 50;

/// What the worker used and holds at the end of one part.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) wall_s: f64,
    pub(crate) worker_us_per_client: f64,
    pub(crate) worker_core_percent: f64,
    pub(crate) harness_us_per_client: f64,
    pub(crate) resident_bytes: u64,
    /// More than before there were clients.
    pub(crate) kib_per_client: f64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Connect {
    pub(crate) worker: String,
    pub(crate) clients: u32,
    pub(crate) transport: &'static str,
    pub(crate) rate: Option<f64>,
    pub(crate) suites: BTreeMap<&'static str, u64>,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) resident_bytes_before: u64,
    pub(crate) creation: Part,
    pub(crate) handshakes: Part,
    pub(crate) handshakes_per_second: f64,
    /// From a client's first check until it has keys.
    pub(crate) handshake: Percentiles,
    pub(crate) idle: Part,
    /// Of those that connected.
    pub(crate) lost_while_idle: usize,
    pub(crate) resident_bytes_closed: u64,
}

impl Connect {
    pub(crate) fn succeeded(&self) -> bool {
        self.failures.is_empty() && self.lost_while_idle == 0
    }

    /// For people.
    pub(crate) fn render(&self) -> String {
        let mut text = format!(
            "\n{} clients on {} transports, worker {}{}\n",
            self.clients,
            self.transport,
            self.worker,
            self.rate.map_or_else(String::new, |rate| format!(", {rate} handshakes a second offered")),
        );
        for (name, part) in
            [("creation", &self.creation), ("handshakes", &self.handshakes), ("idle", &self.idle)]
        {
            let _ = writeln!(
                text,
                "{name:11} {:6.2} s; worker {:7.1} us of CPU a client ({:.1} % of a core), harness {:7.1} us; RSS {:.1} MiB, {:.1} KiB a client",
                part.wall_s,
                part.worker_us_per_client,
                part.worker_core_percent,
                part.harness_us_per_client,
                float(part.resident_bytes) / BYTES_PER_KIB / BYTES_PER_KIB,
                part.kib_per_client,
            );
        }
        let latency = &self.handshake;
        let _ = writeln!(
            text,
            "a handshake took p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, at most {:.2} ms; {:.0} a second",
            latency.p50_us / 1e3,
            latency.p90_us / 1e3,
            latency.p99_us / 1e3,
            latency.max_us / 1e3,
            self.handshakes_per_second,
        );
        let suites: Vec<String> =
            self.suites.iter().map(|(suite, count)| format!("{count} with {suite}")).collect();
        let _ = writeln!(
            text,
            "connected: {}; lost while idle: {}; RSS after closing {:.1} MiB, before {:.1} MiB",
            suites.join(", "),
            self.lost_while_idle,
            float(self.resident_bytes_closed) / BYTES_PER_KIB / BYTES_PER_KIB,
            float(self.resident_bytes_before) / BYTES_PER_KIB / BYTES_PER_KIB,
        );
        for (failure, count) in &self.failures {
            let _ = writeln!(text, "failed: {count} times: {failure}");
        }
        text
    }
}

pub(crate) fn run(cli: &Cli, stop: &Arc<AtomicBool>) -> Result<Connect, Error> {
    let launch = Launch {
        binary: find_binary(cli.worker.as_deref())?,
        shards: cli.shards,
        log_level: cli.worker_log.clone(),
    };
    let (mut worker, to_worker, from_worker) = Worker::spawn(&launch)?;
    let channel = Channel::new(to_worker, from_worker)?;
    await_running(&mut worker, &channel)?;
    set_precise_timers();
    let progress = Progress::new();
    let session = Session {
        cli,
        channel: &channel,
        pid: worker.pid(),
        builder: FlatBufferBuilder::new(),
        routers: Vec::new(),
        stop,
        progress: &progress,
    };
    let name = launch.binary.display().to_string();
    let result = session.run(name).map_err(|error| explain(&error, &mut worker, &channel));
    progress.finish();
    let connect = result?;
    channel.close();
    worker.wait_closed()?;
    Ok(connect)
}

struct Session<'a> {
    cli: &'a Cli,
    channel: &'a Channel,
    pid: u32,
    builder: FlatBufferBuilder<'static>,
    routers: Vec<String>,
    stop: &'a AtomicBool,
    progress: &'a Progress,
}

/// What handshakes led to.
struct Handshakes {
    latency: Histogram<u64>,
    suites: BTreeMap<&'static str, u64>,
    failures: BTreeMap<String, u64>,
    connected: u64,
}

impl Session<'_> {
    fn run(mut self, worker: String) -> Result<Connect, Error> {
        let webrtc = self.cli.webrtc();
        let clients = self.cli.clients;
        let listening = self.prepare(&webrtc)?;
        let mut account = Account::new(self.pid, clients)?;
        let resident_bytes_before = account.resident_before;
        self.progress.stage("creating transports");
        let waiting = self.create(&webrtc, &listening, clients)?;
        let creation = account.part()?;

        self.progress.stage("handshakes");
        let mut dialer = Dialer::new().map_err(Error::io("making handshakes"))?;
        let handshakes = self.shake_hands(&mut dialer, waiting)?;
        let mut part = account.part()?;
        let handshakes_per_second = float(handshakes.connected) / part.wall_s;

        self.progress.stage("idle");
        std::thread::sleep(SETTLE);
        part.hold(&account)?;
        account.restart()?;
        let idle = Duration::from_secs_f64(self.cli.duration.unwrap_or(IDLE_S));
        self.idle(&mut dialer, idle)?;
        let idle = account.part()?;
        let connected = usize::try_from(handshakes.connected).unwrap_or(usize::MAX);
        let lost_while_idle = connected.saturating_sub(dialer.connected());

        self.close()?;
        std::thread::sleep(SETTLE);
        Ok(Connect {
            worker,
            clients,
            transport: if webrtc.server { "WebRTC by a server" } else { "WebRTC" },
            rate: self.cli.rate,
            suites: handshakes.suites,
            failures: handshakes.failures,
            resident_bytes_before,
            creation,
            handshakes: part,
            handshakes_per_second,
            handshake: Percentiles::of_nanos(&handshakes.latency),
            idle,
            lost_while_idle,
            resident_bytes_closed: account.resident()?,
        })
    }

    fn ask(
        &mut self,
        method: Method,
        handler: &str,
        body: crate::transport_bodies::Body<'_>,
    ) -> Result<crate::channel::Reply, Error> {
        let body = Some(body(&mut self.builder));
        self.channel.request(method, handler, &mut self.builder, body)
    }

    /// Routers and the server: what they take is not the clients'.
    fn prepare(&mut self, webrtc: &WebRtc) -> Result<Listening, Error> {
        for index in 0..self.cli.clients.div_ceil(CLIENTS_PER_ROUTER).max(1) {
            let router = format!("router-{index}");
            self.ask(Method::WORKER_CREATE_ROUTER, "", create_router(&router))?;
            self.ask_nothing(Method::ROUTER_DUMP, &router)?;
            self.routers.push(router);
        }
        if !webrtc.server {
            return Ok(Listening::Own { tcp: false });
        }
        self.ask(Method::WORKER_CREATE_WEBRTCSERVER, "", create_webrtc_server("server", false))?;
        Ok(Listening::Server("server".to_owned()))
    }

    fn ask_nothing(&mut self, method: Method, handler: &str) -> Result<(), Error> {
        self.channel.request(method, handler, &mut self.builder, None).map(drop)
    }

    fn create(
        &mut self,
        webrtc: &WebRtc,
        listening: &Listening,
        clients: u32,
    ) -> Result<VecDeque<Client>, Error> {
        let identity = Identity::new(webrtc.role)?;
        let mut rng = Rng::new(1);
        let mut waiting = VecDeque::new();
        for (index, router) in (0..clients).zip(self.routers.clone().iter().cycle()) {
            self.watch()?;
            let transport = format!("transport-{index}");
            let reply = self.ask(listening.create_method(), router, listening.create(&transport))?;
            let remote = Remote::of(&reply)?;
            let socket = net::publishing_socket(remote.udp).map_err(Error::io("opening a socket"))?;
            let client = Client::new(socket, &remote, &identity, rng.next_u64(), monotonic_ns())?;
            let local = client.local_parameters();
            self.ask(Method::WEBRTCTRANSPORT_CONNECT, &transport, connect_webrtc(&local))?;
            waiting.push_back(client);
        }
        Ok(waiting)
    }

    fn shake_hands(&self, dialer: &mut Dialer, mut waiting: VecDeque<Client>) -> Result<Handshakes, Error> {
        let failed = Error::io("making handshakes");
        let mut found = Handshakes {
            latency: latency::new(),
            suites: BTreeMap::new(),
            failures: BTreeMap::new(),
            connected: 0,
        };
        let begun_ns = monotonic_ns();
        let mut offered = 0;
        while !waiting.is_empty() || dialer.under_way() > 0 {
            self.watch()?;
            let elapsed_s = float(monotonic_ns() - begun_ns) / NANOS_PER_SECOND;
            while self.is_due(offered, elapsed_s, dialer.under_way()) {
                let Some(client) = waiting.pop_front() else { break };
                offered += 1;
                dialer.dial(client).map_err(&failed)?;
            }
            dialer.turn(TURN).map_err(&failed)?;
            for outcome in dialer.take_outcomes() {
                match outcome.result {
                    Ok(suite) => {
                        found.connected += 1;
                        latency::record(&mut found.latency, outcome.took_ns);
                        *found.suites.entry(suite.name()).or_default() += 1;
                    }
                    Err(why) => *found.failures.entry(why).or_default() += 1,
                }
            }
        }
        Ok(found)
    }

    fn is_due(&self, offered: u64, elapsed_s: f64, under_way: usize) -> bool {
        match self.cli.rate {
            None => under_way < AT_ONCE,
            Some(rate) => float(offered) <= rate * elapsed_s && under_way < UNDER_WAY_MAX,
        }
    }

    fn idle(&self, dialer: &mut Dialer, duration: Duration) -> Result<(), Error> {
        let begin = Instant::now();
        while begin.elapsed() < duration {
            self.watch()?;
            dialer.turn(TURN * 10).map_err(Error::io("keeping consent"))?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        for router in std::mem::take(&mut self.routers) {
            self.ask(Method::WORKER_CLOSE_ROUTER, "", close_router(&router))?;
        }
        Ok(())
    }

    fn watch(&self) -> Result<(), Error> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::new("interrupted")) } else { Ok(()) }
    }
}

/// What worker and harness have used since the last part.
struct Account {
    pid: u32,
    clients: f64,
    resident_before: u64,
    at: Instant,
    worker: ThreadTimes,
    harness: ThreadTimes,
}

impl Account {
    fn new(pid: u32, clients: u32) -> Result<Self, Error> {
        let mut account = Self {
            pid,
            clients: f64::from(clients.max(1)),
            resident_before: 0,
            at: Instant::now(),
            worker: ThreadTimes::default(),
            harness: ThreadTimes::default(),
        };
        account.resident_before = account.resident()?;
        account.restart()?;
        Ok(account)
    }

    fn resident(&self) -> Result<u64, Error> {
        cpu::resident_bytes(self.pid).map_err(Error::io("reading the worker's memory"))
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.worker = ThreadTimes::read(self.pid).map_err(Error::io("reading the worker's CPU time"))?;
        self.harness = ThreadTimes::read(std::process::id()).map_err(Error::io("reading our CPU time"))?;
        self.at = Instant::now();
        Ok(())
    }

    /// Ends a part and begins the next.
    fn part(&mut self) -> Result<Part, Error> {
        let wall_s = self.at.elapsed().as_secs_f64();
        let (worker, harness) = (self.worker.clone(), self.harness.clone());
        self.restart()?;
        let worker_ns = self.worker.since(&worker).total_ns();
        let harness_ns = self.harness.since(&harness).total_ns();
        let mut part = Part {
            wall_s,
            worker_us_per_client: float(worker_ns) / NANOS_PER_MICRO / self.clients,
            worker_core_percent: percent_of_core(worker_ns, wall_s),
            harness_us_per_client: float(harness_ns) / NANOS_PER_MICRO / self.clients,
            resident_bytes: 0,
            kib_per_client: 0.0,
        };
        part.hold(self)?;
        Ok(part)
    }
}

impl Part {
    /// Looks at the worker's memory now.
    fn hold(&mut self, account: &Account) -> Result<(), Error> {
        self.resident_bytes = account.resident()?;
        let grown = self.resident_bytes.saturating_sub(account.resident_before);
        self.kib_per_client = float(grown) / BYTES_PER_KIB / account.clients;
        Ok(())
    }
}
