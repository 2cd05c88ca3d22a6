//! Requests of every dialect, by what they mean.

use ringsoup_sfu::command::{ErrorClass, Layers, Protocol, WebRtcListen};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::{Reply, RouterDump};
use serde_json::{Value, json};

use super::request::JsonDecoder;
use super::samples::{self, ID, VERSIONS, request, version};
use super::scope;
use crate::message::{
    DecodeError, Incoming, Lane, NotificationBody, Request, RequestBody, RequestId, Response, ResponseBody,
};
use crate::method::Method;
use crate::registry::Kind;
use crate::wire::{Builder, Encoder};

fn decoder(text: &str) -> JsonDecoder {
    JsonDecoder::of(version(text)).unwrap()
}

fn try_read(decoder: &JsonDecoder, text: &[u8]) -> Result<Incoming, DecodeError> {
    let kind_of = |name: &str| (name == "t").then_some(Kind::WebRtcTransport);
    decoder.decode(text, &kind_of, &mut Builder::default())
}

fn read(decoder: &JsonDecoder, text: &[u8]) -> Request {
    match try_read(decoder, text) {
        Ok(Incoming::Request(request)) => request,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(text)),
    }
}

/// What is made of these data by an old version and by a new one, which must be the same.
fn body(text: &str, data: &Value) -> Result<RequestBody, String> {
    let told = ["3.10.5", "3.12.16"].map(|spoken| {
        let request = read(&decoder(spoken), &request(version(spoken), text, data));
        request.body.map_err(|bad| bad.error.reason)
    });
    let [old, new] = told;
    // Names of producers are told apart by router in the old.
    assert_eq!(format!("{old:?}").replace("\\u{1f}r", ""), format!("{new:?}"));
    new
}

/// The same with one member otherwise; null takes it away.
fn otherwise(mut data: Value, pointer: &str, value: Value) -> Value {
    if value == json!("gone") {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        data.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member);
    } else {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        match data.pointer_mut(parent).unwrap() {
            Value::Object(object) => drop(object.insert(member.to_owned(), value)),
            array => array[member.parse::<usize>().unwrap()] = value,
        }
    }
    data
}

#[test]
fn every_method_of_every_version_is_read() {
    for spoken in VERSIONS {
        let decoder = decoder(spoken);
        let samples = samples::all(version(spoken));
        assert!(samples.len() > 50);
        for (method, text) in samples {
            let request = read(&decoder, &text);
            assert_eq!(request.id, ID);
            let asked =
                if method == Method::TransportConnect { Method::WebRtcTransportConnect } else { method };
            assert_eq!(request.method, asked, "{spoken}");
            assert!(request.body.is_ok(), "{spoken} {method:?}: {:?}", request.body);
            let has_body = super::methods::body(asked).is_some();
            assert_eq!(matches!(request.body, Ok(RequestBody::None)), !has_body, "{spoken} {method:?}");
        }
    }
}

#[test]
fn methods_of_other_versions_are_unknown() {
    for (spoken, text) in [
        ("3.8.4", "worker.createWebRtcServer"),
        ("3.10.6", "producer.close"),
        ("3.10.5", "transport.closeProducer"),
        ("3.11.16", "transport.setMinOutgoingBitrate"),
        ("3.12.16", "dataConsumer.pause"),
        ("3.12.16", "dataConsumer.send"),
    ] {
        let error = try_read(&decoder(spoken), &request(version(spoken), text, &Value::Null)).unwrap_err();
        assert_eq!(
            (error.request_id, error.error.class),
            (Some(ID.into()), ErrorClass::Error),
            "{spoken} {text}"
        );
        assert!(error.error.reason.contains(text), "{}", error.error.reason);
    }
}

