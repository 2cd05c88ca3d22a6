//! A controller's conversation with a whole worker, threads and sockets left out: requests as the scripts of the
//! differential test send them, in any order and with any field changed, through decoder, controller, shards and
//! encoder. Everything is answered once and readably, and nothing outlives what it belonged to.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arbitrary::Arbitrary;
use ringsoup_control::message::{Incoming, RequestId, Response, ResponseBody, WorkerDump};
use ringsoup_control::wire::{Encoder, decode};
use ringsoup_fbs::verify_message;
use ringsoup_rtc::dtls::{Certificate, NoHandshakes};
use ringsoup_rtc::time::Time;
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::sfu::SfuConfig;
use ringsoup_tests::script::{Action, body_of_event, body_of_method, number_or_name, parse, templates};
use ringsoup_tests::threadless::{ShardParts, ThreadlessWorker, Told};
use ringsoup_tests::wire::encode;
use ringsoup_tests::wire::schema::Schema;
use ringsoup_tests::wire::value::{Field, Value};

use crate::sockets::VirtualSockets;

/// Requests and notifications of one input; more teach nothing and take time.
const SENT_MAX: usize = 300;
const SHARDS: u16 = 2;
const RTC_PORTS: (u16, u16) = (10_000, 10_100);
/// Longer than any timer that may outlive its object, ms.
const QUIET_MS: u64 = 60_000;

macro_rules! scripts {
    ($($name:literal)+) => {
        const SCRIPTS: &[&str] =
            &[$(include_str!(concat!("../../tests/differential/script/", $name, ".txt")),)+];
    };
}
scripts! {
    "worker" "router" "transport" "plain_transport" "pipe_transport" "direct_transport" "web_rtc_transport"
    "web_rtc_server" "producer" "rtp_parameters" "consumer" "data_producer" "data_consumer" "rtp_observer"
}
const COMMON: &str = include_str!("../../tests/differential/script/common.txt");

#[derive(Debug, Arbitrary)]
pub struct Conversation {
    pub moves: Vec<Move>,
}

#[derive(Debug, Arbitrary)]
pub enum Move {
    /// Some of a script as it stands.
    Play {
        script: u8,
        from: u8,
        count: u8,
    },
    /// One message of a script, changed.
    Say {
        script: u8,
        step: u8,
        handler: Option<u8>,
        number: Option<u8>,
        edits: Vec<Edit>,
    },
    Advance {
        millis: u16,
    },
}

/// What is done to the value that comes `at`-th in a body.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Edit {
    pub at: u8,
    pub how: How,
    pub pick: u8,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum How {
    Replace,
    Drop,
    Repeat,
    Empty,
}

/// A request (`asks`) or a notification, before it has an id.
#[derive(Debug, Clone)]
struct Message {
    asks: bool,
    name: String,
    handler: String,
    body: Value,
}

struct Corpus {
    schema: Schema,
    scripts: Vec<Vec<Message>>,
    handlers: Vec<String>,
}

fn corpus() -> &'static Corpus {
    static CORPUS: OnceLock<Corpus> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let scripts: Vec<_> = SCRIPTS.iter().map(|text| messages(text)).collect();
        let mut handlers: Vec<String> =
            scripts.iter().flatten().map(|message| message.handler.clone()).collect();
        handlers.sort();
        handlers.dedup();
        Corpus { schema: Schema::read(), scripts, handlers }
    })
}

fn messages(text: &str) -> Vec<Message> {
    let steps = parse("script", text, templates(COMMON));
    let messages = steps.into_iter().filter_map(|step| {
        let (asks, name, handler, body) = match step.action {
            Action::Ask { method, handler, body, .. } => (true, method, handler, body),
            Action::Tell { event, handler, body, .. } => (false, event, handler, body),
            Action::Start(_) => return None,
        };
        let kind = if asks { body_of_method(&name) } else { body_of_event(&name) };
        let body = match body {
            Value::Object(fields) => Value::Typed(kind.to_owned(), fields),
            other => other,
        };
        Some(Message { asks, name, handler, body })
    });
    messages.collect()
}

/// Everything the scripts say, once each, as frames; but for numbers that no method has, which cannot be read.
pub fn frames() -> Vec<Vec<u8>> {
    let corpus = corpus();
    let known = corpus.scripts.iter().flatten().filter(|message| message.name.parse::<u8>().is_err());
    let frames = known.filter_map(|message| {
        let kind = number_or_name(&message.name);
        encode::message(&corpus.schema, message.data(7, kind)).ok()
    });
    let mut frames: Vec<_> = frames.collect();
    frames.sort();
    frames.dedup();
    frames
}

impl Message {
    /// What the frame holds, a request under `id`.
    fn data(&self, id: u32, kind: Value) -> Value {
        let handler = Field::new("handler_id", Value::Text(self.handler.clone()));
        let body = Field::new("body", self.body.clone());
        if self.asks {
            let id = Field::new("id", Value::Integer(id.into()));
            Value::Typed("Request".to_owned(), vec![id, Field::new("method", kind), handler, body])
        } else {
            Value::Typed("Notification".to_owned(), vec![handler, Field::new("event", kind), body])
        }
    }
}

