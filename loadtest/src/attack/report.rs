//! What an attack cost, and which of its figures it broke.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::kind::{Figures, IDLE_CORE_PERCENT_MAX, Kind, LINES_PER_SECOND_MAX};
use super::strength;
use super::turns::Seen;
use crate::latency::Percentiles;
use crate::report::float;
use crate::report::side::Side;

const BYTES_PER_KIB: f64 = 1024.0;
/// What an attack must leave as it was: nothing of a stranger's is among it.
const HELD_AS_BEFORE: [&str; 2] = ["held_served_tuples", "held_lanes"];
/// What is told when a peer is lost, or found anew.
const NEWS_OF_STATES: [&str; 3] = [
    "WEBRTCTRANSPORT_ICE_STATE_CHANGE",
    "WEBRTCTRANSPORT_DTLS_STATE_CHANGE",
    "WEBRTCTRANSPORT_ICE_SELECTED_TUPLE_CHANGE",
];

/// Everything seen.
pub(super) struct Sight {
    pub(super) calm: Seen,
    pub(super) pretence: Option<Seen>,
    pub(super) attack: Seen,
    pub(super) resident: (u64, u64),
    pub(super) lines: u64,
    pub(super) held: (BTreeMap<String, u64>, BTreeMap<String, u64>),
    pub(super) news: (BTreeMap<String, u64>, BTreeMap<String, u64>),
    pub(super) idle_core_percent: f64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attacks {
    pub(crate) scenario: String,
    pub(crate) transport: &'static str,
    pub(crate) shards: u32,
    pub(crate) rows: Vec<Row>,
}

/// Handshakes beside an attack, or as one.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Handshakes {
    pub(crate) offered: u64,
    pub(crate) connected: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) latency: Percentiles,
    pub(crate) latency_without: Percentiles,
    pub(crate) why: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) row: &'static str,
    pub(crate) kind: Kind,
    pub(crate) figures: Figures,
    /// Without, in pretence, with.
    pub(crate) sides: Vec<Side>,
    pub(crate) sent: u64,
    pub(crate) sent_per_second: f64,
    /// What the worker says that it received and dropped.
    pub(crate) taken_per_second: f64,
    pub(crate) dropped: BTreeMap<String, u64>,
    /// By the kernel, for want of room in the worker's receive buffers.
    pub(crate) port_drops: u64,
    pub(crate) foreign_bytes: u64,
    pub(crate) answers: u64,
    pub(crate) answered_bytes: u64,
    pub(crate) lost_attacked: u64,
    pub(crate) lost_others: u64,
    pub(crate) loss_attacked_percent: f64,
    /// Worker CPU for each packet taken.
    pub(crate) packet_ns: Option<f64>,
    /// Beyond one that is dropped by its address.
    pub(crate) extra_ns: Option<f64>,
    pub(crate) resident_bytes: (u64, u64),
    pub(crate) log_lines: u64,
    pub(crate) idle_core_percent: f64,
    pub(crate) handshakes: Option<Handshakes>,
    /// Figures that were not kept.
    pub(crate) broken: Vec<String>,
    /// What was too little of the attack for the figures that were kept to say anything.
    pub(crate) missing: Vec<String>,
}

fn lost((due, received): (u64, u64)) -> u64 {
    due.saturating_sub(received)
}

/// CPU for each packet beyond what media takes.
fn packet_ns(seen: &Seen, calm: &Seen) -> Option<f64> {
    let extra = seen.thrown_away().saturating_sub(calm.thrown_away());
    let ns = (seen.cpu_ns_per_second() - calm.cpu_ns_per_second()) * seen.wall_s();
    (extra > 0).then(|| ns / float(extra))
}

fn handshakes(sight: &Sight) -> Option<Handshakes> {
    let storm = sight.attack.storm.as_ref()?;
    // What handshakes take when nobody disturbs them, whatever else the machine does: the slower of both.
    let pretence = sight.pretence.as_ref().and_then(|pretence| pretence.storm.as_ref());
    let others = [Some(sight.calm.storm.as_ref()?), pretence].into_iter().flatten();
    let latency_without = others
        .map(|storm| Percentiles::of_nanos(&storm.latency))
        .max_by(|one, other| one.p99_us.total_cmp(&other.p99_us))?;
    Some(Handshakes {
        offered: storm.offered,
        connected: storm.connected,
        failed: storm.failed,
        skipped: storm.skipped,
        latency: Percentiles::of_nanos(&storm.latency),
        latency_without,
        why: storm.why.clone(),
    })
}

/// A machine that is late by itself tells little about a worker.
const fn doubt(is_late_without: bool) -> &'static str {
    if is_late_without { ": the machine is too busy to tell" } else { "" }
}

