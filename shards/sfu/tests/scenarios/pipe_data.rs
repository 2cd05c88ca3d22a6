//! Data channels through pipes whose ends are in one process: messages pass without SCTP.

use ringsoup_sfu::command::{CommandError, PipeTransportOptions, TransportCommand};
use ringsoup_sfu::data::command::DataConsumerCommand;
use ringsoup_sfu::data::reply::{SctpNegotiatedCapabilities, SctpState};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;
use ringsoup_sfu::piped::PipeEnd;
use ringsoup_sfu::reply::Reply;

use crate::common::World;
use crate::common::bridge::{Between, Bridge, FAR, FAR_KEY, NEAR, NEAR_KEY, pipe_options};
use crate::common::data::{
    BINARY, TEXT, audience, consume_direct, consume_sctp, message, produce_direct, produce_sctp,
};

const STREAM: u16 = 7;

fn with_sctp() -> PipeTransportOptions {
    let mut options = pipe_options();
    options.base.enable_sctp = true;
    options.base.sctp_send_buffer_size = 1_000;
    options.base.sctp_per_stream_send_queue_limit = 1_000;
    options.base.sctp_default_stream_buffered_amount_low_threshold = 2;
    options
}

/// A direct data producer on the near shard, which goes through the pipe to two direct data consumers on the far one.
fn bridge() -> Bridge {
    let mut bridge = Bridge::apart(Between::Mesh, &with_sctp());
    bridge.near.direct("source");
    bridge.near.produce_data("source", produce_direct("data"));
    bridge.near.consume_data(NEAR, consume_sctp("out", "data", STREAM));
    bridge.far.produce_data(FAR, produce_sctp("in", STREAM));
    bridge.far.direct("sink");
    for name in ["a", "b"] {
        let mut request = consume_direct(name, "in");
        request.subchannels = if name == "a" { vec![1] } else { vec![2] };
        bridge.far.consume_data("sink", request);
    }
    bridge
}

#[test]
fn messages_pass_with_their_ppid_and_audience() {
    let mut bridge = bridge();
    bridge.join();
    bridge.near.send("data", b"everybody");
    bridge.near.send_to("data", b"some", audience(&[1, 9], None, None));
    bridge.near.send_to("data", b"required", audience(&[], Some(2), None));
    bridge.near.send_to("data", b"ignored", audience(&[], None, Some(2)));
    bridge.near.data_consumer("out", DataConsumerCommand::Send(message(TEXT, b"alone")));
    bridge.carry();
    let received = bridge.far.take_messages();
    let told: Vec<_> = received.iter().map(|(name, message)| (&name[..], &message.payload[..])).collect();
    let expected: [(&str, &[u8]); 7] = [
        ("a", b"everybody"),
        ("b", b"everybody"),
        ("a", b"some"),
        ("b", b"required"),
        ("a", b"ignored"),
        ("a", b"alone"),
        ("b", b"alone"),
    ];
    assert_eq!(told, expected);
    assert_eq!((received[0].1.ppid, received[6].1.ppid), (BINARY, TEXT));
    assert_eq!(bridge.near.data_consumer_stats("out").messages_sent, 5);
    assert_eq!(bridge.far.data_producer_stats("in").messages_received, 5);
    let (near, far) = (bridge.near.pipe_stats(NEAR), bridge.far.pipe_stats(FAR));
    assert!(near.bytes_sent > 0 && near.bytes_sent == far.bytes_received);
    bridge.far.assert_accounted();
}

#[test]
fn what_waited_before_the_ends_met_passes_first() {
    let mut bridge = bridge();
    bridge.near.send("data", b"early");
    bridge.near.send("data", b"later");
    let buffered = |bridge: &mut Bridge| match bridge
        .near
        .data_consumer("out", DataConsumerCommand::GetBufferedAmount)
    {
        Reply::BufferedAmount(bytes) => bytes,
        other => panic!("not an amount: {other:?}"),
    };
    assert_eq!(buffered(&mut bridge), 10);
    bridge.join();
    assert_eq!(buffered(&mut bridge), 0);
    let tells_low =
        |event: &Event| matches!(event, Event::DataConsumerBufferedAmountLow { buffered_amount: 0, .. });
    assert!(bridge.near.take_events().iter().any(tells_low));
    bridge.near.send("data", b"joined");
    bridge.carry();
    let of_a = bridge.far.take_messages().into_iter().filter(|(name, _)| name == "a");
    let payloads: Vec<_> = of_a.map(|(_, message)| message.payload.to_vec()).collect();
    let expected: [&[u8]; 3] = [b"early", b"later", b"joined"];
    assert_eq!(payloads, expected);
}

#[test]
fn what_the_far_end_cannot_take_is_counted_there() {
    let mut options = with_sctp();
    options.base.max_receive_message_size = 100;
    let mut bridge = Bridge::apart(Between::Mesh, &options);
    bridge.join();
    bridge.near.direct("source");
    bridge.near.produce_data("source", produce_direct("data"));
    bridge.near.consume_data(NEAR, consume_sctp("out", "data", STREAM));
    bridge.near.send("data", b"to no data producer");
    bridge.carry();
    bridge.far.produce_data(FAR, produce_sctp("in", STREAM));
    bridge.near.send("data", &[1; 101]);
    bridge.near.send("data", &[1; 100]);
    bridge.carry();
    assert_eq!(bridge.far.dropped(DropReason::MessageRefused), 2);
    assert_eq!(bridge.far.data_producer_stats("in").messages_received, 1);
    bridge.near.send("data", b"");
    bridge.far.close_transport(FAR);
    bridge.near.send("data", b"too late");
    bridge.carry();
    assert_eq!(bridge.far.dropped(DropReason::UnknownPipe), 1);
    bridge.near.transport(NEAR, TransportCommand::JoinPipe(None));
    bridge.near.send("data", b"refused");
    assert!(!bridge.carry(), "its association is closed");
    bridge.far.assert_accounted();
}

