//! The agent's rules, one by one.

use std::time::Duration;

use super::agent::{Event, Ignored, Outcome, REPLY_LEN_MAX, Request, State};
use super::refusal::Refusal;
use super::test_support::{CONSENT_SECONDS, Check, Pair, credentials, remote};
use crate::stun::{BINDING, Class, IntegrityKey, Message, Writer};

const PLAIN: Check = Check {
    credentials: 0,
    use_candidate: false,
    nomination: None,
    nomination_old: None,
    is_controlled: false,
};
const NOMINATING: Check = Check { use_candidate: true, ..PLAIN };

const fn nomination(number: u32) -> Check {
    Check { nomination: Some(number), ..PLAIN }
}

fn connected() -> Pair {
    let mut pair = Pair::new();
    assert_eq!(pair.check(1, PLAIN), [Event::Added(1), Event::Selected(1), Event::State(State::Connected)]);
    pair
}

fn completed() -> Pair {
    let mut pair = Pair::new();
    assert_eq!(
        pair.check(1, NOMINATING),
        [Event::Added(1), Event::Selected(1), Event::State(State::Completed)]
    );
    pair
}

fn key(number: u32) -> IntegrityKey {
    IntegrityKey::new(credentials(number).password.as_bytes())
}

/// The code of the last reply, and whether it was sealed with the password.
fn error(pair: &Pair) -> (u16, bool) {
    let message = Message::parse(&pair.reply).unwrap();
    assert!(message.class == Class::ErrorResponse && message.has_fingerprint);
    assert_eq!(message.transaction(), b"transaction.");
    (message.error_code.unwrap().code, message.is_authentic(&key(0)))
}

#[test]
fn rfc_8445_section_7_3_1_a_good_check_is_told_its_address() {
    let mut pair = Pair::new();
    let check = PLAIN.bytes();
    assert_eq!(pair.send(1, &check), Outcome::Answered { len: pair.reply.len() });
    let reply = Message::parse(&pair.reply).unwrap();
    assert_eq!((reply.class, reply.method), (Class::SuccessResponse, BINDING));
    assert_eq!(reply.transaction(), b"transaction.");
    assert_eq!(reply.xor_mapped_address, Some(remote()));
    assert!(reply.has_fingerprint && reply.is_authentic(&key(0)));
    assert!(reply.bytes().len() < check.len(), "nothing is amplified");
}

#[test]
fn replies_with_ipv6_addresses_are_the_longest() {
    let mut pair = Pair::new();
    let bytes = PLAIN.bytes();
    let message = Message::parse(&bytes).unwrap();
    let request = Request { tuple: 1, remote: "[2001:db8::1]:9".parse().unwrap(), message: &message };
    for room in [REPLY_LEN_MAX - 1, REPLY_LEN_MAX] {
        let mut reply = vec![0; room];
        let mut events = 0;
        let outcome = pair.agent.handle_request(pair.now, &request, &mut reply, &mut |_| events += 1);
        if room == REPLY_LEN_MAX {
            assert_eq!((outcome, events), (Outcome::Answered { len: room }, 3));
            assert!(room < bytes.len(), "nothing is amplified");
        } else {
            assert_eq!((outcome, events), (Outcome::Ignored(Ignored::NoRoom), 0));
        }
    }
}

#[test]
fn rfc_8489_section_9_1_3_what_is_missing_or_wrong_is_refused() {
    type Write = fn(Writer<'_>) -> Writer<'_>;
    let full: Write = |writer| writer.username(b"00000000000000000000000000000000:peer").priority(1);
    type Case<'a> = (u16, Write, Option<&'a [u8]>, Refusal, u16);
    let cases: [Case<'_>; 6] = [
        (3, full, Some(b"x"), Refusal::UnknownMethod, 400),
        (
            BINDING,
            |writer| writer.username(b"00000000000000000000000000000000:p"),
            None,
            Refusal::NoPriority,
            400,
        ),
        (
            BINDING,
            |writer| writer.priority(1).software(b"a long enough text"),
            Some(b"x"),
            Refusal::NoUsername,
            400,
        ),
        (BINDING, full, None, Refusal::NoIntegrity, 400),
        (BINDING, full, Some(b"x"), Refusal::Unauthorized, 401),
        (
            BINDING,
            |writer| writer.username(b"other:peer").priority(1),
            Some(b"x"),
            Refusal::Unauthorized,
            401,
        ),
    ];
    for (method, write, password, refusal, code) in cases {
        let mut pair = Pair::new();
        let mut buffer = [0; 300];
        let writer = write(Writer::new(&mut buffer, Class::Request, method, b"transaction."));
        let bytes = writer.finish(password.map(IntegrityKey::new).as_ref()).unwrap();
        assert_eq!(pair.send(1, bytes), Outcome::Refused { refusal, len: pair.reply.len() }, "{refusal}");
        assert_eq!((refusal.code(), error(&pair)), (code, (code, false)), "{refusal}");
        assert!(pair.reply.len() <= bytes.len());
        assert!(pair.events.is_empty() && pair.agent.state() == State::New);
    }
}

