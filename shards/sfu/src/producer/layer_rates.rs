//! What each layer of a stream brings, where a stream carries several.

use std::time::Duration;

use ringsoup_rtc::codec::Descriptor;
use ringsoup_rtc::rate::RateCalculator;
use ringsoup_rtc::time::Time;

/// Layers that are counted by themselves, each way: payloads tell three bits. What is announced above is shown, and has no
/// traffic.
const COUNTED_MAX: u8 = 8;

/// After a silence of the whole stream nothing is known of its layers any more: a little less than rates remember.
const SILENCE: Duration = Duration::from_millis(2_000);

/// A spatial layer has stopped when so many frames of the lowest one have begun without it, and so much time has passed. Rates would
/// tell seconds later, and whoever gets that layer alone sees nothing until then.
const STOPPED_FRAMES: u8 = 8;
const STOPPED_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct LayerRates {
    /// Announced.
    spatial: u8,
    temporal: u8,
    /// Counted: spatial layer by spatial layer.
    columns: usize,
    rates: Box<[RateCalculator]>,
    /// Which spatial layers had traffic when somebody last looked, one bit each.
    seen: u8,
    /// Somebody has chosen between two looks, by others than these.
    is_seen_otherwise: bool,
    /// Which spatial layers have stopped, one bit each.
    stopped: u8,
    /// By spatial layer: when something of it came last, and frames of the lowest one that began since.
    newest: [(Time, u8); COUNTED_MAX as usize],
    /// What there is to choose from has changed since somebody asked.
    has_news: bool,
}

impl LayerRates {
    /// `None` for a stream of one layer.
    pub fn new(spatial: u8, temporal: u8, window: Duration) -> Option<Box<Self>> {
        if spatial <= 1 && temporal <= 1 {
            return None;
        }
        let rows = usize::from(spatial.clamp(1, COUNTED_MAX));
        let columns = usize::from(temporal.clamp(1, COUNTED_MAX));
        let rates = std::iter::repeat_with(|| RateCalculator::new(window)).take(rows * columns).collect();
        Some(Box::new(Self {
            spatial,
            temporal,
            columns,
            rates,
            seen: 0,
            is_seen_otherwise: false,
            stopped: 0,
            newest: [(Time::ZERO, 0); COUNTED_MAX as usize],
            has_news: false,
        }))
    }

    pub fn spatial_layers(&self) -> u8 {
        self.spatial
    }

    /// Layers above the announced ones count as the highest of these.
    pub fn update(&mut self, now: Time, bytes: usize, descriptor: &Descriptor) {
        let rows = self.rates.len() / self.columns;
        let spatial = usize::from(descriptor.spatial_layer()).min(rows - 1);
        let temporal = usize::from(descriptor.temporal_layer()).min(self.columns - 1);
        self.rates[spatial * self.columns + temporal].update(now, bytes);
        let heard = self.newest[..rows].iter().map(|(at, _)| *at).max().unwrap_or(now);
        self.has_news |= now.saturating_since(heard) >= SILENCE;
        self.newest[spatial] = (now, 0);
        self.stopped &= !(1 << spatial);
        if spatial == 0 && rows > 1 && descriptor.starts_frame() {
            self.miss_upper_layers(now, rows);
        }
    }

    /// A frame of the lowest layer begins.
    fn miss_upper_layers(&mut self, now: Time, rows: usize) {
        for (spatial, (at, missed)) in self.newest[..rows].iter_mut().enumerate().skip(1) {
            *missed = missed.saturating_add(1);
            let has_stopped = *missed >= STOPPED_FRAMES && now.saturating_since(*at) >= STOPPED_AFTER;
            if has_stopped && self.stopped & 1 << spatial == 0 {
                self.stopped |= 1 << spatial;
                self.has_news |= self.seen & 1 << spatial != 0;
                self.seen &= !(1 << spatial);
            }
        }
    }

    /// Whether a choice of layers should be made anew at once. True once for each reason.
    #[inline]
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Bits per second of each temporal layer by itself.
    pub fn of_spatial(&self, now: Time, spatial: u8) -> Vec<u64> {
        self.row(spatial).iter().map(|rate| rate.bitrate(now)).collect()
    }

    fn row(&self, spatial: u8) -> &[RateCalculator] {
        let start = usize::from(spatial) * self.columns;
        self.rates.get(start..start + self.columns).unwrap_or_default()
    }

    /// Whether anything of a spatial layer came lately.
    pub fn has_spatial(&self, now: Time, spatial: u8) -> bool {
        let has_stopped = spatial < COUNTED_MAX && self.stopped & 1 << spatial != 0;
        !has_stopped && self.row(spatial).iter().any(|rate| rate.bitrate(now) > 0)
    }

    /// Bits per second that a receiver of this layer needs: with those below it. Zero where the layer itself has no traffic.
    fn with_lower(&self, now: Time, spatial: u8, temporal: u8) -> u64 {
        let own = self.row(spatial).get(usize::from(temporal));
        if own.is_none_or(|own| own.bitrate(now) == 0) {
            return 0;
        }
        let below = (0..spatial).flat_map(|spatial| self.row(spatial));
        let beside = &self.row(spatial)[..=usize::from(temporal)];
        below.chain(beside).map(|rate| rate.bitrate(now)).sum()
    }

    /// "spatial.temporal" and bits per second, as controllers are shown it.
    pub fn shown(&self, now: Time) -> Vec<(String, u64)> {
        let layers =
            (0..self.spatial).flat_map(|spatial| (0..self.temporal).map(move |temporal| (spatial, temporal)));
        layers
            .map(|(spatial, temporal)| {
                (format!("{spatial}.{temporal}"), self.with_lower(now, spatial, temporal))
            })
            .collect()
    }

