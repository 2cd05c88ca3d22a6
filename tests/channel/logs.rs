//! Log lines travel on the channel, by level and tag.

use ringsoup_tests::channel::Frame;
use ringsoup_tests::request;
use ringsoup_tests::worker::{Launch, Worker};

fn lines(frames: &[Frame]) -> Vec<String> {
    frames.iter().filter_map(|frame| frame.log().map(str::to_owned)).collect()
}

/// Log lines told up to and including the answer to a request that fails.
fn lines_of_a_failure(worker: &mut Worker, id: u32) -> Vec<String> {
    let refusal = worker.channel.refused(&request::close_router(id, "nobody"));
    assert_eq!(refusal.class, "NotFoundError");
    // One more answer, so that a line told just after the first is seen as well.
    worker.channel.ask(&request::worker_dump(id + 1));
    lines(&worker.channel.skipped())
}

fn has_level(lines: &[String], level: char) -> bool {
    lines.iter().any(|line| line.starts_with(level))
}

#[test]
fn debug_lines_need_the_level_and_the_tag() {
    let with = |arguments: &[&str]| {
        let mut worker = Launch::with_args(arguments.iter().copied()).run();
        worker.channel.accepted(&request::create_router(1, "r1"));
        worker.channel.close_writing();
        lines(&worker.channel.read_to_end())
    };
    assert!(has_level(&with(&["--logLevel=debug", "--logTag=info"]), 'D'));
    assert!(!has_level(&with(&["--logLevel=debug"]), 'D'));
    assert!(!has_level(&with(&["--logLevel=warn", "--logTag=info"]), 'D'));
    assert!(!has_level(&with(&[]), 'D'));
}

#[test]
fn lines_name_who_says_them() {
    let mut worker = Launch::with_args(["--logLevel=debug", "--logTag=info"]).run();
    worker.channel.accepted(&request::create_router(1, "r1"));
    let told = lines_of_a_failure(&mut worker, 2);
    assert!(has_level(&told, 'D') && has_level(&told, 'E'), "{told:?}");
    for line in told {
        let (head, text) = line.split_once(" | ").unwrap_or_else(|| panic!("no separator: {line}"));
        assert!(matches!(line.chars().next(), Some('D' | 'W' | 'E')), "{line}");
        assert!(head.ends_with("()") && head.contains("::"), "{line}");
        assert!(!text.trim().is_empty(), "{line}");
    }
}

#[test]
fn errors_need_no_tag() {
    let mut worker = Launch::with_args(["--logLevel=error"]).run();
    let told = lines_of_a_failure(&mut worker, 1);
    assert!(has_level(&told, 'E'), "{told:?}");
    assert!(!has_level(&told, 'W') && !has_level(&told, 'D'), "{told:?}");
}

#[test]
fn none_is_silent() {
    let mut worker = Launch::with_args(["--logLevel=none", "--logTag=info"]).run();
    assert_eq!(lines_of_a_failure(&mut worker, 1), Vec::<String>::new());
}

#[test]
fn settings_can_be_updated() {
    let mut worker = Launch::with_args(["--logLevel=none"]).run();
    assert!(lines_of_a_failure(&mut worker, 1).is_empty());

    worker.channel.accepted(&request::update_settings(3, Some("debug"), Some(&["info"])));
    worker.channel.accepted(&request::create_router(4, "r1"));
    let told = lines_of_a_failure(&mut worker, 5);
    assert!(has_level(&told, 'D') && has_level(&told, 'E'), "{told:?}");

    // The given tags replace the whole set; the level stays.
    worker.channel.accepted(&request::update_settings(7, None, Some(&["svc"])));
    worker.channel.skipped();
    worker.channel.accepted(&request::create_router(8, "r2"));
    let told = lines_of_a_failure(&mut worker, 9);
    assert!(!has_level(&told, 'D') && has_level(&told, 'E'), "{told:?}");

    worker.channel.accepted(&request::update_settings(11, Some("NONE"), None));
    worker.channel.skipped();
    assert!(lines_of_a_failure(&mut worker, 12).is_empty());
}

#[test]
fn wrong_settings_are_a_type_error_and_change_nothing() {
    let mut worker = Launch::with_args(["--logLevel=none"]).run();
    let refusal = worker.channel.refused(&request::update_settings(1, Some("chicken"), None));
    assert_eq!(refusal.class, "TypeError");
    assert!(lines_of_a_failure(&mut worker, 2).is_empty());
}

/// Media that nobody produces is worth a warning under the tag it belongs to, and only there.
#[test]
fn warnings_go_by_tag() {
    for (tag, expected) in [("rtp", true), ("ice", false)] {
        let mut worker = Launch::with_args(["--logLevel=warn".to_owned(), format!("--logTag={tag}")]).run();
        worker.channel.accepted(&request::create_router(1, "r1"));
        let create = request::create_plain_transport(2, "r1", "t1", "127.0.0.1", 0);
        let frame = worker.channel.accepted(&create);
        let dump = frame
            .response()
            .and_then(|response| response.body_as_plain_transport_dump_response())
            .expect("a plain transport's dump");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let rtp = [0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4];
        for _ in 0..5 {
            socket.send_to(&rtp, ("127.0.0.1", dump.tuple().local_port())).unwrap();
        }
        if expected {
            let frame = worker
                .channel
                .wait_for("a warning", |frame| frame.log().is_some_and(|line| line.starts_with('W')));
            assert!(frame.log().unwrap().contains("::"));
        } else {
            std::thread::sleep(std::time::Duration::from_millis(200));
            worker.channel.ask(&request::worker_dump(3));
            assert!(!has_level(&lines(&worker.channel.skipped()), 'W'));
        }
    }
}
