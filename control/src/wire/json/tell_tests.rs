//! What JSON controllers are told: facts are what the workers of 3.8.4 to 3.12.16 say (`worker/src` of the packages).

use ringsoup_rtc::dtls;
use ringsoup_sfu::command::{CommandError, Layers};
use ringsoup_sfu::reply::{PipeTransportStats, Reply, TransportDump};
use ringsoup_sfu::rtp_parameters::RtpType;
use serde_json::{Value, json};

use crate::message::{ResourceUsage, Response, ResponseBody};
use crate::version::Version;
use crate::wire::{Encoder, data_tests, reply_samples as replies, webrtc_tests};

const OLDEST: Version = Version::new(3, 8, 4);
const SERVERS: Version = Version::new(3, 10, 0);
const NEWEST: Version = Version::new(3, 12, 16);
pub(super) const VERSIONS: [Version; 6] =
    [OLDEST, Version::new(3, 9, 17), SERVERS, Version::new(3, 10, 5), Version::new(3, 10, 6), NEWEST];

fn respond(version: Version, result: Result<ResponseBody, CommandError>) -> Value {
    let mut encoder = Encoder::speaking_json(version);
    serde_json::from_slice(encoder.response(&Response { id: 9.into(), result })).unwrap()
}

/// The data of the answer, which is the same for all versions.
fn data(reply: &Reply) -> Value {
    let answers = VERSIONS.map(|version| {
        let told = respond(version, Ok(ResponseBody::Shard(reply.clone())));
        assert_eq!((&told["id"], &told["accepted"], told.get("error")), (&json!(9), &json!(true), None));
        told.get("data").cloned().unwrap_or_else(|| json!("no data"))
    });
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    answers[0].clone()
}

#[test]
fn refusals() {
    for (error, class) in [(CommandError::error("a"), "Error"), (CommandError::type_error("a"), "TypeError")]
    {
        let told = respond(NEWEST, Err(error));
        assert_eq!(told, json!({ "id": 9, "error": class, "reason": "a" }));
    }
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let told = respond(NEWEST, Ok(ResponseBody::Shard(Reply::SetSubchannels(vec![1]))));
    assert_eq!((&told["id"], &told["error"], told.get("accepted")), (&json!(9), &json!("Error"), None));
}

#[test]
fn a_worker_and_what_its_version_knows_of() {
    let dump = |version| {
        respond(version, Ok(ResponseBody::WorkerDump(Box::new(replies::worker_dump()))))["data"].take()
    };
    let mut shards = Value::Null;
    let mut expect = |version, expected: Value| {
        let mut dump = dump(version);
        shards = dump.as_object_mut().unwrap().remove("ringsoupShards").unwrap();
        assert_eq!(dump, expected);
    };
    expect(OLDEST, json!({ "pid": 42, "routerIds": ["r1", "r2"] }));
    expect(SERVERS, json!({ "pid": 42, "routerIds": ["r1", "r2"], "webRtcServerIds": ["w"] }));
    let handlers = json!({
        "channelRequestHandlers": ["r1"],
        "payloadChannelRequestHandlers": ["dc"],
        "payloadChannelNotificationHandlers": [],
    });
    expect(
        NEWEST,
        json!({ "pid": 42, "routerIds": ["r1", "r2"], "webRtcServerIds": ["w"], "channelMessageHandlers": handlers }),
    );
    assert_eq!(shards.as_array().unwrap().len(), 1);
    assert_eq!(
        (&shards[0]["receivedPackets"], &shards[0]["dropped"]),
        (&json!(10), &json!({ "duplicate": 2 }))
    );
    assert_eq!((&shards[0]["io"], &shards[0]["latency"]["p99Us"]), (&json!({ "sends": 5 }), &json!(99)));
    assert_eq!(shards[0]["latency"]["encoded"], json!("AQID"));
}

/// The libraries' own tests know every member of an idle worker's dump.
#[test]
fn an_idle_worker_has_no_shards_to_tell_of() {
    let mut dump = replies::worker_dump();
    for shard in &mut dump.shards {
        shard.report = None;
    }
    let told = respond(OLDEST, Ok(ResponseBody::WorkerDump(Box::new(dump))));
    assert_eq!(told["data"], json!({ "pid": 42, "routerIds": ["r1", "r2"] }));
}

#[test]
fn resource_usage_has_the_names_of_the_kernel() {
    let usage = ResourceUsage { ru_utime: 1, ru_nivcsw: 16, ..ResourceUsage::default() };
    let data = respond(OLDEST, Ok(ResponseBody::ResourceUsage(Box::new(usage))))["data"].take();
    assert_eq!(
        (data.as_object().unwrap().len(), &data["ru_utime"], &data["ru_nivcsw"]),
        (16, &json!(1), &json!(16))
    );
}

