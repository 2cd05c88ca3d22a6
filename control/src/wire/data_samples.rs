//! Frames about data producers and data consumers that the tests share.

use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::notification::{
    Body as NotificationBody, Event, Notification as WireNotification, NotificationArgs,
};
use ringsoup_fbs::fbs::request::{Body, Method as Number};
use ringsoup_fbs::fbs::{data_consumer, data_producer, sctp_parameters, transport};
use ringsoup_fbs::finish_message;

use super::{Builder, samples};
use crate::method::Method;

fn stream(builder: &mut Builder) -> flatbuffers::WIPOffset<sctp_parameters::SctpStreamParameters<'static>> {
    let args = sctp_parameters::SctpStreamParametersArgs {
        stream_id: 12_345,
        ordered: Some(false),
        max_packet_life_time: None,
        max_retransmits: Some(3),
    };
    sctp_parameters::SctpStreamParameters::create(builder, &args)
}

pub(super) fn produce_data(kind: u8, with_stream: bool) -> Vec<u8> {
    samples::request(Number::TRANSPORT_PRODUCE_DATA, |builder| {
        let data_producer_id = Some(builder.create_string("dp"));
        let sctp_stream_parameters = with_stream.then(|| stream(builder));
        let label = with_stream.then(|| builder.create_string("label"));
        let protocol = with_stream.then(|| builder.create_string("protocol"));
        let args = transport::ProduceDataRequestArgs {
            data_producer_id,
            type_: data_producer::Type(kind),
            sctp_stream_parameters,
            label,
            protocol,
            paused: true,
        };
        let body = transport::ProduceDataRequest::create(builder, &args).as_union_value();
        (Body::Transport_ProduceDataRequest, Some(body))
    })
}

pub(super) fn consume_data(kind: u8, with_stream: bool) -> Vec<u8> {
    samples::request(Number::TRANSPORT_CONSUME_DATA, |builder| {
        let data_consumer_id = Some(builder.create_string("dc"));
        let data_producer_id = Some(builder.create_string("dp"));
        let sctp_stream_parameters = with_stream.then(|| stream(builder));
        let label = with_stream.then(|| builder.create_string("label"));
        let protocol = with_stream.then(|| builder.create_string("protocol"));
        let subchannels = with_stream.then(|| builder.create_vector(&[3_u16, 1, 65_535]));
        let args = transport::ConsumeDataRequestArgs {
            data_consumer_id,
            data_producer_id,
            type_: data_consumer::Type(kind),
            sctp_stream_parameters,
            label,
            protocol,
            paused: true,
            subchannels,
        };
        let body = transport::ConsumeDataRequest::create(builder, &args).as_union_value();
        (Body::Transport_ConsumeDataRequest, Some(body))
    })
}

/// A valid request for every method about data that has a body.
pub(super) fn requests() -> Vec<(Method, Vec<u8>)> {
    let mut requests = vec![
        (Method::TransportProduceData, produce_data(0, true)),
        (Method::TransportConsumeData, consume_data(0, true)),
        (Method::TransportCloseDataProducer, close_data_producer()),
        (Method::TransportCloseDataConsumer, close_data_consumer()),
    ];
    requests.extend(consumer_requests());
    requests
}

fn close_data_producer() -> Vec<u8> {
    samples::request(Number::TRANSPORT_CLOSE_DATAPRODUCER, |builder| {
        let data_producer_id = Some(builder.create_string("dp"));
        let args = transport::CloseDataProducerRequestArgs { data_producer_id };
        let body = transport::CloseDataProducerRequest::create(builder, &args).as_union_value();
        (Body::Transport_CloseDataProducerRequest, Some(body))
    })
}

fn close_data_consumer() -> Vec<u8> {
    samples::request(Number::TRANSPORT_CLOSE_DATACONSUMER, |builder| {
        let data_consumer_id = Some(builder.create_string("dc"));
        let args = transport::CloseDataConsumerRequestArgs { data_consumer_id };
        let body = transport::CloseDataConsumerRequest::create(builder, &args).as_union_value();
        (Body::Transport_CloseDataConsumerRequest, Some(body))
    })
}

fn consumer_requests() -> Vec<(Method, Vec<u8>)> {
    use data_consumer as wire;
    vec![
        (
            Method::DataConsumerSetBufferedAmountLowThreshold,
            samples::request(Number::DATACONSUMER_SET_BUFFERED_AMOUNT_LOW_THRESHOLD, |builder| {
                let args = wire::SetBufferedAmountLowThresholdRequestArgs { threshold: 4_000_000_000 };
                let body =
                    wire::SetBufferedAmountLowThresholdRequest::create(builder, &args).as_union_value();
                (Body::DataConsumer_SetBufferedAmountLowThresholdRequest, Some(body))
            }),
        ),
        (
            Method::DataConsumerSend,
            samples::request(Number::DATACONSUMER_SEND, |builder| {
                let args = wire::SendRequestArgs { ppid: 51, data: Some(builder.create_vector(b"hi")) };
                let body = wire::SendRequest::create(builder, &args).as_union_value();
                (Body::DataConsumer_SendRequest, Some(body))
            }),
        ),
        (
            Method::DataConsumerSetSubchannels,
            samples::request(Number::DATACONSUMER_SET_SUBCHANNELS, |builder| {
                let subchannels = Some(builder.create_vector(&[9_u16, 9, 8]));
                let args = wire::SetSubchannelsRequestArgs { subchannels };
                let body = wire::SetSubchannelsRequest::create(builder, &args).as_union_value();
                (Body::DataConsumer_SetSubchannelsRequest, Some(body))
            }),
        ),
        (
            Method::DataConsumerAddSubchannel,
            samples::request(Number::DATACONSUMER_ADD_SUBCHANNEL, |builder| {
                let args = wire::AddSubchannelRequestArgs { subchannel: 7 };
                let body = wire::AddSubchannelRequest::create(builder, &args).as_union_value();
                (Body::DataConsumer_AddSubchannelRequest, Some(body))
            }),
        ),
        (
            Method::DataConsumerRemoveSubchannel,
            samples::request(Number::DATACONSUMER_REMOVE_SUBCHANNEL, |builder| {
                let args = wire::RemoveSubchannelRequestArgs { subchannel: 6 };
                let body = wire::RemoveSubchannelRequest::create(builder, &args).as_union_value();
                (Body::DataConsumer_RemoveSubchannelRequest, Some(body))
            }),
        ),
    ]
}

/// A `dataProducer.send` to handler "h", as the Node library writes it: subchannels always, the others if given.
pub(super) fn send(payload: &[u8], addressed: bool) -> Vec<u8> {
    let mut builder = Builder::new();
    let subchannels: &[u16] = if addressed { &[1, 2] } else { &[] };
    let subchannels = Some(builder.create_vector(subchannels));
    let data = Some(builder.create_vector(payload));
    let args = data_producer::SendNotificationArgs {
        ppid: 53,
        data,
        subchannels,
        required_subchannel: addressed.then_some(0),
        ignored_subchannel: addressed.then_some(65_535),
    };
    let body = data_producer::SendNotification::create(&mut builder, &args).as_union_value();
    let handler_id = Some(builder.create_string("h"));
    let args = NotificationArgs {
        handler_id,
        event: Event::DATAPRODUCER_SEND,
        body_type: NotificationBody::DataProducer_SendNotification,
        body: Some(body),
    };
    let notification = WireNotification::create(&mut builder, &args);
    finish_message(&mut builder, MessageBody::Notification, notification.as_union_value()).to_vec()
}
