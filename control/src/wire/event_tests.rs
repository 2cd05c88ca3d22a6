//! Every kind of notification, the log and the first word, read back through the verifier.

use ringsoup_fbs::fbs::message::Message;
use ringsoup_fbs::fbs::notification::{Event as Number, Notification};
use ringsoup_fbs::fbs::{consumer, producer, web_rtc_transport};
use ringsoup_fbs::verify_message;
use ringsoup_rtc::{dtls, ice};
use ringsoup_sfu::command::{ConsumerTraceEvent, Layers, ProducerTraceEvent};
use ringsoup_sfu::event::{
    ConsumerTrace, Direction, Event, LogLevel, LogLine, LogTag, ProducerScore, ProducerTrace, RtpPacketDump,
    TraceInfo,
};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::ConsumerScore;

use super::{Encoder, reply_samples as replies};

fn name(name: &str) -> Name {
    name.into()
}

/// Encodes, verifies, and hands the notification to `check`.
fn tell(event: &Event, handler: &str, number: Number, check: impl FnOnce(Notification<'_>)) {
    let mut encoder = Encoder::new();
    let message: Message<'_> = verify_message(encoder.event(event).unwrap().message).unwrap();
    let notification = message.data_as_notification().unwrap();
    assert_eq!((notification.handler_id(), notification.event()), (handler, number));
    check(notification);
}

#[test]
fn transport_events() {
    let tuple = replies::tuple(Some("[::1]:6000"));
    let event = Event::PlainTransportTuple { transport: name("t"), tuple: tuple.clone() };
    tell(&event, "t", Number::PLAINTRANSPORT_TUPLE, |notification| {
        let body = notification.body_as_plain_transport_tuple_notification().unwrap();
        assert_eq!(body.tuple().remote_port(), 6000);
    });
    let event = Event::PlainTransportRtcpTuple { transport: name("t"), tuple };
    tell(&event, "t", Number::PLAINTRANSPORT_RTCP_TUPLE, |notification| {
        let body = notification.body_as_plain_transport_rtcp_tuple_notification().unwrap();
        assert_eq!(body.tuple().remote_port(), 6000);
    });
    let event = Event::DirectTransportRtcp { transport: name("t"), data: vec![1, 2] };
    tell(&event, "t", Number::DIRECTTRANSPORT_RTCP, |notification| {
        let body = notification.body_as_direct_transport_rtcp_notification().unwrap();
        assert_eq!(body.data().bytes(), [1, 2]);
    });
}

#[test]
fn webrtc_transport_events() {
    let tuple = replies::tuple(Some("[::1]:6000"));
    let event = Event::WebRtcIceSelectedTuple { transport: name("t"), tuple };
    tell(&event, "t", Number::WEBRTCTRANSPORT_ICE_SELECTED_TUPLE_CHANGE, |notification| {
        let body = notification.body_as_web_rtc_transport_ice_selected_tuple_change_notification();
        assert_eq!(body.unwrap().tuple().remote_port(), 6000);
    });
    for (state, told) in [
        (ice::State::Connected, web_rtc_transport::IceState::CONNECTED),
        (ice::State::Completed, web_rtc_transport::IceState::COMPLETED),
        (ice::State::Disconnected, web_rtc_transport::IceState::DISCONNECTED),
    ] {
        let event = Event::WebRtcIceState { transport: name("t"), state };
        tell(&event, "t", Number::WEBRTCTRANSPORT_ICE_STATE_CHANGE, |notification| {
            let body = notification.body_as_web_rtc_transport_ice_state_change_notification();
            assert_eq!(body.unwrap().ice_state(), told);
        });
    }
    for (state, told, certificate) in [
        (dtls::State::Connecting, web_rtc_transport::DtlsState::CONNECTING, None),
        (dtls::State::Connected, web_rtc_transport::DtlsState::CONNECTED, Some("PEM")),
        (dtls::State::Failed, web_rtc_transport::DtlsState::FAILED, None),
        (dtls::State::Closed, web_rtc_transport::DtlsState::CLOSED, None),
    ] {
        let remote_certificate = certificate.map(str::to_owned);
        let event = Event::WebRtcDtlsState { transport: name("t"), state, remote_certificate };
        tell(&event, "t", Number::WEBRTCTRANSPORT_DTLS_STATE_CHANGE, |notification| {
            let body = notification.body_as_web_rtc_transport_dtls_state_change_notification().unwrap();
            assert_eq!((body.dtls_state(), body.remote_cert()), (told, certificate));
        });
    }
}

#[test]
fn what_is_not_for_controllers() {
    let mut encoder = Encoder::new();
    let failed = Event::TransportFailed { transport: name("t"), router: name("r") };
    assert!(encoder.event(&failed).is_none());
    let line = LogLine { level: LogLevel::Warn, tag: LogTag::Rtp, text: String::new() };
    assert!(encoder.event(&Event::Log(line)).is_none());
}

#[test]
fn producer_events() {
    let scores = vec![
        ProducerScore { encoding_idx: 0, ssrc: 1, rid: None, score: 10 },
        ProducerScore { encoding_idx: 1, ssrc: 2, rid: Some("r1".to_owned()), score: 0 },
    ];
    let event = Event::ProducerScore { producer: name("p"), scores };
    tell(&event, "p", Number::PRODUCER_SCORE, |notification| {
        let scores = notification.body_as_producer_score_notification().unwrap().scores();
        assert_eq!((scores.get(0).ssrc(), scores.get(0).rid(), scores.get(0).score()), (1, None, 10));
        assert_eq!((scores.get(1).encoding_idx(), scores.get(1).rid()), (1, Some("r1")));
    });
    let event =
        Event::ProducerVideoOrientation { producer: name("p"), camera: true, flip: false, rotation: 270 };
    tell(&event, "p", Number::PRODUCER_VIDEO_ORIENTATION_CHANGE, |notification| {
        let body = notification.body_as_producer_video_orientation_change_notification().unwrap();
        assert_eq!((body.camera(), body.flip(), body.rotation()), (true, false, 270));
    });
}

#[test]
fn consumer_events() {
    let consumer = || name("c");
    let bare = |notification: Notification<'_>| assert!(notification.body().is_none());
    tell(&Event::ConsumerProducerPause { consumer: consumer() }, "c", Number::CONSUMER_PRODUCER_PAUSE, bare);
    tell(
        &Event::ConsumerProducerResume { consumer: consumer() },
        "c",
        Number::CONSUMER_PRODUCER_RESUME,
        bare,
    );
    tell(&Event::ConsumerProducerClose { consumer: consumer() }, "c", Number::CONSUMER_PRODUCER_CLOSE, bare);
    tell(
        &Event::ConsumerRtp { consumer: consumer(), data: vec![3] },
        "c",
        Number::CONSUMER_RTP,
        |notification| {
            assert_eq!(notification.body_as_consumer_rtp_notification().unwrap().data().bytes(), [3]);
        },
    );
    let score = ConsumerScore { score: 1, producer_score: 2, producer_scores: vec![2, 3] };
    tell(
        &Event::ConsumerScore { consumer: consumer(), score },
        "c",
        Number::CONSUMER_SCORE,
        |notification| {
            let score = notification.body_as_consumer_score_notification().unwrap().score();
            assert_eq!((score.score(), score.producer_score()), (1, 2));
            assert_eq!(score.producer_scores().bytes(), [2, 3]);
        },
    );
}

#[test]
fn layers_are_told_and_their_absence_too() {
    let layers = Some(Layers { spatial: 1, temporal: Some(2) });
    let event = Event::ConsumerLayers { consumer: name("c"), layers };
    tell(&event, "c", Number::CONSUMER_LAYERS_CHANGE, |notification| {
        let body = notification.body_as_consumer_layers_change_notification().unwrap();
        let layers = body.layers().unwrap();
        assert_eq!((layers.spatial_layer(), layers.temporal_layer()), (1, Some(2)));
    });
    let event = Event::ConsumerLayers { consumer: name("c"), layers: None };
    tell(&event, "c", Number::CONSUMER_LAYERS_CHANGE, |notification| {
        assert!(notification.body_as_consumer_layers_change_notification().unwrap().layers().is_none());
    });
}

pub(super) fn packet(is_rtx: bool) -> TraceInfo {
    let packet = RtpPacketDump {
        payload_type: 96,
        sequence_number: 65_535,
        timestamp: u32::MAX,
        marker: true,
        ssrc: 1111,
        is_key_frame: true,
        size: 1200,
        payload_size: 1188,
        spatial_layer: 1,
        temporal_layer: 2,
        mid: Some("m".to_owned()),
        rid: None,
        rrid: Some(String::new()),
        wide_sequence_number: Some(0),
    };
    TraceInfo::Packet { packet: Box::new(packet), is_rtx }
}

fn sender_report() -> TraceInfo {
    TraceInfo::SenderReport { ssrc: 1, ntp_sec: 2, ntp_frac: 3, rtp_ts: 4, packet_count: 5, octet_count: 6 }
}

#[test]
fn producer_traces() {
    use ProducerTraceEvent as E;
    use producer::{TraceEventType as T, TraceInfo as I};
    for (event, info, wire_event, wire_info) in [
        (E::Rtp, packet(true), T::RTP, I::RtpTraceInfo),
        (E::KeyFrame, packet(true), T::KEYFRAME, I::KeyFrameTraceInfo),
        (E::Nack, TraceInfo::None, T::NACK, I::NONE),
        (E::Pli, TraceInfo::Ssrc(1), T::PLI, I::PliTraceInfo),
        (E::Fir, TraceInfo::Ssrc(1), T::FIR, I::FirTraceInfo),
        (E::SenderReport, sender_report(), T::SR, I::SrTraceInfo),
    ] {
        let trace = ProducerTrace { event, timestamp_ms: 77, direction: Direction::In, info };
        let event = Event::ProducerTrace { producer: name("p"), trace };
        tell(&event, "p", Number::PRODUCER_TRACE, |notification| {
            let trace = notification.body_as_producer_trace_notification().unwrap();
            assert_eq!((trace.type_(), trace.info_type()), (wire_event, wire_info));
            assert_eq!((trace.timestamp(), trace.direction().0), (77, 0));
            if let Some(info) = trace.info_as_rtp_trace_info() {
                let packet = info.rtp_packet();
                assert_eq!((packet.sequence_number(), packet.size(), info.is_rtx()), (65_535, 1200, true));
                assert_eq!((packet.mid(), packet.rid(), packet.rrid()), (Some("m"), None, None));
                assert_eq!(packet.wide_sequence_number(), Some(0));
            }
            if let Some(info) = trace.info_as_sr_trace_info() {
                assert_eq!((info.ssrc(), info.ntp_sec(), info.ntp_frac()), (1, 2, 3));
                assert_eq!((info.rtp_ts(), info.packet_count(), info.octet_count()), (4, 5, 6));
            }
        });
    }
}

#[test]
fn consumer_traces() {
    use ConsumerTraceEvent as E;
    use consumer::{TraceEventType as T, TraceInfo as I};
    for (event, info, wire_event, wire_info) in [
        (E::Rtp, packet(true), T::RTP, I::RtpTraceInfo),
        (E::KeyFrame, packet(true), T::KEYFRAME, I::KeyFrameTraceInfo),
        (E::Nack, TraceInfo::None, T::NACK, I::NONE),
        (E::Pli, TraceInfo::Ssrc(1), T::PLI, I::PliTraceInfo),
        (E::Fir, TraceInfo::Ssrc(1), T::FIR, I::FirTraceInfo),
        (E::Rtp, sender_report(), T::RTP, I::NONE),
    ] {
        let trace = ConsumerTrace { event, timestamp_ms: 77, direction: Direction::Out, info };
        let event = Event::ConsumerTrace { consumer: name("c"), trace };
        tell(&event, "c", Number::CONSUMER_TRACE, |notification| {
            let trace = notification.body_as_consumer_trace_notification().unwrap();
            assert_eq!((trace.type_(), trace.info_type()), (wire_event, wire_info));
            assert_eq!((trace.timestamp(), trace.direction().0), (77, 1));
        });
    }
}

#[test]
fn log_and_running_reuse_the_buffer() {
    let mut encoder = Encoder::new();
    let message = verify_message(encoder.log("Dhello")).unwrap();
    assert_eq!(message.data_as_log().unwrap().data(), "Dhello");
    // Byte for byte the original's.
    let running = super::node_frames::bytes(
        "38000000 0c000000 08000c00 0b000400 08000000 10000000 00000003 08000c00 08000700
         08000000 00000004 04000000 04000000 34323432 00000000",
    );
    assert_eq!(encoder.running(4242), running);
    let notification = verify_message(encoder.running(4242)).unwrap().data_as_notification().unwrap();
    assert_eq!((notification.handler_id(), notification.event()), ("4242", Number::WORKER_RUNNING));
}

#[test]
fn observer_events() {
    let event = Event::ActiveSpeakerObserverDominantSpeaker { observer: name("o"), producer: name("p") };
    tell(&event, "o", Number::ACTIVESPEAKEROBSERVER_DOMINANT_SPEAKER, |notification| {
        let body = notification.body_as_active_speaker_observer_dominant_speaker_notification().unwrap();
        assert_eq!(body.producer_id(), "p");
    });
    let volumes = vec![(name("p1"), -30), (name("p2"), -127)];
    let event = Event::AudioLevelObserverVolumes { observer: name("o"), volumes };
    tell(&event, "o", Number::AUDIOLEVELOBSERVER_VOLUMES, |notification| {
        let body = notification.body_as_audio_level_observer_volumes_notification().unwrap();
        let volumes: Vec<_> =
            body.volumes().iter().map(|volume| (volume.producer_id(), volume.volume())).collect();
        assert_eq!(volumes, [("p1", -30), ("p2", -127)]);
    });
    let event = Event::AudioLevelObserverSilence { observer: name("o") };
    tell(&event, "o", Number::AUDIOLEVELOBSERVER_SILENCE, |notification| {
        assert!(notification.body().is_none());
    });
}
