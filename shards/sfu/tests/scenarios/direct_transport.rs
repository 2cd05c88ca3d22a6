//! Direct transports: RTP and RTCP as messages.

use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_sfu::command::{ErrorClass, ProducerCommand, TransportCommand};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::Reply;

use crate::common::World;
use crate::common::packets::{DELTA, Heard, KEY, SPEECH, nack, pli, rtp};
use crate::common::parameters::{
    H264, OPUS, ROUTER_OPUS, consume_audio, consume_video, produce_audio, produce_video,
};

fn world() -> World {
    let mut world = World::new();
    world.direct("direct");
    world
}

fn send(world: &mut World, producer: &str, data: Vec<u8>) {
    world.producer(producer, ProducerCommand::Send(data));
}

fn received(world: &mut World) -> Vec<Vec<u8>> {
    let data = |event: Event| match event {
        Event::ConsumerRtp { data, .. } => Some(data),
        _ => None,
    };
    world.take_events().into_iter().filter_map(data).collect()
}

#[test]
fn rtp_goes_in_and_out_as_messages() {
    let mut world = world();
    world.produce("direct", produce_audio("audio", 1, 50));
    world.consume("direct", consume_audio("echo", "audio", 2, 50));
    let peer = world.plain("peer");
    world.consume("peer", consume_audio("out", "audio", 3, 50));
    send(&mut world, "audio", rtp(OPUS, 9, 8, 1, SPEECH));
    let messages = received(&mut world);
    let packet = RtpPacket::parse(&messages[0]).expect("well-formed");
    assert_eq!((packet.ssrc(), packet.payload_type(), packet.timestamp()), (2, ROUTER_OPUS, 8));
    assert_eq!(packet.payload(), SPEECH);
    assert_eq!(world.take_rtp(&peer)[0].rtp().ssrc(), 3);
    send(&mut world, "audio", vec![1, 2, 3]);
    assert_eq!(world.dropped(DropReason::MalformedRtp), 1);
    world.assert_accounted();
}

#[test]
fn the_shard_asks_the_application_for_key_frames_and_lost_packets() {
    let mut world = world();
    world.produce("direct", produce_video("video", 1, None, 50));
    let peer = world.plain("peer");
    world.consume("peer", consume_video("out", "video", 3, None, 50));
    send(&mut world, "video", rtp(H264, 1, 1, 1, KEY));
    world.from(&peer, &pli(3));
    send(&mut world, "video", rtp(H264, 3, 1, 1, DELTA));
    world.advance_ms(20);
    let mut heard = Heard::default();
    for event in world.take_events() {
        if let Event::DirectTransportRtcp { transport, data } = event {
            assert_eq!(&*transport, "direct");
            heard.compound(&data);
        }
    }
    assert_eq!((heard.plis.len(), heard.nacks), (1, vec![(1, vec![2])]));
}

#[test]
fn the_application_may_send_feedback() {
    let mut world = world();
    let peer = world.plain("peer");
    world.produce("peer", produce_video("video", 1, None, 50));
    world.consume("direct", consume_video("in", "video", 3, None, 50));
    world.from(&peer, &rtp(H264, 1, 1, 1, KEY));
    let first = RtpPacket::parse(&received(&mut world)[0]).expect("well-formed").sequence_number();
    world.transport("direct", TransportCommand::SendRtcp(nack(3, &[first])));
    assert_eq!(received(&mut world).len(), 1);
    world.transport("direct", TransportCommand::SendRtcp(pli(3)));
    assert_eq!(world.take_rtcp(&peer).len(), 1);
    world.assert_accounted();
}

/// Bytes that the transport counts as received.
fn bytes_received(world: &mut World) -> u64 {
    match world.transport("direct", TransportCommand::Stats) {
        Reply::DirectTransportStats(stats) => stats.bytes_received,
        other => panic!("not stats: {other:?}"),
    }
}

#[test]
fn what_is_too_long_or_malformed_is_counted_and_dropped() {
    let mut world = world();
    world.produce("direct", produce_audio("audio", 2, 51));
    for data in [vec![0; 1_601], vec![1, 2, 3], Vec::new()] {
        world.transport("direct", TransportCommand::SendRtcp(data));
    }
    send(&mut world, "audio", vec![0x80; 65_537]);
    send(&mut world, "audio", Vec::new());
    assert_eq!(world.dropped(DropReason::TooLong), 2);
    assert_eq!(world.dropped(DropReason::MalformedRtcp), 2);
    assert_eq!(world.dropped(DropReason::MalformedRtp), 1);
    assert_eq!(bytes_received(&mut world), 1_601 + 3 + 65_537);
    world.assert_accounted();
}

#[test]
fn what_is_dropped_is_said_once_a_second() {
    let mut world = world();
    let lines = |world: &mut World| {
        world.transport("direct", TransportCommand::SendRtcp(vec![1, 2, 3]));
        world.out.events.drain(..).filter(|event| matches!(event, Event::Log(_))).count()
    };
    assert_eq!((lines(&mut world), lines(&mut world)), (1, 0));
}

#[test]
fn rtcp_is_for_direct_transports() {
    let mut world = world();
    world.plain("peer");
    let error = world.try_transport("peer", TransportCommand::SendRtcp(pli(1))).expect_err("refused");
    assert_eq!(error.class, ErrorClass::Error);
}

#[test]
fn the_application_may_send_into_any_producer() {
    let mut world = world();
    world.plain("peer");
    world.produce("peer", produce_audio("elsewhere", 1, 50));
    world.consume("direct", consume_audio("in", "elsewhere", 3, 50));
    send(&mut world, "elsewhere", rtp(OPUS, 1, 1, 1, SPEECH));
    assert_eq!(received(&mut world).len(), 1);
    world.assert_accounted();
}

#[test]
fn no_reports_go_to_the_application() {
    let mut world = world();
    let peer = world.plain("peer");
    world.produce("peer", produce_audio("audio", 1, 50));
    world.consume("direct", consume_audio("in", "audio", 3, 50));
    world.from(&peer, &rtp(OPUS, 1, 1, 1, SPEECH));
    world.advance_ms(5_000);
    let rtcp = |event: &Event| matches!(event, Event::DirectTransportRtcp { .. });
    assert!(!world.take_events().iter().any(rtcp));
}
