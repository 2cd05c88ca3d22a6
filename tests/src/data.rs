//! Requests of data producers and data consumers, prefix included: on direct transports where nothing else is said.

use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::sctp_parameters::{SctpStreamParameters, SctpStreamParametersArgs};
use ringsoup_fbs::fbs::transport::{
    CloseDataConsumerRequest, CloseDataConsumerRequestArgs, CloseDataProducerRequest,
    CloseDataProducerRequestArgs, ConsumeDataRequest, ConsumeDataRequestArgs, ProduceDataRequest,
    ProduceDataRequestArgs,
};
use ringsoup_fbs::fbs::{data_consumer, data_producer};
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, WIPOffset};

use crate::request::with_body;

pub fn produce(id: u32, transport: &str, data_producer: &str) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_PRODUCE_DATA, transport, |builder| {
        let args = ProduceDataRequestArgs {
            data_producer_id: Some(builder.create_string(data_producer)),
            type_: data_producer::Type::DIRECT,
            label: Some(builder.create_string("label")),
            protocol: Some(builder.create_string("protocol")),
            ..ProduceDataRequestArgs::default()
        };
        (Body::Transport_ProduceDataRequest, ProduceDataRequest::create(builder, &args).as_union_value())
    })
}

pub fn consume(id: u32, transport: &str, data_consumer: &str, data_producer: &str) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_CONSUME_DATA, transport, |builder| {
        let args = ConsumeDataRequestArgs {
            data_consumer_id: Some(builder.create_string(data_consumer)),
            data_producer_id: Some(builder.create_string(data_producer)),
            type_: data_consumer::Type::DIRECT,
            subchannels: Some(builder.create_vector(&[1_u16, 2])),
            ..ConsumeDataRequestArgs::default()
        };
        (Body::Transport_ConsumeDataRequest, ConsumeDataRequest::create(builder, &args).as_union_value())
    })
}

/// On a transport with SCTP.
pub fn produce_over_sctp(id: u32, transport: &str, data_producer: &str, stream: u16) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_PRODUCE_DATA, transport, |builder| {
        let args = ProduceDataRequestArgs {
            data_producer_id: Some(builder.create_string(data_producer)),
            type_: data_producer::Type::SCTP,
            sctp_stream_parameters: Some(ordered_stream(builder, stream)),
            ..ProduceDataRequestArgs::default()
        };
        (Body::Transport_ProduceDataRequest, ProduceDataRequest::create(builder, &args).as_union_value())
    })
}

/// On a transport with SCTP.
pub fn consume_over_sctp(
    id: u32,
    transport: &str,
    data_consumer: &str,
    data_producer: &str,
    stream: u16,
) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_CONSUME_DATA, transport, |builder| {
        let args = ConsumeDataRequestArgs {
            data_consumer_id: Some(builder.create_string(data_consumer)),
            data_producer_id: Some(builder.create_string(data_producer)),
            type_: data_consumer::Type::SCTP,
            sctp_stream_parameters: Some(ordered_stream(builder, stream)),
            ..ConsumeDataRequestArgs::default()
        };
        (Body::Transport_ConsumeDataRequest, ConsumeDataRequest::create(builder, &args).as_union_value())
    })
}

fn ordered_stream(
    builder: &mut FlatBufferBuilder<'static>,
    stream_id: u16,
) -> WIPOffset<SctpStreamParameters<'static>> {
    let args = SctpStreamParametersArgs { stream_id, ordered: Some(true), ..Default::default() };
    SctpStreamParameters::create(builder, &args)
}

pub fn close_producer(id: u32, transport: &str, data_producer: &str) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_CLOSE_DATAPRODUCER, transport, |builder| {
        let data_producer_id = Some(builder.create_string(data_producer));
        let args = CloseDataProducerRequestArgs { data_producer_id };
        let body = CloseDataProducerRequest::create(builder, &args);
        (Body::Transport_CloseDataProducerRequest, body.as_union_value())
    })
}

pub fn close_consumer(id: u32, transport: &str, data_consumer: &str) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_CLOSE_DATACONSUMER, transport, |builder| {
        let data_consumer_id = Some(builder.create_string(data_consumer));
        let args = CloseDataConsumerRequestArgs { data_consumer_id };
        let body = CloseDataConsumerRequest::create(builder, &args);
        (Body::Transport_CloseDataConsumerRequest, body.as_union_value())
    })
}
