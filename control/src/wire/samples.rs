//! Frames and values that the tests share.

use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::request::{Body, Method as Number, Request, RequestArgs};
use ringsoup_fbs::fbs::{active_speaker_observer, audio_level_observer, rtp_observer, transport, worker};
use ringsoup_fbs::fbs::{
    consumer, direct_transport, pipe_transport, plain_transport, producer, router, srtp_parameters,
};
use ringsoup_fbs::finish_message;
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, ExtensionUri, Parameter, ParameterValue, RtcpFeedback, RtcpParameters,
    RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpMapping, RtpParameters,
};

use super::{Builder, Union, rtp_parameters, webrtc_tests};
use crate::method::Method;

/// A request with id 7 to handler "h".
pub(super) fn request(method: Number, body: impl FnOnce(&mut Builder) -> (Body, Option<Union>)) -> Vec<u8> {
    let mut builder = Builder::new();
    let (body_type, body) = body(&mut builder);
    let handler_id = Some(builder.create_string("h"));
    let args = RequestArgs { id: 7, method, handler_id, body_type, body };
    let request = Request::create(&mut builder, &args);
    finish_message(&mut builder, MessageBody::Request, request.as_union_value()).to_vec()
}

pub(super) fn text_parameter(name: &str, value: &str) -> Parameter {
    Parameter { name: name.to_owned(), value: ParameterValue::Text(value.to_owned()) }
}

/// Every kind of value, and every optional field once present and once absent.
pub(super) fn rich_parameters() -> RtpParameters {
    let parameters = vec![
        Parameter { name: "yes".to_owned(), value: ParameterValue::Boolean(true) },
        Parameter { name: "no".to_owned(), value: ParameterValue::Boolean(false) },
        Parameter { name: "apt".to_owned(), value: ParameterValue::Integer(-7) },
        Parameter { name: "ratio".to_owned(), value: ParameterValue::Double(222.222) },
        Parameter { name: "list".to_owned(), value: ParameterValue::IntegerArray(vec![1, -2, 3]) },
        text_parameter("profile-level-id", "4d0032"),
    ];
    let feedback =
        |kind: &str, parameter: &str| RtcpFeedback { kind: kind.to_owned(), parameter: parameter.to_owned() };
    RtpParameters {
        mid: Some("m".to_owned()),
        codecs: vec![
            RtpCodecParameters {
                mime_type: "audio/opus".to_owned(),
                payload_type: 111,
                clock_rate: 48_000,
                channels: Some(2),
                parameters: parameters.clone(),
                rtcp_feedback: vec![feedback("nack", ""), feedback("nack", "pli")],
            },
            RtpCodecParameters {
                mime_type: "video/H264".to_owned(),
                payload_type: 0,
                clock_rate: 90_000,
                channels: None,
                parameters: Vec::new(),
                rtcp_feedback: Vec::new(),
            },
        ],
        // Those that libraries of all layouts have a word for or leave out.
        header_extensions: ExtensionUri::ALL
            .into_iter()
            .filter(|uri| !matches!(uri, ExtensionUri::FrameMarking | ExtensionUri::FrameMarkingDraft07))
            .map(|uri| RtpHeaderExtensionParameters {
                uri,
                id: uri.router_id(),
                encrypt: uri == ExtensionUri::Mid,
                parameters: if uri == ExtensionUri::Mid { parameters.clone() } else { Vec::new() },
            })
            .collect(),
        encodings: vec![
            RtpEncodingParameters {
                ssrc: Some(1111),
                rid: Some("r0".to_owned()),
                codec_payload_type: Some(0),
                rtx_ssrc: Some(1112),
                dtx: true,
                scalability_mode: Some("L1T3".to_owned()),
                max_bitrate: Some(5_000_000_000),
            },
            RtpEncodingParameters::default(),
        ],
        rtcp: RtcpParameters { cname: Some("c".to_owned()), reduced_size: false },
        msid: Some("s t".to_owned()),
    }
}

