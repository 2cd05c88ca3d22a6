//! Receiver reports: what each subscriber tells the worker about its consumers (RFC 3550 6.4.2).

use super::account::{Account, Consumer};
use crate::rtcp::{REPORT_BLOCKS_MAX, ReportBlock, write_receiver_report};

/// Our own SSRC in the reports; a receiver that sends no media may pick any.
pub(super) const REPORTER_SSRC: u32 = 0x4C54_5252;
/// Loss is told in 1/256.
const FRACTION: u64 = 256;
/// Delays are told in 1/65536 s.
const DELAY_UNITS_PER_SECOND: u128 = 65_536;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

impl Account {
    /// The reports of one subscriber, as many packets as its consumers need.
    pub(super) fn receiver_reports(&mut self, subscriber: usize, now_ns: u64) -> Vec<Vec<u8>> {
        let blocks: Vec<ReportBlock> = self
            .consumers_of(subscriber)
            .filter(|consumer| consumer.sequence.unique > 0)
            .map(|consumer| consumer.report_block(now_ns))
            .collect();
        blocks
            .chunks(REPORT_BLOCKS_MAX)
            .map(|blocks| {
                let mut packet = Vec::new();
                write_receiver_report(REPORTER_SSRC, blocks, &mut packet);
                packet
            })
            .collect()
    }
}

impl Consumer {
    fn report_block(&mut self, now_ns: u64) -> ReportBlock {
        let expected = self.sequence.spanned();
        let missing = expected.saturating_sub(self.sequence.unique);
        let expected_since = expected - self.reported.0;
        let missing_since = missing.saturating_sub(self.reported.1);
        self.reported = (expected, missing);
        let fraction = (missing_since * FRACTION).checked_div(expected_since).unwrap_or(0);
        let (last_sender_report, delay_since) = self.sender_report.map_or((0, 0), |report| {
            let delay_ns = u128::from(now_ns.saturating_sub(report.at_ns));
            let delay = delay_ns * DELAY_UNITS_PER_SECOND / NANOS_PER_SECOND;
            (report.middle_ntp, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: u32::try_from(missing).unwrap_or(u32::MAX),
            highest_sequence: self.sequence.highest_for_report(),
            last_sender_report,
            delay_since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::SenderReportSeen;
    use super::*;
    use crate::payload::Kind;

    #[test]
    fn the_fraction_is_since_the_last_report() {
        let mut consumer = Consumer::new(0, 0, 9, None, Kind::H264);
        for sequence in [1, 2, 3, 8] {
            consumer.sequence.receive(sequence);
        }
        consumer.sender_report = Some(SenderReportSeen { middle_ntp: 0xABCD, at_ns: 0 });
        let block = consumer.report_block(500_000_000);
        assert_eq!((block.fraction_lost, block.cumulative_lost, block.highest_sequence), (128, 4, 8));
        assert_eq!((block.last_sender_report, block.delay_since), (0xABCD, 32_768));
        consumer.sequence.receive(9);
        assert_eq!(consumer.report_block(0).fraction_lost, 0);
    }

    #[test]
    fn only_receiving_consumers_are_reported() {
        let consumers = (0..40).map(|index| Consumer::new(0, 0, index, None, Kind::Opus)).collect();
        let mut account = Account::new(consumers, None);
        assert!(account.receiver_reports(0, 0).is_empty());
        for consumer in account.consumers_of(0) {
            consumer.sequence.receive(1);
        }
        assert_eq!(account.receiver_reports(0, 0).len(), 2);
        assert!(account.receiver_reports(1, 0).is_empty());
    }
}
