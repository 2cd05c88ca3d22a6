//! Data as messages from and to the application.

use std::sync::Arc;

use ringsoup_rtc::subchannels::Audience;
use ringsoup_sfu::command::{Command, ErrorClass, TransportCommand};
use ringsoup_sfu::data::command::{ConsumeData, DataConsumerCommand, DataProducerCommand, ProduceData};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::{Reply, TransportStats};

use crate::common::data::{BINARY, TEXT, audience, consume_direct, message, produce_direct};
use crate::common::{ROUTER, World, parameters};

fn world() -> World {
    let mut world = World::new();
    world.direct("t");
    world.produce_data("t", produce_direct("p"));
    world
}

fn stats(world: &mut World) -> TransportStats {
    match world.transport("t", TransportCommand::Stats) {
        Reply::DirectTransportStats(stats) => *stats,
        other => panic!("not stats: {other:?}"),
    }
}

#[test]
fn a_message_reaches_every_consumer_as_it_was() {
    let mut world = world();
    world.direct("other");
    for (name, transport) in [("a", "t"), ("b", "other"), ("c", "other")] {
        world.consume_data(transport, consume_direct(name, "p"));
    }
    for (ppid, payload) in [(TEXT, &b"hello"[..]), (BINARY, &[0, 1, 2]), (77, b""), (BINARY, &[7; 262_144])] {
        let sent = message(ppid, payload);
        world
            .try_data_producer("p", DataProducerCommand::Send(sent.clone(), Audience::default()))
            .expect("sent");
        let messages = world.take_messages();
        let names: Vec<_> = messages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(messages.iter().all(|(_, message)| *message == sent));
        // In memory once, however many get it.
        assert!(messages.iter().all(|(_, message)| Arc::ptr_eq(&message.payload, &sent.payload)));
    }
    let bytes = 5 + 3 + 262_144;
    let (producer, consumer) = (world.data_producer_stats("p"), world.data_consumer_stats("a"));
    assert_eq!((producer.messages_received, producer.bytes_received), (4, bytes));
    assert_eq!((&producer.label[..], &producer.protocol[..]), ("label of p", "protocol of p"));
    assert_eq!(producer.timestamp_ms, world.now.as_millis());
    assert_eq!((consumer.messages_sent, consumer.bytes_sent, consumer.buffered_amount), (4, bytes, 0));
    assert_eq!((&consumer.label[..], &consumer.protocol[..]), ("label of p", "protocol of p"));
}

#[test]
fn a_transport_counts_its_data() {
    let mut world = world();
    world.consume_data("t", consume_direct("c", "p"));
    world.send("p", &[1; 1_000]);
    let stats = stats(&mut world);
    assert_eq!((stats.bytes_received, stats.bytes_sent), (1_000, 1_000));
    assert!(stats.recv_bitrate > 0 && stats.send_bitrate > 0);
    assert_eq!((stats.rtp_bytes_received, stats.rtp_bytes_sent), (0, 0));
    assert_eq!(stats.sctp_state, None);
}

#[test]
fn messages_longer_than_the_transport_takes_in_are_refused_and_not_counted() {
    let mut world = world();
    let options = ringsoup_sfu::command::TransportOptions {
        max_receive_message_size: 10,
        ..parameters::transport_options(true)
    };
    world.command(Command::CreateDirectTransport {
        router: ROUTER.into(),
        transport: "small".into(),
        options,
    });
    world.produce_data("small", produce_direct("q"));
    let send = |len| DataProducerCommand::Send(message(BINARY, &vec![0; len]), Audience::default());
    let error = world.try_data_producer("q", send(11)).expect_err("refused");
    assert_eq!(error.class, ErrorClass::TypeError);
    world.try_data_producer("q", send(10)).expect("accepted");
    assert_eq!(world.data_producer_stats("q").messages_received, 1);
}

#[test]
fn messages_longer_than_the_transport_gives_out_pass_it_by() {
    let mut world = world();
    let options = ringsoup_sfu::command::TransportOptions {
        max_send_message_size: 10,
        ..parameters::transport_options(true)
    };
    world.command(Command::CreateDirectTransport {
        router: ROUTER.into(),
        transport: "small".into(),
        options,
    });
    world.consume_data("small", consume_direct("little", "p"));
    world.consume_data("t", consume_direct("big", "p"));
    world.send("p", &[1; 11]);
    assert_eq!(world.take_receivers(&[1; 11]), ["big"]);
    world.send("p", &[1; 10]);
    assert_eq!(world.take_receivers(&[1; 10]), ["big", "little"]);
    assert_eq!(world.data_consumer_stats("little").messages_sent, 1);
}

#[test]
fn that_a_message_was_too_long_is_said_once_a_second() {
    let mut world = world();
    let options = ringsoup_sfu::command::TransportOptions {
        max_send_message_size: 10,
        ..parameters::transport_options(true)
    };
    world.command(Command::CreateDirectTransport {
        router: ROUTER.into(),
        transport: "small".into(),
        options,
    });
    world.consume_data("small", consume_direct("little", "p"));
    let lines = |world: &mut World| {
        world.send("p", &[1; 11]);
        world.out.events.drain(..).filter(|event| matches!(event, Event::Log(_))).count()
    };
    assert_eq!((lines(&mut world), lines(&mut world)), (1, 0));
    world.advance_ms(1_000);
    assert_eq!(lines(&mut world), 1);
}

