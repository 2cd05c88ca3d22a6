//! Plays a script to a worker.

use std::time::{Duration, Instant};

use ringsoup_tests::worker::{Launch, PATIENCE, Worker};

use crate::compare::{Bindings, compare, matches, resolve};
use ringsoup_tests::script::{Action, Answer, Step, Told, body_of_event, body_of_method, number_or_name};
use ringsoup_tests::wire::decode::Decoder;
use ringsoup_tests::wire::encode;
use ringsoup_tests::wire::schema::Schema;
use ringsoup_tests::wire::value::{Field, Value};

/// How long an event that must follow may take: it has left its shard before anything else is asked.
const EVENT_PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) requests: usize,
    pub(crate) differences: Vec<String>,
    pub(crate) explained: Vec<String>,
}

pub(crate) struct Player<'script> {
    file: &'script str,
    schema: &'script Schema,
    worker: Option<Worker>,
    known: Bindings,
    request_id: u32,
    outcome: Outcome,
}

impl<'script> Player<'script> {
    pub(crate) fn new(file: &'script str, schema: &'script Schema) -> Self {
        Self {
            file,
            schema,
            worker: None,
            known: Bindings::new(),
            request_id: 0,
            outcome: Outcome::default(),
        }
    }

    pub(crate) fn play(mut self, steps: &[Step]) -> Outcome {
        for step in steps {
            match &step.action {
                Action::Start(arguments) => {
                    let worker = Launch::with_args(arguments).run();
                    self.known.insert("pid".to_owned(), Value::Integer(i128::from(worker.pid())));
                    self.worker = Some(worker);
                }
                Action::Tell { event, handler, body, after } => {
                    let body = self.body("FBS.Notification.Body", body_of_event(event), body);
                    let fields = vec![
                        Field::new("handler_id", self.text(handler)),
                        Field::new("event", number_or_name(event)),
                        Field::new("body", body),
                    ];
                    self.send(step.line, Value::Typed("Notification".to_owned(), fields));
                    self.expect_after(step.line, after);
                }
                Action::Ask { .. } => self.ask(step),
            }
        }
        self.outcome
    }

    fn ask(&mut self, step: &Step) {
        let Action::Ask { method, handler, body, before, answer, ours, after } = &step.action else { return };
        self.request_id += 1;
        self.outcome.requests += 1;
        let id = self.request_id;
        let fields = vec![
            Field::new("id", Value::Integer(i128::from(id))),
            Field::new("method", number_or_name(method)),
            Field::new("handler_id", self.text(handler)),
            Field::new("body", self.body("FBS.Request.Body", body_of_method(method), body)),
        ];
        self.send(step.line, Value::Typed("Request".to_owned(), fields));
        let mut told = Vec::new();
        let response = loop {
            match self.next(Instant::now() + PATIENCE) {
                Some(Value::Typed(kind, fields)) if kind == "Response" => break fields,
                Some(Value::Typed(kind, fields)) if kind == "Notification" => told.push(fields),
                Some(_) => {}
                None => panic!("{}:{}: {method} is not answered", self.file, step.line),
            }
        };
        let mut differences = Vec::new();
        compare(
            "id",
            &Value::Integer(i128::from(id)),
            field(&response, "id"),
            &mut self.known,
            &mut differences,
        );
        self.compare_told(before, &told, &mut differences);
        let wanted = match ours {
            None => answer,
            Some((ours, why)) => {
                let mut as_published = Vec::new();
                compare_answer(answer, &response, &mut self.known.clone(), &mut as_published);
                if as_published.is_empty() {
                    differences.push(format!("answered as published now, so this explains nothing: {why}"));
                }
                self.outcome.explained.push(format!("{}:{}: {method}: {why}", self.file, step.line));
                ours
            }
        };
        compare_answer(wanted, &response, &mut self.known, &mut differences);
        for difference in differences {
            self.differs(step.line, method, &difference);
        }
        self.expect_after(step.line, after);
    }

    fn differs(&mut self, line: usize, what: &str, difference: &str) {
        self.outcome.differences.push(format!("{}:{line}: {what}: {difference}", self.file));
    }

