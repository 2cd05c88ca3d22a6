//! A shard's events as notifications to the controller.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::notification as wire;
use ringsoup_fbs::fbs::notification::{Body, Event as Number};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::name::Name;

use super::{
    Builder, Union, consumer, data_consumer, direct_transport, plain_transport, producer, rtp_observer, sctp,
    webrtc_transport,
};

/// `None` for events that are not the controller's: log lines, and failures that the controller's bookkeeping has
/// to see first.
pub(super) fn encode(builder: &mut Builder, event: &Event) -> Option<WIPOffset<wire::Notification<'static>>> {
    let (name, number, body) = match event {
        Event::PlainTransportTuple { transport, tuple } => {
            let body = plain_transport::tuple_notification(builder, tuple);
            (transport, Number::PLAINTRANSPORT_TUPLE, Some((Body::PlainTransport_TupleNotification, body)))
        }
        Event::PlainTransportRtcpTuple { transport, tuple } => {
            let body = plain_transport::rtcp_tuple_notification(builder, tuple);
            (
                transport,
                Number::PLAINTRANSPORT_RTCP_TUPLE,
                Some((Body::PlainTransport_RtcpTupleNotification, body)),
            )
        }
        Event::DirectTransportRtcp { transport, data } => {
            let body = direct_transport::rtcp_notification(builder, data);
            (transport, Number::DIRECTTRANSPORT_RTCP, Some((Body::DirectTransport_RtcpNotification, body)))
        }
        Event::ProducerScore { producer, scores } => {
            let body = producer::score_notification(builder, scores);
            (producer, Number::PRODUCER_SCORE, Some((Body::Producer_ScoreNotification, body)))
        }
        Event::ProducerTrace { producer, trace } => {
            let body = producer::trace_notification(builder, trace);
            (producer, Number::PRODUCER_TRACE, Some((Body::Producer_TraceNotification, body)))
        }
        Event::ProducerVideoOrientation { producer, camera, flip, rotation } => {
            let body = producer::video_orientation_notification(builder, *camera, *flip, *rotation);
            let body = (Body::Producer_VideoOrientationChangeNotification, body);
            (producer, Number::PRODUCER_VIDEO_ORIENTATION_CHANGE, Some(body))
        }
        Event::ConsumerProducerPause { consumer } => (consumer, Number::CONSUMER_PRODUCER_PAUSE, None),
        Event::ConsumerProducerResume { consumer } => (consumer, Number::CONSUMER_PRODUCER_RESUME, None),
        Event::ConsumerProducerClose { consumer } => (consumer, Number::CONSUMER_PRODUCER_CLOSE, None),
        Event::ConsumerRtp { consumer, data } => {
            let body = consumer::rtp_notification(builder, data);
            (consumer, Number::CONSUMER_RTP, Some((Body::Consumer_RtpNotification, body)))
        }
        Event::ConsumerScore { consumer, score } => {
            let body = consumer::score_notification(builder, score);
            (consumer, Number::CONSUMER_SCORE, Some((Body::Consumer_ScoreNotification, body)))
        }
        Event::ConsumerLayers { consumer, layers } => {
            let body = consumer::layers_notification(builder, *layers);
            (consumer, Number::CONSUMER_LAYERS_CHANGE, Some((Body::Consumer_LayersChangeNotification, body)))
        }
        Event::ConsumerTrace { consumer, trace } => {
            let body = consumer::trace_notification(builder, trace);
            (consumer, Number::CONSUMER_TRACE, Some((Body::Consumer_TraceNotification, body)))
        }
        Event::ActiveSpeakerObserverDominantSpeaker { observer, producer } => {
            let body = rtp_observer::dominant_speaker_notification(builder, producer);
            let body = (Body::ActiveSpeakerObserver_DominantSpeakerNotification, body);
            (observer, Number::ACTIVESPEAKEROBSERVER_DOMINANT_SPEAKER, Some(body))
        }
        Event::AudioLevelObserverVolumes { observer, volumes } => {
            let body = rtp_observer::volumes_notification(builder, volumes);
            let body = (Body::AudioLevelObserver_VolumesNotification, body);
            (observer, Number::AUDIOLEVELOBSERVER_VOLUMES, Some(body))
        }
        Event::AudioLevelObserverSilence { observer } => (observer, Number::AUDIOLEVELOBSERVER_SILENCE, None),
        event => webrtc_transport_event(builder, event).or_else(|| data_consumer_event(builder, event))?,
    };
    let handler_id = Some(builder.create_string(name));
    let (body_type, body) = match body {
        Some((body_type, body)) => (body_type, Some(body)),
        None => (Body::NONE, None),
    };
    let args = wire::NotificationArgs { handler_id, event: number, body_type, body };
    Some(wire::Notification::create(builder, &args))
}

