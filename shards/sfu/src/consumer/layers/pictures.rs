//! VP8's picture numbers: gap-free for the receiver, whatever was left out and whichever stream the pictures came from.
//!
//! A decoder tells by the picture id whether a picture is missing, and by TL0PICIDX which base picture another refers to
//! (RFC 7741 section 4.2). Both run on here as the sequence number does.

use ringsoup_rtc::codec::vp8::Descriptor;

use crate::consumer::decision::Prefix;
use crate::consumer::seq_map::SeqMap;

/// Bits of a picture id, also of those whose payload tells seven of them (`rtc/codec/vp8.rs PictureIds`).
const ID_BITS: u32 = 15;

/// Changes of the temporal layer that are remembered, for pictures that come late.
const CHANGES_MAX: usize = 4;

/// The first picture's number.
const FIRST_PICTURE: u16 = 1;

/// What becomes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    pub passes: bool,
    /// The temporal layer that is sent from now on.
    pub temporal: u8,
}

/// The pictures of one run of a stream.
#[derive(Debug)]
pub struct Pictures {
    ids: SeqMap,
    /// Subtracted from TL0PICIDX.
    tl0_offset: u8,
    tl0_newest: u8,
    has_begun: bool,
    /// From which picture on which temporal layer was sent, newest first.
    changes: [Option<(u64, u8)>; CHANGES_MAX],
}

impl Default for Pictures {
    fn default() -> Self {
        Self {
            ids: SeqMap::new(FIRST_PICTURE),
            tl0_offset: 0,
            tl0_newest: 0,
            has_begun: false,
            changes: [None; CHANGES_MAX],
        }
    }
}

impl Pictures {
    /// Prepares for a stream whose pictures follow those of `before`.
    pub fn follow(&mut self, before: (u64, u8)) {
        self.has_begun = false;
        self.tl0_newest = before.1;
        // The input is set with the first picture.
        self.ids.sync_at(0, before.0 + 1);
    }

    /// The newest numbers: what follows begins after them.
    pub fn newest(&self) -> (u64, u8) {
        (self.ids.max_output(), self.tl0_newest)
    }

    /// Begins with this picture where none has been yet, with this temporal layer.
    pub fn begin(&mut self, picture: &Descriptor, temporal: u8) {
        let Some(id) = picture.picture_id.filter(|_| !self.has_begun) else { return };
        let id = cycle_base() + u64::from(id);
        self.ids.sync(id);
        self.changes = [None; CHANGES_MAX];
        self.changes[0] = Some((id, temporal));
        let first = self.tl0_newest.wrapping_add(1);
        self.tl0_offset = picture.tl0_picture_index.unwrap_or_default().wrapping_sub(first);
        self.has_begun = true;
    }

    /// Whether the picture is not older than the newest one.
    fn is_newest(&self, picture: &Descriptor) -> bool {
        self.extend(picture).is_none_or(|id| id >= self.ids.max_input())
    }

    /// Whether the packet before was of the same picture.
    fn is_underway(&self, picture: &Descriptor) -> bool {
        self.extend(picture).is_some_and(|id| id == self.ids.max_input())
    }

    /// Leaves a picture out.
    fn leave_out(&mut self, picture: &Descriptor) {
        if let Some(id) = self.extend(picture) {
            self.ids.drop_input(id);
        }
    }

    /// The picture goes out. False when it was left out before.
    pub fn take(&mut self, picture: &Descriptor) -> bool {
        let Some(id) = self.extend(picture) else { return true };
        if self.ids.map(id).is_none() {
            return false;
        }
        if let Some(index) = picture.tl0_picture_index {
            let index = index.wrapping_sub(self.tl0_offset);
            if index.wrapping_sub(self.tl0_newest) < 0x80 {
                self.tl0_newest = index;
            }
        }
        true
    }

    /// What a packet's payload begins with for the receiver; nothing where the payload has no numbers.
    pub fn prefix(&self, picture: &Descriptor, payload: &[u8]) -> Option<Prefix> {
        let id = self.ids.output_of(self.extend(picture)?)?;
        let index = picture.tl0_picture_index.unwrap_or_default().wrapping_sub(self.tl0_offset);
        #[allow(clippy::cast_possible_truncation, reason = "15 bits are written")]
        let (bytes, len) = picture.renumbered(payload, id as u16, index)?;
        Some(Prefix { bytes, len: u8::try_from(len).ok()?, skips: u8::try_from(picture.len).ok()? })
    }

