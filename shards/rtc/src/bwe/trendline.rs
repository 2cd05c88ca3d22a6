//! Whether a queue grows on the way: by the slope of the delay over the last groups of packets.
//!
//! The slope is compared with a threshold that follows it slowly (draft-ietf-rmcat-gcc-02 section 5.4), so that a way that
//! is shared with flows that fill queues is not given up to them.

use std::time::Duration;

use crate::time::Time;

use super::packet_groups::Spacing;

/// Groups the slope is taken over.
const WINDOW: usize = 20;
/// Weight of what was in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// Makes a slope comparable with the threshold, which is in milliseconds.
const GAIN: f64 = 4.0;
/// A slope over few groups says less: it counts by their number up to this.
const GROUPS_MAX: u16 = 60;
/// Where the threshold begins, and between what it stays, milliseconds.
const THRESHOLD_INITIAL: f64 = 12.5;
const THRESHOLD_MIN: f64 = 6.0;
const THRESHOLD_MAX: f64 = 600.0;
/// How fast the threshold follows up and down, per millisecond.
const RISE: f64 = 0.0087;
const FALL: f64 = 0.039;
/// Further above the threshold is a sudden change of the way, which it does not follow.
const OUTLIER_MARGIN: f64 = 15.0;
/// The threshold follows at most this long a time at once, milliseconds.
const STEP_MAX: f64 = 100.0;
/// A queue must have grown this long, of sending time, milliseconds.
const OVERUSE_MIN: f64 = 10.0;

/// What the delay says of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Usage {
    #[default]
    Normal,
    /// A queue grows: more is sent than the way takes.
    Over,
    /// A queue gets shorter.
    Under,
}

#[derive(Debug)]
pub struct Trendline {
    /// Arrival and smoothed delay, milliseconds, in no order.
    points: [(f64, f64); WINDOW],
    /// Groups so far, up to [`GROUPS_MAX`], and the slot of the next.
    groups: u16,
    slot: usize,
    began: Option<Time>,
    delay: f64,
    smoothed: f64,
    slope_before: f64,
    threshold: f64,
    threshold_at: Option<Time>,
    /// How long, of sending time, a queue has grown; `None` while it does not.
    growing: Option<f64>,
    /// Groups within that time.
    growing_groups: u32,
    usage: Usage,
}

impl Default for Trendline {
    fn default() -> Self {
        Self {
            points: [(0.0, 0.0); WINDOW],
            groups: 0,
            slot: 0,
            began: None,
            delay: 0.0,
            smoothed: 0.0,
            slope_before: 0.0,
            threshold: THRESHOLD_INITIAL,
            threshold_at: None,
            growing: None,
            growing_groups: 0,
            usage: Usage::Normal,
        }
    }
}

impl Trendline {
    pub fn usage(&self) -> Usage {
        self.usage
    }

    pub fn update(&mut self, spacing: Spacing, now: Time) {
        let began = *self.began.get_or_insert(now);
        self.delay += spacing.arrived_ms - spacing.sent_ms;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        self.groups = (self.groups + 1).min(GROUPS_MAX);
        if let Some(point) = self.points.get_mut(self.slot) {
            *point = (now.saturating_since(began).as_secs_f64() * 1_000.0, self.smoothed);
        }
        self.slot = (self.slot + 1) % WINDOW;
        let slope = if usize::from(self.groups) < WINDOW { 0.0 } else { slope_of(&self.points) };
        self.judge(slope, spacing.sent_ms);
        let trend = self.trend(slope);
        self.follow(trend, now);
        self.slope_before = slope;
    }

    fn trend(&self, slope: f64) -> f64 {
        f64::from(self.groups) * slope * GAIN
    }

    fn judge(&mut self, slope: f64, sent_ms: f64) {
        let trend = self.trend(slope);
        if trend <= self.threshold {
            (self.growing, self.growing_groups) = (None, 0);
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
            return;
        }
        // It began to grow somewhere between the groups.
        let growing = self.growing.map_or(sent_ms / 2.0, |growing| growing + sent_ms);
        self.growing_groups += 1;
        let is_over = growing > OVERUSE_MIN && self.growing_groups > 1 && slope >= self.slope_before;
        if is_over {
            self.usage = Usage::Over;
            self.growing_groups = 0;
        }
        self.growing = Some(if is_over { 0.0 } else { growing });
    }

    fn follow(&mut self, trend: f64, now: Time) {
        let since = now.saturating_since(self.threshold_at.replace(now).unwrap_or(now));
        let height = trend.abs();
        if height > self.threshold + OUTLIER_MARGIN {
            return;
        }
        let speed = if height < self.threshold { FALL } else { RISE };
        let step = (since.min(Duration::from_secs(1)).as_secs_f64() * 1_000.0).min(STEP_MAX);
        self.threshold += speed * (height - self.threshold) * step;
        self.threshold = self.threshold.clamp(THRESHOLD_MIN, THRESHOLD_MAX);
    }
}

/// Least squares; flat where all came at once.
fn slope_of(points: &[(f64, f64); WINDOW]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "twenty")]
    let count = WINDOW as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (covariance, variance) = points.iter().fold((0.0, 0.0), |(covariance, variance), (x, y)| {
        let x = x - mean_x;
        (covariance + x * (y - mean_y), variance + x * x)
    });
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups each 20 ms, of which each arrives so much later than the one before.
    fn run(trendline: &mut Trendline, from_ms: u64, groups: u64, extra: impl Fn(u64) -> f64) -> Vec<Usage> {
        (0..groups)
            .map(|group| {
                let spacing = Spacing { sent_ms: 20.0, arrived_ms: 20.0 + extra(group) };
                trendline.update(spacing, Time::from_millis(from_ms + group * 20));
                trendline.usage()
            })
            .collect()
    }

    #[test]
    fn a_queue_that_grows_is_noticed_and_one_that_drains() {
        let mut trendline = Trendline::default();
        assert!(run(&mut trendline, 0, 100, |_| 0.0).iter().all(|&usage| usage == Usage::Normal));
        let growing = run(&mut trendline, 2_000, 25, |_| 2.0);
        let noticed = growing.iter().position(|&usage| usage == Usage::Over).expect("noticed");
        assert!(noticed <= 12, "{noticed} groups");
        let draining = run(&mut trendline, 2_500, 40, |_| -4.0);
        assert_eq!(draining.last(), Some(&Usage::Under));
        assert_eq!(run(&mut trendline, 3_300, 100, |_| 0.0).last(), Some(&Usage::Normal));
    }

    #[test]
    fn jitter_is_no_queue() {
        let mut trendline = Trendline::default();
        let usages =
            run(&mut trendline, 0, 2_000, |group| [6.0, -9.0, 4.0, -1.0, 8.0, -8.0][(group % 6) as usize]);
        assert!(usages.iter().all(|&usage| usage != Usage::Over));
    }
}
