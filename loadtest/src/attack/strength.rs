//! Whether an attack took place: figures that a feebler one keeps say nothing.

use super::kind::{CROWD, Figures, HONEST_RATE, Kind};
use super::turns::Seen;
use crate::report::float;

/// Of the pace, or of the crowd, that must have come. The pace is the generator's to keep, and on a busy machine it is late: with
/// load 16 to 20 on two cores floods came to 0.85 of theirs and more (docs/decisions/0022).
const SHARE_MIN: f64 = 0.8;

/// What an attack of this strength may leave in memory: what a crowd may take is meant for all of it.
pub(super) fn growth_bytes_max(kind: Kind, figures: &Figures, sent: u64) -> u64 {
    if kind != Kind::IdleTcp {
        return figures.growth_bytes_max;
    }
    let crowd = u64::try_from(CROWD).unwrap_or(u64::MAX);
    figures.growth_bytes_max * sent.min(crowd) / crowd
}

/// What was missing of the attack, or of what it was to disturb.
pub(super) fn missing(kind: Kind, pace: f64, attack: &Seen) -> Vec<String> {
    let mut missing = Vec::new();
    let mut wants = |come: f64, wanted: f64, what: &str| {
        // Written so that no number at all is too few.
        if !(come > 0.0 && come >= SHARE_MIN * wanted) {
            missing.push(format!("{come:.0} {what} of {wanted:.0}"));
        }
    };
    let a_second = |count: u64| float(count) / attack.wall_s();
    let sent = attack.score.sent;
    let storm = attack.storm.as_ref();
    match kind {
        // Whether fewer are due or more than can be under way is the worker's doing, and told of it.
        Kind::Handshakes => {
            let due = storm.map_or(0, |storm| storm.offered + storm.skipped);
            wants(a_second(due), pace, "handshakes due a second");
        }
        Kind::IdleTcp => wants(float(sent), float(u64::try_from(CROWD).unwrap_or(u64::MAX)), "connections"),
        _ => wants(a_second(sent), pace, "packets sent a second"),
    }
    if kind == Kind::HelloRace {
        let offered = storm.map_or(0, |storm| storm.offered);
        wants(a_second(offered), HONEST_RATE, "honest handshakes offered a second");
    }
    if attack.attacked.0 == 0 {
        missing.push("no media was due on the attacked shard".to_owned());
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::attacker::Score;
    use crate::report::tests::slice;
    use crate::storm::Totals;

    /// Two seconds of it.
    fn seen(sent: u64, offered: u64, skipped: u64) -> Seen {
        Seen {
            slices: vec![slice()],
            score: Score { sent, ..Score::default() },
            dropped: [].into(),
            attacked: (1_000, 1_000),
            others: (0, 0),
            storm: Some(Totals { offered, skipped, ..Totals::new() }),
        }
    }

    #[test]
    fn a_feeble_attack_is_none() {
        let lacks = |kind: Kind, seen: &Seen| missing(kind, kind.figures(true).pace, seen).len();
        // 100,000 a second.
        assert_eq!([0, 159_000, 161_000].map(|sent| lacks(Kind::Noise, &seen(sent, 0, 0))), [1, 1, 0]);
        // 2,000 a second, of which the generator may have too many under way.
        let of = |offered, skipped| lacks(Kind::Handshakes, &seen(0, offered, skipped));
        assert_eq!([of(0, 0), of(3_000, 0), of(1_000, 2_300)], [1, 1, 0]);
        // 10,000 a second, and 200 honest ones.
        let of = |sent, offered| lacks(Kind::HelloRace, &seen(sent, offered, 1_000));
        assert_eq!([of(0, 0), of(20_000, 300), of(15_000, 400), of(20_000, 400)], [2, 1, 1, 0]);
        // Ten thousand, however long it takes.
        assert_eq!([5_300, 8_000].map(|sent| lacks(Kind::IdleTcp, &seen(sent, 0, 0))), [1, 0]);
        assert_eq!(lacks(Kind::Noise, &Seen { attacked: (0, 0), ..seen(200_000, 0, 0) }), 1);
    }

    #[test]
    fn half_a_crowd_may_take_half_the_memory() {
        let of = |kind: Kind, sent| growth_bytes_max(kind, &kind.figures(true), sent);
        assert_eq!([0, 5_000, 10_000, 20_000].map(|sent| of(Kind::IdleTcp, sent) >> 20), [0, 32, 64, 64]);
        assert_eq!(of(Kind::Noise, 1) >> 20, 16);
        assert_eq!(of(Kind::Handshakes, 1), u64::MAX);
    }
}
