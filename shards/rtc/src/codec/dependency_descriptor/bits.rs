//! Bits of a byte string, the highest of each byte first.

#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// `f(1)`.
    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let flag = byte << (self.at % 8) & 0x80 != 0;
        self.at += 1;
        Some(flag)
    }

    /// `f(count)` of at most eight bits.
    pub(super) fn read(&mut self, count: usize) -> Option<u8> {
        debug_assert!(count <= 8);
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u8::from(self.flag()?);
        }
        Some(value)
    }

    /// Steps over bits that nobody needs.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let at = self.at.checked_add(count)?;
        (at <= self.bytes.len() * 8).then(|| self.at = at)
    }

    /// `f(count)` of at most 32 bits.
    pub(super) fn mask(&mut self, count: usize) -> Option<u32> {
        debug_assert!(count <= 32);
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Bits left.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    /// `ns(count)`: a value below `count`, the low ones in a bit less than the high ones.
    pub(super) fn below(&mut self, count: u8) -> Option<u8> {
        let width = u8::BITS - count.leading_zeros();
        let short = (1_u16 << width) - u16::from(count);
        let value = self.read(usize::try_from(width).ok()?.checked_sub(1)?)?;
        if u16::from(value) < short {
            return Some(value);
        }
        let long = (u16::from(value) << 1) - short + u16::from(self.flag()?);
        u8::try_from(long).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_from_high_to_low_and_end() {
        let mut bits = Bits::new(&[0b1010_0110, 0b1100_0000]);
        assert_eq!((bits.flag(), bits.read(3), bits.read(6)), (Some(true), Some(0b010), Some(0b01_1011)));
        assert_eq!(bits.skip(7), None);
        assert_eq!((bits.skip(6), bits.flag(), bits.read(1), bits.read(0)), (Some(()), None, None, Some(0)));
    }

    /// The specification's own table.
    #[test]
    fn five_values_take_two_or_three_bits() {
        for (value, code) in
            [(0, 0b000), (1, 0b0100_0000), (2, 0b1000_0000), (3, 0b1100_0000), (4, 0b1110_0000)]
        {
            assert_eq!(Bits::new(&[code]).below(5), Some(value));
        }
        assert_eq!(Bits::new(&[]).below(1), Some(0), "one value takes no bits");
        assert_eq!(Bits::new(&[0xff; 2]).below(0), None, "of none there is none");
        assert_eq!(Bits::new(&[0xff; 2]).below(33), Some(32));
    }
}
