//! However the bytes are cut, the same messages arrive.

use std::thread::sleep;
use std::time::Duration;

use ringsoup_tests::request;
use ringsoup_tests::rng::Rng;
use ringsoup_tests::worker::Launch;

/// Long enough for the worker to read what was written before it; how long exactly changes nothing.
const PAUSE: Duration = Duration::from_millis(1);

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let mut worker = Launch::default().run();
    for byte in request::create_router(1, "r1") {
        worker.channel.send(&[byte]);
        sleep(PAUSE);
    }
    worker.channel.response(1);
    worker.channel.accepted(&request::close_router(2, "r1"));
}

#[test]
fn a_request_may_be_split_anywhere() {
    let mut worker = Launch::default().run();
    let mut id = 0;
    let length = request::create_router(1, "r1").len();
    for at in 1..length {
        id += 1;
        let create = request::create_router(id, "r1");
        worker.channel.send(&create[..at]);
        sleep(PAUSE);
        worker.channel.send(&create[at..]);
        let frame = worker.channel.response(id);
        assert!(frame.response().unwrap().accepted(), "split at {at}");
        id += 1;
        worker.channel.accepted(&request::close_router(id, "r1"));
    }
}

#[test]
fn requests_may_arrive_merged_and_are_answered_once_each() {
    let mut worker = Launch::default().run();
    let count = 2_000;
    let requests: Vec<u8> = (1..=count).flat_map(request::worker_dump).collect();
    worker.channel.send(&requests);
    for id in 1..=count {
        let frame = worker.channel.response(id);
        assert!(frame.response().unwrap().accepted());
    }
    assert!(worker.channel.skipped().is_empty(), "answers in order, none twice");
}

#[test]
fn requests_may_be_cut_at_random() {
    let seed = 0x5eed_0001;
    let mut rng = Rng::new(seed);
    let mut worker = Launch::default().run();
    let count = 300;
    let requests: Vec<u8> = (1..=count).flat_map(request::worker_dump).collect();
    let mut rest = &requests[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + rng.below(100)).min(rest.len()));
        worker.channel.send(now);
        rest = later;
    }
    for id in 1..=count {
        worker.channel.response(id);
    }
}

/// Every create is followed by requests to what it creates, nothing waited for. Routers may land on different
/// shards, so answers of different routers overtake each other; what is asked of one object keeps its order.
#[test]
fn pipelined_requests_keep_their_order() {
    let mut worker = Launch::default().run();
    let rounds = 50;
    let mut bytes = Vec::new();
    for round in 0..rounds {
        let id = round * 5;
        bytes.extend(request::create_router(id + 1, "r"));
        bytes.extend(request::create_direct_transport(id + 2, "r", "t"));
        bytes.extend(request::plain(id + 3, ringsoup_fbs::fbs::request::Method::TRANSPORT_DUMP, "t"));
        bytes.extend(request::close_transport(id + 4, "r", "t"));
        bytes.extend(request::close_router(id + 5, "r"));
    }
    worker.channel.send(&bytes);
    for id in 1..=rounds * 5 {
        let frame = worker.channel.response(id);
        let response = frame.response().unwrap();
        assert!(response.accepted(), "request {id}: {:?}", response.reason());
    }
}

#[test]
fn request_ids_are_echoed_whatever_they_are() {
    let mut worker = Launch::default().run();
    for id in [0, 1, 7, 7, u32::MAX, 2] {
        worker.channel.accepted(&request::worker_dump(id));
    }
}

/// A controller that is slow to read gets everything it is owed.
#[test]
fn answers_wait_for_a_controller_that_does_not_read() {
    let mut worker = Launch::default().run();
    for router in 0..200 {
        worker
            .channel
            .send(&request::create_router(router + 1, &format!("a-router-with-a-long-name-{router}")));
    }
    // About 8 KB a dump: far more than the socket's buffer holds.
    let (first, last) = (1_000, 1_400);
    let dumps: Vec<u8> = (first..last).flat_map(request::worker_dump).collect();
    worker.channel.send(&dumps);
    sleep(Duration::from_millis(200));
    for id in first..last {
        worker.channel.response(id);
    }
}
