//! A lite agent with DTLS and SRTP of its own, and the network between it and a peer: virtual time, and loss on demand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ringsoup_rtc::dtls::{Certificate, Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_rtc::ice::agent::{REPLY_LEN_MAX, consent_timeout};
use ringsoup_rtc::ice::{Agent, Credentials, Event as IceEvent, Outcome, Request};
use ringsoup_rtc::srtp::{InboundSession, OutboundSession};
use ringsoup_rtc::stun::{Message, is_stun};
use ringsoup_rtc::time::Time;

use crate::dtls::{Dtls, Event as DtlsEvent, Settings, Sink};
use crate::{Config, Datagram, Event, Nomination, Path, Peer, RemoteParameters, generate_certificate};

/// One way.
const DELAY: Duration = Duration::from_millis(1);

pub(crate) fn path(remote_port: u16) -> Path {
    Path::udp("127.0.0.1:5000".parse().unwrap(), ([127, 0, 0, 1], remote_port).into())
}

pub(crate) fn credentials(number: u32) -> Credentials {
    Credentials { username_fragment: format!("{number:032}"), password: format!("password-of-{number:020}") }
}

#[derive(Default)]
pub(crate) struct ServerOut {
    sent: VecDeque<Vec<u8>>,
    pub(crate) sessions: Option<(OutboundSession, InboundSession)>,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) failures: Vec<String>,
    pub(crate) is_closed: bool,
}

impl Sink for ServerOut {
    fn send(&mut self, datagram: &[u8]) {
        self.sent.push_back(datagram.to_vec());
    }

    fn tell(&mut self, event: DtlsEvent) {
        match event {
            DtlsEvent::Connected(keys) => self.sessions = Some((keys.outbound, keys.inbound)),
            DtlsEvent::Failed(why) => self.failures.push(why),
            DtlsEvent::Closed => self.is_closed = true,
            DtlsEvent::ApplicationData(data) => self.messages.push(data),
        }
    }
}

pub(crate) struct Server {
    pub(crate) agent: Agent<Path>,
    pub(crate) ice_events: Vec<IceEvent<Path>>,
    pub(crate) dtls: Dtls,
    is_begun: bool,
    is_client: bool,
    pub(crate) out: ServerOut,
    /// Checks that came in, by path.
    pub(crate) checks: Vec<Path>,
}

impl Server {
    fn handle(&mut self, now: Time, path: Path, bytes: &[u8]) -> Option<Vec<u8>> {
        if !is_stun(bytes) {
            self.is_begun = true;
            self.dtls.handle_datagram(now, bytes, &mut self.out);
            return None;
        }
        self.checks.push(path);
        let mut reply = [0; REPLY_LEN_MAX];
        let message = Message::parse(bytes).unwrap();
        let request = Request { tuple: path, remote: path.local, message: &message };
        let events = &mut self.ice_events;
        let outcome = self.agent.handle_request(now, &request, &mut reply, &mut |event| events.push(event));
        if self.is_client && !self.is_begun && self.agent.selected().is_some() {
            self.is_begun = true;
            self.dtls.handle_timeout(now, &mut self.out);
        }
        match outcome {
            Outcome::Answered { len } | Outcome::Refused { len, .. } => Some(reply[..len].to_vec()),
            Outcome::Ignored(_) => None,
        }
    }
}

type Loses = Box<dyn FnMut(usize, &Datagram) -> bool>;

pub(crate) struct Network {
    pub(crate) now: Time,
    pub(crate) peer: Peer,
    pub(crate) server: Server,
    pub(crate) events: Vec<Event>,
    under_way: VecDeque<(Time, bool, Datagram)>,
    /// Counts datagrams of both directions; asked whether this one is lost.
    pub(crate) loses: Loses,
    count: usize,
}

pub(crate) struct Setup {
    pub(crate) role: Role,
    pub(crate) nomination: Nomination,
    pub(crate) paths: Vec<Path>,
    pub(crate) wrong_fingerprint: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            role: Role::Client,
            nomination: Nomination::Regular,
            paths: vec![path(1)],
            wrong_fingerprint: false,
        }
    }
}

pub(crate) fn sha256(certificate: &Certificate) -> Fingerprint {
    Fingerprint::of(FingerprintAlgorithm::Sha256, certificate.der())
}

impl Network {
    pub(crate) fn new(setup: Setup) -> Self {
        let now = Time::from_millis(1_000);
        let ours = Arc::new(generate_certificate().unwrap());
        let theirs = Arc::new(generate_certificate().unwrap());
        let fingerprint = sha256(if setup.wrong_fingerprint { &ours } else { &theirs });
        let remote = RemoteParameters { credentials: credentials(0), fingerprint };
        let mut config = Config::new(7, ours.clone(), remote, setup.paths);
        config.role = setup.role;
        config.nomination = setup.nomination;
        let settings = Settings {
            certificate: theirs,
            remote_fingerprint: sha256(&ours),
            is_client: setup.role != Role::Client,
            retransmit: Duration::from_millis(50),
        };
        let server = Server {
            agent: Agent::new(credentials(0), consent_timeout(30)),
            ice_events: vec![],
            is_client: settings.is_client,
            dtls: Dtls::new(settings, now).unwrap(),
            is_begun: false,
            out: ServerOut::default(),
            checks: vec![],
        };
        let peer = Peer::new(config, now).unwrap();
        let loses = Box::new(|_: usize, _: &Datagram| false);
        Self { now, peer, server, events: vec![], under_way: VecDeque::new(), loses, count: 0 }
    }

    /// Until nothing is under way and nobody wants to be woken before `end`.
    pub(crate) fn run_until(&mut self, end: Time) {
        loop {
            self.collect();
            let arrival = self.under_way.front().map(|(at, ..)| *at);
            let server = self.server.dtls.next_timeout().filter(|_| self.server.is_begun);
            let Some(next) = [arrival, server, self.peer.next_timeout()].into_iter().flatten().min() else {
                break;
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.deliver();
            self.peer.handle_timeout(self.now);
            if server.is_some_and(|at| at <= self.now) {
                self.server.dtls.handle_timeout(self.now, &mut self.server.out);
            }
        }
        self.now = self.now.max(end);
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    pub(crate) fn connect(&mut self) {
        self.run_for(Duration::from_secs(20));
        assert!(self.peer.is_connected(), "{:?} {:?}", self.events, self.server.out.failures);
        assert!(self.server.out.sessions.is_some());
    }

    fn collect(&mut self) {
        while let Some(datagram) = self.peer.poll_datagram() {
            self.put(true, datagram);
        }
        let path = self.server.agent.selected().unwrap_or_else(|| path(1));
        while let Some(bytes) = self.server.out.sent.pop_front() {
            self.put(false, Datagram { path, bytes });
        }
        while let Some(event) = self.peer.poll_event() {
            self.events.push(event);
        }
    }

    fn put(&mut self, to_server: bool, datagram: Datagram) {
        let is_lost = (self.loses)(self.count, &datagram);
        self.count += 1;
        if !is_lost {
            self.under_way.push_back((self.now + DELAY, to_server, datagram));
        }
    }

    fn deliver(&mut self) {
        while self.under_way.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, to_server, mut datagram)) = self.under_way.pop_front() else { return };
            if !to_server {
                self.peer.handle(self.now, datagram.path, &mut datagram.bytes);
            } else if let Some(bytes) = self.server.handle(self.now, datagram.path, &datagram.bytes) {
                self.put(false, Datagram { path: datagram.path, bytes });
            }
        }
    }
}
