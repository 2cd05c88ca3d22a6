//! Data channels over the channel: the order of what is told, and controllers that send without reading.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use ringsoup_fbs::fbs::notification::Event;
use ringsoup_fbs::fbs::request::Method;
use ringsoup_tests::channel::{Channel, Frame};
use ringsoup_tests::data::close_producer;
use ringsoup_tests::data_channel as data;
use ringsoup_tests::request;
use ringsoup_tests::worker::{Launch, Worker};

/// A router with a direct transport and a data producer on it.
fn room() -> Worker {
    let mut worker = Launch::with_args(["--logLevel=error"]).run();
    let channel = &mut worker.channel;
    channel.accepted(&request::create_router(1, "r1"));
    channel.accepted(&request::create_direct_transport(2, "r1", "t1"));
    channel.accepted(&data::produce(3, "t1", "dp", None, false));
    worker
}

/// What an object was told and what was answered, in the order in which they came.
fn order(channel: &mut Channel, request: &[u8]) -> Vec<String> {
    channel.skipped();
    let answer = channel.ask(request);
    let mut frames = channel.skipped();
    frames.push(answer);
    // Something that comes behind the answer has come when a later one is here.
    channel.accepted(&request::worker_dump(99_999));
    frames.extend(channel.skipped());
    frames.iter().filter_map(word).collect()
}

fn word(frame: &Frame) -> Option<String> {
    if let Some(response) = frame.response() {
        return Some(if response.accepted() { "accepted" } else { "refused" }.to_owned());
    }
    let told = frame.notification()?;
    Some(format!("{:?} of {}", told.event(), told.handler_id()))
}

#[test]
fn who_consumes_a_paused_data_producer_is_told_before_the_answer() {
    let mut worker = room();
    let channel = &mut worker.channel;
    channel.accepted(&data::produce(4, "t1", "paused", None, true));
    let told = order(channel, &data::consume(5, "t1", "dc", "paused", None));
    assert_eq!(told, ["DATACONSUMER_DATAPRODUCER_PAUSE of dc", "accepted"]);
}

#[test]
fn pausing_resuming_and_closing_tell_before_they_answer() {
    let mut worker = room();
    let channel = &mut worker.channel;
    channel.accepted(&data::consume(4, "t1", "dc", "dp", None));
    let told = order(channel, &request::plain(5, Method::DATAPRODUCER_PAUSE, "dp"));
    assert_eq!(told, ["DATACONSUMER_DATAPRODUCER_PAUSE of dc", "accepted"]);
    let told = order(channel, &request::plain(6, Method::DATAPRODUCER_PAUSE, "dp"));
    assert_eq!(told, ["accepted"]);
    let told = order(channel, &request::plain(7, Method::DATAPRODUCER_RESUME, "dp"));
    assert_eq!(told, ["DATACONSUMER_DATAPRODUCER_RESUME of dc", "accepted"]);
    let told = order(channel, &close_producer(8, "t1", "dp"));
    assert_eq!(told, ["DATACONSUMER_DATAPRODUCER_CLOSE of dc", "accepted"]);
    let gone = channel.refused(&request::plain(9, Method::DATACONSUMER_DUMP, "dc"));
    assert_eq!(gone.class, "NotFoundError");
    // The name is free.
    channel.accepted(&data::produce(10, "t1", "dc", None, false));
}

#[test]
fn a_full_send_buffer_is_told_behind_the_refusal() {
    let mut worker = room();
    let channel = &mut worker.channel;
    channel.accepted(&data::create_sctp_transport(4, "r1", "t2"));
    channel.accepted(&data::consume(5, "t2", "dc", "dp", Some(0)));
    let full = vec![0; data::SEND_BUFFER_BYTES as usize];
    let frame = channel.accepted(&data::send_to_peer(6, "dc", &full));
    let sent = frame.response().and_then(|response| response.body_as_data_consumer_send_response());
    assert_eq!(sent.expect("an answer to send").buffered_amount(), data::SEND_BUFFER_BYTES);
    let told = order(channel, &data::send_to_peer(7, "dc", &[1]));
    assert_eq!(told, ["refused", "DATACONSUMER_SCTP_SENDBUFFER_FULL of dc"]);
}

