//! A handshake message that comes in pieces.

use std::ops::Range;

use crate::record::{ContentType, FRAGMENT_HEADER_LEN, Fragment};

/// Pieces that do not touch. A peer that cuts finer than a path's smallest MTU and mixes them up waits for its own
/// retransmission.
const GAPS_MAX: usize = 32;

/// Put together as one fragment, as OpenSSL takes it.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) sequence: u16,
    version: [u8; 2],
    body: Vec<u8>,
    /// What of `body` has come, in order, none touching another.
    received: Vec<Range<usize>>,
}

impl Message {
    pub(crate) fn new(version: [u8; 2], fragment: &Fragment<'_>) -> Self {
        let mut message = Self {
            kind: fragment.message,
            sequence: fragment.sequence,
            version,
            body: vec![0; fragment.message_len],
            received: Vec::new(),
        };
        message.add(fragment);
        message
    }

    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn is_complete(&self) -> bool {
        match &self.received[..] {
            [] => self.body.is_empty(),
            [all] => *all == (0..self.body.len()),
            _ => false,
        }
    }

    /// What contradicts an earlier fragment is not taken; what came first stays.
    pub(crate) fn add(&mut self, fragment: &Fragment<'_>) {
        let is_of_this = fragment.message == self.kind && fragment.message_len == self.body.len();
        if !is_of_this || self.is_complete() || fragment.bytes.is_empty() {
            return;
        }
        let new = fragment.offset..fragment.offset + fragment.bytes.len();
        let from = self.received.partition_point(|old| old.end < new.start);
        let until = self.received.partition_point(|old| old.start <= new.end);
        if from == until && self.received.len() == GAPS_MAX {
            return;
        }
        let merged = self.received[from..until]
            .iter()
            .fold(new.clone(), |all, old| all.start.min(old.start)..all.end.max(old.end));
        self.body[new].copy_from_slice(fragment.bytes);
        self.received.splice(from..until, [merged]);
    }

    /// As a record of its own, unfragmented.
    pub(crate) fn write(&self, record_sequence: u64, out: &mut Vec<u8>) {
        let len = u32::try_from(self.body.len()).unwrap_or(u32::MAX).to_be_bytes();
        write_header(
            ContentType::Handshake,
            self.version,
            record_sequence,
            FRAGMENT_HEADER_LEN + self.body.len(),
            out,
        );
        out.push(self.kind);
        out.extend_from_slice(&len[1..]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&[0; 3]);
        out.extend_from_slice(&len[1..]);
        out.extend_from_slice(&self.body);
    }
}

/// Of a record that is not encrypted: epoch 0.
pub(crate) fn write_header(
    content: ContentType,
    version: [u8; 2],
    record_sequence: u64,
    body_len: usize,
    out: &mut Vec<u8>,
) {
    out.push(content.byte());
    out.extend_from_slice(&version);
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&record_sequence.to_be_bytes()[2..]);
    out.extend_from_slice(&u16::try_from(body_len).unwrap_or(u16::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{fragments, records};

    fn fragment(offset: usize, bytes: &[u8]) -> Fragment<'_> {
        Fragment { message: 11, message_len: 10, sequence: 3, offset, bytes }
    }

    #[test]
    fn pieces_make_a_message_in_any_order() {
        let whole = *b"0123456789";
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
            let pieces =
                [0..3, 2..5, 5..6, 6..10].map(|range: Range<usize>| fragment(range.start, &whole[range]));
            let mut message = Message::new([254, 253], &pieces[order[0]]);
            for &index in &order[1..] {
                assert!(!message.is_complete());
                message.add(&pieces[index]);
                message.add(&pieces[index]);
            }
            assert!(message.is_complete());
            let mut record = Vec::new();
            message.write(7, &mut record);
            let one = records(&record).next().unwrap();
            assert_eq!(fragments(one.body).collect::<Vec<_>>(), [fragment(0, &whole)]);
        }
    }

    #[test]
    fn what_contradicts_is_not_taken() {
        let mut message = Message::new([254, 253], &fragment(0, b"01234"));
        message.add(&Fragment { message: 12, ..fragment(5, b"56789") });
        message.add(&Fragment { message_len: 11, ..fragment(5, b"567890") });
        assert!(!message.is_complete());
        message.add(&fragment(5, b"56789"));
        assert!(message.is_complete());
        message.add(&fragment(0, b"xxxxx"));
        assert_eq!(message.body, b"0123456789");
    }

    #[test]
    fn gaps_are_bounded() {
        let long = |offset| Fragment { message: 1, message_len: 1000, sequence: 0, offset, bytes: b"x" };
        let mut message = Message::new([254, 253], &long(0));
        for offset in (0..1000).step_by(2) {
            message.add(&long(offset));
        }
        assert_eq!(message.received.len(), GAPS_MAX);
    }
}
