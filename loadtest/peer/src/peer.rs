//! The peer itself: tells STUN, DTLS and SRTP apart (RFC 7983) and leads each to where it belongs.

use std::collections::VecDeque;

use ringsoup_rtc::dtls::{Certificate, Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_rtc::ice::Credentials;
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession, SrtpError};
use ringsoup_rtc::stun;
use ringsoup_rtc::time::Time;

use crate::dtls::{self, Dtls, Keys, Settings};
use crate::ice::{self, Agent};
use crate::rng::Rng;
use crate::{Config, IceState, Ignored, LocalParameters, Path};

/// What is to be sent where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    pub path: Path,
    pub bytes: Vec<u8>,
}

/// What changed, in the order in which it did.
#[derive(Debug)]
pub enum Event {
    Ice(IceState),
    /// Media takes this path from now on.
    Selected(Path),
    /// DTLS is done, and the other side is who it should be: SRTP can begin.
    Connected {
        suite: CryptoSuite,
        /// DER.
        remote_certificate: Vec<u8>,
    },
    /// DTLS failed: why.
    Failed(String),
    /// The other side said good-bye (close_notify).
    Closed,
    /// A message over DTLS: an SCTP packet.
    ApplicationData(Vec<u8>),
}

/// What a datagram was.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// An RTP packet, decrypted.
    Rtp(&'a mut [u8]),
    /// An RTCP packet, decrypted.
    Rtcp(&'a mut [u8]),
    /// A message of ICE or DTLS: look for events and datagrams.
    Taken,
    Unread(Unread),
}

/// Why a datagram was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    Stun(Ignored),
    /// The path is none of ours.
    Path,
    /// There are no keys yet.
    NoKeys,
    Srtp(SrtpError),
    /// The first byte is none of RFC 7983's.
    Unknown,
}

/// A WebRTC peer. After every call that takes it along, what is to be sent and what changed wait to be polled.
#[derive(Debug)]
pub struct Peer {
    role: Role,
    fingerprint: Fingerprint,
    agent: Agent,
    dtls: Dtls,
    is_dtls_begun: bool,
    outbound: Option<OutboundSession>,
    inbound: Option<InboundSession>,
    /// Where DTLS came in last: the answer goes there until a path is selected.
    dtls_path: Option<Path>,
    datagrams: VecDeque<Datagram>,
    events: VecDeque<Event>,
}

impl Peer {
    /// Sends the first check.
    ///
    /// # Errors
    /// DTLS cannot be set up with this certificate: why.
    pub fn new(config: Config, now: Time) -> Result<Self, String> {
        let rng = Rng::new(config.seed);
        let role = if config.role == Role::Client { Role::Client } else { Role::Server };
        let settings = Settings {
            certificate: config.certificate.clone(),
            remote_fingerprint: config.remote.fingerprint,
            is_client: role == Role::Client,
            retransmit: config.dtls_retransmit,
        };
        let dtls = Dtls::new(settings, now)?;
        let mut agent =
            Agent::new(rng, config.remote.credentials, config.nomination, config.consent_interval);
        for path in config.paths {
            agent.add(now, path);
        }
        let mut peer = Self {
            role,
            fingerprint: sha256(&config.certificate),
            agent,
            dtls,
            is_dtls_begun: false,
            outbound: None,
            inbound: None,
            dtls_path: None,
            datagrams: VecDeque::new(),
            events: VecDeque::new(),
        };
        peer.handle_timeout(now);
        Ok(peer)
    }

    /// What signalling tells the other side.
    pub fn local_parameters(&self) -> LocalParameters {
        LocalParameters {
            credentials: self.agent.credentials().clone(),
            fingerprint: self.fingerprint.clone(),
            role: self.role,
        }
    }

    pub const fn ice_state(&self) -> IceState {
        self.agent.state()
    }

    /// Where media goes.
    pub const fn selected(&self) -> Option<Path> {
        self.agent.selected()
    }