/// Whom it is about, which event it is, and its body.
type Parts<'event> = (&'event Name, Number, Option<(Body, Union)>);

/// Events of WebRTC transports; `None` for others.
fn webrtc_transport_event<'event>(builder: &mut Builder, event: &'event Event) -> Option<Parts<'event>> {
    Some(match event {
        Event::WebRtcIceSelectedTuple { transport, tuple } => {
            let body = webrtc_transport::ice_selected_tuple_notification(builder, tuple);
            let body = (Body::WebRtcTransport_IceSelectedTupleChangeNotification, body);
            (transport, Number::WEBRTCTRANSPORT_ICE_SELECTED_TUPLE_CHANGE, Some(body))
        }
        Event::WebRtcIceState { transport, state } => {
            let body = webrtc_transport::ice_state_notification(builder, *state);
            let body = (Body::WebRtcTransport_IceStateChangeNotification, body);
            (transport, Number::WEBRTCTRANSPORT_ICE_STATE_CHANGE, Some(body))
        }
        Event::WebRtcDtlsState { transport, state, remote_certificate } => {
            let body =
                webrtc_transport::dtls_state_notification(builder, *state, remote_certificate.as_deref());
            let body = (Body::WebRtcTransport_DtlsStateChangeNotification, body);
            (transport, Number::WEBRTCTRANSPORT_DTLS_STATE_CHANGE, Some(body))
        }
        _ => return None,
    })
}

/// Events of data consumers; `None` for what no controller is told.
fn data_consumer_event<'event>(builder: &mut Builder, event: &'event Event) -> Option<Parts<'event>> {
    Some(match event {
        Event::TransportSctpState { transport, state } => {
            let body = sctp::state_notification(builder, *state);
            let body = (Body::Transport_SctpStateChangeNotification, body);
            (transport, Number::TRANSPORT_SCTP_STATE_CHANGE, Some(body))
        }
        Event::TransportSctpNegotiated { transport, capabilities } => {
            let body = sctp::negotiated_notification(builder, *capabilities);
            let body = (Body::Transport_SctpNegotiatedCapabilitiesNotification, body);
            (transport, Number::TRANSPORT_SCTP_NEGOTIATED_CAPABILITIES, Some(body))
        }
        Event::DataConsumerDataProducerPause { data_consumer } => {
            (data_consumer, Number::DATACONSUMER_DATAPRODUCER_PAUSE, None)
        }
        Event::DataConsumerDataProducerResume { data_consumer } => {
            (data_consumer, Number::DATACONSUMER_DATAPRODUCER_RESUME, None)
        }
        Event::DataConsumerDataProducerClose { data_consumer } => {
            (data_consumer, Number::DATACONSUMER_DATAPRODUCER_CLOSE, None)
        }
        Event::DataConsumerMessage { data_consumer, message } => {
            let body = data_consumer::message_notification(builder, message);
            (
                data_consumer,
                Number::DATACONSUMER_MESSAGE,
                Some((Body::DataConsumer_MessageNotification, body)),
            )
        }
        Event::DataConsumerSendBufferFull { data_consumer } => {
            (data_consumer, Number::DATACONSUMER_SCTP_SENDBUFFER_FULL, None)
        }
        Event::DataConsumerBufferedAmountLow { data_consumer, buffered_amount } => {
            let body = data_consumer::buffered_amount_low_notification(builder, *buffered_amount);
            let body = (Body::DataConsumer_BufferedAmountLowNotification, body);
            (data_consumer, Number::DATACONSUMER_BUFFERED_AMOUNT_LOW, Some(body))
        }
        _ => return None,
    })
}
