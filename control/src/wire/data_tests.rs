//! Data producers, data consumers and SCTP, read and written.

use std::num::NonZeroU16;

use ringsoup_fbs::fbs::notification::{Event as Number, Notification};
use ringsoup_fbs::fbs::response::Response as WireResponse;
use ringsoup_fbs::fbs::sctp_association::SctpState as WireState;
use ringsoup_fbs::fbs::{data_consumer as wire_consumer, data_producer as wire_producer};
use ringsoup_fbs::verify_message;
use ringsoup_rtc::subchannels::Audience;
use ringsoup_sfu::command::{CommandError, NumSctpStreams};
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::command::{DataType, SctpStreamParameters};
use ringsoup_sfu::data::reply::{
    DataConsumerDump, DataConsumerStats, DataProducerDump, DataProducerStats, SctpDump,
    SctpNegotiatedCapabilities, SctpState,
};
use ringsoup_sfu::data::stream_parameters::StreamParameters;
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::{Reply, RouterDump, TransportDump, TransportStats};

use super::{Encoder, data_samples, decode, reply_samples};
use crate::message::{Incoming, Notification as Told, NotificationBody, RequestBody, Response, ResponseBody};
use crate::method::Method;

fn body(frame: &[u8]) -> Result<RequestBody, CommandError> {
    match decode(frame) {
        Ok(Incoming::Request(request)) => request.body.map_err(Into::into),
        other => panic!("not a request: {other:?}"),
    }
}

fn sample(method: Method) -> RequestBody {
    let frames = data_samples::requests();
    body(&frames.iter().find(|(of, _)| *of == method).unwrap().1).unwrap()
}

