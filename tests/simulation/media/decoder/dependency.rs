//! The dependency descriptor as a decoder reads it: differences, chains and active decode targets (RTP Payload Format for AV1,
//! appendix A).

use std::collections::BTreeSet;

use crate::media::bits::BitReader;

use super::{Fault, Outlook, Piece, ahead};

/// Of the flags behind the three bytes that every descriptor has.
const BRINGS_STRUCTURE: u8 = 0x80;

/// What every descriptor has, with all its bytes: what they mean, only a structure tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor {
    number: u16,
    bytes: Vec<u8>,
}

impl Descriptor {
    fn brings_structure(&self) -> bool {
        self.bytes.get(3).is_some_and(|flags| flags & BRINGS_STRUCTURE != 0)
    }

    pub(crate) fn read(value: &[u8]) -> Option<Piece<Self>> {
        let [first, high, low, rest @ ..] = value else { return None };
        let brings_structure = rest.first().is_some_and(|flags| flags & BRINGS_STRUCTURE != 0);
        let descriptor = Self { number: u16::from_be_bytes([*high, *low]), bytes: value.to_vec() };
        let (starts, ends) = (first & 0x80 != 0, first & 0x40 != 0);
        Some(Piece { starts, ends, is_key: brings_structure, facts: descriptor })
    }
}

#[derive(Debug, Clone, Default)]
struct Template {
    spatial: u8,
    temporal: u8,
    /// 0 not present, 1 discardable, 2 switch, 3 required.
    indications: Vec<u32>,
    differences: Vec<u64>,
    chains: Vec<u64>,
}

#[derive(Debug, Clone)]
struct Structure {
    id_offset: u32,
    targets: usize,
    protected_by: Vec<usize>,
    templates: Vec<Template>,
}

#[derive(Debug)]
struct Frame {
    template: Template,
    active: Option<u32>,
    structure: Option<Structure>,
}

#[derive(Debug, Default)]
pub(crate) struct Frames {
    structure: Option<Structure>,
    /// One bit per decode target.
    active: u32,
    newest: Option<u64>,
    decoded: BTreeSet<u64>,
}

impl Frames {
    pub(crate) fn take(&mut self, descriptor: &Descriptor, _is_next: bool) -> Result<Outlook, Fault> {
        let number = match self.newest {
            None => 1 << 16 | u64::from(descriptor.number),
            Some(newest) => match ahead(descriptor.number.into(), newest, 16) {
                passed @ 1.. => newest.wrapping_add_signed(passed),
                // Of another stream, whose pictures take longer.
                passed if descriptor.brings_structure() => newest.wrapping_add_signed(passed),
                passed => return Err(format!("frame {} comes {passed} after {newest}", descriptor.number)),
            },
        };
        self.newest = Some(number);
        let Some(frame) = self.read(descriptor)? else { return Ok(Outlook::Waits) };
        if let Some(structure) = frame.structure {
            self.decoded.clear();
            self.active = all(structure.targets);
            self.structure = Some(structure);
        }
        self.active = frame.active.unwrap_or(self.active);
        if self.active == 0 {
            return Err("no decode target is active".into());
        }
        self.check_targets(&frame.template)?;
        let is_decoded = |back: &u64| *back > 0 && self.decoded.contains(&(number - back));
        if !frame.template.differences.iter().all(is_decoded) {
            return Ok(Outlook::Waits);
        }
        self.decoded.insert(number);
        while self.decoded.len() > 200 {
            self.decoded.pop_first();
        }
        Ok(Outlook::Decodable)
    }

    /// A frame is for one decode target that is active at least.
    fn check_targets(&self, template: &Template) -> Result<(), Fault> {
        let is_for = |(target, indication): (usize, &u32)| *indication > 0 && self.active >> target & 1 == 1;
        if template.indications.iter().enumerate().any(is_for) {
            return Ok(());
        }
        Err(format!("{template:?} is for none of the active decode targets {:b}", self.active))
    }