#[test]
fn whom_a_request_is_to_says_internal_first_and_the_request_later() {
    for (spoken, text, handler) in [
        ("3.8.4", "producer.pause", "p\u{1f}r"),
        ("3.8.4", "producer.close", "t"),
        ("3.8.4", "transport.close", "r"),
        ("3.8.4", "router.close", ""),
        ("3.10.5", "consumer.dump", "c"),
        ("3.12.16", "producer.pause", "p"),
        ("3.12.16", "transport.closeProducer", "t"),
    ] {
        let request = read(&decoder(spoken), &request(version(spoken), text, &json!({ "producerId": "p" })));
        assert_eq!(request.handler_id, handler, "{spoken} {text}");
        if let Ok(RequestBody::CloseProducer { producer }) = request.body {
            assert_eq!(&*producer, if spoken == "3.8.4" { "p\u{1f}r" } else { "p" });
        }
    }
    let nobody = br#"{"id":5,"method":"transport.dump","internal":{"routerId":"r"}}"#;
    let error = try_read(&decoder("3.9.17"), nobody).unwrap_err();
    assert_eq!(
        (error.request_id, error.to_string()),
        (Some(5.into()), "missing internal.transportId".to_owned())
    );
}

#[test]
fn a_piped_producer_is_another_than_the_one_it_is_named_after() {
    let decoder = decoder("3.8.4");
    let name = |router: &str| {
        let mut message = json!({ "id": 1, "method": "producer.dump", "internal": samples::ids() });
        message["internal"]["routerId"] = router.into();
        read(&decoder, message.to_string().as_bytes()).handler_id
    };
    assert_ne!(name("r1"), name("r2"));
    let added = json!({ "id": 1, "method": "rtpObserver.addProducer", "internal": { "routerId": "r1", "rtpObserverId": "o" },
        "data": { "producerId": "p" } });
    let request = read(&decoder, added.to_string().as_bytes());
    let Ok(RequestBody::ObserverProducer { producer }) = request.body else { panic!() };
    assert_eq!(*producer, *name("r1"));
}

#[test]
fn names_are_told_as_they_were_given() {
    let producer = scope::scoped("p", "r");
    let mut dump = RouterDump { router: "r".into(), ..RouterDump::default() };
    dump.consumers_of_producer = vec![(producer.as_str().into(), vec!["c".into()])];
    dump.producer_of_consumer = vec![("c".into(), producer.as_str().into())];
    let response =
        Response { id: 1.into(), result: Ok(ResponseBody::Shard(Reply::RouterDump(Box::new(dump)))) };
    let tell = |spoken: &str| {
        let mut encoder = Encoder::speaking_json(version(spoken));
        serde_json::from_slice::<Value>(encoder.response(&response)).unwrap()["data"].clone()
    };
    let told = tell("3.10.5");
    assert_eq!(told["mapProducerIdConsumerIds"], json!({ "p": ["c"] }));
    assert_eq!(told["mapConsumerIdProducerId"], json!({ "c": "p" }));
    // Later libraries' names are the worker's own, whatever is in them.
    assert_eq!(tell("3.10.6")["mapConsumerIdProducerId"], json!({ "c": producer }));
    let event = Event::ProducerScore { producer: producer.as_str().into(), scores: Vec::new() };
    let told = Encoder::speaking_json(version("3.8.4")).event(&event).map(|told| told.message.to_vec());
    assert_eq!(serde_json::from_slice::<Value>(&told.unwrap()).unwrap()["targetId"], "p");
}

#[test]
fn webrtc_transports_listen_on_every_address_with_every_protocol() {
    let Ok(RequestBody::CreateWebRtcTransport { transport, options }) =
        body("router.createWebRtcTransport", &samples::data(Method::RouterCreateWebRtcTransport))
    else {
        panic!()
    };
    assert_eq!(&*transport, "t");
    let WebRtcListen::Individual(Ok(infos)) = &options.listen else { panic!() };
    let told: Vec<_> = infos
        .iter()
        .map(|info| (info.protocol, info.ip.to_string(), info.announced_address.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (Protocol::Udp, "127.0.0.1".to_owned(), Some("9.9.9.1")),
            (Protocol::Tcp, "127.0.0.1".to_owned(), Some("9.9.9.1")),
            (Protocol::Udp, "::1".to_owned(), None),
            (Protocol::Tcp, "::1".to_owned(), None),
        ]
    );
    assert!(infos.iter().all(|info| info.port == 40000 && info.port_range == (0, 0) && !info.udp_reuse_port));
    assert_eq!((options.prefer, options.ice_consent_timeout), (Some(Protocol::Udp), 0));
    let base = &options.base;
    assert_eq!((base.max_send_message_size, base.max_receive_message_size), (1000, 1000));
    assert_eq!((base.sctp_send_buffer_size, base.is_data_channel, base.enable_sctp), (2000, true, true));
    assert_eq!(base.initial_available_outgoing_bitrate, Some(600_000));
    assert_eq!(base.num_sctp_streams.map(|streams| (streams.os, streams.mis)), Some((100, 200)));
}

