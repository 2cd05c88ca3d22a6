//! A worker under load: starts everything in order, measures a stretch of media, stops everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ringsoup_rtc::srtp::CryptoSuite;

use crate::channel::Channel;
use crate::cli::Cli;
use crate::cpu::{self, CpuUse, ThreadTimes};
use crate::dump::{self, Shard};
use crate::error::Error;
use crate::impair::{LineTotals, Network};
use crate::progress::Progress;
use crate::publisher::{self, Publishers};
use crate::scenario::Scenario;
use crate::session::{Target, Ways};
use crate::subscriber::{self, LayerTotals, PictureTotals, Receiver};
use crate::switching::Switcher;
use crate::webrtc::Bridge;
use crate::worker::{self, Launch, Worker};
use crate::worker_stats::{self, WorkerStats};
use crate::{latency, session};

/// A worker that has not said it runs by then does not start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Sleep between two looks at anything that may end a run.
const WATCH: Duration = Duration::from_millis(50);
/// After a pause the last packets are on their way; the account closes once none has come for so long.
const QUIET: Duration = Duration::from_millis(60);
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// First media is waited for this long: the worker may ask for a key frame first.
const FIRST_MEDIA_LIMIT: Duration = Duration::from_secs(5);

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Harness {
    // In the order they must go: nobody sends to a worker that is gone, and it is gone last.
    switcher: Option<Switcher>,
    publishers: Publishers,
    receiver: Receiver,
    bridge: Option<Bridge>,
    channel: Channel,
    worker: Worker,
    fan_out: Vec<u64>,
    worker_ports: Vec<u16>,
    suite: Option<CryptoSuite>,
    target: Option<Target>,
    network: Network,
    producer_ids: Vec<String>,
    consumer_ids: Vec<String>,
    addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    verbose: bool,
}

/// One stretch of media and what it cost.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) wall_s: f64,
    pub(crate) sent_packets: u64,
    pub(crate) sent_bytes: u64,
    /// Packets sent times the consumers of their stream; of several layers what the receivers' sequence numbers say.
    pub(crate) due_packets: u64,
    pub(crate) received: subscriber::Totals,
    /// What the network did to packets, publishers' and subscribers' together.
    pub(crate) to_worker: LineTotals,
    pub(crate) from_worker: LineTotals,
    pub(crate) nacked_publishers: u64,
    pub(crate) retransmitted_by_publishers: u64,
    /// Of consumers of several layers.
    pub(crate) layers: LayerTotals,
    /// From a request for a layer to its first packet.
    pub(crate) switch_times: Histogram<u64>,
    /// Of consumers of video.
    pub(crate) pictures: PictureTotals,
    /// Between two pictures.
    pub(crate) picture_gaps: Histogram<u64>,
    pub(crate) latency: Histogram<u64>,
    pub(crate) lateness: Histogram<u64>,
    pub(crate) worker_cpu: CpuUse,
    pub(crate) harness_cpu: CpuUse,
    pub(crate) softirq_ns: u64,
    /// CPU time of everything on the machine.
    pub(crate) machine_ns: u64,
    pub(crate) worker_drops: u64,
    pub(crate) harness_drops: u64,
    pub(crate) send_errors: u64,
}

/// Everything that counts, at one moment.
struct Snapshot {
    at: Instant,
    sent: publisher::Totals,
    received: subscriber::Totals,
    layers: LayerTotals,
    pictures: PictureTotals,
    to_worker: LineTotals,
    from_worker: LineTotals,
    worker: ThreadTimes,
    harness: ThreadTimes,
    softirq_ns: u64,
    machine_ns: u64,
    worker_drops: u64,
    harness_drops: u64,
}