#[test]
fn rfc_8445_section_7_2_2_a_check_without_fingerprint_is_refused() {
    let mut bytes = PLAIN.bytes();
    bytes.truncate(bytes.len() - 8);
    bytes[3] -= 8;
    let mut pair = Pair::new();
    let refusal = Refusal::NoFingerprint;
    assert_eq!(pair.send(1, &bytes), Outcome::Refused { refusal, len: pair.reply.len() });
    assert_eq!(error(&pair), (400, false));
}

#[test]
fn rfc_8445_section_7_3_1_1_a_peer_that_is_controlled_is_told_so_under_the_password() {
    let mut pair = Pair::new();
    let check = Check { is_controlled: true, ..NOMINATING };
    let refusal = Refusal::RoleConflict;
    assert_eq!(pair.send(1, &check.bytes()), Outcome::Refused { refusal, len: pair.reply.len() });
    assert_eq!(error(&pair), (487, true));
    assert!(pair.events.is_empty() && !pair.agent.is_valid(1));
}

#[test]
fn indications_and_responses_are_not_replied_to() {
    let mut pair = Pair::new();
    for (class, ignored) in [
        (Class::Indication, Ignored::Indication),
        (Class::SuccessResponse, Ignored::Response),
        (Class::ErrorResponse, Ignored::Response),
    ] {
        let mut buffer = [0; 100];
        let bytes = Writer::new(&mut buffer, class, BINDING, b"transaction.")
            .priority(1)
            .finish(Some(&key(0)))
            .unwrap();
        assert_eq!(pair.send(1, bytes), Outcome::Ignored(ignored));
    }
    assert!(pair.events.is_empty());
}

#[test]
fn an_error_reply_is_never_longer_than_its_request() {
    let refusal = Refusal::NoPriority;
    for text in 1..40 {
        let mut pair = Pair::new();
        let mut buffer = [0; 100];
        let writer = Writer::new(&mut buffer, Class::Request, BINDING, b"transaction.");
        let bytes = writer.software(&[b'x'; 40][..text]).finish(None).unwrap();
        let outcome = pair.send(1, bytes);
        // Header, code and reason, fingerprint.
        if bytes.len() < 20 + 20 + 8 {
            assert_eq!(outcome, Outcome::Ignored(Ignored::TooShort(refusal)), "{text}");
        } else {
            assert_eq!(outcome, Outcome::Refused { refusal, len: 48 }, "{text}");
        }
    }
}

#[test]
fn a_flood_without_the_password_is_hardly_replied_to_and_changes_nothing() {
    let mut pair = completed();
    let flood = Check { credentials: 5, ..NOMINATING }.bytes();
    let mut sent = 0;
    for tuple in 0..100_000 {
        match pair.send(tuple, &flood) {
            Outcome::Refused { len, .. } => sent += len,
            outcome => assert_eq!(outcome, Outcome::Ignored(Ignored::Limited(Refusal::Unauthorized))),
        }
        // 100,000 in a second.
        pair.now += Duration::from_micros(10);
    }
    assert!(sent <= 18 * 48, "{sent} bytes");
    assert!(pair.events.is_empty());
    assert_eq!((pair.agent.selected(), pair.agent.tuples().count()), (Some(1), 1));
    // The peer's own checks are not held up.
    assert_eq!(pair.check(1, PLAIN), []);
}

#[test]
fn the_first_check_connects_and_others_only_add_their_tuples() {
    let mut pair = connected();
    assert_eq!(pair.check(1, PLAIN), []);
    assert_eq!(pair.check(2, PLAIN), [Event::Added(2)]);
    assert_eq!((pair.agent.state(), pair.agent.selected()), (State::Connected, Some(1)));
}

