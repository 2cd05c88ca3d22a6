//! Data producers and data consumers with SCTP or of the application, and their messages, as bytes, prefix included.

use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::notification::{Body as NotificationBody, Event, Notification, NotificationArgs};
use ringsoup_fbs::fbs::plain_transport::{PlainTransportOptions, PlainTransportOptionsArgs};
use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::router::{CreatePlainTransportRequest, CreatePlainTransportRequestArgs};
use ringsoup_fbs::fbs::sctp_parameters::{SctpStreamParameters, SctpStreamParametersArgs};
use ringsoup_fbs::fbs::transport::{
    ConsumeDataRequest, ConsumeDataRequestArgs, Options, OptionsArgs, ProduceDataRequest,
    ProduceDataRequestArgs,
};
use ringsoup_fbs::fbs::{data_consumer, data_producer};
use ringsoup_fbs::finish_message;
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, WIPOffset};

use crate::request;

type Builder = FlatBufferBuilder<'static>;

/// Bytes that wait in all streams of [`create_sctp_transport`]'s before they are full.
pub const SEND_BUFFER_BYTES: u32 = 1_000;

/// A plain transport on loopback with SCTP.
pub fn create_sctp_transport(id: u32, router: &str, transport: &str) -> Vec<u8> {
    request::with_body(id, Method::ROUTER_CREATE_PLAINTRANSPORT, router, |builder| {
        let args = OptionsArgs {
            enable_sctp: true,
            max_send_message_size: 262_144,
            max_receive_message_size: 262_144,
            sctp_send_buffer_size: SEND_BUFFER_BYTES,
            sctp_per_stream_send_queue_limit: SEND_BUFFER_BYTES,
            ..OptionsArgs::default()
        };
        let base = Some(Options::create(builder, &args));
        let listen_info = Some(request::listen_info(builder, "127.0.0.1", 0));
        let args = PlainTransportOptionsArgs {
            base,
            listen_info,
            rtcp_mux: true,
            ..PlainTransportOptionsArgs::default()
        };
        let options = Some(PlainTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string(transport));
        let args = CreatePlainTransportRequestArgs { transport_id, options };
        let body = CreatePlainTransportRequest::create(builder, &args);
        (Body::Router_CreatePlainTransportRequest, body.as_union_value())
    })
}

fn stream(builder: &mut Builder, stream_id: u16) -> WIPOffset<SctpStreamParameters<'static>> {
    let args = SctpStreamParametersArgs { stream_id, ..SctpStreamParametersArgs::default() };
    SctpStreamParameters::create(builder, &args)
}

/// Of the application without a stream.
pub fn produce(id: u32, transport: &str, producer: &str, stream_id: Option<u16>, paused: bool) -> Vec<u8> {
    request::with_body(id, Method::TRANSPORT_PRODUCE_DATA, transport, |builder| {
        let data_producer_id = Some(builder.create_string(producer));
        let type_ = match stream_id {
            Some(_) => data_producer::Type::SCTP,
            None => data_producer::Type::DIRECT,
        };
        let sctp_stream_parameters = stream_id.map(|stream_id| stream(builder, stream_id));
        let args = ProduceDataRequestArgs {
            data_producer_id,
            type_,
            sctp_stream_parameters,
            paused,
            ..ProduceDataRequestArgs::default()
        };
        let body = ProduceDataRequest::create(builder, &args).as_union_value();
        (Body::Transport_ProduceDataRequest, body)
    })
}

/// For the application without a stream.
pub fn consume(id: u32, transport: &str, consumer: &str, producer: &str, stream_id: Option<u16>) -> Vec<u8> {
    request::with_body(id, Method::TRANSPORT_CONSUME_DATA, transport, |builder| {
        let data_consumer_id = Some(builder.create_string(consumer));
        let data_producer_id = Some(builder.create_string(producer));
        let type_ = match stream_id {
            Some(_) => data_consumer::Type::SCTP,
            None => data_consumer::Type::DIRECT,
        };
        let sctp_stream_parameters = stream_id.map(|stream_id| stream(builder, stream_id));
        let args = ConsumeDataRequestArgs {
            data_consumer_id,
            data_producer_id,
            type_,
            sctp_stream_parameters,
            ..ConsumeDataRequestArgs::default()
        };
        let body = ConsumeDataRequest::create(builder, &args).as_union_value();
        (Body::Transport_ConsumeDataRequest, body)
    })
}

/// `dataConsumer.send()`.
pub fn send_to_peer(id: u32, consumer: &str, payload: &[u8]) -> Vec<u8> {
    request::with_body(id, Method::DATACONSUMER_SEND, consumer, |builder| {
        let data = Some(builder.create_vector(payload));
        let args = data_consumer::SendRequestArgs { ppid: 53, data };
        let body = data_consumer::SendRequest::create(builder, &args).as_union_value();
        (Body::DataConsumer_SendRequest, body)
    })
}

/// `dataProducer.send()`, which nobody answers.
pub fn send(producer: &str, payload: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new();
    let data = Some(builder.create_vector(payload));
    let subchannels = Some(builder.create_vector::<u16>(&[]));
    let args = data_producer::SendNotificationArgs {
        ppid: 53,
        data,
        subchannels,
        ..data_producer::SendNotificationArgs::default()
    };
    let body = data_producer::SendNotification::create(&mut builder, &args).as_union_value();
    let handler_id = Some(builder.create_string(producer));
    let args = NotificationArgs {
        handler_id,
        event: Event::DATAPRODUCER_SEND,
        body_type: NotificationBody::DataProducer_SendNotification,
        body: Some(body),
    };
    let told = Notification::create(&mut builder, &args);
    finish_message(&mut builder, MessageBody::Notification, told.as_union_value()).to_vec()
}
