//! An agent and its peer.

use std::net::SocketAddr;

use super::Credentials;
use super::agent::{Agent, Event, Outcome, REPLY_LEN_MAX, Request, consent_timeout};
use crate::stun::{BINDING, Class, IntegrityKey, Message, Writer};
use crate::time::Time;

pub(super) const CONSENT_SECONDS: u8 = 30;

pub(super) fn remote() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4000))
}

/// Of the length that ours have.
pub(super) fn credentials(number: u32) -> Credentials {
    Credentials { username_fragment: format!("{number:032}"), password: format!("password-of-{number:020}") }
}

/// What a check says beside what it must.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Check {
    pub(super) credentials: u32,
    pub(super) use_candidate: bool,
    pub(super) nomination: Option<u32>,
    pub(super) nomination_old: Option<u32>,
    pub(super) is_controlled: bool,
}

impl Check {
    pub(super) fn bytes(self) -> Vec<u8> {
        let credentials = credentials(self.credentials);
        let username = format!("{}:peer", credentials.username_fragment);
        let mut buffer = [0; 300];
        let mut writer = Writer::new(&mut buffer, Class::Request, BINDING, b"transaction.")
            .username(username.as_bytes())
            .priority(1);
        writer = if self.is_controlled { writer.ice_controlled(0) } else { writer.ice_controlling(7) };
        if self.use_candidate {
            writer = writer.use_candidate();
        }
        if let Some(nomination) = self.nomination {
            writer = writer.nomination(nomination);
        }
        if let Some(nomination) = self.nomination_old {
            writer = writer.nomination_old(nomination);
        }
        let key = IntegrityKey::new(credentials.password.as_bytes());
        writer.finish(Some(&key)).unwrap().to_vec()
    }
}

pub(super) struct Pair {
    pub(super) agent: Agent<u32>,
    pub(super) now: Time,
    pub(super) events: Vec<Event<u32>>,
    /// The last reply.
    pub(super) reply: Vec<u8>,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with_consent(CONSENT_SECONDS)
    }

    pub(super) fn with_consent(seconds: u8) -> Self {
        let agent = Agent::new(credentials(0), consent_timeout(seconds));
        Self { agent, now: Time::from_millis(1_000), events: vec![], reply: vec![] }
    }

    pub(super) fn send(&mut self, tuple: u32, bytes: &[u8]) -> Outcome {
        let mut reply = [0; REPLY_LEN_MAX];
        let message = Message::parse(bytes).unwrap();
        let request = Request { tuple, remote: remote(), message: &message };
        let events = &mut self.events;
        let outcome =
            self.agent.handle_request(self.now, &request, &mut reply, &mut |event| events.push(event));
        self.reply = match outcome {
            Outcome::Answered { len } | Outcome::Refused { len, .. } => reply[..len].to_vec(),
            Outcome::Ignored(_) => vec![],
        };
        outcome
    }

    /// A check that must be good, and the events that it brings.
    pub(super) fn check(&mut self, tuple: u32, check: Check) -> Vec<Event<u32>> {
        let outcome = self.send(tuple, &check.bytes());
        assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
        std::mem::take(&mut self.events)
    }

    pub(super) fn restart(&mut self, number: u32) -> Vec<Event<u32>> {
        let events = &mut self.events;
        self.agent.restart(self.now, credentials(number), &mut |event| events.push(event));
        std::mem::take(&mut self.events)
    }

    pub(super) fn remove(&mut self, tuple: u32) -> Vec<Event<u32>> {
        let events = &mut self.events;
        self.agent.remove(self.now, tuple, &mut |event| events.push(event));
        std::mem::take(&mut self.events)
    }

    pub(super) fn follow(&mut self, tuple: u32) -> Vec<Event<u32>> {
        let events = &mut self.events;
        self.agent.follow(tuple, &mut |event| events.push(event));
        std::mem::take(&mut self.events)
    }

    pub(super) fn timeout(&mut self) -> Vec<Event<u32>> {
        let events = &mut self.events;
        self.agent.handle_timeout(self.now, &mut |event| events.push(event));
        std::mem::take(&mut self.events)
    }
}
