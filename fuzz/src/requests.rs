//! Valid messages of a 3.27.1 controller, one per kind of body: what mutation starts from.

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use ringsoup_fbs::fbs::{
    consumer, data_consumer, data_producer, message, notification, plain_transport, producer, request,
    router, rtp_parameters, sctp_parameters, srtp_parameters, transport, worker,
};
use ringsoup_fbs::finish_message;

type Builder = FlatBufferBuilder<'static>;
type Body = (request::Body, WIPOffset<UnionWIPOffset>);

const HANDLER: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

/// All of them, each a frame with its size prefix: those below, whose every byte is meant, and everything that the
/// differential test's scripts say.
pub fn all() -> Vec<Vec<u8>> {
    let mut frames = crate::conversation::frames();
    let bodies: [fn(&mut Builder) -> Body; 14] = [
        update_settings,
        create_router,
        close_router,
        create_plain_transport,
        create_direct_transport,
        close_transport,
        connect,
        set_max_incoming_bitrate,
        produce,
        consume,
        close_producer,
        trace_producer,
        set_preferred_layers,
        set_priority,
    ];
    let methods = [
        request::Method::WORKER_UPDATE_SETTINGS,
        request::Method::WORKER_CREATE_ROUTER,
        request::Method::WORKER_CLOSE_ROUTER,
        request::Method::ROUTER_CREATE_PLAINTRANSPORT,
        request::Method::ROUTER_CREATE_DIRECTTRANSPORT,
        request::Method::ROUTER_CLOSE_TRANSPORT,
        request::Method::PLAINTRANSPORT_CONNECT,
        request::Method::TRANSPORT_SET_MAX_INCOMING_BITRATE,
        request::Method::TRANSPORT_PRODUCE,
        request::Method::TRANSPORT_CONSUME,
        request::Method::TRANSPORT_CLOSE_PRODUCER,
        request::Method::PRODUCER_ENABLE_TRACE_EVENT,
        request::Method::CONSUMER_SET_PREFERRED_LAYERS,
        request::Method::CONSUMER_SET_PRIORITY,
    ];
    for (method, body) in methods.into_iter().zip(bodies) {
        frames.push(request(method, body));
    }
    frames.push(worker_dump());
    frames.push(notification(notification::Event::PRODUCER_SEND, |builder| {
        let data = builder.create_vector(&[0x80_u8, 100, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3]);
        let args = producer::SendNotificationArgs { data: Some(data) };
        let body = producer::SendNotification::create(builder, &args);
        (notification::Body::Producer_SendNotification, body.as_union_value())
    }));
    frames.push(notification(notification::Event::TRANSPORT_SEND_RTCP, |builder| {
        let data = builder.create_vector(&[0x80_u8, 201, 0, 1, 0, 0, 0, 9]);
        let args = transport::SendRtcpNotificationArgs { data: Some(data) };
        let body = transport::SendRtcpNotification::create(builder, &args);
        (notification::Body::Transport_SendRtcpNotification, body.as_union_value())
    }));
    frames.push(request(request::Method::TRANSPORT_PRODUCE_DATA, produce_data));
    frames.push(request(request::Method::TRANSPORT_CONSUME_DATA, consume_data));
    frames.push(request(request::Method::DATACONSUMER_SEND, send_data));
    frames.push(request(request::Method::DATACONSUMER_SET_SUBCHANNELS, set_subchannels));
    frames.push(notification(notification::Event::DATAPRODUCER_SEND, |builder| {
        let (data, subchannels) = (builder.create_vector(b"hello"), builder.create_vector(&[1_u16, 2]));
        let args = data_producer::SendNotificationArgs {
            ppid: 51,
            data: Some(data),
            subchannels: Some(subchannels),
            required_subchannel: Some(1),
            ignored_subchannel: Some(3),
        };
        let body = data_producer::SendNotification::create(builder, &args);
        (notification::Body::DataProducer_SendNotification, body.as_union_value())
    }));
    frames
}

/// `worker.dump` with id 1, byte for byte as the Node library of 3.27.1 sends it.
pub fn worker_dump() -> Vec<u8> {
    request_with(1, request::Method::WORKER_DUMP, "", |_| (request::Body::NONE, None))
}

