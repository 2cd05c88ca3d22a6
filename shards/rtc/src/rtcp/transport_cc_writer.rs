//! Writes transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
//!
//! ```text
//! statuses   L L S S S S S S S S B S …     lost, small delta, big delta
//! chunks     [run 14 bits of one status][7 statuses of 2 bits][14 statuses of 1 bit: lost or small]
//! deltas      one byte a small one, two a big one, in ticks of 250 µs from the arrival before
//! ```
//! Statuses wait until it is clear which chunk holds most of them.

use crate::time::Time;

use super::transport_cc::{DELTA_TICK_US, REFERENCE_TICK_US, STATUSES_MAX};
use super::writer::{CompoundWriter, RTCP_BYTES_MAX};

/// Deltas count in these, microseconds.
const TICK_US: u64 = DELTA_TICK_US.unsigned_abs();
/// The reference time counts in 64 ms.
const TICKS_PER_REFERENCE: u64 = REFERENCE_TICK_US.unsigned_abs() / TICK_US;
/// Base, status count, reference time and feedback count, bytes.
const FIXED_LEN: usize = 8;
/// Common header and two SSRCs in front, bytes.
const HEADER_LEN: usize = 12;
/// Chunks and deltas of one packet, bytes.
const CONTENT_MAX: usize = RTCP_BYTES_MAX - HEADER_LEN - FIXED_LEN;
/// A run length has 13 bits.
const RUN_MAX: u16 = (1 << 13) - 1;
/// Statuses of a vector chunk with one bit each.
const ONE_BIT_STATUSES: u16 = 14;
/// Statuses of a vector chunk with two bits each.
const TWO_BIT_STATUSES: u16 = 7;
/// Bytes kept for chunks that one more packet may complete: what waits (three at most), the run of those missing before it
/// and its own.
const CHUNKS_RESERVE: usize = 12;
/// Longest gap that is reported, packets: one run.
pub const MISSING_MAX: u16 = RUN_MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Lost = 0,
    Small = 1,
    Large = 2,
}

/// Nothing more fits this packet: it is to be sent, and another begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// One feedback packet under construction.
#[derive(Debug)]
pub struct TransportCcWriter {
    base: u16,
    feedback_packet_count: u8,
    /// In units of 64 ms.
    reference: u64,
    /// Arrival of the newest packet in it, in ticks.
    last_tick: u64,
    statuses: u16,
    received: u16,
    chunks: Chunks,
    deltas: Bytes,
}

impl TransportCcWriter {
    /// `first_arrival` is that of the first packet that was received, which need not be `base`.
    pub fn new(base: u16, first_arrival: Time, feedback_packet_count: u8) -> Self {
        let reference = first_arrival.as_micros() / (TICK_US * TICKS_PER_REFERENCE);
        Self {
            base,
            feedback_packet_count,
            reference,
            last_tick: reference * TICKS_PER_REFERENCE,
            statuses: 0,
            received: 0,
            chunks: Chunks::default(),
            deltas: Bytes::default(),
        }
    }

    /// Sequence number behind the last that is reported on.
    pub const fn end(&self) -> u16 {
        self.base.wrapping_add(self.statuses)
    }

    pub const fn status_count(&self) -> u16 {
        self.statuses
    }

    pub const fn lost_count(&self) -> u16 {
        self.statuses - self.received
    }

    /// Adds a received packet, in order of sequence numbers; all between the one before and this are lost.
    ///
    /// # Errors
    /// `Full`, and nothing has changed: too many bytes, too many packets, or too long between two of them.
    pub fn push(&mut self, sequence_number: u16, arrival: Time) -> Result<(), Full> {
        let missing = sequence_number.wrapping_sub(self.end());
        let tick = (arrival.as_micros() + TICK_US / 2) / TICK_US;
        let delta = i16::try_from(tick.wrapping_sub(self.last_tick).cast_signed()).map_err(|_| Full)?;
        let statuses = self.statuses.checked_add(missing).and_then(|count| count.checked_add(1));
        let used = self.chunks.bytes.len + self.deltas.len + CHUNKS_RESERVE + size_of::<i16>();
        if missing > MISSING_MAX || used > CONTENT_MAX {
            return Err(Full);
        }
        self.statuses = statuses.filter(|&count| count <= STATUSES_MAX).ok_or(Full)?;
        self.received += 1;
        self.last_tick = tick;
        self.chunks.push(Status::Lost, missing);
        match u8::try_from(delta) {
            Ok(small) => {
                self.chunks.push(Status::Small, 1);
                self.deltas.put(&[small]);
            }
            Err(_) => {
                self.chunks.push(Status::Large, 1);
                self.deltas.put(&delta.to_be_bytes());
            }
        }
        Ok(())
    }

