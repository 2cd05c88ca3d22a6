//! The side of ICE that an SFU takes: lite and controlled, it answers checks and begins none.
//!
//! ```text
//! new ──► connected ──► completed      a check; one that nominates
//!   └───────────────────────▲
//! connected, completed ──► disconnected      no tuple is left, or no check came in time
//! disconnected ──► connected, completed      as from new
//! ```
//! Connected and completed agents have a selected tuple, others have no tuple at all.

use std::net::SocketAddr;
use std::time::Duration;

use super::Credentials;
use super::refusal::{Refusal, RefusalLimiter};
use super::tuples::{Added, Tuples};
use crate::stun::{BINDING, Class, IntegrityKey, Message, Writer};
use crate::time::Time;

/// The shortest silence that may be taken for the end of a peer's consent (RFC 7675), seconds: two of its checks are
/// 5 s apart.
const CONSENT_SECONDS_MIN: u8 = 10;
/// And the longest, seconds: media goes nowhere meanwhile.
const CONSENT_SECONDS_MAX: u8 = 60;
/// Bytes that hold any reply: header, an IPv6 address, integrity and fingerprint.
pub const REPLY_LEN_MAX: usize = 20 + 24 + 24 + 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    New,
    Connected,
    Completed,
    Disconnected,
}

/// A check as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a, T> {
    /// Local and remote end, by a name of the caller's.
    pub tuple: T,
    /// What the peer is told its address to be.
    pub remote: SocketAddr,
    pub message: &'a Message<'a>,
}

/// What to do about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A good check: send the first `len` bytes of the buffer back.
    Answered { len: usize },
    /// An error: send the first `len` bytes of the buffer back.
    Refused { refusal: Refusal, len: usize },
    /// Send nothing.
    Ignored(Ignored),
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Nothing is asked of us.
    Indication,
    /// We ask nothing.
    Response,
    /// The error reply would have been longer than the request.
    TooShort(Refusal),
    /// There were enough error replies lately.
    Limited(Refusal),
    /// The buffer does not hold a reply.
    NoRoom,
}

/// What changed. Told in the order in which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<T> {
    Added(T),
    Dropped(T),
    Selected(T),
    State(State),
    /// Checks with these are refused from now on.
    Retired(Credentials),
}

/// Where events go, as they happen: before the call that brings them about returns. A reply is ready by then.
pub type Sink<'a, T> = &'a mut dyn FnMut(Event<T>);

/// Credentials, and their password made ready.
#[derive(Debug)]
struct Access {
    credentials: Credentials,
    key: IntegrityKey,
}

impl Access {
    fn new(credentials: Credentials) -> Self {
        Self { key: IntegrityKey::new(credentials.password.as_bytes()), credentials }
    }

    /// RFC 8445 section 7.3: USERNAME begins with our fragment, MESSAGE-INTEGRITY is made with our password.
    fn admits(&self, message: &Message<'_>) -> bool {
        message.receiver_fragment() == Some(self.credentials.username_fragment.as_bytes())
            && message.is_authentic(&self.key)
    }
}

/// The agent of a transport. `T` names a tuple: a local and a remote end.
#[derive(Debug)]
pub struct Agent<T> {
    state: State,
    present: Access,
    /// From before a restart: good until the peer uses the new ones.
    previous: Option<Access>,
    /// `None`: the peer's silence is never taken for its end.
    consent_timeout: Option<Duration>,
    consent_until: Option<Time>,
    /// The highest nomination since the last restart or loss.
    nomination: u32,
    tuples: Tuples<T>,
    refusals: RefusalLimiter<T>,
}

impl<T: Copy + Eq> Agent<T> {
    pub fn new(credentials: Credentials, consent_timeout: Option<Duration>) -> Self {
        Self {
            state: State::New,
            present: Access::new(credentials),
            previous: None,
            consent_timeout,
            consent_until: None,
            nomination: 0,
            tuples: Tuples::new(),
            refusals: RefusalLimiter::new(),
        }
    }

    pub const fn state(&self) -> State {
        self.state
    }

    /// What the peer is to use from now on.
    pub const fn credentials(&self) -> &Credentials {
        &self.present.credentials
    }