struct Worker {
    worker: ThreadlessWorker<VirtualSockets>,
    encoder: Encoder,
    /// Ids that wait for their answer.
    open: HashSet<u32>,
    next_id: u32,
    dump: Option<Box<WorkerDump>>,
}

/// Has the conversation; returns how many requests were accepted.
///
/// # Panics
/// When something that must hold does not.
pub fn run(conversation: &Conversation) -> usize {
    let corpus = corpus();
    let mut worker = Worker::new();
    let (mut sent, mut accepted) = (0, 0);
    for one in &conversation.moves {
        match one {
            Move::Play { script, from, count } => {
                let script = &corpus.scripts[usize::from(*script) % corpus.scripts.len()];
                let from = usize::from(*from) % script.len();
                for message in script.iter().skip(from).take(usize::from(*count)) {
                    accepted += worker.send(corpus, message, None);
                    sent += 1;
                }
            }
            Move::Say { script, step, handler, number, edits } => {
                let script = &corpus.scripts[usize::from(*script) % corpus.scripts.len()];
                let mut message = script[usize::from(*step) % script.len()].clone();
                if let Some(handler) = handler {
                    let handler = usize::from(*handler) % corpus.handlers.len();
                    message.handler.clone_from(&corpus.handlers[handler]);
                }
                for edit in edits {
                    change(&mut message.body, *edit, corpus);
                }
                accepted += worker.send(corpus, &message, *number);
                sent += 1;
            }
            Move::Advance { millis } => worker.advance(u64::from(*millis)),
        }
        if sent > SENT_MAX {
            break;
        }
    }
    worker.end(corpus);
    accepted
}

impl Worker {
    fn new() -> Self {
        Self {
            worker: ThreadlessWorker::new(SHARDS, Time::from_millis(1_000), parts),
            encoder: Encoder::new(),
            open: HashSet::new(),
            next_id: 0,
            dump: None,
        }
    }

    /// How many requests were accepted: one or none.
    fn send(&mut self, corpus: &Corpus, message: &Message, number: Option<u8>) -> usize {
        self.next_id += 1;
        let id = self.next_id;
        let kind =
            number.map_or_else(|| number_or_name(&message.name), |number| Value::Integer(number.into()));
        // A number may be changed to one that its field cannot hold.
        let Ok(frame) = encode::message(&corpus.schema, message.data(id, kind)) else { return 0 };
        match decode(&frame) {
            Ok(incoming) => {
                if matches!(incoming, Incoming::Request(_)) {
                    self.open.insert(id);
                }
                self.worker.handle_incoming(incoming);
            }
            Err(error) => {
                if let Some(RequestId { number: id, .. }) = error.request_id {
                    self.open.insert(id);
                }
                self.worker.handle_undecodable(error);
            }
        }
        let accepted = self.read_all();
        assert!(self.open.is_empty(), "request {id} is not answered");
        accepted
    }

    /// Reads everything that the worker tells; returns how many requests were accepted. Peers and other shards lose everything
    /// they are sent.
    fn read_all(&mut self) -> usize {
        self.worker.passed.clear();
        let mut accepted = 0;
        for told in std::mem::take(&mut self.worker.told) {
            match told {
                Told::Response(response) => accepted += self.respond(response),
                Told::Event(event) => {
                    if let Some(told) = self.encoder.event(&event) {
                        verify_message(told.message).expect("events are written validly");
                    }
                }
                Told::Log(text) => {
                    verify_message(self.encoder.log(&text)).expect("log lines are written validly");
                }
                Told::Closes => {}
            }
        }
        accepted
    }

    fn respond(&mut self, response: Response) -> usize {
        assert!(self.open.remove(&response.id.number), "{} is answered and was not asked", response.id);
        verify_message(self.encoder.response(&response)).expect("answers are written validly");
        let accepted = usize::from(response.result.is_ok());
        if let Ok(ResponseBody::WorkerDump(dump)) = response.result {
            self.dump = Some(dump);
        }
        accepted
    }

    fn advance(&mut self, millis: u64) {
        let target = self.worker.now + Duration::from_millis(millis);
        self.worker.advance_handshakes();
        self.read_all();
        let mut rounds = 0;
        while let Some(timeout) = self.worker.next_timeout().filter(|timeout| *timeout <= target) {
            self.worker.now = self.worker.now.max(timeout);
            self.worker.handle_timeouts();
            self.read_all();
            rounds += 1;
            assert!(rounds <= 2 * (millis + 2), "timers fire without end");
        }
        self.worker.now = target;
    }

    fn ask(&mut self, corpus: &Corpus, name: &str, id_field: Option<(&str, &str)>) {
        let body = id_field.map_or(Value::Absent, |(field, id)| {
            Value::Typed(body_of_method(name).to_owned(), vec![Field::new(field, Value::Text(id.to_owned()))])
        });
        let message = Message { asks: true, name: name.to_owned(), handler: String::new(), body };
        self.send(corpus, &message, None);
    }

