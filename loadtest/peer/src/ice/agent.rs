//! Which paths work, and which of them media takes.
//!
//! ```text
//! checking ──► connected ──► completed      an answer; one to a nomination
//!    └──────────► failed ◄── (all pairs)    no path answers
//! connected, completed ──► disconnected     consent was not given for 30 s
//! ```

use std::time::Duration;

use ringsoup_rtc::ice::{CandidateProtocol, Credentials};
use ringsoup_rtc::stun::{BINDING, Class, IntegrityKey, Message, TRANSACTION_LEN, Writer};
use ringsoup_rtc::time::Time;

use super::pair::{Check, Due, Pair, Purpose};
use crate::rng::Rng;
use crate::{Nomination, Path};

/// Between the first checks of two paths (RFC 8445 section 14.2).
const PACE: Duration = Duration::from_millis(50);
/// How long media may go without an answer (RFC 7675 section 5.1).
const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the longest check: user names of mediasoup are 32 letters, of anybody 256.
const CHECK_LEN_MAX: usize = 700;
/// Peer-reflexive, over the only component (RFC 8445 section 5.1.2.1).
const PRIORITY_UDP: u32 = (110 << 24) | (65_535 << 8) | 255;
/// Less than any of UDP.
const PRIORITY_TCP: u32 = (110 << 24) | (8_191 << 8) | 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Checking,
    Connected,
    Completed,
    Disconnected,
    Failed,
}

/// Why a STUN message changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    Malformed,
    /// Requests and indications: a lite agent makes none.
    NotAResponse,
    /// No check with this transaction is under way on this path.
    Unasked,
    /// Not made with the other side's password.
    Unauthentic,
    /// An error response: its code.
    Refused(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    State(State),
    /// Media takes this path from now on.
    Selected(Path),
}

/// Takes what is to be sent, and what changed.
pub(crate) trait Sink {
    fn send(&mut self, path: Path, bytes: &[u8]);
    fn tell(&mut self, event: Event);
}

#[derive(Debug)]
pub(crate) struct Agent {
    rng: Rng,
    state: State,
    local: Credentials,
    remote: Credentials,
    /// The other side's: for checks as for their answers.
    key: IntegrityKey,
    tie_breaker: u64,
    mode: Nomination,
    consent_interval: Duration,
    pairs: Vec<Pair>,
    selected: Option<Path>,
    /// Wanted, and not answered yet.
    nominating: Option<Path>,
    nominations: u32,
    consent_until: Option<Time>,
}

impl Agent {
    pub(crate) fn new(
        mut rng: Rng,
        remote: Credentials,
        mode: Nomination,
        consent_interval: Duration,
    ) -> Self {
        Self {
            local: Credentials::generate(&mut |bytes| rng.fill(bytes)),
            tie_breaker: rng.next_u64(),
            state: State::Checking,
            key: IntegrityKey::new(remote.password.as_bytes()),
            remote,
            mode,
            consent_interval,
            pairs: Vec::new(),
            selected: None,
            nominating: None,
            nominations: 0,
            consent_until: None,
            rng,
        }
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.local
    }

    pub(crate) const fn selected(&self) -> Option<Path> {
        self.selected
    }

    pub(crate) fn knows(&self, path: Path) -> bool {
        self.pairs.iter().any(|pair| pair.path == path)
    }

    /// A further path to check.
    pub(crate) fn add(&mut self, now: Time, path: Path) {
        if self.knows(path) {
            return;
        }
        let waiting = self.pairs.iter().filter(|pair| pair.check.is_none() && pair.next_check.is_some());
        let at = now + PACE * u32::try_from(waiting.count()).unwrap_or(u32::MAX);
        self.pairs.push(Pair::new(path, at));
    }

    /// The path is no more. Another that works is nominated if there is one.
    pub(crate) fn remove(&mut self, now: Time, path: Path) {
        self.pairs.retain(|pair| pair.path != path);
        if self.nominating == Some(path) {
            self.nominating = None;
        }
        if self.selected == Some(path) {
            self.selected = None;
            self.nominate_first_valid(now);
        }
    }

