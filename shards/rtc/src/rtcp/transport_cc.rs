//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01
//! §3.1), as far as its fixed part; status chunks and deltas belong to bandwidth estimation.

use super::compound::RtcpError;
use super::feedback::Feedback;

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
}

#[cfg(test)]
mod tests {
    use crate::rtcp::{Compound, RtcpPacket};

    #[test]
    fn fixed_part() {
        let mut wire = vec![0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2];
        wire.extend([0, 9, 0, 1, 0xff, 0xff, 0xff, 3, 0x20, 1, 4, 0]);
        let packet = Compound::new(&wire).next().unwrap().unwrap();
        let RtcpPacket::TransportCc(feedback) = packet else { panic!("{packet:?}") };
        assert_eq!((feedback.base_sequence_number, feedback.packet_status_count), (9, 1));
        assert_eq!((feedback.reference_time, feedback.feedback_packet_count), (-1, 3));
        assert_eq!(feedback.chunks_and_deltas, [0x20, 1, 4, 0]);
    }
}
