//! Quality of a stream from 0 (nothing arrives) to 10 (all arrives), as controllers show it.
//!
//! Each report interval yields a sample, `10 · delivered⁴`, where packets repaired by few
//! retransmissions count as delivered in part. The score is the mean of the last samples, the
//! newest weighing most:
//!
//! ```text
//! samples  9 10  4 6      (9·1 + 10·2 + 4·3 + 6·4) / (1+2+3+4) = 6.5 → 7
//! weights  1  2  3 4
//! ```

/// Score of a stream nothing is held against.
pub const SCORE_MAX: u8 = 10;

/// Samples remembered.
const SAMPLES_MAX: usize = 24;

/// A score that has changed; the controller is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreChange {
    pub score: u8,
    pub previous: u8,
}

/// A received stream's counters since its beginning; the score works out the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceivedTotals {
    pub expected: u64,
    /// Without packets brought by RTX.
    pub received: u64,
    pub repaired: u64,
    pub retransmitted: u64,
}

/// A sent stream's counters since its beginning, loss as the receiver reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SentTotals {
    pub sent: u64,
    /// Cumulative loss of the report block; below zero when packets were duplicated.
    pub lost: i32,
    pub repaired: u64,
    pub retransmitted: u64,
}

/// Score of one stream, received or sent.
#[derive(Debug, Clone)]
pub struct Score {
    /// Oldest first, `sample_count` of them.
    samples: [u8; SAMPLES_MAX],
    sample_count: usize,
    score: u8,
    is_inactive: bool,
    received_prior: ReceivedTotals,
    sent_prior: SentTotals,
}

impl Default for Score {
    fn default() -> Self {
        Self::new()
    }
}

impl Score {
    /// Begins at the best: a stream is good until reports say otherwise.
    pub fn new() -> Self {
        Self {
            samples: [0; SAMPLES_MAX],
            sample_count: 0,
            score: SCORE_MAX,
            is_inactive: false,
            received_prior: ReceivedTotals::default(),
            sent_prior: SentTotals::default(),
        }
    }

    /// 0 to `SCORE_MAX`.
    pub fn value(&self) -> u8 {
        self.score
    }

    /// Ends an interval of a received stream; call it at each sender report. `has_rtx` tells
    /// whether repairs come in a stream of their own, without which they count as received too.
    pub fn update_received(&mut self, totals: ReceivedTotals, has_rtx: bool) -> Option<ScoreChange> {
        let prior = std::mem::replace(&mut self.received_prior, totals);
        if self.is_inactive {
            return None;
        }
        let expected = totals.expected.saturating_sub(prior.expected);
        let received = totals.received.saturating_sub(prior.received);
        let repaired = totals.repaired.saturating_sub(prior.repaired);
        let retransmitted = totals.retransmitted.saturating_sub(prior.retransmitted);
        if expected == 0 {
            return self.add(SCORE_MAX);
        }
        let lost = expected.saturating_sub(received).min(received);
        let (lost, repaired) =
            if has_rtx { (lost, repaired.min(lost)) } else { (lost.max(repaired), repaired) };
        self.add(sample(received, lost, repaired, retransmitted))
    }

    /// Ends an interval of a sent stream; call it at each receiver report.
    pub fn update_sent(&mut self, totals: SentTotals) -> Option<ScoreChange> {
        let totals = SentTotals { lost: totals.lost.max(0), ..totals };
        let prior = std::mem::replace(&mut self.sent_prior, totals);
        let sent = totals.sent.saturating_sub(prior.sent);
        if sent == 0 {
            return self.add(SCORE_MAX);
        }
        let lost = u64::try_from(totals.lost - prior.lost).unwrap_or(0).min(sent);
        let repaired = totals.repaired.saturating_sub(prior.repaired).min(lost);
        let retransmitted = totals.retransmitted.saturating_sub(prior.retransmitted);
        self.add(sample(sent, lost, repaired, retransmitted))
    }

