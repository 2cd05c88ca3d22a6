//! From what the way does to a bitrate: up slowly while it copes, down at once when a queue grows.
//!
//! See draft-ietf-rmcat-gcc-02 section 5.5. Near what the way was last seen to take the steps up are small, elsewhere they
//! are a part of the bitrate.

use std::time::Duration;

use crate::time::Time;

use super::link_capacity::LinkCapacity;
use super::trendline::Usage;

/// No estimate is lower, bits per second.
const BITRATE_MIN: f64 = 5_000.0;
/// How long the incoming bitrate is watched before it is taken for a first estimate, if no queue grows before.
const WATCH: Duration = Duration::from_secs(5);
/// Down to this part of what comes in, so that the queue drains.
const DECREASE: f64 = 0.85;
/// Far from capacity: this much up in a second, and at least so many bits per second each time.
const INCREASE: f64 = 1.08;
const INCREASE_MIN: f64 = 1_000.0;
/// Near capacity: one packet more in the time a change takes to show, and at least so many bits per second in a second.
const RESPONSE: Duration = Duration::from_millis(600);
const ADDITION_MIN: f64 = 4_000.0;
/// Frames a second and bytes of a full packet: what a packet's share of a bitrate is taken to be.
const FRAME_RATE: f64 = 30.0;
const PACKET_BITS: f64 = 1_200.0 * 8.0;
/// An estimate grows no further above what comes in: nothing is known of the way there.
const ABOVE_INCOMING: f64 = 1.5;
const ABOVE_INCOMING_FIXED: f64 = 10_000.0;
/// Between two steps down: a round trip, in which the first shows.
const DECREASE_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub struct Aimd {
    /// Bits per second; `None` until there is something to go by.
    bitrate: Option<f64>,
    /// Whether it goes up; else it waits for queues to drain.
    is_increasing: bool,
    changed_at: Option<Time>,
    /// When something came in first.
    watched_from: Option<Time>,
    capacity: LinkCapacity,
}

impl Aimd {
    /// Bits per second.
    pub fn bitrate(&self) -> Option<f64> {
        self.bitrate
    }

    /// Whether a queue that grows now is a reason for another step down: the last has had time to show, or is far too small.
    pub fn may_decrease(&self, now: Time, incoming: f64) -> bool {
        let Some(bitrate) = self.bitrate else { return true };
        let has_shown = self.changed_at.is_none_or(|at| now.saturating_since(at) >= DECREASE_INTERVAL);
        has_shown || incoming < bitrate / 2.0
    }

    /// `incoming` in bits per second, where enough came to tell.
    pub fn update(&mut self, usage: Usage, incoming: Option<f64>, now: Time) {
        let Some(incoming) = incoming else { return };
        let watched_from = *self.watched_from.get_or_insert(now);
        if self.bitrate.is_none() && now.saturating_since(watched_from) > WATCH {
            self.bitrate = Some(incoming.max(BITRATE_MIN));
        }
        match (usage, self.bitrate) {
            (Usage::Over, bitrate) => self.decrease(bitrate, incoming, now),
            (Usage::Under, _) => self.is_increasing = false,
            (Usage::Normal, Some(bitrate)) => self.increase(bitrate, incoming, now),
            (Usage::Normal, None) => {}
        }
    }

    fn decrease(&mut self, bitrate: Option<f64>, incoming: f64, now: Time) {
        let bitrate = bitrate.unwrap_or(f64::INFINITY);
        let mut lower = incoming * DECREASE;
        // More comes in than was allowed: what is known of the way is older.
        if lower > bitrate
            && let Some(capacity) = self.capacity.estimate()
        {
            lower = capacity * DECREASE;
        }
        self.capacity.note_overuse(incoming);
        self.bitrate = Some(lower.min(bitrate).max(BITRATE_MIN));
        self.is_increasing = false;
        self.changed_at = Some(now);
    }

    fn increase(&mut self, bitrate: f64, incoming: f64, now: Time) {
        if !self.is_increasing {
            self.is_increasing = true;
            self.changed_at = Some(now);
        }
        self.capacity.forget_below(incoming);
        let since = now.saturating_since(self.changed_at.replace(now).unwrap_or(now)).as_secs_f64();
        let step = if self.capacity.estimate().is_some() {
            additive_rate(bitrate) * since
        } else {
            (bitrate * (INCREASE.powf(since.min(1.0)) - 1.0)).max(INCREASE_MIN)
        };
        let most = ABOVE_INCOMING * incoming + ABOVE_INCOMING_FIXED;
        self.bitrate = Some((bitrate + step).min(most.max(bitrate)));
    }
}

/// Bits per second, per second.
fn additive_rate(bitrate: f64) -> f64 {
    let frame = bitrate / FRAME_RATE;
    let packet = frame / (frame / PACKET_BITS).ceil().max(1.0);
    (packet / RESPONSE.as_secs_f64()).max(ADDITION_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn the_first_estimate_is_what_came_in_for_a_while() {
        let mut aimd = Aimd::default();
        for millis in (0..=5_000).step_by(200) {
            aimd.update(Usage::Normal, Some(500_000.0), at(millis));
            assert_eq!(aimd.bitrate(), None);
        }
        aimd.update(Usage::Normal, Some(500_000.0), at(5_200));
        let first = aimd.bitrate().unwrap();
        assert!((500_000.0..=510_000.0).contains(&first), "{first}");
    }

    #[test]
    fn a_growing_queue_is_an_estimate_at_once() {
        let mut aimd = Aimd::default();
        aimd.update(Usage::Over, None, at(0));
        assert_eq!(aimd.bitrate(), None, "of nothing");
        aimd.update(Usage::Over, Some(1_000_000.0), at(200));
        assert!((aimd.bitrate().unwrap() - 850_000.0).abs() < 1.0);
        assert!(!aimd.may_decrease(at(300), 900_000.0));
        assert!(aimd.may_decrease(at(300), 100_000.0) && aimd.may_decrease(at(400), 900_000.0));
    }

    #[test]
    fn growth_is_fast_far_from_capacity_slow_near_it_and_bounded_by_what_comes() {
        let mut aimd = Aimd::default();
        aimd.update(Usage::Over, Some(1_000_000.0), at(0));
        let grow = |aimd: &mut Aimd, from: u64, incoming: f64| {
            let before = aimd.bitrate().unwrap();
            for step in 0..=5 {
                aimd.update(Usage::Normal, Some(incoming), at(from + step * 200));
            }
            aimd.bitrate().unwrap() / before
        };
        let near = grow(&mut aimd, 1_000, 900_000.0);
        assert!((1.0..1.03).contains(&near), "{near}");
        // Far more than was ever too much comes in.
        let far = grow(&mut aimd, 2_000, 3_000_000.0);
        assert!((1.07..1.09).contains(&far), "{far}");
        for second in 0..100 {
            grow(&mut aimd, 10_000 + second * 1_000, 1_000_000.0);
        }
        let most = aimd.bitrate().unwrap();
        assert!(most <= 1_510_000.0, "{most}");
        aimd.update(Usage::Over, Some(0.0), at(500_000));
        assert!(aimd.bitrate().unwrap() >= BITRATE_MIN);
    }
}
