//! What a receiver prefers is the most it gets.

use std::collections::VecDeque;
use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Layers;

use super::Fault;

/// For so long what was sent before may come: on its way, and once more on request.
const UNDER_WAY: Duration = Duration::from_secs(4);

/// Down to a lower spatial layer goes with a key frame, which has to be asked for and may be lost. Five requests
/// in a row were lost, or what they brought, where a tenth of all packets is. Shorter than a world.
const KEY_FRAME: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Until when, the newest last without end.
    preferred: VecDeque<(Option<Time>, Layers)>,
    /// When the first frame came, or the first after an interruption. Until the streams below have come, rather one above what is
    /// preferred is shown than nothing.
    begun: Option<Time>,
}

impl Limits {
    pub(crate) fn prefer(&mut self, now: Time, layers: Layers) {
        if let Some((until, _)) = self.preferred.back_mut() {
            *until = Some(now);
        }
        self.preferred.push_back((None, layers));
        let is_over =
            |until: Option<Time>| until.is_some_and(|until| now.saturating_since(until) > KEY_FRAME);
        while self.preferred.front().is_some_and(|(until, _)| is_over(*until)) {
            self.preferred.pop_front();
        }
    }

    /// Nothing is known of the streams that are there.
    pub(crate) fn begin(&mut self) {
        self.begun = None;
    }

    pub(crate) fn check(&mut self, now: Time, spatial: u8, temporal: u8) -> Result<(), Fault> {
        let begun = *self.begun.get_or_insert(now);
        let within = |patience: Duration| {
            move |until: Option<Time>| until.is_none_or(|until| now.saturating_since(until) <= patience)
        };
        let allows = |patience, allows: &dyn Fn(&Layers) -> bool| {
            let is_current = within(patience);
            self.preferred.iter().any(|(until, layers)| is_current(*until) && allows(layers))
        };
        if self.preferred.is_empty() {
            return Ok(());
        }
        if !allows(UNDER_WAY, &|layers| layers.temporal.is_none_or(|most| temporal <= most)) {
            return Err(format!("temporal layer {temporal}, but preferred are {:?}", self.preferred));
        }
        let is_beginning = now.saturating_since(begun) <= KEY_FRAME;
        if !is_beginning && !allows(KEY_FRAME, &|layers| spatial <= layers.spatial) {
            return Err(format!("spatial layer {spatial}, but preferred are {:?}", self.preferred));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers_lowest() -> Limits {
        let mut limits = Limits::default();
        limits.prefer(Time::from_millis(0), Layers { spatial: 0, temporal: Some(1) });
        limits
    }

    #[test]
    fn until_the_preferred_stream_comes_one_above_it_is_shown() {
        let mut limits = prefers_lowest();
        limits.check(Time::from_millis(20_000), 1, 0).expect("the first that came");
        limits.check(Time::from_millis(22_000), 1, 0).expect("the key frame below may be lost");
        limits.check(Time::from_millis(29_000), 0, 0).expect("the preferred one");
        assert!(limits.check(Time::from_millis(29_000), 1, 0).is_err());
    }

    #[test]
    fn after_a_pause_one_above_is_shown_again() {
        let mut limits = prefers_lowest();
        limits.check(Time::from_millis(1_000), 0, 0).expect("the preferred one");
        assert!(limits.check(Time::from_millis(10_000), 1, 0).is_err());
        limits.begin();
        limits.check(Time::from_millis(12_000), 1, 0).expect("the first that came");
        assert!(limits.check(Time::from_millis(12_000), 1, 2).is_err(), "temporal layers wait for nothing");
    }
}
