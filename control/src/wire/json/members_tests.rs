//! Everything that the worker can say, to controllers of every version: it is JSON, and has what their libraries read.
//!
//! What a library reads is in its `node/lib` (and in the types it declares, for what it hands on to applications): the
//! published packages 3.8.4 to 3.12.16 read the same but for what is marked here.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringsoup_sfu::reply::{Reply, RouterDump};
use serde_json::{Value, json};

use super::tell_tests::VERSIONS;
use crate::message::{Response, ResponseBody};
use crate::version::Version;
use crate::wire::Encoder;
use crate::wire::told_samples::{answers, events};

const ALL: Version = VERSIONS[0];
const SERVERS: Version = Version::new(3, 10, 0);
const HANDLERS: Version = Version::new(3, 10, 6);

const TRANSPORT: &str = "id direct producerIds consumerIds mapSsrcConsumerId mapRtxSsrcConsumerId dataProducerIds dataConsumerIds \
    recvRtpHeaderExtensions rtpListener.ssrcTable rtpListener.midTable rtpListener.ridTable maxMessageSize traceEventTypes";
const TRANSPORT_STATS: &str = "0.type 0.transportId 0.timestamp 0.bytesReceived 0.recvBitrate 0.bytesSent 0.sendBitrate \
    0.rtpBytesReceived 0.rtpRecvBitrate 0.rtpBytesSent 0.rtpSendBitrate 0.rtxBytesReceived 0.rtxRecvBitrate 0.rtxBytesSent \
    0.rtxSendBitrate 0.probationBytesSent 0.probationSendBitrate 0.availableOutgoingBitrate 0.maxIncomingBitrate";
const TUPLE: &str = "tuple.localIp tuple.localPort tuple.remoteIp tuple.remotePort tuple.protocol";
const STREAM_STATS: &str = "0.type 0.timestamp 0.ssrc 0.rtxSsrc 0.kind 0.mimeType 0.packetsLost 0.fractionLost 0.packetsDiscarded \
    0.packetsRetransmitted 0.packetsRepaired 0.nackCount 0.nackPacketCount 0.pliCount 0.firCount 0.score 0.packetCount \
    0.byteCount 0.bitrate 0.roundTripTime 0.rtxPacketsDiscarded";
const RTP_PARAMETERS: &str = "rtpParameters.mid rtpParameters.codecs.0.mimeType rtpParameters.codecs.0.payloadType \
    rtpParameters.codecs.0.clockRate rtpParameters.codecs.0.parameters.apt rtpParameters.codecs.0.rtcpFeedback.0.type \
    rtpParameters.headerExtensions.0.uri rtpParameters.headerExtensions.0.id rtpParameters.headerExtensions.0.encrypt \
    rtpParameters.headerExtensions.0.parameters rtpParameters.encodings.0.ssrc rtpParameters.encodings.0.rtx.ssrc \
    rtpParameters.encodings.0.codecPayloadType rtpParameters.rtcp.cname rtpParameters.rtcp.reducedSize";
const PACKET: &str = "type timestamp direction info.payloadType info.sequenceNumber info.timestamp info.marker info.ssrc \
    info.isKeyFrame info.size info.payloadSize info.spatialLayer info.temporalLayer info.mid info.wideSequenceNumber info.isRtx";