/// What a transport was told of its association since the last call.
fn association_events(world: &mut World) -> Vec<String> {
    let word = |event| match event {
        Event::TransportSctpState { transport, state } => Some(format!("{transport} {state:?}")),
        Event::TransportSctpNegotiated { transport, capabilities } => {
            let SctpNegotiatedCapabilities { max_outbound_streams, max_inbound_streams } = capabilities;
            Some(format!("{transport} {max_outbound_streams}/{max_inbound_streams}"))
        }
        _ => None,
    };
    world.take_events().into_iter().filter_map(word).collect()
}

fn opened(pipe: &str) -> [String; 3] {
    [format!("{pipe} Connecting"), format!("{pipe} 65535/65535"), format!("{pipe} Connected")]
}

#[test]
fn an_association_opens_with_the_first_that_uses_it_and_closes_with_the_pipe() {
    let mut bridge = Bridge::apart(Between::Mesh, &with_sctp());
    bridge.near.direct("source");
    bridge.near.produce_data("source", produce_direct("data"));
    bridge.near.consume_data(NEAR, consume_sctp("out", "data", STREAM));
    assert!(association_events(&mut bridge.near).is_empty());
    bridge.join();
    assert_eq!(association_events(&mut bridge.near), opened(NEAR));
    assert!(association_events(&mut bridge.far).is_empty(), "nothing uses it there, and nobody called yet");
    assert!(bridge.carry());
    assert_eq!(association_events(&mut bridge.far), opened(FAR));
    bridge.far.produce_data(FAR, produce_sctp("in", STREAM));
    bridge.far.produce_data(FAR, produce_sctp("second", STREAM + 1));
    assert!(!bridge.carry(), "who was called does not call back");
    assert!(association_events(&mut bridge.far).is_empty());
    assert_eq!(bridge.near.pipe_stats(NEAR).sctp_state, Some(SctpState::Connected));

    bridge.far.close_transport(FAR);
    bridge.near.transport(NEAR, TransportCommand::JoinPipe(None));
    assert_eq!(association_events(&mut bridge.near), [format!("{NEAR} Closed")]);
    assert_eq!(bridge.near.pipe_stats(NEAR).sctp_state, Some(SctpState::Closed));
    let sent = bridge.near.try_data_consumer("out", DataConsumerCommand::Send(message(TEXT, b"x")));
    assert_eq!(sent.expect_err("refused"), CommandError::error("message send failed"));
}

#[test]
fn who_is_called_before_it_knows_by_whom_opens_when_it_does() {
    let mut bridge = Bridge::apart(Between::Mesh, &with_sctp());
    bridge.near.produce_data(NEAR, produce_sctp("in", STREAM));
    let end = |key, shard| TransportCommand::JoinPipe(Some(PipeEnd { key, shard }));
    bridge.near.transport(NEAR, end(FAR_KEY, 1));
    bridge.carry();
    assert!(association_events(&mut bridge.far).is_empty());
    bridge.far.transport(FAR, end(NEAR_KEY, 0));
    assert_eq!(association_events(&mut bridge.far), opened(FAR));
    assert!(!bridge.carry());
    bridge.far.assert_accounted();
}

#[test]
fn nothing_goes_into_an_association_that_was_closed() {
    let mut bridge = bridge();
    bridge.join();
    bridge.carry();
    bridge.near.transport(NEAR, TransportCommand::JoinPipe(None));
    bridge.near.transport(NEAR, TransportCommand::JoinPipe(Some(PipeEnd { key: FAR_KEY, shard: 1 })));
    association_events(&mut bridge.near);
    bridge.near.consume_data(NEAR, consume_sctp("late", "data", STREAM + 1));
    let sent = bridge.near.try_data_consumer("late", DataConsumerCommand::Send(message(TEXT, b"x")));
    assert_eq!(sent.expect_err("refused"), CommandError::error("message send failed"));
    bridge.near.send("data", b"x");
    assert!(!bridge.carry() && association_events(&mut bridge.near).is_empty());
    // Nor out of it: the other end was told nothing.
    bridge.far.direct("source");
    bridge.far.produce_data("source", produce_direct("back"));
    bridge.far.consume_data(FAR, consume_sctp("out", "back", STREAM));
    bridge.near.produce_data(NEAR, produce_sctp("in", STREAM));
    bridge.far.send("back", b"x");
    bridge.carry();
    assert_eq!(bridge.near.dropped(DropReason::MessageRefused), 1);
    assert_eq!(bridge.near.data_producer_stats("in").messages_received, 0);
}

#[test]
fn what_opens_an_association_is_answered_first() {
    let mut bridge = Bridge::apart(Between::Mesh, &with_sctp());
    bridge.join();
    bridge.near.take_events();
    bridge.near.produce_data(NEAR, produce_sctp("in", STREAM));
    assert_eq!((bridge.near.out.take_reply_at(), bridge.near.out.events.len()), (0, 3));
}

#[test]
fn without_sctp_a_pipe_has_no_association_to_open() {
    let mut bridge = Bridge::new(Between::Mesh);
    let error = bridge.near.try_produce_data(NEAR, produce_sctp("in", STREAM)).expect_err("refused");
    assert_eq!(error, CommandError::error("SCTP not enabled and not a direct Transport"));
    assert_eq!(bridge.near.pipe_stats(NEAR).sctp_state, None);
}