#[test]
fn a_routers_maps_are_objects() {
    let mut dump = data(&Reply::RouterDump(Box::new(replies::router_dump())));
    let latency = dump.as_object_mut().unwrap().remove("ringsoupLatency").unwrap();
    assert_eq!((&latency["count"], &latency["p99Us"]), (&json!(5), &json!(99)));
    let expected = json!({
        "id": "r",
        "transportIds": ["t1", "t2"],
        "rtpObserverIds": ["o1", "o2"],
        "mapProducerIdConsumerIds": { "p": ["c1", "c2"] },
        "mapConsumerIdProducerId": { "c1": "p", "c2": "p" },
        "mapProducerIdObserverIds": { "p": ["o2"], "p2": [] },
        "mapDataProducerIdDataConsumerIds": {},
        "mapDataConsumerIdDataProducerId": {},
        "ringsoupShard": 3,
    });
    assert_eq!(dump, expected);
}

fn transport() -> Value {
    json!({
        "id": "t",
        "direct": true,
        "producerIds": ["p"],
        "consumerIds": ["c"],
        "mapSsrcConsumerId": { "1": "c" },
        "mapRtxSsrcConsumerId": { "2": "c" },
        "dataProducerIds": [],
        "dataConsumerIds": [],
        "recvRtpHeaderExtensions": { "mid": 1, "transportWideCc01": 5 },
        "rtpListener": { "ssrcTable": { "3": "p" }, "midTable": { "m": "p" }, "ridTable": {} },
        "maxMessageSize": 262_144,
        "traceEventTypes": "probation,bwe",
    })
}

/// Both objects' members.
pub(super) fn with(mut object: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!() };
    object.as_object_mut().unwrap().extend(more);
    object
}

pub(super) fn connected_tuple() -> Value {
    json!({ "localIp": "9.9.9.1", "localPort": 5000, "remoteIp": "::1", "remotePort": 6000, "protocol": "udp" })
}

fn local_tuple() -> Value {
    json!({ "localIp": "9.9.9.1", "localPort": 5000, "protocol": "udp" })
}

fn srtp_parameters() -> Value {
    json!({ "cryptoSuite": "AEAD_AES_256_GCM", "keyBase64": "AAECAw==" })
}

#[test]
fn transports_without_ice() {
    assert_eq!(data(&Reply::DirectTransportDump(Box::new(replies::transport_dump()))), transport());
    let plain = json!({
        "rtcpMux": true,
        "comedia": true,
        "tuple": local_tuple(),
        "rtcpTuple": connected_tuple(),
        "srtpParameters": srtp_parameters(),
    });
    let dump = data(&Reply::PlainTransportDump(Box::new(replies::plain_transport_dump())));
    assert_eq!(dump, with(transport(), plain));
    let pipe = json!({ "tuple": connected_tuple(), "rtx": true, "srtpParameters": srtp_parameters() });
    let dump = data(&Reply::PipeTransportDump(Box::new(replies::pipe_transport_dump())));
    assert_eq!(dump, with(transport(), pipe));
}

#[test]
fn transports_show_their_sctp() {
    let dump = TransportDump { sctp: Some(data_tests::sctp()), ..replies::transport_dump() };
    let sctp = json!({
        "sctpParameters": {
            "port": 5000,
            "OS": 7,
            "MIS": 8,
            "maxMessageSize": 1,
            "sendBufferSize": 3,
            "sctpBufferedAmount": 9,
            "isDataChannel": true,
        },
        "sctpState": "connected",
        "sctpListener": { "streamIdTable": { "8": "dp" } },
    });
    assert_eq!(data(&Reply::DirectTransportDump(Box::new(dump))), with(transport(), sctp));
}

