//! Closing: what goes with what, who is told, and that nothing is left behind.

use ringsoup_sfu::command::{Command, ConsumerCommand, ProducerCommand, TransportCommand};
use ringsoup_sfu::drop_reason::DropReason;

use crate::common::ROUTER;
use crate::common::packets::{DELTA, KEY, SPEECH, nack, rtp};
use crate::common::parameters::{H264, OPUS, consume_audio, consume_video, produce_audio, produce_video};
use crate::room::{AUDIO, BOB_VIDEO, MAPPED_AUDIO, MAPPED_VIDEO, Room, VIDEO, VIDEO_RTX, seqs, told};

#[test]
fn a_closed_producer_takes_its_consumers_along_and_they_are_told() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.take_events();
    let command = TransportCommand::CloseProducer { producer: "video".into() };
    room.world.transport("sender", command);
    assert_eq!(told(&room.world.take_events()), ["close alice video", "close bob video"]);
    assert_eq!((room.world.report().producers, room.world.report().consumers), (1, 1));
    room.video(5, KEY);
    assert_eq!(room.world.dropped(DropReason::UnknownProducer), 1);
    // Names, SSRCs and ids are free again.
    room.world.produce("sender", produce_video("video", VIDEO, Some(VIDEO_RTX), MAPPED_VIDEO));
    room.world.consume("bob", consume_video("bob video", "video", BOB_VIDEO, None, MAPPED_VIDEO));
    room.bob_gets();
    room.start_video(100..103);
    assert_eq!(room.bob_gets().len(), 3);
}

#[test]
fn a_closed_transport_takes_everything_on_it_along() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.take_events();
    room.world.close_transport("sender");
    assert_eq!(
        told(&room.world.take_events()),
        ["close alice video", "close bob video", "close alice audio"]
    );
    assert_eq!(room.world.sockets.open_count(), 2);
    room.video(5, KEY);
    assert_eq!(room.world.dropped(DropReason::UnknownSocket), 1);
    room.world.close_transport("alice");
    room.world.close_transport("bob");
    assert_eq!(room.world.sockets.open_count(), 0);
    assert!(told(&room.world.take_events()).is_empty());
}

#[test]
fn a_closed_router_closes_all_silently_and_timers_come_to_rest() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.video(9, DELTA);
    room.world.take_events();
    room.world.take_sent();
    room.world.command(Command::CloseRouter { router: ROUTER.into() });
    assert!(room.world.take_events().is_empty());
    let report = room.world.report();
    assert_eq!((report.routers, report.transports, report.producers, report.consumers), (0, 0, 0, 0));
    assert_eq!(room.world.sockets.open_count(), 0);
    room.world.advance_ms(20_000);
    assert_eq!(room.world.sfu.next_timeout(), None);
    assert!(room.world.take_sent().is_empty());
    for name in ["sender", "alice", "video", "audio", "alice video"] {
        room.world.command(Command::CreateRouter { router: name.into() });
    }
}

#[test]
fn a_closed_consumer_is_forgotten_by_its_producer() {
    let mut room = Room::new();
    room.start_video(1..5);
    let command = TransportCommand::CloseConsumer { consumer: "bob video".into() };
    room.world.transport("bob", command);
    room.world.take_sent();
    room.video(5, DELTA);
    assert!(room.bob_gets().is_empty());
    assert!(told(&room.world.take_events()).is_empty());
}

/// The runtime takes commands before it flushes what the packets before them left.
#[test]
fn what_waits_for_a_closed_transport_never_leaves_through_another() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.take_sent();
    let (socket, from) = (room.sender.socket, room.sender.remote);
    room.world.receive_unflushed(socket, from, &rtp(H264, 5, 450, VIDEO, DELTA));
    room.world.close_transport("bob");
    let carol = room.world.plain("carol");
    assert_eq!((carol.socket, room.world.sockets.open_count()), (room.bob.socket, 3));
    room.world.consume("carol", consume_video("carol video", "video", 96, None, MAPPED_VIDEO));
    room.world.receive_unflushed(socket, from, &rtp(H264, 6, 540, VIDEO, KEY));
    let sent = room.world.take_rtp(&carol);
    assert_eq!(sent.iter().map(|sent| sent.rtp().ssrc()).collect::<Vec<_>>(), [96]);
}

