//! Every method asked of every kind of object: only its own are answered, and nobody has any.

use ringsoup_fbs::fbs::request::Method;

use ringsoup_tests::script::{Action, Answer, Step, parse, templates};
use ringsoup_tests::wire::value::Value;

/// One object of every kind.
const OBJECTS: &str = r#"
worker
> WORKER_CREATE_ROUTER - { router_id: "router" }
< ok
> WORKER_CREATE_WEBRTCSERVER - { web_rtc_server_id: "server", listen_infos: [%udp] }
< ok
> ROUTER_CREATE_DIRECTTRANSPORT router { transport_id: "direct", options: %direct }
< ok any
> ROUTER_CREATE_PLAINTRANSPORT router { transport_id: "plain", options: %plain }
< ok any
> ROUTER_CREATE_PIPETRANSPORT router { transport_id: "pipe", options: %pipe }
< ok any
> ROUTER_CREATE_WEBRTCTRANSPORT router { transport_id: "webrtc", options: %webrtc }
< ok any
> TRANSPORT_PRODUCE direct { ..%produce_opus, producer_id: "producer" }
< ok any
> TRANSPORT_CONSUME direct { ..%consume_opus, consumer_id: "consumer", producer_id: "producer" }
< ok any
> TRANSPORT_PRODUCE_DATA direct { data_producer_id: "dataProducer", type: DIRECT }
< ok any
> TRANSPORT_CONSUME_DATA direct { data_consumer_id: "dataConsumer", data_producer_id: "dataProducer", type: DIRECT }
< ok any
> ROUTER_CREATE_AUDIOLEVELOBSERVER router { rtp_observer_id: "levels", options: { interval: 5000 } }
< ok
> ROUTER_CREATE_ACTIVESPEAKEROBSERVER router { rtp_observer_id: "speaker", options: { interval: 5000 } }
< ok
"#;

/// An object, and the methods it answers: by the beginning of their names, and the one kind's connect.
const KINDS: [(&str, &[&str]); 13] = [
    ("nobody", &[]),
    ("server", &["WEBRTCSERVER_"]),
    ("router", &["ROUTER_"]),
    ("direct", &["TRANSPORT_"]),
    ("plain", &["TRANSPORT_", "PLAINTRANSPORT_"]),
    ("pipe", &["TRANSPORT_", "PIPETRANSPORT_"]),
    ("webrtc", &["TRANSPORT_", "WEBRTCTRANSPORT_"]),
    ("producer", &["PRODUCER_"]),
    ("consumer", &["CONSUMER_"]),
    ("dataProducer", &["DATAPRODUCER_"]),
    ("dataConsumer", &["DATACONSUMER_"]),
    ("levels", &["RTPOBSERVER_"]),
    ("speaker", &["RTPOBSERVER_"]),
];

/// Each object made once more, under `TAKEN`.
const CREATIONS: &str = r#"
> WORKER_CREATE_ROUTER - { router_id: "TAKEN" }
< Error "* already exists*"
> WORKER_CREATE_WEBRTCSERVER - { web_rtc_server_id: "TAKEN", listen_infos: [%udp] }
< Error "* already exists*"
> ROUTER_CREATE_DIRECTTRANSPORT router { transport_id: "TAKEN", options: %direct }
< Error "* already exists*"
> ROUTER_CREATE_PLAINTRANSPORT router { transport_id: "TAKEN", options: %plain }
< Error "* already exists*"
> ROUTER_CREATE_PIPETRANSPORT router { transport_id: "TAKEN", options: %pipe }
< Error "* already exists*"
> ROUTER_CREATE_WEBRTCTRANSPORT router { transport_id: "TAKEN", options: %webrtc }
< Error "* already exists*"
> ROUTER_CREATE_WEBRTCTRANSPORT_WITH_SERVER router {
    transport_id: "TAKEN", options: { base: %options, listen: ListenServer { web_rtc_server_id: "server" } }
  }
< Error "* already exists*"
> ROUTER_CREATE_AUDIOLEVELOBSERVER router { rtp_observer_id: "TAKEN", options: { interval: 5000 } }
< Error "* already exists*"
> ROUTER_CREATE_ACTIVESPEAKEROBSERVER router { rtp_observer_id: "TAKEN", options: { interval: 5000 } }
< Error "* already exists*"
> TRANSPORT_PRODUCE direct {
    ..%produce_opus, producer_id: "TAKEN", rtp_parameters.mid: "x", rtp_parameters.encodings.0.ssrc: 7
  }
< Error "* already exists*"
> TRANSPORT_CONSUME direct { ..%consume_opus, consumer_id: "TAKEN", producer_id: "producer" }
< Error "* already exists*"
> TRANSPORT_PRODUCE_DATA direct { data_producer_id: "TAKEN", type: DIRECT }
< Error "* already exists*"
> TRANSPORT_CONSUME_DATA direct { data_consumer_id: "TAKEN", data_producer_id: "dataProducer", type: DIRECT }
< Error "* already exists*"
"#;