/// As the published suite has it.
#[test]
fn subchannels_choose_who_gets_a_message() {
    let mut world = world();
    for (name, subchannels) in [("dc1", [1, 11, 666]), ("dc2", [2, 22, 666])] {
        let request = ConsumeData { subchannels: subchannels.to_vec(), ..consume_direct(name, "p") };
        assert_eq!(world.consume_data("t", request).subchannels, subchannels);
    }
    world.consume_data("t", consume_direct("none", "p"));
    let both = &["dc1", "dc2"][..];
    for (to, expected) in [
        (audience(&[], None, None), &["dc1", "dc2", "none"][..]),
        (audience(&[1, 2], None, None), both),
        (audience(&[11, 22, 33], Some(666), None), both),
        (audience(&[3], Some(666), None), &[]),
        (audience(&[666], Some(3), None), &[]),
        (audience(&[1], None, None), &["dc1"]),
        (audience(&[11], Some(1), None), &["dc1"]),
        (audience(&[666], Some(2), None), &["dc2"]),
        (audience(&[], Some(666), None), both),
        (audience(&[], None, Some(1)), &["dc2", "none"]),
        (audience(&[666], None, Some(2)), &["dc1"]),
        (audience(&[1], Some(1), Some(1)), &[]),
    ] {
        world.send_to("p", b"x", to.clone());
        assert_eq!(world.take_receivers(b"x"), expected, "{to:?}");
    }
}

#[test]
fn subscriptions_change_while_messages_flow() {
    let mut world = world();
    world.consume_data("t", consume_direct("c", "p"));
    let mut change = |command, expected: &[u16], hears: &[u16]| {
        let now = match world.data_consumer("c", command) {
            Reply::SetSubchannels(now) | Reply::AddSubchannel(now) | Reply::RemoveSubchannel(now) => now,
            other => panic!("{other:?}"),
        };
        assert_eq!(now, expected);
        for subchannel in [5, 6, 7] {
            world.send_to("p", b"x", audience(&[subchannel], None, None));
            assert_eq!(world.take_messages().len(), usize::from(hears.contains(&subchannel)), "{subchannel}");
        }
        assert_eq!(world.data_consumer_dump("c").subchannels, expected);
    };
    change(DataConsumerCommand::SetSubchannels(vec![6, 5, 6]), &[6, 5], &[5, 6]);
    change(DataConsumerCommand::AddSubchannel(7), &[6, 5, 7], &[5, 6, 7]);
    change(DataConsumerCommand::AddSubchannel(7), &[6, 5, 7], &[5, 6, 7]);
    change(DataConsumerCommand::RemoveSubchannel(6), &[7, 5], &[5, 7]);
    change(DataConsumerCommand::RemoveSubchannel(1), &[7, 5], &[5, 7]);
    change(DataConsumerCommand::SetSubchannels(Vec::new()), &[], &[]);
}

#[test]
fn pauses_of_either_side_keep_messages_back() {
    let mut world = world();
    for name in ["a", "b"] {
        world.consume_data("t", consume_direct(name, "p"));
    }
    world.data_consumer("a", DataConsumerCommand::Pause);
    world.data_consumer("a", DataConsumerCommand::Pause);
    world.send("p", b"1");
    assert_eq!(world.take_receivers(b"1"), ["b"]);
    for command in [DataProducerCommand::Pause, DataProducerCommand::Pause] {
        world.try_data_producer("p", command).expect("accepted");
    }
    let told = |world: &mut World| {
        let name = |event| match event {
            Event::DataConsumerDataProducerPause { data_consumer } => Some((data_consumer.to_string(), true)),
            Event::DataConsumerDataProducerResume { data_consumer } => {
                Some((data_consumer.to_string(), false))
            }
            _ => None,
        };
        world.take_events().into_iter().filter_map(name).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut world), [("a".into(), true), ("b".into(), true)]);
    world.data_consumer("a", DataConsumerCommand::Resume);
    world.send("p", b"2");
    assert_eq!(world.take_messages(), []);
    let dump = world.data_consumer_dump("a");
    assert_eq!((dump.paused, dump.data_producer_paused), (false, true));
    world.try_data_producer("p", DataProducerCommand::Resume).expect("accepted");
    world.try_data_producer("p", DataProducerCommand::Resume).expect("accepted");
    assert_eq!(told(&mut world), [("a".into(), false), ("b".into(), false)]);
    world.send("p", b"3");
    assert_eq!(world.take_receivers(b"3"), ["a", "b"]);
    // What comes while the producer is paused is received all the same.
    assert_eq!(world.data_producer_stats("p").messages_received, 3);
    assert_eq!(world.data_consumer_stats("a").messages_sent, 1);
    assert_eq!(world.data_consumer_stats("b").messages_sent, 2);
}

#[test]
fn who_consumes_a_paused_producer_is_told_before_the_answer() {
    let mut world = world();
    world.produce_data("t", ProduceData { paused: true, ..produce_direct("q") });
    let request = ConsumeData { paused: true, ..consume_direct("c", "q") };
    let dump = world.consume_data("t", request);
    assert!(dump.paused && dump.data_producer_paused);
    assert!(matches!(
        &world.out.events[..],
        [Event::DataConsumerDataProducerPause { data_consumer }] if &**data_consumer == "c"
    ));
}

#[test]
fn what_only_sctp_has_is_a_type_error() {
    let mut world = world();
    world.consume_data("t", consume_direct("c", "p"));
    for command in [
        DataConsumerCommand::GetBufferedAmount,
        DataConsumerCommand::SetBufferedAmountLowThreshold(1),
        DataConsumerCommand::Send(message(TEXT, b"x")),
    ] {
        let error = world.try_data_consumer("c", command).expect_err("refused");
        assert_eq!((error.class, &error.reason[..]), (ErrorClass::TypeError, "invalid DataConsumer type"));
    }
    let dump = world.data_consumer_dump("c");
    assert_eq!((dump.buffered_amount, dump.buffered_amount_low_threshold, dump.stream), (0, 0, None));
}