pub(super) fn rich_mapping() -> RtpMapping {
    RtpMapping {
        codecs: vec![CodecMapping { payload_type: 111, mapped_payload_type: 100 }],
        encodings: vec![
            EncodingMapping { rid: Some("r0".to_owned()), ssrc: Some(1111), mapped_ssrc: 2222 },
            EncodingMapping { rid: None, ssrc: None, mapped_ssrc: 2223 },
        ],
    }
}

pub(super) fn options(builder: &mut Builder) -> flatbuffers::WIPOffset<transport::Options<'static>> {
    let args = transport::OptionsArgs {
        direct: true,
        initial_available_outgoing_bitrate: Some(6_000_000_000),
        enable_sctp: true,
        max_send_message_size: 1,
        max_receive_message_size: 2,
        sctp_send_buffer_size: 3,
        sctp_per_stream_send_queue_limit: 4,
        sctp_max_receiver_window_buffer_size: 5,
        sctp_default_stream_buffered_amount_low_threshold: 6,
        num_sctp_streams: None,
        is_data_channel: true,
    };
    transport::Options::create(builder, &args)
}

pub(super) fn listen_info(
    builder: &mut Builder,
    protocol: transport::Protocol,
    ip: &str,
) -> flatbuffers::WIPOffset<transport::ListenInfo<'static>> {
    let ip = Some(builder.create_string(ip));
    let announced_address = Some(builder.create_string("announced"));
    let port_range =
        transport::PortRange::create(builder, &transport::PortRangeArgs { min: 1000, max: 2000 });
    let flags = transport::SocketFlagsArgs { ipv6_only: true, udp_reuse_port: true };
    let flags = transport::SocketFlags::create(builder, &flags);
    let args = transport::ListenInfoArgs {
        protocol,
        ip,
        announced_address,
        expose_internal_ip: true,
        port: 1234,
        port_range: Some(port_range),
        flags: Some(flags),
        send_buffer_size: 7,
        recv_buffer_size: 8,
    };
    transport::ListenInfo::create(builder, &args)
}

/// What can be wrong about a plain transport's options.
pub(super) struct Plain {
    pub(super) protocol: transport::Protocol,
    pub(super) ip: &'static str,
    pub(super) rtcp_ip: Option<&'static str>,
    pub(super) rtcp_mux: bool,
    pub(super) enable_srtp: bool,
    pub(super) suite: Option<srtp_parameters::SrtpCryptoSuite>,
}

impl Default for Plain {
    fn default() -> Self {
        Self {
            protocol: transport::Protocol::UDP,
            ip: "0:0:0:0:0:0:0:1",
            rtcp_ip: Some("127.0.0.1"),
            rtcp_mux: false,
            enable_srtp: true,
            suite: Some(srtp_parameters::SrtpCryptoSuite::AEAD_AES_128_GCM),
        }
    }
}

pub(super) fn create_plain(plain: &Plain) -> Vec<u8> {
    request(Number::ROUTER_CREATE_PLAINTRANSPORT, |builder| {
        let base = Some(options(builder));
        let listen_info_ = Some(listen_info(builder, plain.protocol, plain.ip));
        let rtcp_listen_info = plain.rtcp_ip.map(|ip| listen_info(builder, plain.protocol, ip));
        let args = plain_transport::PlainTransportOptionsArgs {
            base,
            listen_info: listen_info_,
            rtcp_listen_info,
            rtcp_mux: plain.rtcp_mux,
            comedia: true,
            enable_srtp: plain.enable_srtp,
            srtp_crypto_suite: plain.suite,
        };
        let options = Some(plain_transport::PlainTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string("t"));
        let args = router::CreatePlainTransportRequestArgs { transport_id, options };
        let body = router::CreatePlainTransportRequest::create(builder, &args).as_union_value();
        (Body::Router_CreatePlainTransportRequest, Some(body))
    })
}