/// And then everything is as it was.
const AS_BEFORE: &str = r#"
> WORKER_DUMP -
< ok Worker_DumpResponse {
  pid: $pid, web_rtc_server_ids: ["server"], router_ids: ["router"]
  channel_message_handlers: {
    channel_request_handlers: set [
      "router", "server", "direct", "plain", "pipe", "webrtc", "producer", "consumer", "dataProducer", "dataConsumer"
      "levels", "speaker"
    ]
    channel_notification_handlers: set ["direct", "plain", "pipe", "webrtc", "producer", "dataProducer"]
  }
}
> WEBRTCSERVER_DUMP server
< ok WebRtcServer_DumpResponse { id: "server", udp_sockets: [any] }
"#;

pub(crate) fn taken_ids(common: &str) -> Vec<Step> {
    let mut text = OBJECTS.to_owned();
    for (id, _) in KINDS.iter().skip(1) {
        text.push_str(&CREATIONS.replace("TAKEN", id));
    }
    text.push_str(AS_BEFORE);
    parse("ids", &text, templates(common))
}

/// The name of a method in error texts: `ROUTER_CREATE_PIPETRANSPORT` is `router.createPipeTransport`.
fn text_of(method: &str) -> &'static str {
    const WORDS: [(&str, &str); 19] = [
        ("WEBRTCSERVER", "webRtcServer"),
        ("CREATE_WEBRTCTRANSPORT", "createWebRtcTransport"),
        ("CREATE_PLAINTRANSPORT", "createPlainTransport"),
        ("CREATE_PIPETRANSPORT", "createPipeTransport"),
        ("CREATE_DIRECTTRANSPORT", "createDirectTransport"),
        ("CREATE_ACTIVESPEAKEROBSERVER", "createActiveSpeakerObserver"),
        ("CREATE_AUDIOLEVELOBSERVER", "createAudioLevelObserver"),
        ("CLOSE_RTPOBSERVER", "closeRtpObserver"),
        ("CLOSE_DATAPRODUCER", "closeDataProducer"),
        ("CLOSE_DATACONSUMER", "closeDataConsumer"),
        ("PLAINTRANSPORT", "plainTransport"),
        ("PIPETRANSPORT", "pipeTransport"),
        ("WEBRTCTRANSPORT", "webRtcTransport"),
        ("DATAPRODUCER", "dataProducer"),
        ("DATACONSUMER", "dataConsumer"),
        ("RTPOBSERVER", "rtpObserver"),
        ("REQUEST_KEY_FRAME", "requestKeyFrame"),
        ("RESTART_ICE", "restartIce"),
        ("GET_STATS", "getStats"),
    ];
    let mut text = String::new();
    let mut rest = method;
    while !rest.is_empty() {
        let separator = if text.is_empty() || text.contains('.') { "" } else { "." };
        let known = WORDS.iter().find(|(word, _)| {
            rest.strip_prefix(word).is_some_and(|tail| tail.is_empty() || tail.starts_with('_'))
        });
        let (word, spelled) = match known {
            Some((word, spelled)) => (*word, (*spelled).to_owned()),
            None => {
                let word = rest.split('_').next().unwrap_or(rest);
                (word, word.to_lowercase())
            }
        };
        text.push_str(separator);
        // The first word of each side begins small, the others large.
        if separator.is_empty() && text.contains('.') && !text.ends_with('.') {
            let mut letters = spelled.chars();
            text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
            text.push_str(letters.as_str());
        } else {
            text.push_str(&spelled);
        }
        rest = rest[word.len()..].trim_start_matches('_');
    }
    text.leak()
}

pub(crate) fn wrong_handlers(common: &str) -> Vec<Step> {
    let mut steps = parse("matrix", OBJECTS, templates(common));
    for (handler, own) in KINDS {
        // The worker's own methods look at no handler.
        for method in Method::ENUM_VALUES.iter().filter(|method| **method >= Method::WEBRTCSERVER_DUMP) {
            let name = method.variant_name().unwrap_or_default();
            let transport_only = handler != "webrtc" && *method == Method::TRANSPORT_RESTART_ICE;
            let answers = own.iter().any(|beginning| name.starts_with(beginning)) && !transport_only;
            if answers && *method != Method::TRANSPORT_CONNECT {
                continue;
            }
            let text = text_of(name);
            let (class, reason) = if handler == "nobody" {
                ("NotFoundError", format!("Channel request handler with ID nobody not found [method:{text}]"))
            } else {
                ("Error", format!("unknown method '{text}'"))
            };
            steps.push(Step {
                line: usize::from(method.0),
                action: Action::Ask {
                    method: name.to_owned(),
                    handler: handler.to_owned(),
                    body: Value::Absent,
                    before: Vec::new(),
                    answer: Answer::Refused { class: class.to_owned(), reason: Some(reason) },
                    ours: None,
                    after: Vec::new(),
                },
            });
        }
    }
    steps
}
