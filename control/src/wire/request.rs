//! Requests: the head, and which body belongs to which method.

use ringsoup_fbs::fbs::request as wire;
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::name::Name;

use super::{
    consumer, data_consumer, data_producer, direct_transport, pipe_transport, plain_transport, producer,
    router, rtp_observer, transport, webrtc_server, webrtc_transport, worker,
};
use crate::message::{BadBody, DecodeError, Request, RequestBody};
use crate::method::Method;

pub(super) fn decode(request: wire::Request<'_>) -> Result<Request, DecodeError> {
    let id = request.id().into();
    let number = request.method().0;
    let Some(&method) = Method::ALL.get(usize::from(number)) else {
        let error = CommandError::error("unknown method");
        return Err(DecodeError { request_id: Some(id), error });
    };
    let body = body(method, &request).map_err(|error| BadBody { error, child: child(method, &request) });
    Ok(Request { id, method, handler_id: request.handler_id().to_owned(), body })
}

/// What a request is to make whose body may say of it what cannot be.
fn child(method: Method, request: &wire::Request<'_>) -> Option<Name> {
    Some(match method {
        Method::RouterCreatePlainTransport => {
            request.body_as_router_create_plain_transport_request()?.transport_id().into()
        }
        Method::RouterCreatePipeTransport => {
            request.body_as_router_create_pipe_transport_request()?.transport_id().into()
        }
        Method::RouterCreateWebRtcTransport | Method::RouterCreateWebRtcTransportWithServer => {
            request.body_as_router_create_web_rtc_transport_request()?.transport_id().into()
        }
        Method::TransportProduce => request.body_as_transport_produce_request()?.producer_id().into(),
        Method::TransportConsume => request.body_as_transport_consume_request()?.consumer_id().into(),
        Method::TransportProduceData => {
            request.body_as_transport_produce_data_request()?.data_producer_id().into()
        }
        Method::TransportConsumeData => {
            request.body_as_transport_consume_data_request()?.data_consumer_id().into()
        }
        _ => return None,
    })
}

/// A method without a body ignores whatever came along.
fn body(method: Method, request: &wire::Request<'_>) -> Result<RequestBody, CommandError> {
    let read = worker_body(method, request)
        .or_else(|| transport_body(method, request))
        .or_else(|| media_body(method, request))
        .or_else(|| data_body(method, request));
    match read {
        Some(Some(body)) => body,
        Some(None) => Err(CommandError::type_error(format!("wrong body for {}", method.name()))),
        None => Ok(RequestBody::None),
    }
}

/// `None` for a method of another noun or without a body, `Some(None)` when the body is not the method's.
type Read = Option<Option<Result<RequestBody, CommandError>>>;

/// The worker's and its routers'.
fn worker_body(method: Method, request: &wire::Request<'_>) -> Read {
    Some(match method {
        Method::WorkerUpdateSettings => {
            request.body_as_worker_update_settings_request().map(worker::update_settings)
        }
        Method::WorkerCreateRouter => {
            request.body_as_worker_create_router_request().map(worker::create_router)
        }
        Method::WorkerCloseRouter => request.body_as_worker_close_router_request().map(worker::close_router),
        Method::WorkerCreateWebRtcServer => {
            request.body_as_worker_create_web_rtc_server_request().map(webrtc_server::create)
        }
        Method::WorkerCloseWebRtcServer => {
            request.body_as_worker_close_web_rtc_server_request().map(webrtc_server::close)
        }
        Method::RouterCreateWebRtcTransport => {
            request.body_as_router_create_web_rtc_transport_request().map(webrtc_transport::create)
        }
        Method::RouterCreateWebRtcTransportWithServer => request
            .body_as_router_create_web_rtc_transport_request()
            .map(webrtc_transport::create_with_server),
        Method::WebRtcTransportConnect => {
            request.body_as_web_rtc_transport_connect_request().map(webrtc_transport::connect)
        }
        Method::RouterCreatePlainTransport => {
            request.body_as_router_create_plain_transport_request().map(plain_transport::create)
        }
        Method::RouterCreatePipeTransport => {
            request.body_as_router_create_pipe_transport_request().map(pipe_transport::create)
        }
        Method::RouterCreateDirectTransport => {
            request.body_as_router_create_direct_transport_request().map(direct_transport::create)
        }
        Method::RouterCloseTransport => {
            request.body_as_router_close_transport_request().map(router::close_transport)
        }
        Method::RouterCreateActiveSpeakerObserver => request
            .body_as_router_create_active_speaker_observer_request()
            .map(rtp_observer::create_active_speaker),
        Method::RouterCreateAudioLevelObserver => {
            request.body_as_router_create_audio_level_observer_request().map(rtp_observer::create_audio_level)
        }
        Method::RouterCloseRtpObserver => {
            request.body_as_router_close_rtp_observer_request().map(rtp_observer::close)
        }
        _ => return None,
    })
}