    /// The same event of several objects comes in any order: the published worker keeps them in sets.
    fn compare_told(&mut self, wanted: &[Told], told: &[Vec<Field>], differences: &mut Vec<String>) {
        let mut wanted = wanted.to_vec();
        for group in wanted.chunk_by_mut(|one, other| one.event == other.event) {
            group.sort_by(|one, other| one.handler.cmp(&other.handler));
        }
        let mut told = told.to_vec();
        for group in told.chunk_by_mut(|one, other| field(one, "event") == field(other, "event")) {
            group.sort_by_key(|fields| field(fields, "handler_id").to_string());
        }
        for (index, fields) in told.iter().enumerate() {
            match wanted.get(index) {
                Some(wanted) => self.compare_event(wanted, fields, differences),
                None => differences.push(format!("told unasked: {}", Value::Object(fields.clone()))),
            }
        }
        for missing in wanted.iter().skip(told.len()) {
            differences
                .push(format!("{} of {} is not told before the answer", missing.event, missing.handler));
        }
    }

    fn compare_event(&mut self, wanted: &Told, told: &[Field], differences: &mut Vec<String>) {
        compare("event", &number_or_name(&wanted.event), field(told, "event"), &mut self.known, differences);
        let handler = self.text(&wanted.handler);
        compare("handler", &handler, field(told, "handler_id"), &mut self.known, differences);
        compare("body", &wanted.body, field(told, "body"), &mut self.known, differences);
    }

    fn expect_after(&mut self, line: usize, wanted: &[Told]) {
        for wanted in wanted {
            let deadline = Instant::now() + EVENT_PATIENCE;
            let told = loop {
                match self.next(deadline) {
                    Some(Value::Typed(kind, fields)) if kind == "Notification" => break Some(fields),
                    Some(_) => {}
                    None => break None,
                }
            };
            let mut differences = Vec::new();
            match told {
                Some(told) => self.compare_event(wanted, &told, &mut differences),
                None => differences.push(format!("{} of {} is not told", wanted.event, wanted.handler)),
            }
            for difference in differences {
                self.differs(line, &wanted.event, &difference);
            }
        }
    }

    fn text(&self, text: &str) -> Value {
        match text.strip_prefix('$') {
            Some(name) => self.known.get(name).cloned().unwrap_or_else(|| panic!("${name} is not known")),
            None => Value::Text(text.to_owned()),
        }
    }

    /// The body as a member of its union, of the kind the method takes where the script names none.
    fn body(&self, union: &str, kind: &str, body: &Value) -> Value {
        match resolve(body, &self.known) {
            Value::Object(fields) => {
                let members = self.schema.members(union);
                assert!(members.iter().any(|(name, _, _)| name == kind), "{union} has no {kind}");
                Value::Typed(kind.to_owned(), fields)
            }
            other => other,
        }
    }

    fn worker(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("a script begins with `worker`")
    }

    fn send(&mut self, line: usize, data: Value) {
        match encode::message(self.schema, data) {
            Ok(frame) => self.worker().channel.send(&frame),
            Err(error) => panic!("{}:{line}: {error}", self.file),
        }
    }

    fn next(&mut self, deadline: Instant) -> Option<Value> {
        let frame =
            self.worker().channel.next_before(deadline)?.expect("the worker does not close its channel");
        let decoder = Decoder { schema: self.schema, bytes: frame.bytes() };
        let Some(Value::Object(fields)) = decoder.message() else {
            panic!("a frame cannot be read by the schema")
        };
        Some(field(&fields, "data").clone())
    }
}

fn field<'fields>(fields: &'fields [Field], name: &str) -> &'fields Value {
    fields.iter().find(|field| field.name == name).map_or(&Value::Absent, |field| &field.value)
}

fn compare_answer(wanted: &Answer, response: &[Field], known: &mut Bindings, differences: &mut Vec<String>) {
    let text = |name| match field(response, name) {
        Value::Text(text) => text.clone(),
        _ => String::new(),
    };
    let (class, reason) = (text("error"), text("reason"));
    let accepted = *field(response, "accepted") == Value::Bool(true);
    match wanted {
        Answer::Accepted(_) if !accepted => differences.push(format!("refused: {class} {reason:?}")),
        Answer::Refused { .. } if accepted => differences.push("accepted, not refused".to_owned()),
        Answer::Accepted(body) => {
            compare("body", body, field(response, "body"), known, differences);
            compare("error", &Value::Absent, field(response, "error"), known, differences);
            compare("reason", &Value::Absent, field(response, "reason"), known, differences);
        }
        Answer::Refused { class: wanted_class, reason: wanted_reason } => {
            if *wanted_class != class {
                differences.push(format!("class is {class}, not {wanted_class} (reason {reason:?})"));
            }
            if wanted_reason.as_ref().is_some_and(|wanted| !matches(wanted, &reason)) {
                differences
                    .push(format!("reason is {reason:?}, not {:?}", wanted_reason.as_deref().unwrap_or("")));
            }
            compare("body", &Value::Absent, field(response, "body"), known, differences);
        }
    }
}
