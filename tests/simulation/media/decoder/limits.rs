//! What a receiver prefers is the most it gets.

use std::collections::VecDeque;
use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Layers;

use super::Fault;

/// For so long what was sent before may come: on its way, and once more on request.
const UNDER_WAY: Duration = Duration::from_secs(4);

/// Down to a lower spatial layer goes with a key frame, which has to be asked for and may be lost.
const KEY_FRAME: Duration = Duration::from_secs(12);

#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Until when, the newest last without end.
    preferred: VecDeque<(Option<Time>, Layers)>,
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

    pub(crate) fn check(&self, now: Time, spatial: u8, temporal: u8) -> Result<(), Fault> {
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
        if !allows(KEY_FRAME, &|layers| spatial <= layers.spatial) {
            return Err(format!("spatial layer {spatial}, but preferred are {:?}", self.preferred));
        }
        Ok(())
    }
}