#[test]
fn other_transports_are_read() {
    let Ok(RequestBody::CreatePlainTransport { options, .. }) =
        body("router.createPlainTransport", &samples::data(Method::RouterCreatePlainTransport))
    else {
        panic!()
    };
    // The port that is given is RTP's; RTCP's is any.
    assert_eq!((options.listen_info.port, options.rtcp_listen_info.as_ref().unwrap().port), (40001, 0));
    assert!(!options.rtcp_mux && options.comedia && options.srtp_crypto_suite.is_some());
    let bare = json!({ "transportId": "t", "listenIp": { "ip": "0.0.0.0" }, "srtpCryptoSuite": "nonsense" });
    let Ok(RequestBody::CreatePlainTransport { options, .. }) = body("router.createPlainTransport", &bare)
    else {
        panic!()
    };
    assert!(options.rtcp_mux && options.rtcp_listen_info.is_none() && options.srtp_crypto_suite.is_none());
    let Ok(RequestBody::CreatePipeTransport { options, .. }) =
        body("router.createPipeTransport", &samples::data(Method::RouterCreatePipeTransport))
    else {
        panic!()
    };
    assert!(options.enable_rtx && options.enable_srtp && !options.base.enable_sctp);
    assert_eq!((options.base.max_send_message_size, options.base.num_sctp_streams), (262_144, None));
    let Ok(RequestBody::CreateDirectTransport { options, .. }) =
        body("router.createDirectTransport", &samples::data(Method::RouterCreateDirectTransport))
    else {
        panic!()
    };
    assert!(options.direct && options.max_receive_message_size == 1234);
    let Ok(RequestBody::CreateServedTransport(request)) = body(
        "router.createWebRtcTransportWithServer",
        &json!({ "transportId": "t", "webRtcServerId": "w", "preferTcp": true }),
    ) else {
        panic!()
    };
    assert_eq!((&*request.server, request.ice_consent_timeout), ("w", 0));
    assert!(request.offer.enable_udp && !request.offer.enable_tcp && request.offer.prefer_tcp);
}

#[test]
fn transports_are_connected_by_what_they_are() {
    let (decoder, spoken) = (decoder("3.12.16"), version("3.12.16"));
    let text =
        request(spoken, "transport.connect", &json!({ "ip": "127.0.0.1", "port": 9, "rtcpPort": "x" }));
    let connect = |kind: Option<Kind>| {
        let read = decoder.decode(&text, &|_| kind, &mut Builder::default());
        let Ok(Incoming::Request(request)) = read else { panic!() };
        request
    };
    let plain = connect(Some(Kind::PlainTransport));
    let Ok(RequestBody::ConnectPlainTransport(plain)) = plain.body else { panic!("{plain:?}") };
    assert_eq!((plain.port, plain.rtcp_port, plain.srtp_parameters.is_none()), (Some(9), None, true));
    let pipe = connect(Some(Kind::PipeTransport));
    assert!(matches!(pipe.body, Ok(RequestBody::ConnectPipeTransport(_))), "{pipe:?}");
    let webrtc = connect(Some(Kind::WebRtcTransport));
    assert_eq!(webrtc.body.unwrap_err().error.reason, "missing dtlsParameters");
    assert_eq!(connect(Some(Kind::DirectTransport)).method, Method::TransportConnect);
    assert_eq!(connect(None).method, Method::TransportConnect);
}

