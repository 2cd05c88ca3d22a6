//! The RTCP a sender and a receiver of plain RTP exchange: SR, RR, SDES out; PLI, FIR, NACK, SR in.
//! (RFC 3550 6, RFC 4585 6, RFC 5104 4.3.1.)

const VERSION_2: u8 = 0x80;
const COUNT_MASK: u8 = 0x1F;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const GENERIC_NACK: u8 = 1;
const PICTURE_LOSS: u8 = 1;
const FULL_INTRA_REQUEST: u8 = 4;
const CNAME_ITEM: u8 = 1;
const WORD: usize = 4;
const REPORT_BLOCK_BYTES: usize = 24;

/// Seconds between the NTP epoch (1900) and the Unix one.
const NTP_EPOCH_OFFSET_S: u64 = 2_208_988_800;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Something a peer asked for or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feedback {
    /// PLI or FIR: the decoder of `ssrc` needs a key frame.
    KeyFrame { ssrc: u32 },
    /// One generic NACK item.
    Nack { ssrc: u32, sequence: u16, following: u16 },
    /// The middle 32 bits of a sender report's NTP time, to be echoed as LSR.
    SenderReport { ssrc: u32, middle_ntp: u32 },
}

/// Calls `visit` with everything of interest in a compound packet; stops at the first malformed one.
pub(crate) fn visit(mut compound: &[u8], mut visit: impl FnMut(Feedback)) {
    while let Some(header) = compound.get(..WORD) {
        let length = (usize::from(u16::from_be_bytes([header[2], header[3]])) + 1) * WORD;
        let Some((packet, rest)) = compound.split_at_checked(length) else {
            return;
        };
        if header[0] & 0xC0 != VERSION_2 {
            return;
        }
        match (header[1], header[0] & COUNT_MASK) {
            (SENDER_REPORT, _) => {
                if let (Some(ssrc), Some(middle_ntp)) = (read_u32(packet, 4), read_u32(packet, 10)) {
                    visit(Feedback::SenderReport { ssrc, middle_ntp });
                }
            }
            (PAYLOAD_FEEDBACK, PICTURE_LOSS) => {
                if let Some(ssrc) = read_u32(packet, 8) {
                    visit(Feedback::KeyFrame { ssrc });
                }
            }
            (PAYLOAD_FEEDBACK, FULL_INTRA_REQUEST) => {
                for item in packet.get(12..).unwrap_or_default().chunks_exact(8) {
                    if let Some(ssrc) = read_u32(item, 0) {
                        visit(Feedback::KeyFrame { ssrc });
                    }
                }
            }
            (TRANSPORT_FEEDBACK, GENERIC_NACK) => {
                let Some(ssrc) = read_u32(packet, 8) else { return };
                for item in packet.get(12..).unwrap_or_default().chunks_exact(WORD) {
                    let sequence = u16::from_be_bytes([item[0], item[1]]);
                    let following = u16::from_be_bytes([item[2], item[3]]);
                    visit(Feedback::Nack { ssrc, sequence, following });
                }
            }
            _ => {}
        }
        compound = rest;
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// NTP time of a CLOCK_REALTIME reading: seconds in the upper, fractions in the lower half.
pub(crate) fn ntp_time(realtime_ns: u64) -> u64 {
    let seconds = realtime_ns / NANOS_PER_SECOND + NTP_EPOCH_OFFSET_S;
    let fraction = ((realtime_ns % NANOS_PER_SECOND) << 32) / NANOS_PER_SECOND;
    (seconds << 32) | fraction
}

/// What a sender tells of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderReport {
    pub(crate) ssrc: u32,
    pub(crate) ntp: u64,
    pub(crate) rtp_timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

/// SR and SDES with a CNAME, the compound RFC 3550 6.1 asks of a sender.
pub(crate) fn write_sender_report(report: &SenderReport, cname: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION_2, SENDER_REPORT, 0, 6]);
    out.extend_from_slice(&report.ssrc.to_be_bytes());
    out.extend_from_slice(&report.ntp.to_be_bytes());
    out.extend_from_slice(&report.rtp_timestamp.to_be_bytes());
    out.extend_from_slice(&report.packets.to_be_bytes());
    out.extend_from_slice(&report.octets.to_be_bytes());
    write_cname(report.ssrc, cname, out);
}

fn write_cname(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    // One chunk: ssrc, item type, length, text, and at least one zero byte up to the word boundary.
    let chunk = (WORD + 2 + cname.len() + 1).next_multiple_of(WORD);
    let words = u16::try_from(chunk / WORD).unwrap_or(0);
    out.extend_from_slice(&[VERSION_2 | 1, SOURCE_DESCRIPTION]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[CNAME_ITEM, u8::try_from(cname.len()).unwrap_or(0)]);
    out.extend_from_slice(cname);
    out.resize(out.len() + chunk - WORD - 2 - cname.len(), 0);
}

/// One report block of a receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReportBlock {
    pub(crate) ssrc: u32,
    /// Loss since the last report in 1/256.
    pub(crate) fraction_lost: u8,
    /// Loss since the start; the low 24 bits are sent.
    pub(crate) cumulative_lost: u32,
    pub(crate) highest_sequence: u32,
    pub(crate) last_sender_report: u32,
    /// Delay since that report in 1/65536 s.
    pub(crate) delay_since: u32,
}

