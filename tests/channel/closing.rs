//! Signals, and every way a controller goes away.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ringsoup_fbs::fbs::notification::Event;
use ringsoup_tests::request;
use ringsoup_tests::worker::Launch;

/// A controller that died must not leave its worker behind for longer.
const EXIT_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn int_and_term_close() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut worker = Launch::default().run();
        worker.signal(signal);
        worker.expect_exit(0);
    }
}

#[test]
fn int_and_term_close_a_worker_with_open_objects() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut worker = Launch::default().run();
        worker.channel.accepted(&request::create_router(1, "r1"));
        worker.channel.accepted(&request::create_plain_transport(2, "r1", "t1", "127.0.0.1", 0));
        worker.signal(signal);
        worker.expect_exit(0);
    }
}

#[test]
fn pipe_hup_alrm_usr1_and_usr2_are_ignored() {
    let mut worker = Launch::default().run();
    for (id, signal) in [
        (1, Signal::SIGPIPE),
        (2, Signal::SIGHUP),
        (3, Signal::SIGALRM),
        (4, Signal::SIGUSR1),
        (5, Signal::SIGUSR2),
    ] {
        worker.signal(signal);
        worker.channel.accepted(&request::worker_dump(id));
    }
    assert!(worker.is_alive());
}

#[test]
fn the_close_notification_closes() {
    let mut worker = Launch::default().run();
    worker.channel.send(&request::notification(Event::WORKER_CLOSE, ""));
    worker.expect_exit(0);
}

/// What Node does on `worker.close()`: the notification, and both sockets gone right after.
#[test]
fn a_controller_may_leave_right_after_the_close_notification() {
    let mut worker = Launch::default().run();
    worker.channel.send(&request::notification(Event::WORKER_CLOSE, ""));
    worker.channel.close_writing();
    worker.channel.close_reading();
    worker.expect_exit(0);
}

#[test]
fn the_end_of_descriptor_3_closes() {
    let mut worker = Launch::default().run();
    let closed_at = Instant::now();
    worker.channel.close_writing();
    worker.expect_exit(0);
    assert!(closed_at.elapsed() < EXIT_WITHIN);
    let stderr = worker.stderr().to_lowercase();
    assert!(stderr.contains("channel") && stderr.contains("closed"), "{stderr}");
}

#[test]
fn requests_sent_before_the_end_are_answered() {
    let mut worker = Launch::default().run();
    let requests: Vec<u8> = (1..=50).flat_map(request::worker_dump).collect();
    worker.channel.send(&requests);
    worker.channel.close_writing();
    let answered: Vec<u32> = worker
        .channel
        .read_to_end()
        .iter()
        .filter_map(|frame| frame.response().map(|response| response.id()))
        .collect();
    assert_eq!(answered, (1..=50).collect::<Vec<_>>());
    worker.expect_exit(0);
}

#[test]
fn both_ends_gone_at_once_closes() {
    let mut worker = Launch::default().run();
    worker.channel.send(&request::worker_dump(1));
    worker.channel.close_reading();
    worker.channel.close_writing();
    worker.expect_exit(0);
}

/// Nobody can be told anything any more: the worker must not stay for that.
#[test]
fn a_controller_that_only_stops_reading_does_not_crash_the_worker() {
    let mut worker = Launch::default().run();
    worker.channel.close_reading();
    worker.channel.send(&request::worker_dump(1));
    worker.channel.close_writing();
    worker.expect_exit(0);
}

/// Closed by the order of the original: quickly, whatever is open.
#[test]
fn a_worker_with_many_objects_closes() {
    let mut worker = Launch::default().run();
    let mut id = 0;
    let mut next = || {
        id += 1;
        id
    };
    for router in 0..8 {
        let router = format!("router-{router}");
        worker.channel.accepted(&request::create_router(next(), &router));
        for transport in 0..8 {
            let transport = format!("{router}-transport-{transport}");
            let create = request::create_plain_transport(next(), &router, &transport, "127.0.0.1", 0);
            worker.channel.accepted(&create);
        }
    }
    let closed_at = Instant::now();
    worker.channel.send(&request::notification(Event::WORKER_CLOSE, ""));
    worker.expect_exit(0);
    assert!(closed_at.elapsed() < EXIT_WITHIN);
}
