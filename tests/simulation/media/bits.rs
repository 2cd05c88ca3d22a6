//! Bits, the highest of a byte first.

#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    pub(crate) fn put(&mut self, count: usize, value: u32) -> &mut Self {
        assert!(count >= 32 || value >> count == 0, "{value} has more than {count} bits");
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("pushed above");
            *last |= u8::from(value >> bit & 1 == 1) << (7 - self.used % 8);
            self.used += 1;
        }
        self
    }

    pub(crate) fn flag(&mut self, flag: bool) -> &mut Self {
        self.put(1, flag.into())
    }

    /// A value below `end` in as few bits as that takes (AV1 specification, ns(n)).
    pub(crate) fn put_below(&mut self, end: u32, value: u32) -> &mut Self {
        assert!(value < end);
        let width = (u32::BITS - end.leading_zeros()) as usize;
        let shorter = (1 << width) - end;
        if value < shorter { self.put(width - 1, value) } else { self.put(width, value + shorter) }
    }

    /// Zero bits fill the last byte.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// `None` at the end.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    pub(crate) fn read(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.used / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.used % 8) & 1);
            self.used += 1;
        }
        Some(value)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.read(8).map(|byte| byte.to_le_bytes()[0])
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        Some(self.read(1)? == 1)
    }

    pub(crate) fn read_below(&mut self, end: u32) -> Option<u32> {
        let width = (u32::BITS - end.leading_zeros()) as usize;
        let shorter = (1 << width) - end;
        let value = self.read(width - 1)?;
        if value < shorter { Some(value) } else { Some((value << 1 | self.read(1)?) - shorter) }
    }

    /// Whole bytes from the next one on.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.used.div_ceil(8).min(self.bytes.len())..]
    }
}

#[test]
fn what_is_written_is_read() {
    for end in 1..40 {
        let mut out = BitWriter::default();
        out.flag(true).put(5, 19);
        (0..end).for_each(|value| {
            out.put_below(end, value);
        });
        let bytes = out.into_bytes();
        let mut read = BitReader::new(&bytes);
        assert_eq!((read.flag(), read.read(5)), (Some(true), Some(19)));
        assert!((0..end).all(|value| read.read_below(end) == Some(value)));
        assert_eq!(read.read(8), None);
    }
}