pub(super) fn connect_plain(ip: &str, suite: srtp_parameters::SrtpCryptoSuite, key: &str) -> Vec<u8> {
    request(Number::PLAINTRANSPORT_CONNECT, |builder| {
        let ip = Some(builder.create_string(ip));
        let key_base64 = Some(builder.create_string(key));
        let args = srtp_parameters::SrtpParametersArgs { crypto_suite: suite, key_base64 };
        let srtp_parameters = Some(srtp_parameters::SrtpParameters::create(builder, &args));
        let args =
            plain_transport::ConnectRequestArgs { ip, port: Some(1), rtcp_port: None, srtp_parameters };
        let body = plain_transport::ConnectRequest::create(builder, &args).as_union_value();
        (Body::PlainTransport_ConnectRequest, Some(body))
    })
}

fn create_pipe() -> Vec<u8> {
    request(Number::ROUTER_CREATE_PIPETRANSPORT, |builder| {
        let base = Some(options(builder));
        let listen_info = Some(listen_info(builder, transport::Protocol::UDP, "127.0.0.1"));
        let args = pipe_transport::PipeTransportOptionsArgs {
            base,
            listen_info,
            enable_rtx: true,
            enable_srtp: true,
        };
        let options = Some(pipe_transport::PipeTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string("t"));
        let args = router::CreatePipeTransportRequestArgs { transport_id, options };
        let body = router::CreatePipeTransportRequest::create(builder, &args).as_union_value();
        (Body::Router_CreatePipeTransportRequest, Some(body))
    })
}

pub(super) fn connect_pipe(ip: &str) -> Vec<u8> {
    request(Number::PIPETRANSPORT_CONNECT, |builder| {
        let ip = Some(builder.create_string(ip));
        let key_base64 = Some(builder.create_string("AAECAw=="));
        let crypto_suite = srtp_parameters::SrtpCryptoSuite::AEAD_AES_256_GCM;
        let args = srtp_parameters::SrtpParametersArgs { crypto_suite, key_base64 };
        let srtp_parameters = Some(srtp_parameters::SrtpParameters::create(builder, &args));
        let args = pipe_transport::ConnectRequestArgs { ip, port: Some(1), srtp_parameters };
        let body = pipe_transport::ConnectRequest::create(builder, &args).as_union_value();
        (Body::PipeTransport_ConnectRequest, Some(body))
    })
}

pub(super) fn produce(kind: u8, parameters: &RtpParameters) -> Vec<u8> {
    request(Number::TRANSPORT_PRODUCE, |builder| {
        let producer_id = Some(builder.create_string("p"));
        let rtp_parameters_ = Some(rtp_parameters::encode(builder, parameters));
        let rtp_mapping = Some(rtp_parameters::encode_mapping(builder, &rich_mapping()));
        let args = transport::ProduceRequestArgs {
            producer_id,
            kind: ringsoup_fbs::fbs::rtp_parameters::MediaKind(kind),
            rtp_parameters: rtp_parameters_,
            rtp_mapping,
            paused: true,
            key_frame_request_delay: 5,
            enable_mediasoup_packet_id_header_extension: true,
        };
        let body = transport::ProduceRequest::create(builder, &args).as_union_value();
        (Body::Transport_ProduceRequest, Some(body))
    })
}

pub(super) fn consume(rtp_type: u8, parameters: &RtpParameters) -> Vec<u8> {
    request(Number::TRANSPORT_CONSUME, |builder| {
        let consumer_id = Some(builder.create_string("c"));
        let producer_id = Some(builder.create_string("p"));
        let rtp_parameters_ = Some(rtp_parameters::encode(builder, parameters));
        let consumable_rtp_encodings = Some(rtp_parameters::encode_encodings(builder, &parameters.encodings));
        let layers = consumer::ConsumerLayersArgs { spatial_layer: 2, temporal_layer: None };
        let preferred_layers = Some(consumer::ConsumerLayers::create(builder, &layers));
        let args = transport::ConsumeRequestArgs {
            consumer_id,
            producer_id,
            kind: ringsoup_fbs::fbs::rtp_parameters::MediaKind::VIDEO,
            rtp_parameters: rtp_parameters_,
            type_: ringsoup_fbs::fbs::rtp_parameters::Type(rtp_type),
            consumable_rtp_encodings,
            paused: true,
            preferred_layers,
            ignore_dtx: true,
        };
        let body = transport::ConsumeRequest::create(builder, &args).as_union_value();
        (Body::Transport_ConsumeRequest, Some(body))
    })
}

