//! Links that lose, alone and in bursts, repeat, delay, reorder, and have only so much room.

use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_tests::rng::Rng;

/// Loss in bursts: a link with a memory of one bit (Gilbert 1960, Elliott 1963).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bursts {
    /// Of 10,000 datagrams, how many begin a burst.
    pub(crate) begin: usize,
    /// Of 10,000 datagrams within a burst, how many end it.
    pub(crate) end: usize,
    /// Of 1,000 datagrams within a burst.
    pub(crate) loss: usize,
}

/// What passes at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) bits_per_ms: u64,
    /// What waits longer for its turn is lost.
    pub(crate) queue_ms: u64,
}

/// One direction between two hosts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    /// Of 1,000 datagrams.
    pub(crate) loss: usize,
    pub(crate) bursts: Option<Bursts>,
    /// Of 1,000 datagrams.
    pub(crate) duplication: usize,
    pub(crate) delay_ms: usize,
    /// Added to the delay, up to this much: later datagrams overtake earlier ones.
    pub(crate) jitter_ms: usize,
    pub(crate) capacity: Option<Capacity>,
}

impl Link {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let quality = rng.below(4);
        let bursts = Bursts { begin: 20, end: 1_500, loss: 700 };
        Self {
            loss: [0, 5, 30, 100][quality],
            bursts: (rng.below(4) == 0).then_some(bursts),
            duplication: [0, 0, 10, 30][rng.below(4)],
            delay_ms: 1 + rng.below(60),
            jitter_ms: [0, 2, 10, 30][rng.below(4)],
            capacity: None,
        }
    }

    pub(crate) fn loses(&self) -> bool {
        self.loss > 0 || self.bursts.is_some() || self.capacity.is_some()
    }

    /// Delivers everything once, in order, after the same time.
    pub(crate) fn perfect(delay_ms: usize) -> Self {
        Self { delay_ms, ..Self::default() }
    }
}

/// A link in use.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) link: Link,
    is_in_burst: bool,
    /// Until then it sends what came before.
    busy_until: Time,
}

impl From<Link> for Path {
    fn from(link: Link) -> Self {
        Self { link, is_in_burst: false, busy_until: Time::ZERO }
    }
}

impl Path {
    /// After how long the datagram arrives: not at all, once or twice.
    pub(crate) fn carry(&mut self, now: Time, len: usize, rng: &mut Rng) -> Vec<Duration> {
        if self.loses(rng) {
            return Vec::new();
        }
        let Some(waiting) = self.queue(now, len) else { return Vec::new() };
        let copies = if rng.below(1_000) < self.link.duplication { 2 } else { 1 };
        (0..copies).map(|_| waiting + self.delay(rng)).collect()
    }

    fn loses(&mut self, rng: &mut Rng) -> bool {
        if rng.below(1_000) < self.link.loss {
            return true;
        }
        let Some(bursts) = self.link.bursts else { return false };
        let turns = rng.below(10_000) < if self.is_in_burst { bursts.end } else { bursts.begin };
        self.is_in_burst ^= turns;
        self.is_in_burst && rng.below(1_000) < bursts.loss
    }

    /// How long it takes to leave; `None` when too much waits.
    fn queue(&mut self, now: Time, len: usize) -> Option<Duration> {
        let Some(capacity) = self.link.capacity else { return Some(Duration::ZERO) };
        let waiting = self.busy_until.saturating_since(now);
        if waiting > Duration::from_millis(capacity.queue_ms) {
            return None;
        }
        let nanos = len as u64 * 8 * 1_000_000 / capacity.bits_per_ms;
        self.busy_until = self.busy_until.max(now) + Duration::from_nanos(nanos);
        Some(self.busy_until.saturating_since(now))
    }

    fn delay(&self, rng: &mut Rng) -> Duration {
        let micros = self.link.delay_ms * 1_000 + rng.below(self.link.jitter_ms * 1_000 + 1);
        Duration::from_micros(u64::try_from(micros).expect("at most seconds"))
    }
}
