//! What a transport sent under which transport-wide sequence number, until its receiver says what came
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
//!
//! ```text
//! insert(now, size) -> 17, 18, 19, …       ring of the last SENT_PACKETS_MAX
//! feedback: 17 came, 18 did not            resolve: results of what was sent, once each
//! ```
//! A feedback can claim anything. Numbers that were never sent, or are forgotten, have no result; nor
//! has a packet that was already told to have come.

use crate::rtcp::{RtcpError, TransportCc};
use crate::time::Time;

/// Packets remembered: about a second of 20 Mbit/s. Receivers report ten times a second.
pub const SENT_PACKETS_MAX: usize = 2_048;

const _: () = assert!(SENT_PACKETS_MAX.is_power_of_two());

/// Packets of one transport, whatever streams they are of.
#[derive(Debug, Clone)]
pub struct SentPackets {
    next: u16,
    /// By the low bits of the number.
    slots: Box<[Option<SentPacket>]>,
}

#[derive(Debug, Clone, Copy)]
struct SentPacket {
    at: Time,
    sequence_number: u16,
    /// RTP packet with its header.
    bytes: u16,
    was_resent: bool,
    told: Told,
}

/// What was told of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Lost,
    Arrived,
}

/// What became of a packet that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketResult {
    pub sequence_number: u16,
    pub sent_at: Time,
    pub bytes: u16,
    /// The same bytes left twice: which of them came, and so how long it was under way, nobody knows.
    pub was_resent: bool,
    /// Microseconds of the receiver's clock; `None` when it did not come.
    pub arrived_us: Option<i64>,
}

impl Default for SentPackets {
    fn default() -> Self {
        Self { next: 1, slots: vec![None; SENT_PACKETS_MAX].into_boxed_slice() }
    }
}

impl SentPackets {
    /// The number the next packet goes out with.
    #[inline]
    pub const fn next(&self) -> u16 {
        self.next
    }

    /// The packet with the number `next` was sent.
    #[inline]
    pub fn insert(&mut self, now: Time, bytes: usize) {
        let sequence_number = self.next;
        self.next = sequence_number.wrapping_add(1);
        if let Some(slot) = self.slots.get_mut(index(sequence_number)) {
            let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
            *slot =
                Some(SentPacket { at: now, sequence_number, bytes, was_resent: false, told: Told::Nothing });
        }
    }

    /// The same packet, number and all, was sent once more.
    pub fn note_resent(&mut self, sequence_number: u16) {
        if let Some(packet) = self.get_mut(sequence_number) {
            packet.was_resent = true;
        }
    }

    /// Gives out what a feedback says of the packets that are remembered, in the order of their numbers. A packet
    /// that is told lost has one result, and another if it is told to have come after all.
    ///
    /// # Errors
    /// When the feedback cannot be believed; then it has no results.
    pub fn resolve(
        &mut self,
        feedback: &TransportCc<'_>,
        mut result: impl FnMut(PacketResult),
    ) -> Result<(), RtcpError> {
        for status in feedback.statuses()? {
            let Some(packet) = self.get_mut(status.sequence_number) else { continue };
            let told = if status.arrived_us.is_some() { Told::Arrived } else { Told::Lost };
            if packet.told == told || packet.told == Told::Arrived {
                continue;
            }
            packet.told = told;
            result(PacketResult {
                sequence_number: packet.sequence_number,
                sent_at: packet.at,
                bytes: packet.bytes,
                was_resent: packet.was_resent,
                arrived_us: status.arrived_us,
            });
        }
        Ok(())
    }

    #[inline]
    fn get_mut(&mut self, sequence_number: u16) -> Option<&mut SentPacket> {
        let packet = self.slots.get_mut(index(sequence_number))?.as_mut();
        packet.filter(|packet| packet.sequence_number == sequence_number)
    }
}