/// Those of transports about themselves and RTP.
fn transport_body(method: Method, request: &wire::Request<'_>) -> Read {
    Some(match method {
        Method::PlainTransportConnect => {
            request.body_as_plain_transport_connect_request().map(plain_transport::connect)
        }
        Method::PipeTransportConnect => {
            request.body_as_pipe_transport_connect_request().map(pipe_transport::connect)
        }
        Method::TransportSetMaxIncomingBitrate => request
            .body_as_transport_set_max_incoming_bitrate_request()
            .map(|body| Ok(RequestBody::SetBitrate(body.max_incoming_bitrate()))),
        Method::TransportSetMaxOutgoingBitrate => request
            .body_as_transport_set_max_outgoing_bitrate_request()
            .map(|body| Ok(RequestBody::SetBitrate(body.max_outgoing_bitrate()))),
        Method::TransportSetMinOutgoingBitrate => request
            .body_as_transport_set_min_outgoing_bitrate_request()
            .map(|body| Ok(RequestBody::SetBitrate(body.min_outgoing_bitrate()))),
        Method::TransportEnableTraceEvent => {
            request.body_as_transport_enable_trace_event_request().map(transport::enable_trace_event)
        }
        Method::TransportProduce => request.body_as_transport_produce_request().map(producer::produce),
        Method::TransportConsume => request.body_as_transport_consume_request().map(consumer::consume),
        Method::TransportCloseProducer => {
            request.body_as_transport_close_producer_request().map(transport::close_producer)
        }
        Method::TransportCloseConsumer => {
            request.body_as_transport_close_consumer_request().map(transport::close_consumer)
        }
        _ => return None,
    })
}

/// Those of producers, consumers and observers.
fn media_body(method: Method, request: &wire::Request<'_>) -> Read {
    Some(match method {
        Method::RtpObserverAddProducer => {
            request.body_as_rtp_observer_add_producer_request().map(rtp_observer::add_producer)
        }
        Method::RtpObserverRemoveProducer => {
            request.body_as_rtp_observer_remove_producer_request().map(rtp_observer::remove_producer)
        }
        Method::ProducerEnableTraceEvent => {
            request.body_as_producer_enable_trace_event_request().map(producer::enable_trace_event)
        }
        Method::ConsumerSetPreferredLayers => {
            request.body_as_consumer_set_preferred_layers_request().map(consumer::set_preferred_layers)
        }
        Method::ConsumerSetPriority => {
            request.body_as_consumer_set_priority_request().map(consumer::set_priority)
        }
        Method::ConsumerEnableTraceEvent => {
            request.body_as_consumer_enable_trace_event_request().map(consumer::enable_trace_event)
        }
        _ => return None,
    })
}

/// Those about data producers and data consumers.
fn data_body(method: Method, request: &wire::Request<'_>) -> Read {
    Some(match method {
        Method::TransportProduceData => {
            request.body_as_transport_produce_data_request().map(data_producer::produce)
        }
        Method::TransportConsumeData => {
            request.body_as_transport_consume_data_request().map(data_consumer::consume)
        }
        Method::TransportCloseDataProducer => {
            request.body_as_transport_close_data_producer_request().map(data_producer::close)
        }
        Method::TransportCloseDataConsumer => {
            request.body_as_transport_close_data_consumer_request().map(data_consumer::close)
        }
        Method::DataConsumerSetBufferedAmountLowThreshold => request
            .body_as_data_consumer_set_buffered_amount_low_threshold_request()
            .map(data_consumer::set_buffered_amount_low_threshold),
        Method::DataConsumerSend => request.body_as_data_consumer_send_request().map(data_consumer::send),
        Method::DataConsumerSetSubchannels => {
            request.body_as_data_consumer_set_subchannels_request().map(data_consumer::set_subchannels)
        }
        Method::DataConsumerAddSubchannel => {
            request.body_as_data_consumer_add_subchannel_request().map(data_consumer::add_subchannel)
        }
        Method::DataConsumerRemoveSubchannel => {
            request.body_as_data_consumer_remove_subchannel_request().map(data_consumer::remove_subchannel)
        }
        _ => return None,
    })
}
