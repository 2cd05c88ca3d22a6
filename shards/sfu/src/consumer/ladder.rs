//! What a consumer can be sent for how many bits, step by step.
//!
//! ```text
//! spatial 1              [0] ──► [1]            each [t] costs what its temporal layer brings,
//! spatial 0  ─► [0] ──► [1] ──┘                 the first of a spatial layer less what it replaces
//! ```
//! A ladder is made anew for each distribution of a transport's bits and climbed rung by rung until the bits or the preferred
//! layers are reached.

use crate::consumer::layers::LayerPair;
use crate::rules::TemporalRule;

/// Loss below this is no sign of a full link: a little more may be tried (as in GCC, draft-ietf-rmcat-gcc-02 section 6).
const LOSS_LOW: f64 = 0.02;
/// Loss above this is one.
const LOSS_HIGH: f64 = 0.10;
/// What is tried where there is little loss.
const RAISE: f64 = 1.08;

/// What a layer of a producer brings, by temporal layer, bits per second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRates {
    pub rates: Vec<u64>,
    /// It has been there for long enough to be preferred to one that has.
    pub is_settled: bool,
}

impl LayerRates {
    fn upto(&self, temporal: u8) -> u64 {
        self.rates.iter().take(usize::from(temporal) + 1).sum()
    }

    fn all(&self) -> u64 {
        self.rates.iter().sum()
    }
}

/// The layers of a consumer that has some.
#[derive(Debug)]
pub struct Layered {
    /// From the lowest spatial layer on; `None` for those that are not there.
    pub layers: Vec<Option<LayerRates>>,
    pub preferred: LayerPair,
    pub rule: TemporalRule,
    /// A spatial layer is sent instead of the one below (simulcast, K-SVC), not on top of it.
    pub replaces: bool,
    /// No spatial layer above it is tried while there is one to send: there were not enough bits for it a moment ago.
    pub ceiling: Option<u8>,
    /// Where the climb has come.
    pub reached: Option<LayerPair>,
}

#[derive(Debug)]
pub enum Ladder {
    /// One stream that is sent whole whatever there is: it takes its bits once, so that others are not given them.
    Whole {
        rate: u64,
        is_taken: bool,
    },
    Layered(Layered),
}

impl Ladder {
    pub fn whole(rate: u64) -> Self {
        Self::Whole { rate, is_taken: false }
    }

    /// Takes the next rung if `budget` bits per second suffice; returns how many of them it takes. `loss` is the fraction that
    /// the receiver loses, where that is to be considered.
    pub fn climb(&mut self, budget: u64, loss: Option<f64>) -> u64 {
        match self {
            Self::Whole { is_taken: true, .. } => 0,
            Self::Whole { rate, is_taken } => {
                *is_taken = true;
                budget.min(*rate)
            }
            Self::Layered(layered) => layered.climb(budget, loss),
        }
    }

    /// Bits per second that it would take to send all that the producer brings.
    pub fn desired(&self) -> u64 {
        match self {
            Self::Whole { rate, .. } => *rate,
            Self::Layered(layered) => layered.desired(),
        }
    }
}

impl Layered {
    fn climb(&mut self, budget: u64, loss: Option<f64>) -> u64 {
        if self.reached == Some(self.preferred) {
            return 0;
        }
        let Some((rung, cost)) = self.next_rung() else { return 0 };
        if cost > tried(budget, loss) {
            return 0;
        }
        self.reached = Some(rung);
        cost.min(budget)
    }

    /// The next temporal layer of the spatial layer that is reached, else the first of one above.
    fn next_rung(&self) -> Option<(LayerPair, u64)> {
        let reached = self.reached;
        let mut has_usable = reached.is_some();
        for (spatial, layer) in (0_u8..).zip(&self.layers) {
            let is_reached = reached.is_some_and(|reached| reached.spatial == spatial);
            if reached.is_some() && self.ceiling.is_some_and(|ceiling| spatial > ceiling) {
                return None;
            }
            if reached.is_some_and(|reached| spatial < reached.spatial) {
                continue;
            }
            // Rather above what is preferred than nothing, but not above what can be sent.
            if spatial > self.preferred.spatial && has_usable && !is_reached {
                return None;
            }
            let Some(layer) = layer.as_ref().filter(|layer| is_reached || self.is_eligible(layer)) else {
                continue;
            };
            has_usable = true;
            let temporal = reached.filter(|_| is_reached).map_or(0, |reached| reached.temporal + 1);
            let rate = layer.rates.get(usize::from(temporal)).copied().unwrap_or(0);
            if rate > 0 && temporal <= self.rule.temporal_max(self.preferred, spatial) {
                let replaced = if is_reached { 0 } else { self.replaced() };
                return Some((LayerPair { spatial, temporal }, rate.saturating_sub(replaced).max(1)));
            }
            if spatial >= self.preferred.spatial {
                return None;
            }
        }
        None
    }