    fn dump(&mut self, corpus: &Corpus) -> Box<WorkerDump> {
        self.ask(corpus, "WORKER_DUMP", None);
        self.dump.take().expect("a worker dumps")
    }

    /// Closes everything; nothing may be left, neither ids nor sockets nor timers.
    fn end(mut self, corpus: &Corpus) {
        let dump = self.dump(corpus);
        for server in &dump.web_rtc_servers {
            self.ask(corpus, "WORKER_WEBRTCSERVER_CLOSE", Some(("web_rtc_server_id", server)));
        }
        for router in &dump.routers {
            self.ask(corpus, "WORKER_CLOSE_ROUTER", Some(("router_id", router)));
        }
        let dump = self.dump(corpus);
        assert!(dump.routers.is_empty() && dump.web_rtc_servers.is_empty());
        assert!(dump.request_handlers.is_empty(), "{:?} outlive their router", dump.request_handlers);
        assert!(dump.notification_handlers.is_empty(), "{:?}", dump.notification_handlers);
        assert_eq!(self.worker.controller.pending_count(), 0);
        self.advance(QUIET_MS);
        for (_, shard) in self.worker.shards() {
            assert_eq!(shard.sockets.open_count(), 0, "every socket was closed");
            assert_eq!(shard.sfu.next_timeout(), None, "no timer outlives what it was for");
        }
    }
}

fn parts(index: u16) -> ShardParts<VirtualSockets> {
    let config = SfuConfig {
        seed: index.into(),
        unix_origin_us: 1_700_000_000_000_000,
        rtc_ports: RTC_PORTS,
        certificate: Arc::new(Certificate::new(b"certificate".to_vec(), b"key".to_vec())),
        dtls: Arc::new(NoHandshakes),
        rules: Rules::NEWEST,
    };
    let key_source = Box::new(|target: &mut [u8]| target.fill(0x5a));
    ShardParts { config, key_source, sockets: VirtualSockets::new(true) }
}

/// Values that mean something somewhere.
const NUMBERS: [i128; 18] = [
    0,
    1,
    2,
    3,
    100,
    127,
    128,
    255,
    1111,
    2222,
    30_000,
    65_534,
    65_535,
    0x7fff_ffff,
    0xffff_ffff,
    i64::MAX as i128 - 1,
    i64::MAX as i128,
    u64::MAX as i128,
];
const TEXTS: [&str; 14] = [
    "",
    "127.0.0.1",
    "::1",
    "0.0.0.0",
    "chicken",
    "video/VP8",
    "audio/opus",
    "video/rtx",
    "video/AV1",
    "L3T3_KEY",
    "L1T3",
    "S2T1",
    "apt",
    "\u{1f414}",
];

fn change(body: &mut Value, edit: Edit, corpus: &Corpus) {
    let mut left = usize::from(edit.at) % count(body).max(1);
    change_nth(body, &mut left, edit, corpus);
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(fields) | Value::Typed(_, fields) => {
            fields.iter().map(|field| count(&field.value)).sum()
        }
        Value::List(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

/// Whether the value was found.
fn change_nth(value: &mut Value, left: &mut usize, edit: Edit, corpus: &Corpus) -> bool {
    if *left == 0 {
        change_value(value, edit, corpus);
        return true;
    }
    *left -= 1;
    match value {
        Value::Object(fields) | Value::Typed(_, fields) => {
            fields.iter_mut().any(|field| change_nth(&mut field.value, left, edit, corpus))
        }
        Value::List(items) => items.iter_mut().any(|item| change_nth(item, left, edit, corpus)),
        _ => false,
    }
}

fn change_value(value: &mut Value, Edit { how, pick, .. }: Edit, corpus: &Corpus) {
    let pick = usize::from(pick);
    match (how, &mut *value) {
        (How::Drop, value) => *value = Value::Absent,
        (How::Repeat, Value::List(items)) => {
            if let Some(item) = items.get(pick % items.len().max(1)).cloned() {
                items.push(item);
            }
        }
        (How::Empty, Value::List(items)) => items.clear(),
        (_, Value::Object(fields) | Value::Typed(_, fields)) => {
            if !fields.is_empty() {
                fields.remove(pick % fields.len());
            }
        }
        (_, Value::Bool(value)) => *value = !*value,
        (_, Value::Integer(value)) => *value = NUMBERS[pick % NUMBERS.len()],
        (_, Value::Name(_)) => *value = Value::Integer(pick as i128),
        (_, Value::Text(text)) => {
            let names = &corpus.handlers;
            match pick % (TEXTS.len() + names.len()) {
                index if index < TEXTS.len() => TEXTS[index].clone_into(text),
                index => text.clone_from(&names[index - TEXTS.len()]),
            }
        }
        (_, value) => *value = Value::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target whose requests are all refused would find nothing behind the door.
    #[test]
    fn scripts_are_played_as_they_stand() {
        for script in 0..u8::try_from(SCRIPTS.len()).expect("few scripts") {
            let moves = vec![Move::Play { script, from: 0, count: u8::MAX }, Move::Advance { millis: 1_000 }];
            let accepted = run(&Conversation { moves });
            assert!(accepted > 3, "script {script}: {accepted}");
        }
    }
}
