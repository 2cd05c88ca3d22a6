//! Full intra request (RFC 5104 §4.3.1).

use super::compound::RtcpError;
use super::feedback::Feedback;
use super::wire::{Cursor, word};

/// One stream's request, in bytes.
const FIR_ENTRY_LEN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirEntry {
    /// The stream that shall send a key frame.
    pub ssrc: u32,
    /// Changes with every new request and stays in a repetition.
    pub sequence_number: u8,
}

impl FirEntry {
    const fn from_bytes(bytes: &[u8; FIR_ENTRY_LEN]) -> Self {
        let [s0, s1, s2, s3, sequence_number, _, _, _] = *bytes;
        Self { ssrc: word(s0, s1, s2, s3), sequence_number }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fir<'a> {
    pub sender_ssrc: u32,
    /// Zero by RFC 5104 §4.3.1.2, though some peers repeat the entry's SSRC here.
    pub media_ssrc: u32,
    entries: &'a [[u8; FIR_ENTRY_LEN]],
}

impl<'a> Fir<'a> {
    pub(super) fn parse(feedback: Feedback<'a>) -> Result<Self, RtcpError> {
        let (entries, _) = feedback.fci.as_chunks();
        if entries.is_empty() {
            return Err(feedback.truncated());
        }
        Ok(Self { sender_ssrc: feedback.sender_ssrc, media_ssrc: feedback.media_ssrc, entries })
    }

    pub fn entries(&self) -> impl ExactSizeIterator<Item = FirEntry> + use<'a> {
        self.entries.iter().map(FirEntry::from_bytes)
    }
}

pub(super) fn write(out: &mut Cursor<'_>, entry: FirEntry) -> Option<()> {
    out.put_u32(entry.ssrc)?;
    out.put(&[entry.sequence_number, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Compound, CompoundWriter, RtcpPacket};

    #[test]
    fn hand_made_bytes() {
        let wire = [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 7, 0, 0, 0];
        let mut out = [0; 20];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.fir(1, 2, 7), Some(20));
        assert_eq!(writer.as_bytes(), wire);
        let packet = Compound::new(&wire).next().unwrap().unwrap();
        let RtcpPacket::Fir(fir) = packet else { panic!("{packet:?}") };
        assert_eq!(fir.entries().collect::<Vec<_>>(), [FirEntry { ssrc: 2, sequence_number: 7 }]);
        let empty = [0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        assert!(Compound::new(&empty).next().unwrap().is_err());
    }
}