    /// Fragments that checks may name: the present one, and the one before the last restart.
    pub fn username_fragments(&self) -> impl Iterator<Item = &str> {
        let all = [Some(&self.present), self.previous.as_ref()];
        all.into_iter().flatten().map(|access| &*access.credentials.username_fragment)
    }

    /// Where media goes.
    pub const fn selected(&self) -> Option<T> {
        self.tuples.selected()
    }

    /// Tuples that media may come from, oldest first.
    pub fn tuples(&self) -> impl Iterator<Item = T> + '_ {
        self.tuples.iter()
    }

    /// Whether a check proved that the peer is there: what else comes from strangers is not to be read.
    pub fn is_valid(&self, tuple: T) -> bool {
        self.tuples.contains(tuple)
    }

    /// New credentials (RFC 8445 section 9). What is selected stays selected; nominations are counted anew, and the peer
    /// gets the whole consent timeout to find its way.
    pub fn restart(&mut self, now: Time, credentials: Credentials, sink: Sink<'_, T>) {
        let before = std::mem::replace(&mut self.present, Access::new(credentials));
        if let Some(oldest) = self.previous.replace(before) {
            sink(Event::Retired(oldest.credentials));
        }
        self.nomination = 0;
        if self.consent_until.is_some() {
            self.renew_consent(now);
        }
    }

    /// Takes in a message and writes what is to be sent back, of at most [`REPLY_LEN_MAX`] bytes.
    pub fn handle_request(
        &mut self,
        now: Time,
        request: &Request<'_, T>,
        reply: &mut [u8],
        sink: Sink<'_, T>,
    ) -> Outcome {
        let message = request.message;
        match message.class {
            Class::Request => {}
            Class::Indication => return Outcome::Ignored(Ignored::Indication),
            Class::SuccessResponse | Class::ErrorResponse => return Outcome::Ignored(Ignored::Response),
        }
        if let Err(refusal) = check_form(message).and_then(|()| self.check_access(message, sink)) {
            return self.refuse(now, request, refusal, reply);
        }
        // RFC 8445 section 7.3.1.1: only one that controls may check us.
        if message.ice_controlled.is_some() {
            return self.refuse(now, request, Refusal::RoleConflict, reply);
        }
        // What was good for the request is good for its reply (RFC 8489 section 9.1.4).
        let key = &self.previous.as_ref().unwrap_or(&self.present).key;
        let answer = Writer::new(reply, Class::SuccessResponse, BINDING, message.transaction())
            .xor_mapped_address(request.remote)
            .finish(Some(key));
        let Some(len) = answer.map(<[u8]>::len) else { return Outcome::Ignored(Ignored::NoRoom) };
        self.take_in(request.tuple, message, sink);
        self.renew_consent(now);
        Outcome::Answered { len }
    }

    /// Media or DTLS came from this tuple, so the peer prefers it whatever it nominated: media follows. Nothing happens
    /// if no check came from there.
    pub fn follow(&mut self, tuple: T, sink: Sink<'_, T>) {
        self.select(tuple, sink);
    }

    /// The tuple is no more: its connection closed. Another takes its place if there is one.
    pub fn remove(&mut self, now: Time, tuple: T, sink: Sink<'_, T>) {
        if !self.tuples.remove(tuple) {
            return;
        }
        sink(Event::Dropped(tuple));
        if self.tuples.selected().is_some() {
            return;
        }
        match self.tuples.newest() {
            Some(newest) => {
                self.select(newest, sink);
                self.renew_consent(now);
            }
            None => self.disconnect(sink),
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub const fn next_timeout(&self) -> Option<Time> {
        self.consent_until
    }

    /// Ends what the peer's consent has run out for (RFC 7675 section 5.1).
    pub fn handle_timeout(&mut self, now: Time, sink: Sink<'_, T>) {
        if self.consent_until.is_none_or(|until| now < until) {
            return;
        }
        while let Some(tuple) = self.tuples.newest() {
            self.tuples.remove(tuple);
            sink(Event::Dropped(tuple));
        }
        self.disconnect(sink);
    }

    /// Admits who knows the present credentials, and as long as nobody used those, who knows the ones before.
    fn check_access(&mut self, message: &Message<'_>, sink: Sink<'_, T>) -> Result<(), Refusal> {
        if self.present.admits(message) {
            if let Some(previous) = self.previous.take() {
                sink(Event::Retired(previous.credentials));
            }
            return Ok(());
        }
        let is_from_before = self.previous.as_ref().is_some_and(|previous| previous.admits(message));
        if is_from_before { Ok(()) } else { Err(Refusal::Unauthorized) }
    }

    fn refuse(&mut self, now: Time, request: &Request<'_, T>, refusal: Refusal, reply: &mut [u8]) -> Outcome {
        // Only who was admitted can be told of a conflict, under the key that admitted it.
        let access = self.previous.as_ref().unwrap_or(&self.present);
        let key = (refusal == Refusal::RoleConflict).then_some(&access.key);
        let Some(len) = refusal.write(request.message, key, reply).map(<[u8]>::len) else {
            return Outcome::Ignored(Ignored::NoRoom);
        };
        if len > request.message.bytes().len() {
            return Outcome::Ignored(Ignored::TooShort(refusal));
        }
        if !self.refusals.allow(now, request.tuple) {
            return Outcome::Ignored(Ignored::Limited(refusal));
        }
        Outcome::Refused { refusal, len }
    }

    /// A good check: its tuple is valid, and selected if that is the peer's wish or there is none yet.
    fn take_in(&mut self, tuple: T, message: &Message<'_>, sink: Sink<'_, T>) {
        match self.tuples.add(tuple) {
            Added::Known => {}
            Added::New => sink(Event::Added(tuple)),
            Added::Instead(oldest) => {
                sink(Event::Dropped(oldest));
                sink(Event::Added(tuple));
            }
        }
        let newer = message.nomination().filter(|nomination| *nomination > self.nomination);
        // Beside a nomination that is not new, USE-CANDIDATE only counts for a peer that is done.
        let by_flag =
            message.use_candidate && (message.nomination().is_none() || self.state == State::Completed);
        if newer.is_some() || by_flag {
            self.nomination = newer.unwrap_or(self.nomination);
            self.select(tuple, sink);
            self.enter(State::Completed, sink);
        } else if self.tuples.selected().is_none() {
            self.select(tuple, sink);
            self.enter(State::Connected, sink);
        }
    }

    fn select(&mut self, tuple: T, sink: Sink<'_, T>) {
        if self.tuples.select(tuple) {
            sink(Event::Selected(tuple));
        }
    }

    fn enter(&mut self, state: State, sink: Sink<'_, T>) {
        if self.state != state {
            self.state = state;
            sink(Event::State(state));
        }
    }

    fn disconnect(&mut self, sink: Sink<'_, T>) {
        self.nomination = 0;
        self.consent_until = None;
        self.enter(State::Disconnected, sink);
    }

    fn renew_consent(&mut self, now: Time) {
        self.consent_until = self.consent_timeout.map(|timeout| now + timeout);
    }
}

/// What every check of a full agent has (RFC 8445 section 7.2.2), in the order in which it is missed.
fn check_form(message: &Message<'_>) -> Result<(), Refusal> {
    let checks = [
        (message.method == BINDING, Refusal::UnknownMethod),
        (message.has_fingerprint, Refusal::NoFingerprint),
        (message.priority.is_some(), Refusal::NoPriority),
        (message.username.is_some(), Refusal::NoUsername),
        (message.has_integrity(), Refusal::NoIntegrity),
    ];
    checks.into_iter().find(|(is_met, _)| !is_met).map_or(Ok(()), |(_, refusal)| Err(refusal))
}

/// The consent timeout that a request for this many seconds comes to; 0 means none.
pub fn consent_timeout(seconds: u8) -> Option<Duration> {
    let clamped = seconds.clamp(CONSENT_SECONDS_MIN, CONSENT_SECONDS_MAX);
    (seconds > 0).then(|| Duration::from_secs(clamped.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_is_not_asked_for_too_often_or_too_rarely() {
        let seconds = |asked| consent_timeout(asked).map(|timeout| timeout.as_secs());
        assert_eq!(
            [0, 1, 10, 30, 60, 61, 255].map(seconds),
            [None, Some(10), Some(10), Some(30), Some(60), Some(60), Some(60)]
        );
    }
}