fn reply(reply: Reply, check: impl FnOnce(WireResponse<'_>)) {
    let mut encoder = Encoder::new();
    let frame = encoder.response(&Response { id: 9.into(), result: Ok(ResponseBody::Shard(reply)) });
    check(verify_message(frame).unwrap().data_as_response().unwrap());
}

fn tell(event: &Event, number: Number, check: impl FnOnce(Notification<'_>)) {
    let mut encoder = Encoder::new();
    let message = verify_message(encoder.event(event).unwrap().message).unwrap();
    let notification = message.data_as_notification().unwrap();
    assert_eq!((notification.handler_id(), notification.event()), ("dc", number));
    check(notification);
}

#[test]
fn produce_data() {
    let RequestBody::ProduceData(produce) = sample(Method::TransportProduceData) else { panic!() };
    assert_eq!((&*produce.data_producer, produce.data_type), ("dp", DataType::Sctp));
    let stream = SctpStreamParameters {
        stream_id: 12_345,
        ordered: Some(false),
        max_packet_life_time: None,
        max_retransmits: Some(3),
    };
    assert_eq!(produce.sctp_stream_parameters, Some(stream));
    assert_eq!((&produce.label[..], &produce.protocol[..], produce.paused), ("label", "protocol", true));
    let bare = body(&data_samples::produce_data(1, false)).unwrap();
    let RequestBody::ProduceData(produce) = bare else { panic!() };
    assert_eq!((produce.data_type, produce.sctp_stream_parameters), (DataType::Direct, None));
    assert_eq!((&produce.label[..], &produce.protocol[..]), ("", ""));
    let error = body(&data_samples::produce_data(2, true)).unwrap_err();
    assert_eq!(error, CommandError::type_error("unknown data producer type 2"));
}

#[test]
fn consume_data() {
    let RequestBody::ConsumeData(consume) = sample(Method::TransportConsumeData) else { panic!() };
    assert_eq!((&*consume.data_consumer, &*consume.data_producer), ("dc", "dp"));
    assert_eq!(
        (consume.data_type, consume.sctp_stream_parameters.unwrap().stream_id),
        (DataType::Sctp, 12_345)
    );
    assert_eq!((&consume.label[..], &consume.protocol[..], consume.paused), ("label", "protocol", true));
    assert_eq!(consume.subchannels, [3, 1, 65_535]);
    let bare = body(&data_samples::consume_data(1, false)).unwrap();
    let RequestBody::ConsumeData(consume) = bare else { panic!() };
    assert_eq!((consume.data_type, consume.subchannels.len()), (DataType::Direct, 0));
    let error = body(&data_samples::consume_data(2, true)).unwrap_err();
    assert_eq!(error, CommandError::type_error("unknown data consumer type 2"));
}

#[test]
fn requests_to_what_exists() {
    assert!(matches!(
        sample(Method::TransportCloseDataProducer),
        RequestBody::CloseDataProducer { data_producer } if &*data_producer == "dp"
    ));
    assert!(matches!(
        sample(Method::TransportCloseDataConsumer),
        RequestBody::CloseDataConsumer { data_consumer } if &*data_consumer == "dc"
    ));
    assert!(matches!(
        sample(Method::DataConsumerSetBufferedAmountLowThreshold),
        RequestBody::SetBufferedAmountLowThreshold(4_000_000_000)
    ));
    assert!(matches!(
        sample(Method::DataConsumerSend),
        RequestBody::SendData(Message { ppid: 51, payload }) if *payload == *b"hi"
    ));
    assert!(matches!(
        sample(Method::DataConsumerSetSubchannels),
        RequestBody::SetSubchannels(subchannels) if subchannels == [9, 9, 8]
    ));
    assert!(matches!(sample(Method::DataConsumerAddSubchannel), RequestBody::Subchannel(7)));
    assert!(matches!(sample(Method::DataConsumerRemoveSubchannel), RequestBody::Subchannel(6)));
}

#[test]
fn messages_of_the_application() {
    let read = |frame: &[u8]| match decode(frame) {
        Ok(Incoming::Notification(Told { handler_id, body: NotificationBody::DataProducerSend(sent) })) => {
            assert_eq!(handler_id, "h");
            *sent
        }
        other => panic!("{other:?}"),
    };
    let message = |payload: &[u8]| Message { ppid: 53, payload: payload.into() };
    assert_eq!(read(&data_samples::send(b"hi", false)), (message(b"hi"), Audience::default()));
    let audience = Audience { subchannels: vec![1, 2], required: Some(0), ignored: Some(65_535) };
    assert_eq!(read(&data_samples::send(b"", true)), (message(b""), audience));
}

pub(super) fn stream() -> StreamParameters {
    StreamParameters {
        stream_id: 0,
        ordered: true,
        max_packet_life_time: NonZeroU16::new(5),
        max_retransmits: None,
    }
}

#[test]
fn data_producers() {
    let dump = |stream| Reply::DataProducerDump(Box::new(data_producer_dump(stream)));
    reply(dump(Some(stream())), |response| {
        let dump = response.body_as_data_producer_dump_response().unwrap();
        assert_eq!((dump.id(), dump.type_()), ("dp", wire_producer::Type::SCTP));
        assert_eq!((dump.label(), dump.protocol(), dump.paused()), ("label", "", true));
        let stream = dump.sctp_stream_parameters().unwrap();
        assert_eq!((stream.stream_id(), stream.ordered()), (0, Some(true)));
        assert_eq!((stream.max_packet_life_time(), stream.max_retransmits()), (Some(5), None));
    });
    reply(dump(None), |response| {
        let dump = response.body_as_data_producer_dump_response().unwrap();
        assert_eq!((dump.type_(), dump.sctp_stream_parameters()), (wire_producer::Type::DIRECT, None));
    });
    reply(Reply::DataProducerStats(Box::new(data_producer_stats())), |response| {
        let stats = response.body_as_data_producer_get_stats_response().unwrap();
        assert_eq!((stats.timestamp(), stats.label(), stats.protocol()), (77, "label", "protocol"));
        assert_eq!((stats.messages_received(), stats.bytes_received()), (5, 5_000_000_000));
    });
}

pub(super) fn data_producer_dump(stream: Option<StreamParameters>) -> DataProducerDump {
    DataProducerDump {
        id: "dp".to_owned(),
        data_type: if stream.is_some() { DataType::Sctp } else { DataType::Direct },
        stream,
        label: "label".to_owned(),
        protocol: String::new(),
        paused: true,
    }
}

pub(super) fn data_producer_stats() -> DataProducerStats {
    DataProducerStats {
        timestamp_ms: 77,
        label: "label".to_owned(),
        protocol: "protocol".to_owned(),
        messages_received: 5,
        bytes_received: 5_000_000_000,
    }
}

pub(super) fn data_consumer_dump() -> DataConsumerDump {
    DataConsumerDump {
        id: "dc".to_owned(),
        data_producer: "dp".into(),
        data_type: DataType::Sctp,
        stream: Some(stream()),
        label: String::new(),
        protocol: "protocol".to_owned(),
        buffered_amount: 1,
        buffered_amount_low_threshold: 2,
        paused: false,
        data_producer_paused: true,
        subchannels: vec![4, 3],
    }
}

pub(super) fn data_consumer_stats() -> DataConsumerStats {
    DataConsumerStats {
        timestamp_ms: 77,
        label: "label".to_owned(),
        protocol: "protocol".to_owned(),
        messages_sent: 6,
        bytes_sent: 7,
        buffered_amount: 8,
    }
}

#[test]
fn data_consumers() {
    reply(Reply::DataConsumerDump(Box::new(data_consumer_dump())), |response| {
        let dump = response.body_as_data_consumer_dump_response().unwrap();
        assert_eq!((dump.id(), dump.data_producer_id()), ("dc", "dp"));
        assert_eq!(dump.type_(), wire_consumer::Type::SCTP);
        assert_eq!(dump.sctp_stream_parameters().unwrap().stream_id(), 0);
        assert_eq!((dump.label(), dump.protocol()), ("", "protocol"));
        assert_eq!((dump.buffered_amount(), dump.buffered_amount_low_threshold()), (1, 2));
        assert_eq!((dump.paused(), dump.data_producer_paused()), (false, true));
        assert_eq!(dump.subchannels().iter().collect::<Vec<_>>(), [4, 3]);
    });
    reply(Reply::DataConsumerStats(Box::new(data_consumer_stats())), |response| {
        let stats = response.body_as_data_consumer_get_stats_response().unwrap();
        assert_eq!((stats.timestamp(), stats.label(), stats.protocol()), (77, "label", "protocol"));
        assert_eq!((stats.messages_sent(), stats.bytes_sent(), stats.buffered_amount()), (6, 7, 8));
    });
}

#[test]
fn answers_of_data_consumers() {
    reply(Reply::BufferedAmount(9), |response| {
        let body = response.body_as_data_consumer_get_buffered_amount_response().unwrap();
        assert_eq!(body.buffered_amount(), 9);
    });
    reply(Reply::DataSent { buffered_amount: 10 }, |response| {
        assert_eq!(response.body_as_data_consumer_send_response().unwrap().buffered_amount(), 10);
    });
    reply(Reply::SetSubchannels(vec![2, 1]), |response| {
        let body = response.body_as_data_consumer_set_subchannels_response().unwrap();
        assert_eq!(body.subchannels().iter().collect::<Vec<_>>(), [2, 1]);
    });
    reply(Reply::AddSubchannel(vec![2, 1, 3]), |response| {
        let body = response.body_as_data_consumer_add_subchannel_response().unwrap();
        assert_eq!(body.subchannels().iter().collect::<Vec<_>>(), [2, 1, 3]);
    });
    reply(Reply::RemoveSubchannel(Vec::new()), |response| {
        let body = response.body_as_data_consumer_remove_subchannel_response().unwrap();
        assert_eq!(body.subchannels().len(), 0);
    });
}

#[test]
fn events_of_data_consumers() {
    let data_consumer = || "dc".into();
    let bare = |notification: Notification<'_>| assert!(notification.body().is_none());
    let event = Event::DataConsumerDataProducerPause { data_consumer: data_consumer() };
    tell(&event, Number::DATACONSUMER_DATAPRODUCER_PAUSE, bare);
    let event = Event::DataConsumerDataProducerResume { data_consumer: data_consumer() };
    tell(&event, Number::DATACONSUMER_DATAPRODUCER_RESUME, bare);
    let event = Event::DataConsumerDataProducerClose { data_consumer: data_consumer() };
    tell(&event, Number::DATACONSUMER_DATAPRODUCER_CLOSE, bare);
    let event = Event::DataConsumerSendBufferFull { data_consumer: data_consumer() };
    tell(&event, Number::DATACONSUMER_SCTP_SENDBUFFER_FULL, bare);
    let event = Event::DataConsumerBufferedAmountLow { data_consumer: data_consumer(), buffered_amount: 3 };
    tell(&event, Number::DATACONSUMER_BUFFERED_AMOUNT_LOW, |notification| {
        let body = notification.body_as_data_consumer_buffered_amount_low_notification().unwrap();
        assert_eq!(body.buffered_amount(), 3);
    });
    for payload in [&b""[..], b"hi"] {
        let message = Message { ppid: 51, payload: payload.into() };
        let event = Event::DataConsumerMessage { data_consumer: data_consumer(), message };
        tell(&event, Number::DATACONSUMER_MESSAGE, |notification| {
            let body = notification.body_as_data_consumer_message_notification().unwrap();
            assert_eq!((body.ppid(), body.data().bytes()), (51, payload));
        });
    }
}

#[test]
fn events_of_associations() {
    let event = Event::TransportSctpState { transport: "dc".into(), state: SctpState::Connected };
    tell(&event, Number::TRANSPORT_SCTP_STATE_CHANGE, |notification| {
        let body = notification.body_as_transport_sctp_state_change_notification().unwrap();
        assert_eq!(body.sctp_state(), WireState::CONNECTED);
    });
    let capabilities = SctpNegotiatedCapabilities { max_outbound_streams: 1, max_inbound_streams: 2 };
    let event = Event::TransportSctpNegotiated { transport: "dc".into(), capabilities };
    tell(&event, Number::TRANSPORT_SCTP_NEGOTIATED_CAPABILITIES, |notification| {
        let body = notification.body_as_transport_sctp_negotiated_capabilities_notification().unwrap();
        let negotiated = body.negotiated_capabilities().unwrap();
        assert_eq!(negotiated.negotiated_max_outbound_streams(), 1);
        assert_eq!(negotiated.negotiated_max_inbound_streams(), 2);
    });
}

pub(super) fn sctp() -> SctpDump {
    SctpDump {
        port: 5_000,
        max_send_message_size: 1,
        max_receive_message_size: 2,
        send_buffer_size: 3,
        per_stream_send_queue_limit: 4,
        max_receiver_window_buffer_size: 5,
        num_streams: Some(NumSctpStreams { os: 7, mis: 8 }),
        buffered_amount: 9,
        is_data_channel: true,
        state: SctpState::Connected,
        negotiated: SctpNegotiatedCapabilities { max_outbound_streams: 6, max_inbound_streams: 7 },
        data_producer_of_stream: vec![(8, "dp".into())],
    }
}

#[test]
fn transports_show_their_sctp() {
    let dump = TransportDump {
        data_producers: vec!["dp".into()],
        data_consumers: vec!["dc1".into(), "dc2".into()],
        sctp: Some(sctp()),
        ..reply_samples::transport_dump()
    };
    reply(Reply::DirectTransportDump(Box::new(dump)), |response| {
        let dump = response.body_as_direct_transport_dump_response().unwrap().base();
        assert_eq!(dump.data_producer_ids().iter().collect::<Vec<_>>(), ["dp"]);
        assert_eq!(dump.data_consumer_ids().iter().collect::<Vec<_>>(), ["dc1", "dc2"]);
        let parameters = dump.sctp_parameters().unwrap();
        assert_eq!((parameters.port(), parameters.is_data_channel()), (5_000, true));
        assert_eq!((parameters.max_send_message_size(), parameters.max_receive_message_size()), (1, 2));
        assert_eq!((parameters.send_buffer_size(), parameters.per_stream_send_queue_limit()), (3, 4));
        assert_eq!(parameters.max_receiver_window_buffer_size(), 5);
        assert_eq!(dump.sctp_state(), Some(WireState::CONNECTED));
        let negotiated = dump.sctp_negotiated_capabilities().unwrap();
        assert_eq!(negotiated.negotiated_max_outbound_streams(), 6);
        assert_eq!(negotiated.negotiated_max_inbound_streams(), 7);
        let entry = dump.sctp_listener().unwrap().stream_id_table().get(0);
        assert_eq!((entry.key(), entry.value()), (8, "dp"));
    });
    reply(Reply::DirectTransportDump(Box::new(reply_samples::transport_dump())), |response| {
        let dump = response.body_as_direct_transport_dump_response().unwrap().base();
        assert!(dump.sctp_parameters().is_none() && dump.sctp_listener().is_none());
        assert!(dump.sctp_negotiated_capabilities().is_none());
        assert_eq!(dump.sctp_state(), None);
    });
    let states = [
        (SctpState::New, WireState::NEW),
        (SctpState::Connecting, WireState::CONNECTING),
        (SctpState::Failed, WireState::FAILED),
        (SctpState::Closed, WireState::CLOSED),
    ];
    for (state, expected) in states {
        let stats = TransportStats { sctp_state: Some(state), ..reply_samples::transport_stats() };
        reply(Reply::DirectTransportStats(Box::new(stats)), |response| {
            let stats = response.body_as_direct_transport_get_stats_response().unwrap();
            assert_eq!(stats.base().sctp_state(), Some(expected));
        });
    }
}

#[test]
fn routers_show_who_consumes_data() {
    let dump = RouterDump {
        data_consumers_of_data_producer: vec![("dp".into(), vec!["dc1".into(), "dc2".into()])],
        data_producer_of_data_consumer: vec![("dc1".into(), "dp".into())],
        ..reply_samples::router_dump()
    };
    reply(Reply::RouterDump(Box::new(dump)), |response| {
        let dump = response.body_as_router_dump_response().unwrap();
        let consumers = dump.map_data_producer_id_data_consumer_ids().get(0);
        assert_eq!(consumers.key(), "dp");
        assert_eq!(consumers.values().iter().collect::<Vec<_>>(), ["dc1", "dc2"]);
        let producer = dump.map_data_consumer_id_data_producer_id().get(0);
        assert_eq!((producer.key(), producer.value()), ("dc1", "dp"));
        assert_eq!(dump.map_producer_id_consumer_ids().len(), 1);
    });
}
