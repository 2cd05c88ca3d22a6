//! Packets of one publisher on their way to one `sendmmsg`, through what the network does to them.

use super::Wire;
use crate::impair::Line;
use crate::rtp::FIXED_HEADER_BYTES;
use crate::sys::{SEND_BATCH, send_batch};

/// Largest packet: 1400 bytes and a trailer of SRTP fit.
const PACKET_BYTES: usize = 1500;

/// The direction that a client's packets take, where something happens on it.
pub(super) struct Passage<'a> {
    pub(super) line: &'a mut Line,
    pub(super) now_ns: u64,
    pub(super) client: usize,
}

impl Passage<'_> {
    /// For one more batch.
    pub(super) const fn again(&mut self) -> Passage<'_> {
        Passage { line: self.line, now_ns: self.now_ns, client: self.client }
    }
}

pub(super) struct Batch {
    buffers: Vec<[u8; PACKET_BYTES]>,
    lengths: Vec<usize>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { buffers: vec![[0; PACKET_BYTES]; SEND_BATCH], lengths: Vec::with_capacity(SEND_BATCH) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.lengths.len() == SEND_BATCH
    }

    /// The slot the next packet is written into; `push` makes it part of the batch.
    pub(super) fn slot(&mut self) -> &mut [u8] {
        let next = self.lengths.len().min(SEND_BATCH - 1);
        &mut self.buffers[next]
    }

    pub(super) fn push(&mut self, length: usize) {
        if !self.is_full() {
            self.lengths.push(length);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Sends what `up` lets pass at once, and empties; returns the bytes offered and how many packets could not be sent.
    pub(super) fn send(&mut self, wire: &mut Wire, up: Option<Passage<'_>>) -> (u64, u64) {
        let mut bytes = 0;
        if let Some(srtp) = &mut wire.srtp {
            for (buffer, length) in self.buffers.iter_mut().zip(&mut self.lengths) {
                let header = header_length(&buffer[..*length]);
                *length = srtp.protect_rtp(buffer, header, *length).unwrap_or(0);
            }
        }
        let mut slices: [&[u8]; SEND_BATCH] = [&[]; SEND_BATCH];
        for (slice, (buffer, length)) in slices.iter_mut().zip(self.buffers.iter().zip(&self.lengths)) {
            *slice = &buffer[..*length];
            bytes += u64::try_from(*length).unwrap_or(0);
        }
        wire.tap.keep(&slices[..self.lengths.len()]);
        let mut count = self.lengths.len();
        if let Some(Passage { line, now_ns, client }) = up {
            let mut passing = 0;
            for index in 0..count {
                if line.passes(now_ns, client, slices[index], None) {
                    slices[passing] = slices[index];
                    passing += 1;
                }
            }
            count = passing;
        }
        let mut rest = &slices[..count];
        let mut failed = 0;
        while !rest.is_empty() {
            let sent = send_batch(&wire.socket, rest, &[]).unwrap_or_else(|_| {
                // The first packet of the rest was refused; it is lost and the others go on.
                failed += 1;
                1
            });
            rest = &rest[sent.clamp(1, rest.len())..];
        }
        self.lengths.clear();
        (bytes, failed)
    }
}

/// Bytes of an own packet's header: fixed, plus the one extension block some carry.
fn header_length(packet: &[u8]) -> usize {
    let has_extension = packet.first().is_some_and(|first| first & 0x10 != 0);
    match packet.get(FIXED_HEADER_BYTES + 2..FIXED_HEADER_BYTES + 4) {
        Some(words) if has_extension => {
            FIXED_HEADER_BYTES + 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]))
        }
        _ => FIXED_HEADER_BYTES,
    }
}
