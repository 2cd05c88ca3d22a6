//! Who of a transport's consumers is sent how much of what its receiver can take.
//!
//! ```text
//! estimate ──► Budget ──► distribute ──► layers of each consumer
//!                             ▲
//!              claims: priority, and a ladder of layers with what each costs
//! ```
//! First everybody gets one rung, the important before the others; then whoever has priority N gets up to N rungs in each
//! round, until no rung can be paid for any more.
//!
//! Nothing estimates yet: the budget is unlimited, and each consumer is sent what it prefers.

use std::cmp::Reverse;

use crate::consumer::Consumer;
use crate::consumer::ladder::Ladder;
use crate::table::Id;

/// What can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Budget {
    /// Nobody knows of a limit.
    #[default]
    Unlimited,
    /// Bits per second for all video together.
    Limited(u64),
}

/// What a consumer wants.
#[derive(Debug)]
pub struct Claim {
    pub consumer: Id<Consumer>,
    pub priority: u8,
    /// Bits per second its encoding is to be given at least, as the controller says.
    pub bitrate_max: u64,
    /// The fraction its receiver loses, where that is to be considered.
    pub loss: Option<f64>,
    pub ladder: Ladder,
}

/// Bits per second that all claims together could use.
pub fn desired(claims: &[Claim]) -> u64 {
    let desired = |claim: &Claim| claim.ladder.desired().max(claim.bitrate_max);
    claims.iter().fold(0, |sum, claim| sum.saturating_add(desired(claim)))
}

/// Lets the claims climb their ladders as far as `budget` goes; returns what is left of it.
pub fn distribute(budget: u64, claims: &mut [Claim]) -> u64 {
    claims.sort_by_key(|claim| Reverse(claim.priority));
    let mut left = budget;
    let mut is_base = true;
    loop {
        let before = left;
        for claim in claims.iter_mut() {
            let rungs = if is_base { 1 } else { claim.priority };
            for _ in 0..rungs {
                let used = claim.ladder.climb(left, claim.loss);
                left = left.saturating_sub(used);
                if used == 0 {
                    break;
                }
            }
        }
        // Ladders are finite, and each round that used anything climbed one.
        if left == before {
            return left;
        }
        is_base = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::ladder::{LayerRates, Layered};
    use crate::consumer::layers::LayerPair;
    use crate::rules::TemporalRule;
    use proptest::prelude::*;

    fn claim(consumer: usize, priority: u8, rates: &[u64]) -> Claim {
        let layer = |rate: &u64| Some(LayerRates { rates: vec![*rate], is_settled: true });
        let ladder = Ladder::Layered(Layered {
            layers: rates.iter().map(layer).collect(),
            preferred: LayerPair { spatial: 9, temporal: 0 },
            rule: TemporalRule::UpToPreferred,
            replaces: true,
            ceiling: None,
            reached: None,
        });
        Claim { consumer: Id::new(consumer), priority, bitrate_max: 0, loss: None, ladder }
    }

    /// The spatial layer that each consumer was given, by its number.
    fn given(claims: &[Claim]) -> Vec<Option<u8>> {
        let mut given = vec![None; claims.len()];
        for claim in claims {
            if let Ladder::Layered(layered) = &claim.ladder {
                given[claim.consumer.index()] = layered.reached.map(|reached| reached.spatial);
            }
        }
        given
    }

    #[test]
    fn everybody_gets_something_before_anybody_gets_more() {
        let rates = &[100, 300, 900];
        let mut claims = [claim(0, 1, rates), claim(1, 1, rates), claim(2, 1, rates)];
        assert_eq!(distribute(300, &mut claims), 0);
        assert_eq!(given(&claims), [Some(0); 3]);
        let mut claims = [claim(0, 1, rates), claim(1, 1, rates), claim(2, 1, rates)];
        assert_eq!(distribute(750, &mut claims), 50);
        assert_eq!(given(&claims), [Some(1), Some(1), Some(0)]);
        assert_eq!(distribute(10_000, &mut claims), 10_000 - 600 - 600 - 800);
    }

    #[test]
    fn the_important_go_first_and_take_bigger_steps() {
        let rates = &[100, 200, 300, 400];
        let mut claims = [claim(0, 1, rates), claim(1, 3, rates)];
        assert_eq!(distribute(100, &mut claims), 0);
        assert_eq!(given(&claims), [None, Some(0)], "when there is not enough for all");
        let mut claims = [claim(0, 1, rates), claim(1, 3, rates)];
        assert_eq!(distribute(500, &mut claims), 0);
        assert_eq!(given(&claims), [Some(0), Some(3)]);
        let mut claims = [claim(0, 2, rates), claim(1, 2, rates)];
        assert_eq!(distribute(500, &mut claims), 0);
        assert_eq!(given(&claims), [Some(2), Some(1)], "among equals who came first");
    }

    #[test]
    fn who_cannot_pay_does_not_hold_up_the_others() {
        let mut claims = [claim(0, 5, &[1_000]), claim(1, 1, &[100, 300])];
        assert_eq!(distribute(400, &mut claims), 100);
        assert_eq!(given(&claims), [None, Some(1)]);
    }

    #[test]
    fn a_stream_without_layers_takes_its_share() {
        let whole = Claim { ladder: Ladder::whole(250), ..claim(0, 1, &[]) };
        let mut claims = [whole, claim(1, 1, &[100, 300])];
        assert_eq!(desired(&claims), 550);
        assert_eq!(distribute(400, &mut claims), 50, "what it takes nobody else gets");
        claims[0].bitrate_max = 1_000;
        assert_eq!(desired(&claims), 1_300, "the controller may know better what it will be");
    }

    #[test]
    fn nothing_is_given_of_nothing() {
        assert_eq!(distribute(1_000, &mut []), 1_000);
        let mut claims = [claim(0, 1, &[1])];
        assert_eq!((distribute(0, &mut claims), given(&claims)), (0, vec![None]));
    }

    proptest! {
        /// What is given and what is left are the budget; it is left only when nobody can use it.
        #[test]
        fn a_budget_is_spent_as_far_as_it_goes(
            wishes in proptest::collection::vec((1_u8..5, proptest::collection::vec(0_u64..2_000, 1..4)), 1..8),
            budget in 0_u64..20_000,
        ) {
            let mut claims: Vec<_> =
                wishes.iter().enumerate().map(|(at, (priority, rates))| claim(at, *priority, rates)).collect();
            let left = distribute(budget, &mut claims);
            let used: u64 = given(&claims).iter().zip(&wishes).filter_map(|(given, (_, rates))| {
                // Each rung replaces the one below, or costs one bit where it brings less.
                let mut reached: Option<usize> = None;
                let mut used = 0;
                while reached.map(|at| at as u64) < given.map(u64::from) {
                    let next = (reached.map_or(0, |at| at + 1)..rates.len()).find(|at| rates[*at] > 0)?;
                    used += rates[next].saturating_sub(reached.map_or(0, |at| rates[at])).max(1);
                    reached = Some(next);
                }
                Some(used)
            }).sum();
            prop_assert_eq!(used + left, budget);
            let again = claims.iter_mut().map(|claim| claim.ladder.climb(left, None)).sum::<u64>();
            prop_assert_eq!(again, 0);
        }
    }
}
