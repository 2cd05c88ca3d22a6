//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01
//! §3.1): which of a sender's packets came, and when.
//!
//! ```text
//! fixed part | chunks: one status per packet, runs or vectors | deltas: one per received packet | pad
//! ```
//! Where the deltas begin follows from the chunks, and how many chunks there are from the status
//! count, so everything is checked before the first status is given out.

use super::compound::RtcpError;
use super::feedback::Feedback;

/// Unit of receive deltas, in microseconds.
pub const DELTA_TICK_US: i64 = 250;
/// Unit of the reference time, in microseconds.
pub const REFERENCE_TICK_US: i64 = 64_000;
/// Most packets one feedback is read for. Twenty bytes can claim 65,535 of them; no sender remembers
/// so many, and walking them is work that a peer should not get for so little.
pub const STATUSES_MAX: u16 = 8_192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportCc<'a> {
    pub sender_ssrc: u32,
    pub media_ssrc: u32,
    /// Transport-wide sequence number of the first packet reported on.
    pub base_sequence_number: u16,
    /// How many packets from there are reported on.
    pub packet_status_count: u16,
    /// Signed 24 bits in units of 64 ms.
    pub reference_time: i32,
    /// Counts the feedback packets, so that lost ones are noticed.
    pub feedback_packet_count: u8,
    /// Packet chunks, receive deltas and zero padding.
    pub chunks_and_deltas: &'a [u8],
}

/// What became of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketStatus {
    /// Transport-wide.
    pub sequence_number: u16,
    /// When it came, microseconds of the receiver's clock, whose origin only it knows and which wraps
    /// every 12 days. `None` when it did not come.
    pub arrived_us: Option<i64>,
}

/// A packet's symbol in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    NotReceived,
    /// A delta of one byte, unsigned.
    SmallDelta,
    /// A delta of two bytes, signed.
    LargeDelta,
}

impl Symbol {
    const fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            0 => Some(Self::NotReceived),
            1 => Some(Self::SmallDelta),
            2 => Some(Self::LargeDelta),
            _ => None,
        }
    }

    const fn delta_len(self) -> usize {
        match self {
            Self::NotReceived => 0,
            Self::SmallDelta => 1,
            Self::LargeDelta => 2,
        }
    }
}

/// Symbols of one chunk that are still to be given out.
#[derive(Debug, Clone, Copy)]
enum Chunk {
    Run {
        symbol: Symbol,
        left: u16,
    },
    /// Symbols of `bits` bits, the next one in the highest.
    Vector {
        word: u16,
        bits: u8,
        left: u16,
    },
}

impl Chunk {
    fn parse(word: u16) -> Result<Self, RtcpError> {
        if word >> 15 == 0 {
            let symbol = Symbol::from_bits(word >> 13 & 0b11).ok_or(RtcpError::TransportCcStatus)?;
            return Ok(Self::Run { symbol, left: word & 0x1fff });
        }
        let (bits, left) = if word >> 14 & 1 == 0 { (1, 14) } else { (2, 7) };
        Ok(Self::Vector { word: word << 2, bits, left })
    }

    const fn left(&self) -> u16 {
        match self {
            Self::Run { left, .. } | Self::Vector { left, .. } => *left,
        }
    }

    /// Bytes of deltas of the first `count` symbols.
    fn deltas_len(mut self, count: u16) -> Result<usize, RtcpError> {
        match self {
            Self::Run { symbol, .. } => Ok(usize::from(count) * symbol.delta_len()),
            Self::Vector { .. } => {
                let mut len = 0;
                for _ in 0..count {
                    len += self.take().ok_or(RtcpError::TransportCcStatus)?.delta_len();
                }
                Ok(len)
            }
        }
    }

    /// The next symbol; `None` at the end, or for the reserved one.
    fn take(&mut self) -> Option<Symbol> {
        match self {
            Self::Run { symbol, left } => {
                *left = left.checked_sub(1)?;
                Some(*symbol)
            }
            Self::Vector { word, bits, left } => {
                *left = left.checked_sub(1)?;
                let symbol = Symbol::from_bits(*word >> (16 - *bits));
                *word <<= *bits;
                symbol
            }
        }
    }
}

