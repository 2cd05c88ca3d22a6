//! Which layers were decoded, and when last.

use ringsoup_rtc::time::Time;

#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// By spatial and temporal layer.
    last: Vec<(u8, u8, Time)>,
}

impl Reached {
    pub(crate) fn note(&mut self, now: Time, spatial: u8, temporal: u8) {
        match self.last.iter_mut().find(|known| (known.0, known.1) == (spatial, temporal)) {
            Some(known) => known.2 = now,
            None => self.last.push((spatial, temporal, now)),
        }
    }

    /// When a frame of these layers, or of higher ones, was decoded last.
    pub(crate) fn last(&self, spatial: u8, temporal: u8) -> Option<Time> {
        let reaches = |known: &&(u8, u8, Time)| known.0 >= spatial && known.1 >= temporal;
        self.last.iter().filter(reaches).map(|known| known.2).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_layers_reach_no_higher_ones() {
        let mut reached = Reached::default();
        assert_eq!(reached.last(0, 0), None);
        reached.note(Time::from_millis(1), 1, 1);
        reached.note(Time::from_millis(2), 1, 0);
        reached.note(Time::from_millis(3), 0, 1);
        assert_eq!(reached.last(0, 0), Some(Time::from_millis(3)));
        assert_eq!(reached.last(1, 0), Some(Time::from_millis(2)));
        assert_eq!(reached.last(1, 1), Some(Time::from_millis(1)));
        assert_eq!(reached.last(2, 0), None);
    }
}