#[test]
fn what_is_produced_is_read_whole() {
    let Ok(RequestBody::Produce(produce)) =
        body("transport.produce", &samples::data(Method::TransportProduce))
    else {
        panic!()
    };
    assert_eq!((&*produce.producer, produce.paused, produce.key_frame_request_delay), ("p", true, 700));
    let parameters = &produce.rtp_parameters;
    assert_eq!(parameters.mid.as_deref(), Some("VIDEO"));
    let told: Vec<_> =
        parameters.codecs[0].parameters.iter().map(|one| format!("{}={:?}", one.name, one.value)).collect();
    assert_eq!(
        told,
        [
            "a=Double(1.5)",
            "great=Double(4294967295.0)",
            "list=IntegerArray([1, 2])",
            "packetization-mode=Integer(1)",
            "profile-level-id=Text(\"4d0032\")",
            "yes=Boolean(true)",
        ]
    );
    assert_eq!(parameters.codecs[0].rtcp_feedback[1].parameter, "pli");
    // Frame marking among them.
    let extensions: Vec<_> = parameters.header_extensions.iter().map(|extension| extension.id).collect();
    assert_eq!(extensions, [10, 7, 13]);
    let [first, second] = &parameters.encodings[..] else { panic!() };
    assert_eq!(
        (first.ssrc, first.rtx_ssrc, first.max_bitrate),
        (Some(11_111_111), Some(22_222_222), Some(900_000))
    );
    assert_eq!((second.rid.as_deref(), second.dtx, second.codec_payload_type), (Some("r1"), true, Some(112)));
    assert_eq!(parameters.rtcp.cname.as_deref(), Some("FOOBAR"));
    assert!(!parameters.rtcp.reduced_size);
    assert_eq!(produce.rtp_mapping.encodings[0].mapped_ssrc, 3_333_333_333);
}

#[test]
fn what_is_consumed_is_read_whole() {
    let Ok(RequestBody::Consume(consume)) =
        body("transport.consume", &samples::data(Method::TransportConsume))
    else {
        panic!()
    };
    assert_eq!((&*consume.consumer, &*consume.producer), ("c", "p"));
    assert!(consume.paused && consume.ignore_dtx);
    // There is no such layer; the highest is meant.
    assert_eq!(consume.preferred_layers, Some(Layers { spatial: 1, temporal: Some(255) }));
    // Without what need not be there.
    let mut data = samples::data(Method::TransportConsume);
    for optional in ["/paused", "/ignoreDtx", "/preferredLayers", "/rtpParameters/rtcp", "/rtpParameters/mid"]
    {
        data = otherwise(data, optional, json!("gone"));
    }
    data = otherwise(data, "/rtpParameters/headerExtensions", Value::Null);
    let Ok(RequestBody::Consume(consume)) = body("transport.consume", &data) else { panic!() };
    assert!(!consume.paused && consume.preferred_layers.is_none());
    assert!(consume.rtp_parameters.header_extensions.is_empty() && consume.rtp_parameters.rtcp.reduced_size);
}

#[test]
fn small_bodies_are_read() {
    let told = |text, method| format!("{:?}", body(text, &samples::data(method)).unwrap());
    for (text, method, expected) in [
        ("transport.setMaxIncomingBitrate", Method::TransportSetMaxIncomingBitrate, "SetBitrate(5000000000)"),
        (
            "transport.enableTraceEvent",
            Method::TransportEnableTraceEvent,
            "EnableTransportTrace([Bwe, Probation])",
        ),
        ("consumer.setPriority", Method::ConsumerSetPriority, "SetPriority(3)"),
        (
            "consumer.setPreferredLayers",
            Method::ConsumerSetPreferredLayers,
            "SetPreferredLayers(Layers { spatial: 2, temporal: Some(1) })",
        ),
        (
            "dataConsumer.setBufferedAmountLowThreshold",
            Method::DataConsumerSetBufferedAmountLowThreshold,
            "SetBufferedAmountLowThreshold(4096)",
        ),
    ] {
        assert_eq!(told(text, method), expected);
    }
    let lax = json!({ "maxEntries": 1, "threshold": -127.9, "interval": 1e9, "rtpObserverId": "o" });
    let Ok(RequestBody::CreateAudioLevelObserver { options, .. }) =
        body("router.createAudioLevelObserver", &lax)
    else {
        panic!()
    };
    assert_eq!((options.threshold, options.interval_ms), (-127, 65535));
}