    /// The prefix of a packet that is sent again: inside, nothing where the payload has no numbers; outside, `None` when what it was
    /// cannot be told any more.
    pub fn prefix_again(&self, picture: &Descriptor, payload: &[u8]) -> Option<Option<Prefix>> {
        if picture.picture_id.is_none() {
            return Some(None);
        }
        // A number that stayed missing may be that of a picture that was left out.
        let was_sent = picture.temporal_layer.unwrap_or(0) <= self.layer_then(picture)?;
        if was_sent { self.prefix(picture, payload).map(Some) } else { None }
    }

    /// Lets a picture pass or leaves it out by its temporal layer.
    pub fn admit(&mut self, picture: &Descriptor, current: u8, wanted: u8) -> Admitted {
        self.begin(picture, current);
        let Some(layer) = picture.temporal_layer else {
            return Admitted { passes: self.take(picture), temporal: 0 };
        };
        if self.is_underway(picture) {
            // A picture passes whole or not at all, whatever is wanted meanwhile.
            let passes = self.extend(picture).is_some_and(|id| self.ids.output_of(id).is_some());
            return Admitted { passes, temporal: current };
        }
        if !self.is_newest(picture) {
            // What it was when it was new: a picture that was lost then may still fit what was sent around it.
            let fits = self.layer_then(picture).is_some_and(|then| layer <= then);
            if !fits {
                self.leave_out(picture);
            }
            return Admitted { passes: fits && self.take(picture), temporal: current };
        }
        // Up only where the picture depends on nothing that was left out, and to the wanted layer at once. Down at once: what
        // depends on a picture that is left out now must not pass later.
        let goes_up = layer > current && layer == wanted && picture.is_layer_sync;
        let temporal = if goes_up { layer } else { current.min(wanted) };
        let passes = layer <= temporal && self.take(picture);
        if !passes {
            self.leave_out(picture);
        }
        let is_other = self.changes[0].is_none_or(|(_, last)| last != temporal);
        if let Some(id) = self.extend(picture).filter(|_| is_other) {
            self.changes.rotate_right(1);
            self.changes[0] = Some((id, temporal));
        }
        Admitted { passes, temporal }
    }

    /// The temporal layer that was sent when a picture was due.
    fn layer_then(&self, picture: &Descriptor) -> Option<u8> {
        let id = self.extend(picture)?;
        let change = self.changes.iter().flatten().find(|(from, _)| *from <= id)?;
        Some(change.1)
    }

    /// The picture's number among all of the run: the nearest to the newest with these low bits.
    fn extend(&self, picture: &Descriptor) -> Option<u64> {
        let id = picture.picture_id.filter(|_| self.has_begun)?;
        let (cycle, newest) = (1_u64 << ID_BITS, self.ids.max_input());
        let ahead = u64::from(id).wrapping_sub(newest) & (cycle - 1);
        Some(if ahead < cycle / 2 { newest + ahead } else { newest + ahead - cycle })
    }
}

