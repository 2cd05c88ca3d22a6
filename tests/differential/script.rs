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

use ringsoup_tests::wire::value::Value;

use crate::notation::Cursor;

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
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
pub(crate) struct Told {
    pub(crate) event: String,
    pub(crate) handler: String,
    pub(crate) body: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Accepted(Value),
    Refused { class: String, reason: Option<String> },
}

/// Values every script may use.
pub(crate) fn templates(text: &str) -> HashMap<String, Value> {
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

pub(crate) fn parse(file: &str, text: &str, templates: HashMap<String, Value>) -> Vec<Step> {
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
