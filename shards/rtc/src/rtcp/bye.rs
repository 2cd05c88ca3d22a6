//! Goodbye (RFC 3550 §6.6).

use super::compound::{RawPacket, RtcpError};
use super::wire::Cursor;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye<'a> {
    ssrcs: &'a [[u8; 4]],
    reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, RtcpError> {
        let ssrcs_len = usize::from(raw.count) * 4;
        let (ssrcs, rest) = raw.body.split_at_checked(ssrcs_len).ok_or_else(|| raw.truncated())?;
        let reason = rest.split_first().and_then(|(len, text)| text.get(..usize::from(*len)));
        Ok(Self { ssrcs: ssrcs.as_chunks().0, reason })
    }

    /// The sources that leave.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.ssrcs.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }

    /// Text; a reason that lies about its length counts as none, the leaving stands.
    pub const fn reason(&self) -> Option<&'a [u8]> {
        self.reason
    }
}

pub(super) fn write(out: &mut Cursor<'_>, ssrcs: &[u32], reason: Option<&str>) -> Option<()> {
    ssrcs.iter().try_for_each(|ssrc| out.put_u32(*ssrc))?;
    let Some(reason) = reason else { return Some(()) };
    out.put(&[u8::try_from(reason.len()).ok()?])?;
    out.put(reason.as_bytes())?;
    let text_len = 1 + reason.len();
    out.put([0; 4].get(..text_len.next_multiple_of(4) - text_len)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Compound, CompoundWriter, RtcpPacket};

    fn parse(wire: &[u8]) -> Result<Bye<'_>, RtcpError> {
        match Compound::new(wire).next().unwrap()? {
            RtcpPacket::Bye(bye) => Ok(bye),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sources_and_reason() {
        let mut out = [0; 40];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.bye(&[1, 2], Some("gone")), Some(20));
        let bye = parse(writer.as_bytes()).unwrap();
        assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(bye.reason(), Some(&b"gone"[..]));
    }

    #[test]
    fn lies() {
        assert_eq!(parse(&[0x82, 203, 0, 1, 0, 0, 0, 1]), Err(RtcpError::Truncated { packet_type: 203 }));
        let bye = [0x81, 203, 0, 2, 0, 0, 0, 1, 9, b'x', 0, 0];
        assert_eq!(parse(&bye).unwrap().reason(), None);
        assert_eq!(parse(&[0x80, 203, 0, 0]).unwrap().ssrcs().len(), 0);
    }
}
