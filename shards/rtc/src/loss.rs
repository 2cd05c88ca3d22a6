//! Sequence number statistics of a received stream (RFC 3550 A.1, A.3).
//!
//! A.1 also asks for two packets in sequence before a source is believed; as in the original, the
//! first packet is believed at once: the SSRC is already known from signalling.

/// Numbers this far ahead of the highest are a gap; beyond, a restart of the sender is suspected.
pub const DROPOUT_MAX: u16 = 3_000;

/// Numbers this far behind the highest are late packets; beyond, a restart is suspected.
pub const MISORDER_MAX: u16 = 1_500;

const CYCLE: u64 = 1 << 16;

/// What a sequence number turned out to be. `extended` never falls below an earlier stream's
/// numbers, not even after a restart, and its low 16 bits are the packet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// In order, after a gap, late or repeated.
    Ok { extended: u64 },
    /// The sender began elsewhere: whatever is known of earlier numbers is void.
    Restarted { extended: u64 },
    /// Too far from the rest. If the next one follows it, the sender has restarted.
    Discarded,
}

/// The loss fields of a report block (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LossReport {
    /// Of 256, since the last report.
    pub fraction_lost: u8,
    /// Packets, over the whole stream; fits the wire's signed 24 bits.
    pub cumulative_lost: i32,
    /// Cycles in the high 16 bits.
    pub highest_sequence: u32,
}

/// Largest cumulative loss a report block can carry.
const CUMULATIVE_LOST_MAX: i64 = 0x7f_ffff;

#[derive(Debug, Clone, Copy)]
struct Numbers {
    /// First number since the last restart.
    base: u64,
    highest: u64,
    /// What the next packet must carry to prove a restart.
    bad_next: Option<u16>,
    /// Cycles that exist only to keep restarted streams' numbers apart, unknown to the sender.
    hidden: u64,
}

/// Counters of one received stream, fed by every packet of it.
#[derive(Debug, Clone, Default)]
pub struct SequenceStats {
    numbers: Option<Numbers>,
    /// Packets expected before the last restart.
    expected_before: u64,
    received: u64,
    discarded: u64,
    expected_prior: u64,
    received_prior: u64,
    lost_prior: i64,
    reported_lost: i64,
    fraction_lost: u8,
}

impl SequenceStats {
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges a packet's sequence number and counts the packet as received.
    pub fn receive(&mut self, seq: u16) -> Sequence {
        let sequence = self.judge(seq);
        if sequence != Sequence::Discarded {
            self.received += 1;
        }
        sequence
    }

    /// Judges the number of a packet that RTX brought: lost it was, so it counts not as received. Repairs come late and in
    /// rows, so two of them in order prove nothing: they never restart the stream.
    pub fn receive_recovered(&mut self, seq: u16) -> Sequence {
        let Some(numbers) = &self.numbers else { return self.judge(seq) };
        let ahead = seq.wrapping_sub(numbers.highest_wire());
        if ahead < DROPOUT_MAX || ahead.wrapping_neg() < MISORDER_MAX {
            return self.judge(seq);
        }
        self.discarded += 1;
        Sequence::Discarded
    }

    /// Packets the sender has sent, as far as their numbers tell.
    pub fn expected(&self) -> u64 {
        let current = self.numbers.map_or(0, |numbers| numbers.highest - numbers.base + 1);
        self.expected_before + current
    }

    /// Packets counted by `receive`, repeated ones included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets missing; never negative, though repeated packets may hide losses.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// Packets refused for their number.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Of 256, as last reported (RFC 3550 A.3), worst remote loss not considered.
    pub fn fraction_lost(&self) -> u8 {
        self.fraction_lost
    }

    /// Highest extended number seen.
    pub fn highest(&self) -> Option<u64> {
        self.numbers.map(|numbers| numbers.highest)
    }

    /// Closes an interval and tells its loss.
    ///
    /// `worst_remote_fraction_lost`, of 256, is the loss of the consumer who receives worst: a
    /// sender with in-band FEC is told of it instead when worse, so that it protects enough. Zero
    /// otherwise.
    pub fn report(&mut self, worst_remote_fraction_lost: u8) -> LossReport {
        let expected = self.expected() - self.expected_prior;
        let received = self.received - self.received_prior;
        let lost = i64::try_from(self.lost()).unwrap_or(i64::MAX);
        let newly_lost = lost - self.lost_prior;
        self.expected_prior += expected;
        self.received_prior += received;
        self.lost_prior = lost;
        self.fraction_lost = fraction(expected.saturating_sub(received), expected);
        let fraction_lost = if worst_remote_fraction_lost <= self.fraction_lost {
            self.reported_lost += newly_lost;
            self.fraction_lost
        } else {
            let claimed = u64::from(worst_remote_fraction_lost) * expected / 256;
            self.reported_lost += i64::try_from(claimed).unwrap_or(i64::MAX);
            worst_remote_fraction_lost
        };
        self.reported_lost = self.reported_lost.clamp(0, CUMULATIVE_LOST_MAX);
        LossReport {
            fraction_lost,
            cumulative_lost: i32::try_from(self.reported_lost).unwrap_or(i32::MAX),
            highest_sequence: self.numbers.map_or(0, Numbers::on_the_wire),
        }
    }

