//! From `exec` to the running notification, and the exit codes before it.

use ringsoup_fbs::fbs::notification::Event;
use ringsoup_tests::request;
use ringsoup_tests::worker::Launch;

/// Anything that fails at start but is neither of the next two.
const EXIT_START_FAILED: i32 = 40;
/// `MEDIASOUP_VERSION` is missing.
const EXIT_NO_VERSION: i32 = 41;

#[test]
fn the_running_notification_is_the_only_message_and_names_the_pid() {
    let mut worker = Launch::default().start();
    let pid = worker.pid().to_string();
    let frame = worker.channel.event(&pid, Event::WORKER_RUNNING);
    assert!(frame.notification().unwrap().body().is_none());
    worker.channel.close_writing();
    let others = worker.channel.read_to_end();
    assert!(others.is_empty(), "{others:?}");
    worker.expect_exit(0);
}

/// Vtables and all: the bytes are those of the original for a pid of the same length.
#[test]
fn the_running_notification_has_the_published_bytes() {
    let mut worker = Launch::default().start();
    let pid = worker.pid().to_string();
    let frame = worker.channel.event(&pid, Event::WORKER_RUNNING);
    let mut expected = vec![
        0x38, 0, 0, 0, 0x0c, 0, 0, 0, 8, 0, 0x0c, 0, 0x0b, 0, 4, 0, 8, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 3, 8,
        0, 0x0c, 0, 8, 0, 7, 0, 8, 0, 0, 0, 0, 0, 0, 4, 4, 0, 0, 0,
    ];
    let digits = u32::try_from(pid.len()).unwrap();
    expected.extend_from_slice(&digits.to_le_bytes());
    expected.extend_from_slice(pid.as_bytes());
    expected.push(0);
    expected.resize(expected.len().next_multiple_of(4), 0);
    let body = u32::try_from(expected.len() - 4).unwrap();
    expected[..4].copy_from_slice(&body.to_le_bytes());
    assert_eq!(frame.bytes(), expected);
}

#[test]
fn a_missing_controller_version_ends_the_worker() {
    let mut worker = Launch::default().env_remove("MEDIASOUP_VERSION").start();
    worker.expect_exit(EXIT_NO_VERSION);
    assert!(worker.stderr().contains("MEDIASOUP_VERSION"));
}

/// Nothing in its bytes would say that it is not understood.
#[test]
fn a_controller_that_is_not_spoken_to_is_refused() {
    for version in ["3.7.19", "2.0.0", "chicken"] {
        let mut worker = Launch::default().env("MEDIASOUP_VERSION", version).start();
        worker.expect_exit(EXIT_NO_VERSION);
        assert!(worker.stderr().contains(version), "{}", worker.stderr());
    }
}

#[test]
fn a_missing_channel_ends_the_worker() {
    let mut worker = Launch::default().without_channel().start();
    worker.expect_exit(EXIT_START_FAILED);
    assert!(!worker.stderr().is_empty());
}

/// Unknown controllers are newer than this worker: they get the newest protocol it knows.
#[test]
fn newer_and_prerelease_controllers_are_served() {
    for version in ["3.27.0", "3.27.1", "3.99.0", "4.0.0-rc.1"] {
        let mut worker = Launch::default().env("MEDIASOUP_VERSION", version).run();
        worker.channel.accepted(&request::worker_dump(1));
    }
}

/// On stderr: at a library's default log level, and without tags, no warning would come through the channel.
#[test]
fn a_newer_controller_is_warned_once() {
    for (version, warnings) in [("3.27.1", 0), ("3.28.0", 1), ("4.0.0-rc.1", 1)] {
        let mut worker = Launch::default().env("MEDIASOUP_VERSION", version).run();
        worker.channel.accepted(&request::worker_dump(1));
        worker.channel.close_writing();
        worker.expect_exit(0);
        let stderr = worker.stderr();
        let told = stderr.lines().filter(|line| line.contains(version) && line.contains("newer than"));
        assert_eq!(told.count(), warnings, "{version}: {stderr}");
    }
}

#[test]
fn an_idle_worker_prints_nothing() {
    let mut worker = Launch::default().run();
    worker.channel.accepted(&request::worker_dump(1));
    worker.channel.send(&request::notification(Event::WORKER_CLOSE, ""));
    worker.expect_exit(0);
    assert_eq!(worker.stderr(), "");
}
