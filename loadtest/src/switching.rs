//! Subscribers that change their minds: one thread asks for other layers for every simulcast or SVC consumer in its turn.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringsoup_fbs::fbs::consumer::{
    ConsumerLayers, ConsumerLayersArgs, SetPreferredLayersRequest, SetPreferredLayersRequestArgs,
};
use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::flatbuffers::FlatBufferBuilder;

use crate::channel::Channel;
use crate::error::Error;
use crate::rng::Rng;
use crate::session::LayeredConsumer;
use crate::subscriber::{LayerPair, SharedAccount};
use crate::sys::monotonic_ns;

const PAUSED: u8 = 0;
const PLAYING: u8 = 1;
const STOPPED: u8 = 2;
/// The longest sleep, so that a pause or a stop is seen soon.
const NAP: Duration = Duration::from_millis(2);
/// A request is answered in microseconds; the channel gives up on its own after longer.
const PAUSE_LIMIT: Duration = Duration::from_secs(12);

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    idle: AtomicBool,
    failure: Mutex<Option<Error>>,
}

/// The running thread; stops and joins when dropped.
#[derive(Debug)]
pub(crate) struct Switcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Engine {
    channel: Channel,
    builder: FlatBufferBuilder<'static>,
    account: SharedAccount,
    consumers: Vec<LayeredConsumer>,
    interval_ns: u64,
    rng: Rng,
    shared: Arc<Shared>,
}

impl Switcher {
    /// Starts the thread, paused: each consumer asks for another layer once in `interval`.
    pub(crate) fn start(
        channel: Channel,
        account: SharedAccount,
        consumers: Vec<LayeredConsumer>,
        interval: Duration,
        seed: u64,
    ) -> Result<Self, Error> {
        if consumers.is_empty() {
            return Err(Error::new(
                "--switch-layers-every needs video in several sizes or layers (--video simulcast, svc or k-svc)",
            ));
        }
        let shared = Arc::new(Shared {
            state: AtomicU8::new(PAUSED),
            idle: AtomicBool::new(true),
            failure: Mutex::new(None),
        });
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let engine = Engine {
            channel,
            builder: FlatBufferBuilder::new(),
            account,
            consumers,
            interval_ns,
            rng: Rng::new(seed),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name("layers".to_owned())
            .spawn(move || engine.run())
            .map_err(Error::io("starting a thread"))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn play(&self) {
        self.shared.idle.store(false, Ordering::Release);
        self.shared.state.store(PLAYING, Ordering::Release);
    }

    /// Asks for nothing any more; returns once the last request is answered.
    pub(crate) fn pause(&self) {
        self.shared.state.store(PAUSED, Ordering::Release);
        let begin = Instant::now();
        while !self.shared.idle.load(Ordering::Acquire) && begin.elapsed() < PAUSE_LIMIT {
            std::thread::sleep(NAP);
        }
    }

    /// Why it ended, if it did.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.shared.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl Drop for Switcher {
    fn drop(&mut self) {
        self.shared.state.store(STOPPED, Ordering::Release);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("loadtest: the thread that switches layers panicked");
        }
    }
}

impl Engine {
    fn run(mut self) {
        if let Err(error) = self.play() {
            *self.shared.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
        }
        self.shared.idle.store(true, Ordering::Release);
    }

    fn play(&mut self) -> Result<(), Error> {
        // Spread over the interval, so that they do not ask all at once.
        let count = u64::try_from(self.consumers.len()).unwrap_or(1);
        let step_ns = self.interval_ns / count;
        let (mut index, mut next_ns) = (0, None);
        loop {
            match self.shared.state.load(Ordering::Acquire) {
                STOPPED => return Ok(()),
                PAUSED => {
                    next_ns = None;
                    self.shared.idle.store(true, Ordering::Release);
                }
                _ => {
                    self.shared.idle.store(false, Ordering::Release);
                    let now_ns = monotonic_ns();
                    let due_ns = *next_ns.get_or_insert(now_ns);
                    if due_ns <= now_ns {
                        // Whoever is late stays late: turns that were missed would come in a burst.
                        next_ns = Some((due_ns + step_ns).max(now_ns));
                        self.switch(index)?;
                        index = (index + 1) % self.consumers.len();
                        continue;
                    }
                }
            }
            std::thread::sleep(NAP);
        }
    }

    fn switch(&mut self, index: usize) -> Result<(), Error> {
        let consumer = &self.consumers[index];
        let preferred = self.account.lock().preferred_layers(consumer.index);
        let Some(preferred) = preferred else { return Ok(()) };
        let wanted = other_layers(preferred, consumer.layers, &mut self.rng);
        let spatial_layer = wanted.spatial;
        let args = ConsumerLayersArgs { spatial_layer, temporal_layer: Some(wanted.temporal) };
        let builder = &mut self.builder;
        let layers = ConsumerLayers::create(builder, &args);
        let args = SetPreferredLayersRequestArgs { preferred_layers: Some(layers) };
        let body = SetPreferredLayersRequest::create(builder, &args);
        let body = Some((Body::Consumer_SetPreferredLayersRequest, body.as_union_value()));
        self.account.lock().ask_layers(consumer.index, wanted, monotonic_ns());
        self.channel.request(Method::CONSUMER_SET_PREFERRED_LAYERS, &consumer.id, builder, body)?;
        self.account.lock().agree_layers(consumer.index, monotonic_ns());
        Ok(())
    }
}

/// Another spatial layer of `layers` (how many there are), and any temporal one.
fn other_layers(preferred: LayerPair, layers: LayerPair, rng: &mut Rng) -> LayerPair {
    let mut below = |count: u8| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below a count of layers")]
        let drawn = (rng.next_f64() * f64::from(count)) as u8;
        drawn
    };
    // One of the others: a step of 1 up to one less than all, round and round.
    let step = 1 + below(layers.spatial.saturating_sub(1));
    let spatial = (preferred.spatial + step) % layers.spatial.max(1);
    LayerPair { spatial, temporal: below(layers.temporal.max(1)) }
}

/// Parses an interval of the command line.
pub(crate) fn parse_interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| (0.05..=3_600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "seconds from 0.05 to 3600".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_layers_are_others_and_all_of_them_come() {
        let (layers, mut rng) = (LayerPair { spatial: 3, temporal: 3 }, Rng::new(1));
        let mut preferred = LayerPair { spatial: 2, temporal: 2 };
        let mut seen = [[0; 3]; 3];
        for _ in 0..900 {
            let wanted = other_layers(preferred, layers, &mut rng);
            assert_ne!(wanted.spatial, preferred.spatial);
            seen[usize::from(wanted.spatial)][usize::from(wanted.temporal)] += 1;
            preferred = wanted;
        }
        assert!(seen.iter().flatten().all(|count| *count > 50), "{seen:?}");
    }

    #[test]
    fn intervals_are_checked() {
        assert_eq!(parse_interval("0.5"), Ok(Duration::from_millis(500)));
        assert!(parse_interval("0").is_err() && parse_interval("x").is_err());
    }
}