    /// `None` while the structure is not known.
    fn read(&self, descriptor: &Descriptor) -> Result<Option<Frame>, Fault> {
        let mut bits = BitReader::new(&descriptor.bytes);
        let broken = || format!("descriptor {:02x?}", descriptor.bytes);
        bits.read(2).ok_or_else(broken)?;
        let id = bits.read(6).ok_or_else(broken)?;
        bits.read(16).ok_or_else(broken)?;
        let is_extended = descriptor.bytes.len() > 3;
        let flags = if is_extended { bits.read(5).ok_or_else(broken)? } else { 0 };
        let has = |place: u32| flags >> (4 - place) & 1 == 1;
        let brought = if has(0) { Some(Structure::read(&mut bits).ok_or_else(broken)?) } else { None };
        let Some(structure) = brought.as_ref().or(self.structure.as_ref()) else { return Ok(None) };
        let active = if has(1) { Some(bits.read(structure.targets).ok_or_else(broken)?) } else { None };
        let index = (id + 64 - structure.id_offset) % 64;
        let Some(template) = structure.templates.get(index as usize) else {
            // Of a sequence whose key frame did not come.
            return Ok(None);
        };
        let mut template = template.clone();
        if has(2) {
            template.indications = read_many(structure.targets, || bits.read(2)).ok_or_else(broken)?;
        }
        if has(3) {
            template.differences = read_differences(&mut bits).ok_or_else(broken)?;
        }
        if has(4) {
            let chains = template.chains.len();
            template.chains = read_many(chains, || bits.read(8).map(u64::from)).ok_or_else(broken)?;
        }
        Ok(Some(Frame { template, active, structure: brought }))
    }

    /// The highest decode target that is active, and whether the frame before in its chain was decoded: what a decoder of all that
    /// is sent goes by.
    pub(crate) fn has_chain(&self, descriptor: &Descriptor) -> Option<bool> {
        let frame = self.read(descriptor).ok()??;
        let structure = self.structure.as_ref()?;
        let target = usize::try_from(u32::BITS - 1 - self.active.leading_zeros()).expect("a bit");
        if frame.template.indications[target] == 0 {
            return None;
        }
        let back = *frame.template.chains.get(*structure.protected_by.get(target)?)?;
        Some(back == 0 || self.decoded.contains(&(self.newest? - back)))
    }
}

fn all(targets: usize) -> u32 {
    u32::try_from((1_u64 << targets) - 1).expect("32 targets at most")
}

fn read_many<T>(count: usize, mut read: impl FnMut() -> Option<T>) -> Option<Vec<T>> {
    (0..count).map(|_| read()).collect()
}

fn read_differences(bits: &mut BitReader<'_>) -> Option<Vec<u64>> {
    let mut differences = Vec::new();
    loop {
        match bits.read(2)? {
            0 => return Some(differences),
            nibbles => differences.push(u64::from(bits.read(4 * nibbles as usize)?) + 1),
        }
    }
}

impl Structure {
    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        let id_offset = bits.read(6)?;
        let targets = bits.read(5)? as usize + 1;
        let mut templates = vec![Template::default()];
        loop {
            let last = templates.last()?;
            let (spatial, temporal) = match bits.read(2)? {
                0 => (last.spatial, last.temporal),
                1 => (last.spatial, last.temporal + 1),
                2 => (last.spatial + 1, 0),
                _ => break,
            };
            templates.push(Template { spatial, temporal, ..Template::default() });
        }
        let layers = templates.last()?.spatial + 1;
        for template in &mut templates {
            template.indications = read_many(targets, || bits.read(2))?;
        }
        for template in &mut templates {
            while bits.flag()? {
                template.differences.push(u64::from(bits.read(4)?) + 1);
            }
        }
        let chains = bits.read_below(u32::try_from(targets).ok()? + 1)?;
        let mut protected_by = Vec::new();
        if chains > 0 {
            protected_by = read_many(targets, || bits.read_below(chains).map(|chain| chain as usize))?;
            for template in &mut templates {
                template.chains = read_many(chains as usize, || bits.read(4).map(u64::from))?;
            }
        }
        if bits.flag()? {
            read_many(layers.into(), || bits.read(32))?;
        }
        Some(Self { id_offset, targets, protected_by, templates })
    }
}
