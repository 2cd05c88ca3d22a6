//! The sending side: one thread plays every publisher's camera and talker on schedule, sends sender
//! reports, and answers the worker's feedback as an encoder and a retransmission buffer would.

mod engine;
mod h264;
mod opus;
mod tap;
mod track;

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

pub(crate) use h264::H264;
pub(crate) use opus::Opus;
pub(crate) use tap::Tap;
pub(crate) use track::{AudioTrack, RtxStream, VideoTrack};

use crate::srtp::Protector;
use crate::webrtc::Client;
use crate::{latency, sys};

const PAUSED: u8 = 0;
const PLAYING: u8 = 1;
const STOPPED: u8 = 2;
/// The longest a pause may take to be seen: the thread never sleeps longer than a few milliseconds.
const PAUSE_LIMIT: Duration = Duration::from_secs(2);

/// One publisher: a socket connected to its transport, and what it sends.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) socket: UdpSocket,
    pub(crate) cname: String,
    /// With the stream ids that the totals count by.
    pub(crate) video: Option<(u32, VideoTrack)>,
    pub(crate) audio: Option<(u32, AudioTrack)>,
    pub(crate) srtp: Option<Protector>,
    /// Of a WebRTC transport: keeps the worker's consent.
    pub(crate) client: Option<Client>,
    pub(crate) tap: Arc<Tap>,
}

/// What was sent since the start.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Packets of each stream id.
    pub(crate) by_stream: Vec<u64>,
    pub(crate) key_frames: u64,
    pub(crate) key_frame_requests: u64,
    pub(crate) nacked: u64,
    pub(crate) retransmitted: u64,
    /// Packets kept back on purpose, counted as sent.
    pub(crate) withheld: u64,
    pub(crate) send_errors: u64,
}

impl Totals {
    /// Counts packets of one stream.
    fn count(&mut self, stream: u32, packets: u64) {
        self.packets += packets;
        if let Some(sent) = usize::try_from(stream).ok().and_then(|stream| self.by_stream.get_mut(stream)) {
            *sent += packets;
        }
    }
}

/// Shared with the thread.
#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    idle: AtomicBool,
    /// The rate factor's bits.
    scale: AtomicU64,
    totals: Mutex<Totals>,
    /// How late packets left behind their schedule.
    lateness: Mutex<Histogram<u64>>,
}

/// The running publisher thread; stops and joins when dropped.
#[derive(Debug)]
pub(crate) struct Publishers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Publishers {
    /// Starts the thread, paused. Stream ids run from 0 to `streams`; of the video packets a share of
    /// `withhold` is not sent until it is asked for.
    pub(crate) fn start(
        publishers: Vec<Publisher>,
        streams: usize,
        seed: u64,
        withhold: f64,
    ) -> io::Result<Self> {
        let totals = Totals {
            packets: 0,
            bytes: 0,
            by_stream: vec![0; streams],
            key_frames: 0,
            key_frame_requests: 0,
            nacked: 0,
            retransmitted: 0,
            withheld: 0,
            send_errors: 0,
        };
        let shared = Arc::new(Shared {
            state: AtomicU8::new(PAUSED),
            idle: AtomicBool::new(true),
            scale: AtomicU64::new(1.0_f64.to_bits()),
            totals: Mutex::new(totals),
            lateness: Mutex::new(latency::new()),
        });
        let engine = engine::Engine::new(publishers, Arc::clone(&shared), seed, withhold)?;
        let thread = std::thread::Builder::new().name("publishers".to_owned()).spawn(move || engine.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Plays from now on.
    pub(crate) fn play(&self) {
        self.shared.idle.store(false, Ordering::Release);
        self.shared.state.store(PLAYING, Ordering::Release);
    }

    /// Stops sending media; returns once nothing more is sent.
    pub(crate) fn pause(&self) {
        self.shared.state.store(PAUSED, Ordering::Release);
        let deadline = Instant::now() + PAUSE_LIMIT;
        while !self.shared.idle.load(Ordering::Acquire) && Instant::now() < deadline && !self.has_failed() {
            sys::sleep_until(sys::monotonic_ns() + 500_000);
        }
    }

    /// Plays at `scale` times the scenario's rate.
    pub(crate) fn set_scale(&self, scale: f64) {
        self.shared.scale.store(scale.to_bits(), Ordering::Release);
    }

    pub(crate) fn totals(&self) -> Totals {
        lock(&self.shared.totals).clone()
    }

    /// How late packets left, since the last call.
    pub(crate) fn take_lateness(&self) -> Histogram<u64> {
        std::mem::replace(&mut lock(&self.shared.lateness), latency::new())
    }

    /// True once the thread has ended, which before the drop means it failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Publishers {
    /// Ends the thread; nothing is sent any more.
    pub(crate) fn shut_down(&mut self) {
        self.shared.state.store(STOPPED, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("loadtest: the publisher thread failed: {error}"),
                Err(_) => eprintln!("loadtest: the publisher thread panicked"),
            }
        }
    }
}

impl Drop for Publishers {
    fn drop(&mut self) {
        self.shut_down();
    }
}