    /// The stream has stopped: score zero, and reports do not change it.
    pub fn set_inactive(&mut self) -> Option<ScoreChange> {
        self.is_inactive = true;
        self.reset(0)
    }

    /// A packet has come. If the stream had stopped it starts over, at the best.
    pub fn set_active(&mut self) -> Option<ScoreChange> {
        if !std::mem::take(&mut self.is_inactive) {
            return None;
        }
        self.reset(SCORE_MAX)
    }

    pub fn is_inactive(&self) -> bool {
        self.is_inactive
    }

    /// Forgets all samples and stands at `score`, limited to `SCORE_MAX`.
    pub fn reset(&mut self, score: u8) -> Option<ScoreChange> {
        self.sample_count = 0;
        self.set(score.min(SCORE_MAX))
    }

    fn add(&mut self, sample: u8) -> Option<ScoreChange> {
        if self.sample_count == SAMPLES_MAX {
            self.samples.rotate_left(1);
            self.sample_count -= 1;
        }
        if let Some(slot) = self.samples.get_mut(self.sample_count) {
            *slot = sample;
            self.sample_count += 1;
        }
        let mut weights = 0;
        let mut sum = 0;
        for (weight, sample) in (1u32..).zip(self.samples.iter().take(self.sample_count)) {
            weights += weight;
            sum += weight * u32::from(*sample);
        }
        let mean = (sum + weights / 2) / weights;
        self.set(u8::try_from(mean).unwrap_or(SCORE_MAX))
    }

    fn set(&mut self, score: u8) -> Option<ScoreChange> {
        let previous = std::mem::replace(&mut self.score, score);
        (previous != score).then_some(ScoreChange { score, previous })
    }
}

