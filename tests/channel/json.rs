//! Controllers before 3.13.0: JSON in three framings, and a channel for payloads.

use ringsoup_tests::json_worker::{Dialect, JsonWorker, VERSIONS};
use ringsoup_tests::worker::Launch;
use serde_json::{Value, json};

const EXIT_START_FAILED: i32 = 40;
/// Longest message, bytes.
const PAYLOAD_BYTES_MAX: usize = 4_194_304;

fn ids(more: &Value) -> Value {
    let mut ids = json!({ "routerId": "r", "transportId": "t" });
    ids.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ids
}

/// A router with a direct transport.
fn room(version: (&str, Dialect)) -> JsonWorker {
    let mut worker = JsonWorker::run(version);
    worker.accepted("worker.createRouter", "", &json!({ "routerId": "r" }), &json!({}));
    let options = json!({ "direct": true, "maxMessageSize": 262_144 });
    let dump = worker.accepted("router.createDirectTransport", "routerId", &ids(&json!({})), &options);
    assert_eq!(
        (&dump["id"], &dump["direct"], &dump["maxMessageSize"]),
        (&json!("t"), &json!(true), &json!(262_144))
    );
    worker
}

fn opus() -> Value {
    json!({ "mimeType": "audio/opus", "payloadType": 100, "clockRate": 48_000, "channels": 2, "parameters": { "useinbandfec": 1 } })
}