#[test]
fn webrtc_transports() {
    let candidate = |protocol: &str| {
        json!({
            "foundation": format!("{protocol}candidate"),
            "priority": 4_000_000_000_u32,
            "ip": "sfu.test",
            "protocol": protocol,
            "port": 44_444,
            "type": "host",
        })
    };
    let mut dump = data(&Reply::WebRtcTransportDump(Box::new(webrtc_tests::transport_dump())));
    let fingerprint = dump["dtlsParameters"]["fingerprints"][0]["value"].take();
    assert_eq!(fingerprint.as_str().unwrap().len(), 3 * 28 - 1);
    let webrtc = json!({
        "iceRole": "controlled",
        "iceParameters": { "usernameFragment": "fragment", "password": "password", "iceLite": true },
        "iceCandidates": [candidate("udp"), with(candidate("tcp"), json!({ "tcpType": "passive" }))],
        "iceState": "completed",
        "iceSelectedTuple": connected_tuple(),
        "dtlsParameters": { "fingerprints": [{ "algorithm": "sha-224", "value": null }], "role": "server" },
        "dtlsState": "failed",
    });
    assert_eq!(dump, with(transport(), webrtc));
    let told = respond(NEWEST, Ok(ResponseBody::WebRtcServerDump(Box::new(webrtc_tests::server_dump()))));
    let expected = json!({
        "id": "s",
        "udpSockets": [{ "ip": "127.0.0.1", "port": 1 }, { "ip": "::1", "port": 2 }],
        "tcpServers": [{ "ip": "127.0.0.1", "port": 3 }],
        "webRtcTransportIds": ["t", "u"],
        "localIceUsernameFragments": [
            { "localIceUsernameFragment": "new", "webRtcTransportId": "t" },
            { "localIceUsernameFragment": "old", "webRtcTransportId": "t" },
            { "localIceUsernameFragment": "only", "webRtcTransportId": "u" },
        ],
        "tupleHashes": [],
    });
    assert_eq!(told["data"], expected);
}

#[test]
fn answers_to_connect_and_restart() {
    let role = dtls::Role::Client;
    assert_eq!(data(&Reply::WebRtcConnect { role }), json!({ "dtlsLocalRole": "client" }));
    let parameters = json!({ "usernameFragment": "fragment", "password": "password", "iceLite": true });
    let restarted = data(&Reply::RestartIce(webrtc_tests::credentials()));
    assert_eq!(restarted, json!({ "iceParameters": parameters }));
    let connected = data(&Reply::PlainConnect(Box::new(replies::plain_connected())));
    assert_eq!(connected, json!({ "rtcpTuple": local_tuple(), "srtpParameters": srtp_parameters() }));
}

fn transport_stats(kind: &str) -> Value {
    json!({
        "type": kind,
        "transportId": "t",
        "timestamp": 77,
        "bytesReceived": 1,
        "recvBitrate": 2,
        "bytesSent": 0,
        "sendBitrate": 0,
        "rtpBytesReceived": 0,
        "rtpRecvBitrate": 0,
        "rtpBytesSent": 0,
        "rtpSendBitrate": 0,
        "rtxBytesReceived": 0,
        "rtxRecvBitrate": 0,
        "rtxBytesSent": 0,
        "rtxSendBitrate": 0,
        "probationBytesSent": 13,
        "probationSendBitrate": 14,
        "availableOutgoingBitrate": 600_000,
        "maxIncomingBitrate": 5_000_000_000_u64,
        "rtpPacketLossReceived": 0.5,
    })
}

#[test]
fn statistics_of_transports_are_arrays_of_one() {
    let stats = data(&Reply::DirectTransportStats(Box::new(replies::transport_stats())));
    assert_eq!(stats, json!([transport_stats("direct-transport")]));
    let plain = json!({ "rtcpMux": true, "comedia": true, "tuple": connected_tuple() });
    let stats = data(&Reply::PlainTransportStats(Box::new(replies::plain_transport_stats())));
    assert_eq!(stats, json!([with(transport_stats("plain-rtp-transport"), plain)]));
    let stats = PipeTransportStats { base: replies::transport_stats(), tuple: replies::tuple(None) };
    let stats = data(&Reply::PipeTransportStats(Box::new(stats)));
    assert_eq!(stats, json!([with(transport_stats("pipe-transport"), json!({ "tuple": local_tuple() }))]));
    let webrtc = json!({ "iceRole": "controlled", "iceState": "disconnected", "dtlsState": "connecting" });
    let stats = data(&Reply::WebRtcTransportStats(Box::new(webrtc_tests::transport_stats())));
    assert_eq!(stats, json!([with(transport_stats("webrtc-transport"), webrtc)]));
}

#[test]
fn answers_to_produce_and_consume() {
    assert_eq!(data(&Reply::Produce { rtp_type: RtpType::Simulcast }), json!({ "type": "simulcast" }));
    let expected = json!({
        "paused": true,
        "producerPaused": false,
        "score": { "score": 10, "producerScore": 9, "producerScores": [9, 0] },
        "preferredLayers": { "spatialLayer": 0, "temporalLayer": 2 },
    });
    assert_eq!(data(&Reply::Consume(replies::consume_reply())), expected);
    let layers = Some(Layers { spatial: 1, temporal: Some(0) });
    assert_eq!(data(&Reply::SetPreferredLayers(layers)), json!({ "spatialLayer": 1, "temporalLayer": 0 }));
    assert_eq!(data(&Reply::SetPreferredLayers(None)), json!("no data"));
    assert_eq!(data(&Reply::SetPriority(2)), json!({ "priority": 2 }));
    assert_eq!(data(&Reply::Done), json!("no data"));
}

