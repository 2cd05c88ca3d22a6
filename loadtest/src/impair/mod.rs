//! What a network does to packets, done by the clients themselves: loss in bursts, delay, jitter, reordering, duplication.
//!
//! ```text
//! publisher  ──► [up]   ──► socket ──► worker ──► socket ──► [down] ──► subscriber
//!            ◄── [down] ◄──                                  [up]   ◄──            (RTCP the other way)
//! ```
//! `up` is towards the worker, `down` from it, for media and feedback alike. Connections are made before any of it begins,
//! and the checks that keep a WebRTC transport's consent are spared: they are not what is measured.

mod args;
mod line;

pub(crate) use args::ImpairArgs;
pub(crate) use line::{Line, LineTotals};

use serde::Serialize;

/// A lost packet is asked for again after a round trip and this long: what a worker takes to answer, and then some.
const NACK_MARGIN_NS: u64 = 40_000_000;

/// What happens to packets of one direction. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Impairment {
    pub(crate) loss: f64,
    /// Packets lost in a row, on average.
    pub(crate) loss_burst: f64,
    pub(crate) delay_ns: u64,
    /// A packet is up to so much later, but overtakes none.
    pub(crate) jitter_ns: u64,
    /// Packets that up to three later ones overtake.
    pub(crate) reorder: f64,
    pub(crate) duplicate: f64,
}

impl Impairment {
    const fn delay_ns_max(&self) -> u64 {
        self.delay_ns + self.jitter_ns
    }

    fn does_something(&self) -> bool {
        self.loss > 0.0 || self.reorder > 0.0 || self.duplicate > 0.0 || self.delay_ns_max() > 0
    }
}

/// Both directions; `None` where packets pass as they are.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Network {
    pub(crate) up: Option<Impairment>,
    pub(crate) down: Option<Impairment>,
    pub(crate) seed: u64,
}

impl Network {
    pub(crate) const fn is_impaired(&self) -> bool {
        self.up.is_some() || self.down.is_some()
    }

    /// The longest a packet and its answer may be kept back.
    pub(crate) fn round_trip_ns(&self) -> u64 {
        self.up.iter().chain(&self.down).map(Impairment::delay_ns_max).sum()
    }

    /// After how long receivers ask again; `None` where nothing is lost but by the worker.
    pub(crate) fn nack_interval_ns(&self) -> Option<u64> {
        self.is_impaired().then(|| self.round_trip_ns() + NACK_MARGIN_NS)
    }

    /// The lines of one thread's clients, up and down. `salt` tells threads apart.
    pub(crate) fn lines(&self, clients: usize, salt: u64) -> (Option<Line>, Option<Line>) {
        let line = |impairment: Option<Impairment>, way: u64| {
            impairment.map(|impairment| Line::new(impairment, clients, self.seed ^ salt ^ way))
        };
        (line(self.up, 1 << 40), line(self.down, 2 << 40))
    }
}
