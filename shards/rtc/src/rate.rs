//! Bit rate over a sliding window, as streams report it.
//!
//! The window is cut into items of equal length kept in a ring; their sum is kept up to date, so
//! recording costs the same whatever the window.

use std::time::Duration;

use crate::time::Time;

/// Window of streams whose packets never pause for long.
pub const WINDOW_DEFAULT: Duration = Duration::from_millis(2_500);

/// Window of streams that may send a packet every few hundred milliseconds only.
pub const WINDOW_DTX: Duration = Duration::from_millis(6_000);

/// Items per window: the rate's error is at most the traffic of one of them.
const ITEMS: usize = 100;

/// Bytes, packets and bit rate of one flow.
#[derive(Debug, Clone)]
pub struct RateCalculator {
    items: [u32; ITEMS],
    /// Items in use: enough to cover the window, which `ITEMS` may not divide.
    item_count: usize,
    item_ms: u64,
    window_ms: u64,
    newest: usize,
    /// When the newest item began, milliseconds.
    newest_at_ms: u64,
    /// Sum of `items`.
    window_bytes: u64,
    bytes: u64,
    packets: u64,
}

impl Default for RateCalculator {
    fn default() -> Self {
        Self::new(WINDOW_DEFAULT)
    }
}

impl RateCalculator {
    /// A window shorter than a millisecond counts as one.
    pub fn new(window: Duration) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX));
        let item_ms = window_ms.div_ceil(ITEMS as u64);
        Self {
            items: [0; ITEMS],
            item_count: usize::try_from(window_ms.div_ceil(item_ms)).map_or(ITEMS, |count| count.min(ITEMS)),
            item_ms,
            window_ms,
            newest: 0,
            newest_at_ms: 0,
            window_bytes: 0,
            bytes: 0,
            packets: 0,
        }
    }

    /// Records a packet of `bytes`. One older than the newest item counts into that item; one
    /// older than the window counts in the totals only.
    #[inline]
    pub fn update(&mut self, now: Time, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
        let now_ms = now.as_millis();
        self.slide(now_ms);
        if now_ms + self.window_ms <= self.newest_at_ms {
            return;
        }
        let Some(item) = self.items.get_mut(self.newest) else {
            return;
        };
        let added = u32::try_from(bytes).unwrap_or(u32::MAX).min(u32::MAX - *item);
        *item += added;
        self.window_bytes += u64::from(added);
    }

    /// Counts a packet of padding: it has been received, but is nobody's media.
    pub fn count_padding_only(&mut self) {
        self.packets += 1;
    }

    /// Bits per second over the window that ends at `now`.
    pub fn bitrate(&self, now: Time) -> u64 {
        let steps = self.steps_to(now.as_millis());
        let expired: u64 = if steps >= self.item_count {
            self.window_bytes
        } else {
            (1..=steps).map(|step| self.item(self.newest + step)).sum()
        };
        let bits_ms = (self.window_bytes - expired) * 8_000;
        (bits_ms + self.window_ms / 2) / self.window_ms
    }

    /// Bytes since the beginning, padding-only packets excepted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets since the beginning.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Empties the window; the totals stay.
    pub fn reset(&mut self) {
        self.items = [0; ITEMS];
        self.window_bytes = 0;
        self.newest = 0;
        self.newest_at_ms = 0;
    }

    fn item(&self, index: usize) -> u64 {
        self.items.get(index % self.item_count).map_or(0, |bytes| u64::from(*bytes))
    }

    /// Whole items between the newest one's beginning and `now_ms`.
    fn steps_to(&self, now_ms: u64) -> usize {
        let elapsed_ms = now_ms.saturating_sub(self.newest_at_ms);
        usize::try_from(elapsed_ms / self.item_ms).unwrap_or(usize::MAX)
    }

    /// Makes the item holding `now_ms` the newest and empties those that left the window.
    #[inline]
    fn slide(&mut self, now_ms: u64) {
        // Most packets fall into the newest item; they are spared the division.
        if now_ms.saturating_sub(self.newest_at_ms) >= self.item_ms {
            self.slide_items(now_ms);
        }
    }

    #[cold]
    fn slide_items(&mut self, now_ms: u64) {
        let steps = self.steps_to(now_ms);
        if steps >= self.item_count {
            // An empty window is common after silence, and already zero.
            if self.window_bytes != 0 {
                self.reset();
            }
            self.newest_at_ms = now_ms;
            return;
        }
        for _ in 0..steps {
            self.newest = (self.newest + 1) % self.item_count;
            if let Some(item) = self.items.get_mut(self.newest) {
                self.window_bytes -= u64::from(std::mem::take(item));
            }
        }
        // Whole items only: jumping to `now_ms` would stretch the window.
        self.newest_at_ms += steps as u64 * self.item_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_steady_flow_has_its_rate() {
        let mut rate = RateCalculator::new(Duration::from_millis(1_000));
        for millis in (10_000..12_000).step_by(20) {
            rate.update(Time::from_millis(millis), 125);
        }
        assert_eq!(rate.bitrate(Time::from_millis(11_999)), 50_000);
        assert_eq!((rate.packets(), rate.bytes()), (100, 12_500));
        assert_eq!(rate.bitrate(Time::from_millis(13_100)), 0);
    }

    #[test]
    fn bytes_leave_with_the_window() {
        let mut rate = RateCalculator::new(Duration::from_millis(1_000));
        rate.update(Time::from_millis(5_000), 1_000);
        assert_eq!(rate.bitrate(Time::from_millis(5_000)), 8_000);
        assert_eq!(rate.bitrate(Time::from_millis(5_999)), 8_000);
        assert_eq!(rate.bitrate(Time::from_millis(6_000)), 0);
        assert_eq!(rate.bytes(), 1_000);
    }

    #[test]
    fn late_packets_count_while_the_window_holds_them() {
        let mut rate = RateCalculator::new(Duration::from_millis(1_000));
        rate.update(Time::from_millis(5_000), 10);
        rate.update(Time::from_millis(4_500), 10);
        rate.update(Time::from_millis(3_900), 10);
        assert_eq!(rate.bitrate(Time::from_millis(5_000)), 160);
        assert_eq!(rate.packets(), 3);
    }

    #[test]
    fn padding_counts_as_packets_only() {
        let mut rate = RateCalculator::default();
        rate.count_padding_only();
        assert_eq!((rate.packets(), rate.bytes(), rate.bitrate(Time::ZERO)), (1, 0, 0));
    }

    proptest! {
        /// Against a list of all packets: exact but for one item's worth of time.
        #[test]
        fn agrees_with_a_list_of_packets(
            window_ms in 1u64..7_000,
            packets in proptest::collection::vec((0u64..400, 0usize..2_000), 1..200),
        ) {
            let mut rate = RateCalculator::new(Duration::from_millis(window_ms));
            let mut now = 1_000_000;
            let mut sent = Vec::new();
            for (wait, bytes) in packets {
                now += wait;
                rate.update(Time::from_millis(now), bytes);
                sent.push((now, bytes as u64));
                let within = |age_max: u64| -> u64 {
                    sent.iter().filter(|(at, _)| at + age_max > now).map(|(_, bytes)| bytes).sum()
                };
                let item_ms = window_ms.div_ceil(100);
                let bound = |bytes: u64| (bytes * 8_000 + window_ms / 2) / window_ms;
                let bitrate = rate.bitrate(Time::from_millis(now));
                prop_assert!(bitrate <= bound(within(window_ms + 2 * item_ms)));
                prop_assert!(bitrate >= bound(within(window_ms.saturating_sub(item_ms))));
            }
        }

        #[test]
        fn any_time_is_answered(updates in proptest::collection::vec((any::<u64>(), any::<u32>()), 0..50)) {
            let mut rate = RateCalculator::default();
            for (nanos, bytes) in updates {
                rate.update(Time::from_nanos(nanos), bytes as usize);
                rate.bitrate(Time::from_nanos(nanos / 2));
                rate.bitrate(Time::from_nanos(u64::MAX));
            }
        }
    }
}