#[test]
fn a_transport_without_data_says_so_before_what_is_missing() {
    let mut worker = room();
    let channel = &mut worker.channel;
    channel.accepted(&request::create_plain_transport(4, "r1", "t2", "127.0.0.1", 0));
    let refusal = channel.refused(&close_producer(5, "t2", "nobody"));
    assert_eq!(refusal.class, "Error", "{}", refusal.reason);
    let refusal = channel.refused(&close_producer(6, "t1", "nobody"));
    assert_eq!(refusal.class, "NotFoundError", "{}", refusal.reason);
    let refusal = channel.refused(&data::produce(7, "t2", "x", Some(1), false));
    assert_eq!(refusal.class, "Error", "{}", refusal.reason);
}

#[test]
fn messages_to_nobody_are_logged_and_harmless() {
    let mut worker = room();
    let channel = &mut worker.channel;
    channel.send(&data::send("nobody", b"x"));
    channel.send(&data::send("t1", b"x"));
    channel.send(&data::send("dp", &vec![0; 262_145]));
    channel.accepted(&request::worker_dump(4));
    let lines: Vec<_> = channel.skipped().iter().filter_map(|frame| frame.log().map(str::to_owned)).collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with('E')).count(), 3, "{lines:?}");
    let frame = channel.accepted(&request::plain(5, Method::DATAPRODUCER_GET_STATS, "dp"));
    let stats = frame.response().and_then(|response| response.body_as_data_producer_get_stats_response());
    assert_eq!(stats.expect("statistics").messages_received(), 0);
}

/// Data consumers of every message.
const FAN_OUT: usize = 24;
/// Messages, 150 MiB with their copies.
const MESSAGES: u32 = 200;
const MESSAGE_BYTES: usize = 32_768;
/// What the worker may grow to: what its queues hold and the heap around them.
const RESIDENT_BYTES_MAX: usize = 200 << 20;

/// A controller that sends and sends before it reads: the worker keeps what its queues hold, stops reading, and if that
/// was too late for some messages it says so. What arrives is whole and in order.
#[test]
fn who_does_not_read_costs_no_memory_and_is_told_of_losses() {
    let mut worker = room();
    let channel = &mut worker.channel;
    let consumers: Vec<String> = (0..FAN_OUT).map(|index| format!("dc{index}")).collect();
    for (id, consumer) in (10..).zip(&consumers) {
        channel.accepted(&data::consume(id, "t1", consumer, "dp", None));
    }
    let mut to_worker = channel.writing_end();
    let sender = thread::spawn(move || {
        for number in 0..MESSAGES {
            let mut payload = vec![0; MESSAGE_BYTES];
            payload[..4].copy_from_slice(&number.to_le_bytes());
            to_worker.write_all(&data::send("dp", &payload)).expect("the worker reads in the end");
        }
        to_worker.write_all(&request::plain(4, Method::DATAPRODUCER_GET_STATS, "dp")).expect("as above");
    });
    // Long enough for the worker to fill whatever it fills.
    thread::sleep(Duration::from_secs(2));
    let resident = worker.resident_bytes();
    assert!(resident < RESIDENT_BYTES_MAX, "{resident} bytes");

    let channel = &mut worker.channel;
    let frame = channel.response(4);
    sender.join().expect("everything was sent");
    let stats = frame.response().and_then(|response| response.body_as_data_producer_get_stats_response());
    assert_eq!(stats.expect("statistics").messages_received(), u64::from(MESSAGES));
    let (mut last, mut arrived) = ([None; FAN_OUT], 0);
    channel.accepted(&request::worker_dump(5));
    let frames = channel.skipped();
    let says_so = |line: &str| line.starts_with('E') && line.contains("messages for the application dropped");
    let losses_told = frames.iter().filter_map(Frame::log).any(says_so);
    for frame in frames {
        let Some(told) = frame.notification().filter(|told| told.event() == Event::DATACONSUMER_MESSAGE)
        else {
            continue;
        };
        let message = told.body_as_data_consumer_message_notification().expect("a message");
        let payload = message.data().bytes();
        assert_eq!(payload.len(), MESSAGE_BYTES);
        let number = u32::from_le_bytes(payload[..4].try_into().expect("four bytes"));
        let consumer = consumers.iter().position(|name| name == told.handler_id()).expect("one of them");
        assert!(last[consumer].is_none_or(|last| last < number), "message {number} of {consumer}");
        last[consumer] = Some(number);
        arrived += 1;
    }
    assert!(last.iter().all(Option::is_some));
    assert_eq!(arrived < FAN_OUT * MESSAGES as usize, losses_told, "{arrived} arrived");
}
