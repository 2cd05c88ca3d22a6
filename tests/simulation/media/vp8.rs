//! VP8 payloads (RFC 7741 section 4): what a sender puts before its bitstream.

use ringsoup_tests::rng::Rng;

use super::encoder::{Frame, Mode};

/// Which optional fields a sender writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PictureIds {
    None,
    /// 7 bits.
    Narrow,
    /// 15 bits.
    Wide,
}

#[derive(Debug)]
pub(crate) struct Vp8Payloads {
    ids: PictureIds,
    id: u16,
    tl0: u8,
    key_index: u8,
    tells_key_index: bool,
    has_layers: bool,
    partitions: bool,
}

impl Vp8Payloads {
    /// Numbers begin anywhere, half of the time shortly before they wrap.
    pub(crate) fn new(mode: &Mode, ids: PictureIds, rng: &mut Rng) -> Self {
        let spread = if rng.below(2) == 0 { 200 } else { 0x8000 };
        Self {
            ids,
            id: 0x7fff - u16::try_from(rng.below(spread)).expect("15 bits"),
            tl0: rng.byte(),
            key_index: rng.byte() & 0x1f,
            tells_key_index: rng.below(3) == 0,
            has_layers: ids != PictureIds::None && (mode.temporal > 1 || ids == PictureIds::Wide),
            partitions: rng.below(3) == 0,
        }
    }

    /// What stands before each of a frame's packets' bitstream, and the bitstream's own beginning.
    pub(crate) fn heads(&mut self, frame: &Frame, mode: &Mode, count: usize) -> Vec<Vec<u8>> {
        self.id = self.id.wrapping_add(1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(u8::from(frame.temporal == 0));
        self.key_index = self.key_index.wrapping_add(u8::from(frame.is_key)) & 0x1f;
        let extension = self.extension(frame, mode);
        let head = |place: usize| {
            // S and PID: the first packet begins partition 0, the second may begin another one.
            let begins_another = self.partitions && place == 1;
            let start = u8::from(place == 0 || begins_another) << 4 | u8::from(begins_another);
            let mut bytes = vec![start | u8::from(!extension.is_empty()) << 7];
            bytes.extend(&extension);
            if place == 0 {
                bytes.extend(frame_header(frame.is_key));
            }
            bytes
        };
        (0..count).map(head).collect()
    }

    fn extension(&self, frame: &Frame, mode: &Mode) -> Vec<u8> {
        if self.ids == PictureIds::None && !self.has_layers {
            return Vec::new();
        }
        let has_id = self.ids != PictureIds::None;
        let flags = u8::from(has_id) << 7
            | u8::from(self.has_layers) << 6
            | u8::from(self.has_layers) << 5
            | u8::from(self.tells_key_index) << 4;
        let mut bytes = vec![flags];
        match self.ids {
            PictureIds::None => {}
            PictureIds::Narrow => bytes.push(self.id.to_be_bytes()[1] & 0x7f),
            PictureIds::Wide => bytes.extend((self.id | 0x8000).to_be_bytes()),
        }
        if self.has_layers {
            bytes.push(self.tl0);
        }
        if self.has_layers || self.tells_key_index {
            let sync = u8::from(self.has_layers && mode.pattern.is_layer_sync(frame.step));
            let key_index = if self.tells_key_index { self.key_index } else { 0 };
            bytes.push(frame.temporal << 6 | sync << 5 | key_index);
        }
        bytes
    }
}

/// RFC 6386 section 9.1: P says that it is no key frame; the frame is shown, and key frames tell their size.
fn frame_header(is_key: bool) -> Vec<u8> {
    let tag = [0x10 | u8::from(!is_key), 0, 1];
    if is_key { [&tag[..], &[0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]].concat() } else { tag.to_vec() }
}
