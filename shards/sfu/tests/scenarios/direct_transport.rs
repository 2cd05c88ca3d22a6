//! Direct transports: RTP and RTCP as messages.

use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_sfu::command::{Command, ErrorClass, ProducerCommand, TransportCommand};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;

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

#[test]
fn what_is_too_long_malformed_or_misplaced_is_refused() {
    let mut world = world();
    world.plain("peer");
    world.produce("peer", produce_audio("elsewhere", 1, 50));
    world.produce("direct", produce_audio("audio", 2, 51));
    let class =
        |result: Result<_, ringsoup_sfu::command::CommandError>| result.err().map(|error| error.class);
    let rtcp = |world: &mut World, transport: &str, data| {
        class(world.try_transport(transport, TransportCommand::SendRtcp(data)))
    };
    assert_eq!(rtcp(&mut world, "direct", vec![0; 1_601]), Some(ErrorClass::Error));
    assert_eq!(rtcp(&mut world, "direct", vec![1, 2, 3]), Some(ErrorClass::Error));
    assert_eq!(rtcp(&mut world, "direct", Vec::new()), Some(ErrorClass::Error));
    assert_eq!(rtcp(&mut world, "peer", pli(1)), Some(ErrorClass::Error));
    let send = |world: &mut World, producer: &str, data| {
        let command = ProducerCommand::Send(data);
        class(world.try_command(Command::Producer { producer: producer.into(), command }))
    };
    assert_eq!(send(&mut world, "elsewhere", rtp(OPUS, 1, 1, 1, SPEECH)), Some(ErrorClass::Error));
    assert_eq!(send(&mut world, "audio", vec![0x80; 65_537]), Some(ErrorClass::Error));
}
