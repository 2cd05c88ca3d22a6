//! Frames that tell their layers in the dependency descriptor: which temporal layers a receiver can take.

use std::collections::VecDeque;

use ringsoup_rtc::codec::dependency_descriptor::Frame;

/// Changes that are remembered, for packets that come late or are asked for again.
const CHANGES_MAX: usize = 16;

/// Up to which temporal layer frames were sent, and from which number on: what comes late is measured by the layers of its time.
#[derive(Debug, Default)]
pub(super) struct Opened(VecDeque<(u64, u8)>);

impl Opened {
    /// For streams with dependency descriptors: other ones never note anything.
    pub(super) fn of_frames() -> Self {
        Self(VecDeque::with_capacity(CHANGES_MAX))
    }

    pub(super) fn begin(&mut self) {
        self.0.clear();
    }

    pub(super) fn note(&mut self, from: u64, temporal: u8) {
        if self.0.back().is_some_and(|(_, last)| *last == temporal) {
            return;
        }
        if self.0.len() == CHANGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((from, temporal));
    }

    /// `None` before the first, and where that is forgotten.
    pub(super) fn at(&self, seq: u64) -> Option<u8> {
        self.0.iter().rev().find(|(from, _)| *from <= seq).map(|(_, temporal)| *temporal)
    }
}

/// The temporal layer up to which frames are sent from this frame on, of which packets up to `open` were sent before. Up goes at a
/// frame that says so; down goes at once, but for frames that are under way.
pub(super) fn open_from(frame: &Frame, spatial: u8, open: u8, wanted: u8) -> u8 {
    if wanted < open {
        let is_between = frame.temporal <= wanted || (frame.spatial == 0 && frame.starts_frame);
        return if is_between { wanted } else { open };
    }
    let mut higher = (open + 1..=wanted).rev().filter(|_| frame.temporal <= open);
    higher.find(|temporal| frame.opens(spatial, *temporal)).unwrap_or(open)
}

/// Of the temporal layers that came before a key frame, the highest that the sequence it begins has.
pub(super) fn still_reached(key_frame: &Frame, spatial: u8, reached: u8) -> u8 {
    (0..=reached).rev().find(|temporal| key_frame.opens(spatial, *temporal)).unwrap_or(key_frame.temporal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringsoup_rtc::codec::dependency_descriptor::Reader;
    use ringsoup_rtc::codec::dependency_descriptor::writer::{NewDescriptor, layered};

    fn frame(spatial: u8, temporal: u8, starts_frame: bool) -> Frame {
        let structure = layered(2, 3, false);
        let mut reader = Reader::default();
        let key = NewDescriptor { structure: Some(&structure), ..NewDescriptor::default() };
        reader.read(1, &key.write(&structure)).unwrap();
        let template = 2 * (spatial * 3 + temporal) + 1;
        let delta = NewDescriptor { starts_frame, template, ..NewDescriptor::default() };
        reader.read(2, &delta.write(&structure)).unwrap()
    }

    #[test]
    fn up_goes_where_the_receiver_s_own_frames_allow_it() {
        assert_eq!(open_from(&frame(1, 0, false), 1, 0, 2), 2);
        assert_eq!(open_from(&frame(1, 0, false), 1, 0, 1), 1);
        assert_eq!(open_from(&frame(0, 0, false), 1, 0, 2), 0, "the upper spatial layer needs its own");
        assert_eq!(open_from(&frame(1, 1, false), 1, 0, 2), 0, "a frame that is not sent opens nothing");
        assert_eq!(open_from(&frame(1, 1, false), 1, 1, 2), 2);
    }

    #[test]
    fn a_key_frame_tells_which_layers_will_come() {
        let structure = layered(1, 2, false);
        let key = NewDescriptor { structure: Some(&structure), ..NewDescriptor::default() };
        let frame = Reader::default().read(1, &key.write(&structure)).unwrap();
        assert_eq!([0, 1, 2].map(|reached| still_reached(&frame, 0, reached)), [0, 1, 1]);
        assert_eq!(still_reached(&frame, 1, 2), 0, "there is no such layer");
    }

    #[test]
    fn down_goes_between_frames() {
        assert_eq!(open_from(&frame(0, 2, false), 1, 2, 0), 2, "the middle of a frame");
        assert_eq!(open_from(&frame(1, 2, true), 1, 2, 0), 2, "the middle of a picture");
        assert_eq!(open_from(&frame(0, 2, true), 1, 2, 0), 0);
        assert_eq!(open_from(&frame(1, 1, false), 1, 2, 1), 1);
    }
}
