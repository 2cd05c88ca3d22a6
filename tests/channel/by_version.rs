//! What a controller is told otherwise by its version, beside the layout of messages. The layouts of the versions used here
//! have the same bytes for these requests and for refusals.

use nix::sys::signal::Signal;
use ringsoup_fbs::fbs::request::Method;
use ringsoup_tests::channel::Frame;
use ringsoup_tests::request;
use ringsoup_tests::worker::{Launch, Worker};

fn controller(version: &str) -> Launch {
    Launch::with_args(["--logLevel=none"]).env("MEDIASOUP_VERSION", version)
}

fn refusal(worker: &mut Worker, request: &[u8]) -> (String, String) {
    let refusal = worker.channel.refused(request);
    (refusal.class, refusal.reason)
}

#[test]
fn errors_have_the_class_and_the_words_of_the_version() {
    for (version, class, suffix) in [
        ("3.19.18", "Error", " [method:router.createPlainTransport]"),
        ("3.19.22", "Error", " [method:router.createPlainTransport]"),
        ("3.21.0", "NotFoundError", ""),
        ("3.27.1", "NotFoundError", ""),
    ] {
        let mut worker = controller(version).run();
        let told = refusal(&mut worker, &request::plain(1, Method::ROUTER_DUMP, "nobody"));
        let reason = "Channel request handler with ID nobody not found [method:router.dump]".to_owned();
        assert_eq!(told, (class.to_owned(), reason), "{version}");
        worker.channel.accepted(&request::create_router(2, "r"));
        let told = refusal(&mut worker, &request::create_router(3, "r"));
        let reason = "a Router with same routerId already exists [method:worker.createRouter]".to_owned();
        assert_eq!(told, ("Error".to_owned(), reason), "{version}");
        // A body of the wrong kind: refused by its content, not by its place.
        let told = refusal(&mut worker, &request::plain(4, Method::ROUTER_CREATE_PLAINTRANSPORT, "r"));
        assert_eq!(told.0, "TypeError", "{version}");
        assert_eq!(told.1.ends_with(" [method:router.createPlainTransport]"), !suffix.is_empty(), "{told:?}");
        let told = refusal(&mut worker, &request::update_settings(5, Some("chicken"), None));
        assert_eq!(told, ("TypeError".to_owned(), "invalid value 'chicken' for logLevel".to_owned()));
    }
}

/// A frame around as many zeros: no message, but of a length that is looked at first.
fn zeros(payload: usize) -> Vec<u8> {
    let mut bytes = u32::try_from(payload).unwrap().to_le_bytes().to_vec();
    bytes.resize(4 + payload, 0);
    bytes
}

#[test]
fn messages_are_as_long_as_that_version_has_them() {
    const BEFORE_3_21: usize = 4_194_304;
    const NEWEST: usize = 8_388_604;
    for (version, payload_max) in [("3.19.22", BEFORE_3_21), ("3.21.0", NEWEST)] {
        for (payload, too_long) in [(payload_max, false), (payload_max + 1, true)] {
            let launch = Launch::with_args(["--logLevel=error"]).env("MEDIASOUP_VERSION", version);
            let mut worker = launch.run();
            worker.channel.send(&zeros(payload));
            worker.channel.accepted(&request::worker_dump(1));
            worker.channel.close_writing();
            worker.expect_exit(0);
            let stderr = worker.stderr();
            assert_eq!(stderr.contains("no available space"), too_long, "{version}, {payload}: {stderr}");
        }
    }
}

/// 3.16.0 to 3.19.17 ask, and wait for the answer: number 0 of their methods.
#[test]
fn the_request_to_close_is_answered_before_the_end() {
    for version in ["3.16.0", "3.19.17"] {
        let mut worker = controller(version).start();
        worker.channel.send(&request::plain(7, Method(0), ""));
        let frames = worker.channel.read_to_end();
        let answers: Vec<_> = frames.iter().filter_map(Frame::response).collect();
        assert_eq!(answers.len(), 1, "{version}");
        assert!(answers[0].id() == 7 && answers[0].accepted(), "{version}");
        worker.expect_exit(0);
    }
}

/// The same number is a dump for those who close by a notification, and must not end anything.
#[test]
fn who_closes_by_a_notification_has_no_request_for_it() {
    for version in ["3.19.18", "3.27.1"] {
        let mut worker = controller(version).run();
        worker.channel.accepted(&request::plain(1, Method(0), ""));
        worker.channel.accepted(&request::plain(2, Method(0), ""));
        assert!(worker.is_alive());
    }
}

/// Libraries up to 3.15.8 kill their worker.
#[test]
fn a_signal_closes_under_every_layout() {
    for version in ["3.13.0", "3.15.8", "3.19.22", "3.27.1"] {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut worker = controller(version).start();
            worker.channel.wait_for("running", |frame| frame.notification().is_some());
            worker.signal(signal);
            worker.expect_exit(0);
        }
    }
}
