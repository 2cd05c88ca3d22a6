//! What the network did to packets, and what became of it.

use comfy_table::Table;
use serde::Serialize;

use super::table::table;
use crate::harness::Slice;
use crate::impair::{LineTotals, Network};
use crate::worker_stats::WorkerRepair;

/// Where the network was impaired.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RepairReport {
    pub(crate) network: Network,
    pub(crate) to_worker: Way,
    pub(crate) from_worker: Way,
    /// What the worker says of it.
    pub(crate) worker: Option<WorkerRepair>,
}

/// One direction.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Way {
    #[serde(flatten)]
    pub(crate) line: LineTotals,
    /// Packets asked for by NACK, each time.
    pub(crate) nacked: u64,
    /// Packets sent again; of the way from the worker those that arrived as RTX.
    pub(crate) retransmitted: u64,
    /// Asked for and then came; of the way to the worker that is its own count.
    pub(crate) repaired: u64,
    /// Never came: of the way to the worker lost packets, retransmissions among them, beyond those repaired.
    pub(crate) unrepaired: u64,
}

impl RepairReport {
    /// `None` where packets passed as they were.
    pub(crate) fn of(slice: &Slice, network: Network, worker: Option<WorkerRepair>) -> Option<Self> {
        if !network.is_impaired() {
            return None;
        }
        let received = &slice.received;
        let missing = received.expected.saturating_sub(received.unique);
        let from_worker = Way {
            line: slice.from_worker,
            nacked: received.nacked,
            retransmitted: received.rtx,
            repaired: received.repaired,
            unrepaired: missing,
        };
        let came = worker.map_or(0, |worker| worker.received.repaired);
        let to_worker = Way {
            line: slice.to_worker,
            nacked: slice.nacked_publishers,
            retransmitted: slice.retransmitted_by_publishers,
            repaired: came,
            unrepaired: slice.to_worker.lost_media.saturating_sub(came),
        };
        Some(Self { network, to_worker, from_worker, worker })
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = table(&[
            "network",
            "offered",
            "lost",
            "reordered",
            "duplicated",
            "NACKed",
            "sent again",
            "repaired",
            "unrepaired",
            "RTCP lost",
        ]);
        for (name, way) in [("to the worker", &self.to_worker), ("from the worker", &self.from_worker)] {
            let line = &way.line;
            table.add_row(vec![
                name.to_owned(),
                line.offered_media.to_string(),
                line.lost_media.to_string(),
                line.reordered.to_string(),
                line.duplicated.to_string(),
                way.nacked.to_string(),
                way.retransmitted.to_string(),
                way.repaired.to_string(),
                way.unrepaired.to_string(),
                format!("{} of {}", line.lost_feedback, line.offered_feedback),
            ]);
        }
        table
    }

    /// The worker's own view.
    pub(crate) fn sentence(&self) -> Option<String> {
        let worker = self.worker.as_ref()?;
        let millis =
            |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |ms| format!("{ms:.1} ms"));
        Some(format!(
            "the worker says: round trip {} (at most {}); it NACKed {} and had {} repaired; it was NACKed {} and sent {} again\n",
            millis(worker.round_trip_p50_ms),
            millis(worker.round_trip_max_ms),
            worker.received.nacked,
            worker.received.repaired,
            worker.sent.nacked,
            worker.sent.retransmitted,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impair::Impairment;
    use crate::report::tests::slice;
    use crate::worker_stats::RepairTotals;

    #[test]
    fn what_was_lost_is_repaired_or_not() {
        let mut slice = slice();
        slice.to_worker = LineTotals { offered_media: 100, lost_media: 10, ..LineTotals::default() };
        slice.received.repaired = 3;
        assert!(RepairReport::of(&slice, Network::default(), None).is_none());
        let network = Network { up: Some(Impairment::default()), ..Network::default() };
        let mut worker = WorkerRepair {
            received: RepairTotals::default(),
            sent: RepairTotals::default(),
            round_trip_p50_ms: Some(40.25),
            round_trip_max_ms: None,
        };
        worker.received.repaired = 9;
        let report = RepairReport::of(&slice, network, Some(worker)).expect("it is impaired");
        assert_eq!((report.to_worker.repaired, report.to_worker.unrepaired), (9, 1));
        assert_eq!((report.from_worker.repaired, report.from_worker.unrepaired), (3, 5));
        let text = format!("{}{}", report.table(), report.sentence().expect("the worker says something"));
        for expected in ["to the worker", "40.2 ms", "at most unknown", "100"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
