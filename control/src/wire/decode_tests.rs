//! Requests and notifications, as controllers write them and as they should not.

use std::net::IpAddr;

use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::notification::{
    Body as NotificationBodyNumber, Event as EventNumber, Notification as WireNotification, NotificationArgs,
};
use ringsoup_fbs::fbs::request::{Body, Method as Number};
use ringsoup_fbs::fbs::rtp_observer::{AddProducerRequest, AddProducerRequestArgs};
use ringsoup_fbs::fbs::srtp_parameters::SrtpCryptoSuite;
use ringsoup_fbs::fbs::{producer, transport};
use ringsoup_fbs::finish_message;
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_sfu::command::{
    CommandError, ConsumerTraceEvent, Layers, ProducerTraceEvent, Protocol, TransportTraceEvent,
};
use ringsoup_sfu::rtp_parameters::{MediaKind, Parameter, ParameterValue, RtpType};

use super::samples::{self, Plain};
use super::{Builder, Encoder, Union, decode, node_frames};
use crate::message::{Incoming, Notification, NotificationBody, Request, RequestBody};
use crate::method::Method;

fn request(frame: &[u8]) -> Request {
    match decode(frame) {
        Ok(Incoming::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

pub(super) fn body(frame: &[u8]) -> RequestBody {
    request(frame).body.unwrap()
}

pub(super) fn body_error(frame: &[u8]) -> String {
    let error = request(frame).body.unwrap_err().error;
    assert_eq!(error, CommandError::type_error(error.reason.clone()));
    error.reason
}

pub(super) fn sample(method: Method) -> RequestBody {
    let frames = samples::requests();
    body(&frames.iter().find(|(of, _)| *of == method).unwrap().1)
}

#[test]
fn heads() {
    for (method, frame) in samples::requests() {
        let request = request(&frame);
        assert_eq!((request.id, request.method, request.handler_id.as_str()), (7.into(), method, "h"));
        assert!(request.body.is_ok(), "{request:?}");
    }
}

/// A table of one name.
fn foreign_body(builder: &mut Builder) -> Union {
    let args = AddProducerRequestArgs { producer_id: Some(builder.create_string("p")) };
    AddProducerRequest::create(builder, &args).as_union_value()
}

#[test]
fn missing_and_wrong_bodies() {
    for (method, _) in samples::requests() {
        let number = Number(u8::try_from(Method::ALL.iter().position(|of| *of == method).unwrap()).unwrap());
        let bare = samples::request(number, |_| (Body::NONE, None));
        assert_eq!(body_error(&bare), format!("wrong body for {}", method.name()));
        // One of the two is foreign to every method, and both are tables of one name.
        let foreign = match method {
            Method::RtpObserverAddProducer => Body::RtpObserver_RemoveProducerRequest,
            _ => Body::RtpObserver_AddProducerRequest,
        };
        let wrong = samples::request(number, |builder| (foreign, Some(foreign_body(builder))));
        assert_eq!(body_error(&wrong), format!("wrong body for {}", method.name()));
    }
}

#[test]
fn methods_without_a_body_take_any() {
    let with_body: Vec<_> = samples::requests().into_iter().map(|(method, _)| method).collect();
    for (number, method) in (0_u8..).zip(Method::ALL) {
        if !with_body.contains(method) {
            let request =
                request(&samples::request(Number(number), |builder| (Body(77), Some(foreign_body(builder)))));
            assert_eq!(request.method, *method);
            assert!(matches!(request.body, Ok(RequestBody::None)));
        }
    }
}

#[test]
fn settings_routers_and_closing() {
    let RequestBody::UpdateSettings { log_level, log_tags } = sample(Method::WorkerUpdateSettings) else {
        panic!()
    };
    assert_eq!(log_level.as_deref(), Some("warn"));
    assert_eq!(log_tags.unwrap(), ["rtp", "ice"]);
    assert!(
        matches!(sample(Method::WorkerCreateRouter), RequestBody::CreateRouter { router } if &*router == "r")
    );
    assert!(
        matches!(sample(Method::WorkerCloseRouter), RequestBody::CloseRouter { router } if &*router == "r")
    );
    assert!(
        matches!(sample(Method::RouterCloseTransport), RequestBody::CloseTransport { transport } if &*transport == "t")
    );
    assert!(
        matches!(sample(Method::TransportCloseProducer), RequestBody::CloseProducer { producer } if &*producer == "p")
    );
    assert!(
        matches!(sample(Method::TransportCloseConsumer), RequestBody::CloseConsumer { consumer } if &*consumer == "c")
    );
    assert!(
        matches!(sample(Method::RouterCloseRtpObserver), RequestBody::CloseRtpObserver { observer } if &*observer == "o")
    );
    for method in [Method::RtpObserverAddProducer, Method::RtpObserverRemoveProducer] {
        assert!(
            matches!(sample(method), RequestBody::ObserverProducer { producer } if &*producer == "p"),
            "{method:?}"
        );
    }
    for (method, expected) in [
        (Method::TransportSetMaxIncomingBitrate, 5_000_000_001),
        (Method::TransportSetMaxOutgoingBitrate, 5_000_000_002),
        (Method::TransportSetMinOutgoingBitrate, 5_000_000_003),
    ] {
        assert!(matches!(sample(method), RequestBody::SetBitrate(bitrate) if bitrate == expected));
    }
}

#[test]
fn observers() {
    let RequestBody::CreateActiveSpeakerObserver { observer, options } =
        sample(Method::RouterCreateActiveSpeakerObserver)
    else {
        panic!()
    };
    assert_eq!((&*observer, options.interval_ms), ("o", 301));
    let RequestBody::CreateAudioLevelObserver { observer, options } =
        sample(Method::RouterCreateAudioLevelObserver)
    else {
        panic!()
    };
    assert_eq!((&*observer, options.max_entries), ("o", 3));
    assert_eq!((options.threshold, options.interval_ms), (-81, 1_001));
}

#[test]
fn plain_transport_options() {
    let RequestBody::CreatePlainTransport { transport, options } = sample(Method::RouterCreatePlainTransport)
    else {
        panic!()
    };
    assert_eq!(&*transport, "t");
    assert!(options.base.direct && options.base.enable_sctp && options.base.is_data_channel);
    assert_eq!(options.base.initial_available_outgoing_bitrate, Some(6_000_000_000));
    assert_eq!(options.base.sctp_default_stream_buffered_amount_low_threshold, 6);
    let info = &options.listen_info;
    assert_eq!(info.protocol, Protocol::Udp);
    assert_eq!(info.ip.to_string(), "::1");
    assert_eq!(info.announced_address.as_deref(), Some("announced"));
    assert!(info.expose_internal_ip && info.ipv6_only && info.udp_reuse_port);
    assert_eq!((info.port, info.port_range), (1234, (1000, 2000)));
    assert_eq!((info.send_buffer_size, info.recv_buffer_size), (7, 8));
    assert_eq!(options.rtcp_listen_info.as_ref().unwrap().ip, IpAddr::from([127, 0, 0, 1]));
    assert!(options.comedia && !options.rtcp_mux);
    assert_eq!(options.srtp_crypto_suite, Some(CryptoSuite::AeadAes128Gcm));
}

#[test]
fn plain_transport_options_that_make_no_sense() {
    let error = |plain: Plain| body_error(&samples::create_plain(&plain));
    assert_eq!(error(Plain { ip: "chicken", ..Plain::default() }), "invalid IP 'chicken'");
    assert_eq!(error(Plain { ip: "", ..Plain::default() }), "invalid IP ''");
    assert_eq!(error(Plain { rtcp_ip: Some("1.2.3"), ..Plain::default() }), "invalid IP '1.2.3'");
    assert_eq!(error(Plain { suite: None, ..Plain::default() }), "missing srtpCryptoSuite");
    assert_eq!(
        error(Plain { suite: Some(SrtpCryptoSuite(9)), ..Plain::default() }),
        "unknown SRTP crypto suite 9"
    );
    assert_eq!(error(Plain { protocol: transport::Protocol(0), ..Plain::default() }), "unknown protocol 0");
}

#[test]
fn what_plain_transport_options_make_superfluous_is_not_looked_at() {
    let plain = Plain { rtcp_mux: true, rtcp_ip: Some("chicken"), enable_srtp: false, ..Plain::default() };
    let RequestBody::CreatePlainTransport { options, .. } = body(&samples::create_plain(&plain)) else {
        panic!()
    };
    assert_eq!((options.rtcp_listen_info, options.srtp_crypto_suite), (None, None));
}

#[test]
fn plain_transport_connect() {
    let RequestBody::ConnectPlainTransport(connect) = sample(Method::PlainTransportConnect) else { panic!() };
    assert_eq!(connect.ip.unwrap().unwrap().to_string(), "::ffff:1.2.3.4");
    assert_eq!((connect.port, connect.rtcp_port), (Some(1), None));
    let srtp = connect.srtp_parameters.unwrap().unwrap();
    assert_eq!(srtp.crypto_suite, CryptoSuite::AesCm128HmacSha1_80);
    assert_eq!(srtp.key_and_salt, [0, 1, 2, 3]);

    let suite = SrtpCryptoSuite::AEAD_AES_256_GCM;
    let without_padding = samples::connect_plain("::1", suite, "AAECAw");
    assert!(matches!(body(&without_padding), RequestBody::ConnectPlainTransport(_)));
    // What is wrong is for the transport to tell: a second connect() is told of before, and comedia needs no address.
    let connect = |ip, suite, key| match body(&samples::connect_plain(ip, suite, key)) {
        RequestBody::ConnectPlainTransport(connect) => connect,
        other => panic!("{other:?}"),
    };
    let nowhere = connect("x", suite, "AAECAw==");
    assert_eq!(nowhere.ip, Some(Err(CommandError::type_error("invalid IP 'x'"))));
    let keyless = |suite, key| connect("::1", suite, key).srtp_parameters.unwrap().unwrap_err().reason;
    assert_eq!(keyless(suite, "secret!"), "invalid srtpParameters (keyBase64 is not base64)");
    assert_eq!(keyless(SrtpCryptoSuite(4), "AAECAw=="), "unknown SRTP crypto suite 4");
}

#[test]
fn pipe_transport() {
    let RequestBody::CreatePipeTransport { transport, options } = sample(Method::RouterCreatePipeTransport)
    else {
        panic!()
    };
    assert_eq!(&*transport, "t");
    assert!(options.enable_rtx && options.enable_srtp && options.base.enable_sctp);
    assert_eq!(options.listen_info.ip, IpAddr::from([127, 0, 0, 1]));
    let RequestBody::ConnectPipeTransport(connect) = sample(Method::PipeTransportConnect) else { panic!() };
    assert_eq!((connect.ip.unwrap().to_string().as_str(), connect.port), ("::1", Some(1)));
    assert_eq!(connect.srtp_parameters.unwrap().unwrap().key_and_salt, [0, 1, 2, 3]);
    let RequestBody::ConnectPipeTransport(connect) = body(&samples::connect_pipe("chicken")) else {
        panic!()
    };
    assert_eq!(connect.ip, Err(CommandError::type_error("invalid IP 'chicken'")));
}

#[test]
fn produce_and_consume() {
    let RequestBody::Produce(produce) = sample(Method::TransportProduce) else { panic!() };
    assert_eq!((&*produce.producer, produce.kind), ("p", MediaKind::Video));
    assert_eq!(produce.rtp_parameters, samples::rich_parameters());
    assert_eq!(produce.rtp_mapping, samples::rich_mapping());
    assert_eq!((produce.paused, produce.key_frame_request_delay, produce.enable_packet_id), (true, 5, true));

    let RequestBody::Consume(consume) = sample(Method::TransportConsume) else { panic!() };
    assert_eq!((&*consume.consumer, &*consume.producer, consume.kind), ("c", "p", MediaKind::Video));
    assert_eq!(consume.rtp_parameters, samples::rich_parameters());
    assert_eq!(consume.requested_type, RtpType::Pipe);
    assert_eq!(consume.consumable_rtp_encodings, samples::rich_parameters().encodings);
    assert_eq!(consume.preferred_layers, Some(Layers { spatial: 2, temporal: None }));
    assert!(consume.paused && consume.ignore_dtx);
}

#[test]
fn mime_types_are_spelled_as_dumps_spell_them() {
    let mut parameters = samples::rich_parameters();
    parameters.codecs[0].mime_type = "VIDEO/vp8".to_owned();
    parameters.codecs[1].mime_type = "video/Chicken".to_owned();
    let RequestBody::Produce(produce) = body(&samples::produce(0, &parameters)) else { panic!() };
    let codecs = produce.rtp_parameters.codecs.iter().map(|codec| codec.mime_type.as_str());
    assert_eq!(codecs.collect::<Vec<_>>(), ["video/VP8", "video/Chicken"]);
}

#[test]
fn unknown_numbers_are_type_errors() {
    let parameters = samples::rich_parameters();
    assert_eq!(body_error(&samples::produce(2, &parameters)), "unknown media kind 2");
    assert_eq!(body_error(&samples::consume(4, &parameters)), "unknown RTP parameters type 4");
    assert_eq!(body_error(&samples::transport_trace(&[0, 2])), "unknown transport trace event type 2");
    assert_eq!(body_error(&samples::producer_trace(&[6])), "unknown producer trace event type 6");
    assert_eq!(body_error(&samples::consumer_trace(&[5])), "unknown consumer trace event type 5");
}

#[test]
fn trace_events_layers_and_priority() {
    use {ConsumerTraceEvent as C, ProducerTraceEvent as P, TransportTraceEvent as T};
    assert!(matches!(sample(Method::TransportEnableTraceEvent),
        RequestBody::EnableTransportTrace(events) if events == [T::Bwe, T::Probation]));
    assert!(matches!(sample(Method::ProducerEnableTraceEvent), RequestBody::EnableProducerTrace(events)
        if events == [P::KeyFrame, P::Fir, P::Nack, P::Pli, P::Rtp, P::SenderReport]));
    assert!(matches!(sample(Method::ConsumerEnableTraceEvent), RequestBody::EnableConsumerTrace(events)
        if events == [C::KeyFrame, C::Fir, C::Nack, C::Pli, C::Rtp]));
    let layers = Layers { spatial: 1, temporal: Some(0) };
    assert!(matches!(sample(Method::ConsumerSetPreferredLayers),
        RequestBody::SetPreferredLayers(given) if given == layers));
    assert!(matches!(sample(Method::ConsumerSetPriority), RequestBody::SetPriority(3)));
}

fn node_parameters(hex: &str) -> Vec<Parameter> {
    let request = request(&node_frames::bytes(hex));
    assert_eq!(
        (request.id, request.method, request.handler_id.as_str()),
        (7.into(), Method::TransportProduce, "t")
    );
    let Ok(RequestBody::Produce(produce)) = request.body else { panic!() };
    assert_eq!((&*produce.producer, produce.kind, produce.paused), ("p", MediaKind::Audio, true));
    let mut parameters = produce.rtp_parameters;
    assert_eq!(parameters.mid.as_deref(), Some("m"));
    assert_eq!(parameters.msid, None);
    assert_eq!(parameters.encodings[0].max_bitrate, Some(5_000_000_000));
    assert_eq!(parameters.encodings[0].scalability_mode.as_deref(), Some("L1T3"));
    let codec = parameters.codecs.pop().unwrap();
    assert_eq!(codec.parameters, parameters.header_extensions.pop().unwrap().parameters);
    codec.parameters
}

#[test]
fn frames_of_the_node_library() {
    let parameter = |name: &str, value| Parameter { name: name.to_owned(), value };
    let integer = parameter("a", ParameterValue::Integer(1));
    let double = parameter("d", ParameterValue::Double(1.5));
    assert_eq!(
        node_parameters(node_frames::PLAIN),
        [integer.clone(), double.clone(), samples::text_parameter("s", "x")]
    );
    let yes = parameter("yes", ParameterValue::Boolean(true));
    assert_eq!(node_parameters(node_frames::TRUE), [integer, yes.clone(), double]);
    let list = parameter("list", ParameterValue::IntegerArray(vec![1, 2, 3]));
    assert_eq!(node_parameters(node_frames::LIST_AND_TRUE), [list, yes]);
    let empty = parameter("list", ParameterValue::IntegerArray(Vec::new()));
    assert_eq!(node_parameters(node_frames::EMPTY_LIST), [empty]);
}

#[test]
fn a_request_that_cannot_be_read_is_answered() {
    let error = decode(&samples::request(Number(68), |_| (Body::NONE, None))).unwrap_err();
    assert_eq!((error.request_id, error.to_string()), (Some(7.into()), "unknown method".to_owned()));

    let (_, mut frame) = samples::requests().swap_remove(0);
    let end = frame.len();
    frame.truncate(end - 8);
    let error = decode(&frame).unwrap_err();
    assert_eq!(error.request_id, Some(7.into()));
    assert!(error.to_string().starts_with("malformed message: "), "{error}");
    assert!(!error.to_string().contains('\n'));

    for nothing in [&[][..], &[0; 3], &[0; 4], &[0; 8], &[0xff; 64]] {
        assert_eq!(decode(nothing).unwrap_err().request_id, None);
    }
}

#[test]
fn what_only_workers_say_is_refused() {
    let mut encoder = Encoder::new();
    let error = decode(encoder.log("Dhello")).unwrap_err();
    assert_eq!((error.request_id, error.to_string()), (None, "unexpected message of kind 4".to_owned()));
    let error = decode(encoder.running(1)).unwrap_err();
    assert_eq!((error.request_id, error.to_string()), (None, "unknown event '4'".to_owned()));
}

fn notification(
    event: EventNumber,
    body: impl FnOnce(&mut Builder) -> (NotificationBodyNumber, Option<Union>),
) -> Vec<u8> {
    let mut builder = Builder::new();
    let (body_type, body) = body(&mut builder);
    let handler_id = Some(builder.create_string("h"));
    let args = NotificationArgs { handler_id, event, body_type, body };
    let notification = WireNotification::create(&mut builder, &args);
    finish_message(&mut builder, MessageBody::Notification, notification.as_union_value()).to_vec()
}

#[test]
fn notifications() {
    let read = |frame: &[u8]| match decode(frame) {
        Ok(Incoming::Notification(Notification { handler_id, body })) if handler_id == "h" => body,
        other => panic!("{other:?}"),
    };
    let none = |_: &mut Builder| (NotificationBodyNumber::NONE, None);
    let close = notification(EventNumber::WORKER_CLOSE, none);
    assert!(matches!(read(&close), NotificationBody::WorkerClose));

    let rtcp = notification(EventNumber::TRANSPORT_SEND_RTCP, |builder| {
        let args = transport::SendRtcpNotificationArgs { data: Some(builder.create_vector(&[1_u8, 2])) };
        let body = transport::SendRtcpNotification::create(builder, &args).as_union_value();
        (NotificationBodyNumber::Transport_SendRtcpNotification, Some(body))
    });
    assert!(matches!(read(&rtcp), NotificationBody::TransportSendRtcp(data) if data == [1, 2]));
    let rtp = notification(EventNumber::PRODUCER_SEND, |builder| {
        let args = producer::SendNotificationArgs { data: Some(builder.create_vector(&[3_u8])) };
        let body = producer::SendNotification::create(builder, &args).as_union_value();
        (NotificationBodyNumber::Producer_SendNotification, Some(body))
    });
    assert!(matches!(read(&rtp), NotificationBody::ProducerSend(data) if data == [3]));

    for (event, name) in [
        (EventNumber::TRANSPORT_SEND_RTCP, "transport.sendRtcp"),
        (EventNumber::PRODUCER_SEND, "producer.send"),
        (EventNumber::DATAPRODUCER_SEND, "dataProducer.send"),
    ] {
        let error = decode(&notification(event, none)).unwrap_err();
        assert_eq!((error.request_id, error.to_string()), (None, format!("wrong body for {name}")));
    }
}
