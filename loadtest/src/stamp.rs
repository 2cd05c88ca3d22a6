//! The mark a publisher leaves in a payload: which stream, and when the packet was handed to the kernel.
//!
//! Every byte has its high bit set (seven bits of value each), so a stamp never forms an H.264 start code
//! or asks for emulation prevention (H.264 7.4.1), wherever in a NAL unit it stands.

/// Bytes one stamp takes.
pub(crate) const STAMP_BYTES: usize = MAGIC.len() + STREAM_DIGITS + TIME_DIGITS;

const MAGIC: [u8; 4] = [0xD2, 0xC9, 0xCE, 0xE7];
/// Four digits of seven bits: up to 2^28 streams.
const STREAM_DIGITS: usize = 4;
/// Nine digits of seven bits: 292 years of nanoseconds.
const TIME_DIGITS: usize = 9;

const DIGIT_BITS: u32 = 7;
const DIGIT_MASK: u8 = 0x7F;
const HIGH_BIT: u8 = 0x80;

/// What a receiver learns from a stamped payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) stream: u32,
    /// CLOCK_MONOTONIC nanoseconds at which the packet was sent.
    pub(crate) sent_at_ns: u64,
}

impl Stamp {
    /// Writes the stamp at the front of `out`; false when it does not fit.
    pub(crate) fn write(&self, out: &mut [u8]) -> bool {
        let Some(out) = out.get_mut(..STAMP_BYTES) else {
            return false;
        };
        let (magic, rest) = out.split_at_mut(MAGIC.len());
        let (stream, time) = rest.split_at_mut(STREAM_DIGITS);
        magic.copy_from_slice(&MAGIC);
        write_digits(u64::from(self.stream), stream);
        write_digits(self.sent_at_ns, time);
        true
    }

    /// Reads the stamp at the front of `bytes`.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (stream, rest) = rest.split_at_checked(STREAM_DIGITS)?;
        let time = rest.get(..TIME_DIGITS)?;
        Some(Self { stream: u32::try_from(read_digits(stream)).ok()?, sent_at_ns: read_digits(time) })
    }

    /// Finds the stamp of an Opus payload: right after the TOC byte. Frames of DTX are too small for one.
    pub(crate) fn find_opus(payload: &[u8]) -> Option<Self> {
        Self::read(payload.get(1..)?)
    }
}

/// An H.264 payload from its stamp on: after the NAL unit's header, after the FU header, or in
/// whichever unit of a STAP-A carries it (RFC 6184 5.6-5.8).
pub(crate) fn stamped_h264(payload: &[u8]) -> Option<&[u8]> {
    const STAP_A: u8 = 24;
    const FU_A: u8 = 28;
    const NAL_TYPE_MASK: u8 = 0x1F;
    match payload.first()? & NAL_TYPE_MASK {
        FU_A => payload.get(2..),
        STAP_A => {
            let mut rest = payload.get(1..)?;
            while let Some((size, after)) = rest.split_first_chunk::<2>() {
                let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
                if let Some(stamped) = find_anywhere(unit) {
                    return Some(stamped);
                }
                rest = after;
            }
            None
        }
        _ => payload.get(1..),
    }
}

/// Only the key frame's parameter packet is searched like this: once per group of pictures.
fn find_anywhere(unit: &[u8]) -> Option<&[u8]> {
    let at = unit.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    unit.get(at..)
}

pub(crate) fn write_digits(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = HIGH_BIT | (value.to_le_bytes()[0] & DIGIT_MASK);
        value >>= DIGIT_BITS;
    }
}

pub(crate) fn read_digits(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| (value << DIGIT_BITS) | u64::from(digit & DIGIT_MASK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(stream in 0_u32..1 << 28, sent_at_ns in 0_u64..1 << 63) {
            let stamp = Stamp { stream, sent_at_ns };
            let mut bytes = [0; STAMP_BYTES];
            prop_assert!(stamp.write(&mut bytes));
            prop_assert!(bytes.iter().all(|byte| byte & HIGH_BIT != 0));
            prop_assert_eq!(Stamp::read(&bytes), Some(stamp));
        }

        #[test]
        fn any_bytes_are_safe_to_search(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = stamped_h264(&bytes).and_then(Stamp::read);
            let _ = Stamp::find_opus(&bytes);
        }
    }

    #[test]
    fn a_short_buffer_is_refused() {
        assert!(!Stamp { stream: 1, sent_at_ns: 1 }.write(&mut [0; STAMP_BYTES - 1]));
    }
}
