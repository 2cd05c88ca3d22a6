//! Data producers and consumers on SCTP transports before their association speaks, and what closing takes along.

use ringsoup_rtc::subchannels::Audience;
use ringsoup_sfu::command::{Command, CommandError, ErrorClass, TransportCommand};
use ringsoup_sfu::data::command::{ConsumeData, DataConsumerCommand, SctpStreamParameters};
use ringsoup_sfu::data::reply::{SctpNegotiatedCapabilities, SctpState};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::{PlainTransportDump, PlainTransportStats, Reply};

use crate::common::data::{
    BINARY, audience, consume_direct, consume_sctp, message, produce_direct, produce_sctp, small_sctp,
};
use crate::common::{ROUTER, World, parameters, remote};

/// A direct transport with a producer, and an SCTP one.
fn world() -> World {
    let mut world = World::new();
    world.direct("direct");
    world.produce_data("direct", produce_direct("p"));
    world.create_plain("sctp", small_sctp()).expect("created");
    world
}

fn dump(world: &mut World, transport: &str) -> PlainTransportDump {
    match world.transport(transport, TransportCommand::Dump) {
        Reply::PlainTransportDump(dump) => *dump,
        other => panic!("not a dump: {other:?}"),
    }
}

fn stats(world: &mut World, transport: &str) -> PlainTransportStats {
    match world.transport(transport, TransportCommand::Stats) {
        Reply::PlainTransportStats(stats) => *stats,
        other => panic!("not stats: {other:?}"),
    }
}

fn send(world: &mut World, consumer: &str, len: usize) -> Result<u32, CommandError> {
    let command = DataConsumerCommand::Send(message(BINARY, &vec![0; len]));
    match world.try_data_consumer(consumer, command)? {
        Reply::DataSent { buffered_amount } => Ok(buffered_amount),
        other => panic!("not sent: {other:?}"),
    }
}

