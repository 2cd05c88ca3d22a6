//! The events that JSON controllers are told, and the packets that follow some on the payload channel.

use ringsoup_rtc::{dtls, ice};
use ringsoup_sfu::command::{ConsumerTraceEvent, Layers, ProducerTraceEvent};
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::reply::{SctpNegotiatedCapabilities, SctpState};
use ringsoup_sfu::event::{ConsumerTrace, Direction, Event, ProducerScore, ProducerTrace, TraceInfo};
use ringsoup_sfu::reply::ConsumerScore;
use serde_json::{Value, json};

use super::tell_tests::{VERSIONS, connected_tuple, with};
use crate::version::Version;
use crate::wire::{Encoder, event_tests, reply_samples as replies};

/// The message, and what follows it; the same for all versions.
fn tell(event: &Event) -> Option<(Value, Option<Vec<u8>>)> {
    let told = VERSIONS.map(|version| {
        let mut encoder = Encoder::speaking_json(version);
        let told = encoder.event(event)?;
        Some((serde_json::from_slice(told.message).unwrap(), told.payload.map(<[u8]>::to_vec)))
    });
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]));
    told[0].clone()
}

/// An event without data.
fn bare(event: &Event, target: &str, name: &str) {
    let (message, payload) = tell(event).unwrap();
    assert_eq!((message, payload), (json!({ "targetId": target, "event": name }), None));
}

fn check(event: &Event, target: &str, name: &str, data: &Value) {
    let (message, payload) = tell(event).unwrap();
    assert_eq!((message, payload), (json!({ "targetId": target, "event": name, "data": data }), None));
}

#[test]
fn the_first_word() {
    let mut encoder = Encoder::speaking_json(Version::new(3, 8, 4));
    let running: Value = serde_json::from_slice(encoder.running(42)).unwrap();
    assert_eq!(running, json!({ "targetId": "42", "event": "running" }));
    assert_eq!(encoder.log("Dsomething {} \"quoted\""), b"Dsomething {} \"quoted\"");
}

#[test]
fn events_of_transports() {
    let (transport, tuple) = (|| "t".into(), || replies::tuple(Some("[::1]:6000")));
    let event = Event::PlainTransportTuple { transport: transport(), tuple: tuple() };
    check(&event, "t", "tuple", &json!({ "tuple": connected_tuple() }));
    let event = Event::PlainTransportRtcpTuple { transport: transport(), tuple: tuple() };
    check(&event, "t", "rtcptuple", &json!({ "rtcpTuple": connected_tuple() }));
    let event = Event::WebRtcIceSelectedTuple { transport: transport(), tuple: tuple() };
    check(&event, "t", "iceselectedtuplechange", &json!({ "iceSelectedTuple": connected_tuple() }));
    let event = Event::WebRtcIceState { transport: transport(), state: ice::State::Disconnected };
    check(&event, "t", "icestatechange", &json!({ "iceState": "disconnected" }));
    let event = Event::WebRtcDtlsState {
        transport: transport(),
        state: dtls::State::Connecting,
        remote_certificate: None,
    };
    check(&event, "t", "dtlsstatechange", &json!({ "dtlsState": "connecting" }));
    let event = Event::WebRtcDtlsState {
        transport: transport(),
        state: dtls::State::Connected,
        remote_certificate: Some("PEM\n".to_owned()),
    };
    check(&event, "t", "dtlsstatechange", &json!({ "dtlsState": "connected", "dtlsRemoteCert": "PEM\n" }));
    let event = Event::TransportSctpState { transport: transport(), state: SctpState::Failed };
    check(&event, "t", "sctpstatechange", &json!({ "sctpState": "failed" }));
}

#[test]
fn events_of_producers() {
    let scores = vec![
        ProducerScore { encoding_idx: 0, ssrc: 1, rid: None, score: 10 },
        ProducerScore { encoding_idx: 1, ssrc: 2, rid: Some("r1".to_owned()), score: 0 },
    ];
    let expected = json!([
        { "encodingIdx": 0, "ssrc": 1, "score": 10 },
        { "encodingIdx": 1, "ssrc": 2, "rid": "r1", "score": 0 },
    ]);
    check(&Event::ProducerScore { producer: "p".into(), scores }, "p", "score", &expected);
    let event =
        Event::ProducerVideoOrientation { producer: "p".into(), camera: true, flip: false, rotation: 270 };
    let expected = json!({ "camera": true, "flip": false, "rotation": 270 });
    check(&event, "p", "videoorientationchange", &expected);
}

#[test]
fn events_of_consumers() {
    let consumer = || "c".into();
    bare(&Event::ConsumerProducerPause { consumer: consumer() }, "c", "producerpause");
    bare(&Event::ConsumerProducerResume { consumer: consumer() }, "c", "producerresume");
    bare(&Event::ConsumerProducerClose { consumer: consumer() }, "c", "producerclose");
    let score = ConsumerScore { score: 1, producer_score: 2, producer_scores: vec![2, 3] };
    let expected = json!({ "score": 1, "producerScore": 2, "producerScores": [2, 3] });
    check(&Event::ConsumerScore { consumer: consumer(), score }, "c", "score", &expected);
    let layers = Some(Layers { spatial: 1, temporal: Some(2) });
    let expected = json!({ "spatialLayer": 1, "temporalLayer": 2 });
    check(&Event::ConsumerLayers { consumer: consumer(), layers }, "c", "layerschange", &expected);
    let event = Event::ConsumerLayers { consumer: consumer(), layers: None };
    check(&event, "c", "layerschange", &Value::Null);
}