pub(super) fn transport_trace(events: &[u8]) -> Vec<u8> {
    use transport::{EnableTraceEventRequest, EnableTraceEventRequestArgs, TraceEventType};
    request(Number::TRANSPORT_ENABLE_TRACE_EVENT, |builder| {
        let events: Vec<_> = events.iter().map(|&number| TraceEventType(number)).collect();
        let args = EnableTraceEventRequestArgs { events: Some(builder.create_vector(&events)) };
        let body = EnableTraceEventRequest::create(builder, &args).as_union_value();
        (Body::Transport_EnableTraceEventRequest, Some(body))
    })
}

pub(super) fn producer_trace(events: &[u8]) -> Vec<u8> {
    use producer::{EnableTraceEventRequest, EnableTraceEventRequestArgs, TraceEventType};
    request(Number::PRODUCER_ENABLE_TRACE_EVENT, |builder| {
        let events: Vec<_> = events.iter().map(|&number| TraceEventType(number)).collect();
        let args = EnableTraceEventRequestArgs { events: Some(builder.create_vector(&events)) };
        let body = EnableTraceEventRequest::create(builder, &args).as_union_value();
        (Body::Producer_EnableTraceEventRequest, Some(body))
    })
}

pub(super) fn consumer_trace(events: &[u8]) -> Vec<u8> {
    use consumer::{EnableTraceEventRequest, EnableTraceEventRequestArgs, TraceEventType};
    request(Number::CONSUMER_ENABLE_TRACE_EVENT, |builder| {
        let events: Vec<_> = events.iter().map(|&number| TraceEventType(number)).collect();
        let args = EnableTraceEventRequestArgs { events: Some(builder.create_vector(&events)) };
        let body = EnableTraceEventRequest::create(builder, &args).as_union_value();
        (Body::Consumer_EnableTraceEventRequest, Some(body))
    })
}

/// A valid request for every method that has a body.
pub(super) fn requests() -> Vec<(Method, Vec<u8>)> {
    let suite = srtp_parameters::SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_80;
    let mut requests = vec![
        (Method::TransportProduce, produce(1, &rich_parameters())),
        (Method::TransportConsume, consume(3, &rich_parameters())),
        (Method::WorkerUpdateSettings, update_settings()),
        (Method::RouterCreatePlainTransport, create_plain(&Plain::default())),
        (Method::RouterCreatePipeTransport, create_pipe()),
        (Method::RouterCreateDirectTransport, create_direct()),
        (Method::TransportEnableTraceEvent, transport_trace(&[1, 0])),
        (Method::PlainTransportConnect, connect_plain("::ffff:1.2.3.4", suite, "AAECAw==")),
        (Method::PipeTransportConnect, connect_pipe("::1")),
        (Method::ProducerEnableTraceEvent, producer_trace(&[0, 1, 2, 3, 4, 5])),
        (Method::ConsumerSetPreferredLayers, set_preferred_layers()),
        (Method::ConsumerEnableTraceEvent, consumer_trace(&[0, 1, 2, 3, 4])),
    ];
    requests.extend(webrtc_tests::requests());
    requests.extend(observer_requests());
    requests.extend(super::data_samples::requests());
    requests.extend(naming_requests());
    requests.extend(number_requests());
    requests
}