fn index(sequence_number: u16) -> usize {
    usize::from(sequence_number) & (SENT_PACKETS_MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feedback on packets from `base` on, `true` for what came, a tick apart.
    fn feedback<'a>(base: u16, came: &[bool], wire: &'a mut Vec<u8>) -> TransportCc<'a> {
        wire.clear();
        for chunk in came.chunks(14) {
            let bits = chunk.iter().enumerate().map(|(at, came)| u16::from(*came) << (13 - at));
            wire.extend((0x8000 | bits.sum::<u16>()).to_be_bytes());
        }
        wire.extend(came.iter().filter(|came| **came).map(|_| 1));
        TransportCc {
            sender_ssrc: 1,
            media_ssrc: 2,
            base_sequence_number: base,
            packet_status_count: u16::try_from(came.len()).unwrap(),
            reference_time: 0,
            feedback_packet_count: 0,
            chunks_and_deltas: wire,
        }
    }

    fn results(sent: &mut SentPackets, base: u16, came: &[bool]) -> Vec<(u16, Option<i64>)> {
        let mut results = Vec::new();
        let mut wire = Vec::new();
        sent.resolve(&feedback(base, came, &mut wire), |result| {
            results.push((result.sequence_number, result.arrived_us));
        })
        .unwrap();
        results
    }

    fn after(count: usize) -> SentPackets {
        let mut sent = SentPackets::default();
        for index in 0..count {
            sent.insert(Time::from_millis(index as u64), 1_000 + index);
        }
        sent
    }

    #[test]
    fn numbers_begin_at_one_and_wrap() {
        let mut sent = after(3);
        assert_eq!(sent.next(), 4);
        sent = after(65_537);
        assert_eq!(sent.next(), 2);
        assert_eq!(results(&mut sent, 65_535, &[true, true, true, true]).len(), 3, "2 is not sent yet");
    }

    #[test]
    fn a_result_has_what_was_sent() {
        let mut sent = after(3);
        sent.note_resent(3);
        let mut wire = Vec::new();
        let mut results = Vec::new();
        sent.resolve(&feedback(2, &[true, true], &mut wire), |result| results.push(result)).unwrap();
        let second = PacketResult {
            sequence_number: 2,
            sent_at: Time::from_millis(1),
            bytes: 1_001,
            was_resent: false,
            arrived_us: Some(250),
        };
        let third = PacketResult {
            sequence_number: 3,
            sent_at: Time::from_millis(2),
            bytes: 1_002,
            was_resent: true,
            arrived_us: Some(500),
        };
        assert_eq!(results, [second, third]);
    }

    #[test]
    fn a_packet_comes_once() {
        let mut sent = after(4);
        assert_eq!(results(&mut sent, 1, &[true, false]), [(1, Some(250)), (2, None)]);
        assert_eq!(results(&mut sent, 1, &[true, false]), []);
        assert_eq!(results(&mut sent, 1, &[false, true, true]), [(2, Some(250)), (3, Some(500))]);
        assert_eq!(results(&mut sent, 2, &[false, false, false]), [(4, None)]);
    }

    #[test]
    fn what_was_never_sent_or_is_forgotten_has_no_result() {
        let mut sent = after(10);
        assert_eq!(results(&mut sent, 11, &[false; 100]), []);
        assert_eq!(results(&mut sent, 40_000, &[true; 100]), []);
        // Same slot, another number.
        assert_eq!(results(&mut sent, 1 + 2_048, &[true; 5]), []);
        sent = after(SENT_PACKETS_MAX + 5);
        assert_eq!(results(&mut sent, 1, &[true; 7]), [(6, Some(1_500)), (7, Some(1_750))]);
        sent.note_resent(1);
    }

    #[test]
    fn a_lying_feedback_has_no_results() {
        let mut sent = after(10);
        let mut wire = Vec::new();
        let mut lie = feedback(1, &[true, true], &mut wire);
        lie.chunks_and_deltas = &lie.chunks_and_deltas[..3];
        assert_eq!(sent.resolve(&lie, |_| panic!("a result")), Err(RtcpError::TransportCcStatus));
        assert_eq!(results(&mut sent, 1, &[true]).len(), 1);
    }
}
