//! The dependency descriptor's bytes (RTP Payload Format for AV1, section A.8.2).

use super::bits::BitWriter;
use super::structure::{Definition, Structure};

/// The packet's part of a descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) starts: bool,
    pub(crate) ends: bool,
    pub(crate) number: u16,
    /// The structure comes along.
    pub(crate) brings_structure: bool,
    /// Which decode targets are sent, where that is to be told.
    pub(crate) active: Option<u32>,
}

pub(crate) fn write(place: Place, definition: &Definition, structure: &Structure) -> Vec<u8> {
    let index = structure.template(definition);
    let template = &structure.templates[usize::from(index)];
    let mut out = BitWriter::default();
    out.flag(place.starts).flag(place.ends);
    out.put(6, u32::from((index + structure.id_offset) & 0x3f)).put(16, place.number.into());
    let own_indications = template.indications != definition.indications;
    let own_differences = template.differences != definition.differences;
    let own_chains = template.chains != definition.chains;
    let flags =
        [place.brings_structure, place.active.is_some(), own_indications, own_differences, own_chains];
    if !flags.contains(&true) {
        return out.into_bytes();
    }
    for flag in flags {
        out.flag(flag);
    }
    if place.brings_structure {
        write_structure(&mut out, structure);
    }
    if let Some(active) = place.active {
        // The first decode target's bit is the lowest one's value.
        out.put(structure.targets.len(), active);
    }
    if own_indications {
        write_indications(&mut out, definition);
    }
    if own_differences {
        for less_one in definition.differences.iter().map(|back| u32::from(back - 1)) {
            let nibbles = if less_one < 16 {
                1
            } else if less_one < 256 {
                2
            } else {
                3
            };
            out.put(2, nibbles).put(4 * nibbles as usize, less_one);
        }
        out.put(2, 0);
    }
    if own_chains {
        for back in &definition.chains {
            out.put(8, (*back).into());
        }
    }
    out.into_bytes()
}

fn write_indications(out: &mut BitWriter, definition: &Definition) {
    for indication in &definition.indications {
        out.put(2, *indication as u32);
    }
}

fn write_structure(out: &mut BitWriter, structure: &Structure) {
    let targets = u32::try_from(structure.targets.len()).expect("few");
    let chains = u32::try_from(structure.chains()).expect("few");
    out.put(6, structure.id_offset.into()).put(5, targets - 1);
    for pair in structure.templates.windows(2) {
        let same_spatial = pair[0].spatial == pair[1].spatial;
        let same = same_spatial && pair[0].temporal == pair[1].temporal;
        out.put(2, if same { 0 } else { 1 + u32::from(!same_spatial) });
    }
    out.put(2, 3);
    for template in &structure.templates {
        write_indications(out, template);
    }
    for template in &structure.templates {
        for back in &template.differences {
            out.flag(true).put(4, u32::from(back - 1));
        }
        out.flag(false);
    }
    out.put_below(targets + 1, chains);
    for chain in structure.protected_by() {
        out.put_below(chains, chain.into());
    }
    for back in structure.templates.iter().flat_map(|template| &template.chains) {
        out.put(4, (*back).into());
    }
    out.flag(structure.tells_sizes);
    let layers = structure.targets.last().map_or(1, |target| target.0 + 1);
    for layer in 0..if structure.tells_sizes { layers } else { 0 } {
        out.put(16, (320 << layer) - 1).put(16, (180 << layer) - 1);
    }
}