fn request(method: request::Method, body: impl FnOnce(&mut Builder) -> Body) -> Vec<u8> {
    request_with(7, method, HANDLER, |builder| {
        let (kind, body) = body(builder);
        (kind, Some(body))
    })
}

fn request_with(
    id: u32,
    method: request::Method,
    handler: &str,
    body: impl FnOnce(&mut Builder) -> (request::Body, Option<WIPOffset<UnionWIPOffset>>),
) -> Vec<u8> {
    let mut builder = Builder::new();
    let (body_type, body) = body(&mut builder);
    let handler_id = Some(builder.create_string(handler));
    let args = request::RequestArgs { id, method, handler_id, body_type, body };
    let request = request::Request::create(&mut builder, &args);
    finish_message(&mut builder, message::Body::Request, request.as_union_value()).to_vec()
}

fn notification(
    event: notification::Event,
    body: impl FnOnce(&mut Builder) -> (notification::Body, WIPOffset<UnionWIPOffset>),
) -> Vec<u8> {
    let mut builder = Builder::new();
    let (body_type, body) = body(&mut builder);
    let handler_id = Some(builder.create_string(HANDLER));
    let args = notification::NotificationArgs { handler_id, event, body_type, body: Some(body) };
    let notification = notification::Notification::create(&mut builder, &args);
    finish_message(&mut builder, message::Body::Notification, notification.as_union_value()).to_vec()
}

fn update_settings(builder: &mut Builder) -> Body {
    let log_level = Some(builder.create_string("debug"));
    let tag = builder.create_string("rtp");
    let log_tags = Some(builder.create_vector(&[tag]));
    let args = worker::UpdateSettingsRequestArgs { log_level, log_tags };
    let body = worker::UpdateSettingsRequest::create(builder, &args);
    (request::Body::Worker_UpdateSettingsRequest, body.as_union_value())
}

fn create_router(builder: &mut Builder) -> Body {
    let router_id = Some(builder.create_string("r1"));
    let body = worker::CreateRouterRequest::create(builder, &worker::CreateRouterRequestArgs { router_id });
    (request::Body::Worker_CreateRouterRequest, body.as_union_value())
}

fn close_router(builder: &mut Builder) -> Body {
    let router_id = Some(builder.create_string("r1"));
    let body = worker::CloseRouterRequest::create(builder, &worker::CloseRouterRequestArgs { router_id });
    (request::Body::Worker_CloseRouterRequest, body.as_union_value())
}

fn options(builder: &mut Builder) -> WIPOffset<transport::Options<'static>> {
    let args = transport::OptionsArgs {
        initial_available_outgoing_bitrate: Some(600_000),
        max_send_message_size: 262_144,
        max_receive_message_size: 262_144,
        ..Default::default()
    };
    transport::Options::create(builder, &args)
}

fn listen_info(builder: &mut Builder) -> WIPOffset<transport::ListenInfo<'static>> {
    let ip = Some(builder.create_string("127.0.0.1"));
    let announced_address = Some(builder.create_string("media.example.org"));
    let range = transport::PortRangeArgs { min: 10_000, max: 59_999 };
    let port_range = Some(transport::PortRange::create(builder, &range));
    let flags = Some(transport::SocketFlags::create(builder, &transport::SocketFlagsArgs::default()));
    let args = transport::ListenInfoArgs {
        ip,
        announced_address,
        port_range,
        flags,
        port: 4000,
        ..Default::default()
    };
    transport::ListenInfo::create(builder, &args)
}

fn create_plain_transport(builder: &mut Builder) -> Body {
    let (base, listen_info) = (Some(options(builder)), Some(listen_info(builder)));
    let args = plain_transport::PlainTransportOptionsArgs {
        base,
        listen_info,
        comedia: true,
        enable_srtp: true,
        srtp_crypto_suite: Some(srtp_parameters::SrtpCryptoSuite::AEAD_AES_256_GCM),
        ..Default::default()
    };
    let options = Some(plain_transport::PlainTransportOptions::create(builder, &args));
    let transport_id = Some(builder.create_string("t1"));
    let args = router::CreatePlainTransportRequestArgs { transport_id, options };
    let body = router::CreatePlainTransportRequest::create(builder, &args);
    (request::Body::Router_CreatePlainTransportRequest, body.as_union_value())
}

