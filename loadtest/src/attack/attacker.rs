//! The attacker: a thread that keeps a pace and counts what comes back.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::report::float;
use crate::sys::{SEND_BATCH, monotonic_ns, set_precise_timers, sleep_until};

const PAUSED: u8 = 0;
const PRETENDING: u8 = 1;
const ATTACKING: u8 = 2;
const STOPPED: u8 = 3;
/// A pause is seen within a burst, or a sleep of this length.
const SLEEP_NS: u64 = 500_000;
/// How often answers are looked for, and newer packets.
const LOOK_NS: u64 = 10_000_000;
/// An attacker that is further behind its pace than this does not catch up: it goes on from there.
const BEHIND_MAX: f64 = 2_048.0;
const PAUSE_LIMIT: Duration = Duration::from_secs(5);
const NANOS_PER_SECOND: f64 = 1e9;

/// What was sent and what came back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score {
    pub(super) sent: u64,
    /// Of these from addresses that are nobody's.
    pub(super) foreign_bytes: u64,
    pub(super) answers: u64,
    pub(super) answered_bytes: u64,
}

impl Score {
    pub(super) fn fired(&mut self, sent: usize, foreign_bytes: usize) {
        self.sent += u64::try_from(sent).unwrap_or(0);
        self.foreign_bytes += u64::try_from(foreign_bytes).unwrap_or(0);
    }

    pub(super) fn heard(&mut self, bytes: usize) {
        self.answers += 1;
        self.answered_bytes += u64::try_from(bytes).unwrap_or(0);
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.foreign_bytes += other.foreign_bytes;
        self.answers += other.answers;
        self.answered_bytes += other.answered_bytes;
    }

    pub(super) const fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            foreign_bytes: self.foreign_bytes - earlier.foreign_bytes,
            answers: self.answers - earlier.answers,
            answered_bytes: self.answered_bytes - earlier.answered_bytes,
        }
    }
}

pub(super) trait Weapon: Send {
    /// Now and then, before the next packets.
    fn aim(&mut self) -> io::Result<()>;
    /// Sends `count` at most. In pretence it costs the machine the same, and the worker as little as it can.
    fn fire(&mut self, count: usize, is_pretence: bool, score: &mut Score) -> io::Result<()>;
    /// Counts answers.
    fn hear(&mut self, score: &mut Score) -> io::Result<()>;
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    is_idle: AtomicBool,
    score: Mutex<Score>,
}

impl Shared {
    fn score(&self) -> MutexGuard<'_, Score> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running thread; stops and joins when dropped.
#[derive(Debug)]
pub(super) struct Attacker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Attacker {
    /// Starts the thread, paused.
    pub(super) fn start(weapon: Box<dyn Weapon>, pace: f64) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            state: AtomicU8::new(PAUSED),
            is_idle: AtomicBool::new(true),
            score: Mutex::default(),
        });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("attacker".to_owned());
        let thread = thread.spawn(move || run(weapon, pace, &its)).map_err(Error::io("starting a thread"))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn attack(&self) {
        self.enter(ATTACKING);
    }

    pub(super) fn pretend(&self) {
        self.enter(PRETENDING);
    }

    fn enter(&self, state: u8) {
        self.shared.is_idle.store(false, Ordering::Release);
        self.shared.state.store(state, Ordering::Release);
    }

    /// Returns once nothing more is sent.
    pub(super) fn pause(&self) -> Result<(), Error> {
        self.shared.state.store(PAUSED, Ordering::Release);
        let begun = Instant::now();
        while !self.shared.is_idle.load(Ordering::Acquire) {
            if begun.elapsed() > PAUSE_LIMIT || self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(Error::new("the attacker ended or hangs"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(super) fn score(&self) -> Score {
        *self.shared.score()
    }

    /// Stops; why it ended before it was to, if it did.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.shared.state.store(STOPPED, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(Error::new("the attacker panicked")),
            Some(Ok(result)) => result.map_err(Error::io("attacking")),
            None => Ok(()),
        }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("loadtest: {error}");
        }
    }
}

/// What is due by now at a pace.
struct Pace {
    per_ns: f64,
    begun_ns: u64,
    fired: f64,
}

impl Pace {
    fn due(&mut self, now_ns: u64) -> usize {
        let due = self.per_ns * float(now_ns.saturating_sub(self.begun_ns)) - self.fired;
        self.fired += (due - BEHIND_MAX).max(0.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=SEND_BATCH")]
        let count = due.clamp(0.0, BATCH) as usize;
        count
    }
}

#[allow(clippy::cast_precision_loss, reason = "64")]
const BATCH: f64 = SEND_BATCH as f64;

fn run(mut weapon: Box<dyn Weapon>, pace: f64, shared: &Shared) -> io::Result<()> {
    set_precise_timers();
    let mut pacing: Option<Pace> = None;
    let (mut score, mut look_at_ns) = (Score::default(), 0);
    loop {
        let now_ns = monotonic_ns();
        if now_ns >= look_at_ns {
            weapon.aim()?;
            weapon.hear(&mut score)?;
            *shared.score() = score;
            look_at_ns = now_ns + LOOK_NS;
        }
        let state = shared.state.load(Ordering::Acquire);
        if state == STOPPED {
            return Ok(());
        }
        if state == PAUSED {
            pacing = None;
            *shared.score() = score;
            shared.is_idle.store(true, Ordering::Release);
            sleep_until(now_ns + SLEEP_NS);
            continue;
        }
        shared.is_idle.store(false, Ordering::Release);
        let new = || Pace { per_ns: pace / NANOS_PER_SECOND, begun_ns: now_ns, fired: 0.0 };
        let pacing = pacing.get_or_insert_with(new);
        match pacing.due(now_ns) {
            0 => sleep_until(now_ns + SLEEP_NS),
            count => {
                weapon.fire(count, state == PRETENDING, &mut score)?;
                #[allow(clippy::cast_precision_loss, reason = "64 at most")]
                let fired = count as f64;
                pacing.fired += fired;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_and_lost_time_is_not_made_up_for() {
        let mut pace = Pace { per_ns: 1e-6, begun_ns: 0, fired: 0.0 };
        assert_eq!(pace.due(500_000), 0);
        assert_eq!(pace.due(3_000_000), 3);
        pace.fired += 3.0;
        assert_eq!(pace.due(3_000_000), 0);
        assert_eq!(pace.due(10_000_000_000), SEND_BATCH);
        assert!((pace.fired - (10_000.0 - BEHIND_MAX)).abs() < 4.0, "{}", pace.fired);
    }
}