/// Most items one NACK holds here; together with an SRTCP trailer they fit any datagram.
const NACK_ITEMS_MAX: usize = 250;

/// A generic NACK of packets in ascending order (RFC 4585 6.2.1); those beyond [`NACK_ITEMS_MAX`] items are left out.
pub(crate) fn write_nack(reporter: u32, ssrc: u32, sequences: &[u16], out: &mut Vec<u8>) {
    let mut items: Vec<(u16, u16)> = Vec::new();
    for sequence in sequences {
        let last = items.last_mut();
        let bit = last.as_ref().map(|(first, _)| sequence.wrapping_sub(*first).wrapping_sub(1));
        match (last, bit) {
            (Some((_, following)), Some(bit @ 0..16)) => *following |= 1 << bit,
            _ => items.push((*sequence, 0)),
        }
    }
    items.truncate(NACK_ITEMS_MAX);
    let words = u16::try_from(2 + items.len()).unwrap_or(2);
    out.extend_from_slice(&[VERSION_2 | GENERIC_NACK, TRANSPORT_FEEDBACK]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&reporter.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    for (first, following) in items {
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&following.to_be_bytes());
    }
}

/// Most blocks one RR holds: the count field has five bits.
pub(crate) const REPORT_BLOCKS_MAX: usize = 31;

/// An RR with the first [`REPORT_BLOCKS_MAX`] of `blocks`.
pub(crate) fn write_receiver_report(reporter: u32, blocks: &[ReportBlock], out: &mut Vec<u8>) {
    let blocks = &blocks[..blocks.len().min(REPORT_BLOCKS_MAX)];
    let words = u16::try_from(1 + blocks.len() * REPORT_BLOCK_BYTES / WORD).unwrap_or(1);
    let count = u8::try_from(blocks.len()).unwrap_or(0);
    out.extend_from_slice(&[VERSION_2 | count, RECEIVER_REPORT]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&reporter.to_be_bytes());
    for block in blocks {
        out.extend_from_slice(&block.ssrc.to_be_bytes());
        let lost = u32::from(block.fraction_lost) << 24 | (block.cumulative_lost & 0x00FF_FFFF);
        out.extend_from_slice(&lost.to_be_bytes());
        out.extend_from_slice(&block.highest_sequence.to_be_bytes());
        out.extend_from_slice(&0_u32.to_be_bytes());
        out.extend_from_slice(&block.last_sender_report.to_be_bytes());
        out.extend_from_slice(&block.delay_since.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(compound: &[u8]) -> Vec<Feedback> {
        let mut all = Vec::new();
        visit(compound, |feedback| all.push(feedback));
        all
    }

    #[test]
    fn a_sender_report_reads_back_and_ends_on_a_word() {
        for cname in ["", "a", "abc", "ringsoup"] {
            let mut packet = Vec::new();
            let ntp = ntp_time(1_500_000_000);
            write_sender_report(
                &SenderReport { ssrc: 5, ntp, rtp_timestamp: 1, packets: 2, octets: 3 },
                cname,
                &mut packet,
            );
            assert_eq!(packet.len() % WORD, 0);
            let description = &packet[28..];
            let words = usize::from(u16::from_be_bytes([description[2], description[3]]));
            assert_eq!(description.len(), (words + 1) * WORD);
            assert_eq!(
                collect(&packet),
                [Feedback::SenderReport {
                    ssrc: 5,
                    middle_ntp: u32::try_from((ntp >> 16) & 0xFFFF_FFFF).unwrap()
                }]
            );
        }
        assert_eq!(ntp_time(1_500_000_000) >> 32, NTP_EPOCH_OFFSET_S + 1);
        assert_eq!(ntp_time(500_000_000) & 0xFFFF_FFFF, 1 << 31);
    }

    #[test]
    fn feedback_is_found_in_a_compound() {
        let mut compound = Vec::new();
        write_receiver_report(1, &[ReportBlock { ssrc: 2, ..ReportBlock::default() }], &mut compound);
        compound.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9]);
        compound.extend_from_slice(&[0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 9, 0x12, 0x34, 0x00, 0x03]);
        compound.extend_from_slice(&[0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
        assert_eq!(
            collect(&compound),
            [
                Feedback::KeyFrame { ssrc: 9 },
                Feedback::Nack { ssrc: 9, sequence: 0x1234, following: 3 },
                Feedback::KeyFrame { ssrc: 8 },
            ]
        );
    }

    #[test]
    fn a_nack_reads_back() {
        let mut packet = Vec::new();
        write_nack(1, 9, &[65_535, 0, 15, 16], &mut packet);
        assert_eq!(
            collect(&packet),
            [
                Feedback::Nack { ssrc: 9, sequence: 65_535, following: 0x8001 },
                Feedback::Nack { ssrc: 9, sequence: 16, following: 0 },
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe_to_visit(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            visit(&bytes, |_| ());
        }
    }
}