fn create_direct_transport(builder: &mut Builder) -> Body {
    let base = Some(options(builder));
    let args = ringsoup_fbs::fbs::direct_transport::DirectTransportOptionsArgs { base };
    let options = ringsoup_fbs::fbs::direct_transport::DirectTransportOptions::create(builder, &args);
    let transport_id = Some(builder.create_string("t2"));
    let args = router::CreateDirectTransportRequestArgs { transport_id, options: Some(options) };
    let body = router::CreateDirectTransportRequest::create(builder, &args);
    (request::Body::Router_CreateDirectTransportRequest, body.as_union_value())
}

fn close_transport(builder: &mut Builder) -> Body {
    let transport_id = Some(builder.create_string("t1"));
    let args = router::CloseTransportRequestArgs { transport_id };
    let body = router::CloseTransportRequest::create(builder, &args);
    (request::Body::Router_CloseTransportRequest, body.as_union_value())
}

fn connect(builder: &mut Builder) -> Body {
    let key_base64 =
        Some(builder.create_string("YTdjcDBvY2JoMGY5YXNlNDc0eDJsdGgwaWRvNnJsamRrdG16aWVpZHphdHo="));
    let crypto_suite = srtp_parameters::SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_80;
    let args = srtp_parameters::SrtpParametersArgs { crypto_suite, key_base64 };
    let srtp_parameters = Some(srtp_parameters::SrtpParameters::create(builder, &args));
    let ip = Some(builder.create_string("127.0.0.1"));
    let args =
        plain_transport::ConnectRequestArgs { ip, port: Some(5004), rtcp_port: Some(5005), srtp_parameters };
    let body = plain_transport::ConnectRequest::create(builder, &args);
    (request::Body::PlainTransport_ConnectRequest, body.as_union_value())
}

fn set_max_incoming_bitrate(builder: &mut Builder) -> Body {
    let args = transport::SetMaxIncomingBitrateRequestArgs { max_incoming_bitrate: 3_000_000 };
    let body = transport::SetMaxIncomingBitrateRequest::create(builder, &args);
    (request::Body::Transport_SetMaxIncomingBitrateRequest, body.as_union_value())
}

fn parameter(
    builder: &mut Builder,
    name: &str,
    value_type: rtp_parameters::Value,
    value: WIPOffset<UnionWIPOffset>,
) -> WIPOffset<rtp_parameters::Parameter<'static>> {
    let name = Some(builder.create_string(name));
    let args = rtp_parameters::ParameterArgs { name, value_type, value: Some(value) };
    rtp_parameters::Parameter::create(builder, &args)
}

/// One codec with a parameter of every kind of value.
fn codec(builder: &mut Builder) -> WIPOffset<rtp_parameters::RtpCodecParameters<'static>> {
    use rtp_parameters::Value;
    let integer = rtp_parameters::Integer32::create(builder, &rtp_parameters::Integer32Args { value: 1 });
    let double = rtp_parameters::Double::create(builder, &rtp_parameters::DoubleArgs { value: 1.5 });
    let boolean = rtp_parameters::Boolean::create(builder, &rtp_parameters::BooleanArgs { value: 1 });
    let text = Some(builder.create_string("42e01f"));
    let text = rtp_parameters::String::create(builder, &rtp_parameters::StringArgs { value: text });
    let array = Some(builder.create_vector(&[0_i32, 2, 1, 3]));
    let array =
        rtp_parameters::Integer32Array::create(builder, &rtp_parameters::Integer32ArrayArgs { value: array });
    let parameters = [
        parameter(builder, "packetization-mode", Value::Integer32, integer.as_union_value()),
        parameter(builder, "factor", Value::Double, double.as_union_value()),
        parameter(builder, "flag", Value::Boolean, boolean.as_union_value()),
        parameter(builder, "profile-level-id", Value::String, text.as_union_value()),
        parameter(builder, "channel_mapping", Value::Integer32Array, array.as_union_value()),
    ];
    let parameters = Some(builder.create_vector(&parameters));
    let kind = Some(builder.create_string("nack"));
    let pli = Some(builder.create_string("pli"));
    let args = rtp_parameters::RtcpFeedbackArgs { type_: kind, parameter: pli };
    let feedback = rtp_parameters::RtcpFeedback::create(builder, &args);
    let rtcp_feedback = Some(builder.create_vector(&[feedback]));
    let mime_type = Some(builder.create_string("video/H264"));
    let args = rtp_parameters::RtpCodecParametersArgs {
        mime_type,
        payload_type: 112,
        clock_rate: 90_000,
        channels: None,
        parameters,
        rtcp_feedback,
    };
    rtp_parameters::RtpCodecParameters::create(builder, &args)
}

