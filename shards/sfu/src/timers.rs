//! The shard's one timer wheel.
//!
//! ```text
//! slot   0    1    2   …  1023        one slot = 5 ms, the wheel = 5.12 s
//!        [ ]  [x]  [ ]     [xx]       occupied slots are also bits of a bitmap
//!              ^ cursor
//! ```
//! Entries carry their deadline; one that is due in a later round is left in its slot. Owners keep their own deadline
//! and ignore an entry that comes too early: cancelling and moving a timer costs nothing.

use ringsoup_rtc::time::Time;

use crate::observer::Observer;
use crate::producer::Producer;
use crate::table::Id;
use crate::transport::Transport;

/// Slot width: half of the shortest delay that is asked for (first NACK, 10 ms).
const TICK_NANOS: u64 = 5_000_000;
/// A power of two; the wheel spans 5.12 s, more than every periodic timer of a shard.
const SLOTS: usize = 1024;
const WORDS: usize = SLOTS / 64;
/// Entries that a slot keeps memory for when it is empty: more come when many objects are made at one moment, and without
/// a bound every slot would keep what its largest moment took.
const SLOT_ENTRIES_KEPT: usize = 32;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Reports of a transport (RFC 3550 section 6.2).
    TransportRtcp(Id<Transport>),
    /// Transport-wide feedback on what came since the last.
    TransportFeedback(Id<Transport>),
    /// The consent of a transport's peer may have run out (RFC 7675).
    TransportIce(Id<Transport>),
    /// A transport's handshake may have lost a flight.
    TransportDtls(Id<Transport>),
    /// NACKs of a producer's stream, by encoding index.
    ProducerNack(Id<Producer>, u8),
    /// A pending or delayed key-frame request of a producer's stream, by encoding index.
    ProducerKeyFrame(Id<Producer>, u8),
    /// A producer's simulcast stream may have gone silent, by encoding index.
    ProducerInactivity(Id<Producer>, u8),
    /// An interval of an observer ends.
    Observer(Id<Observer>),
    /// Spatial layers within a producer's stream may have come or gone, by encoding index.
    ProducerLayers(Id<Producer>, u8),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    deadline: Time,
    timer: Timer,
}

#[derive(Debug)]
pub struct Timers {
    slots: Vec<Vec<Entry>>,
    occupied: [u64; WORDS],
    /// The tick up to which everything was looked at.
    cursor: u64,
    len: usize,
}

impl Default for Timers {
    fn default() -> Self {
        Self { slots: vec![Vec::new(); SLOTS], occupied: [0; WORDS], cursor: 0, len: 0 }
    }
}

/// Rounded up, so that a timer never fires early.
fn tick_of(time: Time) -> u64 {
    time.as_nanos().div_ceil(TICK_NANOS)
}

#[allow(clippy::cast_possible_truncation, reason = "masked to the wheel's size")]
fn slot_of(tick: u64) -> usize {
    (tick as usize) & (SLOTS - 1)
}

impl Timers {
    pub fn set(&mut self, deadline: Time, timer: Timer) {
        let slot = slot_of(tick_of(deadline).max(self.cursor + 1));
        self.slots[slot].push(Entry { deadline, timer });
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
    }

    /// Entries, those whose owners moved on included.
    pub fn count(&self) -> usize {
        self.len
    }

    /// A time at which something may be due; never later than the first deadline, rounded up to the tick.
    pub fn next_timeout(&self) -> Option<Time> {
        if self.len == 0 {
            return None;
        }
        let start = slot_of(self.cursor + 1);
        let distance = (0..=WORDS).find_map(|step| {
            let word = (start / 64 + step) % WORDS;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == WORDS {
                bits &= !(u64::MAX << (start % 64));
            }
            (bits != 0).then(|| (word * 64 + bits.trailing_zeros() as usize + SLOTS - start) % SLOTS)
        })?;
        Some(Time::from_nanos((self.cursor + 1 + distance as u64) * TICK_NANOS))
    }

    /// Moves everything due at `now` into `due`.
    pub fn expire(&mut self, now: Time, due: &mut Vec<Timer>) {
        let target = now.as_nanos() / TICK_NANOS;
        if target <= self.cursor {
            return;
        }
        let ticks = (target - self.cursor).min(SLOTS as u64);
        for tick in target - ticks + 1..=target {
            self.expire_slot(slot_of(tick), now, due);
        }
        self.cursor = target;
    }

    fn expire_slot(&mut self, slot: usize, now: Time, due: &mut Vec<Timer>) {
        if self.occupied[slot / 64] & (1 << (slot % 64)) == 0 {
            return;
        }
        let entries = &mut self.slots[slot];
        let before = entries.len();
        entries.retain(|entry| {
            let later = entry.deadline > now;
            if !later {
                due.push(entry.timer);
            }
            later
        });
        self.len -= before - entries.len();
        if entries.is_empty() {
            entries.shrink_to(SLOT_ENTRIES_KEPT);
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtcp(index: usize) -> Timer {
        Timer::TransportRtcp(Id::new(index))
    }

    fn expired(timers: &mut Timers, millis: u64) -> Vec<Timer> {
        let mut due = Vec::new();
        timers.expire(Time::from_millis(millis), &mut due);
        due
    }

    #[test]
    fn fires_in_its_tick_and_not_before() {
        let mut timers = Timers::default();
        timers.set(Time::from_millis(12), rtcp(1));
        assert_eq!(timers.next_timeout(), Some(Time::from_millis(15)));
        assert_eq!(expired(&mut timers, 14), []);
        assert_eq!(expired(&mut timers, 15), [rtcp(1)]);
        assert_eq!(timers.next_timeout(), None);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_waits_for_its_round() {
        let mut timers = Timers::default();
        timers.set(Time::from_millis(12_000), rtcp(1));
        let mut now = 0;
        let mut wakes = 0;
        loop {
            let next = timers.next_timeout().expect("still waiting").as_millis();
            assert!(next > now);
            now = next;
            wakes += 1;
            if expired(&mut timers, now) == [rtcp(1)] {
                break;
            }
        }
        assert_eq!(now, 12_000);
        assert!(wakes <= 4);
    }

    #[test]
    fn a_long_sleep_expires_everything_once() {
        let mut timers = Timers::default();
        for index in 0..100_u32 {
            timers.set(Time::from_millis(u64::from(index) * 37), rtcp(index as usize));
        }
        assert_eq!(expired(&mut timers, 60_000).len(), 100);
        assert_eq!(timers.next_timeout(), None);
    }

    #[test]
    fn a_crowded_moment_does_not_keep_its_memory() {
        let mut timers = Timers::default();
        for moment in 0..100 {
            let deadline = Time::from_millis(moment * 5 + 500);
            (0..1_000).for_each(|index| timers.set(deadline, rtcp(index)));
        }
        assert_eq!(expired(&mut timers, 2_000).len(), 100_000);
        let kept: usize = timers.slots.iter().map(Vec::capacity).sum();
        assert!(kept <= 100 * SLOT_ENTRIES_KEPT, "{kept}");
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_the_next_tick() {
        let mut timers = Timers::default();
        assert_eq!(expired(&mut timers, 1_000), []);
        timers.set(Time::from_millis(1), rtcp(0));
        assert_eq!(timers.next_timeout(), Some(Time::from_millis(1_005)));
        assert_eq!(expired(&mut timers, 1_005), [rtcp(0)]);
    }
}
