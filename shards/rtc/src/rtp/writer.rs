//! Builds whole packets, for probation, load generators and tests.

use super::block::{BLOCK_BYTES_MAX, ExtensionBlock};
use super::rewrite::{HeaderFields, write_header};

/// A packet described field by field and then written at once.
#[derive(Debug, Clone, Default)]
pub struct RtpWriter<'a> {
    fields: HeaderFields<'a>,
    block: ExtensionBlock,
    payload: &'a [u8],
    padding: u8,
}

impl<'a> RtpWriter<'a> {
    pub fn new(payload_type: u8, sequence_number: u16, timestamp: u32, ssrc: u32) -> Self {
        let fields = HeaderFields { payload_type, sequence_number, timestamp, ssrc, ..Default::default() };
        Self { fields, ..Default::default() }
    }

    #[must_use]
    pub const fn marker(mut self, marker: bool) -> Self {
        self.fields.marker = marker;
        self
    }

    /// CSRCs in wire form, four bytes each.
    #[must_use]
    pub const fn csrcs(mut self, csrcs: &'a [u8]) -> Self {
        self.fields.csrcs = csrcs;
        self
    }

    /// Appends a header-extension element; one that cannot be encoded is left out
    /// (`ExtensionBlock::push`).
    #[must_use]
    pub fn extension(mut self, id: u8, value: &[u8]) -> Self {
        self.block.push(id, value);
        self
    }

    #[must_use]
    pub const fn payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// Bytes of padding behind the payload, their count byte included; zero for none.
    #[must_use]
    pub const fn padding(mut self, padding: u8) -> Self {
        self.padding = padding;
        self.fields.padding = padding > 0;
        self
    }

    /// Writes the packet and returns its length, or `None` when `out` is too small.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let payload_at = write_header(out, &self.fields, &self.block)?;
        let padding_at = payload_at + self.payload.len();
        let end = padding_at + usize::from(self.padding);
        out.get_mut(payload_at..padding_at)?.copy_from_slice(self.payload);
        let padding = out.get_mut(padding_at..end)?;
        padding.fill(0);
        if let Some(count) = padding.last_mut() {
            *count = self.padding;
        }
        Some(end)
    }

    /// The packet on the heap, or `None` when its CSRC list cannot be encoded.
    pub fn to_vec(&self) -> Option<Vec<u8>> {
        const HEADER_LEN_MAX: usize = 12 + 15 * 4 + 4 + BLOCK_BYTES_MAX;
        let mut out = vec![0; HEADER_LEN_MAX + self.payload.len() + usize::from(self.padding)];
        let len = self.write(&mut out)?;
        out.truncate(len);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtp::RtpPacket;

    #[test]
    fn known_bytes() {
        let wire =
            RtpWriter::new(96, 1, 2, 3).extension(4, &[9]).payload(&[7, 7]).padding(2).to_vec().unwrap();
        let expected = [0xb0, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x40, 9, 0, 0, 7, 7, 0, 2];
        assert_eq!(wire, expected);
        let mut small = [0; 23];
        assert_eq!(RtpWriter::new(96, 1, 2, 3).payload(&[0; 12]).write(&mut small), None);
    }

    proptest! {
        #[test]
        fn packets_parse_back(
            (payload_type, marker, seq, timestamp, ssrc) in (0u8..128, any::<bool>(), any::<u16>(), any::<u32>(), any::<u32>()),
            payload in prop::collection::vec(any::<u8>(), 0..64),
            padding: u8,
            value in prop::collection::vec(any::<u8>(), 1..17),
        ) {
            let writer = RtpWriter::new(payload_type, seq, timestamp, ssrc)
                .marker(marker)
                .extension(3, &value)
                .payload(&payload)
                .padding(padding);
            let wire = writer.to_vec().unwrap();
            let packet = RtpPacket::parse(&wire).unwrap();
            prop_assert_eq!((packet.payload_type(), packet.marker()), (payload_type, marker));
            prop_assert_eq!((packet.sequence_number(), packet.timestamp(), packet.ssrc()), (seq, timestamp, ssrc));
            prop_assert_eq!(packet.extension(3), Some(&value[..]));
            prop_assert_eq!(packet.payload(), &payload[..]);
            prop_assert_eq!(packet.padding_len(), usize::from(padding));
        }
    }
}
