//! A script: what is sent, and what the published worker would answer.
//!
//! ```text
//! worker --logLevel=none            a fresh worker
//! let name = VALUE                  %name from here on
//! > METHOD HANDLER {BODY}           a request; `-` is the worker itself
//! ! EVENT HANDLER KIND {BODY}       told before the answer, or after it when it stands after it
//! < ok KIND {BODY}                  the answer, or
//! < Error "reason"                  a refusal: `Error`, `TypeError`, `NotFoundError`; `*` matches any text
//! ~ ok | Error "reason" -- why      ours differs: exactly how, and why that is right
//! ^ EVENT HANDLER {BODY}            a notification to the worker
//! ```
//!
//! A body is of the kind its method or event takes, unless it says otherwise. Fields that an answer's line does not
//! name must be absent or what the schema says of absent ones.

use std::collections::HashMap;

use crate::wire::value::Value;

use crate::wire::notation::Cursor;

#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub action: Action,
}

#[derive(Debug)]
pub enum Action {
    Start(Vec<String>),
    Ask {
        method: String,
        handler: String,
        body: Value,
        before: Vec<Told>,
        answer: Answer,
        ours: Option<(Answer, String)>,
        after: Vec<Told>,
    },
    Tell {
        event: String,
        handler: String,
        body: Value,
        after: Vec<Told>,
    },
}

#[derive(Debug, Clone)]
pub struct Told {
    pub event: String,
    pub handler: String,
    pub body: Value,
}

#[derive(Debug, Clone)]
pub enum Answer {
    Accepted(Value),
    Refused { class: String, reason: Option<String> },
}

/// Values every script may use.
pub fn templates(text: &str) -> HashMap<String, Value> {
    let mut cursor = Cursor::new("common.txt", text, HashMap::new());
    loop {
        cursor.skip_blank();
        if cursor.peek().is_none() {
            return cursor.templates;
        }
        if cursor.word() != "let" {
            cursor.fail("only `let` may stand here");
        }
        define(&mut cursor);
    }
}

fn define(cursor: &mut Cursor<'_>) {
    cursor.more_on_line();
    let name = cursor.word().to_owned();
    cursor.skip_blank();
    if !cursor.take('=') {
        cursor.fail("`=` is missing");
    }
    let value = cursor.value();
    cursor.templates.insert(name, value);
}

pub fn parse(file: &str, text: &str, templates: HashMap<String, Value>) -> Vec<Step> {
    let mut cursor = Cursor::new(file, text, templates);
    let mut steps: Vec<Step> = Vec::new();
    loop {
        cursor.skip_blank();
        let line = cursor.line;
        match cursor.peek() {
            None => return steps,
            Some('>') => steps.push(Step { line, action: ask(&mut cursor) }),
            Some('^') => {
                cursor.take('^');
                let Told { event, handler, body } = told(&mut cursor);
                steps.push(Step {
                    line,
                    action: Action::Tell { event, handler, body, after: events(&mut cursor) },
                });
            }
            Some(_) => match cursor.word() {
                "worker" => {
                    let arguments = cursor.rest_of_line().split_whitespace().map(str::to_owned).collect();
                    steps.push(Step { line, action: Action::Start(arguments) });
                }
                "let" => define(&mut cursor),
                other => cursor.fail(&format!("what is {other}?")),
            },
        }
    }
}

fn ask(cursor: &mut Cursor<'_>) -> Action {
    cursor.take('>');
    let Told { event: method, handler, body } = told(cursor);
    let before = events(cursor);
    if !cursor.take('<') {
        cursor.fail("the answer is missing");
    }
    let answer = answer(cursor);
    cursor.skip_blank();
    let ours = cursor.take('~').then(|| {
        let ours = self::answer(cursor);
        cursor.skip_blank();
        let why = cursor.rest_of_line();
        match why.strip_prefix("--") {
            Some(why) => (ours, why.trim().to_owned()),
            None => cursor.fail("`-- why` is missing"),
        }
    });
    Action::Ask { method, handler, body, before, answer, ours, after: events(cursor) }
}

/// Name, handler and perhaps a body: the form of requests and notifications alike.
fn told(cursor: &mut Cursor<'_>) -> Told {
    cursor.more_on_line();
    let event = cursor.word().to_owned();
    cursor.more_on_line();
    let handler = match cursor.peek() {
        Some('"') => cursor.quoted(),
        Some('$') => {
            cursor.take('$');
            format!("${}", cursor.word())
        }
        _ => match cursor.word() {
            "-" => String::new(),
            word => word.to_owned(),
        },
    };
    let body = if cursor.more_on_line() { cursor.value() } else { Value::Absent };
    Told { event, handler, body }
}

fn events(cursor: &mut Cursor<'_>) -> Vec<Told> {
    let mut events = Vec::new();
    loop {
        cursor.skip_blank();
        if !cursor.take('!') {
            return events;
        }
        events.push(told(cursor));
    }
}

fn answer(cursor: &mut Cursor<'_>) -> Answer {
    cursor.more_on_line();
    let class = cursor.word().to_owned();
    if class == "ok" {
        let body = cursor.more_on_line() && cursor.peek() != Some('-');
        return Answer::Accepted(if body { cursor.value() } else { Value::Absent });
    }
    if !["Error", "TypeError", "NotFoundError"].contains(&class.as_str()) {
        cursor.fail(&format!("{class} is no class of errors"));
    }
    cursor.more_on_line();
    let reason = (cursor.peek() == Some('"')).then(|| cursor.quoted());
    Answer::Refused { class, reason }
}