    fn judge(&mut self, seq: u16) -> Sequence {
        let Some(numbers) = &mut self.numbers else {
            let numbers = Numbers::starting_at(seq);
            self.numbers = Some(numbers);
            return Sequence::Ok { extended: numbers.highest };
        };
        let ahead = seq.wrapping_sub(numbers.highest_wire());
        if ahead < DROPOUT_MAX {
            numbers.highest += u64::from(ahead);
            return Sequence::Ok { extended: numbers.highest };
        }
        let behind = ahead.wrapping_neg();
        if behind < MISORDER_MAX {
            return Sequence::Ok { extended: numbers.highest - u64::from(behind) };
        }
        if numbers.bad_next != Some(seq) {
            numbers.bad_next = Some(seq.wrapping_add(1));
            self.discarded += 1;
            return Sequence::Discarded;
        }
        self.expected_before += numbers.highest - numbers.base + 1;
        numbers.restart_at(seq);
        Sequence::Restarted { extended: numbers.highest }
    }
}

impl Numbers {
    /// One cycle up, so that packets from before the first have a number too.
    fn starting_at(seq: u16) -> Self {
        let first = CYCLE + u64::from(seq);
        Self { base: first, highest: first, bad_next: None, hidden: CYCLE }
    }

    /// Two cycles up, so that late packets of the new numbers stay above all old ones.
    fn restart_at(&mut self, seq: u16) {
        let cycles = self.highest & !(CYCLE - 1);
        self.hidden += 2 * CYCLE;
        self.highest = cycles + 2 * CYCLE + u64::from(seq);
        self.base = self.highest;
        self.bad_next = None;
    }

    #[allow(clippy::cast_possible_truncation, reason = "the low 16 bits are the packet's number")]
    fn highest_wire(self) -> u16 {
        self.highest as u16
    }

    #[allow(clippy::cast_possible_truncation, reason = "RFC 3550 §6.4.1: cycles modulo 2^16")]
    fn on_the_wire(self) -> u32 {
        (self.highest - self.hidden) as u32
    }
}

