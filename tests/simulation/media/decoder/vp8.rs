//! VP8: what a receiver takes a picture to refer to, by picture id, TL0PICIDX, TID and Y (RFC 7741 section 4.2).

use std::collections::BTreeMap;

use crate::media::bits::BitReader;

use super::{Fault, Outlook, Piece, ahead};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picture {
    is_key: bool,
    /// With how many bits it has.
    id: Option<(u16, u32)>,
    tl0: Option<u8>,
    temporal: Option<u8>,
    is_sync: bool,
}

impl Picture {
    /// A frame ends with the marker.
    pub(crate) fn read(payload: &[u8], marker: bool) -> Option<Piece<Self>> {
        let mut bits = BitReader::new(payload);
        let is_extended = bits.flag()?;
        bits.read(2)?;
        let starts_partition = bits.flag()?;
        let partition = bits.read(4)?;
        let [has_id, has_tl0, has_layer, has_key_index] =
            if is_extended { [bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?] } else { [false; 4] };
        if is_extended {
            bits.read(4)?;
        }
        let id = match has_id {
            true if bits.flag()? => Some((bits.read(15)?, 15)),
            true => Some((bits.read(7)?, 7)),
            false => None,
        };
        let tl0 = if has_tl0 { Some(bits.byte()?) } else { None };
        let layers = if has_layer || has_key_index { bits.byte()? } else { 0 };
        let starts = starts_partition && partition == 0;
        let picture = Self {
            is_key: starts && bits.rest().first()? & 1 == 0,
            id: id.map(|(id, width)| (u16::try_from(id).expect("15 bits"), width)),
            tl0,
            temporal: has_layer.then_some(layers >> 6),
            is_sync: has_layer && layers & 0x20 != 0,
        };
        Some(Piece { starts, ends: marker, is_key: picture.is_key, facts: picture })
    }
}

#[derive(Debug, Clone, Copy)]
struct Known {
    temporal: u8,
    tl0: u64,
    is_decoded: bool,
}

/// The pictures since the last key frame.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    /// In full: picture id and TL0PICIDX, with the id's bits.
    newest: Option<(u64, u64, u32)>,
    known: BTreeMap<u64, Known>,
    /// Without ids: everything up to now came.
    is_whole: bool,
}

impl Pictures {
    /// What to make of the picture; `is_next` when no number is missing since the one before.
    pub(crate) fn take(&mut self, picture: &Picture, is_next: bool) -> Result<Outlook, Fault> {
        let Some((id, bits)) = picture.id else {
            self.is_whole = picture.is_key || (self.is_whole && is_next);
            return Ok(if self.is_whole { Outlook::Decodable } else { Outlook::Waits });
        };
        let temporal = picture.temporal.unwrap_or(0);
        let (id, tl0) = match self.newest {
            None => (1 << 16 | u64::from(id), 1 << 16 | u64::from(picture.tl0.unwrap_or(0))),
            Some((newest, newest_tl0, width)) => {
                if bits != width {
                    return Err(format!("picture ids of {width} bits, then of {bits}"));
                }
                let passed = ahead(u64::from(id), newest, bits);
                let bases = picture.tl0.map_or(0, |tl0| ahead(tl0.into(), newest_tl0, 8));
                check_steps(passed, bases, picture, is_next)?;
                (newest.wrapping_add_signed(passed), newest_tl0.wrapping_add_signed(bases))
            }
        };
        self.newest = Some((id, tl0, bits));
        if picture.is_key {
            self.known.clear();
        }
        let is_decoded = picture.is_key || self.has_references(picture, id, tl0);
        self.known.insert(id, Known { temporal, tl0, is_decoded });
        while self.known.len() > 200 {
            self.known.pop_first();
        }
        Ok(if is_decoded { Outlook::Decodable } else { Outlook::Waits })
    }

    fn has_references(&self, picture: &Picture, id: u64, tl0: u64) -> bool {
        let is_decoded = |id: u64| self.known.get(&id).is_some_and(|known| known.is_decoded);
        let (Some(temporal), true) = (picture.temporal, picture.tl0.is_some()) else {
            return is_decoded(id - 1);
        };
        let has_base = |index: u64| {
            self.known.values().any(|known| known.temporal == 0 && known.tl0 == index && known.is_decoded)
        };
        if temporal == 0 {
            return has_base(tl0 - 1);
        }
        if picture.is_sync {
            return has_base(tl0);
        }
        has_base(tl0) && (0..=temporal).all(|layer| self.has_newest(layer, id))
    }

    /// The newest picture of a layer before `id` was decoded, where there is one since the key frame. A picture that is not known
    /// may have been of that layer.
    fn has_newest(&self, layer: u8, id: u64) -> bool {
        let first = *self.known.keys().next().unwrap_or(&id);
        for before in (first..id).rev() {
            match self.known.get(&before) {
                None => return false,
                Some(known) if known.temporal == layer => return known.is_decoded,
                Some(_) => {}
            }
        }
        true
    }
}

fn check_steps(passed: i64, bases: i64, picture: &Picture, is_next: bool) -> Result<(), Fault> {
    let is_base = picture.temporal.unwrap_or(0) == 0;
    if is_next && passed != 1 {
        return Err(format!("picture id {:?} is {passed} after the one before", picture.id));
    }
    if is_next && picture.tl0.is_some() && bases != i64::from(is_base) {
        return Err(format!("TL0PICIDX {:?} is {bases} after the one before", picture.tl0));
    }
    if passed < 1 || bases < 0 || bases > passed {
        return Err(format!("{picture:?} goes back: {passed} pictures, {bases} base pictures"));
    }
    Ok(())
}