/// Sample of an interval in which `delivered` packets were received, or sent, and `lost` missing.
#[allow(clippy::cast_precision_loss, reason = "packets of one report interval")]
#[allow(clippy::cast_possible_truncation, reason = "the ratio is within 0 and 1")]
#[allow(clippy::cast_sign_loss, reason = "the ratio is within 0 and 1")]
fn sample(delivered: u64, lost: u64, repaired: u64, retransmitted: u64) -> u8 {
    if delivered == 0 {
        return 0;
    }
    let total = delivered as f64;
    // A repair counts the less the more of them there are, and the more copies each one took.
    let mut weight = (1.0 + repaired as f64 / total).powi(-4);
    if retransmitted > 0 {
        weight *= (repaired as f64 / retransmitted as f64).min(1.0);
    }
    let lost = (lost as f64 - repaired as f64 * weight).max(0.0).floor();
    let ratio = ((total - lost) / total).clamp(0.0, 1.0);
    (ratio.powi(4) * f64::from(SCORE_MAX)).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn received(expected: u64, received: u64, repaired: u64, retransmitted: u64) -> ReceivedTotals {
        ReceivedTotals { expected, received, repaired, retransmitted }
    }

    #[test]
    fn samples_follow_the_fourth_power() {
        assert_eq!(sample(100, 0, 0, 0), 10);
        assert_eq!(sample(100, 10, 0, 0), 7, "0.9⁴ = 0.656");
        assert_eq!(sample(100, 50, 0, 0), 1);
        assert_eq!(sample(100, 100, 0, 0), 0);
        assert_eq!(sample(0, 0, 0, 0), 0);
    }

    #[test]
    fn repairs_soften_losses_by_what_they_cost() {
        // 10 lost, all repaired at once: weight (1/1.1)⁴ = 0.683, 3 remain: 0.97⁴ = 0.885.
        assert_eq!(sample(100, 10, 10, 10), 9);
        // Four copies for each: weight 0.171, 8 remain: 0.92⁴ = 0.716.
        assert_eq!(sample(100, 10, 10, 40), 7);
    }

    #[test]
    fn the_newest_sample_weighs_most() {
        let mut score = Score::new();
        assert_eq!(score.add(9), Some(ScoreChange { score: 9, previous: 10 }));
        assert_eq!(score.add(10), Some(ScoreChange { score: 10, previous: 9 }));
        assert_eq!(score.add(4), Some(ScoreChange { score: 7, previous: 10 }), "41 / 6");
        assert_eq!(score.add(6), None, "65 / 10, a half goes up");
        assert_eq!(score.value(), 7);
    }

    #[test]
    fn old_samples_are_forgotten() {
        let mut score = Score::new();
        score.add(0);
        for _ in 0..SAMPLES_MAX {
            score.add(10);
        }
        assert!(score.samples.iter().all(|sample| *sample == 10));
        assert_eq!(score.value(), 10);
    }

    #[test]
    fn received_streams() {
        let mut score = Score::new();
        assert_eq!(score.update_received(received(100, 100, 0, 0), true), None);
        assert_eq!(score.update_received(received(100, 100, 0, 0), true), None, "nothing expected");
        let change = score.update_received(received(200, 100, 0, 0), true).unwrap();
        assert_eq!(change.score, 5, "(10 + 20 + 0) / 6");
        let mut score = Score::new();
        let change = score.update_received(received(100, 50, 0, 0), true).unwrap();
        assert_eq!(change.score, 0, "as many lost as received");
        let mut score = Score::new();
        let change = score.update_received(received(100, 90, 20, 20), true).unwrap();
        assert_eq!(change.score, 8, "ten lost at most are repaired, at two copies each: 6 remain of 90");
        let change = score.update_received(received(200, 190, 60, 60), false).unwrap();
        assert_eq!(change.score, 5, "without RTX the 40 repaired are the losses: (8 + 2 · 3) / 3");
    }

    #[test]
    fn sent_streams() {
        let sent = |sent, lost| SentTotals { sent, lost, ..SentTotals::default() };
        let mut score = Score::new();
        assert_eq!(score.update_sent(sent(0, 0)), None);
        assert_eq!(score.update_sent(sent(100, -5)), None, "duplicates are no loss");
        assert_eq!(
            score.update_sent(sent(200, 10)).unwrap().score,
            9,
            "(10 + 20 + 3 · 7) / 6, a half goes up"
        );
    }

    #[test]
    fn inactive_streams_ignore_reports() {
        let mut score = Score::new();
        assert_eq!(score.set_active(), None);
        assert_eq!(score.set_inactive(), Some(ScoreChange { score: 0, previous: 10 }));
        assert_eq!(score.set_inactive(), None);
        assert_eq!(score.update_received(received(100, 100, 0, 0), true), None);
        assert_eq!(score.set_active(), Some(ScoreChange { score: 10, previous: 0 }));
        assert_eq!(score.update_received(received(100, 100, 0, 0), true), None, "counted while inactive");
    }

    proptest! {
        #[test]
        fn always_within_the_scale(
            totals in proptest::collection::vec(any::<([u32; 4], i32, bool)>(), 1..60),
        ) {
            let mut score = Score::new();
            for ([first, second, repaired, retransmitted], lost, has_rtx) in totals {
                let (repaired, retransmitted) = (u64::from(repaired), u64::from(retransmitted));
                let previous = score.value();
                let change = score.update_received(
                    received(u64::from(first), u64::from(second), repaired, retransmitted),
                    has_rtx,
                );
                prop_assert_eq!(change.is_some(), score.value() != previous);
                score.update_sent(SentTotals { sent: u64::from(first), lost, repaired, retransmitted });
                prop_assert!(score.value() <= SCORE_MAX);
            }
        }

        #[test]
        fn more_loss_never_scores_higher(delivered in 1u64..5_000, lost in 0u64..5_000) {
            prop_assert!(sample(delivered, lost + 1, 0, 0) <= sample(delivered, lost, 0, 0));
        }
    }
}
