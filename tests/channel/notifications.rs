//! What is told before a reply, and what after it.

use ringsoup_fbs::fbs::notification::Event;
use ringsoup_fbs::fbs::producer::TraceEventType;
use ringsoup_fbs::fbs::request::Method;
use ringsoup_tests::channel::Channel;
use ringsoup_tests::media::{self, Codec};
use ringsoup_tests::request;
use ringsoup_tests::worker::{Launch, Worker};

const SSRC: u32 = 1_000;

/// A worker with an audio producer `a` and a video producer `v` on one direct transport, and another beside it.
fn room() -> Worker {
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    channel.accepted(&request::create_router(1, "r"));
    channel.accepted(&request::create_direct_transport(2, "r", "from"));
    channel.accepted(&request::create_direct_transport(3, "r", "to"));
    channel.accepted(&media::produce(4, "from", "a", Codec::Opus, SSRC));
    channel.accepted(&media::produce(5, "from", "v", Codec::H264, SSRC + 1));
    worker
}

/// Handlers and events told before the reply.
fn told_before(channel: &mut Channel, request: &[u8]) -> Vec<(String, Event)> {
    channel.skipped();
    channel.accepted(request);
    let told = channel.skipped();
    let notifications = told.iter().filter_map(|frame| frame.notification());
    notifications.map(|told| (told.handler_id().to_owned(), told.event())).collect()
}

fn event(handler: &str, event: Event) -> (String, Event) {
    (handler.to_owned(), event)
}

#[test]
fn a_pause_is_told_before_the_reply_to_it_and_to_a_later_consume() {
    let mut worker = room();
    let channel = &mut worker.channel;
    assert!(told_before(channel, &media::consume(10, "to", "c", Codec::Opus, ("a", SSRC), 7)).is_empty());
    let paused = told_before(channel, &request::plain(11, Method::PRODUCER_PAUSE, "a"));
    assert_eq!(paused, [event("c", Event::CONSUMER_PRODUCER_PAUSE)]);
    let consumed = told_before(channel, &media::consume(12, "to", "late", Codec::Opus, ("a", SSRC), 8));
    assert_eq!(consumed, [event("late", Event::CONSUMER_PRODUCER_PAUSE)]);
    let resumed = told_before(channel, &request::plain(13, Method::PRODUCER_RESUME, "a"));
    assert_eq!(resumed.len(), 2);
    assert!(resumed.iter().all(|(_, event)| *event == Event::CONSUMER_PRODUCER_RESUME));
}

#[test]
fn the_end_of_a_producer_or_its_transport_is_told_before_the_reply() {
    let mut worker = room();
    let channel = &mut worker.channel;
    channel.accepted(&media::consume(10, "to", "hears", Codec::Opus, ("a", SSRC), 7));
    channel.accepted(&media::consume(11, "to", "sees", Codec::H264, ("v", SSRC + 1), 8));
    let closed = told_before(channel, &media::close_producer(12, "from", "a"));
    assert_eq!(closed, [event("hears", Event::CONSUMER_PRODUCER_CLOSE)]);
    let closed = told_before(channel, &request::close_transport(13, "r", "from"));
    assert_eq!(closed, [event("sees", Event::CONSUMER_PRODUCER_CLOSE)]);
    assert!(told_before(channel, &request::close_router(14, "r")).is_empty());
}

#[test]
fn what_a_consume_asks_of_the_producer_is_told_after_the_reply() {
    let mut worker = room();
    let channel = &mut worker.channel;
    // A stream that is there, and whose first request for a key frame is over.
    channel.send(&media::send(
        "v",
        &[&[0x80, media::H264, 0, 1, 0, 0, 0, 1, 0, 0, 3, 0xe9], &[0x67, 1, 2, 3][..]].concat(),
    ));
    channel.event("v", Event::PRODUCER_SCORE);
    channel.accepted(&media::trace_producer(10, "v", &[TraceEventType::PLI]));
    let consume = media::consume(11, "to", "c", Codec::H264, ("v", SSRC + 1), 8);
    assert!(told_before(channel, &consume).is_empty());
    channel.event("v", Event::PRODUCER_TRACE);
    channel.event("from", Event::DIRECTTRANSPORT_RTCP);
}

#[test]
fn silence_is_told_before_the_reply_to_an_observers_pause() {
    let mut worker = room();
    let channel = &mut worker.channel;
    channel.accepted(&media::create_audio_level_observer(10, "r", "o", 250));
    // It is silent from the beginning: nothing to tell.
    assert!(told_before(channel, &request::plain(11, Method::RTPOBSERVER_PAUSE, "o")).is_empty());
    channel.accepted(&request::plain(12, Method::RTPOBSERVER_RESUME, "o"));
    channel.accepted(&media::create_active_speaker_observer(13, "r", "speaker", 100));
    channel.accepted(&media::add_producer(14, "speaker", "a"));
    channel.event("speaker", Event::ACTIVESPEAKEROBSERVER_DOMINANT_SPEAKER);
    // Who dominated is gone, and nobody is left to follow.
    assert!(told_before(channel, &media::close_producer(15, "from", "a")).is_empty());
}