    /// Has the other side use this path, if it works; else as soon as it does.
    pub(crate) fn nominate(&mut self, now: Time, path: Path) {
        self.nominating = Some(path);
        self.nominations += 1;
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.path == path)
            && pair.is_valid
        {
            pair.check = None;
            pair.next_check = Some((now, Purpose::Nominate));
        }
    }

    /// New credentials on both sides (RFC 8445 section 9): all paths are checked again, the selected one first, and media
    /// stays where it is meanwhile.
    pub(crate) fn restart(&mut self, now: Time, remote: Credentials, sink: &mut dyn Sink) {
        let Self { rng, .. } = self;
        self.local = Credentials::generate(&mut |bytes| rng.fill(bytes));
        self.tie_breaker = rng.next_u64();
        self.key = IntegrityKey::new(remote.password.as_bytes());
        self.remote = remote;
        self.nominating = None;
        self.nominations = 0;
        let selected = self.selected;
        self.pairs.sort_by_key(|pair| Some(pair.path) != selected);
        for (place, pair) in (0..).zip(&mut self.pairs) {
            pair.probe_at(now + PACE * place);
        }
        self.enter(State::Checking, sink);
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.pairs.iter().filter_map(Pair::next_timeout).chain(self.consent_until).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time, sink: &mut dyn Sink) {
        if self.consent_until.is_some_and(|until| until <= now) {
            return self.disconnect(sink);
        }
        for place in 0..self.pairs.len() {
            match self.pairs[place].due(now) {
                Due::Nothing => {}
                Due::Begin(purpose) => self.begin(now, place, purpose, sink),
                Due::Resend => self.send(now, place, sink),
                Due::GiveUp(purpose) => self.give_up(now, place, purpose, sink),
            }
        }
        let all_failed = !self.pairs.is_empty() && self.pairs.iter().all(|pair| pair.has_failed);
        if all_failed && self.state == State::Checking {
            self.enter(State::Failed, sink);
        }
    }

    /// Takes in a STUN message.
    pub(crate) fn handle(
        &mut self,
        now: Time,
        path: Path,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<(), Ignored> {
        let message = Message::parse(bytes).map_err(|_| Ignored::Malformed)?;
        if matches!(message.class, Class::Request | Class::Indication) {
            return Err(Ignored::NotAResponse);
        }
        let asked = |check: &Check| check.transaction == *message.transaction();
        let place = self
            .pairs
            .iter()
            .position(|pair| pair.path == path && pair.check.as_ref().is_some_and(asked))
            .ok_or(Ignored::Unasked)?;
        if message.class == Class::ErrorResponse {
            // Whoever refuses for want of credentials cannot sign; what is asked for is asked again later anyway.
            return Err(Ignored::Refused(message.error_code.map_or(0, |error| error.code)));
        }
        if !message.is_authentic(&self.key) {
            return Err(Ignored::Unauthentic);
        }
        if let Some(check) = self.pairs[place].check.take() {
            self.answered(now, place, check, sink);
        }
        Ok(())
    }

    fn answered(&mut self, now: Time, place: usize, check: Check, sink: &mut dyn Sink) {
        let pair = &mut self.pairs[place];
        pair.is_valid = true;
        pair.has_failed = false;
        let path = pair.path;
        let is_nominated =
            check.purpose == Purpose::Nominate || self.mode == Nomination::Aggressive && self.is_open();
        let is_other_wanted = self.nominating.is_some_and(|wanted| wanted != path);
        if is_nominated && !is_other_wanted {
            self.select(now, path, sink);
        } else if self.nominating == Some(path) || self.nominating.is_none() && self.is_open() {
            self.begin_nomination(now, place, sink);
        } else if check.purpose == Purpose::Consent && self.selected == Some(path) {
            self.consent_given(now, place);
        }
    }

    fn begin_nomination(&mut self, now: Time, place: usize, sink: &mut dyn Sink) {
        if self.is_open() {
            self.enter(State::Connected, sink);
        }
        if self.nominating.is_none() {
            self.nominations += 1;
        }
        self.nominating = Some(self.pairs[place].path);
        self.begin(now, place, Purpose::Nominate, sink);
    }

    /// Whether it is still to be decided where media goes.
    const fn is_open(&self) -> bool {
        !matches!(self.state, State::Completed)
    }

    fn select(&mut self, now: Time, path: Path, sink: &mut dyn Sink) {
        self.nominating = None;
        if self.selected != Some(path) {
            self.selected = Some(path);
            sink.tell(Event::Selected(path));
        }
        for place in 0..self.pairs.len() {
            if self.pairs[place].path == path {
                self.consent_given(now, place);
            } else if matches!(self.pairs[place].next_check, Some((_, Purpose::Consent))) {
                self.pairs[place].next_check = None;
            }
        }
        self.enter(State::Completed, sink);
    }

    fn consent_given(&mut self, now: Time, place: usize) {
        self.consent_until = Some(now + CONSENT_TIMEOUT);
        let at = now + self.rng.around(self.consent_interval);
        self.pairs[place].next_check = Some((at, Purpose::Consent));
    }

    fn give_up(&mut self, now: Time, place: usize, purpose: Purpose, sink: &mut dyn Sink) {
        let pair = &mut self.pairs[place];
        let path = pair.path;
        pair.check = None;
        if purpose == Purpose::Consent {
            // Consent that has not run out yet is asked for as long as it has not.
            return self.begin(now, place, Purpose::Consent, sink);
        }
        pair.has_failed = true;
        pair.is_valid = false;
        if self.nominating == Some(path) {
            self.nominating = None;
            self.nominate_first_valid(now);
        }
    }

    fn nominate_first_valid(&mut self, now: Time) {
        let valid = self.pairs.iter().find(|pair| pair.is_valid && Some(pair.path) != self.selected);
        if let Some(path) = valid.map(|pair| pair.path) {
            self.nominate(now, path);
        }
    }

    fn disconnect(&mut self, sink: &mut dyn Sink) {
        self.consent_until = None;
        self.selected = None;
        for pair in &mut self.pairs {
            (pair.check, pair.next_check, pair.is_valid) = (None, None, false);
        }
        self.enter(State::Disconnected, sink);
    }

    fn enter(&mut self, state: State, sink: &mut dyn Sink) {
        if self.state != state {
            self.state = state;
            sink.tell(Event::State(state));
        }
    }

    fn begin(&mut self, now: Time, place: usize, purpose: Purpose, sink: &mut dyn Sink) {
        let mut transaction = [0; TRANSACTION_LEN];
        self.rng.fill(&mut transaction);
        let counts = purpose == Purpose::Nominate && self.mode == Nomination::Renomination;
        let nomination = counts.then_some(self.nominations);
        let pair = &mut self.pairs[place];
        pair.next_check = None;
        pair.check = Some(Check::new(purpose, transaction, nomination));
        self.send(now, place, sink);
    }

    fn send(&mut self, now: Time, place: usize, sink: &mut dyn Sink) {
        let pair = &mut self.pairs[place];
        let Some(check) = &mut pair.check else { return };
        let mut buffer = [0; CHECK_LEN_MAX];
        let username = format!("{}:{}", self.remote.username_fragment, self.local.username_fragment);
        let priority = match pair.path.protocol {
            CandidateProtocol::Udp => PRIORITY_UDP,
            CandidateProtocol::Tcp => PRIORITY_TCP,
        };
        let mut writer = Writer::new(&mut buffer, Class::Request, BINDING, &check.transaction)
            .username(username.as_bytes())
            .priority(priority)
            .ice_controlling(self.tie_breaker);
        let is_eager = self.mode == Nomination::Aggressive && check.purpose == Purpose::Probe;
        if check.purpose == Purpose::Nominate || is_eager {
            writer = writer.use_candidate();
        }
        if let Some(nomination) = check.nomination {
            writer = writer.nomination(nomination);
        }
        check.sent(now);
        // A user name that is too long is never answered, which is how its peer hears of it.
        if let Some(bytes) = writer.finish(Some(&self.key)) {
            sink.send(pair.path, bytes);
        }
    }
}
