//! Many objects and no media: routers with transports created, dumped and closed, by a controller that does not wait
//! for one answer before it asks the next.

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ringsoup_fbs::fbs::request::Method;
use ringsoup_fbs::flatbuffers::FlatBufferBuilder;
use serde::Serialize;

use crate::channel::{Channel, Waiting};
use crate::cli::Cli;
use crate::cpu;
use crate::error::Error;
use crate::harness::{await_running, explain};
use crate::progress::Progress;
use crate::report::float;
use crate::report::table::table;
use crate::transport_bodies::{Body, TransportKind, close_router, create_router};
use crate::worker::{Launch, Worker, find_binary};

/// Requests whose answers are awaited at a time: enough to hide the way there and back, few enough that the largest
/// dumps stay within the pipe.
const UNDER_WAY_MAX: usize = 64;
const BYTES_PER_MIB: f64 = 1_048_576.0;
/// Routers and transports the mode makes unless told otherwise.
pub(crate) const ROUTERS: u32 = 1_000;
pub(crate) const TRANSPORTS: u32 = 10;

/// What the worker holds at one moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Holding {
    pub(crate) resident_bytes: u64,
    pub(crate) descriptors: usize,
}

/// One kind of transport.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) transports: &'static str,
    pub(crate) create_s: f64,
    pub(crate) dump_s: f64,
    pub(crate) close_s: f64,
    pub(crate) before: Holding,
    pub(crate) created: Holding,
    pub(crate) dumped: Holding,
    pub(crate) closed: Holding,
    /// After the same once more: what is kept for the next use does not grow.
    pub(crate) closed_again: Holding,
    /// Why it could not be done to the end.
    pub(crate) failure: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scale {
    pub(crate) routers: u32,
    pub(crate) transports_each: u32,
    pub(crate) rounds: Vec<Round>,
}

/// Every kind asked for has a worker of its own, so that what is measured is its own.
pub(crate) fn run(cli: &Cli, stop: &Arc<AtomicBool>) -> Result<Scale, Error> {
    let launch = Launch {
        binary: find_binary(cli.worker.as_deref())?,
        shards: cli.shards,
        log_level: cli.worker_log.clone(),
    };
    let mut scale = Scale {
        routers: cli.routers.unwrap_or(ROUTERS),
        transports_each: cli.transports,
        rounds: Vec::new(),
    };
    let kinds = cli.transport_kind.map_or_else(|| TransportKind::ALL.to_vec(), |kind| vec![kind]);
    let progress = Progress::new();
    for kind in kinds {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        progress.stage(kind.name());
        let round = round(&launch, kind, scale.routers, scale.transports_each)?;
        scale.rounds.push(round);
    }
    progress.finish();
    Ok(scale)
}

fn round(launch: &Launch, kind: TransportKind, routers: u32, transports: u32) -> Result<Round, Error> {
    let (mut worker, to_worker, from_worker) = Worker::spawn(launch)?;
    let mut channel = Channel::new(to_worker, from_worker)?;
    await_running(&mut worker, &channel)?;
    // What a first router starts is not what ten thousand transports cost.
    let mut asker = Asker::new(&mut channel);
    asker.ask(Method::WORKER_CREATE_ROUTER, "", Some(create_router("first")))?;
    asker.ask(Method::ROUTER_DUMP, "first", None)?;
    asker.settle()?;
    let before = holding(worker.pid())?;
    let mut round = Round {
        transports: kind.name(),
        create_s: 0.0,
        dump_s: 0.0,
        close_s: 0.0,
        before,
        created: before,
        dumped: before,
        closed: before,
        closed_again: before,
        failure: None,
    };
    let mut again = round.clone();
    let count = (routers, transports);
    let done = steps(&mut asker, &mut round, worker.pid(), kind, count)
        .and_then(|()| steps(&mut asker, &mut again, worker.pid(), kind, count));
    round.closed_again = again.closed;
    if let Err(error) = done {
        round.failure = Some(error.to_string());
        eprintln!("loadtest: {}", explain(&error, &mut worker, &channel));
    }
    channel.close();
    worker.wait_closed()?;
    Ok(round)
}