fn encoding(builder: &mut Builder) -> WIPOffset<rtp_parameters::RtpEncodingParameters<'static>> {
    let rtx = Some(rtp_parameters::Rtx::create(builder, &rtp_parameters::RtxArgs { ssrc: 1112 }));
    let scalability_mode = Some(builder.create_string("L1T1"));
    let args = rtp_parameters::RtpEncodingParametersArgs {
        ssrc: Some(1111),
        rtx,
        scalability_mode,
        max_bitrate: Some(2_000_000),
        ..Default::default()
    };
    rtp_parameters::RtpEncodingParameters::create(builder, &args)
}

fn rtp_parameters_table(builder: &mut Builder) -> WIPOffset<rtp_parameters::RtpParameters<'static>> {
    let codec = codec(builder);
    let codecs = Some(builder.create_vector(&[codec]));
    let args = rtp_parameters::RtpHeaderExtensionParametersArgs {
        uri: rtp_parameters::RtpHeaderExtensionUri::VideoOrientation,
        id: 13,
        ..Default::default()
    };
    let extension = rtp_parameters::RtpHeaderExtensionParameters::create(builder, &args);
    let header_extensions = Some(builder.create_vector(&[extension]));
    let encoding = encoding(builder);
    let encodings = Some(builder.create_vector(&[encoding]));
    let cname = Some(builder.create_string("cname"));
    let args = rtp_parameters::RtcpParametersArgs { cname, reduced_size: true };
    let rtcp = Some(rtp_parameters::RtcpParameters::create(builder, &args));
    let mid = Some(builder.create_string("0"));
    let args =
        rtp_parameters::RtpParametersArgs { mid, codecs, header_extensions, encodings, rtcp, msid: None };
    rtp_parameters::RtpParameters::create(builder, &args)
}

fn produce(builder: &mut Builder) -> Body {
    let parameters = Some(rtp_parameters_table(builder));
    let args = rtp_parameters::CodecMappingArgs { payload_type: 112, mapped_payload_type: 101 };
    let codec = rtp_parameters::CodecMapping::create(builder, &args);
    let codecs = Some(builder.create_vector(&[codec]));
    let args = rtp_parameters::EncodingMappingArgs { rid: None, ssrc: Some(1111), mapped_ssrc: 2222 };
    let encoding = rtp_parameters::EncodingMapping::create(builder, &args);
    let encodings = Some(builder.create_vector(&[encoding]));
    let args = rtp_parameters::RtpMappingArgs { codecs, encodings };
    let rtp_mapping = Some(rtp_parameters::RtpMapping::create(builder, &args));
    let producer_id = Some(builder.create_string("p1"));
    let args = transport::ProduceRequestArgs {
        producer_id,
        kind: rtp_parameters::MediaKind::VIDEO,
        rtp_parameters: parameters,
        rtp_mapping,
        key_frame_request_delay: 1000,
        ..Default::default()
    };
    let body = transport::ProduceRequest::create(builder, &args);
    (request::Body::Transport_ProduceRequest, body.as_union_value())
}

fn layers(builder: &mut Builder) -> WIPOffset<consumer::ConsumerLayers<'static>> {
    let args = consumer::ConsumerLayersArgs { spatial_layer: 1, temporal_layer: Some(2) };
    consumer::ConsumerLayers::create(builder, &args)
}

