//! Everything a controller could get wrong, exhaustively: every number, every kind of body, every length of a frame.
//! Each request is answered once, everything else is dropped, and the worker goes on.

use std::collections::HashSet;
use std::time::Instant;

use ringsoup_fbs::fbs::notification::Event;
use ringsoup_fbs::fbs::request::Method;
use ringsoup_tests::channel::Channel;
use ringsoup_tests::request;
use ringsoup_tests::wire::schema::Schema;
use ringsoup_tests::wire::value::{Field, Value};
use ringsoup_tests::wire::{encode, sample};
use ringsoup_tests::worker::{Launch, PATIENCE, Worker};

/// Requests sent before their answers are read: the pipe holds them.
const BATCH: usize = 64;
/// Numbers that are nothing special, nothing at all, and too large for most.
const NUMBERS: [i128; 3] = [1, 0, 127];

fn frame_of(schema: &Schema, kind: &str, fields: Vec<Field>) -> Vec<u8> {
    encode::message(schema, Value::Typed(kind.to_owned(), fields)).expect("a sample fits its schema")
}

fn request_frame(schema: &Schema, id: u32, method: u8, handler: &str, body: Value) -> Vec<u8> {
    let fields = vec![
        Field::new("id", Value::Integer(i128::from(id))),
        Field::new("method", Value::Integer(i128::from(method))),
        Field::new("handler_id", Value::Text(handler.to_owned())),
        Field::new("body", body),
    ];
    frame_of(schema, "Request", fields)
}

fn notification_frame(schema: &Schema, event: u8, handler: &str, body: Value) -> Vec<u8> {
    let fields = vec![
        Field::new("handler_id", Value::Text(handler.to_owned())),
        Field::new("event", Value::Integer(i128::from(event))),
        Field::new("body", body),
    ];
    frame_of(schema, "Notification", fields)
}

/// None, and one of every kind that `union` has.
fn bodies(schema: &Schema, union: &str, number: i128) -> Vec<Value> {
    let members = schema.members(union).iter();
    let samples =
        members.map(|(name, _, table)| Value::Typed(name.clone(), sample::table(schema, table, number)));
    std::iter::once(Value::Absent).chain(samples).collect()
}

/// A worker with one object of several kinds, each named like its kind.
fn populated() -> Worker {
    let mut worker = Launch::default().run();
    worker.channel.accepted(&request::create_router(1, "router"));
    worker.channel.accepted(&request::create_direct_transport(2, "router", "direct"));
    worker.channel.accepted(&request::create_plain_transport(3, "router", "plain", "127.0.0.1", 0));
    worker
}

/// Reads until every open request was answered, each once.
fn settle(channel: &mut Channel, open: &mut HashSet<u32>) {
    while !open.is_empty() {
        let frame = channel.next_until(Instant::now() + PATIENCE).expect("the worker goes on");
        if let Some(response) = frame.response() {
            assert!(open.remove(&response.id()), "nobody waits for an answer to {}", response.id());
        }
    }
}

/// Sends `frames`, each with its request's id, and takes their answers.
fn all_are_answered(worker: &mut Worker, frames: impl Iterator<Item = (u32, Vec<u8>)>) {
    let mut open = HashSet::new();
    for (id, frame) in frames {
        worker.channel.send(&frame);
        open.insert(id);
        if open.len() == BATCH {
            settle(&mut worker.channel, &mut open);
        }
    }
    settle(&mut worker.channel, &mut open);
    worker.channel.accepted(&request::worker_dump(1));
}

#[test]
fn every_method_number_is_answered() {
    let schema = Schema::read();
    let mut worker = populated();
    let mut id = 10;
    let handlers = ["", "nobody", "router", "direct", "plain"];
    let frames = handlers.into_iter().flat_map(|handler| (0..=u8::MAX).map(move |method| (handler, method)));
    let frames = frames.map(|(handler, method)| {
        id += 1;
        (id, request_frame(&schema, id, method, handler, Value::Absent))
    });
    all_are_answered(&mut worker, frames.collect::<Vec<_>>().into_iter());
}

