//! Frames of one packet or two, in layers and without, with losses.

use super::*;

const FRAME_NS: u64 = 33_000_000;
const TICKS: u32 = 3_000;

struct Viewer {
    pictures: Pictures,
    audience: Audience,
}

impl Viewer {
    fn new() -> Self {
        Self { pictures: Pictures::default(), audience: Audience::new() }
    }

    /// A packet of frame `number` at the time of picture `picture`.
    fn packet(
        &mut self,
        number: u32,
        picture: u32,
        (index, packets): (u16, u16),
        references: [u8; 2],
        marker: bool,
    ) {
        self.packet_at(u64::from(picture) * FRAME_NS, number, picture, (index, packets), references, marker);
    }

    fn packet_at(
        &mut self,
        received_at_ns: u64,
        number: u32,
        picture: u32,
        (index, packets): (u16, u16),
        references: [u8; 2],
        marker: bool,
    ) {
        let mark = Mark { number, index, packets, references, ..Mark::default() };
        let part = Part { stream: 0, mark, marker, timestamp: picture.wrapping_mul(TICKS), received_at_ns };
        self.pictures.receive(&part, &mut self.audience);
    }

    /// A picture of one packet that needs the one before, or none.
    fn picture(&mut self, number: u32) {
        self.packet(number, number, (0, 1), [u8::from(number > 1), 0], true);
    }

    fn totals(&self) -> PictureTotals {
        self.audience.totals
    }
}

#[test]
fn a_whole_stream_is_shown_without_a_freeze() {
    let mut viewer = Viewer::new();
    (1..=100).for_each(|number| viewer.picture(number));
    let expected = PictureTotals { frames: 100, decodable: 100, shown: 100, ..PictureTotals::default() };
    assert_eq!(viewer.totals(), expected);
    assert_eq!(viewer.audience.gaps.len(), 99);
}

#[test]
fn what_needs_a_lost_frame_waits_for_it_and_comes_when_it_does() {
    let mut viewer = Viewer::new();
    (1..=20).for_each(|number| viewer.picture(number));
    (22..=40).for_each(|number| viewer.picture(number));
    assert_eq!((viewer.totals().decodable, viewer.totals().shown), (20, 20));
    viewer.packet_at(41 * FRAME_NS, 21, 21, (0, 1), [1, 0], true);
    assert_eq!(viewer.totals().decodable, 40);
    assert_eq!((viewer.totals().freezes, viewer.totals().frozen_us), (1, 20 * FRAME_NS / 1_000));
}

#[test]
fn a_key_frame_ends_what_nothing_repaired() {
    let mut viewer = Viewer::new();
    (1..=20).for_each(|number| viewer.picture(number));
    (22..=40).for_each(|number| viewer.picture(number));
    viewer.packet(41, 41, (0, 1), [0, 0], true);
    (42..=141).for_each(|number| viewer.picture(number));
    let totals = viewer.totals();
    assert_eq!((totals.frames, totals.decodable, totals.freezes), (140, 121, 1));
    assert_eq!(totals.undecodable, 0, "there was room to wait");
    (200..=400).step_by(2).for_each(|number| viewer.picture(number));
    assert_eq!(viewer.totals().undecodable, 19 + 101 - 96);
}

#[test]
fn a_frame_is_whole_in_any_order_and_the_marker_ends_the_picture() {
    let mut viewer = Viewer::new();
    viewer.packet(1, 1, (1, 2), [0, 0], false);
    assert_eq!(viewer.totals().decodable, 0);
    viewer.packet(1, 1, (0, 2), [0, 0], false);
    assert_eq!((viewer.totals().decodable, viewer.totals().shown), (1, 0), "a layer above goes on");
    viewer.packet(2, 1, (0, 1), [1, 0], true);
    assert_eq!((viewer.totals().decodable, viewer.totals().shown), (2, 1));
}

#[test]
fn an_older_picture_is_not_shown_after_a_later_one() {
    let mut viewer = Viewer::new();
    viewer.picture(1);
    viewer.packet(3, 3, (0, 1), [2, 0], true);
    viewer.packet(2, 2, (0, 1), [1, 0], true);
    assert_eq!((viewer.totals().shown, viewer.totals().late, viewer.totals().decodable), (2, 1, 3));
}

#[test]
fn a_pause_is_no_freeze_but_what_stood_still_before_it_is() {
    let mut viewer = Viewer::new();
    (1..=20).for_each(|number| viewer.picture(number));
    viewer.pictures.pause(20 * FRAME_NS + 40_000_000, &mut viewer.audience.totals);
    viewer.packet_at(900 * FRAME_NS, 21, 21, (0, 1), [1, 0], true);
    assert_eq!((viewer.totals().freezes, viewer.totals().shown), (0, 21));
    viewer.pictures.pause(930 * FRAME_NS, &mut viewer.audience.totals);
    assert_eq!(viewer.totals().freezes, 1);
}

#[test]
fn numbers_wrap() {
    let mut viewer = Viewer::new();
    viewer.packet(NUMBERS - 1, 1, (0, 1), [0, 0], true);
    viewer.packet(0, 2, (0, 1), [1, 0], true);
    viewer.packet(1, 3, (0, 1), [2, 0], true);
    assert_eq!(viewer.totals().decodable, 3);
}