    /// Looks which spatial layers have traffic. True when that changed since the last look, or somebody has chosen by something else.
    pub fn look(&mut self, now: Time) -> bool {
        let seen = self.present(now);
        let is_new = std::mem::replace(&mut self.seen, seen) != seen;
        std::mem::take(&mut self.is_seen_otherwise) | is_new
    }

    /// Somebody chooses between two looks.
    pub fn note_choice(&mut self, now: Time) {
        self.is_seen_otherwise |= self.present(now) != self.seen;
    }

    fn present(&self, now: Time) -> u8 {
        let has = |spatial: &u8| self.has_spatial(now, *spatial);
        (0..self.spatial.min(COUNTED_MAX)).filter(has).fold(0, |seen, spatial| seen | 1 << spatial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringsoup_rtc::codec::Codec;
    use ringsoup_rtc::rate::WINDOW_DEFAULT;

    fn packet(spatial: u8, temporal: u8) -> Descriptor {
        Codec::Vp9.describe(&[0x28, temporal << 5 | spatial << 1, 0])
    }

    #[test]
    fn a_layer_needs_those_below_it() {
        let mut layers = LayerRates::new(2, 3, WINDOW_DEFAULT).unwrap();
        let now = Time::from_millis(1_000);
        layers.update(now, 1_000, &packet(0, 0));
        layers.update(now, 500, &packet(0, 2));
        layers.update(now, 2_000, &packet(1, 1));
        layers.update(now, 100, &packet(7, 7));
        let shown = layers.shown(now);
        let names: Vec<_> = shown.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]);
        let rates: Vec<_> = shown.iter().map(|(_, rate)| *rate).collect();
        // 2.5 s of window: 3.2 bits per second and byte.
        assert_eq!(rates, [3_200, 0, 4_800, 0, 11_200, 11_520]);
        assert_eq!(layers.of_spatial(now, 0), [3_200, 0, 1_600]);
        assert_eq!(layers.of_spatial(now, 9), []);
    }

    #[test]
    fn looking_tells_which_spatial_layers_come_and_go() {
        let mut layers = LayerRates::new(3, 1, WINDOW_DEFAULT).unwrap();
        let at = Time::from_millis;
        layers.update(at(0), 10, &packet(0, 0));
        assert!(layers.look(at(0)) && !layers.look(at(1)));
        layers.update(at(2), 10, &packet(2, 0));
        assert!(layers.look(at(3)));
        assert!(!layers.has_spatial(at(3), 1) && layers.has_spatial(at(3), 2));
        assert!(layers.look(at(9_000)), "all gone");
    }

    #[test]
    fn a_spatial_layer_has_stopped_when_frames_go_on_without_it() {
        let mut layers = LayerRates::new(2, 1, WINDOW_DEFAULT).unwrap();
        let at = Time::from_millis;
        layers.update(at(0), 10, &packet(0, 0));
        layers.update(at(0), 10, &packet(1, 0));
        assert!(layers.look(at(1)) && !layers.take_news());
        for frame in 1..100 {
            layers.update(at(frame * 40), 10, &packet(0, 0));
            // The 13th is the first half a second later.
            assert_eq!(layers.take_news(), frame == 13, "{frame}");
            assert_eq!(layers.has_spatial(at(frame * 40), 1), frame < 13);
        }
        layers.update(at(4_000), 10, &packet(1, 0));
        assert!(!layers.take_news() && layers.look(at(4_001)) && layers.has_spatial(at(4_001), 1));
        // Few frames in a second: eight of them have to pass.
        for frame in 1..10 {
            layers.update(at(4_000 + frame * 1_000), 10, &packet(0, 0));
            assert_eq!(layers.take_news(), frame == 8);
        }
    }

    #[test]
    fn after_a_silence_there_is_news_at_once() {
        let mut layers = LayerRates::new(1, 3, WINDOW_DEFAULT).unwrap();
        let at = Time::from_millis;
        layers.update(at(10_000), 10, &packet(0, 0));
        assert!(layers.take_news() && !layers.take_news());
        layers.update(at(11_000), 10, &packet(0, 0));
        assert!(!layers.take_news());
        layers.update(at(13_000), 10, &packet(0, 2));
        assert!(layers.take_news());
    }

    #[test]
    fn a_choice_by_other_layers_than_were_seen_is_looked_at_again() {
        let mut layers = LayerRates::new(2, 1, WINDOW_DEFAULT).unwrap();
        let at = Time::from_millis;
        let both = |layers: &mut LayerRates, now: Time| {
            layers.update(now, 10, &packet(0, 0));
            layers.note_choice(now);
            layers.update(now, 10, &packet(1, 0));
        };
        both(&mut layers, at(0));
        assert!(layers.look(at(1)) && !layers.look(at(2)));
        both(&mut layers, at(9_000));
        assert!(layers.look(at(9_001)), "both are there again, as when somebody last looked");
        layers.note_choice(at(9_002));
        assert!(!layers.look(at(9_003)));
    }

    #[test]
    fn one_layer_is_not_counted_and_a_thousand_are_not_kept() {
        assert!(LayerRates::new(1, 1, WINDOW_DEFAULT).is_none());
        let mut many = LayerRates::new(99, 99, WINDOW_DEFAULT).unwrap();
        assert_eq!(many.rates.len(), 64);
        many.update(Time::ZERO, 1, &packet(7, 7));
        assert_eq!(many.shown(Time::ZERO).len(), 99 * 99);
    }
}