impl<'a> TransportCc<'a> {
    pub(super) fn parse(feedback: Feedback<'a>) -> Result<Self, RtcpError> {
        let (fixed, chunks_and_deltas) =
            feedback.fci.split_first_chunk::<8>().ok_or_else(|| feedback.truncated())?;
        let [b0, b1, c0, c1, t0, t1, t2, feedback_packet_count] = *fixed;
        Ok(Self {
            sender_ssrc: feedback.sender_ssrc,
            media_ssrc: feedback.media_ssrc,
            base_sequence_number: u16::from_be_bytes([b0, b1]),
            packet_status_count: u16::from_be_bytes([c0, c1]),
            reference_time: i32::from_be_bytes([t0, t1, t2, 0]) >> 8,
            feedback_packet_count,
            chunks_and_deltas,
        })
    }

    /// Every packet reported on, in order of sequence numbers.
    ///
    /// # Errors
    /// When there are more than `STATUSES_MAX`, chunks or deltas are missing, or a status is the
    /// reserved one: then nothing of it is believed.
    pub fn statuses(&self) -> Result<PacketStatuses<'a>, RtcpError> {
        let count = self.packet_status_count;
        if count > STATUSES_MAX {
            return Err(RtcpError::TransportCcStatus);
        }
        let mut rest = self.chunks_and_deltas;
        let (mut left, mut deltas_len) = (count, 0);
        while left > 0 {
            let (word, behind) = rest.split_first_chunk::<2>().ok_or(RtcpError::TransportCcStatus)?;
            let chunk = Chunk::parse(u16::from_be_bytes(*word))?;
            let taken = chunk.left().min(left);
            deltas_len += chunk.deltas_len(taken)?;
            left -= taken;
            rest = behind;
        }
        if deltas_len > rest.len() {
            return Err(RtcpError::TransportCcStatus);
        }
        Ok(PacketStatuses {
            next: self.base_sequence_number,
            left: count,
            chunk: Chunk::Run { symbol: Symbol::NotReceived, left: 0 },
            chunks: self.chunks_and_deltas,
            deltas: rest,
            clock_us: i64::from(self.reference_time) * REFERENCE_TICK_US,
        })
    }
}

/// Statuses of a feedback that was checked.
#[derive(Debug, Clone)]
pub struct PacketStatuses<'a> {
    next: u16,
    left: u16,
    chunk: Chunk,
    chunks: &'a [u8],
    deltas: &'a [u8],
    /// Arrival of the last packet that came.
    clock_us: i64,
}

impl PacketStatuses<'_> {
    fn symbol(&mut self) -> Option<Symbol> {
        while self.chunk.left() == 0 {
            let (word, behind) = self.chunks.split_first_chunk::<2>()?;
            self.chunk = Chunk::parse(u16::from_be_bytes(*word)).ok()?;
            self.chunks = behind;
        }
        self.chunk.take()
    }

    fn delta_ticks(&mut self, symbol: Symbol) -> Option<i64> {
        match symbol {
            Symbol::NotReceived => None,
            Symbol::SmallDelta => {
                let (ticks, behind) = self.deltas.split_first()?;
                self.deltas = behind;
                Some(i64::from(*ticks))
            }
            Symbol::LargeDelta => {
                let (ticks, behind) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = behind;
                Some(i64::from(i16::from_be_bytes(*ticks)))
            }
        }
    }
}

