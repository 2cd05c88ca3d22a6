//! What was seen of the worker in turns of one sort.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::attacker::{Attacker, Score};
use super::kind::Kind;
use crate::dump::WorkerWindow;
use crate::error::Error;
use crate::harness::{Harness, Slice};
use crate::progress::Progress;
use crate::report::float;
use crate::storm::{self, Storm};

/// What has not come by then, after a turn, is lost.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// A sort of turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Calm,
    /// The machine has the same to do, the worker less.
    Pretence,
    Attack,
}

/// All turns of a sort together.
pub(super) struct Seen {
    pub(super) slices: Vec<Slice>,
    pub(super) score: Score,
    /// By reason.
    pub(super) dropped: BTreeMap<String, u64>,
    /// Media due and received, of rooms on the attacked shard and of others.
    pub(super) attacked: (u64, u64),
    pub(super) others: (u64, u64),
    /// What handshakes came to.
    pub(super) storm: Option<storm::Totals>,
}

/// Everything that takes turns.
pub(super) struct Turns<'a> {
    pub(super) kind: Kind,
    pub(super) harness: &'a mut Harness,
    pub(super) attacker: Option<&'a Attacker>,
    pub(super) storm: Option<&'a Storm>,
    pub(super) progress: &'a Progress,
    /// Rooms, of which the first is attacked; all are where they share a port.
    pub(super) rooms: usize,
    pub(super) all_attacked: bool,
}

impl Turns<'_> {
    /// One turn, added to what others of its sort have seen.
    pub(super) fn take(
        &mut self,
        turn: Turn,
        duration: Duration,
        seen: &mut Option<Seen>,
    ) -> Result<(), Error> {
        let before =
            (self.harness.dump()?, self.harness.flows(), self.score(), self.storm.map(Storm::totals));
        if self.storm.is_some() && (turn == Turn::Attack || self.kind == Kind::HelloRace) {
            self.storm.inspect(|storm| storm.offer());
        }
        match (turn, self.attacker) {
            (Turn::Pretence, Some(attacker)) => attacker.pretend(),
            (Turn::Attack, Some(attacker)) => attacker.attack(),
            _ => {}
        }
        let slice = self.harness.measure(duration, self.progress);
        if let Some(attacker) = self.attacker {
            attacker.pause()?;
        }
        self.storm.inspect(|storm| storm.pause());
        let slice = slice?;
        let flows = self.settled_flows(&before.1)?;
        let after = (self.harness.dump()?, flows);
        let mut one = Seen {
            slices: vec![slice],
            score: self.score().since(before.2),
            dropped: BTreeMap::new(),
            attacked: (0, 0),
            others: (0, 0),
            storm: self.storm.map(Storm::totals).zip(before.3).map(|(after, before)| after.since(&before)),
        };
        if let (Some(before), Some(after)) = (before.0, after.0) {
            for (reason, count) in WorkerWindow::between(&before, &after)
                .shards
                .into_iter()
                .flat_map(|shard| shard.counters.dropped)
            {
                *one.dropped.entry(reason).or_default() += count;
            }
        }
        let streams_of_a_room = after.1.len() / self.rooms.max(1);
        for (stream, (after, before)) in after.1.iter().zip(&before.1).enumerate() {
            let is_attacked = self.all_attacked || stream < streams_of_a_room;
            let sum = if is_attacked { &mut one.attacked } else { &mut one.others };
            sum.0 += after.0 - before.0;
            sum.1 += after.1 - before.1;
        }
        match seen {
            Some(seen) => seen.join(one),
            none => *none = Some(one),
        }
        Ok(())
    }

    /// What has come when nothing is under way any more: on a busy machine some is later than a turn's end.
    fn settled_flows(&mut self, before: &[(u64, u64)]) -> Result<Vec<(u64, u64)>, Error> {
        let begun = Instant::now();
        loop {
            let flows = self.harness.flows();
            let mut since =
                flows.iter().zip(before).map(|(now, before)| (now.0 - before.0, now.1 - before.1));
            if begun.elapsed() > SETTLE_MAX || since.all(|(due, received)| received >= due) {
                return Ok(flows);
            }
            self.harness.watch()?;
        }
    }

    fn score(&self) -> Score {
        self.attacker.map(Attacker::score).unwrap_or_default()
    }
}

impl Seen {
    fn join(&mut self, later: Self) {
        self.slices.extend(later.slices);
        self.score.add(later.score);
        for (reason, count) in later.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
        for (sum, more) in [(&mut self.attacked, later.attacked), (&mut self.others, later.others)] {
            sum.0 += more.0;
            sum.1 += more.1;
        }
        if let (Some(storm), Some(later)) = (&mut self.storm, later.storm) {
            storm.add(&later);
        }
    }

    pub(super) fn wall_s(&self) -> f64 {
        self.slices.iter().map(|slice| slice.wall_s).sum()
    }

    /// Of the worker.
    pub(super) fn cpu_ns_per_second(&self) -> f64 {
        let cpu: u64 = self.slices.iter().map(|slice| slice.worker_cpu.total_ns()).sum();
        float(cpu) / self.wall_s()
    }

    pub(super) fn port_drops(&self) -> u64 {
        self.slices.iter().map(|slice| slice.worker_drops).sum()
    }

    /// What the worker received and threw away.
    pub(super) fn thrown_away(&self) -> u64 {
        self.dropped.values().sum()
    }
}
