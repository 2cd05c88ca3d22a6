//! Source description (RFC 3550 §6.5).

use super::compound::{RawPacket, RtcpError};
use super::wire::{Cursor, split_u32};

/// Ends the items of a chunk.
const ITEM_END: u8 = 0;
/// Canonical name (RFC 3550 §6.5.1).
pub const ITEM_CNAME: u8 = 1;

/// Chunks, each checked to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sdes<'a> {
    count: u8,
    chunks: &'a [u8],
}

impl<'a> Sdes<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, RtcpError> {
        let mut rest = raw.body;
        for _ in 0..raw.count {
            rest = split_chunk(rest).ok_or(RtcpError::SdesChunk)?.1;
        }
        Ok(Self { count: raw.count, chunks: raw.body })
    }

    pub fn chunks(&self) -> impl Iterator<Item = SdesChunk<'a>> + use<'a> {
        let mut rest = self.chunks;
        (0..self.count).map_while(move |_| {
            let (chunk, behind) = split_chunk(rest)?;
            rest = behind;
            Some(chunk)
        })
    }
}

/// What one source says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    pub ssrc: u32,
    items: &'a [u8],
}

impl<'a> SdesChunk<'a> {
    /// Item type and text.
    pub fn items(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.items;
        std::iter::from_fn(move || {
            let (item_type, text, behind) = split_item(rest)?;
            rest = behind;
            Some((item_type, text))
        })
    }

    /// `None` when there is none or it is not UTF-8, which RFC 3550 §6.5 demands.
    pub fn cname(&self) -> Option<&'a str> {
        let (_, text) = self.items().find(|(item_type, _)| *item_type == ITEM_CNAME)?;
        std::str::from_utf8(text).ok()
    }
}

/// A chunk ends with a zero byte and goes on to a word boundary. The chunk begins on one, since all
/// before it did. RFC 3550 §6.5 wants the bytes between to be zero; Pion and its ports write their
/// count into the last one, so they are not looked at.
fn split_chunk(bytes: &[u8]) -> Option<(SdesChunk<'_>, &[u8])> {
    let (ssrc, items_and_rest) = split_u32(bytes)?;
    let mut rest = items_and_rest;
    while *rest.first()? != ITEM_END {
        rest = split_item(rest)?.2;
    }
    let items_len = items_and_rest.len() - rest.len();
    let (items, _) = items_and_rest.split_at_checked(items_len)?;
    let chunk_len = (items_len + 1).next_multiple_of(4);
    let (_, behind) = rest.split_at_checked(chunk_len - items_len)?;
    Some((SdesChunk { ssrc, items }, behind))
}

fn split_item(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([item_type, len], rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((*item_type, text, rest))
}

/// One chunk with a canonical name of at most 255 bytes.
pub(super) fn write_cname(out: &mut Cursor<'_>, ssrc: u32, cname: &str) -> Option<()> {
    let len = u8::try_from(cname.len()).ok()?;
    let items_len = 2 + cname.len();
    let end_len = (items_len + 1).next_multiple_of(4) - items_len;
    out.put_u32(ssrc)?;
    out.put(&[ITEM_CNAME, len])?;
    out.put(cname.as_bytes())?;
    out.put([ITEM_END; 4].get(..end_len)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Compound, CompoundWriter, RtcpPacket};

    fn parse(wire: &[u8]) -> Result<Sdes<'_>, RtcpError> {
        match Compound::new(wire).next().unwrap()? {
            RtcpPacket::Sdes(sdes) => Ok(sdes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_chunks_with_several_items() {
        let mut wire = vec![0x82, 202, 0, 6];
        wire.extend([0, 0, 0, 1, 1, 2, b'h', b'i', 6, 1, b't', 0]);
        wire.extend([0, 0, 0, 2, 1, 2, b'y', b'o', 0, 0, 0, 0]);
        let sdes = parse(&wire).unwrap();
        let chunks: Vec<_> = sdes.chunks().collect();
        assert_eq!(chunks.len(), 2);
        assert_eq!((chunks[0].ssrc, chunks[0].cname()), (1, Some("hi")));
        assert_eq!(chunks[0].items().collect::<Vec<_>>(), [(1, &b"hi"[..]), (6, &b"t"[..])]);
        assert_eq!((chunks[1].ssrc, chunks[1].cname()), (2, Some("yo")));
    }

    #[test]
    fn chunks_without_an_end_are_refused() {
        assert_eq!(parse(&[0x81, 202, 0, 1, 0, 0, 0, 1]), Err(RtcpError::SdesChunk));
        assert_eq!(parse(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'h', b'i']), Err(RtcpError::SdesChunk));
        assert_eq!(parse(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, b'h', b'i']), Err(RtcpError::SdesChunk));
        assert!(parse(&[0x80, 202, 0, 0]).is_ok());
    }

    #[test]
    fn a_padding_count_behind_the_end_is_no_item() {
        let mut wire = vec![0x82, 202, 0, 6];
        wire.extend([0, 0, 0, 1, 1, 2, b'h', b'i', 0, 0, 0, 3]);
        wire.extend([0, 0, 0, 2, 1, 2, b'y', b'o', 0, 0, 0, 3]);
        let names: Vec<_> = parse(&wire).unwrap().chunks().map(|chunk| chunk.cname()).collect();
        assert_eq!(names, [Some("hi"), Some("yo")]);
    }

    #[test]
    fn every_cname_length_round_trips() {
        let name = "n".repeat(256);
        for len in 0..=255 {
            let mut out = [0xff; 300];
            let mut writer = CompoundWriter::new(&mut out);
            writer.sdes_cname(7, &name[..len]).unwrap();
            let sdes = parse(writer.as_bytes()).unwrap();
            assert_eq!(sdes.chunks().next().unwrap().cname(), Some(&name[..len]));
            assert_eq!(writer.len() % 4, 0);
        }
        let mut out = [0; 300];
        assert_eq!(CompoundWriter::new(&mut out).sdes_cname(7, &name), None);
    }
}