/// What makes, ends and fills observers.
fn observer_requests() -> Vec<(Method, Vec<u8>)> {
    let active_speaker = request(Number::ROUTER_CREATE_ACTIVESPEAKEROBSERVER, |builder| {
        let args = active_speaker_observer::ActiveSpeakerObserverOptionsArgs { interval: 301 };
        let options = Some(active_speaker_observer::ActiveSpeakerObserverOptions::create(builder, &args));
        let rtp_observer_id = Some(builder.create_string("o"));
        let args = router::CreateActiveSpeakerObserverRequestArgs { rtp_observer_id, options };
        let body = router::CreateActiveSpeakerObserverRequest::create(builder, &args).as_union_value();
        (Body::Router_CreateActiveSpeakerObserverRequest, Some(body))
    });
    let audio_level = request(Number::ROUTER_CREATE_AUDIOLEVELOBSERVER, |builder| {
        let args = audio_level_observer::AudioLevelObserverOptionsArgs {
            max_entries: 3,
            threshold: -81,
            interval: 1_001,
        };
        let options = Some(audio_level_observer::AudioLevelObserverOptions::create(builder, &args));
        let rtp_observer_id = Some(builder.create_string("o"));
        let args = router::CreateAudioLevelObserverRequestArgs { rtp_observer_id, options };
        let body = router::CreateAudioLevelObserverRequest::create(builder, &args).as_union_value();
        (Body::Router_CreateAudioLevelObserverRequest, Some(body))
    });
    let close = request(Number::ROUTER_CLOSE_RTPOBSERVER, |builder| {
        let args = router::CloseRtpObserverRequestArgs { rtp_observer_id: Some(builder.create_string("o")) };
        let body = router::CloseRtpObserverRequest::create(builder, &args).as_union_value();
        (Body::Router_CloseRtpObserverRequest, Some(body))
    });
    let add = request(Number::RTPOBSERVER_ADD_PRODUCER, |builder| {
        let args = rtp_observer::AddProducerRequestArgs { producer_id: Some(builder.create_string("p")) };
        let body = rtp_observer::AddProducerRequest::create(builder, &args).as_union_value();
        (Body::RtpObserver_AddProducerRequest, Some(body))
    });
    let remove = request(Number::RTPOBSERVER_REMOVE_PRODUCER, |builder| {
        let args = rtp_observer::RemoveProducerRequestArgs { producer_id: Some(builder.create_string("p")) };
        let body = rtp_observer::RemoveProducerRequest::create(builder, &args).as_union_value();
        (Body::RtpObserver_RemoveProducerRequest, Some(body))
    });
    vec![
        (Method::RouterCreateActiveSpeakerObserver, active_speaker),
        (Method::RouterCreateAudioLevelObserver, audio_level),
        (Method::RouterCloseRtpObserver, close),
        (Method::RtpObserverAddProducer, add),
        (Method::RtpObserverRemoveProducer, remove),
    ]
}