/// 68 methods and one that is none, with 40 kinds of body each, on a handler that can answer and one that is none.
#[test]
fn every_kind_of_body_of_every_method_is_answered() {
    let schema = Schema::read();
    let methods = u8::try_from(Method::ENUM_VALUES.len()).unwrap();
    for number in NUMBERS {
        let bodies = bodies(&schema, "FBS.Request.Body", number);
        for handler in ["router", "direct", sample::TEXT] {
            // What a body of the right kind created or closed is part of the test: each round has its own worker.
            let mut worker = populated();
            let mut id = 10;
            let mut frames = Vec::new();
            for method in 0..=methods {
                for body in &bodies {
                    id += 1;
                    frames.push((id, request_frame(&schema, id, method, handler, body.clone())));
                }
            }
            all_are_answered(&mut worker, frames.into_iter());
        }
    }
}

/// All but the one that closes the worker.
#[test]
fn every_event_number_with_every_kind_of_body_is_survived() {
    let schema = Schema::read();
    let mut worker = populated();
    for handler in ["", "nobody", "router", "direct", "plain"] {
        for event in (0..=u8::MAX).filter(|event| *event != Event::WORKER_CLOSE.0) {
            worker.channel.send(&notification_frame(&schema, event, handler, Value::Absent));
        }
        for body in bodies(&schema, "FBS.Notification.Body", 1) {
            for event in 1..=u8::try_from(Event::ENUM_VALUES.len()).unwrap() {
                worker.channel.send(&notification_frame(&schema, event, handler, body.clone()));
            }
        }
        worker.channel.accepted(&request::worker_dump(1));
    }
}

/// What only the worker sends, sent to it.
#[test]
fn answers_and_log_lines_to_the_worker_are_dropped() {
    let schema = Schema::read();
    let mut worker = populated();
    for body in bodies(&schema, "FBS.Response.Body", 1) {
        let fields = vec![
            Field::new("id", Value::Integer(1)),
            Field::new("accepted", Value::Bool(true)),
            Field::new("body", body),
        ];
        worker.channel.send(&frame_of(&schema, "Response", fields));
    }
    let line = Field::new("data", Value::Text("E somebody else".to_owned()));
    worker.channel.send(&frame_of(&schema, "Log", vec![line]));
    worker.channel.accepted(&request::worker_dump(2));
}

/// Of a request of every method: cut at every byte, and with the length it then has.
#[test]
fn frames_cut_at_every_byte_are_survived() {
    let schema = Schema::read();
    let mut worker = populated();
    let bodies = bodies(&schema, "FBS.Request.Body", 1);
    for (index, body) in bodies.into_iter().enumerate() {
        let method = u8::try_from(index).unwrap();
        let frame = request_frame(&schema, 1, method, "router", body);
        for length in 0..frame.len() - 4 {
            let mut cut = u32::try_from(length).unwrap().to_le_bytes().to_vec();
            cut.extend_from_slice(&frame[4..4 + length]);
            worker.channel.send(&cut);
        }
        let id = 1_000 + u32::from(method);
        let frame = worker.channel.ask(&request::worker_dump(id));
        assert!(frame.response().unwrap().accepted());
        // Those whose head could still be read were answered.
        let answered = worker.channel.skipped();
        assert!(answered.iter().filter_map(|frame| frame.response()).all(|response| response.id() < 1_000));
    }
}

/// A frame may come in pieces of any size.
#[test]
fn frames_split_at_every_byte_are_put_together() {
    let schema = Schema::read();
    let mut worker = populated();
    let frame = request_frame(&schema, 7, Method::ROUTER_DUMP.0, "router", Value::Absent);
    for at in 1..frame.len() {
        worker.channel.send(&frame[..at]);
        // Behind another that is whole, so that the first piece is looked at by itself.
        std::thread::yield_now();
        worker.channel.send(&frame[at..]);
        assert!(worker.channel.response(7).response().unwrap().accepted());
    }
}

/// An id may be used again and again, also while its first user waits.
#[test]
fn the_same_request_id_is_answered_as_often_as_it_is_used() {
    let mut worker = populated();
    for _ in 0..50 {
        worker.channel.send(&request::plain(5, Method::ROUTER_DUMP, "router"));
        worker.channel.send(&request::plain(5, Method::TRANSPORT_DUMP, "direct"));
        worker.channel.send(&request::plain(5, Method::TRANSPORT_DUMP, "nobody"));
    }
    for _ in 0..150 {
        worker.channel.response(5);
    }
    for id in [0, u32::MAX] {
        assert!(worker.channel.ask(&request::worker_dump(id)).response().unwrap().accepted());
    }
}