#[test]
fn protocols_kinds_and_extensions_may_be_in_capitals() {
    let capitals = |method, pointer: &str| {
        let data = samples::data(method);
        let text = data.pointer(pointer).unwrap().as_str().unwrap().to_ascii_uppercase();
        (format!("{data:?}"), otherwise(data, pointer, text.into()))
    };
    for (text, method, pointer) in [
        ("transport.produce", Method::TransportProduce, "/kind"),
        ("transport.produce", Method::TransportProduce, "/rtpParameters/headerExtensions/0/uri"),
        ("transport.consume", Method::TransportConsume, "/kind"),
    ] {
        let (small, data) = capitals(method, pointer);
        assert_ne!(small, format!("{data:?}"));
        let expected = format!("{:?}", body(text, &samples::data(method)));
        assert_eq!(format!("{:?}", body(text, &data)), expected, "{text} {pointer}");
    }
    let (_, data) = capitals(Method::WorkerCreateWebRtcServer, "/listenInfos/0/protocol");
    let asked = request(version("3.12.16"), "worker.createWebRtcServer", &data);
    assert!(read(&decoder("3.12.16"), &asked).body.is_ok());
}

#[test]
fn preferred_layers_that_make_no_sense_are_refused_or_the_highest() {
    let told = |data: Value| body("consumer.setPreferredLayers", &data).map(|body| format!("{body:?}"));
    let highest = "SetPreferredLayers(Layers { spatial: 1, temporal: None })";
    for temporal in [json!(-1), json!(1.5), json!("x"), Value::Null] {
        let data = json!({ "consumerId": "c", "spatialLayer": 1, "temporalLayer": temporal });
        assert_eq!(told(data).as_deref(), Ok(highest), "{temporal}");
    }
    // Only of a consumer that has layers.
    for (kind, is_read) in [("simple", true), ("pipe", true), ("simulcast", false), ("svc", false)] {
        let data = otherwise(samples::data(Method::TransportConsume), "/type", kind.into());
        let read = body("transport.consume", &otherwise(data, "/preferredLayers", json!({})));
        assert_eq!(read.is_ok(), is_read, "{kind}: {read:?}");
    }
}

#[test]
fn fingerprints_behind_the_first_are_not_looked_at() {
    let data = samples::data(Method::TransportConnect);
    let expected = format!("{:?}", body("transport.connect", &data));
    let first = data["dtlsParameters"]["fingerprints"][0].clone();
    let two = otherwise(data, "/dtlsParameters/fingerprints", json!([first, { "algorithm": "md5" }]));
    assert_eq!(format!("{:?}", body("transport.connect", &two)), expected);
}

#[test]
fn transports_without_messages_have_the_default_size() {
    let data = otherwise(samples::data(Method::RouterCreateWebRtcTransport), "/enableSctp", false.into());
    let read = body("router.createWebRtcTransport", &data);
    assert!(format!("{read:?}").contains("max_send_message_size: 262144"), "{read:?}");
}

#[test]
fn shapes_are_checked() {
    let spoken = version("3.12.16");
    let decoder = decoder("3.12.16");
    for line in include_str!("wrong_shapes.txt").lines().filter(|line| !line.starts_with('#')) {
        let [place, instead, reason] = line.split(" | ").collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (text, pointer) = place.split_once(' ').unwrap();
        let called = super::methods::find(text, spoken).unwrap();
        let instead = if instead.is_empty() { json!("gone") } else { instead.parse().unwrap() };
        let data = otherwise(samples::data(called.method), pointer, instead);
        let asked = read(&decoder, &request(spoken, text, &data));
        let bad = asked.body.expect_err(reason);
        assert_eq!((bad.error.class, bad.error.reason.as_str()), (ErrorClass::TypeError, reason), "{line}");
        // That the name is taken is told first.
        let child = super::methods::child(asked.method).and_then(|member| data[member].as_str());
        assert_eq!(bad.child.as_deref(), child, "{line}");
    }
}

fn of_payloads(number: u32) -> RequestId {
    RequestId { number, lane: Lane::PayloadChannel }
}