#[test]
fn timers_of_a_closed_producer_do_nothing_to_the_next_with_its_id() {
    let mut room = Room::new();
    for _ in 0..50 {
        room.video(1, KEY);
        room.video(5, DELTA);
        let command = TransportCommand::CloseProducer { producer: "video".into() };
        room.world.transport("sender", command);
        room.world.produce("sender", produce_video("video", VIDEO, Some(VIDEO_RTX), MAPPED_VIDEO));
        room.world.consume("bob", consume_video("bob video", "video", BOB_VIDEO, None, MAPPED_VIDEO));
    }
    room.video(1, KEY);
    room.video(3, DELTA);
    room.rtcp_to_sender();
    room.world.advance_ms(9);
    assert!(room.rtcp_to_sender().is_empty());
    room.world.advance_ms(7);
    assert_eq!(room.rtcp_to_sender().len(), 1);
}

#[test]
fn packets_are_kept_only_while_somebody_can_ask_for_them() {
    let mut room = Room::new();
    room.start_video(1..5);
    for (transport, consumer) in [("alice", "alice video"), ("bob", "bob video")] {
        let command = TransportCommand::CloseConsumer { consumer: consumer.into() };
        room.world.transport(transport, command);
    }
    room.world.consume("bob", consume_video("bob video", "video", BOB_VIDEO, None, MAPPED_VIDEO));
    room.world.take_sent();
    room.video(6, KEY);
    let seqs = seqs(&room.bob_gets());
    room.bob_says(&nack(BOB_VIDEO, &seqs));
    assert_eq!(room.bob_gets().len(), 1, "kept again from the new consumer on");
    let sender = room.sender.clone();
    room.world.from(&sender, &rtp(OPUS, 1, 1, AUDIO, SPEECH));
}

/// Far more than fit anybody's patience were each close to search the others.
const CROWD: u32 = 20_000;

#[test]
fn a_crowd_on_one_transport_goes_at_once() {
    let mut room = Room::new();
    for number in 0..CROWD {
        let name = number.to_string();
        room.world.consume("bob", consume_audio(&name, "audio", 1_000_000 + number, MAPPED_AUDIO));
        room.world.produce("sender", produce_audio(&format!("p{number}"), 2_000_000 + number, 3_000_000));
    }
    // From both ends and the middle: whoever moved into a gap is still found.
    for number in [0, CROWD - 1, 1, 77, 76, CROWD - 2] {
        let consumer = number.to_string();
        room.world.transport("bob", TransportCommand::CloseConsumer { consumer: consumer.into() });
        room.world
            .transport("sender", TransportCommand::CloseProducer { producer: format!("p{number}").into() });
    }
    room.world.consumer("78", ConsumerCommand::Dump);
    room.world.producer("p78", ProducerCommand::Dump);
    room.world.close_transport("bob");
    assert_eq!(room.world.report().consumers, 2);
    room.world.close_transport("sender");
    let report = room.world.report();
    assert_eq!((report.producers, report.consumers), (0, 0));
}

#[test]
fn a_crowd_at_one_producer_goes_at_once() {
    let mut room = Room::new();
    for number in 0..CROWD {
        let request = consume_audio(&number.to_string(), "audio", 1_000_000 + number, MAPPED_AUDIO);
        room.world.consume("bob", request);
    }
    room.world.take_events();
    room.world.transport("sender", TransportCommand::CloseProducer { producer: "audio".into() });
    assert_eq!(room.world.take_events().len(), 1 + CROWD as usize);
}