#[test]
fn rfc_8445_section_7_3_1_5_a_nominating_check_completes() {
    assert_eq!(
        connected().check(2, NOMINATING),
        [Event::Added(2), Event::Selected(2), Event::State(State::Completed)]
    );
    assert_eq!(connected().check(1, NOMINATING), [Event::State(State::Completed)]);
    let mut pair = completed();
    assert_eq!(pair.check(2, PLAIN), [Event::Added(2)]);
    assert_eq!(pair.check(2, NOMINATING), [Event::Selected(2)]);
    assert_eq!(pair.check(1, NOMINATING), [Event::Selected(1)]);
    assert_eq!(pair.check(1, NOMINATING), []);
}

#[test]
fn a_higher_nomination_selects_by_either_number_of_the_attribute() {
    let mut pair = Pair::new();
    assert_eq!(
        pair.check(1, nomination(5)),
        [Event::Added(1), Event::Selected(1), Event::State(State::Completed)]
    );
    assert_eq!(pair.check(2, nomination(5)), [Event::Added(2)]);
    assert_eq!(pair.check(2, nomination(4)), []);
    assert_eq!(pair.check(2, Check { nomination_old: Some(6), ..PLAIN }), [Event::Selected(2)]);
    // The registered number counts where both are there.
    assert_eq!(pair.check(1, Check { nomination_old: Some(9), ..nomination(6) }), []);
    // A peer that is done may still say so by the flag.
    assert_eq!(pair.check(1, Check { use_candidate: true, ..nomination(6) }), [Event::Selected(1)]);
    assert_eq!(pair.check(2, nomination(u32::MAX)), [Event::Selected(2)]);
}

#[test]
fn a_nomination_that_is_not_new_nominates_nothing() {
    let mut pair = Pair::new();
    assert_eq!(
        pair.check(1, nomination(0)),
        [Event::Added(1), Event::Selected(1), Event::State(State::Connected)]
    );
    assert_eq!(pair.check(2, Check { use_candidate: true, ..nomination(0) }), [Event::Added(2)]);
    assert_eq!(pair.agent.state(), State::Connected);
}

#[test]
fn the_ninth_tuple_costs_the_oldest_that_is_not_selected() {
    let mut pair = connected();
    for tuple in 2..=8 {
        assert_eq!(pair.check(tuple, PLAIN), [Event::Added(tuple)]);
    }
    assert_eq!(pair.check(9, PLAIN), [Event::Dropped(2), Event::Added(9)]);
    assert!(pair.agent.is_valid(1) && !pair.agent.is_valid(2));
    assert_eq!(pair.agent.tuples().count(), 8);
}

#[test]
fn media_from_another_valid_tuple_is_followed() {
    let mut pair = Pair::new();
    assert_eq!(pair.follow(1), []);
    pair.check(1, PLAIN);
    pair.check(2, PLAIN);
    assert_eq!(pair.follow(2), [Event::Selected(2)]);
    assert_eq!(pair.follow(2), []);
    assert_eq!(pair.follow(3), [], "nobody checked from there");
    assert_eq!((pair.agent.selected(), pair.agent.state()), (Some(2), State::Connected));
}

#[test]
fn a_closed_tuple_gives_way_to_the_newest_and_the_last_disconnects() {
    let mut pair = completed();
    pair.check(2, PLAIN);
    pair.check(3, PLAIN);
    assert_eq!(pair.remove(2), [Event::Dropped(2)]);
    assert_eq!(pair.remove(2), []);
    pair.now += Duration::from_secs(20);
    assert_eq!(pair.remove(1), [Event::Dropped(1), Event::Selected(3)]);
    // The peer has the whole time to find its way there.
    assert_eq!(pair.agent.next_timeout(), Some(pair.now + Duration::from_secs(CONSENT_SECONDS.into())));
    assert_eq!(pair.agent.state(), State::Completed);
    assert_eq!(pair.remove(3), [Event::Dropped(3), Event::State(State::Disconnected)]);
    assert_eq!(pair.agent.next_timeout(), None);
    // As from new, with nominations counted anew.
    assert_eq!(pair.check(4, PLAIN), [Event::Added(4), Event::Selected(4), Event::State(State::Connected)]);
    assert_eq!(pair.check(4, nomination(1)), [Event::State(State::Completed)]);
}