/// Answer, version from which on, members of its data that are read.
const READ_OF_ANSWERS: &[(&str, Version, &[&str])] = &[
    ("worker dump", ALL, &["pid routerIds"]),
    ("worker dump", SERVERS, &["webRtcServerIds"]),
    (
        "worker dump",
        HANDLERS,
        &[
            "channelMessageHandlers.channelRequestHandlers channelMessageHandlers.payloadChannelRequestHandlers \
             channelMessageHandlers.payloadChannelNotificationHandlers",
        ],
    ),
    ("worker dump of nothing", ALL, &["pid routerIds"]),
    (
        "resource usage",
        ALL,
        &[
            "ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap ru_inblock ru_oublock",
            "ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw",
        ],
    ),
    (
        "server dump",
        SERVERS,
        &["id udpSockets.0.ip udpSockets.0.port tcpServers.0.ip tcpServers.0.port webRtcTransportIds.0 \
             localIceUsernameFragments.0.localIceUsernameFragment localIceUsernameFragments.0.webRtcTransportId tupleHashes"],
    ),
    (
        "router dump",
        ALL,
        &[
            "id transportIds rtpObserverIds mapProducerIdConsumerIds.p mapConsumerIdProducerId.c1 mapProducerIdObserverIds.p",
            "mapDataProducerIdDataConsumerIds.dp mapDataConsumerIdDataProducerId.dc1 ringsoupLatency.count ringsoupShard",
        ],
    ),
    (
        "direct transport dump",
        ALL,
        &[
            TRANSPORT,
            "sctpParameters.port sctpParameters.OS sctpParameters.MIS",
            "sctpParameters.maxMessageSize sctpParameters.sendBufferSize sctpParameters.sctpBufferedAmount",
            "sctpParameters.isDataChannel sctpState sctpListener.streamIdTable.8",
        ],
    ),
    ("direct transport dump of nothing", ALL, &[TRANSPORT]),
    (
        "plain transport dump",
        ALL,
        &[
            TRANSPORT,
            "tuple.localIp tuple.localPort tuple.protocol rtcpMux comedia",
            "rtcpTuple.remoteIp srtpParameters.cryptoSuite srtpParameters.keyBase64",
        ],
    ),
    (
        "pipe transport dump",
        ALL,
        &[TRANSPORT, TUPLE, "rtx srtpParameters.cryptoSuite srtpParameters.keyBase64"],
    ),
    ("direct transport stats", ALL, &[TRANSPORT_STATS, "0.availableIncomingBitrate 0.sctpState"]),
    ("plain transport stats", ALL, &[TRANSPORT_STATS, "0.rtcpMux 0.comedia 0.tuple.localIp"]),
    ("pipe transport stats", ALL, &[TRANSPORT_STATS, "0.tuple.localIp"]),
    ("plain transport connected", ALL, &["rtcpTuple.localIp srtpParameters.cryptoSuite"]),
    ("pipe transport connected", ALL, &[TUPLE]),
    (
        "webrtc transport dump",
        ALL,
        &[
            TRANSPORT,
            "iceRole iceParameters.usernameFragment iceParameters.password",
            "iceParameters.iceLite iceCandidates.0.foundation iceCandidates.0.priority iceCandidates.0.ip",
            "iceCandidates.0.protocol iceCandidates.0.port iceCandidates.0.type iceCandidates.1.tcpType iceState",
            "iceSelectedTuple.localIp dtlsParameters.fingerprints.4.algorithm dtlsParameters.fingerprints.4.value",
            "dtlsParameters.role dtlsState",
        ],
    ),
    ("webrtc transport stats", ALL, &[TRANSPORT_STATS, "0.iceRole 0.iceState 0.dtlsState"]),
    ("webrtc transport connected as client", ALL, &["dtlsLocalRole"]),
    ("webrtc transport connected as server", ALL, &["dtlsLocalRole"]),
    ("ice restarted", ALL, &["iceParameters.usernameFragment iceParameters.password iceParameters.iceLite"]),
    ("produced simple", ALL, &["type"]),
    ("produced simulcast", ALL, &["type"]),
    ("produced svc", ALL, &["type"]),
    (
        "consumed",
        ALL,
        &[
            "paused producerPaused score.score score.producerScore score.producerScores.1",
            "preferredLayers.spatialLayer preferredLayers.temporalLayer",
        ],
    ),
    (
        "producer dump",
        ALL,
        &[
            "id kind type paused rtpMapping.codecs.0.payloadType rtpMapping.codecs.0.mappedPayloadType",
            "rtpMapping.encodings.1.rid rtpMapping.encodings.1.ssrc rtpMapping.encodings.1.mappedSsrc",
            "rtpStreams.0.params.ssrc rtpStreams.0.score traceEventTypes",
            RTP_PARAMETERS,
        ],
    ),
    ("producer stats", ALL, &[STREAM_STATS, "0.jitter 0.bitrateByLayer"]),
    (
        "consumer dump",
        ALL,
        &[
            "id producerId kind type consumableRtpEncodings.0.ssrc supportedCodecPayloadTypes.0 paused",
            "producerPaused priority traceEventTypes rtpStream.params.ssrc rtpStream.rtxStream.params.ssrc rtpStream.score",
            RTP_PARAMETERS,
        ],
    ),
    ("consumer stats", ALL, &[STREAM_STATS, "1.type 1.jitter"]),
    ("layers", ALL, &["spatialLayer temporalLayer"]),
    ("priority", ALL, &["priority"]),
    (
        "data producer dump",
        ALL,
        &[
            "id type sctpStreamParameters.streamId sctpStreamParameters.ordered",
            "sctpStreamParameters.maxPacketLifeTime label protocol",
        ],
    ),
    ("data producer dump, direct", ALL, &["id type label protocol"]),
    (
        "data producer stats",
        ALL,
        &["0.type 0.timestamp 0.label 0.protocol 0.messagesReceived 0.bytesReceived"],
    ),
    (
        "data consumer dump",
        ALL,
        &[
            "id dataProducerId type sctpStreamParameters.streamId label protocol",
            "bufferedAmountLowThreshold",
        ],
    ),
    (
        "data consumer stats",
        ALL,
        &["0.type 0.timestamp 0.label 0.protocol 0.messagesSent 0.bytesSent 0.bufferedAmount"],
    ),
    ("buffered amount", ALL, &["bufferedAmount"]),
];