/// Bodies that are one name.
fn naming_requests() -> Vec<(Method, Vec<u8>)> {
    vec![
        (
            Method::WorkerCreateRouter,
            request(Number::WORKER_CREATE_ROUTER, |builder| {
                let args = worker::CreateRouterRequestArgs { router_id: Some(builder.create_string("r")) };
                (
                    Body::Worker_CreateRouterRequest,
                    Some(worker::CreateRouterRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
        (
            Method::WorkerCloseRouter,
            request(Number::WORKER_CLOSE_ROUTER, |builder| {
                let args = worker::CloseRouterRequestArgs { router_id: Some(builder.create_string("r")) };
                (
                    Body::Worker_CloseRouterRequest,
                    Some(worker::CloseRouterRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
        (
            Method::RouterCloseTransport,
            request(Number::ROUTER_CLOSE_TRANSPORT, |builder| {
                let args =
                    router::CloseTransportRequestArgs { transport_id: Some(builder.create_string("t")) };
                (
                    Body::Router_CloseTransportRequest,
                    Some(router::CloseTransportRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
        (
            Method::TransportCloseProducer,
            request(Number::TRANSPORT_CLOSE_PRODUCER, |builder| {
                let args =
                    transport::CloseProducerRequestArgs { producer_id: Some(builder.create_string("p")) };
                (
                    Body::Transport_CloseProducerRequest,
                    Some(transport::CloseProducerRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
        (
            Method::TransportCloseConsumer,
            request(Number::TRANSPORT_CLOSE_CONSUMER, |builder| {
                let args =
                    transport::CloseConsumerRequestArgs { consumer_id: Some(builder.create_string("c")) };
                (
                    Body::Transport_CloseConsumerRequest,
                    Some(transport::CloseConsumerRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
    ]
}

/// Bodies that are one number.
fn number_requests() -> Vec<(Method, Vec<u8>)> {
    vec![
        (
            Method::TransportSetMaxIncomingBitrate,
            request(Number::TRANSPORT_SET_MAX_INCOMING_BITRATE, |builder| {
                let args =
                    transport::SetMaxIncomingBitrateRequestArgs { max_incoming_bitrate: 5_000_000_001 };
                (
                    Body::Transport_SetMaxIncomingBitrateRequest,
                    Some(transport::SetMaxIncomingBitrateRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
        (
            Method::TransportSetMaxOutgoingBitrate,
            request(Number::TRANSPORT_SET_MAX_OUTGOING_BITRATE, |builder| {
                let args =
                    transport::SetMaxOutgoingBitrateRequestArgs { max_outgoing_bitrate: 5_000_000_002 };
                (
                    Body::Transport_SetMaxOutgoingBitrateRequest,
                    Some(transport::SetMaxOutgoingBitrateRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
        (
            Method::TransportSetMinOutgoingBitrate,
            request(Number::TRANSPORT_SET_MIN_OUTGOING_BITRATE, |builder| {
                let args =
                    transport::SetMinOutgoingBitrateRequestArgs { min_outgoing_bitrate: 5_000_000_003 };
                (
                    Body::Transport_SetMinOutgoingBitrateRequest,
                    Some(transport::SetMinOutgoingBitrateRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
        (
            Method::ConsumerSetPriority,
            request(Number::CONSUMER_SET_PRIORITY, |builder| {
                let args = consumer::SetPriorityRequestArgs { priority: 3 };
                (
                    Body::Consumer_SetPriorityRequest,
                    Some(consumer::SetPriorityRequest::create(builder, &args).as_union_value()),
                )
            }),
        ),
    ]
}

fn update_settings() -> Vec<u8> {
    request(Number::WORKER_UPDATE_SETTINGS, |builder| {
        let log_level = Some(builder.create_string("warn"));
        let log_tags = Some(super::texts(builder, &["rtp", "ice"]));
        let args = worker::UpdateSettingsRequestArgs { log_level, log_tags };
        let body = worker::UpdateSettingsRequest::create(builder, &args).as_union_value();
        (Body::Worker_UpdateSettingsRequest, Some(body))
    })
}

fn create_direct() -> Vec<u8> {
    request(Number::ROUTER_CREATE_DIRECTTRANSPORT, |builder| {
        let base = Some(options(builder));
        let args = direct_transport::DirectTransportOptionsArgs { base };
        let options = Some(direct_transport::DirectTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string("t"));
        let args = router::CreateDirectTransportRequestArgs { transport_id, options };
        let body = router::CreateDirectTransportRequest::create(builder, &args).as_union_value();
        (Body::Router_CreateDirectTransportRequest, Some(body))
    })
}

fn set_preferred_layers() -> Vec<u8> {
    request(Number::CONSUMER_SET_PREFERRED_LAYERS, |builder| {
        let layers = consumer::ConsumerLayersArgs { spatial_layer: 1, temporal_layer: Some(0) };
        let preferred_layers = Some(consumer::ConsumerLayers::create(builder, &layers));
        let args = consumer::SetPreferredLayersRequestArgs { preferred_layers };
        let body = consumer::SetPreferredLayersRequest::create(builder, &args).as_union_value();
        (Body::Consumer_SetPreferredLayersRequest, Some(body))
    })
}