fn names(names: &[Name]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

#[test]
fn a_transport_shows_its_association() {
    let mut world = world();
    world.plain("other");
    let created = dump(&mut world, "sctp").base;
    let sctp = created.sctp.expect("enabled");
    assert_eq!((sctp.port, sctp.state), (5_000, SctpState::New));
    assert_eq!((sctp.max_send_message_size, sctp.max_receive_message_size), (100, 120));
    assert_eq!((sctp.send_buffer_size, sctp.per_stream_send_queue_limit), (250, 150));
    assert_eq!((sctp.max_receiver_window_buffer_size, sctp.is_data_channel), (5_000, false));
    assert_eq!(sctp.negotiated, SctpNegotiatedCapabilities::default());
    assert!(sctp.data_producer_of_stream.is_empty());
    assert_eq!(stats(&mut world, "sctp").base.sctp_state, Some(SctpState::New));
    assert_eq!(dump(&mut world, "other").base.sctp, None);
    assert_eq!(stats(&mut world, "other").base.sctp_state, None);

    world.produce_data("sctp", produce_sctp("q", 7));
    world.consume_data("sctp", consume_sctp("c", "p", 8));
    let base = dump(&mut world, "sctp").base;
    assert_eq!((names(&base.data_producers), names(&base.data_consumers)), (vec!["q"], vec!["c"]));
    let sctp = base.sctp.expect("enabled");
    assert_eq!(sctp.data_producer_of_stream, [(7, "q".into())]);
}

#[test]
fn a_direct_transport_cannot_have_sctp() {
    let mut world = World::new();
    let mut options = parameters::transport_options(true);
    options.enable_sctp = true;
    let command = Command::CreateDirectTransport { router: ROUTER.into(), transport: "t".into(), options };
    let error = world.try_command(command).expect_err("refused");
    assert_eq!(error, CommandError::type_error("cannot enable SCTP in a direct Transport"));
}

#[test]
fn a_data_consumer_shows_its_stream() {
    let mut world = world();
    let request = ConsumeData {
        sctp_stream_parameters: Some(SctpStreamParameters {
            stream_id: 12_345,
            ordered: None,
            max_packet_life_time: Some(5_000),
            max_retransmits: Some(0),
        }),
        subchannels: vec![2, 1],
        ..consume_sctp("c", "p", 0)
    };
    let dump = world.consume_data("sctp", request);
    assert_eq!((&dump.id[..], &*dump.data_producer), ("c", "p"));
    let stream = dump.stream.expect("of type sctp");
    assert_eq!((stream.stream_id, stream.ordered), (12_345, false));
    assert_eq!(stream.max_packet_life_time.map(u16::from), Some(5_000));
    assert_eq!(stream.max_retransmits, None);
    assert_eq!((dump.buffered_amount, dump.buffered_amount_low_threshold), (0, 10));
    assert_eq!(dump.subchannels, [2, 1]);
    assert_eq!(world.data_consumer_dump("c"), dump);
}

#[test]
fn messages_wait_until_the_queues_are_full() {
    let mut world = world();
    world.consume_data("sctp", consume_sctp("c", "p", 1));
    world.consume_data("sctp", consume_sctp("d", "p", 2));
    assert_eq!(send(&mut world, "c", 100), Ok(100));
    assert_eq!(send(&mut world, "c", 60), Ok(160));
    let full = Err(CommandError::error("sctpsendbufferfull"));
    assert_eq!(send(&mut world, "c", 1), full);
    assert_eq!(send(&mut world, "d", 100), Ok(100));
    // 260 bytes of the 250 that all streams may hold.
    assert_eq!(send(&mut world, "d", 1), full);
    let buffered = world.data_consumer("c", DataConsumerCommand::GetBufferedAmount);
    assert!(matches!(buffered, Reply::BufferedAmount(160)));
    let stats = world.data_consumer_stats("c");
    // What the queue refused was on its way: it is counted, as the original does.
    assert_eq!((stats.messages_sent, stats.bytes_sent, stats.buffered_amount), (3, 161, 160));
    let told = world.take_events();
    assert!(matches!(
        &told[..],
        [Event::DataConsumerSendBufferFull { data_consumer: c }, Event::DataConsumerSendBufferFull { data_consumer: d }]
            if &**c == "c" && &**d == "d"
    ));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut world = world();
    world.consume_data("sctp", consume_sctp("c", "p", 1));
    let error = send(&mut world, "c", 101).expect_err("refused");
    assert_eq!(error.class, ErrorClass::TypeError);
    let failed = Err(CommandError::error("message send failed"));
    assert_eq!(send(&mut world, "c", 0), failed);
    world.data_consumer("c", DataConsumerCommand::Pause);
    assert_eq!(send(&mut world, "c", 1), failed);
    world.data_consumer("c", DataConsumerCommand::Resume);
    assert_eq!(send(&mut world, "c", 1), Ok(1));
}

#[test]
fn a_producers_messages_wait_in_every_stream_they_are_for() {
    let mut world = world();
    for (name, stream, subchannels) in [("c", 1, vec![1]), ("d", 2, vec![2])] {
        let request = ConsumeData { subchannels, ..consume_sctp(name, "p", stream) };
        world.consume_data("sctp", request);
    }
    world.send("p", &[0; 20]);
    world.send_to("p", &[0; 30], audience(&[2], None, None));
    // Longer than this transport sends.
    world.send("p", &[0; 101]);
    assert_eq!(world.data_consumer_dump("c").buffered_amount, 20);
    assert_eq!(world.data_consumer_dump("d").buffered_amount, 50);
    assert_eq!(world.data_consumer_stats("d").messages_sent, 2);
    assert!(world.take_events().is_empty());
    for _ in 0..10 {
        world.send("p", &[0; 40]);
    }
    assert_eq!(world.data_consumer_dump("c").buffered_amount, 140);
    assert_eq!(world.data_consumer_dump("d").buffered_amount, 130);
    assert_eq!(world.take_events().len(), 15);
}

#[test]
fn the_application_may_send_into_an_sctp_producer() {
    let mut world = world();
    world.produce_data("sctp", produce_sctp("q", 1));
    world.consume_data("direct", consume_direct("c", "q"));
    world.send("q", &[5; 120]);
    assert_eq!(world.take_receivers(&[5; 120]), ["c"]);
    assert_eq!(stats(&mut world, "sctp").base.bytes_received, 120);
    let command = ringsoup_sfu::data::command::DataProducerCommand::Send(
        message(BINARY, &[0; 121]),
        Audience::default(),
    );
    let error = world.try_data_producer("q", command).expect_err("refused");
    assert_eq!(error.class, ErrorClass::TypeError);
}

#[test]
fn a_threshold_raised_to_what_waits_is_told() {
    let mut world = world();
    world.consume_data("sctp", consume_sctp("c", "p", 1));
    let mut set = |bytes| {
        world.data_consumer("c", DataConsumerCommand::SetBufferedAmountLowThreshold(bytes));
        assert_eq!(world.data_consumer_dump("c").buffered_amount_low_threshold, bytes);
        world.take_events().len()
    };
    assert_eq!((set(5), set(20)), (0, 0));
    set(5);
    send(&mut world, "c", 30).expect("sent");
    let mut set = |bytes| {
        world.data_consumer("c", DataConsumerCommand::SetBufferedAmountLowThreshold(bytes));
        world.take_events()
    };
    assert!(set(29).is_empty());
    assert!(matches!(
        &set(30)[..],
        [Event::DataConsumerBufferedAmountLow { data_consumer, buffered_amount: 30 }] if &**data_consumer == "c"
    ));
    assert!(set(31).is_empty());
}

#[test]
fn a_stream_outlives_its_consumer() {
    let mut world = world();
    world.consume_data("sctp", consume_sctp("c", "p", 1));
    send(&mut world, "c", 30).expect("sent");
    world.transport("sctp", TransportCommand::CloseDataConsumer { data_consumer: "c".into() });
    assert_eq!(world.consume_data("sctp", consume_sctp("d", "p", 1)).buffered_amount, 30);
}

#[test]
fn a_router_shows_who_consumes_what() {
    let mut world = world();
    world.produce_data("sctp", produce_sctp("q", 7));
    world.consume_data("sctp", consume_sctp("c", "p", 8));
    world.consume_data("direct", consume_direct("d", "p"));
    let dump = world.router_dump();
    let producers = [("p".into(), vec!["c".into(), "d".into()]), ("q".into(), Vec::new())];
    assert_eq!(dump.data_consumers_of_data_producer, producers);
    let mut consumers = dump.data_producer_of_data_consumer;
    consumers.sort();
    assert_eq!(consumers, [("c".into(), "p".into()), ("d".into(), "p".into())]);
    assert!(dump.consumers_of_producer.is_empty() && dump.producer_of_consumer.is_empty());
}

/// Names of the consumers that were told to be gone.
fn closed(world: &mut World) -> Vec<String> {
    let name = |event| match event {
        Event::DataConsumerDataProducerClose { data_consumer } => Some(data_consumer.to_string()),
        _ => None,
    };
    world.take_events().into_iter().filter_map(name).collect()
}

#[test]
fn closing_a_producer_takes_its_consumers_along() {
    let mut world = world();
    world.consume_data("sctp", consume_sctp("c", "p", 8));
    world.consume_data("direct", consume_direct("d", "p"));
    world.transport("direct", TransportCommand::CloseDataProducer { data_producer: "p".into() });
    assert_eq!(closed(&mut world), ["c", "d"]);
    let gone = world.try_data_consumer("c", DataConsumerCommand::Dump).expect_err("gone");
    assert_eq!(gone.class, ErrorClass::NotFound);
    let dump = dump(&mut world, "sctp").base;
    assert!(dump.data_consumers.is_empty());
    // Names and streams are free again.
    world.produce_data("direct", produce_direct("p"));
    world.consume_data("sctp", consume_sctp("c", "p", 8));
}

#[test]
fn closing_a_consumer_is_silent_and_leaves_the_others() {
    let mut world = world();
    for name in ["a", "b", "c"] {
        world.consume_data("direct", consume_direct(name, "p"));
    }
    world.transport("direct", TransportCommand::CloseDataConsumer { data_consumer: "a".into() });
    assert!(world.take_events().is_empty());
    world.send("p", b"x");
    assert_eq!(world.take_receivers(b"x"), ["b", "c"]);
}

#[test]
fn closing_a_transport_tells_those_elsewhere() {
    let mut world = world();
    world.consume_data("sctp", consume_sctp("c", "p", 8));
    world.produce_data("sctp", produce_sctp("q", 1));
    world.consume_data("direct", consume_direct("d", "q"));
    world.close_transport("sctp");
    assert_eq!(closed(&mut world), ["d"]);
    let dump = world.router_dump();
    assert_eq!(dump.data_consumers_of_data_producer, [("p".into(), Vec::new())]);
    assert!(dump.data_producer_of_data_consumer.is_empty());
    world.send("p", b"x");
    assert!(world.take_messages().is_empty());
}

#[test]
fn closing_a_router_is_silent() {
    let mut world = world();
    world.consume_data("sctp", consume_sctp("c", "p", 8));
    world.command(Command::CloseRouter { router: ROUTER.into() });
    assert!(world.take_events().is_empty());
    assert_eq!(world.sockets.open_count(), 0);
    world.command(Command::CreateRouter { router: ROUTER.into() });
    world.direct("direct");
    world.produce_data("direct", produce_direct("p"));
    world.consume_data("direct", consume_direct("c", "p"));
}

/// A SHUTDOWN COMPLETE, whose checksum is right.
const SCTP: [u8; 16] = [0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4, 0xa5, 0xc1, 0x36, 0x03, 14, 0, 0, 4];

#[test]
fn a_comedia_transport_learns_its_peer_from_sctp_where_it_is_enabled() {
    let mut world = World::new();
    let options = |enable_sctp| {
        let mut options = small_sctp();
        options.comedia = true;
        options.base.enable_sctp = enable_sctp;
        options
    };
    let mut noise = SCTP;
    noise[15] ^= 1;
    for (name, enable_sctp) in [("with", true), ("without", false)] {
        let port = world.create_plain(name, options(enable_sctp)).expect("created").tuple.local_port;
        let socket = world.socket_of(port);
        world.receive(socket, remote(1), &noise);
        assert!(world.take_events().is_empty());
        world.receive(socket, remote(2), &SCTP);
        let told = world.take_events();
        let learned = matches!(
            &told[..],
            [Event::PlainTransportTuple { transport, tuple }]
                if &**transport == name && tuple.remote == Some(remote(2))
        );
        assert_eq!((learned, told.len()), (enable_sctp, usize::from(enable_sctp)));
        world.receive(socket, remote(3), &SCTP);
        assert!(world.take_events().is_empty());
    }
    assert_eq!(world.dropped(DropReason::Sctp), 6);
    world.assert_accounted();
}