#[test]
fn payloads_come_with_their_headers() {
    for spoken in VERSIONS {
        let decoder = decoder(spoken);
        let text = super::Dialect::of(version(spoken)) == Some(super::Dialect::Text);
        let notify = |event: &str, handler: &str, ppid: Option<u32>| {
            if text {
                let ppid = ppid.map_or_else(|| "undefined".to_owned(), |ppid| ppid.to_string());
                format!("n:{event}:{}:{ppid}", samples::ids()[handler].as_str().unwrap())
            } else {
                json!({ "event": event, "internal": samples::ids(), "data": { "ppid": ppid } }).to_string()
            }
        };
        let told = |header: String| {
            let read = decoder.decode_payload(header.as_bytes(), &[7; 3000], &mut Builder::default());
            match read {
                Ok(Incoming::Notification(notification)) => notification,
                other => panic!("{spoken} {header}: {other:?}"),
            }
        };
        let sent = told(notify("dataProducer.send", "dataProducerId", Some(51)));
        let NotificationBody::DataProducerSend(sent) = sent.body else { panic!() };
        assert_eq!((sent.0.ppid, sent.0.payload.len()), (51, 3000));
        assert!(sent.1.subchannels.is_empty() && sent.1.required.is_none());
        let sent = told(notify("producer.send", "producerId", None));
        assert!(sent.handler_id.starts_with('p'));
        assert!(matches!(sent.body, NotificationBody::ProducerSend(data) if data.len() == 3000));
        let sent = told(notify("transport.sendRtcp", "transportId", None));
        assert!(matches!(sent.body, NotificationBody::TransportSendRtcp(_)) && sent.handler_id == "t");
        let asked = if text {
            "r:9:dataConsumer.send:dc:53".to_owned()
        } else {
            json!({ "id": 9, "method": "dataConsumer.send", "internal": samples::ids(), "data": { "ppid": 53 } }).to_string()
        };
        let read = decoder.decode_payload(asked.as_bytes(), b"hi", &mut Builder::default());
        let Ok(Incoming::Request(request)) = read else { panic!("{spoken}: {read:?}") };
        assert_eq!(
            (request.id, request.method, request.handler_id.as_str()),
            (of_payloads(9), Method::DataConsumerSend, "dc")
        );
        assert!(matches!(request.body, Ok(RequestBody::SendData(message)) if message.ppid == 53));
        let bad = asked.replace("53", if text { "x" } else { "-1" });
        let read = decoder.decode_payload(bad.as_bytes(), b"hi", &mut Builder::default());
        let Ok(Incoming::Request(request)) = read else { panic!("{spoken}: {read:?}") };
        assert_eq!(request.body.unwrap_err().error.class, ErrorClass::TypeError);
        let unknown = asked.replace("dataConsumer.send", "dataConsumer.receive");
        let error = decoder.decode_payload(unknown.as_bytes(), b"", &mut Builder::default()).unwrap_err();
        assert_eq!(error.request_id, Some(of_payloads(9)));
    }
}

#[test]
fn whatever_is_said_is_read_or_refused() {
    let change = |value: &Value| {
        [Value::Null, json!(-1), json!(1e300), json!("x"), json!([value]), json!({ "x": value }), json!(true)]
    };
    for spoken in ["3.8.4", "3.12.16"] {
        let (decoder, version) = (decoder(spoken), version(spoken));
        for called in super::methods::METHODS.iter().filter(|called| called.exists_in(version)) {
            let data = samples::data(called.method);
            let whole = request(version, called.text(), &data);
            for end in (0..whole.len()).step_by(5) {
                drop(try_read(&decoder, &whole[..end]));
            }
            for pointer in pointers(&data) {
                for changed in change(data.pointer(&pointer).unwrap()) {
                    let mut data = data.clone();
                    *data.pointer_mut(&pointer).unwrap() = changed;
                    // The number can be read, so there is always an answer.
                    let read = try_read(&decoder, &request(version, called.text(), &data));
                    let id = match read {
                        Ok(Incoming::Request(request)) => Some(request.id),
                        Ok(Incoming::Notification(_)) => None,
                        Err(error) => error.request_id,
                    };
                    assert_eq!(id, Some(ID.into()), "{spoken} {} {pointer}", called.text());
                }
            }
        }
    }
}

/// Of every value in it.
fn pointers(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(object) => {
            object.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(values) => {
            values.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let mut all = vec![String::new()];
    for (name, child) in children {
        all.extend(pointers(child).into_iter().map(|rest| format!("/{name}{rest}")));
    }
    all
}