fn consume(builder: &mut Builder) -> Body {
    let parameters = Some(rtp_parameters_table(builder));
    let encoding = encoding(builder);
    let consumable_rtp_encodings = Some(builder.create_vector(&[encoding]));
    let preferred_layers = Some(layers(builder));
    let consumer_id = Some(builder.create_string("c1"));
    let producer_id = Some(builder.create_string("p1"));
    let args = transport::ConsumeRequestArgs {
        consumer_id,
        producer_id,
        kind: rtp_parameters::MediaKind::VIDEO,
        rtp_parameters: parameters,
        type_: rtp_parameters::Type::SIMPLE,
        consumable_rtp_encodings,
        preferred_layers,
        ..Default::default()
    };
    let body = transport::ConsumeRequest::create(builder, &args);
    (request::Body::Transport_ConsumeRequest, body.as_union_value())
}

fn close_producer(builder: &mut Builder) -> Body {
    let producer_id = Some(builder.create_string("p1"));
    let args = transport::CloseProducerRequestArgs { producer_id };
    let body = transport::CloseProducerRequest::create(builder, &args);
    (request::Body::Transport_CloseProducerRequest, body.as_union_value())
}

fn trace_producer(builder: &mut Builder) -> Body {
    let events = [producer::TraceEventType::KEYFRAME, producer::TraceEventType::RTP];
    let events = Some(builder.create_vector(&events));
    let args = producer::EnableTraceEventRequestArgs { events };
    let body = producer::EnableTraceEventRequest::create(builder, &args);
    (request::Body::Producer_EnableTraceEventRequest, body.as_union_value())
}

fn set_preferred_layers(builder: &mut Builder) -> Body {
    let preferred_layers = Some(layers(builder));
    let args = consumer::SetPreferredLayersRequestArgs { preferred_layers };
    let body = consumer::SetPreferredLayersRequest::create(builder, &args);
    (request::Body::Consumer_SetPreferredLayersRequest, body.as_union_value())
}

fn stream(builder: &mut Builder) -> WIPOffset<sctp_parameters::SctpStreamParameters<'static>> {
    let args = sctp_parameters::SctpStreamParametersArgs {
        stream_id: 1,
        ordered: Some(false),
        max_packet_life_time: Some(2),
        max_retransmits: None,
    };
    sctp_parameters::SctpStreamParameters::create(builder, &args)
}

fn produce_data(builder: &mut Builder) -> Body {
    let sctp_stream_parameters = Some(stream(builder));
    let data_producer_id = Some(builder.create_string("dp1"));
    let label = Some(builder.create_string("label"));
    let args = transport::ProduceDataRequestArgs {
        data_producer_id,
        sctp_stream_parameters,
        label,
        ..Default::default()
    };
    let body = transport::ProduceDataRequest::create(builder, &args);
    (request::Body::Transport_ProduceDataRequest, body.as_union_value())
}

fn consume_data(builder: &mut Builder) -> Body {
    let sctp_stream_parameters = Some(stream(builder));
    let data_consumer_id = Some(builder.create_string("dc1"));
    let data_producer_id = Some(builder.create_string("dp1"));
    let subchannels = Some(builder.create_vector(&[1_u16, 2]));
    let args = transport::ConsumeDataRequestArgs {
        data_consumer_id,
        data_producer_id,
        sctp_stream_parameters,
        subchannels,
        ..Default::default()
    };
    let body = transport::ConsumeDataRequest::create(builder, &args);
    (request::Body::Transport_ConsumeDataRequest, body.as_union_value())
}

fn send_data(builder: &mut Builder) -> Body {
    let args = data_consumer::SendRequestArgs { ppid: 51, data: Some(builder.create_vector(b"hello")) };
    let body = data_consumer::SendRequest::create(builder, &args);
    (request::Body::DataConsumer_SendRequest, body.as_union_value())
}

fn set_subchannels(builder: &mut Builder) -> Body {
    let subchannels = Some(builder.create_vector(&[1_u16, 2, 65_535]));
    let args = data_consumer::SetSubchannelsRequestArgs { subchannels };
    let body = data_consumer::SetSubchannelsRequest::create(builder, &args);
    (request::Body::DataConsumer_SetSubchannelsRequest, body.as_union_value())
}

fn set_priority(builder: &mut Builder) -> Body {
    let args = consumer::SetPriorityRequestArgs { priority: 3 };
    let body = consumer::SetPriorityRequest::create(builder, &args);
    (request::Body::Consumer_SetPriorityRequest, body.as_union_value())
}