impl Iterator for PacketStatuses<'_> {
    type Item = PacketStatus;

    fn next(&mut self) -> Option<PacketStatus> {
        self.left = self.left.checked_sub(1)?;
        let symbol = self.symbol()?;
        let arrived_us = self.delta_ticks(symbol).map(|ticks| {
            self.clock_us += ticks * DELTA_TICK_US;
            self.clock_us
        });
        let sequence_number = self.next;
        self.next = self.next.wrapping_add(1);
        Some(PacketStatus { sequence_number, arrived_us })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Compound, RtcpPacket};

    fn feedback(base: u16, count: u16, chunks_and_deltas: &[u8]) -> TransportCc<'_> {
        TransportCc {
            sender_ssrc: 1,
            media_ssrc: 2,
            base_sequence_number: base,
            packet_status_count: count,
            reference_time: 1,
            feedback_packet_count: 0,
            chunks_and_deltas,
        }
    }

    fn read(feedback: TransportCc<'_>) -> Vec<(u16, Option<i64>)> {
        let statuses = feedback.statuses().unwrap();
        statuses.map(|status| (status.sequence_number, status.arrived_us)).collect()
    }

    #[test]
    fn fixed_part() {
        let mut wire = vec![0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2];
        wire.extend([0, 9, 0, 1, 0xff, 0xff, 0xff, 3, 0x20, 1, 4, 0]);
        let packet = Compound::new(&wire).next().unwrap().unwrap();
        let RtcpPacket::TransportCc(feedback) = packet else { panic!("{packet:?}") };
        assert_eq!((feedback.base_sequence_number, feedback.packet_status_count), (9, 1));
        assert_eq!((feedback.reference_time, feedback.feedback_packet_count), (-1, 3));
        assert_eq!(feedback.chunks_and_deltas, [0x20, 1, 4, 0]);
        assert_eq!(read(feedback), [(9, Some(-63_000))]);
    }

    /// The draft's example of a run (§3.1.3), and a number that wraps.
    #[test]
    fn runs() {
        let deltas = [0x20, 2, 4, 8];
        assert_eq!(read(feedback(65_535, 2, &deltas)), [(65_535, Some(65_000)), (0, Some(67_000))]);
        assert_eq!(read(feedback(7, 221, &[0, 221])).len(), 221);
        assert!(read(feedback(7, 221, &[0, 221])).iter().all(|(_, arrived)| arrived.is_none()));
        // A run that goes on behind the count.
        assert_eq!(read(feedback(7, 2, &[0x1f, 0xff])), [(7, None), (8, None)]);
    }

    /// The draft's examples of vectors (§3.1.4).
    #[test]
    fn vectors() {
        // 1 | 0 | 0 11111 0 0 111 0 0 0 and its eight deltas.
        let wire = [0b1001_1111, 0b0011_1000, 1, 1, 1, 1, 1, 1, 1, 1];
        let came: Vec<_> =
            read(feedback(0, 14, &wire)).iter().map(|(_, arrived)| arrived.is_some()).collect();
        let expected = [0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0].map(|bit| bit == 1);
        assert_eq!(came, expected);
        // 1 | 1 | 00 11 01 01 01 00 00 has the reserved symbol; with 10 it is a large delta.
        let reserved = [0b1100_1101, 0b0101_0000, 1, 1, 1];
        assert_eq!(feedback(0, 7, &reserved).statuses().err(), Some(RtcpError::TransportCcStatus));
        let large = [0b1100_1001, 0b0101_0000, 0xff, 0xfc, 4, 4, 8];
        let arrivals: Vec<_> = read(feedback(0, 7, &large)).into_iter().map(|(_, arrived)| arrived).collect();
        assert_eq!(arrivals, [None, Some(63_000), Some(64_000), Some(65_000), Some(67_000), None, None]);
    }

    #[test]
    fn lies_are_refused_whole() {
        let refused = Some(RtcpError::TransportCcStatus);
        for (count, wire) in [
            (1, &[][..]),
            (1, &[0x20]),
            (2, &[0x20, 1, 4]),
            (2, &[0x20, 2, 4]),
            (1, &[0x40, 1, 4]),
            (1, &[0x60, 1, 4, 4]),
            (3, &[0, 0, 0, 0]),
            (15, &[0x80, 0]),
            (8_193, &[0x1f, 0xff, 0x1f, 0xff]),
            (65_535, &[0x1f, 0xff]),
        ] {
            assert_eq!(feedback(0, count, wire).statuses().err(), refused, "{count} {wire:?}");
        }
        assert_eq!(read(feedback(0, 0, &[])), []);
        assert_eq!(read(feedback(0, 8_192, &[0x1f, 0xff, 0, 1])).len(), 8_192);
        // Empty runs are wasteful but say nothing wrong.
        assert_eq!(read(feedback(3, 1, &[0, 0, 0, 1])), [(3, None)]);
    }

    proptest! {
        #[test]
        fn anything_is_read_as_claimed_or_refused(base: u16, count: u16, wire in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(statuses) = feedback(base, count, &wire).statuses() {
                let numbers: Vec<_> = statuses.map(|status| status.sequence_number).collect();
                prop_assert_eq!(numbers.len(), usize::from(count));
                prop_assert!(numbers.iter().zip(0_u16..).all(|(number, at)| *number == base.wrapping_add(at)));
            }
        }
    }
}
