//! Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2.2).

use super::compound::RtcpError;
use super::feedback::Feedback;
use super::wire::{Cursor, split_u32};

/// "REMB", which tells it from other application feedback.
const UNIQUE_ID: [u8; 4] = *b"REMB";
/// Bits of the mantissa; the exponent has six.
const MANTISSA_BITS: u32 = 18;
const MANTISSA_MASK: u32 = (1 << MANTISSA_BITS) - 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remb<'a> {
    pub sender_ssrc: u32,
    pub bitrate_bps: u64,
    ssrcs: &'a [[u8; 4]],
}

impl<'a> Remb<'a> {
    pub(super) fn is_remb(feedback: Feedback<'_>) -> bool {
        feedback.fci.starts_with(&UNIQUE_ID)
    }

    pub(super) fn parse(feedback: Feedback<'a>) -> Result<Self, RtcpError> {
        let truncated = feedback.truncated();
        let (_, rest) = split_u32(feedback.fci).ok_or(truncated)?;
        let (word, rest) = split_u32(rest).ok_or(truncated)?;
        let [ssrc_count, ..] = word.to_be_bytes();
        let exponent = (word >> MANTISSA_BITS) & 0x3f;
        let mantissa = u64::from(word & MANTISSA_MASK);
        let bitrate_bps = mantissa << exponent;
        if bitrate_bps >> exponent != mantissa {
            return Err(RtcpError::BitrateOverflow);
        }
        let ssrcs = rest.as_chunks().0.get(..usize::from(ssrc_count)).ok_or(truncated)?;
        Ok(Self { sender_ssrc: feedback.sender_ssrc, bitrate_bps, ssrcs })
    }

    /// The streams the estimate is about.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.ssrcs.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }
}

/// The bitrate loses what is behind its 18 highest bits, and so never grows.
pub(super) fn write(out: &mut Cursor<'_>, bitrate_bps: u64, ssrcs: &[u32]) -> Option<()> {
    let ssrc_count = u32::from(u8::try_from(ssrcs.len()).ok()?);
    let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(MANTISSA_BITS);
    let mantissa = u32::try_from(bitrate_bps >> exponent).ok()?;
    out.put(&UNIQUE_ID)?;
    out.put_u32(ssrc_count << 24 | exponent << MANTISSA_BITS | mantissa)?;
    ssrcs.iter().try_for_each(|ssrc| out.put_u32(*ssrc))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Compound, CompoundWriter, RtcpPacket};

    #[test]
    fn hand_made_bytes() {
        let mut wire = vec![0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0];
        wire.extend([b'R', b'E', b'M', b'B', 1, 0x0b, 0xd0, 0x90, 0, 0, 0, 7]);
        let packet = Compound::new(&wire).next().unwrap().unwrap();
        let RtcpPacket::Remb(remb) = packet else { panic!("{packet:?}") };
        assert_eq!(remb.bitrate_bps, 0x3d090 << 2);
        assert_eq!(remb.ssrcs().collect::<Vec<_>>(), [7]);
        let mut out = [0; 24];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.remb(1, 1_000_000, &[7]), Some(24));
        assert_eq!(writer.as_bytes(), wire);
    }

    #[test]
    fn lies() {
        let parse = |tail: [u8; 4]| {
            let mut wire = vec![0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B'];
            wire.extend(tail);
            Compound::new(&wire).next().unwrap().err()
        };
        assert_eq!(parse([0, 0xff, 0xff, 0xff]), Some(RtcpError::BitrateOverflow));
        assert_eq!(parse([1, 0, 0, 1]), Some(RtcpError::Truncated { packet_type: 206 }));
        assert_eq!(parse([0, 0, 0, 1]), None);
    }

    proptest! {
        #[test]
        fn bitrates_keep_18_bits(bitrate: u64) {
            let mut out = [0; 32];
            let mut writer = CompoundWriter::new(&mut out);
            writer.remb(1, bitrate, &[]).unwrap();
            let Some(Ok(RtcpPacket::Remb(remb))) = Compound::new(writer.as_bytes()).next() else {
                return Err(TestCaseError::fail("not REMB"));
            };
            prop_assert!(remb.bitrate_bps <= bitrate);
            prop_assert!(bitrate - remb.bitrate_bps <= bitrate >> 17);
        }
    }
}