    pub const fn is_connected(&self) -> bool {
        self.outbound.is_some()
    }

    /// Takes in a datagram, or a packet of a TCP connection. Media is decrypted where it is.
    pub fn handle<'d>(&mut self, now: Time, path: Path, datagram: &'d mut [u8]) -> Received<'d> {
        match datagram.first() {
            Some(0..=3) if stun::is_stun(datagram) => self.handle_stun(now, path, datagram),
            Some(20..=63) => self.handle_dtls(now, path, datagram),
            Some(128..=191) => self.unprotect(datagram),
            _ => Received::Unread(Unread::Unknown),
        }
    }

    pub fn next_timeout(&self) -> Option<Time> {
        let dtls = if self.is_dtls_begun { self.dtls.next_timeout() } else { None };
        self.agent.next_timeout().into_iter().chain(dtls).min()
    }

    /// Called when [`next_timeout`](Self::next_timeout) has come; earlier it does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        self.agent
            .handle_timeout(now, &mut IceSink { datagrams: &mut self.datagrams, events: &mut self.events });
        if self.is_dtls_begun && self.dtls.next_timeout().is_some_and(|at| at <= now) {
            self.with_dtls(|dtls, sink| dtls.handle_timeout(now, sink));
        }
        self.begin_dtls(now);
    }

    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        self.datagrams.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A further candidate, checked from now on.
    pub fn add_path(&mut self, now: Time, path: Path) {
        self.agent.add(now, path);
        self.handle_timeout(now);
    }

    /// A path that is no more: a closed connection.
    pub fn remove_path(&mut self, now: Time, path: Path) {
        self.agent.remove(now, path);
        self.handle_timeout(now);
    }

    /// Has media take this path if it works, or as soon as it does.
    pub fn nominate(&mut self, now: Time, path: Path) {
        self.agent.nominate(now, path);
        self.handle_timeout(now);
    }

    /// ICE begins anew with the other side's new credentials; ours are new too. DTLS and SRTP go on.
    pub fn restart_ice(&mut self, now: Time, remote: Credentials) {
        let mut sink = IceSink { datagrams: &mut self.datagrams, events: &mut self.events };
        self.agent.restart(now, remote, &mut sink);
        self.handle_timeout(now);
    }

    /// Protects the RTP packet in `buffer[..length]`, whose header is `header` bytes, in place: the new length, for which
    /// there must be room (`ringsoup_rtc::srtp::MAX_TRAILER_LEN` at most). `None` before [`Event::Connected`].
    pub fn protect_rtp(
        &mut self,
        buffer: &mut [u8],
        header: usize,
        length: usize,
    ) -> Option<Result<usize, SrtpError>> {
        self.outbound.as_mut().map(|session| session.protect_rtp(buffer, header, length))
    }

    /// The same of a compound RTCP packet.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<Result<usize, SrtpError>> {
        self.outbound.as_mut().map(|session| session.protect_rtcp(buffer, length))
    }

    /// Hands SRTP over to who wants to do it alone: media that is handed to [`handle`](Self::handle) is not read any more.
    /// `None` before [`Event::Connected`].
    pub fn take_srtp(&mut self) -> Option<(OutboundSession, InboundSession)> {
        self.outbound.take().zip(self.inbound.take())
    }

    /// Sends a message over DTLS. Before it is connected the message waits.
    pub fn send_application_data(&mut self, message: &[u8]) {
        self.with_dtls(|dtls, sink| dtls.send(message, sink));
    }

    /// Says good-bye (close_notify).
    pub fn close(&mut self) {
        self.with_dtls(|dtls, sink| dtls.close(sink));
    }

    fn handle_stun<'d>(&mut self, now: Time, path: Path, datagram: &[u8]) -> Received<'d> {
        let mut sink = IceSink { datagrams: &mut self.datagrams, events: &mut self.events };
        match self.agent.handle(now, path, datagram, &mut sink) {
            Ok(()) => {
                self.begin_dtls(now);
                Received::Taken
            }
            Err(ignored) => Received::Unread(Unread::Stun(ignored)),
        }
    }

    fn handle_dtls<'d>(&mut self, now: Time, path: Path, datagram: &[u8]) -> Received<'d> {
        if !self.agent.knows(path) {
            return Received::Unread(Unread::Path);
        }
        self.dtls_path = Some(path);
        self.is_dtls_begun = true;
        self.with_dtls(|dtls, sink| dtls.handle_datagram(now, datagram, sink));
        Received::Taken
    }

    fn unprotect<'d>(&mut self, packet: &'d mut [u8]) -> Received<'d> {
        let Some(session) = &mut self.inbound else { return Received::Unread(Unread::NoKeys) };
        // RFC 5761 section 4.
        let is_rtcp = matches!(packet.get(1), Some(192..=223));
        let length = if is_rtcp { session.unprotect_rtcp(packet) } else { session.unprotect_rtp(packet) };
        match length {
            Ok(length) if is_rtcp => Received::Rtcp(&mut packet[..length]),
            Ok(length) => Received::Rtp(&mut packet[..length]),
            Err(error) => Received::Unread(Unread::Srtp(error)),
        }
    }

    /// A client speaks first, once there is a path.
    fn begin_dtls(&mut self, now: Time) {
        if self.is_dtls_begun || self.agent.selected().is_none() {
            return;
        }
        self.is_dtls_begun = true;
        self.with_dtls(|dtls, sink| dtls.handle_timeout(now, sink));
    }

    fn with_dtls(&mut self, call: impl FnOnce(&mut Dtls, &mut dyn dtls::Sink)) {
        let mut sink = DtlsSink {
            path: self.agent.selected().or(self.dtls_path),
            datagrams: &mut self.datagrams,
            events: &mut self.events,
            keys: None,
        };
        call(&mut self.dtls, &mut sink);
        if let Some(keys) = sink.keys {
            self.outbound = Some(keys.outbound);
            self.inbound = Some(keys.inbound);
        }
    }
}