#[test]
fn events_of_observers() {
    let observer = || "o".into();
    bare(&Event::AudioLevelObserverSilence { observer: observer() }, "o", "silence");
    let volumes = vec![("p".into(), -7), ("q".into(), -127)];
    let expected = json!([{ "producerId": "p", "volume": -7 }, { "producerId": "q", "volume": -127 }]);
    check(&Event::AudioLevelObserverVolumes { observer: observer(), volumes }, "o", "volumes", &expected);
    let event = Event::ActiveSpeakerObserverDominantSpeaker { observer: observer(), producer: "p".into() };
    check(&event, "o", "dominantspeaker", &json!({ "producerId": "p" }));
}

#[test]
fn events_of_data_consumers() {
    let data_consumer = || "dc".into();
    bare(&Event::DataConsumerDataProducerClose { data_consumer: data_consumer() }, "dc", "dataproducerclose");
    bare(&Event::DataConsumerSendBufferFull { data_consumer: data_consumer() }, "dc", "sctpsendbufferfull");
    let event = Event::DataConsumerBufferedAmountLow { data_consumer: data_consumer(), buffered_amount: 3 };
    check(&event, "dc", "bufferedamountlow", &json!({ "bufferedAmount": 3 }));
}

#[test]
fn what_nobody_knew_before_is_not_told() {
    let capabilities = SctpNegotiatedCapabilities { max_outbound_streams: 1, max_inbound_streams: 2 };
    for event in [
        Event::DataConsumerDataProducerPause { data_consumer: "dc".into() },
        Event::DataConsumerDataProducerResume { data_consumer: "dc".into() },
        Event::TransportSctpNegotiated { transport: "t".into(), capabilities },
        Event::TransportFailed { transport: "t".into(), router: "r".into() },
    ] {
        assert_eq!(tell(&event), None);
    }
}

#[test]
fn packets_follow_their_head() {
    let event = Event::ConsumerRtp { consumer: "c".into(), data: vec![3] };
    assert_eq!(tell(&event), Some((json!({ "targetId": "c", "event": "rtp" }), Some(vec![3]))));
    let event = Event::DirectTransportRtcp { transport: "t".into(), data: vec![1, 2] };
    assert_eq!(tell(&event), Some((json!({ "targetId": "t", "event": "rtcp" }), Some(vec![1, 2]))));
    for payload in [&b""[..], b"hi"] {
        let message = Message { ppid: 51, payload: payload.into() };
        let event = Event::DataConsumerMessage { data_consumer: "dc".into(), message };
        let expected = json!({ "targetId": "dc", "event": "message", "data": { "ppid": 51 } });
        assert_eq!(tell(&event), Some((expected, Some(payload.to_vec()))));
    }
}

fn packet() -> Value {
    json!({
        "payloadType": 96,
        "sequenceNumber": 65_535,
        "timestamp": u32::MAX,
        "marker": true,
        "ssrc": 1111,
        "isKeyFrame": true,
        "size": 1200,
        "payloadSize": 1188,
        "spatialLayer": 1,
        "temporalLayer": 2,
        "mid": "m",
        "wideSequenceNumber": 0,
    })
}

#[test]
fn traces() {
    use {ConsumerTraceEvent as C, ProducerTraceEvent as P};
    let ssrc = || TraceInfo::Ssrc(1);
    let again = || with(packet(), json!({ "isRtx": true }));
    for (producer_event, consumer_event, info, kind, expected) in [
        (P::Rtp, C::Rtp, event_tests::packet(true), "rtp", again()),
        (P::Rtp, C::Rtp, event_tests::packet(false), "rtp", packet()),
        (P::KeyFrame, C::KeyFrame, event_tests::packet(true), "keyframe", again()),
        (P::KeyFrame, C::KeyFrame, event_tests::packet(false), "keyframe", packet()),
        (P::Nack, C::Nack, TraceInfo::None, "nack", json!({})),
        (P::Pli, C::Pli, ssrc(), "pli", json!({ "ssrc": 1 })),
        (P::Fir, C::Fir, ssrc(), "fir", json!({ "ssrc": 1 })),
    ] {
        let data = |direction: &str| json!({ "type": kind, "timestamp": 77, "direction": direction, "info": expected });
        let trace = ProducerTrace {
            event: producer_event,
            timestamp_ms: 77,
            direction: Direction::In,
            info: info.clone(),
        };
        check(&Event::ProducerTrace { producer: "p".into(), trace }, "p", "trace", &data("in"));
        let trace =
            ConsumerTrace { event: consumer_event, timestamp_ms: 77, direction: Direction::Out, info };
        check(&Event::ConsumerTrace { consumer: "c".into(), trace }, "c", "trace", &data("out"));
    }
}
