//! What must be true in the end: nothing is unaccounted for, nothing is left, and reports were true.

use std::time::Duration;

use ringsoup_control::message::{Method, RequestBody, ResponseBody, WorkerDump};
use ringsoup_sfu::reply::ShardReport;
use ringsoup_tests::threadless::{Passed, PassedKind};

use super::{Seen, Summary, World};

/// Longer than any timer may outlive its object.
const QUIET: Duration = Duration::from_secs(60);

/// Reasons for which nothing that well-behaved clients send may be dropped, whatever the network does.
const NEVER: [&str; 14] = [
    "too_long",
    "unknown_protocol",
    "sctp",
    "message_refused",
    "not_connected",
    "foreign_tuple",
    "malformed_rtp",
    "malformed_rtcp",
    "malformed_rtx",
    "srtp_authentication",
    "unknown_stream",
    "unknown_payload_type",
    "outbox_full",
    "panicked",
];

#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Given to shards, by sockets and by the application.
    pub(super) received: u64,
    piped: u64,
}

impl Accounts {
    pub(super) fn passed(&mut self, passed: &Passed) {
        self.piped += u64::from(matches!(passed.what, PassedKind::Piped { .. }));
    }
}

fn figure(report: &ShardReport, name: &str) -> u64 {
    report.io.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
}

impl World {
    fn dump(&mut self, worker: usize) -> Box<WorkerDump> {
        match super::controller::created(self.ask(worker, "", Method::WorkerDump, RequestBody::None)) {
            ResponseBody::WorkerDump(dump) => dump,
            other => panic!("not a dump: {other:?}"),
        }
    }

    pub(super) fn finish(mut self) -> (Summary, Vec<Vec<Seen>>) {
        self.hear_events();
        self.check_accounts();
        self.check_streams();
        self.sum_up();
        let seen = self.subscriptions.iter_mut().filter_map(|known| known.receiver.seen.take()).collect();
        self.close_everything();
        (self.summary, seen)
    }

    /// Every packet has one fate, on every shard, and what one shard has passed another has had.
    fn check_accounts(&mut self) {
        let mut received = 0;
        for worker in 0..self.workers.len() {
            for report in self.dump(worker).shards.iter().filter_map(|shard| shard.report.as_ref()) {
                let dropped: u64 = report.dropped.iter().map(|(_, count)| count).sum();
                let accounted = report.forwarded_packets + report.consumed_packets + dropped;
                assert_eq!(report.received_packets, accounted, "{report:?}");
                received += report.received_packets;
                for (reason, count) in &report.dropped {
                    assert!(!NEVER.contains(reason), "{count} packets: {reason}");
                }
            }
        }
        assert_eq!(
            received,
            self.accounts.received + self.accounts.piped,
            "packets that were given to shards"
        );
    }

    fn check_streams(&mut self) {
        let now = self.now;
        for known in &mut self.subscriptions {
            if known.is_closed {
                continue;
            }
            known.receiver.finish(now);
        }
        for known in &self.publications {
            let client = &self.clients[known.client];
            let is_settled = known.is_steady && !known.is_closed && !client.is_gone;
            known.sender.check_reports(is_settled);
            self.summary.reports_checked += u64::from(is_settled);
        }
    }

    fn sum_up(&mut self) {
        let summary = &mut self.summary;
        for known in &self.publications {
            summary.published += known.sender.sent();
            summary.repaired_upstream += known.sender.repairs;
            summary.key_frames_asked += known.sender.key_frames_asked;
            summary.sequence_wraps += known.sender.wraps;
        }
        for known in &self.subscriptions {
            summary.decoded += known.receiver.decoded();
            summary.repaired_downstream += known.receiver.repaired;
            summary.given_up += known.receiver.given_up;
        }
        let since = self
            .subscriptions
            .iter()
            .filter_map(|known| known.decoded_before.map(|before| known.receiver.decoded() - before));
        summary.least_decoded_since += since.min().unwrap_or(0);
        summary.receivers += self.subscriptions.len() as u64;
        summary.passed += self.accounts.piped;
        let passed = self.now.saturating_since(self.scenario.begins).as_millis();
        summary.simulated_ms += u64::try_from(passed).expect("some days");
    }

    /// In any order; then nothing is left, neither names nor sockets nor timers.
    fn close_everything(&mut self) {
        loop {
            let open: Vec<_> =
                (0..self.routers.len()).filter(|router| !self.routers[*router].is_closed).collect();
            if open.is_empty() {
                break;
            }
            let router = open[self.rng.below(open.len())];
            self.close_router(router);
            self.hear_events();
        }
        let end = self.now + QUIET;
        while let Some(timer) = self.workers.iter().filter_map(|worker| worker.next_timeout()).min() {
            assert!(timer <= end, "a timer outlives what it was for");
            self.move_to(timer);
            self.handle_timeouts();
        }
        for worker in 0..self.workers.len() {
            let dump = self.dump(worker);
            assert!(dump.routers.is_empty());
            assert!(dump.request_handlers.is_empty(), "{:?}", dump.request_handlers);
            assert!(dump.notification_handlers.is_empty(), "{:?}", dump.notification_handlers);
            for report in dump.shards.iter().filter_map(|shard| shard.report.as_ref()) {
                let objects = [report.routers, report.transports, report.producers, report.consumers];
                assert_eq!(objects, [0; 4]);
                for (name, count) in report.io.iter().filter(|(name, _)| name.starts_with("held_")) {
                    assert_eq!(*count, 0, "{name} after everything has closed");
                }
                for name in ["control_pipes", "control_pipe_names", "control_pipe_addresses"] {
                    assert_eq!(figure(report, name), 0, "{name} after everything has closed");
                }
            }
            for (_, shard) in self.workers[worker].shards() {
                assert_eq!(shard.sockets.open_count(), 0);
                assert_eq!((shard.sfu.next_timeout(), shard.sfu.timer_count()), (None, 0));
            }
        }
    }
}