impl Row {
    pub(super) fn of(kind: Kind, figures: Figures, sight: &Sight) -> Self {
        let (calm, attack) = (&sight.calm, &sight.attack);
        let named =
            [("without", Some(calm)), ("in pretence", sight.pretence.as_ref()), ("with", Some(attack))];
        let sides = named.into_iter().filter_map(|(name, seen)| Side::of(name, &seen?.slices)).collect();
        let growth_bytes_max = strength::growth_bytes_max(kind, &figures, attack.score.sent);
        let figures = Figures { growth_bytes_max, ..figures };
        let mut row = Self {
            row: kind.row(),
            kind,
            figures,
            sides,
            sent: attack.score.sent,
            sent_per_second: float(attack.score.sent) / attack.wall_s(),
            taken_per_second: float(attack.thrown_away()) / attack.wall_s(),
            dropped: attack.dropped.clone(),
            port_drops: attack.port_drops(),
            foreign_bytes: attack.score.foreign_bytes,
            answers: attack.score.answers,
            answered_bytes: attack.score.answered_bytes,
            lost_attacked: lost(attack.attacked),
            lost_others: lost(attack.others),
            loss_attacked_percent: 100.0 * float(lost(attack.attacked)) / float(attack.attacked.0.max(1)),
            packet_ns: packet_ns(attack, calm),
            extra_ns: None,
            resident_bytes: sight.resident,
            log_lines: sight.lines,
            idle_core_percent: sight.idle_core_percent,
            handshakes: handshakes(sight),
            broken: Vec::new(),
            missing: strength::missing(kind, figures.pace, attack),
        };
        if figures.extra_ns_max.is_some() {
            let by_address = sight.pretence.as_ref().and_then(|pretence| packet_ns(pretence, calm));
            row.extra_ns = row.packet_ns.zip(by_address).map(|(with, without)| with - without);
        }
        row.broken = row.judge(sight);
        row
    }

    fn p99_ms(&self, name: &str) -> Option<f64> {
        let side = self.sides.iter().find(|side| side.name == name);
        side.map(|side| side.latency.p99_us / 1e3)
    }

    /// What media has when the worker is left alone, whatever else the machine does.
    fn p99_without_ms(&self) -> f64 {
        let others = ["without", "in pretence"].map(|name| self.p99_ms(name).unwrap_or(0.0));
        others[0].max(others[1])
    }

    fn judge(&self, sight: &Sight) -> Vec<String> {
        let figures = &self.figures;
        let mut broken = Vec::new();
        let mut hold = |is_kept: bool, what: String| {
            if !is_kept {
                broken.push(what);
            }
        };
        let amplified = float(self.answered_bytes) / float(self.foreign_bytes.max(1));
        hold(amplified <= figures.amplification_max, format!("{amplified:.4} bytes back for each"));
        let (p99, without) = (self.p99_ms("with").unwrap_or(f64::INFINITY), self.p99_without_ms());
        let told =
            format!("media's p99 is {p99:.2} ms, without {without:.2}{}", doubt(without > figures.p99_ms));
        hold(p99 <= figures.p99_ms + without, told);
        hold(self.lost_others == 0, format!("{} media packets lost on other shards", self.lost_others));
        let loss = self.loss_attacked_percent;
        hold(loss <= figures.loss_percent_max, format!("{loss:.4} % of the media lost on the shard"));
        let grown = sight.resident.1.saturating_sub(sight.resident.0);
        hold(grown <= figures.growth_bytes_max, format!("{grown} bytes more of memory"));
        let lines = 1.0 + LINES_PER_SECOND_MAX * sight.attack.wall_s();
        hold(float(self.log_lines) <= lines, format!("{} lines logged", self.log_lines));
        let idle = self.idle_core_percent;
        hold(idle <= IDLE_CORE_PERCENT_MAX, format!("{idle:.1} % of a core used when it was over"));
        for (name, of, max) in [
            ("", self.packet_ns, figures.packet_ns_max),
            (" beyond one by its address", self.extra_ns, figures.extra_ns_max),
        ] {
            let Some(max) = max else { continue };
            let told = of.map_or_else(|| "unknown".to_owned(), |of| format!("{of:.0}"));
            hold(of.is_some_and(|of| of <= max), format!("{told} ns of CPU for each packet{name}"));
        }
        if let Some(handshakes) = &self.handshakes {
            hold(handshakes.connected > 0, "no handshake was finished".to_owned());
            // Where more is offered than is taken on, the rest comes too late.
            let may_fail = self.kind == Kind::Handshakes;
            hold(
                may_fail || handshakes.failed == 0,
                format!("{} handshakes failed: {:?}", handshakes.failed, handshakes.why),
            );
            let (p99, without) = (handshakes.latency.p99_us / 1e3, handshakes.latency_without.p99_us / 1e3);
            let max = figures.handshake_ms.map_or(f64::INFINITY, |beyond| beyond + without);
            let told = doubt(figures.handshake_ms.is_some_and(|beyond| without > beyond));
            hold(p99 <= max, format!("handshakes' p99 is {p99:.1} ms, without {without:.1}{told}"));
        } else {
            self.judge_state(sight, &mut hold);
        }
        broken
    }