impl Harness {
    /// Starts the worker, creates the scenario in it and starts the threads, publishers paused.
    pub(crate) fn start(cli: &Cli, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Self, Error> {
        Self::start_with(cli, scenario, &cli.ways()?, stop)
    }

    /// The same, by other ways than the command line's.
    pub(crate) fn start_with(
        cli: &Cli,
        scenario: &Scenario,
        ways: &Ways,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let launch = Launch {
            binary: worker::find_binary(cli.worker.as_deref())?,
            shards: cli.shards,
            log_level: cli.worker_log.clone(),
        };
        let (mut worker, to_worker, from_worker) = Worker::spawn(&launch)?;
        let channel = Channel::new(to_worker, from_worker)?;
        await_running(&mut worker, &channel)?;
        let session = session::create(&channel, scenario, ways)
            .map_err(|error| explain(&error, &mut worker, &channel))?;
        let addresses = session.subscribers.iter().map(|each| each.socket.local_addr());
        let addresses =
            addresses.collect::<Result<_, _>>().map_err(Error::io("reading a socket's address"))?;
        let receiver = Receiver::start(session.subscribers, session.consumers, cli.gro, &ways.network)
            .map_err(Error::io("starting the receivers"))?;
        let publishers =
            Publishers::start(session.publishers, session.fan_out.len(), scenario.seed, &ways.network)
                .map_err(Error::io("starting the publishers"))?;
        publishers.set_scale(cli.rate_scale);
        let switcher = cli.switch_layers_every.map(|interval| {
            let account = receiver.shared_account();
            Switcher::start(channel.clone(), account, session.layered, interval, scenario.seed)
        });
        Ok(Self {
            switcher: switcher.transpose()?,
            publishers,
            receiver,
            bridge: session.bridge,
            channel,
            worker,
            fan_out: session.fan_out,
            worker_ports: session.worker_ports,
            suite: session.suite,
            target: session.target,
            network: ways.network,
            producer_ids: session.producer_ids,
            consumer_ids: session.consumer_ids,
            addresses,
            stop: Arc::clone(stop),
            verbose: cli.verbose,
        })
    }

    /// Where the subscribers listen.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The worker's channel, for another thread.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// What media is protected with.
    pub(crate) fn suite(&self) -> Option<CryptoSuite> {
        self.suite
    }

    /// The first publisher's WebRTC transport.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Packets of each stream so far: due, over all its consumers, and received.
    pub(crate) fn flows(&self) -> Vec<(u64, u64)> {
        let sent = self.publishers.totals().by_stream;
        let received = self.receiver.account().unique_by_stream(self.fan_out.len());
        let due = sent.iter().zip(&self.fan_out).map(|(sent, consumers)| sent * consumers);
        due.zip(received).collect()
    }

    pub(crate) fn worker_pid(&self) -> u32 {
        self.worker.pid()
    }

    /// Floor packets that have arrived since the start.
    pub(crate) fn floor_received(&self) -> u64 {
        self.receiver.account().totals().floor_packets
    }

    pub(crate) fn sent(&self) -> publisher::Totals {
        self.publishers.totals()
    }

    /// Changes the rate from the next packet on.
    pub(crate) fn set_scale(&self, scale: f64) {
        self.publishers.set_scale(scale);
    }

    /// The worker's own counters.
    pub(crate) fn dump(&mut self) -> Result<Option<Vec<Shard>>, Error> {
        dump::read(&self.channel).map_err(|error| explain(&error, &mut self.worker, &self.channel))
    }

    /// What the worker says of repair; `None` where packets pass as they are.
    pub(crate) fn stats(&self) -> Result<Option<WorkerStats>, Error> {
        let read = || worker_stats::read(&self.channel, &self.producer_ids, &self.consumer_ids);
        self.network.is_impaired().then(read).transpose()
    }

    /// Plays until every consumer has received something and `duration` is over.
    pub(crate) fn warm_up(&mut self, duration: Duration, progress: &Progress) -> Result<(), Error> {
        let begin = Instant::now();
        self.publishers.play();
        let consumers: u64 = self.fan_out.iter().sum();
        loop {
            self.watch()?;
            let live = self.receiver.account().live_consumers();
            progress.note(&format!("warming up: {live} of {consumers} consumers receive"));
            let all = u64::try_from(live).unwrap_or(0) >= consumers;
            if begin.elapsed() >= duration && (all || begin.elapsed() >= duration + FIRST_MEDIA_LIMIT) {
                break;
            }
        }
        self.publishers.pause();
        self.drain()?;
        self.receiver.account().pause();
        if self.receiver.account().live_consumers() == 0 {
            let error = Error::new("no consumer received anything");
            return Err(explain(&error, &mut self.worker, &self.channel));
        }
        Ok(())
    }

    /// Plays for `duration` and accounts for it, to the last packet and nanosecond: the worker is idle
    /// before and after.
    pub(crate) fn measure(&mut self, duration: Duration, progress: &Progress) -> Result<Slice, Error> {
        let _ = self.receiver.account().take_latency();
        let _ = self.receiver.account().take_switch_times();
        let _ = self.receiver.account().take_picture_gaps();
        let _ = self.publishers.take_lateness();
        let before = self.snapshot()?;
        self.publishers.play();
        self.switcher.iter().for_each(Switcher::play);
        while before.at.elapsed() < duration {
            self.watch()?;
            let sent = self.publishers.totals();
            let received = self.receiver.account().totals();
            progress.media(
                before.at.elapsed(),
                duration,
                sent.packets - before.sent.packets,
                &received.since(&before.received),
            );
        }
        self.switcher.iter().for_each(Switcher::pause);
        self.publishers.pause();
        let wall_s = before.at.elapsed().as_secs_f64();
        self.drain()?;
        self.receiver.account().pause();
        let after = self.snapshot()?;
        Ok(self.slice(&before, &after, wall_s))
    }

    /// Sleeps a moment; an error when the run cannot go on.
    pub(crate) fn watch(&mut self) -> Result<(), Error> {
        self.watch_worker()?;
        let has_failed = self.bridge.as_ref().is_some_and(Bridge::has_failed);
        if has_failed || self.receiver.has_failed() || self.publishers.has_failed() {
            return Err(Error::new("a thread of the harness failed"));
        }
        if let Some(error) = self.switcher.as_ref().and_then(Switcher::take_failure) {
            return Err(explain(&error, &mut self.worker, &self.channel));
        }
        Ok(())
    }

    fn watch_worker(&mut self) -> Result<(), Error> {
        std::thread::sleep(WATCH);
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::new("interrupted"));
        }
        if let Some(status) = self.worker.ended() {
            let error = Error::new(format!("the worker ended with {}", worker::describe(status)));
            return Err(explain(&error, &mut self.worker, &self.channel));
        }
        Ok(())
    }

    /// Waits until nothing arrives any more.
    fn drain(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        let mut seen = self.receiver.account().totals().packets;
        let mut quiet_since = Instant::now();
        // What is on its way for longer, or missing, needs a round trip or two.
        let kept = Duration::from_nanos(2 * self.network.nack_interval_ns().unwrap_or(0));
        let (quiet, limit) = (QUIET + kept, DRAIN_LIMIT + 2 * kept);
        while quiet_since.elapsed() < quiet && begin.elapsed() < limit {
            self.watch()?;
            let now = self.receiver.account().totals().packets;
            if now != seen {
                seen = now;
                quiet_since = Instant::now();
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Snapshot, Error> {
        let sent = self.publishers.totals();
        let account = self.receiver.account();
        let (received, layers, pictures) =
            (account.totals(), account.layer_totals(), account.picture_totals());
        let (up, down) = account.lines();
        drop(account);
        Ok(Snapshot {
            to_worker: sent.up.plus(&up),
            from_worker: sent.down.plus(&down),
            sent,
            received,
            layers,
            pictures,
            worker: ThreadTimes::read(self.worker.pid())
                .map_err(Error::io("reading the worker's CPU time"))?,
            harness: ThreadTimes::read(std::process::id()).map_err(Error::io("reading our CPU time"))?,
            softirq_ns: cpu::softirq_thread_ns(),
            machine_ns: cpu::machine_busy_ns(),
            worker_drops: cpu::port_drops(&self.worker_ports).unwrap_or(0),
            harness_drops: self.receiver.socket_drops() + self.bridge.as_ref().map_or(0, Bridge::lost),
            at: Instant::now(),
        })
    }

    fn slice(&self, before: &Snapshot, after: &Snapshot, wall_s: f64) -> Slice {
        let by_stream = after.sent.by_stream.iter().zip(&before.sent.by_stream);
        let due_packets =
            by_stream.zip(&self.fan_out).map(|((after, before), consumers)| (after - before) * consumers);
        let layers = after.layers.since(&before.layers);
        let mut account = self.receiver.account();
        let (latency, switch_times) = (account.take_latency(), account.take_switch_times());
        let picture_gaps = account.take_picture_gaps();
        drop(account);
        Slice {
            wall_s,
            sent_packets: after.sent.packets - before.sent.packets,
            sent_bytes: after.sent.bytes - before.sent.bytes,
            due_packets: due_packets.sum::<u64>() + layers.expected,
            to_worker: after.to_worker.since(&before.to_worker),
            from_worker: after.from_worker.since(&before.from_worker),
            nacked_publishers: after.sent.nacked - before.sent.nacked,
            retransmitted_by_publishers: after.sent.retransmitted - before.sent.retransmitted,
            layers,
            switch_times,
            pictures: after.pictures.since(&before.pictures),
            picture_gaps,
            received: after.received.since(&before.received),
            latency,
            lateness: self.publishers.take_lateness(),
            worker_cpu: after.worker.since(&before.worker),
            harness_cpu: after.harness.since(&before.harness),
            softirq_ns: after.softirq_ns.saturating_sub(before.softirq_ns),
            machine_ns: after.machine_ns.saturating_sub(before.machine_ns),
            worker_drops: after.worker_drops.saturating_sub(before.worker_drops),
            harness_drops: after.harness_drops.saturating_sub(before.harness_drops),
            send_errors: after.sent.send_errors - before.sent.send_errors,
        }
    }

    /// Stops the harness' own threads, leaves the worker alone for `duration`, closes it. Returns what it
    /// used meanwhile, with everything it was given still in place.
    pub(crate) fn idle(mut self, duration: Duration, progress: &Progress) -> Result<(CpuUse, f64), Error> {
        self.switcher = None;
        self.publishers.shut_down();
        self.receiver.shut_down();
        let before = self.worker_times()?;
        let begin = Instant::now();
        while begin.elapsed() < duration {
            progress.note(&format!(
                "{:.0} of {:.0} s",
                begin.elapsed().as_secs_f64(),
                duration.as_secs_f64()
            ));
            self.watch_worker()?;
        }
        let (wall_s, after) = (begin.elapsed().as_secs_f64(), self.worker_times()?);
        self.finish()?;
        Ok((after.since(&before), wall_s))
    }

    fn worker_times(&self) -> Result<ThreadTimes, Error> {
        ThreadTimes::read(self.worker.pid()).map_err(Error::io("reading the worker's CPU time"))
    }

    /// Stops the threads and closes the worker; an error when it did not close in order.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Self { switcher, publishers, receiver, channel, mut worker, verbose, .. } = self;
        drop((switcher, publishers, receiver));
        if verbose {
            for (event, count) in channel.notifications() {
                eprintln!("notification {event}: {count}");
            }
            channel.log().iter().for_each(|line| eprintln!("worker log: {line}"));
        }
        channel.close();
        worker.wait_closed()
    }
}

impl Slice {
    /// Packets due that did not arrive.
    pub(crate) fn lost(&self) -> u64 {
        self.due_packets.saturating_sub(self.received.unique)
    }

    #[allow(clippy::cast_precision_loss, reason = "packet counts")]
    pub(crate) fn loss(&self) -> f64 {
        if self.due_packets == 0 { 0.0 } else { self.lost() as f64 / self.due_packets as f64 }
    }

    /// CPU time of what is neither the worker nor the harness.
    pub(crate) fn others_ns(&self) -> u64 {
        self.machine_ns.saturating_sub(self.worker_cpu.total_ns() + self.harness_cpu.total_ns())
    }

    /// Worker CPU per packet that reached a receiver.
    #[allow(clippy::cast_precision_loss, reason = "packet counts")]
    pub(crate) fn worker_ns_per_packet(&self) -> Option<f64> {
        let packets = self.received.packets;
        (packets > 0).then(|| self.worker_cpu.total_ns() as f64 / packets as f64)
    }

    /// This and a later stretch together.
    pub(crate) fn join(&mut self, other: &Self) {
        self.wall_s += other.wall_s;
        self.sent_packets += other.sent_packets;
        self.sent_bytes += other.sent_bytes;
        self.due_packets += other.due_packets;
        self.received.add(&other.received);
        self.layers.add(&other.layers);
        self.pictures.add(&other.pictures);
        self.to_worker.add(&other.to_worker);
        self.from_worker.add(&other.from_worker);
        self.nacked_publishers += other.nacked_publishers;
        self.retransmitted_by_publishers += other.retransmitted_by_publishers;
        latency::merge(&mut self.switch_times, &other.switch_times);
        latency::merge(&mut self.picture_gaps, &other.picture_gaps);
        latency::merge(&mut self.latency, &other.latency);
        latency::merge(&mut self.lateness, &other.lateness);
        self.worker_cpu.add(&other.worker_cpu);
        self.harness_cpu.add(&other.harness_cpu);
        self.softirq_ns += other.softirq_ns;
        self.machine_ns += other.machine_ns;
        self.worker_drops += other.worker_drops;
        self.harness_drops += other.harness_drops;
        self.send_errors += other.send_errors;
    }
}

pub(crate) fn await_running(worker: &mut Worker, channel: &Channel) -> Result<(), Error> {
    let begin = Instant::now();
    while !channel.is_running() {
        if let Some(status) = worker.ended() {
            let error = Error::new(format!("the worker ended at once with {}", worker::describe(status)));
            return Err(explain(&error, worker, channel));
        }
        if begin.elapsed() > START_LIMIT {
            let error = Error::new(format!("the worker did not say that it runs within {START_LIMIT:?}"));
            return Err(explain(&error, worker, channel));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// An error with what the worker had to say.
pub(crate) fn explain(error: &Error, worker: &mut Worker, channel: &Channel) -> Error {
    let mut reason = error.to_string();
    if let Some(status) = worker.ended() {
        reason = format!("{reason}\n  the worker has ended with {}", worker::describe(status));
    }
    for line in channel.log().iter().chain(&worker.output()) {
        reason = format!("{reason}\n  worker: {line}");
    }
    Error::new(reason)
}