/// What is accepted and says nothing.
const WITHOUT_DATA: [&str; 3] = ["done", "no layers", "data sent"];
/// Answers to what nobody before 3.13.0 asks, and those that are refused.
const REFUSED: [&str; 6] =
    ["subchannels", "subchannel added", "subchannel removed", "error", "type error", "not found"];
/// Arrays and objects that are empty, and layers that only newer libraries leave out.
const UNREAD: [&str; 4] = [
    "router dump of nothing",
    "direct transport stats of nothing",
    "producer stats of nothing",
    "layers without temporal",
];

/// Event, its name, members of its data that are read.
const READ_OF_EVENTS: &[(&str, &str, &str)] = &[
    ("tuple", "tuple", TUPLE),
    ("rtcp tuple", "rtcptuple", "rtcpTuple.localIp rtcpTuple.remotePort"),
    ("rtcp", "rtcp", ""),
    ("selected tuple", "iceselectedtuplechange", "iceSelectedTuple.localIp iceSelectedTuple.remotePort"),
    ("ice completed", "icestatechange", "iceState"),
    ("ice disconnected", "icestatechange", "iceState"),
    ("dtls connected", "dtlsstatechange", "dtlsState dtlsRemoteCert"),
    ("dtls failed", "dtlsstatechange", "dtlsState"),
    ("sctp connected", "sctpstatechange", "sctpState"),
    ("producer score", "score", "0.encodingIdx 0.ssrc 1.rid 1.score"),
    ("video orientation", "videoorientationchange", "camera flip rotation"),
    ("consumer's producer paused", "producerpause", ""),
    ("consumer's producer resumed", "producerresume", ""),
    ("consumer's producer closed", "producerclose", ""),
    ("rtp", "rtp", ""),
    ("consumer score", "score", "score producerScore producerScores.1"),
    ("layers changed", "layerschange", "spatialLayer temporalLayer"),
    ("layers gone", "layerschange", ""),
    ("producer trace of a packet", "trace", PACKET),
    ("producer trace of a key frame", "trace", PACKET),
    ("producer trace of a nack", "trace", "type timestamp direction info"),
    ("producer trace of a pli", "trace", "type timestamp direction info.ssrc"),
    ("producer trace of a fir", "trace", "type timestamp direction info.ssrc"),
    // Told to whoever asks for it, which is nobody before 3.13.14.
    ("producer trace of a sender report", "trace", "type timestamp direction info.ssrc"),
    ("consumer trace of a packet", "trace", PACKET),
    ("consumer trace of a key frame", "trace", PACKET),
    ("consumer trace of a nack", "trace", "type timestamp direction info"),
    ("consumer trace of a pli", "trace", "type timestamp direction info.ssrc"),
    ("consumer trace of a fir", "trace", "type timestamp direction info.ssrc"),
    ("dominant speaker", "dominantspeaker", "producerId"),
    ("volumes", "volumes", "1.producerId 1.volume"),
    ("silence", "silence", ""),
    ("data producer closed", "dataproducerclose", ""),
    ("data", "message", "ppid"),
    ("empty data", "message", "ppid"),
    ("send buffer full", "sctpsendbufferfull", ""),
    ("buffered amount low", "bufferedamountlow", "bufferedAmount"),
];
const UNTOLD: [&str; 3] = ["sctp negotiated", "data producer paused", "data producer resumed"];

