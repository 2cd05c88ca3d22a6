//! A controller must not be able to tell this worker from the published one by talking to it: requests of every
//! kind, good and bad, and what the published worker answers to each, read from its package and kept as data in
//! `script/`, one file per noun. Every difference is one line; those that are meant are explained where they are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod compare;
mod matrix;
mod run;

use std::collections::HashSet;

use ringsoup_tests::script::{Action, Answer, Step, parse, templates};
use ringsoup_tests::wire::schema::Schema;
use run::Player;

const COMMON: &str = include_str!("script/common.txt");

/// Each script's name, its text and its own test.
macro_rules! scripts {
    ($($name:ident)+) => {
        const SCRIPTS: &[(&str, &str)] = &[$((
            concat!(stringify!($name), ".txt"),
            include_str!(concat!("script/", stringify!($name), ".txt")),
        ),)+];

        $(#[test]
        fn $name() {
            play(concat!(stringify!($name), ".txt"));
        })+
    };
}

scripts! {
    worker router transport plain_transport pipe_transport direct_transport web_rtc_transport web_rtc_server
    producer rtp_parameters consumer data_producer data_consumer rtp_observer
}

fn steps(file: &str, text: &str) -> Vec<Step> {
    parse(file, text, templates(COMMON))
}

fn play(file: &str) {
    let (file, text) = SCRIPTS.iter().find(|(name, _)| *name == file).unwrap();
    check(file, &steps(file, text));
}

#[test]
fn every_method_of_every_kind_of_object() {
    check("matrix", &matrix::wrong_handlers(COMMON));
}

#[test]
fn every_kind_of_object_under_every_id_that_is_taken() {
    check("ids", &matrix::taken_ids(COMMON));
}

fn check(file: &str, steps: &[Step]) {
    let schema = Schema::read();
    let outcome = Player::new(file, &schema).play(steps);
    for line in &outcome.explained {
        println!("explained  {line}");
    }
    for line in &outcome.differences {
        println!("DIFFERENCE {line}");
    }
    println!(
        "{file}: {} requests, {} differences, {} explained",
        outcome.requests,
        outcome.differences.len(),
        outcome.explained.len()
    );
    assert!(outcome.differences.is_empty(), "{} unexplained differences", outcome.differences.len());
}

/// `TRANSPORT_CONNECT` has a number and no handler anywhere.
#[test]
fn every_method_is_accepted_somewhere_and_refused_somewhere() {
    let schema = Schema::read();
    let (mut accepted, mut refused) = (HashSet::from(["TRANSPORT_CONNECT".to_owned()]), HashSet::new());
    let scripts = SCRIPTS.iter().flat_map(|(file, text)| steps(file, text));
    for step in scripts.chain(matrix::wrong_handlers(COMMON)) {
        match step.action {
            Action::Ask { method, answer: Answer::Accepted(_), .. } => accepted.insert(method),
            Action::Ask { method, answer: Answer::Refused { .. }, .. } => refused.insert(method),
            _ => false,
        };
    }
    // These take no body, judge nothing and belong to the worker itself.
    refused.extend(["WORKER_DUMP", "WORKER_GET_RESOURCE_USAGE"].map(str::to_owned));
    let methods = schema.constants("FBS.Request.Method");
    assert_eq!(methods.len(), 68);
    for (method, _) in methods {
        assert!(accepted.contains(method), "{method} is accepted nowhere");
        assert!(refused.contains(method), "{method} is refused nowhere");
    }
}
