//! The sending side: one thread plays every publisher's camera and talker on schedule, sends sender
//! reports, and answers the worker's feedback as an encoder and a retransmission buffer would.

mod batch;
mod camera;
mod encoder;
mod engine;
mod feedback;
mod h264;
mod naming;
mod opus;
mod tap;
mod track;
mod vp8;
mod vp9;

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

pub(crate) use camera::Camera;
pub(crate) use encoder::Labels;
pub(crate) use naming::Rid;
pub(crate) use opus::Opus;
pub(crate) use tap::Tap;
pub(crate) use track::{AudioTrack, RtxStream, VideoTrack};

use crate::impair::{LineTotals, Network};
use crate::srtp::Protector;
use crate::webrtc::Client;
use crate::{latency, sys};

const PAUSED: u8 = 0;
const PLAYING: u8 = 1;
const STOPPED: u8 = 2;
/// The longest a pause may take to be seen: the thread never sleeps longer than a few milliseconds.
const PAUSE_LIMIT: Duration = Duration::from_secs(2);

/// A socket connected to a transport, and how packets are protected on it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) socket: UdpSocket,
    pub(crate) srtp: Option<Protector>,
    pub(crate) tap: Arc<Tap>,
}

/// One publisher, and what it sends.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) wire: Wire,
    pub(crate) cname: String,
    /// A track for each size, with the stream ids that the totals count by.
    pub(crate) video: Vec<(u32, VideoTrack)>,
    pub(crate) audio: Option<(u32, AudioTrack)>,
    /// Of a WebRTC transport: keeps the worker's consent.
    pub(crate) client: Option<Client>,
}

impl Publisher {
    /// Which video track has this SSRC.
    fn track_of(&self, ssrc: u32) -> Option<usize> {
        self.video.iter().position(|(_, track)| track.camera.encoder().ssrc() == ssrc)
    }
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
    pub(crate) send_errors: u64,
    /// What the network did to packets to the worker, and from it.
    pub(crate) up: LineTotals,
    pub(crate) down: LineTotals,
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
    /// Starts the thread, paused. Stream ids run from 0 to `streams`.
    pub(crate) fn start(
        publishers: Vec<Publisher>,
        streams: usize,
        seed: u64,
        network: &Network,
    ) -> io::Result<Self> {
        let totals = Totals {
            packets: 0,
            bytes: 0,
            by_stream: vec![0; streams],
            key_frames: 0,
            key_frame_requests: 0,
            nacked: 0,
            retransmitted: 0,
            send_errors: 0,
            up: LineTotals::default(),
            down: LineTotals::default(),
        };
        let shared = Arc::new(Shared {
            state: AtomicU8::new(PAUSED),
            idle: AtomicBool::new(true),
            scale: AtomicU64::new(1.0_f64.to_bits()),
            totals: Mutex::new(totals),
            lateness: Mutex::new(latency::new()),
        });
        let engine = engine::Engine::new(publishers, Arc::clone(&shared), seed, network)?;
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

#[cfg(test)]
pub(crate) mod tests {
    use crate::scenario::{Codec, Pacing, Video};

    /// A camera's configuration as the scenarios' defaults make it.
    pub(crate) fn video(bitrate_kbps: Option<f64>, packets_per_second: Option<f64>) -> Video {
        Video {
            codec: Codec::H264,
            bitrate_kbps,
            packets_per_second,
            simulcast_kbps: None,
            rid: false,
            svc: None,
            temporal_layers: 1,
            fps: 30.0,
            gop_frames: 60,
            key_frame_factor: 7.0,
            packet_bytes: 1200,
            pacing: Pacing::Even,
            rtx: false,
        }
    }
}