/// By a path of members and indexes between dots.
fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

fn check_members(what: &str, data: &Value, members: &str) {
    for member in members.split_whitespace() {
        assert!(lookup(data, member).is_some(), "{what} has no {member}: {data}");
    }
}

#[test]
fn every_answer_has_what_libraries_read() {
    for version in VERSIONS {
        let mut encoder = Encoder::speaking_json(version);
        for (name, result) in answers() {
            let what = format!("{version} {name}");
            let refused = REFUSED.contains(&name);
            let told: Value =
                serde_json::from_slice(encoder.response(&Response { id: 7.into(), result })).unwrap();
            assert_eq!(told["id"], json!(7), "{what}");
            assert_eq!(
                (told.get("accepted").is_some(), told.get("error").is_some()),
                (!refused, refused),
                "{what}"
            );
            let known: Vec<_> = READ_OF_ANSWERS.iter().filter(|(known, ..)| *known == name).collect();
            let sorted = known.len()
                + [&WITHOUT_DATA[..], &REFUSED, &UNREAD].concat().iter().filter(|one| **one == name).count();
            assert!(sorted > 0, "nobody says what is read of {name}");
            assert_eq!(told.get("data").is_none(), refused || WITHOUT_DATA.contains(&name), "{what}");
            for (_, since, members) in known {
                let Some(data) = told.get("data").filter(|_| version >= *since) else { continue };
                check_members(&what, data, &members.join(" "));
            }
        }
    }
}

#[test]
fn every_event_has_what_libraries_read() {
    for version in VERSIONS {
        let mut encoder = Encoder::speaking_json(version);
        for (name, event) in events() {
            let what = format!("{version} {name}");
            let Some(told) = encoder.event(&event) else {
                assert!(UNTOLD.contains(&name), "{what} is not told");
                continue;
            };
            let message: Value = serde_json::from_slice(told.message).unwrap();
            let (_, event, members) = READ_OF_EVENTS.iter().find(|(known, ..)| *known == name).expect(name);
            assert_eq!(message["event"], json!(event), "{what}");
            assert!(message["targetId"].as_str().is_some_and(|target| !target.is_empty()), "{what}");
            assert_eq!(told.payload.is_some(), ["rtp", "rtcp", "message"].contains(event), "{what}");
            check_members(&what, &message["data"], members);
        }
    }
}

/// The unit separator is told nobody: what stands behind it is ours.
const NAME: &str = "[^\\x1f]*";

proptest! {
    /// Names are the application's: whatever they are, they arrive.
    #[test]
    fn names_arrive_as_they_are(
        router in NAME,
        consumers in prop::collection::btree_map(NAME, prop::collection::vec(NAME, 0..3), 0..4),
    ) {
        let dump = RouterDump {
            router: router.clone(),
            consumers_of_producer: consumers
                .iter()
                .map(|(producer, consumers)| {
                    (producer.as_str().into(), consumers.iter().map(|one| one.as_str().into()).collect())
                })
                .collect(),
            ..RouterDump::default()
        };
        let result = Ok(ResponseBody::Shard(Reply::RouterDump(Box::new(dump))));
        let mut encoder = Encoder::speaking_json(ALL);
        let told: Value = serde_json::from_slice(encoder.response(&Response { id: 7.into(), result })).unwrap();
        prop_assert_eq!(told["data"]["id"].as_str(), Some(router.as_str()));
        let arrived: BTreeMap<String, Vec<String>> =
            serde_json::from_value(told["data"]["mapProducerIdConsumerIds"].clone()).unwrap();
        prop_assert_eq!(arrived, consumers);
    }
}