fn parameters() -> Value {
    json!({
        "yes": true,
        "no": false,
        "apt": -7,
        "ratio": 222.222,
        "list": [1, -2, 3],
        "profile-level-id": "4d0032",
    })
}

fn encodings() -> Value {
    json!([
        {
            "ssrc": 1111,
            "rid": "r0",
            "codecPayloadType": 0,
            "rtx": { "ssrc": 1112 },
            "dtx": true,
            "maxBitrate": 5_000_000_000_u64,
            "scalabilityMode": "L1T3",
            "spatialLayers": 1,
            "temporalLayers": 3,
            "ksvc": false,
        },
        {},
    ])
}

/// With the header extensions checked and taken out: they are all that there are.
fn take_extensions(parameters: &mut Value) {
    let extensions = parameters.as_object_mut().unwrap().remove("headerExtensions").unwrap();
    let mid =
        extensions.as_array().unwrap().iter().find(|extension| extension["encrypt"] == json!(true)).unwrap();
    assert_eq!(mid["uri"], json!("urn:ietf:params:rtp-hdrext:sdes:mid"));
    assert_eq!(mid["parameters"], self::parameters());
    let others =
        extensions.as_array().unwrap().iter().filter(|extension| extension["encrypt"] == json!(false));
    assert!(others.clone().count() > 8);
    for other in others {
        assert_eq!(other["parameters"], json!({}));
        assert!(other["uri"].as_str().is_some_and(|uri| uri.contains(':')) && other["id"].is_u64());
    }
}

fn rtp_parameters() -> Value {
    json!({
        "mid": "m",
        "codecs": [
            {
                "mimeType": "audio/opus",
                "payloadType": 111,
                "clockRate": 48_000,
                "channels": 2,
                "parameters": parameters(),
                "rtcpFeedback": [{ "type": "nack" }, { "type": "nack", "parameter": "pli" }],
            },
            {
                "mimeType": "video/H264",
                "payloadType": 0,
                "clockRate": 90_000,
                "parameters": {},
                "rtcpFeedback": [],
            },
        ],
        "encodings": encodings(),
        "rtcp": { "cname": "c", "reducedSize": false },
    })
}

fn stream() -> Value {
    json!({
        "params": {
            "encodingIdx": 0,
            "ssrc": 1111,
            "payloadType": 96,
            "mimeType": "video/VP8",
            "clockRate": 90_000,
            "cname": "c",
            "rtxSsrc": 1112,
            "rtxPayloadType": 97,
            "useNack": true,
            "usePli": false,
            "useFir": false,
            "useInBandFec": false,
            "useDtx": false,
            "spatialLayers": 1,
            "temporalLayers": 1,
        },
        "score": 10,
        "rtxStream": {
            "params": {
                "ssrc": 1112,
                "payloadType": 97,
                "mimeType": "video/rtx",
                "clockRate": 90_000,
                "cname": "c",
            },
        },
    })
}

#[test]
fn producers() {
    let mut dump = data(&Reply::ProducerDump(Box::new(replies::producer_dump())));
    take_extensions(&mut dump["rtpParameters"]);
    let expected = json!({
        "id": "p",
        "kind": "video",
        "type": "simulcast",
        "rtpParameters": rtp_parameters(),
        "rtpMapping": {
            "codecs": [{ "payloadType": 111, "mappedPayloadType": 100 }],
            "encodings": [
                { "rid": "r0", "ssrc": 1111, "mappedSsrc": 2222 },
                { "rid": null, "ssrc": null, "mappedSsrc": 2223 },
            ],
        },
        "rtpStreams": [stream()],
        "traceEventTypes": "rtp,keyframe,nack,pli,fir",
        "paused": true,
    });
    assert_eq!(dump, expected);
}

