//! VP9 payloads (RFC 9628 section 4): what a sender puts before its bitstream.

use ringsoup_tests::rng::Rng;

use super::bits::BitWriter;
use super::encoder::{Frame, Mode};
use super::temporal::Pattern;

/// What senders mean by a switching up point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UpPoints {
    /// No picture of a higher temporal layer after it refers to one of a higher layer before it (RFC 9628 section 4.2).
    Rfc,
    /// It refers to lower temporal layers only (libwebrtc, in flexible mode).
    Libwebrtc,
}

impl UpPoints {
    fn is_at(self, pattern: Pattern, frame: &Frame) -> bool {
        let step = pattern.at(frame.step);
        match self {
            Self::Rfc => pattern.is_switching_up_point(frame.step),
            Self::Libwebrtc => !frame.is_key && step.refers_to.iter().all(|layer| *layer < step.layer),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Vp9Payloads {
    /// References are told picture by picture, not by a repeating group.
    is_flexible: bool,
    is_wide: bool,
    tells_sizes: bool,
    /// What U means to this sender.
    up_points: UpPoints,
    id: u16,
    tl0: u8,
    /// Spatial layers of the picture before.
    layers: u8,
}

impl Vp9Payloads {
    pub(crate) fn new(is_flexible: bool, is_wide: bool, rng: &mut Rng) -> Self {
        let spread = if rng.below(2) == 0 { 200 } else { 0x8000 };
        Self {
            is_flexible,
            is_wide,
            tells_sizes: rng.below(2) == 0,
            up_points: if is_flexible && rng.below(2) == 0 { UpPoints::Libwebrtc } else { UpPoints::Rfc },
            id: 0x7fff - u16::try_from(rng.below(spread)).expect("15 bits"),
            tl0: rng.byte(),
            layers: 0,
        }
    }

    /// What stands before each of a layer frame's packets' bitstream. `active` spatial layers are sent now.
    pub(crate) fn heads(&mut self, frame: &Frame, mode: &Mode, active: u8, count: usize) -> Vec<Vec<u8>> {
        let mut tells_structure = false;
        if frame.spatial == 0 {
            self.id = self.id.wrapping_add(1) & 0x7fff;
            self.tl0 = self.tl0.wrapping_add(u8::from(frame.temporal == 0));
            tells_structure = frame.is_key || active != self.layers;
            self.layers = active;
        }
        let head = |place: usize| {
            let has_structure = tells_structure && place == 0;
            let mut out = BitWriter::default();
            let is_inter = !frame.earlier.is_empty();
            // I P L F B E V Z
            out.flag(true).flag(is_inter).flag(true).flag(self.is_flexible);
            out.flag(place == 0).flag(place + 1 == count).flag(has_structure).flag(is_unused(frame, active));
            out.flag(self.is_wide);
            if self.is_wide {
                out.put(15, self.id.into())
            } else {
                out.put(7, u32::from(self.id & 0x7f))
            };
            out.put(3, frame.temporal.into());
            out.flag(self.up_points.is_at(mode.pattern, frame));
            out.put(3, frame.spatial.into()).flag(frame.below.is_some());
            if self.is_flexible {
                write_differences(&mut out, frame);
            } else {
                out.put(8, self.tl0.into());
            }
            if has_structure {
                self.write_structure(&mut out, mode.pattern, active);
            }
            let mut bytes = out.into_bytes();
            if place == 0 {
                // The frame marker, profile 0, the frame type, shown.
                bytes.push(0x82 | u8::from(is_inter) << 2);
            }
            bytes
        };
        (0..count).map(head).collect()
    }

    fn write_structure(&self, out: &mut BitWriter, pattern: Pattern, active: u8) {
        out.put(3, u32::from(active) - 1).flag(self.tells_sizes).flag(!self.is_flexible).put(3, 0);
        if self.tells_sizes {
            for layer in 0..active {
                out.put(16, 320 << layer).put(16, 180 << layer);
            }
        }
        if !self.is_flexible {
            write_group(out, pattern);
        }
    }
}

/// Z: no frame of a higher spatial layer refers to this one.
fn is_unused(frame: &Frame, active: u8) -> bool {
    frame.spatial + 1 == active
}

fn write_differences(out: &mut BitWriter, frame: &Frame) {
    for (index, (_, picture)) in frame.earlier.iter().enumerate() {
        let is_last = index + 1 == frame.earlier.len();
        out.put(7, frame.picture - picture).flag(!is_last);
    }
}

/// The pattern as a group of pictures, by the picture after the first round: the structure describes what repeats.
fn write_group(out: &mut BitWriter, pattern: Pattern) {
    let count = pattern.0.len();
    out.put(8, u32::try_from(count).expect("short"));
    for picture in count..2 * count {
        let differences = pattern.differences(picture);
        out.put(3, pattern.at(picture).layer.into()).flag(pattern.is_switching_up_point(picture));
        out.put(2, u32::try_from(differences.len()).expect("three at most")).put(2, 0);
        for difference in differences {
            out.put(8, u32::try_from(difference).expect("short"));
        }
    }
}
