//! Requests to the worker itself.

use ringsoup_fbs::fbs::request::Method;
use ringsoup_tests::channel::Channel;
use ringsoup_tests::request;
use ringsoup_tests::worker::Launch;

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

struct Dump {
    pid: u32,
    routers: Vec<String>,
    request_handlers: Vec<String>,
    notification_handlers: Vec<String>,
}

fn dump(channel: &mut Channel, id: u32) -> Dump {
    let strings =
        |list: ringsoup_fbs::flatbuffers::Vector<'_, ringsoup_fbs::flatbuffers::ForwardsUOffset<&str>>| {
            let mut strings: Vec<String> = list.iter().map(str::to_owned).collect();
            strings.sort();
            strings
        };
    let frame = channel.accepted(&request::worker_dump(id));
    let body = frame
        .response()
        .and_then(|response| response.body_as_worker_dump_response())
        .expect("a worker's dump");
    assert!(body.web_rtc_server_ids().is_empty());
    let handlers = body.channel_message_handlers();
    Dump {
        pid: body.pid(),
        routers: strings(body.router_ids()),
        request_handlers: strings(handlers.channel_request_handlers()),
        notification_handlers: strings(handlers.channel_notification_handlers()),
    }
}

/// Bytes recorded from the published controller, and the published worker's answer.
#[test]
fn recorded_bytes_are_understood_and_answered_with_the_recorded_bytes() {
    let mut worker = Launch::default().run();
    worker.channel.send(&hex(
        "34000000 0c000000 08000a00 09000400 08000000 10000000 00010a00 0c000800 00000400 0a000000 08000000 \
         01000000 00000000 00000000",
    ));
    let frame = worker.channel.response(1);
    assert!(frame.response().unwrap().body_as_worker_dump_response().is_some());

    worker.channel.send(&hex(
        "58000000 0c000000 08000a00 09000400 08000000 14000000 00010e00 18001400 13000c00 0b000400 0e000000 \
         20000000 00000004 0c000000 00000004 02000000 00000000 00000600 08000400 06000000 04000000 02000000 \
         72310000",
    ));
    let frame = worker.channel.response(2);
    let expected = hex(
        "2c000000 0c000000 08000c00 0b000400 08000000 10000000 00000002 08000c00 08000700 08000000 00000001 \
         02000000",
    );
    assert_eq!(frame.bytes(), expected);
    assert_eq!(dump(&mut worker.channel, 3).routers, ["r1"]);
}

#[test]
fn a_new_worker_has_nothing() {
    let mut worker = Launch::default().run();
    let pid = worker.pid();
    let dump = dump(&mut worker.channel, 1);
    assert_eq!(dump.pid, pid);
    assert!(dump.routers.is_empty());
    assert!(dump.request_handlers.is_empty());
    assert!(dump.notification_handlers.is_empty());
}

#[test]
fn the_dump_lists_what_is_open() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    channel.accepted(&request::create_router(1, "r1"));
    channel.accepted(&request::create_router(2, "r2"));
    channel.accepted(&request::create_direct_transport(3, "r1", "d1"));
    channel.accepted(&request::create_plain_transport(4, "r2", "p1", "127.0.0.1", 0));
    let full = dump(channel, 5);
    assert_eq!(full.routers, ["r1", "r2"]);
    assert_eq!(full.request_handlers, ["d1", "p1", "r1", "r2"]);
    assert_eq!(full.notification_handlers, ["d1", "p1"]);

    channel.accepted(&request::close_transport(6, "r1", "d1"));
    channel.accepted(&request::close_router(7, "r2"));
    let left = dump(channel, 8);
    assert_eq!(left.routers, ["r1"]);
    assert_eq!(left.request_handlers, ["r1"]);
    assert!(left.notification_handlers.is_empty());
}

#[test]
fn resource_usage_is_measured() {
    let mut worker = Launch::default().run();
    let frame = worker.channel.accepted(&request::plain(1, Method::WORKER_GET_RESOURCE_USAGE, ""));
    let usage = frame
        .response()
        .and_then(|response| response.body_as_worker_resource_usage_response())
        .expect("resource usage");
    // KiB: more than a page, less than a leak.
    assert!((100..1_000_000).contains(&usage.ru_maxrss()), "{}", usage.ru_maxrss());
    assert!(usage.ru_minflt() > 0);
}

#[test]
fn routers_are_created_once_and_closed_once() {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    channel.accepted(&request::create_router(1, "r1"));
    let refusal = channel.refused(&request::create_router(2, "r1"));
    assert_eq!(refusal.class, "Error");
    assert!(refusal.reason.contains("already exists"), "{}", refusal.reason);
    channel.accepted(&request::close_router(3, "r1"));
    let refusal = channel.refused(&request::close_router(4, "r1"));
    assert_eq!(refusal.class, "NotFoundError");
    assert!(refusal.reason.contains("Router not found"), "{}", refusal.reason);
    channel.accepted(&request::create_router(5, "r1"));
}

#[test]
fn a_request_without_its_body_is_refused() {
    let mut worker = Launch::default().run();
    for (id, method) in [
        (1, Method::WORKER_CREATE_ROUTER),
        (2, Method::WORKER_CLOSE_ROUTER),
        (3, Method::WORKER_UPDATE_SETTINGS),
    ] {
        let refusal = worker.channel.refused(&request::plain(id, method, ""));
        assert!(matches!(refusal.class.as_str(), "Error" | "TypeError"), "{method:?}: {refusal:?}");
    }
}

#[test]
fn a_method_number_that_does_not_exist_is_refused() {
    let mut worker = Launch::default().run();
    worker.channel.accepted(&request::create_router(1, "r1"));
    for (id, handler) in [(2, ""), (3, "r1")] {
        let refusal = worker.channel.refused(&request::plain(id, Method(200), handler));
        assert_eq!(refusal.class, "Error", "{refusal:?}");
    }
}
