//! Builds descriptors, for load generators and tests.

use super::Indication;

/// What frames of one kind have in common. Templates are sorted by spatial, then temporal layer, and begin at 0, 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTemplate {
    pub spatial: u8,
    pub temporal: u8,
    /// One per decode target.
    pub indications: Vec<Indication>,
    /// How many frames back each frame is that is referred to, 1 to 16.
    pub differences: Vec<u8>,
    /// One per chain, below 16.
    pub chains: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewStructure {
    pub id_offset: u8,
    pub decode_targets: u8,
    pub templates: Vec<NewTemplate>,
    pub chains: u8,
    /// The chain of each decode target; not written without chains.
    pub protected_by: Vec<u8>,
    /// Width and height of each spatial layer.
    pub resolutions: Option<Vec<(u16, u16)>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewDescriptor<'a> {
    pub starts_frame: bool,
    pub ends_frame: bool,
    /// Which of the structure's templates.
    pub template: u8,
    pub number: u16,
    pub structure: Option<&'a NewStructure>,
    /// One bit per decode target.
    pub active: Option<u32>,
    pub indications: Option<Vec<Indication>>,
    /// 1 to 4096.
    pub differences: Option<Vec<u16>>,
    pub chains: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct BitWriter {
    bytes: Vec<u8>,
    bits: usize,
}

impl BitWriter {
    fn put(&mut self, count: u32, value: u32) {
        for bit in (0..count).rev() {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(value >> bit & 1 == 1) << (7 - self.bits % 8);
            }
            self.bits += 1;
        }
    }

    fn put_below(&mut self, count: u32, value: u32) {
        let width = u32::BITS - count.leading_zeros();
        let short = (1 << width) - count;
        if value < short { self.put(width - 1, value) } else { self.put(width, value + short) }
    }

    fn put_flag(&mut self, flag: bool) {
        self.put(1, flag.into());
    }

    fn put_indications(&mut self, indications: &[Indication]) {
        for indication in indications {
            self.put(2, *indication as u32);
        }
    }
}

impl NewStructure {
    fn write(&self, out: &mut BitWriter) {
        out.put(6, self.id_offset.into());
        out.put(5, u32::from(self.decode_targets) - 1);
        for pair in self.templates.windows(2) {
            let is_same = (pair[0].spatial, pair[0].temporal) == (pair[1].spatial, pair[1].temporal);
            let next = if pair[0].spatial != pair[1].spatial { 2 } else { u32::from(!is_same) };
            out.put(2, next);
        }
        out.put(2, 3);
        for template in &self.templates {
            out.put_indications(&template.indications);
        }
        for template in &self.templates {
            for difference in &template.differences {
                out.put_flag(true);
                out.put(4, u32::from(*difference) - 1);
            }
            out.put_flag(false);
        }
        out.put_below(u32::from(self.decode_targets) + 1, self.chains.into());
        if self.chains > 0 {
            for chain in &self.protected_by {
                out.put_below(self.chains.into(), (*chain).into());
            }
            for chain in self.templates.iter().flat_map(|template| &template.chains) {
                out.put(4, (*chain).into());
            }
        }
        out.put_flag(self.resolutions.is_some());
        for (width, height) in self.resolutions.iter().flatten() {
            out.put(16, (*width).into());
            out.put(16, (*height).into());
        }
    }
}

impl NewDescriptor<'_> {
    /// The element's value, under the structure that holds for it.
    pub fn write(&self, structure: &NewStructure) -> Vec<u8> {
        let mut out = BitWriter::default();
        out.put_flag(self.starts_frame);
        out.put_flag(self.ends_frame);
        out.put(6, u32::from(self.template) + u32::from(structure.id_offset));
        out.put(16, self.number.into());
        let flags = [
            self.structure.is_some(),
            self.active.is_some(),
            self.indications.is_some(),
            self.differences.is_some(),
            self.chains.is_some(),
        ];
        if !flags.contains(&true) {
            return out.bytes;
        }
        flags.iter().for_each(|flag| out.put_flag(*flag));
        if let Some(structure) = self.structure {
            structure.write(&mut out);
        }
        if let Some(active) = self.active {
            out.put(structure.decode_targets.into(), active);
        }
        out.put_indications(self.indications.as_deref().unwrap_or_default());
        if let Some(differences) = &self.differences {
            for difference in differences.iter().map(|difference| u32::from(*difference) - 1) {
                let half_bytes = (32 - difference.leading_zeros()).div_ceil(4).max(1);
                out.put(2, half_bytes);
                out.put(4 * half_bytes, difference);
            }
            out.put(2, 0);
        }
        for chain in self.chains.iter().flatten() {
            out.put(8, (*chain).into());
        }
        out.bytes
    }
}

/// The structure of `LxTy` (W3C webrtc-svc): two templates per pair of layers, in key pictures and after, and a decode target for each
/// pair; with `keyed` that of `LxTy_KEY`, where the spatial layers refer to each other in key pictures only.
pub fn layered(spatial: u8, temporal: u8, keyed: bool) -> NewStructure {
    use Indication::{Discardable, NotPresent, Required, Switch};
    let pairs = || (0..spatial).flat_map(|spatial| (0..temporal).map(move |temporal| (spatial, temporal)));
    let template = |own: (u8, u8), is_key: bool| {
        let indication = |target: (u8, u8)| {
            let is_other = keyed && !is_key && own.0 != target.0;
            if own.0 > target.0 || own.1 > target.1 || is_other {
                NotPresent
            } else if own.1 > 0 && own.1 == target.1 {
                Discardable
            } else if own.0 == target.0 || is_key {
                Switch
            } else {
                Required
            }
        };
        NewTemplate {
            spatial: own.0,
            temporal: own.1,
            indications: pairs().map(indication).collect(),
            differences: if is_key { Vec::new() } else { vec![1] },
            chains: (0..spatial).map(|chain| u8::from(!is_key || chain < own.0)).collect(),
        }
    };
    NewStructure {
        id_offset: 0,
        decode_targets: spatial * temporal,
        templates: pairs().flat_map(|own| [template(own, true), template(own, false)]).collect(),
        chains: spatial,
        protected_by: pairs().map(|(spatial, _)| spatial).collect(),
        resolutions: None,
    }
}