#[test]
fn consumers_show_one_stream_or_all() {
    let dump = |rtp_type| {
        let mut dump = replies::consumer_dump();
        dump.rtp_type = rtp_type;
        dump.layers.preferred_spatial = 2;
        let mut dump = data(&Reply::ConsumerDump(Box::new(dump)));
        take_extensions(&mut dump["rtpParameters"]);
        dump
    };
    let expected = |kind: &str| {
        json!({
            "id": "c",
            "producerId": "p",
            "kind": "video",
            "type": kind,
            "rtpParameters": rtp_parameters(),
            "consumableRtpEncodings": encodings(),
            "supportedCodecPayloadTypes": [100],
            "traceEventTypes": "rtp,fir",
            "paused": false,
            "producerPaused": true,
            "priority": 1,
        })
    };
    let one = json!({ "rtpStream": stream() });
    let layers = json!({
        "preferredSpatialLayer": 2,
        "targetSpatialLayer": -1,
        "currentSpatialLayer": -1,
        "preferredTemporalLayer": -1,
        "targetTemporalLayer": -1,
        "currentTemporalLayer": -1,
    });
    assert_eq!(dump(RtpType::Simple), with(expected("simple"), one.clone()));
    assert_eq!(dump(RtpType::Svc), with(with(expected("svc"), one.clone()), layers.clone()));
    assert_eq!(dump(RtpType::Simulcast), with(with(expected("simulcast"), one), layers));
    assert_eq!(dump(RtpType::Pipe), with(expected("pipe"), json!({ "rtpStreams": [stream()] })));
}

fn base_stats() -> Value {
    json!({
        "timestamp": 77,
        "ssrc": 1111,
        "kind": "video",
        "mimeType": "video/VP8",
        "packetsLost": 0,
        "fractionLost": 12,
        "packetsDiscarded": 2,
        "packetsRetransmitted": 3,
        "packetsRepaired": 4,
        "nackCount": 5,
        "nackPacketCount": 6,
        "pliCount": 7,
        "firCount": 8,
        "rtxSsrc": 1112,
        "rtxPacketsDiscarded": 9,
        "roundTripTime": 1.5,
        "score": 10,
    })
}

#[test]
fn statistics_of_streams() {
    let sent =
        with(base_stats(), json!({ "type": "outbound-rtp", "packetCount": 5, "byteCount": 6, "bitrate": 7 }));
    let received = with(
        base_stats(),
        json!({
            "type": "inbound-rtp",
            "jitter": 1,
            "packetCount": 1,
            "byteCount": 2,
            "bitrate": 3,
            "bitrateByLayer": { "0.1": 4 },
        }),
    );
    let stats = data(&Reply::ConsumerStats(Box::new(replies::consumer_stats())));
    assert_eq!(stats, json!([sent, received]));
    let mut stats = replies::recv_stats();
    stats.bitrate_by_layer.clear();
    stats.base.rtx_ssrc = None;
    stats.base.round_trip_time = 0.0;
    stats.base.rid = Some("r0".to_owned());
    let stats = data(&Reply::ProducerStats(vec![stats]));
    let mut expected = with(received, json!({ "rid": "r0" }));
    for absent in ["bitrateByLayer", "rtxSsrc", "rtxPacketsDiscarded", "roundTripTime"] {
        expected.as_object_mut().unwrap().remove(absent);
    }
    assert_eq!(stats, json!([expected]));
    assert_eq!(data(&Reply::ProducerStats(Vec::new())), json!([]));
}

#[test]
fn data_channels() {
    let dump = data(&Reply::DataConsumerDump(Box::new(data_tests::data_consumer_dump())));
    let expected = json!({
        "id": "dc",
        "dataProducerId": "dp",
        "type": "sctp",
        "sctpStreamParameters": { "streamId": 0, "ordered": true, "maxPacketLifeTime": 5 },
        "label": "",
        "protocol": "protocol",
        "bufferedAmountLowThreshold": 2,
    });
    assert_eq!(dump, expected);
    let dump = data(&Reply::DataProducerDump(Box::new(data_tests::data_producer_dump(None))));
    assert_eq!(dump, json!({ "id": "dp", "type": "direct", "label": "label", "protocol": "" }));
    let stats = data(&Reply::DataProducerStats(Box::new(data_tests::data_producer_stats())));
    let expected = json!({
        "type": "data-producer",
        "timestamp": 77,
        "label": "label",
        "protocol": "protocol",
        "messagesReceived": 5,
        "bytesReceived": 5_000_000_000_u64,
    });
    assert_eq!(stats, json!([expected]));
    let stats = data(&Reply::DataConsumerStats(Box::new(data_tests::data_consumer_stats())));
    let expected = json!({
        "type": "data-consumer",
        "timestamp": 77,
        "label": "label",
        "protocol": "protocol",
        "messagesSent": 6,
        "bytesSent": 7,
        "bufferedAmount": 8,
    });
    assert_eq!(stats, json!([expected]));
    assert_eq!(data(&Reply::BufferedAmount(9)), json!({ "bufferedAmount": 9 }));
    assert_eq!(data(&Reply::DataSent { buffered_amount: 10 }), json!("no data"));
}