    /// Where nobody was to come or go.
    fn judge_state(&self, sight: &Sight, hold: &mut impl FnMut(bool, String)) {
        for name in HELD_AS_BEFORE {
            let [before, after] = [&sight.held.0, &sight.held.1].map(|held| held.get(name).copied());
            // A connection has a lane while it is known; a stranger's has none.
            hold(before == after, format!("{name} was {before:?} and is {after:?}"));
        }
        for name in NEWS_OF_STATES {
            let [before, after] = [&sight.news.0, &sight.news.1].map(|news| news.get(name).copied());
            hold(before == after, format!("{name} came {after:?} times, {before:?} before"));
        }
    }
}

impl Attacks {
    pub(crate) fn succeeded(&self) -> bool {
        self.rows.iter().all(|row| row.verdict() == Verdict::Withstood)
    }

    /// For people.
    pub(crate) fn render(&self) -> String {
        let mut text = format!(
            "\nattacks on {} transports, {} shards, beside {}\n",
            self.transport, self.shards, self.scenario
        );
        for row in &self.rows {
            row.render(&mut text);
        }
        let of = |verdict| self.rows.iter().filter(|row| row.verdict() == verdict).count();
        let (failed, unmeasured) = (of(Verdict::NotWithstood), of(Verdict::NotMeasured));
        let _ = writeln!(
            text,
            "\n{} attacks, {failed} not withstood, {unmeasured} not measured",
            self.rows.len()
        );
        text
    }
}

/// What a row comes to. What a feeble attack broke is broken; what it kept, nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Withstood,
    NotWithstood,
    NotMeasured,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Withstood => "withstood",
            Self::NotWithstood => "NOT WITHSTOOD",
            Self::NotMeasured => "NOT MEASURED",
        }
    }
}

impl Row {
    const fn verdict(&self) -> Verdict {
        match (self.broken.is_empty(), self.missing.is_empty()) {
            (false, _) => Verdict::NotWithstood,
            (true, false) => Verdict::NotMeasured,
            (true, true) => Verdict::Withstood,
        }
    }