    /// Appends the packet to a compound; `None` when it is empty, or longer than what is left there.
    pub fn write(mut self, out: &mut CompoundWriter<'_>, sender_ssrc: u32, media_ssrc: u32) -> Option<usize> {
        if self.statuses == 0 {
            return None;
        }
        self.chunks.finish();
        let mut fci = Bytes::default();
        fci.put(&self.base.to_be_bytes());
        fci.put(&self.statuses.to_be_bytes());
        let [.., a, b, c] = self.reference.to_be_bytes();
        fci.put(&[a, b, c, self.feedback_packet_count]);
        fci.put(self.chunks.bytes.as_slice());
        fci.put(self.deltas.as_slice());
        let padding = fci.len.next_multiple_of(4) - fci.len;
        fci.put([0; 3].get(..padding)?);
        out.transport_cc(sender_ssrc, media_ssrc, fci.as_slice())
    }
}

/// Bytes up to a packet's end. What would go beyond is left out: [`CHUNKS_RESERVE`] sees to it that nothing does.
#[derive(Debug)]
struct Bytes {
    bytes: [u8; RTCP_BYTES_MAX],
    len: usize,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { bytes: [0; RTCP_BYTES_MAX], len: 0 }
    }
}

impl Bytes {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(slot) = self.bytes.get_mut(self.len..end) {
            slot.copy_from_slice(bytes);
            self.len = end;
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The chunks that are complete, and statuses that wait for theirs.
#[derive(Debug)]
struct Chunks {
    bytes: Bytes,
    /// The first of those that wait. The whole array is of the first one's status until another comes.
    waiting: [Status; ONE_BIT_STATUSES as usize],
    count: u16,
    /// All that wait have one status.
    is_run: bool,
}

impl Default for Chunks {
    fn default() -> Self {
        Self {
            bytes: Bytes::default(),
            waiting: [Status::Lost; ONE_BIT_STATUSES as usize],
            count: 0,
            is_run: true,
        }
    }
}

impl Chunks {
    fn push(&mut self, status: Status, mut count: u16) {
        while count > 0 {
            if !self.takes(status) {
                self.complete(ONE_BIT_STATUSES);
                continue;
            }
            let extends = self.count > 0 && self.extends_run(status);
            let taken = if extends { count.min(RUN_MAX - self.count) } else { 1 };
            if self.count == 0 {
                self.waiting = [status; ONE_BIT_STATUSES as usize];
                self.is_run = true;
            } else if !extends {
                self.is_run = false;
                if let Some(slot) = self.waiting.get_mut(usize::from(self.count)) {
                    *slot = status;
                }
            }
            self.count += taken;
            count -= taken;
        }
    }

    fn extends_run(&self, status: Status) -> bool {
        self.is_run && self.waiting.first() == Some(&status) && self.count < RUN_MAX
    }

    /// Whether there is a chunk for what waits and this.
    fn takes(&self, status: Status) -> bool {
        self.count < TWO_BIT_STATUSES
            || self.extends_run(status)
            || (self.count < ONE_BIT_STATUSES && status != Status::Large && self.fits_one_bit())
    }

    fn fits_one_bit(&self) -> bool {
        !self.in_vector(self.count).contains(&Status::Large)
    }

    fn in_vector(&self, count: u16) -> &[Status] {
        self.waiting.get(..usize::from(count.min(ONE_BIT_STATUSES))).unwrap_or_default()
    }

    /// Completes one chunk. A vector has room for fourteen statuses or seven and must hold as many, but for the last of a
    /// packet: one bit each is for those that wait when they are `one_bit_min`.
    fn complete(&mut self, one_bit_min: u16) {
        if self.is_run {
            let status = self.waiting.first().map_or(0, |&status| status as u16);
            self.bytes.put(&(status << 13 | self.count).to_be_bytes());
            self.count = 0;
        } else if self.count >= one_bit_min && self.fits_one_bit() {
            self.put_vector(1 << 15, 1, self.count.min(ONE_BIT_STATUSES));
        } else {
            self.put_vector(0b11 << 14, 2, self.count.min(TWO_BIT_STATUSES));
        }
    }

    /// The first statuses as a vector chunk of this many bits each, the first in the highest bits.
    fn put_vector(&mut self, marks: u16, bits: u16, count: u16) {
        let mut chunk = marks;
        let mut shift = 14;
        for &status in self.in_vector(count) {
            shift -= bits;
            chunk |= (status as u16) << shift;
        }
        self.bytes.put(&chunk.to_be_bytes());
        self.waiting.rotate_left(usize::from(count));
        self.count -= count;
        let rest = self.in_vector(self.count);
        let is_run = rest.windows(2).all(|pair| pair.first() == pair.last());
        // As if they had come one after the other: the array is of the first one's status.
        if let Some(&first) = rest.first().filter(|_| is_run) {
            self.waiting = [first; ONE_BIT_STATUSES as usize];
        }
        self.is_run = is_run;
    }

    fn finish(&mut self) {
        while self.count > 0 {
            self.complete(TWO_BIT_STATUSES + 1);
        }
    }
}

#[cfg(test)]
mod tests;