/// Methods and events that have no name are written as numbers.
pub fn number_or_name(text: &str) -> Value {
    text.parse().map_or_else(|_| Value::Name(text.to_owned()), Value::Integer)
}

/// The kind of body a method takes.
pub fn body_of_method(method: &str) -> &'static str {
    match method {
        "WORKER_UPDATE_SETTINGS" => "Worker_UpdateSettingsRequest",
        "WORKER_CREATE_WEBRTCSERVER" => "Worker_CreateWebRtcServerRequest",
        "WORKER_WEBRTCSERVER_CLOSE" => "Worker_CloseWebRtcServerRequest",
        "WORKER_CREATE_ROUTER" => "Worker_CreateRouterRequest",
        "WORKER_CLOSE_ROUTER" => "Worker_CloseRouterRequest",
        "ROUTER_CREATE_WEBRTCTRANSPORT" | "ROUTER_CREATE_WEBRTCTRANSPORT_WITH_SERVER" => {
            "Router_CreateWebRtcTransportRequest"
        }
        "ROUTER_CREATE_PLAINTRANSPORT" => "Router_CreatePlainTransportRequest",
        "ROUTER_CREATE_PIPETRANSPORT" => "Router_CreatePipeTransportRequest",
        "ROUTER_CREATE_DIRECTTRANSPORT" => "Router_CreateDirectTransportRequest",
        "ROUTER_CREATE_ACTIVESPEAKEROBSERVER" => "Router_CreateActiveSpeakerObserverRequest",
        "ROUTER_CREATE_AUDIOLEVELOBSERVER" => "Router_CreateAudioLevelObserverRequest",
        "ROUTER_CLOSE_TRANSPORT" => "Router_CloseTransportRequest",
        "ROUTER_CLOSE_RTPOBSERVER" => "Router_CloseRtpObserverRequest",
        "TRANSPORT_SET_MAX_INCOMING_BITRATE" => "Transport_SetMaxIncomingBitrateRequest",
        "TRANSPORT_SET_MAX_OUTGOING_BITRATE" => "Transport_SetMaxOutgoingBitrateRequest",
        "TRANSPORT_SET_MIN_OUTGOING_BITRATE" => "Transport_SetMinOutgoingBitrateRequest",
        "TRANSPORT_PRODUCE" => "Transport_ProduceRequest",
        "TRANSPORT_CONSUME" => "Transport_ConsumeRequest",
        "TRANSPORT_PRODUCE_DATA" => "Transport_ProduceDataRequest",
        "TRANSPORT_CONSUME_DATA" => "Transport_ConsumeDataRequest",
        "TRANSPORT_ENABLE_TRACE_EVENT" => "Transport_EnableTraceEventRequest",
        "TRANSPORT_CLOSE_PRODUCER" => "Transport_CloseProducerRequest",
        "TRANSPORT_CLOSE_CONSUMER" => "Transport_CloseConsumerRequest",
        "TRANSPORT_CLOSE_DATAPRODUCER" => "Transport_CloseDataProducerRequest",
        "TRANSPORT_CLOSE_DATACONSUMER" => "Transport_CloseDataConsumerRequest",
        "PLAINTRANSPORT_CONNECT" => "PlainTransport_ConnectRequest",
        "PIPETRANSPORT_CONNECT" => "PipeTransport_ConnectRequest",
        "WEBRTCTRANSPORT_CONNECT" => "WebRtcTransport_ConnectRequest",
        "PRODUCER_ENABLE_TRACE_EVENT" => "Producer_EnableTraceEventRequest",
        "CONSUMER_SET_PREFERRED_LAYERS" => "Consumer_SetPreferredLayersRequest",
        "CONSUMER_SET_PRIORITY" => "Consumer_SetPriorityRequest",
        "CONSUMER_ENABLE_TRACE_EVENT" => "Consumer_EnableTraceEventRequest",
        "DATACONSUMER_SET_BUFFERED_AMOUNT_LOW_THRESHOLD" => {
            "DataConsumer_SetBufferedAmountLowThresholdRequest"
        }
        "DATACONSUMER_SEND" => "DataConsumer_SendRequest",
        "DATACONSUMER_SET_SUBCHANNELS" => "DataConsumer_SetSubchannelsRequest",
        "DATACONSUMER_ADD_SUBCHANNEL" => "DataConsumer_AddSubchannelRequest",
        "DATACONSUMER_REMOVE_SUBCHANNEL" => "DataConsumer_RemoveSubchannelRequest",
        "RTPOBSERVER_ADD_PRODUCER" => "RtpObserver_AddProducerRequest",
        "RTPOBSERVER_REMOVE_PRODUCER" => "RtpObserver_RemoveProducerRequest",
        _ => "",
    }
}

/// The kind of body a notification to the worker takes.
pub fn body_of_event(event: &str) -> &'static str {
    match event {
        "TRANSPORT_SEND_RTCP" => "Transport_SendRtcpNotification",
        "PRODUCER_SEND" => "Producer_SendNotification",
        "DATAPRODUCER_SEND" => "DataProducer_SendNotification",
        _ => "",
    }
}
