//! H264 and AV1 payloads: bodies in NAL units (RFC 6184) and OBU elements (RTP Payload Format for AV1, section 4).

use super::encoder::Frame;

const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// Sequence and picture parameter set, with the highest importance.
const SPS: &[u8] = &[0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40];
const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
const IDR: u8 = 5;
const SLICE: u8 = 1;
/// Of a slice's header: the frame's first macroblock.
const FIRST_SLICE: u8 = 0x88;

/// A frame's bodies in NAL units: parameter sets aggregated in front of a key frame, the slice in fragments where there are several
/// bodies.
pub(crate) fn nal_units(frame: &Frame, bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let importance = if frame.temporal == 0 { 0x60 } else { 0x20 };
    if !frame.is_key || frame.spatial > 0 {
        return slice(SLICE | importance, bodies);
    }
    let idr = IDR | 0x60;
    if let [body] = bodies {
        let nal = [&[idr, FIRST_SLICE][..], body].concat();
        return vec![aggregate(&[SPS, PPS, &nal])];
    }
    let (first, rest) = bodies.split_first().expect("a packet");
    let parameters = aggregate(&[SPS, &[PPS, first].concat()]);
    std::iter::once(parameters).chain(slice(idr, rest)).collect()
}

fn aggregate(nals: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![STAP_A | 0x60];
    for nal in nals {
        bytes.extend(u16::try_from(nal.len()).expect("fits a packet").to_be_bytes());
        bytes.extend(*nal);
    }
    bytes
}

fn slice(header: u8, bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if let [body] = bodies {
        return vec![[&[header, FIRST_SLICE][..], body].concat()];
    }
    let fragment = |(place, body): (usize, &Vec<u8>)| {
        let (is_first, is_last) = (place == 0, place + 1 == bodies.len());
        let indicator = (header & 0xe0) | FU_A;
        let fu = u8::from(is_first) << 7 | u8::from(is_last) << 6 | (header & 0x1f);
        let head = if is_first { vec![indicator, fu, FIRST_SLICE] } else { vec![indicator, fu] };
        [head, body.clone()].concat()
    };
    bodies.iter().enumerate().map(fragment).collect()
}

/// A frame's bodies as one OBU that runs through all its packets.
pub(crate) fn obu_elements(frame: &Frame, bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let element = |(place, body): (usize, &Vec<u8>)| {
        let (is_first, is_last) = (place == 0, place + 1 == bodies.len());
        let begins_sequence = frame.is_key && frame.spatial == 0 && is_first;
        // Z, Y, W = 1 and N; then a frame OBU's header with its extension.
        let header =
            u8::from(!is_first) << 7 | u8::from(!is_last) << 6 | 0x10 | u8::from(begins_sequence) << 3;
        let obu = [0x34, frame.temporal << 5 | frame.spatial << 3];
        [&[header][..], if is_first { &obu } else { &[] }, body].concat()
    };
    bodies.iter().enumerate().map(element).collect()
}

/// Whether a NAL unit packet begins a frame, and whether a key frame; `None` when it is none that is written here.
pub(crate) fn begins(payload: &[u8]) -> Option<(bool, bool)> {
    let (kind, second) = (payload.first()? & 0x1f, *payload.get(1)?);
    match kind {
        // Begins with its parameter sets.
        STAP_A => Some((true, payload.get(3)? & 0x1f == 7)),
        FU_A => Some((second & 0x80 != 0 && second & 0x1f == SLICE, false)),
        SLICE => Some((second & 0x80 != 0, false)),
        IDR => Some((false, false)),
        _ => None,
    }
}