    fn render(&self, text: &mut String) {
        let figures = &self.figures;
        let (name, verdict) = (self.kind.name(), self.verdict().name());
        let _ = writeln!(text, "\n{} {name}: {verdict}\n{}", self.row, Side::table(&self.sides));
        let _ = writeln!(
            text,
            "sent {} ({:.0} a second of {:.0} wanted; the row's pace is {:.0}), {:.0} a second taken and dropped, {} by the kernel; {} answers of {} bytes to {} bytes",
            self.sent,
            self.sent_per_second,
            figures.pace,
            figures.asked_pace,
            self.taken_per_second,
            self.port_drops,
            self.answers,
            self.answered_bytes,
            self.foreign_bytes,
        );
        let ns = |ns: Option<f64>| ns.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.0} ns"));
        let [before, after] =
            [self.resident_bytes.0, self.resident_bytes.1].map(|bytes| float(bytes) / BYTES_PER_KIB);
        let _ = writeln!(
            text,
            "worker CPU for each {}, beyond one that is dropped by its address {}; media lost {} there, {} on other shards; RSS {before:.0} KiB, then {after:.0}; {} log lines; {:.1} % of a core a second later",
            ns(self.packet_ns),
            ns(self.extra_ns),
            self.lost_attacked,
            self.lost_others,
            self.log_lines,
            self.idle_core_percent,
        );
        let dropped: Vec<String> =
            self.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let _ = writeln!(text, "dropped: {}", dropped.join(", "));
        if let Some(handshakes) = &self.handshakes {
            let _ = writeln!(
                text,
                "handshakes: {} offered, {} connected, {} failed, {} not offered; p50 {:.2} ms, p99 {:.2} ms (without {:.2}), at most {:.2} ms",
                handshakes.offered,
                handshakes.connected,
                handshakes.failed,
                handshakes.skipped,
                handshakes.latency.p50_us / 1e3,
                handshakes.latency.p99_us / 1e3,
                handshakes.latency_without.p99_us / 1e3,
                handshakes.latency.max_us / 1e3,
            );
        }
        for broken in &self.broken {
            let _ = writeln!(text, "not kept: {broken}");
        }
        for missing in &self.missing {
            let _ = writeln!(text, "too little: {missing}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::attacker::Score;
    use crate::report::tests::slice;

    fn seen(sent: u64, dropped: u64) -> Seen {
        Seen {
            slices: vec![slice()],
            score: Score { sent, foreign_bytes: 100 * sent, answers: 0, answered_bytes: 0 },
            dropped: [("no_ice".to_owned(), dropped)].into(),
            attacked: (1_000, 1_000),
            others: (1_000, 1_000),
            storm: None,
        }
    }

    fn sight() -> Sight {
        let held: BTreeMap<String, u64> = [("held_served_tuples".to_owned(), 4)].into();
        let news: BTreeMap<String, u64> = [("WEBRTCTRANSPORT_DTLS_STATE_CHANGE".to_owned(), 8)].into();
        Sight {
            calm: seen(0, 0),
            pretence: None,
            attack: seen(200_000, 4_000),
            resident: (1 << 20, 2 << 20),
            lines: 1,
            held: (held.clone(), held),
            news: (news.clone(), news),
            idle_core_percent: 0.5,
        }
    }

    fn broken(change: impl FnOnce(&mut Sight)) -> Vec<String> {
        let mut sight = sight();
        change(&mut sight);
        Row::of(Kind::Noise, Kind::Noise.figures(true), &sight).broken
    }

    #[test]
    fn each_figure_is_held() {
        assert_eq!(broken(|_| {}), Vec::<String>::new());
        let changes: [fn(&mut Sight); 8] = [
            |sight| sight.attack.score.answered_bytes = 1,
            |sight| sight.attack.attacked.1 -= 1,
            |sight| sight.attack.others.1 -= 1,
            |sight| sight.resident.1 += 16 << 20,
            |sight| sight.lines = 1_000,
            |sight| sight.idle_core_percent = 50.0,
            |sight| _ = sight.held.1.insert("held_served_tuples".to_owned(), 5),
            |sight| _ = sight.news.1.insert("WEBRTCTRANSPORT_DTLS_STATE_CHANGE".to_owned(), 9),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(broken(change).len(), 1, "change {number}");
        }
        let late = broken(|sight| {
            let slice = &mut sight.attack.slices[0];
            (0..1_000_000).for_each(|_| crate::latency::record(&mut slice.latency, 1_000_000_000));
        });
        assert!(late.len() == 1 && late[0].contains("p99"), "{late:?}");
    }

    #[test]
    fn a_feeble_attack_is_not_withstood() {
        let of = |kind: Kind, sent, grown| {
            let mut sight = sight();
            sight.attack.score = Score { sent, ..Score::default() };
            sight.resident.1 = sight.resident.0 + grown;
            Row::of(kind, kind.figures(true), &sight)
        };
        for (row, verdict) in [
            (of(Kind::Noise, 0, 0), Verdict::NotMeasured),
            (of(Kind::Noise, 200_000, 0), Verdict::Withstood),
            (of(Kind::IdleTcp, 5_300, 0), Verdict::NotMeasured),
            // Less than a whole crowd may take, and more than half of one.
            (of(Kind::IdleTcp, 5_000, 40 << 20), Verdict::NotWithstood),
            (of(Kind::IdleTcp, 10_000, 40 << 20), Verdict::Withstood),
        ] {
            assert_eq!(row.verdict(), verdict, "{row:?}");
            let rows = vec![row];
            let attacks = Attacks { scenario: "test".to_owned(), transport: "WebRTC", shards: 2, rows };
            assert_eq!(attacks.succeeded(), verdict == Verdict::Withstood);
            assert!(attacks.render().contains(verdict.name()), "{}", attacks.render());
        }
    }

    #[test]
    fn a_packet_costs_what_the_worker_used_more() {
        let mut sight = sight();
        let shard = |ns| [("shard".to_owned(), ns)].into();
        sight.calm.slices[0].worker_cpu.by_name = shard(1_000_000);
        sight.attack.slices[0].worker_cpu.by_name = shard(5_000_000);
        let row = Row::of(Kind::Noise, Kind::Noise.figures(true), &sight);
        assert!(row.packet_ns.is_some_and(|ns| (ns - 1_000.0).abs() < 1.0), "{:?}", row.packet_ns);
        let mut text = String::new();
        row.render(&mut text);
        assert!(text.contains("A22 noise: withstood"), "{text}");
    }
}