fn sha256(certificate: &Certificate) -> Fingerprint {
    Fingerprint::of(FingerprintAlgorithm::Sha256, certificate.der())
}

struct IceSink<'a> {
    datagrams: &'a mut VecDeque<Datagram>,
    events: &'a mut VecDeque<Event>,
}

impl ice::Sink for IceSink<'_> {
    fn send(&mut self, path: Path, bytes: &[u8]) {
        self.datagrams.push_back(Datagram { path, bytes: bytes.to_vec() });
    }

    fn tell(&mut self, event: ice::Event) {
        self.events.push_back(match event {
            ice::Event::State(state) => Event::Ice(state),
            ice::Event::Selected(path) => Event::Selected(path),
        });
    }
}

struct DtlsSink<'a> {
    path: Option<Path>,
    datagrams: &'a mut VecDeque<Datagram>,
    events: &'a mut VecDeque<Event>,
    keys: Option<Box<Keys>>,
}

impl dtls::Sink for DtlsSink<'_> {
    fn send(&mut self, datagram: &[u8]) {
        // Without a path (ICE disconnected) it is as if it were lost: DTLS sends it again.
        if let Some(path) = self.path {
            self.datagrams.push_back(Datagram { path, bytes: datagram.to_vec() });
        }
    }

    fn tell(&mut self, event: dtls::Event) {
        self.events.push_back(match event {
            dtls::Event::Connected(mut keys) => {
                let remote_certificate = std::mem::take(&mut keys.remote_certificate);
                let suite = keys.outbound.suite();
                self.keys = Some(keys);
                Event::Connected { suite, remote_certificate }
            }
            dtls::Event::Failed(why) => Event::Failed(why),
            dtls::Event::Closed => Event::Closed,
            dtls::Event::ApplicationData(data) => Event::ApplicationData(data),
        });
    }
}