#[test]
fn rfc_7675_section_5_1_silence_ends_consent() {
    let timeout = Duration::from_secs(CONSENT_SECONDS.into());
    let mut pair = completed();
    pair.check(2, PLAIN);
    pair.now += timeout - Duration::from_nanos(1);
    assert_eq!(pair.timeout(), []);
    assert_eq!(pair.check(2, PLAIN), [], "any tuple's check renews it");
    assert_eq!(pair.agent.next_timeout(), Some(pair.now + timeout));
    pair.now += timeout;
    assert_eq!(pair.timeout(), [Event::Dropped(2), Event::Dropped(1), Event::State(State::Disconnected)]);
    assert_eq!((pair.agent.selected(), pair.agent.next_timeout()), (None, None));
    assert_eq!(pair.timeout(), []);
    assert_eq!(
        pair.check(1, NOMINATING),
        [Event::Added(1), Event::Selected(1), Event::State(State::Completed)]
    );
    assert_eq!(pair.agent.next_timeout(), Some(pair.now + timeout));
}

#[test]
fn without_a_consent_timeout_silence_means_nothing() {
    let mut pair = Pair::with_consent(0);
    pair.check(1, PLAIN);
    assert_eq!(pair.agent.next_timeout(), None);
    pair.now += Duration::from_secs(1 << 30);
    assert_eq!(pair.timeout(), []);
    assert_eq!(pair.agent.state(), State::Connected);
}

#[test]
fn a_refused_check_renews_nothing() {
    let mut pair = completed();
    let until = pair.agent.next_timeout();
    pair.now += Duration::from_secs(9);
    pair.send(1, &Check { credentials: 7, ..PLAIN }.bytes());
    pair.send(2, &Check { is_controlled: true, ..PLAIN }.bytes());
    assert_eq!(pair.agent.next_timeout(), until);
}

#[test]
fn rfc_8445_section_9_old_credentials_are_good_until_the_new_ones_are_used() {
    let mut pair = completed();
    pair.now += Duration::from_secs(5);
    assert_eq!(pair.restart(1), []);
    assert_eq!(pair.agent.credentials(), &credentials(1));
    assert_eq!(pair.agent.username_fragments().count(), 2);
    // Media goes on, and there is time to come back.
    assert_eq!((pair.agent.state(), pair.agent.selected()), (State::Completed, Some(1)));
    assert_eq!(pair.agent.next_timeout(), Some(pair.now + Duration::from_secs(CONSENT_SECONDS.into())));
    assert_eq!(pair.check(1, PLAIN), []);
    assert!(Message::parse(&pair.reply).unwrap().is_authentic(&key(0)), "answered as it was asked");
    let new = Check { credentials: 1, ..PLAIN };
    assert_eq!(pair.check(2, new), [Event::Retired(credentials(0)), Event::Added(2)]);
    assert!(Message::parse(&pair.reply).unwrap().is_authentic(&key(1)));
    assert_eq!(pair.agent.username_fragments().count(), 1);
    let refusal = Refusal::Unauthorized;
    assert_eq!(pair.send(1, &PLAIN.bytes()), Outcome::Refused { refusal, len: pair.reply.len() });
}

#[test]
fn a_second_restart_retires_the_oldest_credentials() {
    let mut pair = Pair::new();
    assert_eq!(pair.restart(1), []);
    assert_eq!(pair.restart(2), [Event::Retired(credentials(0))]);
    let fragments = [2, 1].map(|number| credentials(number).username_fragment);
    assert!(pair.agent.username_fragments().eq(fragments.iter()));
    assert_eq!(pair.agent.next_timeout(), None, "nothing to renew yet");
    assert_eq!(pair.check(1, Check { credentials: 1, ..PLAIN }).len(), 3);
}

#[test]
fn nominations_are_counted_anew_after_a_restart() {
    let mut pair = Pair::new();
    pair.check(1, nomination(9));
    pair.restart(1);
    let check = Check { credentials: 1, ..nomination(1) };
    assert_eq!(pair.check(2, check), [Event::Retired(credentials(0)), Event::Added(2), Event::Selected(2)]);
}

#[test]
fn fragment_and_password_go_together() {
    let mut pair = Pair::new();
    pair.restart(1);
    let mut buffer = [0; 300];
    let username = format!("{}:peer", credentials(0).username_fragment);
    let bytes = Writer::new(&mut buffer, Class::Request, BINDING, b"transaction.")
        .username(username.as_bytes())
        .priority(1)
        .finish(Some(&key(1)))
        .unwrap();
    let refusal = Refusal::Unauthorized;
    assert_eq!(pair.send(1, bytes), Outcome::Refused { refusal, len: pair.reply.len() });
}