fn produce(worker: &mut JsonWorker) -> Value {
    let data = json!({
        "kind": "audio",
        "rtpParameters": {
            "codecs": [opus()], "encodings": [{ "ssrc": 1111 }], "rtcp": { "cname": "x" },
            "headerExtensions": [{ "uri": "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "id": 10 }],
        },
        "rtpMapping": {
            "codecs": [{ "payloadType": 100, "mappedPayloadType": 100 }],
            "encodings": [{ "ssrc": 1111, "mappedSsrc": 5555 }],
        },
    });
    worker.accepted("transport.produce", "transportId", &ids(&json!({ "producerId": "p" })), &data)
}

fn consume(worker: &mut JsonWorker) -> Value {
    let data = json!({
        "kind": "audio", "type": "simple", "consumableRtpEncodings": [{ "ssrc": 5555 }],
        "rtpParameters": { "codecs": [opus()], "encodings": [{ "ssrc": 7777 }], "headerExtensions": [], "rtcp": { "cname": "x" } },
    });
    let ids = ids(&json!({ "consumerId": "c", "producerId": "p" }));
    worker.accepted("transport.consume", "transportId", &ids, &data)
}

fn rtp(seq: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 100];
    packet.extend(seq.to_be_bytes());
    packet.extend(960_u32.to_be_bytes());
    packet.extend(1111_u32.to_be_bytes());
    packet.extend([1, 2, 3, 4]);
    packet
}

#[test]
fn media_and_data_go_through_the_payload_channel() {
    for version in VERSIONS {
        let mut worker = room(version);
        assert_eq!(produce(&mut worker), json!({ "type": "simple" }));
        let consumed = consume(&mut worker);
        assert_eq!((&consumed["paused"], &consumed["producerPaused"]), (&json!(false), &json!(false)));
        let producer = ids(&json!({ "producerId": "p" }));
        worker.notify("producer.send", "producerId", &producer, None, &rtp(7));
        let (head, packet) = worker.notified();
        assert_eq!(head, json!({ "targetId": "c", "event": "rtp" }));
        assert_eq!((&packet[8..12], &packet[12..]), (&7777_u32.to_be_bytes()[..], &[1, 2, 3, 4][..]));
        // Nobody is told of RTCP that asks for nothing; what comes after it is read all the same.
        worker.notify("transport.sendRtcp", "transportId", &ids(&json!({})), None, &[0x80, 203, 0, 0]);

        let direct = json!({ "type": "direct", "label": "l", "protocol": "q" });
        worker.accepted(
            "transport.produceData",
            "transportId",
            &ids(&json!({ "dataProducerId": "d" })),
            &direct,
        );
        let pair = ids(&json!({ "dataConsumerId": "e", "dataProducerId": "d" }));
        let dump = worker.accepted("transport.consumeData", "transportId", &pair, &direct);
        assert_eq!((&dump["dataProducerId"], &dump["label"]), (&json!("d"), &json!("l")));
        worker.notify("dataProducer.send", "dataProducerId", &pair, Some(51), b"hello");
        let (head, message) = worker.notified();
        assert_eq!(head, json!({ "targetId": "e", "event": "message", "data": { "ppid": 51 } }));
        assert_eq!(message, b"hello");
        let stats = worker.accepted("dataProducer.getStats", "dataProducerId", &pair, &json!({}));
        assert_eq!((&stats[0]["messagesReceived"], &stats[0]["type"]), (&json!(1), &json!("data-producer")));
    }
}

#[test]
fn everything_is_dumped_and_closed() {
    for version in VERSIONS {
        let mut worker = room(version);
        produce(&mut worker);
        consume(&mut worker);
        let pair = ids(&json!({ "consumerId": "c", "producerId": "p" }));
        let dump = worker.accepted("router.dump", "routerId", &pair, &json!({}));
        assert_eq!(dump["mapProducerIdConsumerIds"], json!({ "p": ["c"] }));
        let dump = worker.accepted("producer.dump", "producerId", &pair, &json!({}));
        assert_eq!(
            (&dump["id"], &dump["rtpParameters"]["codecs"][0]["parameters"]["useinbandfec"]),
            (&json!("p"), &json!(1))
        );
        let dump = worker.accepted("consumer.dump", "consumerId", &pair, &json!({}));
        assert_eq!((&dump["producerId"], &dump["type"]), (&json!("p"), &json!("simple")));
        for (noun, handler) in [("Producer", "transportId"), ("Transport", "routerId"), ("Router", "")] {
            let method = worker.closing(noun);
            worker.accepted(&method, handler, &pair, &json!({}));
        }
        // Whom a producer fed is told, before the answer or after it.
        let closed = json!({ "targetId": "c", "event": "producerclose" });
        let told: Vec<Value> =
            worker.told.iter().filter_map(|text| serde_json::from_slice(text).ok()).collect();
        assert!(told.contains(&closed), "{told:?}");
        let dump = worker.accepted("worker.dump", "", &json!({}), &json!({}));
        assert_eq!(dump["routerIds"], json!([]));
        worker.channel.close_writing();
        worker.worker.channel.close_writing();
        worker.worker.expect_exit(0);
    }
}

#[test]
fn a_producer_may_have_its_name_in_two_routers_before_3_10_6() {
    for (version, is_one_name) in [(VERSIONS[0], false), (VERSIONS[1], false), (VERSIONS[2], true)] {
        let mut worker = room(version);
        produce(&mut worker);
        let other = json!({ "routerId": "r2", "transportId": "t2", "producerId": "p" });
        worker.accepted("worker.createRouter", "", &other, &json!({}));
        let options = json!({ "direct": true, "maxMessageSize": 1000 });
        worker.accepted("router.createDirectTransport", "routerId", &other, &options);
        let data = json!({
            "kind": "audio", "rtpParameters": { "codecs": [opus()], "encodings": [{ "ssrc": 1 }], "rtcp": { "cname": "x" } },
            "rtpMapping": { "codecs": [], "encodings": [{ "ssrc": 1, "mappedSsrc": 2 }] },
        });
        let produced = worker.request("transport.produce", "transportId", &other, &data);
        assert_eq!(produced.is_err(), is_one_name, "{version:?}: {produced:?}");
        if !is_one_name {
            let dump = worker.accepted("transport.dump", "transportId", &other, &json!({}));
            assert_eq!(dump["producerIds"], json!(["p"]));
            let dump = worker.accepted("producer.dump", "producerId", &other, &json!({}));
            assert_eq!(
                (&dump["id"], &dump["rtpParameters"]["encodings"][0]["ssrc"]),
                (&json!("p"), &json!(1))
            );
        }
    }
}

#[test]
fn transports_of_every_kind_are_made_and_connected() {
    for version in VERSIONS {
        let mut worker = JsonWorker::run(version);
        let named = |name: &str| json!({ "routerId": "r", "transportId": name });
        worker.accepted("worker.createRouter", "", &json!({ "routerId": "r" }), &json!({}));
        let plain = json!({ "listenIp": { "ip": "127.0.0.1", "announcedIp": "4.4.4.4" }, "rtcpMux": false });
        let dump = worker.accepted("router.createPlainTransport", "routerId", &named("plain"), &plain);
        assert_eq!(
            (&dump["tuple"]["localIp"], &dump["tuple"]["protocol"]),
            (&json!("4.4.4.4"), &json!("udp"))
        );
        assert!(dump["rtcpTuple"]["localPort"].is_u64(), "{dump}");
        let to = json!({ "ip": "127.0.0.1", "port": 9, "rtcpPort": 10 });
        let connected = worker.accepted("transport.connect", "transportId", &named("plain"), &to);
        assert_eq!(connected["tuple"]["remotePort"], json!(9));
        let again = worker.request("transport.connect", "transportId", &named("plain"), &to).unwrap_err();
        assert_eq!(again.0, "Error", "{again:?}");

        let pipe = json!({ "listenIp": { "ip": "127.0.0.1" }, "enableRtx": true });
        worker.accepted("router.createPipeTransport", "routerId", &named("pipe"), &pipe);
        let connected = worker.accepted("transport.connect", "transportId", &named("pipe"), &to);
        assert_eq!(connected["tuple"]["remotePort"], json!(9));

        let webrtc = json!({ "listenIps": [{ "ip": "127.0.0.1" }, { "ip": "127.0.0.1" }], "enableTcp": true, "preferTcp": true });
        let dump = worker.accepted("router.createWebRtcTransport", "routerId", &named("webrtc"), &webrtc);
        let candidates = dump["iceCandidates"].as_array().unwrap();
        let told: Vec<_> = candidates.iter().map(|one| one["protocol"].as_str().unwrap()).collect();
        assert_eq!(told, ["udp", "tcp", "udp", "tcp"]);
        let priority = |index: usize| candidates[index]["priority"].as_u64().unwrap();
        assert!(priority(3) > priority(0) && priority(1) > priority(3));
        let to = json!({ "dtlsParameters": { "role": "client", "fingerprints": [{ "algorithm": "sha-256", "value": "82:5A" }] } });
        let connected = worker.accepted("transport.connect", "transportId", &named("webrtc"), &to);
        assert_eq!(connected, json!({ "dtlsLocalRole": "server" }));
        let wrong =
            worker.request("transport.connect", "transportId", &named("webrtc"), &json!({})).unwrap_err();
        assert_eq!(wrong.0, "TypeError");
        let nobody = worker.request("transport.connect", "transportId", &named("nobody"), &to).unwrap_err();
        assert_eq!(nobody.0, "Error", "{nobody:?}");
    }
}

#[test]
fn both_channels_count_requests_by_themselves() {
    for version in VERSIONS {
        let mut worker = room(version);
        let direct = json!({ "type": "direct" });
        worker.accepted(
            "transport.produceData",
            "transportId",
            &ids(&json!({ "dataProducerId": "d" })),
            &direct,
        );
        let pair = ids(&json!({ "dataConsumerId": "e", "dataProducerId": "d" }));
        worker.accepted("transport.consumeData", "transportId", &pair, &direct);
        // The numbers were all used on the other channel.
        for (ppid, payload) in [("53", &b"hi"[..]), ("x", b"hi"), ("53", &[0; 300_000])] {
            let (class, reason) = worker.send_data(&pair, ppid, payload).unwrap_err();
            assert_eq!(class, "TypeError", "{version:?} {ppid}: {reason}");
        }
        let nobody = worker.send_data(&ids(&json!({ "dataConsumerId": "nobody" })), "53", b"hi").unwrap_err();
        assert_eq!(nobody.0, "Error");
        let too_big = worker.send_data(&pair, "53", &vec![0; PAYLOAD_BYTES_MAX + 1]).unwrap_err();
        assert!(too_big.1.contains("too big"), "{too_big:?}");
        worker.accepted("worker.dump", "", &json!({}), &json!({}));
    }
}

#[test]
fn nonsense_is_survived_on_both_channels() {
    for version in VERSIONS {
        let mut worker = room(version);
        for text in
            ["", "{", "[]", "null", "7", ":::", "x:worker.dump", r#"{"id":"x"}"#, "n:", "r:x", "\u{0}"]
        {
            worker.channel.send(text.as_bytes());
            worker.payloads.send(text.as_bytes());
            worker.payloads.send(b"payload");
        }
        worker.channel.send(&vec![b'x'; PAYLOAD_BYTES_MAX + 1]);
        worker.channel.send(&vec![b'x'; PAYLOAD_BYTES_MAX]);
        worker.accepted("worker.dump", "", &json!({}), &json!({}));
        let unknown = worker.request("worker.fly", "", &json!({}), &json!({})).unwrap_err();
        assert_eq!(unknown.0, "Error");
        // What cannot be understood takes no payload of another message with it.
        produce(&mut worker);
        consume(&mut worker);
        worker.notify("producer.send", "producerId", &ids(&json!({ "producerId": "p" })), None, &rtp(1));
        assert_eq!(worker.notified().0["event"], "rtp");
    }
}

#[test]
fn a_stream_without_framing_is_thrown_away_and_told() {
    let mut worker = JsonWorker::run(VERSIONS[0]);
    worker.channel.send_bytes(b"nonsense");
    // Whatever was read with it is gone too, so that only later ones are answered: ask until one is.
    std::thread::sleep(std::time::Duration::from_millis(200));
    worker.accepted("worker.dump", "", &json!({}), &json!({}));
    worker.channel.close_writing();
    worker.worker.channel.close_writing();
    worker.worker.expect_exit(0);
    assert!(worker.worker.stderr().contains("wrong framing"), "{}", worker.worker.stderr());
}

#[test]
fn log_lines_are_bare_texts() {
    for (version, dialect) in VERSIONS {
        let launch =
            Launch::with_args(["--logLevel=debug", "--logTag=info"]).env("MEDIASOUP_VERSION", version);
        let mut worker = JsonWorker::start(&launch, dialect);
        let mut lines = Vec::new();
        loop {
            let message = String::from_utf8(worker.channel.receive().unwrap()).unwrap();
            if message.starts_with('{') {
                assert!(message.contains("running"), "{message}");
                break;
            }
            lines.push(message);
        }
        assert!(lines.iter().all(|line| line.starts_with('D') && line.contains("() | ")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains(version)), "{lines:?}");
    }
}

#[test]
fn the_end_of_either_channel_closes_the_worker() {
    for version in VERSIONS {
        let mut worker = room(version);
        worker.payloads.close_writing();
        worker.worker.expect_exit(0);
        assert!(worker.worker.stderr().contains("payload channel remotely closed"));
    }
}

#[test]
fn a_missing_payload_channel_is_named() {
    for (version, _) in VERSIONS {
        let mut worker = Launch::with_args(["--logLevel=error"]).env("MEDIASOUP_VERSION", version).start();
        worker.expect_exit(EXIT_START_FAILED);
        assert!(worker.stderr().contains("channel descriptor 5"), "{}", worker.stderr());
    }
}