    /// A stream that has only just come back does not take the place of one that lasts.
    fn is_eligible(&self, layer: &LayerRates) -> bool {
        let below = self.reached.and_then(|reached| self.layers.get(usize::from(reached.spatial)));
        layer.is_settled || !below.is_some_and(|below| below.as_ref().is_some_and(|below| below.is_settled))
    }

    /// Bits per second that are free again when another spatial layer is sent.
    fn replaced(&self) -> u64 {
        let Some(reached) = self.reached.filter(|_| self.replaces) else { return 0 };
        let layer = self.layers.get(usize::from(reached.spatial)).and_then(Option::as_ref);
        layer.map_or(0, |layer| layer.upto(reached.temporal))
    }

    fn desired(&self) -> u64 {
        let all = self.layers.iter().flatten().map(LayerRates::all);
        // A higher one that begins may bring less than one below it.
        if self.replaces { all.max().unwrap_or(0) } else { all.sum() }
    }
}

/// Bits that may be tried: where an estimate comes from the receiver, what it loses says whether there is room above it.
#[allow(clippy::cast_precision_loss, reason = "an estimate is not exact to the bit")]
#[allow(clippy::cast_possible_truncation, reason = "saturates")]
#[allow(clippy::cast_sign_loss, reason = "never below half of the budget")]
fn tried(budget: u64, loss: Option<f64>) -> u64 {
    let Some(loss) = loss else { return budget };
    if loss < LOSS_LOW {
        (budget as f64 * RAISE) as u64
    } else if loss > LOSS_HIGH {
        (budget as f64 * (1.0 - loss.min(1.0) / 2.0)) as u64
    } else {
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layer(rates: &[u64]) -> Option<LayerRates> {
        Some(LayerRates { rates: rates.to_vec(), is_settled: true })
    }

    fn ladder(layers: &[&[u64]], replaces: bool) -> Layered {
        Layered {
            layers: layers.iter().map(|rates| layer(rates)).collect(),
            preferred: LayerPair { spatial: 2, temporal: 2 },
            rule: TemporalRule::UpToPreferred,
            replaces,
            ceiling: None,
            reached: None,
        }
    }

    /// The rungs that are taken of a budget, with what each took.
    fn climbs(ladder: &mut Layered, budget: u64) -> Vec<(u8, u8, u64)> {
        let mut left = budget;
        let mut taken = Vec::new();
        loop {
            let used = ladder.climb(left, None);
            if used == 0 {
                return taken;
            }
            left -= used;
            let reached = ladder.reached.expect("a rung");
            taken.push((reached.spatial, reached.temporal, used));
        }
    }

    #[test]
    fn a_higher_simulcast_stream_costs_what_it_brings_more() {
        let mut ladder = ladder(&[&[100, 50], &[300, 100], &[1_000, 500]], true);
        assert_eq!(ladder.desired(), 1_500);
        let all = [(0, 0, 100), (0, 1, 50), (1, 0, 150), (1, 1, 100), (2, 0, 600), (2, 1, 500)];
        assert_eq!(climbs(&mut ladder, 10_000), all);
        ladder.reached = None;
        assert_eq!(climbs(&mut ladder, 399), all[..3]);
        ladder.reached = None;
        assert_eq!(climbs(&mut ladder, 99), []);
    }

    #[test]
    fn layers_that_need_each_other_add_up() {
        let mut ladder = ladder(&[&[100, 50], &[300, 100]], false);
        assert_eq!(ladder.desired(), 550);
        assert_eq!(climbs(&mut ladder, 549), [(0, 0, 100), (0, 1, 50), (1, 0, 300)]);
        ladder.reached = None;
        assert_eq!(climbs(&mut ladder, 550).last(), Some(&(1, 1, 100)));
    }

    #[test]
    fn a_higher_layer_that_brings_less_is_still_a_rung() {
        let mut ladder = ladder(&[&[500], &[200], &[400]], true);
        assert_eq!(climbs(&mut ladder, 1_000), [(0, 0, 500), (1, 0, 1), (2, 0, 200)]);
    }

    #[test]
    fn what_is_preferred_ends_the_climb() {
        let mut ladder = ladder(&[&[100, 50, 50], &[300, 100, 100], &[900]], true);
        ladder.preferred = LayerPair { spatial: 1, temporal: 0 };
        assert_eq!(climbs(&mut ladder, 10_000), [(0, 0, 100), (1, 0, 200)]);
        // Nothing below: rather above than nothing, and no further.
        ladder.layers[0] = None;
        ladder.layers[1] = None;
        ladder.layers.push(layer(&[5_000]));
        ladder.preferred = LayerPair { spatial: 0, temporal: 2 };
        ladder.reached = None;
        assert_eq!(climbs(&mut ladder, 10_000), [(2, 0, 900)]);
    }

    #[test]
    fn below_what_is_preferred_all_temporal_layers_may_be_rungs() {
        let mut ladder = ladder(&[&[100, 50, 50], &[300, 100, 100], &[900, 50]], true);
        ladder.rule = TemporalRule::AllBelow;
        ladder.preferred = LayerPair { spatial: 1, temporal: 1 };
        let climb = [(0, 0, 100), (0, 1, 50), (0, 2, 50), (1, 0, 100), (1, 1, 100)];
        assert_eq!(climbs(&mut ladder, 10_000), climb);
        // Above it, for want of anything else, the lowest alone.
        ladder.layers[0] = None;
        ladder.layers[1] = None;
        ladder.reached = None;
        assert_eq!(climbs(&mut ladder, 10_000), [(2, 0, 900)]);
    }

    #[test]
    fn silent_layers_are_passed_over() {
        let mut ladder = ladder(&[&[100, 0, 50], &[0], &[900]], true);
        assert_eq!(climbs(&mut ladder, 10_000), [(0, 0, 100), (2, 0, 800)]);
        let mut silent = self::ladder(&[&[0], &[0], &[0]], true);
        assert_eq!((climbs(&mut silent, 10_000), silent.reached), (vec![], None));
    }

    #[test]
    fn what_was_too_much_a_moment_ago_is_not_tried_at_once() {
        let mut ladder = ladder(&[&[100], &[300], &[900]], true);
        ladder.ceiling = Some(1);
        assert_eq!(climbs(&mut ladder, 10_000), [(0, 0, 100), (1, 0, 200)]);
        // But for want of anything below.
        ladder.layers[0] = None;
        ladder.layers[1] = None;
        ladder.reached = None;
        assert_eq!(climbs(&mut ladder, 10_000), [(2, 0, 900)]);
    }

    #[test]
    fn a_stream_that_has_only_just_come_waits() {
        let mut ladder = ladder(&[&[100], &[300], &[900]], true);
        ladder.layers[1].as_mut().unwrap().is_settled = false;
        assert_eq!(climbs(&mut ladder, 10_000), [(0, 0, 100), (2, 0, 800)]);
        ladder.layers[0].as_mut().unwrap().is_settled = false;
        ladder.reached = None;
        assert_eq!(climbs(&mut ladder, 10_000), [(0, 0, 100), (1, 0, 200), (2, 0, 600)], "none lasts");
    }

    #[test]
    fn loss_says_whether_there_is_room() {
        for (loss, suffices) in [(0.0, 926), (0.05, 1_000), (0.2, 1_112), (1.0, 2_000)] {
            for (budget, used) in [(suffices, suffices.min(1_000)), (suffices - 1, 0)] {
                let mut ladder = ladder(&[&[1_000]], true);
                assert_eq!(ladder.climb(budget, Some(loss)), used, "{loss} {budget}");
            }
        }
    }

    #[test]
    fn a_whole_stream_takes_its_bits_once() {
        let mut whole = Ladder::whole(500);
        assert_eq!((whole.desired(), whole.climb(700, None), whole.climb(200, None)), (500, 500, 0));
        let mut whole = Ladder::whole(500);
        assert_eq!((whole.climb(300, None), whole.climb(300, None)), (300, 0));
    }

    proptest! {
        /// More bits never lead to less, no rung is above what is preferred while one below it could be sent, and all that is
        /// taken is what the layers that are reached bring.
        #[test]
        fn more_bits_lead_higher(
            rates in proptest::collection::vec(proptest::collection::vec(0_u64..1_000, 1..4), 1..4),
            preferred in (0_u8..3, 0_u8..3),
            budgets in (0_u64..6_000, 0_u64..6_000),
        ) {
            let layers: Vec<_> = rates.iter().map(Vec::as_slice).collect();
            let climbed = |budget| {
                let mut ladder = ladder(&layers, false);
                ladder.preferred = LayerPair { spatial: preferred.0, temporal: preferred.1 };
                let taken: u64 = climbs(&mut ladder, budget).iter().map(|(.., used)| used).sum();
                (ladder.reached.map(|reached| (reached.spatial, reached.temporal)), taken)
            };
            let (low, high) = (budgets.0.min(budgets.1), budgets.0.max(budgets.1));
            prop_assert!(climbed(low).0 <= climbed(high).0);
            let (reached, taken) = climbed(high);
            prop_assert!(taken <= high);
            if let Some((spatial, temporal)) = reached {
                prop_assert!(temporal <= preferred.1);
                prop_assert!(spatial <= preferred.0 || rates[..=usize::from(preferred.0)].iter().all(|rates| rates[0] == 0));
            }
        }
    }
}
