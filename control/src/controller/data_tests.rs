//! The controller and data: who is asked, who is told, whose names are whose.

use ringsoup_rtc::subchannels::Audience;
use ringsoup_sfu::command::ErrorClass;
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::command::{ConsumeData, DataType, ProduceData};

use super::tests::{Bench, bench, direct, one};
use super::*;
use crate::message::RequestBody;

fn produce_data(name: &str) -> RequestBody {
    RequestBody::ProduceData(Box::new(ProduceData {
        data_producer: name.into(),
        data_type: DataType::Direct,
        sctp_stream_parameters: None,
        label: String::new(),
        protocol: String::new(),
        paused: false,
    }))
}

fn consume_data(name: &str) -> RequestBody {
    RequestBody::ConsumeData(Box::new(ConsumeData {
        data_consumer: name.into(),
        data_producer: "dp".into(),
        data_type: DataType::Direct,
        sctp_stream_parameters: None,
        label: String::new(),
        protocol: String::new(),
        paused: false,
        subchannels: Vec::new(),
    }))
}

/// A room with a data producer and a data consumer.
fn data_room() -> Bench {
    let mut bench = bench(1);
    bench.room();
    bench.done(Method::TransportProduceData, "t", produce_data("dp"));
    bench.done(Method::TransportConsumeData, "t", consume_data("dc"));
    bench
}

#[test]
fn data_requests_reach_what_they_name() {
    let mut bench = data_room();
    for (method, body) in [
        (Method::DataConsumerDump, RequestBody::None),
        (Method::DataConsumerGetStats, RequestBody::None),
        (Method::DataConsumerPause, RequestBody::None),
        (Method::DataConsumerResume, RequestBody::None),
        (Method::DataConsumerGetBufferedAmount, RequestBody::None),
        (Method::DataConsumerSetBufferedAmountLowThreshold, RequestBody::SetBufferedAmountLowThreshold(1)),
        (Method::DataConsumerSend, RequestBody::SendData(Message { ppid: 51, payload: [1].into() })),
        (Method::DataConsumerSetSubchannels, RequestBody::SetSubchannels(vec![1])),
        (Method::DataConsumerAddSubchannel, RequestBody::Subchannel(2)),
        (Method::DataConsumerRemoveSubchannel, RequestBody::Subchannel(1)),
    ] {
        let sent = bench.done(method, "dc", body);
        assert!(
            matches!(&sent.command, Command::DataConsumer { data_consumer, .. } if &**data_consumer == "dc"),
            "{method:?}"
        );
        let (class, reason) = bench.refused(method, "dp", RequestBody::None);
        assert_eq!((class, reason), (ErrorClass::Error, format!("unknown method '{}'", method.name())));
    }
    for method in [
        Method::DataProducerDump,
        Method::DataProducerGetStats,
        Method::DataProducerPause,
        Method::DataProducerResume,
    ] {
        let sent = bench.done(method, "dp", RequestBody::None);
        assert!(
            matches!(&sent.command, Command::DataProducer { data_producer, .. } if &**data_producer == "dp")
        );
        assert_eq!(bench.refused(method, "dc", RequestBody::None).0, ErrorClass::Error);
    }
}

#[test]
fn taken_data_names_are_refused_in_the_words_of_their_place() {
    let mut bench = data_room();
    bench.done(Method::RouterCreateDirectTransport, "r", direct("t2"));
    for (method, handler, body, reason) in [
        (
            Method::TransportProduceData,
            "t",
            produce_data("dp"),
            "a DataProducer with same dataProducerId already exists [method:transport.produceData]",
        ),
        (
            Method::TransportConsumeData,
            "t",
            consume_data("dc"),
            "a DataConsumer with same dataConsumerId already exists [method:transport.consumeData]",
        ),
        (
            Method::TransportProduceData,
            "t2",
            produce_data("dp"),
            "Channel request handler with ID dp already exists",
        ),
        (
            Method::TransportConsumeData,
            "t",
            consume_data("dp"),
            "Channel request handler with ID dp already exists",
        ),
    ] {
        assert_eq!(bench.refused(method, handler, body), (ErrorClass::Error, reason.into()));
    }
}

#[test]
fn a_shard_refuses_to_close_data_that_does_not_exist() {
    let mut bench = data_room();
    let body = || RequestBody::CloseDataProducer { data_producer: "dc".into() };
    let sent = bench.sent(Method::TransportCloseDataProducer, "t", body());
    let error = CommandError::not_found("DataProducer not found");
    assert!(matches!(
        one(bench.reply(sent.token, Err(error))),
        Effect::Respond(Response { result: Err(_), .. })
    ));
    // What has that name and is something else stays.
    assert!(bench.controller.registry.contains("dc"));
    bench.done(
        Method::TransportCloseDataConsumer,
        "t",
        RequestBody::CloseDataConsumer { data_consumer: "dc".into() },
    );
    assert!(!bench.controller.registry.contains("dc"));
}

#[test]
fn a_data_consumer_leaves_with_its_data_producer() {
    let mut bench = data_room();
    let mut out = Vec::new();
    let event = Event::DataConsumerDataProducerClose { data_consumer: "dc".into() };
    bench.controller.handle_event(event, &mut out);
    assert!(matches!(one(out), Effect::Notify(Event::DataConsumerDataProducerClose { .. })));
    assert!(!bench.controller.registry.contains("dc"));
}

#[test]
fn messages_reach_data_producers_only() {
    let mut bench = data_room();
    let mut tell = |handler: &str| {
        let message = Message { ppid: 53, payload: [1].into() };
        let body = NotificationBody::DataProducerSend(Box::new((message, Audience::default())));
        let mut out = Vec::new();
        let told = Notification { handler_id: handler.into(), body };
        bench.controller.handle_incoming(Incoming::Notification(told), &mut out);
        out
    };
    assert!(matches!(one(tell("dp")), Effect::Command { command: Command::DataProducer { .. }, .. }));
    for handler in ["dc", "p", "t", "nobody"] {
        assert!(tell(handler).is_empty(), "{handler}");
    }
    let mut notified = bench.controller.registry.notification_handlers();
    notified.sort();
    assert_eq!(notified, ["dp".into(), "p".into(), Name::from("t")]);
}