/// RFC 3550 A.3; rounded, and 255 where all was lost, for 256 does not fit.
fn fraction(lost: u64, expected: u64) -> u8 {
    if expected == 0 {
        return 0;
    }
    let of_256 = (lost * 256 + expected / 2) / expected;
    u8::try_from(of_256).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extended(sequence: Sequence) -> u64 {
        match sequence {
            Sequence::Ok { extended } | Sequence::Restarted { extended } => extended,
            Sequence::Discarded => panic!("discarded"),
        }
    }

    fn receive_all(stats: &mut SequenceStats, seqs: impl Iterator<Item = u16>) {
        for seq in seqs {
            stats.receive(seq);
        }
    }

    #[test]
    fn old_repairs_in_a_row_do_not_restart_the_stream() {
        let mut stats = SequenceStats::new();
        stats.receive(10_000);
        for seq in 5_000..5_010 {
            assert_eq!(stats.receive_recovered(seq), Sequence::Discarded);
        }
        assert!(matches!(stats.receive(10_001), Sequence::Ok { .. }));
    }

    #[test]
    fn numbers_extend_across_the_wrap() {
        let mut stats = SequenceStats::new();
        let first = extended(stats.receive(65_534));
        assert_eq!(extended(stats.receive(65_535)), first + 1);
        assert_eq!(extended(stats.receive(1)), first + 3);
        assert_eq!(extended(stats.receive(0)), first + 2);
        assert_eq!(extended(stats.receive(65_535)), first + 1, "repeated");
        assert_eq!(stats.report(0).highest_sequence, 0x0001_0001);
    }

    #[test]
    fn packets_before_the_first_are_late_not_wrapped() {
        let mut stats = SequenceStats::new();
        let first = extended(stats.receive(3));
        assert_eq!(extended(stats.receive(65_000)), first - 539);
        assert_eq!(stats.highest(), Some(first));
    }

    #[test]
    fn the_edges_of_gap_and_misorder() {
        let judge = |seq: u16| {
            let mut stats = SequenceStats::new();
            stats.receive(10_000);
            stats.receive(seq)
        };
        assert_ne!(judge(12_999), Sequence::Discarded);
        assert_eq!(judge(13_000), Sequence::Discarded);
        assert_ne!(judge(8_501), Sequence::Discarded);
        assert_eq!(judge(8_500), Sequence::Discarded);
    }

    #[test]
    fn two_bad_numbers_in_sequence_restart() {
        let mut stats = SequenceStats::new();
        let before = extended(stats.receive(100));
        assert_eq!(stats.receive(40_000), Sequence::Discarded);
        assert_eq!(stats.receive(50_000), Sequence::Discarded);
        let Sequence::Restarted { extended: after } = stats.receive(50_001) else {
            panic!("not a restart");
        };
        assert!(after > before);
        assert_eq!(stats.discarded(), 2);
        assert_eq!((stats.expected(), stats.received(), stats.lost()), (2, 2, 0));
        assert_eq!(stats.report(0).highest_sequence, 50_001);
        assert!(extended(stats.receive(49_000)) > before, "late packets stay apart too");
    }

    #[test]
    fn reports_cover_intervals() {
        let mut stats = SequenceStats::new();
        receive_all(&mut stats, (0..100).filter(|seq| seq % 4 != 1));
        let report = stats.report(0);
        assert_eq!((report.fraction_lost, report.cumulative_lost), (64, 25));
        receive_all(&mut stats, 100..200);
        let report = stats.report(0);
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 25));
        assert_eq!(stats.report(0).fraction_lost, 0, "nothing expected");
        stats.receive(201);
        assert_eq!(stats.report(0).fraction_lost, 128);
    }

    #[test]
    fn late_packets_take_losses_back() {
        let mut stats = SequenceStats::new();
        stats.receive(0);
        stats.receive(3);
        assert_eq!(stats.report(0).cumulative_lost, 2);
        stats.receive(1);
        stats.receive(2);
        assert_eq!(stats.report(0).cumulative_lost, 0);
    }

    #[test]
    fn recovered_packets_stay_lost() {
        let mut stats = SequenceStats::new();
        stats.receive(0);
        stats.receive(2);
        stats.receive_recovered(1);
        assert_eq!(stats.lost(), 1);
    }

    #[test]
    fn the_worst_remote_loss_is_told_when_worse() {
        let mut stats = SequenceStats::new();
        receive_all(&mut stats, 0..100);
        let report = stats.report(128);
        assert_eq!((report.fraction_lost, report.cumulative_lost), (128, 50));
        assert_eq!(stats.fraction_lost(), 0);
    }

    #[test]
    fn before_the_first_packet() {
        let mut stats = SequenceStats::new();
        assert_eq!(stats.report(0), LossReport::default());
        assert_eq!((stats.expected(), stats.lost(), stats.highest()), (0, 0, None));
    }

    proptest! {
        #[test]
        fn accepted_numbers_keep_their_low_bits(seqs in proptest::collection::vec(any::<u16>(), 1..300)) {
            let mut stats = SequenceStats::new();
            let mut restarted_above = 0;
            for seq in seqs {
                let highest = stats.highest().unwrap_or(0);
                match stats.receive(seq) {
                    Sequence::Discarded => continue,
                    Sequence::Restarted { extended } => {
                        prop_assert!(extended > highest + u64::from(MISORDER_MAX));
                        restarted_above = highest;
                        prop_assert_eq!(extended & 0xffff, u64::from(seq));
                    }
                    Sequence::Ok { extended } => {
                        prop_assert!(extended > restarted_above);
                        prop_assert_eq!(extended & 0xffff, u64::from(seq));
                    }
                }
                prop_assert!(stats.expected() >= stats.lost());
            }
        }

        #[test]
        fn losses_add_up(
            start in any::<u16>(),
            kept in proptest::collection::vec(any::<bool>(), 1..2_000),
        ) {
            let mut stats = SequenceStats::new();
            stats.receive(start);
            let mut seq = start;
            let mut cumulative = 0;
            for (index, kept) in kept.iter().enumerate() {
                seq = seq.wrapping_add(1);
                if *kept { stats.receive(seq); }
                if index % 100 == 0 { cumulative = stats.report(0).cumulative_lost; }
            }
            let last = kept.iter().rposition(|kept| *kept).map_or(0, |index| index + 1);
            let lost = kept[..last].iter().filter(|kept| !**kept).count();
            prop_assert_eq!(stats.lost(), lost as u64);
            prop_assert!(cumulative <= i32::try_from(lost).unwrap());
            prop_assert_eq!(stats.report(0).cumulative_lost, i32::try_from(lost).unwrap());
        }
    }
}
