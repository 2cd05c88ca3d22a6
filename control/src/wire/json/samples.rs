//! A request for every method, as the libraries of any version write them.

use serde_json::{Value, json};

use super::Dialect;
use super::methods::{METHODS, SEND};
use crate::method::Method;
use crate::version::Version;

/// Versions on both sides of every change.
pub(super) const VERSIONS: [&str; 8] =
    ["3.8.4", "3.9.17", "3.10.0", "3.10.5", "3.10.6", "3.11.16", "3.11.17", "3.12.16"];

pub(super) const ID: u32 = 77;

pub(super) fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// Ids of everything there is in the samples.
pub(super) fn ids() -> Value {
    json!({
        "routerId": "r", "webRtcServerId": "w", "transportId": "t", "producerId": "p", "consumerId": "c",
        "dataProducerId": "dp", "dataConsumerId": "dc", "rtpObserverId": "o",
    })
}

/// A request of this version, by its method's text.
pub(super) fn request(version: Version, text: &str, data: &Value) -> Vec<u8> {
    let handler =
        METHODS.iter().chain([&SEND]).find(|called| called.text() == text && called.exists_in(version));
    let handler = handler.and_then(|called| called.handler);
    match Dialect::of(version).unwrap() {
        Dialect::Text => {
            let handler = handler.map_or_else(|| "undefined".to_owned(), |member| text_of(&ids()[member]));
            let data = if data.is_null() { "undefined".to_owned() } else { data.to_string() };
            format!("{ID}:{text}:{handler}:{data}").into_bytes()
        }
        _ => {
            let mut message = json!({ "id": ID, "method": text, "internal": ids() });
            if !data.is_null() {
                message["data"] = data.clone();
            }
            message.to_string().into_bytes()
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Every method of a version, with data as its library has them. What only later libraries write is ignored before.
pub(super) fn all(version: Version) -> Vec<(Method, Vec<u8>)> {
    let called = METHODS.iter().filter(|called| called.exists_in(version));
    called.map(|called| (called.method, request(version, called.text(), &data(called.method)))).collect()
}

/// With the new ids among the data, as libraries have it from 3.10.6 on; before, nobody looks at these.
pub(super) fn data(method: Method) -> Value {
    let mut data = own_data(method);
    if let Value::Object(members) = &mut data
        && let Value::Object(ids) = ids()
    {
        for (member, id) in ids {
            members.entry(member).or_insert(id);
        }
    }
    data
}

fn own_data(method: Method) -> Value {
    match method {
        Method::WorkerUpdateSettings => json!({ "logLevel": "warn", "logTags": ["ice", "dtls"] }),
        Method::WorkerCreateWebRtcServer => json!({ "listenInfos": [
            { "protocol": "udp", "ip": "127.0.0.1", "announcedIp": "9.9.9.1", "port": 11111 },
            { "protocol": "tcp", "ip": "127.0.0.1" },
        ] }),
        Method::RouterCreateWebRtcTransport => webrtc_transport(),
        Method::RouterCreateWebRtcTransportWithServer => webrtc_transport(),
        Method::RouterCreatePlainTransport => plain_transport(),
        Method::RouterCreatePipeTransport => pipe_transport(),
        Method::RouterCreateDirectTransport => json!({ "direct": true, "maxMessageSize": 1234 }),
        Method::RouterCreateActiveSpeakerObserver => json!({ "interval": 500 }),
        Method::RouterCreateAudioLevelObserver => {
            json!({ "maxEntries": 8, "threshold": -70, "interval": 2000 })
        }
        Method::TransportConnect => json!({ "dtlsParameters": {
            "role": "server", "fingerprints": [{ "algorithm": "sha-256", "value": "82:5A" }],
        } }),
        Method::TransportSetMaxIncomingBitrate
        | Method::TransportSetMaxOutgoingBitrate
        | Method::TransportSetMinOutgoingBitrate => json!({ "bitrate": 5_000_000_000_u64 }),
        Method::TransportProduce => produce(),
        Method::TransportConsume => consume(),
        Method::TransportProduceData | Method::TransportConsumeData => json!({
            "type": "sctp", "label": "l", "protocol": "q",
            "sctpStreamParameters": { "streamId": 12, "ordered": false, "maxRetransmits": 3 },
        }),
        Method::TransportEnableTraceEvent => json!({ "types": ["bwe", "of later", "probation"] }),
        Method::ProducerEnableTraceEvent => json!({ "types": ["rtp", "pli", "sr"] }),
        Method::ConsumerEnableTraceEvent => json!({ "types": ["rtp", "keyframe"] }),
        Method::ConsumerSetPreferredLayers => json!({ "spatialLayer": 2, "temporalLayer": 1 }),
        Method::ConsumerSetPriority => json!({ "priority": 3 }),
        Method::DataConsumerSetBufferedAmountLowThreshold => json!({ "threshold": 4096 }),
        Method::WorkerCreateRouter
        | Method::WorkerCloseRouter
        | Method::WorkerCloseWebRtcServer
        | Method::RouterCloseTransport
        | Method::RouterCloseRtpObserver
        | Method::TransportCloseProducer
        | Method::TransportCloseConsumer
        | Method::TransportCloseDataProducer
        | Method::TransportCloseDataConsumer
        | Method::RtpObserverAddProducer
        | Method::RtpObserverRemoveProducer => json!({}),
        _ => Value::Null,
    }
}

fn with_sctp(mut options: Value) -> Value {
    let sctp = json!({
        "enableSctp": true, "numSctpStreams": { "OS": 100, "MIS": 200 }, "maxSctpMessageSize": 1000,
        "sctpSendBufferSize": 2000, "isDataChannel": true,
    });
    if let (Value::Object(options), Value::Object(sctp)) = (&mut options, sctp) {
        options.extend(sctp);
    }
    options
}

pub(super) fn webrtc_transport() -> Value {
    with_sctp(json!({
        "listenIps": [{ "ip": "127.0.0.1", "announcedIp": "9.9.9.1" }, { "ip": "::1" }], "port": 40000,
        "enableUdp": true, "enableTcp": true, "preferUdp": true, "preferTcp": false,
        "initialAvailableOutgoingBitrate": 600_000,
    }))
}

pub(super) fn plain_transport() -> Value {
    with_sctp(json!({
        "listenIp": { "ip": "127.0.0.1", "announcedIp": "4.4.4.4" }, "port": 40001, "rtcpMux": false, "comedia": true,
        "enableSrtp": true, "srtpCryptoSuite": "AES_CM_128_HMAC_SHA1_32",
    }))
}

pub(super) fn pipe_transport() -> Value {
    json!({
        "listenIp": { "ip": "127.0.0.1" }, "enableSctp": false, "numSctpStreams": { "OS": 1024, "MIS": 1024 },
        "maxSctpMessageSize": 268_435_456, "sctpSendBufferSize": 268_435_456, "isDataChannel": false,
        "enableRtx": true, "enableSrtp": true,
    })
}

pub(super) fn rtp_parameters() -> Value {
    json!({
        "mid": "VIDEO",
        "codecs": [
            {
                "mimeType": "video/h264", "payloadType": 112, "clockRate": 90000,
                "parameters": {
                    "packetization-mode": 1, "profile-level-id": "4d0032", "a": 1.5, "yes": true, "list": [1, 2],
                    "great": 4_294_967_295_u64, "nothing": null,
                },
                "rtcpFeedback": [{ "type": "nack" }, { "type": "nack", "parameter": "pli" }],
            },
            { "mimeType": "video/rtx", "payloadType": 113, "clockRate": 90000, "parameters": { "apt": 112 },
              "channels": null },
        ],
        "headerExtensions": [
            { "uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 10 },
            { "uri": "urn:ietf:params:rtp-hdrext:framemarking", "id": 7 },
            { "uri": "urn:3gpp:video-orientation", "id": 13, "encrypt": false, "parameters": {} },
        ],
        "encodings": [
            { "ssrc": 11_111_111, "rtx": { "ssrc": 22_222_222 }, "scalabilityMode": "L1T3", "maxBitrate": 900_000,
              "rid": null },
            { "rid": "r1", "dtx": true, "codecPayloadType": 112 },
        ],
        "rtcp": { "cname": "FOOBAR", "reducedSize": false },
    })
}

pub(super) fn produce() -> Value {
    json!({
        "kind": "video", "rtpParameters": rtp_parameters(), "paused": true, "keyFrameRequestDelay": 700,
        "rtpMapping": {
            "codecs": [{ "payloadType": 112, "mappedPayloadType": 101 }, { "payloadType": 113, "mappedPayloadType": 102 }],
            "encodings": [
                { "ssrc": 11_111_111, "mappedSsrc": 3_333_333_333_u32, "scalabilityMode": "L1T3" },
                { "rid": "r1", "mappedSsrc": 3 },
            ],
        },
    })
}

pub(super) fn consume() -> Value {
    json!({
        "kind": "video", "rtpParameters": rtp_parameters(), "type": "simulcast", "paused": true, "ignoreDtx": true,
        "consumableRtpEncodings": [{ "ssrc": 3 }], "preferredLayers": { "spatialLayer": 1, "temporalLayer": 300 },
    })
}