/// Numbers begin this high, so that pictures before the first one do not lie below zero.
fn cycle_base() -> u64 {
    1 << (ID_BITS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(id: u16, tl0: u8) -> Descriptor {
        let [high, low] = id.to_be_bytes();
        Descriptor::parse(&[0x90, 0xe0, 0x80 | high, low, tl0, 0x00, 0x50]).unwrap()
    }

    fn shown(pictures: &Pictures, picture: &Descriptor) -> Option<(u16, u8)> {
        let payload = [0x90, 0xe0, 0, 0, 0, 0, 0x50];
        let prefix = pictures.prefix(picture, &payload)?;
        let shown = Descriptor::parse(prefix.bytes()).unwrap();
        Some((shown.picture_id.unwrap(), shown.tl0_picture_index.unwrap()))
    }

    #[test]
    fn what_is_left_out_leaves_no_gap_and_what_is_lost_does() {
        let mut pictures = Pictures::default();
        pictures.begin(&picture(0x7ffe, 200), 0);
        for (id, tl0, expected) in [(0x7ffe, 200, 1), (0x7fff, 201, 2), (1, 202, 4)] {
            let picture = picture(id, tl0);
            assert!(pictures.take(&picture));
            assert_eq!(shown(&pictures, &picture), Some((expected, tl0 - 199)));
        }
        pictures.leave_out(&picture(2, 202));
        assert!(pictures.take(&picture(3, 203)));
        assert_eq!(shown(&pictures, &picture(3, 203)), Some((5, 4)));
        assert!(!pictures.take(&picture(2, 202)), "left out for good");
        assert!(pictures.take(&picture(0, 201)), "the lost one may still come");
        assert_eq!(shown(&pictures, &picture(0, 201)), Some((3, 2)));
    }

    #[test]
    fn another_stream_goes_on_with_the_next_numbers() {
        let mut first = Pictures::default();
        first.begin(&picture(77, 9), 0);
        first.take(&picture(77, 9));
        first.take(&picture(78, 10));
        let mut second = Pictures::default();
        second.follow(first.newest());
        let picture = picture(30_000, 250);
        second.begin(&picture, 0);
        assert!(second.take(&picture));
        assert_eq!(shown(&second, &picture), Some((3, 3)));
    }

    fn layer(id: u16, layer: u8, is_sync: bool) -> Descriptor {
        Descriptor { temporal_layer: Some(layer), is_layer_sync: is_sync, ..picture(id, 1) }
    }

    impl Pictures {
        /// The layer that is sent, or `None` for what does not pass.
        fn passed(&mut self, picture: &Descriptor, current: u8, wanted: u8) -> Option<u8> {
            let admitted = self.admit(picture, current, wanted);
            admitted.passes.then_some(admitted.temporal)
        }
    }

    #[test]
    fn temporal_layers_go_up_at_a_sync_picture_and_down_at_once() {
        let mut pictures = Pictures::default();
        assert_eq!(pictures.passed(&layer(1, 0, false), 0, 2), Some(0));
        assert_eq!(pictures.passed(&layer(2, 2, false), 0, 2), None);
        assert_eq!(pictures.passed(&layer(3, 1, true), 0, 2), None, "not on the way");
        assert_eq!(pictures.passed(&layer(4, 2, true), 0, 2), Some(2));
        assert_eq!(shown(&pictures, &layer(4, 2, true)).map(|(id, _)| id), Some(2));
        assert_eq!(pictures.passed(&layer(5, 1, false), 2, 2), Some(2));
        assert_eq!(pictures.admit(&layer(6, 2, false), 2, 1), Admitted { passes: false, temporal: 1 });
        assert_eq!(pictures.passed(&layer(7, 1, false), 1, 1), Some(1));
        assert_eq!(pictures.passed(&layer(4, 2, true), 1, 1), Some(1), "late, but it was decided then");
        assert_eq!(pictures.passed(&layer(6, 2, false), 1, 1), None);
    }

    #[test]
    fn a_picture_passes_whole_or_not_at_all() {
        let mut pictures = Pictures::default();
        assert_eq!(pictures.passed(&layer(1, 0, false), 0, 2), Some(0));
        assert_eq!(pictures.passed(&layer(2, 2, true), 0, 2), Some(2));
        assert_eq!(pictures.passed(&layer(2, 2, true), 2, 0), Some(2), "the rest of it is sent");
        assert_eq!(pictures.passed(&layer(3, 1, true), 2, 0), None);
        assert_eq!(pictures.admit(&layer(3, 1, true), 0, 1), Admitted { passes: false, temporal: 0 });
        assert_eq!(pictures.passed(&layer(4, 1, false), 0, 1), None, "what it refers to was left out");
    }

    #[test]
    fn a_late_picture_is_measured_by_the_layer_of_its_time() {
        let mut pictures = Pictures::default();
        pictures.passed(&layer(10, 0, false), 0, 0);
        pictures.passed(&layer(13, 0, false), 0, 2);
        assert_eq!(pictures.passed(&layer(14, 2, true), 0, 2), Some(2));
        assert_eq!(pictures.passed(&layer(12, 2, false), 2, 2), None, "what it refers to was never sent");
        pictures.passed(&layer(17, 0, false), 2, 0);
        assert_eq!(pictures.passed(&layer(16, 2, false), 0, 0), Some(0), "the layer was sent then");
    }

    #[test]
    fn payloads_without_numbers_stay_as_they_are() {
        let mut pictures = Pictures::default();
        let bare = Descriptor::parse(&[0x10, 0x50]).unwrap();
        pictures.begin(&bare, 0);
        assert!(pictures.take(&bare) && pictures.is_newest(&bare));
        assert_eq!(pictures.prefix(&bare, &[0x10, 0x50]), None);
    }
}
