//! Handshakes offered at a rate while media flows: each on a transport of its own, closed as soon as it is connected.

mod engine;
mod run;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

pub(crate) use run::{Storms, run};

use crate::channel::Channel;
use crate::error::Error;
use crate::latency;
use crate::session::WebRtc;

const PAUSED: u8 = 0;
const OFFERING: u8 = 1;
const STOPPED: u8 = 2;
/// What is under way has ended by then, or failed.
const PAUSE_LIMIT: Duration = Duration::from_secs(15);
/// Transports whose handshakes began last: more than are under way at a time while a worker keeps up.
const RECENT_MAX: usize = 16;

/// What handshakes came to.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) offered: u64,
    pub(crate) connected: u64,
    pub(crate) failed: u64,
    /// Due, but too many were under way.
    pub(crate) skipped: u64,
    /// From the first check until there are keys.
    pub(crate) latency: Histogram<u64>,
    /// The last failure's reason.
    pub(crate) why: Option<String>,
}

impl Totals {
    pub(crate) fn new() -> Self {
        Self { offered: 0, connected: 0, failed: 0, skipped: 0, latency: latency::new(), why: None }
    }

    /// What was added since `earlier`.
    pub(crate) fn since(mut self, earlier: &Self) -> Self {
        self.offered -= earlier.offered;
        self.connected -= earlier.connected;
        self.failed -= earlier.failed;
        self.skipped -= earlier.skipped;
        // What was recorded earlier is in both.
        let _ = self.latency.subtract(&earlier.latency);
        self
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.connected += other.connected;
        self.failed += other.failed;
        self.skipped += other.skipped;
        latency::merge(&mut self.latency, &other.latency);
        self.why = other.why.clone().or_else(|| self.why.take());
    }
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    idle: AtomicBool,
    totals: Mutex<Totals>,
    recent: Arc<Recent>,
}

/// Where the handshakes that began last are made, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<SocketAddr>>);

impl Recent {
    fn note(&self, address: SocketAddr) {
        let mut recent = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !recent.contains(&address) {
            recent.push_front(address);
            recent.truncate(RECENT_MAX);
        }
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().copied().collect()
    }
}

impl Shared {
    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The running thread; stops and joins when dropped.
#[derive(Debug)]
pub(crate) struct Storm {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Storm {
    /// Starts the thread, paused.
    pub(crate) fn start(channel: Channel, rate: f64, webrtc: WebRtc) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            state: AtomicU8::new(PAUSED),
            idle: AtomicBool::new(true),
            totals: Mutex::new(Totals::new()),
            recent: Arc::default(),
        });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("handshakes".to_owned())
            .spawn(move || engine::Engine::new(channel, rate, &webrtc, its)?.run())
            .map_err(Error::io("starting a thread"))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn offer(&self) {
        self.shared.idle.store(false, Ordering::Release);
        self.shared.state.store(OFFERING, Ordering::Release);
    }

    /// Offers no more; returns once nothing is under way.
    pub(crate) fn pause(&self) {
        self.shared.state.store(PAUSED, Ordering::Release);
        let begin = Instant::now();
        while !self.shared.idle.load(Ordering::Acquire) && begin.elapsed() < PAUSE_LIMIT && !self.has_failed()
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn recent(&self) -> Arc<Recent> {
        Arc::clone(&self.shared.recent)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.shared.totals().clone()
    }

    /// Stops; why it ended before it was to, if it did.
    pub(crate) fn finish(mut self) -> Result<Totals, Error> {
        self.stop()?;
        Ok(self.totals())
    }

    fn has_failed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.shared.state.store(STOPPED, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(Error::new("the thread of the handshakes panicked")),
            Some(Ok(result)) => result,
            None => Ok(()),
        }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("loadtest: {error}");
        }
    }
}
