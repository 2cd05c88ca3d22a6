//! What no controller should send: answered or dropped, never the end of the worker.

use ringsoup_fbs::MESSAGE_BYTES_MAX;
use ringsoup_tests::request;
use ringsoup_tests::rng::Rng;
use ringsoup_tests::worker::{Launch, Worker};

/// A frame around `body`, whatever it is.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

#[track_caller]
fn still_answers(worker: &mut Worker, id: u32) {
    let frame = worker.channel.ask(&request::worker_dump(id));
    assert!(frame.response().unwrap().accepted());
}

#[test]
fn a_frame_of_garbage_is_dropped_with_a_log_line() {
    let mut worker = Launch::with_args(["--logLevel=error"]).run();
    worker.channel.send(&frame(&[0xa5; 100]));
    still_answers(&mut worker, 1);
    let lines: Vec<String> =
        worker.channel.skipped().iter().filter_map(|frame| frame.log().map(str::to_owned)).collect();
    assert!(lines.iter().any(|line| line.starts_with('E')), "{lines:?}");
}

#[test]
fn empty_and_tiny_frames_are_dropped() {
    let mut worker = Launch::default().run();
    for length in 0..16 {
        worker.channel.send(&frame(&vec![0; length]));
        worker.channel.send(&frame(&vec![0xff; length]));
    }
    still_answers(&mut worker, 1);
}

/// Longer than any message may be: its bytes are skipped, and what follows is read.
#[test]
fn an_oversized_frame_is_skipped() {
    let mut worker = Launch::default().run();
    worker.channel.send(&frame(&vec![0; MESSAGE_BYTES_MAX - 3]));
    still_answers(&mut worker, 1);
    worker.channel.send(&frame(&vec![0xff; 2 * MESSAGE_BYTES_MAX]));
    still_answers(&mut worker, 2);
}

#[test]
fn the_longest_frame_is_read_even_when_it_is_garbage() {
    let mut worker = Launch::default().run();
    worker.channel.send(&frame(&vec![0; MESSAGE_BYTES_MAX - 4]));
    still_answers(&mut worker, 1);
}

#[test]
fn a_frame_that_never_ends_holds_nothing_but_the_channel() {
    for length in [1, 3, 4, 5, 20, 51] {
        let mut worker = Launch::default().run();
        let dump = request::worker_dump(1);
        worker.channel.send(&dump[..length]);
        worker.channel.close_writing();
        let frames = worker.channel.read_to_end();
        assert!(frames.iter().all(|frame| frame.response().is_none()));
        worker.expect_exit(0);
    }
}

/// A prefix that promises 4 GiB must not be believed before the bytes are there.
#[test]
fn a_promise_of_four_gigabytes_costs_nothing() {
    let mut worker = Launch::default().run();
    worker.channel.send(&u32::MAX.to_le_bytes());
    worker.channel.send(&[0; 4096]);
    let resident = worker.resident_bytes();
    assert!(resident < 100 << 20, "{resident} bytes");
    worker.channel.close_writing();
    worker.expect_exit(0);
}

/// The controller must not be left waiting where it can be told.
#[test]
fn every_truncated_body_is_survived() {
    let mut worker = Launch::default().run();
    let create = request::create_plain_transport(77, "r1", "t1", "127.0.0.1", 0);
    for length in 0..create.len() - 4 {
        worker.channel.send(&frame(&create[4..4 + length]));
    }
    still_answers(&mut worker, 1);
}

#[test]
fn mutated_requests_are_survived() {
    let seed = 0x5eed_0002;
    let mut rng = Rng::new(seed);
    let mut worker = Launch::default().run();
    let originals = [
        request::worker_dump(900_001),
        request::create_router(900_002, "r1"),
        request::create_plain_transport(900_003, "r1", "t1", "127.0.0.1", 0),
        request::create_direct_transport(900_004, "r1", "t2"),
        request::connect_plain_transport(900_005, "t1", Some(("127.0.0.1", 9))),
        request::update_settings(900_006, Some("error"), Some(&["rtp", "rtcp"])),
        request::close_transport(900_007, "r1", "t1"),
        request::close_router(900_008, "r1"),
    ];
    for round in 0..4_000u32 {
        let mut body = originals[rng.below(originals.len())][4..].to_vec();
        for _ in 0..=rng.below(4) {
            let at = rng.below(body.len());
            body[at] = match rng.below(3) {
                0 => rng.byte(),
                1 => body[at] ^ (1 << rng.below(8)),
                _ => [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
            };
        }
        // A flipped bit may make it the close notification, which would rightly end the worker.
        if is_close(&frame(&body)) {
            continue;
        }
        worker.channel.send(&frame(&body));
        if round % 100 == 99 {
            still_answers(&mut worker, 1_000_000 + round);
        }
    }
    still_answers(&mut worker, 2_000_000);
    let stuck: Vec<_> = worker.channel.skipped();
    assert!(stuck.iter().any(|frame| frame.response().is_some()), "nothing was answered");
}

fn is_close(bytes: &[u8]) -> bool {
    ringsoup_fbs::verify_message(bytes).is_ok_and(|message| {
        message
            .data_as_notification()
            .is_some_and(|told| told.event() == ringsoup_fbs::fbs::notification::Event::WORKER_CLOSE)
    })
}
