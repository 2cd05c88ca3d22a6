//! A packet's header-extension elements, encoded once for all its consumers.

use super::element::{Extensions, ONE_BYTE_ID_MAX, ONE_BYTE_VALUE_MAX};
use super::packet::RtpPacket;
use super::stamp::Stamp;

/// Bytes of elements a block holds. A dependency descriptor may take 255, everything else a router
/// knows stays below 100; what does not fit is left out.
pub const BLOCK_BYTES_MAX: usize = 512;

/// Producer's element id to router's element id.
#[derive(Debug, Clone)]
pub struct ExtensionMap([u8; 256]);

impl ExtensionMap {
    /// A map that drops every element.
    pub const fn new() -> Self {
        Self([0; 256])
    }

    /// Router id 0 drops the element. Id 0 of a producer is padding and never looked up.
    pub fn set(&mut self, producer_id: u8, router_id: u8) {
        self.0[usize::from(producer_id)] = router_id;
    }

    /// The router's id, or `None` to drop.
    pub fn router_id(&self, producer_id: u8) -> Option<u8> {
        match self.0[usize::from(producer_id)] {
            0 => None,
            router_id => Some(router_id),
        }
    }
}

impl Default for ExtensionMap {
    fn default() -> Self {
        Self::new()
    }
}

/// Header-extension elements in wire form, without profile, length and padding.
///
/// Starts in the one-byte form and changes to the two-byte form with the first element that needs it
/// (RFC 8285 §4). Meant to be kept and reused: `clear` costs nothing.
#[derive(Debug, Clone)]
pub struct ExtensionBlock {
    bytes: [u8; BLOCK_BYTES_MAX],
    len: usize,
    two_byte: bool,
}

impl ExtensionBlock {
    pub const fn new() -> Self {
        Self { bytes: [0; BLOCK_BYTES_MAX], len: 0, two_byte: false }
    }

    /// In the two-byte form from the start, for a receiver with ids that need it.
    pub const fn two_byte() -> Self {
        Self { two_byte: true, ..Self::new() }
    }

    /// The packet's elements under the router's ids.
    pub fn from_packet(packet: &RtpPacket<'_>, map: &ExtensionMap) -> Self {
        let mut block = Self::new();
        block.push_mapped(packet, map);
        block
    }

    pub const fn clear(&mut self) {
        self.len = 0;
        self.two_byte = false;
    }

    /// Appends the packet's elements under the router's ids; the map decides which are dropped, MID
    /// among them. Returns how many did not fit.
    pub fn push_mapped(&mut self, packet: &RtpPacket<'_>, map: &ExtensionMap) -> usize {
        let mut left_out = 0;
        for (producer_id, value) in packet.extensions() {
            if let Some(router_id) = map.router_id(producer_id) {
                left_out += usize::from(!self.push(router_id, value));
            }
        }
        left_out
    }

    /// Appends one element. False, and the elements unchanged, when it does not fit or cannot be encoded:
    /// id 0 is padding, and no form has a length above 255.
    pub fn push(&mut self, id: u8, value: &[u8]) -> bool {
        if id == 0 || value.len() > usize::from(u8::MAX) {
            return false;
        }
        if !self.two_byte && !fits_one_byte(id, value) && !self.widen() {
            return false;
        }
        let Some(room) = self.bytes.get_mut(self.len..) else {
            return false;
        };
        let Some(written) = write_element(room, self.two_byte, id, value) else {
            return false;
        };
        self.len += written;
        true
    }

    /// The same elements in the same form, with another value for this one. `None` when it does not fit.
    #[must_use]
    pub fn with_value(&self, id: u8, value: &[u8]) -> Option<Self> {
        let mut block = Self { two_byte: self.two_byte, ..Self::new() };
        for (own, before) in self.elements() {
            if !block.push(own, if own == id { value } else { before }) {
                return None;
            }
        }
        (block.two_byte == self.two_byte).then_some(block)
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub const fn is_two_byte(&self) -> bool {
        self.two_byte
    }

    /// The elements as they will be on the wire.
    pub fn elements(&self) -> Extensions<'_> {
        let bytes = self.wire_form();
        if self.two_byte { Extensions::two_byte(bytes) } else { Extensions::one_byte(bytes) }
    }

