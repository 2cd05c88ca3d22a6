//! VP9: what a layer frame refers to, told picture by picture or by its place in a group (RFC 9628 section 4.2).

use std::collections::{BTreeMap, BTreeSet};

use crate::media::bits::BitReader;

use super::{Fault, Outlook, Piece, ahead};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerFrame {
    is_inter: bool,
    is_flexible: bool,
    /// With how many bits it has.
    id: (u16, u32),
    pub(crate) temporal: u8,
    pub(crate) spatial: u8,
    refers_down: bool,
    tl0: Option<u8>,
    differences: Vec<u64>,
    /// Of each picture in a group: its temporal layer, and how far back its references lie.
    group: Option<Vec<(u8, Vec<u64>)>>,
}

impl LayerFrame {
    pub(crate) fn read(payload: &[u8]) -> Option<Piece<Self>> {
        let mut bits = BitReader::new(payload);
        let [has_id, is_inter, has_layers, is_flexible] =
            [bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?];
        let [starts, ends, has_structure, _] = [bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?];
        if !has_id || !has_layers {
            return None;
        }
        let width = if bits.flag()? { 15 } else { 7 };
        let id = u16::try_from(bits.read(width)?).expect("15 bits");
        let temporal = u8::try_from(bits.read(3)?).expect("3 bits");
        bits.flag()?;
        let spatial = u8::try_from(bits.read(3)?).expect("3 bits");
        let refers_down = bits.flag()?;
        let tl0 = if is_flexible { None } else { Some(bits.byte()?) };
        let mut differences = Vec::new();
        let mut has_more = is_flexible && is_inter;
        while has_more {
            differences.push(bits.read(7)?.into());
            has_more = bits.flag()?;
        }
        let group = if has_structure { read_structure(&mut bits)? } else { None };
        let id = (id, u32::try_from(width).expect("small"));
        let frame =
            Self { is_inter, is_flexible, id, temporal, spatial, refers_down, tl0, differences, group };
        let is_key = starts && frame.is_key();
        Some(Piece { starts, ends, is_key, facts: frame })
    }

    fn is_key(&self) -> bool {
        !self.is_inter && self.spatial == 0
    }
}

type Group = Vec<(u8, Vec<u64>)>;

/// Inside `None` where the structure has no group.
fn read_structure(bits: &mut BitReader<'_>) -> Option<Option<Group>> {
    let layers = bits.read(3)? + 1;
    let (has_sizes, has_group) = (bits.flag()?, bits.flag()?);
    bits.read(3)?;
    for _ in 0..if has_sizes { layers } else { 0 } {
        bits.read(32)?;
    }
    if !has_group {
        return Some(None);
    }
    let mut group = Vec::new();
    for _ in 0..bits.byte()? {
        let layer = u8::try_from(bits.read(3)?).expect("3 bits");
        bits.flag()?;
        let count = bits.read(2)?;
        bits.read(2)?;
        let differences: Option<Vec<u64>> = (0..count).map(|_| bits.byte().map(u64::from)).collect();
        group.push((layer, differences?));
    }
    Some(Some(group))
}

#[derive(Debug, Default)]
pub(crate) struct LayerFrames {
    /// In full: picture id and TL0PICIDX, with the spatial layer and whether that picture was of the base layer.
    newest: Option<(u64, u64, u8)>,
    /// By picture and spatial layer.
    decoded: BTreeSet<(u64, u8)>,
    group: Option<(u64, Group)>,
    /// TL0PICIDX of the base pictures that were decoded: a group may have begun anew with one that was not.
    bases: BTreeSet<u64>,
    temporal_of: BTreeMap<u64, u8>,
}

impl LayerFrames {
    pub(crate) fn take(&mut self, frame: &LayerFrame, is_next: bool) -> Result<Outlook, Fault> {
        let id = self.order(frame, is_next)?;
        if self.temporal_of.insert(id, frame.temporal).is_some_and(|before| before != frame.temporal) {
            return Err(format!("picture {id} is of two temporal layers"));
        }
        if frame.is_key() {
            self.decoded.clear();
        }
        if let Some(group) = frame.group.clone().filter(|_| frame.spatial == 0) {
            // It begins with its picture, which is one of the base layer.
            self.group = Some((id, group));
        }
        let tl0 = self.newest.map_or(0, |(_, tl0, _)| tl0);
        let base = tl0 - u64::from(frame.temporal == 0);
        if frame.is_inter && !frame.is_flexible && !self.bases.contains(&base) {
            return Ok(Outlook::Waits);
        }
        let mut references = Vec::new();
        if frame.refers_down {
            references.push((id, frame.spatial.checked_sub(1).ok_or("the lowest layer refers down")?));
        }
        if frame.is_inter {
            let Some(differences) = self.differences(frame, id)? else { return Ok(Outlook::Waits) };
            if differences.is_empty() {
                return Err(format!("an inter picture without references: {frame:?}"));
            }
            references.extend(differences.iter().map(|difference| (id - difference, frame.spatial)));
        }
        if !references.iter().all(|reference| self.decoded.contains(reference)) {
            return Ok(Outlook::Waits);
        }
        self.decoded.insert((id, frame.spatial));
        if frame.temporal == 0 {
            self.bases.insert(tl0);
        }
        while self.bases.len() > 100 {
            self.bases.pop_first();
        }
        while self.decoded.len() > 200 {
            self.decoded.pop_first();
        }
        while self.temporal_of.len() > 100 {
            self.temporal_of.pop_first();
        }
        Ok(Outlook::Decodable)
    }

    /// The picture id in full. Pictures left out leave gaps, but nothing goes back.
    fn order(&mut self, frame: &LayerFrame, is_next: bool) -> Result<u64, Fault> {
        let (id, bits) = frame.id;
        let tl0 = u64::from(frame.tl0.unwrap_or(0));
        let (id, tl0) = match self.newest {
            None => (1 << 16 | u64::from(id), 1 << 16 | tl0),
            Some((newest, newest_tl0, spatial)) => {
                let passed = ahead(id.into(), newest, bits);
                if passed < 0 || (passed == 0 && frame.spatial <= spatial) {
                    return Err(format!("{frame:?} comes {passed} after picture {newest} layer {spatial}"));
                }
                let bases = frame.tl0.map_or(0, |tl0| ahead(tl0.into(), newest_tl0, 8));
                let expected = i64::from(frame.temporal == 0 && passed > 0);
                let is_next = is_next && !frame.is_key();
                if frame.tl0.is_some() && (bases < 0 || bases > passed || (is_next && bases != expected)) {
                    return Err(format!("{frame:?}: TL0PICIDX is {bases} after the one before"));
                }
                (newest.wrapping_add_signed(passed), newest_tl0.wrapping_add_signed(bases))
            }
        };
        self.newest = Some((id, tl0, frame.spatial));
        Ok(id)
    }

    /// `None` while the group is not known.
    fn differences(&self, frame: &LayerFrame, id: u64) -> Result<Option<Vec<u64>>, Fault> {
        if frame.is_flexible {
            return Ok(Some(frame.differences.clone()));
        }
        let Some((first, group)) = &self.group else { return Ok(None) };
        let place = usize::try_from(id - first).expect("near") % group.len();
        let (temporal, differences) = &group[place];
        if *temporal != frame.temporal {
            return Err(format!("{frame:?} is at a place of temporal layer {temporal}"));
        }
        Ok(Some(differences.clone()))
    }
}