fn steps(
    asker: &mut Asker<'_>,
    round: &mut Round,
    pid: u32,
    kind: TransportKind,
    (routers, transports): (u32, u32),
) -> Result<(), Error> {
    let names = || (0..routers).map(|router| format!("router-{router}"));
    let transport = |router: &str, index: u32| format!("{router}-transport-{index}");
    let begin = Instant::now();
    for router in names() {
        asker.ask(Method::WORKER_CREATE_ROUTER, "", Some(create_router(&router)))?;
        for index in 0..transports {
            asker.ask(kind.create_method(), &router, Some(kind.create(&transport(&router, index))))?;
        }
    }
    asker.settle()?;
    (round.create_s, round.created) = (begin.elapsed().as_secs_f64(), holding(pid)?);

    let begin = Instant::now();
    for router in names() {
        asker.ask(Method::ROUTER_DUMP, &router, None)?;
        for index in 0..transports {
            asker.ask(Method::TRANSPORT_DUMP, &transport(&router, index), None)?;
        }
    }
    asker.ask(Method::WORKER_DUMP, "", None)?;
    asker.settle()?;
    (round.dump_s, round.dumped) = (begin.elapsed().as_secs_f64(), holding(pid)?);

    let begin = Instant::now();
    for router in names() {
        asker.ask(Method::WORKER_CLOSE_ROUTER, "", Some(close_router(&router)))?;
    }
    asker.settle()?;
    (round.close_s, round.closed) = (begin.elapsed().as_secs_f64(), holding(pid)?);
    Ok(())
}

fn holding(pid: u32) -> Result<Holding, Error> {
    let resident_bytes = cpu::resident_bytes(pid).map_err(Error::io("reading the worker's memory"))?;
    let descriptors =
        fs::read_dir(format!("/proc/{pid}/fd")).map_err(Error::io("counting descriptors"))?.count();
    Ok(Holding { resident_bytes, descriptors })
}

/// Asks without waiting, up to a number of requests.
struct Asker<'channel> {
    channel: &'channel mut Channel,
    builder: FlatBufferBuilder<'static>,
    under_way: VecDeque<Waiting>,
}

impl<'channel> Asker<'channel> {
    fn new(channel: &'channel mut Channel) -> Self {
        Self { channel, builder: FlatBufferBuilder::new(), under_way: VecDeque::new() }
    }

    fn ask(&mut self, method: Method, handler: &str, body: Option<Body<'_>>) -> Result<(), Error> {
        if self.under_way.len() == UNDER_WAY_MAX
            && let Some(oldest) = self.under_way.pop_front()
        {
            self.channel.wait(oldest)?;
        }
        let body = body.map(|body| body(&mut self.builder));
        self.under_way.push_back(self.channel.send(method, handler, &mut self.builder, body)?);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Error> {
        while let Some(oldest) = self.under_way.pop_front() {
            self.channel.wait(oldest)?;
        }
        Ok(())
    }
}

impl Scale {
    pub(crate) fn succeeded(&self) -> bool {
        !self.rounds.is_empty() && self.rounds.iter().all(|round| round.failure.is_none())
    }

    /// For people.
    pub(crate) fn render(&self) -> String {
        let mut table = table(&[
            "transports",
            "create s",
            "dump s",
            "close s",
            "RSS MiB before",
            "created",
            "dumped",
            "closed",
            "closed again",
            "fds created",
            "fds closed",
        ]);
        for round in &self.rounds {
            let mib = |holding: Holding| format!("{:.1}", megabytes(holding.resident_bytes));
            table.add_row([
                round.transports.to_owned(),
                format!("{:.2}", round.create_s),
                format!("{:.2}", round.dump_s),
                format!("{:.2}", round.close_s),
                mib(round.before),
                mib(round.created),
                mib(round.dumped),
                mib(round.closed),
                mib(round.closed_again),
                round.created.descriptors.to_string(),
                round.closed.descriptors.to_string(),
            ]);
        }
        let failures = self.rounds.iter().filter_map(|round| {
            round.failure.as_ref().map(|failure| format!("{}: {failure}\n", round.transports))
        });
        format!(
            "\n{} routers with {} transports each, {UNDER_WAY_MAX} requests under way\n{table}\n{}",
            self.routers,
            self.transports_each,
            failures.collect::<String>()
        )
    }
}

fn megabytes(bytes: u64) -> f64 {
    float(bytes) / BYTES_PER_MIB
}
