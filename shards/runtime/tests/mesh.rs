//! Two shards on two threads with a pipe between them: media goes from a socket of the one to a socket of the other.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_sfu::command::{Command, TransportCommand};

use common::{OPUS, SOURCE, Span, command, io, report, transport};

#[test]
fn media_passes_between_threads_and_sleepers_are_woken() {
    let span = Span::new();
    for seq in 0..100 {
        span.send(seq);
        // One by one, so that both shards sleep in between.
        span.expect();
    }
    // Bursts that a socket's buffer holds.
    for burst in 0..10 {
        for seq in 0..50 {
            span.send(100 + 50 * burst + seq);
        }
        for _ in 0..50 {
            span.expect();
        }
    }
    let (near, far) = (report(&span.near), report(&span.far));
    assert!(io(&near, "passed_packets") >= 600 && io(&near, "pass_refused") == 0);
    assert!(io(&near, "passed_batches") >= 100);
    assert!(far.received_packets >= 600 && far.forwarded_packets == 600, "{far:?}");
    let dropped: u64 = far.dropped.iter().map(|(_, count)| count).sum();
    assert_eq!(far.received_packets, far.forwarded_packets + far.consumed_packets + dropped);
    // Its only datagrams are what it sent to the watcher.
    assert_eq!(io(&far, "received_datagrams"), 0);
    assert!(far.latency.count == 600 && far.latency.max_us < 5_000_000);
}

#[test]
fn feedback_passes_back() {
    let span = Span::new();
    // The far producer reports on what it got, the near one on its sender.
    for seq in 0..200 {
        span.send(seq);
        span.expect();
        std::thread::sleep(Duration::from_millis(10));
    }
    let (near, far) = (report(&span.near), report(&span.far));
    assert!(io(&far, "passed_packets") > 0, "receiver reports go back");
    assert!(near.consumed_packets > 0 && far.consumed_packets > 0);
    assert_eq!(io(&near, "received_datagrams"), 200);
}

#[test]
fn a_shard_that_is_gone_costs_the_other_nothing_but_drops() {
    let Span { near, far, sender, watcher } = Span::new();
    drop(far.stop());
    for seq in 0..2_000 {
        let mut packet = [0; 64];
        let len =
            RtpWriter::new(OPUS, seq, 0, SOURCE).payload(&[1]).write(&mut packet).expect("works on loopback");
        sender.send(&packet[..len]).expect("works on loopback");
        if seq % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let report = report(&near);
    assert!(report.forwarded_packets > 0);
    drop(watcher);
}

#[test]
fn ends_come_and_go_while_packets_pass() {
    let span = Span::new();
    let flooding = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seq = 0_u16;
            while flooding.load(Ordering::Relaxed) {
                span.send(seq);
                seq = seq.wrapping_add(1);
            }
        });
        let close = |shard| {
            let (router, transport) = ("router".into(), "pipe".into());
            command(shard, Command::CloseTransport { router, transport });
        };
        for number in 2..80 {
            // Either end goes first; the other is told, as control does, and follows.
            let (first, second) =
                if number % 2 == 0 { (&span.near, &span.far) } else { (&span.far, &span.near) };
            close(first);
            transport(second, "pipe", TransportCommand::JoinPipe(None));
            close(second);
            span.build_pipe(number);
            std::thread::sleep(Duration::from_millis(number % 5));
        }
        flooding.store(false, Ordering::Relaxed);
    });
    for shard in [&span.near, &span.far] {
        let report = report(shard);
        let dropped: u64 = report.dropped.iter().map(|(_, count)| count).sum();
        assert_eq!(report.received_packets, report.forwarded_packets + report.consumed_packets + dropped);
        assert_eq!(io(&report, "panics"), 0);
        assert!(report.received_packets > 0 && report.transports == 2);
    }
}