    /// The elements' bytes, to be kept for a retransmission; `from_wire_form` takes them back.
    pub fn wire_form(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// A block of elements that `wire_form` gave, `two_byte` as it was then. Empty when they are more
    /// than a block holds, which those of a block never are.
    pub fn from_wire_form(elements: &[u8], two_byte: bool) -> Self {
        let mut block = Self { two_byte, ..Self::new() };
        if let Some(bytes) = block.bytes.get_mut(..elements.len()) {
            bytes.copy_from_slice(elements);
            block.len = elements.len();
        }
        block
    }

    /// Re-encodes in the two-byte form, where each element is one byte longer. Rare enough to copy.
    fn widen(&mut self) -> bool {
        let narrow = self.bytes;
        let mut wide = Self { bytes: [0; BLOCK_BYTES_MAX], len: 0, two_byte: true };
        let elements = narrow.get(..self.len).unwrap_or_default();
        for (id, value) in Extensions::one_byte(elements) {
            if !wide.push(id, value) {
                return false;
            }
        }
        *self = wide;
        true
    }

    /// Length of the elements followed by a MID element and a stamp; `None` when these cannot be written in
    /// the block's form.
    pub(super) fn len_with_own(&self, mid: Option<(u8, &[u8])>, stamp: &Stamp) -> Option<usize> {
        let head = if self.two_byte { 2 } else { 1 };
        let mid_len = match mid {
            None => 0,
            Some((id, value)) => {
                let encodable = if self.two_byte {
                    id != 0 && value.len() <= usize::from(u8::MAX)
                } else {
                    fits_one_byte(id, value)
                };
                encodable.then_some(head + value.len())?
            }
        };
        let id_max = if self.two_byte { u8::MAX } else { ONE_BYTE_ID_MAX };
        Some(self.len + mid_len + stamp.len(head, id_max)?)
    }
}

impl Default for ExtensionBlock {
    fn default() -> Self {
        Self::new()
    }
}

const fn fits_one_byte(id: u8, value: &[u8]) -> bool {
    id != 0 && id <= ONE_BYTE_ID_MAX && !value.is_empty() && value.len() <= ONE_BYTE_VALUE_MAX
}

/// The caller has checked that id and length fit the form.
pub(super) fn write_element(out: &mut [u8], two_byte: bool, id: u8, value: &[u8]) -> Option<usize> {
    let len = u8::try_from(value.len()).ok()?;
    let head_len = if two_byte {
        *out.first_chunk_mut::<2>()? = [id, len];
        2
    } else {
        *out.first_mut()? = id << 4 | len.checked_sub(1)?;
        1
    };
    let end = head_len + value.len();
    out.get_mut(head_len..end)?.copy_from_slice(value);
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_replaced_in_the_form_there_is() {
        let mut block = ExtensionBlock::new();
        assert!(block.push(2, &[1]) && block.push(3, &[2, 3]) && block.push(4, &[5]));
        let other = block.with_value(3, &[7; 16]).unwrap();
        let elements: Vec<_> = other.elements().collect();
        assert_eq!(elements, [(2, &[1][..]), (3, &[7; 16]), (4, &[5])]);
        assert!(block.with_value(3, &[7; 17]).is_none(), "it would change the others' form");
        assert!(block.with_value(9, &[1]).unwrap().elements().eq(block.elements()));
    }

    #[test]
    fn large_ids_empty_values_and_long_values_widen_the_block() {
        for (id, value) in [(15, &[1u8][..]), (2, &[]), (2, &[7; 17])] {
            let mut block = ExtensionBlock::new();
            assert!(block.push(1, &[9, 9]));
            assert!(!block.is_two_byte());
            assert!(block.push(id, value));
            assert!(block.is_two_byte());
            let expected = [(1, &[9u8, 9][..]), (id, value)];
            assert_eq!(block.elements().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn blocks_are_kept_by_their_wire_form() {
        let mut block = ExtensionBlock::new();
        assert!(block.push(7, &[1, 2]) && block.push(20, &[]));
        let kept = ExtensionBlock::from_wire_form(block.wire_form(), block.is_two_byte());
        assert!(kept.elements().eq(block.elements()));
        assert!(ExtensionBlock::from_wire_form(&[0; BLOCK_BYTES_MAX + 1], false).is_empty());
    }

    #[test]
    fn map_drops_what_it_does_not_name() {
        let wire = [0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x10, 7, 0x20, 8];
        let packet = RtpPacket::parse(&wire).unwrap();
        let mut map = ExtensionMap::new();
        map.set(2, 6);
        let block = ExtensionBlock::from_packet(&packet, &map);
        assert_eq!(block.elements().collect::<Vec<_>>(), [(6, &[8u8][..])]);
    }
}
