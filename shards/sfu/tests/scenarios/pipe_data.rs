//! Data channels through pipes whose ends are in one process: messages pass without SCTP.

use ringsoup_sfu::command::{PipeTransportOptions, TransportCommand};
use ringsoup_sfu::data::command::DataConsumerCommand;
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::reply::Reply;

use crate::common::bridge::{Between, Bridge, FAR, NEAR, pipe_options};
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
    let tells_low = |event: &ringsoup_sfu::event::Event| {
        matches!(event, ringsoup_sfu::event::Event::DataConsumerBufferedAmountLow { buffered_amount: 0, .. })
    };
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
    bridge.near.send("data", b"waits");
    assert!(!bridge.carry(), "it waits for an association again");
    bridge.far.assert_accounted();
}
